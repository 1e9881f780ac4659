/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A hop goes into its journey: the path that every function of a followed packet takes. */
#ifndef SKBPATH_HOP_H
#define SKBPATH_HOP_H

#include "count.h"
#include "function.h"
#include "skb.h"

/* A visit of a packet to a function. stack_pointer is 0 where none is known. */
struct visit {
	u64 skb;
	u64 function;
	u64 stack_pointer;
};

/*
 * Send what the record holds. NO_WAKEUP: user space polls, a wake-up here
 * would cost an interrupt a packet. A journey is lost with its last record only:
 * without another it still arrives, and says that a part is missing.
 */
static __noinline int send_record(struct journey *j)
{
	struct record *r = &j->record;
	u32 used = r->entries_used;

	if (used > RECORD_ENTRIES)
		used = RECORD_ENTRIES;
	if (bpf_ringbuf_output(&records, r, RECORD_HEADER + used * sizeof(struct entry),
			       BPF_RB_NO_WAKEUP))
		count_loss(r->flags & RECORD_MORE ? LOST_PART : LOST_RING_FULL);
	r->part++;
	r->entries_used = 0;
	return 0;
}

/* At most: a place and its name, a size, the hop; and one of each call that returned. */
#define ENTRIES_OF_HOP 4U
#define ENTRIES_OF_HOP_AND_RETURNS (ENTRIES_OF_HOP + CALLS)

static __noinline int note_place(struct journey *j, u64 skb, u64 dev)
{
	u32 cpu = bpf_get_smp_processor_id();
	struct entry *name;

	j->skb_dev = dev;
	j->cpu = cpu;
	put_entry(&j->record, dev ? LOAD(dev, struct net_device, ifindex) : 0, skb_netns(skb, dev),
		  (u64)cpu << ENTRY_TIME_SHIFT | ENTRY_PLACE);
	name = take_entry(&j->record);
	__builtin_memset(name, 0, sizeof(*name));
	device_name(dev, name);
	return 0;
}

static __noinline int note_size(struct journey *j, u32 length, u32 mark)
{
	j->length = length;
	j->mark = mark;
	put_entry(&j->record, length, mark, ENTRY_SIZE);
	return 0;
}

static __always_inline void note_changes(struct journey *j, u64 skb, bool direct)
{
	struct sk_buff *s = skb_at(skb, direct);
	u32 length = MEMBER(s, len, direct), mark = MEMBER(s, mark, direct);
	u64 dev = (u64)MEMBER(s, dev, direct);

	if (length != j->length || mark != j->mark)
		note_size(j, length, mark);
	if (dev != j->skb_dev)
		note_place(j, skb, dev);
}

#define NO_DEVICE (~0ULL) /* what no packet has: the next hop notes its place afresh */

static __always_inline void note_cpu(struct journey *j)
{
	if (bpf_get_smp_processor_id() != j->cpu)
		j->skb_dev = NO_DEVICE;
}

/* The next hop notes place and size afresh. */
static __always_inline void forget_place(struct journey *j)
{
	j->skb_dev = NO_DEVICE;
	j->length = ~0U;
}

/*
 * The depth of a call, by the stack pointer at which its return address lies.
 * A call is over when the stack pointer has passed it on its way up, when it was seen
 * to return, or when something called later put another return address in its place. The calls
 * around one that lives live too, so the innermost that does ends the search.
 * Another stack is farther away than any call can be from one around it: it ends all.
 */
static __always_inline bool is_around(const struct call *call, u64 stack_pointer)
{
	return stack_pointer - call->stack_pointer >= -(u64)(STACK_SIZE / 2);
}

static __always_inline bool lives(const struct call *call)
{
	return (u32)load_word(call->stack_pointer) == call->caller_while_open;
}

/* Not static, as functions in count.h: verified once. */
__noinline u32 depth_of(struct journey *j, u64 stack_pointer)
{
	u64 depth;

	if (!j)
		return 0;
	depth = j->open & DEPTH_MASK;
	while (has_call(&depth)) {
		const struct call *call = innermost(j, depth);

		if (is_around(call, stack_pointer) && lives(call))
			break;
		depth -= CALL_SIZE;
	}
	return depth;
}

/*
 * With no call around it, does a hop run on another stack than the last one
 * that had none? A stack belongs to a task or, in interrupts, to a CPU that runs
 * over one.
 */
static __noinline u32 changed_stack(struct journey *j, u64 stack_pointer)
{
	u64 task = bpf_get_current_task();
	u64 distance = stack_pointer - j->calls[0].stack_pointer + STACK_SIZE;
	u32 changed = task != j->task || distance >= 2 * STACK_SIZE;

	if (!stack_pointer) {
		u32 cpu = bpf_get_smp_processor_id();

		changed |= cpu != j->stack_cpu;
		j->stack_cpu = cpu;
	}
	j->task = task;
	choose_counts(j);
	j->calls[0].stack_pointer = stack_pointer;
	return changed;
}

/* What a row says that few do. A call too deep to be kept parks nothing. */
static __always_inline void note_special(struct journey *j, u32 depth, bool kept, u64 word)
{
	const union function_word function = { .word = word };

	if (function.row.outcome)
		j->outcome = function.row.outcome;
	if (queues(function) && kept)
		j->parked = depth + CALL_SIZE;
}

static __always_inline void enter_call(struct journey *j, u32 depth, struct call *call)
{
	if (depth >= DEEPEST) {
		j->open = DEEPEST;
		count_deep_call(j, call);
		return;
	}
	j->open = depth + CALL_SIZE;
}

/*
 * Where trampolines run, a stack pointer is a pointer to the verifier, which
 * allows no arithmetic with it. What comes out of a map is a number.
 */
static __always_inline u64 as_number(struct journey *j, u64 stack_pointer)
{
	volatile u64 *at = &j->stack_pointer;

	*at = stack_pointer;
	return *at;
}

static __always_inline void send_part(struct journey *j)
{
	struct record *r = &j->record;

	r->flags |= RECORD_MORE;
	send_record(j);
	r->flags &= ~RECORD_MORE;
	forget_place(j);
}

/* A hop beyond max_hops. */
static __always_inline void cut(struct journey *j)
{
	j->record.flags |= RECORD_CUT;
	j->record.last_ns = bpf_ktime_get_ns();
	count_loss(LOST_HOP_LIMIT);
}

/*
 * Room for as many hops as there is place for at the least, so that the others need not
 * ask; what is there is sent first if the next may find none. False: there is to be no
 * further hop.
 */
static __always_inline bool make_room_by(struct journey *j, u32 entries_of_hop)
{
	u32 room;

	if (!j->hops_left) {
		cut(j);
		return false;
	}
	if (j->record.entries_used > RECORD_ENTRIES - entries_of_hop)
		send_part(j);
	room = (RECORD_ENTRIES - j->record.entries_used) / entries_of_hop;
	if (room > j->hops_left)
		room = j->hops_left;
	j->hops_left -= room;
	j->room = room;
	return true;
}

static __noinline bool make_room(struct journey *j)
{
	return config.sees_returns ? make_room_by(j, ENTRIES_OF_HOP_AND_RETURNS)
				   : make_room_by(j, ENTRIES_OF_HOP);
}

/*
 * What has changed about the packet since its last hop, if hops are recorded. False: this
 * one is one too many.
 */
static __always_inline bool arrive_by(struct journey *j, u64 skb, bool direct)
{
	if (!is_recorded(j))
		return true;
	if (j->room <= 0 && !make_room(j))
		return false;
	j->room--;
	note_cpu(j);
	note_changes(j, skb, direct);
	return true;
}

static __always_inline bool arrive(struct journey *j, u64 skb)
{
	return config.direct_loads ? arrive_by(j, skb, true) : arrive_by(j, skb, false);
}

static __always_inline void record_hop(struct journey *j, u32 function, u32 caller, u64 now,
				       u32 depth, enum entry_kind kind)
{
	struct record *r = &j->record;

	if (is_recorded(j))
		put_entry(r, function, caller, now << ENTRY_TIME_SHIFT | depth | kind);
	r->last_ns = now;
}

/*
 * A function that may have parked the packet has not: it ended in a jump to the next,
 * which has its return address.
 */
static __always_inline bool jumped(struct journey *j, u32 depth, const struct call *call,
				   u64 caller)
{
	if (j->parked != depth + CALL_SIZE || !caller || call->caller_while_open != (u32)caller)
		return false;
	j->parked = parked_below(j, depth);
	return true;
}

/* The packet has left its calls from `depth` on, where `call` is, on the stack that it is on. */
static __always_inline void leave_calls(struct journey *j, u32 depth, const struct call *call,
					u64 caller, u64 now, u64 row)
{
	u32 open = j->open;

	if (open <= depth)
		return;
	if (j->parked > depth && !jumped(j, depth, call, caller))
		leave_wait(j, depth, now, index_in(row));
	else
		close_calls(j, depth, now);
}

/* The packet is at a function, in one of the calls that it was in or in none. */
static __always_inline void enter_here(struct journey *j, u64 function, u64 stack_pointer, u64 now)
{
	enum entry_kind kind = ENTRY_HOP;
	u64 row = row_of(function);
	struct call *call;
	u32 depth = 0;
	u64 caller = 0;

	if (stack_pointer) {
		depth = depth_of(j, stack_pointer);
		caller = load_word(stack_pointer);
	}
	call = call_at(j, depth);
	if (!depth && changed_stack(j, stack_pointer)) {
		kind = ENTRY_HOP_NEW_STACK;
		if (j->open)
			leave_wait(j, 0, now, index_in(row));
	} else {
		leave_calls(j, depth, call, caller, now, row);
	}
	if (is_special(row))
		note_special(j, depth, depth < DEEPEST, row);
	call->stack_pointer = stack_pointer;
	call->caller_while_open = (u32)caller;
	call->start_ns = now;
	call->function.word = row;
	enter_call(j, depth, call);
	record_hop(j, function, caller, now, depth, kind);
}

/*
 * Not static, as functions in count.h: verified once, and not for every way of a bucket
 * that a journey may be in.
 */
__noinline int enter(struct journey *j, u64 function, u64 stack_pointer, u64 now)
{
	if (j)
		enter_here(j, function, stack_pointer, now);
	return 0;
}

/* Not static either; and not by enter(), since calls may not be nested as deep as that. */
__noinline int append(struct journey *j, u64 skb, u64 function, u64 stack_pointer, u64 now)
{
	if (j && arrive(j, skb))
		enter_here(j, function, stack_pointer, now);
	return 0;
}

#endif
