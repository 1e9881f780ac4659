// SPDX-License-Identifier: Apache-2.0

package otlp

import (
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// origin is what all spans of this process share.
type origin struct {
	resource *resource.Resource
	scope    instrumentation.Scope
}

// span is a finished span made from a journey. The SDK's tracer would cost ten
// times the memory and lets no one choose its ids and times.
type span struct {
	// Only for the interface's private method, always nil: every other method is
	// implemented below, and a test calls each of them, so that a method added
	// by a later SDK fails there and not in a user's process.
	sdktrace.ReadOnlySpan

	origin     *origin
	name       string
	context    trace.SpanContext
	parent     trace.SpanContext
	start, end time.Time
	attributes []attribute.KeyValue
	status     sdktrace.Status
	above      int // index of the parent in forest.spans, -1 for a root
	children   int
}

func (s *span) Name() string                     { return s.name }
func (s *span) SpanContext() trace.SpanContext   { return s.context }
func (s *span) Parent() trace.SpanContext        { return s.parent }
func (s *span) SpanKind() trace.SpanKind         { return trace.SpanKindInternal }
func (s *span) StartTime() time.Time             { return s.start }
func (s *span) EndTime() time.Time               { return s.end }
func (s *span) Attributes() []attribute.KeyValue { return s.attributes }
func (s *span) Links() []sdktrace.Link           { return nil }
func (s *span) Events() []sdktrace.Event         { return nil }
func (s *span) Status() sdktrace.Status          { return s.status }
func (s *span) Resource() *resource.Resource     { return s.origin.resource }
func (s *span) DroppedAttributes() int           { return 0 }
func (s *span) DroppedLinks() int                { return 0 }
func (s *span) DroppedEvents() int               { return 0 }
func (s *span) ChildSpanCount() int              { return s.children }

func (s *span) InstrumentationScope() instrumentation.Scope { return s.origin.scope }

// InstrumentationLibrary is the former name of InstrumentationScope, which the
// interface still asks for.
func (s *span) InstrumentationLibrary() instrumentation.Scope { return s.origin.scope }
