// SPDX-License-Identifier: Apache-2.0

package prom

import (
	"log/slog"
	"strings"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	version "github.com/prometheus/client_golang/prometheus/collectors/version"
	dto "github.com/prometheus/client_model/go"

	"github.com/skbpath/skbpath/pkg/export/internal/quiet"
	"github.com/skbpath/skbpath/pkg/tracer/journey"
)

// Kernel is what the kernel half counts by itself, host-wide, whatever the
// filter and the sampling.
type Kernel interface {
	Drops() ([]journey.DropCount, error)
	Losses() []journey.Loss
	Probes() []journey.ProbeCount
}

// Collector reports the metrics of skbpath. It never fails a scrape: counts
// that cannot be read are left out of it, logged, and counted in
// lost_total{what="drop",cause="read_failed"}.
type Collector struct {
	sink   *Sink
	kernel Kernel
	losses func() []journey.Loss
	log    *quiet.Logger

	readsFailed atomic.Uint64
	descriptions
	functionBounds, stageBounds []float64
}

var _ prometheus.Collector = (*Collector)(nil)

// NewCollector reports sink, kernel, and the losses of the fan-out, which are
// Fanout.Losses. A nil kernel or losses reports nothing of it; a nil log
// discards.
func NewCollector(sink *Sink, kernel Kernel, losses func() []journey.Loss, log *slog.Logger) *Collector {
	return &Collector{
		sink:           sink,
		kernel:         kernel,
		losses:         losses,
		log:            quiet.New(log, quiet.DefaultInterval),
		descriptions:   describe(),
		functionBounds: sink.functionLayout.bounds(),
		stageBounds:    sink.stageLayout.bounds(),
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
	s := c.sink.snapshot()
	c.collectFunctions(out, s.functions)
	c.collectStages(out, &s)
	c.collectDrops(out)
	c.collectProbes(out)
	c.collectLosses(out, &s) // last: it counts failures of those before
}

func (c *Collector) collectFunctions(out chan<- prometheus.Metric, functions []functionSnapshot) {
	for i := range functions {
		f := &functions[i]
		out <- counter(c.functionCalls, f.calls, f.name)
		out <- &series{
			desc: c.functionDuration, labels: labels("function", f.name),
			bounds: c.functionBounds, data: f.durations,
		}
	}
}

func (c *Collector) collectStages(out chan<- prometheus.Metric, s *snapshot) {
	for i := range s.waits {
		w := &s.waits[i]
		out <- &series{
			desc: c.waitDuration, labels: labels("from", w.from, "to", w.to),
			bounds: c.stageBounds, data: w.histogram,
		}
	}
	for i, outcome := range journey.Outcomes() {
		h := &s.outcomes[i]
		out <- counter(c.journeys, h.total(), outcome.String())
		out <- &series{
			desc: c.journeyDuration, labels: labels("outcome", outcome.String()),
			bounds: c.stageBounds, data: *h,
		}
	}
}

// dropKey holds the label values of a drop. Rows of the kernel half can share
// them, since one name may stand for functions at several addresses.
type dropKey struct{ reason, subsystem, function, protocol, device string }

func (c *Collector) collectDrops(out chan<- prometheus.Metric) {
	if c.kernel == nil {
		return
	}
	rows, err := c.kernel.Drops()
	if err != nil {
		c.readsFailed.Add(1)
		c.log.Error("cannot read drop counts", "err", err)
		return
	}
	type sum struct{ packets, bytes uint64 }
	sums := make(map[dropKey]sum, len(rows))
	for i := range rows {
		r := &rows[i]
		key := dropKey{valid(r.Reason), valid(r.Subsystem), valid(r.Function), valid(r.Protocol), valid(r.Interface)}
		s := sums[key]
		sums[key] = sum{s.packets + r.Packets, s.bytes + r.Bytes}
	}
	for k, s := range sums {
		out <- counter(c.droppedPackets, s.packets, k.reason, k.subsystem, k.function, k.protocol, k.device)
		out <- counter(c.droppedBytes, s.bytes, k.reason, k.subsystem, k.function, k.protocol, k.device)
	}
}

func (c *Collector) collectProbes(out chan<- prometheus.Metric) {
	if c.kernel == nil {
		return
	}
	sums := make(map[string]int)
	for _, p := range c.kernel.Probes() {
		sums[valid(p.State)] += p.Count
	}
	for state, n := range sums {
		out <- prometheus.MustNewConstMetric(c.probes, prometheus.GaugeValue, float64(n), state)
	}
}

func (c *Collector) collectLosses(out chan<- prometheus.Metric, s *snapshot) {
	losses := []journey.Loss{
		{What: "series", Cause: "function_limit", Count: s.foldedHops},
		{What: "series", Cause: "wait_limit", Count: s.foldedWaits},
	}
	if c.kernel != nil {
		losses = append(losses, journey.Loss{What: "drop", Cause: "read_failed", Count: c.readsFailed.Load()})
		losses = append(losses, c.kernel.Losses()...)
	}
	if c.losses != nil {
		losses = append(losses, c.losses()...)
	}
	sums := make(map[[2]string]uint64)
	for _, l := range losses {
		sums[[2]string{valid(l.What), valid(l.Cause)}] += l.Count
	}
	for key, n := range sums {
		out <- counter(c.lost, n, key[0], key[1])
	}
}

func counter(d *prometheus.Desc, value uint64, values ...string) prometheus.Metric {
	return prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(value), values...)
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
