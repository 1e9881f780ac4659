// SPDX-License-Identifier: Apache-2.0

package prom

import (
	"math"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skbpath/skbpath/pkg/tracer/journey"
)

// series is a histogram with its labels, ready to be written. The library's own
// constant histograms want a map of buckets each, which for 1,500 functions
// costs more than all else of a scrape.
type series struct {
	desc      *prometheus.Desc
	labels    []*dto.LabelPair // sorted by name
	data      *journey.Histogram
	exemplars []exemplar // of each bucket, or nil
	created   time.Time
}

func (s *series) Desc() *prometheus.Desc { return s.desc }

func (s *series) Write(m *dto.Metric) error {
	n := len(s.data.Bounds)
	slab := make([]dto.Bucket, n)
	bounds, counts := make([]float64, n), make([]uint64, n)
	buckets := make([]*dto.Bucket, n)
	var total uint64
	for i, bound := range s.data.Bounds {
		total += s.data.Counts[i]
		// Not bound.Seconds(): its rounding makes bounds with 17 digits.
		bounds[i], counts[i] = float64(bound)/float64(time.Second), total
		slab[i] = dto.Bucket{UpperBound: &bounds[i], CumulativeCount: &counts[i]}
		buckets[i] = &slab[i]
	}
	total += s.data.Counts[n]
	sum := s.data.Sum.Seconds()
	m.Label = s.labels
	m.Histogram = &dto.Histogram{
		SampleCount: &total, SampleSum: &sum, Bucket: buckets, CreatedTimestamp: timestamppb.New(s.created),
	}
	s.attach(m.Histogram)
	return nil
}

// attach gives buckets their exemplars. The bucket above all bounds is left out
// unless it has one.
func (s *series) attach(h *dto.Histogram) {
	for i := range s.exemplars {
		x := &s.exemplars[i]
		if x.isNone() {
			continue
		}
		if i == len(h.Bucket) {
			h.Bucket = append(h.Bucket, &dto.Bucket{UpperBound: new(math.Inf(1)), CumulativeCount: h.SampleCount})
		}
		h.Bucket[i].Exemplar = x.onBucket()
	}
}
