// SPDX-License-Identifier: Apache-2.0

package journey

import "strings"

// Life says what a function means for the life of the packets that visit it.
type Life uint8

// The lives. A function without a row leaves a packet as alive as it was.
const (
	Lives Life = iota
	// Ends: at the entry of this function the packet's life is over, whoever
	// else holds its memory.
	Ends
	// Late: runs after the end (destructors), or before a packet has its data, as well
	// as on live packets, so it continues journeys but never starts one.
	Late
	// Makes: its first argument is a packet made from its second.
	Makes
	// Splits: puts the tail of its first argument, which TCP keeps to send it again,
	// into the second.
	Splits
	// Gone: runs on the memory of packets that have ended, or that are not there
	// yet: what its last owner left is in it. Nothing is attached.
	Gone
)

// LifeOf returns the row of a kernel function or tracepoint. The table is all that skbpath
// knows of how an skb ends; docs/kernel.md tells where each row comes from. The
// functions are there from 6.1 to 7.3 unless said else.
func LifeOf(function string) Life {
	switch function {
	case "skb_release_head_state", // every free of an skb with its head
		"__consume_stateless_skb",   // UDP receive; 7.3: of shared packets only
		"napi_skb_free_stolen_head", // GRO kept the head, not the skb
		"napi_reuse_skb",            // GRO recycles the skb without a free
		"skb_attempt_defer_free",    // nobody else holds it; its CPU frees it, much later maybe
		"kfree_skbmem":              // belt: every free to the slab
		return Ends
	case "__skb_clone", // on 6.1 skb_morph() ends a packet, then clones another into it
		"sock_wfree", "__sock_wfree", "sock_rfree", "sock_efree", "sock_pfree", "sock_ofree",
		"sock_edemux", "sock_rmem_free", "tcp_wfree", "tpacket_destruct_skb", "netlink_skb_destructor",
		"unix_destruct_scm", "unix_wfree", "xsk_destruct_skb", "sctp_wfree", "kcm_rfree", "rfcomm_wfree",
		"mptcp_rfree", "skb_orphan_partial",
		"tpacket_get_timestamp",       // of tpacket_destruct_skb, beside tpacket_rcv
		"napi_consume_skb",            // also frees what skb_attempt_defer_free() left
		"skb_copy_datagram_from_iter": // what napi_reuse_skb() ended has the headers of the packet before
		return Late
	case "__copy_skb_header", // clones, copies, segments
		"ip_copy_metadata", "ip6_copy_metadata": // fragments
		return Makes
	case "skb_split": // of tcp_fragment and tso_fragment
		return Splits
	case "skb_release_data", "skb_free_head", "__kfree_skb", "__napi_kfree_skb",
		"napi_skb_cache_put", "kfree_skb_partial",
		"skb_kfree_head", "__skb_ext_put", "skb_ext_put", "kfree_skb_napi_cache", "skb_pp_recycle",
		"kmalloc_reserve", "build_skb_around", "__build_skb_around", "__finalize_skb_around",
		"__xdp_build_skb_from_frame",
		"net_dev_xmit": // the tracepoint: the sender is back, the packet is elsewhere or has ended
		return Gone
	}
	return Lives
}

// Return says what it means for packets that a function has come to its end.
type Return uint8

// The returns.
const (
	// Allocates: it returns a packet, at an address that may have been another's.
	Allocates Return = iota
	// Refuses: if it returns false, the packet that is its third argument was not
	// merged into the second (Merges), and goes into the socket's queue by itself.
	Refuses
)

// Returns are the functions whose returns are watched: net/core/skbuff.c,
// net/core/xdp.c, net/ipv4/tcp_input.c and net/mptcp/protocol.c of 6.1 to 7.3. A kernel
// does not have all, and a packet may be returned by more than one.
func Returns() map[string]Return {
	return map[string]Return{
		"__alloc_skb": Allocates, "__build_skb": Allocates, "build_skb": Allocates,
		"slab_build_skb": Allocates, "napi_build_skb": Allocates, "__napi_alloc_skb": Allocates,
		"napi_alloc_skb": Allocates, "__netdev_alloc_skb": Allocates, "xdp_build_skb_from_frame": Allocates,
		"tcp_try_coalesce": Refuses, "mptcp_try_coalesce": Refuses,
	}
}

// Evidence returns the outcome that a journey has if it ends after a visit to
// this function and before any other that is evidence.
func Evidence(function string) (Outcome, bool) {
	if Merges(function) {
		return Absorbed, true
	}
	switch function {
	case "sock_queue_rcv_skb", "sock_queue_rcv_skb_reason", "__sock_queue_rcv_skb", "sock_queue_err_skb",
		"__udp_enqueue_schedule_skb", "skb_consume_udp", "skb_copy_datagram_iter",
		"tcp_queue_rcv", "tcp_data_queue", "tcp_rcv_established", "tcp_v4_do_rcv",
		"tcp_v6_do_rcv", "tcp_rcv_state_process", "tcp_add_backlog",
		"tpacket_get_timestamp", // tpacket_rcv has copied it to a packet socket's ring
		"skb:skb_copy_datagram_iovec":
		return Delivered, true
	case "dev_hard_start_xmit", "net:net_dev_start_xmit",
		"skb_clone_tx_timestamp": // of a list dev_hard_start_xmit visits the first only; drivers call this for each
		return Transmitted, true
	case "napi_skb_free_stolen_head", "inet_frag_queue_insert":
		return Absorbed, true
	case "netif_rx", "__netif_rx", "netif_rx_internal", "netif_receive_skb",
		"napi_gro_receive", "gro_receive_skb", "__netif_receive_skb",
		"__netif_receive_skb_one_core", "__netif_receive_skb_core", "ip_rcv", "ipv6_rcv", "arp_rcv",
		"ip_local_deliver", "ip6_input", // before these it is orphaned, which a ring that it was sent from is told
		"net:netif_rx", "net:netif_rx_entry", "net:netif_receive_skb",
		"net:netif_receive_skb_entry":
		return Consumed, true // received again: what came before decides nothing
	}
	return Consumed, false
}

// Merges reports whether a function puts the packet that is its last argument into
// the one that is the argument before, if nothing is in the way. Only the former
// visits it: the latter is as alive as it was. If something is in the way, GRO passes
// it on, and reassembly puts it into a list of the other; of the rest see Refuses.
func Merges(function string) bool {
	switch function {
	case "skb_gro_receive", "skb_gro_receive_list", "skb_try_coalesce", "tcp_try_coalesce", "mptcp_try_coalesce":
		return true
	}
	return false
}

// TellsCaller reports whether the function tells others its return address, as where a
// packet is dropped or consumed (net/core/skbuff.c of 6.1 to 7.3). What calls a function
// to see its return stands in the caller's place, so it must keep away.
func TellsCaller(function string) bool {
	switch function {
	case "kfree_skb", "kfree_skb_reason", "kfree_skb_list_reason", "sk_skb_reason_drop", "consume_skb", "napi_consume_skb":
		return true
	}
	return false
}

// PartsEnd is the function in which packets end that were a part of another, in
// its list of fragments. The kernel calls that a drop.
const PartsEnd = "skb_release_data"

// Remaker clones packets of a list, ends the clones and makes them segments: what
// it ends was no packet.
const Remaker = "skb_segment"

// Queues reports whether the function parks the packet until other code takes
// it up again: what follows its return is a wait.
func Queues(function string) bool {
	switch function {
	case "enqueue_to_backlog", "net:netif_rx", "inet_frag_queue_insert",
		"neigh_resolve_output", // if it returns before it has sent the packet
		"dev_hard_start_xmit",  // to the ring of a device
		"tcp_data_queue_ofo", "tcp_data_queue", "tcp_rcv_established", "tcp_add_backlog", "__udp_enqueue_schedule_skb",
		"sock_queue_rcv_skb", "sock_queue_rcv_skb_reason", "__sock_queue_rcv_skb",
		"__skb_queue_tail", "skb_queue_tail", "qdisc:qdisc_enqueue",
		"veth_xmit", "tun_net_xmit", "gro_cells_receive": // for NAPI, for a reader, for NAPI
		return true
	}
	return strings.HasSuffix(function, "_enqueue") && function != "macvlan_broadcast_enqueue" // of a clone
}

// lineageOf tells by what it was made how a packet descends from its parent:
// maker called the function of the first visit.
func lineageOf(maker string, visits []Visit) Lineage {
	if len(visits) > 0 && strings.HasSuffix(visits[0].Function, "_copy_metadata") {
		return Fragment
	}
	switch {
	case strings.Contains(maker, "clone") && !strings.Contains(maker, "copy"),
		maker == "skb_morph": // a clone in the memory of a packet that has ended; on 6.1 __skb_clone makes it
		return Clone
	case strings.Contains(maker, "segment"):
		return Segment
	}
	return Copy
}
