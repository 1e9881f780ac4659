// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// progressInterval keeps a terminal from flickering.
const progressInterval = 100 * time.Millisecond

// progress shows on a terminal how far attaching has come. On anything else it
// shows nothing.
type progress struct {
	terminal *os.File // nil if there is none
	shown    time.Time
}

func newProgress(f *os.File) *progress {
	if _, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS); err != nil {
		return &progress{}
	}
	return &progress{terminal: f}
}

func (p *progress) show(attached, total int) {
	if p.terminal == nil || time.Since(p.shown) < progressInterval {
		return
	}
	p.shown = time.Now()
	fmt.Fprintf(p.terminal, "\rattaching: %d of %d functions", attached, total)
}

func (p *progress) clear() {
	if p.terminal != nil && !p.shown.IsZero() {
		fmt.Fprint(p.terminal, "\r\033[K")
	}
}
