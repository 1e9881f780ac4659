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

static __noinline int count_drop(u64 skb, u64 location, u32 reason)
{
	struct drop_key key = { .location = location, .reason = reason };
	struct drop_count fresh = {}, *count;

	key.ether_type = bpf_ntohs(LOAD(skb, struct sk_buff, protocol));
	key.protocol = ip_protocol(skb, key.ether_type);
	device_name((u64)LOAD(skb, struct sk_buff, dev), key.interface);
	count = bpf_map_lookup_elem(&drops, &key);
	if (!count) {
		bpf_map_update_elem(&drops, &key, &fresh, BPF_NOEXIST);
		count = bpf_map_lookup_elem(&drops, &key);
	}
	if (!count) {
		count_loss(LOST_DROP_SERIES);
		return 0;
	}
	count->packets++;
	count->bytes += LOAD(skb, struct sk_buff, len);
	return 0;
}

static __always_inline void mark_drop(u64 skb, u64 location, u32 reason)
{
	u32 index = bucket_of(skb);
	struct bucket *bucket = bpf_map_lookup_elem(&buckets, &index);
	struct journey *j;
	int way;

	if (!bucket)
		return;
	way = way_of(bucket, skb);
	if (way == NO_WAY)
		return;
	j = journey_at(index, way);
	if (!j)
		return;
	j->record.drop_location = location;
	j->record.drop_reason = reason;
	j->record.flags |= RECORD_DROPPED;
	j->record.last_ns = bpf_ktime_get_ns();
}

#endif
