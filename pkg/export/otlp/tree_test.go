// SPDX-License-Identifier: Apache-2.0

package otlp

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/skbpath/skbpath/pkg/export/internal/exporttest"
	"github.com/skbpath/skbpath/pkg/tracer/journey"
)

// decode reads the spans of a build as a backend does.
func decode(t testing.TB, encoded []byte) []*tracepb.Span {
	t.Helper()
	var scope tracepb.ScopeSpans
	if err := proto.Unmarshal(encoded, &scope); err != nil {
		t.Fatal(err)
	}
	if unknown := scope.ProtoReflect().GetUnknown(); len(unknown) != 0 {
		t.Fatalf("%d bytes are no spans", len(unknown))
	}
	return scope.Spans
}

// built are the spans of journeys, read back.
func built(t testing.TB, journeys ...*journey.Journey) []*tracepb.Span {
	t.Helper()
	return decode(t, new(forest).build(journeys))
}

// id reads what spanID has made.
func id(raw []byte) uint64 { return binary.BigEndian.Uint64(raw) }

func TestGoldenTrees(t *testing.T) {
	for _, n := range exporttest.Journeys() {
		t.Run(n.Name, func(t *testing.T) {
			exporttest.Golden(t, n.Name+".tree", render(n.Journey.Start, built(t, n.Journey)))
		})
	}
}

// render draws spans as a tree, children in the order of the batch.
func render(start time.Time, spans []*tracepb.Span) string {
	children := make(map[string][]*tracepb.Span)
	known := make(map[string]bool)
	for _, s := range spans {
		known[string(s.SpanId)] = true
	}
	var roots []*tracepb.Span
	for _, s := range spans {
		if parent := string(s.ParentSpanId); known[parent] {
			children[parent] = append(children[parent], s)
		} else {
			roots = append(roots, s)
		}
	}
	var b strings.Builder
	var draw func(s *tracepb.Span, depth int)
	draw = func(s *tracepb.Span, depth int) {
		indent := strings.Repeat("    ", depth)
		fmt.Fprintf(&b, "%s%s [%d ns, %d ns]", indent, s.Name,
			int64(s.StartTimeUnixNano)-start.UnixNano(), int64(s.EndTimeUnixNano)-start.UnixNano())
		if s.Status.Code == tracepb.Status_STATUS_CODE_ERROR {
			fmt.Fprintf(&b, " Error: %s", s.Status.Message)
		}
		if depth == 0 && len(s.ParentSpanId) != 0 {
			fmt.Fprintf(&b, " under %x/%x", s.TraceId, s.ParentSpanId)
		}
		if depth == 0 {
			fmt.Fprintf(&b, " tracestate %q", s.TraceState)
		}
		b.WriteByte('\n')
		for _, kv := range s.Attributes {
			fmt.Fprintf(&b, "%s  | %s = %s\n", indent, kv.Key, valueText(kv.Value))
		}
		for _, c := range children[string(s.SpanId)] {
			draw(c, depth+1)
		}
	}
	for _, r := range roots {
		draw(r, 0)
	}
	return b.String()
}

func valueText(v *commonpb.AnyValue) string {
	switch v := v.Value.(type) {
	case *commonpb.AnyValue_StringValue:
		return v.StringValue
	case *commonpb.AnyValue_IntValue:
		return strconv.FormatInt(v.IntValue, 10)
	case *commonpb.AnyValue_BoolValue:
		return strconv.FormatBool(v.BoolValue)
	default:
		return fmt.Sprintf("unexpected %T", v)
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
	var f forest
	for range 3 { // slabs are used again
		checkWellFormed(t, decode(t, f.build(journeys)))
	}
}

func checkWellFormed(t *testing.T, spans []*tracepb.Span) {
	t.Helper()
	byID := make(map[uint64]*tracepb.Span)
	for _, s := range spans {
		if id(s.SpanId) == 0 || byID[id(s.SpanId)] != nil {
			t.Errorf("id %x is none or occurs twice", s.SpanId)
		}
		byID[id(s.SpanId)] = s
	}
	for _, s := range spans {
		if len(s.TraceId) != 16 || s.Flags != 0x103 { // sampled, random, and: it is known whether the parent is remote
			t.Errorf("%s: trace %x, flags %#x", s.Name, s.TraceId, s.Flags)
		}
		if s.EndTimeUnixNano <= s.StartTimeUnixNano {
			t.Errorf("%s ends %v after its start", s.Name, s.EndTimeUnixNano-s.StartTimeUnixNano)
		}
		if !strings.HasSuffix(s.Name, "packet") { // a span cannot cover the packets derived in it later
			p := byID[id(s.ParentSpanId)]
			if p == nil || p.EndTimeUnixNano < s.EndTimeUnixNano || p.StartTimeUnixNano > s.StartTimeUnixNano {
				t.Errorf("%v does not cover its child %s", p, s.Name)
			} else if !bytes.Equal(p.TraceId, s.TraceId) {
				t.Errorf("%s and its parent are in different traces", s.Name)
			}
		}
		seen := make(map[string]bool)
		for _, kv := range s.Attributes {
			if seen[kv.Key] {
				t.Errorf("%s has %s twice", s.Name, kv.Key)
			}
			seen[kv.Key] = true
		}
	}
}

func TestDerivedJourneyHangsUnderItsParent(t *testing.T) {
	parent, clone := exporttest.Ping(), exporttest.Clone()
	spans := built(t, parent, clone)
	var maker *tracepb.Span
	for _, s := range spans[:spanCount(parent)] {
		if id(s.SpanId) == spanID(parent.ID, hopPlace(clone.ParentHop)) {
			maker = s
		}
	}
	derived := spans[spanCount(parent)]
	if maker == nil || !bytes.Equal(derived.ParentSpanId, maker.SpanId) || !bytes.Equal(derived.TraceId, maker.TraceId) {
		t.Errorf("clone hangs under %x, want the hop %v", derived.ParentSpanId, maker)
	}
	if spans[0].ParentSpanId != nil {
		t.Errorf("an original packet has the parent %x", spans[0].ParentSpanId)
	}
}

// TestRetransmissionHangsUnderTheFirst: under its root, since it was made in none of its hops.
func TestRetransmissionHangsUnderTheFirst(t *testing.T) {
	first, again := exporttest.TCPWait(), exporttest.Retransmission()
	spans := built(t, first, again)
	derived := spans[spanCount(first)]
	if !bytes.Equal(derived.ParentSpanId, spans[0].SpanId) || !bytes.Equal(derived.TraceId, spans[0].TraceId) {
		t.Errorf("it hangs under %x, want the root %x", derived.ParentSpanId, spans[0].SpanId)
	}
}

func TestBadParentsAndWaitsStayInTheTree(t *testing.T) {
	j := exporttest.Ping()
	j.Hops[0].Parent, j.Hops[1].Parent, j.Hops[2].Parent = 5, 1, -7
	j.Waits = append(j.Waits, journey.Wait{From: "a", To: "b", After: 999})
	spans := built(t, j)
	if len(spans) != spanCount(j) {
		t.Fatalf("%d spans, want %d", len(spans), spanCount(j))
	}
	for _, i := range []int{1, 2, 3} {
		if !bytes.Equal(spans[i].ParentSpanId, spans[0].SpanId) {
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
	seen := make(map[uint64]bool)
	for id := range uint64(100) {
		for i := range 1000 {
			for _, at := range []place{hopPlace(i), waitPlace(i)} {
				s := spanID(id, at)
				if seen[s] || s == 0 {
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
