/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The way that most hops take into their journey: append() of hop.h cut down to a packet
 * that is on the stack that it was on and has not waited, and whose memory may be read
 * directly. Little but helpers is called here, so that most stays in registers.
 */
#ifndef SKBPATH_FAST_H
#define SKBPATH_FAST_H

#include "hop.h"

static __always_inline bool still_lives(const struct call *call)
{
	u32 caller = call->caller;

	return load_low_word(call->stack_pointer) == caller;
}

/* In no call, is it on the stack that it was on? As changed_stack(), which notes it too. */
static __always_inline bool is_on_stack(const struct journey *j, u64 stack_pointer)
{
	return stack_pointer - j->calls[0].stack_pointer + STACK_SIZE < 2 * STACK_SIZE &&
	       bpf_get_current_task() == j->task;
}

/*
 * The stack pointer is where it can be read at each use, and takes no register in between:
 * in the registers that a kprobe's program has as its context, else in the journey.
 */
static __always_inline u64 stack_pointer_in(const struct pt_regs *regs, const struct journey *j)
{
	return __builtin_constant_p(!regs) && !regs ? j->stack_pointer : regs->sp;
}

#define NO_DEPTH (~0ULL)

/* How deep the packet is in its calls. NO_DEPTH: enter() has to look. */
static __always_inline u64 fast_depth(const struct pt_regs *regs, struct journey *j)
{
	u64 depth = j->open & DEPTH_MASK;

	while (has_call(&depth)) {
		const struct call *call = innermost(j, depth);

		if (is_around(call, stack_pointer_in(regs, j)) && still_lives(call))
			break;
		depth -= CALL_SIZE;
	}
	if (depth >= DEEPEST || depth < j->parked)
		return NO_DEPTH;
	if (depth < CALL_SIZE && !is_on_stack(j, stack_pointer_in(regs, j)))
		return NO_DEPTH;
	return depth;
}

/* Of the call just opened. Read back for the verifier, which would follow each from here on. */
static __always_inline u32 depth_of_last(struct journey *j)
{
	return *(volatile u32 *)&j->open - CALL_SIZE;
}

/* Open a call at this depth, still without its function and time. */
static __always_inline struct call *open_call(struct journey *j, u64 depth, u64 stack_pointer)
{
	struct call *call;

	j->open = depth + CALL_SIZE;
	call = call_at(j, depth_of_last(j));
	call->stack_pointer = stack_pointer;
	call->caller_while_open = load_low_word(stack_pointer);
	return call;
}

/*
 * The call just opened is of this function. Of the calls that were open before, those as
 * deep as it or deeper are over.
 */
static __always_inline void enter_fast(struct journey *j, struct call *call, u32 open, u64 function,
				       u64 now, bool recorded)
{
	u64 row;

	end_calls(j, call, open - depth_of_last(j), now, false);
	row = row_of(function);
	if (is_special(row))
		note_special(j, depth_of_last(j), true, row);
	call->start_ns = now;
	call->function.word = row;
	if (recorded)
		put_entry(&j->record, function, call->caller,
			  now << ENTRY_TIME_SHIFT | depth_of_last(j));
	j->record.last_ns = now;
}
_Static_assert(ENTRY_HOP == 0, "no kind to add");

static __noinline int append_slowly(struct pt_regs *ctx, struct journey *j, u64 skb)
{
	return skb ? append(j, skb, bpf_get_func_ip(ctx), ctx->sp, bpf_ktime_get_ns()) : 0;
}

static __always_inline int append_by(struct pt_regs *ctx, struct journey *j, u64 skb, bool recorded)
{
	struct call *call;
	u64 depth, now;
	u32 open;

	if (recorded) {
		j->room--;
		note_cpu(j);
		note_changes(j, skb, true);
	}
	depth = fast_depth(ctx, j);
	if (depth == NO_DEPTH)
		return enter(j, bpf_get_func_ip(ctx), ctx->sp, bpf_ktime_get_ns());
	open = j->open;
	call = open_call(j, depth, ctx->sp);
	now = bpf_ktime_get_ns();
	enter_fast(j, call, open, bpf_get_func_ip(ctx), now, recorded);
	return 0;
}

/* What every function of a followed packet runs, where registers are at hand. */
static __noinline int append_at_function(struct pt_regs *ctx, struct journey *j, u64 skb)
{
	__s32 room = j->room;

	if (room <= 0) {
		if (room == COUNTED_ONLY)
			return append_by(ctx, j, skb, false);
		if (!skb || !make_room(j)) /* free ways have no room, and no packet */
			return 0;
	}
	return append_by(ctx, j, skb, true);
}

#endif
