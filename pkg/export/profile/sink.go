// SPDX-License-Identifier: Apache-2.0

// Package profile shows where packets spend their time as a pprof profile: the
// tree of calls of all journeys that end while somebody asks, added up.
//
//	go tool pprof http://localhost:10199/debug/packets/profile?seconds=30
package profile

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/skbpath/skbpath/pkg/export"
	"github.com/skbpath/skbpath/pkg/tracer/journey"
)

// maxRecordings bounds the recordings under way at one time.
const maxRecordings = 4

var errBusy = errors.New("as many profiles as can be are being recorded, try again later")

// Sink adds journeys to the recordings under way. While there are none, a
// journey costs it next to nothing.
type Sink struct {
	active atomic.Int32 // len(recordings), to be read without the lock

	mu         sync.Mutex
	demand     func(bool) error // may be nil
	recordings map[*tree]bool
	lost       uint64 // by recordings that have ended
}

var _ export.Sink = (*Sink)(nil)

// NewSink returns a sink that records nothing yet.
func NewSink() *Sink { return &Sink{recordings: make(map[*tree]bool)} }

// OnDemand has demand called when the first recording begins and when the last
// one ends, for a source of journeys that need not flow in between.
func (s *Sink) OnDemand(demand func(bool) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.demand = demand
}

// Name returns "profile".
func (s *Sink) Name() string { return "profile" }

// Export adds j to all recordings.
func (s *Sink) Export(_ context.Context, j *journey.Journey) error {
	if s.active.Load() == 0 {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for t := range s.recordings {
		t.add(j)
	}
	return nil
}

// Close does nothing: recordings end with their requests.
func (s *Sink) Close(context.Context) error { return nil }

// Losses counts the hops that had no place in a recording.
func (s *Sink) Losses() []journey.Loss {
	s.mu.Lock()
	defer s.mu.Unlock()
	lost := s.lost
	for t := range s.recordings {
		lost += uint64(t.lost)
	}
	return []journey.Loss{{What: "hop", Cause: "profile_stack_limit", Count: lost}}
}

// begin starts a recording.
func (s *Sink) begin() (*tree, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.recordings) >= maxRecordings {
		return nil, errBusy
	}
	if err := s.ask(true); err != nil {
		return nil, err
	}
	t := new(tree)
	s.recordings[t] = true
	s.active.Add(1)
	return t, nil
}

// end stops a recording, which is then the caller's alone.
func (s *Sink) end(t *tree) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.recordings, t)
	s.active.Add(-1)
	s.lost += uint64(t.lost)
	_ = s.ask(false) // then journeys flow on, at their cost, until the next recording ends
}

// ask tells the source of journeys whether they are wanted, when that changes.
func (s *Sink) ask(on bool) error {
	if s.demand == nil || len(s.recordings) > 0 {
		return nil
	}
	return s.demand(on)
}
