/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What user space says of each function that is attached. */
#ifndef SKBPATH_FUNCTION_H
#define SKBPATH_FUNCTION_H

#include "kernel.h"

#define FUNCTION_ROWS 8192 /* power of two */
#define DISPLACEMENTS 2048 /* power of two */

enum function_flag {
	FUNCTION_QUEUES = 1 << 0, /* parks the packet: what follows its return is a wait */
	FUNCTION_SPECIAL = 1 << 7, /* the row says more than the index; its sign */
};

struct function_row {
	u32 index; /* of its counts; functions of one name share them */
	u16 padding;
	u8 outcome; /* of a journey that ends after it, plus 1; 0: it decides nothing */
	u8 flags; /* enum function_flag */
} __attribute__((aligned(8)));

/*
 * Found by a perfect hash that user space makes of the low words of addresses (of a
 * tracepoint, its number): the upper bits of the product choose a displacement, which
 * moves those below to a row that no other address has. Displacements are of bytes.
 */
const volatile struct function_row function_rows[FUNCTION_ROWS] = {};
const volatile u16 displacements[DISPLACEMENTS] = {};
#define ROW_MASK ((FUNCTION_ROWS - 1) * (u32)sizeof(struct function_row))

/* A row in one register: passed on whole, and mostly not looked into. */
union function_word {
	struct function_row row;
	u64 word;
};

/* User space puts its multiplier in place of the constant. */
static __always_inline u32 row_offset(u32 address)
{
	u32 offset;

	asm volatile("%0 *= 0x5eba1e55" : "+w"(address));
	offset = address >> 5 ^ displacements[address >> 21];
	barrier_var(offset); /* or the compiler masks first, which 6.1 does not follow */
	return offset & ROW_MASK;
}

static __always_inline u64 row_of(u32 address)
{
	return *(const volatile u64 *)((const volatile void *)function_rows + row_offset(address));
}
_Static_assert(sizeof(struct function_row) == 8, "one load");
_Static_assert(DISPLACEMENTS == 1 << (32 - 21), "what is left of the product chooses one");

static __always_inline u32 index_in(u64 row)
{
	return ((union function_word){ .word = row }).row.index;
}

static __always_inline bool is_special(u64 row)
{
	return (__s64)row < 0;
}

static __always_inline bool queues(union function_word function)
{
	return function.row.flags & FUNCTION_QUEUES;
}

/* What a function means for the life of the packets that visit it. */
enum life {
	LIFE_LIVES,
	LIFE_LATE, /* continues journeys, and starts none */
	LIFE_ENDS,
	LIFE_MAKES, /* the other packet, of this one */
	LIFE_MERGES, /* into the other packet */
	LIFE_SPLITS, /* puts its tail into the other packet */
};

/* Of functions that have no program for their kind alone, in the places of their rows. */
struct function_role {
	u8 life; /* enum life */
	u8 packet; /* the number of the argument that visits, 1 to 6 */
	u8 by_reference; /* and it is a struct sk_buff ** */
	u8 other; /* the number of another packet, which may visit too; 0 for none */
};
const volatile struct function_role function_roles[FUNCTION_ROWS] = {};

static __always_inline struct function_role role_of(u32 address)
{
	union {
		struct function_role role;
		u32 word;
	} found = { .word = *(const volatile u32 *)&function_roles[row_offset(address) /
								   sizeof(struct function_row)] };

	return found.role;
}
_Static_assert(sizeof(struct function_role) == 4, "one load");

#endif
