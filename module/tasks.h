/* SPDX-License-Identifier: GPL-2.0-only */
/* TASK records: probes on the scheduler's exec, exit and rename tracepoints. */
#ifndef _KST_TASKS_H
#define _KST_TASKS_H

struct kst_session;

/* Module load: find the tracepoints. -ENOENT: this kernel lacks one. */
int kst_tasks_init(void);

/* Both may sleep. After stop (safe when never started) no probe runs. */
int kst_tasks_start(struct kst_session *s);
void kst_tasks_stop(struct kst_session *s);

#endif /* _KST_TASKS_H */
