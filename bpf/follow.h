/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A journey from its first hop to the record that tells of it. */
#ifndef SKBPATH_FOLLOW_H
#define SKBPATH_FOLLOW_H

#include "identity.h"
#include "match.h"

#define NO_WAY (-1)
#define TAKEN 1 /* no skb: the way's journey is being begun or ended */

/* A visit of a packet to a function. stack_pointer is 0 where none is known. */
struct visit {
	u64 skb;
	u64 function;
	u64 stack_pointer;
};

static __always_inline u32 bucket_of(u64 skb)
{
	return (skb * 0x9e3779b97f4a7c15ULL >> 40) & config.bucket_mask;
}

static __always_inline int way_of(const struct bucket *bucket, u64 skb)
{
#pragma unroll
	for (int way = 0; way < BUCKET_WAYS; way++)
		if (bucket->followed[way] == skb)
			return way;
	return NO_WAY;
}

static __always_inline struct journey *journey_at(u32 bucket, int way)
{
	u32 index = bucket * BUCKET_WAYS + way;

	return bpf_map_lookup_elem(&journeys, &index);
}

/*
 * Send what the record holds. NO_WAKEUP: user space polls, a wake-up here
 * would cost an interrupt a packet.
 */
static __noinline int send_record(struct journey *j)
{
	struct record *r = &j->record;
	u32 used = r->entries_used;

	if (used > RECORD_ENTRIES)
		used = RECORD_ENTRIES;
	if (bpf_ringbuf_output(&records, r, RECORD_HEADER + used * sizeof(struct entry),
			       BPF_RB_NO_WAKEUP))
		count_loss(LOST_RING_FULL);
	r->part++;
	r->entries_used = 0;
	return 0;
}

static __always_inline void put_entry(struct record *r, u32 a, u32 b, u64 tagged)
{
	u32 at = r->entries_used;

	if (at >= RECORD_ENTRIES)
		return;
	r->entries[at].a = a;
	r->entries[at].b = b;
	r->entries[at].tagged = tagged;
	r->entries_used = at + 1;
}

static __always_inline void note_place(struct journey *j, u64 skb, u64 dev, u32 cpu)
{
	struct record *r = &j->record;
	u32 ifindex = dev ? LOAD(dev, struct net_device, ifindex) : 0;
	u32 at;

	j->skb_dev = dev;
	j->cpu = cpu;
	put_entry(r, ifindex, skb_netns(skb, dev), (u64)cpu << 16 | ENTRY_PLACE);
	put_entry(r, 0, 0, 0);
	at = r->entries_used - 1;
	if (at < RECORD_ENTRIES)
		device_name(dev, &r->entries[at]);
}

static __always_inline void note_changes(struct journey *j, u64 skb, u32 cpu)
{
	u64 dev = (u64)LOAD(skb, struct sk_buff, dev);
	u32 length = LOAD(skb, struct sk_buff, len);
	u32 mark = LOAD(skb, struct sk_buff, mark);

	if (dev != j->skb_dev || cpu != j->cpu)
		note_place(j, skb, dev, cpu);
	if (length != j->length || mark != j->mark) {
		j->length = length;
		j->mark = mark;
		put_entry(&j->record, length, mark, ENTRY_SIZE);
	}
}

/*
 * Does this hop run on another stack than the one before? A stack belongs to a
 * task or, in interrupts, to a CPU that runs over one.
 */
static __always_inline bool changed_stack(struct journey *j, u64 stack_pointer, u32 cpu)
{
	u64 task = bpf_get_current_task();
	u64 distance = stack_pointer - j->stack_pointer + STACK_SIZE;
	bool changed = task != j->task || distance >= 2 * STACK_SIZE;

	if (!stack_pointer)
		changed = changed || cpu != j->cpu;
	j->task = task;
	j->stack_pointer = stack_pointer;
	return changed;
}

/* How many of the open calls the stack pointer has not passed on its way up. */
static __always_inline u32 calls_below(struct journey *j, u64 stack_pointer)
{
	u32 open = j->open;

	for (int i = 0; i < CALLS; i++) {
		if (!open || j->calls[(open - 1) & (CALLS - 1)].stack_pointer > stack_pointer)
			break;
		open--;
	}
	return open;
}

/*
 * A call that has returned may lie above the stack pointer all the same, when
 * its caller went on to call something deeper. That next call put another
 * return address in its place. Returned calls below a returned one go with it,
 * so that looking at the innermost few finds nearly all.
 */
#define CALLS_CHECKED 4

static __always_inline u32 calls_alive(struct journey *j, u32 open)
{
	u32 alive = open;

	for (u32 i = 1; i <= CALLS_CHECKED && i <= open; i++) {
		struct call *call = &j->calls[(open - i) & (CALLS - 1)];
		if (load_word(call->stack_pointer) != call->caller)
			alive = open - i;
	}
	return alive;
}

/* Enter a call; returns how many enclose it. */
static __always_inline u32 nest(struct journey *j, u64 stack_pointer, u64 caller)
{
	u32 depth = calls_alive(j, calls_below(j, stack_pointer));
	u32 at = depth;
	struct call *call;

	j->open = depth;
	if (depth >= CALLS)
		return depth;
	barrier_var(at); /* keeps the mask: the verifier of 6.1 sees no bound without */
	call = &j->calls[at & (CALLS - 1)];
	call->stack_pointer = stack_pointer;
	call->caller = caller;
	j->open = depth + 1;
	return depth;
}

/* What no hop can have: the next one notes place and size afresh. */
static __always_inline void forget_place(struct journey *j)
{
	j->skb_dev = ~0ULL;
	j->length = ~0U;
}

/* At most: a place and its name, a size, the hop. */
#define ENTRIES_OF_HOP 4

static __noinline int append_hop(struct journey *j, struct visit *v)
{
	struct record *r = &j->record;
	u32 cpu = bpf_get_smp_processor_id();
	u64 now = j->hops ? bpf_ktime_get_ns() : r->start_ns;
	u32 kind = ENTRY_HOP, depth = 0;
	u64 caller = 0;

	if (j->hops >= config.max_hops) {
		r->flags |= RECORD_CUT;
		r->last_ns = now;
		count_loss(LOST_HOP_LIMIT);
		return 0;
	}
	if (r->entries_used > RECORD_ENTRIES - ENTRIES_OF_HOP) {
		r->flags |= RECORD_MORE;
		send_record(j);
		r->flags &= ~RECORD_MORE;
		forget_place(j);
	}
	if (changed_stack(j, v->stack_pointer, cpu)) {
		kind = ENTRY_HOP_NEW_STACK;
		j->open = 0;
	}
	note_changes(j, v->skb, cpu);
	if (v->stack_pointer) {
		caller = load_word(v->stack_pointer);
		depth = nest(j, v->stack_pointer, caller);
	}
	put_entry(r, v->function, caller, (now - r->start_ns) << 16 | depth << 4 | kind);
	r->last_ns = now;
	j->hops++;
	return 0;
}

/* Journey ids: the CPU in the upper bits, a count in the lower 40. */
static __always_inline u64 next_id(void)
{
	u32 zero = 0;
	u64 *last = bpf_map_lookup_elem(&last_ids, &zero);

	if (!last)
		return 0;
	return ((u64)bpf_get_smp_processor_id() << 40) | ++*last;
}

/*
 * The running task is the packet's process only if the hop runs on the task's
 * own stack; an interrupt that lands on it has its own.
 */
static __always_inline void note_process(struct record *r, u64 stack_pointer)
{
	u64 task = bpf_get_current_task();
	u64 stack = (u64)LOAD(task, struct task_struct, stack);

	r->pid = 0;
	__builtin_memset(r->command, 0, NAME_SIZE);
	if (stack_pointer - stack >= STACK_SIZE)
		return;
	r->pid = bpf_get_current_pid_tgid() >> 32;
	if (r->pid)
		bpf_get_current_comm(r->command, NAME_SIZE);
}

static __always_inline void begin_journey(struct journey *j, const struct visit *v)
{
	struct record *r = &j->record;

	r->id = next_id();
	r->parent_id = 0;
	r->root_id = r->id;
	r->start_ns = bpf_ktime_get_ns();
	r->last_ns = r->start_ns;
	r->drop_location = 0;
	r->drop_reason = 0;
	r->parent_hop = 0;
	r->maker = 0;
	r->flags = v->stack_pointer ? 0 : RECORD_NO_DEPTH;
	r->part = 0;
	r->entries_used = 0;
	note_process(r, v->stack_pointer);
	forget_place(j);
	j->stack_pointer = v->stack_pointer;
	j->task = bpf_get_current_task();
	j->mark = 0;
	j->cpu = bpf_get_smp_processor_id();
	j->hops = 0;
	j->open = 0;
	if (config.drop_ends)
		note_identity(j, v->skb);
}

static __always_inline void note_frame(struct record *r, const struct frame *frame, u32 start,
				       u32 used)
{
	r->frame_used = used < RECORD_FRAME ? used : RECORD_FRAME;
	if (start) /* 4 when untagged, see build_frame() */
		__builtin_memcpy(r->frame, &frame->bytes[4], RECORD_FRAME);
	else
		__builtin_memcpy(r->frame, &frame->bytes[0], RECORD_FRAME);
}

/* Take a free way of the bucket; NO_WAY when there is none. */
static __always_inline int take_way(struct bucket *bucket)
{
#pragma unroll
	for (int way = 0; way < BUCKET_WAYS; way++)
		if (!bucket->followed[way] &&
		    __sync_val_compare_and_swap(&bucket->followed[way], 0, TAKEN) == 0)
			return way;
	count_loss(LOST_TABLE_FULL);
	return NO_WAY;
}

/* Begin a journey in a free way of the bucket; null when there is none. */
static __always_inline struct journey *take_journey(struct bucket *bucket, const struct visit *v,
						    int *way)
{
	struct journey *j;

	*way = take_way(bucket);
	if (*way < 0 || *way >= BUCKET_WAYS)
		return 0;
	j = journey_at(bucket_of(v->skb), *way);
	if (j)
		begin_journey(j, v);
	return j;
}

/* The first hop, after which others may see the journey. */
static __always_inline void publish(struct bucket *bucket, int way, struct journey *j,
				    struct visit *v)
{
	append_hop(j, v);
	if (way >= 0 && way < BUCKET_WAYS)
		bucket->followed[way] = v->skb;
}

/* Settle a packet that no journey and no rejection knows. */
static __noinline int decide(struct bucket *bucket, struct visit *v)
{
	u32 cpu = bpf_get_smp_processor_id(), start = 0, used = 0;
	struct frame *frame = bpf_map_lookup_elem(&frames, &cpu);
	enum verdict verdict;
	struct journey *j;
	int way;

	if (!frame)
		return 0;
	if (__sync_lock_test_and_set(&frame->busy, 1)) {
		count_loss(LOST_BUSY);
		return 0;
	}
	verdict = match(v->skb, frame, &start, &used);
	if (verdict == MATCHED) {
		j = take_journey(bucket, v, &way);
		if (j) {
			note_frame(&j->record, frame, start, used);
			publish(bucket, way, j, v);
		} else {
			verdict = REJECTED; /* no room now is no room for good */
		}
	}
	if (verdict == REJECTED)
		bucket->rejected = v->skb;
	frame->busy = 0;
	return 0;
}

/*
 * Send the last record and free the way. Whoever swaps the address out, the
 * end or the expiry, sends; hops after that find nothing.
 */
static __always_inline void end_journey(struct bucket *bucket, int way, u64 skb, struct journey *j)
{
	if (way < 0 || way >= BUCKET_WAYS)
		return;
	if (__sync_val_compare_and_swap(&bucket->followed[way], skb, TAKEN) != skb)
		return;
	send_record(j);
	bucket->followed[way] = 0;
}

/* The packet of a journey is gone, and how it ended was not seen. */
static __always_inline void end_unseen(struct bucket *bucket, int way, u64 skb, struct journey *j)
{
	count_loss(LOST_END);
	j->record.flags |= RECORD_EXPIRED;
	end_journey(bucket, way, skb, j);
}

enum start { MAY_START, NO_START };

/* A packet is at a function. */
static __always_inline int visit(struct visit *v, enum start start)
{
	u32 index = bucket_of(v->skb);
	struct bucket *bucket;
	struct journey *j;
	int way;

	if (!enabled || !v->skb)
		return 0;
	bucket = bpf_map_lookup_elem(&buckets, &index);
	if (!bucket || bucket->rejected == v->skb)
		return 0;
	way = way_of(bucket, v->skb);
	j = way == NO_WAY ? 0 : journey_at(index, way);
	if (j && config.drop_ends && !same_packet(j, v->skb)) {
		end_unseen(bucket, way, v->skb, j);
		j = 0;
	}
	if (j)
		return append_hop(j, v);
	return start == MAY_START ? decide(bucket, v) : 0;
}

/* A packet's life is over: whatever is known of its address no longer holds. */
static __always_inline int forget(u64 skb)
{
	u32 index = bucket_of(skb);
	struct bucket *bucket;
	struct journey *j;
	int way;

	if (!enabled || !skb)
		return 0;
	bucket = bpf_map_lookup_elem(&buckets, &index);
	if (!bucket)
		return 0;
	if (bucket->rejected == skb)
		bucket->rejected = 0;
	way = way_of(bucket, skb);
	if (way == NO_WAY)
		return 0;
	j = journey_at(index, way);
	if (j)
		end_journey(bucket, way, skb, j);
	return 0;
}

/*
 * `v->skb` is being made from `old`, in a function that both visit. The child of
 * a followed packet is followed, whatever its own headers are going to say; the
 * child of a rejected one is rejected.
 */
static __noinline int derive(struct visit *v, u64 old)
{
	u32 index = bucket_of(v->skb), old_index = bucket_of(old);
	struct bucket *bucket, *old_bucket;
	struct journey *parent, *child;
	int way;

	bucket = bpf_map_lookup_elem(&buckets, &index);
	old_bucket = bpf_map_lookup_elem(&buckets, &old_index);
	if (!bucket || !old_bucket)
		return 0;
	way = way_of(old_bucket, old);
	if (way == NO_WAY) {
		if (old_bucket->rejected == old)
			bucket->rejected = v->skb;
		return 0;
	}
	parent = journey_at(old_index, way);
	if (!parent)
		return 0;
	child = take_journey(bucket, v, &way);
	if (!child) {
		bucket->rejected = v->skb;
		return 0;
	}
	child->record.parent_id = parent->record.id;
	child->record.root_id = parent->record.root_id;
	child->record.parent_hop = parent->hops ? parent->hops - 1 : 0;
	child->record.maker = v->stack_pointer ? load_word(v->stack_pointer) : 0;
	child->record.frame_used = parent->record.frame_used;
	__builtin_memcpy(child->record.frame, parent->record.frame, RECORD_FRAME);
	publish(bucket, way, child, v);
	return 0;
}

/*
 * A packet is made. Whatever was known of its address must have ended unseen:
 * such an end is counted, the journey that it belongs to expires at once.
 */
static __always_inline int visit_birth(struct visit *v, u64 old)
{
	u32 index = bucket_of(v->skb);
	struct bucket *bucket;
	struct journey *stale;
	int way;

	if (!enabled || !v->skb || !old || v->skb == old)
		return 0;
	bucket = bpf_map_lookup_elem(&buckets, &index);
	if (!bucket)
		return 0;
	if (bucket->rejected == v->skb)
		bucket->rejected = 0;
	way = way_of(bucket, v->skb);
	stale = way == NO_WAY ? 0 : journey_at(index, way);
	if (stale)
		end_unseen(bucket, way, v->skb, stale);
	return derive(v, old);
}

#endif
