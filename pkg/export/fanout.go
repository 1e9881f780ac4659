// SPDX-License-Identifier: Apache-2.0

package export

import (
	"context"
	"errors"
	"log/slog"
	"sync"

	"github.com/skbpath/skbpath/pkg/export/internal/quiet"
	"github.com/skbpath/skbpath/pkg/tracer/journey"
)

// Route is a sink and the limits of the queue in front of it.
type Route struct {
	Sink   Sink
	Limits Limits
}

// Fanout hands every journey to every sink, each through its own bounded queue
// and goroutine. Whole journeys are dropped where a queue is full, and counted.
type Fanout struct {
	routes []*route
	cancel context.CancelFunc

	mu     sync.RWMutex // keeps Emit from a queue that Close has closed
	closed bool
}

// NewFanout starts one goroutine per route. Sinks need distinct names.
func NewFanout(log *slog.Logger, routes ...Route) *Fanout {
	ctx, cancel := context.WithCancel(context.Background())
	f := &Fanout{cancel: cancel}
	for _, r := range routes {
		started := newRoute(r, quiet.New(log, quiet.DefaultInterval))
		f.routes = append(f.routes, started)
		go started.run(ctx)
	}
	return f
}

// Emit hands j to every sink. It never blocks, may be called concurrently, and
// must not be followed by any change to j. After Close it only counts.
func (f *Fanout) Emit(j *journey.Journey) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	for _, r := range f.routes {
		if f.closed {
			r.shutdown.Add(1)
			continue
		}
		r.offer(j)
	}
}

// Losses returns, per sink and cause, how many journeys that sink did not get:
// queue_full (the sink is too slow), export_failed (it returned an error) and
// shutdown (Close ran out of time), each prefixed by the sink's name, as in
// otlp_queue_full. Every cause is present from the start, at zero. Losses that
// a sink counts itself are added.
func (f *Fanout) Losses() []journey.Loss {
	var all []journey.Loss
	at := make(map[[2]string]int)
	for _, r := range f.routes {
		for _, loss := range r.losses() {
			key := [2]string{loss.What, loss.Cause}
			if i, ok := at[key]; ok {
				all[i].Count += loss.Count
				continue
			}
			at[key] = len(all)
			all = append(all, loss)
		}
	}
	return all
}

// Fill returns, per sink, how full its queue is: 0 is empty, and at 1 the next
// journey may find no room.
func (f *Fanout) Fill() map[string]float64 {
	all := make(map[string]float64, len(f.routes))
	for _, r := range f.routes {
		all[r.sink.Name()] = r.fill()
	}
	return all
}

// Close lets every queue drain and closes every sink, all at the same time.
// When ctx ends first, the journeys left are counted as lost by shutdown and a
// sink that does not return is left behind. Close works once; later calls
// return nil.
func (f *Fanout) Close(ctx context.Context) error {
	f.mu.Lock()
	if f.closed {
		f.mu.Unlock()
		return nil
	}
	f.closed = true
	for _, r := range f.routes {
		close(r.queue)
	}
	f.mu.Unlock()
	defer f.cancel()

	errs := make([]error, len(f.routes))
	var wg sync.WaitGroup
	for i, r := range f.routes {
		wg.Go(func() { errs[i] = r.close(ctx, f.cancel) })
	}
	wg.Wait()
	return errors.Join(errs...)
}
