/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * How long a call really took, where programs see its return too (fsession-multi, 7.2).
 * For the time between the kernel keeps a word of theirs, zero at first, which says here
 * which call it is.
 *
 * By its return the packet may be on another CPU, in another journey or nowhere. So a return
 * writes into its own call only, and only while it is there; the hop that closes the call
 * passes it on.
 */
#ifndef SKBPATH_SESSION_H
#define SKBPATH_SESSION_H

#include "bucket.h"

#define TOKEN_DEPTH_BITS 4
#define TOKEN_WAY_BITS 3
#define TOKEN_TIME_SHIFT (TOKEN_DEPTH_BITS + TOKEN_WAY_BITS + BUCKET_BITS)
_Static_assert(CALLS <= 1 << TOKEN_DEPTH_BITS, "a depth fits");
_Static_assert(BUCKET_WAYS < 1 << TOKEN_WAY_BITS, "a way fits");

/* The last hop of this journey is the call that the program runs in, if it has a place. */
static __always_inline u64 token_of(u32 index, u32 way, struct journey *j)
{
	u32 depth = j->open - CALL_SIZE;
	u64 start_ns = call_at(j, depth)->start_ns;

	if (!j->open || start_ns != j->record.last_ns)
		return 0;
	return start_ns << TOKEN_TIME_SHIFT | index << (TOKEN_DEPTH_BITS + TOKEN_WAY_BITS) |
	       way << TOKEN_DEPTH_BITS | depth / CALL_SIZE;
}

static __noinline u64 token_of_packet(u64 skb)
{
	u32 index = bucket_index(skb), way = way_of(index, skb);
	struct journey *j = journey_at(index, way);

	return j ? token_of(index, way, j) : 0;
}

/* The call that the token says has returned. */
static __noinline int note_return(u64 token)
{
	u32 depth = (token & (CALLS - 1)) * CALL_SIZE;
	u32 way = token >> TOKEN_DEPTH_BITS & ((1 << TOKEN_WAY_BITS) - 1);
	u32 index = token >> (TOKEN_DEPTH_BITS + TOKEN_WAY_BITS) & (BUCKETS - 1);
	struct journey *j = journey_at(index, way);
	struct call *call;
	u64 ns;

	if (!j || buckets[index].followed[way] <= TAKEN)
		return 0;
	call = call_at(j, depth);
	if (call->start_ns << TOKEN_TIME_SHIFT != token >> TOKEN_TIME_SHIFT << TOKEN_TIME_SHIFT)
		return 0;
	ns = bpf_ktime_get_ns() - call->start_ns;
	if (ns <= ~0U)
		call->lasted = ns + !ns;
	return 0;
}

#endif
