// SPDX-License-Identifier: GPL-2.0-only
#include "tasks.h"

#include <linux/binfmts.h>
#include <linux/irqflags.h>
#include <linux/ktime.h>
#include <linux/pid_namespace.h>
#include <linux/sched/signal.h>
#include <linux/sched/task_stack.h>
#include <linux/string.h>

#include "compat/regs.h"
#include "compat/task.h"
#include "compat/tracepoints.h"
#include "filter.h"
#include "main.h"
#include "probes.h"
#include "session.h"

u32 kst_task_pid(const struct kst_session *s, struct task_struct *task)
{
	/* Nearly always; the other way walks the task's pid. */
	if (likely(s->pid_ns == &init_pid_ns))
		return task->tgid;
	return task_tgid_nr_ns(task, s->pid_ns);
}

u32 kst_task_tid(const struct kst_session *s, struct task_struct *task)
{
	if (likely(s->pid_ns == &init_pid_ns))
		return task->pid;
	return task_pid_nr_ns(task, s->pid_ns);
}

/*
 * Task context, preemption as the kernel version has it: interrupts off makes
 * us the ring's only producer.
 */
static void record(struct kst_session *s, struct task_struct *task,
		   const char *comm, u16 event, u16 flags,
		   struct task_struct *parent)
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
	rec = kst_cpu_reserve(c, sizeof(*rec), now, 0);
	if (!rec)
		goto out;
	if (kst_task_is_kernel(task))
		flags |= KSTRATA_TASK_KTHREAD;
	*rec = (struct kstrata_task){
		.hdr.type = KSTRATA_RECORD_TASK,
		.hdr.flags = flags,
		.hdr.size = sizeof(*rec),
		.hdr.time = now,
		.pid = kst_task_pid(s, task),
		.tid = kst_task_tid(s, task),
		.event = event,
		.cgroup = kst_cgroup_of(task),
	};
	if (parent) {
		rec->parent_pid = kst_task_pid(s, parent);
		rec->parent_tid = kst_task_tid(s, parent);
	}
	strscpy(rec->comm, comm, sizeof(rec->comm));
	kst_cpu_commit(c);
out:
	local_irq_restore(irq);
}

static void probe_exec(void *data, struct task_struct *task, pid_t old_pid,
		       struct linux_binprm *bprm)
{
	u16 flags = 0;

	/* The registers are the new program's already. */
	if (kst_regs_compat(task_pt_regs(task)))
		flags |= KSTRATA_TASK_COMPAT;
	record(data, task, task->comm, KSTRATA_TASK_EXEC, flags, NULL);
}

static void probe_exit(void *data, KST_PROTO_EXIT)
{
	u16 flags = 0;

	if (!atomic_read(&task->signal->live))
		flags |= KSTRATA_TASK_LAST;
	record(data, task, task->comm, KSTRATA_TASK_EXIT, flags, NULL);
}

static void probe_fork(void *data, struct task_struct *parent,
		       struct task_struct *child)
{
	record(data, child, child->comm, KSTRATA_TASK_FORK, 0, parent);
}

static void probe_rename(void *data, struct task_struct *task,
			 const char *comm)
{
	record(data, task, comm, KSTRATA_TASK_COMM, 0, NULL);
}

static const struct kst_probe probes[] = {
	{ KST_TP_EXEC, probe_exec },
	{ KST_TP_EXIT, probe_exit },
	{ KST_TP_FORK, probe_fork },
	{ KST_TP_RENAME, probe_rename },
};

static void check_types(void)
{
	check_trace_callback_type_sched_process_exec(probe_exec);
	check_trace_callback_type_sched_process_exit(probe_exit);
	check_trace_callback_type_sched_process_fork(probe_fork);
	check_trace_callback_type_task_rename(probe_rename);
}

int kst_tasks_start(struct kst_session *s)
{
	check_types();
	return kst_probes_add(s, probes, ARRAY_SIZE(probes));
}

void kst_tasks_stop(struct kst_session *s)
{
	kst_probes_remove(s, probes, ARRAY_SIZE(probes));
}
