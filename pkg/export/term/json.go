// SPDX-License-Identifier: Apache-2.0

package term

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"

	"github.com/skbpath/skbpath/pkg/tracer/journey"
)

// startLayout is RFC 3339 with all nine digits of the nanoseconds.
const startLayout = "2006-01-02T15:04:05.000000000Z07:00"

// line is one journey as --print=json writes it, a contract with users.
//
// journey_id and parent_id are strings of 16 hex digits, as in the spans:
// numbers above 2^53 do not survive most readers of JSON. Members that do not
// apply are left out. A hop has interface, netns, length and mark where they
// differ from the hop before; the first hop has all four, and an interface of
// "" means that the packet had no device.
type line struct {
	TraceID    string    `json:"trace_id"`
	JourneyID  string    `json:"journey_id"`
	ParentID   string    `json:"parent_id,omitempty"`
	Lineage    string    `json:"lineage,omitempty"`
	Start      string    `json:"start"`
	DurationNS int64     `json:"duration_ns"`
	Outcome    string    `json:"outcome"`
	AbsorbedBy string    `json:"absorbed_by,omitempty"` // journey_id of the packet it was merged into
	Incomplete bool      `json:"incomplete"`
	Missing    string    `json:"missing,omitempty"` // what makes it incomplete
	Drop       *drop     `json:"drop,omitempty"`
	Flow       flow      `json:"flow"`
	Process    *process  `json:"process,omitempty"`
	Hops       []hop     `json:"hops"`
	Waits      []waiting `json:"waits"`
}

type drop struct {
	Reason    string `json:"reason"`
	Subsystem string `json:"subsystem"`
	Function  string `json:"function"`
	Advice    string `json:"advice,omitempty"` // what it means and where to look
}

type flow struct {
	NetworkType string   `json:"network_type,omitempty"`
	Transport   string   `json:"transport,omitempty"`
	Source      endpoint `json:"source"`
	Destination endpoint `json:"destination"`
	Fragment    bool     `json:"fragment,omitempty"`
	VLAN        uint16   `json:"vlan,omitempty"`
}

type endpoint struct {
	Address string `json:"address,omitempty"`
	Port    uint16 `json:"port,omitempty"`
}

type process struct {
	PID       int    `json:"pid"`
	Command   string `json:"command"`
	Container string `json:"container,omitempty"`
	PodUID    string `json:"pod_uid,omitempty"`
}

type hop struct {
	Function   string  `json:"function"`
	Caller     string  `json:"caller,omitempty"`
	Via        string  `json:"via,omitempty"` // caller, where it was passed and not visited
	OffsetNS   int64   `json:"offset_ns"`
	DurationNS int64   `json:"duration_ns"`
	Exact      bool    `json:"exact,omitempty"` // duration_ns was measured, else it is an upper bound
	Depth      int     `json:"depth"`
	CPU        int     `json:"cpu"`
	Interface  *string `json:"interface,omitempty"`
	Netns      *uint32 `json:"netns,omitempty"`
	NetnsName  string  `json:"netns_name,omitempty"` // of netns, where it has one
	Length     *uint32 `json:"length,omitempty"`
	Mark       *uint32 `json:"mark,omitempty"`
}

type waiting struct {
	From       string `json:"from"`
	To         string `json:"to"`
	OffsetNS   int64  `json:"offset_ns"`
	DurationNS int64  `json:"duration_ns"`
}

// lineEncoder writes lines; it uses its slices again for every journey.
type lineEncoder struct {
	json  *json.Encoder
	hops  []hop
	waits []waiting
}

func newLineEncoder(w io.Writer) *lineEncoder {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return &lineEncoder{json: e, hops: []hop{}, waits: []waiting{}}
}

func (e *lineEncoder) journey(j *journey.Journey) error {
	l := line{
		TraceID:    hex.EncodeToString(j.TraceID[:]),
		JourneyID:  idText(j.ID),
		Lineage:    j.Lineage.String(),
		Start:      j.Start.Format(startLayout),
		DurationNS: int64(j.Duration),
		Outcome:    j.Outcome.String(),
		Incomplete: j.Incomplete != "",
		Missing:    j.Incomplete,
		Flow: flow{
			NetworkType: j.Flow.NetworkType,
			Transport:   j.Flow.Transport,
			Source:      endpoint{addressText(j.Flow.Source.Address), j.Flow.Source.Port},
			Destination: endpoint{addressText(j.Flow.Destination.Address), j.Flow.Destination.Port},
			Fragment:    j.Flow.Fragment,
			VLAN:        j.Flow.VLAN,
		},
	}
	if j.ParentID != 0 {
		l.ParentID = idText(j.ParentID)
	}
	if j.AbsorbedBy != 0 {
		l.AbsorbedBy = idText(j.AbsorbedBy)
	}
	if d := j.Drop; d != nil {
		l.Drop = &drop{d.Reason, d.Subsystem, d.Function, d.Advice()}
	}
	if p := j.Process; p != nil {
		l.Process = &process{p.PID, p.Command, p.Container, p.PodUID}
	}
	l.Hops, l.Waits = e.visits(j)
	return e.json.Encode(&l)
}

func (e *lineEncoder) visits(j *journey.Journey) ([]hop, []waiting) {
	e.hops, e.waits = e.hops[:0], e.waits[:0]
	for i := range j.Hops {
		var before *journey.Hop
		if i > 0 {
			before = &j.Hops[i-1]
		}
		e.hops = append(e.hops, hopLine(&j.Hops[i], before))
	}
	for i := range j.Waits {
		w := &j.Waits[i]
		e.waits = append(e.waits, waiting{w.From, w.To, int64(w.Offset), int64(w.Duration)})
	}
	return e.hops, e.waits
}

func hopLine(h, before *journey.Hop) hop {
	l := hop{
		Function: h.Function, Caller: h.Caller, Via: h.Via, OffsetNS: int64(h.Offset), DurationNS: int64(h.Duration),
		Exact: h.Exact, Depth: h.Depth, CPU: h.CPU,
	}
	if before == nil || h.Interface != before.Interface {
		l.Interface = &h.Interface
	}
	if before == nil || h.Netns != before.Netns {
		l.Netns, l.NetnsName = &h.Netns, h.NetnsName
	}
	if before == nil || h.Length != before.Length {
		l.Length = &h.Length
	}
	if before == nil || h.Mark != before.Mark {
		l.Mark = &h.Mark
	}
	return l
}

func idText(id uint64) string { return fmt.Sprintf("%016x", id) }

func addressText(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}
