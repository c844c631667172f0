/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * trace/events/sched.h: sched_process_exit got a second argument, group_dead,
 * in 6.16. The tracepoints themselves are not exported: they are found by name
 * at run time, and their types are checked against the headers at build time.
 */
#ifndef _KST_COMPAT_TRACEPOINTS_H
#define _KST_COMPAT_TRACEPOINTS_H

#include <linux/tracepoint.h>
#include <linux/version.h>

#include <trace/events/sched.h>
#include <trace/events/task.h>

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 16, 0)
#define KST_PROTO_EXIT struct task_struct *task, bool group_dead
#else
#define KST_PROTO_EXIT struct task_struct *task
#endif

#endif /* _KST_COMPAT_TRACEPOINTS_H */
