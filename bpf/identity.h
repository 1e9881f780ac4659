/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Is an skb still the packet it was? Only for the tracepoints source, which does
 * not see every packet's end: the memory of one may have become another's.
 */
#ifndef SKBPATH_IDENTITY_H
#define SKBPATH_IDENTITY_H

#include "maps.h"
#include "skb.h"

/* Where the network header is, or will be once it is set. */
static __always_inline u64 network_at(u64 skb)
{
	u64 head = (u64)LOAD(skb, struct sk_buff, head);
	u16 network = LOAD(skb, struct sk_buff, network_header);

	if (!network)
		network = LOAD(skb, struct sk_buff, mac_header) + 14;
	return head + network;
}

/*
 * What NAT, forwarding and reassembly leave alone: protocol and id of IPv4, flow
 * label of IPv6. Anything else has the identity 1.
 */
static __always_inline u64 identity_of(u64 network)
{
	u8 ip[12] = {};

	bpf_probe_read_kernel(ip, sizeof(ip), (void *)network);
	switch (ip[0] >> 4) {
	case 4:
		return 4ULL << 32 | (u64)ip[9] << 16 | ip[4] << 8 | ip[5];
	case 6:
		return 6ULL << 32 | (u64)(ip[1] & 0xf) << 16 | ip[2] << 8 | ip[3];
	}
	return 1;
}

static __always_inline void note_identity(struct journey *j, u64 skb)
{
	j->head = (u64)LOAD(skb, struct sk_buff, head);
	j->identity_at = network_at(skb);
	j->identity = identity_of(j->identity_at);
}

/*
 * An encapsulated packet has another header now, and the first one where it was
 * in the same memory.
 */
static __always_inline bool same_packet(const struct journey *j, u64 skb)
{
	if (identity_of(network_at(skb)) == j->identity)
		return true;
	return (u64)LOAD(skb, struct sk_buff, head) == j->head &&
	       identity_of(j->identity_at) == j->identity;
}

#endif
