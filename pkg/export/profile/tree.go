// SPDX-License-Identifier: Apache-2.0

package profile

import (
	"time"

	"github.com/skbpath/skbpath/pkg/tracer/journey"
)

// maxStacks bounds the different stacks of one recording. Kernels have some
// 1,500 functions with a packet, and a path visits some 60 of them.
const maxStacks = 16384

// stack is a node of the tree of calls: a function and, by the nodes above it,
// who called it.
type stack struct {
	function string
	above    *stack // nil at the top
	below    map[string]*stack

	packets int64
	self    time.Duration // without the time of the stacks below
}

// tree adds up journeys.
type tree struct {
	top      stack // of no function
	stacks   int
	journeys int64
	lost     int64 // hops and waits beyond maxStacks

	// Of the journey at hand: where each hop is in the tree, and its own time.
	at   []*stack
	self []time.Duration
}

// add counts every hop of j at its place, and every wait by itself: no function
// is at work in it. Only what a hop spent outside of the hops below it is its own.
func (t *tree) add(j *journey.Journey) {
	t.journeys++
	t.measure(j)
	t.at = t.at[:0]
	for i := range j.Hops {
		above := &t.top
		if p := j.Hops[i].Parent; p >= 0 && p < i {
			above = t.at[p]
		}
		t.at = append(t.at, t.count(above, j.Hops[i].Function, t.self[i]))
	}
	for i := range j.Waits {
		w := &j.Waits[i]
		t.count(&t.top, "wait: "+w.From+" → "+w.To, w.Duration)
	}
}

// measure takes from each hop the time of those right below it.
func (t *tree) measure(j *journey.Journey) {
	t.self = t.self[:0]
	for i := range j.Hops {
		h := &j.Hops[i]
		t.self = append(t.self, h.Duration)
		if h.Parent >= 0 && h.Parent < i {
			t.self[h.Parent] -= h.Duration
		}
	}
}

// count returns the stack of a function below another, nil if there is no room
// for it, or if the other is nil: then nothing can be below it either.
func (t *tree) count(above *stack, function string, self time.Duration) *stack {
	s := t.find(above, function)
	if s == nil {
		t.lost++
		return nil
	}
	s.packets++
	s.self += max(self, 0) // hops are measured at entry only, and may overlap
	return s
}

func (t *tree) find(above *stack, function string) *stack {
	if above == nil {
		return nil
	}
	s := above.below[function]
	if s == nil && t.stacks < maxStacks {
		s = &stack{function: function, above: above}
		if above.below == nil {
			above.below = make(map[string]*stack)
		}
		above.below[function] = s
		t.stacks++
	}
	return s
}

// each visits all stacks, those above first.
func (s *stack) each(visit func(*stack)) {
	for _, below := range s.below {
		visit(below)
		below.each(visit)
	}
}
