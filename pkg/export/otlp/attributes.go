// SPDX-License-Identifier: Apache-2.0

package otlp

import (
	"cmp"
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
	keyAbsorbedBy    = attribute.Key("skbpath.absorbed_by")
	keyIncomplete    = attribute.Key("skbpath.incomplete")
	keyDropReason    = attribute.Key("skbpath.drop.reason")
	keyDropSubsystem = attribute.Key("skbpath.drop.subsystem")
	keyDropFunction  = attribute.Key("skbpath.drop.function")
	keyDropAdvice    = attribute.Key("skbpath.drop.advice")
	keyVLAN          = attribute.Key("skbpath.vlan.id")
	keyFragment      = attribute.Key("skbpath.fragment")
	keyNetns         = attribute.Key("skbpath.netns.inode")
	keyNetnsName     = attribute.Key("skbpath.netns.name")
	keyLength        = attribute.Key("skbpath.skb.length")
	keyMark          = attribute.Key("skbpath.skb.mark")
	keyCaller        = attribute.Key("skbpath.caller")
	keyVia           = attribute.Key("skbpath.via")
	keyWaitFrom      = attribute.Key("skbpath.wait.from")
	keyWaitTo        = attribute.Key("skbpath.wait.to")
	keySequence      = attribute.Key("skbpath.span.sequence")
	keyOffset        = attribute.Key("skbpath.span.offset_ns")
	keyDuration      = attribute.Key("skbpath.span.duration_ns")
	keyExact         = attribute.Key("skbpath.duration.exact")
)

// position adds what keeps spans in order and in true length in viewers that
// round to microseconds or stretch a parent over its children.
func (s span) position(sequence int, offset, duration time.Duration) span {
	s = s.integer(keySequence, int64(sequence))
	s = s.integer(keyOffset, int64(offset))
	return s.integer(keyDuration, int64(duration))
}

func (s span) journey(j *journey.Journey) span {
	s = s.text(keyJourneyID, journeyIDText(j.ID))
	if j.ParentID != 0 {
		s = s.text(keyParentID, journeyIDText(j.ParentID))
	}
	s = s.known(keyLineage, j.Lineage.String())
	s = s.text(keyOutcome, j.Outcome.String())
	if j.AbsorbedBy != 0 {
		s = s.text(keyAbsorbedBy, journeyIDText(j.AbsorbedBy))
	}
	s = s.known(keyIncomplete, j.Incomplete)
	s = s.flow(&j.Flow)
	if p := j.Process; p != nil {
		s = s.integer(semconv.ProcessPIDKey, int64(p.PID))
		s = s.known(semconv.ProcessCommandKey, p.Command)
		s = s.known(semconv.ContainerIDKey, p.Container)
		s = s.known(semconv.K8SPodUIDKey, p.PodUID)
	}
	if j.Drop != nil {
		s = s.drop(j.Drop)
	}
	return s.position(0, 0, j.Duration)
}

func (s span) flow(f *journey.Flow) span {
	s = s.known(semconv.NetworkTypeKey, f.NetworkType)
	s = s.known(semconv.NetworkTransportKey, f.Transport)
	if f.Source.Address.IsValid() {
		s = s.text(semconv.SourceAddressKey, f.Source.Address.String())
	}
	if f.Source.Port != 0 {
		s = s.integer(semconv.SourcePortKey, int64(f.Source.Port))
	}
	if f.Destination.Address.IsValid() {
		s = s.text(semconv.DestinationAddressKey, f.Destination.Address.String())
	}
	if f.Destination.Port != 0 {
		s = s.integer(semconv.DestinationPortKey, int64(f.Destination.Port))
	}
	if f.VLAN != 0 {
		s = s.integer(keyVLAN, int64(f.VLAN))
	}
	if f.Fragment {
		s = s.flag(keyFragment, true)
	}
	return s
}

// drop adds why and where a packet was dropped. error.type takes the
// conventions' word for "unknown" on kernels that give no reason.
func (s span) drop(d *journey.Drop) span {
	s = s.text(semconv.ErrorTypeKey, cmp.Or(d.Reason, semconv.ErrorTypeOther.Value.AsString()))
	s = s.known(keyDropReason, d.Reason)
	s = s.known(keyDropSubsystem, d.Subsystem)
	s = s.known(keyDropFunction, d.Function)
	return s.known(keyDropAdvice, d.Advice())
}

func (s span) hop(h *journey.Hop) span {
	s = s.symbol(semconv.CodeFunctionNameKey, h.Function)
	if h.Caller != "" {
		s = s.symbol(keyCaller, h.Caller)
	}
	if h.Via != "" {
		s = s.symbol(keyVia, h.Via)
	}
	s = s.integer(semconv.CPULogicalNumberKey, int64(h.CPU))
	return s.flag(keyExact, h.Exact)
}

// surroundings adds interface, namespace, length and mark where they differ
// from the hop before; before is nil for the first hop, where what is unknown
// is left out.
func (s span) surroundings(h, before *journey.Hop) span {
	first := before == nil
	if first {
		before = &journey.Hop{}
	}
	if h.Interface != before.Interface {
		s = s.text(semconv.NetworkInterfaceNameKey, h.Interface)
	}
	if h.Netns != before.Netns {
		s = s.integer(keyNetns, int64(h.Netns))
		s = s.known(keyNetnsName, h.NetnsName)
	}
	if h.Length != before.Length || first {
		s = s.integer(keyLength, int64(h.Length))
	}
	if h.Mark != before.Mark {
		s = s.integer(keyMark, int64(h.Mark))
	}
	return s
}
