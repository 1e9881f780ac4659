// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Command load sends packets from one network namespace to another, and counts
// instructions in a guest that runs under QEMU -icount.
//
// It never waits: each packet is read back before the next one is sent, and
// with one CPU and veth the answer is there when the call that sent the packet
// returns, because the kernel runs the whole path inside of it. So the guest's
// time is the packets' own, with nothing idle in it.
package main

import (
	"flag"
	"fmt"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

func main() {
	kind := flag.String("kind", "ping", "ping: ICMP echo requests, answered by the kernel; udp: datagrams to a socket")
	warm := flag.Int("warm", 200, "packets before the first batch")
	batches := flag.Int("batches", 4, "")
	batch := flag.Int("batch", 1000, "packets in a batch")
	settle := flag.Duration("settle", 0, "sleep before the first and after the last batch, for a tracer to catch up")
	flag.Parse()
	debug.SetGCPercent(-1)
	if err := run(*kind, *warm, *batches, *batch, *settle); err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

func run(kind string, warm, batches, batch int, settle time.Duration) error {
	l, err := open(kind)
	if err != nil {
		return err
	}
	if err := l.send(warm); err != nil {
		return err
	}
	time.Sleep(settle)
	took := make([]time.Duration, batches)
	before, err := busyTime()
	if err != nil {
		return err
	}
	start := time.Now()
	for i := range took {
		begin := time.Now()
		if err := l.send(batch); err != nil {
			return err
		}
		took[i] = time.Since(begin)
	}
	time.Sleep(settle)
	elapsed := time.Since(start)
	after, err := busyTime()
	if err != nil {
		return err
	}
	for _, t := range took {
		fmt.Println("batch", t.Nanoseconds())
	}
	fmt.Printf("busy %d\nelapsed %d\nsent %d\n", (after - before).Nanoseconds(), elapsed.Nanoseconds(), warm+batches*batch)
	return nil
}

// busyTime is how long the CPU has run tasks. Time counts when the task stops
// running: hence the nap.
func busyTime() (time.Duration, error) {
	time.Sleep(time.Millisecond)
	text, err := os.ReadFile("/proc/schedstat")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) > 7 && fields[0] == "cpu0" {
			ns, err := strconv.ParseInt(fields[7], 10, 64)
			return time.Duration(ns), err
		}
	}
	return 0, fmt.Errorf("no cpu0 in /proc/schedstat")
}

// load is a socket to send on, one to receive on, and the packet.
type load struct {
	out, in int
	packet  []byte
}

// send sends n packets and reads each at the other end.
func (l *load) send(n int) error {
	var buffer [256]byte
	for range n {
		if err := unix.Send(l.out, l.packet, 0); err != nil {
			return fmt.Errorf("send: %w", err)
		}
		if _, err := unix.Read(l.in, buffer[:]); err != nil {
			return fmt.Errorf("nothing to receive when the packet was sent: %w", err)
		}
	}
	return nil
}
