// SPDX-License-Identifier: Apache-2.0

// Package export hands finished journeys to the sinks: OTLP, Prometheus and the
// terminal. Its Fanout keeps the sinks apart, so that a slow or failing one
// delays neither another sink nor the tracer.
package export

import (
	"context"

	"github.com/skbpath/skbpath/pkg/tracer/journey"
)

// Sink is where journeys go.
//
// A journey is immutable once emitted and shared between sinks: a sink may keep
// it but must not change it.
type Sink interface {
	// Name is a short word for logs and for the cause label of lost_total.
	Name() string
	// Export takes one journey. It may block; an error means that this journey
	// is lost for this sink. It is called from one goroutine at a time and never
	// after Close.
	Export(ctx context.Context, j *journey.Journey) error
	// Close flushes what the sink still holds and frees it, within ctx.
	Close(ctx context.Context) error
}

// lossy is implemented by sinks that can lose a journey after Export returned.
type lossy interface {
	Losses() []journey.Loss
}

// Limits bound the journeys that wait for one sink. What does not fit is lost
// for that sink and counted with the cause queue_full.
type Limits struct {
	// Journeys is the most journeys that wait, 0 for DefaultLimits.
	Journeys int
	// Hops is the most hops that all waiting journeys have together, 0 for
	// DefaultLimits. It is what bounds memory, since a journey has between one
	// and thousands of hops. A single longer journey passes when nothing else
	// waits.
	Hops int
}

// DefaultLimits returns the limits of a route that sets none: 4,096 journeys
// and 131,072 hops, which is about 15 MB at worst.
func DefaultLimits() Limits {
	return Limits{Journeys: 4096, Hops: 131072}
}

func (l Limits) orDefault() Limits {
	d := DefaultLimits()
	if l.Journeys <= 0 {
		l.Journeys = d.Journeys
	}
	if l.Hops <= 0 {
		l.Hops = d.Hops
	}
	return l
}
