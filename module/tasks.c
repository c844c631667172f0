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

static void tell(struct kst_session *s, struct task_struct *task,
		 const char *comm, u16 event, u16 flags,
		 struct task_struct *parent)
{
	struct kst_cpu *c = kst_session_this_cpu(s);
	struct kstrata_task *rec;
	u64 now;

	if (!c || !READ_ONCE(s->telling))
		return;
	now = ktime_get_ns();
	rec = kst_cpu_reserve(c, sizeof(*rec), now, 0);
	if (!rec)
		return;
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
}

/*
 * Task context, preemption as the kernel version has it: interrupts off makes
 * us the rings' only producer, and keeps the sessions.
 */
static void record(struct task_struct *task, const char *comm, u16 event,
		   u16 flags, struct task_struct *parent)
{
	struct kst_session *s;
	unsigned long irq;
	unsigned int i;

	if (kst_task_is_kernel(task))
		flags |= KSTRATA_TASK_KTHREAD;
	local_irq_save(irq);
	kst_for_each_running(s, i)
		tell(s, task, comm, event, flags, parent);
	local_irq_restore(irq);
}

void kst_tasks_probe_exec(void *data, struct task_struct *task, pid_t old_pid,
			  struct linux_binprm *bprm)
{
	u16 flags = 0;

	check_trace_callback_type_sched_process_exec(kst_tasks_probe_exec);
	/* The registers are the new program's already. */
	if (kst_regs_compat(task_pt_regs(task)))
		flags |= KSTRATA_TASK_COMPAT;
	record(task, task->comm, KSTRATA_TASK_EXEC, flags, NULL);
}

void kst_tasks_probe_exit(void *data, KST_PROTO_EXIT)
{
	u16 flags = 0;

	check_trace_callback_type_sched_process_exit(kst_tasks_probe_exit);
	if (!atomic_read(&task->signal->live))
		flags |= KSTRATA_TASK_LAST;
	record(task, task->comm, KSTRATA_TASK_EXIT, flags, NULL);
}

void kst_tasks_probe_fork(void *data, struct task_struct *parent,
			  struct task_struct *child)
{
	check_trace_callback_type_sched_process_fork(kst_tasks_probe_fork);
	record(child, child->comm, KSTRATA_TASK_FORK, 0, parent);
}

void kst_tasks_probe_rename(void *data, struct task_struct *task,
			    const char *comm)
{
	check_trace_callback_type_task_rename(kst_tasks_probe_rename);
	record(task, comm, KSTRATA_TASK_COMM, 0, NULL);
}
