/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * linux/hrtimer.h: hrtimer_setup() came in 6.13; hrtimer_init() plus an
 * assignment to timer->function went in 6.15.
 */
#ifndef _KST_COMPAT_HRTIMER_H
#define _KST_COMPAT_HRTIMER_H

#include <linux/hrtimer.h>
#include <linux/version.h>

static inline void
kst_hrtimer_setup(struct hrtimer *timer,
		  enum hrtimer_restart (*fn)(struct hrtimer *))
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 13, 0)
	hrtimer_setup(timer, fn, CLOCK_MONOTONIC, HRTIMER_MODE_REL_PINNED_HARD);
#else
	hrtimer_init(timer, CLOCK_MONOTONIC, HRTIMER_MODE_REL_PINNED_HARD);
	timer->function = fn;
#endif
}

#endif /* _KST_COMPAT_HRTIMER_H */
