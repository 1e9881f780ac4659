// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Package vm runs shell scripts in virtual machines that boot stock Debian
// kernels under software emulation.
//
// A guest holds nothing but an initramfs: a small init, a shell with the usual
// network tools, the modules and files that the caller names. Every scenario is
// a script with its own output, exit code and directory of files that it wrote
// to $OUT. Between scenarios, processes are killed and named network namespaces
// removed; whatever a script changes in the initial namespace stays, so scripts
// should work in namespaces of their own.
//
// Kernels, QEMU and the guests' tools come from test/fetch.
package vm

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"time"

	"github.com/skbpath/skbpath/test/vm/plan"
)

// Config describes a virtual machine and what it is to do.
type Config struct {
	Kernel    string            // series: "6.1", "6.12", "7"
	Modules   []string          // by name; what they need is added, what is built in is skipped
	Files     map[string]string // path in the guest → file here; programs get their shared libraries
	Tools     []string          // more programs out of `test/fetch tools`, e.g. "socat", "tcpdump", "iperf3"
	Script    string            // one scenario called "script"
	Scenarios []Scenario        // or several, run in this order
	SMP       int               // processors, 2 if zero
	Memory    string            // QEMU's notation, "1G" if empty
	Wire      bool              // virtio network devices eth0 and eth1, down, with a wire between them; module virtio_net drives them
	ICount    bool              // one processor, time counted in instructions; equal machines take equal time
	Timeout   time.Duration     // for the machine from start to end, 3 minutes if zero
	Append    string            // more of the kernel's command line
	Dir       string            // where the files from the guest go; must exist
}

// Scenario is a shell script (sh -eu) that runs in a guest. $OUT is a directory
// for files that are to come back. `clock` prints the guest's time in ns.
type Scenario struct {
	Name    string
	Script  string
	Timeout time.Duration // none but the machine's if zero
}

// ScenarioResult is what came out of a scenario.
type ScenarioResult struct {
	ExitCode int
	TimedOut bool
	Stdout   string // and standard error
	Dir      string // the files that the script left in $OUT
	Duration time.Duration
}

// Result is what came out of a virtual machine.
type Result struct {
	Scenarios map[string]ScenarioResult
	ExitCode  int           // the first one that is not zero
	Console   string        // everything the guest printed
	Warnings  []string      // the kernel's complaints on the console
	Release   string        // of the kernel that ran
	Boot      time.Duration // from starting QEMU until the first scenario, wall time; zero with ICount
}

// ErrPanic means that the guest's kernel panicked.
var ErrPanic = errors.New("the guest's kernel panicked")

// Run boots a virtual machine, runs the scenarios and waits for its end. The
// result is there even with an error, as far as the machine got.
func Run(ctx context.Context, cfg Config) (*Result, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	a, err := findAssets(ctx, cfg.Kernel)
	if err != nil {
		return nil, err
	}
	defer a.remove()
	initramfs, err := buildInitramfs(ctx, cfg, a)
	if err != nil {
		return nil, fmt.Errorf("initramfs: %w", err)
	}
	release, err := acquireSlot(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	return boot(ctx, cfg, a, initramfs)
}

func (cfg Config) complete() (Config, error) {
	if cfg.Script != "" {
		cfg.Scenarios = append([]Scenario{{Name: "script", Script: cfg.Script}}, cfg.Scenarios...)
	}
	if cfg.SMP == 0 {
		cfg.SMP = 2
	}
	if cfg.ICount {
		cfg.SMP = 1
	}
	if cfg.Memory == "" {
		cfg.Memory = "1G"
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = 3 * time.Minute
	}
	return cfg, cfg.check()
}

func (cfg Config) check() error {
	if info, err := os.Stat(cfg.Dir); err != nil || !info.IsDir() {
		return fmt.Errorf("vm: Dir %q is not a directory", cfg.Dir)
	}
	if len(cfg.Scenarios) == 0 {
		return errors.New("vm: nothing to run: no Script and no Scenarios")
	}
	valid := regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]*$`)
	seen := make(map[string]bool)
	for _, s := range cfg.Scenarios {
		if !valid.MatchString(s.Name) || seen[s.Name] {
			return fmt.Errorf("vm: scenario name %q is not valid or not unique", s.Name)
		}
		seen[s.Name] = true
	}
	return nil
}

func (cfg Config) plan(modules []string) plan.Plan {
	p := plan.Plan{Modules: modules}
	for _, s := range cfg.Scenarios {
		p.Scenarios = append(p.Scenarios, plan.Scenario{Name: s.Name, Script: scriptPath(s.Name), Timeout: s.Timeout})
	}
	return p
}

func scriptPath(name string) string { return "/scenarios/" + name }
