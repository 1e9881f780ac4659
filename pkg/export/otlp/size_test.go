// SPDX-License-Identifier: Apache-2.0

package otlp

import (
	"fmt"
	"testing"
	"time"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/skbpath/skbpath/pkg/export/internal/exporttest"
	"github.com/skbpath/skbpath/pkg/tracer/journey"
)

// What backends take, by their documents and sources: Tempo 5,000,000 bytes a
// trace and 2,048 an attribute; Jaeger, and gRPC servers by default, 4 MiB a
// request; many 128 attributes a span.
const (
	mostTrace     = 5_000_000
	mostAttribute = 2048
	mostMessage   = 4 << 20
	mostKeys      = 128

	// spanBytes is what a span of ours takes where all attributes are at work; it
	// makes 8,000 spans the most that Tempo takes of one packet and its kin.
	spanBytes = 620
)

// crowded is a journey of n hops of which each says all that it can: everything
// changes from hop to hop, and names are as long as they get.
func crowded(n int) *journey.Journey {
	j := exporttest.Long(n, n)
	for i := range j.Hops {
		h := &j.Hops[i]
		h.Function = fmt.Sprintf("__a_function_with_a_long_name_%04d", i)
		h.Caller = "another_function_with_a_long_name"
		h.Via = h.Caller
		h.Interface, h.Ifindex = fmt.Sprintf("interface-%05d", i), uint32(i)
		h.Netns, h.NetnsName = 4026531840+uint32(i%2), fmt.Sprintf("cni-8dbc5577-d0e2-4706-8787-57d52c03dd%02d", i%2)
		h.Length, h.Mark, h.CPU = uint32(1500+i), 0xdeadbeef+uint32(i), 100+i
		if i%10 == 9 {
			j.Waits = append(j.Waits, journey.Wait{From: h.Function, To: h.Function, After: i, Offset: h.Offset, Duration: time.Millisecond})
		}
	}
	j.Process = exporttest.TCPWait().Process
	j.Sampling = journey.Sampling{Threshold: 0xe6666667}
	j.Outcome = journey.Dropped
	j.Drop = &journey.Drop{Reason: "NETFILTER_DROP", Subsystem: "core", Function: "nft_do_chain", Hop: n - 1}
	return j
}

// TestTraceFitsIntoBackends sends a packet of 200 hops that was cut into ten
// fragments of 200 hops each: one trace.
func TestTraceFitsIntoBackends(t *testing.T) {
	family := []*journey.Journey{crowded(200)}
	for i := range 10 {
		fragment := crowded(200)
		fragment.ID, fragment.ParentID, fragment.ParentHop = uint64(0x2000+i), family[0].ID, 50+i
		fragment.Lineage = journey.Fragment
		family = append(family, fragment)
	}
	size, spans := sizeOf(t, family)
	t.Logf("%d spans take %d bytes, %d each", len(spans), size, size/len(spans))
	if size > len(spans)*spanBytes || size > mostTrace || size > mostMessage {
		t.Errorf("%d spans take %d bytes", len(spans), size)
	}
	for _, s := range spans {
		if len(s.Attributes) > mostKeys {
			t.Errorf("%s has %d attributes", s.Name, len(s.Attributes))
		}
		for _, kv := range s.Attributes {
			if n := len(kv.Value.GetStringValue()); n > mostAttribute/4 {
				t.Errorf("%s: %s has %d bytes", s.Name, kv.Key, n)
			}
		}
	}
}

// TestLargestRequest: a request has as many spans as a full one, or is one
// journey of as many hops as the tracer records by default.
func TestLargestRequest(t *testing.T) {
	set, err := settingsFrom(environment())
	if err != nil {
		t.Fatal(err)
	}
	const hops = 1024
	full := crowded(set.batchSpans * 10 / 11) // and its waits
	for _, request := range [][]*journey.Journey{{full}, {crowded(hops)}} {
		size, spans := sizeOf(t, request)
		if size > mostMessage {
			t.Errorf("%d spans take %d bytes", len(spans), size)
		}
	}
}

// sizeOf returns what is on the wire of a request.
func sizeOf(t *testing.T, journeys []*journey.Journey) (int, []*tracepb.Span) {
	t.Helper()
	r := newReceiver(accept)
	l := listen(t, "127.0.0.1:0")
	r.serve(t, l, "grpc")
	s, _ := connect(t, "grpc", l.Addr().String(), func(s *settings) { s.batchSpans, s.delay = 1<<20, time.Hour })
	for _, j := range journeys {
		if err := s.Export(t.Context(), j); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	q := <-r.requests
	return proto.Size(q), spansOf(q)
}
