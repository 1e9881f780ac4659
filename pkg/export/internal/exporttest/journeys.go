// SPDX-License-Identifier: Apache-2.0

package exporttest

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/skbpath/skbpath/pkg/tracer/journey"
)

// The namespaces of the two ends of the hand-written journeys.
const (
	client = 4026531840
	server = 4026532305
)

// Named is a hand-written journey and the name of its golden files.
type Named struct {
	Name    string
	Journey *journey.Journey
}

// Journeys returns every hand-written journey.
func Journeys() []Named {
	return []Named{
		{"ping", Ping()},
		{"nft_drop", NftDrop()},
		{"tcp_wait", TCPWait()},
		{"clone", Clone()},
		{"retransmission", Retransmission()},
		{"zero_durations", ZeroDurations()},
		{"tracepoints", Tracepoints()},
		{"bare", Bare()},
		{"hostile", Hostile()},
	}
}

func start() time.Time {
	return time.Date(2026, 11, 3, 9, 30, 15, 123456789, time.UTC)
}

func traceID(last byte) journey.TraceID {
	return journey.TraceID{0x4b, 0xf9, 0x2f, 0x35, 0x77, 0xb3, 0x4d, 0xa6, 0xa3, 0xce, 0x92, 0x9d, 0x0e, 0x0e, 0x47, last}
}

func flow(network, transport, source, destination string) journey.Flow {
	f := journey.Flow{NetworkType: network, Transport: transport}
	f.Source.Address = netip.MustParseAddr(source)
	f.Destination.Address = netip.MustParseAddr(destination)
	return f
}

// hop fills what most hops share: the client's namespace and 84 bytes.
func hop(parent, depth int, function, caller string, offset, duration time.Duration) journey.Hop {
	return journey.Hop{
		Function: function, Caller: caller, Parent: parent, Depth: depth,
		Offset: offset, Duration: duration, Netns: client, Length: 84,
	}
}

// passed marks the callers that are not the enclosing hop.
func passed(hops ...journey.Hop) []journey.Hop {
	for i := range hops {
		if h := &hops[i]; h.Parent < 0 || hops[h.Parent].Function != h.Caller {
			h.Via = h.Caller
		}
	}
	return hops
}

// in moves a hop to a device, a namespace and a CPU. The server's namespace has
// a name.
func in(h journey.Hop, device string, index, netns uint32, cpu int) journey.Hop {
	h.Interface, h.Ifindex, h.Netns, h.CPU = device, index, netns, cpu
	if netns == server {
		h.NetnsName = "server"
	}
	return h
}

// Ping is an echo request over a veth pair: nested hops, a wait in the backlog,
// a change of interface, namespace, length and CPU.
func Ping() *journey.Journey {
	return &journey.Journey{
		TraceID: traceID(1), ID: 0x1001,
		Start: start(), Duration: 31200,
		Outcome: journey.Delivered,
		Flow:    flow("ipv4", "icmp", "10.0.0.1", "10.0.0.2"),
		Process: &journey.Process{PID: 4242, Command: "ping"},
		Hops: passed(
			hop(-1, 0, "ip_send_skb", "raw_sendmsg", 0, 9800),
			hop(0, 1, "__ip_local_out", "ip_send_skb", 150, 600),
			hop(0, 1, "ip_output", "ip_send_skb", 800, 8900),
			in(hop(2, 2, "ip_finish_output2", "__ip_finish_output", 1200, 8300), "veth0", 2, client, 0),
			func() journey.Hop {
				h := in(hop(3, 3, "dev_hard_start_xmit", "__dev_queue_xmit", 2100, 6900), "veth0", 2, client, 0)
				h.Length, h.Exact = 98, true
				return h
			}(),
			func() journey.Hop {
				h := in(hop(4, 4, "enqueue_to_backlog", "netif_rx_internal", 4000, 900), "veth1", 3, server, 0)
				return h
			}(),
			in(hop(-1, 0, "__netif_receive_skb", "process_backlog", 21000, 9100), "veth1", 3, server, 1),
			in(hop(6, 1, "ip_rcv", "__netif_receive_skb", 21400, 8500), "veth1", 3, server, 1),
			in(hop(7, 2, "icmp_rcv", "ip_protocol_deliver_rcu", 23000, 6100), "veth1", 3, server, 1),
		),
		Waits: []journey.Wait{{
			From: "enqueue_to_backlog", To: "__netif_receive_skb", After: 5, Offset: 4900, Duration: 16100,
		}},
	}
}

// NftDrop is an echo request that a firewall rule drops.
func NftDrop() *journey.Journey {
	return &journey.Journey{
		TraceID: traceID(2), ID: 0x1002,
		Start: start(), Duration: 5400,
		Outcome: journey.Dropped,
		Drop:    &journey.Drop{Reason: "NETFILTER_DROP", Subsystem: "core", Function: "nf_hook_slow", Hop: 2},
		Flow:    flow("ipv4", "icmp", "10.0.0.1", "10.0.0.2"),
		Hops: passed(
			in(hop(-1, 0, "ip_rcv", "__netif_receive_skb_core", 0, 5400), "veth1", 3, server, 3),
			in(hop(0, 1, "nf_hook_slow", "ip_rcv", 700, 4600), "veth1", 3, server, 3),
			in(hop(1, 2, "kfree_skb_reason", "nf_hook_slow", 4900, 300), "veth1", 3, server, 3),
		),
	}
}

// TCPWait is a TCP segment over IPv6 that waits 1.2 ms in the qdisc and leaves.
func TCPWait() *journey.Journey {
	f := flow("ipv6", "tcp", "2001:db8::1", "2001:db8::2")
	f.Source.Port, f.Destination.Port = 44321, 443
	marked := in(hop(-1, 0, "dev_hard_start_xmit", "sch_direct_xmit", 1_203_400, 2600), "eth0", 2, client, 2)
	marked.Mark = 0x2a
	return &journey.Journey{
		TraceID: traceID(3), ID: 0x1003,
		Start: start(), Duration: 1_206_000,
		Outcome: journey.Transmitted,
		Flow:    f,
		Process: &journey.Process{
			PID: 811, Command: "curl",
			Container: "0c8cd5a72cfbd2ba3a5d2e6b7a6f7d3a9d9a9f4f4a6d4b1f1f0a2d3c4b5a6978",
			PodUID:    "8dbc5577-d0e2-4706-8787-57d52c03ddf2",
		},
		Sampling: journey.Sampling{Threshold: 0xe6666667}, // one in ten
		Hops: passed(
			in(hop(-1, 0, "__dev_queue_xmit", "ip6_finish_output2", 0, 1400), "eth0", 2, client, 2),
			in(hop(0, 1, "dev_qdisc_enqueue", "__dev_queue_xmit", 500, 700), "eth0", 2, client, 2),
			marked,
		),
		Waits: []journey.Wait{{
			From: "dev_qdisc_enqueue", To: "dev_hard_start_xmit", After: 1, Offset: 1200, Duration: 1_202_200,
		}},
	}
}

// Clone was made from Ping and shares its trace; it is incomplete.
func Clone() *journey.Journey {
	return &journey.Journey{
		TraceID: traceID(1), ID: 0x1004, RootID: 0x1001, ParentID: 0x1001, ParentHop: 2, Lineage: journey.Clone,
		Start: start().Add(3 * time.Microsecond), Duration: 900,
		Outcome:    journey.Expired,
		Incomplete: "hops lost: 2",
		Flow:       flow("ipv4", "icmp", "10.0.0.1", "10.0.0.2"),
		Sampling:   journey.Sampling{Unknown: true},
		Hops:       passed(hop(-1, 0, "packet_rcv", "dev_queue_xmit_nit", 0, 900)),
	}
}

// Retransmission is TCPWait's segment, sent again 200 ms later by a timer.
func Retransmission() *journey.Journey {
	first := TCPWait()
	again := &journey.Journey{
		TraceID: first.TraceID, ID: 0x1009, RootID: first.ID, ParentID: first.ID, ParentHop: journey.NoHop,
		Lineage: journey.Retransmission, Start: first.Start.Add(200 * time.Millisecond), Duration: 1400,
		Outcome: journey.Transmitted, Flow: first.Flow, Sampling: first.Sampling, Hops: first.Hops[:1],
	}
	return again
}

// ZeroDurations has hops without any duration, and a child that outlives its
// parent, as a clock read at entry only can produce.
func ZeroDurations() *journey.Journey {
	return &journey.Journey{
		TraceID: traceID(5), ID: 0x1005,
		Start:   start(),
		Outcome: journey.Consumed,
		Flow:    flow("arp", "", "10.0.0.1", "10.0.0.2"),
		Hops: passed(
			hop(-1, 0, "arp_rcv", "__netif_receive_skb_core", 0, 0),
			hop(0, 1, "arp_process", "arp_rcv", 0, 0),
			hop(1, 2, "arp_filter", "arp_process", 0, 400),
			hop(-1, 0, "consume_skb", "arp_process", 500, 0),
		),
	}
}

// Tracepoints is a drop on a kernel without drop reasons, seen through
// tracepoints alone; the drop lies in none of its hops.
func Tracepoints() *journey.Journey {
	f := flow("ipv4", "udp", "192.0.2.7", "192.0.2.9")
	f.Fragment, f.VLAN = true, 12
	return &journey.Journey{
		TraceID: traceID(6), ID: 0x1006,
		Start: start(), Duration: 2000,
		Outcome: journey.Dropped,
		Drop:    &journey.Drop{Subsystem: "core", Function: "udp_queue_rcv_one_skb", Hop: -1},
		Flow:    f,
		Hops: passed(
			in(hop(-1, 0, "net:netif_receive_skb", "", 0, 1900), "eth0.12", 4, client, 0),
			in(hop(-1, 0, "skb:kfree_skb", "udp_queue_rcv_one_skb", 1900, 100), "", 0, client, 0),
		),
	}
}

// Bare is all that is left of a journey of which nothing is known.
func Bare() *journey.Journey {
	return &journey.Journey{
		TraceID: traceID(7), ID: 1<<63 + 7,
		Start: start(), Outcome: journey.Expired, Incomplete: "no hops",
		Flow: journey.Flow{NetworkType: "0x88cc"},
	}
}

// Hostile carries names that a user may choose freely: an interface and a
// command with invalid UTF-8 and terminal escapes.
func Hostile() *journey.Journey {
	f := flow("ipv4", "ip-proto-253", "10.0.0.1", "10.0.0.2")
	return &journey.Journey{
		TraceID: traceID(8), ID: 0x1008,
		Start: start(), Duration: 100, Outcome: journey.Absorbed, AbsorbedBy: 0x1001, Flow: f,
		Process: &journey.Process{PID: 7, Command: "\x1b[31mred\xff"},
		Hops:    passed(in(hop(-1, 0, "gro_receive_skb", "", 0, 100), "et\x80h\x07", 9, client, 0)),
	}
}

// Long returns a journey of n hops nested four deep over the given number of
// distinct functions, for benchmarks and bounds.
func Long(n, functions int) *journey.Journey {
	j := Ping()
	j.Waits, j.Hops = nil, make([]journey.Hop, n)
	for i := range j.Hops {
		depth, parent := i%4, i-1
		if depth == 0 {
			parent = -1
		}
		j.Hops[i] = hop(parent, depth, fmt.Sprintf("function_%04d", i%functions), "caller",
			time.Duration(i)*time.Microsecond, time.Duration(4-depth)*time.Microsecond)
	}
	j.Duration = time.Duration(n+4) * time.Microsecond
	return j
}
