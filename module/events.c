// SPDX-License-Identifier: GPL-2.0-only
#include "events.h"

#include <linux/bitops.h>
#include <linux/cpuhotplug.h>
#include <linux/jiffies.h>
#include <net/netlink.h>

#include "main.h"
#include "netlink.h"
#include "netmsg.h"
#include "session.h"

/* Between two rounds of LOSS events. */
#define LOSS_JIFFIES	HZ

enum {
	MARK_THROTTLE,
	MARK_LOSS,
	MARK_HOTPLUG,
	MARK_ONLINE,	/* what MARK_HOTPLUG tells */
};

static void tell_throttle(struct kst_cpu *c)
{
	struct kst_cpu_events *e = &c->events;
	u64 period, asked, handler_ns;
	struct sk_buff *skb;
	unsigned int seq;
	void *header;

	/* Bound: a writer is an interrupt handler, rarely run and soon done. */
	do {
		seq = read_seqcount_begin(&e->seq);
		period = e->period;
		asked = e->asked;
		handler_ns = e->handler_ns;
	} while (read_seqcount_retry(&e->seq, seq));

	skb = kst_netlink_event(KSTRATA_CMD_EVENT_THROTTLE, c->session->id,
				c->cpu, &header);
	if (!skb)
		return;
	if (kst_netmsg_put_u64(skb, KSTRATA_ATTR_PERIOD, period) ||
	    kst_netmsg_put_u64(skb, KSTRATA_ATTR_ASKED, asked) ||
	    kst_netmsg_put_u64(skb, KSTRATA_ATTR_HANDLER_NS, handler_ns))
		nlmsg_free(skb);
	else
		kst_netlink_send(skb, header);
}

static void tell_hotplug(struct kst_cpu *c)
{
	struct sk_buff *skb;
	void *header;

	skb = kst_netlink_event(KSTRATA_CMD_EVENT_HOTPLUG, c->session->id,
				c->cpu, &header);
	if (!skb)
		return;
	if (nla_put_u32(skb, KSTRATA_ATTR_ONLINE,
			test_bit(MARK_ONLINE, &c->events.marks)))
		nlmsg_free(skb);
	else
		kst_netlink_send(skb, header);
}

static void tell_loss(struct kst_cpu *c, bool heard)
{
	const struct kstrata_ring_producer *p = c->ring.producer;
	u64 lost = READ_ONCE(p->lost), weight = READ_ONCE(p->lost_weight);
	struct kst_cpu_events *e = &c->events;
	u64 more = lost - e->told_lost, more_weight = weight - e->told_weight;
	struct sk_buff *skb;
	void *header;

	if (heard) {
		skb = kst_netlink_event(KSTRATA_CMD_EVENT_LOSS, c->session->id,
					c->cpu, &header);
		/* The next one will tell of these as well. */
		if (!skb)
			return;
		if (kst_netmsg_put_u64(skb, KSTRATA_ATTR_LOST, more) ||
		    kst_netmsg_put_u64(skb, KSTRATA_ATTR_LOST_WEIGHT, more_weight))
			nlmsg_free(skb);
		else
			kst_netlink_send(skb, header);
	}
	e->told_lost = lost;
	e->told_weight = weight;
}

/*
 * A mark is taken before what it stands for is read, and made after that was
 * written: what comes too late for this round makes another.
 */
static void work_fn(struct work_struct *work)
{
	struct kst_session *s = container_of(to_delayed_work(work),
					     struct kst_session, events.work);
	/* Pairs with the release in kst_session_setup(). */
	struct kst_cpu **cpus = smp_load_acquire(&s->cpus);
	bool due = time_after_eq(jiffies, s->events.next_loss);
	bool heard = kst_netlink_heard(), later = false, loss = false;
	unsigned int cpu;

	if (!cpus)
		return;
	for (cpu = 0; cpu < nr_cpu_ids; cpu++) {
		struct kst_cpu *c = cpus[cpu];

		if (!c)
			continue;
		if (test_and_clear_bit(MARK_THROTTLE, &c->events.marks) && heard)
			tell_throttle(c);
		if (test_and_clear_bit(MARK_HOTPLUG, &c->events.marks) && heard)
			tell_hotplug(c);
		if (!due) {
			/* The mark stays, so that the handler makes no more. */
			later |= test_bit(MARK_LOSS, &c->events.marks);
		} else if (test_and_clear_bit(MARK_LOSS, &c->events.marks)) {
			tell_loss(c, heard);
			loss = true;
		}
	}
	if (loss)
		s->events.next_loss = jiffies + LOSS_JIFFIES;
	if (later)
		queue_delayed_work(system_power_efficient_wq, &s->events.work,
				   max_t(long, s->events.next_loss - jiffies, 1));
}

/* Any context. Brings the work forward when it waits to tell of losses. */
static void hurry(struct kst_session *s)
{
	mod_delayed_work(system_power_efficient_wq, &s->events.work, 0);
}

static void kick_fn(struct irq_work *kick)
{
	hurry(container_of(kick, struct kst_session, events.kick));
}

void kst_event_throttle(struct kst_cpu *c, u64 period, u64 asked,
			u64 handler_ns)
{
	struct kst_cpu_events *e = &c->events;

	raw_write_seqcount_begin(&e->seq);
	e->period = period;
	e->asked = asked;
	e->handler_ns = handler_ns;
	raw_write_seqcount_end(&e->seq);
	/* Whoever sees the mark sees these as well. */
	smp_mb__before_atomic();
	set_bit(MARK_THROTTLE, &e->marks);
	irq_work_queue(&c->session->events.kick);
}

void kst_event_loss(struct kst_cpu *c)
{
	/* Not all machines order a mark that is there already. */
	smp_mb__before_atomic();
	if (!test_and_set_bit(MARK_LOSS, &c->events.marks))
		irq_work_queue(&c->session->events.kick);
}

/* In the hotplug thread of the CPU; not on START and STOP, as sampler.c's are. */
static int hotplug(unsigned int cpu, struct hlist_node *node, bool online)
{
	struct kst_session *s = hlist_entry(node, struct kst_session,
					    events.hotplug);
	/* Pairs with the release in kst_session_setup(). */
	struct kst_cpu **cpus = smp_load_acquire(&s->cpus);
	struct kst_cpu *c = cpus ? cpus[cpu] : NULL;

	if (!c || READ_ONCE(s->state) != KST_RUNNING)
		return 0;
	assign_bit(MARK_ONLINE, &c->events.marks, online);
	/* Whoever sees the mark sees that one as well. */
	smp_mb__before_atomic();
	set_bit(MARK_HOTPLUG, &c->events.marks);
	hurry(s);
	return 0;
}

static int events_online(unsigned int cpu, struct hlist_node *node)
{
	return hotplug(cpu, node, true);
}

static int events_offline(unsigned int cpu, struct hlist_node *node)
{
	return hotplug(cpu, node, false);
}

void kst_events_init_cpu(struct kst_cpu *c)
{
	seqcount_init(&c->events.seq);
}

int kst_events_begin(struct kst_session *s)
{
	init_irq_work(&s->events.kick, kick_fn);
	INIT_DELAYED_WORK(&s->events.work, work_fn);
	s->events.next_loss = jiffies;
	return cpuhp_state_add_instance_nocalls(kst.cpuhp_events,
						&s->events.hotplug);
}

void kst_events_end(struct kst_session *s)
{
	/* In this order: each may start the next. */
	cpuhp_state_remove_instance_nocalls(kst.cpuhp_events,
					    &s->events.hotplug);
	irq_work_sync(&s->events.kick);
	cancel_delayed_work_sync(&s->events.work);
}

int kst_events_init(void)
{
	int r;

	r = cpuhp_setup_state_multi(CPUHP_AP_ONLINE_DYN, "kstrata:events",
				    events_online, events_offline);
	if (r < 0)
		return r;
	kst.cpuhp_events = r;
	return 0;
}

void kst_events_exit(void)
{
	cpuhp_remove_multi_state(kst.cpuhp_events);
}
