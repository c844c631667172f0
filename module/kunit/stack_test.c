// SPDX-License-Identifier: GPL-2.0-only
/*
 * 32-bit code's stacks that are made here, word by word: right ones, wrong ones and
 * random ones; the kernel's that there are. x86-64: the registers are.
 */
#include "../stack.c"


#include <asm/irq_regs.h>

#include <kstrata/period.h>

#include "../compat/hrtimer.h"
#include "forged.h"
#include "suites.h"

#define DEPTH	KSTRATA_USER_DEPTH_MAX
#define STACK	(4 * PAGE_SIZE)
#define CODE	0x401000ul

#ifdef CONFIG_X86_64

struct forged {
	struct pt_regs regs;
	unsigned long stack;	/* user address of the lowest byte */
	u64 frames[DEPTH + 1];	/* and one that must not be written */
	u16 n;
	u8 reason;
};

static int stack_setup(struct kunit *test)
{
	struct forged *w = kunit_kzalloc(test, sizeof(*w), GFP_KERNEL);

	if (!w)
		return -ENOMEM;
	test->priv = w;
	w->stack = forged_stack(test, STACK, 0, MAP_32BIT);
	if (!w->stack)
		return -ENOMEM;
	w->regs.cs = __USER32_CS;
	w->regs.ip = CODE;
	w->regs.sp = w->stack;
	w->regs.bp = w->stack;
	return 0;
}

static void go(struct forged *w, u16 max)
{
	unsigned long flags;

	w->frames[max] = FORGED_END;
	w->reason = 0xff;
	local_irq_save(flags);
	w->n = kst_stack_user32(&w->regs, w->frames, max, &w->reason);
	local_irq_restore(flags);
}

static bool sane(const struct forged *w, u16 max)
{
	return forged_sane(w->frames, w->n, max, w->reason);
}

static void put32(struct forged *w, unsigned long at, u32 next, u32 ret)
{
	u32 __user *p = (u32 __user *)(w->stack + at);

	WARN_ON(put_user(next, p) || put_user(ret, p + 1));
}

/* nr callers, each with a frame of step bytes; the last has none above. */
static void chain(struct forged *w, unsigned int nr, unsigned long step)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		put32(w, i * step, i + 1 < nr ? w->stack + (i + 1) * step : 0,
		      CODE + 0x100 * (i + 1));
}

static void stack_user32_chain(struct kunit *test)
{
	struct forged *w = test->priv;
	unsigned int nr, i;
	u16 max;

	for (nr = 1; nr < DEPTH; nr += 7) {
		chain(w, nr, 28);
		go(w, DEPTH);
		KUNIT_ASSERT_TRUE(test, sane(w, DEPTH));
		KUNIT_ASSERT_EQ(test, w->n, nr + 1);
		KUNIT_ASSERT_EQ(test, w->reason, KSTRATA_REASON_COMPLETE);
		for (i = 0; i <= nr; i++)
			KUNIT_ASSERT_EQ(test, w->frames[i], CODE + 0x100 * i);
	}
	chain(w, 100, 8);
	for (max = 1; max <= 101; max++) {
		go(w, max);
		KUNIT_ASSERT_TRUE(test, sane(w, max));
		KUNIT_ASSERT_EQ(test, w->n, max);
		KUNIT_ASSERT_EQ(test, w->reason,
				max == 101 ? KSTRATA_REASON_COMPLETE :
					     KSTRATA_REASON_DEPTH);
	}
}

static void stack_user32_wrong(struct kunit *test)
{
	struct forged *w = test->priv;
	const struct {
		const char *what;
		unsigned long next;
		u8 reason;
	} wrong[] = {
		{ "itself", w->stack, KSTRATA_REASON_BAD_FRAME },
		{ "inwards", w->stack - 8, KSTRATA_REASON_BAD_FRAME },
		{ "overlapping", w->stack + 4, KSTRATA_REASON_BAD_FRAME },
		{ "unaligned", w->stack + 17, KSTRATA_REASON_BAD_FRAME },
		{ "not there", w->stack + STACK, KSTRATA_REASON_FAULT },
		{ "half there", w->stack + STACK - 4, KSTRATA_REASON_FAULT },
		{ "the last word", 0xfffffffcul, KSTRATA_REASON_FAULT },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		put32(w, 0, wrong[i].next, CODE + 1);
		go(w, DEPTH);
		KUNIT_EXPECT_TRUE(test, sane(w, DEPTH));
		KUNIT_EXPECT_EQ_MSG(test, w->n, 2, "%s", wrong[i].what);
		KUNIT_EXPECT_EQ_MSG(test, w->reason, wrong[i].reason, "%s",
				    wrong[i].what);
	}
	w->regs.bp = (unsigned long)w;
	go(w, DEPTH);
	KUNIT_EXPECT_EQ(test, w->n, 1);
	KUNIT_EXPECT_EQ(test, w->reason, KSTRATA_REASON_FAULT);
}

/* Any words at all: the walk ends, within its bound. */
static void stack_user32_random(struct kunit *test)
{
	struct forged *w = test->priv;
	u64 random = 161803;
	unsigned int i;

	for (i = 0; i < kst_test_trials(50000); i++) {
		unsigned int n;
		u16 max = 1 + kst_random(&random) % DEPTH;

		for (n = kst_random(&random) % 8; n; n--) {
			u32 next = kst_random(&random);

			if (kst_random(&random) % 8)
				next = w->stack + kst_random(&random) % STACK;
			if (kst_random(&random) % 8)
				next &= ~3u;
			put32(w, kst_random(&random) % (STACK / 8) * 8, next,
			      kst_random(&random) >> kst_random(&random) % 32);
		}
		w->regs.bp = w->stack + kst_random(&random) % (STACK / 4) * 4;
		w->regs.sp = w->stack + kst_random(&random) % STACK;
		w->regs.ip = kst_random(&random);
		go(w, max);
		KUNIT_ASSERT_TRUE(test, sane(w, max));
	}
}

struct interrupted {
	struct hrtimer timer;
	struct forged *w;
	unsigned int left, kernel, bad, deepest;
};

/* Every depth finds the same frames, as many as it may. */
static void walk_interrupted(struct interrupted *in)
{
	struct forged *w = in->w;
	struct pt_regs *regs = get_irq_regs();
	u64 few[16];
	u16 max, n;
	u8 reason;

	if (!regs || user_mode(regs))
		return;
	in->kernel++;
	w->frames[KSTRATA_KERNEL_DEPTH_MAX] = FORGED_END;
	w->n = kst_stack_kernel(regs, w->frames, KSTRATA_KERNEL_DEPTH_MAX,
				&w->reason);
	in->deepest = max_t(unsigned int, in->deepest, w->n);
	in->bad += w->n < 1 || w->n > KSTRATA_KERNEL_DEPTH_MAX ||
		   w->frames[0] != instruction_pointer(regs) ||
		   w->frames[KSTRATA_KERNEL_DEPTH_MAX] != FORGED_END;
	for (max = 1; max < ARRAY_SIZE(few); max++) {
		few[max] = FORGED_END;
		n = kst_stack_kernel(regs, few, max, &reason);
		in->bad += n != min(max, w->n) || few[max] != FORGED_END ||
			   memcmp(few, w->frames, n * sizeof(*few)) ||
			   (n < w->n && reason != KSTRATA_REASON_DEPTH);
	}
}

static enum hrtimer_restart interrupt(struct hrtimer *timer)
{
	struct interrupted *in = container_of(timer, struct interrupted, timer);

	walk_interrupted(in);
	if (!--in->left)
		return HRTIMER_NORESTART;
	hrtimer_forward_now(timer, ns_to_ktime(NSEC_PER_MSEC));
	return HRTIMER_RESTART;
}

/* Whatever this CPU is at, most of all the loop below. */
static void stack_kernel_interrupted(struct kunit *test)
{
	struct interrupted *in = kunit_kzalloc(test, sizeof(*in), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, in);
	in->w = test->priv;
	in->left = kst_test_trials(500);
	kst_hrtimer_setup(&in->timer, interrupt);
	hrtimer_start(&in->timer, ns_to_ktime(NSEC_PER_MSEC),
		      HRTIMER_MODE_REL_PINNED_HARD);
	while (READ_ONCE(in->left)) {
		kfree(kmalloc(64, GFP_KERNEL));
		cond_resched();
	}
	hrtimer_cancel(&in->timer);
	KUNIT_EXPECT_GT(test, in->kernel, 0);
	/* Down to where kernel threads begin. */
	KUNIT_EXPECT_GT(test, in->deepest, 4);
	KUNIT_EXPECT_EQ(test, in->bad, 0);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(stack_user32_chain),
	KUNIT_CASE(stack_user32_wrong),
	KUNIT_CASE(stack_user32_random),
	KUNIT_CASE(stack_kernel_interrupted),
	{}
};
#else
static struct kunit_case cases[] = { {} };
static int stack_setup(struct kunit *test)
{
	return 0;
}
#endif

struct kunit_suite kst_stack_suite = {
	.name = "kstrata-stack",
	.init = stack_setup,
	.test_cases = cases,
};
