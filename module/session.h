/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A session: what one open file of the device has. NEW, READY, RUNNING as in
 * uapi/kstrata.h.
 */
#ifndef _KST_SESSION_H
#define _KST_SESSION_H

#include <linux/cpumask.h>
#include <linux/hrtimer.h>
#include <linux/irq_work.h>
#include <linux/list.h>
#include <linux/lockdep.h>
#include <linux/mutex.h>
#include <linux/poll.h>
#include <linux/smp.h>
#include <linux/wait.h>

#include <kstrata/busy.h>

#include "events.h"
#include "ring.h"

struct file;
struct kst_filters;
struct kst_objects;
struct kst_rule_cache;
struct kst_session;
struct pid_namespace;

/* A session's share of one CPU. Touched on that CPU only, interrupts off. */
struct kst_cpu {
	struct kst_session *session;
	struct kst_ring ring;
	struct irq_work wake;
	struct kst_cpu_events events;
	struct kst_rule_cache *rules;	/* or NULL */
	/* sampler.c */
	struct hrtimer timer;
	struct kst_busy busy;
	int cpu;
	bool sampling;
	u64 random;
	u64 asked;		/* mean period that is wanted: ns */
	u64 period;		/* mean period in force */
	u64 cost;		/* moving mean of the handler's time: ns * 32 */
	u32 calm;		/* expiries in a row that were cheap */
	u64 started;		/* sampling: since when, ns */
	u64 idle_since;		/* park.c: parked since when, ns */
};

enum kst_state {
	KST_NEW,
	KST_READY,
	KST_RUNNING,
};

struct kst_session {
	struct list_head list;	/* kst.sessions */
	u32 id;
	struct pid_namespace *pid_ns;	/* the opener's */
	pid_t opener;		/* process id in the initial pid namespace */
	struct mutex lock;	/* state and what changes it */
	enum kst_state state;
	struct kstrata_setup setup;	/* rate and budget change */
	u64 period;		/* asked for: ns */
	cpumask_var_t mask;	/* to sample; changes under cpus_read_lock() */
	struct kst_filters __rcu *filters;
	bool telling;		/* TASK records */
	wait_queue_head_t wait;
	struct hlist_node hotplug;	/* sampler.c */
	struct kst_events events;
	struct kst_objects *objects;	/* or NULL; set once, before cpus */
	/*
	 * One per possible CPU, NULL where there was no CPU at SETUP. Set once,
	 * by SETUP, with a release; freed with the session: readers need no lock.
	 */
	struct kst_cpu **cpus;
};

/* All may sleep. -EBUSY: too many. */
struct kst_session *kst_session_new(void);
void kst_session_free(struct kst_session *s);

/*
 * Under kst.lock, which is taken before any session's own: the session with this
 * number, or NULL; it stays until kst.lock is dropped.
 */
struct kst_session *kst_session_find(u32 id);

/*
 * The ioctls. setup is in and out, its size checked and its tail zeroed.
 * kernel_addr: may the opener see kernel addresses?
 */
int kst_session_setup(struct kst_session *s, struct kstrata_setup *setup,
		      bool kernel_addr);
int kst_session_start(struct kst_session *s);
int kst_session_stop(struct kst_session *s);

/* What KSTRATA_IOC_CONFIGURE asks for, copied in; the caller's pointers. */
struct kst_config {
	u32 what;		/* KSTRATA_CONFIGURE_* */
	u32 sample_hz;
	u32 budget;
	u32 nr_cpu_words;
	u32 nr_filters;
	const u64 *cpus;
	const struct kstrata_filter *filters;
};

/* May sleep. All or nothing, with the ioctl's errors. */
int kst_session_configure(struct kst_session *s, const struct kst_config *config);

/*
 * For KSTRATA_IOC_OBJECT and _ROWS: false when the session is NEW. *objects is NULL when it
 * has none. Takes no lock.
 */
bool kst_session_objects(struct kst_session *s, struct kst_objects **objects);

/* Under mmap_lock: takes no lock. */
int kst_session_mmap(struct kst_session *s, struct vm_area_struct *vma);
__poll_t kst_session_poll(struct kst_session *s, struct file *file,
			  poll_table *wait);

/* Interrupts off: this CPU's share, or NULL. */
static inline struct kst_cpu *kst_session_this_cpu(struct kst_session *s)
{
	lockdep_assert_irqs_disabled();
	return s->cpus[smp_processor_id()];
}

/*
 * Interrupts off, on c's CPU: room in its ring, as kst_ring_reserve() has it; who
 * listens to events hears when there is none.
 */
void *kst_cpu_reserve(struct kst_cpu *c, u32 max, u64 now, u64 weight);
/* Interrupts off: publish the record reserved in c's ring, wake if need be. */
void kst_cpu_commit(struct kst_cpu *c);

#endif /* _KST_SESSION_H */
