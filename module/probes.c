// SPDX-License-Identifier: GPL-2.0-only
#include "probes.h"

#include <linux/printk.h>
#include <linux/string.h>
#include <linux/tracepoint.h>

#include "main.h"

static const char *const names[KST_TP_NR] = {
	[KST_TP_EXEC] = "sched_process_exec",
	[KST_TP_EXIT] = "sched_process_exit",
	[KST_TP_FORK] = "sched_process_fork",
	[KST_TP_RENAME] = "task_rename",
	[KST_TP_SWITCH] = "sched_switch",
	[KST_TP_SOFTIRQ_ENTRY] = "softirq_entry",
	[KST_TP_SOFTIRQ_EXIT] = "softirq_exit",
};

static void found(struct tracepoint *tp, void *data)
{
	int i;

	for (i = 0; i < KST_TP_NR; i++)
		if (!strcmp(tp->name, names[i]))
			kst.tp[i] = tp;
}

int kst_probes_init(void)
{
	int i;

	for_each_kernel_tracepoint(found, NULL);
	for (i = 0; i < KST_TP_NR; i++) {
		if (kst.tp[i])
			continue;
		pr_err("this kernel has no tracepoint %s\n", names[i]);
		return -ENOENT;
	}
	return 0;
}

int kst_probes_add(struct kst_session *s, const struct kst_probe *probes, int nr)
{
	int i, r;

	for (i = 0; i < nr; i++) {
		r = tracepoint_probe_register(kst.tp[probes[i].tp],
					      probes[i].fn, s);
		if (r) {
			/* The kernel warns of one that was not registered. */
			kst_probes_remove(s, probes, i);
			return r;
		}
	}
	return 0;
}

void kst_probes_remove(struct kst_session *s, const struct kst_probe *probes,
		       int nr)
{
	while (nr--)
		tracepoint_probe_unregister(kst.tp[probes[nr].tp],
					    probes[nr].fn, s);
	tracepoint_synchronize_unregister();
}
