// SPDX-License-Identifier: GPL-2.0-only
#include "sampler.h"

#include <linux/cgroup.h>
#include <linux/cpuhotplug.h>
#include <linux/ktime.h>
#include <linux/random.h>
#include <linux/sched.h>
#include <linux/sched/task_stack.h>

#include <asm/irq_regs.h>

#include <kstrata/period.h>

#include "compat/hrtimer.h"
#include "compat/regs.h"
#include "compat/task.h"
#include "main.h"
#include "session.h"
#include "stack.h"

/* Cheap expiries in a row before a throttled rate is doubled again. */
#define CALM_EXPIRIES	256

static u64 cgroup_of_current(void)
{
	u64 id = 0;

#ifdef CONFIG_CGROUPS
	rcu_read_lock();
	id = cgroup_id(task_dfl_cgroup(current));
	rcu_read_unlock();
#endif
	return id;
}

/* The stacks of what was interrupted; fills in the sample's counts. */
static void take_stacks(struct kst_session *s, struct pt_regs *regs,
			struct kstrata_sample *rec)
{
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
	if (!(u->flags & KSTRATA_SETUP_NO_USER))
		rec->nr_user = kst_stack_user(regs, frames + rec->nr_kernel,
					      u->user_depth,
					      &rec->user_reason);
}

static void take_sample(struct kst_cpu *c, u64 now, u64 weight)
{
	const struct kstrata_setup *u = &c->session->setup;
	struct kstrata_ring_producer *p = c->ring.producer;
	struct kstrata_sample *rec;

	rec = kst_ring_reserve(&c->ring,
			       sizeof(*rec) +
			       8 * (u->kernel_depth + u->user_depth),
			       now, weight);
	if (!rec)
		return;
	*rec = (struct kstrata_sample){
		.hdr.type = KSTRATA_RECORD_SAMPLE,
		.hdr.time = now,
		.weight = weight,
		.cgroup = cgroup_of_current(),
		.pid = current->tgid,
		.tid = current->pid,
		.profile = KSTRATA_PROFILE_CPU,
		.frames_offset = sizeof(*rec),
	};
	BUILD_BUG_ON(sizeof(rec->comm) != sizeof(current->comm));
	memcpy(rec->comm, current->comm, sizeof(rec->comm));
	rec->comm[sizeof(rec->comm) - 1] = '\0';
	take_stacks(c->session, get_irq_regs(), rec);
	rec->hdr.size = sizeof(*rec) + 8 * (rec->nr_kernel + rec->nr_user);
	WRITE_ONCE(p->samples, p->samples + 1);
	kst_cpu_commit(c);
}

static void set_period(struct kst_cpu *c, u64 now, u64 period)
{
	struct kstrata_throttle *rec;

	c->period = period;
	c->calm = 0;
	rec = kst_ring_reserve(&c->ring, sizeof(*rec), now, 0);
	if (!rec)
		return;
	*rec = (struct kstrata_throttle){
		.hdr.type = KSTRATA_RECORD_THROTTLE,
		.hdr.size = sizeof(*rec),
		.hdr.time = now,
		.period = period,
		.asked = c->session->period,
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
	u32 share = c->session->setup.budget;

	/* One expiry that a hypervisor stretched must not count for many. */
	took = min(took, c->period);
	c->cost += took - c->cost / 32;
	if (c->cost / 32 * 1000 > c->period * share) {
		/* Bound: one sample a second, as the slowest rate asked for. */
		if (c->period * 2 <= NSEC_PER_SEC / KSTRATA_HZ_MIN)
			set_period(c, now, c->period * 2);
		return;
	}
	if (c->period <= c->session->period ||
	    c->cost / 32 * 1000 > c->period / 4 * share) {
		c->calm = 0;
		return;
	}
	if (++c->calm >= CALM_EXPIRIES)
		set_period(c, now, max(c->period / 2, c->session->period));
}

static enum hrtimer_restart tick(struct hrtimer *timer)
{
	struct kst_cpu *c = container_of(timer, struct kst_cpu, timer);
	struct kstrata_ring_producer *p = c->ring.producer;
	u64 now = ktime_get_ns();
	u64 weight = now - c->last;
	u64 took, overrun;

	/* The offline callback forgot us, and the timer moved: stop it. */
	if (WARN_ON_ONCE(smp_processor_id() != c->cpu))
		return HRTIMER_NORESTART;

	c->last = now;
	if (is_idle_task(current)) {
		WRITE_ONCE(p->idle, p->idle + 1);
		WRITE_ONCE(p->idle_weight, p->idle_weight + weight);
	} else {
		take_sample(c, now, weight);
	}
	took = ktime_get_ns() - now;
	WRITE_ONCE(p->handler_ns, p->handler_ns + took);
	budget(c, now, took);

	overrun = hrtimer_forward_now(timer,
				      kst_period_draw(&c->random, c->period));
	if (overrun > 1)
		WRITE_ONCE(p->missed, p->missed + overrun - 1);
	return HRTIMER_RESTART;
}

void kst_sampler_init_cpu(struct kst_cpu *c)
{
	c->random = get_random_u64() | 1;
	kst_hrtimer_setup(&c->timer, tick);
}

/* On the CPU itself, in its hotplug thread: pinning needs that. */
static int sampler_online(unsigned int cpu, struct hlist_node *node)
{
	struct kst_session *s = hlist_entry(node, struct kst_session, hotplug);
	struct kst_cpu *c = s->cpus[cpu];
	u64 phase;

	/* A CPU that was not there at SETUP has no ring: not sampled. */
	if (!c || c->sampling)
		return 0;
	c->sampling = true;
	c->period = s->period;
	c->cost = 0;
	c->calm = 0;
	/* CPUs start together but must not sample together. */
	phase = s->period * kst_random(&c->random) >> 32;
	c->last = ktime_get_ns();
	hrtimer_start(&c->timer, ns_to_ktime(phase),
		      HRTIMER_MODE_REL_PINNED_HARD);
	return 0;
}

static int sampler_offline(unsigned int cpu, struct hlist_node *node)
{
	struct kst_session *s = hlist_entry(node, struct kst_session, hotplug);
	struct kst_cpu *c = s->cpus[cpu];

	if (!c || !c->sampling)
		return 0;
	hrtimer_cancel(&c->timer);
	c->sampling = false;
	/* No next record will tell of what was lost before. */
	local_irq_disable();
	kst_ring_flush(&c->ring, ktime_get_ns());
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
