// SPDX-License-Identifier: Apache-2.0

// Package prom turns journeys and the kernel half's own counts into Prometheus
// metrics.
//
// Its Sink accumulates journeys; its Collector, at a scrape, reports what the
// Sink has and what the kernel half counts. No label ever holds an address, a
// port, a pid or a namespace.
package prom

import (
	"context"
	"sync"
	"time"

	"github.com/skbpath/skbpath/pkg/export"
	"github.com/skbpath/skbpath/pkg/tracer/journey"
)

const (
	// maxFunctions bounds the distinct values of the label function.
	maxFunctions = 2000
	// maxWaits bounds the distinct pairs of the labels from and to.
	maxWaits = 1000
	// other is the label value that takes what exceeds a bound.
	other = "other"
)

// Sink accumulates counters and histograms from journeys. Every distinct
// function costs about 300 bytes and stays for good, as counters must: the
// first 2,000 functions and 1,000 pairs of waits get series of their own, the
// rest share those of "other" and are counted.
type Sink struct {
	functionLayout, stageLayout layout

	mu        sync.Mutex
	functions map[string]*functionStats
	waits     map[waitKey]*histogram
	outcomes  []histogram // indexed by journey.Outcome

	// Hops and waits that went to "other".
	foldedHops, foldedWaits uint64
}

type functionStats struct {
	calls     uint64
	durations histogram
}

type waitKey struct{ from, to string }

var _ export.Sink = (*Sink)(nil)

// NewSink returns an empty sink.
func NewSink() *Sink {
	return &Sink{
		functionLayout: functionLayout(),
		stageLayout:    stageLayout(),
		functions:      make(map[string]*functionStats),
		waits:          make(map[waitKey]*histogram),
		outcomes:       make([]histogram, len(journey.Outcomes())),
	}
}

// Name returns "prom".
func (s *Sink) Name() string { return "prom" }

// Close does nothing: what was accumulated stays readable.
func (s *Sink) Close(context.Context) error { return nil }

// Export adds j to the counts. It allocates only for a function or a wait seen
// for the first time.
func (s *Sink) Export(_ context.Context, j *journey.Journey) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range j.Hops {
		h := &j.Hops[i]
		f := s.function(h.Function)
		f.calls++
		f.durations.observe(s.functionLayout, h.Duration)
	}
	for i := range j.Waits {
		w := &j.Waits[i]
		s.wait(waitKey{w.From, w.To}).observe(s.stageLayout, w.Duration)
	}
	s.outcome(j.Outcome, j.Duration)
	return nil
}

func (s *Sink) function(name string) *functionStats {
	if f := s.functions[name]; f != nil {
		return f
	}
	name = valid(name)
	if s.functions[name] == nil && len(s.functions) >= maxFunctions {
		s.foldedHops++
		name = other
	}
	f := s.functions[name]
	if f == nil {
		f = &functionStats{}
		s.functions[name] = f
	}
	return f
}

func (s *Sink) wait(key waitKey) *histogram {
	if w := s.waits[key]; w != nil {
		return w
	}
	key = waitKey{valid(key.from), valid(key.to)}
	if s.waits[key] == nil && len(s.waits) >= maxWaits {
		s.foldedWaits++
		key = waitKey{other, other}
	}
	w := s.waits[key]
	if w == nil {
		w = &histogram{}
		s.waits[key] = w
	}
	return w
}

func (s *Sink) outcome(o journey.Outcome, d time.Duration) {
	if int(o) >= len(s.outcomes) { // as its String says
		o = journey.Consumed
	}
	s.outcomes[o].observe(s.stageLayout, d)
}

// snapshot is a copy of the counts, for a scrape to work on without the lock.
type snapshot struct {
	functions []functionSnapshot
	waits     []waitSnapshot
	outcomes  []histogram

	foldedHops, foldedWaits uint64
}

type functionSnapshot struct {
	name string
	functionStats
}

type waitSnapshot struct {
	waitKey
	histogram
}

func (s *Sink) snapshot() snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := snapshot{
		functions:   make([]functionSnapshot, 0, len(s.functions)),
		waits:       make([]waitSnapshot, 0, len(s.waits)),
		outcomes:    append([]histogram(nil), s.outcomes...),
		foldedHops:  s.foldedHops,
		foldedWaits: s.foldedWaits,
	}
	for name, f := range s.functions {
		c.functions = append(c.functions, functionSnapshot{name, *f})
	}
	for key, w := range s.waits {
		c.waits = append(c.waits, waitSnapshot{key, *w})
	}
	return c
}

// total is the number of observations.
func (h *histogram) total() uint64 {
	var n uint64
	for _, b := range h.buckets {
		n += b
	}
	return n
}
