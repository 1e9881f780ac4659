// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Package bench measures what tracing costs: the instructions that a guest
// executes for one packet, which QEMU counts and which therefore repeat.
package bench

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/skbpath/skbpath/test/vm"
)

// TestCost prints the table of docs/cost.md. SKBPATH_BENCH_KERNELS names the
// kernels, SKBPATH_BINARY the program.
func TestCost(t *testing.T) {
	for _, kernel := range kernels() {
		t.Run(kernel, func(t *testing.T) {
			r := run(t, kernel, scenarios(kernel))
			m := make(measurements)
			for _, row := range rows(kernel) {
				m.read(row, r.Scenarios[scenarioName(row)].Stdout)
			}
			m.read(rowFlood, r.Scenarios[scenarioName(rowFlood)].Stdout)
			t.Logf("%s\n%s", r.Release, m.table(kernel))
		})
	}
}

// kernels are the series that SKBPATH_BENCH_KERNELS names.
func kernels() []string {
	if named := strings.Fields(os.Getenv("SKBPATH_BENCH_KERNELS")); len(named) > 0 {
		return named
	}
	return []string{"6.12"}
}

func run(t *testing.T, kernel string, scenarios []vm.Scenario, modules ...string) *vm.Result {
	t.Helper()
	r := vm.Test(t, vm.Config{
		Kernel: kernel, ICount: true, Modules: append(modules, "veth"), Timeout: 25 * time.Minute,
		Memory: "2G", Files: programs(t), Scenarios: scenarios,
	})
	r.Check(t)
	return r
}

// programs builds and finds what a guest takes along.
func programs(t *testing.T) map[string]string {
	t.Helper()
	dir := t.TempDir()
	build := exec.Command("go", "build", "-trimpath", "-o", dir, "./load", "./empty", "./collector")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the guest's programs: %v\n%s", err, out)
	}
	pwru, err := exec.Command("../fetch", "pwru").Output()
	if err != nil {
		t.Fatalf("test/fetch pwru: %v", err)
	}
	return map[string]string{
		"/bin/load": filepath.Join(dir, "load"), "/bin/empty": filepath.Join(dir, "empty"),
		"/bin/collector": filepath.Join(dir, "collector"),
		"/bin/skbpath":   binary(t), "/bin/pwru": strings.TrimSpace(string(pwru)),
	}
}

func binary(t *testing.T) string {
	t.Helper()
	file := os.Getenv("SKBPATH_BINARY")
	if file == "" {
		file = "../../bin/skbpath"
	}
	if _, err := os.Stat(file); err != nil {
		t.Fatalf("%v: run \"make build\" first", err)
	}
	return file
}

// measurements holds what the scenario of a row printed: "ping batch 123" is
// a value of the key "ping batch".
type measurements map[string]map[string][]float64

func (m measurements) read(row, text string) {
	m[row] = make(map[string][]float64)
	lines := bufio.NewScanner(strings.NewReader(text))
	for lines.Scan() {
		at := strings.LastIndexByte(lines.Text(), ' ')
		if at < 0 {
			continue
		}
		if value, err := strconv.ParseFloat(lines.Text()[at+1:], 64); err == nil {
			key := lines.Text()[:at]
			m[row][key] = append(m[row][key], value)
		}
	}
}
