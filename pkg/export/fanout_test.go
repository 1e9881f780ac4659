// SPDX-License-Identifier: Apache-2.0

package export

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/skbpath/skbpath/pkg/tracer/journey"
)

// fakeSink keeps what it gets. Each Export first announces itself on entered
// and waits for gate, where these are set.
type fakeSink struct {
	name    string
	entered chan struct{}
	gate    chan struct{}
	deaf    bool // ignores its context
	fail    error
	own     []journey.Loss

	mu     sync.Mutex
	got    []uint64
	closed int
}

func (s *fakeSink) Name() string { return s.name }

func (s *fakeSink) Export(ctx context.Context, j *journey.Journey) error {
	if s.entered != nil {
		s.entered <- struct{}{}
	}
	if s.gate != nil {
		cancelled := ctx.Done()
		if s.deaf {
			cancelled = nil
		}
		select {
		case <-s.gate:
		case <-cancelled:
			return ctx.Err()
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		return s.fail
	}
	s.got = append(s.got, j.ID)
	return nil
}

func (s *fakeSink) Close(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed++
	return nil
}

func (s *fakeSink) Losses() []journey.Loss { return s.own }

func count(t *testing.T, f *Fanout, cause string) uint64 {
	t.Helper()
	for _, l := range f.Losses() {
		if l.What == "journey" && l.Cause == cause {
			return l.Count
		}
	}
	t.Fatalf("no loss with cause %q in %v", cause, f.Losses())
	return 0
}

func TestEverySinkGetsEveryJourneyInOrder(t *testing.T) {
	a, b := &fakeSink{name: "a"}, &fakeSink{name: "b"}
	f := NewFanout(nil, Route{Sink: a}, Route{Sink: b})
	var want []uint64
	for id := range uint64(100) {
		f.Emit(&journey.Journey{ID: id})
		want = append(want, id)
	}
	if err := f.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, s := range []*fakeSink{a, b} {
		if !slices.Equal(s.got, want) {
			t.Errorf("%s got %v", s.name, s.got)
		}
		if s.closed != 1 {
			t.Errorf("%s closed %d times", s.name, s.closed)
		}
	}
	if err := f.Close(t.Context()); err != nil {
		t.Errorf("second Close: %v", err)
	}
}

func TestSlowSinkLosesOnlyItsOwn(t *testing.T) {
	slow := &fakeSink{name: "slow", entered: make(chan struct{}), gate: make(chan struct{})}
	quick := &fakeSink{name: "quick", entered: make(chan struct{})}
	f := NewFanout(nil, Route{Sink: slow, Limits: Limits{Journeys: 2}}, Route{Sink: quick})

	f.Emit(&journey.Journey{ID: 0})
	<-slow.entered // it holds journey 0 and its queue is empty
	<-quick.entered
	for id := uint64(1); id < 10; id++ {
		f.Emit(&journey.Journey{ID: id})
		<-quick.entered // never waits for the slow one
	}
	if got := count(t, f, "slow_queue_full"); got != 7 {
		t.Errorf("slow lost %d by a full queue, want 7", got)
	}
	if got := count(t, f, "quick_queue_full"); got != 0 {
		t.Errorf("quick lost %d, want 0", got)
	}
	slow.entered = nil
	close(slow.gate)
	if err := f.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if want := []uint64{0, 1, 2}; !slices.Equal(slow.got, want) {
		t.Errorf("slow got %v, want %v", slow.got, want)
	}
	if len(quick.got) != 10 {
		t.Errorf("quick got %v", quick.got)
	}
}

// TestFill: of the nearer bound, before and after the sink catches up.
func TestFill(t *testing.T) {
	s := &fakeSink{name: "s", entered: make(chan struct{}), gate: make(chan struct{})}
	f := NewFanout(nil, Route{Sink: s, Limits: Limits{Journeys: 4, Hops: 100}})
	want := func(ratio float64) {
		t.Helper()
		if got := f.Fill(); len(got) != 1 || got["s"] != ratio {
			t.Errorf("fill is %v, want %v", got, ratio)
		}
	}
	want(0)
	f.Emit(&journey.Journey{})
	<-s.entered // none waits while the sink has one
	want(0)
	f.Emit(&journey.Journey{Hops: make([]journey.Hop, 10)})
	want(0.25) // a journey of four, ten hops of a hundred
	f.Emit(&journey.Journey{Hops: make([]journey.Hop, 80)})
	want(0.9)
	s.entered = nil
	close(s.gate)
	if err := f.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	want(0)
}

func TestHopsBoundTheQueue(t *testing.T) {
	s := &fakeSink{name: "s", entered: make(chan struct{}), gate: make(chan struct{})}
	f := NewFanout(nil, Route{Sink: s, Limits: Limits{Journeys: 100, Hops: 10}})
	long := &journey.Journey{ID: 1, Hops: make([]journey.Hop, 50)}

	f.Emit(long) // longer than the limit, but nothing else waits
	<-s.entered
	f.Emit(&journey.Journey{ID: 2, Hops: make([]journey.Hop, 6)})
	f.Emit(&journey.Journey{ID: 3, Hops: make([]journey.Hop, 5)}) // 11 hops
	f.Emit(&journey.Journey{ID: 4, Hops: make([]journey.Hop, 4)}) // 10 hops
	if got := count(t, f, "s_queue_full"); got != 1 {
		t.Errorf("lost %d, want 1", got)
	}
	s.entered = nil
	close(s.gate)
	if err := f.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if want := []uint64{1, 2, 4}; !slices.Equal(s.got, want) {
		t.Errorf("got %v, want %v", s.got, want)
	}
}

func TestFailingSinkIsCounted(t *testing.T) {
	bad := &fakeSink{
		name: "bad", fail: errors.New("disk full"),
		own: []journey.Loss{{What: "journey", Cause: "bad_export_failed", Count: 5}, {What: "span", Cause: "odd", Count: 1}},
	}
	good := &fakeSink{name: "good"}
	f := NewFanout(nil, Route{Sink: bad}, Route{Sink: good})
	for id := range uint64(3) {
		f.Emit(&journey.Journey{ID: id})
	}
	if err := f.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := count(t, f, "bad_export_failed"); got != 8 {
		t.Errorf("%d failed, want 3 of the fan-out and 5 of the sink", got)
	}
	if got := count(t, f, "good_export_failed"); got != 0 {
		t.Errorf("good lost %d", got)
	}
	if len(good.got) != 3 {
		t.Errorf("good got %v", good.got)
	}
	f.Emit(&journey.Journey{ID: 9})
	if got := count(t, f, "good_shutdown"); got != 1 {
		t.Errorf("a journey after Close: counted %d, want 1", got)
	}
}

func TestCloseEndsWithItsContext(t *testing.T) {
	stuck := &fakeSink{name: "stuck", entered: make(chan struct{}, 9), gate: make(chan struct{})}
	f := NewFanout(nil, Route{Sink: stuck})
	for id := range uint64(4) {
		f.Emit(&journey.Journey{ID: id})
	}
	<-stuck.entered
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := f.Close(ctx); err != nil {
		t.Fatalf("a sink that heeds its context closes cleanly: %v", err)
	}
	if got := count(t, f, "stuck_shutdown"); got != 4 {
		t.Errorf("%d lost by shutdown, want 4", got)
	}
	if stuck.closed != 1 {
		t.Errorf("closed %d times", stuck.closed)
	}
}

func TestCloseLeavesADeafSinkBehind(t *testing.T) {
	deaf := &fakeSink{name: "deaf", entered: make(chan struct{}), gate: make(chan struct{}), deaf: true}
	defer close(deaf.gate)
	other := &fakeSink{name: "other"}
	f := NewFanout(nil, Route{Sink: deaf}, Route{Sink: other})
	f.Emit(&journey.Journey{})
	<-deaf.entered
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := f.Close(ctx)
	if err == nil || !strings.Contains(err.Error(), "close deaf: still exporting") {
		t.Errorf("Close returned %v", err)
	}
	if deaf.closed != 0 || other.closed != 1 {
		t.Errorf("deaf closed %d times, other %d", deaf.closed, other.closed)
	}
}

func TestEmitRacesWithClose(t *testing.T) {
	s := &fakeSink{name: "s"}
	f := NewFanout(nil, Route{Sink: s, Limits: Limits{Journeys: 8}})
	const emitters, each = 4, 500
	var wg sync.WaitGroup
	for range emitters {
		wg.Go(func() {
			for range each {
				f.Emit(&journey.Journey{Hops: make([]journey.Hop, 3)})
			}
		})
	}
	if err := f.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	total := uint64(len(s.got))
	for _, l := range f.Losses() {
		total += l.Count
	}
	if total != emitters*each {
		t.Errorf("%d journeys accounted for, want %d", total, emitters*each)
	}
}
