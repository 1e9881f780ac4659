/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Every map: who writes, who deletes, what happens when it is full. */
#ifndef SKBPATH_MAPS_H
#define SKBPATH_MAPS_H

#include "function.h"
#include "record.h"

#define BUCKET_BITS 11
#define BUCKETS (1 << BUCKET_BITS)
#define BUCKET_WAYS 7
#define FRAME_CAPTURE 256
#define FRAME_PAYLOAD 18 /* where the network header goes in frame.bytes */

/* Records of ended journeys. Full: the journey is lost and counted. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 16 << 20);
} records SEC(".maps");

/*
 * The packets in flight, hashed by skb address: one cache line a bucket.
 * `followed` has the addresses of packets on a journey, claimed at the first
 * match and released at the end or on expiry; all ways taken: the packet is
 * not followed, and counted. `rejected` has the last packet of this bucket
 * that did not match; the next one takes its place, its end clears it.
 *
 * A variable and not a map of its own, as the journeys are, because every hop asks
 * it: the address of a variable is known to the program, a map is looked up.
 */
struct bucket {
	u64 rejected;
	u64 followed[BUCKET_WAYS];
};
volatile struct bucket buckets[BUCKETS] = {};

/*
 * A call that has not returned, as far as is known: where its return address is, and its
 * low word, which tells kernel addresses apart.
 */
struct call {
	u64 stack_pointer;
	union {
		struct {
			u32 caller;
			u32 lasted; /* ns, 0 while it has not been seen to return (session.h) */
		};
		u64 caller_while_open; /* both: no caller once it has returned */
	};
	u64 start_ns;
	union function_word function;
};

/*
 * How deep a call is nested, and how many there are, is told by the size that the
 * calls around it take: an offset into them, which saves arithmetic at each hop.
 */
#define CALLS 16 /* power of two */
#define CALL_SIZE ((u32)sizeof(struct call))
#define DEPTH_MASK ((CALLS - 1) * CALL_SIZE)
#define DEEPEST DEPTH_MASK /* deeper hops are shown at this depth */
_Static_assert(sizeof(struct call) == 32, "a power of two, or the mask is none");
_Static_assert(sizeof(struct call) == 1 << ENTRY_DEPTH_SHIFT, "an entry has a depth as it is");

/* The journey of way w of bucket b lives at b * BUCKET_WAYS + w. */
struct journey {
	struct call calls[CALLS]; /* first: every hop asks them, and here they have no offset */
	struct record record;
	u64 skb_dev; /* what the last hop saw, to tell what changed */
	u64 task;
	u32 counts; /* where those of its CPU begin in function_counts */
	u32 length;
	u32 mark;
	u32 cpu;
	u32 hops_left; /* of config.max_hops, but for those in `room` */
	__s32 room; /* for so many hops: see make_room() */
	u32 open; /* the depth of the calls in use */
	u32 parked; /* the same up to the innermost that parks packets */
	u32 stack_cpu; /* of the last hop, where no stack pointer is known */
	u8 outcome; /* what the functions visited so far say of it, plus 1 */
	u64 stack_pointer; /* of the last hop */
	u64 identity; /* see identity.h */
	u64 identity_at;
	u64 head;
};

/*
 * Loops go down from a depth that is in bounds as long as there is a call. The barriers are
 * for the verifier, which is to see that they end: the compiler knows that a depth is a
 * multiple of CALL_SIZE, and would leave comparisons out, subtract before it compares, or
 * count by addresses.
 */
static __always_inline bool has_call(u64 *depth)
{
	barrier_var(*depth);
	if (*depth < CALL_SIZE)
		return false;
	barrier_var(*depth);
	return true;
}

/*
 * Of so many calls the innermost; there is one. The barrier keeps the compiler from moving
 * part of the sum out of loops, to where no register is free.
 */
static __always_inline struct call *innermost(struct journey *j, u64 depth)
{
	struct call *end = (void *)j->calls + depth;

	barrier_var(end);
	return end - 1;
}

static __always_inline struct call *call_at(struct journey *j, u32 depth)
{
	barrier_var(depth); /* or the compiler drops the mask that the verifier wants to see */
	return (void *)j->calls + (depth & DEPTH_MASK);
}

struct journey journeys[BUCKETS][BUCKET_WAYS] __hidden = {};

/*
 * Hops are written down, or only counted: decided when the journey begins, and told by its
 * room. One that has ended has no room, and two CPUs at one packet may leave less than none.
 */
#define COUNTED_ONLY ((__s32)0x80000000)

static __always_inline void set_recorded(struct journey *j, bool on)
{
	j->room = on ? 0 : COUNTED_ONLY;
}

static __always_inline bool is_recorded(const struct journey *j)
{
	return j->room != COUNTED_ONLY;
}

/*
 * Scratch for one frame a CPU. `bytes` is longer than 64 KiB because cbpfc
 * bounds a filter's computed offsets to 16 bits only; what lies beyond the
 * captured bytes is never reached.
 */
struct frame {
	u32 busy;
	u32 start; /* of the frame in bytes */
	u32 length_of_tagged; /* bytes[-4] when the frame starts at bytes[0] */
	u8 bytes[(64 << 10) + 512];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1); /* possible CPUs, set by user space */
	__type(key, u32);
	__type(value, struct frame);
} frames SEC(".maps");

/* Every drop of the host. Full: the drop is counted as LOST_DROP_SERIES. */
struct drop_key {
	u64 location;
	u32 reason;
	u16 ether_type; /* host order */
	u8 protocol;
	u8 padding;
	char interface[NAME_SIZE];
};
_Static_assert(sizeof(struct drop_key) == 32, "no hole to leave unzeroed");

struct drop_count {
	u64 packets;
	u64 bytes;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 8192);
	__type(key, struct drop_key);
	__type(value, struct drop_count);
} drops SEC(".maps");

/*
 * Durations go to buckets whose inclusive bounds are powers of two of ns: LOW is
 * the exponent of the first, STEP how much each is above the one before.
 */
enum bucket_layout {
	FUNCTION_BUCKET_LOW = 7, /* 128 ns, 512 ns, ... 2.1 s, and beyond */
	FUNCTION_BUCKET_STEP = 2,
	STAGE_BUCKET_LOW = 10, /* 1 us, 2 us, ... 8.6 s, and beyond */
	STAGE_BUCKET_STEP = 1,
};

/* Calls of followed packets, by function: as many for each CPU. User space sets the size. */
#define FUNCTION_BUCKETS 14

struct function_count {
	u64 total_ns;
	u64 unmeasured; /* too deep to know their duration */
	u64 durations[FUNCTION_BUCKETS];
};

struct function_count function_counts[1] SEC(".data.counts") __hidden = {};

/* What has few series: journeys by outcome, waits by their two ends. */
#define STAGE_BUCKETS 25

struct stage_count {
	u64 total_ns;
	u64 durations[STAGE_BUCKETS];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, OUTCOMES);
	__type(key, u32);
	__type(value, struct stage_count);
} outcome_counts SEC(".maps");

struct wait_key {
	u32 from; /* indices of functions */
	u32 to;
};

/* Full: the wait is counted as LOST_WAIT_SERIES. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 1024);
	__type(key, struct wait_key);
	__type(value, struct stage_count);
} wait_counts SEC(".maps");

enum loss {
	LOST_RING_FULL, /* journeys whose last record found no room */
	LOST_TABLE_FULL, /* packets not followed: no way free in their bucket */
	LOST_HOP_LIMIT, /* hops beyond max_hops */
	LOST_BUSY, /* hops that interrupted a decision on their CPU */
	LOST_DROP_SERIES, /* drops beyond the size of drops */
	LOST_END, /* journeys whose packet's memory was found to be another's */
	LOST_RATE, /* journeys beyond the rate limit */
	LOST_WAIT_SERIES, /* waits beyond the size of wait_counts */
	LOST_PART, /* earlier records of long journeys that found no room */
	LOST_SENDING, /* packets that TCP may send again, beyond the size of first_sendings */
	LOSSES,
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, LOSSES);
	__type(key, u32);
	__type(value, u64);
} losses SEC(".maps");

/* The last journey id given out on each CPU. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u64);
} last_ids SEC(".maps");

static __always_inline void count_loss(u32 loss)
{
	u64 *count = bpf_map_lookup_elem(&losses, &loss);

	if (count)
		__sync_fetch_and_add(count, 1);
}

#endif
