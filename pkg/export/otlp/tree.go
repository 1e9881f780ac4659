// SPDX-License-Identifier: Apache-2.0

package otlp

import (
	"encoding/binary"
	"strings"
	"time"

	"github.com/skbpath/skbpath/pkg/tracer/journey"
)

// keepBytes bounds the memory kept between requests: a larger one, which a
// single long journey can cause, does not leave its slabs behind.
const keepBytes = 8 << 20

// forest turns journeys into spans. Its memory is used again for every request,
// so the spans of one build are valid until the next.
type forest struct {
	spans  span // those of a request, each a field of ScopeSpans, with the one at hand
	states traceStates

	// Of the journey at hand: its spans in their order, the root first, the place
	// of each hop among them, when it starts, and its sampling as all spans tell it.
	nodes   []node
	hopNode []int
	start   int64
	state   string
}

// node is a span that has been written, but whose end may have to be moved.
type node struct {
	id    uint64
	above int   // index of the parent, -1 for a root
	end   int64 // in nanoseconds since 1970
	at    int   // where in forest.spans it begins
	endAt int   // where there the end stands
}

// spanCount is the number of spans that j becomes.
func spanCount(j *journey.Journey) int {
	return 1 + len(j.Hops) + len(j.Waits)
}

// build returns the spans of all journeys, each journey's together, its root
// first and the others in order of time.
func (f *forest) build(journeys []*journey.Journey) []byte {
	if cap(f.spans) > keepBytes {
		*f = forest{}
	}
	f.spans = f.spans[:0]
	for _, j := range journeys {
		f.plant(j)
	}
	return f.spans
}

// plant adds the tree of one journey.
func (f *forest) plant(j *journey.Journey) {
	f.nodes, f.hopNode = f.nodes[:0], f.hopNode[:0]
	f.start = j.Start.UnixNano()
	f.state = f.states.of(j.Sampling)
	f.plantRoot(j)

	wait := 0
	waitsUpTo := func(hop int) {
		for ; wait < len(j.Waits) && j.Waits[wait].After <= hop; wait++ {
			f.plantWait(j, wait)
		}
	}
	waitsUpTo(-1)
	for i := range j.Hops {
		f.plantHop(j, i)
		waitsUpTo(i)
	}
	for ; wait < len(j.Waits); wait++ { // said to follow a hop that is not there
		f.plantWait(j, wait)
	}
	f.coverChildren()
}

func (f *forest) plantRoot(j *journey.Journey) {
	s := f.begin(j, rootPlace, valid(rootName(&j.Flow)), -1, 0, j.Duration)
	f.finish(s.journey(j), j.Drop)
}

func (f *forest) plantHop(j *journey.Journey, i int) {
	h := &j.Hops[i]
	above := 0
	if h.Parent >= 0 && h.Parent < i {
		above = f.hopNode[h.Parent]
	}
	var before *journey.Hop
	if i > 0 {
		before = &j.Hops[i-1]
	}
	var drop *journey.Drop
	if j.Drop != nil && j.Drop.Hop == i {
		drop = j.Drop
	}
	sequence := len(f.nodes)
	f.hopNode = append(f.hopNode, sequence)
	s := f.begin(j, hopPlace(i), h.Function, above, h.Offset, h.Duration)
	s = s.hop(h).surroundings(h, before)
	if drop != nil {
		s = s.drop(drop)
	}
	f.finish(s.position(sequence, h.Offset, h.Duration), drop)
}

// plantWait adds a wait under the root: no function is at work in it.
func (f *forest) plantWait(j *journey.Journey, i int) {
	w := &j.Waits[i]
	sequence := len(f.nodes)
	s := f.begin(j, waitPlace(i), "wait", 0, w.Offset, w.Duration)
	s = s.text(keyWaitFrom, w.From).text(keyWaitTo, w.To)
	f.finish(s.position(sequence, w.Offset, w.Duration), nil)
}

// begin begins a span of j under the node above, and its node. It ends at least 1 ns
// after its start, since viewers choke on a span without length; its attributes keep
// the true duration.
func (f *forest) begin(j *journey.Journey, at place, name string, above int, offset, duration time.Duration) span {
	var parent uint64
	if above < 0 {
		parent = parentSpan(j)
	} else {
		parent = f.nodes[above].id
	}
	start := f.start + int64(offset)
	n := node{id: spanID(j.ID, at), above: above, end: start + int64(max(duration, 1)), at: len(f.spans)}
	s := f.spans.begin(j.TraceID, n.id, parent, f.state, name).times(start, n.end)
	n.endAt = len(s) - wireTimeSize
	f.nodes = append(f.nodes, n)
	return s
}

// finish ends the span at hand. It is an error if a packet was dropped in it.
func (f *forest) finish(s span, drop *journey.Drop) {
	n := &f.nodes[len(f.nodes)-1]
	s = s.finish(failure(drop))
	f.spans = s.setLength(n.at)
	n.endAt += len(f.spans) - len(s)
}

// coverChildren stretches every span of the journey at hand over its children,
// last to first since children come after their parents. Where no return probe
// measured a hop, it may otherwise end before a child, which viewers take for a
// fault of the trace.
func (f *forest) coverChildren() {
	for i := len(f.nodes) - 1; i > 0; i-- {
		child := &f.nodes[i]
		if parent := &f.nodes[child.above]; child.end > parent.end {
			parent.end = child.end
			binary.LittleEndian.PutUint64(f.spans[parent.endAt:], wireTime(parent.end))
		}
	}
}

// failure says of a root, and of the hop that dropped the packet, what went
// wrong; "" without a drop.
func failure(d *journey.Drop) string {
	if d == nil {
		return ""
	}
	text := "packet dropped"
	if d.Reason != "" {
		text += ": " + d.Reason
	}
	if d.Subsystem != "" {
		text += " (" + d.Subsystem + ")"
	}
	if d.Function != "" {
		text += " in " + d.Function
	}
	return text
}

// rootName names a journey after its transport, else its network type. It
// yields names of a fixed set: protocols known only by number are left out,
// because backends index span names.
func rootName(f *journey.Flow) string {
	switch {
	case f.Transport != "" && !strings.HasPrefix(f.Transport, "ip-proto-"):
		return f.Transport + " packet"
	case f.NetworkType != "" && !strings.HasPrefix(f.NetworkType, "0x"):
		return f.NetworkType + " packet"
	default:
		return "packet"
	}
}
