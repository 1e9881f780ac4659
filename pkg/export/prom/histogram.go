// SPDX-License-Identifier: Apache-2.0

package prom

import (
	"math/bits"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// layout is a row of bucket bounds, each a power of two of nanoseconds: 2^low,
// 2^(low+step), … Powers of two let the kernel half count by the position of
// the highest bit.
type layout struct {
	low, step, count int
}

// functionLayout covers 128 ns to 2.1 s in 13 buckets, a factor of four apart:
// there is one histogram per kernel function, so each bucket costs up to 2,000
// series.
func functionLayout() layout { return layout{low: 7, step: 2, count: 13} }

// stageLayout covers 1 µs to 8.6 s in 24 buckets, a factor of two apart, for
// the few histograms of whole journeys and of waits.
func stageLayout() layout { return layout{low: 10, step: 1, count: 24} }

// index returns the bucket of d, count for those above the last bound. Bounds
// are inclusive, as le says.
func (l layout) index(d time.Duration) int {
	if d <= 1 {
		return 0
	}
	power := bits.Len64(uint64(d - 1)) // the least k with d <= 2^k ns
	if power <= l.low {
		return 0
	}
	return min((power-l.low+l.step-1)/l.step, l.count)
}

// bounds returns the upper bounds in seconds.
func (l layout) bounds() []float64 {
	b := make([]float64, l.count)
	for i := range b {
		b[i] = float64(uint64(1)<<(l.low+i*l.step)) / 1e9
	}
	return b
}

// maxBuckets is the longest layout and the bucket above its last bound.
const maxBuckets = 25

// histogram counts durations. It is copied by value at a scrape.
type histogram struct {
	buckets [maxBuckets]uint64 // not cumulative
	sum     time.Duration
}

func (h *histogram) observe(l layout, d time.Duration) {
	d = max(d, 0)
	h.buckets[l.index(d)]++
	h.sum += d
}

// series is a histogram with its labels, ready to be written. The library's own
// constant histograms want a map of buckets each, which for 1,500 functions
// costs more than all else of a scrape.
type series struct {
	desc   *prometheus.Desc
	labels []*dto.LabelPair // sorted by name
	bounds []float64
	data   histogram
}

func (s *series) Desc() *prometheus.Desc { return s.desc }

func (s *series) Write(m *dto.Metric) error {
	n := len(s.bounds)
	slab := make([]dto.Bucket, n)
	counts := make([]uint64, n)
	buckets := make([]*dto.Bucket, n)
	var total uint64
	for i := range slab {
		total += s.data.buckets[i]
		counts[i] = total
		slab[i].UpperBound = &s.bounds[i]
		slab[i].CumulativeCount = &counts[i]
		buckets[i] = &slab[i]
	}
	total += s.data.buckets[n]
	sum := s.data.sum.Seconds()
	m.Label = s.labels
	m.Histogram = &dto.Histogram{SampleCount: &total, SampleSum: &sum, Bucket: buckets}
	return nil
}
