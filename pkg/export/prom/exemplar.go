// SPDX-License-Identifier: Apache-2.0

package prom

import (
	"encoding/hex"
	"math/bits"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skbpath/skbpath/pkg/tracer/journey"
)

// traceLabel is the label that dashboards make a link to the trace of.
const traceLabel = "trace_id"

// exemplar is one thing that was counted; without a trace it is none.
type exemplar struct {
	trace journey.TraceID
	value time.Duration
	at    int64 // nanoseconds since 1970, when it ended
}

func (x *exemplar) isNone() bool { return x.trace == journey.TraceID{} }

func (x *exemplar) traceID() string { return hex.EncodeToString(x.trace[:]) }

// onCounter adds the exemplar to a counter, of which it is one.
func (x exemplar) onCounter(m prometheus.Metric) prometheus.Metric {
	if x.isNone() {
		return m
	}
	return prometheus.MustNewMetricWithExemplars(m, prometheus.Exemplar{
		Value: 1, Labels: prometheus.Labels{traceLabel: x.traceID()}, Timestamp: time.Unix(0, x.at),
	})
}

// onBucket is the exemplar as a bucket of a histogram wants it.
func (x *exemplar) onBucket() *dto.Exemplar {
	name, trace := traceLabel, x.traceID()
	return &dto.Exemplar{
		Label:     []*dto.LabelPair{{Name: &name, Value: &trace}},
		Value:     new(float64(x.value) / float64(time.Second)), // as the bounds are
		Timestamp: timestamppb.New(time.Unix(0, x.at)),
	}
}

// family is the exemplars of the histograms of one name.
type family[K comparable] struct {
	limit int
	of    map[K]*spread
}

// spread is the last exemplar of each power of two of nanoseconds, to 8.6 s and
// above: as fine as the finest histogram, whose bounds the sink need not know.
type spread [35]exemplar

func newFamily[K comparable](limit int) family[K] {
	return family[K]{limit, make(map[K]*spread)}
}

func (f *family[K]) add(key K, x exemplar) {
	s, known := f.of[key]
	if !known {
		if len(f.of) >= f.limit {
			return
		}
		s = new(spread)
		f.of[key] = s
	}
	power := 0
	if x.value > 0 {
		power = min(bits.Len64(uint64(x.value-1)), len(s)-1) // a bound is within its bucket
	}
	if x.at >= s[power].at {
		s[power] = x
	}
}

// buckets returns the last exemplar of each bucket of h; nil if there is none at
// all. What the kernel half has not counted there has no exemplar: it does not
// count calls that are too deep, for one.
func (f *family[K]) buckets(key K, h *journey.Histogram) []exemplar {
	s, known := f.of[key]
	if !known {
		return nil
	}
	last := make([]exemplar, len(h.Counts))
	bucket := 0
	for i := range s {
		x := &s[i]
		if x.isNone() {
			continue
		}
		for bucket < len(h.Bounds) && x.value > h.Bounds[bucket] {
			bucket++ // for good: the next exemplar is longer
		}
		if h.Counts[bucket] > 0 && x.at >= last[bucket].at {
			last[bucket] = *x
		}
	}
	return last
}
