// SPDX-License-Identifier: Apache-2.0

package kernel

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// ErrNoTracefs means that the list of attachable functions cannot be read.
var ErrNoTracefs = errors.New("no tracefs in this kernel (CONFIG_TRACING), and none can be mounted")

// Tracefs is the kernel's file system of that name. Where nobody has mounted it,
// it is mounted for this process alone, at no place, so that nothing of it stays.
type Tracefs struct {
	root  string
	mount *os.File // nil when it was mounted already
}

// OpenTracefs finds tracefs or mounts it. Close the result.
func OpenTracefs() (*Tracefs, error) {
	for _, root := range []string{"/sys/kernel/tracing", "/sys/kernel/debug/tracing"} {
		if _, err := os.Stat(root + "/events"); err == nil {
			return &Tracefs{root: root}, nil
		}
	}
	mount, err := mountDetached("tracefs")
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoTracefs, err)
	}
	return &Tracefs{root: "/proc/self/fd/" + strconv.Itoa(int(mount.Fd())), mount: mount}, nil
}

// mountDetached mounts a file system without attaching it to the tree (5.2).
func mountDetached(kind string) (*os.File, error) {
	context, err := unix.Fsopen(kind, unix.FSOPEN_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("open file system %s: %w", kind, err)
	}
	defer unix.Close(context)
	if err := unix.FsconfigCreate(context); err != nil {
		return nil, fmt.Errorf("create file system %s: %w", kind, err)
	}
	mount, err := unix.Fsmount(context, unix.FSMOUNT_CLOEXEC, unix.MOUNT_ATTR_RDONLY)
	if err != nil {
		return nil, fmt.Errorf("mount file system %s: %w", kind, err)
	}
	return os.NewFile(uintptr(mount), kind), nil
}

// Close gives up the mount, if there is one of ours.
func (t *Tracefs) Close() error {
	if t.mount == nil {
		return nil
	}
	return t.mount.Close()
}

// Attachable returns the names of the functions that ftrace can attach to.
// fs.ErrNotExist in the chain means that the kernel was built without it.
func (t *Tracefs) Attachable() (map[string]bool, error) {
	text, err := os.ReadFile(t.root + "/available_filter_functions")
	if err != nil {
		return nil, fmt.Errorf("read attachable functions: %w", err)
	}
	names := make(map[string]bool)
	for line := range strings.Lines(string(text)) {
		name, _, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		names[name] = true
	}
	return names, nil
}

// Subsystems returns the event group of every tracepoint, e.g. "net" of
// netif_rx.
func (t *Tracefs) Subsystems() (map[string]string, error) {
	events := os.DirFS(t.root + "/events")
	paths, err := fs.Glob(events, "*/*/enable")
	if err != nil {
		return nil, fmt.Errorf("list tracepoints: %w", err)
	}
	groups := make(map[string]string, len(paths))
	for _, path := range paths {
		group, rest, _ := strings.Cut(path, "/")
		name, _, _ := strings.Cut(rest, "/")
		groups[name] = group
	}
	return groups, nil
}
