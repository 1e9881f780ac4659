// SPDX-License-Identifier: Apache-2.0

//go:build linux

package vm

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

// runFailing is for machines that are expected not to get to their end.
func runFailing(t *testing.T, cfg Config) (*Result, error) {
	t.Helper()
	if testing.Short() {
		t.Skip("SKIPPED: no virtual machines with -short; run `go test` without it")
	}
	cfg.Kernel, cfg.Dir = "6.12", t.TempDir()
	return Run(t.Context(), cfg)
}

func TestPanic(t *testing.T) {
	r, err := runFailing(t, Config{Scenarios: []Scenario{
		{Name: "before", Script: "echo kept\n"},
		{Name: "crash", Script: "echo c > /proc/sysrq-trigger\n"},
		{Name: "after", Script: "true\n"},
	}})
	if !errors.Is(err, ErrPanic) {
		t.Fatalf("error %v, want a panic", err)
	}
	if !strings.Contains(r.Console, "Kernel panic - not syncing") || len(r.Warnings) == 0 {
		t.Errorf("warnings %q, console:\n%s", r.Warnings, r.Console)
	}
	if got := r.Scenarios["before"].Stdout; got != "kept\n" || len(r.Scenarios) != 1 {
		t.Errorf("results %v", r.Scenarios)
	}
}

func TestTimeout(t *testing.T) {
	r, err := runFailing(t, Config{Script: "echo waiting; sleep 1000\n", Timeout: 40 * time.Second})
	if err == nil || !strings.Contains(err.Error(), "not done after 40s") {
		t.Errorf("error %v, want a timeout", err)
	}
	if !strings.Contains(r.Console, "script: begin") {
		t.Errorf("console:\n%s", r.Console)
	}
}

func TestUnknownModule(t *testing.T) {
	_, err := runFailing(t, Config{Script: "true\n", Modules: []string{"no_such_module"}})
	if err == nil || !strings.Contains(err.Error(), `no module "no_such_module"`) {
		t.Errorf("error %v", err)
	}
}

func TestConfigCheck(t *testing.T) {
	dir := t.TempDir()
	for name, cfg := range map[string]Config{
		"nothing to run":   {Dir: dir},
		"not a directory":  {Dir: dir + "/none", Script: "true"},
		"scenario name \"": {Dir: dir, Scenarios: []Scenario{{Name: "../up"}}},
		"not unique":       {Dir: dir, Scenarios: []Scenario{{Name: "a"}, {Name: "a"}}},
	} {
		if _, err := Run(context.Background(), cfg); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("error %v, want %q", err, name)
		}
	}
}
