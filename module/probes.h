/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tracepoints of the kernel, found by name since they are not exported, and our
 * probes on them. All sessions that sample share the probes. They are registered
 * for the first one and stay for a while after the last: registering patches hot
 * code of the kernel, which a daemon's restart is no reason for.
 */
#ifndef _KST_PROBES_H
#define _KST_PROBES_H

#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/workqueue.h>

#include <kstrata.h>

struct kst_session;
struct tracepoint;

enum kst_tracepoint {
	KST_TP_EXEC,
	KST_TP_EXIT,
	KST_TP_FORK,
	KST_TP_RENAME,
	KST_TP_SWITCH,
	KST_TP_SOFTIRQ_ENTRY,
	KST_TP_SOFTIRQ_EXIT,
	KST_TP_NR,
};

/* Part of struct kst. */
struct kst_probes {
	struct tracepoint *tp[KST_TP_NR];
	struct mutex lock;		/* all below */
	unsigned int registered;	/* the first so many are */
	unsigned int nr_running;
	unsigned int end;		/* no session at or after it */
	struct kst_session __rcu *running[KSTRATA_SESSIONS_MAX];
	struct delayed_work linger;
};

/* Module load and unload. -ENOENT: this kernel lacks a tracepoint. */
int kst_probes_init(void);
void kst_probes_exit(void);

/*
 * Show s to the probes; no longer. Both may sleep. After drop no probe uses s
 * any more.
 */
int kst_probes_hold(struct kst_session *s);
void kst_probes_drop(struct kst_session *s);

/* The session at or after *i, which becomes its place; NULL: no more. */
static inline struct kst_session *kst_probes_next(const struct kst_probes *p,
						  unsigned int *i)
{
	struct kst_session *s;

	for (; *i < READ_ONCE(p->end); (*i)++) {
		s = rcu_dereference_sched(p->running[*i]);
		if (s)
			return s;
	}
	return NULL;
}

/*
 * For probes, interrupts off throughout: visit every session that samples.
 * Bound: KSTRATA_SESSIONS_MAX.
 */
#define kst_for_each_running(s, i)					\
	for ((i) = 0; ((s) = kst_probes_next(&kst.probes, &(i))); (i)++)

#endif /* _KST_PROBES_H */
