// SPDX-License-Identifier: Apache-2.0

package term

import (
	"bytes"
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
// apply are left out.
type line struct {
	TraceID    string   `json:"trace_id"`
	JourneyID  string   `json:"journey_id"`
	ParentID   string   `json:"parent_id,omitempty"`
	Lineage    string   `json:"lineage,omitempty"`
	Start      string   `json:"start"`
	DurationNS int64    `json:"duration_ns"`
	Outcome    string   `json:"outcome"`
	AbsorbedBy string   `json:"absorbed_by,omitempty"` // journey_id of the packet it was merged into
	Incomplete bool     `json:"incomplete"`
	Missing    string   `json:"missing,omitempty"` // what makes it incomplete
	Drop       *drop    `json:"drop,omitempty"`
	Flow       flow     `json:"flow"`
	Process    *process `json:"process,omitempty"`
	// What follows is written in place of the closing brace: "hops" and "waits", see
	// appendHop and appendWait.
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

// lineEncoder writes lines; it uses its memory again for every journey. Of a line
// nearly all is hops, which encoding/json takes several times as long for.
type lineEncoder struct {
	out  io.Writer
	line bytes.Buffer
	json *json.Encoder // into line
}

func newLineEncoder(w io.Writer) *lineEncoder {
	e := &lineEncoder{out: w}
	e.json = json.NewEncoder(&e.line)
	e.json.SetEscapeHTML(false)
	return e
}

func (e *lineEncoder) journey(j *journey.Journey) error {
	e.line.Reset()
	if err := e.json.Encode(lineOf(j)); err != nil {
		return err
	}
	e.line.Truncate(e.line.Len() - len("}\n"))
	e.hops(j)
	e.waits(j)
	e.line.WriteString("}\n")
	_, err := e.out.Write(e.line.Bytes())
	return err
}

func lineOf(j *journey.Journey) *line {
	l := &line{
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
	return l
}

func (e *lineEncoder) hops(j *journey.Journey) {
	b := append(e.line.AvailableBuffer(), `,"hops":[`...)
	for i := range j.Hops {
		var before *journey.Hop
		if i > 0 {
			before = &j.Hops[i-1]
			b = append(b, ',')
		}
		b = appendHop(b, &j.Hops[i], before)
	}
	e.line.Write(append(b, ']'))
}

func (e *lineEncoder) waits(j *journey.Journey) {
	b := append(e.line.AvailableBuffer(), `,"waits":[`...)
	for i := range j.Waits {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendWait(b, &j.Waits[i])
	}
	e.line.Write(append(b, ']'))
}

func idText(id uint64) string { return fmt.Sprintf("%016x", id) }

func addressText(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}
