// SPDX-License-Identifier: Apache-2.0

//go:build linux

package kernels

import (
	"slices"
	"testing"
	"time"
)

// What is made of what, and where packets wait, as net/ of Debian's linux-source
// 6.1.192, 6.12.118 and 7.3.4 has it.

const (
	udpInput  = "udp_rcv|__udp4_lib_rcv"
	udp6Input = "udpv6_rcv|__udp6_lib_rcv"
	tcpInput  = "tcp_v4_rcv"
	gro       = "dev_gro_receive"
)

// fragmentClaims: an echo, its reply and a datagram become two fragments each.
func fragmentClaims() []claim {
	const a, b = "10.1.2.1", "10.1.2.2"
	request := claim{what: "request", transport: "icmp", from: a, to: b, process: "ping", also: shrinks}
	echo := claim{visits: "icmp_echo", outcomes: []string{"consumed"}}
	reply := claim{what: "reply", transport: "icmp", from: b, to: a, noProcess: true, also: shrinks}
	datagram := claim{what: "datagram", transport: "udp", from: a, to: b, port: 7000, process: "socat"}
	return slices.Concat(
		fragmentFamily(request, echo),
		fragmentFamily(reply, claim{visits: "raw_local_deliver"}),
		fragmentFamily(datagram, claim{visits: udpInput, outcomes: []string{"delivered"}}),
	)
}

// fragmentFamily: where the data came in parts that fit, ip_do_fragment makes a
// packet of each, with the one before as its model (ip_fraglist_prepare); all is put
// together again as inet_frag_reasm_prepare does it, which is told that the first is
// before the last. whole is to say what the datagram is, together what it is at the end.
func fragmentFamily(whole, together claim) []claim {
	what, arrives := whole.what, []string{sent, backlog, received, "ip_rcv", "ip_local_deliver", "ip_defrag", "inet_frag_queue_insert"}
	first := whole
	first.what, first.lineage, first.visits = what+" becomes its first fragment", original, "ip_do_fragment"
	first.path, first.namespaces = append([]string{"ip_output", "ip_do_fragment"}, arrives...), 2
	first.nested = [][]string{{"ip_do_fragment", "ip_fraglist_prepare", "ip_copy_metadata"}, {"inet_frag_reasm_prepare", "skb_morph"}}
	first.wait, first.outcomes, first.whole = [2]string{"inet_frag_queue_insert", "inet_frag_reasm_prepare"}, []string{"absorbed"}, true
	second := claim{
		// It has no header at first: its flow is that of the packet it is cut from.
		what: "second fragment of the " + what, transport: whole.transport, from: whole.from, to: whole.to, port: whole.port,
		lineage: "fragment", of: &first, maker: "ip_fraglist_prepare",
		path: append([]string{"ip_copy_metadata", "ip_finish_output2"}, arrives...), namespaces: 2,
		outcomes: []string{"absorbed"}, whole: true,
	}
	// The second comes last: it ends, a clone of it goes into the list, and its memory
	// becomes the datagram, a clone of the first (skb_morph).
	together.what, together.transport, together.from, together.to = what+" is put together", whole.transport, whole.from, whole.to
	together.port, together.lineage, together.of, together.whole = whole.port, "clone", &first, true
	together.maker = "skb_morph|__skb_clone"
	clone := claim{
		what: "clone of the second fragment of the " + what, transport: whole.transport, from: whole.from, to: whole.to, port: whole.port,
		lineage: "clone", of: &second, maker: "skb_clone|__skb_clone", outcomes: []string{"absorbed"}, into: &together, whole: true,
	}
	return []claim{first, second, clone, together}
}

// shrinks: what ip_do_fragment gets is 1,800 bytes, ICMP and IP headers, and
// what is sent of it fills the MTU, an Ethernet header before it.
func shrinks(t *testing.T, j *journey) {
	t.Helper()
	lengths := make(map[string]uint32)
	for _, h := range j.Hops {
		lengths[h.Function] = *h.Length
	}
	if cut, out := lengths["ip_do_fragment"], lengths[sent]; cut != 1828 || out != 1514 {
		t.Errorf("length %d at ip_do_fragment, %d at %s, want 1828 and 1514", cut, out, sent)
	}
}

// narrowClaims: ip_do_fragment copies parts of a packet that has come in one piece,
// and then is done with it.
func narrowClaims() []claim {
	const a, b, port = "10.11.12.1", "10.11.13.2", 7023
	whole := claim{
		what: "datagram is copied into fragments", transport: "udp", from: a, to: b, port: port, lineage: original,
		path:       []string{"ip_output", sent, backlog, received, "ip_rcv", "ip_forward", "ip_output", "ip_do_fragment"},
		interfaces: []string{"east", "left", "right"}, namespaces: 2,
		nested:   [][]string{{"ip_do_fragment", "ip_frag_next", "ip_copy_metadata"}},
		outcomes: []string{"consumed"}, process: "packets", whole: true,
	}
	pieces := claim{
		what: "fragments", transport: "udp", from: a, to: b, port: port, lineage: "fragment", of: &whole, min: 2, max: 2,
		maker: "ip_frag_next", interfaces: []string{"right", "west"}, namespaces: 2,
		path: []string{
			"ip_copy_metadata", "ip_finish_output2", sent, backlog, received,
			"ip_rcv", "ip_local_deliver", "ip_defrag", "inet_frag_queue_insert",
		},
		outcomes: []string{"absorbed"}, whole: true,
	}
	datagram := claim{
		what: "datagram put together", of: &pieces, lineage: "clone", visits: udpInput, maker: "skb_morph|__skb_clone",
		outcomes: []string{"delivered"}, whole: true,
	}
	clone := claim{
		what: "clone of the last fragment", of: &pieces, lineage: "clone", maker: "skb_clone|__skb_clone",
		which:    func(j *journey) bool { return !j.visits(udpInput) },
		outcomes: []string{"absorbed"}, into: &datagram, whole: true,
	}
	return []claim{whole, pieces, clone, datagram}
}

// fragment6Claims: where the data came in parts that fit, ip6_fragment makes a
// packet of each, with the one before as its model. Else it copies parts of what
// it has been given, which ends there.
func fragment6Claims() []claim {
	const a, b, port, transport = "fd00:11:1::1", "fd00:11:1::2", 7011, "icmpv6"
	arrives := []string{sent, backlog, received, "ipv6_rcv", "ip6_input", "ipv6_frag_rcv", "inet_frag_queue_insert"}
	absorbed := []string{"absorbed"}

	first := claim{
		what: "echo becomes its first fragment", transport: transport, from: a, to: b, lineage: original, visits: "ip6_fragment",
		path: arrives, outcomes: absorbed, process: "ping", whole: true,
		wait: [2]string{"inet_frag_queue_insert", "skb_morph"},
	}
	second := claim{
		what: "second fragment, of the first", transport: transport, from: a, to: b, lineage: "fragment", of: &first,
		maker: "ip6_fraglist_prepare|ip6_fragment", path: arrives, outcomes: absorbed, whole: true,
		wait: [2]string{"inet_frag_queue_insert", "inet_frag_reasm_prepare|skb_try_coalesce"},
	}
	third := second
	third.what, third.of, third.wait = "third fragment, of the second", &second, [2]string{} // nothing is missing when it comes
	cut := claim{
		what: "datagram is copied into fragments", transport: "udp", from: a, to: b, port: port, lineage: original,
		path: []string{"ip6_finish_output", "ip6_fragment"}, outcomes: []string{"consumed"}, process: "packets", whole: true,
	}
	copied := claim{
		what: "fragments", transport: "udp", from: a, to: b, port: port, lineage: "fragment", of: &cut, min: 3, max: 3,
		maker: "ip6_frag_next|ip6_fragment", path: arrives, outcomes: absorbed, whole: true,
	}
	// The fragment that comes last ends; a clone of it goes into the list, and its own
	// memory becomes the packet, a clone of the first (skb_morph).
	clone := claim{
		what: "clone of the last fragment", lineage: "clone", of: &third, maker: "skb_clone|__skb_clone", outcomes: absorbed, whole: true,
	}
	echo := claim{
		what: "put together", of: &first, lineage: "clone", visits: "icmpv6_rcv", maker: "skb_morph|__skb_clone",
		outcomes: []string{"consumed", "dropped"}, also: icmpv6Drops, whole: true,
	}
	datagram := claim{
		what: "datagram put together", of: &copied, lineage: "clone", visits: udp6Input, maker: "skb_morph|__skb_clone",
		outcomes: []string{"delivered"}, whole: true,
	}
	second.into, clone.into = &echo, &echo
	return []claim{first, second, third, cut, copied, clone, echo, datagram}
}

// icmpv6Drops: 6.1 ends with a drop what it has answered.
func icmpv6Drops(t *testing.T, j *journey) {
	t.Helper()
	if d := j.Drop; d != nil && (d.Reason != "NOT_SPECIFIED" || d.Function != "icmpv6_rcv") {
		t.Errorf("dropped: %+v", *d)
	}
}

// segmentClaims: what one call of UDP sends becomes datagrams before the device
// that cannot cut; a router cuts what it has merged.
func segmentClaims() []claim {
	long := claim{
		what: "five datagrams in one packet", transport: "udp", to: "10.11.2.254", port: 7012, lineage: original,
		path: []string{"ip_output", "skb_segment"}, outcomes: []string{"consumed"}, process: "packets", whole: true,
	}
	datagrams := claim{
		what: "the datagrams", transport: "udp", to: "10.11.2.254", port: 7012, lineage: "segment", of: &long, min: 5, max: 5,
		maker: "skb_segment", path: []string{"veth_xmit", gro, udpInput}, interfaces: []string{"east", "left"},
		wait: [2]string{"veth_xmit", "veth_xdp_rcv_skb"}, outcomes: []string{"delivered"}, whole: true,
	}
	stream := claim{
		what: "TCP's long packets", transport: "tcp", to: "10.11.3.2", port: 7013, lineage: original, visits: "skb_segment",
		min: 2, max: 400, outcomes: []string{"consumed"}, whole: true,
	}
	merged := claim{
		what: "segments that others are merged into", transport: "tcp", to: "10.11.3.2", port: 7013, lineage: "segment", of: &stream,
		visits: "skb_segment", min: 2, max: 400, path: []string{"veth_xmit", gro, "ip_forward", "ip_output", "skb_segment"},
		outcomes: []string{"consumed"}, whole: true,
	}
	again := claim{
		what: "segments of what was merged", transport: "tcp", to: "10.11.3.2", port: 7013, lineage: "segment", of: &merged,
		min: 10, max: 800, maker: "skb_segment", path: []string{backlog, received, "ip_rcv", tcpInput},
		interfaces: []string{"right", "west"}, whole: true,
	}
	list, ofList := merged, again
	list.what, list.port, list.of = "segments that others are put into a list of", 7020, &claim{port: 7020, lineage: original}
	ofList.what, ofList.port, ofList.of = "segments of what was a list", 7020, &list
	return []claim{
		long, datagrams, stream, merged,
		{
			what: "segments that are merged into others", transport: "tcp", to: "10.11.3.2", port: 7013, lineage: "segment", of: &stream,
			which: func(j *journey) bool { return j.Outcome == "absorbed" && j.visits("skb_gro_receive") }, min: 5, max: 800,
			path: []string{"veth_xmit", gro, "skb_gro_receive"}, into: &claim{what: "a packet that is cut again", port: 7013, visits: "skb_segment"}, whole: true,
		},
		again, list, ofList,
		{ // skb_segment makes segments of clones, but those are not yet packets
			what: "no clones", transport: "tcp", to: "10.11.3.2", lineage: "clone", of: &claim{port: 7020}, none: true,
		},
	}
}

// copiesClaims: the packet itself goes out of the port that the bridge looks at
// last, or to the bridge's own device if that is to have it. Taps get clones.
func copiesClaims() []claim {
	const a, unknown, group, b = "10.11.4.1", "10.11.4.2", "239.11.4.1", "10.11.5.2"
	elsewhere := drop{Reason: "OTHERHOST", Subsystem: "core", Function: "ip_rcv_core|ip_rcv"}
	flooded := claim{
		what: "flooded", transport: "udp", from: a, to: unknown, port: 7014, lineage: original,
		path:       []string{sent, backlog, received, "br_handle_frame", "skb_clone", "skb_clone", sent, backlog, received, "ip_rcv"},
		interfaces: []string{"east", "inner", "port1", "far1"}, drop: &elsewhere, whole: true,
	}
	multicast := claim{
		what: "multicast", transport: "udp", from: a, to: group, port: 7015, lineage: original,
		path:       []string{sent, backlog, received, "br_handle_frame", "skb_clone", "skb_clone", "skb_clone", received, "ip_rcv"},
		interfaces: []string{"east", "inner", "br0"}, outcomes: []string{"dropped"}, whole: true,
	}
	clone := func(of *claim, what string, n int) claim {
		return claim{
			what: what, transport: "udp", to: of.to, port: of.port, lineage: "clone", of: of, min: n, max: n,
			maker: "skb_clone|__skb_clone", whole: true,
		}
	}
	toPorts := clone(&flooded, "clones of what is flooded", 2)
	toPorts.path, toPorts.drop = []string{sent, backlog, received, "ip_rcv"}, &elsewhere
	toGroup := clone(&multicast, "clones of a multicast", 3)
	toGroup.path = []string{sent, backlog, received, "ip_rcv"}

	mirrored := claim{
		what: "mirrored and tapped", transport: "udp", to: b, port: 7016, lineage: original,
		path:       []string{"__dev_queue_xmit", "skb_clone", sent, "skb_clone", backlog, received, "packet_rcv", "skb_clone", "ip_rcv", udpInput},
		interfaces: []string{"left", "right"}, outcomes: []string{"delivered"}, whole: true,
	}
	mirror := clone(&mirrored, "its mirror image", 1)
	mirror.visits, mirror.interfaces, mirror.outcomes = sent, []string{"left", "mirror"}, []string{"transmitted"}
	heard := clone(&mirrored, "what its taps get", 2)
	heard.visits, heard.outcomes = "skb_copy_datagram_iter", []string{"delivered"}
	tapped := claim{
		what: "tapped only", transport: "udp", to: b, port: 7017, lineage: original,
		path:       []string{sent, "skb_clone", backlog, received, "packet_rcv", "skb_clone", "ip_rcv", udpInput},
		interfaces: []string{"left", "right"}, outcomes: []string{"delivered"}, whole: true,
	}
	taps := clone(&tapped, "what the taps get", 2)
	taps.path, taps.outcomes = []string{"skb_copy_datagram_iter"}, []string{"delivered"}
	onWayOut := clone(&tapped, "of these, on the way out", 1)
	onWayOut.visits, onWayOut.path = "packet_rcv", []string{"packet_rcv", "skb_copy_datagram_iter"}
	return []claim{flooded, toPorts, multicast, toGroup, mirrored, mirror, heard, tapped, taps, onWayOut}
}

// detoursClaims: what else sends packets elsewhere, or hands them to several.
func detoursClaims() []claim {
	return slices.Concat(duplicateClaims(), redirectClaims(), mirrorClaims(), groupClaims(), ringClaims(), fromRingClaims())
}

// detour is a datagram of scenario detours that is not made from another; until more is
// said of it, it goes straight to a socket.
func detour(what, to string, port int) claim {
	return claim{
		what: what, transport: "udp", from: "10.11.14.1", to: to, port: port, lineage: original,
		path:       slices.Concat([]string{"ip_output", sent, backlog, received, "ip_rcv", "ip_local_deliver"}, toSocket()),
		interfaces: []string{"east", "west"}, namespaces: 2, process: "packets", outcomes: []string{"delivered"}, whole: true,
	}
}

const detourTo = "10.11.14.2"

// toSocket is the end of the way of a datagram that is read.
func toSocket() []string {
	return []string{udpInput, "__udp_enqueue_schedule_skb", "skb_consume_udp"}
}

// cloneOf is a clone of a datagram, which is delivered unless something else is said.
func cloneOf(of *claim, what string) claim {
	return claim{
		what: what, transport: "udp", to: of.to, port: of.port, lineage: "clone", of: of, maker: "skb_clone|__skb_clone",
		outcomes: []string{"delivered"}, whole: true,
	}
}

// duplicateClaims: nft dup has pskb_copy make a copy, which goes its own way.
func duplicateClaims() []claim {
	whole := detour("datagram that a rule duplicates", detourTo, 7024)
	duplicate := cloneOf(&whole, "its duplicate")
	duplicate.lineage, duplicate.maker = "copy", "skb_copy_header"
	duplicate.path, duplicate.interfaces = whole.path, whole.interfaces
	return []claim{whole, duplicate}
}

// redirectClaims: on the way out what goes on is a clone, because tc cannot tell who
// called it; what comes in goes on itself.
func redirectClaims() []claim {
	away := detour("datagram that is redirected on the way out", detourTo, 7025)
	away.path, away.interfaces, away.namespaces = []string{"__dev_queue_xmit", "skb_clone", "consume_skb"}, []string{"east"}, 1
	away.outcomes = []string{"consumed"}
	goesOn := cloneOf(&away, "what goes on of it")
	goesOn.path, goesOn.interfaces, goesOn.outcomes = []string{"__dev_queue_xmit", sent}, []string{"east", "aside"}, []string{"transmitted"}

	out := detour("datagram that comes in and is redirected out", detourTo, 7026)
	out.path = []string{"ip_output", sent, backlog, received, "__dev_queue_xmit", sent}
	out.interfaces, out.outcomes = []string{"east", "west", "out"}, []string{"transmitted"}
	in := detour("datagram that comes in and is redirected in", detourTo, 7027)
	in.path = slices.Concat([]string{"ip_output", sent, backlog, received, "netif_receive_skb", received, "ip_rcv"}, toSocket())
	in.interfaces = []string{"east", "west", "into"}
	return []claim{
		away, goesOn, out, in,
		{what: "nothing is made of what comes in and goes out", of: &out, none: true},
		{what: "nothing is made of what comes in twice", of: &in, none: true},
	}
}

func mirrorClaims() []claim {
	mirrored := detour("datagram that comes in and is mirrored in", detourTo, 7028)
	image := cloneOf(&mirrored, "its mirror image")
	image.path = slices.Concat([]string{"netif_receive_skb", received, "ip_rcv", "ip_local_deliver"}, toSocket())
	image.interfaces = []string{"west", "into"}
	return []claim{mirrored, image}
}

// groupClaims: the first socket of a group that is found gets the datagram, after each
// other has got a clone.
func groupClaims() []claim {
	whole := detour("datagram for three sockets", "239.11.14.1", 7036)
	whole.path = slices.Concat(whole.path[:6], []string{udpInput, "skb_clone", "skb_clone"}, toSocket()[1:])
	shares := cloneOf(&whole, "what two of the sockets get")
	shares.min, shares.max, shares.path = 2, 2, toSocket()[1:]
	return []claim{whole, shares}
}

// ringClaims: a ring is filled from the packet itself; only on the way out all taps get
// a clone.
func ringClaims() []claim {
	whole := detour("datagram that is copied to rings", detourTo, 7031)
	whole.path = slices.Concat(
		[]string{"ip_output", sent, "skb_clone", backlog, received, "tpacket_rcv", "tpacket_get_timestamp", "ip_rcv"}, toSocket())
	clone := cloneOf(&whole, "clone that is copied to a ring")
	clone.path = []string{"tpacket_rcv", "tpacket_get_timestamp"}
	refused := detour("datagram that rings refuse", detourTo, 7032)
	refused.path = slices.Concat([]string{"ip_output", sent, "skb_clone", backlog, received, "tpacket_rcv", "ip_rcv"}, toSocket())
	unread := cloneOf(&refused, "clone that a ring refuses")
	unread.path, unread.outcomes = []string{"tpacket_rcv"}, []string{"consumed"}
	return []claim{whole, clone, refused, unread}
}

// fromRingClaims: of what is sent from a ring the IP header is in a page, so that it is
// not seen before ip_rcv_core has pulled that out. It is orphaned there, and the ring is
// told the time of that, by the same function as of what a ring is given.
func fromRingClaims() []claim {
	return []claim{{
		what: "echo sent from a ring", transport: "icmp", from: "10.11.14.1", to: detourTo, lineage: original,
		path: []string{"ip_local_deliver", "icmp_rcv", "icmp_echo"}, interfaces: []string{"west"},
		outcomes: []string{"consumed"}, noProcess: true, whole: true,
		also: func(t *testing.T, j *journey) {
			t.Helper()
			if j.visits("tpacket_get_timestamp") {
				t.Error("begins where it is orphaned")
			}
		},
	}}
}

// listClaims: GRO puts whole datagrams into a list, behind the first. For a socket that
// does not want that, skb_segment_list takes them apart: it ends each as what it was,
// and makes it anew with the headers of the first.
func listClaims() []claim {
	const to, port = "10.11.15.2", 7033
	long := claim{
		what: "five datagrams in one packet", transport: "udp", to: to, port: port, lineage: original, visits: "skb_segment",
		outcomes: []string{"consumed"}, process: "packets", whole: true,
	}
	isFirst := func(j *journey) bool { return j.visits("skb_segment_list") }
	first := claim{
		what: "the first, which others are put behind", transport: "udp", to: to, port: port, lineage: "segment", of: &long, which: isFirst,
		maker: "skb_segment", path: []string{"veth_xmit", gro, udpInput, "skb_segment_list", "__udp_enqueue_schedule_skb", "skb_consume_udp"},
		interfaces: []string{"east", "west"}, outcomes: []string{"delivered"}, whole: true,
	}
	others := claim{
		what: "the others", transport: "udp", to: to, port: port, lineage: "segment", of: &long, min: 4, max: 4,
		which: func(j *journey) bool { return !isFirst(j) },
		maker: "skb_segment", path: []string{"veth_xmit", gro, "skb_gro_receive_list"},
		interfaces: []string{"east", "west"}, outcomes: []string{"absorbed"}, into: &first, whole: true,
	}
	again := claim{
		what: "the others, taken out again", transport: "udp", to: to, port: port, lineage: "segment", of: &first, min: 4, max: 4,
		maker: "skb_segment_list", path: []string{"__udp_enqueue_schedule_skb", "skb_consume_udp"},
		interfaces: []string{"west"}, outcomes: []string{"delivered"}, whole: true,
	}
	return []claim{long, first, others, again}
}

// tunnelClaims: the packet gets headers before its own, and loses them again.
func tunnelClaims() []claim {
	var claims []claim
	for tunnel, to := range map[string]string{"vx": "10.11.7.2", "ii": "10.11.8.2", "gr": "10.11.9.2"} {
		claims = append(claims, claim{
			what: tunnel, transport: "udp", to: to, port: 7017,
			path: []string{
				"ip_output", sent, "ip_output", sent, backlog, received, "ip_rcv", "ip_local_deliver",
				"gro_cells_receive", gro, "ip_rcv_core|ip_rcv", "ip_local_deliver", udpInput,
			},
			interfaces: []string{tunnel + "-a", "east", "west", tunnel + "-b"}, namespaces: 2,
			wait:    [2]string{"gro_cells_receive", "napi_gro_receive|gro_receive_skb"},
			process: "packets", lineage: original, outcomes: []string{"delivered"}, whole: true,
		})
	}
	return claims
}

// retransmitClaims: TCP keeps what it sends, and sends a clone of it
// (__tcp_transmit_skb); the first that was followed is the parent of the others. Of a
// segment that is alone in its connection with its length, that is the same sequence
// number. The probe of tcp_send_loss_probe and what tcp_retrans_try_collapse has made
// longer are retransmissions too.
func retransmitClaims() []claim {
	const a, b, port = "10.11.10.1", "10.11.10.2", 7018
	const a6, b6 = "fd00:11:10::1", "fd00:11:10::2"
	lost := drop{Reason: "NETFILTER_DROP", Subsystem: "core", Function: "nft_do_chain"}
	longer := func(bytes uint32, which func(*journey) bool) func(*journey) bool {
		return func(j *journey) bool { return *j.Hops[0].Length > bytes && (which == nil || which(j)) }
	}
	isLost := func(j *journey) bool { return j.Drop != nil && j.Drop.Reason == lost.Reason }
	arrives := []string{"ip_output", sent, backlog, received, "ip_local_deliver"}
	first := claim{
		what: "first segment is lost", transport: "tcp", from: a, to: b, port: port, lineage: original,
		which: longer(900, nil), path: arrives, drop: &lost, process: "packets", whole: true,
	}
	lostAgain := first
	lostAgain.what, lostAgain.lineage, lostAgain.of, lostAgain.process, lostAgain.min, lostAgain.max = "lost again", "retransmission", &first, "", 0, 100
	lostAgain.which = longer(900, isLost)
	long := claim{
		what: "a long packet is lost", transport: "tcp", from: a, to: b, port: 7021, lineage: original,
		which: longer(100, nil), path: arrives, drop: &lost, process: "packets", whole: true,
		also: func(t *testing.T, j *journey) {
			if got := *j.Hops[0].Length; got != 2500+20+32 { // tcp_tso_autosize: two segments at least
				t.Errorf("%d bytes, want all 2500 and headers", got)
			}
		},
	}
	early := claim{
		what: "a segment arrives", transport: "tcp", from: a6, to: b6, port: 7022, lineage: original, which: longer(300, nil),
		path: []string{"ip6_output", sent, backlog, received, "ip6_input", "tcp_v6_rcv"}, outcomes: []string{"delivered"}, process: "packets", whole: true,
	}
	return []claim{
		first, lostAgain,
		{
			what: "first segment, sent again", transport: "tcp", from: a, to: b, port: port, lineage: "retransmission", of: &first,
			which: longer(900, func(j *journey) bool { return !isLost(j) }),
			wait:  [2]string{"tcp_data_queue|tcp_rcv_established", "skb_copy_datagram_iter"},
			path:  append(arrives, tcpInput), outcomes: []string{"delivered"}, noProcess: true, whole: true,
		},
		{
			what: "second segment waits for it", transport: "tcp", from: a, to: b, port: port, lineage: original,
			which: longer(200, func(j *journey) bool {
				return j.waits("tcp_data_queue|tcp_data_queue_ofo", "tcp_try_coalesce|skb_try_coalesce", 0)
			}),
			wait: [2]string{"tcp_data_queue|tcp_data_queue_ofo", "tcp_try_coalesce|skb_try_coalesce"}, least: time.Second,
			path: []string{"ip_output", sent, backlog, received, tcpInput, "tcp_data_queue"}, whole: true,
		},
		long,
		{
			what: "its parts, sent again", transport: "tcp", from: a, to: b, port: 7021, lineage: "retransmission", of: &long,
			which: longer(100, func(j *journey) bool { return !isLost(j) }), min: 2, max: 20,
			path: append(arrives, tcpInput), whole: true,
		},
		early,
		{
			what: "a segment that has arrived, sent again", transport: "tcp", from: a6, to: b6, port: 7022, lineage: "retransmission", of: &early,
			which: longer(300, nil), min: 1, max: 20, path: early.path, whole: true,
		},
	}
}

// waitsClaims: the least that a wait takes is what the queueing discipline is told, or
// how long nobody reads. A wait begins at the last hop before it, which may be a little
// later than the kernel reckons: hence somewhat less.
func waitsClaims() []claim {
	const to = "10.11.11.2"
	netem := [2]string{"netem_enqueue", "qdisc_cap_skb_tx_queue|sch_direct_xmit"}
	socketQueue := [2]string{"__udp_enqueue_schedule_skb", "skb_consume_udp"}
	datagram := claim{
		transport: "udp", to: to, port: 7019,
		path: []string{
			"ip_output", "__dev_queue_xmit", "netem_enqueue", "sch_direct_xmit", sent, backlog, received,
			udpInput, "__udp_enqueue_schedule_skb", "skb_consume_udp",
		},
		nested: [][]string{
			{"__dev_queue_xmit", "netem_enqueue"}, {"sch_direct_xmit", sent, "veth_xmit", "netif_rx_internal", backlog},
			{"ip_protocol_deliver_rcu", "__udp4_lib_rcv|udp_rcv", "udp_unicast_rcv_skb", "udp_queue_rcv_one_skb", "__udp_enqueue_schedule_skb"},
		},
		jumps:    [][2]string{{"udp_queue_rcv_skb", "udp_queue_rcv_one_skb"}},
		outcomes: []string{"delivered"}, process: "packets", whole: true,
	}
	queue, cpu, socket := datagram, datagram, datagram
	queue.what, queue.wait, queue.least = "in a queueing discipline", netem, 19*time.Millisecond
	cpu.what, cpu.wait = "for a CPU", [2]string{backlog, received}
	socket.what, socket.wait = "in a socket", socketQueue
	late := datagram
	late.what, late.port, late.wait, late.least = "in a socket that nobody reads", 7034, socketQueue, time.Second

	// 1,514 bytes at 10 kbit/s take 1.21 s, the other 1,462 then 1.17 s. In between the
	// first is as late as the timer of the virtual machine.
	slow := claim{
		what: "for the bytes before", transport: "udp", to: to, port: 7035, lineage: original, visits: "ip_do_fragment",
		wait: netem, least: 1100 * time.Millisecond, outcomes: []string{"absorbed"}, whole: true,
	}
	first := slow
	first.what, first.least = "for another fragment", 500*time.Millisecond
	first.wait = [2]string{"inet_frag_queue_insert", "inet_frag_reasm_prepare"}
	return []claim{queue, cpu, socket, late, slow, first}
}

// errorClaims: ping gets a clone of the ICMP error for its echo request.
func errorClaims() []claim {
	answer := claim{transport: "icmp", from: inR, to: "10.4.1.1", lineage: original, visits: "icmp_unreach"}
	return []claim{{
		what: "ICMP error, as ping gets it", transport: "icmp", lineage: "clone", of: &answer, visits: "sock_queue_err_skb",
		wait: [2]string{"sock_queue_err_skb|skb_queue_tail", "skb_copy_datagram_iter"}, outcomes: []string{"delivered"}, whole: true,
	}}
}
