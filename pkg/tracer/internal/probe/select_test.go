// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/skbpath/skbpath/pkg/tracer/internal/kernel"
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
				"end1 skb_release_head_state", "late1 sock_wfree",
				"merge skb_gro_receive", "skb1 veth_xmit", "split skb_split",
			},
			skipped: []string{
				"notrace", "inlined", "skb_release_data",
				"__traceiter_kfree_skb", "__probestub_kfree_skb", "__bpf_trace_kfree_skb",
			},
		},
		"some, and what is wanted in any case": {
			only:    "ip_.*",
			targets: []string{"skb1 ip_rcv", "skb1 ip_fragment.constprop.0", "end1 skb_release_head_state", "split skb_split"},
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

func TestSharedNames(t *testing.T) {
	shared := sharedNames([]target{
		{symbol: kernel.Symbol{Address: 1, Name: "one"}}, {symbol: kernel.Symbol{Address: 1, Name: "one"}},
		{symbol: kernel.Symbol{Address: 2, Name: "two"}}, {symbol: kernel.Symbol{Address: 3, Name: "two"}},
	})
	if len(shared) != 1 || !shared["two"] {
		t.Errorf("shared: %v", shared)
	}
}
