// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Command packets sends what the usual tools do not, exactly as often as asked,
// and waits at the other end in ways they do not. It works in the network
// namespace that it is started in.
//
//	packets udp -to 10.0.0.2:7000 -count 9           datagrams
//	packets frame -device east -to-mac … -kind udp   crafted frames
//	packets beyond -to 10.0.0.2:5000                 a segment beyond the window
//	packets segments -to 10.0.0.2:5000 -sizes 9,9    segments, one after the other
//	packets sink -at 10.0.0.2:7000                   a socket that nobody reads
//	packets tun -name tun0                           a tunnel that nobody reads
//	packets xdp -device east                         an XDP program that drops
//	packets tap -device east -count 9                a packet socket that reads, maybe with a ring
//	packets feed -name tap0 -from … -to …            TCP segments, into a tap device
//
//	packets audit -port 7100                         journeys, for those of two packets
//
// sink, tun and xdp print "ready" and wait for SIGTERM, and so does feed when it has
// sent all; tap prints it and ends when it has read so many, or with -count 0 as they do.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	commands := map[string]func([]string) error{
		"udp": sendDatagrams, "frame": sendFrames, "beyond": sendBeyond, "sink": openSink, "tun": openTunnel, "xdp": attachXDP,
		"segments": sendSegments, "tap": tapDevice, "audit": auditJourneys, "feed": feedTap,
	}
	err := errors.New("usage: packets udp|frame|beyond|segments|sink|tun|xdp|tap|feed|audit")
	if len(os.Args) > 1 && commands[os.Args[1]] != nil {
		err = commands[os.Args[1]](os.Args[2:])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "packets:", err)
		os.Exit(1)
	}
}

func flags(command string) *flag.FlagSet { return flag.NewFlagSet(command, flag.ExitOnError) }

// waitForEnd says that everything is in place and returns at SIGTERM.
func waitForEnd() {
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGTERM)
	fmt.Println("ready")
	<-end
}
