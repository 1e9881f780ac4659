// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// datagrams sends the same packet again and again.
type datagrams struct {
	pair
	packet []byte
}

func (d *datagrams) send(n int) error {
	var buffer [256]byte
	for range n {
		if _, err := d.write(d.packet); err != nil {
			return fmt.Errorf("send: %w", err)
		}
		if _, err := d.read(buffer[:]); err != nil {
			return fmt.Errorf("nothing to receive when the packet was sent: %w", err)
		}
	}
	return nil
}

// openPing takes a ping socket: a raw one would get a clone of each reply.
// Requests go to the address of the other namespace, whose kernel answers.
func (p place) openPing() (load, error) {
	socket, err := socketIn(p.from, unix.SOCK_DGRAM, unix.IPPROTO_ICMP)
	if err != nil {
		return nil, err
	}
	if err := unix.Connect(socket, &unix.SockaddrInet4{Addr: target}); err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	d := &datagrams{pair: pair{out: socket, in: socket, wait: p.wait}, packet: echoRequest()}
	return d, d.setBlocking()
}

func echoRequest() []byte {
	const echo, size = 8, 64
	packet := make([]byte, size)
	packet[0] = echo
	return packet // the kernel fills in identifier and checksum
}

func (p place) openUDP() (*datagrams, error) {
	in, err := socketIn(p.to, unix.SOCK_DGRAM, 0)
	if err != nil {
		return nil, err
	}
	if err := unix.Bind(in, &unix.SockaddrInet4{Port: p.port}); err != nil {
		return nil, fmt.Errorf("bind: %w", err)
	}
	out, err := socketIn(p.from, unix.SOCK_DGRAM, 0)
	if err != nil {
		return nil, err
	}
	if err := unix.Connect(out, &unix.SockaddrInet4{Addr: target, Port: p.port}); err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	d := &datagrams{pair: pair{out: out, in: in, wait: p.wait}, packet: make([]byte, 64)}
	return d, d.setBlocking()
}

// openFlow sends a first datagram and answers it. The answer goes where the
// datagram seems to come from, which a router may have changed.
func (p place) openFlow() (load, error) {
	d, err := p.openUDP()
	if err != nil {
		return nil, err
	}
	if err := unix.Send(d.out, d.packet, 0); err != nil {
		return nil, fmt.Errorf("send: %w", err)
	}
	buffer := make([]byte, len(d.packet))
	_, sender, err := unix.Recvfrom(d.in, buffer, 0)
	if err != nil {
		return nil, fmt.Errorf("nothing to receive when the first packet was sent: %w", err)
	}
	if err := unix.Sendto(d.in, buffer, 0, sender); err != nil {
		return nil, fmt.Errorf("answer: %w", err)
	}
	if _, err := unix.Read(d.out, buffer); err != nil {
		return nil, fmt.Errorf("no answer when it was sent: %w", err)
	}
	return d, nil
}
