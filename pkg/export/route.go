// SPDX-License-Identifier: Apache-2.0

package export

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/skbpath/skbpath/pkg/export/internal/quiet"
	"github.com/skbpath/skbpath/pkg/tracer/journey"
)

// abandonAfter is how long a sink may take to return from Export once its
// context is cancelled. A sink that hangs longer, say in a write to a full
// pipe, is left behind: no deadline of the caller may depend on it.
const abandonAfter = 250 * time.Millisecond

// route is one sink with the queue in front of it.
type route struct {
	sink   Sink
	limits Limits
	queue  chan *journey.Journey
	hops   atomic.Int64 // in all journeys of the queue
	log    *quiet.Logger

	queueFull    atomic.Uint64
	exportFailed atomic.Uint64
	shutdown     atomic.Uint64

	done chan struct{} // closed when run has returned
}

func newRoute(r Route, log *quiet.Logger) *route {
	limits := r.Limits.orDefault()
	return &route{
		sink:   r.Sink,
		limits: limits,
		queue:  make(chan *journey.Journey, limits.Journeys),
		log:    log,
		done:   make(chan struct{}),
	}
}

// offer queues j unless that would exceed a limit. It never blocks.
func (r *route) offer(j *journey.Journey) {
	n := int64(len(j.Hops))
	queued := r.hops.Add(n)
	if queued > int64(r.limits.Hops) && queued != n {
		r.refuse(n)
		return
	}
	select {
	case r.queue <- j:
	default:
		r.refuse(n)
	}
}

// fill is the share in use of the limit that is nearer. A single journey that is
// longer than the limit counts as the limit; so does one about to be refused.
func (r *route) fill() float64 {
	journeys := float64(len(r.queue)) / float64(r.limits.Journeys)
	hops := float64(r.hops.Load()) / float64(r.limits.Hops)
	return min(max(journeys, hops), 1)
}

func (r *route) refuse(hops int64) {
	r.hops.Add(-hops)
	r.queueFull.Add(1)
	r.log.Warn("sink is too slow, dropping journeys", "sink", r.sink.Name())
}

// run exports until the queue is closed and empty. Once ctx ends, what is left
// is counted instead of exported.
func (r *route) run(ctx context.Context) {
	defer close(r.done)
	for j := range r.queue {
		r.hops.Add(-int64(len(j.Hops)))
		if ctx.Err() != nil {
			r.shutdown.Add(1)
			continue
		}
		err := r.sink.Export(ctx, j)
		switch {
		case err == nil:
		case ctx.Err() != nil:
			r.shutdown.Add(1)
		default:
			r.exportFailed.Add(1)
			r.log.Error("cannot export journey", "sink", r.sink.Name(), "err", err)
		}
	}
}

// close waits for the queue to drain, at most until ctx ends, and closes the
// sink. It must be called after the queue was closed; cancel ends run's context.
func (r *route) close(ctx context.Context, cancel context.CancelFunc) error {
	select {
	case <-r.done:
	case <-ctx.Done():
		cancel()
		if !r.stopped() {
			return fmt.Errorf("close %s: still exporting: %w", r.sink.Name(), context.Cause(ctx))
		}
	}
	if err := r.sink.Close(ctx); err != nil {
		return fmt.Errorf("close %s: %w", r.sink.Name(), err)
	}
	return nil
}

// stopped gives run a moment to notice that its context ended.
func (r *route) stopped() bool {
	patience := time.NewTimer(abandonAfter)
	defer patience.Stop()
	select {
	case <-r.done:
		return true
	case <-patience.C:
		return false
	}
}

func (r *route) losses() []journey.Loss {
	name := r.sink.Name()
	all := []journey.Loss{
		{What: "journey", Cause: name + "_queue_full", Count: r.queueFull.Load()},
		{What: "journey", Cause: name + "_export_failed", Count: r.exportFailed.Load()},
		{What: "journey", Cause: name + "_shutdown", Count: r.shutdown.Load()},
	}
	if own, ok := r.sink.(lossy); ok {
		all = append(all, own.Losses()...)
	}
	return all
}
