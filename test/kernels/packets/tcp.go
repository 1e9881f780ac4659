// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// farAhead is more than any window.
const farAhead = 1 << 30

// sendBeyond connects, sends segments of that connection that lie far beyond
// what the receiver has room for, and closes it.
func sendBeyond(args []string) error {
	f := flags("beyond")
	to := f.String("to", "", "address:port of a TCP server")
	device := f.String("device", "", "to send on")
	mac := f.String("to-mac", "", "Ethernet address of the receiver")
	count := f.Int("count", 1, "")
	_ = f.Parse(args)
	conn, err := net.Dial("tcp", *to)
	if err != nil {
		return err
	}
	defer conn.Close()
	sequence, acknowledged, err := sequences(conn.(*net.TCPConn))
	if err != nil {
		return err
	}
	p := packet{protocol: unix.IPPROTO_TCP, body: tcpSegment(sequence+farAhead, acknowledged, tcpACK), sum: 16}
	p.from = netip.MustParseAddrPort(conn.LocalAddr().String())
	p.to = netip.MustParseAddrPort(conn.RemoteAddr().String())
	p.setPorts()
	out, err := openDevice(*device, *mac)
	if err != nil {
		return err
	}
	for range *count {
		if err := out.send(p.bytes()); err != nil {
			return err
		}
	}
	return nil
}

// sendSegments connects and sends segments of these sizes, one after the other
// and without waiting for answers; it returns when the other side has closed.
func sendSegments(args []string) error {
	f := flags("segments")
	to := f.String("to", "", "address:port of a TCP server")
	sizes := f.String("sizes", "", "bytes of each, with commas between them")
	_ = f.Parse(args)
	conn, err := net.Dial("tcp", *to) // without Nagle's delay
	if err != nil {
		return err
	}
	defer conn.Close()
	for text := range strings.SplitSeq(*sizes, ",") {
		size, err := strconv.Atoi(text)
		if err != nil {
			return err
		}
		if _, err := conn.Write(make([]byte, size)); err != nil {
			return err
		}
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, conn)
	return err
}

// sequences asks the kernel for the next number to send and the next to receive.
func sequences(conn *net.TCPConn) (next, expected uint32, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, 0, err
	}
	get := func(fd, queue int) uint32 {
		if err == nil {
			err = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_REPAIR_QUEUE, queue)
		}
		var n int
		if err == nil {
			n, err = unix.GetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_QUEUE_SEQ)
		}
		return uint32(n)
	}
	controlErr := raw.Control(func(s uintptr) {
		fd := int(s)
		if err = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_REPAIR, 1); err != nil {
			return
		}
		expected, next = get(fd, 1), get(fd, 2) // TCP_RECV_QUEUE, TCP_SEND_QUEUE
		const offWithoutProbe = -1
		if e := syscall.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_REPAIR, offWithoutProbe); err == nil {
			err = e
		}
	})
	if err == nil {
		err = controlErr
	}
	if err != nil {
		err = fmt.Errorf("TCP_REPAIR: %w", err)
	}
	return next, expected, err
}
