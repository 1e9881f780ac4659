// SPDX-License-Identifier: Apache-2.0

package otlp

import (
	"bytes"
	"math"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"go.opentelemetry.io/otel/sdk/resource"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/skbpath/skbpath/pkg/export/internal/exporttest"
	"github.com/skbpath/skbpath/pkg/tracer/journey"
)

// TestBytesAreTheSDKs: what the encoder writes is, byte for byte, what the SDK's
// exporter and proto.Marshal write.
func TestBytesAreTheSDKs(t *testing.T) {
	for _, n := range append(exporttest.Journeys(),
		exporttest.Named{Name: "long", Journey: exporttest.Long(300, 40)},
		exporttest.Named{Name: "crowded", Journey: crowded(50)},
	) {
		t.Run(n.Name, func(t *testing.T) {
			want, err := proto.Marshal(&tracepb.ScopeSpans{Spans: fromSDK(t, resource.Empty(), n.Journey).ScopeSpans[0].Spans})
			if err != nil {
				t.Fatal(err)
			}
			got := new(forest).build([]*journey.Journey{n.Journey})
			if !bytes.Equal(got, want) {
				t.Errorf("spans are\n%v, want\n%v", decode(t, got), decode(t, want))
			}
		})
	}
}

// TestRequestIsTheSDKs: resource, scope and schemas included.
func TestRequestIsTheSDKs(t *testing.T) {
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test,empty=,bad=%ff")
	described, err := newResource(t.Context(), "1.2.3")
	if err != nil {
		t.Fatal(err)
	}
	r := newRequest(described, "1.2.3")
	r.fill(new(forest).build([]*journey.Journey{exporttest.Ping(), exporttest.Clone()}))
	encoded, err := proto.Marshal(r.resources[0])
	if err != nil {
		t.Fatal(err)
	}
	var got tracepb.ResourceSpans
	if err := proto.Unmarshal(encoded, &got); err != nil {
		t.Fatal(err)
	}
	want := fromSDK(t, described, exporttest.Ping(), exporttest.Clone())
	for _, kv := range want.Resource.Attributes {
		if kv.Key == "bad" { // the SDK's exporter leaves it, and proto.Marshal refuses
			kv.Value = textValue("\uFFFD")
		}
	}
	if !proto.Equal(&got, want) {
		t.Errorf("request is\n%v, want\n%v", &got, want)
	}
}

// FuzzEncode encodes journeys that make no sense, two at a time with memory that
// has been used.
func FuzzEncode(f *testing.F) {
	for _, seed := range []uint64{0, 1, 2, 3, 0xfeed} {
		f.Add(seed, "ip_rcv\x00veth0\xff")
	}
	var forest forest
	f.Fuzz(func(t *testing.T, seed uint64, names string) {
		g := &generator{rand.New(rand.NewPCG(seed, 0)), names}
		batch := []*journey.Journey{g.journey(), g.journey()}
		got := decode(t, forest.build(batch))
		want := fromSDK(t, resource.Empty(), batch...).ScopeSpans[0].Spans
		if len(got) != len(want) {
			t.Fatalf("%d spans, want %d", len(got), len(want))
		}
		for i := range want {
			if !proto.Equal(got[i], want[i]) {
				t.Fatalf("span %d is\n%v, want\n%v", i, got[i], want[i])
			}
		}
	})
}

// generator makes up journeys.
type generator struct {
	*rand.Rand
	names string
}

func (g *generator) text() string {
	from := g.IntN(len(g.names) + 1)
	return g.names[from : from+g.IntN(len(g.names)-from+1)]
}

func (g *generator) time() time.Duration {
	return time.Duration(g.Int64()>>g.IntN(64)) * time.Duration(1-2*g.IntN(2)) / 4
}

func (g *generator) small(n int) int { return g.IntN(n+2) - 1 }

func (g *generator) endpoint() journey.Endpoint {
	if g.IntN(3) == 0 {
		return journey.Endpoint{}
	}
	return journey.Endpoint{Address: netip.AddrFrom4([4]byte{10, 0, 0, byte(g.Int())}), Port: uint16(g.Int() >> g.IntN(64))}
}

func (g *generator) journey() *journey.Journey {
	j := &journey.Journey{
		TraceID: journey.TraceID{byte(g.Int()), 15: 1}, ID: g.Uint64(), ParentID: g.Uint64() >> g.IntN(65), ParentHop: g.small(9),
		Lineage: journey.Lineage(g.IntN(7)), Start: time.Unix(0, int64(g.time())), Duration: g.time(),
		Outcome: journey.Outcome(g.IntN(7)), Incomplete: g.text(),
		Flow: journey.Flow{
			NetworkType: g.text(), Transport: g.text(), Source: g.endpoint(), Destination: g.endpoint(),
			Fragment: g.IntN(2) == 0, VLAN: uint16(g.IntN(3)),
		},
		Sampling: journey.Sampling{Threshold: g.Uint32() << g.IntN(33), Unknown: g.IntN(4) == 0},
	}
	if g.IntN(2) == 0 {
		j.Process = &journey.Process{PID: g.Int() >> g.IntN(64), Command: g.text(), Container: g.text(), PodUID: g.text()}
	}
	hops := g.IntN(9)
	if g.IntN(2) == 0 {
		j.Drop = &journey.Drop{Reason: g.text(), Subsystem: g.text(), Function: g.text(), Hop: g.small(hops)}
	}
	for range hops {
		j.Hops = append(j.Hops, journey.Hop{
			Function: valid(g.text()), Caller: valid(g.text()), Via: valid(g.text()), Parent: g.small(hops), Offset: g.time(), Duration: g.time(),
			Exact: g.IntN(2) == 0, CPU: g.small(300), Interface: g.text(), Netns: uint32(g.IntN(3)), NetnsName: g.text(),
			Length: uint32(g.IntN(2)) * g.Uint32(), Mark: uint32(g.IntN(2)) * g.Uint32(),
		})
	}
	for range g.IntN(4) {
		j.Waits = append(j.Waits, journey.Wait{From: g.text(), To: g.text(), After: g.small(hops), Offset: g.time(), Duration: g.time()})
	}
	return j
}

// TestMemoryIsGivenBack after a request that was larger than any that is full.
func TestMemoryIsGivenBack(t *testing.T) {
	var f forest
	large := exporttest.Long(math.MaxUint16, 10)
	large.Hops[0].Function = string(make([]byte, keepBytes))
	f.build([]*journey.Journey{large})
	if cap(f.spans) <= keepBytes {
		t.Fatalf("%d bytes are no large request", cap(f.spans))
	}
	f.build([]*journey.Journey{exporttest.Bare()})
	if kept := cap(f.spans); kept > 10_000 || cap(f.nodes) > 100 || cap(f.hopNode) > 100 {
		t.Errorf("%d bytes are kept, %d nodes", kept, cap(f.nodes))
	}
}

// TestHopsDoNotAllocate: what is allocated is for the journey's ids and addresses.
// A pool below fmt may be empty at any time, so some allocations come and go.
func TestHopsDoNotAllocate(t *testing.T) {
	var f forest
	allocations := func(hops int) float64 {
		batch := []*journey.Journey{exporttest.Long(hops, 50)}
		return testing.AllocsPerRun(10, func() { f.build(batch) })
	}
	if few, many := allocations(1), allocations(1000); many > few+10 {
		t.Errorf("%v allocations for a journey of 1 hop, %v for one of 1000", few, many)
	}
}

// BenchmarkEncode is all from journeys to the bytes of a request, as a client
// makes them.
func BenchmarkEncode(b *testing.B) {
	var (
		f     forest
		batch []*journey.Journey
		size  int
	)
	for range 5 {
		batch = append(batch, exporttest.Long(100, 50))
	}
	resource, err := newResource(b.Context(), "1.2.3")
	if err != nil {
		b.Fatal(err)
	}
	r := newRequest(resource, "1.2.3")
	b.ReportAllocs()
	for b.Loop() {
		r.fill(f.build(batch))
		body, err := proto.Marshal(&collector.ExportTraceServiceRequest{ResourceSpans: r.resources})
		if err != nil {
			b.Fatal(err)
		}
		size = len(body)
	}
	spans := 5 * spanCount(batch[0])
	b.ReportMetric(float64(b.N*spans)/b.Elapsed().Seconds(), "spans/s")
	b.ReportMetric(float64(size)/float64(spans), "bytes/span")
}
