// SPDX-License-Identifier: GPL-2.0-only
#include "filter.h"

#include <linux/cgroup.h>
#include <linux/err.h>
#include <linux/overflow.h>
#include <linux/sched.h>
#include <linux/slab.h>

/*
 * How far up the hierarchy is looked. A bound for the handler: nobody nests as
 * deep, and who does is matched by the nearest ones.
 */
#define LEVELS_MAX	64

struct kst_filters *kst_filters_new(const struct kstrata_filter *from, u32 nr)
{
	struct kst_filters *f;
	u32 i;

	if (!nr)
		return NULL;
	if (nr > KSTRATA_FILTERS_MAX)
		return ERR_PTR(-E2BIG);
	for (i = 0; i < nr; i++) {
		const struct kstrata_filter *x = &from[i];

		if (x->reserved[0] || x->reserved[1] || x->reserved[2] || !x->id)
			return ERR_PTR(-EINVAL);
		switch (x->kind) {
		case KSTRATA_FILTER_PID:
			if (x->id > U32_MAX)
				return ERR_PTR(-EINVAL);
			break;
		case KSTRATA_FILTER_CGROUP:
			break;
		default:
			return ERR_PTR(-EINVAL);
		}
	}
	f = kmalloc(struct_size(f, filter, nr), GFP_KERNEL_ACCOUNT);
	if (!f)
		return ERR_PTR(-ENOMEM);
	f->nr = nr;
	memcpy(f->filter, from, nr * sizeof(*from));
	return f;
}

static bool any(const struct kst_filters *f, u16 kind, u64 id)
{
	u32 i;

	for (i = 0; i < f->nr; i++)
		if (f->filter[i].kind == kind && f->filter[i].id == id)
			return true;
	return false;
}

static bool any_cgroup(const struct kst_filters *f)
{
	bool fits = false;

#ifdef CONFIG_CGROUPS
	struct cgroup *cgrp;
	int level;

	rcu_read_lock();
	cgrp = task_dfl_cgroup(current);
	for (level = 0; cgrp && level < LEVELS_MAX && !fits; level++) {
		fits = any(f, KSTRATA_FILTER_CGROUP, cgroup_id(cgrp));
		cgrp = cgroup_parent(cgrp);
	}
	rcu_read_unlock();
#endif
	return fits;
}

bool kst_filters_fit(const struct kst_filters *f, u32 pid)
{
	return !f || any(f, KSTRATA_FILTER_PID, pid) || any_cgroup(f);
}

u64 kst_cgroup_of(struct task_struct *task)
{
	u64 id = 0;

#ifdef CONFIG_CGROUPS
	rcu_read_lock();
	id = cgroup_id(task_dfl_cgroup(task));
	rcu_read_unlock();
#endif
	return id;
}
