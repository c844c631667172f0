// SPDX-License-Identifier: GPL-2.0-only
#include "netmsg.h"

#include <linux/cpumask.h>
#include <linux/rcupdate.h>
#include <net/netlink.h>

#include "filter.h"
#include "main.h"
#include "objects.h"
#include "session.h"

/* kstrata_ring_producer.idle_since, see there. */
#define IDLE_CHANGING	1

int kst_netmsg_put_u64(struct sk_buff *skb, int attr, u64 value)
{
	return nla_put(skb, attr, sizeof(value), &value);
}

int kst_netmsg_put_status(struct sk_buff *skb)
{
	u32 sessions;

	mutex_lock(&kst.lock);
	sessions = kst.nr_sessions;
	mutex_unlock(&kst.lock);
	if (nla_put_string(skb, KSTRATA_ATTR_RELEASE, KST_RELEASE) ||
	    nla_put_u32(skb, KSTRATA_ATTR_ABI_MAJOR, KSTRATA_ABI_MAJOR) ||
	    nla_put_u32(skb, KSTRATA_ATTR_ABI_MINOR, KSTRATA_ABI_MINOR) ||
	    nla_put_u32(skb, KSTRATA_ATTR_SESSIONS, sessions) ||
	    nla_put_u32(skb, KSTRATA_ATTR_SESSIONS_MAX, KSTRATA_SESSIONS_MAX) ||
	    nla_put_u32(skb, KSTRATA_ATTR_CPUS_POSSIBLE, num_possible_cpus()) ||
	    nla_put_u32(skb, KSTRATA_ATTR_CPUS_ONLINE, num_online_cpus()))
		return -EMSGSIZE;
	return 0;
}

#define STAT(name) offsetof(struct kstrata_ring_producer, name)

static const u16 stat_at[] = {
	[KSTRATA_STAT_SAMPLES] = STAT(samples),
	[KSTRATA_STAT_LOST] = STAT(lost),
	[KSTRATA_STAT_LOST_WEIGHT] = STAT(lost_weight),
	[KSTRATA_STAT_IDLE] = STAT(idle),
	[KSTRATA_STAT_IDLE_WEIGHT] = STAT(idle_weight),
	[KSTRATA_STAT_MISSED] = STAT(missed),
	[KSTRATA_STAT_HANDLER_NS] = STAT(handler_ns),
	[KSTRATA_STAT_FILTERED] = STAT(filtered),
	[KSTRATA_STAT_FILTERED_WEIGHT] = STAT(filtered_weight),
	[KSTRATA_STAT_RAW_BUSY] = STAT(raw_busy),
	[KSTRATA_STAT_RAW_FULL] = STAT(raw_full),
	[KSTRATA_STAT_ON_WEIGHT] = STAT(on_weight),
	[KSTRATA_STAT_FRAMES_ROWS] = STAT(frames_rows),
	[KSTRATA_STAT_FRAMES_FP] = STAT(frames_fp),
};

/* sum[KSTRATA_STAT_*] += what c counts. User space cannot write there. */
static void add_stats(u64 *sum, const struct kst_cpu *c)
{
	const void *p = c->ring.producer;
	unsigned int i;

	for (i = 1; i < ARRAY_SIZE(stat_at); i++)
		sum[i] += READ_ONCE(*(const u64 *)(p + stat_at[i]));
}

static int put_stats(struct sk_buff *skb, const u64 *sum)
{
	struct nlattr *nest = nla_nest_start(skb, KSTRATA_ATTR_STATS);
	unsigned int i;

	if (!nest)
		return -EMSGSIZE;
	for (i = 1; i < ARRAY_SIZE(stat_at); i++)
		if (kst_netmsg_put_u64(skb, i, sum[i]))
			return -EMSGSIZE;
	nla_nest_end(skb, nest);
	return 0;
}

static int put_cpus(struct sk_buff *skb, const struct cpumask *mask)
{
	unsigned int words = min_t(unsigned int, DIV_ROUND_UP(nr_cpu_ids, 64),
				   KSTRATA_CPUS_BYTES_MAX / sizeof(u64));
	struct nlattr *attr = nla_reserve(skb, KSTRATA_ATTR_CPUS,
					  words * sizeof(u64));
	unsigned int i, cpu;

	if (!attr)
		return -EMSGSIZE;
	for (i = 0; i < words; i++) {
		u64 word = 0;

		for (cpu = i * 64; cpu < min(i * 64 + 64, nr_cpu_ids); cpu++)
			if (cpu_possible(cpu) && cpumask_test_cpu(cpu, mask))
				word |= BIT_ULL(cpu % 64);
		memcpy(nla_data(attr) + i * sizeof(word), &word, sizeof(word));
	}
	return 0;
}

static int put_filters(struct sk_buff *skb, const struct kst_filters *f)
{
	struct nlattr *nest = nla_nest_start(skb, KSTRATA_ATTR_FILTERS);
	u32 i;

	if (!nest)
		return -EMSGSIZE;
	for (i = 0; f && i < f->nr; i++)
		if (kst_netmsg_put_u64(skb, f->filter[i].kind, f->filter[i].id))
			return -EMSGSIZE;
	nla_nest_end(skb, nest);
	return 0;
}

/* What there is from SETUP on. Under the session's lock. */
static int put_setup(struct sk_buff *skb, const struct kst_session *s)
{
	const struct kstrata_setup *u = &s->setup;
	u64 sum[ARRAY_SIZE(stat_at)] = { 0 };
	unsigned int cpu;
	int r;

	if (nla_put_u32(skb, KSTRATA_ATTR_HZ, u->sample_hz) ||
	    nla_put_u32(skb, KSTRATA_ATTR_BUDGET, u->budget) ||
	    nla_put_u32(skb, KSTRATA_ATTR_FLAGS, u->flags) ||
	    nla_put_u32(skb, KSTRATA_ATTR_GRANTED, u->granted) ||
	    nla_put_u32(skb, KSTRATA_ATTR_RING_BYTES, u->ring_bytes) ||
	    nla_put_u32(skb, KSTRATA_ATTR_WATERMARK_BYTES, u->watermark_bytes) ||
	    nla_put_u32(skb, KSTRATA_ATTR_KERNEL_DEPTH, u->kernel_depth) ||
	    nla_put_u32(skb, KSTRATA_ATTR_USER_DEPTH, u->user_depth) ||
	    nla_put_u32(skb, KSTRATA_ATTR_OBJECTS, u->objects) ||
	    nla_put_u32(skb, KSTRATA_ATTR_ROWS_KB, u->rows_kb) ||
	    nla_put_u32(skb, KSTRATA_ATTR_ROWS_HELD_KB,
			kst_objects_rows_kb(s->objects)))
		return -EMSGSIZE;
	r = put_cpus(skb, s->mask);
	if (!r)
		r = put_filters(skb, rcu_dereference_protected(s->filters,
						lockdep_is_held(&s->lock)));
	if (r)
		return r;
	for (cpu = 0; cpu < nr_cpu_ids; cpu++)
		if (s->cpus[cpu])
			add_stats(sum, s->cpus[cpu]);
	return put_stats(skb, sum);
}

int kst_netmsg_put_session(struct sk_buff *skb, struct kst_session *s)
{
	int r = -EMSGSIZE;

	BUILD_BUG_ON((int)KST_NEW != KSTRATA_STATE_NEW ||
		     (int)KST_READY != KSTRATA_STATE_READY ||
		     (int)KST_RUNNING != KSTRATA_STATE_RUNNING);
	mutex_lock(&s->lock);
	if (nla_put_u32(skb, KSTRATA_ATTR_SESSION, s->id) ||
	    nla_put_u32(skb, KSTRATA_ATTR_STATE, s->state) ||
	    nla_put_u32(skb, KSTRATA_ATTR_OPENER, s->opener))
		goto out;
	r = s->state == KST_NEW ? 0 : put_setup(skb, s);
out:
	mutex_unlock(&s->lock);
	return r;
}

/*
 * sum = what c counts; idle since when: they belong together. Bound: the CPU is in
 * between for some instructions; what is still in between then is not told.
 */
static u64 get_idle(u64 *sum, const struct kst_cpu *c)
{
	const struct kstrata_ring_producer *p = c->ring.producer;
	u64 since;
	int tries;

	for (tries = 0; tries < 1000; tries++) {
		since = READ_ONCE(p->idle_since);
		/* In this order, as the ABI tells everybody to. */
		smp_rmb();
		memset(sum, 0, ARRAY_SIZE(stat_at) * sizeof(*sum));
		add_stats(sum, c);
		/* And back. */
		smp_rmb();
		if (since != IDLE_CHANGING && since == READ_ONCE(p->idle_since))
			return since;
		cpu_relax();
	}
	return 0;
}

int kst_netmsg_put_cpu(struct sk_buff *skb, const struct kst_session *s,
		       const struct kst_cpu *c)
{
	const struct kstrata_ring_producer *p = c->ring.producer;
	u64 sum[ARRAY_SIZE(stat_at)] = { 0 };
	u64 started = READ_ONCE(p->started), period = s->period, since;

	/* Off: what it was at the end is in force no longer. */
	if (started)
		period = READ_ONCE(c->period);
	since = get_idle(sum, c);
	if (nla_put_u32(skb, KSTRATA_ATTR_SESSION, s->id) ||
	    nla_put_u32(skb, KSTRATA_ATTR_CPU, c->cpu) ||
	    kst_netmsg_put_u64(skb, KSTRATA_ATTR_PERIOD, period) ||
	    kst_netmsg_put_u64(skb, KSTRATA_ATTR_ASKED, s->period) ||
	    kst_netmsg_put_u64(skb, KSTRATA_ATTR_IDLE_SINCE, since) ||
	    kst_netmsg_put_u64(skb, KSTRATA_ATTR_STARTED, started))
		return -EMSGSIZE;
	if (period > s->period && nla_put_flag(skb, KSTRATA_ATTR_THROTTLED))
		return -EMSGSIZE;
	return put_stats(skb, sum);
}
