// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"slices"
	"testing"

	"github.com/skbpath/skbpath/pkg/tracer/internal/kernel"
	"github.com/skbpath/skbpath/pkg/tracer/journey"
)

func TestPlan(t *testing.T) {
	function := func(name string, address uint64, life journey.Life) target {
		return target{
			symbol: kernel.Symbol{Name: name, Address: address}, id: 1, life: life,
			argument: kernel.Argument{Register: 1},
		}
	}
	ofModule := function("veth_xmit", 7, journey.Lives)
	ofModule.id = 0
	merger := function("tcp_try_coalesce", 9, journey.Lives)
	merger.argument.Register = 3
	chosen := &selection{
		targets: []target{
			function("ip_rcv", 1, journey.Lives),
			function("sock_wfree", 2, journey.Late),
			function("consume_skb", 10, journey.Lives),
			function("skb_release_head_state", 3, journey.Ends),
			function("__copy_skb_header", 4, journey.Makes),
			function("two", 5, journey.Lives), function("two", 6, journey.Lives),
			ofModule,
			function("kfree_skbmem.isra.0", 8, journey.Ends),
			merger,
		},
		returns: map[string]journey.Return{"__alloc_skb": journey.Allocates, "tcp_try_coalesce": journey.Refuses},
	}
	always := []string{"two", "two", "veth_xmit", "kfree_skbmem.isra.0"}
	watched := []string{"skb_release_head_state", "__copy_skb_header", "tcp_try_coalesce"}
	tests := map[string]struct {
		backend               Backend
		trampolines           bool
		lone, traced, kprobed []string
	}{
		"kprobes": {BackendKprobe, true, watched, nil, append([]string{"ip_rcv", "sock_wfree", "consume_skb"}, always...)},
		"without trampolines": {BackendKprobeMulti, false, nil, nil, append([]string{
			"ip_rcv", "sock_wfree", "consume_skb", "skb_release_head_state", "__copy_skb_header",
		}, append(always, "tcp_try_coalesce")...)},
		"many by one trampoline": {BackendFentryMulti, true, watched, []string{"ip_rcv", "sock_wfree", "consume_skb"}, always},
		"with their returns":     {BackendFsessionMulti, true, watched, []string{"ip_rcv", "sock_wfree"}, append([]string{"consume_skb"}, always...)},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			p := chosen.plan(test.backend, test.trampolines)
			for list, pair := range map[string][2][]string{
				"lone":    {symbolNames(p.lone), test.lone},
				"traced":  {symbolNames(p.traced), test.traced},
				"kprobed": {symbolNames(p.kprobed), test.kprobed},
			} {
				if !slices.Equal(pair[0], pair[1]) {
					t.Errorf("%s: %v, want %v", list, pair[0], pair[1])
				}
			}
			for name, want := range map[string]string{"__alloc_skb": "return_allocated", "tcp_try_coalesce": "return_refused"} {
				if got := p.programs()["return_"+name]; (got == wantedProgram{from: want, function: name}) != test.trampolines {
					t.Errorf("the return of %s is watched by %+v", name, got)
				}
			}
		})
	}
}

func symbolNames(targets []target) []string {
	var all []string
	for _, t := range targets {
		all = append(all, t.symbol.Name)
	}
	return all
}
