// SPDX-License-Identifier: Apache-2.0

package otlp

import (
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/skbpath/skbpath/pkg/tracer/journey"
)

const (
	// attributesPerSpan sizes the first allocation; more than that still fits.
	attributesPerSpan = 10

	// keepSpans bounds the memory kept between requests: a larger one, which a
	// single long journey can cause, does not leave its slabs behind.
	keepSpans = 16384
)

// forest turns journeys into spans. Its memory is used again for every request,
// so the spans of one build are valid until the next.
type forest struct {
	origin *origin

	spans      []span
	attributes list
	handles    []sdktrace.ReadOnlySpan

	// Of the journey at hand: the index in spans of its root and of each hop.
	root    int
	hopSpan []int
}

// spanCount is the number of spans that j becomes.
func spanCount(j *journey.Journey) int {
	return 1 + len(j.Hops) + len(j.Waits)
}

// build returns the spans of all journeys, each journey's together, its root
// first and the others in order of time.
func (f *forest) build(journeys []*journey.Journey) []sdktrace.ReadOnlySpan {
	f.reset(journeys)
	for _, j := range journeys {
		f.plant(j)
	}
	for i := range f.spans {
		f.handles = append(f.handles, &f.spans[i])
	}
	return f.handles
}

// reset makes room for all spans at once, so that none moves while a handle
// points to it.
func (f *forest) reset(journeys []*journey.Journey) {
	n := 0
	for _, j := range journeys {
		n += spanCount(j)
	}
	if cap(f.spans) > keepSpans {
		f.spans, f.attributes, f.handles = nil, nil, nil
	}
	f.spans = slices.Grow(f.spans[:0], n)
	f.attributes = slices.Grow(f.attributes[:0], n*attributesPerSpan)
	f.handles = slices.Grow(f.handles[:0], n)
}

// plant adds the tree of one journey.
func (f *forest) plant(j *journey.Journey) {
	f.root = len(f.spans)
	f.hopSpan = f.hopSpan[:0]
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
	s, _ := f.add(j, rootPlace, rootName(&j.Flow), 0, j.Duration)
	s.parent = parentContext(j)
	mark := len(f.attributes)
	f.attributes.journey(j)
	s.attributes = f.attributes.since(mark)
	if j.Drop != nil {
		s.status = dropStatus(j.Drop)
	}
}

func (f *forest) plantHop(j *journey.Journey, i int) {
	h := &j.Hops[i]
	s, sequence := f.add(j, hopPlace(i), strings.ToValidUTF8(h.Function, "\uFFFD"), h.Offset, h.Duration)
	f.hopSpan = append(f.hopSpan, f.root+sequence)
	above := f.root
	if h.Parent >= 0 && h.Parent < i {
		above = f.hopSpan[h.Parent]
	}
	f.hang(s, above)

	var before *journey.Hop
	if i > 0 {
		before = &j.Hops[i-1]
	}
	mark := len(f.attributes)
	f.attributes.hop(h)
	f.attributes.surroundings(h, before)
	if j.Drop != nil && j.Drop.Hop == i {
		f.attributes.drop(j.Drop)
		s.status = dropStatus(j.Drop)
	}
	f.attributes.position(sequence, h.Offset, h.Duration)
	s.attributes = f.attributes.since(mark)
}

// plantWait adds a wait under the root: no function is at work in it.
func (f *forest) plantWait(j *journey.Journey, i int) {
	w := &j.Waits[i]
	s, sequence := f.add(j, waitPlace(i), "wait", w.Offset, w.Duration)
	f.hang(s, f.root)
	mark := len(f.attributes)
	f.attributes.text(keyWaitFrom, w.From)
	f.attributes.text(keyWaitTo, w.To)
	f.attributes.position(sequence, w.Offset, w.Duration)
	s.attributes = f.attributes.since(mark)
}

// add appends a span of j and returns it with its position in the journey. It
// ends at least 1 ns after its start, since viewers choke on a span without
// length; its attributes keep the true duration.
func (f *forest) add(j *journey.Journey, at place, name string, offset, duration time.Duration) (*span, int) {
	sequence := len(f.spans) - f.root
	start := j.Start.Add(offset)
	f.spans = append(f.spans, span{
		origin:  f.origin,
		name:    name,
		context: spanContext(j, j.ID, at),
		above:   -1,
		start:   start,
		end:     start.Add(max(duration, 1)),
	})
	return &f.spans[len(f.spans)-1], sequence
}

// hang makes s a child of the span at index above.
func (f *forest) hang(s *span, above int) {
	s.above = above
	s.parent = f.spans[above].context
	f.spans[above].children++
}

// coverChildren stretches every span of the journey at hand over its children,
// last to first since children come after their parents. Where no return probe
// measured a hop, it may otherwise end before a child, which viewers take for a
// fault of the trace.
func (f *forest) coverChildren() {
	for i := len(f.spans) - 1; i > f.root; i-- {
		child := &f.spans[i]
		if parent := &f.spans[child.above]; child.end.After(parent.end) {
			parent.end = child.end
		}
	}
}

// dropStatus is the status of the root and of the hop that dropped the packet.
func dropStatus(d *journey.Drop) sdktrace.Status {
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
	return sdktrace.Status{Code: codes.Error, Description: strings.ToValidUTF8(text, "\uFFFD")}
}

// rootName names a journey after its transport, else its network type. It
// yields names of a fixed set: protocols known only by number are left out,
// because backends index span names.
func rootName(f *journey.Flow) string {
	switch {
	case f.Transport != "" && !strings.HasPrefix(f.Transport, "ip-proto-"):
		return strings.ToValidUTF8(f.Transport, "\uFFFD") + " packet"
	case f.NetworkType != "" && !strings.HasPrefix(f.NetworkType, "0x"):
		return strings.ToValidUTF8(f.NetworkType, "\uFFFD") + " packet"
	default:
		return "packet"
	}
}
