// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Command load sends packets from one network namespace to another, and counts
// instructions in a guest that runs under QEMU -icount.
//
// It never waits: each packet is read back before the next one is sent, and
// with one CPU and veth the answer is there when the call that sent the packet
// returns, because the kernel runs the whole path inside of it. So the guest's
// time is the packets' own, with nothing idle in it. With -wait, for guests that
// have more CPUs, it does wait for what is not there yet.
package main

import (
	"flag"
	"fmt"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"time"
)

func main() {
	var at place
	kind := flag.String("kind", "ping", `ping: ICMP echo requests, answered by the kernel; udp: datagrams to a socket;
flow: the same, of which the first is answered, so that bridges and connection tracking know both ends;
tcp: bytes of one connection, of which a "packet" is 1 MiB`)
	flag.StringVar(&at.from, "from", "a", "namespace that sends")
	flag.StringVar(&at.to, "to", "b", "namespace that has the address 10.9.0.2")
	flag.IntVar(&at.port, "port", 9999, "of the socket that receives")
	flag.BoolVar(&at.wait, "wait", false, "wait for what has been sent and is not there yet")
	warm := flag.Int("warm", 200, "packets before the first batch")
	batches := flag.Int("batches", 4, "")
	batch := flag.Int("batch", 1000, "packets in a batch")
	settle := flag.Duration("settle", 0, "sleep before the first and after the last batch, for a tracer to catch up")
	flag.Parse()
	debug.SetGCPercent(-1)
	l, err := at.open(*kind)
	if err == nil {
		err = run(l, *warm, *batches, *batch, *settle)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

// load sends n packets and reads each at the other end.
type load interface{ send(n int) error }

func run(l load, warm, batches, batch int, settle time.Duration) error {
	if err := l.send(warm); err != nil {
		return err
	}
	time.Sleep(settle)
	took := make([]time.Duration, batches)
	framesBefore, err := frames()
	if err != nil {
		return err
	}
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
	framesAfter, err := frames()
	if err != nil {
		return err
	}
	for _, t := range took {
		fmt.Println("batch", t.Nanoseconds())
	}
	fmt.Printf("busy %d\nelapsed %d\nsent %d\nframes %d\n", (after - before).Nanoseconds(), elapsed.Nanoseconds(),
		warm+batches*batch, framesAfter-framesBefore)
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

// frames is how many packets have left or reached the namespace that sends,
// which has one device besides lo. What GSO has not cut counts as one.
func frames() (int64, error) {
	const received, sent = 2, 10 // fields of a line
	text, err := os.ReadFile("/proc/thread-self/net/dev")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) <= sent || !strings.HasSuffix(fields[0], ":") || fields[0] == "lo:" {
			continue
		}
		in, err := strconv.ParseInt(fields[received], 10, 64)
		if err != nil {
			return 0, err
		}
		out, err := strconv.ParseInt(fields[sent], 10, 64)
		return in + out, err
	}
	return 0, fmt.Errorf("no device in /proc/thread-self/net/dev")
}
