// SPDX-License-Identifier: Apache-2.0

package journey

import "time"

// Histogram counts durations. Its values are not cumulative: Counts[i] is of
// those above Bounds[i-1] and not above Bounds[i]; the last is of those above
// all bounds.
type Histogram struct {
	Bounds []time.Duration // shared, ascending
	Counts []uint64        // one more than there are bounds
	Sum    time.Duration
}

// Count is the number of durations.
func (h *Histogram) Count() uint64 {
	var n uint64
	for _, c := range h.Counts {
		n += c
	}
	return n
}

// FunctionCount is what followed packets did at one function or tracepoint.
type FunctionCount struct {
	Function string
	Calls    uint64
	// Duration lacks calls inside 15 others or more.
	Duration Histogram
}

// WaitCount is the waits of followed packets between two functions.
type WaitCount struct {
	From, To string
	Duration Histogram
}

// OutcomeCount is the journeys that ended in one way.
type OutcomeCount struct {
	Outcome  Outcome
	Duration Histogram
}

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
	What  string // hop, part (of a long journey), journey, wait, drop, series, lineage, container, netns
	Cause string
	Count uint64
}

// ProbeCount is how many functions or tracepoints are in one state.
type ProbeCount struct {
	State string // attached, refused, skipped
	Count int
}
