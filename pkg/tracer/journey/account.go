// SPDX-License-Identifier: Apache-2.0

package journey

// DropCount is one row of the host-wide drop count: every packet the kernel
// dropped for this reason at this place, whatever the filter.
type DropCount struct {
	Reason    string
	Subsystem string
	Function  string
	Protocol  string // the transport, else the network type; "other" when unknown
	Interface string // "" when the packet had no device
	Packets   uint64
	Bytes     uint64
}

// Loss is a running count of something that skbpath could not see or keep.
type Loss struct {
	What  string // hop, journey, drop, span
	Cause string
	Count uint64
}

// ProbeCount is how many functions or tracepoints are in one state.
type ProbeCount struct {
	State string // attached, refused, skipped
	Count int
}
