// SPDX-License-Identifier: Apache-2.0

package otlp

import (
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/resource"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	resourcepb "go.opentelemetry.io/proto/otlp/resource/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
)

// scopeName is the instrumentation scope: the import path of this package.
const scopeName = "github.com/skbpath/skbpath/pkg/export/otlp"

// request is what a client uploads: all spans come from one resource and one
// scope, which do not change.
type request struct {
	resources []*tracepb.ResourceSpans
	scope     *tracepb.ScopeSpans
}

func newRequest(r *resource.Resource, version string) *request {
	scope := &tracepb.ScopeSpans{
		Scope:     &commonpb.InstrumentationScope{Name: scopeName, Version: version},
		SchemaUrl: semconv.SchemaURL,
	}
	return &request{
		scope: scope,
		resources: []*tracepb.ResourceSpans{{
			Resource:   resourceMessage(r),
			ScopeSpans: []*tracepb.ScopeSpans{scope},
			SchemaUrl:  r.SchemaURL(),
		}},
	}
}

// fill makes spans those of the request, which refers to them. A message's
// unknown fields are marshalled as they are; on the wire nothing tells them from
// those that have been marshalled.
func (r *request) fill(spans []byte) {
	r.scope.ProtoReflect().SetUnknown(spans)
}

func resourceMessage(r *resource.Resource) *resourcepb.Resource {
	m := &resourcepb.Resource{}
	for _, kv := range r.Attributes() {
		m.Attributes = append(m.Attributes, &commonpb.KeyValue{Key: valid(string(kv.Key)), Value: resourceValue(kv.Value)})
	}
	return m
}

// resourceValue knows what resources are described by: texts and lists of texts.
func resourceValue(v attribute.Value) *commonpb.AnyValue {
	if v.Type() != attribute.STRINGSLICE {
		return textValue(v.String())
	}
	list := &commonpb.ArrayValue{}
	for _, text := range v.AsStringSlice() {
		list.Values = append(list.Values, textValue(text))
	}
	return &commonpb.AnyValue{Value: &commonpb.AnyValue_ArrayValue{ArrayValue: list}}
}

func textValue(text string) *commonpb.AnyValue {
	return &commonpb.AnyValue{Value: &commonpb.AnyValue_StringValue{StringValue: valid(text)}}
}
