// SPDX-License-Identifier: Apache-2.0

//go:build linux

package kernels

import (
	"cmp"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// dropped is a kind of packets that the kernel drops: each has a journey that
// says so, and the count of drops has exactly these.
type dropped struct {
	what      string
	transport string
	protocol  string // what the metrics call it, if not so
	from, to  string // addresses, "" for any
	port      int
	reason    string // name, in subsystem core unless one is said: "qdisc OVERLIMIT"
	function  string // alternatives: a|b
	device    string // whose packet it is then
	path      []string
	caller    string    // of the function on other kernels
	calls     [2]string // who calls whom on the way: tells the place where the reason does not
	packets   int
	counted   string            // file with the kernel's own count, instead of packets
	shared    bool              // TCP may drop others so; the count has as many as there are journeys
	lineage   string            // of the packet that is dropped
	on        map[string]string // reason on other kernels, by series
	at        map[string]string // function on other kernels, by series
	end       ending            // of a drop alone, if not said
}

// place is what the source of kernel k says of the drop.
func (d *dropped) place(k *kernel) drop {
	p := drop{Reason: d.reason, Subsystem: "core", Function: d.function}
	if reason, ok := d.on[k.series]; ok {
		p.Reason = reason
	}
	if subsystem, reason, ok := strings.Cut(p.Reason, " "); ok {
		p.Subsystem, p.Reason = subsystem, reason
	}
	if function, ok := d.at[k.series]; ok {
		p.Function = function
	}
	return p
}

func (d *dropped) ending(k *kernel) ending {
	if d.end.function == "" {
		return droppedAlone().at(k.series)
	}
	return d.end.at(k.series)
}

func (d *dropped) check(t *testing.T, k *kernel, dir string, all []*journey, metrics families) {
	t.Helper()
	packets := d.packets
	if d.counted != "" {
		packets = readCount(t, filepath.Join(dir, d.counted))
	}
	place := d.place(k)
	found := selectJourneys(all, func(j *journey) bool {
		return j.Flow.Transport == d.transport && (d.from == "" || j.Flow.Source.Address == d.from) &&
			j.Flow.Destination.Address == d.to && j.Flow.Destination.Port == d.port &&
			j.Lineage == d.lineage && j.Drop != nil && j.Drop.Reason == place.Reason
	})
	if len(found) != packets || packets == 0 {
		t.Errorf("%d journeys end with %s, want %d; of the same packets:", len(found), place.Reason, packets)
		logSome(t, selectJourneys(all, func(j *journey) bool {
			return j.Flow.Destination.Address == d.to && j.Flow.Destination.Port == d.port
		}))
	}
	one := claim{path: d.path, drop: &place, end: d.ending(k), whole: true}
	for _, j := range found {
		one.checkOne(t, j)
		if !j.calls(place.Function, one.end.caller) {
			t.Errorf("%s does not call %s in %s", place.Function, one.end.caller, j)
		}
		if d.calls[0] != "" && !j.calls(d.calls[0], d.calls[1]) {
			t.Errorf("%s does not call %s in %s", d.calls[0], d.calls[1], j)
		}
		if d.caller != "" && place.Function != d.function && !j.calls(d.caller, place.Function) {
			t.Errorf("%s is not called by %s in %s", place.Function, d.caller, j)
		}
	}
	if d.shared {
		packets = len(selectJourneys(all, func(j *journey) bool {
			return j.Flow.Transport == d.transport && j.Drop != nil && j.Drop.Reason == place.Reason && matches(place.Function, j.Drop.Function)
		}))
	}
	count := dropCount{place: place, protocol: cmp.Or(d.protocol, d.transport), device: d.device, packets: float64(packets)}
	count.check(t, metrics)
}

func readCount(t *testing.T, file string) int {
	t.Helper()
	n, err := strconv.Atoi(strings.TrimSpace(readText(t, file)))
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return n
}

const (
	inB, inB6 = "10.4.2.2", "fd00:4:2::2"
	inR, inR6 = "10.4.1.254", "fd00:4:1::fe"
)

// networkDrops are those of drops.sh. Reasons come from net/ipv4, net/ipv6 and
// net/netfilter of Debian's linux-source 6.1.192, 6.12.118 and 7.3.4.
func networkDrops() []dropped {
	finish := "ip_rcv_finish_core|ip_rcv_finish"
	return []dropped{
		{
			what: "no socket", transport: "udp", to: inB, port: 6001, packets: 3, device: "d-west",
			reason: "NO_SOCKET", function: "__udp4_lib_rcv", at: map[string]string{"7": "udp_rcv"},
			path: []string{"ip_forward", sent, backlog, received, "ip_local_deliver"},
		},
		{
			what: "no IPv6 socket", transport: "udp", to: inB6, port: 6001, packets: 3, device: "d-west",
			reason: "NO_SOCKET", function: "__udp6_lib_rcv", at: map[string]string{"7": "udpv6_rcv"},
			path: []string{"ip6_forward", sent, backlog, received, "ip6_input"},
		},
		{
			what: "closed TCP port", transport: "tcp", to: inB, port: 6002, packets: 3, device: "d-west",
			reason: "NO_SOCKET", function: "tcp_v4_rcv", path: []string{"ip_forward", "ip_local_deliver", "tcp_v4_rcv"},
		},
		{
			what: "closed TCP port, IPv6", transport: "tcp", to: inB6, port: 6002, packets: 3, device: "d-west",
			reason: "NO_SOCKET", function: "tcp_v6_rcv", path: []string{"ip6_forward", "ip6_input", "tcp_v6_rcv"},
		},
		{ // its last call may be a jump: then the kernel sees its caller
			what: "unknown protocol", transport: "ip-proto-253", protocol: "other", from: "10.4.1.72", to: inR, packets: 3, device: "d-left",
			reason: "IP_NOPROTO", function: "ip_protocol_deliver_rcu|ip_local_deliver_finish", path: []string{"ip_local_deliver", "__icmp_send"},
		},
		{
			what: "unknown IPv6 protocol", transport: "ip-proto-253", protocol: "other", from: "fd00:4:1::72", to: inR6, packets: 3, device: "d-left",
			reason: "IP_NOPROTO", function: "ip6_protocol_deliver_rcu|ip6_input_finish", path: []string{"ip6_input", "icmp6_send"},
		},
		{
			what: "receive buffer full", transport: "udp", to: inB, port: 6003, counted: "drops.rcvbuf", device: "d-west",
			reason: "SOCKET_RCVBUFF", function: "udp_queue_rcv_one_skb|__udp_queue_rcv_skb|udp_queue_rcv_skb",
		},
		{
			what: "nft drop", transport: "udp", to: inB, port: 6004, packets: 3, device: "d-left",
			reason: "NETFILTER_DROP", function: "nft_do_chain", path: []string{"ip_forward", "nf_hook_slow"},
		},
		{
			what: "nft reject", transport: "udp", to: inB, port: 6005, packets: 3, device: "d-west",
			reason: "NETFILTER_DROP", function: "nft_do_chain", path: []string{"ip_local_deliver", "nf_hook_slow", "nf_send_unreach|icmp_send|__icmp_send"},
		},
		{
			what: "iptables drop", transport: "udp", to: inB, port: 6006, packets: 3, device: "d-left",
			reason: "NETFILTER_DROP", function: "nf_hook_slow", path: []string{"ip_forward", "nf_hook_slow"},
		},
		{
			what: "iptables drop, by nftables", transport: "udp", to: inB, port: 6021, packets: 3, device: "d-right",
			reason: "NETFILTER_DROP", function: "nft_do_chain", path: []string{"ip_forward", "ip_output", "nf_hook_slow"},
		},
		{
			what: "nft drop, IPv6", transport: "tcp", to: inB6, port: 6022, packets: 3, device: "d-left",
			reason: "NETFILTER_DROP", function: "nft_do_chain", path: []string{"ip6_forward", "nf_hook_slow"},
		},
		{
			what: "nft reject, IPv6", transport: "tcp", to: inB6, port: 6023, packets: 3, device: "d-west",
			reason: "NETFILTER_DROP", function: "nft_do_chain", path: []string{"ip6_input", "nf_hook_slow", "nf_send_unreach6|icmp6_send"},
		},
		{
			what: "no route", transport: "udp", to: "10.99.0.1", port: 6007, packets: 3, device: "d-left",
			reason: "IP_INNOROUTES", function: "ip_error", path: []string{"ip_rcv", "ip_error", "__icmp_send"},
		},
		{ // -EHOSTUNREACH has no reason of its own
			what: "unreachable route", transport: "udp", to: "10.98.0.1", port: 6008, packets: 3, device: "d-left",
			reason: "NOT_SPECIFIED", function: "ip_error", path: []string{"ip_rcv", "ip_error"},
			calls: [2]string{"ip_rcv_finish|ip_rcv|__netif_receive_skb_one_core", "ip_error"},
		},
		{
			what: "no IPv6 route", transport: "udp", to: "fd00:99::1", port: 6007, packets: 3, device: "d-left",
			reason: "IP_INNOROUTES", function: "ip6_pkt_drop|ip6_pkt_discard", path: []string{"ipv6_rcv", "ip6_pkt_discard|ip6_pkt_drop", "icmp6_send"},
		},
		{ // all its routes that lead nowhere are one to IPv6
			what: "unreachable IPv6 route", transport: "tcp", to: "fd00:98::1", port: 6008, packets: 3, device: "d-left",
			reason: "IP_INNOROUTES", function: "ip6_pkt_drop|ip6_pkt_discard", path: []string{"ipv6_rcv", "ip6_pkt_discard|ip6_pkt_drop", "icmp6_send"},
		},
		{
			what: "reverse path", transport: "udp", from: "10.4.2.77", to: inB, port: 6009, packets: 3, device: "d-left",
			reason: "IP_RPFILTER", function: finish, path: []string{"ip_rcv"},
		},
		{ // reasons for martians since 6.14
			what: "martian source", transport: "udp", from: "127.0.0.1", to: inB, port: 6010, packets: 3, device: "d-left",
			reason: "NOT_SPECIFIED", on: map[string]string{"7": "IP_LOCALNET"}, function: finish,
			path: []string{"ip_rcv", "ip_route_input_noref"}, calls: [2]string{finish, "ip_route_input_noref"},
		},
		{
			what: "own address as source", transport: "tcp", from: inR, to: inB, port: 6011, packets: 3, device: "d-left",
			reason: "NOT_SPECIFIED", on: map[string]string{"7": "IP_LOCAL_SOURCE"}, function: finish,
			path: []string{"ip_rcv", "ip_route_input_noref"}, calls: [2]string{finish, "ip_route_input_noref"},
		},
		{
			what: "TTL exceeded", transport: "udp", to: inB, port: 6012, packets: 3, device: "d-left",
			reason: "IP_INHDR", function: "ip_forward", path: []string{"ip_forward", "__icmp_send"},
		},
		{
			what: "hop limit exceeded", transport: "udp", to: inB6, port: 6012, packets: 3, device: "d-left",
			reason: "IP_INHDR", function: "ip6_forward", path: []string{"ip6_forward", "icmp6_send"},
		},
		{
			what: "too big", transport: "udp", to: inB, port: 6013, packets: 3, device: "d-left",
			reason: "PKT_TOO_BIG", function: "ip_forward", path: []string{"ip_forward", "__icmp_send"},
		},
		{ // ip6_forward gives it the device that it was to leave by, before it answers
			what: "too big for IPv6", transport: "udp", to: inB6, port: 6013, packets: 3, device: "d-right",
			reason: "PKT_TOO_BIG", function: "ip6_forward", path: []string{"ip6_forward", "icmp6_send"},
		},
		{ // arp_error_report ends in a jump to the freeing function: the kernel sees its caller
			what: "neighbour failure", transport: "udp", to: "10.4.2.99", port: 6014, packets: 3, device: "d-right",
			reason: "NEIGH_FAILED", function: "neigh_invalidate", path: []string{"ip_forward", "__neigh_event_send", "arp_error_report"},
		},
		{ // so does ndisc_error_report, which gives no reason
			what: "IPv6 neighbour failure", transport: "udp", to: "fd00:4:2::99", port: 6014, packets: 3, device: "d-right",
			reason: "NOT_SPECIFIED", function: "neigh_invalidate", path: []string{"ip6_forward", "__neigh_event_send", "ndisc_error_report"},
			calls: [2]string{"neigh_invalidate", "ndisc_error_report"},
		},
		{
			what: "bad IP checksum", transport: "udp", to: inR, port: 6015, packets: 3, device: "d-left",
			reason: "IP_CSUM", function: "ip_rcv_core|ip_rcv", path: []string{"ip_rcv"},
		},
		{
			what: "bad UDP checksum", transport: "udp", to: inR, port: 6016, packets: 3, device: "d-left",
			reason: "UDP_CSUM", function: "__udp4_lib_rcv", at: map[string]string{"7": "udp_rcv"}, path: []string{"ip_local_deliver"},
		},
		{
			what: "bad TCP checksum", transport: "tcp", to: inR, port: 6017, packets: 3, device: "d-left",
			reason: "TCP_CSUM", function: "tcp_v4_rcv", path: []string{"ip_local_deliver", "tcp_v4_rcv"},
		},
		{
			what: "bad ICMP checksum", transport: "icmp", from: "10.4.1.77", to: inR, packets: 3, device: "d-left",
			reason: "ICMP_CSUM", function: "icmp_rcv", path: []string{"ip_local_deliver", "icmp_rcv"},
		},
		{
			what: "bad UDP checksum, IPv6", transport: "udp", to: inR6, port: 6016, packets: 3, device: "d-left",
			reason: "UDP_CSUM", function: "__udp6_lib_rcv", at: map[string]string{"7": "udpv6_rcv"}, path: []string{"ip6_input"},
		},
		{
			what: "bad TCP checksum, IPv6", transport: "tcp", to: inR6, port: 6017, packets: 3, device: "d-left",
			reason: "TCP_CSUM", function: "tcp_v6_rcv", path: []string{"ip6_input", "tcp_v6_rcv"},
		},
		{
			what: "bad ICMPv6 checksum", transport: "icmpv6", from: "fd00:4:1::77", to: inR6, packets: 3, device: "d-left",
			reason: "ICMP_CSUM", function: "icmpv6_rcv", path: []string{"ip6_input", "icmpv6_rcv"},
		},
		{
			what: "unknown IPv6 option", transport: "ip-proto-59", protocol: "other", from: "fd00:4:1::71", to: inR6, packets: 3, device: "d-left",
			reason: "UNHANDLED_PROTO", function: "ip6_parse_tlv|ip6_tlvopt_unknown", path: []string{"ip6_input", "ipv6_destopt_rcv"},
		},
		{ // TCP takes the device away from what it queues; it drops so what is sent again for no reason, too
			what: "TCP beyond the window", shared: true, transport: "tcp", to: inB, port: 6018, packets: 3, device: "",
			reason: "TCP_INVALID_SEQUENCE", function: "tcp_validate_incoming|tcp_drop_reason", path: []string{"tcp_v4_rcv", "tcp_rcv_established"},
		},
		{
			what: "traffic control, ingress", transport: "udp", to: inB, port: 6019, packets: 3, device: "d-left",
			reason: "TC_INGRESS", function: "__netif_receive_skb_core|sch_handle_ingress", path: []string{sent, backlog, received},
		},
		{
			what: "traffic control, egress", transport: "udp", to: inB, port: 6020, packets: 3, device: "d-right",
			reason: "TC_EGRESS", function: "__dev_queue_xmit|sch_handle_egress", path: []string{"ip_forward", "__dev_queue_xmit"},
		},
	}
}

// linkDrops are those of drops-link.sh. Reasons come from net/core, net/sched,
// net/bridge and drivers/net.
func linkDrops() []dropped {
	// In 6.1 the place is the function that frees lists. Since 7.1 a function of its
	// own frees what queues dropped, and their own reasons lie in the packets. Who calls
	// them tells the rest.
	queue := map[string]string{"6.1": "kfree_skb_list_reason", "7": "__tcf_kfree_skb_list"}
	inQueue := droppedInList()
	inQueue.on["7"] = droppedAlone()
	return []dropped{
		{
			what: "tbf full", transport: "udp", to: "10.5.1.2", port: 6101, packets: 18, device: "slow",
			reason: "QDISC_DROP", on: map[string]string{"7": "qdisc GENERIC"}, function: "__dev_queue_xmit", at: queue, caller: "__dev_queue_xmit", end: inQueue,
		},
		{
			what: "fq flow full", transport: "udp", to: "10.5.2.2", port: 6102, packets: 14, device: "fair",
			reason: "QDISC_DROP", on: map[string]string{"6.12": "FQ_FLOW_LIMIT", "7": "qdisc FLOW_LIMIT"}, function: "__dev_queue_xmit", at: queue,
			caller: "__dev_queue_xmit", end: inQueue,
		},
		{
			what: "tunnel full", transport: "udp", to: "10.5.3.2", port: 6103, packets: 15, device: "tunnel",
			reason: "FULL_RING", function: "tun_net_xmit", path: []string{"__dev_queue_xmit", sent},
		},
		{ // tun_ptr_free ends in a jump; no reason for what nobody took out
			what: "tunnel closed", transport: "udp", to: "10.5.3.2", port: 6103, packets: 5, device: "tunnel",
			reason: "NOT_SPECIFIED", function: "tun_ptr_free|tun_queue_purge|__tun_detach", path: []string{"__dev_queue_xmit", sent},
		},
		{ // no reason for XDP_DROP
			what: "generic XDP", transport: "udp", to: "10.5.4.2", port: 6104, packets: 3, device: "generic",
			reason: "NOT_SPECIFIED", function: "netif_receive_generic_xdp|do_xdp_generic", path: []string{sent, backlog, received},
			calls: [2]string{"netif_receive_generic_xdp|do_xdp_generic", "bpf_prog_run_generic_xdp"},
		},
		{ // XDP gets a copy with room before it
			what: "native XDP", transport: "udp", to: "10.5.5.2", port: 6105, packets: 3, device: "native", lineage: "copy",
			reason: "NOT_SPECIFIED", function: "veth_xdp_rcv_skb|veth_xdp_rcv|veth_poll",
		},
		{ // no reason for VLAN filtering
			what: "bridge VLAN filter", transport: "udp", to: "10.5.6.2", port: 6106, packets: 3, device: "port",
			reason: "NOT_SPECIFIED", function: "__allowed_ingress|br_allowed_ingress", path: []string{sent, backlog, received, "br_handle_frame"},
			calls: [2]string{"br_handle_frame_finish|br_handle_frame", "br_allowed_ingress"},
		},
	}
}
