/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Every program of skbpath, in the order in which a packet meets them: hops at
 * functions, hops at tracepoints, drops, ends, and the expiry of journeys that
 * never end.
 *
 * A program is attached to many functions; its name says which argument holds
 * the skb, or that function_roles does. User space loads the same code for
 * kprobe-multi and for kprobe.
 */
#include "drop.h"
#include "fast.h"
#include "session.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* Keeps these enums in BTF, from which the Go constants are made. */
const enum loss *keep_loss __attribute__((unused));
const enum entry_kind *keep_entry_kind __attribute__((unused));
const enum entry_layout *keep_entry_layout __attribute__((unused));
const enum record_flag *keep_record_flag __attribute__((unused));
const enum keep *keep_keep __attribute__((unused));
const enum life *keep_life __attribute__((unused));
const enum function_flag *keep_function_flag __attribute__((unused));
const enum bucket_layout *keep_bucket_layout __attribute__((unused));
const enum outcome *keep_outcome __attribute__((unused));
const struct record *keep_record __attribute__((unused));

/* What most packets meet at most functions, so nothing else comes before it. */
static __always_inline bool is_rejected(u64 skb)
{
	return bucket_of(skb)->rejected == skb;
}

/*
 * By trampolines and at tracepoints a program can be preempted, or interrupted by one
 * of its own kind: what it has of its CPU would not be its own. Those at kprobes are
 * not preempted, and interrupts on top of them are hidden in any case.
 */
static __always_inline void mask_interrupts(unsigned long *flags)
{
	if (config.masks_interrupts)
		bpf_local_irq_save(flags);
}

static __always_inline void unmask_interrupts(unsigned long *flags)
{
	if (config.masks_interrupts)
		bpf_local_irq_restore(flags);
}

static __always_inline int visit_masked(u64 skb, u64 function, u64 stack_pointer, enum start start)
{
	unsigned long flags;

	mask_interrupts(&flags);
	visit(skb, function, stack_pointer, start);
	unmask_interrupts(&flags);
	return 0;
}

static __always_inline int visit_birth_masked(u64 skb, u64 old, u64 function, u64 stack_pointer)
{
	unsigned long flags;

	mask_interrupts(&flags);
	visit_birth(skb, old, function, stack_pointer);
	unmask_interrupts(&flags);
	return 0;
}

static __always_inline int end_followed_masked(u64 skb)
{
	unsigned long flags;

	mask_interrupts(&flags);
	end_followed(skb);
	unmask_interrupts(&flags);
	return 0;
}

static __always_inline int end_life(u64 skb)
{
	return forget(skb) ? end_followed_masked(skb) : 0;
}

/* The rest of at_function(), apart because it saves registers. */
static __noinline int seek_at_function(struct pt_regs *ctx, u64 skb)
{
	if (way_in(bucket_of(skb), skb) != NO_WAY)
		return visit(skb, bpf_get_func_ip(ctx), ctx->sp, MAY_START);
	return is_headless(skb) ? 0 : decide(skb, bpf_get_func_ip(ctx), ctx->sp);
}

static __always_inline int at_function(struct pt_regs *ctx, u64 skb, enum start start)
{
	u32 bucket = bucket_index(skb);
	const volatile struct bucket *b = &buckets[bucket];

	if (b->rejected == skb)
		return 0;
	if (b->followed[0] == skb)
		return config.fast_path ? append_at_function(ctx, journeys[bucket], skb)
					: append_slowly(ctx, journeys[bucket], skb);
	if (start == MAY_START)
		return seek_at_function(ctx, skb);
	return way_in(b, skb) == NO_WAY ? 0 : visit(skb, bpf_get_func_ip(ctx), ctx->sp, start);
}

SEC("kprobe.multi/skb1")
int function_skb1(struct pt_regs *ctx)
{
	return at_function(ctx, ctx->di, MAY_START);
}

SEC("kprobe.multi/skb2")
int function_skb2(struct pt_regs *ctx)
{
	return at_function(ctx, ctx->si, MAY_START);
}

SEC("kprobe.multi/skb3")
int function_skb3(struct pt_regs *ctx)
{
	return at_function(ctx, ctx->dx, MAY_START);
}

SEC("kprobe.multi/skb4")
int function_skb4(struct pt_regs *ctx)
{
	return at_function(ctx, ctx->cx, MAY_START);
}

/* struct sk_buff ** */
SEC("kprobe.multi/ref1")
int function_ref1(struct pt_regs *ctx)
{
	return at_function(ctx, load_word(ctx->di), MAY_START);
}

/* Functions that may run after a packet's end. */
SEC("kprobe.multi/late1")
int function_late1(struct pt_regs *ctx)
{
	return at_function(ctx, ctx->di, NO_START);
}

/* The barriers keep the compiler from choosing an address in place of a value. */
static __always_inline u64 argument_of(struct pt_regs *ctx, u32 number)
{
	u64 value = 0;

	switch (number) {
	case 1:
		value = ctx->di;
		barrier_var(value);
		break;
	case 2:
		value = ctx->si;
		barrier_var(value);
		break;
	case 3:
		value = ctx->dx;
		barrier_var(value);
		break;
	case 4:
		value = ctx->cx;
		barrier_var(value);
		break;
	case 5:
		value = ctx->r8;
		barrier_var(value);
		break;
	case 6:
		value = ctx->r9;
		barrier_var(value);
		break;
	}
	return value;
}

static __always_inline enum start start_of(struct function_role role)
{
	return role.life == LIFE_LATE || role.life == LIFE_ENDS ? NO_START : MAY_START;
}

static __always_inline bool has_two_visitors(struct function_role role)
{
	return role.other && (role.life == LIFE_LIVES || role.life == LIFE_LATE);
}

/* What the role says beyond the visit, of what makes no packet. */
static __always_inline int play(struct function_role role, u64 skb, u64 other)
{
	switch (role.life) {
	case LIFE_ENDS:
		return end_life(skb);
	case LIFE_MERGES:
		return visit_merge(skb, other);
	case LIFE_SPLITS:
		return split_kept(skb, other);
	}
	return 0;
}

/* All functions that have no program for their kind: packets pass few of them. */
SEC("kprobe.multi/other")
int function_other(struct pt_regs *ctx)
{
	struct function_role role = role_of(bpf_get_func_ip(ctx));
	u64 skb = argument_of(ctx, role.packet), other = argument_of(ctx, role.other);

	if (role.by_reference)
		skb = load_word(skb);
	at_function(ctx, skb, start_of(role));
	if (has_two_visitors(role))
		return at_function(ctx, other, start_of(role));
	if (role.life == LIFE_MAKES)
		return visit_birth_masked(other, skb, bpf_get_func_ip(ctx), ctx->sp);
	return play(role, skb, other);
}

/*
 * The same by trampolines: an entry costs less than half of a kprobe's. They see the
 * arguments as an array, and no registers. One program serves many functions since
 * 7.2; before, user space loads one copy for each function.
 */
static __always_inline u64 traced_argument(u64 *ctx, u32 number)
{
	u64 value = 0;

	bpf_get_func_arg(ctx, number - 1, &value);
	return value;
}

/*
 * Where the return address of the traced function lies. The trampoline pushes the
 * frame pointer and, if it calls the function itself, has room for its result, then
 * come the arguments; it has been called from the function's first bytes or, if it
 * calls the function itself, may have been jumped to (arch_prepare_bpf_trampoline).
 */
#define CALL_SITE 16

static __always_inline u64 return_address_at(u64 *ctx, u64 function)
{
	u64 *above = ctx + (bpf_get_func_arg_cnt(ctx) & 15); /* at most 12 */

	if (load_word((u64)&above[1]) - function < CALL_SITE)
		return (u64)&above[2];
	if (load_word((u64)&above[2]) - function < CALL_SITE)
		return (u64)&above[3];
	return (u64)&above[2];
}

static __always_inline void append_at_traced_masked(u64 *ctx, struct journey *j, u64 skb)
{
	u64 function, stack_pointer, depth, now;
	struct call *call;
	u32 open;

	if (!arrive(j, skb))
		return;
	function = bpf_get_func_ip(ctx);
	stack_pointer = as_number(j, return_address_at(ctx, function));
	depth = config.fast_path ? fast_depth(0, j) : NO_DEPTH;
	if (depth == NO_DEPTH) {
		enter(j, function, stack_pointer, bpf_ktime_get_ns());
		return;
	}
	open = j->open;
	call = open_call(j, depth, stack_pointer);
	now = bpf_ktime_get_ns();
	enter_fast(j, call, open, function, now, is_recorded(j));
}

static __noinline int append_at_traced(u64 *ctx, struct journey *j, u64 skb)
{
	unsigned long flags;

	if (!skb) /* as free ways have it */
		return 0;
	mask_interrupts(&flags);
	append_at_traced_masked(ctx, j, skb);
	unmask_interrupts(&flags);
	return 0;
}

/* The rest of at_traced() and at_lone(), apart because it saves registers. Was it a visit? */
static __noinline bool seek_at_traced(u64 *ctx, u64 skb, enum start start)
{
	u64 function;

	if (way_in(bucket_of(skb), skb) == NO_WAY && !may_begin(skb, start))
		return false;
	function = bpf_get_func_ip(ctx);
	visit_masked(skb, function, return_address_at(ctx, function), start);
	return true;
}

/* A function that has a trampoline to itself: see plan.go. */
static __always_inline int at_lone(u64 *ctx, u64 skb, enum start start)
{
	u32 bucket = bucket_index(skb);
	const volatile struct bucket *b = &buckets[bucket];

	if (b->rejected == skb)
		return 0;
	if (b->followed[0] == skb)
		return append_at_traced(ctx, journeys[bucket], skb);
	seek_at_traced(ctx, skb, start);
	return 0;
}

/* A function that shares its program with others, which may see its return, too. */
static __always_inline int at_traced(u64 *ctx, u64 skb, enum start start)
{
	u32 bucket = bucket_index(skb);
	const volatile struct bucket *b = &buckets[bucket];

	if (b->rejected == skb)
		return 0;
	if (b->followed[0] == skb) {
		append_at_traced(ctx, journeys[bucket], skb);
		if (config.sees_returns)
			*bpf_session_cookie(ctx) = token_of(bucket, 0, journeys[bucket]);
		return 0;
	}
	if (seek_at_traced(ctx, skb, start) && config.sees_returns)
		*bpf_session_cookie(ctx) = token_of_packet(skb);
	return 0;
}

static __always_inline bool is_return(u64 *ctx)
{
	return config.sees_returns && bpf_session_is_return(ctx);
}

static __always_inline int at_return(u64 *ctx)
{
	u64 token = *bpf_session_cookie(ctx);

	return token ? note_return(token) : 0;
}

static __always_inline int at_traced_argument(u64 *ctx, u32 number, enum start start)
{
	if (is_return(ctx))
		return at_return(ctx);
	return at_traced(ctx, traced_argument(ctx, number), start);
}

SEC("fentry/skb1")
int traced_skb1(u64 *ctx)
{
	return at_traced_argument(ctx, 1, MAY_START);
}

SEC("fentry/skb2")
int traced_skb2(u64 *ctx)
{
	return at_traced_argument(ctx, 2, MAY_START);
}

SEC("fentry/skb3")
int traced_skb3(u64 *ctx)
{
	return at_traced_argument(ctx, 3, MAY_START);
}

SEC("fentry/skb4")
int traced_skb4(u64 *ctx)
{
	return at_traced_argument(ctx, 4, MAY_START);
}

SEC("fentry/ref1")
int traced_ref1(u64 *ctx)
{
	if (is_return(ctx))
		return at_return(ctx);
	return at_traced(ctx, load_word(traced_argument(ctx, 1)), MAY_START);
}

SEC("fentry/late1")
int traced_late1(u64 *ctx)
{
	return at_traced_argument(ctx, 1, NO_START);
}

static __always_inline int at_traced_other(u64 *ctx)
{
	u64 function = bpf_get_func_ip(ctx);
	struct function_role role = role_of(function);
	u64 skb = traced_argument(ctx, role.packet), other = traced_argument(ctx, role.other);

	if (role.by_reference)
		skb = load_word(skb);
	at_traced(ctx, skb, start_of(role));
	if (has_two_visitors(role))
		return at_traced(ctx, other, start_of(role));
	if (role.life == LIFE_MAKES)
		return visit_birth_masked(other, skb, function, return_address_at(ctx, function));
	return play(role, skb, other);
}

SEC("fentry/other")
int traced_other(u64 *ctx)
{
	return is_return(ctx) ? at_return(ctx) : at_traced_other(ctx);
}

SEC("fentry/lone_skb3")
int lone_skb3(u64 *ctx)
{
	return at_lone(ctx, traced_argument(ctx, 3), MAY_START);
}

SEC("fentry/lone_birth")
int lone_birth(u64 *ctx)
{
	u64 skb = traced_argument(ctx, 1), old = traced_argument(ctx, 2);
	u64 function = bpf_get_func_ip(ctx);

	at_lone(ctx, old, MAY_START);
	return visit_birth_masked(skb, old, function, return_address_at(ctx, function));
}

static __always_inline int at_lone_end(u64 *ctx, u64 skb)
{
	if (!forget(skb))
		return 0;
	at_lone(ctx, skb, NO_START);
	return end_followed_masked(skb);
}

SEC("fentry/lone_end1")
int lone_end1(u64 *ctx)
{
	return at_lone_end(ctx, traced_argument(ctx, 1));
}

SEC("fentry/lone_end2")
int lone_end2(u64 *ctx)
{
	return at_lone_end(ctx, traced_argument(ctx, 2));
}

/* Functions that return a packet just allocated. */
SEC("fexit/allocated")
int return_allocated(u64 *ctx)
{
	u64 skb = 0;

	bpf_get_func_ret(ctx, &skb);
	return begin_life(skb);
}

/*
 * Functions that try to put their third argument into the second, and leave it to
 * itself if they return false. Of a bool the upper bits are anything.
 */
SEC("fexit/refused")
int return_refused(u64 *ctx)
{
	u64 merged = 0;

	bpf_get_func_ret(ctx, &merged);
	return (u8)merged ? 0 : stay_alone(traced_argument(ctx, 3));
}

/*
 * User space loads one copy of these a tracepoint, with its number in place of
 * the constant: raw tracepoints have no other way to tell which one they are.
 */
static __always_inline u64 tracepoint_number(void)
{
	u64 number;

	asm volatile("%0 = 0x5ebacafe" : "=r"(number));
	return number;
}

static __always_inline int at_tracepoint(u64 skb, enum start start)
{
	return is_rejected(skb) ? 0 : visit_masked(skb, tracepoint_number(), 0, start);
}

SEC("raw_tp/skb1")
int tracepoint_skb1(struct bpf_raw_tracepoint_args *ctx)
{
	return at_tracepoint(ctx->args[0], MAY_START);
}

SEC("raw_tp/skb2")
int tracepoint_skb2(struct bpf_raw_tracepoint_args *ctx)
{
	return at_tracepoint(ctx->args[1], MAY_START);
}

SEC("raw_tp/skb3")
int tracepoint_skb3(struct bpf_raw_tracepoint_args *ctx)
{
	return at_tracepoint(ctx->args[2], MAY_START);
}

SEC("raw_tp/skb4")
int tracepoint_skb4(struct bpf_raw_tracepoint_args *ctx)
{
	return at_tracepoint(ctx->args[3], MAY_START);
}

SEC("raw_tp/skb5")
int tracepoint_skb5(struct bpf_raw_tracepoint_args *ctx)
{
	return at_tracepoint(ctx->args[4], MAY_START);
}

static __always_inline int on_drop(u64 skb, u64 location, u32 reason)
{
	struct drop_key key = { .location = location, .reason = reason_of(skb, reason) };

	describe_drop(&key, skb);
	count_drop(&key, skb);
	if (config.drop_ends)
		at_tracepoint(skb, MAY_START);
	mark_drop(&key, skb);
	return config.drop_ends ? end_life(skb) : 0;
}

/* Since 5.17 (c504e5c2f964) the tracepoint gives a reason. */
SEC("raw_tp/kfree_skb")
int tracepoint_kfree_skb(struct bpf_raw_tracepoint_args *ctx)
{
	return on_drop(ctx->args[0], ctx->args[1], ctx->args[2]);
}

SEC("raw_tp/kfree_skb")
int tracepoint_kfree_skb_no_reason(struct bpf_raw_tracepoint_args *ctx)
{
	return on_drop(ctx->args[0], ctx->args[1], 0);
}

SEC("raw_tp/consume_skb")
int tracepoint_consume_skb(struct bpf_raw_tracepoint_args *ctx)
{
	at_tracepoint(ctx->args[0], NO_START);
	return end_life(ctx->args[0]);
}

/*
 * Run by user space for each bucket in use: ends what has not been seen for a
 * time. Arguments: the bucket's index, the time in ns.
 */
SEC("raw_tp/expire")
int expire_bucket(struct bpf_raw_tracepoint_args *ctx)
{
	u32 index = ctx->args[0] & (BUCKETS - 1);
	u64 timeout_ns = ctx->args[1];
	u64 now = bpf_ktime_get_ns();
	struct journey *j;

	for (int way = 0; way < BUCKET_WAYS; way++) {
		u64 skb = buckets[index].followed[way];

		j = journey_at(index, way);
		if (skb <= TAKEN || j->record.last_ns + timeout_ns > now)
			continue;
		j->record.flags |= RECORD_EXPIRED;
		end_journey(index, way, skb, j);
	}
	return 0;
}
