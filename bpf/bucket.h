/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Where a packet in flight is found: a bucket, a way of it, a journey. */
#ifndef SKBPATH_BUCKET_H
#define SKBPATH_BUCKET_H

#include "maps.h"

#define NO_WAY (-1)
#define TAKEN 1 /* no skb: the way's journey is being begun or ended */

static __always_inline u32 bucket_index(u64 skb)
{
	return (u32)skb * 0x61c88647U >> (32 - BUCKET_BITS);
}

static __always_inline volatile struct bucket *bucket_of(u64 skb)
{
	return &buckets[bucket_index(skb)];
}

static __always_inline int way_in(const volatile struct bucket *bucket, u64 skb)
{
	barrier_var(bucket); /* or the compiler computes it again and again */
#pragma unroll
	for (int way = 0; way < BUCKET_WAYS; way++)
		if (bucket->followed[way] == skb)
			return way;
	return NO_WAY;
}

/*
 * The same where much follows. Not static, nor is take_way(), as functions in count.h: the
 * verifier would follow each way from here to the end of the program.
 */
__noinline int way_of(u32 index, u64 skb)
{
	return way_in(&buckets[index & (BUCKETS - 1)], skb);
}

/* The journey of that way; null for NO_WAY. */
static __always_inline struct journey *journey_at(u32 index, u32 way)
{
	if (way >= BUCKET_WAYS)
		return 0;
	barrier_var(way); /* or the compiler uses it before it is bounded */
	return &journeys[index & (BUCKETS - 1)][way];
}

/* The journey of a packet that is followed, or null. */
static __always_inline struct journey *journey_of(u64 skb)
{
	u32 index = bucket_index(skb);

	return journey_at(index, way_of(index, skb));
}

/* Take a free way of the bucket; NO_WAY when there is none. */
__noinline int take_way(u32 index)
{
	volatile struct bucket *bucket = &buckets[index & (BUCKETS - 1)];

#pragma unroll
	for (int way = 0; way < BUCKET_WAYS; way++)
		if (!bucket->followed[way] &&
		    __sync_val_compare_and_swap(&bucket->followed[way], 0, TAKEN) == 0)
			return way;
	return NO_WAY;
}

#endif
