// SPDX-License-Identifier: GPL-2.0-only
#include "sampler.h"

#include <linux/cpu.h>
#include <linux/cpuhotplug.h>
#include <linux/cpumask.h>
#include <linux/ktime.h>
#include <linux/random.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/sched/task_stack.h>
#include <linux/smp.h>

#include <asm/irq_regs.h>

#include <kstrata/period.h>

#include "compat/hrtimer.h"
#include "compat/regs.h"
#include "compat/task.h"
#include "filter.h"
#include "main.h"
#include "park.h"
#include "session.h"
#include "stack.h"
#include "tasks.h"
#include "unwind.h"

/* Cheap expiries in a row before a throttled rate is doubled again. */
#define CALM_EXPIRIES	256

/* The stacks of what was interrupted; fills in the sample's counts. */
static void take_stacks(struct kst_cpu *c, struct pt_regs *regs,
			struct kstrata_sample *rec)
{
	struct kst_session *s = c->session;
	const struct kstrata_setup *u = &s->setup;
	u64 *frames = (u64 *)(rec + 1);

	if (!regs)
		return;
	if (user_mode(regs)) {
		rec->hdr.flags |= KSTRATA_SAMPLE_USER;
	} else if (!(u->flags & KSTRATA_SETUP_NO_KERNEL)) {
		if (u->granted & KSTRATA_GRANT_KERNEL_ADDR) {
			rec->nr_kernel = kst_stack_kernel(regs, frames,
							  u->kernel_depth,
							  &rec->kernel_reason);
		} else {
			frames[0] = KSTRATA_FRAME_HIDDEN;
			rec->nr_kernel = 1;
			rec->kernel_reason = KSTRATA_REASON_UNSUPPORTED;
		}
	}
	if (!kst_task_is_user(current)) {
		rec->hdr.flags |= KSTRATA_SAMPLE_KTHREAD;
		return;
	}
	if (!user_mode(regs))
		regs = task_pt_regs(current);
	if (kst_regs_compat(regs))
		rec->hdr.flags |= KSTRATA_SAMPLE_COMPAT;
	/*
	 * In exec(), from the new mm to the new registers, these are still the
	 * old program's. The new one's code is noted among the last steps.
	 */
	if (u->flags & KSTRATA_SETUP_NO_USER || !current->mm->start_code)
		return;
	frames += rec->nr_kernel;
	kst_unwind_user(regs, s->objects, c->rules, c->ring.producer, rec,
			frames, u->user_depth);
}

static void take_sample(struct kst_cpu *c, u64 now, u64 weight)
{
	struct kst_session *s = c->session;
	const struct kstrata_setup *u = &s->setup;
	struct kstrata_ring_producer *p = c->ring.producer;
	u32 pid = kst_task_pid(s, current);
	struct kstrata_sample *rec;

	/* Interrupts are off: freed after a grace period, see sampler.h. */
	if (!kst_filters_fit(rcu_dereference_sched(s->filters), pid)) {
		WRITE_ONCE(p->filtered, p->filtered + 1);
		WRITE_ONCE(p->filtered_weight, p->filtered_weight + weight);
		return;
	}
	rec = kst_cpu_reserve(c,
			      sizeof(*rec) +
			      8 * (u->kernel_depth + u->user_depth),
			      now, weight);
	if (!rec)
		return;
	*rec = (struct kstrata_sample){
		.hdr.type = KSTRATA_RECORD_SAMPLE,
		.hdr.flags = is_idle_task(current) ? KSTRATA_SAMPLE_IDLE : 0,
		.hdr.time = now,
		.weight = weight,
		.cgroup = kst_cgroup_of(current),
		.pid = pid,
		.tid = kst_task_tid(s, current),
		.profile = KSTRATA_PROFILE_CPU,
		.frames_offset = sizeof(*rec),
	};
	BUILD_BUG_ON(sizeof(rec->comm) != sizeof(current->comm));
	memcpy(rec->comm, current->comm, sizeof(rec->comm));
	rec->comm[sizeof(rec->comm) - 1] = '\0';
	take_stacks(c, get_irq_regs(), rec);
	rec->hdr.size = sizeof(*rec) + 8 * (rec->nr_kernel + rec->nr_user);
	WRITE_ONCE(p->samples, p->samples + 1);
	kst_cpu_commit(c);
}

static void set_period(struct kst_cpu *c, u64 now, u64 period)
{
	struct kstrata_throttle *rec;

	WRITE_ONCE(c->period, period);
	c->calm = 0;
	kst_event_throttle(c, period, c->asked, c->cost / 32);
	rec = kst_cpu_reserve(c, sizeof(*rec), now, 0);
	if (!rec)
		return;
	*rec = (struct kstrata_throttle){
		.hdr.type = KSTRATA_RECORD_THROTTLE,
		.hdr.size = sizeof(*rec),
		.hdr.time = now,
		.period = period,
		.asked = c->asked,
		.handler_ns = c->cost / 32,
	};
	kst_cpu_commit(c);
}

/*
 * Keep the handler within its share of the CPU: halve the rate when its mean
 * cost is over the budget, double it (up to what was asked for) once it has
 * long been below half of the budget that the doubled rate would have.
 */
static void budget(struct kst_cpu *c, u64 now, u64 took)
{
	u32 share = READ_ONCE(c->session->setup.budget);

	/* One expiry that a hypervisor stretched must not count for many. */
	took = min(took, c->period);
	c->cost += took - c->cost / 32;
	if (c->cost / 32 * 1000 > c->period * share) {
		/* Bound: one sample a second, as the slowest rate asked for. */
		if (c->period * 2 <= NSEC_PER_SEC / KSTRATA_HZ_MIN)
			set_period(c, now, c->period * 2);
		return;
	}
	if (c->period <= c->asked ||
	    c->cost / 32 * 1000 > c->period / 4 * share) {
		c->calm = 0;
		return;
	}
	if (++c->calm >= CALM_EXPIRIES)
		set_period(c, now, max(c->period / 2, c->asked));
}

static enum hrtimer_restart tick(struct hrtimer *timer)
{
	struct kst_cpu *c = container_of(timer, struct kst_cpu, timer);
	struct kstrata_ring_producer *p = c->ring.producer;
	u64 now = ktime_get_ns();
	u64 done, took, overrun;

	/* The offline callback forgot us, and the timer moved: stop it. */
	if (WARN_ON_ONCE(smp_processor_id() != c->cpu || !c->busy.running))
		return HRTIMER_NORESTART;

	/* Idle without a switch to the idle task: idleness that was injected. */
	if (unlikely(kst_park_interrupted_idle())) {
		c->busy.due = now + kst_period_draw(&c->random, c->period);
		kst_park_late(c, now);
		return HRTIMER_NORESTART;
	}
	take_sample(c, now, kst_busy_expire(&c->busy, now));
	done = ktime_get_ns();
	took = done - now;
	WRITE_ONCE(p->handler_ns, p->handler_ns + took);
	budget(c, now, took);

	overrun = hrtimer_forward(timer, ns_to_ktime(done),
				  ns_to_ktime(kst_period_draw(&c->random,
							      c->period)));
	if (overrun > 1)
		WRITE_ONCE(p->missed, p->missed + overrun - 1);
	c->busy.due = ktime_to_ns(hrtimer_get_expires(timer));
	return HRTIMER_RESTART;
}

void kst_sampler_init_cpu(struct kst_cpu *c)
{
	c->random = get_random_u64() | 1;
	kst_hrtimer_setup(&c->timer, tick);
}

/* On c's CPU, interrupts off, as the next three. */
static void set_rate(struct kst_cpu *c, u64 period)
{
	c->asked = period;
	WRITE_ONCE(c->period, period);
	c->cost = 0;
	c->calm = 0;
}

/* CPUs start together but must not sample together. */
static u64 draw_phase(struct kst_cpu *c)
{
	return c->period * kst_random(&c->random) >> 32;
}

static void cpu_start(struct kst_cpu *c)
{
	u64 now = ktime_get_ns();

	set_rate(c, c->session->period);
	c->sampling = true;
	c->started = now;
	WRITE_ONCE(c->ring.producer->started, now);
	kst_park_init(c, now, draw_phase(c));
}

static void cpu_stop(struct kst_cpu *c)
{
	struct kstrata_ring_producer *p = c->ring.producer;
	u64 now = ktime_get_ns();

	c->sampling = false;
	kst_park_exit(c, now);
	WRITE_ONCE(p->on_weight, p->on_weight + (now - c->started));
	WRITE_ONCE(p->started, 0);
	/* No next record will tell of what was lost before. */
	kst_ring_flush(&c->ring, now);
}

/* As the session is configured now. */
static void cpu_follow(struct kst_session *s)
{
	struct kst_cpu *c = kst_session_this_cpu(s);
	u64 now;

	/* A CPU that was not there at SETUP has no ring: not sampled. */
	if (!c)
		return;
	if (!cpumask_test_cpu(c->cpu, s->mask)) {
		if (c->sampling)
			cpu_stop(c);
		return;
	}
	if (!c->sampling) {
		cpu_start(c);
		return;
	}
	if (c->asked == s->period)
		return;
	/* What counted so far goes on counting, towards a new expiry. */
	now = ktime_get_ns();
	set_rate(c, s->period);
	if (c->busy.running) {
		kst_busy_pause(&c->busy, now);
		c->busy.left = draw_phase(c);
		kst_park_run(c, now);
	} else {
		c->busy.left = draw_phase(c);
	}
}

/* On the CPU itself, in its hotplug thread: pinning needs that. */
static int sampler_online(unsigned int cpu, struct hlist_node *node)
{
	struct kst_session *s = hlist_entry(node, struct kst_session, hotplug);

	local_irq_disable();
	cpu_follow(s);
	local_irq_enable();
	return 0;
}

static int sampler_offline(unsigned int cpu, struct hlist_node *node)
{
	struct kst_session *s = hlist_entry(node, struct kst_session, hotplug);
	struct kst_cpu *c = s->cpus[cpu];

	local_irq_disable();
	if (c && c->sampling)
		cpu_stop(c);
	local_irq_enable();
	return 0;
}

int kst_sampler_start(struct kst_session *s)
{
	return cpuhp_state_add_instance(kst.cpuhp, &s->hotplug);
}

void kst_sampler_stop(struct kst_session *s)
{
	cpuhp_state_remove_instance(kst.cpuhp, &s->hotplug);
}

static void follow_ipi(void *data)
{
	cpu_follow(data);
}

void kst_sampler_follow(struct kst_session *s)
{
	on_each_cpu(follow_ipi, s, 1);
}

int kst_sampler_init(void)
{
	int r;

	r = cpuhp_setup_state_multi(CPUHP_AP_ONLINE_DYN, "kstrata:online",
				    sampler_online, sampler_offline);
	if (r < 0)
		return r;
	kst.cpuhp = r;
	return 0;
}

void kst_sampler_exit(void)
{
	cpuhp_remove_multi_state(kst.cpuhp);
}
