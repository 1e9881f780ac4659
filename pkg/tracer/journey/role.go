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
	// Late: runs after the end (destructors) as well as on live packets, so it
	// continues journeys but never starts one.
	Late
	// Makes: its first argument is a packet made from its second.
	Makes
	// Gone: runs on the memory of packets that have ended. Nothing is attached.
	Gone
)

// LifeOf returns the row of a kernel function. The table is all that skbpath
// knows of how an skb ends; docs/kernel.md tells where each row comes from.
func LifeOf(function string) Life {
	switch function {
	case "skb_release_head_state", // every free of an skb with its head
		"__consume_stateless_skb",   // UDP receive up to 6.x
		"napi_skb_free_stolen_head", // GRO kept the head, not the skb
		"napi_reuse_skb",            // GRO recycles the skb without a free
		"kfree_skbmem":              // belt: every free to the slab
		return Ends
	case "__skb_clone", // on 6.1 skb_morph() ends a packet, then clones another into it
		"sock_wfree", "__sock_wfree", "sock_rfree", "sock_efree", "sock_pfree", "sock_ofree",
		"sock_edemux", "tcp_wfree", "tpacket_destruct_skb", "netlink_skb_destructor",
		"unix_destruct_scm", "xsk_destruct_skb", "sctp_wfree", "l2tp_sock_wfree",
		"can_sock_destruct", "mptcp_rfree", "skb_orphan_partial", "linkwatch_fire_event":
		return Late
	case "__copy_skb_header", // clones, copies, segments
		"ip_copy_metadata", "ip6_copy_metadata": // fragments
		return Makes
	case "skb_release_data", "skb_free_head", "__kfree_skb", "__napi_kfree_skb",
		"napi_skb_cache_put", "kfree_skb_partial", "skb_attempt_defer_free",
		"skb_kfree_head", "__skb_ext_put", "skb_ext_put":
		return Gone
	}
	return Lives
}

// evidence returns the outcome that a journey has if it ends after a visit to
// this function and before any other that is evidence.
func evidence(function string) (Outcome, bool) {
	switch function {
	case "sock_queue_rcv_skb", "sock_queue_rcv_skb_reason", "__sock_queue_rcv_skb",
		"__udp_enqueue_schedule_skb", "skb_consume_udp", "skb_copy_datagram_iter",
		"tcp_queue_rcv", "tcp_data_queue", "tcp_rcv_established", "tcp_v4_do_rcv",
		"tcp_v6_do_rcv", "tcp_rcv_state_process", "tcp_add_backlog",
		"skb:skb_copy_datagram_iovec":
		return Delivered, true
	case "dev_hard_start_xmit", "net:net_dev_start_xmit", "net:net_dev_xmit":
		return Transmitted, true
	case "skb_gro_receive", "skb_gro_receive_list", "skb_try_coalesce", "tcp_try_coalesce",
		"napi_skb_free_stolen_head":
		return Absorbed, true
	case "netif_rx", "__netif_rx", "netif_rx_internal", "netif_receive_skb",
		"napi_gro_receive", "gro_receive_skb", "__netif_receive_skb",
		"__netif_receive_skb_one_core", "__netif_receive_skb_core", "ip_rcv", "ipv6_rcv",
		"net:netif_rx", "net:netif_rx_entry", "net:netif_receive_skb",
		"net:netif_receive_skb_entry":
		return Consumed, true // received again: what came before decides nothing
	}
	return Consumed, false
}

// queues reports whether the function parks the packet until other code takes
// it up again: what follows its return is a wait.
func queues(function string) bool {
	switch function {
	case "enqueue_to_backlog", "net:netif_rx", "inet_frag_queue_insert", "__neigh_event_send",
		"tcp_data_queue_ofo", "tcp_queue_rcv", "tcp_add_backlog", "__udp_enqueue_schedule_skb",
		"sock_queue_rcv_skb", "sock_queue_rcv_skb_reason", "__sock_queue_rcv_skb",
		"__skb_queue_tail", "skb_queue_tail", "qdisc:qdisc_enqueue":
		return true
	}
	return strings.HasSuffix(function, "_enqueue")
}

// lineageOf tells by what it was made how a packet descends from its parent:
// maker called the function of the first visit.
func lineageOf(maker string, visits []Visit) Lineage {
	if len(visits) > 0 && strings.HasSuffix(visits[0].Function, "_copy_metadata") {
		return Fragment
	}
	switch {
	case strings.Contains(maker, "clone") && !strings.Contains(maker, "copy"):
		return Clone
	case strings.Contains(maker, "segment"):
		return Segment
	}
	return Copy
}
