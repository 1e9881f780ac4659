/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What TCP sends again. It keeps what it sends in packets without headers, of which no
 * filter can tell anything, and sends a clone of such a packet each time
 * (__tcp_transmit_skb). Of the clones of one kept packet that are followed, the first is
 * the parent of all others.
 */
#ifndef SKBPATH_RETRANSMISSION_H
#define SKBPATH_RETRANSMISSION_H

#include <bpf/bpf_endian.h>

#include "bucket.h"
#include "skb.h"

#define SKB_FCLONE_ORIG 1

/*
 * A clone that has no headers yet, and the packet it was made from. Each bucket has
 * one: the next takes its place, and the clone before begins a trace of its own. Two
 * CPUs that write at once may mix two pairs up: has_sequence() tells.
 */
struct sending {
	u64 clone;
	u64 kept;
};
volatile struct sending sendings[BUCKETS] = {};

/* Whether there ever was one: until then nobody pays for the question. */
volatile u32 any_sendings = 0;

struct first_sending {
	u64 id; /* of its journey, which is a root */
	u32 random;
	u32 ports;
};

/*
 * The kept packets of which a clone is, or was, followed. Their end deletes them. Full:
 * the next is not remembered, and counted.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, u64); /* skb */
	__type(value, struct first_sending);
} first_sendings SEC(".maps");

/* Whether there ever was one, likewise. */
volatile u32 any_first_sendings = 0;

/*
 * Only TCP allocates packets together with room for a clone (alloc_skb_fclone), and
 * all that it keeps.
 */
static __always_inline bool is_kept(u64 skb)
{
	struct sk_buff *s = skb_at(skb, config.direct_loads);
	u64 fclone = config.direct_loads ? BPF_CORE_READ_BITFIELD(s, fclone)
					 : BPF_CORE_READ_BITFIELD_PROBED(s, fclone);

	return fclone == SKB_FCLONE_ORIG;
}

/* A packet without a journey is made from another without one, and may get one. */
static __always_inline void note_sending(u64 skb, u64 old)
{
	volatile struct sending *s = &sendings[bucket_index(skb)];

	if (!is_kept(old))
		return;
	if (!any_sendings)
		any_sendings = 1;
	s->clone = 0;
	s->kept = old;
	s->clone = skb;
}

/* Ports and sequence number of a packet that has its TCP header. */
static __always_inline u64 tcp_header(u64 skb)
{
	return load_word((u64)LOAD(skb, struct sk_buff, head) +
			 LOAD(skb, struct sk_buff, transport_header));
}

/*
 * Is it what TCP keeps that was sent with this header? The first hop with headers may be
 * long after the clone was made, when the kept packet is another one.
 */
static __always_inline bool has_sequence(u64 kept, u64 header)
{
	u32 sequence = load_word(kept + bpf_core_field_offset(struct sk_buff, cb));

	return bpf_ntohl(header >> 32) == sequence;
}

static __always_inline void remember_first_sending(u64 kept, const struct record *r, u32 ports)
{
	struct first_sending first = { .id = r->id, .random = r->random, .ports = ports };

	any_first_sendings = 1;
	if (bpf_map_update_elem(&first_sendings, &kept, &first, BPF_ANY))
		count_loss(LOST_SENDING);
}

/* Not static, as functions in count.h: verified once. */
__noinline int find_first_sending(struct record *r, u64 skb)
{
	volatile struct sending *s = &sendings[bucket_index(skb)];
	struct first_sending *first;
	u64 kept = s->kept, header;

	if (!r || s->clone != skb)
		return 0;
	s->clone = 0;
	header = tcp_header(skb);
	if (!has_sequence(kept, header))
		return 0;
	first = bpf_map_lookup_elem(&first_sendings, &kept);
	if (!first || first->ports != (u32)header) {
		remember_first_sending(kept, r, header);
		return 0;
	}
	r->parent_id = first->id;
	r->root_id = first->id;
	r->random = first->random;
	r->flags |= RECORD_RETRANSMISSION;
	return 0;
}

/* The journey of a packet that was made from none that is followed begins. */
static __always_inline void note_retransmission(struct record *r, u64 skb)
{
	if (any_sendings)
		find_first_sending(r, skb);
}

/* TCP puts the tail of a kept packet into another: both have been sent, or neither. */
static __noinline int split_kept(u64 skb, u64 tail)
{
	struct first_sending *first, copy;

	if (!any_first_sendings || !skb || !tail)
		return 0;
	first = bpf_map_lookup_elem(&first_sendings, &skb);
	if (!first)
		return 0;
	copy = *first;
	if (bpf_map_update_elem(&first_sendings, &tail, &copy, BPF_ANY))
		count_loss(LOST_SENDING);
	return 0;
}

__noinline int forget_first_sending(u64 skb)
{
	if (is_kept(skb))
		bpf_map_delete_elem(&first_sendings, &skb);
	return 0;
}

static __always_inline void forget_sendings(u64 skb)
{
	volatile struct sending *s = &sendings[bucket_index(skb)];

	if (!any_sendings)
		return;
	if (s->clone == skb)
		s->clone = 0;
	if (any_first_sendings)
		forget_first_sending(skb);
}

#endif
