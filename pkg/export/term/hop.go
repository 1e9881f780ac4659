// SPDX-License-Identifier: Apache-2.0

package term

import (
	"bytes"
	"encoding/binary"
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

// appendWait appends a wait as a JSON object, a contract with users: from and to are the
// functions at its ends, offset_ns is since the journey's start.
func appendWait(b []byte, w *journey.Wait) []byte {
	b = appendString(append(b, `{"from":`...), w.From)
	b = appendString(append(b, `,"to":`...), w.To)
	b = strconv.AppendInt(append(b, `,"offset_ns":`...), int64(w.Offset), 10)
	b = strconv.AppendInt(append(b, `,"duration_ns":`...), int64(w.Duration), 10)
	return append(b, '}')
}

// appendString appends s quoted. Names of devices may need escapes, those of functions do not.
func appendString(b []byte, s string) []byte {
	before := len(b)
	b = append(append(b, '"'), s...)
	if needsEscape(b[before+1:]) {
		return append(b[:before], escaped(s)...)
	}
	return append(b, '"')
}

func needsEscape(s []byte) bool {
	for ; len(s) >= 8; s = s[8:] {
		if anyNeedsEscape(binary.NativeEndian.Uint64(s)) {
			return true
		}
	}
	for _, c := range s {
		if c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			return true
		}
	}
	return false
}

// anyNeedsEscape looks at eight bytes at once. Of the first that is below a bound, subtracting
// that from each sets the upper bit, and of none if none is; a byte is equal to another if
// their difference by exclusive or is below 1.
func anyNeedsEscape(bytes uint64) bool {
	const each, upper = 0x0101010101010101, 0x8080808080808080
	quote, backslash := bytes^'"'*each, bytes^'\\'*each
	return (bytes|(bytes-' '*each)|(quote-each)|(backslash-each))&upper != 0
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
