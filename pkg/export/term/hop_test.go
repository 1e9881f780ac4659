// SPDX-License-Identifier: Apache-2.0

package term

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/skbpath/skbpath/pkg/export/internal/exporttest"
	"github.com/skbpath/skbpath/pkg/tracer/journey"
)

// hop is what encoding/json makes the same of as appendHop of a journey's.
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

func hopOf(h, before *journey.Hop) hop {
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

func byLibrary(t *testing.T, h, before *journey.Hop) []byte {
	t.Helper()
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(hopOf(h, before)); err != nil {
		t.Fatal(err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

func checkHop(t *testing.T, h, before *journey.Hop) {
	t.Helper()
	if got, want := appendHop(nil, h, before), byLibrary(t, h, before); !bytes.Equal(got, want) {
		t.Errorf("hop is\n%s, want\n%s", got, want)
	}
}

func TestHopsAreTheLibrarys(t *testing.T) {
	for _, n := range exporttest.Journeys() {
		var before *journey.Hop
		for i := range n.Journey.Hops {
			h := &n.Journey.Hops[i]
			checkHop(t, h, before)
			before = h
		}
	}
}

func FuzzHop(f *testing.F) {
	f.Add("ip_rcv", "veth0", int64(-1), uint32(84), true)
	f.Add("a\x00\"\\<&>\u2028\xff\x7f", "", int64(1<<62), ^uint32(0), false)
	f.Fuzz(func(t *testing.T, function, device string, ns int64, number uint32, flag bool) {
		h := &journey.Hop{
			Function: function, Caller: device, Via: function, Offset: time.Duration(ns), Duration: -time.Duration(ns), Exact: flag,
			Depth: int(number), CPU: int(ns >> 40), Interface: device, Netns: number, NetnsName: function, Length: number, Mark: number,
		}
		checkHop(t, h, nil)
		checkHop(t, h, &journey.Hop{Interface: function, Mark: number})
	})
}
