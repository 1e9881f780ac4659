// SPDX-License-Identifier: Apache-2.0

package prom

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
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
	drops  []journey.DropCount
	losses []journey.Loss
	probes []journey.ProbeCount
	err    error
}

func (k *fakeKernel) Drops() ([]journey.DropCount, error) { return k.drops, k.err }
func (k *fakeKernel) Losses() []journey.Loss              { return k.losses }
func (k *fakeKernel) Probes() []journey.ProbeCount        { return k.probes }
func fanoutLosses() []journey.Loss {
	return []journey.Loss{{What: "journey", Cause: "otlp_queue_full", Count: 4}, {What: "hop", Cause: "ring_full", Count: 1}}
}

func kernel() *fakeKernel {
	return &fakeKernel{
		drops: []journey.DropCount{
			{Reason: "NETFILTER_DROP", Subsystem: "core", Function: "nf_hook_slow", Protocol: "icmp", Interface: "veth1", Packets: 3, Bytes: 252},
			{Reason: "NO_SOCKET", Subsystem: "core", Function: "udp_rcv", Protocol: "udp", Packets: 1, Bytes: 40},
			{Reason: "NO_SOCKET", Subsystem: "core", Function: "udp_rcv", Protocol: "udp", Packets: 2, Bytes: 60}, // a second address
			{Reason: "NO_SOCKET", Subsystem: "core", Function: "udp_rcv", Protocol: "udp", Interface: "et\x80h", Packets: 5, Bytes: 6},
		},
		losses: []journey.Loss{{What: "hop", Cause: "ring_full", Count: 2}, {What: "journey", Cause: "map_full"}},
		probes: []journey.ProbeCount{{State: "attached", Count: 1452}, {State: "refused", Count: 3}, {State: "skipped"}},
	}
}

func filled(t testing.TB) *Sink {
	t.Helper()
	s := NewSink()
	for _, n := range exporttest.Journeys() {
		if err := s.Export(t.Context(), n.Journey); err != nil {
			t.Fatal(err)
		}
	}
	return s
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
	c := NewCollector(filled(t), kernel(), fanoutLosses, nil)
	exporttest.Golden(t, "metrics.txt", exposition(t, c))
}

func TestEmptyExposition(t *testing.T) {
	c := NewCollector(NewSink(), nil, nil, nil)
	got := exposition(t, c)
	exporttest.Golden(t, "empty.txt", got)
	for _, o := range journey.Outcomes() {
		if want := fmt.Sprintf("skbpath_journeys_total{outcome=%q} 0\n", o); !strings.Contains(got, want) {
			t.Errorf("no %s", want)
		}
	}
}

func TestLint(t *testing.T) {
	for _, c := range []prometheus.Collector{NewCollector(filled(t), kernel(), fanoutLosses, nil), BuildInfo()} {
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
	c := NewCollector(NewSink(), k, nil, nil)
	exposition(t, c)
	got := exposition(t, c)
	if strings.Contains(got, "dropped_packets_total") {
		t.Error("drops that could not be read are reported")
	}
	if want := `skbpath_lost_total{cause="read_failed",what="drop"} 2`; !strings.Contains(got, want) {
		t.Errorf("no %s in\n%s", want, got)
	}
}

func TestSeriesAreBounded(t *testing.T) {
	s := NewSink()
	const extra = 7
	for i := range maxFunctions + extra {
		j := &journey.Journey{
			Hops:  []journey.Hop{{Function: fmt.Sprintf("f%d", i)}},
			Waits: []journey.Wait{{From: fmt.Sprintf("f%d", i), To: "g"}},
		}
		for range 2 {
			if err := s.Export(t.Context(), j); err != nil {
				t.Fatal(err)
			}
		}
	}
	got := exposition(t, NewCollector(s, nil, nil, nil))
	for _, want := range []string{
		fmt.Sprintf(`skbpath_function_calls_total{function="other"} %d`, 2*extra),
		fmt.Sprintf(`skbpath_lost_total{cause="function_limit",what="series"} %d`, 2*extra),
		fmt.Sprintf(`skbpath_wait_duration_seconds_count{from="other",to="other"} %d`, 2*(maxFunctions+extra-maxWaits)),
		fmt.Sprintf(`skbpath_lost_total{cause="wait_limit",what="series"} %d`, 2*(maxFunctions+extra-maxWaits)),
		`skbpath_function_calls_total{function="f1999"} 2`,
	} {
		if !strings.Contains(got, want+"\n") {
			t.Errorf("no %s", want)
		}
	}
	if strings.Contains(got, `function="f2000"`) {
		t.Error("a function beyond the limit has a series")
	}
}

func TestNamesThatAreNotUTF8(t *testing.T) {
	s := NewSink()
	for _, name := range []string{"a\xff", "a\xfe", "a\uFFFD"} { // all the same label value
		j := &journey.Journey{Hops: []journey.Hop{{Function: name}}, Waits: []journey.Wait{{From: name}}}
		if err := s.Export(t.Context(), j); err != nil {
			t.Fatal(err)
		}
	}
	got := exposition(t, NewCollector(s, nil, nil, nil))
	if want := "skbpath_function_calls_total{function=\"a\uFFFD\"} 3\n"; !strings.Contains(got, want) {
		t.Errorf("no %s", want)
	}
}

func TestBuckets(t *testing.T) {
	for _, l := range []layout{functionLayout(), stageLayout()} {
		bounds := l.bounds()
		if len(bounds) >= maxBuckets {
			t.Errorf("%d bounds do not fit", len(bounds))
		}
		for i, b := range bounds {
			ns := time.Duration(b*1e9 + 0.5)
			if got := l.index(ns); got != i {
				t.Errorf("%v is in bucket %d, want %d: bounds are inclusive", ns, got, i)
			}
			if got := l.index(ns + 1); got != i+1 {
				t.Errorf("%v is in bucket %d, want %d", ns+1, got, i+1)
			}
		}
		for _, d := range []time.Duration{-5, 0, 1} {
			if got := l.index(d); got != 0 {
				t.Errorf("%d ns is in bucket %d", d, got)
			}
		}
		if got := l.index(1<<63 - 1); got != l.count {
			t.Errorf("the longest duration is in bucket %d", got)
		}
	}
}

func TestExportAndCollectAtOnce(t *testing.T) {
	s := NewSink()
	c := NewCollector(s, kernel(), fanoutLosses, nil)
	j := exporttest.Long(60, 40)
	const writers, each = 3, 200
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for range each {
				if err := s.Export(t.Context(), j); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 5 {
		exposition(t, c)
	}
	wg.Wait()
	want := fmt.Sprintf("skbpath_journeys_total{outcome=\"delivered\"} %d\n", writers*each)
	if got := exposition(t, c); !strings.Contains(got, want) {
		t.Errorf("no %s", want)
	}
}

func TestExportDoesNotAllocate(t *testing.T) {
	s := filled(t)
	j := exporttest.Long(60, 40)
	if n := testing.AllocsPerRun(100, func() { _ = s.Export(t.Context(), j) }); n != 0 {
		t.Errorf("%v allocations per journey", n)
	}
}

func BenchmarkExport(b *testing.B) {
	s := NewSink()
	j := exporttest.Long(60, 60)
	ctx := b.Context()
	_ = s.Export(ctx, j)
	b.ReportAllocs()
	for b.Loop() {
		_ = s.Export(ctx, j)
	}
}

func BenchmarkScrape(b *testing.B) {
	s := NewSink()
	_ = s.Export(b.Context(), exporttest.Long(3000, 1500))
	r := prometheus.NewRegistry()
	r.MustRegister(NewCollector(s, kernel(), fanoutLosses, nil))
	var out bytes.Buffer
	b.ReportAllocs()
	for b.Loop() {
		out.Reset()
		families, err := r.Gather()
		if err != nil {
			b.Fatal(err)
		}
		encoder := expfmt.NewEncoder(&out, expfmt.NewFormat(expfmt.TypeTextPlain))
		for _, f := range families {
			if err := encoder.Encode(f); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(out.Len()), "bytes/scrape")
}
