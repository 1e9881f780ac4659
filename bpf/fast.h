/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The way that most hops take into their journey: enter() of hop.h cut down to a packet
 * that is in a call which lives, has not waited, and whose memory may be read directly.
 * Nothing is called here, so that everything stays in registers.
 */
#ifndef SKBPATH_FAST_H
#define SKBPATH_FAST_H

#include "hop.h"

/* The calls from `depth` on, of those that are open, are over. */
static __always_inline void count_calls(struct journey *j, u32 open, u32 depth, u64 now, u32 cpu)
{
	while (open > depth && has_call_above(&open)) {
		open -= CALL_SIZE;
		count_call(call_at(j, open), now, cpu);
	}
}

/* The depth of a call in the innermost around it; 0 also where enter() has to look. */
static __always_inline u32 fast_depth(struct journey *j, u32 depth, u64 stack_pointer)
{
	for (; has_call_above(&depth); depth -= CALL_SIZE) {
		const struct call *call = call_at(j, depth - CALL_SIZE);

		if (is_around(call, stack_pointer))
			return load_low_word(call->stack_pointer) == call->caller ? depth : 0;
	}
	return 0;
}

/* False: nothing has been done, enter() has to. */
static __always_inline bool enter_fast(struct journey *j, u64 function, u64 stack_pointer, u64 now,
				       u32 cpu)
{
	u32 open = depth_in(j->open), depth = fast_depth(j, open, stack_pointer), caller;
	struct call *call;
	u64 row;

	if (!depth || depth >= DEEPEST || j->parked > depth)
		return false;
	count_calls(j, open, depth, now, cpu);
	caller = load_low_word(stack_pointer);
	row = row_of(function);
	if (is_special(row))
		note_special(j, depth, row);
	call = call_at(j, depth);
	call->stack_pointer = stack_pointer;
	call->caller_while_open = caller;
	call->start_ns = now;
	call->function.word = row;
	j->open = depth + CALL_SIZE;
	record_hop(j, function, caller, now, depth, ENTRY_HOP);
	return true;
}

/* What every function of a followed packet runs, where registers are at hand. */
static __noinline int append_at_function(struct pt_regs *ctx, struct journey *j, u64 skb)
{
	u64 now, function;
	u32 cpu;

	if (!skb || !arrive(j, skb)) /* null, as free ways have it */
		return 0;
	now = bpf_ktime_get_ns();
	function = bpf_get_func_ip(ctx);
	cpu = bpf_get_smp_processor_id();
	return enter_fast(j, function, ctx->sp, now, cpu) ? 0 : enter(j, function, ctx->sp, now);
}

#endif
