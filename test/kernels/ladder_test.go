// SPDX-License-Identifier: Apache-2.0

//go:build linux

package kernels

import "testing"

// scenario is a script of directory scenarios and what there must be to see of it.
type scenario struct {
	name    string
	claims  []claim
	drops   []dropCount
	dropped []dropped
}

const (
	// Whoever visits this leaves through a device: not a clone that a socket got.
	sent = "dev_hard_start_xmit"
	// Where veth parks a packet, and what takes it up on the other side.
	backlog  = "enqueue_to_backlog"
	received = "__netif_receive_skb*"
)

func ladder() []scenario {
	return []scenario{
		{name: "ping", claims: pingClaims()},
		{name: "fragment", claims: append(fragmentClaims(), reassemblyEnds()...)},
		nftDrop(),
		udpClosed(),
		{name: "tcp", claims: append(tcpClaims(), tcpEnds()...)},
		{name: "ping6", claims: ping6Claims()},
		{name: "dnat", claims: dnatClaims()},
		{name: "bridge", claims: bridgeClaims()},
		{name: "fragment6", claims: fragment6Claims()},
		{name: "narrow", claims: narrowClaims()},
		{name: "segment", claims: append(segmentClaims(), mergeEnds()...)},
		{name: "copies", claims: copiesClaims()},
		{name: "detours", claims: detoursClaims()},
		{name: "list", claims: listClaims()},
		{name: "tunnel", claims: tunnelClaims()},
		{name: "retransmit", claims: retransmitClaims()},
		{name: "merge", claims: mergeClaims()},
		{name: "waits", claims: append(waitsClaims(), readEnds()...)},
		{name: "stale", claims: staleClaims()},
		{name: "wire", claims: wireClaims()},
		{name: "tap", claims: tapClaims()},
		{name: "drops", dropped: networkDrops(), claims: errorClaims()},
		{name: "drops-link", dropped: linkDrops()},
	}
}

func pingClaims() []claim {
	return []claim{
		{
			what: "request", transport: "icmp", from: "10.1.1.1", to: "10.1.1.2",
			path: []string{
				"ip_output", "ip_finish_output2", sent, backlog,
				received, "ip_rcv", "ip_local_deliver", "icmp_rcv", "icmp_echo",
			},
			// As the machine code of all three kernels has it: what ends in a jump is not around
			// what it jumps to, though the source calls it there.
			nested: [][]string{
				{"__dev_queue_xmit", sent, "veth_xmit", "netif_rx_internal", backlog},
				{"__netif_receive_skb_one_core", "ip_rcv", "ip_rcv_core"},
				{"__netif_receive_skb_one_core", "ip_local_deliver"},
				{"__netif_receive_skb_one_core", "ip_local_deliver_finish", "ip_protocol_deliver_rcu", "icmp_rcv", "icmp_echo"},
			},
			jumps: [][2]string{
				{"ip_finish_output", "__ip_finish_output"}, {"__netif_receive_skb", "__netif_receive_skb_one_core"},
				{"ip_rcv", "ip_local_deliver"},
			},
			interfaces: []string{"east", "west"}, namespaces: 2,
			outcomes: []string{"consumed"}, end: consumed(),
			wait:    [2]string{backlog, received},
			process: "ping", whole: true,
		},
		{
			what: "reply", transport: "icmp", from: "10.1.1.2", to: "10.1.1.1", visits: sent,
			path:       []string{"ip_output", sent, backlog, received, "ip_rcv", "raw_local_deliver", "icmp_rcv"},
			interfaces: []string{"west", "east"}, namespaces: 2,
			wait:      [2]string{backlog, received},
			noProcess: true, whole: true,
		},
		{
			// ping's raw socket gets a clone of it.
			what: "reply, as ping gets it", transport: "icmp", from: "10.1.1.2", to: "10.1.1.1", visits: "raw_rcv",
			lineage: "clone", outcomes: []string{"delivered"}, end: consumed(), whole: true,
		},
	}
}

// nftDrop: nf_tables itself lets go of the packet, so that the place is known. It
// does since 6.7 (e0d4593140b0), and in Debian's 6.1.
func nftDrop() scenario {
	place := drop{Reason: "NETFILTER_DROP", Subsystem: "core", Function: "nft_do_chain"}
	return scenario{
		name: "nft-drop",
		claims: []claim{
			{
				what: "three requests are dropped", transport: "icmp", from: "10.1.3.1", to: "10.1.3.2", min: 3, max: 3,
				path:       []string{"ip_output", sent, backlog, received, "ip_rcv", "ip_local_deliver", "nf_hook_slow"},
				interfaces: []string{"east", "west"}, namespaces: 2,
				drop: &place, process: "ping", whole: true,
			},
			{what: "no reply", transport: "icmp", from: "10.1.3.2", to: "10.1.3.1", none: true},
		},
		drops: []dropCount{{place: place, protocol: "icmp", device: "west", packets: 3}},
	}
}

func udpClosed() scenario {
	// udp_rcv where udp-lite is gone (7.0) and the two are one function.
	place := drop{Reason: "NO_SOCKET", Subsystem: "core", Function: "__udp4_lib_rcv|udp_rcv"}
	return scenario{
		name: "udp-closed",
		claims: []claim{
			{
				what: "datagram", transport: "udp", from: "10.1.4.1", to: "10.1.4.2", port: 4444, visits: sent,
				path:       []string{"ip_output", sent, backlog, received, "ip_rcv", "ip_local_deliver", "udp_rcv|__udp4_lib_rcv", "__icmp_send"},
				interfaces: []string{"east", "west"}, namespaces: 2,
				drop: &place, process: "socat", whole: true,
			},
			{
				what: "ICMP error", transport: "icmp", from: "10.1.4.2", to: "10.1.4.1", visits: sent,
				path:       []string{"ip_output", sent, backlog, received, "ip_rcv", "icmp_rcv", "icmp_unreach"},
				interfaces: []string{"west", "east"}, namespaces: 2,
				noProcess: true, whole: true,
			},
		},
		drops: []dropCount{{place: place, protocol: "udp", device: "west", packets: 1}},
	}
}

func tcpClaims() []claim {
	const a, b, port = "10.1.5.1", "10.1.5.2", 5000
	return []claim{
		{
			what: "SYN", transport: "tcp", from: a, to: b, port: port, visits: "tcp_v4_conn_request",
			path: []string{
				"ip_output", sent, backlog, received, "ip_rcv", "ip_local_deliver",
				"tcp_v4_rcv", "tcp_v4_do_rcv", "tcp_rcv_state_process", "tcp_v4_conn_request",
			},
			nested:     [][]string{{"ip_protocol_deliver_rcu", "tcp_v4_rcv", "tcp_v4_do_rcv", "tcp_rcv_state_process", "tcp_v4_conn_request"}},
			interfaces: []string{"east", "west"}, namespaces: 2,
			outcomes: []string{"delivered"}, process: "socat", whole: true,
		},
		{
			// At most 64 KiB a packet with segmentation offload, at least 1,448 bytes without.
			what: "data", transport: "tcp", from: a, to: b, port: port, visits: "tcp_rcv_established", min: 16, max: 800,
			path:       []string{"ip_output", sent, backlog, received, "ip_rcv", "tcp_v4_rcv", "tcp_rcv_established"},
			interfaces: []string{"east", "west"}, namespaces: 2,
			outcomes: []string{"delivered", "absorbed", "dropped"}, whole: true, also: dropsOnlyRepeats,
		},
		{
			what: "answers", transport: "tcp", from: b, to: a, visits: sent, min: 2, max: 800,
			path:       []string{"ip_output", sent, backlog, received, "ip_rcv", "tcp_v4_rcv"},
			interfaces: []string{"west", "east"}, namespaces: 2, whole: true,
		},
		{
			what: "nothing is lost", transport: "tcp", from: a, to: b, port: port, min: 16, max: 1600, whole: true,
			also: dropsOnlyRepeats,
		},
	}
}

// dropsOnlyRepeats: on a slow machine TCP takes an acknowledgement for late and
// sends a segment again, which the receiver then has already. What lies before the
// window is an invalid sequence to tcp_sequence of 6.1, an old one later.
func dropsOnlyRepeats(t *testing.T, j *journey) {
	t.Helper()
	if j.Drop == nil || j.Drop.Reason == "TCP_OLD_DATA" {
		return
	}
	if j.Lineage != "retransmission" || !matches("TCP_INVALID_SEQUENCE|TCP_OLD_SEQUENCE", j.Drop.Reason) {
		t.Errorf("dropped: %+v", *j.Drop)
	}
}

func ping6Claims() []claim {
	const a, b = "fd00:1:6::1", "fd00:1:6::2"
	isIPv6 := func(t *testing.T, j *journey) {
		if j.Flow.NetworkType != "ipv6" {
			t.Errorf("network_type %q", j.Flow.NetworkType)
		}
	}
	return []claim{
		{
			what: "request", transport: "icmpv6", from: a, to: b, visits: sent,
			path: []string{"ip6_output", sent, backlog, received, "ipv6_rcv", "icmpv6_rcv", "icmpv6_echo_reply"},
			nested: [][]string{
				{"ip6_output", "ip6_finish_output"}, {"__netif_receive_skb_one_core", "ipv6_rcv", "ip6_rcv_core"},
				{"__netif_receive_skb_one_core", "ip6_input_finish", "ip6_protocol_deliver_rcu", "icmpv6_rcv", "icmpv6_echo_reply"},
			},
			jumps:      [][2]string{{"ipv6_rcv", "ip6_input"}},
			interfaces: []string{"east", "west"}, namespaces: 2,
			wait: [2]string{backlog, received}, process: "ping", whole: true, also: isIPv6,
		},
		{
			what: "reply, as ping gets it", transport: "icmpv6", from: b, to: a, visits: "rawv6_rcv",
			lineage: "clone", outcomes: []string{"delivered"}, whole: true, also: isIPv6,
		},
	}
}

func dnatClaims() []claim {
	return []claim{
		{
			// Its flow is what the headers said at first; it is followed to where NAT sends it.
			what: "request", transport: "icmp", from: "10.1.7.1", to: "10.9.7.7", visits: sent,
			path: []string{
				"ip_output", sent, backlog, received, "ip_rcv", "ip_forward", "ip_output", sent, backlog,
				received, "ip_rcv", "ip_local_deliver", "icmp_rcv", "icmp_echo",
			},
			interfaces: []string{"east", "left", "right", "west"}, namespaces: 3,
			process: "ping", whole: true, also: waitsForNeighbours,
		},
		{
			what: "reply", transport: "icmp", from: "10.2.7.2", to: "10.1.7.1", visits: sent,
			path: []string{
				"ip_output", sent, backlog, received, "ip_rcv", "ip_forward", "ip_output", sent, backlog,
				received, "ip_rcv", "ip_local_deliver", "icmp_rcv",
			},
			interfaces: []string{"west", "right", "left", "east"}, namespaces: 3,
			noProcess: true, whole: true,
		},
	}
}

// waitsForNeighbours: nobody knows the next hop's address yet, neither the sender
// nor the router, so that the packet waits for an ARP reply twice.
func waitsForNeighbours(t *testing.T, j *journey) {
	t.Helper()
	count := 0
	for _, w := range j.Waits {
		if w.From == "neigh_resolve_output" && matches("ipv4_neigh_lookup|neigh_resolve_output", w.To) {
			count++
		}
	}
	if count != 2 {
		t.Errorf("waits for a neighbour %d times, want 2: %+v", count, j.Waits)
	}
}

// staleClaims: what may park the packet does not, since the neighbour is known.
func staleClaims() []claim {
	return []claim{{
		what: "request", transport: "icmp", from: "10.1.10.1", to: "10.1.10.2", visits: sent,
		path: []string{"neigh_resolve_output", "__neigh_event_send", "eth_header", sent, backlog, received, "icmp_rcv"},
		wait: [2]string{backlog, received}, process: "ping", whole: true,
		also: func(t *testing.T, j *journey) {
			if len(j.Waits) != 1 {
				t.Errorf("waits %+v, want the backlog's only", j.Waits)
			}
		},
	}}
}

func bridgeClaims() []claim {
	path := []string{
		"ip_output", sent, backlog, received, "br_handle_frame", "br_forward", "br_dev_queue_push_xmit", sent, backlog,
		received, "ip_rcv", "ip_local_deliver", "icmp_rcv",
	}
	return []claim{
		{
			what: "request", transport: "icmp", from: "10.1.8.1", to: "10.1.8.2", visits: sent, path: path,
			interfaces: []string{"east", "porta", "portb", "west"}, namespaces: 3, process: "ping", whole: true,
		},
		{
			what: "reply", transport: "icmp", from: "10.1.8.2", to: "10.1.8.1", visits: sent, path: path,
			interfaces: []string{"west", "portb", "porta", "east"}, namespaces: 3, noProcess: true, whole: true,
		},
	}
}
