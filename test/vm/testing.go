// SPDX-License-Identifier: Apache-2.0

//go:build linux

package vm

import (
	"context"
	"testing"
	"time"
)

// Test runs a virtual machine for a test. It skips with -short, and fails with
// the console log if the machine does not get to its end. Exit codes are left
// to the caller; see [Result.Check].
func Test(t testing.TB, cfg Config) *Result {
	t.Helper()
	if testing.Short() {
		t.Skip("SKIPPED: no virtual machines with -short; run `go test` without it")
	}
	if cfg.Dir == "" {
		cfg.Dir = t.TempDir()
	}
	ctx := t.Context()
	if d, ok := t.(interface{ Deadline() (time.Time, bool) }); ok {
		if at, ok := d.Deadline(); ok {
			var cancel context.CancelFunc
			ctx, cancel = context.WithDeadline(ctx, at.Add(-10*time.Second))
			defer cancel()
		}
	}
	result, err := Run(ctx, cfg)
	if err == nil {
		return result
	}
	if result != nil {
		t.Logf("console of %s:\n%s", cfg.Kernel, result.Console)
	}
	t.Fatalf("virtual machine with kernel %s: %v", cfg.Kernel, err)
	return nil
}

// Check fails the test for every scenario that did not succeed, and shows what
// it printed.
func (r *Result) Check(t testing.TB) {
	t.Helper()
	for name, s := range r.Scenarios {
		if s.ExitCode != 0 || s.TimedOut {
			t.Errorf("%s: scenario %s: exit code %d, timed out %t, output:\n%s", r.Release, name, s.ExitCode, s.TimedOut, s.Stdout)
		}
	}
	if t.Failed() {
		t.Logf("console of %s:\n%s", r.Release, r.Console)
	}
}
