/* SPDX-License-Identifier: GPL-2.0-only */
/* TASK records: probes on exec, exit, fork and rename; ids as a session has them. */
#ifndef _KST_TASKS_H
#define _KST_TASKS_H

#include <linux/types.h>

struct kst_session;
struct task_struct;

/* Both may sleep. After stop (once per successful start) no probe runs. */
int kst_tasks_start(struct kst_session *s);
void kst_tasks_stop(struct kst_session *s);

/* Any context: process and thread id as the session's opener sees them, or 0. */
u32 kst_task_pid(const struct kst_session *s, struct task_struct *task);
u32 kst_task_tid(const struct kst_session *s, struct task_struct *task);

#endif /* _KST_TASKS_H */
