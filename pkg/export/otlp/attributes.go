// SPDX-License-Identifier: Apache-2.0

package otlp

import (
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/skbpath/skbpath/pkg/tracer/journey"
)

// Attributes without a semantic convention.
const (
	keyJourneyID     = attribute.Key("skbpath.journey.id")
	keyParentID      = attribute.Key("skbpath.journey.parent_id")
	keyLineage       = attribute.Key("skbpath.lineage")
	keyOutcome       = attribute.Key("skbpath.outcome")
	keyIncomplete    = attribute.Key("skbpath.incomplete")
	keyDropReason    = attribute.Key("skbpath.drop.reason")
	keyDropSubsystem = attribute.Key("skbpath.drop.subsystem")
	keyDropFunction  = attribute.Key("skbpath.drop.function")
	keyVLAN          = attribute.Key("skbpath.vlan.id")
	keyFragment      = attribute.Key("skbpath.fragment")
	keyNetns         = attribute.Key("skbpath.netns.inode")
	keyLength        = attribute.Key("skbpath.skb.length")
	keyMark          = attribute.Key("skbpath.skb.mark")
	keyCaller        = attribute.Key("skbpath.caller")
	keyWaitFrom      = attribute.Key("skbpath.wait.from")
	keyWaitTo        = attribute.Key("skbpath.wait.to")
	keySequence      = attribute.Key("skbpath.span.sequence")
	keyOffset        = attribute.Key("skbpath.span.offset_ns")
	keyDuration      = attribute.Key("skbpath.span.duration_ns")
	keyExact         = attribute.Key("skbpath.duration.exact")
)

// list collects the attributes of one span after another in one slice.
type list []attribute.KeyValue

func (l *list) add(kv ...attribute.KeyValue) {
	*l = append(*l, kv...)
}

// since returns the attributes added from index mark on.
func (l list) since(mark int) []attribute.KeyValue {
	return l[mark:len(l):len(l)]
}

// text adds a string. Names of interfaces and commands are free bytes, and one
// that is not UTF-8 would make the whole request impossible to encode.
func (l *list) text(key attribute.Key, value string) {
	l.add(key.String(strings.ToValidUTF8(value, "\uFFFD")))
}

// known adds a string unless it is empty.
func (l *list) known(key attribute.Key, value string) {
	if value != "" {
		l.text(key, value)
	}
}

func (l *list) integer(key attribute.Key, value int64) {
	l.add(key.Int64(value))
}

// position adds what keeps spans in order and in true length in viewers that
// round to microseconds or stretch a parent over its children.
func (l *list) position(sequence int, offset, duration time.Duration) {
	l.integer(keySequence, int64(sequence))
	l.integer(keyOffset, int64(offset))
	l.integer(keyDuration, int64(duration))
}

func (l *list) journey(j *journey.Journey) {
	l.text(keyJourneyID, journeyIDText(j.ID))
	if j.ParentID != 0 {
		l.text(keyParentID, journeyIDText(j.ParentID))
	}
	l.known(keyLineage, j.Lineage.String())
	l.text(keyOutcome, j.Outcome.String())
	l.known(keyIncomplete, j.Incomplete)
	l.flow(&j.Flow)
	if p := j.Process; p != nil {
		l.add(semconv.ProcessPID(p.PID))
		l.known(semconv.ProcessCommandKey, p.Command)
	}
	if j.Drop != nil {
		l.drop(j.Drop)
	}
	l.position(0, 0, j.Duration)
}

func (l *list) flow(f *journey.Flow) {
	l.known(semconv.NetworkTypeKey, f.NetworkType)
	l.known(semconv.NetworkTransportKey, f.Transport)
	if f.Source.Address.IsValid() {
		l.add(semconv.SourceAddress(f.Source.Address.String()))
	}
	if f.Source.Port != 0 {
		l.add(semconv.SourcePort(int(f.Source.Port)))
	}
	if f.Destination.Address.IsValid() {
		l.add(semconv.DestinationAddress(f.Destination.Address.String()))
	}
	if f.Destination.Port != 0 {
		l.add(semconv.DestinationPort(int(f.Destination.Port)))
	}
	if f.VLAN != 0 {
		l.integer(keyVLAN, int64(f.VLAN))
	}
	if f.Fragment {
		l.add(keyFragment.Bool(true))
	}
}

// drop adds why and where a packet was dropped. error.type takes the
// conventions' word for "unknown" on kernels that give no reason.
func (l *list) drop(d *journey.Drop) {
	if d.Reason != "" {
		l.text(semconv.ErrorTypeKey, d.Reason)
	} else {
		l.add(semconv.ErrorTypeOther)
	}
	l.known(keyDropReason, d.Reason)
	l.known(keyDropSubsystem, d.Subsystem)
	l.known(keyDropFunction, d.Function)
}

func (l *list) hop(h *journey.Hop) {
	l.text(semconv.CodeFunctionNameKey, h.Function)
	l.known(keyCaller, h.Caller)
	l.add(semconv.CPULogicalNumber(h.CPU))
	l.add(keyExact.Bool(h.Exact))
}

// surroundings adds interface, namespace, length and mark where they differ
// from the hop before; before is nil for the first hop, where what is unknown
// is left out.
func (l *list) surroundings(h, before *journey.Hop) {
	first := before == nil
	if first {
		before = &journey.Hop{}
	}
	if h.Interface != before.Interface {
		l.text(semconv.NetworkInterfaceNameKey, h.Interface)
	}
	if h.Netns != before.Netns {
		l.integer(keyNetns, int64(h.Netns))
	}
	if h.Length != before.Length || first {
		l.integer(keyLength, int64(h.Length))
	}
	if h.Mark != before.Mark {
		l.integer(keyMark, int64(h.Mark))
	}
}
