/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * linux/sched.h: a thread that runs only kernel code is PF_KTHREAD or one of
 * io_uring's, PF_IO_WORKER (5.12); 6.4 added PF_USER_WORKER, which io_uring's
 * have as well. Having an mm proves nothing: kthread_use_mm() borrows one.
 */
#ifndef _KST_COMPAT_TASK_H
#define _KST_COMPAT_TASK_H

#include <linux/sched.h>

#ifdef PF_USER_WORKER
#define KST_PF_KERNEL (PF_KTHREAD | PF_IO_WORKER | PF_USER_WORKER)
#else
#define KST_PF_KERNEL (PF_KTHREAD | PF_IO_WORKER)
#endif

/* A task of the kernel's own, or one with user code to come back to? */
static inline bool kst_task_is_kernel(const struct task_struct *task)
{
	return task->flags & KST_PF_KERNEL;
}

static inline bool kst_task_is_user(const struct task_struct *task)
{
	return task->mm && !kst_task_is_kernel(task);
}

#endif /* _KST_COMPAT_TASK_H */
