// SPDX-License-Identifier: Apache-2.0

package journey

import "time"

// Record is what the kernel half says of one journey, or of one part of a long
// one, with addresses already turned into names.
type Record struct {
	ID uint64
	// RootID is the journey of the first ancestor; it is ID without a parent.
	RootID uint64
	Parent *Parent // nil for a packet that was not made from a followed one
	// Part counts the records of one journey from 0; More says that another
	// part follows.
	Part int
	More bool

	Start    time.Time     // wall clock of the first hop of the journey
	Duration time.Duration // from Start to the end of this part

	Frame   []byte // the first bytes of the packet, as an Ethernet frame
	Process *Process
	Drop    *Drop // Hop is not yet known
	Expired bool
	// Lost says what the kernel half could not record; "" when nothing.
	Lost string

	Visits []Visit
}

// Parent says what a packet was made from.
type Parent struct {
	ID    uint64 // of the journey
	Hop   int    // index of the hop in which it was made
	Maker string // the function that asked for it
}

// Visit is a hop as the kernel saw it, before it has a place in the tree.
type Visit struct {
	Function string
	Caller   string
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
