// SPDX-License-Identifier: Apache-2.0

package kernel

import (
	"slices"
	"strings"
	"testing"

	"github.com/cilium/ebpf/btf"
)

func TestTrampolines(t *testing.T) {
	symbols, err := parseSymbols(strings.NewReader(`ffffffff81000000 T ip_rcv
ffffffffc0200000 t bpf_trampoline_6442523649	[bpf]
ffffffffc0201000 t bpf_prog_3e67bfaf0ab8d9d3_traced_skb1	[bpf]
ffffffffc0202000 t bpf_trampoline_6442523650	[bpf]
ffffffffc0203000 t bpf_trampoline_17	[bpf]
ffffffffc0204000 t bpf_trampoline_odd	[bpf]
ffffffffc0205000 t bpf_trampoline_6442523649	[other]
`))
	if err != nil {
		t.Fatal(err)
	}
	// 6442523649 is 1<<32 | 1<<31 | 72705.
	got := symbols.Trampolines(map[btf.TypeID]string{72705: "ip_rcv", 17: "of_another_program"})
	if all := slices.Collect(got.all()); len(all) != 1 || all[0] != (Symbol{Address: 0xffffffffc0200000, Name: "ip_rcv"}) {
		t.Errorf("trampolines %+v", all)
	}
	if s, ok := got.At(0xffffffffc0200123); !ok || s.Name != "ip_rcv" {
		t.Errorf("in the trampoline: %+v, %v", s, ok)
	}
}

func TestBeyondReach(t *testing.T) {
	symbols := NewSymbols([]Symbol{{Address: 0xffffffff81000000, Name: "last"}})
	if s, ok := symbols.At(0xffffffff81000fff); !ok || s.Name != "last" {
		t.Errorf("within: %+v, %v", s, ok)
	}
	if s, ok := symbols.At(0xffffffffc0200000); ok {
		t.Errorf("beyond: %+v", s)
	}
}
