// SPDX-License-Identifier: Apache-2.0

package otlp

import (
	"encoding/binary"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/skbpath/skbpath/pkg/tracer/journey"
)

// The fields of OTLP's messages, by the numbers that its .proto files give them.
const (
	scopeSpansSpans protowire.Number = 2

	spanTraceID    protowire.Number = 1
	spanSpanID     protowire.Number = 2
	spanTraceState protowire.Number = 3
	spanParent     protowire.Number = 4
	spanName       protowire.Number = 5
	spanKind       protowire.Number = 6
	spanStart      protowire.Number = 7
	spanEnd        protowire.Number = 8
	spanAttributes protowire.Number = 9
	spanStatus     protowire.Number = 15
	spanFlags      protowire.Number = 16

	statusMessage protowire.Number = 2
	statusCode    protowire.Number = 3

	keyValueKey   protowire.Number = 1
	keyValueValue protowire.Number = 2

	anyValueText    protowire.Number = 1
	anyValueFlag    protowire.Number = 2
	anyValueInteger protowire.Number = 3
)

// oneByte is the size of the tag of a field below 16, and of a varint below 128.
const oneByte = 1

// flags of every span. The last 56 bits of a trace id are random, which W3C
// Trace Context 2 has a flag for: samplers behind us may go by them, as ours did.
// No parent is remote, and that is known.
const flags = uint32(trace.FlagsSampled|trace.FlagsRandom) |
	uint32(tracepb.SpanFlags_SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK)

// span is a span in the making, in protobuf's wire format. To make messages of
// Go types of it, and have those marshalled, would cost many times as much. Its
// methods are to be called in the order of the fields' numbers, in which
// proto.Marshal writes them too.
type span []byte

// begin takes the span's memory for another. A parent of 0 is none.
func (s *span) begin(id journey.TraceID, spanID, parent uint64, state, name string) {
	b := appendField((*s)[:0], spanTraceID, id[:])
	b = appendID(b, spanSpanID, spanID)
	if state != "" {
		b = appendField(b, spanTraceState, state)
	}
	if parent != 0 {
		b = appendID(b, spanParent, parent)
	}
	if name != "" {
		b = appendField(b, spanName, valid(name))
	}
	*s = appendInteger(b, spanKind, uint64(tracepb.Span_SPAN_KIND_INTERNAL))
}

// times adds when the span starts and ends, in nanoseconds since 1970, and
// returns where in it the end stands.
func (s *span) times(start, end int64) int {
	b := protowire.AppendTag(*s, spanStart, protowire.Fixed64Type)
	b = protowire.AppendFixed64(b, wireTime(start))
	b = protowire.AppendTag(b, spanEnd, protowire.Fixed64Type)
	*s = protowire.AppendFixed64(b, wireTime(end))
	return len(b)
}

func wireTime(unixNano int64) uint64 { return uint64(max(unixNano, 0)) }

// text adds an attribute.
func (s *span) text(key attribute.Key, value string) {
	value = valid(value)
	s.attribute(key, oneByte+protowire.SizeBytes(len(value)))
	*s = appendField(*s, anyValueText, value)
}

// known adds a text unless it is empty.
func (s *span) known(key attribute.Key, value string) {
	if value != "" {
		s.text(key, value)
	}
}

func (s *span) integer(key attribute.Key, value int64) {
	s.attribute(key, oneByte+protowire.SizeVarint(uint64(value)))
	*s = appendInteger(*s, anyValueInteger, uint64(value))
}

func (s *span) flag(key attribute.Key, value bool) {
	s.attribute(key, oneByte+oneByte)
	*s = appendInteger(*s, anyValueFlag, protowire.EncodeBool(value))
}

// attribute adds all of an attribute but its AnyValue, of which it needs the size.
func (s *span) attribute(key attribute.Key, size int) {
	b := protowire.AppendTag(*s, spanAttributes, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(oneByte+protowire.SizeBytes(len(key))+oneByte+protowire.SizeBytes(size)))
	b = appendField(b, keyValueKey, string(key))
	b = protowire.AppendTag(b, keyValueValue, protowire.BytesType)
	*s = protowire.AppendVarint(b, uint64(size))
}

// finish adds the status, which is an error where there is a text of it.
func (s *span) finish(failure string) {
	failure = valid(failure)
	b := protowire.AppendTag(*s, spanStatus, protowire.BytesType)
	if failure == "" {
		b = protowire.AppendVarint(b, 0)
	} else {
		b = protowire.AppendVarint(b, uint64(oneByte+protowire.SizeBytes(len(failure))+oneByte+oneByte))
		b = appendField(b, statusMessage, failure)
		b = appendInteger(b, statusCode, uint64(tracepb.Status_STATUS_CODE_ERROR))
	}
	b = protowire.AppendTag(b, spanFlags, protowire.Fixed32Type)
	*s = protowire.AppendFixed32(b, flags)
}

// valid is s as protobuf must have it. Names of interfaces and commands are free
// bytes, and one that is not UTF-8 would make a backend refuse the whole request.
func valid(s string) string {
	return strings.ToValidUTF8(s, "\uFFFD")
}

func appendField[T string | []byte | span](b []byte, field protowire.Number, value T) []byte {
	b = protowire.AppendTag(b, field, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(len(value)))
	return append(b, value...)
}

func appendInteger(b []byte, field protowire.Number, value uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), value)
}

func appendID(b []byte, field protowire.Number, id uint64) []byte {
	b = protowire.AppendTag(b, field, protowire.BytesType)
	return binary.BigEndian.AppendUint64(protowire.AppendVarint(b, 8), id)
}
