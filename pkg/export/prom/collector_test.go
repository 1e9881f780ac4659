// SPDX-License-Identifier: Apache-2.0

package prom

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/common/expfmt"

	"github.com/skbpath/skbpath/pkg/export/internal/exporttest"
	"github.com/skbpath/skbpath/pkg/tracer/journey"
)

// fakeKernel returns what it is told to.
type fakeKernel struct {
	drops     []journey.DropCount
	functions []journey.FunctionCount
	waits     []journey.WaitCount
	outcomes  []journey.OutcomeCount
	losses    []journey.Loss
	probes    []journey.ProbeCount
	err       error
}

func (k *fakeKernel) Drops() ([]journey.DropCount, error)         { return k.drops, k.err }
func (k *fakeKernel) Functions() ([]journey.FunctionCount, error) { return k.functions, nil }
func (k *fakeKernel) Waits() ([]journey.WaitCount, error)         { return k.waits, nil }
func (k *fakeKernel) Outcomes() ([]journey.OutcomeCount, error)   { return k.outcomes, nil }
func (k *fakeKernel) Losses() []journey.Loss                      { return k.losses }
func (k *fakeKernel) Probes() []journey.ProbeCount                { return k.probes }

func fanoutLosses() []journey.Loss {
	return []journey.Loss{{What: "journey", Cause: "otlp_queue_full", Count: 4}, {What: "hop", Cause: "ring_full", Count: 1}}
}

func fanoutFill() map[string]float64 { return map[string]float64{"otlp": 0.25, "print": 0} }

// histogram has counts in the buckets up to 128 ns, 512 ns and 2048 ns, and above.
func histogram(sum time.Duration, counts ...uint64) journey.Histogram {
	return journey.Histogram{Bounds: []time.Duration{128, 512, 2048}, Counts: counts, Sum: sum}
}

func kernel() *fakeKernel {
	k := &fakeKernel{
		drops: []journey.DropCount{
			{Reason: "NETFILTER_DROP", Subsystem: "core", Function: "nf_hook_slow", Protocol: "icmp", Interface: "veth1", Packets: 3, Bytes: 252},
			{Reason: "NO_SOCKET", Subsystem: "core", Function: "udp_rcv", Protocol: "udp", Packets: 1, Bytes: 40},
			{Reason: "NO_SOCKET", Subsystem: "core", Function: "udp_rcv", Protocol: "udp", Packets: 2, Bytes: 60}, // a second address
			{Reason: "NO_SOCKET", Subsystem: "core", Function: "udp_rcv", Protocol: "udp", Interface: "et\x80h", Packets: 5, Bytes: 6},
		},
		functions: []journey.FunctionCount{
			{Function: "ip_rcv", Calls: 6, Duration: histogram(3*time.Microsecond, 1, 2, 3, 0)},
			{Function: "net:net_dev_xmit", Calls: 3, Duration: histogram(time.Second, 0, 0, 0, 1)},
		},
		waits: []journey.WaitCount{
			{From: "enqueue_to_backlog", To: "__netif_receive_skb", Duration: histogram(900, 0, 1, 1, 0)},
		},
		losses: []journey.Loss{{What: "hop", Cause: "ring_full", Count: 2}, {What: "journey", Cause: "map_full"}},
		probes: []journey.ProbeCount{{State: "attached", Count: 1452}, {State: "refused", Count: 3}, {State: "skipped"}},
	}
	for i, outcome := range journey.Outcomes() {
		k.outcomes = append(k.outcomes, journey.OutcomeCount{Outcome: outcome, Duration: histogram(time.Duration(i)*5*time.Microsecond, 0, 0, 0, uint64(i))})
	}
	return k
}

func loaded() time.Time { return time.Unix(1700000000, 0) }

func collector(k Kernel) *Collector {
	return NewCollector(Config{Kernel: k, Loaded: loaded(), Losses: fanoutLosses, Fill: fanoutFill})
}

// exposition scrapes through a pedantic registry, which checks every metric
// against its description.
func exposition(t testing.TB, c prometheus.Collector) string {
	t.Helper()
	r := prometheus.NewPedanticRegistry()
	if err := r.Register(c); err != nil {
		t.Fatal(err)
	}
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	for _, f := range families {
		if _, err := expfmt.MetricFamilyToText(&b, f); err != nil {
			t.Fatal(err)
		}
	}
	return b.String()
}

func TestExposition(t *testing.T) {
	exporttest.Golden(t, "metrics.txt", exposition(t, collector(kernel())))
}

func TestEmptyExposition(t *testing.T) {
	exporttest.Golden(t, "empty.txt", exposition(t, NewCollector(Config{Kernel: &fakeKernel{}, Loaded: loaded()})))
}

func TestLint(t *testing.T) {
	for _, c := range []prometheus.Collector{collector(kernel()), BuildInfo()} {
		problems, err := testutil.CollectAndLint(c)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range problems {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
}

func TestUnreadableDropsDoNotFailTheScrape(t *testing.T) {
	k := kernel()
	k.err = errors.New("bad file descriptor")
	c := NewCollector(Config{Kernel: k, Loaded: loaded()})
	exposition(t, c)
	got := exposition(t, c)
	if strings.Contains(got, "dropped_packets_total") {
		t.Error("drops that could not be read are reported")
	}
	for _, want := range []string{`skbpath_lost_total{cause="read_failed",what="series"} 2`, `skbpath_function_calls_total{function="ip_rcv"} 6`} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s in\n%s", want, got)
		}
	}
}

// BenchmarkScrape is of a kernel with 1,500 functions.
func BenchmarkScrape(b *testing.B) {
	k := kernel()
	bounds := make([]time.Duration, 13)
	for i := range bounds {
		bounds[i] = 128 << (2 * i)
	}
	for i := range 1500 {
		h := journey.Histogram{Bounds: bounds, Counts: make([]uint64, len(bounds)+1), Sum: time.Second}
		k.functions = append(k.functions, journey.FunctionCount{Function: fmt.Sprintf("f%d", i), Duration: h})
	}
	r := prometheus.NewRegistry()
	r.MustRegister(NewCollector(Config{Kernel: k, Loaded: loaded()}))
	b.ReportAllocs()
	for b.Loop() {
		families, err := r.Gather()
		if err != nil {
			b.Fatal(err)
		}
		for _, f := range families {
			if _, err := expfmt.MetricFamilyToText(io.Discard, f); err != nil {
				b.Fatal(err)
			}
		}
	}
}
