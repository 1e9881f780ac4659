/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Counts of every packet that is followed, whether its journey is kept or not:
 * functions, waits, outcomes. User space adds the CPUs up.
 *
 * Functions that are not static are verified once and by themselves, whatever
 * their caller knows: with the loops here, once for each caller takes minutes.
 */
#ifndef SKBPATH_COUNT_H
#define SKBPATH_COUNT_H

#include "config.h"
#include "maps.h"

/* How many bits the number has; from 32 on all are one. */
static __always_inline u32 bit_length(u64 rest)
{
	u32 length = 0;

#pragma unroll
	for (int bits = 16; bits; bits >>= 1)
		if (rest >> bits) {
			length += bits;
			rest >>= bits;
		}
	return length + !!rest;
}

/* The bucket of a duration: what is as long as a bound is within it. */
__noinline u32 stage_bucket(u64 ns)
{
	u32 bits = bit_length((ns - !!ns) >> STAGE_BUCKET_LOW);
	u32 bucket = (bits + STAGE_BUCKET_STEP - 1) / STAGE_BUCKET_STEP;

	return bucket < STAGE_BUCKETS ? bucket : STAGE_BUCKETS - 1;
}

static __always_inline void count_stage(struct stage_count *count, u64 ns)
{
	u32 bucket = stage_bucket(ns);

	__sync_fetch_and_add(&count->total_ns, ns);
	if (bucket < STAGE_BUCKETS)
		__sync_fetch_and_add(&count->durations[bucket], 1);
}

/*
 * The buckets of short calls, by their length in units of the first bound. Those of longer
 * ones go on in the same way, by units that are 256 times as long.
 */
#define SHORT_BITS 8
#define SHORT_UNITS (1 << SHORT_BITS)
#define MORE_BUCKETS (SHORT_BITS / FUNCTION_BUCKET_STEP)

/* Where in struct function_count the bucket is. */
#define BUCKET_AT(bucket) __builtin_offsetof(struct function_count, durations[bucket])

static const volatile u8 short_buckets[SHORT_UNITS] = {
	[0] = BUCKET_AT(0),	    [1 ... 3] = BUCKET_AT(1),	 [4 ... 15] = BUCKET_AT(2),
	[16 ... 63] = BUCKET_AT(3), [64 ... 255] = BUCKET_AT(4),
};
#define BUCKET_MASK BUCKET_AT(FUNCTION_BUCKETS - 1) /* has the bits of all places */
_Static_assert(FUNCTION_BUCKETS == 3 * MORE_BUCKETS + 2, "three units, and what is beyond");
_Static_assert(sizeof(struct function_count) == BUCKET_MASK + 8 &&
		       !(sizeof(struct function_count) & (BUCKET_MASK + 7)),
	       "a power of two, or the mask is none");

/*
 * The place of the bucket of a call's duration. Most are short. No function is called: see
 * fast.h.
 */
static __always_inline u64 bucket_place(u64 ns)
{
	u64 units = (ns - 1) >> FUNCTION_BUCKET_LOW;

	if (units < SHORT_UNITS)
		return short_buckets[units];
	if (!ns)
		return BUCKET_AT(0);
	units >>= SHORT_BITS;
	if (units < SHORT_UNITS)
		return BUCKET_AT(MORE_BUCKETS) - BUCKET_AT(0) + short_buckets[units];
	units >>= SHORT_BITS;
	if (units < SHORT_UNITS)
		return BUCKET_AT(2 * MORE_BUCKETS) - BUCKET_AT(0) + short_buckets[units];
	return BUCKET_AT(FUNCTION_BUCKETS - 1);
}

/*
 * Counts of calls go to the CPU on which the packet came to its present stack. If the task
 * has moved since, the sum is the same.
 */
static __always_inline void choose_counts(struct journey *j)
{
	j->counts = bpf_get_smp_processor_id() * config.functions;
}

/* Where the counts of a function are. Beyond config.last_counts: nowhere. */
static __always_inline u64 counts_offset(const struct journey *j, const struct call *call)
{
	return (u64)(j->counts + call->function.row.index) * sizeof(struct function_count);
}

static __always_inline void *counts_at(u64 offset)
{
	void *counts = function_counts;

	barrier_var(counts); /* or the compiler knows how many there are */
	return counts + offset;
}

/*
 * A call is over. By atomic additions, since a program at a trampoline may interrupt
 * this one or take its CPU.
 */
static __always_inline void count_call(const struct journey *j, const struct call *call, u64 end)
{
	u64 ns = end - call->start_ns, offset = counts_offset(j, call);
	void *count;

	if (offset > config.last_counts)
		return;
	count = counts_at(offset);
	__sync_fetch_and_add((u64 *)(count + (bucket_place(ns) & BUCKET_MASK)), 1);
	__sync_fetch_and_add((u64 *)count, ns); /* total_ns */
}
_Static_assert(!__builtin_offsetof(struct function_count, total_ns), "it comes first");

/* The hop that comes has seen to the room; at a journey's end there may be none. */
static __always_inline void note_return_of(struct journey *j, u32 depth, u32 lasted)
{
	if (is_recorded(j) && j->record.entries_used < RECORD_ENTRIES - 1)
		put_entry(&j->record, 0, lasted, depth | ENTRY_RETURN);
}

/*
 * So many calls from this one on, by their size, are over: at `end`, those not that were
 * seen to return before.
 */
static __always_inline void end_calls(struct journey *j, struct call *first, u64 size, u64 end,
				      bool sees_returns)
{
	size &= DEPTH_MASK;
	while (has_call(&size)) {
		struct call *call;

		size -= CALL_SIZE;
		call = (void *)first + size;
		if (sees_returns && call->lasted) {
			note_return_of(j, (void *)call - (void *)j->calls, call->lasted);
			count_call(j, call, call->start_ns + call->lasted);
		} else {
			count_call(j, call, end);
		}
	}
}

static const struct stage_count no_stage;

/* A call too deep to know when it returns. */
static __always_inline void count_deep_call(const struct journey *j, const struct call *call)
{
	u64 offset = counts_offset(j, call);
	struct function_count *count;

	if (offset > config.last_counts)
		return;
	count = counts_at(offset);
	__sync_fetch_and_add(&count->unmeasured, 1);
}

__noinline int count_wait(u32 from, u32 to, u64 ns)
{
	struct wait_key key = { .from = from, .to = to };
	struct stage_count *count = bpf_map_lookup_elem(&wait_counts, &key);

	if (!count) {
		bpf_map_update_elem(&wait_counts, &key, &no_stage, BPF_NOEXIST);
		count = bpf_map_lookup_elem(&wait_counts, &key);
	}
	if (count)
		count_stage(count, ns);
	else
		count_loss(LOST_WAIT_SERIES);
	return 0;
}

/* The calls from `depth` on are over. */
__noinline int close_calls(struct journey *j, u32 depth, u64 end)
{
	if (j && j->open > depth)
		end_calls(j, call_at(j, depth), j->open - depth, end, config.sees_returns);
	return 0;
}

/* Of the calls below `depth`, how many there are up to the innermost that parks packets. */
__noinline u32 parked_below(struct journey *j, u32 depth)
{
	u64 parked = depth & DEPTH_MASK;

	if (!j)
		return 0;
	while (has_call(&parked) && !queues(innermost(j, parked)->function))
		parked -= CALL_SIZE;
	return parked;
}

/*
 * The packet has left its calls from `depth` on. Where one of them parks packets,
 * or other code took the packet up, nothing worked on it since its last hop.
 */
__noinline int leave_wait(struct journey *j, u32 depth, u64 now, u32 to)
{
	u32 at, from;
	u64 since;

	if (!j)
		return 0;
	since = j->record.last_ns;
	at = j->parked > depth ? j->parked : j->open;
	from = index_in(call_at(j, at - CALL_SIZE)->function.word);
	j->parked = parked_below(j, depth);
	count_wait(from, to, now - since);
	return close_calls(j, depth, since);
}

/* A journey has ended: all its calls are over, as far as it is concerned. */
__noinline int count_journey(struct journey *j, u32 outcome)
{
	struct stage_count *count;
	u64 end;

	if (!j)
		return 0;
	end = j->record.last_ns;
	close_calls(j, 0, end);
	count = bpf_map_lookup_elem(&outcome_counts, &outcome);
	if (count)
		count_stage(count, end - j->record.start_ns);
	return 0;
}

#endif
