// SPDX-License-Identifier: Apache-2.0

package prom

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"

	"github.com/skbpath/skbpath/pkg/export/internal/exporttest"
	"github.com/skbpath/skbpath/pkg/tracer/journey"
)

// dropped is a packet that the first row of kernel() counts, seen at second at:
// the function of the drop is entered while the packet has another device.
func dropped(trace byte, at int64) *journey.Journey {
	return &journey.Journey{
		TraceID: journey.TraceID{0xab, 15: trace}, Start: time.Unix(at, 0), Duration: 3000,
		Outcome: journey.Dropped,
		Drop:    &journey.Drop{Reason: "NETFILTER_DROP", Subsystem: "core", Function: "nf_hook_slow", Protocol: "icmp", Hop: 1},
		Flow:    journey.Flow{NetworkType: "ipv4", Transport: "gre"}, // what was in it was dropped
		Hops: []journey.Hop{
			{Function: "ip_rcv", Duration: 512, Interface: "eth0"},
			{Function: "nf_hook_slow", Offset: 600, Duration: 2000, Interface: "eth0"},
			{Function: "kfree_skb_reason", Offset: 700, Duration: 100, Interface: "veth1"},
		},
		Waits: []journey.Wait{{From: "enqueue_to_backlog", To: "__netif_receive_skb", Offset: 512, Duration: 88 + 512}},
	}
}

func remember(t testing.TB, e *Exemplars, journeys ...*journey.Journey) {
	t.Helper()
	for _, j := range journeys {
		if err := e.Export(t.Context(), j); err != nil {
			t.Fatal(err)
		}
	}
}

// scrape asks for a format as Prometheus does, and returns what it gets.
func scrape(t *testing.T, k Kernel, e *Exemplars, format expfmt.Format) (string, expfmt.Format) {
	t.Helper()
	r := prometheus.NewPedanticRegistry()
	r.MustRegister(NewCollector(Config{Kernel: k, Loaded: loaded(), Exemplars: e}))
	request := httptest.NewRequest(http.MethodGet, "/metrics", nil)
	request.Header.Set("Accept", string(format))
	answer := httptest.NewRecorder()
	promhttp.HandlerFor(r, promhttp.HandlerOpts{EnableOpenMetrics: true}).ServeHTTP(answer, request)
	return answer.Body.String(), expfmt.ResponseFormat(answer.Result().Header)
}

// exemplarLines are the lines that have one.
func exemplarLines(text string) string {
	var lines strings.Builder
	for line := range strings.Lines(text) {
		if strings.Contains(line, " # {") {
			lines.WriteString(line)
		}
	}
	return lines.String()
}

// TestOpenMetrics is of the whole exposition: each exemplar is at its series and
// within its bucket, and the latest wins.
func TestOpenMetrics(t *testing.T) {
	e := NewExemplars()
	slow := dropped(3, 1700000003)
	slow.Hops, slow.Waits, slow.Duration = slow.Hops[:1], nil, time.Second // no such drop was counted
	remember(t, e, dropped(2, 1700000002), dropped(1, 1700000001), slow)
	text, format := scrape(t, kernel(), e, expfmt.NewFormat(expfmt.TypeOpenMetrics))
	if format.FormatType() != expfmt.TypeOpenMetrics {
		t.Errorf("the answer is %s", format)
	}
	exporttest.Golden(t, "exemplars.txt", exemplarLines(text))
	if !strings.HasSuffix(text, "# EOF\n") || strings.Contains(text, "_created") {
		t.Errorf("not what Prometheus takes:\n%s", text)
	}
}

// TestTextFormatHasNoExemplars: it cannot, and the buckets stay as they are.
func TestTextFormatHasNoExemplars(t *testing.T) {
	e := NewExemplars()
	remember(t, e, dropped(1, 1))
	with, _ := scrape(t, kernel(), e, expfmt.NewFormat(expfmt.TypeTextPlain))
	without, _ := scrape(t, kernel(), nil, expfmt.NewFormat(expfmt.TypeTextPlain))
	if with != without || strings.Contains(with, "trace_id") {
		t.Errorf("got\n%s\nwant\n%s", with, without)
	}
}

// TestProtobuf: every counter and histogram says when it began, and has its
// exemplars.
func TestProtobuf(t *testing.T) {
	e := NewExemplars()
	remember(t, e, dropped(1, 1700000001))
	body, format := scrape(t, kernel(), e, expfmt.NewFormat(expfmt.TypeProtoDelim))
	if format.FormatType() != expfmt.TypeProtoDelim {
		t.Fatalf("the answer is %s", format)
	}
	decoder := expfmt.NewDecoder(bufio.NewReader(strings.NewReader(body)), format)
	counts, exemplars := 0, 0
	for {
		var f dto.MetricFamily
		err := decoder.Decode(&f)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range f.GetMetric() {
			if m.GetGauge() != nil {
				continue
			}
			counts++
			created := m.GetCounter().GetCreatedTimestamp()
			if h := m.GetHistogram(); h != nil {
				created = h.GetCreatedTimestamp()
				for _, b := range h.GetBucket() {
					if b.GetExemplar() != nil {
						exemplars++
					}
				}
			}
			if m.GetCounter().GetExemplar() != nil {
				exemplars++
			}
			if got := created.AsTime(); !got.Equal(loaded()) {
				t.Errorf("%s was created at %v", f.GetName(), got)
			}
		}
	}
	if counts < 20 || exemplars != 4 {
		t.Errorf("%d counts, %d exemplars; want a lot and 4", counts, exemplars)
	}
}

// TestNoExemplarOfDurationsWithAHole: they may be longer than what was counted.
func TestNoExemplarOfDurationsWithAHole(t *testing.T) {
	e := NewExemplars()
	j := dropped(1, 1700000001)
	j.Incomplete = "hops"
	remember(t, e, j)
	text, _ := scrape(t, kernel(), e, expfmt.NewFormat(expfmt.TypeOpenMetrics))
	lines := exemplarLines(text)
	if strings.Contains(lines, "function_duration") || strings.Contains(lines, "wait_duration") {
		t.Errorf("exemplars of what nobody measured:\n%s", lines)
	}
	if strings.Count(lines, "\n") != 2 {
		t.Errorf("want one for the drop and one for the outcome, got\n%s", lines)
	}
}

func TestExemplarsAreBounded(t *testing.T) {
	e := NewExemplars()
	remember(t, e, dropped(1, 1))
	j := dropped(2, 2)
	for i := range 2 * maxDropExemplars {
		name := fmt.Sprint("f", i)
		j.Drop.Function, j.Hops[0].Function, j.Waits[0].From = name, name, name
		remember(t, e, j)
	}
	if len(e.drops) != maxDropExemplars || len(e.functions.of) != maxFunctionExemplars || len(e.waits.of) != maxWaitExemplars {
		t.Errorf("%d drops, %d functions, %d waits", len(e.drops), len(e.functions.of), len(e.waits.of))
	}
	remember(t, e, dropped(3, 3))
	if last := e.drops[dropKeyOf(dropped(1, 1))]; last.trace[15] != 3 {
		t.Errorf("a series that is known keeps trace %d", last.trace[15])
	}
}

// TestBuckets: whatever the bounds, an exemplar is in the bucket of its value.
func TestBuckets(t *testing.T) {
	for name, test := range map[string]struct {
		values []time.Duration // one a second
		counts []uint64        // up to 128, 512, 2048 and above
		want   string
	}{
		"none":                 {nil, []uint64{1, 1, 1, 1}, "[]"},
		"a bound is within":    {[]time.Duration{128, 512, 2048}, []uint64{1, 1, 1, 1}, "[128 512 2048 0]"},
		"just above":           {[]time.Duration{129, 513, 2049}, []uint64{1, 1, 1, 1}, "[0 129 513 2049]"},
		"the later one":        {[]time.Duration{500, 200}, []uint64{1, 1, 1, 1}, "[0 200 0 0]"},
		"the later one, again": {[]time.Duration{200, 500}, []uint64{1, 1, 1, 1}, "[0 500 0 0]"},
		"nothing, and days":    {[]time.Duration{0, 100 * time.Hour}, []uint64{1, 1, 1, 1}, "[0 0 0 360000000000000]"},
		"negative":             {[]time.Duration{-1}, []uint64{1, 1, 1, 1}, "[-1 0 0 0]"},
		"not counted":          {[]time.Duration{100, 200}, []uint64{1, 0, 1, 1}, "[100 0 0 0]"},
	} {
		f := newFamily[string](1)
		for i, value := range test.values {
			f.add("f", exemplar{journey.TraceID{1}, value, int64(i + 1)})
		}
		h := histogram(0, test.counts...)
		var got []int64
		for _, x := range f.buckets("f", &h) {
			got = append(got, int64(x.value))
		}
		if fmt.Sprint(got) != test.want {
			t.Errorf("%s: %v, want %s", name, got, test.want)
		}
	}
}

func TestExportDoesNotAllocate(t *testing.T) {
	e, j := NewExemplars(), dropped(1, 1)
	remember(t, e, j)
	ctx := t.Context()
	if n := testing.AllocsPerRun(100, func() { _ = e.Export(ctx, j) }); n != 0 {
		t.Errorf("%v allocations a journey", n)
	}
}

// BenchmarkExemplars is of journeys of 50 hops in 1,500 functions.
func BenchmarkExemplars(b *testing.B) {
	e := NewExemplars()
	journeys := make([]*journey.Journey, 30)
	for i := range journeys {
		journeys[i] = dropped(byte(i), int64(i))
		journeys[i].Hops = make([]journey.Hop, 50)
		for h := range journeys[i].Hops {
			journeys[i].Hops[h] = journey.Hop{Function: fmt.Sprint("some_function_", 50*i+h), Duration: time.Duration(h) << h % 30}
		}
		remember(b, e, journeys[i])
	}
	ctx := b.Context()
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		_ = e.Export(ctx, journeys[i%len(journeys)])
		i++
	}
}
