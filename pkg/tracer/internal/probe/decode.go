// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/skbpath/skbpath/pkg/tracer/internal/kernel"
	"github.com/skbpath/skbpath/pkg/tracer/journey"
)

// The layout of struct record, bpf/record.h. A test holds these against the
// types that bpf2go made from the object's BTF.
const (
	offsetID           = 0
	offsetParentID     = 8
	offsetRootID       = 16
	offsetStart        = 24
	offsetLast         = 32
	offsetDropLocation = 40
	offsetCgroup       = 48
	offsetDropReason   = 56
	offsetPID          = 60
	offsetParentHop    = 64
	offsetMaker        = 68
	offsetRandom       = 72
	offsetFlags        = 76
	offsetPart         = 78
	offsetEntriesUsed  = 80
	offsetFrameUsed    = 82
	offsetOutcome      = 84
	offsetDropProtocol = 85
	offsetDropType     = 86
	offsetAbsorber     = 88
	offsetCommand      = 96
	offsetFrame        = 112
	frameSize          = 104
	recordHeader       = 216
	entrySize          = 16

	depthShift = packetPathEntryLayoutENTRY_DEPTH_SHIFT
	timeShift  = packetPathEntryLayoutENTRY_TIME_SHIFT
)

var errTruncated = errors.New("record is shorter than it says")

// decoder turns what is on the wire into Records. It is not safe for
// concurrent use.
type decoder struct {
	names  *names
	offset time.Duration // monotonic to wall clock
	record journey.Record
}

// setClock takes the offset that following journeys start with.
func (d *decoder) setClock() error {
	offset, err := kernel.ClockOffset()
	if err != nil {
		return err
	}
	d.offset = offset
	return nil
}

// decode returns what raw says, valid until the next: its memory is used again, and
// it refers to raw.
func (d *decoder) decode(raw []byte) (*journey.Record, error) {
	if len(raw) < recordHeader {
		return nil, errTruncated
	}
	word := binary.NativeEndian
	entries := int(word.Uint16(raw[offsetEntriesUsed:]))
	if len(raw) < recordHeader+entries*entrySize {
		return nil, errTruncated
	}
	flags := word.Uint16(raw[offsetFlags:])
	start := word.Uint64(raw[offsetStart:])
	frame := min(int(word.Uint16(raw[offsetFrameUsed:])), frameSize)
	r := &d.record
	*r = journey.Record{
		ID:       word.Uint64(raw[offsetID:]),
		RootID:   word.Uint64(raw[offsetRootID:]),
		Absorber: word.Uint64(raw[offsetAbsorber:]),
		Part:     int(word.Uint16(raw[offsetPart:])),
		More:     flags&uint16(packetPathRecordFlagRECORD_MORE) != 0,
		Outcome:  journey.Outcome(raw[offsetOutcome]),
		Certain:  flags&uint16(packetPathRecordFlagRECORD_CERTAIN) != 0,
		Unwanted: flags&uint16(packetPathRecordFlagRECORD_UNWANTED) != 0,
		Random:   word.Uint32(raw[offsetRandom:]),
		Cgroup:   word.Uint64(raw[offsetCgroup:]),
		Start:    time.Unix(0, int64(start)+d.offset.Nanoseconds()),
		Duration: time.Duration(word.Uint64(raw[offsetLast:]) - start),
		Frame:    raw[offsetFrame : offsetFrame+frame],
		Visits:   r.Visits[:0],
		Calls:    r.Calls[:0],
	}
	if parent := word.Uint64(raw[offsetParentID:]); parent != 0 {
		r.Parent = &journey.Parent{
			ID:    parent,
			Hop:   int(word.Uint32(raw[offsetParentHop:])),
			Maker: d.names.function(word.Uint32(raw[offsetMaker:])),
			Again: flags&uint16(packetPathRecordFlagRECORD_RETRANSMISSION) != 0,
		}
	}
	if pid := word.Uint32(raw[offsetPID:]); pid != 0 {
		command := raw[offsetCommand : offsetCommand+16]
		r.Process = &journey.Process{PID: int(pid), Command: string(text(command))}
	}
	if r.Outcome > journey.Expired {
		return nil, fmt.Errorf("record has unknown outcome %d", r.Outcome)
	}
	if r.Outcome == journey.Dropped {
		r.Drop = d.names.drop(word.Uint64(raw[offsetDropLocation:]), word.Uint32(raw[offsetDropReason:]))
		r.Drop.Protocol = journey.Protocol(word.Uint16(raw[offsetDropType:]), raw[offsetDropProtocol])
	}
	if flags&uint16(packetPathRecordFlagRECORD_CUT) != 0 {
		r.Lost = journey.BeyondLimit
	}
	return r, d.visits(r, start, raw[recordHeader:recordHeader+entries*entrySize])
}

// visits reads the entries. Those that say where the packet is and how long it
// is hold until the next of their kind; a part begins with one of each.
func (d *decoder) visits(r *journey.Record, start uint64, entries []byte) error {
	var current journey.Visit
	word := binary.NativeEndian
	for at := 0; at < len(entries); at += entrySize {
		a, b := word.Uint32(entries[at:]), word.Uint32(entries[at+4:])
		tagged := word.Uint64(entries[at+8:])
		switch kind := packetPathEntryKind(tagged & (1<<depthShift - 1)); kind {
		case packetPathEntryKindENTRY_HOP, packetPathEntryKindENTRY_HOP_NEW_STACK:
			r.Visits = append(r.Visits, current)
			v := &r.Visits[len(r.Visits)-1]
			v.Function, v.Caller, v.CallSite = d.names.function(a), d.names.function(b), b
			v.Offset = sinceStart(start, tagged>>timeShift)
			v.Depth = depthOf(tagged)
			v.NewStack = kind == packetPathEntryKindENTRY_HOP_NEW_STACK
		case packetPathEntryKindENTRY_PLACE:
			current.Ifindex, current.Netns, current.CPU = a, b, int(tagged>>timeShift)
			if at += entrySize; at >= len(entries) {
				return errTruncated
			}
			current.Interface = d.names.device(entries[at : at+entrySize])
		case packetPathEntryKindENTRY_RETURN:
			r.Calls = append(r.Calls, journey.Call{Before: len(r.Visits), Depth: depthOf(tagged), Duration: time.Duration(b)})
		case packetPathEntryKindENTRY_SIZE:
			current.Length, current.Mark = a, b
		default:
			return fmt.Errorf("record has an entry of unknown kind %d", kind)
		}
	}
	return nil
}

func depthOf(tagged uint64) int { return int(tagged & (1<<timeShift - 1) >> depthShift) }

// sinceStart is how long after `start` a time is of which the low 48 bits are known.
func sinceStart(start, low uint64) time.Duration {
	return time.Duration((low - start) & (1<<(64-timeShift) - 1))
}

// text is what stands before the first zero byte, if there is one.
func text(b []byte) []byte {
	before, _, _ := bytes.Cut(b, []byte{0})
	return before
}
