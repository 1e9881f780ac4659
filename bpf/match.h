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
#define IPV6_HEADER 40

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
	u16 type; /* EtherType, network order; 0 when the packet does not tell */
	bool has_mac;
};

static __always_inline bool is_udp(u8 protocol)
{
	return protocol == 17 || protocol == 136; /* UDP, UDP-Lite */
}

/* The EtherType that the first bytes of an IP header tell, 0 if they are none. */
static __always_inline u16 type_of_ip(u64 ip)
{
	switch (ip >> 4 & 0xf) {
	case 4:
		return bpf_htons(ETH_P_IP);
	case 6:
		return bpf_htons(ETH_P_IPV6);
	}
	return 0;
}

/*
 * A packet on its way out has an IP header before it is complete. It is once
 * the length in it agrees with the skb's; and, because udp_v6_send_skb() gets a
 * packet whose UDP header is not made, once ip6_output() has set a UDP packet's
 * device. What is there before may be another packet's ports.
 */
static __always_inline bool is_complete(u64 skb, struct headers *h)
{
	u64 ip = load_word(h->head + h->network);
	u16 type = type_of_ip(ip);
	u32 length;

	switch (type) {
	case bpf_htons(ETH_P_IP):
		length = bpf_ntohs(ip >> 16);
		if (length != h->length && (length || h->length <= 0xffff)) /* 0: BIG TCP */
			return false;
		break;
	case bpf_htons(ETH_P_IPV6):
		length = bpf_ntohs(ip >> 32);
		if (length + IPV6_HEADER != h->length && (length || h->length <= 0xffff))
			return false;
		if (is_udp(ip >> 48) && !LOAD(skb, struct sk_buff, dev))
			return false;
		break;
	default:
		return false;
	}
	h->type = type;
	return true;
}

/*
 * Before eth_type_trans() on receive and __ip_local_out() on transmit there is
 * nothing to match. A network header counts when a link-layer header goes with
 * it, as it does in a frame just received, or a protocol and a route: until then
 * the bytes behind it may be another packet's.
 */
static __always_inline bool is_headless(u64 skb)
{
	u64 headers;

	if (config.direct_loads) {
		headers = header_offsets(skb);
		if (headers >> 48 != NO_HEADER)
			return false;
		if (!(u16)headers || !(u16)(headers >> 32))
			return true;
	} else {
		if (MEMBER((struct sk_buff *)skb, mac_header, false) != NO_HEADER)
			return false;
		if (!MEMBER((struct sk_buff *)skb, protocol, false) ||
		    !MEMBER((struct sk_buff *)skb, network_header, false))
			return true;
	}
	return !LOAD(skb, struct sk_buff, _skb_refdst);
}

static __always_inline bool find_headers_by(u64 skb, struct headers *h, bool direct)
{
	struct sk_buff *s = skb_at(skb, direct);
	u32 length, data_offset;

	h->mac = MEMBER(s, mac_header, direct);
	h->has_mac = h->mac != NO_HEADER;
	h->network = MEMBER(s, network_header, direct);
	if (!h->mac && !h->network) /* zeroed: being allocated, head is the last owner's */
		return false;
	if (!h->network)
		h->network = h->mac + ETH_HEADER;
	h->head = (u64)MEMBER(s, head, direct);
	h->type = MEMBER(s, protocol, direct);
	length = MEMBER(s, len, direct);
	data_offset = (u64)MEMBER(s, data, direct) - h->head;
	h->end = data_offset + length - MEMBER(s, data_len, direct);
	h->length = data_offset + length - h->network;
	if (h->network >= h->end)
		return false;
	if (!h->has_mac)
		return is_complete(skb, h);
	if (!h->type)
		h->type = type_of_ip(load_word(h->head + h->network));
	return true;
}

/* Of a packet that is not headless. */
static __always_inline bool find_headers(u64 skb, struct headers *h)
{
	return config.direct_loads ? find_headers_by(skb, h, true) : find_headers_by(skb, h, false);
}

/* The Ethernet addresses, zero when the packet has no Ethernet header. */
static __always_inline void put_addresses(void *at, const struct headers *h)
{
	__builtin_memset(at, 0, ETH_ADDRESSES);
	if (h->has_mac && h->mac + ETH_HEADER <= h->network)
		bpf_probe_read_kernel(at, ETH_ADDRESSES, (void *)(h->head + h->mac));
}

/* Copy at most `most` bytes from the network header on; returns how many. */
static __always_inline u32 capture(void *to, const struct headers *h, u32 most)
{
	u32 size = h->end - h->network;

	if (size > most)
		size = most;
	if (size > FRAME_CAPTURE)
		size = FRAME_CAPTURE;
	return bpf_probe_read_kernel(to, size, (void *)(h->head + h->network)) ? 0 : size;
}

/*
 * One Ethernet frame serves every stage of the path: addresses, the tag that
 * hardware stripped, EtherType, and what follows from the network header on.
 * Returns where in frame->bytes it starts; the u32 before that is its length.
 */
static __always_inline u32 build_frame(u64 skb, struct frame *frame, const struct headers *h)
{
	u16 proto, tci;

	__builtin_memcpy(&frame->bytes[FRAME_PAYLOAD - 2], &h->type, sizeof(h->type));
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
	u64 dev, name[2] = {};

	if (config.mark_mask && (LOAD(skb, struct sk_buff, mark) & config.mark_mask) != config.mark)
		return false;
	if (!config.netns && !config.interface[0])
		return true;
	dev = (u64)LOAD(skb, struct sk_buff, dev);
	if (config.netns && skb_netns(skb, dev) != config.netns)
		return false;
	if (!config.interface[0])
		return true;
	device_name(dev, name);
	return name[0] == config.interface[0] && name[1] == config.interface[1];
}

/*
 * Does a packet whose headers are complete match? The frame stays in `frame`,
 * `start` says where.
 */
static __always_inline enum verdict match(u64 skb, struct frame *frame, const struct headers *h)
{
	u32 captured = capture(&frame->bytes[FRAME_PAYLOAD], h, config.capture), start;

	if (!captured)
		return UNDECIDED;
	start = build_frame(skb, frame, h);
	frame->start = start;
	if (!config.filtered)
		return MATCHED;
	if (start ? filter_frame(&frame->bytes[4], &frame->bytes[FRAME_PAYLOAD + captured])
		  : filter_frame(&frame->bytes[0], &frame->bytes[FRAME_PAYLOAD + captured]))
		return MATCHED;
	return config.never_settled ? UNDECIDED : REJECTED;
}

/* What user space reads the flow from: the frame's head, and as much as has room. */
static __always_inline void note_frame(struct record *r, const struct headers *h,
				       const struct frame *frame)
{
	if (frame->start) { /* 4 when untagged, see build_frame() */
		__builtin_memcpy(r->frame, &frame->bytes[4], ETH_HEADER);
		r->frame_used = ETH_HEADER +
				capture(&r->frame[ETH_HEADER], h, RECORD_FRAME - ETH_HEADER - 4);
	} else {
		__builtin_memcpy(r->frame, &frame->bytes[0], ETH_HEADER + 4);
		r->frame_used =
			ETH_HEADER + 4 +
			capture(&r->frame[ETH_HEADER + 4], h, RECORD_FRAME - ETH_HEADER - 4);
	}
}

#endif
