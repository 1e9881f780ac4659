/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What user space says of each function that is attached. */
#ifndef SKBPATH_FUNCTION_H
#define SKBPATH_FUNCTION_H

#include "kernel.h"

#define FUNCTION_ROWS 8192 /* power of two */
#define DISPLACEMENTS 2048 /* power of two */

struct function_row {
	u32 address; /* low word; a tracepoint's number */
	u16 index; /* of its counts; functions of one name share them */
	u8 outcome; /* of a journey that ends after it, plus 1; 0: it decides nothing */
	u8 queues; /* parks the packet: what follows its return is a wait */
} __attribute__((aligned(8)));

/*
 * Found by a perfect hash that user space makes of the addresses: the upper bits
 * of the product choose a displacement, which moves those below to a row that no
 * other address has.
 */
const volatile struct function_row function_rows[FUNCTION_ROWS] = {};
const volatile u16 displacements[DISPLACEMENTS] = {};
const volatile u32 multiplier = 0;

/* A row in one register: passed on whole, and mostly not looked into. */
union function_word {
	struct function_row row;
	u64 word;
};

static __always_inline u64 row_of(u32 address)
{
	u32 hash = address * multiplier;
	u32 at = (hash >> 8 ^ displacements[hash >> 21]) & (FUNCTION_ROWS - 1);

	return *(const volatile u64 *)&function_rows[at];
}
_Static_assert(DISPLACEMENTS == 1 << (32 - 21), "what is left of the product chooses one");

static __always_inline u32 index_in(u64 row)
{
	return ((union function_word){ .word = row }).row.index;
}

static __always_inline bool is_special(u64 row)
{
	return row >> (8 * __builtin_offsetof(struct function_row, outcome));
}

#endif
