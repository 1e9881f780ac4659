// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"os/signal"
	"syscall"
	"testing"
)

// TestEnds: the signal of a terminal that is gone ends skbpath, but not below nohup.
func TestEnds(t *testing.T) {
	caught := make(chan os.Signal, 1)
	signal.Notify(caught, syscall.SIGHUP) // so that it is not ignored, though the test itself runs below nohup
	defer signal.Stop(caught)
	if all := ends(); len(all) != 3 || all[2] != syscall.SIGHUP {
		t.Errorf("it ends at %v", all)
	}
	signal.Ignore(syscall.SIGHUP)
	defer signal.Reset(syscall.SIGHUP)
	if all := ends(); len(all) != 2 {
		t.Errorf("with SIGHUP ignored it ends at %v", all)
	}
}
