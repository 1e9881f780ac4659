// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/skbpath/skbpath/pkg/tracer/internal/kernel"
	"github.com/skbpath/skbpath/pkg/tracer/journey"
)

func first(name string) kernel.Function {
	return kernel.Function{Name: name, Arguments: []kernel.Argument{{Register: 1}}}
}

func TestChoose(t *testing.T) {
	symbols := kernel.NewSymbols([]kernel.Symbol{
		{Address: 0x100, Name: "ip_rcv"},
		{Address: 0x200, Name: "helper"}, {Address: 0x300, Name: "helper"},
		{Address: 0x400, Name: "ip_fragment.constprop.0"},
		{Address: 0x500, Name: "notrace"},
		{Address: 0x600, Name: "skb_release_head_state"},
		{Address: 0x700, Name: "sock_wfree"},
		{Address: 0x800, Name: "skb_release_data"},
		{Address: 0x900, Name: "skb_gro_receive"},
		{Address: 0xa00, Name: "veth_xmit", Module: "veth"},
		{Address: 0xb00, Name: "__traceiter_kfree_skb"}, {Address: 0xc00, Name: "__probestub_kfree_skb"},
		{Address: 0xd00, Name: "__bpf_trace_kfree_skb"},
		{Address: 0xe00, Name: "skb_split"},
	})
	attachable := map[string]bool{
		"ip_rcv": true, "helper": true, "ip_fragment.constprop.0": true, "skb_release_head_state": true,
		"sock_wfree": true, "skb_release_data": true, "skb_gro_receive": true, "veth_xmit": true,
		"__traceiter_kfree_skb": true, "__probestub_kfree_skb": true, "__bpf_trace_kfree_skb": true,
		"skb_split": true,
	}
	functions := []kernel.Function{
		first("ip_rcv"), first("ip_rcv"), first("helper"), first("ip_fragment"), first("notrace"), first("inlined"),
		first("skb_release_head_state"), first("sock_wfree"), first("skb_release_data"),
		first("__traceiter_kfree_skb"), first("__probestub_kfree_skb"), first("__bpf_trace_kfree_skb"),
		{Name: "skb_gro_receive", Arguments: []kernel.Argument{{Register: 1}, {Register: 2}}},
		{Name: "skb_split", Arguments: []kernel.Argument{{Register: 1}, {Register: 2}}},
		{Name: "veth_xmit", Module: "veth", Arguments: []kernel.Argument{{Register: 1}}},
	}
	tests := map[string]struct {
		only    string
		targets []string
		skipped []string
	}{
		"all": {
			targets: []string{
				"skb1 ip_rcv", "skb1 helper", "skb1 helper", "skb1 ip_fragment.constprop.0",
				"other skb_release_head_state", "late1 sock_wfree",
				"other skb_gro_receive", "skb1 veth_xmit", "other skb_split",
			},
			skipped: []string{
				"notrace", "inlined", "skb_release_data",
				"__traceiter_kfree_skb", "__probestub_kfree_skb", "__bpf_trace_kfree_skb",
			},
		},
		"some, and what is wanted in any case": {
			only:    "ip_.*",
			targets: []string{"skb1 ip_rcv", "skb1 ip_fragment.constprop.0", "other skb_release_head_state", "other skb_split"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			o := &Options{}
			if test.only != "" {
				o.Functions = regexp.MustCompile("^(?:" + test.only + ")$")
			}
			s := selector{options: o, symbols: symbols, suffixed: symbols.SuffixedByBase(), attachable: attachable}
			got := s.choose(functions)
			var targets, skipped []string
			for _, target := range got.targets {
				targets = append(targets, target.kind()+" "+target.symbol.Name)
			}
			for _, miss := range got.skipped {
				skipped = append(skipped, miss.Name)
				if miss.Reason == "" {
					t.Errorf("%s is skipped for no reason", miss.Name)
				}
			}
			if !slices.Equal(targets, test.targets) {
				t.Errorf("targets\n  %s\nwant\n  %s", strings.Join(targets, "\n  "), strings.Join(test.targets, "\n  "))
			}
			if !slices.Equal(skipped, test.skipped) {
				t.Errorf("skipped %v, want %v", skipped, test.skipped)
			}
		})
	}
}

func TestRoles(t *testing.T) {
	tests := map[string]struct {
		name       string
		life       journey.Life
		argument   kernel.Argument
		want       packetPathFunctionRole
		kind, lone string
	}{
		"first packet":    {"ip_rcv", journey.Lives, kernel.Argument{Register: 1}, roleOf(packetPathLifeLIFE_LIVES, 1, 0), "skb1", ""},
		"third packet":    {"tcp_try_coalesce", journey.Lives, kernel.Argument{Register: 3}, roleOf(packetPathLifeLIFE_LIVES, 3, 0), "skb3", "skb3"},
		"sixth packet":    {"ip_route_use_hint", journey.Lives, kernel.Argument{Register: 6}, roleOf(packetPathLifeLIFE_LIVES, 6, 0), "other", ""},
		"runs after ends": {"sock_wfree", journey.Late, kernel.Argument{Register: 1}, roleOf(packetPathLifeLIFE_LATE, 1, 0), "late1", ""},
		"late third":      {"f", journey.Late, kernel.Argument{Register: 3}, roleOf(packetPathLifeLIFE_LATE, 3, 0), "other", ""},
		"end":             {"napi_reuse_skb", journey.Ends, kernel.Argument{Register: 2}, roleOf(packetPathLifeLIFE_ENDS, 2, 0), "other", "end2"},
		"end of a third":  {"f", journey.Ends, kernel.Argument{Register: 3}, roleOf(packetPathLifeLIFE_ENDS, 3, 0), "other", ""},
		"birth":           {"__copy_skb_header", journey.Makes, kernel.Argument{Register: 1}, roleOf(packetPathLifeLIFE_MAKES, 2, 1), "other", "birth"},
		"merge":           {"skb_gro_receive", journey.Lives, kernel.Argument{Register: 2}, roleOf(packetPathLifeLIFE_MERGES, 2, 1), "other", ""},
		"split":           {"skb_split", journey.Splits, kernel.Argument{Register: 1}, roleOf(packetPathLifeLIFE_SPLITS, 1, 2), "other", ""},
		"second by reference": {
			"f", journey.Lives, kernel.Argument{Register: 2, Reference: true},
			byReference(roleOf(packetPathLifeLIFE_LIVES, 2, 0)), "other", "",
		},
		"by reference": {
			"__netif_receive_skb_core", journey.Lives, kernel.Argument{Register: 1, Reference: true},
			byReference(roleOf(packetPathLifeLIFE_LIVES, 1, 0)), "ref1", "",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			target := target{symbol: kernel.Symbol{Name: test.name, Address: 0x100}, life: test.life, argument: test.argument}
			if got := target.role(); got != test.want {
				t.Errorf("role %+v, want %+v", got, test.want)
			}
			if target.kind() != test.kind || target.loneKind() != test.lone {
				t.Errorf("kind %q, alone %q, want %q, %q", target.kind(), target.loneKind(), test.kind, test.lone)
			}
		})
	}
}

// TestVisitors: a function is one target, whatever packets visit it. What is left out is
// said, unless it is a place for packets that the function lets go.
func TestVisitors(t *testing.T) {
	direct := func(register int) kernel.Argument { return kernel.Argument{Register: register} }
	reference := func(register int) kernel.Argument { return kernel.Argument{Register: register, Reference: true} }
	tests := map[string]struct {
		arguments []kernel.Argument
		want      packetPathFunctionRole
		skipped   int
	}{
		"three":          {[]kernel.Argument{direct(1), direct(5), direct(6)}, roleOf(packetPathLifeLIFE_LIVES, 1, 5), 1},
		"two":            {[]kernel.Argument{direct(2), direct(3)}, roleOf(packetPathLifeLIFE_LIVES, 2, 3), 0},
		"with to_free":   {[]kernel.Argument{direct(1), reference(3)}, roleOf(packetPathLifeLIFE_LIVES, 1, 0), 0},
		"two references": {[]kernel.Argument{reference(1), reference(2)}, byReference(roleOf(packetPathLifeLIFE_LIVES, 1, 0)), 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			chosen := &selection{}
			chosen.add(kernel.Function{Name: "f", Arguments: test.arguments}, journey.Lives, []kernel.Symbol{{Address: 0x100, Name: "f"}})
			table, err := newTable(functionsOf(chosen.targets))
			if err != nil {
				t.Fatal(err)
			}
			table.setRoles(chosen.targets)
			stored := table.roles[table.placeOf(0x100)]
			if len(chosen.targets) != 1 || chosen.targets[0].role() != test.want || chosen.targets[0].kind() == otherKind && stored != test.want {
				t.Errorf("targets %+v, stored %+v, want one of role %+v", chosen.targets, stored, test.want)
			}
			if len(chosen.skipped) != test.skipped {
				t.Errorf("skipped %+v, want %d", chosen.skipped, test.skipped)
			}
		})
	}
	nothing := &selection{}
	nothing.add(kernel.Function{Name: "f", Arguments: []kernel.Argument{reference(6)}}, journey.Lives, []kernel.Symbol{{Address: 0x100, Name: "f"}})
	if len(nothing.targets) != 0 || len(nothing.skipped) != 1 {
		t.Errorf("what only returns a packet: targets %+v, skipped %+v", nothing.targets, nothing.skipped)
	}
}

func TestSharedNames(t *testing.T) {
	shared := sharedNames([]target{
		{symbol: kernel.Symbol{Address: 1, Name: "one"}}, {symbol: kernel.Symbol{Address: 1, Name: "one"}},
		{symbol: kernel.Symbol{Address: 2, Name: "two"}}, {symbol: kernel.Symbol{Address: 3, Name: "two"}},
	})
	if len(shared) != 1 || !shared["two"] {
		t.Errorf("shared: %v", shared)
	}
}
