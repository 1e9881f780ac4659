// SPDX-License-Identifier: Apache-2.0

package journey

// Advice is one sentence on what a drop means and where to look, "" where there
// is nothing to say beyond the reason's name.
func (d *Drop) Advice() string {
	switch d.Subsystem {
	case "core", "qdisc":
	case "openvswitch":
		return adviseOpenvswitch(d.Reason)
	default: // whose words may mean other things
		return ""
	}
	if d.Reason == "NO_SOCKET" && answersPing(d.Function) {
		return "No ping socket waits for this echo reply; harmless if ping runs as root: its raw socket has got a copy."
	}
	for _, advise := range []func(string) string{
		adviseFirewall, adviseSocket, adviseRoute, adviseNeighbour, adviseQueue,
		adviseHeader, adviseTCP, adviseFragment, adviseDevice,
	} {
		if text := advise(d.Reason); text != "" {
			return text
		}
	}
	return ""
}

func answersPing(function string) bool {
	switch function {
	case "ping_rcv", "icmp_rcv", "icmpv6_rcv":
		return true
	}
	return false
}

func adviseFirewall(reason string) string {
	switch reason {
	case "NETFILTER_DROP":
		return "A firewall rule dropped it: look at `nft list ruleset` or `iptables-save -c` in this network namespace."
	case "BPF_CGROUP_EGRESS":
		return "An eBPF program on the sender's cgroup refused it: `bpftool cgroup tree` names the programs."
	case "XDP":
		return "An XDP program dropped it: `ip link` shows on which device one is attached, `bpftool net` which one."
	case "TC_INGRESS":
		return "A tc filter or eBPF program on the ingress hook dropped it: `tc filter show dev DEVICE ingress`, `bpftool net`."
	case "TC_EGRESS":
		return "A tc filter or eBPF program on the egress hook dropped it: `tc filter show dev DEVICE egress`, `bpftool net`."
	case "SOCKET_FILTER":
		return "The filter that the receiving program set on its socket (SO_ATTACH_FILTER or _BPF) did not let it in."
	case "XFRM_POLICY":
		return "An IPsec policy refuses it, often because it came unencrypted: `ip xfrm policy` and `ip xfrm state`."
	case "SECURITY_HOOK":
		return "A security module such as SELinux refused it: look for denials in the audit log."
	case "TAP_FILTER":
		return "The eBPF filter on this tun or tap device dropped it; the program behind it, often a hypervisor, has set that."
	case "TAP_TXFILTER":
		return "Its destination MAC is not among those that the program behind this tun or tap device asked for."
	}
	return ""
}

func adviseSocket(reason string) string {
	switch reason {
	case "NO_SOCKET":
		return "Nobody listens on this address and port, or the connection is over: `ss -lntu` in this network namespace."
	case "SOCKET_RCVBUFF":
		return "The socket's receive buffer is full: the program reads too slowly, or SO_RCVBUF (net.core.rmem_max) is too small."
	case "SOCKET_BACKLOG":
		return "The socket was in use and the queue for that time is full: too many packets at once for one socket; see net.core.rmem_max."
	case "SOCKET_CLOSE":
		return "The program closed the socket with this packet still unread."
	case "PROTO_MEM":
		return "All sockets of the protocol together use too much memory: compare net.ipv4.udp_mem or tcp_mem with /proc/net/sockstat."
	case "TCP_LISTEN_OVERFLOW":
		return "The listener's queue is full: the program accepts too slowly, or its backlog (net.core.somaxconn) is too short: `ss -lnt`."
	}
	return ""
}

func adviseRoute(reason string) string {
	switch reason {
	case "IP_OUTNOROUTES":
		return "There is no route for what this host sends: `ip route get DESTINATION` in this network namespace."
	case "IP_INNOROUTES":
		return "There is no route for what this host should forward: `ip route get DESTINATION from SOURCE iif DEVICE`."
	case "IP_INADDRERRORS":
		return "Its destination is not ours and forwarding is off or refused: see net.ipv4.ip_forward and `ip route get`."
	case "IP_RPFILTER":
		return "The route back to its source leads through another device: asymmetric routing, or spoofed; see rp_filter of the device."
	case "IP_LOCAL_SOURCE":
		return "It came from outside with an address of this host as its source: a duplicate address, a loop, or spoofed; see accept_local."
	case "IP_INVALID_SOURCE":
		return "Its source address cannot be one, such as a multicast or broadcast address."
	case "IP_INVALID_DEST":
		return "Its destination address cannot be one on this network, such as 0.0.0.0."
	case "IP_LOCALNET":
		return "A loopback address came over the wire: see route_localnet of the device if that is wanted."
	case "OTHERHOST":
		return "Its destination MAC belongs to somebody else: the device is promiscuous, or a switch floods; mostly harmless."
	case "UNICAST_IN_L2_MULTICAST":
		return "A unicast packet came in a broadcast or multicast frame; refused since net.ipv4.conf.*.drop_unicast_in_l2_multicast is set."
	case "IPV6DISABLED":
		return "IPv6 is off on this device: see net.ipv6.conf.DEVICE.disable_ipv6."
	}
	return ""
}

func adviseNeighbour(reason string) string {
	switch reason {
	case "NEIGH_FAILED":
		return "The next hop did not answer ARP or neighbour discovery: is it up, and on this link? `ip neigh`."
	case "NEIGH_QUEUEFULL":
		return "Too many packets waited for the next hop's MAC address: see `ip neigh` and net.ipv4.neigh.*.unres_qlen_bytes."
	case "NEIGH_CREATEFAIL":
		return "The neighbour table is full: compare `ip neigh | wc -l` with net.ipv4.neigh.default.gc_thresh3."
	case "NEIGH_DEAD":
		return "The entry of the next hop was being removed, as when a device goes down; seldom more than a few packets."
	}
	return ""
}

func adviseQueue(reason string) string {
	switch reason {
	case "QDISC_DROP", "GENERIC":
		return "The device's queueing discipline dropped it, by its limit or by policy: `tc -s qdisc show dev DEVICE`."
	case "QDISC_OVERLIMIT", "OVERLIMIT":
		return "The queueing discipline is full: more is sent than the device or its shaper lets through; `tc -s qdisc`."
	case "QDISC_CONGESTED", "CONGESTED":
		return "The queueing discipline (CoDel, RED, PIE and the like) keeps its delay short by dropping: the link is the bottleneck."
	case "MAXFLOWS":
		return "The queueing discipline has no room for another flow: see its flows limit in `tc -s qdisc`."
	case "CAKE_FLOOD", "FLOOD_PROTECTION":
		return "CAKE takes this flow for a flood, since it does not slow down when packets are dropped."
	case "FQ_BAND_LIMIT", "BAND_LIMIT":
		return "fq has too many packets of this priority: see its limit in `tc -s qdisc`."
	case "FQ_HORIZON_LIMIT", "HORIZON_LIMIT":
		return "Its departure time (SO_TXTIME, pacing) is too far ahead for fq: see fq's horizon."
	case "FQ_FLOW_LIMIT", "FLOW_LIMIT":
		return "One flow has too many packets in fq: the sender ignores backpressure, or fq's flow_limit is too small."
	case "DUALPI2_STEP_DROP", "L4S_STEP_NON_ECN":
		return "DualPI2 dropped it instead of marking it, since the flow does not use ECN."
	case "CPU_BACKLOG":
		return "The CPU's input queue is full: too many packets for one CPU; see net.core.netdev_max_backlog, RPS and /proc/net/softnet_stat."
	case "FULL_RING":
		return "The device's ring is full: whoever reads from it, such as a virtual machine behind a tap, is too slow."
	case "QUEUE_PURGE":
		return "It still waited when its queue was emptied, as when a socket is closed or a device goes down."
	case "NOMEM":
		return "The kernel had no memory for it: look for allocation failures in the kernel's log."
	case "PFMEMALLOC":
		return "It used the memory reserve for swapping and its socket is not for that: the host is short of memory."
	}
	return ""
}

func adviseHeader(reason string) string {
	switch reason {
	case "IP_CSUM", "TCP_CSUM", "UDP_CSUM", "ICMP_CSUM":
		return "The checksum is wrong: damaged on its way, or the offload of a (virtual) device is broken: try `ethtool -K DEVICE tx off rx off`."
	case "SKB_CSUM":
		return "The kernel could not compute the checksum before sending: suspect the offloads of the device, `ethtool -k DEVICE`."
	case "SKB_GSO_SEG":
		return "A large packet could not be cut into segments: suspect the offloads of the device, `ethtool -k DEVICE`."
	case "SKB_BAD_GSO":
		return "What it says of its segments makes no sense: whoever made it is at fault, a driver, a virtual machine or a raw socket."
	case "IP_INHDR":
		return "The IP header is malformed, or its TTL has run out: a damaged packet, a routing loop, or traceroute."
	case "PKT_TOO_BIG":
		return "It is larger than the next link's MTU and must not be fragmented: compare MTUs, and let ICMP for path MTU discovery through."
	case "PKT_TOO_SMALL", "HDR_TRUNC":
		return "It is shorter than its headers say: truncated or malformed by its sender or on its way."
	case "IP_NOPROTO", "UNHANDLED_PROTO":
		return "This host does not speak its protocol: a module is missing, or it was not meant for this host."
	case "INVALID_PROTO":
		return "It breaks a rule of its protocol, such as an ICMP request to a broadcast address."
	case "IPV6_BAD_EXTHDR":
		return "An IPv6 extension header is malformed or not supported."
	case "IPV6_NDISC_HOP_LIMIT":
		return "Neighbour discovery with a hop limit other than 255 comes from another link: misconfigured or spoofed."
	case "IP_TUNNEL_ECN":
		return "The ECN bits inside and outside of the tunnel contradict each other: something on the way rewrites them."
	case "VXLAN_VNI_NOT_FOUND":
		return "No VXLAN device here has its network identifier: compare `ip -d link show type vxlan` on both ends."
	case "VXLAN_INVALID_HDR":
		return "Its VXLAN header has flags that this device does not expect: the two ends are configured differently."
	}
	return ""
}

func adviseTCP(reason string) string {
	switch reason {
	case "TCP_FLAGS", "TCP_INVALID_SYN":
		return "Its TCP flags make no sense in this state: a scan, a confused middlebox, or a reused connection."
	case "TCP_ZEROWINDOW":
		return "It came though the receive window was closed: the program reads too slowly: `ss -tm` shows its queue."
	case "TCP_OVERWINDOW", "TCP_INVALID_SEQUENCE", "TCP_INVALID_END_SEQUENCE":
		return "Its sequence number is outside of the receive window: from an old connection, a middlebox, or injected."
	case "TCP_OLD_DATA", "TCP_OLD_SEQUENCE", "TCP_OFO_DROP":
		return "Its data had arrived before: a needless retransmission, often because acknowledgements are late or lost."
	case "TCP_OFOMERGE":
		return "Its data was in the queue of early segments already; harmless."
	case "TCP_OFO_QUEUE_PRUNE":
		return "The receiver ran out of memory and gave up segments that came early: see net.ipv4.tcp_rmem."
	case "TCP_RFC7323_PAWS", "TCP_RFC7323_PAWS_ACK", "TCP_RFC7323_TW_PAWS":
		return "Its timestamp is older than one seen before: reordered, a reused port behind NAT, or clocks that jump."
	case "TCP_RFC7323_TSECR":
		return "It echoes a timestamp that this host has not sent: from another connection, or injected."
	case "TCP_OLD_ACK", "TCP_TOO_OLD_ACK", "TCP_ACK_UNSENT_DATA", "TCP_INVALID_ACK_SEQUENCE":
		return "It acknowledges what was acknowledged long before or never sent: reordered, from an old connection, or injected."
	case "TCP_RESET":
		return "The connection was reset."
	case "TCP_CLOSE":
		return "It came for a connection that is closed."
	case "TCP_ABORT_ON_DATA":
		return "Data came after the program had closed the socket, and the connection was reset."
	case "TCP_FASTOPEN":
		return "It was dropped while a TCP Fast Open connection was being made: see net.ipv4.tcp_fastopen."
	case "TCP_MINTTL":
		return "Its TTL is below what the program allows (IP_MINTTL), a protection of BGP sessions against distant senders."
	case "TCP_MD5NOTFOUND", "TCP_MD5UNEXPECTED", "TCP_MD5FAILURE",
		"TCP_AONOTFOUND", "TCP_AOUNEXPECTED", "TCP_AOKEYNOTFOUND", "TCP_AOFAILURE", "TCP_AUTH_HDR":
		return "Its TCP signature (MD5 or AO) is missing, unexpected or wrong: the two ends have different keys or only one has any."
	}
	return ""
}

func adviseFragment(reason string) string {
	switch reason {
	case "DUP_FRAG":
		return "The same fragment came before, or one that overlaps it: duplicated on its way, or an attack."
	case "FRAG_REASM_TIMEOUT":
		return "Not all fragments of the packet came in time: some were lost; see net.ipv4.ipfrag_time."
	case "FRAG_TOO_FAR":
		return "Too many packets came between fragments of this one: heavy reordering or loss; see net.ipv4.ipfrag_max_dist."
	}
	return ""
}

func adviseDevice(reason string) string {
	switch reason {
	case "DEV_READY":
		return "The device was down or not ready: `ip link show`, and a tun or tap needs its program running."
	case "DEV_HDR":
		return "The device's own header in front of the packet, such as virtio's, is invalid."
	case "NO_TX_TARGET":
		return "The device knows nobody to send it to, such as a VXLAN without an entry for the destination MAC: `bridge fdb show`."
	case "BRIDGE_INGRESS_STP_STATE":
		return "The bridge port does not forward, by spanning tree: `bridge link show`."
	case "LOCAL_MAC":
		return "It came from outside with a MAC address of this host: a loop, or a duplicate address."
	case "MAC_INVALID_SOURCE":
		return "Its source MAC address cannot be one: all zeros or multicast."
	case "TUNNEL_TXINFO":
		return "A tunnel device got it without saying where to: a route or flow with encapsulation is missing."
	case "RECURSION_LIMIT":
		return "It went through too many devices on top of each other: a loop of tunnels or of stacked devices."
	case "MACVLAN_BROADCAST_BACKLOG", "IPVLAN_MULTICAST_BACKLOG":
		return "Too many broadcasts or multicasts for the virtual devices on top of this one: see bcqueuelen in `ip -d link`."
	case "PACKET_SOCK_ERROR":
		return "A packet socket (tcpdump and the like) could not take its copy, mostly because its buffer is full."
	}
	return ""
}

func adviseOpenvswitch(reason string) string {
	switch reason {
	case "OVS_DROP_LAST_ACTION", "OVS_DROP_EXPLICIT":
		return "The switch's flows drop it: `ovs-appctl ofproto/trace` tells which, `ovs-appctl dpctl/dump-flows` what the kernel has."
	case "OVS_DROP_EXPLICIT_WITH_ERROR", "OVS_DROP_ACTION_ERROR":
		return "An action of the switch's flows failed: look for errors in the log of ovs-vswitchd."
	case "OVS_DROP_METER":
		return "A meter of the switch limits this rate: `ovs-ofctl -O OpenFlow13 meter-stats BRIDGE`."
	}
	return ""
}
