// SPDX-License-Identifier: GPL-2.0-only
#include "park.h"

#include <linux/interrupt.h>
#include <linux/kernel.h>
#include <linux/ktime.h>
#include <linux/sched.h>

#include "main.h"
#include "session.h"

/* See struct kstrata_ring_producer: @idle_weight is being changed. */
#define IDLE_CHANGING	1

static void idle_begins(struct kst_cpu *c, u64 now)
{
	struct kstrata_ring_producer *p = c->ring.producer;

	WRITE_ONCE(p->idle, p->idle + 1);
	c->idle_since = now;
	/* E: pairs with the reader's first read of idle_since. */
	smp_store_release(&p->idle_since, now);
}

static void idle_ends(struct kst_cpu *c, u64 now)
{
	struct kstrata_ring_producer *p = c->ring.producer;

	WRITE_ONCE(p->idle_since, IDLE_CHANGING);
	/* F: who reads the new weight sees that idle_since has changed. */
	smp_wmb();
	WRITE_ONCE(p->idle_weight, p->idle_weight + (now - c->idle_since));
	c->idle_since = 0;
	smp_store_release(&p->idle_since, 0); /* E */
}

void kst_park_run(struct kst_cpu *c, u64 now)
{
	u64 left = kst_busy_resume(&c->busy, now);

	/*
	 * Under the runqueue's lock when called from the scheduler, which
	 * starts hard timers of its own there: the timers' lock nests in it.
	 */
	hrtimer_start(&c->timer, ns_to_ktime(left),
		      HRTIMER_MODE_REL_PINNED_HARD);
}

/*
 * The handler runs on this CPU alone and interrupts are off: it is not running,
 * so one try does it. One that is due is served after the next kst_park_run().
 */
static void stop_timer(struct kst_cpu *c, u64 now)
{
	kst_busy_pause(&c->busy, now);
	WARN_ON_ONCE(hrtimer_try_to_cancel(&c->timer) < 0);
}

static void park(struct kst_cpu *c, u64 now)
{
	stop_timer(c, now);
	idle_begins(c, now);
}

/* Out of line: of the many switches that are looked at, few come here. */
static noinline void turn(struct kst_cpu *c, bool idle)
{
	u64 now = ktime_get_ns();

	if (idle) {
		park(c, now);
	} else {
		idle_ends(c, now);
		kst_park_run(c, now);
	}
}

/* As the CPU is now, interrupts off: busy or idle. */
static __always_inline void follow(struct kst_session *s, bool idle)
{
	struct kst_cpu *c = kst_session_this_cpu(s);

	if (!c || !c->sampling || likely(c->busy.running != idle))
		return;
	turn(c, idle);
}

void kst_park_probe_switch(void *data, KST_PROTO_SWITCH)
{
	struct kst_session *s;
	unsigned int i;

	check_trace_callback_type_sched_switch(kst_park_probe_switch);
	/*
	 * Under the runqueue's lock, interrupts off. What comes counts alone:
	 * who idles on purpose sets PF_IDLE after the switch to it.
	 */
	kst_for_each_running(s, i)
		follow(s, is_idle_task(next));
}

static void softirq(bool idle)
{
	struct kst_session *s;
	unsigned long irq;
	unsigned int i;

	if (likely(!is_idle_task(current)))
		return;
	local_irq_save(irq);
	kst_for_each_running(s, i)
		follow(s, idle);
	local_irq_restore(irq);
}

void kst_park_probe_softirq_entry(void *data, unsigned int vec_nr)
{
	check_trace_callback_type_softirq_entry(kst_park_probe_softirq_entry);
	softirq(false);
}

void kst_park_probe_softirq_exit(void *data, unsigned int vec_nr)
{
	check_trace_callback_type_softirq_exit(kst_park_probe_softirq_exit);
	softirq(true);
}

bool kst_park_interrupted_idle(void)
{
	return is_idle_task(current) && !in_serving_softirq();
}

void kst_park_init(struct kst_cpu *c, u64 now, u64 left)
{
	kst_busy_init(&c->busy, left);
	if (kst_park_interrupted_idle())
		idle_begins(c, now);
	else
		kst_park_run(c, now);
}

void kst_park_exit(struct kst_cpu *c, u64 now)
{
	if (c->busy.running)
		stop_timer(c, now);
	else
		idle_ends(c, now);
}

void kst_park_late(struct kst_cpu *c, u64 now)
{
	kst_busy_pause(&c->busy, now);
	idle_begins(c, now);
}
