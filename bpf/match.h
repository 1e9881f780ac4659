/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Does a packet match? Asked at its hops until the answer is settled. */
#ifndef SKBPATH_MATCH_H
#define SKBPATH_MATCH_H

#include <bpf/bpf_endian.h>

#include "maps.h"
#include "skb.h"

#define ETH_HEADER 14
#define ETH_ADDRESSES 12
#define ETH_P_IP 0x0800
#define ETH_P_8021Q 0x8100
#define ETH_P_IPV6 0x86dd

enum verdict {
	UNDECIDED, /* no headers yet, or another filter than pcap said no */
	REJECTED, /* will never match */
	MATCHED,
};

/* Where a packet's headers are, as offsets from skb->head. */
struct headers {
	u64 head;
	u32 network;
	u32 end; /* of the linear bytes */
	u32 length; /* network header to the end of the packet */
	u16 mac;
	bool has_mac;
};

/*
 * Before eth_type_trans() on receive and ip_local_out() on transmit there is
 * nothing to match. A network header counts when a link-layer header or a
 * route goes with it: until then the bytes behind it may be another packet's.
 * A frame just received has a link-layer header only.
 */
static __always_inline bool find_headers(u64 skb, struct headers *h)
{
	u64 data = (u64)LOAD(skb, struct sk_buff, data);
	u32 length = LOAD(skb, struct sk_buff, len);
	u32 data_offset;

	h->head = (u64)LOAD(skb, struct sk_buff, head);
	h->mac = LOAD(skb, struct sk_buff, mac_header);
	h->has_mac = h->mac != NO_HEADER;
	h->network = LOAD(skb, struct sk_buff, network_header);
	if (!h->network && h->has_mac)
		h->network = h->mac + ETH_HEADER;
	if (!h->network)
		return false;
	if (!h->has_mac && !LOAD(skb, struct sk_buff, _skb_refdst))
		return false;
	data_offset = data - h->head;
	h->end = data_offset + length - LOAD(skb, struct sk_buff, data_len);
	h->length = data_offset + length - h->network;
	return h->network < h->end;
}

/* Copy what the filter may look at; returns how many bytes. */
static __always_inline u32 capture(struct frame *frame, const struct headers *h)
{
	u32 size = h->end - h->network;

	if (size > FRAME_CAPTURE)
		size = FRAME_CAPTURE;
	if (bpf_probe_read_kernel(&frame->bytes[FRAME_PAYLOAD], size,
				  (void *)(h->head + h->network)))
		return 0;
	return size;
}

static __always_inline u16 ether_type(u64 skb, const struct frame *frame)
{
	u16 type = LOAD(skb, struct sk_buff, protocol);

	if (type)
		return type;
	switch (frame->bytes[FRAME_PAYLOAD] >> 4) { /* ip_local_out() has yet to set it */
	case 4:
		return bpf_htons(ETH_P_IP);
	case 6:
		return bpf_htons(ETH_P_IPV6);
	}
	return 0;
}

/*
 * An IP header whose length agrees with the skb's is complete. Without a
 * link-layer header only this makes a rejection final.
 */
static __always_inline bool settled(const struct frame *frame, const struct headers *h, u16 type)
{
	const u8 *ip = &frame->bytes[FRAME_PAYLOAD];
	u32 length = 0;

	if (config.never_settled)
		return false;
	if (h->has_mac)
		return true;
	if (type == bpf_htons(ETH_P_IP))
		length = ip[2] << 8 | ip[3];
	else if (type == bpf_htons(ETH_P_IPV6))
		length = (ip[4] << 8 | ip[5]) + 40;
	return length == h->length;
}

static __always_inline bool is_udp(u8 protocol)
{
	return protocol == 17 || protocol == 136; /* UDP, UDP-Lite */
}

/*
 * udp_send_skb() gets a packet whose IP header is made and whose UDP header is
 * not: what is there may be another packet's ports. Both are made once
 * __ip_local_out() has set the protocol or ip6_output() the device.
 */
static __always_inline bool awaits_udp(u64 skb, const struct frame *frame, const struct headers *h,
				       u16 type)
{
	const u8 *ip = &frame->bytes[FRAME_PAYLOAD];

	if (h->has_mac)
		return false;
	if (type == bpf_htons(ETH_P_IP) && is_udp(ip[9]))
		return !LOAD(skb, struct sk_buff, protocol);
	if (type == bpf_htons(ETH_P_IPV6) && is_udp(ip[6]))
		return !LOAD(skb, struct sk_buff, dev);
	return false;
}

/* The Ethernet addresses, zero when the packet has no Ethernet header. */
static __always_inline void put_addresses(void *at, const struct headers *h)
{
	__builtin_memset(at, 0, ETH_ADDRESSES);
	if (h->has_mac && h->mac + ETH_HEADER <= h->network)
		bpf_probe_read_kernel(at, ETH_ADDRESSES, (void *)(h->head + h->mac));
}

/*
 * One Ethernet frame serves every stage of the path: addresses, the tag that
 * hardware stripped, EtherType, and all from the network header on. Returns
 * where in frame->bytes it starts; the u32 before that is its length.
 */
static __always_inline u32 build_frame(u64 skb, struct frame *frame, const struct headers *h,
				       u16 type)
{
	u16 proto, tci;

	__builtin_memcpy(&frame->bytes[FRAME_PAYLOAD - 2], &type, sizeof(type));
	if (skb_vlan(skb, &proto, &tci)) {
		tci = bpf_htons(tci);
		put_addresses(&frame->bytes[0], h);
		__builtin_memcpy(&frame->bytes[12], &proto, sizeof(proto));
		__builtin_memcpy(&frame->bytes[14], &tci, sizeof(tci));
		frame->length_of_tagged = h->length + ETH_HEADER + 4;
		return 0;
	}
	put_addresses(&frame->bytes[4], h);
	*(u32 *)frame->bytes = h->length + ETH_HEADER;
	return 4;
}

/*
 * The pcap filter. User space puts the compiled program in place of this body:
 * start and end in R1 and R2, the frame's length in the u32 before start.
 */
static __noinline int filter_frame(const u8 *start, const u8 *end)
{
	asm volatile("" ::"r"(start), "r"(end));
	return start != end;
}

static __always_inline bool passes_metadata(u64 skb)
{
	u64 dev = (u64)LOAD(skb, struct sk_buff, dev);
	u64 name[2] = {};

	if (config.mark_mask && (LOAD(skb, struct sk_buff, mark) & config.mark_mask) != config.mark)
		return false;
	if (config.netns && skb_netns(skb, dev) != config.netns)
		return false;
	if (!config.interface[0])
		return true;
	device_name(dev, name);
	return name[0] == config.interface[0] && name[1] == config.interface[1];
}

/* On a match the frame is left in `frame`, from `start` for `used` bytes. */
static __always_inline enum verdict match(u64 skb, struct frame *frame, u32 *start, u32 *used)
{
	struct headers h;
	u32 captured;
	u16 type;

	if (!passes_metadata(skb) || !find_headers(skb, &h))
		return UNDECIDED;
	captured = capture(frame, &h);
	if (!captured)
		return UNDECIDED;
	type = ether_type(skb, frame);
	if (awaits_udp(skb, frame, &h, type))
		return UNDECIDED;
	*start = build_frame(skb, frame, &h, type);
	*used = FRAME_PAYLOAD - *start + captured;
	if (!config.filtered ||
	    filter_frame(&frame->bytes[*start], &frame->bytes[FRAME_PAYLOAD + captured]))
		return MATCHED;
	return settled(frame, &h, type) ? REJECTED : UNDECIDED;
}

#endif
