// SPDX-License-Identifier: GPL-2.0-only
/* The shims do on this kernel what their comments say. */
#include "suites.h"

#include <linux/atomic.h>
#include <linux/completion.h>
#include <linux/cpu.h>
#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/smp.h>
#include <linux/tracepoint.h>

#include <asm/irq_regs.h>

#include "../compat/hrtimer.h"
#include "../compat/regs.h"
#include "../compat/task.h"
#include "../compat/tracepoints.h"

struct fired {
	struct hrtimer timer;
	int wanted_cpu;
	atomic_t times, elsewhere, soft, irqs_on, no_regs;
};

static enum hrtimer_restart fire(struct hrtimer *timer)
{
	struct fired *f = container_of(timer, struct fired, timer);

	if (smp_processor_id() != f->wanted_cpu)
		atomic_inc(&f->elsewhere);
	if (!in_hardirq())
		atomic_inc(&f->soft);
	if (!irqs_disabled())
		atomic_inc(&f->irqs_on);
	if (!get_irq_regs())
		atomic_inc(&f->no_regs);
	if (atomic_inc_return(&f->times) >= 5)
		return HRTIMER_NORESTART;
	hrtimer_forward_now(timer, ns_to_ktime(500000));
	return HRTIMER_RESTART;
}

static void start_here(void *arg)
{
	struct fired *f = arg;

	f->wanted_cpu = smp_processor_id();
	hrtimer_start(&f->timer, ns_to_ktime(500000), HRTIMER_MODE_REL_PINNED_HARD);
}

/* In hard interrupt context, on the CPU that started it, with registers. */
static void compat_hrtimer(struct kunit *test)
{
	int cpu;

	cpus_read_lock();
	for_each_online_cpu(cpu) {
		struct fired *f = kunit_kzalloc(test, sizeof(*f), GFP_KERNEL);
		int left = 500;

		if (!f)
			break;
		kst_hrtimer_setup(&f->timer, fire);
		smp_call_function_single(cpu, start_here, f, 1);
		while (atomic_read(&f->times) < 5 && left--)
			msleep(20);
		hrtimer_cancel(&f->timer);
		KUNIT_EXPECT_EQ(test, atomic_read(&f->times), 5);
		KUNIT_EXPECT_EQ(test, atomic_read(&f->elsewhere), 0);
		KUNIT_EXPECT_EQ(test, atomic_read(&f->soft), 0);
		KUNIT_EXPECT_EQ(test, atomic_read(&f->irqs_on), 0);
		KUNIT_EXPECT_EQ(test, atomic_read(&f->no_regs), 0);
	}
	cpus_read_unlock();
}

struct asked {
	bool user;
	struct completion done;
};

static int ask_self(void *arg)
{
	struct asked *a = arg;

	a->user = kst_task_is_user(current);
	complete(&a->done);
	return 0;
}

static void compat_task(struct kunit *test)
{
	struct asked a = { .user = true };
	struct task_struct *task;

	init_completion(&a.done);
	task = kthread_run(ask_self, &a, "kst-test");
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, task);
	wait_for_completion(&a.done);
	KUNIT_EXPECT_FALSE(test, a.user);
	KUNIT_EXPECT_FALSE(test, kst_task_is_user(&init_task));
}

static void compat_regs(struct kunit *test)
{
	struct pt_regs regs = {};

#ifdef CONFIG_X86_64
	regs.cs = __USER_CS;
	regs.bp = 0x1234;
	KUNIT_EXPECT_FALSE(test, kst_regs_compat(&regs));
	KUNIT_EXPECT_EQ(test, kst_regs_frame_pointer(&regs), 0x1234ul);
	regs.cs = __USER32_CS;
	KUNIT_EXPECT_TRUE(test, kst_regs_compat(&regs));
#else
	regs.pstate = PSR_MODE_EL0t;
	regs.regs[29] = 0x1234;
	KUNIT_EXPECT_FALSE(test, kst_regs_compat(&regs));
	KUNIT_EXPECT_EQ(test, kst_regs_frame_pointer(&regs), 0x1234ul);
	regs.pstate |= PSR_MODE32_BIT;
	KUNIT_EXPECT_TRUE(test, kst_regs_compat(&regs));
#endif
}

static struct kunit_case cases[] = {
	KUNIT_CASE(compat_hrtimer),
	KUNIT_CASE(compat_task),
	KUNIT_CASE(compat_regs),
	{}
};

struct kunit_suite kst_compat_suite = {
	.name = "kstrata-compat",
	.test_cases = cases,
};
