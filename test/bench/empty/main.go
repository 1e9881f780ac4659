// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Command empty attaches a program that does nothing to kernel functions, and
// runs a command meanwhile:
//
//	empty [-count] [-by fentry-multi] -functions enabled_functions -- load -kind udp
//
// The functions come from a copy of tracefs' enabled_functions, taken while a
// tracer was attached. With -count the program counts how often it runs. By
// fsession-multi it runs at the entry and at the return of each.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
)

func main() {
	functions := flag.String("functions", "", "file with the functions, one a line")
	count := flag.Bool("count", false, "count the program's runs")
	by := flag.String("by", "kprobe-multi", "mechanism: kprobe-multi, fentry-multi, fsession-multi")
	flag.Parse()
	if err := run(*functions, *count, *by, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "empty:", err)
		os.Exit(1)
	}
}

func run(functions string, count bool, by string, command []string) error {
	if len(command) == 0 {
		return errors.New("no command to run")
	}
	m, ok := mechanisms()[by]
	if !ok {
		return fmt.Errorf("no mechanism %q", by)
	}
	names, err := firstWords(functions)
	if err != nil {
		return err
	}
	hits, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1})
	if err != nil {
		return err
	}
	defer hits.Close()
	program, err := m.load(hits, count)
	if err != nil {
		return err
	}
	defer program.Close()
	attached, detach, err := m.attach(program, names)
	if err != nil {
		return fmt.Errorf("attach: %w", err)
	}
	err = start(command)
	var n uint64
	err = errors.Join(err, hits.Lookup(uint32(0), &n), detach())
	fmt.Printf("attached %d\nhits %d\n", attached, n)
	return err
}

func start(command []string) error {
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return cmd.Run()
}

func (m mechanism) load(hits *ebpf.Map, count bool) (*ebpf.Program, error) {
	var code asm.Instructions
	if count {
		code = asm.Instructions{
			asm.LoadMapValue(asm.R1, hits.FD(), 0),
			asm.Mov.Imm(asm.R2, 1),
			asm.AddAtomic.Mem(asm.R1, asm.R2, asm.DWord, 0),
		}
	}
	code = append(code, asm.Mov.Imm(asm.R0, 0), asm.Return())
	return ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "empty", Type: m.program, AttachType: m.attachType,
		Instructions: code, License: "GPL",
	})
}

// firstWords returns the first word of every line of a file.
func firstWords(file string) (map[string]bool, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	words := make(map[string]bool)
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) > 0 {
			words[fields[0]] = true
		}
	}
	return words, nil
}
