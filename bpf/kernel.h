/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The kernel structures that skbpath reads, cut down to the members it reads.
 * CO-RE finds each member's offset in the running kernel's BTF at load time.
 * Checked on 6.1, 6.12, 6.18 and 7.3.
 */
#ifndef SKBPATH_KERNEL_H
#define SKBPATH_KERNEL_H

#include <linux/bpf.h>
#include <linux/types.h>
#include <stdbool.h>

typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

#define NAME_SIZE 16 /* IFNAMSIZ and TASK_COMM_LEN */
#define STACK_SIZE 16384 /* THREAD_SIZE and IRQ_STACK_SIZE on x86-64 */

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct ns_common {
	u32 inum;
};

struct net {
	struct ns_common ns;
};

typedef struct {
	struct net *net;
} possible_net_t;

struct net_device {
	char name[NAME_SIZE];
	int ifindex;
	possible_net_t nd_net;
};

struct sock_common {
	possible_net_t skc_net;
};

struct sock {
	struct sock_common __sk_common;
};

struct sk_buff {
	struct net_device *dev;
	struct sock *sk;
	unsigned long _skb_refdst;
	u32 len;
	u32 data_len;
	u32 mark;
	u16 protocol;
	u16 transport_header;
	u16 network_header;
	u16 mac_header;
	u16 vlan_proto;
	u16 vlan_tci;
	u8 fclone : 2;
	char cb[48]; /* struct tcp_skb_cb begins with the sequence number */
	u8 *head;
	u8 *data;
};

/* Up to 6.1 a flag said whether vlan_tci holds a tag (354259fa73e2). */
struct sk_buff___with_vlan_present {
	u8 vlan_present : 1;
};

struct task_struct {
	void *stack;
	unsigned int flags;
};

/* What lies in sk_buff.cb while a queueing discipline has the packet. */
struct tc_skb_cb {
	u32 drop_reason;
};

enum skb_drop_reason {
	SKB_DROP_REASON_QDISC_DROP,
};

enum skb_drop_reason_subsys {
	SKB_DROP_REASON_SUBSYS_QDISC,
};

/* Its only member serves to load one half of a word. */
struct seqcount {
	unsigned int sequence;
};

#pragma clang attribute pop

/* The head of struct pt_regs; its first member serves to load one word. */
struct pt_regs {
	unsigned long r15, r14, r13, r12, bp, bx, r11, r10, r9, r8, ax, cx, dx, si, di;
	unsigned long orig_ax, ip, cs, flags, sp, ss;
};

extern void *bpf_rdonly_cast(const void *obj, u32 btf_id) __ksym __weak;
extern void bpf_local_irq_save(unsigned long *flags) __ksym __weak;
extern bool bpf_session_is_return(void *ctx) __ksym __weak;
extern u64 *bpf_session_cookie(void *ctx) __ksym __weak;
extern void bpf_local_irq_restore(unsigned long *flags) __ksym __weak;

#endif
