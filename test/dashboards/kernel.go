// SPDX-License-Identifier: Apache-2.0

package dashboards

import (
	"time"

	"github.com/skbpath/skbpath/pkg/tracer/journey"
)

// kernel counts what the kernel half would.
type kernel struct {
	drops     []journey.DropCount
	functions []journey.FunctionCount
	waits     []journey.WaitCount
	outcomes  []journey.OutcomeCount
	losses    []journey.Loss
}

func (k *kernel) Drops() ([]journey.DropCount, error)         { return k.drops, nil }
func (k *kernel) Functions() ([]journey.FunctionCount, error) { return k.functions, nil }
func (k *kernel) Waits() ([]journey.WaitCount, error)         { return k.waits, nil }
func (k *kernel) Outcomes() ([]journey.OutcomeCount, error)   { return k.outcomes, nil }
func (k *kernel) Losses() []journey.Loss                      { return k.losses }
func (k *kernel) Probes() []journey.ProbeCount {
	return []journey.ProbeCount{{State: "attached", Count: 1640}, {State: "refused", Count: 2}, {State: "skipped", Count: 106}}
}

// row returns the row of a table that is the one asked for, or adds it.
func row[R any](table *[]R, is func(*R) bool, fresh R) *R {
	for i := range *table {
		if r := &(*table)[i]; is(r) {
			return r
		}
	}
	*table = append(*table, fresh)
	return &(*table)[len(*table)-1]
}

func (k *kernel) visit(n uint64, function string, d time.Duration) {
	f := row(&k.functions, func(f *journey.FunctionCount) bool { return f.Function == function },
		journey.FunctionCount{Function: function, Duration: newHistogram()})
	f.Calls += n
	observe(&f.Duration, n, d)
}

func (k *kernel) wait(n uint64, from, to string, d time.Duration) {
	w := row(&k.waits, func(w *journey.WaitCount) bool { return w.From == from && w.To == to },
		journey.WaitCount{From: from, To: to, Duration: newHistogram()})
	observe(&w.Duration, n, d)
}

func (k *kernel) end(n uint64, outcome journey.Outcome, d time.Duration) {
	o := row(&k.outcomes, func(o *journey.OutcomeCount) bool { return o.Outcome == outcome },
		journey.OutcomeCount{Outcome: outcome, Duration: newHistogram()})
	observe(&o.Duration, n, d)
}

// newHistogram has bounds from 128 ns on, a factor of two apart.
func newHistogram() journey.Histogram {
	bounds := make([]time.Duration, 26)
	for i := range bounds {
		bounds[i] = 128 << i
	}
	return journey.Histogram{Bounds: bounds, Counts: make([]uint64, len(bounds)+1)}
}

func observe(h *journey.Histogram, n uint64, d time.Duration) {
	bucket := 0
	for bucket < len(h.Bounds) && d > h.Bounds[bucket] {
		bucket++
	}
	h.Counts[bucket] += n
	h.Sum += time.Duration(n) * d
}
