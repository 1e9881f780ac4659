// SPDX-License-Identifier: Apache-2.0

// Package probe is the door to the eBPF programs: it chooses functions, loads,
// attaches, reads records and turns what is on the wire into journey.Records.
package probe

import (
	"log/slog"
	"regexp"
	"time"

	"github.com/cilium/ebpf/asm"
)

// Source is where hops come from.
type Source string

// The sources. Tracepoints need no kprobes in the kernel; of drops there is one.
const (
	SourceAuto        Source = "auto"
	SourceFunctions   Source = "functions"
	SourceTracepoints Source = "tracepoints"
	SourceDrops       Source = "drops"
)

// MayHaveFunctions reports whether functions are attached, or nothing but tracepoints.
func (s Source) MayHaveFunctions() bool { return s == SourceAuto || s == SourceFunctions }

// has reports whether the source has hops at a tracepoint.
func (s Source) has(tracepoint string) bool { return s != SourceDrops || tracepoint == dropTracepoint }

// Backend is the mechanism that attaches to functions.
type Backend string

// The backends.
const (
	BackendAuto          Backend = "auto"
	BackendFentryMulti   Backend = "fentry-multi"
	BackendFsessionMulti Backend = "fsession-multi" // sees returns, too
	BackendKprobeMulti   Backend = "kprobe-multi"
	BackendKprobe        Backend = "kprobe"
)

// Options decide what is attached and which packets are followed.
type Options struct {
	Source  Source
	Backend Backend
	// Functions restricts the functions to those whose name matches; nil for
	// all. Functions that end a packet or make one of another are attached in
	// any case.
	Functions  *regexp.Regexp
	Modules    []string
	AllModules bool

	Filter  asm.Instructions // body of filter_frame(), nil for every packet
	Capture int              // bytes from the network header on that the filter may look at
	// NeverSettled: a packet that does not match now may match later.
	NeverSettled bool
	Interface    string // "" for any
	Netns        uint32 // inode number, 0 for any
	Mark         uint32
	MarkMask     uint32 // 0 for any mark

	KeepAll     bool          // thinned by Threshold
	KeepDropped bool          // whatever the threshold
	KeepSlow    time.Duration // or slower, whatever the threshold; 0 for none
	Threshold   uint32        // of the sampling: a packet whose random number is lower is not kept
	RateLimit   uint32        // journeys kept a second, 0 for no limit

	Timeout time.Duration // a journey not seen for so long expires
	MaxHops uint32        // recorded of one journey

	Log *slog.Logger
	// Progress is told how many functions of how many are attached; may be nil.
	Progress func(attached, total int)

	series     uint32 // of drops and waits that are counted; 0 for as many as bpf/maps.h says
	noFastPath bool
}

// wantsFunctions: what was asked for says nothing of tracepoints, so that these
// are no answer to it.
func (o *Options) wantsFunctions() bool {
	return o.Backend != BackendAuto || o.Functions != nil || len(o.Modules) > 0 || o.AllModules
}

// Miss is a function or tracepoint that could have been traced and is not.
type Miss struct {
	Name   string
	Reason string
}

// Report says what was attached.
type Report struct {
	Source   Source
	Backend  Backend // "" for tracepoints
	Attached int
	// Refused could be chosen, but the kernel refused to attach them.
	Refused []Miss
	// Skipped take an skb, but cannot be attached or would show nothing.
	Skipped []Miss
}
