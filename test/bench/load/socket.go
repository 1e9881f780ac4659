// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"
)

// The namespaces and the address of the second are the scenario's.
const (
	from = "/run/netns/a"
	to   = "/run/netns/b"
	port = 9999
)

var target = [4]byte{10, 9, 0, 2}

func open(kind string) (*load, error) {
	runtime.LockOSThread() // for good: the namespace is the thread's
	switch kind {
	case "ping":
		return openPing()
	case "udp":
		return openUDP()
	}
	return nil, fmt.Errorf("no such kind of load: %s", kind)
}

// openPing takes a ping socket: a raw one would get a clone of each reply.
// Requests go to the address of the other namespace, whose kernel answers.
func openPing() (*load, error) {
	socket, err := socketIn(from, unix.SOCK_DGRAM, unix.IPPROTO_ICMP)
	if err != nil {
		return nil, err
	}
	if err := unix.Connect(socket, &unix.SockaddrInet4{Addr: target}); err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	return &load{out: socket, in: socket, packet: echoRequest()}, nil
}

func echoRequest() []byte {
	const echo, size = 8, 64
	packet := make([]byte, size)
	packet[0] = echo
	return packet // the kernel fills in identifier and checksum
}

func openUDP() (*load, error) {
	in, err := socketIn(to, unix.SOCK_DGRAM, 0)
	if err != nil {
		return nil, err
	}
	if err := unix.Bind(in, &unix.SockaddrInet4{Port: port}); err != nil {
		return nil, fmt.Errorf("bind: %w", err)
	}
	out, err := socketIn(from, unix.SOCK_DGRAM, 0)
	if err != nil {
		return nil, err
	}
	if err := unix.Connect(out, &unix.SockaddrInet4{Addr: target, Port: port}); err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	return &load{out: out, in: in, packet: make([]byte, 64)}, nil
}

// socketIn opens a socket in a network namespace that never blocks.
func socketIn(netns string, kind, protocol int) (int, error) {
	fd, err := unix.Open(netns, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0, fmt.Errorf("open %s: %w", netns, err)
	}
	defer unix.Close(fd)
	if err := unix.Setns(fd, unix.CLONE_NEWNET); err != nil {
		return 0, fmt.Errorf("enter %s: %w", netns, err)
	}
	socket, err := unix.Socket(unix.AF_INET, kind|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, protocol)
	if err != nil {
		return 0, fmt.Errorf("socket: %w", err)
	}
	return socket, nil
}
