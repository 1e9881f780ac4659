// SPDX-License-Identifier: Apache-2.0

package prom

import (
	"context"
	"sync"
	"time"

	"github.com/skbpath/skbpath/pkg/export"
	"github.com/skbpath/skbpath/pkg/tracer/journey"
)

// The most series of each kind that have exemplars: as many as the kernel half
// counts. Any further one is counted all the same.
const (
	maxDropExemplars     = 8192
	maxFunctionExemplars = 6144
	maxWaitExemplars     = 1024
)

// Exemplars is the sink that remembers for each drop series, and for each
// histogram and order of magnitude, which trace was counted there last. It is
// for traces that are exported: an exemplar leads to one.
type Exemplars struct {
	mu        sync.Mutex
	drops     map[dropKey]exemplar
	functions family[string]
	waits     family[waitKey]
	outcomes  family[journey.Outcome]
}

var _ export.Sink = (*Exemplars)(nil)

// NewExemplars returns a sink that remembers nothing yet.
func NewExemplars() *Exemplars {
	return &Exemplars{
		drops:     make(map[dropKey]exemplar),
		functions: newFamily[string](maxFunctionExemplars),
		waits:     newFamily[waitKey](maxWaitExemplars),
		outcomes:  newFamily[journey.Outcome](len(journey.Outcomes())),
	}
}

// Name returns "exemplars".
func (e *Exemplars) Name() string { return "exemplars" }

// Close does nothing: there is nothing to send.
func (e *Exemplars) Close(context.Context) error { return nil }

// Export remembers what was counted of j.
func (e *Exemplars) Export(_ context.Context, j *journey.Journey) error {
	start := j.Start.UnixNano()
	seen := func(offset, duration time.Duration) exemplar {
		return exemplar{j.TraceID, duration, start + int64(offset+duration)}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.outcomes.add(j.Outcome, seen(0, j.Duration))
	if j.Drop != nil {
		e.addDrop(dropKeyOf(j), seen(0, j.Duration))
	}
	if j.Incomplete != "" {
		return nil // what encloses the hole looks longer than it was
	}
	for i := range j.Hops {
		h := &j.Hops[i]
		e.functions.add(h.Function, seen(h.Offset, h.Duration))
	}
	for i := range j.Waits {
		w := &j.Waits[i]
		e.waits.add(waitKey{w.From, w.To}, seen(w.Offset, w.Duration))
	}
	return nil
}

func (e *Exemplars) addDrop(key dropKey, x exemplar) {
	last, known := e.drops[key]
	if known && x.at < last.at || !known && len(e.drops) >= maxDropExemplars {
		return
	}
	e.drops[key] = x
}

// dropKeyOf returns the labels that the kernel half counts the drop of j with.
// It takes the device of the packet when it is freed, which is that of the last
// hop; the hop of the drop may have changed it.
func dropKeyOf(j *journey.Journey) dropKey {
	device := ""
	if n := len(j.Hops); n > 0 {
		device = j.Hops[n-1].Interface
	}
	return newDropKey(j.Drop.Reason, j.Drop.Subsystem, j.Drop.Function, j.Drop.Protocol, device)
}

func (e *Exemplars) ofDrop(key dropKey) exemplar {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.drops[key]
}

func (e *Exemplars) ofFunction(f *journey.FunctionCount) []exemplar {
	return lastOf(e, &e.functions, f.Function, &f.Duration)
}

func (e *Exemplars) ofWait(w *journey.WaitCount) []exemplar {
	return lastOf(e, &e.waits, waitKey{w.From, w.To}, &w.Duration)
}

func (e *Exemplars) ofOutcome(o *journey.OutcomeCount) []exemplar {
	return lastOf(e, &e.outcomes, o.Outcome, &o.Duration)
}

// lastOf returns what a family of e has for the buckets of a histogram.
func lastOf[K comparable](e *Exemplars, f *family[K], key K, h *journey.Histogram) []exemplar {
	e.mu.Lock()
	defer e.mu.Unlock()
	return f.buckets(key, h)
}

type waitKey struct{ from, to string }
