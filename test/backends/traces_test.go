// SPDX-License-Identifier: Apache-2.0

//go:build linux

package backends

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// What the guest does in each run: echo requests that arrive, of which the
// first is traced while there is no Jaeger, and echo requests that are dropped.
const (
	arriving = 1 + 3
	dropped  = 3 + 5
)

// checkTraces checks everything that Jaeger says about the run of one protocol.
func checkTraces(t *testing.T, dir, service string) {
	journeys, traces := readJourneys(t, dir), readTraces(t, dir)
	requests := make(map[string][]tree) // by outcome
	for _, j := range journeys {
		tr := traces[j.TraceID]
		if tr == nil {
			t.Errorf("Jaeger has no trace %s, journey %s", j.TraceID, j.JourneyID)
			continue
		}
		packet := tr.journey(j.JourneyID)
		ok := t.Run(j.JourneyID, func(t *testing.T) { checkTrace(t, packet, j, service) })
		if ok && packet.spans[0].Tags["source.address"] == "10.0.0.1" {
			requests[j.Outcome] = append(requests[j.Outcome], packet)
		}
	}
	checkNothingElse(t, journeys, traces)
	checkEach(t, "arriving", requests["consumed"], arriving, checkArriving)
	checkEach(t, "dropped", requests["dropped"], dropped, checkDropped)
}

// checkNothingElse checks that Jaeger knows of no packet and no span that
// skbpath did not print.
func checkNothingElse(t *testing.T, journeys []*journey, traces map[string]*trace) {
	t.Helper()
	want, got := 0, 0
	for _, j := range journeys {
		want += j.spans()
	}
	for _, tr := range traces {
		got += len(tr.Spans)
	}
	if got != want {
		t.Errorf("Jaeger has %d spans, want %d of %d journeys", got, want, len(journeys))
	}
}

func checkEach(t *testing.T, what string, packets []tree, want int, check func(*testing.T, tree)) {
	if len(packets) != want {
		t.Errorf("%d %s requests, want %d", len(packets), what, want)
	}
	for _, packet := range packets {
		t.Run(what, func(t *testing.T) {
			defer showFailed(t, packet)
			check(t, packet)
		})
	}
	if len(packets) > 0 {
		// The last: the first fill caches of the kernel on their way.
		t.Run(what+"-golden", func(t *testing.T) { checkGolden(t, what, packets[len(packets)-1]) })
	}
}

func showFailed(t *testing.T, packet tree) {
	if t.Failed() && len(packet.spans) > 0 {
		t.Log(packet)
	}
}

// checkTrace checks what holds for every trace.
func checkTrace(t *testing.T, packet tree, j *journey, service string) {
	defer showFailed(t, packet)
	if j.Incomplete {
		t.Error("the journey is incomplete")
	}
	if len(packet.spans) != j.spans() {
		t.Fatalf("%d spans, the journey has %d hops and %d waits", len(packet.spans), len(j.Hops), len(j.Waits))
	}
	checkNesting(t, packet, j)
	checkRoot(t, packet, j, service)
	checkHops(t, packet, j)
	checkWaits(t, packet, j)
}

// checkNesting checks that all spans hang together, in order and in time, and
// that Jaeger finds no fault with them.
func checkNesting(t *testing.T, packet tree, j *journey) {
	t.Helper()
	for i, s := range packet.spans {
		if s.TraceID != j.TraceID || s.Tags["span.kind"] != "internal" || s.sequence() != int64(i) {
			t.Errorf("span %d: %+v", i, s)
		}
		for _, warning := range s.Warnings {
			t.Errorf("%s: Jaeger warns: %s", s.Name, warning)
		}
		if i == 0 && j.ParentID == "" {
			if len(s.References) != 0 {
				t.Errorf("the root refers to %+v", s.References)
			}
			continue
		}
		parent := packet.trace.parent(s)
		if len(s.References) != 1 || s.References[0].Type != "CHILD_OF" || s.References[0].TraceID != j.TraceID || parent == nil {
			t.Errorf("%s is a child of no span of its trace: %+v", s.Name, s.References)
			continue
		}
		if i > 0 {
			checkInside(t, s, parent)
		}
	}
}

// checkInside allows for the microsecond in which Jaeger rounds.
func checkInside(t *testing.T, child, parent *span) {
	t.Helper()
	if child.Start < parent.Start || child.Start+child.Duration > parent.Start+parent.Duration+1 {
		t.Errorf("%s %d+%d µs is not inside %s %d+%d µs", child.Name, child.Start, child.Duration, parent.Name, parent.Start, parent.Duration)
	}
}

func checkRoot(t *testing.T, packet tree, j *journey, service string) {
	t.Helper()
	root := packet.spans[0]
	process := packet.trace.Processes[root.ProcessID]
	if root.Name != "icmp packet" || process.Service != service {
		t.Errorf("root span %q of service %q", root.Name, process.Service)
	}
	wantTags(t, root, tags{
		"network.type": "ipv4", "network.transport": "icmp",
		"skbpath.journey.id": j.JourneyID, "skbpath.outcome": j.Outcome,
	})
	wantTags(t, &span{Name: "resource", Tags: process.Tags}, tags{"telemetry.sdk.name": "opentelemetry", "os.type": "linux"})
	for _, key := range []string{"service.version", "service.instance.id", "host.name", "ip", "skbpath.kernel.release"} {
		if process.Tags[key] == "" {
			t.Errorf("the resource has no %s: %v", key, process.Tags)
		}
	}
	wantTags(t, root, tags{"w3c.tracestate": "ot=th:0"}) // all are kept
	checkTime(t, root, j, 0, j.DurationNS)
}

// checkHops compares spans with the hops that skbpath printed.
func checkHops(t *testing.T, packet tree, j *journey) {
	t.Helper()
	hops := slices.DeleteFunc(slices.Clone(packet.spans[1:]), (*span).isWait)
	if len(hops) != len(j.Hops) {
		t.Errorf("%d spans of hops, want %d", len(hops), len(j.Hops))
		return
	}
	for i, h := range j.Hops {
		s := hops[i]
		if depth := len(packet.path(s)) - 1; s.Name != h.Function || depth != h.Depth {
			t.Errorf("hop %d is %s at depth %d, want %s at %d", i, s.Name, depth, h.Function, h.Depth)
		}
		wantTags(t, s, h.tags())
		checkTime(t, s, j, h.OffsetNS, h.DurationNS)
	}
}

func (h *hop) tags() tags {
	want := tags{"code.function.name": h.Function, "cpu.logical_number": strconv.FormatInt(h.CPU, 10)}
	if h.Caller != "" {
		want["skbpath.caller"] = h.Caller
	}
	if h.Via != "" {
		want["skbpath.via"] = h.Via
	}
	if h.Interface != nil && *h.Interface != "" {
		want["network.interface.name"] = *h.Interface
	}
	if h.Netns != nil && *h.Netns != 0 {
		want["skbpath.netns.inode"] = strconv.FormatInt(*h.Netns, 10)
	}
	if h.NetnsName != "" {
		want["skbpath.netns.name"] = h.NetnsName
	}
	if h.Length != nil {
		want["skbpath.skb.length"] = strconv.FormatInt(*h.Length, 10)
	}
	return want
}

func checkWaits(t *testing.T, packet tree, j *journey) {
	t.Helper()
	waits := slices.DeleteFunc(slices.Clone(packet.spans), func(s *span) bool { return !s.isWait() })
	if len(waits) != len(j.Waits) {
		t.Errorf("%d wait spans, want %d", len(waits), len(j.Waits))
		return
	}
	for i, w := range j.Waits {
		wantTags(t, waits[i], tags{"skbpath.wait.from": w.From, "skbpath.wait.to": w.To})
		checkTime(t, waits[i], j, w.OffsetNS, w.DurationNS)
	}
}

// checkTime checks the exact times in the attributes, and Jaeger's start.
// Jaeger's duration may be longer: spans are stretched over their children.
func checkTime(t *testing.T, s *span, j *journey, offset, duration int64) {
	t.Helper()
	wantTags(t, s, tags{
		"skbpath.span.offset_ns":   strconv.FormatInt(offset, 10),
		"skbpath.span.duration_ns": strconv.FormatInt(duration, 10),
	})
	if start := (j.Start.UnixNano() + offset) / 1000; s.Start != start {
		t.Errorf("%s starts at %d µs, want %d", s.Name, s.Start, start)
	}
	if s.Duration < duration/1000 {
		t.Errorf("%s takes %d µs, want %d at least", s.Name, s.Duration, duration/1000)
	}
}

func wantTags(t *testing.T, s *span, want tags) {
	t.Helper()
	for key, value := range want {
		if got, ok := s.Tags[key]; !ok || got != value {
			t.Errorf("%s: %s is %q, want %q", s.Name, key, got, value)
		}
	}
}

// checkArriving checks an echo request that was answered.
func checkArriving(t *testing.T, packet tree) {
	wantTags(t, packet.spans[0], tags{"destination.address": "10.0.0.2", "process.command": "ping"})
	wantChain(t, packet, "ip_output", "ip_finish_output2", "__dev_queue_xmit", "dev_hard_start_xmit")
	wantChain(t, packet, "ip_local_deliver", "icmp_rcv", "icmp_echo")
	wantWait(t, packet, "enqueue_to_backlog", "__netif_receive_skb")
	wantNamespaces(t, packet)
	for _, s := range packet.spans {
		if s.failed() || s.Tags["error"] != "" || s.Tags["error.type"] != "" {
			t.Errorf("%s has an error: %v", s.Name, s.Tags)
		}
	}
}

// checkDropped checks an echo request that met a firewall.
func checkDropped(t *testing.T, packet tree) {
	wantTags(t, packet.spans[0], tags{"destination.address": "10.0.0.2", "process.command": "ping"})
	wantChain(t, packet, "ip_output", "ip_finish_output2", "__dev_queue_xmit", "dev_hard_start_xmit")
	wantChain(t, packet, "ip_local_deliver", "nf_hook_slow")
	wantWait(t, packet, "enqueue_to_backlog", "__netif_receive_skb")
	if packet.find("icmp_rcv") != nil {
		t.Error("a packet that was dropped came to icmp_rcv")
	}
	failed := slices.DeleteFunc(slices.Clone(packet.spans), func(s *span) bool { return !s.failed() })
	if len(failed) != 2 || failed[0] != packet.spans[0] {
		t.Fatalf("%d spans have an error, want the root and one hop", len(failed))
	}
	for _, s := range failed {
		checkDropTags(t, s)
	}
	// On this kernel, nftables lets go of the packet by itself.
	if path := packet.path(failed[1]); !slices.Contains(path, "nf_hook_slow") || strings.Contains(failed[1].Name, "trace") {
		t.Errorf("the error is on %s", strings.Join(path, " > "))
	}
}

func checkDropTags(t *testing.T, s *span) {
	t.Helper()
	function := s.Tags["skbpath.drop.function"]
	if function != "nft_do_chain" && function != "nf_hook_slow" {
		t.Errorf("%s: dropped in %q", s.Name, function)
	}
	if !strings.Contains(s.Tags["skbpath.drop.advice"], "nft list ruleset") {
		t.Errorf("%s: the advice is %q", s.Name, s.Tags["skbpath.drop.advice"])
	}
	wantTags(t, s, tags{
		"error": "true", "error.type": "NETFILTER_DROP",
		"skbpath.drop.reason": "NETFILTER_DROP", "skbpath.drop.subsystem": "core",
		"otel.status_description": fmt.Sprintf("packet dropped: NETFILTER_DROP (core) in %s", function),
	})
}

// wantChain wants spans that are each below the one before, in any depth.
func wantChain(t *testing.T, packet tree, names ...string) {
	t.Helper()
	if !slices.ContainsFunc(packet.spans, func(s *span) bool { return isBelow(packet.path(s), names) }) {
		t.Errorf("no chain %s", strings.Join(names, " > "))
	}
}

// isBelow says whether a path ends with the last of the names and comes through
// the others in their order.
func isBelow(path, names []string) bool {
	if len(path) == 0 || path[len(path)-1] != names[len(names)-1] {
		return false
	}
	for _, name := range path {
		if len(names) > 0 && name == names[0] {
			names = names[1:]
		}
	}
	return len(names) == 0
}

// wantNamespaces wants to see the packet go from one to the other, by name.
func wantNamespaces(t *testing.T, packet tree) {
	t.Helper()
	var names []string
	for _, s := range packet.spans {
		if name := s.Tags["skbpath.netns.name"]; name != "" {
			names = append(names, name)
		}
	}
	if !slices.Equal(names, []string{"a", "b"}) {
		t.Errorf("the packet went through namespaces %q, want a, b", names)
	}
}

// wantWait wants the packet to wait there and nowhere else: neighbours know each
// other, and no device has a queue.
func wantWait(t *testing.T, packet tree, from, to string) {
	t.Helper()
	var waits []string
	for _, s := range packet.spans {
		if s.isWait() {
			waits = append(waits, s.Tags["skbpath.wait.from"]+" → "+s.Tags["skbpath.wait.to"])
		}
	}
	if want := from + " → " + to; !slices.Equal(waits, []string{want}) {
		t.Errorf("the packet waits %q, want %q only", waits, want)
	}
}
