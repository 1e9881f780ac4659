// SPDX-License-Identifier: Apache-2.0

//go:build linux

package kernels

import (
	"slices"
	"testing"
)

// How packets end, as net/core/skbuff.c, net/core/gro.c and their callers in Debian's
// linux-source 6.1.192, 6.12.118 and 7.3.4 have it: the table of docs/kernel.md, with
// who calls. A caller may have been inlined into its own, or have ended in a jump.

// ending is the last hop of a journey. Functions may name alternatives: a|b.
type ending struct {
	what     string
	function string
	caller   string
	on       map[string]ending // on other kernels, by series
}

func (e ending) at(series string) ending {
	if other, ok := e.on[series]; ok {
		return other
	}
	return e
}

// isOf reports whether a journey ends so.
func (e ending) isOf(j *journey) bool {
	last := j.Hops[len(j.Hops)-1]
	return matches(e.function, last.Function) && matches(e.caller, last.Caller)
}

// released is the end of a packet with its head, for which this function asks.
func released(what, caller string) ending {
	return ending{what: what, function: "skb_release_head_state", caller: caller}
}

func consumed() ending { return released("consume_skb", "consume_skb") }

// dropped: since 6.11 the reason comes with a socket.
func droppedAlone() ending {
	e := released("drop", "sk_skb_reason_drop")
	e.on = map[string]ending{"6.1": released("drop", "kfree_skb_reason")}
	return e
}

// droppedInList: since 6.4 or so what is freed in lists goes to the slab in bulk.
func droppedInList() ending {
	e := released("list", "kfree_skb_list_reason|kfree_skb_add_bulk")
	e.on = map[string]ending{"6.1": droppedAlone().at("6.1")}
	return e
}

// mergedByGRO: its pages are in another packet, its head is not.
func mergedByGRO() ending {
	e := released("GRO has the pages", "__napi_kfree_skb")
	e.on = map[string]ending{"6.1": released("GRO has the pages", "__kfree_skb_defer")}
	return e
}

func coalesced() ending { return released("coalesced", "kfree_skb_partial") }

// replaced: a fragment's memory becomes the datagram.
func replaced() ending { return released("reassembly", "skb_morph") }

func readByTCP() ending {
	return ending{what: "TCP, read", function: "skb_attempt_defer_free", caller: "tcp_eat_recv_skb|tcp_recvmsg_locked"}
}

// closedOn: what nobody has read when the socket is closed.
func closedOn() ending {
	e := released("TCP, closed", "__kfree_skb")
	e.on = map[string]ending{"7": {what: "TCP, closed", function: "skb_attempt_defer_free", caller: "tcp_eat_recv_skb|__tcp_close"}}
	return e
}

// readByUDP: since 6.18 or so as TCP does, unless another holds the packet.
func readByUDP() ending {
	const reader = "skb_consume_udp|udp_recvmsg|udpv6_recvmsg"
	return ending{
		what: "UDP, read", function: "__consume_stateless_skb", caller: reader,
		on: map[string]ending{"7": {what: "UDP, read", function: "skb_attempt_defer_free", caller: reader}},
	}
}

// freedByDriver: once the device has sent it, by the softirq that is told so.
func freedByDriver() ending { return released("sent by a device", "napi_consume_skb") }

// headTaken: GRO has made a page of the packet's head.
func headTaken() ending {
	return ending{
		what: "GRO has the head", function: "napi_skb_free_stolen_head",
		caller: "napi_skb_finish|napi_gro_receive|gro_skb_finish|gro_receive_skb",
	}
}

// reused: GRO has the pages, and the driver gets the rest for the next packet.
func reused() ending {
	return ending{what: "GRO, used again", function: "napi_reuse_skb", caller: "napi_frags_finish|napi_gro_frags"}
}

// endings are all rows that the ladder reaches.
func endings() []ending {
	return []ending{
		consumed(), droppedAlone(), droppedInList(), released("free", "__kfree_skb"), mergedByGRO(), coalesced(), replaced(),
		readByTCP(), closedOn(), readByUDP(), released("taken out of a list", "skb_segment_list"),
		freedByDriver(), headTaken(), reused(),
	}
}

// checkEndings: every row is the end of some journey, and every journey that ends does
// so by one of them. What expires has not ended.
func checkEndings(t *testing.T, k *kernel, all []*journey) {
	t.Helper()
	rows := endings()
	counts := make([]int, len(rows))
	unknown := 0
	for _, j := range all {
		known := j.Outcome == "expired"
		for i, row := range rows {
			if row.at(k.series).isOf(j) && j.Outcome != "expired" {
				counts[i]++
				known = true
			}
		}
		if !known {
			if unknown++; unknown <= 3 {
				last := j.Hops[len(j.Hops)-1]
				t.Errorf("ends by %s, which %s calls: no row has it\n%s", last.Function, last.Caller, j)
			}
		}
	}
	for i, row := range rows {
		t.Logf("%d journeys: %s, by %s for %s", counts[i], row.what, row.at(k.series).function, row.at(k.series).caller)
		if counts[i] == 0 {
			t.Errorf("none")
		}
	}
	if unknown > 0 {
		t.Errorf("%d journeys end by no row", unknown)
	}
}

// tcpEnds: what each kind of TCP's packets ends by.
func tcpEnds() []claim {
	const a, b, port = "10.1.5.1", "10.1.5.2", 5000
	return []claim{
		{ // tcp_rcv_state_process
			what: "end of the SYN", transport: "tcp", from: a, to: b, port: port, visits: "tcp_v4_conn_request", end: consumed(),
		},
		{
			what: "end of data that is read", transport: "tcp", from: a, to: b, port: port, visits: "skb_copy_datagram_iter",
			min: 1, max: 800, end: readByTCP(),
		},
		{ // the sender is the first to close, so that no FIN is among them
			what: "end of acknowledgements", transport: "tcp", from: b, to: a, visits: "tcp_rcv_established",
			which: withOutcome("delivered"), min: 1, max: 800, end: released("free", "__kfree_skb"),
		},
		{
			what: "end of what is merged into the one before", transport: "tcp", from: a, to: b, port: port,
			visits: "tcp_try_coalesce|skb_try_coalesce", which: withOutcome("absorbed"), max: 800, end: coalesced(),
		},
	}
}

func withOutcome(outcome string) func(*journey) bool {
	return func(j *journey) bool { return j.Outcome == outcome }
}

// reassemblyEnds: the first fragment is copied into the memory of the one that comes
// last, then let go of; of the last there is a clone in the list of the datagram.
func reassemblyEnds() []claim {
	echo := func(which ...string) claim {
		return claim{
			transport: "icmp", from: "10.1.2.1", to: "10.1.2.2", which: func(j *journey) bool {
				return j.visits("inet_frag_queue_insert") && j.Outcome == "absorbed" && slices.Contains(which, j.Lineage)
			},
		}
	}
	first, last := echo(""), echo("fragment")
	first.what, first.end = "end of the first fragment", consumed()
	last.what, last.end = "end of the fragment that comes last", replaced()
	return []claim{first, last}
}

// mergeEnds: GRO takes the pages of as many segments as it has room for, and others as
// they are, which are freed with the packet that they are a part of.
func mergeEnds() []claim {
	return []claim{
		{
			what: "end of a packet that is cut", transport: "tcp", to: "10.11.3.2", port: 7013, visits: "skb_segment",
			min: 4, max: 800, end: consumed(),
		},
		{
			what: "end of segments that GRO takes the pages of", transport: "tcp", to: "10.11.3.2", port: 7013, visits: "skb_gro_receive",
			which: func(j *journey) bool {
				return j.Outcome == "absorbed" && matches("__napi_kfree_skb|__kfree_skb_defer", j.Hops[len(j.Hops)-1].Caller)
			},
			min: 5, max: 800, end: mergedByGRO(),
		},
	}
}

func readEnds() []claim {
	return []claim{{what: "end of a datagram that is read", transport: "udp", to: "10.11.11.2", port: 7019, end: readByUDP()}}
}

// wireClaims: what one network card sends is freed by its driver, which tells no
// outcome; what the other receives was not made from it. It is
// no process', though an interrupt out of user mode runs on the stack of one.
func wireClaims() []claim {
	const a, b, port = "10.12.1.1", "10.12.1.2", 7041
	isSent := func(j *journey) bool { return matches("eth0", j.interfaces()[0]) }
	isReceived := func(j *journey) bool { return matches("eth1", j.interfaces()[0]) }
	napi := "napi_gro_receive|gro_receive_skb"
	held := claim{what: "a segment that GRO holds", transport: "tcp", to: b, port: port, which: isReceived, visits: tcpInput}
	return []claim{
		{
			what: "request is sent", transport: "icmp", from: a, to: b, which: isSent, lineage: original, min: 2, max: 3,
			path: []string{"ip_output", "sch_direct_xmit", sent, "napi_consume_skb"}, interfaces: []string{"eth0"},
			wait: [2]string{sent, "napi_consume_skb"}, outcomes: []string{"transmitted"}, process: "ping", whole: true,
		},
		{
			what: "end of requests", transport: "icmp", from: a, to: b, which: func(j *journey) bool {
				return isSent(j) && freedByDriver().isOf(j)
			}, min: 1, max: 3, end: freedByDriver(),
		},
		{
			what: "request is received", transport: "icmp", from: a, to: b, which: isReceived, lineage: original, min: 3, max: 3,
			path: []string{"eth_type_trans", napi, gro, "ip_rcv|ip_rcv_core", "icmp_rcv"}, interfaces: []string{"eth1"}, namespaces: 1,
			outcomes: []string{"consumed"}, end: consumed(), noProcess: true, whole: true,
		},
		{ // of a list of segments the function that sends them is handed the first
			what: "segments are sent", transport: "tcp", from: a, to: b, port: port, which: isSent, lineage: "segment", min: 4, max: 400,
			outcomes: []string{"transmitted"}, maker: "skb_segment", whole: true,
		},
		{ // the driver frees them in an interrupt, which may come while a program runs
			what: "segments are freed by the driver", transport: "tcp", from: a, to: b, port: port, which: isSent, lineage: "segment",
			visits: "napi_consume_skb", min: 4, max: 400, whole: true,
		},
		{
			what: "segments are merged", transport: "tcp", from: a, to: b, port: port, lineage: original, visits: "skb_gro_receive",
			which: withOutcome("absorbed"), min: 1, max: 400, path: []string{napi, gro, "skb_gro_receive"}, interfaces: []string{"eth1"},
			into: &held, end: headTaken(), whole: true,
		},
	}
}

// tapClaims: four segments at once out of memory that vhost has made packets of; then
// segments whose headers are in the head that napi_get_frags gives and whose payload is
// in a page.
func tapClaims() []claim {
	const from, to = "10.12.2.1", "10.12.2.254"
	refused := drop{Reason: "NO_SOCKET", Subsystem: "core", Function: "tcp_v4_rcv"}
	stream := func(what string, port int) claim {
		return claim{what: what, transport: "tcp", from: from, to: to, port: port, lineage: original, interfaces: []string{"tap0"}, whole: true}
	}
	first := stream("first of four at once", 7031)
	first.visits, first.drop, first.end = tcpInput, &refused, droppedAlone()
	merged := stream("the others are merged", 7031)
	merged.visits, merged.min, merged.max = "skb_gro_receive", 3, 3
	merged.path, merged.into = []string{"napi_gro_receive|gro_receive_skb", gro, "skb_gro_receive", "napi_skb_free_stolen_head"}, &first
	merged.outcomes, merged.end = []string{"absorbed"}, headTaken()
	claims := []claim{first, merged}
	for _, port := range []int{7032, 7033} {
		all := stream("of one stream of two", port)
		all.min, all.max, all.visits, all.path = 20, 20, gro, []string{"eth_type_trans", gro}
		held := stream("held", port)
		held.visits = tcpInput
		again := stream("of one stream of two, merged", port)
		again.min, again.max, again.visits, again.into = 1, 19, "skb_gro_receive", &held
		again.which = reused().isOf
		again.outcomes, again.end = []string{"absorbed"}, reused()
		claims = append(claims, all, again)
	}
	return claims
}
