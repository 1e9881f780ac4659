/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The way that most hops take into their journey: enter() of hop.h cut down to a packet
 * that is in a call which lives, has not waited, and whose memory may be read directly.
 * Nothing but helpers is called here, so that most stays in registers.
 */
#ifndef SKBPATH_FAST_H
#define SKBPATH_FAST_H

#include "hop.h"

/*
 * How deep a call is in the innermost around it; 0 also where enter() has to look: in no
 * call or too deep, after a wait, in a call that has returned.
 */
static __always_inline u64 fast_depth(struct journey *j, u64 stack_pointer)
{
	u64 depth = depth_in(j->open);
	const struct call *call;

	for (;;) {
		if (depth < CALL_SIZE)
			return 0;
		barrier_var(depth); /* or the compiler counts by addresses */
		call = (void *)j->calls + depth - CALL_SIZE; /* needs no mask */
		if (is_around(call, stack_pointer))
			break;
		depth -= CALL_SIZE;
	}
	if (depth >= DEEPEST || j->parked > depth)
		return 0;
	return load_low_word(call->stack_pointer) == call->caller ? depth : 0;
}

/* Open a call at this depth, still without its function and time; returns what was open. */
static __always_inline u32 open_call(struct journey *j, u64 depth, u64 stack_pointer)
{
	struct call *call = (void *)j->calls + depth;
	u32 open = j->open;

	call->stack_pointer = stack_pointer;
	call->caller_while_open = load_low_word(stack_pointer);
	j->open = depth + CALL_SIZE;
	return open;
}

/* The calls from `depth` on, of those that were open, are over. */
static __always_inline void count_calls(struct journey *j, u32 open, u32 depth, u64 now)
{
	open = depth_in(open);
	while (open > depth && has_call_above(&open)) {
		open -= CALL_SIZE;
		count_call(j, call_at(j, open), now);
	}
}

/*
 * The call just opened is of this function. Its depth is read back for the verifier, which
 * would follow each from here on.
 */
static __always_inline void enter_fast(struct journey *j, u32 open, u64 function, u64 now)
{
	u32 depth = *(volatile u32 *)&j->open - CALL_SIZE;
	u64 row = row_of(function);
	struct call *call;

	count_calls(j, open, depth, now);
	if (is_special(row))
		note_special(j, depth, true, row);
	call = call_at(j, depth);
	call->start_ns = now;
	call->function.word = row;
	record_hop(j, function, call->caller, now, depth, ENTRY_HOP);
}

/* What every function of a followed packet runs, where registers are at hand. */
static __noinline int append_at_function(struct pt_regs *ctx, struct journey *j, u64 skb)
{
	u64 depth, function;
	u32 open;

	if (!skb || !arrive_by(j, skb, true)) /* null, as free ways have it */
		return 0;
	depth = fast_depth(j, ctx->sp);
	if (!depth)
		return enter(j, bpf_get_func_ip(ctx), ctx->sp, bpf_ktime_get_ns());
	open = open_call(j, depth, ctx->sp);
	function = bpf_get_func_ip(ctx);
	enter_fast(j, open, function, bpf_ktime_get_ns());
	return 0;
}

#endif
