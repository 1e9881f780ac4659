// SPDX-License-Identifier: Apache-2.0

package journey

import "time"

// BeyondLimit is lost where a journey has more hops than are recorded: its last.
const BeyondLimit = "hops beyond the limit of one journey"

// Record is what the kernel half says of one journey, or of one part of a long
// one, with addresses already turned into names.
type Record struct {
	ID uint64
	// RootID is the journey of the first ancestor; it is ID without a parent.
	RootID uint64
	Parent *Parent // nil for a packet that was not made from a followed one
	// Absorber is the journey of the packet that this one was last merged into, or
	// was to be; 0 for none that is followed.
	Absorber uint64
	// Part counts the records of one journey from 0; More says that another
	// part follows.
	Part int
	More bool

	Start    time.Time     // wall clock of the first hop of the journey
	Duration time.Duration // from Start to the end of this part

	Frame   []byte // the first bytes of the packet, as an Ethernet frame
	Process *Process
	// Outcome and Drop are those of the journey in its last part only. Drop is set
	// when, and only when, Outcome is Dropped; its Hop is not yet known.
	Outcome Outcome
	Drop    *Drop

	// Random is the number that the sampling went by, the same for all that
	// descend from one packet. Certain: kept whatever the sampling. Unwanted:
	// not kept; the record is here because it is the last part of a long journey.
	Random   uint32
	Certain  bool
	Unwanted bool
	Cgroup   uint64 // id of the process' cgroup v2, 0 when no process is known

	// Lost, of which BeyondLimit is one, says what the kernel half could not record; "" when nothing.
	Lost string

	Visits []Visit
	// Calls are those that were seen to return, in the order in which the packet was
	// found to have left them.
	Calls []Call
}

// Call says how long a call took: the one that the last visit at Depth began, of those
// before the visit with the index Before.
type Call struct {
	Before, Depth int
	Duration      time.Duration
}

// Parent says what a packet was made from.
type Parent struct {
	ID    uint64 // of the journey
	Hop   int    // index of the hop in which it was made
	Maker string // the function that asked for it
	// Again: TCP sends again what it had sent first as the parent. It was made in none
	// of the parent's hops, and Hop and Maker say nothing.
	Again bool
}

// Visit is a hop as the kernel saw it, before it has a place in the tree.
type Visit struct {
	Function string
	Caller   string
	CallSite uint32        // tells the calls in one caller apart
	Offset   time.Duration // from the start of the journey

	// Depth is how many earlier visits enclose this one, as far as the kernel
	// half could tell from the stack.
	Depth int
	// NewStack says that this visit ran on another stack than the one before:
	// another task, interrupt or CPU took the packet up.
	NewStack bool

	CPU       int
	Interface string
	Ifindex   uint32
	Netns     uint32
	Length    uint32
	Mark      uint32
}
