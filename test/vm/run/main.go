// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Command run boots a kernel and runs one shell script in it, with bin/skbpath
// at hand as skbpath:
//
//	go run ./test/vm/run -kernel 6.12 script.sh
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/skbpath/skbpath/test/vm"
)

func main() {
	kernel := flag.String("kernel", "6.12", "series: 6.1, 6.12 or 7")
	binary := flag.String("binary", "bin/skbpath", "the program to take along")
	icount := flag.Bool("icount", false, "count time in instructions, on one CPU")
	tools := flag.String("tools", "", "more tools, comma-separated")
	out := flag.String("out", "", "where files from $OUT go (a new directory)")
	timeout := flag.Duration("timeout", 3*time.Minute, "for the machine from start to end")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, *kernel, *binary, *icount, *tools, *out, *timeout, flag.Arg(0))
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "run:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, kernel, binary string, icount bool, tools, out string, timeout time.Duration, path string) error {
	script, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if out == "" {
		if out, err = os.MkdirTemp("", "skbpath-run-"); err != nil {
			return err
		}
	}
	var extra []string
	if tools != "" {
		extra = strings.Split(tools, ",")
	}
	result, err := vm.Run(ctx, vm.Config{
		Kernel: kernel, ICount: icount, Dir: out, Tools: extra, Timeout: timeout,
		Modules: []string{"veth", "bridge", "nf_tables", "nft_chain_nat", "nft_ct", "nf_conntrack"},
		Files:   map[string]string{"/bin/skbpath": binary},
		Script:  string(script),
	})
	if result == nil {
		return err
	}
	if err != nil {
		fmt.Println(result.Console)
		return err
	}
	s := result.Scenarios["script"]
	fmt.Print(s.Stdout)
	for _, warning := range result.Warnings {
		fmt.Println("kernel warning:", warning)
	}
	fmt.Printf("exit %d after %v (boot %v, %s); files in %s\n", s.ExitCode, s.Duration, result.Boot, result.Release, s.Dir)
	return nil
}
