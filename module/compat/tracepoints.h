/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * trace/events/sched.h: sched_process_exit got a second argument, group_dead,
 * in 6.16; sched_switch got a fourth, prev_state, in 5.18. The tracepoints
 * themselves are not exported: they are found by name at run time, and their
 * types are checked against the headers at build time. trace/events/irq.h does
 * not include what it needs of linux/interrupt.h.
 */
#ifndef _KST_COMPAT_TRACEPOINTS_H
#define _KST_COMPAT_TRACEPOINTS_H

#include <linux/interrupt.h>
#include <linux/tracepoint.h>
#include <linux/version.h>

#include <trace/events/irq.h>
#include <trace/events/sched.h>
#include <trace/events/task.h>

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 16, 0)
#define KST_PROTO_EXIT struct task_struct *task, bool group_dead
#else
#define KST_PROTO_EXIT struct task_struct *task
#endif

#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 18, 0)
#define KST_PROTO_SWITCH bool preempt, struct task_struct *prev, \
	struct task_struct *next, unsigned int prev_state
#else
#define KST_PROTO_SWITCH bool preempt, struct task_struct *prev, \
	struct task_struct *next
#endif

#endif /* _KST_COMPAT_TRACEPOINTS_H */
