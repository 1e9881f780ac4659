/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Every map: who writes, who deletes, what happens when it is full. */
#ifndef SKBPATH_MAPS_H
#define SKBPATH_MAPS_H

#include "record.h"

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
 */
struct bucket {
	u64 rejected;
	u64 followed[BUCKET_WAYS];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2048);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, u32);
	__type(value, struct bucket);
} buckets SEC(".maps");

/* A call that has not returned: where its return address is, and which. */
struct call {
	u64 stack_pointer;
	u64 caller;
};

#define CALLS 16 /* power of two; deeper hops are shown at this depth */

/* The journey of way w of bucket b lives at b * BUCKET_WAYS + w. */
struct journey {
	struct record record;
	u64 skb_dev; /* what the last hop saw, to tell what changed */
	u64 task;
	u64 stack_pointer;
	u32 length;
	u32 mark;
	u32 cpu;
	u32 hops;
	u32 open; /* calls in use */
	u32 padding;
	u64 identity; /* see identity.h */
	u64 identity_at;
	u64 head;
	struct call calls[CALLS];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2048 * BUCKET_WAYS);
	__type(key, u32);
	__type(value, struct journey);
} journeys SEC(".maps");

/*
 * Scratch for one frame a CPU. `bytes` is longer than 64 KiB because cbpfc
 * bounds a filter's computed offsets to 16 bits only; what lies beyond the
 * captured bytes is never reached.
 */
struct frame {
	u32 busy;
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

enum loss {
	LOST_RING_FULL, /* journeys whose record found no room */
	LOST_TABLE_FULL, /* packets not followed: no way free in their bucket */
	LOST_HOP_LIMIT, /* hops beyond max_hops */
	LOST_BUSY, /* hops that interrupted a decision on their CPU */
	LOST_DROP_SERIES, /* drops beyond the size of drops */
	LOST_END, /* journeys whose packet's memory was found to be another's */
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
		(*count)++;
}

#endif
