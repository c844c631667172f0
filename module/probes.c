// SPDX-License-Identifier: GPL-2.0-only
#include "probes.h"

#include <linux/kernel.h>
#include <linux/printk.h>
#include <linux/string.h>
#include <linux/tracepoint.h>

#include "main.h"
#include "park.h"
#include "tasks.h"

/* Longer than a daemon takes to restart. */
#define LINGER_JIFFIES	(10 * HZ)

/* Types are checked where the functions are. */
static const struct {
	const char *name;
	void *fn;
} probes[KST_TP_NR] = {
	[KST_TP_EXEC] = { "sched_process_exec", kst_tasks_probe_exec },
	[KST_TP_EXIT] = { "sched_process_exit", kst_tasks_probe_exit },
	[KST_TP_FORK] = { "sched_process_fork", kst_tasks_probe_fork },
	[KST_TP_RENAME] = { "task_rename", kst_tasks_probe_rename },
	[KST_TP_SWITCH] = { "sched_switch", kst_park_probe_switch },
	[KST_TP_SOFTIRQ_ENTRY] = { "softirq_entry",
				   kst_park_probe_softirq_entry },
	[KST_TP_SOFTIRQ_EXIT] = { "softirq_exit",
				  kst_park_probe_softirq_exit },
};

static void unregister_all(struct kst_probes *p)
{
	/* The kernel warns of one that was not registered. */
	while (p->registered) {
		p->registered--;
		tracepoint_probe_unregister(p->tp[p->registered],
					    probes[p->registered].fn, NULL);
	}
	tracepoint_synchronize_unregister();
}

static int register_all(struct kst_probes *p)
{
	int r;

	while (p->registered < KST_TP_NR) {
		r = tracepoint_probe_register(p->tp[p->registered],
					      probes[p->registered].fn, NULL);
		if (r) {
			unregister_all(p);
			return r;
		}
		p->registered++;
	}
	return 0;
}

static void linger_fn(struct work_struct *work)
{
	struct kst_probes *p = &kst.probes;

	mutex_lock(&p->lock);
	if (!p->nr_running)
		unregister_all(p);
	mutex_unlock(&p->lock);
}

int kst_probes_hold(struct kst_session *s)
{
	struct kst_probes *p = &kst.probes;
	unsigned int i = 0;
	int r;

	mutex_lock(&p->lock);
	r = register_all(p);
	if (r)
		goto out;
	/* There is a place: not more than these sessions exist. */
	while (rcu_access_pointer(p->running[i]))
		i++;
	rcu_assign_pointer(p->running[i], s);
	if (i >= p->end)
		WRITE_ONCE(p->end, i + 1);
	p->nr_running++;
out:
	mutex_unlock(&p->lock);
	return r;
}

void kst_probes_drop(struct kst_session *s)
{
	struct kst_probes *p = &kst.probes;
	unsigned int i = 0;

	mutex_lock(&p->lock);
	while (rcu_access_pointer(p->running[i]) != s)
		i++;
	RCU_INIT_POINTER(p->running[i], NULL);
	while (p->end && !rcu_access_pointer(p->running[p->end - 1]))
		WRITE_ONCE(p->end, p->end - 1);
	p->nr_running--;
	if (!p->nr_running)
		mod_delayed_work(system_power_efficient_wq, &p->linger,
				 LINGER_JIFFIES);
	mutex_unlock(&p->lock);
	/* Probes use a session with interrupts off. */
	synchronize_rcu();
}

static void found(struct tracepoint *tp, void *data)
{
	int i;

	for (i = 0; i < KST_TP_NR; i++)
		if (!strcmp(tp->name, probes[i].name))
			kst.probes.tp[i] = tp;
}

int kst_probes_init(void)
{
	int i;

	mutex_init(&kst.probes.lock);
	INIT_DELAYED_WORK(&kst.probes.linger, linger_fn);
	for_each_kernel_tracepoint(found, NULL);
	for (i = 0; i < KST_TP_NR; i++) {
		if (kst.probes.tp[i])
			continue;
		pr_err("this kernel has no tracepoint %s\n", probes[i].name);
		return -ENOENT;
	}
	return 0;
}

void kst_probes_exit(void)
{
	cancel_delayed_work_sync(&kst.probes.linger);
	unregister_all(&kst.probes);
}
