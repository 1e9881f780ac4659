/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Every program of skbpath, in the order in which a packet meets them: hops at
 * functions, hops at tracepoints, drops, ends, and the expiry of journeys that
 * never end.
 *
 * A program is attached to many functions; its name says which argument holds
 * the skb. User space loads the same code for kprobe-multi and for kprobe.
 */
#include "drop.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* Keeps these enums in BTF, from which the Go constants are made. */
const enum loss *keep_loss __attribute__((unused));
const enum entry_kind *keep_entry_kind __attribute__((unused));
const enum record_flag *keep_record_flag __attribute__((unused));

static __always_inline int at_function(struct pt_regs *ctx, u64 skb, enum start start)
{
	struct visit v = {
		.skb = skb,
		.function = bpf_get_func_ip(ctx),
		.stack_pointer = ctx->sp,
	};

	return visit(&v, start);
}

static __always_inline int at_function_by_reference(struct pt_regs *ctx, u64 reference)
{
	return reference ? at_function(ctx, load_word(reference), MAY_START) : 0;
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

SEC("kprobe.multi/skb5")
int function_skb5(struct pt_regs *ctx)
{
	return at_function(ctx, ctx->r8, MAY_START);
}

SEC("kprobe.multi/skb6")
int function_skb6(struct pt_regs *ctx)
{
	return at_function(ctx, ctx->r9, MAY_START);
}

/* struct sk_buff ** */
SEC("kprobe.multi/ref1")
int function_ref1(struct pt_regs *ctx)
{
	return at_function_by_reference(ctx, ctx->di);
}

SEC("kprobe.multi/ref2")
int function_ref2(struct pt_regs *ctx)
{
	return at_function_by_reference(ctx, ctx->si);
}

SEC("kprobe.multi/ref3")
int function_ref3(struct pt_regs *ctx)
{
	return at_function_by_reference(ctx, ctx->dx);
}

SEC("kprobe.multi/ref4")
int function_ref4(struct pt_regs *ctx)
{
	return at_function_by_reference(ctx, ctx->cx);
}

SEC("kprobe.multi/ref5")
int function_ref5(struct pt_regs *ctx)
{
	return at_function_by_reference(ctx, ctx->r8);
}

/* Functions that may run after a packet's end. */
SEC("kprobe.multi/late1")
int function_late1(struct pt_regs *ctx)
{
	return at_function(ctx, ctx->di, NO_START);
}

/* Functions that make one packet, their first argument, from the second. */
SEC("kprobe.multi/birth")
int function_birth(struct pt_regs *ctx)
{
	struct visit v = {
		.skb = ctx->di,
		.function = bpf_get_func_ip(ctx),
		.stack_pointer = ctx->sp,
	};

	at_function(ctx, ctx->si, MAY_START);
	return visit_birth(&v, ctx->si);
}

static __always_inline int at_end(struct pt_regs *ctx, u64 skb)
{
	at_function(ctx, skb, NO_START);
	return forget(skb);
}

SEC("kprobe.multi/end1")
int function_end1(struct pt_regs *ctx)
{
	return at_end(ctx, ctx->di);
}

SEC("kprobe.multi/end2")
int function_end2(struct pt_regs *ctx)
{
	return at_end(ctx, ctx->si);
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
	struct visit v = { .skb = skb, .function = tracepoint_number() };

	return visit(&v, start);
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
	count_drop(skb, location, reason);
	if (config.drop_ends)
		at_tracepoint(skb, MAY_START);
	mark_drop(skb, location, reason);
	return config.drop_ends ? forget(skb) : 0;
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
	return forget(ctx->args[0]);
}

/*
 * Run by user space for each bucket in use: ends what has not been seen for a
 * time. Arguments: the bucket's index, the time in ns.
 */
SEC("raw_tp/expire")
int expire_bucket(struct bpf_raw_tracepoint_args *ctx)
{
	u32 index = ctx->args[0] & config.bucket_mask;
	struct bucket *bucket = bpf_map_lookup_elem(&buckets, &index);
	u64 timeout_ns = ctx->args[1];
	u64 now = bpf_ktime_get_ns();
	struct journey *j;

	if (!bucket)
		return 0;
	for (int way = 0; way < BUCKET_WAYS; way++) {
		u64 skb = bucket->followed[way];

		j = journey_at(index, way);
		if (skb <= TAKEN || !j || j->record.last_ns + timeout_ns > now)
			continue;
		j->record.flags |= RECORD_EXPIRED;
		end_journey(bucket, way, skb, j);
	}
	return 0;
}
