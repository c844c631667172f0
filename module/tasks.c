// SPDX-License-Identifier: GPL-2.0-only
#include "tasks.h"

#include <linux/binfmts.h>
#include <linux/irqflags.h>
#include <linux/ktime.h>
#include <linux/sched/signal.h>
#include <linux/string.h>

#include "compat/tracepoints.h"
#include "main.h"
#include "session.h"

/*
 * Task context, preemption as the kernel version has it: interrupts off makes
 * us the ring's only producer.
 */
static void record(struct kst_session *s, struct task_struct *task,
		   const char *comm, u16 event, u16 flags)
{
	struct kstrata_task *rec;
	struct kst_cpu *c;
	unsigned long irq;
	u64 now;

	local_irq_save(irq);
	c = kst_session_this_cpu(s);
	if (!c)
		goto out;
	now = ktime_get_ns();
	rec = kst_ring_reserve(&c->ring, sizeof(*rec), now, 0);
	if (!rec)
		goto out;
	*rec = (struct kstrata_task){
		.hdr.type = KSTRATA_RECORD_TASK,
		.hdr.flags = flags,
		.hdr.size = sizeof(*rec),
		.hdr.time = now,
		.pid = task->tgid,
		.tid = task->pid,
		.event = event,
	};
	strscpy(rec->comm, comm, sizeof(rec->comm));
	kst_cpu_commit(c);
out:
	local_irq_restore(irq);
}

static void probe_exec(void *data, struct task_struct *task, pid_t old_pid,
		       struct linux_binprm *bprm)
{
	record(data, task, task->comm, KSTRATA_TASK_EXEC, 0);
}

static void probe_exit(void *data, KST_PROTO_EXIT)
{
	u16 flags = 0;

	if (!atomic_read(&task->signal->live))
		flags |= KSTRATA_TASK_LAST;
	record(data, task, task->comm, KSTRATA_TASK_EXIT, flags);
}

static void probe_rename(void *data, struct task_struct *task,
			 const char *comm)
{
	record(data, task, comm, KSTRATA_TASK_COMM, 0);
}

static const struct {
	const char *name;
	void *probe;
} probes[KST_TP_NR] = {
	[KST_TP_EXEC] = { "sched_process_exec", probe_exec },
	[KST_TP_EXIT] = { "sched_process_exit", probe_exit },
	[KST_TP_RENAME] = { "task_rename", probe_rename },
};

/* Registration takes void pointers: have the compiler look at the types. */
static void check_types(void)
{
	check_trace_callback_type_sched_process_exec(probe_exec);
	check_trace_callback_type_sched_process_exit(probe_exit);
	check_trace_callback_type_task_rename(probe_rename);
}

static void found(struct tracepoint *tp, void *data)
{
	int i;

	for (i = 0; i < KST_TP_NR; i++)
		if (!strcmp(tp->name, probes[i].name))
			kst.tp[i] = tp;
}

int kst_tasks_init(void)
{
	int i;

	check_types();
	for_each_kernel_tracepoint(found, NULL);
	for (i = 0; i < KST_TP_NR; i++) {
		if (kst.tp[i])
			continue;
		pr_err("this kernel has no tracepoint %s\n", probes[i].name);
		return -ENOENT;
	}
	return 0;
}

int kst_tasks_start(struct kst_session *s)
{
	int i, r;

	for (i = 0; i < KST_TP_NR; i++) {
		r = tracepoint_probe_register(kst.tp[i], probes[i].probe, s);
		if (r) {
			kst_tasks_stop(s);
			return r;
		}
		s->probes++;
	}
	return 0;
}

void kst_tasks_stop(struct kst_session *s)
{
	int i;

	/* The kernel warns of one that was never registered. */
	for (; s->probes; s->probes--) {
		i = s->probes - 1;
		tracepoint_probe_unregister(kst.tp[i], probes[i].probe, s);
	}
	tracepoint_synchronize_unregister();
}
