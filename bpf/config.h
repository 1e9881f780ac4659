/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What user space decides before it loads the programs. */
#ifndef SKBPATH_CONFIG_H
#define SKBPATH_CONFIG_H

#include "kernel.h"

struct tracer_config {
	u64 interface[2]; /* the name's bytes, 0 for any */
	u32 netns; /* inode number, 0 for any */
	u32 mark;
	u32 mark_mask; /* 0 for any mark */
	u32 max_hops;
	u32 bucket_mask; /* number of buckets - 1 */
	u8 filtered; /* filter_frame() holds a program */
	u8 direct_loads; /* the kernel has bpf_rdonly_cast (6.2) */
	u8 drop_ends; /* no functions attached: a drop is also the end */
	u8 never_settled; /* what the filter looks at may change: ask at every hop */
};
_Static_assert(sizeof(struct tracer_config) == 40, "pkg/tracer/internal/probe mirrors this");

const volatile struct tracer_config config = {};

/* Set once everything is attached, so that no journey starts in the middle. */
volatile u32 enabled = 0;

#endif
