// SPDX-License-Identifier: Apache-2.0

package otlp

import (
	"context"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/skbpath/skbpath/pkg/tracer/journey"
)

// captured is a client that keeps what it is to upload.
type captured struct{ all []*tracepb.ResourceSpans }

func (c *captured) Start(context.Context) error { return nil }
func (c *captured) Stop(context.Context) error  { return nil }
func (c *captured) UploadTraces(_ context.Context, all []*tracepb.ResourceSpans) error {
	c.all = all
	return nil
}

// fromSDK is what the SDK's own exporter makes of journeys, by way of spans as
// the SDK has them: what the encoder has to write.
func fromSDK(t testing.TB, r *resource.Resource, journeys ...*journey.Journey) *tracepb.ResourceSpans {
	t.Helper()
	var stubs tracetest.SpanStubs
	for _, j := range journeys {
		stubs = append(stubs, stubsOf(t, j)...)
	}
	for i := range stubs {
		stubs[i].Resource = r
		stubs[i].InstrumentationScope = instrumentation.Scope{Name: scopeName, Version: "1.2.3", SchemaURL: semconv.SchemaURL}
	}
	c := &captured{}
	e, err := otlptrace.New(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.ExportSpans(t.Context(), stubs.Snapshots()); err != nil {
		t.Fatal(err)
	}
	if len(c.all) != 1 {
		t.Fatalf("%d resources", len(c.all))
	}
	return c.all[0]
}

// stubsOf makes spans of a journey in the plainest way.
func stubsOf(t testing.TB, j *journey.Journey) []tracetest.SpanStub {
	t.Helper()
	var state trace.TraceState
	if !j.Sampling.Unknown {
		var err error
		if state, err = trace.ParseTraceState("ot=th:" + thresholdText(j.Sampling.Threshold)); err != nil {
			t.Fatal(err)
		}
	}
	context := func(id uint64) trace.SpanContext {
		c := trace.SpanContextConfig{
			TraceID: trace.TraceID(j.TraceID), TraceFlags: trace.FlagsSampled | trace.FlagsRandom, TraceState: state,
		}
		binary.BigEndian.PutUint64(c.SpanID[:], id)
		return trace.NewSpanContext(c)
	}

	root := tracetest.SpanStub{
		Name: clean(rootName(&j.Flow)), SpanContext: context(spanID(j.ID, rootPlace)),
		StartTime: j.Start, EndTime: j.Start.Add(max(j.Duration, 1)),
		Attributes: journeyAttributes(j),
	}
	if j.ParentID != 0 {
		root.Parent = context(spanID(j.ParentID, place(j.ParentHop+1))) // the root has place 0
	}
	if j.Drop != nil {
		root.Status = sdktrace.Status{Code: codes.Error, Description: dropText(j.Drop)}
	}

	spans := []tracetest.SpanStub{root}
	at := make(map[int]int) // of hops, where they are among the spans
	parents := []int{-1}
	add := func(parent int, s tracetest.SpanStub, offset, duration time.Duration) {
		s.Parent = spans[parent].SpanContext
		s.StartTime = j.Start.Add(offset)
		s.EndTime = s.StartTime.Add(max(duration, 1))
		s.Attributes = append(s.Attributes, position(len(spans), offset, duration)...)
		spans, parents = append(spans, s), append(parents, parent)
	}
	wait := 0
	for i := -1; i <= len(j.Hops); i++ {
		if i >= 0 && i < len(j.Hops) {
			h := &j.Hops[i]
			at[i] = len(spans)
			s := tracetest.SpanStub{
				Name: clean(h.Function), SpanContext: context(spanID(j.ID, hopPlace(i))), Attributes: hopAttributes(j, i),
			}
			if j.Drop != nil && j.Drop.Hop == i {
				s.Status = root.Status
			}
			parent := 0
			if h.Parent >= 0 && h.Parent < i {
				parent = at[h.Parent]
			}
			add(parent, s, h.Offset, h.Duration)
		}
		for ; wait < len(j.Waits) && (j.Waits[wait].After <= i || i == len(j.Hops)); wait++ {
			w := &j.Waits[wait]
			add(0, tracetest.SpanStub{
				Name: "wait", SpanContext: context(spanID(j.ID, waitPlace(wait))),
				Attributes: []attribute.KeyValue{text("skbpath.wait.from", w.From), text("skbpath.wait.to", w.To)},
			}, w.Offset, w.Duration)
		}
	}
	for i := range spans { // each span ends no earlier than any below it
		for above := parents[i]; above >= 0; above = parents[above] {
			if spans[i].EndTime.After(spans[above].EndTime) {
				spans[above].EndTime = spans[i].EndTime
			}
		}
		spans[i].SpanKind = trace.SpanKindInternal
	}
	return spans
}

func clean(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

func text(key, value string) attribute.KeyValue { return attribute.String(key, clean(value)) }

// texts are those of pairs of a key and a text that are not empty.
func texts(pairs ...string) []attribute.KeyValue {
	var all []attribute.KeyValue
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			all = append(all, text(pairs[i], pairs[i+1]))
		}
	}
	return all
}

func position(sequence int, offset, duration time.Duration) []attribute.KeyValue {
	return []attribute.KeyValue{
		attribute.Int("skbpath.span.sequence", sequence),
		attribute.Int64("skbpath.span.offset_ns", int64(offset)),
		attribute.Int64("skbpath.span.duration_ns", int64(duration)),
	}
}

func journeyAttributes(j *journey.Journey) []attribute.KeyValue {
	all := texts("skbpath.journey.id", fmt.Sprintf("%016x", j.ID))
	if j.ParentID != 0 {
		all = append(all, text("skbpath.journey.parent_id", fmt.Sprintf("%016x", j.ParentID)))
	}
	f := &j.Flow
	all = append(all, texts("skbpath.lineage", j.Lineage.String(), "skbpath.outcome", j.Outcome.String())...)
	if j.AbsorbedBy != 0 {
		all = append(all, text("skbpath.absorbed_by", fmt.Sprintf("%016x", j.AbsorbedBy)))
	}
	all = append(all, texts("skbpath.incomplete", j.Incomplete, "network.type", f.NetworkType, "network.transport", f.Transport)...)
	all = append(all, endpoint("source", f.Source)...)
	all = append(all, endpoint("destination", f.Destination)...)
	if f.VLAN != 0 {
		all = append(all, attribute.Int("skbpath.vlan.id", int(f.VLAN)))
	}
	if f.Fragment {
		all = append(all, attribute.Bool("skbpath.fragment", true))
	}
	if p := j.Process; p != nil {
		all = append(all, semconv.ProcessPID(p.PID))
		all = append(all, texts("process.command", p.Command, "container.id", p.Container, "k8s.pod.uid", p.PodUID)...)
	}
	if j.Drop != nil {
		all = append(all, dropAttributes(j.Drop)...)
	}
	return append(all, position(0, 0, j.Duration)...)
}

func endpoint(side string, e journey.Endpoint) []attribute.KeyValue {
	var all []attribute.KeyValue
	if e.Address.IsValid() {
		all = append(all, text(side+".address", e.Address.String()))
	}
	if e.Port != 0 {
		all = append(all, attribute.Int(side+".port", int(e.Port)))
	}
	return all
}

func dropAttributes(d *journey.Drop) []attribute.KeyValue {
	kind := semconv.ErrorTypeOther
	if d.Reason != "" {
		kind = text("error.type", d.Reason)
	}
	return append([]attribute.KeyValue{kind}, texts("skbpath.drop.reason", d.Reason,
		"skbpath.drop.subsystem", d.Subsystem, "skbpath.drop.function", d.Function, "skbpath.drop.advice", d.Advice())...)
}

func dropText(d *journey.Drop) string {
	s := "packet dropped"
	if d.Reason != "" {
		s += ": " + d.Reason
	}
	if d.Subsystem != "" {
		s += " (" + d.Subsystem + ")"
	}
	if d.Function != "" {
		s += " in " + d.Function
	}
	return clean(s)
}

func hopAttributes(j *journey.Journey, i int) []attribute.KeyValue {
	h, before := &j.Hops[i], journey.Hop{}
	if i > 0 {
		before = j.Hops[i-1]
	}
	all := []attribute.KeyValue{text("code.function.name", h.Function)}
	all = append(all, texts("skbpath.caller", h.Caller, "skbpath.via", h.Via)...)
	all = append(all, semconv.CPULogicalNumber(h.CPU), attribute.Bool("skbpath.duration.exact", h.Exact))
	if h.Interface != before.Interface {
		all = append(all, text("network.interface.name", h.Interface))
	}
	if h.Netns != before.Netns {
		all = append(all, attribute.Int64("skbpath.netns.inode", int64(h.Netns)))
		all = append(all, texts("skbpath.netns.name", h.NetnsName)...)
	}
	if i == 0 || h.Length != before.Length {
		all = append(all, attribute.Int64("skbpath.skb.length", int64(h.Length)))
	}
	if h.Mark != before.Mark {
		all = append(all, attribute.Int64("skbpath.skb.mark", int64(h.Mark)))
	}
	if j.Drop != nil && j.Drop.Hop == i {
		all = append(all, dropAttributes(j.Drop)...)
	}
	return all
}
