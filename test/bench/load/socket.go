// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// target is the address of the second namespace, which the scenario sets up.
var target = [4]byte{10, 9, 0, 2}

// place is where a load runs: two namespaces by their names below /run/netns.
type place struct {
	from, to string
	port     int
	wait     bool
}

func (p place) open(kind string) (load, error) {
	runtime.LockOSThread() // for good: the namespace is the thread's
	switch kind {
	case "ping":
		return p.openPing()
	case "udp":
		return p.openUDP()
	case "flow":
		return p.openFlow()
	case "tcp":
		return p.openTCP()
	}
	return nil, fmt.Errorf("no such kind of load: %s", kind)
}

// socketIn opens a socket in a network namespace, where the thread stays.
func socketIn(netns string, kind, protocol int) (int, error) {
	fd, err := unix.Open("/run/netns/"+netns, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0, fmt.Errorf("open namespace %s: %w", netns, err)
	}
	defer unix.Close(fd)
	if err := unix.Setns(fd, unix.CLONE_NEWNET); err != nil {
		return 0, fmt.Errorf("enter %s: %w", netns, err)
	}
	socket, err := unix.Socket(unix.AF_INET, kind|unix.SOCK_CLOEXEC, protocol)
	if err != nil {
		return 0, fmt.Errorf("socket: %w", err)
	}
	return socket, nil
}

// pair is a socket to send on and one to receive on. Neither blocks, unless they
// are to wait.
type pair struct {
	out, in int
	wait    bool
}

// write and read are the system calls. Where nothing is waited for, Go's scheduler is not
// told of them: it would look every 20 us for calls that take long, which all of these
// do to it, and by which a batch costs the more the longer it takes.
func (p pair) write(b []byte) (int, error) {
	if p.wait {
		return unix.Write(p.out, b)
	}
	return result(unix.RawSyscall(unix.SYS_WRITE, uintptr(p.out), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b))))
}

func (p pair) read(b []byte) (int, error) {
	if p.wait {
		return unix.Read(p.in, b)
	}
	return result(unix.RawSyscall(unix.SYS_READ, uintptr(p.in), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b))))
}

func result(n, _ uintptr, errno unix.Errno) (int, error) {
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

func (p pair) setBlocking() error {
	for _, socket := range []int{p.out, p.in} {
		if err := unix.SetNonblock(socket, !p.wait); err != nil {
			return fmt.Errorf("set blocking: %w", err)
		}
	}
	return nil
}
