/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Packets that match when there is no room to follow them: passed by until their end,
 * and counted once.
 */
#ifndef SKBPATH_PASSED_H
#define SKBPATH_PASSED_H

#include "maps.h"

/* Full: a packet may be counted again at each of its hops. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, u64); /* skb */
	__type(value, u8);
} passed SEC(".maps");

/* Whether there ever was one: until then nobody pays for the question. */
volatile u32 any_passed = 0;

/* The tracepoints source does not see every end: it would pass by for ever. */
static __always_inline bool knows_passed(void)
{
	return any_passed && !config.drop_ends;
}

static __always_inline bool is_passed(u64 skb)
{
	return knows_passed() && bpf_map_lookup_elem(&passed, &skb);
}

static __always_inline void pass(u64 skb)
{
	u8 yes = 1;

	any_passed = 1;
	count_loss(LOST_TABLE_FULL);
	if (!config.drop_ends)
		bpf_map_update_elem(&passed, &skb, &yes, BPF_ANY);
}

static __always_inline void forget_passed(u64 skb)
{
	if (knows_passed())
		bpf_map_delete_elem(&passed, &skb);
}

#endif
