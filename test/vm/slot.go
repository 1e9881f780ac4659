// SPDX-License-Identifier: Apache-2.0

//go:build linux

package vm

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// acquireSlot waits until no other virtual machine of this user runs, in
// whichever process: emulated machines that share processors run into timeouts.
func acquireSlot(ctx context.Context) (release func(), err error) {
	f, err := os.OpenFile(filepath.Join(os.TempDir(), fmt.Sprintf("skbpath-vm-%d.lock", os.Getuid())), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	locked := make(chan error, 1)
	go func() { locked <- unix.Flock(int(f.Fd()), unix.LOCK_EX) }()
	select {
	case err := <-locked:
		if err != nil {
			f.Close()
			return nil, fmt.Errorf("lock %s: %w", f.Name(), err)
		}
		return func() { f.Close() }, nil
	case <-ctx.Done():
		go func() {
			<-locked //nolint:errcheck // nobody is left who asks
			_ = f.Close()
		}()
		return nil, fmt.Errorf("waiting for another virtual machine: %w", context.Cause(ctx))
	}
}
