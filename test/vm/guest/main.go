// SPDX-License-Identifier: Apache-2.0

//go:build linux

// The guest program is the first process of a test VM: it mounts what programs
// expect, loads modules, runs the scenarios of the plan, sends the results back
// and powers off. As `clock` it prints the guest's monotonic time in ns.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/skbpath/skbpath/test/vm/plan"
)

func main() {
	if filepath.Base(os.Args[0]) == "clock" {
		printClock()
		return
	}
	if os.Getpid() != 1 {
		fmt.Fprintln(os.Stderr, "guest: runs as the first process of a test VM only")
		os.Exit(2)
	}
	if err := run(); err != nil {
		fmt.Printf("%s%v\n", plan.Fatal, err)
	}
	unix.Sync()
	if err := unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF); err != nil {
		fmt.Printf("%spower off: %v\n", plan.Fatal, err)
	}
}

func printClock() {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		fmt.Fprintln(os.Stderr, "clock:", err)
		os.Exit(1)
	}
	fmt.Println(now.Nano())
}

func run() error {
	if err := mountAll(); err != nil {
		return err
	}
	if err := installBusybox(); err != nil {
		return err
	}
	p, err := readPlan()
	if err != nil {
		return err
	}
	if err := loadModules(p.Modules); err != nil {
		return err
	}
	if err := loopbackUp(); err != nil {
		return fmt.Errorf("lo: %w", err)
	}
	return runPlan(p)
}

func runPlan(p *plan.Plan) error {
	port, err := openPort(plan.Port)
	if err != nil {
		return err
	}
	results := newResults(port)
	fmt.Println(plan.Ready)
	for _, s := range p.Scenarios {
		status, err := runScenario(s)
		if err != nil {
			return fmt.Errorf("scenario %s: %w", s.Name, err)
		}
		if err := results.add(s.Name, status); err != nil {
			return fmt.Errorf("results of %s: %w", s.Name, err)
		}
	}
	return errors.Join(results.close(), port.Close())
}

func readPlan() (*plan.Plan, error) {
	data, err := os.ReadFile(plan.Path)
	if err != nil {
		return nil, err
	}
	p := new(plan.Plan)
	if err := json.Unmarshal(data, p); err != nil {
		return nil, fmt.Errorf("%s: %w", plan.Path, err)
	}
	return p, nil
}

// installBusybox adds a link for every applet that has no real program.
func installBusybox() error {
	out, err := exec.Command("/bin/busybox", "--list").Output()
	if err != nil {
		return fmt.Errorf("busybox: %w", err)
	}
	for _, applet := range splitLines(out) {
		err := os.Symlink("busybox", "/bin/"+applet)
		if err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
	}
	return nil
}
