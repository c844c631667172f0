/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * A CPU's busy time as a clock of its own: it stands still while the CPU is
 * idle. Sampling periods are measured on it, so that what is left of a period
 * when the CPU becomes idle is left when it has work again: whatever wakes,
 * works for less than a period and sleeps is met as often as it deserves. All
 * times are ns of one monotonic clock.
 */
#ifndef _KSTRATA_BUSY_H
#define _KSTRATA_BUSY_H

#include <linux/types.h>

struct kst_busy {
	__u64 since;	/* running: from when on time counts */
	__u64 run;	/* what counted before, since the last expiry */
	__u64 due;	/* running: the next expiry */
	__u64 left;	/* standing still: until the next expiry */
	int running;
};

/* Begin with the first expiry after left ns of busy time; it stands still. */
static inline void kst_busy_init(struct kst_busy *b, __u64 left)
{
	b->since = 0;
	b->run = 0;
	b->due = 0;
	b->left = left;
	b->running = 0;
}

/* The CPU has work: how long until the expiry, to set the timer to. */
static inline __u64 kst_busy_resume(struct kst_busy *b, __u64 now)
{
	b->since = now;
	b->due = now + b->left;
	b->running = 1;
	return b->left;
}

/* It has none: the timer is to be stopped. */
static inline void kst_busy_pause(struct kst_busy *b, __u64 now)
{
	b->run += now - b->since;
	/* Due, but not served yet: at once when it goes on. */
	b->left = b->due > now ? b->due - now : 0;
	b->running = 0;
}

/* The timer expired while running: the busy time since the last time. */
static inline __u64 kst_busy_expire(struct kst_busy *b, __u64 now)
{
	__u64 weight = b->run + (now - b->since);

	b->run = 0;
	b->since = now;
	return weight;
}

#endif /* _KSTRATA_BUSY_H */
