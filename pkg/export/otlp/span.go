// SPDX-License-Identifier: Apache-2.0

package otlp

import (
	"encoding/binary"
	"slices"
	"strings"
	"unicode/utf8"

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

// span is a span in the making, in protobuf's wire format, behind those that came before
// it. To make messages of Go types of it, and have those marshalled, would cost many times
// as much. Its methods return it with something added, and are to be called in the order
// of the fields' numbers, in which proto.Marshal writes them too.
type span []byte

// headSize is what a span has before it as a field of ScopeSpans: the tag and its length,
// which mostly has two bytes and is known in the end.
const headSize = 3

// begin begins a span. A parent of 0 is none; the name is valid UTF-8.
func (s span) begin(id journey.TraceID, spanID, parent uint64, state, name string) span {
	s = append(s, tag(scopeSpansSpans, protowire.BytesType), 0, 0)
	s = appendField(s, spanTraceID, id[:])
	s = s.id(spanSpanID, spanID)
	if state != "" {
		s = appendField(s, spanTraceState, state)
	}
	if parent != 0 {
		s = s.id(spanParent, parent)
	}
	if name != "" {
		s = appendField(s, spanName, name)
	}
	return append(s, tag(spanKind, protowire.VarintType), byte(tracepb.Span_SPAN_KIND_INTERNAL))
}

func (s span) id(field protowire.Number, id uint64) span {
	return binary.BigEndian.AppendUint64(append(s, tag(field, protowire.BytesType), 8), id)
}

// times adds when the span starts and ends, in nanoseconds since 1970. The end is
// the last wireTimeSize bytes.
func (s span) times(start, end int64) span {
	s = binary.LittleEndian.AppendUint64(append(s, tag(spanStart, protowire.Fixed64Type)), wireTime(start))
	return binary.LittleEndian.AppendUint64(append(s, tag(spanEnd, protowire.Fixed64Type)), wireTime(end))
}

const wireTimeSize = 8

func wireTime(unixNano int64) uint64 { return uint64(max(unixNano, 0)) }

// text adds an attribute.
func (s span) text(key attribute.Key, value string) span {
	return s.symbol(key, valid(value))
}

// symbol adds a text that is valid UTF-8, as the names of functions are.
func (s span) symbol(key attribute.Key, name string) span {
	s = s.attribute(key, oneByte+protowire.SizeBytes(len(name)))
	return appendField(s, anyValueText, name)
}

// known adds a text unless it is empty.
func (s span) known(key attribute.Key, value string) span {
	if value == "" {
		return s
	}
	return s.text(key, value)
}

func (s span) integer(key attribute.Key, value int64) span {
	s = s.attribute(key, oneByte+protowire.SizeVarint(uint64(value)))
	return appendVarint(append(s, tag(anyValueInteger, protowire.VarintType)), uint64(value))
}

func (s span) flag(key attribute.Key, value bool) span {
	s = s.attribute(key, oneByte+oneByte)
	return append(s, tag(anyValueFlag, protowire.VarintType), byte(protowire.EncodeBool(value)))
}

// attribute adds all of an attribute but its AnyValue, of which it needs the size.
func (s span) attribute(key attribute.Key, size int) span {
	if whole := 4*oneByte + len(key) + size; whole < 1<<7 { // then so are its parts
		s = append(s, tag(spanAttributes, protowire.BytesType), byte(whole), tag(keyValueKey, protowire.BytesType), byte(len(key)))
		s = append(s, key...)
		return append(s, tag(keyValueValue, protowire.BytesType), byte(size))
	}
	whole := oneByte + protowire.SizeBytes(len(key)) + oneByte + protowire.SizeBytes(size)
	s = appendVarint(append(s, tag(spanAttributes, protowire.BytesType)), uint64(whole))
	s = appendField(s, keyValueKey, key)
	return appendVarint(append(s, tag(keyValueValue, protowire.BytesType)), uint64(size))
}

// finish adds the status, which is an error where there is a text of it, and flags.
func (s span) finish(failure string) span {
	s = append(s, tag(spanStatus, protowire.BytesType))
	if failure == "" {
		s = append(s, 0)
	} else {
		failure = valid(failure)
		s = appendVarint(s, uint64(oneByte+protowire.SizeBytes(len(failure))+oneByte+oneByte))
		s = appendField(s, statusMessage, failure)
		s = append(s, tag(statusCode, protowire.VarintType), byte(tracepb.Status_STATUS_CODE_ERROR))
	}
	return protowire.AppendFixed32(protowire.AppendTag(s, spanFlags, protowire.Fixed32Type), flags)
}

// setLength writes how long the last span is, which began at the index start. One whose
// length has not two bytes is moved.
func (s span) setLength(start int) span {
	length := len(s) - start - headSize
	if protowire.SizeVarint(uint64(length)) == headSize-oneByte {
		protowire.AppendVarint(s[:start+oneByte], uint64(length))
		return s
	}
	body := slices.Clone(s[start+headSize:])
	return append(protowire.AppendVarint(s[:start+oneByte], uint64(length)), body...)
}

// valid is s as protobuf must have it. Names of interfaces and commands are free
// bytes, and one that is not UTF-8 would make a backend refuse the whole request.
func valid(s string) string {
	if utf8.ValidString(s) { // which looks at several bytes at a time
		return s
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

func appendField[T ~string | ~[]byte](b []byte, field protowire.Number, value T) []byte {
	b = appendVarint(append(b, tag(field, protowire.BytesType)), uint64(len(value)))
	return append(b, value...)
}

// tag is protowire.EncodeTag of a field below 16, and a byte.
func tag(field protowire.Number, wire protowire.Type) byte {
	return byte(field)<<3 | byte(wire)
}

// appendVarint is protowire.AppendVarint with its least case, which is most of them, inlined.
func appendVarint(b []byte, value uint64) []byte {
	if value < 1<<7 {
		return append(b, byte(value))
	}
	return protowire.AppendVarint(b, value)
}
