// SPDX-License-Identifier: Apache-2.0

package otlp

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/skbpath/skbpath/pkg/export/internal/exporttest"
	"github.com/skbpath/skbpath/pkg/tracer/journey"
)

func testOrigin() *origin {
	return &origin{
		resource: resource.NewSchemaless(semconv.ServiceName("skbpath")),
		scope:    instrumentation.Scope{Name: scopeName, Version: "1.2.3", SchemaURL: semconv.SchemaURL},
	}
}

func newForest() *forest { return &forest{origin: testOrigin()} }

func TestGoldenTrees(t *testing.T) {
	for _, n := range exporttest.Journeys() {
		t.Run(n.Name, func(t *testing.T) {
			spans := newForest().build([]*journey.Journey{n.Journey})
			exporttest.Golden(t, n.Name+".tree", render(n.Journey.Start, spans))
		})
	}
}

// render draws spans as a tree, children in the order of the batch.
func render(start time.Time, spans []sdktrace.ReadOnlySpan) string {
	children := make(map[trace.SpanID][]sdktrace.ReadOnlySpan)
	known := make(map[trace.SpanID]bool)
	for _, s := range spans {
		known[s.SpanContext().SpanID()] = true
	}
	var roots []sdktrace.ReadOnlySpan
	for _, s := range spans {
		if parent := s.Parent().SpanID(); known[parent] {
			children[parent] = append(children[parent], s)
		} else {
			roots = append(roots, s)
		}
	}
	var b strings.Builder
	var draw func(s sdktrace.ReadOnlySpan, depth int)
	draw = func(s sdktrace.ReadOnlySpan, depth int) {
		indent := strings.Repeat("    ", depth)
		fmt.Fprintf(&b, "%s%s [%d ns, %d ns]", indent, s.Name(), s.StartTime().Sub(start), s.EndTime().Sub(start))
		if status := s.Status(); status.Description != "" {
			fmt.Fprintf(&b, " %v: %s", status.Code, status.Description)
		}
		if depth == 0 && s.Parent().IsValid() {
			fmt.Fprintf(&b, " under %v/%v", s.Parent().TraceID(), s.Parent().SpanID())
		}
		b.WriteByte('\n')
		for _, kv := range s.Attributes() {
			fmt.Fprintf(&b, "%s  | %s = %s\n", indent, kv.Key, kv.Value.String())
		}
		for _, c := range children[s.SpanContext().SpanID()] {
			draw(c, depth+1)
		}
	}
	for _, r := range roots {
		draw(r, 0)
	}
	return b.String()
}

// TestEveryMethodWorks calls every method of the interface, so that one which a
// later SDK adds is not left to the embedded nil.
func TestEveryMethodWorks(t *testing.T) {
	s := newForest().build([]*journey.Journey{exporttest.NftDrop()})[0]
	kind := reflect.TypeFor[sdktrace.ReadOnlySpan]()
	called := 0
	for i := range kind.NumMethod() {
		m := kind.Method(i)
		if !m.IsExported() {
			continue
		}
		called++
		t.Run(m.Name, func(t *testing.T) {
			defer func() {
				if r := recover(); r != nil {
					t.Errorf("not implemented: %v", r)
				}
			}()
			reflect.ValueOf(s).MethodByName(m.Name).Call(nil)
		})
	}
	if called < 17 {
		t.Errorf("only %d methods were called", called)
	}
}

func TestSpansAreWellFormed(t *testing.T) {
	var journeys []*journey.Journey
	for _, n := range exporttest.Journeys() {
		journeys = append(journeys, n.Journey)
	}
	journeys = append(journeys, exporttest.Long(500, 40))
	journeys[len(journeys)-1].TraceID[15] = 0xff
	journeys[len(journeys)-1].ID = 0xabcdef
	f := newForest()
	for range 3 { // slabs are used again
		checkWellFormed(t, f.build(journeys))
	}
}

func checkWellFormed(t *testing.T, spans []sdktrace.ReadOnlySpan) {
	t.Helper()
	byID := make(map[trace.SpanID]sdktrace.ReadOnlySpan)
	children := make(map[trace.SpanID]int)
	for _, s := range spans {
		id := s.SpanContext().SpanID()
		if byID[id] != nil {
			t.Errorf("id %v occurs twice", id)
		}
		byID[id] = s
		if !strings.HasSuffix(s.Name(), " packet") { // a span cannot count the packets derived in it later
			children[s.Parent().SpanID()]++
		}
	}
	for _, s := range spans {
		c := s.SpanContext()
		if !c.IsValid() || c.TraceFlags() != trace.FlagsSampled|trace.FlagsRandom || c.IsRemote() {
			t.Errorf("%s: context %+v", s.Name(), c)
		}
		if !s.EndTime().After(s.StartTime()) {
			t.Errorf("%s ends %v after its start", s.Name(), s.EndTime().Sub(s.StartTime()))
		}
		if got := children[c.SpanID()]; s.ChildSpanCount() != got {
			t.Errorf("%s counts %d children, has %d", s.Name(), s.ChildSpanCount(), got)
		}
		if p := byID[s.Parent().SpanID()]; p != nil && !strings.HasSuffix(s.Name(), " packet") {
			if p.EndTime().Before(s.EndTime()) || p.StartTime().After(s.StartTime()) {
				t.Errorf("%s does not cover its child %s", p.Name(), s.Name())
			}
			if p.SpanContext().TraceID() != c.TraceID() {
				t.Errorf("%s and its parent are in different traces", s.Name())
			}
		}
		seen := make(map[string]bool)
		for _, kv := range s.Attributes() {
			if seen[string(kv.Key)] {
				t.Errorf("%s has %s twice", s.Name(), kv.Key)
			}
			seen[string(kv.Key)] = true
			if !utf8.ValidString(kv.Value.String()) {
				t.Errorf("%s: %s is not UTF-8", s.Name(), kv.Key)
			}
		}
	}
}

func TestDerivedJourneyHangsUnderItsParent(t *testing.T) {
	parent, clone := exporttest.Ping(), exporttest.Clone()
	spans := newForest().build([]*journey.Journey{parent, clone})
	var maker trace.SpanContext
	for _, s := range spans[:spanCount(parent)] {
		if s.SpanContext().SpanID() == spanID(parent.ID, hopPlace(clone.ParentHop)) {
			maker = s.SpanContext()
		}
	}
	derived := spans[spanCount(parent)]
	if !maker.IsValid() || derived.Parent().SpanID() != maker.SpanID() || derived.Parent().TraceID() != maker.TraceID() {
		t.Errorf("clone hangs under %v, want the hop %v", derived.Parent(), maker)
	}
	if spans[0].Parent().IsValid() {
		t.Errorf("an original packet has the parent %v", spans[0].Parent())
	}
}

func TestBadParentsAndWaitsStayInTheTree(t *testing.T) {
	j := exporttest.Ping()
	j.Hops[0].Parent, j.Hops[1].Parent, j.Hops[2].Parent = 5, 1, -7
	j.Waits = append(j.Waits, journey.Wait{From: "a", To: "b", After: 999})
	spans := newForest().build([]*journey.Journey{j})
	if len(spans) != spanCount(j) {
		t.Fatalf("%d spans, want %d", len(spans), spanCount(j))
	}
	for _, i := range []int{1, 2, 3} {
		if spans[i].Parent().SpanID() != spans[0].SpanContext().SpanID() {
			t.Errorf("span %d is not under the root", i)
		}
	}
}

// TestRootNamesAreFew feeds every protocol and EtherType through the parser.
func TestRootNamesAreFew(t *testing.T) {
	names := make(map[string]bool)
	for p := range 256 {
		frame := make([]byte, 54)
		frame[12], frame[13], frame[14], frame[23] = 0x08, 0x00, 0x45, byte(p)
		f := journey.ParseFlow(frame)
		names[rootName(&f)] = true
	}
	for kind := range 65536 {
		frame := make([]byte, 14)
		frame[12], frame[13] = byte(kind>>8), byte(kind)
		f := journey.ParseFlow(frame)
		names[rootName(&f)] = true
	}
	if len(names) > 30 || !names["icmp packet"] || !names["ipv4 packet"] || !names["arp packet"] || !names["packet"] {
		t.Errorf("%d root names: %v", len(names), names)
	}
}

func TestSpanIDs(t *testing.T) {
	seen := make(map[trace.SpanID]bool)
	for id := range uint64(100) {
		for i := range 1000 {
			for _, at := range []place{hopPlace(i), waitPlace(i)} {
				s := spanID(id, at)
				if seen[s] || !s.IsValid() {
					t.Fatalf("journey %d, place %d: id %v", id, at, s)
				}
				seen[s] = true
			}
		}
	}
	if first, again := spanID(7, 3), spanID(7, 3); first != again {
		t.Error("the same span got two ids")
	}
}

func BenchmarkBuild(b *testing.B) {
	f := newForest()
	batch := []*journey.Journey{exporttest.Long(100, 50)}
	f.build(batch)
	b.ReportAllocs()
	for b.Loop() {
		f.build(batch)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*101), "ns/span")
}
