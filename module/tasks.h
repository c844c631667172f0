/* SPDX-License-Identifier: GPL-2.0-only */
/* TASK records: probes on exec, exit, fork and rename; ids as a session has them. */
#ifndef _KST_TASKS_H
#define _KST_TASKS_H

#include <linux/types.h>

#include "compat/tracepoints.h"

struct kst_session;

/* Any context: process and thread id as the session's opener sees them, or 0. */
u32 kst_task_pid(const struct kst_session *s, struct task_struct *task);
u32 kst_task_tid(const struct kst_session *s, struct task_struct *task);

/* For probes.c. */
void kst_tasks_probe_exec(void *data, struct task_struct *task, pid_t old_pid,
			  struct linux_binprm *bprm);
void kst_tasks_probe_exit(void *data, KST_PROTO_EXIT);
void kst_tasks_probe_fork(void *data, struct task_struct *parent,
			  struct task_struct *child);
void kst_tasks_probe_rename(void *data, struct task_struct *task,
			    const char *comm);

#endif /* _KST_TASKS_H */
