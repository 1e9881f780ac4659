/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What travels to user space: the only layout that both halves know. */
#ifndef SKBPATH_RECORD_H
#define SKBPATH_RECORD_H

#include "kernel.h"

#define RECORD_ENTRIES 128
#define RECORD_FRAME 104

enum record_flag {
	RECORD_MORE = 1 << 0, /* another part follows */
	RECORD_DROPPED = 1 << 1, /* what begins with drop_ is valid */
	RECORD_EXPIRED = 1 << 2, /* no end was seen in time */
	RECORD_CUT = 1 << 3, /* hops beyond max_hops are missing */
	RECORD_NO_DEPTH = 1 << 4, /* no stack pointer at this source */
	RECORD_CERTAIN = 1 << 5, /* kept whatever the sampling */
	RECORD_UNWANTED = 1 << 6, /* a part was sent before it was clear that it is not kept */
	RECORD_RETRANSMISSION = 1 << 7, /* of what TCP first sent as the parent */
};

/* How a journey ends, in the order in which user space numbers it. */
enum outcome {
	OUTCOME_CONSUMED,
	OUTCOME_DELIVERED,
	OUTCOME_TRANSMITTED,
	OUTCOME_DROPPED,
	OUTCOME_ABSORBED,
	OUTCOME_EXPIRED,
	OUTCOMES,
};

/*
 * An entry is 16 bytes. The low five bits of `tagged` are its kind, the next eleven the
 * number of enclosing calls, the rest the low 48 bits of the time (CLOCK_MONOTONIC, ns).
 */
enum entry_layout {
	ENTRY_DEPTH_SHIFT = 5,
	ENTRY_TIME_SHIFT = 16,
};

enum entry_kind {
	ENTRY_HOP = 0, /* a function, b caller: low words of addresses */
	ENTRY_HOP_NEW_STACK = 1,
	ENTRY_PLACE = 2, /* a ifindex, b netns; the CPU in place of the time; a name follows */
	ENTRY_SIZE = 3, /* a skb->len, b skb->mark */
	ENTRY_RETURN = 4, /* the call of the last hop so deep took b ns */
};

struct entry {
	u32 a;
	u32 b;
	u64 tagged;
};

/* The name of the interface takes the whole entry after a place. */
_Static_assert(sizeof(struct entry) == NAME_SIZE, "a name is one entry");

struct record {
	u64 id;
	u64 parent_id; /* the journey this packet was made from, 0 for none */
	u64 root_id; /* the first of its ancestors, or id */
	u64 start_ns; /* CLOCK_MONOTONIC */
	u64 last_ns; /* time of the last hop */
	u64 drop_location;
	u64 cgroup; /* id of the process' cgroup v2, 0 when no process is known */
	u32 drop_reason;
	u32 pid; /* 0 when no process is known */
	u32 parent_hop; /* index of the parent's hop in which it was made */
	u32 maker; /* what called the function that made it: low word of an address */
	u32 random; /* of the family: the sampling goes by it */
	u16 flags;
	u16 part;
	u16 entries_used;
	u16 frame_used;
	u8 outcome; /* enum outcome; in the last part */
	u8 drop_protocol; /* as in struct drop_key */
	u16 drop_ether_type;
	u64 absorber; /* the journey of the packet that this one was last merged into, 0 for none */
	char command[NAME_SIZE];
	u8 frame[RECORD_FRAME];
	struct entry entries[RECORD_ENTRIES];
};
#define RECORD_HEADER __builtin_offsetof(struct record, entries)
_Static_assert(RECORD_HEADER == 216, "pkg/tracer/internal/probe mirrors this");

/* Room for an entry: make_room() has seen to it. */
static __always_inline struct entry *take_entry(struct record *r)
{
	u32 at = r->entries_used++;

	barrier_var(at); /* or the compiler drops the mask that the verifier wants to see */
	return &r->entries[at & (RECORD_ENTRIES - 1)];
}

static __always_inline void put_entry(struct record *r, u32 a, u32 b, u64 tagged)
{
	struct entry *e = take_entry(r);

	e->a = a;
	e->b = b;
	e->tagged = tagged;
}

#endif
