/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What user space decides before it loads the programs. */
#ifndef SKBPATH_CONFIG_H
#define SKBPATH_CONFIG_H

#include "kernel.h"

/* Which journeys leave the kernel; the bits add up. */
enum keep {
	KEEP_ALL = 1 << 0, /* thinned by the sampling */
	KEEP_DROPPED = 1 << 1,
	KEEP_SLOW = 1 << 2, /* slow_ns or longer */
};

struct tracer_config {
	u64 interface[2]; /* the name's bytes, 0 for any */
	u64 slow_ns;
	u64 parts; /* start of skb_release_data(), where parts of a reassembled packet end */
	u64 last_counts; /* the last offset in function_counts */
	u64 remaker; /* start of skb_segment(), which ends clones that it goes on to fill anew */
	u32 netns; /* inode number, 0 for any */
	u32 mark;
	u32 mark_mask; /* 0 for any mark */
	u32 max_hops;
	u32 capture; /* bytes from the network header on that the filter may look at */
	u32 threshold; /* of the sampling: a journey with a lower random number is not kept */
	u32 rate_limit; /* journeys kept a second, 0 for no limit */
	u32 parts_size;
	u32 remaker_size;
	u32 functions; /* that have counts, for each CPU */
	u8 filtered; /* filter_frame() holds a program */
	u8 direct_loads; /* the kernel has bpf_rdonly_cast (6.2), and see header_offsets() */
	u8 drop_ends; /* no functions attached: a drop is also the end */
	u8 never_settled; /* what the filter looks at may change: ask at every hop */
	u8 keep; /* enum keep */
	u8 masks_interrupts; /* the kernel has bpf_local_irq_save (6.14) */
	u8 sees_returns; /* the programs run when functions return, too (session.h) */
	u8 fast_path; /* most hops can take it (fast.h) */
};
_Static_assert(sizeof(struct tracer_config) == 96, "pkg/tracer/internal/probe mirrors this");

const volatile struct tracer_config config = {};

/* Set once everything is attached, so that no journey starts in the middle. */
volatile u32 enabled = 0;

/* Set while somebody takes journeys: without, they are only counted. */
volatile u32 recording = 1;

#endif
