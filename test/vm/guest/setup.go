// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

type mountPoint struct {
	dir, kind string
	optional  bool
}

func mountPoints() []mountPoint {
	return []mountPoint{
		{dir: "/proc", kind: "proc"},
		{dir: "/sys", kind: "sysfs"},
		{dir: "/dev", kind: "devtmpfs"},
		{dir: "/dev/pts", kind: "devpts", optional: true},
		{dir: "/dev/shm", kind: "tmpfs"},
		{dir: "/run", kind: "tmpfs"},
		{dir: "/tmp", kind: "tmpfs"},
		{dir: "/out", kind: "tmpfs"},
		{dir: "/sys/fs/bpf", kind: "bpf"},
		{dir: "/sys/fs/cgroup", kind: "cgroup2", optional: true},
		{dir: "/sys/kernel/tracing", kind: "tracefs"},
		{dir: "/sys/kernel/debug", kind: "debugfs", optional: true},
	}
}

func mountAll() error {
	for _, m := range mountPoints() {
		if err := mount(m); err != nil && !m.optional {
			return fmt.Errorf("mount %s: %w", m.dir, err)
		}
	}
	return nil
}

func mount(m mountPoint) error {
	// Directories below /sys come with the kernel and cannot be made.
	if err := os.MkdirAll(m.dir, 0o755); err != nil && !strings.HasPrefix(m.dir, "/sys/") {
		return err
	}
	err := unix.Mount(m.kind, m.dir, m.kind, 0, "")
	if errors.Is(err, unix.EBUSY) { // the kernel mounted it itself
		return nil
	}
	return err
}

func loadModules(files []string) error {
	for _, file := range files {
		if err := loadModule(file); err != nil {
			return fmt.Errorf("load %s: %w", file, err)
		}
	}
	return nil
}

func loadModule(file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	err = unix.FinitModule(int(f.Fd()), "", 0)
	if errors.Is(err, unix.EEXIST) {
		return nil
	}
	return err
}

func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	req, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	req.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, req)
}

// openPort opens the virtio-serial port of that name.
func openPort(name string) (*os.File, error) {
	names, err := filepath.Glob("/sys/class/virtio-ports/*/name")
	if err != nil {
		return nil, err
	}
	for _, file := range names {
		data, err := os.ReadFile(file)
		if err == nil && strings.TrimSpace(string(data)) == name {
			return os.OpenFile("/dev/"+filepath.Base(filepath.Dir(file)), os.O_WRONLY, 0)
		}
	}
	return nil, fmt.Errorf("no virtio-serial port called %q", name)
}

func splitLines(data []byte) []string {
	return strings.Fields(string(data))
}
