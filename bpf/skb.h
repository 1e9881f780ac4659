/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Reading an skb: one accessor a fact. */
#ifndef SKBPATH_SKB_H
#define SKBPATH_SKB_H

#include "config.h"

#define NO_HEADER 0xffff /* skb->mac_header when unset */

#define DIRECT(address, type) \
	((type *)bpf_rdonly_cast((void *)(address), bpf_core_type_id_kernel(type)))

/*
 * A member of a kernel structure. Directly, by a pointer from a read-only cast (6.2),
 * it is one instruction where bpf_probe_read_kernel costs a call; both survive a bad
 * address.
 */
#define MEMBER(s, member, direct)                                             \
	({                                                                    \
		__typeof__((s)->member) loaded;                               \
		if (direct)                                                   \
			loaded = (s)->member;                                 \
		else                                                          \
			bpf_core_read(&loaded, sizeof(loaded), &(s)->member); \
		loaded;                                                       \
	})

/* The same of a structure whose other members are not asked for. */
#define LOAD(address, type, member)                                        \
	(config.direct_loads ? MEMBER(DIRECT(address, type), member, true) \
			     : MEMBER((type *)(address), member, false))

/* For several members of one skb: a cast for all, and nothing asked for each. */
static __always_inline struct sk_buff *skb_at(u64 skb, bool direct)
{
	return direct ? DIRECT(skb, struct sk_buff) : (struct sk_buff *)skb;
}

/* Only where config.direct_loads. */
static __always_inline u32 load_low_word(u64 address)
{
	return DIRECT(address, struct seqcount)->sequence;
}

static __always_inline u64 load_word(u64 address)
{
	u64 word = 0;

	if (config.direct_loads)
		return DIRECT(address, struct pt_regs)->r15;
	bpf_probe_read_kernel(&word, sizeof(word), (void *)address);
	return word;
}

/*
 * The protocol, and from bit 32 and 48 on the offsets of the network and the link-layer
 * header. Only where config.direct_loads, which user space sets only where they lie side
 * by side: one load has all.
 */
static __always_inline u64 header_offsets(u64 skb)
{
	return DIRECT(skb + bpf_core_field_offset(struct sk_buff, protocol), struct pt_regs)->r15;
}

static __always_inline u32 device_netns(u64 dev)
{
	u64 net = (u64)LOAD(dev, struct net_device, nd_net.net);

	return LOAD(net, struct net, ns.inum);
}

/* The namespace of the skb's device or, on output before it has one, socket. */
static __always_inline u32 skb_netns(u64 skb, u64 dev)
{
	u64 sk, net;

	if (dev)
		return device_netns(dev);
	sk = (u64)LOAD(skb, struct sk_buff, sk);
	if (!sk)
		return 0;
	net = (u64)LOAD(sk, struct sock, __sk_common.skc_net.net);
	return LOAD(net, struct net, ns.inum);
}

static __always_inline void device_name(u64 dev, void *name)
{
	u64 *words = name;

	if (!dev)
		return;
	if (config.direct_loads) {
		const u64 *from = (void *)DIRECT(dev, struct net_device)->name;

		words[0] = from[0];
		words[1] = from[1];
	} else {
		bpf_core_read(name, NAME_SIZE, &((struct net_device *)dev)->name);
	}
}

/* The 802.1Q tag that hardware or the stack keeps beside the packet. */
static __always_inline bool skb_vlan(u64 skb, u16 *proto, u16 *tci)
{
	struct sk_buff___with_vlan_present *old = (void *)skb;

	if (bpf_core_field_exists(old->vlan_present) &&
	    !BPF_CORE_READ_BITFIELD_PROBED(old, vlan_present))
		return false;
	*proto = LOAD(skb, struct sk_buff, vlan_proto);
	*tci = LOAD(skb, struct sk_buff, vlan_tci);
	return *proto != 0;
}

#endif
