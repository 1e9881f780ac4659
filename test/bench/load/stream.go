// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// stream writes to a TCP connection as much as it takes, and then reads as much
// as there is, by turns: the receiver's window opens in time.
type stream struct {
	pair
	data, buffer []byte
}

const mebibyte = 1 << 20

// openTCP blocks until the connection is there.
func (p place) openTCP() (load, error) {
	listener, err := socketIn(p.to, unix.SOCK_STREAM, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(listener)
	if err := unix.Bind(listener, &unix.SockaddrInet4{Port: p.port}); err != nil {
		return nil, fmt.Errorf("bind: %w", err)
	}
	if err := unix.Listen(listener, 1); err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	out, err := socketIn(p.from, unix.SOCK_STREAM, 0)
	if err != nil {
		return nil, err
	}
	if err := unix.Connect(out, &unix.SockaddrInet4{Addr: target, Port: p.port}); err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	in, _, err := unix.Accept4(listener, unix.SOCK_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("accept: %w", err)
	}
	s := &stream{pair: pair{out: out, in: in, wait: p.wait}, data: make([]byte, mebibyte), buffer: make([]byte, mebibyte)}
	return s, errors.Join(unix.SetNonblock(out, true), unix.SetNonblock(in, true))
}

func (s *stream) send(n int) error {
	unsent, unread := n*mebibyte, n*mebibyte
	for unread > 0 {
		written, err := some(s.write(s.data[:min(unsent, len(s.data))]))
		if err != nil {
			return fmt.Errorf("write: %w", err)
		}
		unsent -= written
		read, err := some(s.read(s.buffer))
		if err != nil {
			return fmt.Errorf("read: %w", err)
		}
		unread -= read
		if written+read > 0 {
			continue
		}
		if err := s.stuck(unsent); err != nil {
			return err
		}
	}
	return nil
}

// some takes "not now" for nothing.
func some(n int, err error) (int, error) {
	if errors.Is(err, unix.EAGAIN) {
		return 0, nil
	}
	return n, err
}

// stuck waits until the connection takes or gives something.
func (s *stream) stuck(unsent int) error {
	if !s.wait {
		return errors.New("nothing to write nor to read: the connection waits")
	}
	ends := []unix.PollFd{{Fd: int32(s.in), Events: unix.POLLIN}}
	if unsent > 0 {
		ends = append(ends, unix.PollFd{Fd: int32(s.out), Events: unix.POLLOUT})
	}
	_, err := unix.Poll(ends, -1)
	if errors.Is(err, unix.EINTR) {
		return nil
	}
	return err
}
