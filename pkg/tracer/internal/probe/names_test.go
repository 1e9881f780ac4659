// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"fmt"
	"testing"

	"github.com/cilium/ebpf/btf"

	"github.com/skbpath/skbpath/pkg/tracer/internal/kernel"
)

// TestTrampolinesAreNamedByTheirFunctions: they lie where modules do.
func TestTrampolinesAreNamedByTheirFunctions(t *testing.T) {
	now := kernel.NewSymbols([]kernel.Symbol{{Address: 0xffffffffc0102000, Name: "bpf_trampoline_6442523649", Module: "bpf"}})
	n := &names{
		symbols: kernel.NewSymbols([]kernel.Symbol{
			{Address: 0xffffffff81000000, Name: "ip_rcv"},
			{Address: 0xffffffffc0101000, Name: "veth_xmit", Module: "veth"},
			{Address: 0xffffffffc0103000, Name: "br_forward", Module: "bridge"},
		}),
		trampolines: now.Trampolines(map[btf.TypeID]string{72705: "ping_rcv"}),
	}
	for address, want := range map[uint64]string{
		0xffffffff81000010: "ip_rcv", 0xffffffffc0101010: "veth_xmit", 0xffffffffc0102010: "ping_rcv", 0xffffffffc0103010: "br_forward",
		0xffffffffa0000000: "",
	} {
		if got := n.at(address); got != want {
			t.Errorf("%#x is in %q, want %q", address, got, want)
		}
	}
}

// TestFunctionsShareSlots: of more than there are slots each keeps its own name.
func TestFunctionsShareSlots(t *testing.T) {
	const functions, size, text = 2*functionSlots + 1, 48, 0xffffffff81000000
	var symbols []kernel.Symbol
	for i := range uint64(functions) {
		symbols = append(symbols, kernel.Symbol{Address: text + i*size, Name: fmt.Sprintf("f%d", i)})
	}
	n := &names{symbols: kernel.NewSymbols(symbols)}
	for range 2 {
		for i, s := range symbols {
			low := uint32(s.Address + size/2)
			for range 2 {
				if got := n.function(low); got != s.Name {
					t.Fatalf("%d: %#x is in %q, want %q", i, low, got, s.Name)
				}
			}
		}
	}
	if got := n.function(0); got != "" {
		t.Errorf("0 is in %q", got)
	}
}

func TestDevicesAreBounded(t *testing.T) {
	n := &names{devices: make(map[string]string)}
	for i := range 3 * maxDevices {
		want := fmt.Sprintf("veth%d", i)
		if got := n.device(append([]byte(want), 0, 'x')); got != want {
			t.Fatalf("device %q, want %q", got, want)
		}
	}
	if len(n.devices) > maxDevices {
		t.Errorf("%d names are kept, at most %d are to be", len(n.devices), maxDevices)
	}
}
