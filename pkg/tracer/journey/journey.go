// SPDX-License-Identifier: Apache-2.0

// Package journey is the vocabulary of skbpath and all its thinking about
// packets: what a hop, a journey, an outcome and a wait are, and how the flat
// list of visits that the kernel half records becomes a tree of hops.
//
// It imports the standard library only and knows nothing of eBPF, of spans or
// of metrics.
package journey

import (
	"net/netip"
	"time"
)

// TraceID is the 16-byte trace id of a journey (W3C Trace Context).
type TraceID [16]byte

// Journey is all hops of one packet, from its first match to its end.
type Journey struct {
	TraceID TraceID
	// ID is unique for one run of the kernel half; it never is an skb address.
	ID uint64
	// RootID is the journey of the first ancestor, whose trace this is part of.
	RootID uint64
	// ParentID is the journey this packet was made from, 0 for none; ParentHop
	// is the index of the parent's hop in which that happened, NoHop if in none.
	ParentID  uint64
	ParentHop int
	Lineage   Lineage

	// Start is the wall-clock time of the first hop. All other times are offsets
	// from it on the kernel's monotonic clock.
	Start    time.Time
	Duration time.Duration

	Outcome Outcome
	// AbsorbedBy is the journey of the packet that an absorbed one was merged into,
	// 0 where that is not known.
	AbsorbedBy uint64
	// Drop is set when, and only when, Outcome is Dropped.
	Drop *Drop
	// Incomplete says what is missing from this journey; "" when nothing is.
	Incomplete string

	Flow     Flow
	Process  *Process
	Sampling Sampling

	Hops  []Hop
	Waits []Wait
}

// NoHop is the index of a parent's hop where the parent did not make the packet: TCP
// makes what it sends again from what it has kept, when the parent mostly has ended.
const NoHop = -1

// Sampling says with which probability a packet like this one becomes a trace,
// in the terms of OpenTelemetry's consistent probability sampling: a trace is
// kept if the 56 random bits of its id are not below the threshold. The zero
// value is a packet that was kept for certain.
type Sampling struct {
	// Threshold is the upper 32 of the 56 bits; the lower are zero.
	Threshold uint32
	// Unknown: a rate limit or the like took part in the decision, so that no
	// threshold describes it.
	Unknown bool
}

// Hop is one visit of the packet to one kernel function or tracepoint. The names of
// functions in it are valid UTF-8; those of devices and namespaces are any bytes.
type Hop struct {
	// Function is the symbol visited; a tracepoint is written "subsystem:name".
	Function string
	// Caller is the function the return address lies in, "" when unknown. It may
	// be a function that could not be probed.
	Caller string
	// Via is Caller where it stands between the enclosing hop and this one: passed,
	// and not visited. "" where nothing is known to stand there.
	Via string

	// Parent is the index of the enclosing hop in Journey.Hops, -1 at the top.
	Parent int
	// Depth is the number of enclosing hops.
	Depth int

	Offset time.Duration
	// Duration runs to the next hop at this depth or above on the same stack, so
	// it is an upper bound; before a wait and at a journey's end it is the last
	// moment at which the packet was seen inside. Exact says that a return probe
	// measured it instead.
	Duration time.Duration
	Exact    bool

	CPU       int
	Interface string // "" when the skb had no device
	Ifindex   uint32
	Netns     uint32 // inode number of the network namespace, 0 when unknown
	NetnsName string // as in "ip netns", "" when it has none
	Length    uint32 // skb->len, bytes
	Mark      uint32
}

// Wait is time in which no code worked on the packet.
type Wait struct {
	// From and To are the functions at its two ends.
	From, To string
	// After is the index in Journey.Hops of the last hop before the wait; the
	// first hop after it is After+1.
	After    int
	Offset   time.Duration
	Duration time.Duration
}

// Drop says why and where the kernel dropped a packet.
type Drop struct {
	// Reason is the kernel's own name without its prefix, e.g. NETFILTER_DROP;
	// "" on kernels before 5.17, which give none.
	Reason string
	// Subsystem is "core" or the owner of the reason, e.g. mac80211_unusable.
	Subsystem string
	// Function is where the kernel let go of the packet.
	Function string
	// Protocol is what the count of drops has it under: of the headers that the
	// packet had then, which may not be those of Flow.
	Protocol string
	// Hop is the index in Journey.Hops of the hop it happened in, -1 when none.
	Hop int
}

// Flow is what the packet's headers said at its first hop.
type Flow struct {
	NetworkType string // ipv4, ipv6, arp, or 0x%04x of the EtherType; "" unknown
	Transport   string // tcp, udp, icmp, icmpv6, sctp, …; "" when there is none
	Source      Endpoint
	Destination Endpoint
	// Fragment is set on every fragment but the first: there are no ports in it.
	Fragment bool
	VLAN     uint16 // VLAN id of the outermost tag, 0 when untagged
}

// Endpoint is one side of a flow. Port is 0 where the transport has none.
type Endpoint struct {
	Address netip.Addr
	Port    uint16
}

// Process is the task in whose context the first hop ran. It is absent when
// the packet was first seen in an interrupt, where the running task is a
// bystander.
type Process struct {
	PID       int
	Command   string
	Container string // the 64 hex digits of a container's id, "" outside of one
	PodUID    string // of the Kubernetes pod, "" outside of one
}

// Outcome is how a journey ended.
type Outcome uint8

// The outcomes. Consumed is an end without a drop at an unknown place; Expired
// means that no end was seen in time.
const (
	Consumed Outcome = iota
	Delivered
	Transmitted
	Dropped
	Absorbed
	Expired
)

// Outcomes lists every outcome in the order of its value.
func Outcomes() []Outcome {
	return []Outcome{Consumed, Delivered, Transmitted, Dropped, Absorbed, Expired}
}

// String returns the word used in metrics, spans and JSON.
func (o Outcome) String() string {
	switch o {
	case Delivered:
		return "delivered"
	case Transmitted:
		return "transmitted"
	case Dropped:
		return "dropped"
	case Absorbed:
		return "absorbed"
	case Expired:
		return "expired"
	default:
		return "consumed"
	}
}

// Lineage is the tie between a packet and the one it was made from.
type Lineage uint8

// The ties. Original packets have none. A Retransmission is a packet that TCP sends
// again; what it is tied to is the first.
const (
	Original Lineage = iota
	Clone
	Copy
	Fragment
	Segment
	Retransmission
)

// String returns the word used in spans and JSON, "" for an original packet.
func (l Lineage) String() string {
	switch l {
	case Clone:
		return "clone"
	case Copy:
		return "copy"
	case Fragment:
		return "fragment"
	case Segment:
		return "segment"
	case Retransmission:
		return "retransmission"
	default:
		return ""
	}
}
