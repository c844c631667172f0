// SPDX-License-Identifier: GPL-2.0-only
/*
 * Walks over stacks that are made here, word by word, in code whose mappings and rows
 * are made here too: right ones, wrong ones and random ones. x86-64: the registers
 * are.
 */
#include "../unwind.c"


#include <kstrata/period.h>

#include "forged.h"
#include "suites.h"
#include "unwind_cases.h"

static void unwind_steps(struct kunit *test)
{
	static const int machines[] = { KST_X86_64, KST_ARM64 };
	struct uw_world *w = kunit_kzalloc(test, sizeof(*w), GFP_KERNEL);
	u64 random = 271828;
	unsigned int i, m;

	KUNIT_ASSERT_NOT_NULL(test, w);
	for (m = 0; m < ARRAY_SIZE(machines); m++) {
		for (i = 0; i < UW_NR_CASES; i++) {
			const char *wrong = uw_run(w, i, machines[m]);

			KUNIT_EXPECT_TRUE_MSG(test, !wrong, "%s, %d: %s",
					      uw_cases[i].name, machines[m],
					      wrong ?: "");
		}
		KUNIT_EXPECT_NULL(test, uw_random(w, machines[m], &random,
						  kst_test_trials(20000)));
	}
}

#ifdef CONFIG_X86_64

#define DEPTH	KSTRATA_USER_DEPTH_MAX
#define STACK	(4 * PAGE_SIZE)
#define CODE	0x401000ul

/* The code that there is: 64 KiB each. */
#define ROWS	0x10000000ul	/* an object with rows, number 16 */
#define BARE	0x20000000ul	/* one without, number 17 */
#define SOON	0x30000000ul	/* one whose rows are not there yet, number 18 */
#define JIT	0x40000000ul	/* memory that is no file's */
#define DATA	0x50000000ul	/* not executable */
#define FULL	0x60000000ul	/* an object that got no number */
#define PART	0x10000ul

/* In the object with rows, a rule for each 0x100 bytes. */
enum {
	BY_SP,		/* CFA = SP + 32 */
	BY_BP,		/* CFA = RBP + 16 */
	ENDS,
	BAD,
	NONE,
	SIGNAL,
	BY_RBX,		/* CFA = RBX + 8, the third register */
	KEEPS,		/* CFA = SP + 16, RBX at CFA - 16, RBP as it is */
	HOSTILE,	/* any, see random */
	NR_RULES
};

static const struct kstrata_save at_8 = { KSTRATA_SAVE_AT_CFA, 0, 0, -8 };
static const struct kstrata_save at_16 = { KSTRATA_SAVE_AT_CFA, 0, 0, -16 };

struct forged {
	struct pt_regs regs;
	struct kst_rows *rows;
	struct kst_rule_cache cache;
	u16 starts[KSTRATA_ROWS_PER_BLOCK];
	u8 row_rules[KSTRATA_ROWS_PER_BLOCK];
	u32 pages[2], blocks[1];
	struct kstrata_rule rules[NR_RULES];
	bool busy;
	unsigned int locked, missed;
	unsigned long stack;	/* user address of the lowest byte */
	struct kstrata_ring_producer p;
	struct kstrata_sample rec;
	u64 frames[DEPTH + 1];	/* and one that must not be written */
	u16 n;
	u8 reason;
};

/* ---- look-ups, as lookup.c would make them ----------------------------- */

u8 kst_lookup_begin(struct kst_lookup *l, struct kst_objects *o,
		    struct kstrata_ring_producer *p, u64 now)
{
	struct forged *w = (struct forged *)o;

	if (!o)
		return KSTRATA_LOOKUP_NONE;
	if (w->busy)
		return KSTRATA_LOOKUP_BUSY;
	*l = (struct kst_lookup){ .o = o };
	w->locked++;
	return KSTRATA_LOOKUP_DONE;
}

void kst_lookup_end(struct kst_lookup *l)
{
	((struct forged *)l->o)->locked--;
}

#define OBJECT(id)	(KSTRATA_FRAME_OBJECT | (u64)(id) << KSTRATA_FRAME_OFFSET_BITS)

const struct kst_span *kst_lookup_miss(struct kst_lookup *l, u64 at)
{
	struct forged *w = (struct forged *)l->o;
	const struct kst_span all[] = {
		{ .start = ROWS, .base = OBJECT(16) | 0x1000, .rows = w->rows },
		{ .start = BARE, .base = OBJECT(17) },
		{ .start = SOON, .base = OBJECT(18), .pending = true },
		{ .start = JIT, .base = KSTRATA_FRAME_ANON | JIT },
		{ .start = DATA, .base = KSTRATA_FRAME_NOWHERE | DATA },
		{ .start = FULL, .base = FULL, .full = true },
	};
	struct kst_span *span = &l->spans[l->next];
	unsigned int i;

	w->missed++;
	for (i = 0; i < ARRAY_SIZE(all); i++) {
		if (at - all[i].start >= PART)
			continue;
		*span = all[i];
		span->bytes = PART;
		l->next = (l->next + 1) % KST_SPANS;
		return span;
	}
	return NULL;
}

/* The stack, and a page behind it that is not in memory. */
bool kst_lookup_mapped(struct kst_lookup *l, u64 at)
{
	return at - ((struct forged *)l->o)->stack < STACK + PAGE_SIZE;
}

/* ---- the world --------------------------------------------------------- */

static void make_rows(struct forged *w)
{
	unsigned int i;

	for (i = 0; i < KSTRATA_ROWS_PER_BLOCK; i++) {
		w->starts[i] = i < NR_RULES ? i * 0x100 : KSTRATA_ROW_NONE;
		w->row_rules[i] = i < NR_RULES ? i : 0;
	}
	w->rows->serial++;
	w->rows->view = (struct kst_rows_view){
		.starts = w->starts, .rules = w->rules, .pages = w->pages,
		.blocks = w->blocks, .row_rules = w->row_rules,
		.first = 0x1000, .extent = NR_RULES * 0x100, .page_bits = 16,
		.aux = 3,
	};
	w->rules[BY_SP] = (struct kstrata_rule){
		.cfa = KSTRATA_CFA_REG, .reg = 7, .offset = 32,
		.ra = at_8, .fp = at_16,
	};
	w->rules[BY_BP] = (struct kstrata_rule){
		.cfa = KSTRATA_CFA_REG, .reg = 6, .offset = 16,
		.ra = at_8, .fp = at_16,
	};
	w->rules[ENDS] = (struct kstrata_rule){ .cfa = KSTRATA_CFA_END };
	w->rules[BAD] = (struct kstrata_rule){ .cfa = KSTRATA_CFA_BAD };
	w->rules[NONE] = (struct kstrata_rule){ .cfa = KSTRATA_CFA_NONE };
	w->rules[SIGNAL] = (struct kstrata_rule){ .cfa = KSTRATA_CFA_SIGNAL };
	w->rules[BY_RBX] = (struct kstrata_rule){
		.cfa = KSTRATA_CFA_REG, .reg = 3, .offset = 8, .ra = at_8,
	};
	w->rules[KEEPS] = (struct kstrata_rule){
		.cfa = KSTRATA_CFA_REG, .reg = 7, .offset = 16,
		.ra = at_8, .aux = at_16,
	};
}

/* A place in the middle of a rule's code. */
static unsigned long in(unsigned int rule)
{
	return ROWS + rule * 0x100 + 0x80;
}

static int unwind_setup(struct kunit *test)
{
	struct forged *w = kunit_kzalloc(test, sizeof(*w), GFP_KERNEL);

	if (!w)
		return -ENOMEM;
	test->priv = w;
	w->rows = kunit_kzalloc(test, sizeof(*w->rows), GFP_KERNEL);
	if (!w->rows)
		return -ENOMEM;
	make_rows(w);
	w->stack = forged_stack(test, STACK, PAGE_SIZE, 0);
	if (!w->stack)
		return -ENOMEM;
	w->regs.cs = __USER_CS;
	w->regs.ip = CODE;
	w->regs.sp = w->stack;
	w->regs.bp = w->stack;
	return 0;
}

static void walk(struct forged *w, struct kst_objects *o, u16 max)
{
	unsigned long flags;

	w->frames[max] = FORGED_END;
	w->rec = (struct kstrata_sample){ .user_reason = 0xff };
	local_irq_save(flags);
	kst_unwind_user(&w->regs, o, &w->cache, &w->p, &w->rec, w->frames, max);
	local_irq_restore(flags);
	w->n = w->rec.nr_user;
	w->reason = w->rec.user_reason;
}

/* Without look-ups. */
static void go(struct forged *w, u16 max)
{
	walk(w, NULL, max);
}

/* With. */
static void look(struct forged *w)
{
	walk(w, (struct kst_objects *)w, DEPTH);
}

static bool sane(const struct forged *w, u16 max)
{
	return forged_sane(w->frames, w->n, max, w->reason);
}

static void word(struct forged *w, unsigned long at, unsigned long value)
{
	WARN_ON(put_user(value, (unsigned long __user *)(w->stack + at)));
}

static void put(struct forged *w, unsigned long at, unsigned long next,
		unsigned long ret)
{
	word(w, at, next);
	word(w, at + 8, ret);
}

/* nr callers, each with a frame of step bytes; the last has none above. */
static void chain(struct forged *w, unsigned int nr, unsigned long step)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		put(w, i * step, i + 1 < nr ? w->stack + (i + 1) * step : 0,
		    CODE + 0x100 * (i + 1));
}

/* ---- without look-ups: frame pointers ---------------------------------- */

static void unwind_fp_chain(struct kunit *test)
{
	struct forged *w = test->priv;
	unsigned int nr, i;

	for (nr = 1; nr < DEPTH; nr += 7) {
		chain(w, nr, 64);
		go(w, DEPTH);
		KUNIT_ASSERT_TRUE(test, sane(w, DEPTH));
		KUNIT_ASSERT_EQ(test, w->n, nr + 1);
		KUNIT_ASSERT_EQ(test, w->reason, KSTRATA_REASON_COMPLETE);
		for (i = 0; i <= nr; i++)
			KUNIT_ASSERT_EQ(test, w->frames[i], CODE + 0x100 * i);
	}
}

static void unwind_fp_depth(struct kunit *test)
{
	struct forged *w = test->priv;
	u16 max;

	chain(w, 100, 16);
	for (max = 1; max <= 101; max++) {
		go(w, max);
		KUNIT_ASSERT_TRUE(test, sane(w, max));
		KUNIT_ASSERT_EQ(test, w->n, max);
		KUNIT_ASSERT_EQ(test, w->reason,
				max == 101 ? KSTRATA_REASON_COMPLETE :
					     KSTRATA_REASON_DEPTH);
	}
}

static void unwind_fp_wrong(struct kunit *test)
{
	struct forged *w = test->priv;
	const struct {
		const char *what;
		unsigned long next;
		u8 reason;
	} wrong[] = {
		{ "itself", w->stack, KSTRATA_REASON_BAD_FRAME },
		{ "inwards", w->stack - 16, KSTRATA_REASON_BAD_FRAME },
		{ "overlapping", w->stack + 8, KSTRATA_REASON_BAD_FRAME },
		{ "unaligned", w->stack + 33, KSTRATA_REASON_BAD_FRAME },
		{ "not there", w->stack + STACK, KSTRATA_REASON_FAULT },
		{ "half there", w->stack + STACK - 8, KSTRATA_REASON_FAULT },
		{ "the kernel's", (unsigned long)w, KSTRATA_REASON_FAULT },
		{ "not canonical", 1ul << 50, KSTRATA_REASON_FAULT },
		{ "the last word", ~7ul, KSTRATA_REASON_FAULT },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		put(w, 0, wrong[i].next, CODE + 1);
		go(w, DEPTH);
		KUNIT_EXPECT_TRUE(test, sane(w, DEPTH));
		KUNIT_EXPECT_EQ_MSG(test, w->n, 2, "%s", wrong[i].what);
		KUNIT_EXPECT_EQ_MSG(test, w->reason, wrong[i].reason, "%s",
				    wrong[i].what);
	}
	/* The first frame pointer of all. */
	w->regs.bp = w->stack - 8;
	go(w, DEPTH);
	KUNIT_EXPECT_EQ(test, w->reason, KSTRATA_REASON_BAD_FRAME);
	w->regs.bp = w->stack + STACK;
	go(w, DEPTH);
	KUNIT_EXPECT_EQ(test, w->reason, KSTRATA_REASON_FAULT);
	KUNIT_EXPECT_EQ(test, w->n, 1);
}

/* A word that says it is an object's frame, or any other kind, is not passed on. */
static void unwind_fp_forged(struct kunit *test)
{
	struct forged *w = test->priv;
	int bit;

	for (bit = 61; bit < 64; bit++) {
		put(w, 0, 0, 1ul << bit | CODE);
		go(w, DEPTH);
		KUNIT_EXPECT_TRUE(test, sane(w, DEPTH));
		KUNIT_EXPECT_EQ(test, w->reason, KSTRATA_REASON_BAD_FRAME);
		w->regs.ip = 1ul << bit | CODE;
		go(w, DEPTH);
		KUNIT_EXPECT_EQ(test, w->n, 0);
		KUNIT_EXPECT_EQ(test, w->reason, KSTRATA_REASON_BAD_FRAME);
		w->regs.ip = CODE;
	}
}

/* Any words at all: the walk ends, within its bound. */
static void unwind_fp_random(struct kunit *test)
{
	struct forged *w = test->priv;
	u64 random = 161803;
	unsigned int i;

	for (i = 0; i < kst_test_trials(100000); i++) {
		unsigned int n;
		u16 max = 1 + kst_random(&random) % DEPTH;

		for (n = kst_random(&random) % 8; n; n--) {
			u64 next = (u64)kst_random(&random) << 32 |
				   kst_random(&random);

			/* Mostly into the stack, mostly aligned. */
			if (kst_random(&random) % 8)
				next = w->stack + kst_random(&random) % STACK;
			if (kst_random(&random) % 8)
				next &= ~7ul;
			put(w, kst_random(&random) % (STACK / 16) * 16, next,
			    (u64)kst_random(&random) << kst_random(&random) % 32);
		}
		w->regs.bp = w->stack + kst_random(&random) % (STACK / 8) * 8;
		w->regs.sp = w->stack + kst_random(&random) % STACK;
		w->regs.ip = (u64)kst_random(&random) << kst_random(&random) % 33;
		go(w, max);
		KUNIT_ASSERT_TRUE(test, sane(w, max));
	}
}

/* ---- with look-ups ----------------------------------------------------- */

#define EXPECT_WALK(w, count, why, how) do { \
	KUNIT_EXPECT_EQ(test, (w)->n, count); \
	KUNIT_EXPECT_EQ(test, (w)->reason, why); \
	KUNIT_EXPECT_EQ(test, (w)->rec.walk, how); \
	KUNIT_EXPECT_EQ(test, (w)->rec.lookup, KSTRATA_LOOKUP_DONE); \
	KUNIT_EXPECT_EQ(test, (w)->locked, 0u); \
} while (0)

static u64 framed(unsigned long address)
{
	return OBJECT(16) | (0x1000 + address - ROWS);
}

static void unwind_rows(struct kunit *test)
{
	struct forged *w = test->priv;
	unsigned int nr, i;
	u64 by_rows;
	u16 max;

	/* Each of 32 bytes, from the one that was interrupted. */
	for (nr = 1; nr < DEPTH - 1; nr += 11) {
		for (i = 0; i < nr; i++)
			put(w, 32 * i + 16, 0xdead, i + 1 < nr ? in(BY_SP) :
								 in(ENDS));
		w->regs.ip = in(BY_SP);
		by_rows = w->p.frames_rows;
		look(w);
		EXPECT_WALK(w, nr + 1, KSTRATA_REASON_COMPLETE,
			    KSTRATA_WALK_ROWS);
		KUNIT_EXPECT_EQ(test, w->frames[0], framed(in(BY_SP)));
		KUNIT_EXPECT_EQ(test, w->frames[nr], framed(in(ENDS)));
		KUNIT_EXPECT_EQ(test, w->p.frames_rows - by_rows, nr);
	}
	KUNIT_EXPECT_EQ(test, w->p.frames_fp, 0);
	/* As many as there may be; the last has nr - 10 frames. */
	for (max = 1; max <= nr - 10; max++) {
		walk(w, (struct kst_objects *)w, max);
		EXPECT_WALK(w, max, max == nr - 10 ? KSTRATA_REASON_COMPLETE :
						     KSTRATA_REASON_DEPTH,
			    KSTRATA_WALK_ROWS);
		KUNIT_EXPECT_EQ(test, w->frames[max], FORGED_END);
	}
}

/* A return address belongs to the call before it, be it the last of its code. */
static void unwind_last_call(struct kunit *test)
{
	struct forged *w = test->priv;

	w->regs.ip = in(BY_SP);
	put(w, 16, w->stack + 64, ROWS + BY_BP * 0x100 + 0x100);
	put(w, 64, 0, in(ENDS));
	look(w);
	EXPECT_WALK(w, 3, KSTRATA_REASON_COMPLETE, KSTRATA_WALK_ROWS);
	/* What was interrupted is where it is. */
	w->regs.ip = ROWS + BY_BP * 0x100 + 0x100;
	look(w);
	EXPECT_WALK(w, 1, KSTRATA_REASON_COMPLETE, 0);
}

static void unwind_mixed(struct kunit *test)
{
	struct forged *w = test->priv;

	/* Rows, then a JIT's code by its frame pointer, then rows. */
	w->regs.ip = in(BY_SP);
	put(w, 16, w->stack + 64, JIT + 0x80);
	put(w, 64, w->stack + 0x200, in(BY_BP));
	put(w, 0x200, 0, in(ENDS));
	look(w);
	EXPECT_WALK(w, 4, KSTRATA_REASON_COMPLETE,
		    KSTRATA_WALK_ROWS | KSTRATA_WALK_FP);
	KUNIT_EXPECT_EQ(test, w->frames[1], KSTRATA_FRAME_ANON | (JIT + 0x80));
	KUNIT_EXPECT_EQ(test, w->p.frames_rows, 2);
	KUNIT_EXPECT_EQ(test, w->p.frames_fp, 1);

	/* Rows that will come. */
	put(w, 16, w->stack + 64, SOON + 0x80);
	look(w);
	EXPECT_WALK(w, 4, KSTRATA_REASON_COMPLETE, KSTRATA_WALK_ROWS |
		    KSTRATA_WALK_FP | KSTRATA_WALK_PENDING);
	/* Rows that do not cover it; an object without. */
	put(w, 16, w->stack + 64, in(NONE));
	look(w);
	EXPECT_WALK(w, 4, KSTRATA_REASON_COMPLETE,
		    KSTRATA_WALK_ROWS | KSTRATA_WALK_FP);
	put(w, 16, w->stack + 64, ROWS + PART);
	look(w);
	EXPECT_WALK(w, 4, KSTRATA_REASON_COMPLETE,
		    KSTRATA_WALK_ROWS | KSTRATA_WALK_FP);
	put(w, 16, w->stack + 64, FULL + 0x80);
	look(w);
	EXPECT_WALK(w, 4, KSTRATA_REASON_COMPLETE,
		    KSTRATA_WALK_ROWS | KSTRATA_WALK_FP);
	KUNIT_EXPECT_EQ(test, w->p.raw_full, 1);
	KUNIT_EXPECT_EQ(test, w->frames[1], FULL + 0x80);
	/* The third register, across a frame that saves it. */
	w->regs.ip = in(KEEPS);
	w->regs.bx = 0;
	put(w, 0, w->stack + 0x100, in(BY_RBX));
	word(w, 0x100, in(ENDS));
	look(w);
	EXPECT_WALK(w, 3, KSTRATA_REASON_COMPLETE, KSTRATA_WALK_ROWS);
}

static void unwind_cut(struct kunit *test)
{
	struct forged *w = test->priv;

	w->regs.ip = in(BY_SP);
	put(w, 16, w->stack + 64, in(BAD));
	look(w);
	EXPECT_WALK(w, 2, KSTRATA_REASON_BAD_RULE, KSTRATA_WALK_ROWS);
	/* Neither rows nor a frame pointer: of the leaf, of its caller. */
	w->regs.ip = BARE + 8;
	w->regs.bp = 0;
	look(w);
	EXPECT_WALK(w, 1, KSTRATA_REASON_NO_ROWS, 0);
	w->regs.bp = w->stack + 13;
	look(w);
	EXPECT_WALK(w, 1, KSTRATA_REASON_NO_ROWS, 0);
	w->regs.bp = 0x123450;
	look(w);
	EXPECT_WALK(w, 1, KSTRATA_REASON_NO_ROWS, 0);
	w->regs.ip = SOON + 8;
	look(w);
	EXPECT_WALK(w, 1, KSTRATA_REASON_NO_ROWS, KSTRATA_WALK_PENDING);
	w->regs.ip = in(BY_SP);
	put(w, 16, w->stack + 13, BARE + 8);
	look(w);
	EXPECT_WALK(w, 2, KSTRATA_REASON_NO_ROWS, KSTRATA_WALK_ROWS);
	/* One that ends, or has none above it. */
	put(w, 16, 0, BARE + 8);
	look(w);
	EXPECT_WALK(w, 2, KSTRATA_REASON_COMPLETE, KSTRATA_WALK_ROWS);
	put(w, 16, w->stack + 64, BARE + 8);
	put(w, 64, 0, BARE + 16);
	look(w);
	EXPECT_WALK(w, 3, KSTRATA_REASON_COMPLETE,
		    KSTRATA_WALK_ROWS | KSTRATA_WALK_FP);
	/* A chain that goes astray: it was one. */
	put(w, 64, w->stack + 13, BARE + 16);
	look(w);
	EXPECT_WALK(w, 3, KSTRATA_REASON_BAD_FRAME,
		    KSTRATA_WALK_ROWS | KSTRATA_WALK_FP);
	/* To what is no code. */
	put(w, 64, w->stack + 96, DATA + 16);
	look(w);
	EXPECT_WALK(w, 3, KSTRATA_REASON_BAD_FRAME,
		    KSTRATA_WALK_ROWS | KSTRATA_WALK_FP);
	KUNIT_EXPECT_EQ(test, w->frames[2], KSTRATA_FRAME_NOWHERE | (DATA + 16));
	put(w, 64, w->stack + 96, 0x1234);
	look(w);
	EXPECT_WALK(w, 3, KSTRATA_REASON_BAD_FRAME,
		    KSTRATA_WALK_ROWS | KSTRATA_WALK_FP);
	KUNIT_EXPECT_EQ(test, w->frames[2], KSTRATA_FRAME_NOWHERE | 0x1234);
	/* A page that is mapped and not there, one that is not. */
	w->regs.ip = in(BY_SP);
	w->regs.sp = w->stack + STACK - 8;
	look(w);
	EXPECT_WALK(w, 1, KSTRATA_REASON_NOT_RESIDENT, 0);
	w->regs.ip = in(BY_BP);
	w->regs.bp = w->stack + STACK + PAGE_SIZE;
	look(w);
	EXPECT_WALK(w, 1, KSTRATA_REASON_FAULT, 0);
	/* Not even the leaf's own. */
	w->regs.ip = BARE + 8;
	w->regs.sp = 0x1000;
	look(w);
	EXPECT_WALK(w, 1, KSTRATA_REASON_FAULT, 0);
}

static void unwind_signal(struct kunit *test)
{
	struct forged *w = test->priv;

	/* A handler on another stack, above. */
	w->regs.sp = w->stack + 0x1000;
	w->regs.ip = in(BY_SP);
	put(w, 0x1010, 0, ROWS + SIGNAL * 0x100 + 1);
	word(w, 0x1020 + 40 + 8 * 15, w->stack + 0x100);	/* rsp */
	word(w, 0x1020 + 40 + 8 * 10, w->stack + 0x200);	/* rbp */
	word(w, 0x1020 + 40 + 8 * 16, ROWS + BY_SP * 0x100);	/* rip */
	put(w, 0x110, 0, in(ENDS));
	look(w);
	EXPECT_WALK(w, 4, KSTRATA_REASON_COMPLETE,
		    KSTRATA_WALK_ROWS | KSTRATA_WALK_SIGNAL);
	/* By all registers of what was interrupted. */
	word(w, 0x1020 + 40 + 8 * 11, w->stack + 0x300);	/* rbx */
	word(w, 0x1020 + 40 + 8 * 16, in(BY_RBX));
	word(w, 0x300, in(ENDS));
	look(w);
	EXPECT_WALK(w, 4, KSTRATA_REASON_COMPLETE,
		    KSTRATA_WALK_ROWS | KSTRATA_WALK_SIGNAL);
	/* A frame that claims to be its own signal frame ends at the depth. */
	word(w, 0x1020 + 40 + 8 * 15, w->stack + 0x1020);
	word(w, 0x1020 + 40 + 8 * 16, in(SIGNAL));
	look(w);
	EXPECT_WALK(w, DEPTH, KSTRATA_REASON_DEPTH,
		    KSTRATA_WALK_ROWS | KSTRATA_WALK_SIGNAL);
}

/* Without rows, what the leaf is about to do. */
static void unwind_code(struct kunit *test)
{
	struct forged *w = test->priv;

	/* push %rbp; mov %rsp,%rbp, on the stack: nowhere, but a leaf. */
	word(w, 0x800, 0xe5894855);
	w->regs.ip = w->stack + 0x800;
	w->regs.bp = w->stack + 0x100;
	put(w, 0, BARE + 1, BARE + 2);
	put(w, 0x100, 0, BARE + 3);
	look(w);
	EXPECT_WALK(w, 3, KSTRATA_REASON_COMPLETE,
		    KSTRATA_WALK_CODE | KSTRATA_WALK_FP);
	KUNIT_EXPECT_EQ(test, w->frames[1], OBJECT(17) | 1);
	KUNIT_EXPECT_EQ(test, w->frames[2], OBJECT(17) | 3);
	w->regs.ip++;
	look(w);
	EXPECT_WALK(w, 3, KSTRATA_REASON_COMPLETE,
		    KSTRATA_WALK_CODE | KSTRATA_WALK_FP);
	KUNIT_EXPECT_EQ(test, w->frames[1], OBJECT(17) | 2);
	w->regs.ip += 3;
	look(w);
	EXPECT_WALK(w, 2, KSTRATA_REASON_COMPLETE, KSTRATA_WALK_FP);
	KUNIT_EXPECT_EQ(test, w->frames[1], OBJECT(17) | 3);
	/* Also where nothing is looked up. */
	w->regs.ip = w->stack + 0x800;
	go(w, DEPTH);
	KUNIT_EXPECT_EQ(test, w->n, 3);
	KUNIT_EXPECT_EQ(test, w->frames[1], BARE + 1);
	KUNIT_EXPECT_EQ(test, w->rec.lookup, KSTRATA_LOOKUP_NONE);
}

static void unwind_busy(struct kunit *test)
{
	struct forged *w = test->priv;

	chain(w, 3, 64);
	w->busy = true;
	w->regs.ip = in(BY_SP);
	look(w);
	KUNIT_EXPECT_EQ(test, w->rec.lookup, KSTRATA_LOOKUP_BUSY);
	KUNIT_EXPECT_EQ(test, w->n, 4);
	KUNIT_EXPECT_EQ(test, w->frames[0], in(BY_SP));
	KUNIT_EXPECT_EQ(test, w->rec.walk, KSTRATA_WALK_FP);
	KUNIT_EXPECT_EQ(test, w->locked, 0u);
	/* The kernel's own address. */
	w->busy = false;
	w->regs.ip = (unsigned long)w;
	look(w);
	KUNIT_EXPECT_EQ(test, w->rec.lookup, KSTRATA_LOOKUP_NONE);
	KUNIT_EXPECT_EQ(test, w->n, 0);
}

/* Other rows of the same object, at the same address: the cache has none of these. */
static void unwind_replaced(struct kunit *test)
{
	struct forged *w = test->priv;
	unsigned int i;

	w->regs.ip = in(BY_SP);
	put(w, 16, 0, in(ENDS));
	put(w, 32, 0, in(BAD));
	for (i = 0; i < 3; i++) {
		look(w);
		EXPECT_WALK(w, 2, KSTRATA_REASON_COMPLETE, KSTRATA_WALK_ROWS);
	}
	w->rows->serial++;
	w->row_rules[ENDS] = BAD;
	w->rules[BY_SP].offset = 48;
	look(w);
	EXPECT_WALK(w, 2, KSTRATA_REASON_BAD_RULE, KSTRATA_WALK_ROWS);
	w->row_rules[BAD] = ENDS;
	/* The same serial: what was found before counts. */
	look(w);
	EXPECT_WALK(w, 2, KSTRATA_REASON_BAD_RULE, KSTRATA_WALK_ROWS);
	w->rows->serial++;
	look(w);
	EXPECT_WALK(w, 2, KSTRATA_REASON_COMPLETE, KSTRATA_WALK_ROWS);
}

/* Any rule, any words: the walk ends, within its bound. */
static void unwind_random(struct kunit *test)
{
	static const unsigned long parts[] = { ROWS, BARE, SOON, JIT, DATA, FULL };
	struct forged *w = test->priv;
	u64 random = 161803;
	unsigned int i;

	for (i = 0; i < kst_test_trials(100000); i++) {
		struct kstrata_rule *rule = &w->rules[kst_random(&random) % NR_RULES];
		unsigned int n;
		u16 max = 1 + kst_random(&random) % DEPTH;

		for (n = 0; n < sizeof(*rule); n++)
			((u8 *)rule)[n] = kst_random(&random);
		rule->cfa %= 9;
		if (kst_random(&random) % 4) {
			rule->reg %= 17;
			rule->index %= 17;
			rule->offset %= 64;
			rule->offset &= ~7;
			rule->add %= 64;
			rule->ra = at_8;
		}
		for (n = kst_random(&random) % 16; n; n--) {
			u64 value = w->stack + kst_random(&random) % STACK;

			if (kst_random(&random) % 2)
				value = parts[kst_random(&random) %
					      ARRAY_SIZE(parts)] +
					kst_random(&random) % (NR_RULES * 0x100);
			else if (kst_random(&random) % 8 == 0)
				value = (u64)kst_random(&random) << 32 |
					kst_random(&random);
			word(w, kst_random(&random) % (STACK / 8) * 8, value);
		}
		for (n = 0; n < offsetof(struct pt_regs, orig_ax) / 8; n++)
			((unsigned long *)&w->regs)[n] = w->stack +
				kst_random(&random) % (STACK / 8) * 8;
		w->regs.sp = w->stack + kst_random(&random) % (STACK / 8) * 8;
		w->regs.ip = parts[kst_random(&random) % ARRAY_SIZE(parts)] +
			     kst_random(&random) % (NR_RULES * 0x100);
		walk(w, (struct kst_objects *)w, max);
		KUNIT_ASSERT_TRUE(test, w->n >= 1 && w->n <= max &&
				  w->frames[max] == FORGED_END &&
				  w->reason != 0xff);
		KUNIT_ASSERT_EQ(test, w->locked, 0u);
	}
}

static struct kunit_case cases[] = {
	KUNIT_CASE(unwind_steps),
	KUNIT_CASE(unwind_fp_chain),
	KUNIT_CASE(unwind_fp_depth),
	KUNIT_CASE(unwind_fp_wrong),
	KUNIT_CASE(unwind_fp_forged),
	KUNIT_CASE(unwind_fp_random),
	KUNIT_CASE(unwind_rows),
	KUNIT_CASE(unwind_last_call),
	KUNIT_CASE(unwind_mixed),
	KUNIT_CASE(unwind_cut),
	KUNIT_CASE(unwind_signal),
	KUNIT_CASE(unwind_code),
	KUNIT_CASE(unwind_busy),
	KUNIT_CASE(unwind_replaced),
	KUNIT_CASE(unwind_random),
	{}
};
#else
static struct kunit_case cases[] = {
	KUNIT_CASE(unwind_steps),
	{}
};
static int unwind_setup(struct kunit *test)
{
	return 0;
}
#endif

struct kunit_suite kst_unwind_suite = {
	.name = "kstrata-unwind",
	.init = unwind_setup,
	.test_cases = cases,
};
