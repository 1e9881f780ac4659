// SPDX-License-Identifier: Apache-2.0

//go:build linux

package kernels

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/skbpath/skbpath/test/vm"
)

// optionCase is a skbpath with an option, and a test of what it then says of the
// packets of scenarios.
type optionCase struct {
	name  string
	env   string
	args  string // as the shell reads them
	await string // a command that succeeds once enough is seen, "" for none
	check func(t *testing.T, dir string, all []*journey)
}

func optionCases() []optionCase {
	return []optionCase{
		{name: "nat", args: "host 10.9.7.7", check: followedThroughNAT},
		{name: "tracepoints", args: "--probe.source=tracepoints", check: tracepointsOnly},
		{name: "drops", args: "--probe.source=drops", check: dropsOnly},
		{name: "functions", args: "--probe.all-kmods '--probe.functions=ip_.*|br_.*'", check: chosenFunctionsOnly},
		{name: "fragments", args: "--filter.interface=west udp", check: laterFragmentHasNoPorts},
		{
			name: "limits", args: "--journey.max-hops=10 --journey.timeout=1s icmp",
			await: `grep -q '"outcome":"expired"' "$OUT/limits.json"`, check: staysWithinLimits,
		},
		{
			name: "otlp", env: "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:9", args: "icmp",
			await: `grep -q '127.0.0.1:9[^0-9]' "$OUT/otlp.log"`, check: runsWithoutCollector,
		},
	}
}

// descendantsPart has filters that ask for ports, which later fragments do not have. With
// the functions that its claims name it attaches in a fraction of the time.
func descendantsPart() part {
	const functions = "'--probe.functions=ip.*|.*udp.*|skb_.*|inet_frag.*|(__)?dev_.*|.*netif_.*|enqueue_to_backlog|packet_rcv' "
	return optionsPart("descendants", []optionCase{
		{name: "descendants", args: functions + "'udp port 7000 or udp port 7011 or udp port 7016'", check: followsWhatIsMadeOfThem},
		{name: "strangers", args: functions + "--filter.interface=west 'udp port 7000 or udp port 7011'", check: followsNoStrangers},
	}, "fragment", "fragment6", "copies")
}

// optionsPart runs one skbpath for each case, all at the same time.
func optionsPart(name string, cases []optionCase, scenarios ...string) part {
	return part{
		name: name,
		build: func(*testing.T, *kernel) vm.Scenario {
			return vm.Scenario{Name: name, Script: optionsScript(cases, scenarios), Timeout: partTimeout}
		},
		check: func(t *testing.T, _ *kernel, r vm.ScenarioResult) {
			for _, c := range cases {
				t.Run(c.name, func(t *testing.T) { c.check(t, r.Dir, readInstance(t, r.Dir, c.name)) })
			}
		},
	}
}

func optionsScript(cases []optionCase, scenarios []string) string {
	var b strings.Builder
	b.WriteString(". /guest/instances.sh\n")
	var names []string
	for _, c := range cases {
		if c.env != "" {
			fmt.Fprintf(&b, "export %s\n", c.env)
		}
		fmt.Fprintf(&b, "start %s %s\n", c.name, c.args)
		if c.env != "" {
			name, _, _ := strings.Cut(c.env, "=")
			fmt.Fprintf(&b, "unset %s\n", name)
		}
		names = append(names, c.name)
	}
	fmt.Fprintf(&b, "ready %s\n", strings.Join(names, " "))
	for _, s := range scenarios {
		fmt.Fprintf(&b, "sh -eu /scenario/%s.sh\n", s)
	}
	for _, c := range cases {
		if c.await != "" {
			fmt.Fprintf(&b, "await 60 sh -c '%s' || true # the check says what is missing\n", strings.ReplaceAll(c.await, "'", `'\''`))
		}
	}
	for _, name := range names {
		fmt.Fprintf(&b, "metrics %[1]s >\"$OUT/%[1]s.metrics\"\n", name)
	}
	fmt.Fprintf(&b, "stop %s\n", strings.Join(names, " "))
	return b.String()
}

// followedThroughNAT: the filter matches what the headers said at first, and the
// packet is followed to the host that NAT sends it to. Its reply has that host's
// address until NAT gives it the other one.
func followedThroughNAT(t *testing.T, _ string, all []*journey) {
	request := dnatClaims()[0]
	request.check(t, all)
	for _, j := range all {
		if f := j.Flow; f.Source.Address != "10.9.7.7" && f.Destination.Address != "10.9.7.7" {
			t.Errorf("does not match the filter: %s", j)
		}
	}
}

// dropsOnly: of what is dropped it says why, where and of which flow, and of all else nothing,
// but for fragments that end with what they were put together to: the kernel calls it a drop.
func dropsOnly(t *testing.T, _ string, all []*journey) {
	for _, j := range all {
		if j.Outcome != "dropped" && j.Outcome != "absorbed" || len(j.Hops) != 1 || j.Hops[0].Function != "skb:kfree_skb" {
			t.Fatalf("is no drop alone: %s", j)
		}
	}
	dropped := claim{
		transport: "icmp", from: "10.1.3.1", to: "10.1.3.2", min: 3, max: 3, path: []string{"skb:kfree_skb"}, whole: true,
		drop: &drop{Reason: "NETFILTER_DROP", Subsystem: "core", Function: "nft_do_chain"},
	}
	dropped.check(t, all)
}

func tracepointsOnly(t *testing.T, _ string, all []*journey) {
	for _, j := range all {
		for _, h := range j.Hops {
			if !strings.Contains(h.Function, ":") {
				t.Fatalf("%s is no tracepoint: %s", h.Function, j)
			}
		}
		staysOnLoopback(t, j)
	}
	request := claim{
		transport: "icmp", from: "10.1.1.1", to: "10.1.1.2",
		path:       []string{"net:net_dev_queue", "net:net_dev_start_xmit", "net:netif_rx", "net:netif_receive_skb", "skb:consume_skb"},
		interfaces: []string{"east", "west"}, namespaces: 2, outcomes: []string{"consumed"}, whole: true,
		wait: [2]string{"net:netif_rx", "net:netif_receive_skb"},
	}
	request.check(t, all)
	dropped := claim{
		transport: "icmp", from: "10.1.3.1", to: "10.1.3.2", min: 3, max: 3,
		path:       []string{"net:net_dev_queue", "net:net_dev_start_xmit", "net:netif_rx", "net:netif_receive_skb", "skb:kfree_skb"},
		interfaces: []string{"east", "west"}, whole: true,
		drop: &drop{Reason: "NETFILTER_DROP", Subsystem: "core", Function: "nft_do_chain"},
	}
	dropped.check(t, all)
}

// staysOnLoopback: what is sent to 127.0.0.1 leaves lo for nowhere. If it seems
// to, then another packet was taken for it, one that got its memory.
func staysOnLoopback(t *testing.T, j *journey) {
	t.Helper()
	loopback := strings.HasPrefix(j.Flow.Source.Address, "127.")
	if got := j.interfaces(); loopback && !slices.Equal(got, []string{"lo"}) {
		t.Errorf("a packet to the loopback address is on %q: %s", got, j)
	}
}

// chosenFunctionsOnly: beside those asked for there are those that end a journey
// or make a packet of another. Nobody has named the module bridge.
func chosenFunctionsOnly(t *testing.T, _ string, all []*journey) {
	ends := []string{
		"skb_release_head_state", "__consume_stateless_skb", "napi_skb_free_stolen_head", "napi_reuse_skb", "kfree_skbmem",
		"skb_attempt_defer_free", "__copy_skb_header",
	}
	for _, j := range all {
		for _, h := range j.Hops {
			if !strings.HasPrefix(h.Function, "ip_") && !strings.HasPrefix(h.Function, "br_") && !slices.Contains(ends, h.Function) {
				t.Fatalf("%s was not asked for: %s", h.Function, j)
			}
		}
	}
	request := claim{
		transport: "icmp", from: "10.1.1.1", to: "10.1.1.2",
		path: []string{"ip_output", "ip_finish_output2", "ip_rcv", "ip_local_deliver"}, interfaces: []string{"east", "west"}, whole: true,
	}
	request.check(t, all)
	bridged := claim{
		transport: "icmp", from: "10.1.8.1", to: "10.1.8.2", visits: "br_handle_frame",
		path: []string{"ip_output", "br_handle_frame", "br_forward", "br_dev_queue_push_xmit", "ip_rcv", "ip_local_deliver"}, whole: true,
	}
	bridged.check(t, all)
	dropped := claim{
		transport: "icmp", from: "10.1.3.1", to: "10.1.3.2", min: 3, max: 3,
		drop: &drop{Reason: "NETFILTER_DROP", Subsystem: "core", Function: "nft_do_chain"}, whole: true,
	}
	dropped.check(t, all)
}

// laterFragmentHasNoPorts: followed only from the receiver on, a fragment is what
// its own header says it is.
func laterFragmentHasNoPorts(t *testing.T, _ string, all []*journey) {
	datagram := claim{
		transport: "udp", from: "10.1.2.1", to: "10.1.2.2", visits: "ip_rcv", min: 2, max: 2, whole: true,
		also: func(t *testing.T, j *journey) {
			if f := j.Flow; f.Fragment != (f.Source.Port == 0) || f.Fragment != (f.Destination.Port != 7000) {
				t.Errorf("flow %+v: ports are for the first fragment, and fragment for the second", f)
			}
		},
	}
	datagram.check(t, all)
}

// followsWhatIsMadeOfThem: a packet is followed because the one that it was made from
// is, to its end, whatever its own headers say.
func followsWhatIsMadeOfThem(t *testing.T, _ string, all []*journey) {
	checkLineage(t, all)
	fragments := selectClaims(fragmentClaims(), func(c *claim) bool { return c.port == 7000 })
	fragments6 := selectClaims(fragment6Claims(), func(c *claim) bool { return c.transport == "udp" || c.visits == udp6Input })
	copies := selectClaims(copiesClaims(), func(c *claim) bool { return c.port == 7016 })
	for _, c := range slices.Concat(fragments, fragments6, copies) {
		t.Run(c.what, func(t *testing.T) { c.check(t, all) })
	}
	for _, j := range all {
		if p := j.Flow.Destination.Port; p != 7000 && p != 7011 && p != 7016 {
			t.Errorf("does not match the filter, nor does what it was made from: %s", j)
		}
	}
}

// followsNoStrangers: the same fragments, with no hop before the receiver. Of IPv4 the
// first has the port, and the datagram is made of that; of IPv6 none has, as libpcap
// understands it, because of the header between that of IP and that of UDP.
func followsNoStrangers(t *testing.T, _ string, all []*journey) {
	first := claim{
		transport: "udp", from: "10.1.2.1", to: "10.1.2.2", port: 7000, lineage: original, visits: "inet_frag_queue_insert",
		outcomes: []string{"absorbed"}, whole: true,
	}
	first.check(t, all)
	datagram := claim{of: &first, lineage: "clone", visits: udpInput, outcomes: []string{"delivered"}, whole: true}
	datagram.check(t, all)
	others := claim{visits: "ip_defrag|ipv6_frag_rcv", which: func(j *journey) bool { return !first.fits(j) }, none: true}
	others.check(t, all)
}

func selectClaims(all []claim, fits func(*claim) bool) []claim {
	var found []claim
	for _, c := range all {
		if fits(&c) {
			found = append(found, c)
		}
	}
	return found
}

func staysWithinLimits(t *testing.T, dir string, all []*journey) {
	cut := func(t *testing.T, j *journey) {
		t.Helper()
		if len(j.Hops) != 10 || !j.Incomplete {
			t.Errorf("%d hops, incomplete: %t; want 10 and a journey that says what is missing", len(j.Hops), j.Incomplete)
		}
	}
	arrived := claim{transport: "icmp", from: "10.1.1.1", to: "10.1.1.2", outcomes: []string{"consumed"}, also: cut}
	arrived.check(t, all)
	parked := claim{transport: "icmp", from: "10.1.9.1", to: "10.1.9.2", outcomes: []string{"expired"}, also: cut}
	parked.check(t, all)
	for _, j := range all {
		if len(j.Hops) > 10 {
			t.Errorf("%d hops: %s", len(j.Hops), j)
		}
	}
	if lost(parseMetrics(t, filepath.Join(dir, "limits.metrics")), "hop", "hop_limit") == 0 {
		t.Error("no hop is counted as lost to the limit")
	}
}

// runsWithoutCollector: nobody listens at the endpoint. That is logged, and
// everything else goes on.
func runsWithoutCollector(t *testing.T, dir string, all []*journey) {
	request := pingClaims()[0]
	request.nested = nil // it does not look into veth
	request.check(t, all)
	if log := readText(t, filepath.Join(dir, "otlp.log")); !strings.Contains(log, "127.0.0.1:9") {
		t.Errorf("the log does not name the endpoint that does not answer:\n%s", log)
	}
}
