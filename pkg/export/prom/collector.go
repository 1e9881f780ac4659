// SPDX-License-Identifier: Apache-2.0

// Package prom reports what the kernel half counts as Prometheus metrics, with
// exemplars that lead to traces. No label ever holds an address, a port, a pid
// or a namespace.
package prom

import (
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	version "github.com/prometheus/client_golang/prometheus/collectors/version"
	dto "github.com/prometheus/client_model/go"

	"github.com/skbpath/skbpath/pkg/export/internal/quiet"
	"github.com/skbpath/skbpath/pkg/tracer/journey"
)

// Kernel is what the kernel half counts by itself: drops of the whole host,
// whatever the filter; functions, waits and outcomes of every packet that
// matches it, whether its journey is kept or not.
type Kernel interface {
	Drops() ([]journey.DropCount, error)
	Functions() ([]journey.FunctionCount, error)
	Waits() ([]journey.WaitCount, error)
	Outcomes() ([]journey.OutcomeCount, error)
	Losses() []journey.Loss
	Probes() []journey.ProbeCount
}

// Config says what a Collector reports.
type Config struct {
	Kernel    Kernel
	Loaded    time.Time                 // when everything began to count
	Losses    func() []journey.Loss     // of the fan-out: Fanout.Losses; may be nil
	Fill      func() map[string]float64 // of its queues: Fanout.Fill; may be nil
	Exemplars *Exemplars                // nil where no traces are exported
	Log       *slog.Logger              // nil discards
}

// Collector reports the metrics of skbpath. It never fails a scrape: counts
// that cannot be read are left out of it, logged, and counted in
// lost_total{cause="read_failed"}.
type Collector struct {
	kernel    Kernel
	loaded    time.Time
	losses    func() []journey.Loss
	fill      func() map[string]float64
	exemplars *Exemplars
	births    *births
	log       *quiet.Logger

	readsFailed atomic.Uint64
	descriptions
}

var _ prometheus.Collector = (*Collector)(nil)

// NewCollector returns a collector of what c says.
func NewCollector(c Config) *Collector {
	if c.Exemplars == nil {
		c.Exemplars = NewExemplars() // that nobody fills
	}
	return &Collector{
		kernel:       c.Kernel,
		loaded:       c.Loaded,
		losses:       c.Losses,
		fill:         c.Fill,
		exemplars:    c.Exemplars,
		births:       newBirths(c.Loaded),
		log:          quiet.New(c.Log, quiet.DefaultInterval),
		descriptions: describe(),
	}
}

// BuildInfo returns the collector of skbpath_build_info.
func BuildInfo() prometheus.Collector { return version.NewCollector("skbpath") }

// Describe sends the descriptions of all metrics.
func (c *Collector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range c.all() {
		out <- d
	}
}

// Collect sends all metrics.
func (c *Collector) Collect(out chan<- prometheus.Metric) {
	for _, collect := range []func(chan<- prometheus.Metric) error{
		c.collectDrops, c.collectFunctions, c.collectWaits, c.collectOutcomes,
	} {
		if err := collect(out); err != nil {
			c.readsFailed.Add(1)
			c.log.Error("cannot read the kernel half's counts", "err", err)
		}
	}
	c.collectProbes(out)
	c.collectFill(out)
	c.collectLosses(out) // last: it counts failures of those before
}

func (c *Collector) collectFunctions(out chan<- prometheus.Metric) error {
	counts, err := c.kernel.Functions()
	for i := range counts {
		f := &counts[i]
		out <- c.counter(c.functionCalls, f.Calls, f.Function)
		out <- c.histogram(c.functionDuration, &f.Duration, c.exemplars.ofFunction(f), "function", f.Function)
	}
	return err
}

func (c *Collector) collectWaits(out chan<- prometheus.Metric) error {
	counts, err := c.kernel.Waits()
	for i := range counts {
		w := &counts[i]
		out <- c.histogram(c.waitDuration, &w.Duration, c.exemplars.ofWait(w), "from", w.From, "to", w.To)
	}
	return err
}

func (c *Collector) collectOutcomes(out chan<- prometheus.Metric) error {
	counts, err := c.kernel.Outcomes()
	for i := range counts {
		o := &counts[i]
		out <- c.counter(c.journeys, o.Duration.Count(), o.Outcome.String())
		out <- c.histogram(c.journeyDuration, &o.Duration, c.exemplars.ofOutcome(o), "outcome", o.Outcome.String())
	}
	return err
}

// dropKey holds the label values of a drop. Rows of the kernel half can share
// them, since one name may stand for functions at several addresses.
type dropKey struct{ reason, subsystem, function, protocol, device string }

func newDropKey(reason, subsystem, function, protocol, device string) dropKey {
	return dropKey{valid(reason), valid(subsystem), valid(function), valid(protocol), valid(device)}
}

func (c *Collector) collectDrops(out chan<- prometheus.Metric) error {
	now := time.Now() // what is dropped from now on may be counted, or not
	rows, err := c.kernel.Drops()
	if err != nil {
		return err
	}
	type sum struct{ packets, bytes uint64 }
	sums := make(map[dropKey]sum, len(rows))
	for i := range rows {
		r := &rows[i]
		key := newDropKey(r.Reason, r.Subsystem, r.Function, r.Protocol, r.Interface)
		s := sums[key]
		sums[key] = sum{s.packets + r.Packets, s.bytes + r.Bytes}
	}
	keys := slices.Collect(maps.Keys(sums))
	for i, born := range c.births.at(now, keys) {
		k, s := keys[i], sums[keys[i]]
		packets := counterSince(born, c.droppedPackets, s.packets, k.reason, k.subsystem, k.function, k.protocol, k.device)
		out <- c.exemplars.ofDrop(k).onCounter(packets)
		out <- counterSince(born, c.droppedBytes, s.bytes, k.reason, k.subsystem, k.function, k.protocol, k.device)
	}
	return nil
}

func (c *Collector) collectProbes(out chan<- prometheus.Metric) {
	sums := make(map[string]int)
	for _, p := range c.kernel.Probes() {
		sums[valid(p.State)] += p.Count
	}
	for state, n := range sums {
		out <- prometheus.MustNewConstMetric(c.probes, prometheus.GaugeValue, float64(n), state)
	}
}

func (c *Collector) collectFill(out chan<- prometheus.Metric) {
	if c.fill == nil {
		return
	}
	for sink, ratio := range c.fill() {
		out <- prometheus.MustNewConstMetric(c.queueFill, prometheus.GaugeValue, ratio, sink)
	}
}

func (c *Collector) collectLosses(out chan<- prometheus.Metric) {
	losses := append(c.kernel.Losses(), journey.Loss{What: "series", Cause: "read_failed", Count: c.readsFailed.Load()})
	if c.losses != nil {
		losses = append(losses, c.losses()...)
	}
	sums := make(map[[2]string]uint64)
	for _, l := range losses {
		sums[[2]string{valid(l.What), valid(l.Cause)}] += l.Count
	}
	for key, n := range sums {
		out <- c.counter(c.lost, n, key[0], key[1])
	}
}

func (c *Collector) counter(d *prometheus.Desc, value uint64, values ...string) prometheus.Metric {
	return counterSince(c.loaded, d, value, values...)
}

func counterSince(created time.Time, d *prometheus.Desc, value uint64, values ...string) prometheus.Metric {
	return prometheus.MustNewConstMetricWithCreatedTimestamp(d, prometheus.CounterValue, float64(value), created, values...)
}

func (c *Collector) histogram(d *prometheus.Desc, h *journey.Histogram, last []exemplar, pairs ...string) prometheus.Metric {
	return &series{desc: d, labels: labels(pairs...), data: h, exemplars: last, created: c.loaded}
}

// labels builds label pairs from names, in order of the alphabet, and values.
func labels(pairs ...string) []*dto.LabelPair {
	all := make([]*dto.LabelPair, 0, len(pairs)/2)
	for i := 0; i < len(pairs); i += 2 {
		all = append(all, &dto.LabelPair{Name: &pairs[i], Value: &pairs[i+1]})
	}
	return all
}

// valid makes a label value out of any bytes: Prometheus takes UTF-8 only, and
// whoever may name an interface chooses its bytes.
func valid(value string) string { return strings.ToValidUTF8(value, "\uFFFD") }
