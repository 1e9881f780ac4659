// SPDX-License-Identifier: Apache-2.0

package term

import (
	"bytes"
	"encoding/json"
	"strconv"
	"unicode/utf8"

	"github.com/skbpath/skbpath/pkg/tracer/journey"
)

// appendHop appends a hop as a JSON object, a contract with users:
//
//	function     symbol, or subsystem:name of a tracepoint
//	caller       function that called it, if known
//	via          caller, where it was passed and not visited
//	offset_ns    since the journey's start
//	duration_ns  an upper bound, or measured if "exact":true follows
//	depth        number of hops around it
//	cpu
//	interface    "" where the packet had no device
//	netns        inode number, with netns_name where it has one
//	length       bytes
//	mark
//
// interface, netns, length and mark are there where they differ from the hop before;
// the first hop, whose before is nil, has all four.
func appendHop(b []byte, h, before *journey.Hop) []byte {
	b = appendString(append(b, `{"function":`...), h.Function)
	if h.Caller != "" {
		b = appendString(append(b, `,"caller":`...), h.Caller)
	}
	if h.Via != "" {
		b = appendString(append(b, `,"via":`...), h.Via)
	}
	b = strconv.AppendInt(append(b, `,"offset_ns":`...), int64(h.Offset), 10)
	b = strconv.AppendInt(append(b, `,"duration_ns":`...), int64(h.Duration), 10)
	if h.Exact {
		b = append(b, `,"exact":true`...)
	}
	b = strconv.AppendInt(append(b, `,"depth":`...), int64(h.Depth), 10)
	b = strconv.AppendInt(append(b, `,"cpu":`...), int64(h.CPU), 10)
	return append(appendSurroundings(b, h, before), '}')
}

func appendSurroundings(b []byte, h, before *journey.Hop) []byte {
	if before == nil || h.Interface != before.Interface {
		b = appendString(append(b, `,"interface":`...), h.Interface)
	}
	if before == nil || h.Netns != before.Netns {
		b = strconv.AppendUint(append(b, `,"netns":`...), uint64(h.Netns), 10)
		if h.NetnsName != "" {
			b = appendString(append(b, `,"netns_name":`...), h.NetnsName)
		}
	}
	if before == nil || h.Length != before.Length {
		b = strconv.AppendUint(append(b, `,"length":`...), uint64(h.Length), 10)
	}
	if before == nil || h.Mark != before.Mark {
		b = strconv.AppendUint(append(b, `,"mark":`...), uint64(h.Mark), 10)
	}
	return b
}

// appendString appends s quoted. Names of devices may need escapes, those of functions do not.
func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			return append(b, escaped(s)...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

// escaped is s as encoding/json quotes it on the rest of the line.
func escaped(s string) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		return []byte(`""`) // no string is refused
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
