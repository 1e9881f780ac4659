// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"

	"github.com/skbpath/skbpath/pkg/tracer/internal/kernel"
	"github.com/skbpath/skbpath/pkg/tracer/journey"
)

func object(t *testing.T) *ebpf.CollectionSpec {
	t.Helper()
	spec, err := loadPacketPath()
	if err != nil {
		t.Fatal(err)
	}
	return spec
}

// TestProgramsAreUsed: every program of the object is one that some target or
// tracepoint asks for, and the reverse.
func TestProgramsAreUsed(t *testing.T) {
	used := map[string]bool{
		packetPathProgExpireBucket: true, packetPathProgTracepointKfreeSkb: true,
		packetPathProgTracepointKfreeSkbNoReason: true, packetPathProgTracepointConsumeSkb: true,
	}
	for _, r := range journey.Returns() {
		used[returnProgram(r)] = true
	}
	for register := 1; register <= 6; register++ {
		for life := journey.Lives; life < journey.Gone; life++ {
			for _, reference := range []bool{false, true} {
				t := target{life: life, argument: kernel.Argument{Register: register, Reference: reference}}
				used[kprobePrefix+t.kind()], used[tracedPrefix+t.kind()] = true, true
				if lone := t.loneKind(); lone != "" {
					used[lonePrefix+lone] = true
				}
			}
		}
		if name, miss := tracepointProgram(kernel.Tracepoint{Name: "t", Argument: register}, nil); miss == "" {
			used[name] = true
		}
	}
	programs := object(t).Programs
	for name := range used {
		if programs[name] == nil {
			t.Errorf("the object has no program %s", name)
		}
	}
	for name := range programs {
		if !used[name] {
			t.Errorf("nothing uses the program %s", name)
		}
	}
}

func TestReplaceFilter(t *testing.T) {
	body := asm.Instructions{asm.Mov.Imm(asm.R0, 1), asm.Return()}
	program := object(t).Programs[packetPathProgFunctionSkb1].Instructions
	replaced, err := replaceFilter(program, body)
	if err != nil {
		t.Fatal(err)
	}
	at := -1
	for i := range replaced {
		if replaced[i].Symbol() == filterStub {
			at = i
		}
	}
	if at < 0 || btf.FuncMetadata(&replaced[at]) == nil {
		t.Fatal("the subprogram has lost its symbol or its type")
	}
	if got := replaced[at+1]; got.OpCode != body[0].OpCode || got.Constant != 1 {
		t.Errorf("the body begins with %v", got)
	}
	if at+3 < len(replaced) && btf.FuncMetadata(&replaced[at+3]) == nil {
		t.Errorf("something of the stub is left: %v", replaced[at+3])
	}
}

func TestSetNumber(t *testing.T) {
	program := object(t).Programs[packetPathProgTracepointSkb1].Instructions
	marks := func() (n int) {
		for _, instruction := range program {
			if uint32(instruction.Constant) == tracepointMark {
				n++
			}
		}
		return n
	}
	if marks() == 0 {
		t.Fatal("the program has no place for a number")
	}
	setConstant(program, tracepointMark, 5)
	if n := marks(); n != 0 {
		t.Errorf("%d places are left", n)
	}
}

func TestTracepointProgram(t *testing.T) {
	drop := kernel.Tracepoint{Name: "kfree_skb", Argument: 1, Count: 3}
	for want, tracepoint := range map[string]kernel.Tracepoint{
		packetPathProgTracepointKfreeSkb:   drop,
		packetPathProgTracepointConsumeSkb: {Name: "consume_skb", Argument: 1},
		packetPathProgTracepointSkb3:       {Name: "qdisc_enqueue", Argument: 3},
	} {
		if got, miss := tracepointProgram(tracepoint, []kernel.Tracepoint{drop}); got != want || miss != "" {
			t.Errorf("%s: %q, %q, want %s", tracepoint.Name, got, miss, want)
		}
	}
	for _, tracepoint := range []kernel.Tracepoint{{Name: "net_dev_xmit", Argument: 1}, {Name: "far", Argument: 6}} {
		if program, miss := tracepointProgram(tracepoint, nil); program != "" || miss == "" {
			t.Errorf("%s: %q, %q", tracepoint.Name, program, miss)
		}
	}
}

func TestDropProgram(t *testing.T) {
	for count, want := range map[int]string{
		2: packetPathProgTracepointKfreeSkbNoReason, 3: packetPathProgTracepointKfreeSkb, 4: packetPathProgTracepointKfreeSkb,
	} {
		got, ok := dropProgram([]kernel.Tracepoint{{Name: "netif_rx", Count: 1}, {Name: "kfree_skb", Count: count}})
		if !ok || got != want {
			t.Errorf("with %d arguments: %s", count, got)
		}
	}
	if _, ok := dropProgram(nil); ok {
		t.Error("a drop program without a tracepoint")
	}
}
