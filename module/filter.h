/* SPDX-License-Identifier: GPL-2.0-only */
/* Whom a session samples: processes and cgroups. */
#ifndef _KST_FILTER_H
#define _KST_FILTER_H

#include <linux/rcupdate.h>
#include <linux/types.h>

#include <kstrata.h>

struct kst_filters {
	struct rcu_head rcu;
	u32 nr;
	struct kstrata_filter filter[];
};

/*
 * A checked copy of nr filters, for kfree_rcu(); NULL for none. May sleep.
 * -E2BIG, -EINVAL, -ENOMEM as KSTRATA_IOC_CONFIGURE has them.
 */
struct kst_filters *kst_filters_new(const struct kstrata_filter *from, u32 nr);

/*
 * Hardirq, interrupts off: does any fit current, whose process id is pid? f may
 * be NULL: then everything does.
 */
bool kst_filters_fit(const struct kst_filters *f, u32 pid);

/* Any context: the id of a task's cgroup in the default hierarchy, or 0. */
u64 kst_cgroup_of(struct task_struct *task);

#endif /* _KST_FILTER_H */
