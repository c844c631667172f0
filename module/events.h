/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Events for those who listen (netlink.c). They are born where nothing may sleep
 * or be allocated: there they only leave a mark, and a work item of the session
 * tells of what is marked. Marks of a kind merge, so that their number is bounded
 * by that of the CPUs, whatever happens how often.
 */
#ifndef _KST_EVENTS_H
#define _KST_EVENTS_H

#include <linux/irq_work.h>
#include <linux/list.h>
#include <linux/seqlock.h>
#include <linux/types.h>
#include <linux/workqueue.h>

struct kst_cpu;
struct kst_session;

/* In a session. */
struct kst_events {
	struct hlist_node hotplug;
	struct irq_work kick;
	struct delayed_work work;
	unsigned long next_loss;	/* jiffies; the work's own */
};

/* In a session's share of a CPU. */
struct kst_cpu_events {
	unsigned long marks;		/* atomic bits */
	seqcount_t seq;			/* for the next three */
	u64 period;
	u64 asked;
	u64 handler_ns;
	u64 told_lost;			/* the work's own */
	u64 told_weight;
};

/* Module load and unload: the hotplug state. May sleep. */
int kst_events_init(void);
void kst_events_exit(void);

/*
 * A session's, begin before it is found by anybody, end when nothing samples for
 * it any more. Both may sleep; after end no work runs and none will.
 */
int kst_events_begin(struct kst_session *s);
void kst_events_end(struct kst_session *s);
/* Once per kst_cpu, before it is found in its session. */
void kst_events_init_cpu(struct kst_cpu *c);

/* On c's CPU, interrupts off: its rate has changed. */
void kst_event_throttle(struct kst_cpu *c, u64 period, u64 asked,
			u64 handler_ns);
/* On c's CPU, interrupts off: its ring has lost a record. */
void kst_event_loss(struct kst_cpu *c);

#endif /* _KST_EVENTS_H */
