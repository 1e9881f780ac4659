/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The end of a journey: is it kept, and does the way become free? */
#ifndef SKBPATH_END_H
#define SKBPATH_END_H

#include "bucket.h"
#include "hop.h"
#include "passed.h"
#include "retransmission.h"

#define SECOND 1000000000ULL

/* What the rate limit has let through in the present second. */
volatile u64 rate_second = 0;
volatile u64 rate_used = 0;

/*
 * Two CPUs that begin a second at once may let some more through, never count
 * what they let through as lost.
 */
static __always_inline bool within_rate(void)
{
	u64 second;

	if (!config.rate_limit)
		return true;
	second = bpf_ktime_get_ns() / SECOND;
	if (rate_second != second) {
		rate_second = second;
		rate_used = 0;
	}
	if (__sync_fetch_and_add(&rate_used, 1) < config.rate_limit)
		return true;
	count_loss(LOST_RATE);
	return false;
}

/* What ends with the packet it was a part of is no drop, though the kernel calls it one. */
static __always_inline u32 outcome_of(const struct journey *j)
{
	const struct record *r = &j->record;

	if (r->flags & RECORD_DROPPED && r->drop_location - config.parts < config.parts_size)
		return OUTCOME_ABSORBED;
	if (r->flags & RECORD_DROPPED)
		return OUTCOME_DROPPED;
	if (r->flags & RECORD_EXPIRED)
		return OUTCOME_EXPIRED;
	return j->outcome - 1;
}

/* --journey.keep and --journey.sample. */
static __always_inline bool is_wanted(struct record *r)
{
	bool dropped = config.keep & KEEP_DROPPED && r->outcome == OUTCOME_DROPPED;
	bool slow = config.keep & KEEP_SLOW && r->last_ns - r->start_ns >= config.slow_ns;

	if (dropped || slow) {
		r->flags |= RECORD_CERTAIN;
		return true;
	}
	return config.keep & KEEP_ALL && r->random >= config.threshold;
}

/*
 * The last record leaves if the journey is kept. Of a long one a part has left
 * before: then this one leaves too, and says whether it is.
 */
static __noinline int finish_record(struct journey *j)
{
	bool kept;

	if (!is_recorded(j))
		return 0;
	kept = is_wanted(&j->record) && within_rate();
	if (!kept) {
		if (!j->record.part)
			return 0;
		j->record.flags |= RECORD_UNWANTED;
	}
	return send_record(j);
}

/*
 * Whoever swaps the address out, the end or the expiry, has the journey; hops after
 * that find nothing.
 */
static __always_inline bool claim(volatile struct bucket *bucket, int way, u64 skb)
{
	if (way < 0 || way >= BUCKET_WAYS)
		return false;
	return __sync_val_compare_and_swap(&bucket->followed[way], skb, TAKEN) == skb;
}

/* After this another packet may take the way. */
static __always_inline void release(volatile struct bucket *bucket, int way, struct journey *j)
{
	*(volatile __s32 *)&j->room = 0;
	bucket->followed[way] = 0;
}

static __always_inline void end_journey(u32 index, int way, u64 skb, struct journey *j)
{
	volatile struct bucket *bucket = &buckets[index & (BUCKETS - 1)];

	if (!j || !claim(bucket, way, skb))
		return;
	j->record.outcome = outcome_of(j);
	count_journey(j, j->record.outcome);
	finish_record(j);
	release(bucket, way, j);
}

/* The packet of a journey is gone, and how it ended was not seen. */
static __noinline int end_unseen(u64 skb)
{
	u32 index = bucket_index(skb);
	int way = way_of(index, skb);
	struct journey *j = journey_at(index, way);

	if (!j)
		return 0;
	count_loss(LOST_END);
	j->record.flags |= RECORD_EXPIRED;
	end_journey(index, way, skb, j);
	return 0;
}

/*
 * Called for its end by the function that has only just made it: it never was a
 * packet, and goes on to become another's child.
 */
static __always_inline bool is_remade(struct journey *j)
{
	u32 open = j->open;

	if (!config.remaker_size || !j->record.parent_id || !open)
		return false;
	return call_at(j, open - CALL_SIZE)->caller - (u32)config.remaker < config.remaker_size;
}

/* As if it had not been followed. */
static __always_inline void discard_journey(volatile struct bucket *bucket, int way, u64 skb,
					    struct journey *j)
{
	if (claim(bucket, way, skb))
		release(bucket, way, j);
}

/*
 * A packet's life is over, or begins: whatever is known of its address no longer holds,
 * but for its journey. Is there one?
 */
static __always_inline bool forget(u64 skb)
{
	volatile struct bucket *bucket = bucket_of(skb);

	if (!skb)
		return false;
	forget_passed(skb);
	forget_sendings(skb);
	if (bucket->rejected == skb) {
		bucket->rejected = 0;
		return false;
	}
	return way_in(bucket, skb) != NO_WAY;
}

/* The journey of a packet ends with its life. */
static __noinline int end_followed(u64 skb)
{
	u32 index = bucket_index(skb);
	volatile struct bucket *bucket = &buckets[index];
	int way = way_of(index, skb);
	struct journey *j = journey_at(index, way);

	if (!j)
		return 0;
	if (is_remade(j))
		discard_journey(bucket, way, skb, j);
	else
		end_journey(index, way, skb, j);
	return 0;
}

#endif
