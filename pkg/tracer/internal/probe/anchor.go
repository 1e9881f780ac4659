// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"fmt"
	"log/slog"
	"os"

	"golang.org/x/sys/unix"
)

// anchor holds links, so that nobody has to wait until they are undone. Who closes the
// last descriptor of a link undoes it there and then, for which the kernel takes a tenth
// of a second each, one after the other. A pinned link it leaves to threads of its own
// when the file system goes that it is pinned in (bpf_free_inode, bpf_link_put). This one
// is mounted nowhere: it goes with its descriptor, however the process ends. Each link
// keeps one of the kernel's workers busy meanwhile, so an anchor is for some dozens.
//
// A nil anchor holds nothing.
type anchor struct {
	mount *os.File
	held  int
	log   *slog.Logger
}

// newAnchor returns nil where it may not mount (CAP_SYS_ADMIN), or there is no such file system.
func newAnchor(log *slog.Logger) *anchor {
	mount, err := mountBPF()
	if err != nil {
		log.Debug("detaching will take some seconds", "err", err)
		return nil
	}
	return &anchor{mount: mount, log: log}
}

// mountBPF mounts a bpf file system at no place.
func mountBPF() (*os.File, error) {
	context, err := unix.Fsopen("bpf", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("open bpf file system: %w", err)
	}
	defer unix.Close(context)
	if err := unix.FsconfigCreate(context); err != nil {
		return nil, fmt.Errorf("create bpf file system: %w", err)
	}
	mount, err := unix.Fsmount(context, unix.FSMOUNT_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("mount bpf file system: %w", err)
	}
	return os.NewFile(uintptr(mount), "bpf file system"), nil
}

// hold pins a link. One that it cannot pin is undone by whoever closes it.
func (a *anchor) hold(l attachment) {
	if a == nil {
		return
	}
	a.held++
	if err := l.Pin(fmt.Sprintf("/proc/self/fd/%d/%d", a.mount.Fd(), a.held)); err != nil {
		a.log.Debug("a link cannot be pinned: detaching it will take longer", "err", err)
	}
}

// close lets go of what it holds.
func (a *anchor) close() error {
	if a == nil {
		return nil
	}
	return a.mount.Close()
}
