/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Drops: every one of the host is counted, a followed one ends its journey. */
#ifndef SKBPATH_DROP_H
#define SKBPATH_DROP_H

#include "follow.h"

/* The IP protocol number, 0 where the packet has no IP header. */
static __always_inline u8 ip_protocol(u64 skb, u16 type)
{
	u64 head = (u64)LOAD(skb, struct sk_buff, head);
	u16 network = LOAD(skb, struct sk_buff, network_header);
	u8 protocol = 0;

	if (!network)
		return 0;
	if (type == ETH_P_IP)
		bpf_probe_read_kernel(&protocol, 1, (void *)(head + network + 9));
	else if (type == ETH_P_IPV6)
		bpf_probe_read_kernel(&protocol, 1, (void *)(head + network + 6));
	return protocol;
}

#define SUBSYSTEM_SHIFT 16 /* SKB_DROP_REASON_SUBSYS_SHIFT */

/*
 * Since 7.1 QDISC_DROP stands for a reason of the queueing discipline's own, which
 * __tcf_kfree_skb_list() has found in the packet.
 */
static __always_inline u32 reason_of(u64 skb, u32 reason)
{
	u32 own;

	if (!bpf_core_enum_value_exists(enum skb_drop_reason_subsys, SKB_DROP_REASON_SUBSYS_QDISC))
		return reason;
	if (reason != bpf_core_enum_value(enum skb_drop_reason, SKB_DROP_REASON_QDISC_DROP))
		return reason;
	own = LOAD(skb + bpf_core_field_offset(struct sk_buff, cb), struct tc_skb_cb, drop_reason);
	if (own >> SUBSYSTEM_SHIFT !=
	    bpf_core_enum_value(enum skb_drop_reason_subsys, SKB_DROP_REASON_SUBSYS_QDISC))
		return reason;
	return own;
}

static __always_inline void describe_drop(struct drop_key *key, u64 skb)
{
	key->ether_type = bpf_ntohs(LOAD(skb, struct sk_buff, protocol));
	key->protocol = ip_protocol(skb, key->ether_type);
	device_name((u64)LOAD(skb, struct sk_buff, dev), key->interface);
}

static __noinline int count_drop(const struct drop_key *key, u64 skb)
{
	struct drop_count fresh = {}, *count;

	count = bpf_map_lookup_elem(&drops, key);
	if (!count) {
		bpf_map_update_elem(&drops, key, &fresh, BPF_NOEXIST);
		count = bpf_map_lookup_elem(&drops, key);
	}
	if (!count) {
		count_loss(LOST_DROP_SERIES);
		return 0;
	}
	__sync_fetch_and_add(&count->packets, 1);
	__sync_fetch_and_add(&count->bytes, LOAD(skb, struct sk_buff, len));
	return 0;
}

static __always_inline void mark_drop(const struct drop_key *key, u64 skb)
{
	struct journey *j = journey_of(skb);

	if (!j)
		return;
	j->record.drop_location = key->location;
	j->record.drop_reason = key->reason;
	j->record.drop_protocol = key->protocol;
	j->record.drop_ether_type = key->ether_type;
	j->record.flags |= RECORD_DROPPED;
	j->record.last_ns = bpf_ktime_get_ns();
}

#endif
