/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What travels to user space: the only layout that both halves know. */
#ifndef SKBPATH_RECORD_H
#define SKBPATH_RECORD_H

#include "kernel.h"

#define RECORD_ENTRIES 64
#define RECORD_FRAME 112

enum record_flag {
	RECORD_MORE = 1 << 0, /* another part follows */
	RECORD_DROPPED = 1 << 1, /* drop_reason and drop_location are valid */
	RECORD_EXPIRED = 1 << 2, /* no end was seen in time */
	RECORD_CUT = 1 << 3, /* hops beyond max_hops are missing */
	RECORD_NO_DEPTH = 1 << 4, /* no stack pointer at this source */
};

/*
 * An entry is 16 bytes. The low four bits of `tagged` are its kind, the next
 * twelve the number of enclosing calls, the rest nanoseconds since the start of
 * the journey.
 */
enum entry_kind {
	ENTRY_HOP = 0, /* a function, b caller: low words of addresses */
	ENTRY_HOP_NEW_STACK = 1,
	ENTRY_PLACE = 2, /* a ifindex, b netns; nanoseconds hold the CPU; a name follows */
	ENTRY_SIZE = 3, /* a skb->len, b skb->mark */
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
	u32 drop_reason;
	u32 pid; /* 0 when no process is known */
	u32 parent_hop; /* index of the parent's hop in which it was made */
	u32 maker; /* what called the function that made it: low word of an address */
	u16 flags;
	u16 part;
	u16 entries_used;
	u16 frame_used;
	char command[NAME_SIZE];
	u8 frame[RECORD_FRAME];
	struct entry entries[RECORD_ENTRIES];
};
#define RECORD_HEADER __builtin_offsetof(struct record, entries)
_Static_assert(RECORD_HEADER == 200, "pkg/tracer/internal/probe mirrors this");

#endif
