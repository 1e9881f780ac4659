// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"
	"unsafe"

	"github.com/skbpath/skbpath/pkg/tracer/internal/kernel"
	"github.com/skbpath/skbpath/pkg/tracer/journey"
)

// TestLayout holds the offsets that decode uses against the type that bpf2go
// made from the object's BTF.
func TestLayout(t *testing.T) {
	var r packetPathRecord
	for name, offsets := range map[string][2]uintptr{
		"id":            {unsafe.Offsetof(r.Id), offsetID},
		"parent id":     {unsafe.Offsetof(r.ParentId), offsetParentID},
		"root id":       {unsafe.Offsetof(r.RootId), offsetRootID},
		"parent hop":    {unsafe.Offsetof(r.ParentHop), offsetParentHop},
		"maker":         {unsafe.Offsetof(r.Maker), offsetMaker},
		"start":         {unsafe.Offsetof(r.StartNs), offsetStart},
		"last":          {unsafe.Offsetof(r.LastNs), offsetLast},
		"drop location": {unsafe.Offsetof(r.DropLocation), offsetDropLocation},
		"drop reason":   {unsafe.Offsetof(r.DropReason), offsetDropReason},
		"pid":           {unsafe.Offsetof(r.Pid), offsetPID},
		"cgroup":        {unsafe.Offsetof(r.Cgroup), offsetCgroup},
		"random":        {unsafe.Offsetof(r.Random), offsetRandom},
		"flags":         {unsafe.Offsetof(r.Flags), offsetFlags},
		"part":          {unsafe.Offsetof(r.Part), offsetPart},
		"entries used":  {unsafe.Offsetof(r.EntriesUsed), offsetEntriesUsed},
		"frame used":    {unsafe.Offsetof(r.FrameUsed), offsetFrameUsed},
		"outcome":       {unsafe.Offsetof(r.Outcome), offsetOutcome},
		"drop protocol": {unsafe.Offsetof(r.DropProtocol), offsetDropProtocol},
		"drop type":     {unsafe.Offsetof(r.DropEtherType), offsetDropType},
		"absorber":      {unsafe.Offsetof(r.Absorber), offsetAbsorber},
		"command":       {unsafe.Offsetof(r.Command), offsetCommand},
		"frame":         {unsafe.Offsetof(r.Frame), offsetFrame},
		"frame size":    {unsafe.Sizeof(r.Frame), frameSize},
		"entries":       {unsafe.Offsetof(r.Entries), recordHeader},
		"entry size":    {unsafe.Sizeof(r.Entries[0]), entrySize},
		"entry b":       {unsafe.Offsetof(r.Entries[0].B), 4},
		"entry tagged":  {unsafe.Offsetof(r.Entries[0].Tagged), 8},
	} {
		if offsets[0] != offsets[1] {
			t.Errorf("%s: %d in C, %d in Go", name, offsets[0], offsets[1])
		}
	}
}

// wire builds records as the kernel half does.
type wire struct{ bytes []byte }

// wireStart is so late that an entry has no bits for all of a time.
const wireStart = 1<<48 - 100

func newWire(flags packetPathRecordFlag) *wire {
	w := &wire{make([]byte, recordHeader)}
	order := binary.NativeEndian
	order.PutUint64(w.bytes[offsetID:], 7)
	order.PutUint64(w.bytes[offsetStart:], wireStart)
	order.PutUint64(w.bytes[offsetLast:], wireStart+250)
	order.PutUint16(w.bytes[offsetFlags:], uint16(flags))
	return w
}

func (w *wire) entry(kind packetPathEntryKind, a, b uint32, depth, high uint64) *wire {
	order := binary.NativeEndian
	w.bytes = order.AppendUint32(w.bytes, a)
	w.bytes = order.AppendUint32(w.bytes, b)
	w.bytes = order.AppendUint64(w.bytes, high<<16|depth<<5|uint64(kind))
	return w.count()
}

func (w *wire) hop(kind packetPathEntryKind, function, caller uint32, depth, offset uint64) *wire {
	return w.entry(kind, function, caller, depth, wireStart+offset)
}

func (w *wire) name(name string) *wire {
	w.bytes = append(w.bytes, append([]byte(name), make([]byte, entrySize-len(name))...)...)
	return w.count()
}

func (w *wire) count() *wire {
	binary.NativeEndian.PutUint16(w.bytes[offsetEntriesUsed:], uint16((len(w.bytes)-recordHeader)/entrySize))
	return w
}

// testDecoder knows a few functions by the low words 0x100, 0x200 and 0x300, and others given.
func testDecoder(functions ...kernel.Symbol) *decoder {
	functions = append(functions,
		kernel.Symbol{Address: 0xffffffff81000000, Name: "_stext"},
		kernel.Symbol{Address: 0xffffffff00000100, Name: "ip_rcv"},
		kernel.Symbol{Address: 0xffffffff00000200, Name: "ip_rcv_core"},
		kernel.Symbol{Address: 0xffffffff00000300, Name: "process_backlog"},
	)
	return &decoder{offset: time.Second, names: &names{
		symbols:     kernel.NewSymbols(functions),
		reasons:     &kernel.Reasons{},
		tracepoints: []string{"net:netif_rx", "skb:kfree_skb"},
		devices:     make(map[string]string),
	}}
}

func TestDecode(t *testing.T) {
	w := newWire(packetPathRecordFlagRECORD_CUT)
	w.bytes[offsetOutcome] = byte(packetPathOutcomeOUTCOME_DELIVERED)
	binary.NativeEndian.PutUint32(w.bytes[offsetPID:], 42)
	copy(w.bytes[offsetCommand:], "ping")
	w.entry(packetPathEntryKindENTRY_PLACE, 3, 4026531840, 0, 1).name("veth0")
	w.entry(packetPathEntryKindENTRY_SIZE, 84, 9, 0, 0)
	w.hop(packetPathEntryKindENTRY_HOP, 0x100, 0x300, 0, 0)
	w.entry(packetPathEntryKindENTRY_SIZE, 64, 9, 0, 0)
	w.hop(packetPathEntryKindENTRY_HOP_NEW_STACK, 0x200, 0x100, 1, 250)
	w.entry(packetPathEntryKindENTRY_RETURN, 0, 3, 1, 0)
	w.hop(packetPathEntryKindENTRY_HOP, 1, 0, 0, 260)
	r, err := testDecoder().decode(w.bytes)
	if err != nil {
		t.Fatal(err)
	}
	if r.ID != 7 || r.Duration != 250 || !r.Start.Equal(time.Unix(1, wireStart)) || r.Lost == "" || r.More || r.Outcome != journey.Delivered || r.Drop != nil {
		t.Errorf("header: %+v", r)
	}
	if r.Process == nil || *r.Process != (journey.Process{PID: 42, Command: "ping"}) {
		t.Errorf("process %+v", r.Process)
	}
	at := journey.Visit{CPU: 1, Interface: "veth0", Ifindex: 3, Netns: 4026531840, Length: 84, Mark: 9}
	want := []journey.Visit{at, at, at}
	want[0].Function, want[0].Caller, want[0].CallSite = "ip_rcv", "process_backlog", 0x300
	want[1].CallSite = 0x100
	want[1].Function, want[1].Caller, want[1].Offset, want[1].Depth, want[1].NewStack, want[1].Length = "ip_rcv_core", "ip_rcv", 250, 1, true, 64
	want[2].Function, want[2].Offset, want[2].Length = "net:netif_rx", 260, 64
	if !slices.Equal(r.Calls, []journey.Call{{Before: 2, Depth: 1, Duration: 3}}) {
		t.Errorf("calls %+v", r.Calls)
	}
	if len(r.Visits) != len(want) {
		t.Fatalf("visits %+v", r.Visits)
	}
	for i := range want {
		if r.Visits[i] != want[i] {
			t.Errorf("visit %d:\n got %+v\nwant %+v", i, r.Visits[i], want[i])
		}
	}
}

// TestDecodeDrop: the drop is what the count of drops has, whatever the frame says.
func TestDecodeDrop(t *testing.T) {
	w := newWire(packetPathRecordFlagRECORD_DROPPED)
	copy(w.bytes[offsetFrame+12:], []byte{0x08, 0x06})
	w.bytes[offsetOutcome] = byte(packetPathOutcomeOUTCOME_DROPPED)
	w.bytes[offsetDropProtocol] = 17
	binary.NativeEndian.PutUint16(w.bytes[offsetDropType:], 0x0800)
	binary.NativeEndian.PutUint64(w.bytes[offsetDropLocation:], 0xffffffff81000010)
	r, err := testDecoder().decode(w.bytes)
	if err != nil {
		t.Fatal(err)
	}
	want := journey.Drop{Function: "_stext", Subsystem: "core", Protocol: "udp"}
	if r.Outcome != journey.Dropped || r.Drop == nil || *r.Drop != want {
		t.Errorf("outcome %s, drop %+v, want %+v", r.Outcome, r.Drop, want)
	}
}

// TestDecodeParent: of what is sent again no hop and no maker are told.
func TestDecodeParent(t *testing.T) {
	for flags, want := range map[packetPathRecordFlag]journey.Parent{
		0: {ID: 3, Hop: 2, Maker: "ip_rcv"},
		packetPathRecordFlagRECORD_RETRANSMISSION: {ID: 3, Hop: 2, Maker: "ip_rcv", Again: true},
	} {
		w := newWire(flags)
		binary.NativeEndian.PutUint64(w.bytes[offsetParentID:], 3)
		binary.NativeEndian.PutUint32(w.bytes[offsetParentHop:], 2)
		binary.NativeEndian.PutUint32(w.bytes[offsetMaker:], 0x100)
		r, err := testDecoder().decode(w.bytes)
		if err != nil {
			t.Fatal(err)
		}
		if r.Parent == nil || *r.Parent != want {
			t.Errorf("parent %+v, want %+v", r.Parent, want)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	whole := newWire(0).hop(packetPathEntryKindENTRY_HOP, 0x100, 0, 0, 0).bytes
	for name, raw := range map[string][]byte{
		"nothing":            nil,
		"half a header":      whole[:recordHeader/2],
		"half an entry":      whole[:len(whole)-1],
		"place without name": newWire(0).entry(packetPathEntryKindENTRY_PLACE, 1, 2, 0, 0).bytes,
	} {
		if _, err := testDecoder().decode(raw); !errors.Is(err, errTruncated) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := testDecoder().decode(newWire(0).entry(15, 0, 0, 0, 0).bytes); err == nil {
		t.Error("an unknown entry was taken")
	}
	whole[offsetOutcome] = byte(packetPathOutcomeOUTCOMES)
	if _, err := testDecoder().decode(whole); err == nil {
		t.Error("an unknown outcome was taken")
	}
}

// TestPartsOutliveTheDecoder: what is awaited is not what the next record is decoded into.
func TestPartsOutliveTheDecoder(t *testing.T) {
	d, assembler := testDecoder(), journey.NewAssembler()
	var whole *journey.Record
	raw := make([]byte, 4096) // as the ring buffer's reader has it, for one record after another
	for number, function := range []uint32{0x100, 0x200} {
		w := newWire(packetPathRecordFlagRECORD_MORE * packetPathRecordFlag(1-number))
		binary.NativeEndian.PutUint16(w.bytes[offsetPart:], uint16(number))
		binary.NativeEndian.PutUint16(w.bytes[offsetFrameUsed:], 1)
		w.bytes[offsetFrame] = byte(function >> 8)
		w.hop(packetPathEntryKindENTRY_HOP, function, 0, 0, 0).entry(packetPathEntryKindENTRY_RETURN, 0, function, 0, 0)
		r, err := d.decode(raw[:copy(raw, w.bytes)])
		if err != nil {
			t.Fatal(err)
		}
		whole = assembler.Add(r)
	}
	if whole == nil || len(whole.Visits) != 2 || whole.Visits[0].Function != "ip_rcv" || whole.Visits[1].Function != "ip_rcv_core" {
		t.Fatalf("%+v, want ip_rcv and ip_rcv_core", whole)
	}
	if !bytes.Equal(whole.Frame, []byte{1}) || len(whole.Calls) != 2 || whole.Calls[0].Duration != 0x100 {
		t.Errorf("frame % x, calls %+v; want those of the first part too", whole.Frame, whole.Calls)
	}
}

// FuzzDecode feeds the decoder and all behind it what no kernel sends.
func FuzzDecode(f *testing.F) {
	f.Add(newWire(packetPathRecordFlagRECORD_MORE).hop(packetPathEntryKindENTRY_HOP, 1, 2, 1, 5).bytes)
	f.Add(newWire(0).entry(packetPathEntryKindENTRY_PLACE, 1, 2, 0, 0).name("lo").bytes)
	f.Fuzz(func(t *testing.T, raw []byte) {
		d := testDecoder()
		r, err := d.decode(raw)
		if err != nil {
			return
		}
		if whole := journey.NewAssembler().Add(r); whole != nil {
			if j := journey.Build(whole); len(j.Hops) != len(r.Visits) {
				t.Errorf("%d visits became %d hops", len(r.Visits), len(j.Hops))
			}
		}
	})
}

// BenchmarkJourney is all from a record of 100 hops to its journey.
func BenchmarkJourney(b *testing.B) {
	const hops, functions, first = 100, 50, 0x1000
	var symbols []kernel.Symbol
	for i := range uint64(functions) {
		symbols = append(symbols, kernel.Symbol{Address: 0xffffffff00000000 + first + i, Name: fmt.Sprintf("function_%04d", i)})
	}
	d := testDecoder(symbols...)
	w := newWire(0)
	binary.NativeEndian.PutUint16(w.bytes[offsetFrameUsed:], frameSize)
	copy(w.bytes[offsetFrame+12:], "\x08\x00\x45") // IPv4
	w.entry(packetPathEntryKindENTRY_PLACE, 3, 4026531840, 0, 1).name("veth0")
	w.entry(packetPathEntryKindENTRY_SIZE, 84, 0, 0, 0)
	for i := range uint64(hops) {
		caller := first + uint32((i+functions-1)%functions)
		w.hop(packetPathEntryKindENTRY_HOP, first+uint32(i%functions), caller, i%4, 1000*i)
	}
	assembler := journey.NewAssembler()
	b.SetBytes(int64(len(w.bytes)))
	b.ReportAllocs()
	for b.Loop() {
		r, err := d.decode(w.bytes)
		if err != nil {
			b.Fatal(err)
		}
		if j := journey.Build(assembler.Add(r)); len(j.Hops) != hops || j.Flow.NetworkType != "ipv4" {
			b.Fatalf("%+v", j)
		}
	}
	b.ReportMetric(hops*float64(b.N)/b.Elapsed().Seconds(), "hops/s")
}
