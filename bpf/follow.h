/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A packet from its first hop to its end: is it followed, and if not, should it be? */
#ifndef SKBPATH_FOLLOW_H
#define SKBPATH_FOLLOW_H

#include "bucket.h"
#include "end.h"
#include "hop.h"
#include "identity.h"
#include "match.h"
#include "retransmission.h"

/* Journey ids: the CPU in the upper bits, a count in the lower 40. */
static __always_inline u64 next_id(void)
{
	u32 zero = 0;
	u64 *last = bpf_map_lookup_elem(&last_ids, &zero);

	if (!last)
		return 0;
	/* An interrupt may begin a journey in the middle of this. */
	return ((u64)bpf_get_smp_processor_id() << 40) | (__sync_fetch_and_add(last, 1) + 1);
}

#define PF_KTHREAD 0x00200000 /* include/linux/sched.h; has no registers of user mode */

/*
 * Has an interrupt taken the task out of user mode? It runs on the task's own stack
 * (call_on_irqstack_cond), and so do the softirqs after it. In place of a system
 * call's number it leaves -1 (idtentry_body, arch/x86/entry/entry_64.S).
 */
static __always_inline bool interrupts_user(u64 task)
{
	struct pt_regs *user = (void *)bpf_task_pt_regs(bpf_get_current_task_btf());
	long call = 0;

	if (LOAD(task, struct task_struct, flags) & PF_KTHREAD)
		return false;
	bpf_probe_read_kernel(&call, sizeof(call), &user->orig_ax);
	return call == -1;
}

/*
 * The running task is the packet's process only if the hop runs on the task's
 * own stack, which an interrupt mostly has not, and in a system call.
 */
static __always_inline void note_process(struct record *r, u64 stack_pointer)
{
	u64 task = bpf_get_current_task();
	u64 stack = (u64)LOAD(task, struct task_struct, stack);

	r->pid = 0;
	r->cgroup = 0;
	__builtin_memset(r->command, 0, NAME_SIZE);
	if (stack_pointer - stack >= STACK_SIZE || interrupts_user(task))
		return;
	r->pid = bpf_get_current_pid_tgid() >> 32;
	if (!r->pid)
		return;
	r->cgroup = bpf_get_current_cgroup_id();
	bpf_get_current_comm(r->command, NAME_SIZE);
}

static __always_inline void begin_journey(struct journey *j, const struct visit *v)
{
	u64 stack_pointer = as_number(j, v->stack_pointer);
	struct record *r = &j->record;

	r->id = next_id();
	r->parent_id = 0;
	r->root_id = r->id;
	r->start_ns = bpf_ktime_get_ns();
	r->last_ns = r->start_ns;
	r->drop_location = 0;
	r->drop_reason = 0;
	r->absorber = 0;
	r->parent_hop = 0;
	r->maker = 0;
	r->random = bpf_get_prandom_u32();
	r->flags = stack_pointer ? 0 : RECORD_NO_DEPTH;
	r->part = 0;
	r->entries_used = 0;
	set_recorded(j, recording);
	if (is_recorded(j))
		note_process(r, stack_pointer);
	forget_place(j);
	j->task = bpf_get_current_task();
	j->mark = 0;
	j->cpu = bpf_get_smp_processor_id();
	j->stack_cpu = j->cpu;
	choose_counts(j);
	j->hops_left = config.max_hops;
	j->open = 0;
	j->parked = 0;
	j->outcome = OUTCOME_CONSUMED + 1;
	j->calls[0].stack_pointer = stack_pointer;
	if (config.drop_ends)
		note_identity(j, v->skb);
}

/* Begin a journey in a free way of the packet's bucket; null when there is none. */
static __always_inline struct journey *take_journey(const struct visit *v, int *way)
{
	u32 index = bucket_index(v->skb);
	struct journey *j;

	*way = take_way(index);
	j = journey_at(index, *way);
	if (j)
		begin_journey(j, v);
	return j;
}

/* The first hop is at the very time of the start. */
static __always_inline void append_first(struct journey *j, const struct visit *v)
{
	append(j, v->skb, v->function, as_number(j, v->stack_pointer), j->record.start_ns);
}

/* After this others may see the journey. */
static __always_inline void publish(volatile struct bucket *bucket, int way, u64 skb)
{
	if (way >= 0 && way < BUCKET_WAYS)
		bucket->followed[way] = skb;
}

/* Follow a packet that matches. No room now is no room for good. */
static __always_inline enum verdict follow(volatile struct bucket *bucket, const struct visit *v,
					   const struct headers *h, const struct frame *frame)
{
	struct journey *j;
	int way;

	if (is_passed(v->skb))
		return REJECTED;
	j = take_journey(v, &way);
	if (!j) {
		pass(v->skb);
		return REJECTED;
	}
	if (is_recorded(j))
		note_frame(&j->record, h, frame);
	note_retransmission(&j->record, v->skb);
	append_first(j, v);
	publish(bucket, way, v->skb);
	return MATCHED;
}

enum start { MAY_START, NO_START };

/* Of a packet that is not followed. */
static __always_inline bool may_begin(u64 skb, enum start start)
{
	return start == MAY_START && !is_headless(skb);
}

/* Settle a packet that may begin, and that no journey and no rejection knows. */
static __noinline int decide(u64 skb, u64 function, u64 stack_pointer)
{
	struct visit v = { .skb = skb, .function = function, .stack_pointer = stack_pointer };
	volatile struct bucket *bucket = bucket_of(skb);
	u32 cpu = bpf_get_smp_processor_id();
	enum verdict verdict;
	struct headers h = {};
	struct frame *frame;

	if (!skb || !enabled || !passes_metadata(skb) || !find_headers(skb, &h))
		return 0;
	frame = bpf_map_lookup_elem(&frames, &cpu);
	if (!frame)
		return 0;
	if (__sync_lock_test_and_set(&frame->busy, 1)) {
		count_loss(LOST_BUSY);
		return 0;
	}
	verdict = match(skb, frame, &h);
	if (verdict == MATCHED)
		verdict = follow(bucket, &v, &h, frame);
	if (verdict == REJECTED)
		bucket->rejected = skb;
	frame->busy = 0;
	return 0;
}

/* A packet that was not rejected is at a function. */
static __noinline int visit(u64 skb, u64 function, u64 stack_pointer, enum start start)
{
	u32 index = bucket_index(skb);
	struct journey *j;

	if (!skb)
		return 0;
	j = journey_at(index, way_in(&buckets[index], skb));
	if (j && config.drop_ends && !same_packet(j, skb)) {
		end_unseen(skb);
		j = 0;
	}
	if (j)
		return append(j, skb, function, as_number(j, stack_pointer), bpf_ktime_get_ns());
	return may_begin(skb, start) ? decide(skb, function, stack_pointer) : 0;
}

/* The index of a journey's last hop. */
static __always_inline u32 last_hop(const struct journey *j)
{
	u32 hops = config.max_hops - j->hops_left - j->room;

	return hops ? hops - 1 : 0;
}

/*
 * `v->skb` is being made from `old`, in a function that both visit. The child of
 * a followed packet is followed, whatever its own headers are going to say; the
 * child of a rejected one is rejected, that of one passed by is passed by.
 */
static __noinline int derive(const struct visit *v, u64 old)
{
	/* In the child's memory may still be what its last owner left. */
	struct visit looks = { .skb = old,
			       .function = v->function,
			       .stack_pointer = v->stack_pointer };
	volatile struct bucket *bucket = bucket_of(v->skb);
	struct journey *parent = journey_of(old), *child;
	int way;

	if (!parent) {
		if (is_passed(old)) {
			pass(v->skb);
		} else if (bucket_of(old)->rejected != old) {
			note_sending(v->skb, old);
			return 0;
		}
		bucket->rejected = v->skb;
		return 0;
	}
	if (!enabled)
		return 0;
	child = take_journey(v, &way);
	if (!child) {
		pass(v->skb);
		bucket->rejected = v->skb;
		return 0;
	}
	child->record.parent_id = parent->record.id;
	child->record.root_id = parent->record.root_id;
	child->record.random = parent->record.random;
	child->record.parent_hop = last_hop(parent);
	child->record.maker = v->stack_pointer ? load_word(v->stack_pointer) : 0;
	if (!is_recorded(parent)) /* whose frame it is */
		set_recorded(child, false);
	if (is_recorded(child)) {
		child->record.frame_used = parent->record.frame_used;
		__builtin_memcpy(child->record.frame, parent->record.frame, RECORD_FRAME);
	}
	append_first(child, &looks);
	publish(bucket, way, v->skb);
	return 0;
}

/*
 * At this address there is a packet that was not there before. Whatever was known
 * of it must have ended unseen: such an end is counted, the journey that it belongs
 * to expires at once.
 */
static __noinline int begin_life(u64 skb)
{
	return forget(skb) ? end_unseen(skb) : 0;
}

/* A packet is made of another. */
static __noinline int visit_birth(u64 skb, u64 old, u64 function, u64 stack_pointer)
{
	struct visit v = { .skb = skb, .function = function, .stack_pointer = stack_pointer };

	if (!skb || !old || skb == old)
		return 0;
	begin_life(skb);
	return derive(&v, old);
}

/* `skb` is merged into `into`, if nothing is in the way; then its end is near. */
static __noinline int visit_merge(u64 skb, u64 into)
{
	struct journey *j = journey_of(skb), *absorber = journey_of(into);

	if (j)
		j->record.absorber = absorber ? absorber->record.id : 0;
	return 0;
}

/* It was not merged: the socket has it all the same. */
static __noinline int stay_alone(u64 skb)
{
	struct journey *j = journey_of(skb);

	if (j)
		j->outcome = OUTCOME_DELIVERED + 1;
	return 0;
}

#endif
