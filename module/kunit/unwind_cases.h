/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * What kstrata/unwind.h must do, over memory and registers that are made here, for
 * both machines on any: run by KUnit and by tests/unit/test_unwind.c.
 */
#ifndef _KST_UNWIND_CASES_H
#define _KST_UNWIND_CASES_H

#include <kstrata/period.h>
#include <kstrata/unwind.h>

#define UW_BASE		0x7ffd00000000ULL
#define UW_WORDS	512
#define UW_TEXT		0x401000ULL
#define UW_CODE_WORDS	8

/* A stack, some code, the registers of the leaf by DWARF's numbers. */
struct uw_world {
	__u64 stack[UW_WORDS];
	__u64 code[UW_CODE_WORDS];
	__u64 regs[34];
	__u64 fault;
	unsigned int reads;
	struct kst_frame f;
	int machine;
	const char *wrong;
};

static int uw_read(void *ctx, __u64 at, __u64 *word)
{
	struct uw_world *w = ctx;
	const unsigned char *from;
	__u64 value = 0;
	int i;

	w->reads++;
	if (at >= UW_BASE && at <= UW_BASE + 8 * (UW_WORDS - 1)) {
		from = (const unsigned char *)w->stack + (at - UW_BASE);
	} else if (at >= UW_TEXT && at <= UW_TEXT + 8 * (UW_CODE_WORDS - 1)) {
		from = (const unsigned char *)w->code + (at - UW_TEXT);
	} else {
		w->fault = at;
		return 0;
	}
	/* Both machines' byte order, at any address. */
	for (i = 7; i >= 0; i--)
		value = value << 8 | from[i];
	*word = value;
	return 1;
}

static int uw_leaf(void *ctx, unsigned int reg, __u64 *value)
{
	struct uw_world *w = ctx;

	if (reg > (w->machine == KST_ARM64 ? 31u : 15u))
		return 0;
	*value = w->regs[reg];
	return 1;
}

static __u8 uw_rule(struct uw_world *w, const struct kstrata_rule *rule, __u8 aux)
{
	return w->machine == KST_ARM64 ?
		kst_unwind_rule(&w->f, rule, aux, KST_ARM64, uw_read, uw_leaf, w) :
		kst_unwind_rule(&w->f, rule, aux, KST_X86_64, uw_read, uw_leaf, w);
}

static __u8 uw_fp(struct uw_world *w)
{
	return w->machine == KST_ARM64 ?
		kst_unwind_fp(&w->f, KST_ARM64, uw_read, w) :
		kst_unwind_fp(&w->f, KST_X86_64, uw_read, w);
}

static __u8 uw_code(struct uw_world *w)
{
	return w->machine == KST_ARM64 ?
		kst_unwind_code(&w->f, KST_ARM64, uw_read, uw_leaf, w) :
		kst_unwind_code(&w->f, KST_X86_64, uw_read, uw_leaf, w);
}

#define UW_SP(w)	((w)->machine == KST_ARM64 ? 31 : 7)
#define UW_FP(w)	((w)->machine == KST_ARM64 ? 29 : 6)
/* One that functions leave as they find it. */
#define UW_KEPT(w)	((w)->machine == KST_ARM64 ? 19 : 3)

static void uw_reset(struct uw_world *w, int machine)
{
	unsigned int i;

	w->machine = machine;
	w->reads = 0;
	w->fault = 0;
	for (i = 0; i < UW_WORDS; i++)
		w->stack[i] = 0x5000 + i;
	for (i = 0; i < UW_CODE_WORDS; i++)
		w->code[i] = 0;
	for (i = 0; i < 34; i++)
		w->regs[i] = 0x1000 + i;
	kst_frame_leaf(&w->f, UW_TEXT + 16, UW_BASE + 64, UW_BASE + 256);
}

/* A frame that is not the leaf. */
static void uw_inner(struct uw_world *w, int machine)
{
	uw_reset(w, machine);
	w->f.flags = KST_FRAME_FP;
}

#define UW_STRING_(x)	#x
#define UW_STRING(x)	UW_STRING_(x)
#define UW_WANT(condition) \
	uw_want(w, (condition), __FILE__ ":" UW_STRING(__LINE__) ": " #condition)

/* The first thing that is wrong is kept. */
static void uw_want(struct uw_world *w, int good, const char *what)
{
	if (!good && !w->wrong)
		w->wrong = what;
}

/* CFA = reg + offset, the return address and the frame pointer below it. */
#define UW_RULE(r, o) { \
	.cfa = KSTRATA_CFA_REG, .reg = (__u8)(r), .offset = (o), \
	.ra = { .how = KSTRATA_SAVE_AT_CFA, .offset = -8 }, \
	.fp = { .how = KSTRATA_SAVE_AT_CFA, .offset = -16 } }

static const char *uw_case_registers(struct uw_world *w, int machine)
{
	struct kstrata_rule rule;
	struct kst_frame was;

	/* The stack pointer, the frame pointer, and any other of the leaf. */
	uw_reset(w, machine);
	rule = (struct kstrata_rule)UW_RULE(UW_SP(w), 32);
	UW_WANT(uw_rule(w, &rule, KSTRATA_ROWS_AUX_NONE) == KSTRATA_REASON_NONE);
	UW_WANT(w->f.sp == UW_BASE + 96 && w->f.pc == 0x5000 + 11 &&
		w->f.fp == 0x5000 + 10 &&
		w->f.flags == (KST_FRAME_FP | KST_FRAME_NEAR));
	UW_WANT(w->reads == 2);

	uw_inner(w, machine);
	rule = (struct kstrata_rule)UW_RULE(UW_FP(w), 16);
	UW_WANT(uw_rule(w, &rule, KSTRATA_ROWS_AUX_NONE) == KSTRATA_REASON_NONE);
	UW_WANT(w->f.sp == UW_BASE + 272 && w->f.pc == 0x5000 + 33);
	UW_WANT(kst_frame_place(&w->f) == 0x5000 + 32);

	uw_reset(w, machine);
	w->regs[UW_KEPT(w)] = UW_BASE + 400;
	rule = (struct kstrata_rule)UW_RULE(UW_KEPT(w), -40);
	UW_WANT(uw_rule(w, &rule, KSTRATA_ROWS_AUX_NONE) == KSTRATA_REASON_NONE);
	UW_WANT(w->f.sp == UW_BASE + 360);
	/* ... which is unknown in its caller. */
	was = w->f;
	UW_WANT(uw_rule(w, &rule, KSTRATA_ROWS_AUX_NONE) == KSTRATA_REASON_BAD_RULE);
	UW_WANT(w->f.pc == was.pc && w->f.sp == was.sp && w->f.fp == was.fp);
	/* A scratch register is taken to be as it was, but no further. */
	w->regs[10] = UW_BASE + 416;
	rule.reg = 10;
	rule.offset = 0;
	UW_WANT(uw_rule(w, &rule, KSTRATA_ROWS_AUX_NONE) == KSTRATA_REASON_NONE);
	UW_WANT(w->f.sp == UW_BASE + 416 && !(w->f.flags & KST_FRAME_NEAR));
	UW_WANT(uw_rule(w, &rule, KSTRATA_ROWS_AUX_NONE) == KSTRATA_REASON_BAD_RULE);

	/* No register at all. */
	uw_reset(w, machine);
	for (rule.reg = 34; rule.reg; rule.reg++)
		UW_WANT(uw_rule(w, &rule, KSTRATA_ROWS_AUX_NONE) ==
			KSTRATA_REASON_BAD_RULE);

	/* The frame pointer stays, or is lost, or is another register's value. */
	uw_reset(w, machine);
	rule = (struct kstrata_rule)UW_RULE(UW_SP(w), 32);
	rule.fp = (struct kstrata_save){ .how = KSTRATA_SAVE_SAME };
	UW_WANT(uw_rule(w, &rule, KSTRATA_ROWS_AUX_NONE) == KSTRATA_REASON_NONE);
	UW_WANT(w->f.fp == UW_BASE + 256 && w->f.flags & KST_FRAME_FP);
	rule.fp.how = KSTRATA_SAVE_LOST;
	UW_WANT(uw_rule(w, &rule, KSTRATA_ROWS_AUX_NONE) == KSTRATA_REASON_NONE);
	UW_WANT(w->f.flags == 0);
	UW_WANT(uw_fp(w) == KSTRATA_REASON_NO_ROWS);
	rule.fp.how = KSTRATA_SAVE_SAME;
	UW_WANT(uw_rule(w, &rule, KSTRATA_ROWS_AUX_NONE) == KSTRATA_REASON_NONE);
	UW_WANT(w->f.flags == 0);
	rule.reg = (__u8)UW_FP(w);
	UW_WANT(uw_rule(w, &rule, KSTRATA_ROWS_AUX_NONE) == KSTRATA_REASON_BAD_RULE);
	uw_reset(w, machine);
	rule = (struct kstrata_rule)UW_RULE(UW_SP(w), 32);
	rule.fp = (struct kstrata_save){ KSTRATA_SAVE_IS_REG, UW_KEPT(w), 0, -5 };
	UW_WANT(uw_rule(w, &rule, KSTRATA_ROWS_AUX_NONE) == KSTRATA_REASON_NONE);
	UW_WANT(w->f.fp == 0x1000 + UW_KEPT(w) - 5 && w->f.flags & KST_FRAME_FP);
	/* Not known here any more: only missed if it is asked for. */
	UW_WANT(uw_rule(w, &rule, KSTRATA_ROWS_AUX_NONE) == KSTRATA_REASON_NONE);
	UW_WANT(w->f.flags == 0);
	return w->wrong;
}

static const char *uw_case_aux(struct uw_world *w, int machine)
{
	struct kstrata_rule rule, by_aux;

	uw_reset(w, machine);
	w->regs[10] = UW_BASE + 800;
	rule = (struct kstrata_rule)UW_RULE(UW_SP(w), 32);
	by_aux = (struct kstrata_rule)UW_RULE(10, 8);
	/* From the leaf, unchanged, up to where it is asked for. */
	UW_WANT(uw_rule(w, &rule, 10) == KSTRATA_REASON_NONE);
	UW_WANT(uw_rule(w, &rule, 10) == KSTRATA_REASON_NONE);
	UW_WANT(w->f.aux == UW_BASE + 800 && w->f.aux_reg == 10);
	UW_WANT(uw_rule(w, &by_aux, 10) == KSTRATA_REASON_NONE);
	UW_WANT(w->f.sp == UW_BASE + 808 && w->f.pc == 0x5000 + 100);
	/* Another object's is another one: what was known of this is gone. */
	UW_WANT(uw_rule(w, &rule, 12) == KSTRATA_REASON_NONE);
	UW_WANT(w->f.aux_reg == KSTRATA_ROWS_AUX_NONE);
	UW_WANT(uw_rule(w, &by_aux, 10) == KSTRATA_REASON_BAD_RULE);

	/* Saved on the stack. */
	uw_inner(w, machine);
	rule.aux = (struct kstrata_save){ KSTRATA_SAVE_AT_CFA, 0, 0, -24 };
	UW_WANT(uw_rule(w, &rule, 10) == KSTRATA_REASON_NONE);
	UW_WANT(w->f.aux == 0x5000 + 9 && w->f.aux_reg == 10);
	rule.aux = (struct kstrata_save){ KSTRATA_SAVE_LOST, 0, 0, 0 };
	UW_WANT(uw_rule(w, &rule, 10) == KSTRATA_REASON_NONE);
	UW_WANT(w->f.aux_reg == KSTRATA_ROWS_AUX_NONE);
	/* 255 is no register, aux or not. */
	by_aux.reg = KSTRATA_ROWS_AUX_NONE;
	UW_WANT(uw_rule(w, &by_aux, KSTRATA_ROWS_AUX_NONE) ==
		KSTRATA_REASON_BAD_RULE);
	return w->wrong;
}

static const char *uw_case_expressions(struct uw_world *w, int machine)
{
	struct kstrata_rule rule;

	/* The word at SP + 8, + 16. */
	uw_reset(w, machine);
	w->stack[9] = UW_BASE + 320;
	rule = (struct kstrata_rule)UW_RULE(UW_SP(w), 8);
	rule.cfa = KSTRATA_CFA_DEREF;
	rule.add = 16;
	UW_WANT(uw_rule(w, &rule, KSTRATA_ROWS_AUX_NONE) == KSTRATA_REASON_NONE);
	UW_WANT(w->f.sp == UW_BASE + 336 && w->f.pc == 0x5000 + 41);
	uw_reset(w, machine);
	rule.offset = -64 - 8;
	UW_WANT(uw_rule(w, &rule, KSTRATA_ROWS_AUX_NONE) == KSTRATA_REASON_FAULT);
	UW_WANT(w->fault == UW_BASE - 8);

	/* The word at SP + 8 + 8 * 3, - 8. */
	uw_reset(w, machine);
	w->regs[9] = 3;
	w->stack[12] = UW_BASE + 320;
	rule.cfa = KSTRATA_CFA_INDEX;
	rule.index = 9;
	rule.offset = 8;
	rule.add = -8;
	UW_WANT(uw_rule(w, &rule, KSTRATA_ROWS_AUX_NONE) == KSTRATA_REASON_NONE);
	UW_WANT(w->f.sp == UW_BASE + 312);
	uw_inner(w, machine);
	UW_WANT(uw_rule(w, &rule, KSTRATA_ROWS_AUX_NONE) == KSTRATA_REASON_BAD_RULE);

	/* A PLT's entry, before and after it has pushed. */
	rule = (struct kstrata_rule)UW_RULE(UW_SP(w), 8);
	rule.cfa = KSTRATA_CFA_PLT;
	rule.add = 11;
	uw_reset(w, machine);
	w->f.pc = UW_TEXT + 10;
	UW_WANT(uw_rule(w, &rule, KSTRATA_ROWS_AUX_NONE) == KSTRATA_REASON_NONE);
	UW_WANT(w->f.sp == UW_BASE + 72 && w->f.pc == 0x5000 + 8);
	uw_reset(w, machine);
	w->f.pc = UW_TEXT + 11;
	UW_WANT(uw_rule(w, &rule, KSTRATA_ROWS_AUX_NONE) == KSTRATA_REASON_NONE);
	UW_WANT(w->f.sp == UW_BASE + 80 && w->f.pc == 0x5000 + 9);
	return w->wrong;
}

static const char *uw_case_return(struct uw_world *w, int machine)
{
	struct kstrata_rule rule;

	/* In a register, of the leaf only; it may have pushed nothing. */
	uw_reset(w, machine);
	w->regs[UW_KEPT(w)] = UW_TEXT + 0x777;
	rule = (struct kstrata_rule)UW_RULE(UW_SP(w), 0);
	rule.ra = (struct kstrata_save){ KSTRATA_SAVE_IS_REG, UW_KEPT(w), 0, 0 };
	rule.fp = (struct kstrata_save){ .how = KSTRATA_SAVE_SAME };
	UW_WANT(uw_rule(w, &rule, KSTRATA_ROWS_AUX_NONE) == KSTRATA_REASON_NONE);
	UW_WANT(w->f.pc == UW_TEXT + 0x777 && w->f.sp == UW_BASE + 64);
	UW_WANT(!w->reads);
	UW_WANT(uw_rule(w, &rule, KSTRATA_ROWS_AUX_NONE) == KSTRATA_REASON_BAD_FRAME);
	rule.offset = 8;
	UW_WANT(uw_rule(w, &rule, KSTRATA_ROWS_AUX_NONE) == KSTRATA_REASON_BAD_RULE);
	uw_reset(w, machine);
	w->regs[UW_KEPT(w)] = UW_BASE + 80;
	rule.ra = (struct kstrata_save){ KSTRATA_SAVE_AT_REG, UW_KEPT(w), 0, 8 };
	UW_WANT(uw_rule(w, &rule, KSTRATA_ROWS_AUX_NONE) == KSTRATA_REASON_NONE);
	UW_WANT(w->f.pc == 0x5000 + 11);
	/* An address that is computed. */
	uw_reset(w, machine);
	rule.ra = (struct kstrata_save){ KSTRATA_SAVE_IS_CFA, 0, 0, 24 };
	UW_WANT(uw_rule(w, &rule, KSTRATA_ROWS_AUX_NONE) == KSTRATA_REASON_NONE);
	UW_WANT(w->f.pc == UW_BASE + 72 + 24);

	/* In the link register: arm64 has one. Signed, too. */
	uw_reset(w, machine);
	w->regs[30] = UW_TEXT + 0x888;
	rule.ra = (struct kstrata_save){ .how = KSTRATA_SAVE_SAME };
	rule.offset = 0;
	if (machine == KST_ARM64) {
		UW_WANT(uw_rule(w, &rule, KSTRATA_ROWS_AUX_NONE) ==
			KSTRATA_REASON_NONE);
		UW_WANT(w->f.pc == UW_TEXT + 0x888);
		uw_inner(w, machine);
		rule.offset = 16;
	}
	UW_WANT(uw_rule(w, &rule, KSTRATA_ROWS_AUX_NONE) == KSTRATA_REASON_BAD_RULE);

	/* Not known any more; none; one that says it is another kind of frame. */
	uw_reset(w, machine);
	rule = (struct kstrata_rule)UW_RULE(UW_SP(w), 16);
	rule.ra.how = KSTRATA_SAVE_LOST;
	UW_WANT(uw_rule(w, &rule, KSTRATA_ROWS_AUX_NONE) == KSTRATA_REASON_BAD_RULE);
	rule.ra.how = 6;
	UW_WANT(uw_rule(w, &rule, KSTRATA_ROWS_AUX_NONE) == KSTRATA_REASON_BAD_RULE);
	rule.ra.how = KSTRATA_SAVE_AT_CFA;
	w->stack[9] = 0;
	UW_WANT(uw_rule(w, &rule, KSTRATA_ROWS_AUX_NONE) == KSTRATA_REASON_COMPLETE);
	if (machine == KST_X86_64) {
		w->stack[9] = KSTRATA_FRAME_OBJECT | UW_TEXT;
		UW_WANT(uw_rule(w, &rule, KSTRATA_ROWS_AUX_NONE) ==
			KSTRATA_REASON_BAD_FRAME);
		w->stack[9] = KSTRATA_FRAME_ANON | UW_TEXT;
		UW_WANT(uw_rule(w, &rule, KSTRATA_ROWS_AUX_NONE) ==
			KSTRATA_REASON_BAD_FRAME);
	}
	return w->wrong;
}

/* Outwards, aligned, readable; rules that name nothing. */
static const char *uw_case_wrong(struct uw_world *w, int machine)
{
	struct kstrata_rule rule;
	struct kst_frame was;
	int offset;

	uw_inner(w, machine);
	was = w->f;
	for (offset = -64; offset <= 64; offset++) {
		__u8 want = KSTRATA_REASON_NONE;

		rule = (struct kstrata_rule)UW_RULE(UW_SP(w), offset);
		w->f = was;
		if (offset <= 0 || offset % 8)
			want = KSTRATA_REASON_BAD_FRAME;
		UW_WANT(uw_rule(w, &rule, KSTRATA_ROWS_AUX_NONE) == want);
	}
	w->f = was;
	rule = (struct kstrata_rule)UW_RULE(UW_SP(w), 0x7ffffff8);
	UW_WANT(uw_rule(w, &rule, KSTRATA_ROWS_AUX_NONE) == KSTRATA_REASON_FAULT);
	UW_WANT(w->fault == UW_BASE + 64 + 0x7ffffff8 - 8);
	/* Each of the words may be missing. */
	rule = (struct kstrata_rule)UW_RULE(UW_SP(w), 16);
	rule.fp.offset = -0x10000;
	UW_WANT(uw_rule(w, &rule, KSTRATA_ROWS_AUX_NONE) == KSTRATA_REASON_FAULT);
	rule.fp.offset = -16;
	rule.aux = (struct kstrata_save){ KSTRATA_SAVE_AT_CFA, 0, 0, 0x10000 };
	UW_WANT(uw_rule(w, &rule, 3) == KSTRATA_REASON_FAULT);
	UW_WANT(w->f.pc == was.pc && w->f.sp == was.sp && w->f.fp == was.fp);
	/* Around the end of the address space. */
	w->f.fp = ~7ULL;
	rule = (struct kstrata_rule)UW_RULE(UW_FP(w), 16);
	UW_WANT(uw_rule(w, &rule, KSTRATA_ROWS_AUX_NONE) == KSTRATA_REASON_BAD_FRAME);
	rule.offset = -8;
	UW_WANT(uw_rule(w, &rule, KSTRATA_ROWS_AUX_NONE) == KSTRATA_REASON_FAULT);

	rule = (struct kstrata_rule){ .cfa = KSTRATA_CFA_END };
	UW_WANT(uw_rule(w, &rule, KSTRATA_ROWS_AUX_NONE) == KSTRATA_REASON_COMPLETE);
	rule.cfa = KSTRATA_CFA_BAD;
	UW_WANT(uw_rule(w, &rule, KSTRATA_ROWS_AUX_NONE) == KSTRATA_REASON_BAD_RULE);
	rule.cfa = KSTRATA_CFA_NONE;
	UW_WANT(uw_rule(w, &rule, KSTRATA_ROWS_AUX_NONE) == KSTRATA_REASON_BAD_RULE);
	for (rule.cfa = KSTRATA_CFA_PLT + 1; rule.cfa; rule.cfa++)
		UW_WANT(uw_rule(w, &rule, KSTRATA_ROWS_AUX_NONE) ==
			KSTRATA_REASON_BAD_RULE);
	return w->wrong;
}

/* Where a sigcontext has its registers, as the kernels' headers say. */
static const char *uw_case_signal(struct uw_world *w, int machine)
{
	const struct kstrata_rule signal = { .cfa = KSTRATA_CFA_SIGNAL };
	struct kstrata_rule rule;
	/* From SP on, in words. */
	unsigned int at = machine == KST_ARM64 ? 39 : 5;
	unsigned int sp = at + (machine == KST_ARM64 ? 31 : 15);
	unsigned int pc = at + (machine == KST_ARM64 ? 32 : 16);
	unsigned int fp = at + (machine == KST_ARM64 ? 29 : 10);
	unsigned int r3 = at + (machine == KST_ARM64 ? 3 : 11);
	unsigned int r0 = at + (machine == KST_ARM64 ? 0 : 13);

	/* Another stack, below this one. */
	uw_inner(w, machine);
	w->stack[8 + sp] = UW_BASE + 16;
	w->stack[8 + pc] = UW_TEXT + 0x999;
	w->stack[8 + fp] = UW_BASE + 40;
	w->stack[8 + r3] = UW_BASE + 48;
	UW_WANT(uw_rule(w, &signal, KSTRATA_ROWS_AUX_NONE) == KSTRATA_REASON_NONE);
	UW_WANT(w->f.sp == UW_BASE + 16 && w->f.pc == UW_TEXT + 0x999 &&
		w->f.fp == UW_BASE + 40);
	/* It was interrupted there: that is no return address. */
	UW_WANT(w->f.flags == (KST_FRAME_LEAF | KST_FRAME_FP));
	UW_WANT(kst_frame_place(&w->f) == w->f.pc);
	/* Its registers are those saved, all of them. */
	rule = (struct kstrata_rule)UW_RULE(3, 16);
	rule.ra = (struct kstrata_save){ KSTRATA_SAVE_IS_REG, 0, 0, 0 };
	UW_WANT(uw_rule(w, &rule, 3) == KSTRATA_REASON_NONE);
	UW_WANT(w->f.sp == UW_BASE + 64 && w->f.pc == 0x5000 + 8 + r0);
	UW_WANT(w->f.aux == UW_BASE + 48 && w->f.aux_reg == 3);
	UW_WANT(w->f.flags == (KST_FRAME_FP | KST_FRAME_NEAR));

	/* The link register counts once more. */
	uw_inner(w, machine);
	w->stack[8 + sp] = UW_BASE + 16;
	w->stack[8 + pc] = UW_TEXT;
	UW_WANT(uw_rule(w, &signal, KSTRATA_ROWS_AUX_NONE) == KSTRATA_REASON_NONE);
	rule = (struct kstrata_rule)UW_RULE(UW_SP(w), 0);
	rule.ra.how = KSTRATA_SAVE_SAME;
	rule.ra.offset = 0;
	rule.fp = rule.ra;
	if (machine == KST_ARM64) {
		UW_WANT(uw_rule(w, &rule, KSTRATA_ROWS_AUX_NONE) ==
			KSTRATA_REASON_NONE);
		UW_WANT(w->f.pc == 0x5000 + 8 + 39 + 30);
	} else {
		UW_WANT(uw_rule(w, &rule, KSTRATA_ROWS_AUX_NONE) ==
			KSTRATA_REASON_BAD_RULE);
	}

	/* Half of a frame; a PC that is none; one of zero. */
	uw_inner(w, machine);
	w->f.sp = UW_BASE + 8 * (UW_WORDS - at - 4);
	UW_WANT(uw_rule(w, &signal, KSTRATA_ROWS_AUX_NONE) == KSTRATA_REASON_FAULT);
	uw_inner(w, machine);
	w->stack[8 + pc] = KSTRATA_FRAME_NOWHERE;
	UW_WANT(uw_rule(w, &signal, KSTRATA_ROWS_AUX_NONE) ==
		KSTRATA_REASON_BAD_FRAME);
	w->stack[8 + pc] = 0;
	UW_WANT(uw_rule(w, &signal, KSTRATA_ROWS_AUX_NONE) ==
		KSTRATA_REASON_COMPLETE);
	return w->wrong;
}

static const char *uw_case_fp(struct uw_world *w, int machine)
{
	unsigned int low = machine == KST_ARM64 ? KST_FRAME_LOW : 0;

	uw_reset(w, machine);
	UW_WANT(uw_fp(w) == KSTRATA_REASON_NONE);
	UW_WANT(w->f.pc == 0x5000 + 33 && w->f.fp == 0x5000 + 32 &&
		w->f.sp == UW_BASE + 272);
	UW_WANT(w->f.flags == (KST_FRAME_FP | low));
	w->f.fp = 0;
	UW_WANT(uw_fp(w) == KSTRATA_REASON_COMPLETE);
	w->f.fp = UW_BASE + 276;
	UW_WANT(uw_fp(w) == KSTRATA_REASON_BAD_FRAME);
	w->f.fp = UW_BASE + 264;
	UW_WANT(uw_fp(w) == KSTRATA_REASON_BAD_FRAME);
	w->f.fp = UW_BASE + 8 * (UW_WORDS - 1);
	UW_WANT(uw_fp(w) == KSTRATA_REASON_FAULT);
	UW_WANT(w->fault == UW_BASE + 8 * UW_WORDS);
	w->f.fp = UW_BASE + 272;
	w->stack[35] = 0;
	UW_WANT(uw_fp(w) == KSTRATA_REASON_COMPLETE);
	w->stack[35] = KSTRATA_FRAME_NOWHERE | UW_TEXT;
	UW_WANT(machine == KST_ARM64 || uw_fp(w) == KSTRATA_REASON_BAD_FRAME);
	return w->wrong;
}

/* arm64: past a frame by its record, SP is known again from the next one's. */
static const char *uw_case_low(struct uw_world *w, int machine)
{
	struct kstrata_rule rule;

	if (machine != KST_ARM64)
		return w->wrong;
	uw_reset(w, machine);
	w->stack[32] = UW_BASE + 400;
	UW_WANT(uw_fp(w) == KSTRATA_REASON_NONE);
	/* A frame of 64 bytes, its record at the bottom. */
	rule = (struct kstrata_rule)UW_RULE(31, 64);
	rule.fp.offset = -64;
	rule.ra.offset = -56;
	UW_WANT(uw_rule(w, &rule, KSTRATA_ROWS_AUX_NONE) == KSTRATA_REASON_NONE);
	UW_WANT(w->f.sp == UW_BASE + 464 && w->f.pc == 0x5000 + 51 &&
		w->f.flags == KST_FRAME_FP);
	/* No record: by the frame pointer, SP stays unknown. */
	uw_reset(w, machine);
	w->stack[32] = UW_BASE + 400;
	UW_WANT(uw_fp(w) == KSTRATA_REASON_NONE);
	rule.fp.offset = -16;
	UW_WANT(uw_rule(w, &rule, KSTRATA_ROWS_AUX_NONE) == KSTRATA_REASON_NONE);
	UW_WANT(w->f.sp == UW_BASE + 416 &&
		w->f.flags == (KST_FRAME_FP | KST_FRAME_LOW));
	/* What else asks for it cannot be followed. */
	rule.cfa = KSTRATA_CFA_DEREF;
	UW_WANT(uw_rule(w, &rule, KSTRATA_ROWS_AUX_NONE) == KSTRATA_REASON_BAD_RULE);
	return w->wrong;
}

static void uw_put(struct uw_world *w, const unsigned char *bytes, unsigned int nr)
{
	unsigned char *to = (unsigned char *)w->code + 16;
	unsigned int i;

	for (i = 0; i < nr; i++)
		to[i] = bytes[i];
}

static const char *uw_case_code_x86_64(struct uw_world *w)
{
	static const struct {
		unsigned char bytes[9];
		unsigned char nr, at, words;
	} c[] = {
		{ { 0x55, 0x48, 0x89, 0xe5 }, 4, 0, 1 },
		{ { 0x55, 0x48, 0x8b, 0xec }, 4, 0, 1 },
		{ { 0xf3, 0x0f, 0x1e, 0xfa, 0x55, 0x48, 0x89, 0xe5 }, 8, 0, 1 },
		{ { 0x55, 0x48, 0x89, 0xe5 }, 4, 1, 2 },
		{ { 0x55, 0x48, 0x8b, 0xec }, 4, 1, 2 },
		{ { 0xc9, 0xc3 }, 2, 1, 1 },
		{ { 0x5d, 0xf3, 0xc3 }, 3, 1, 1 },
		{ { 0xc9, 0xc2, 0x08, 0x00 }, 4, 1, 1 },
		/* Not these: the frame pointer is this function's. */
		{ { 0xc9, 0xc3 }, 2, 0, 0 },
		{ { 0x5d, 0xc3 }, 2, 0, 0 },
		/* Nor these: RBP is any register here. */
		{ { 0x55, 0x53, 0x48, 0x89, 0xe5 }, 5, 0, 0 },
		{ { 0x53, 0x48, 0x89, 0xe5 }, 4, 1, 0 },
		{ { 0xf3, 0x0f, 0x1e, 0xfa, 0x53 }, 5, 0, 0 },
		{ { 0x90 }, 1, 0, 0 },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(c); i++) {
		uw_reset(w, KST_X86_64);
		uw_put(w, c[i].bytes, c[i].nr);
		w->f.pc += c[i].at;
		if (!c[i].words) {
			UW_WANT(uw_code(w) == KST_CODE_SILENT);
			continue;
		}
		UW_WANT(uw_code(w) == KSTRATA_REASON_NONE);
		UW_WANT(w->f.pc == 0x5000ULL + 8 + c[i].words - 1);
		UW_WANT(w->f.sp == UW_BASE + 64 + 8ULL * c[i].words);
		UW_WANT(w->f.fp == UW_BASE + 256 && w->f.flags == KST_FRAME_FP);
	}
	/* Code that cannot be read, a stack that cannot. */
	uw_reset(w, KST_X86_64);
	w->f.pc = UW_TEXT - 1;
	UW_WANT(uw_code(w) == KST_CODE_SILENT);
	uw_reset(w, KST_X86_64);
	uw_put(w, c[5].bytes + 1, 1);
	w->f.sp = UW_BASE - 8;
	UW_WANT(uw_code(w) == KSTRATA_REASON_FAULT);
	w->f.sp = UW_BASE + 4;
	UW_WANT(uw_code(w) == KSTRATA_REASON_BAD_FRAME);
	w->f.sp = UW_BASE;
	w->stack[0] = 0;
	UW_WANT(uw_code(w) == KSTRATA_REASON_COMPLETE);
	return w->wrong;
}

static const char *uw_case_code_arm64(struct uw_world *w)
{
	enum {
		PACIASP = 0xd503233f, AUTIASP = 0xd50323bf, NOP = 0xd503201f,
		STP_PRE = 0xa9bd7bfd,	/* stp x29, x30, [sp, #-48]! */
		STP = 0xa9037bfd,	/* stp x29, x30, [sp, #48] */
		SUB = 0xd10103ff,	/* sub sp, sp, #64 */
		MOV = 0x910003fd,	/* mov x29, sp */
		ADD = 0x9100c3fd,	/* add x29, sp, #48 */
		LDP_POST = 0xa8c37bfd,	/* ldp x29, x30, [sp], #48 */
		LDP = 0xa9437bfd,	/* ldp x29, x30, [sp, #48] */
		LDR_POST = 0xf84107fe,	/* ldr x30, [sp], #16 */
		UNSUB = 0x910103ff,	/* add sp, sp, #64 */
		RET = 0xd65f03c0, RETAA = 0xd65f0bff, RETAB = 0xd65f0fff,
		B = 0x14000004, BL = 0x94000004, BEQ = 0x54000040,
		CBZ = 0xb4000040, TBNZ = 0x37000040, BLR = 0xd63f0000,
		SVC = 0xd4000001,
	};
	static const struct {
		unsigned int code[9];
		unsigned char lr, exact;
	} c[] = {
		{ { STP_PRE, MOV }, 1, 0 },
		{ { PACIASP, STP_PRE, MOV }, 1, 0 },
		{ { MOV }, 1, 0 },
		{ { SUB, STP, ADD }, 1, 0 },
		{ { RET }, 1, 1 },
		{ { RETAA }, 1, 1 },
		{ { RETAB }, 1, 1 },
		{ { AUTIASP, RET }, 1, 0 },
		{ { UNSUB, RET }, 1, 0 },
		{ { NOP, NOP, NOP, NOP, NOP, NOP, NOP, RET }, 1, 0 },
		/* Not these: the record is this function's. */
		{ { LDP_POST, RET }, 0, 0 },
		{ { NOP, LDP, UNSUB, RET }, 0, 0 },
		{ { LDR_POST, RET }, 0, 0 },
		/* Nor is it told what is behind a branch, or too far. */
		{ { B, RET }, 0, 0 }, { { BL, RET }, 0, 0 }, { { BEQ, RET }, 0, 0 },
		{ { CBZ, RET }, 0, 0 }, { { TBNZ, RET }, 0, 0 },
		{ { BLR, RET }, 0, 0 }, { { SVC, RET }, 0, 0 },
		{ { NOP, NOP, NOP, NOP, NOP, NOP, NOP, NOP, RET }, 0, 0 },
	};
	unsigned int i, j;

	for (i = 0; i < ARRAY_SIZE(c); i++) {
		uw_reset(w, KST_ARM64);
		w->regs[30] = UW_TEXT + 0x100;
		for (j = 0; j < 9; j++)
			w->code[2 + j / 2] |= (__u64)c[i].code[j] << j % 2 * 32;
		if (!c[i].lr) {
			UW_WANT(uw_code(w) == KST_CODE_SILENT);
			continue;
		}
		UW_WANT(uw_code(w) == KSTRATA_REASON_NONE);
		UW_WANT(w->f.pc == UW_TEXT + 0x100 && w->f.sp == UW_BASE + 64 &&
			w->f.fp == UW_BASE + 256);
		UW_WANT(w->f.flags == (KST_FRAME_FP |
				       (c[i].exact ? 0 : KST_FRAME_LOW)));
	}
	uw_reset(w, KST_ARM64);
	w->f.pc = UW_TEXT + 8 * UW_CODE_WORDS;
	UW_WANT(uw_code(w) == KST_CODE_SILENT);
	return w->wrong;
}

static const char *uw_case_code(struct uw_world *w, int machine)
{
	return machine == KST_ARM64 ? uw_case_code_arm64(w) : uw_case_code_x86_64(w);
}

/* Any rule, any stack: each step ends, outwards or not at all, with few reads. */
static const char *uw_random(struct uw_world *w, int machine, __u64 *random,
			     unsigned int rounds)
{
	w->wrong = NULL;
	while (rounds-- && !w->wrong) {
		unsigned int steps;

		uw_reset(w, machine);
		for (steps = 0; steps < 64; steps++) {
			__u64 *word = &w->stack[kst_random(random) % UW_WORDS];

			*word = kst_random(random) % 4 ?
				UW_BASE + kst_random(random) % (8 * UW_WORDS) :
				(__u64)kst_random(random) << 32 | kst_random(random);
			if (kst_random(random) % 4)
				*word &= ~7ULL;
		}
		for (steps = 0; steps < 32; steps++) {
			struct kstrata_rule rule;
			unsigned char *bytes = (unsigned char *)&rule;
			struct kst_frame was = w->f;
			__u8 aux = kst_random(random) % 2 ?
				(__u8)kst_random(random) : KSTRATA_ROWS_AUX_NONE;
			__u8 reason;
			unsigned int i;

			for (i = 0; i < sizeof(rule); i++)
				bytes[i] = (unsigned char)kst_random(random);
			/* Mostly something like a rule. */
			if (kst_random(random) % 8) {
				rule.cfa %= 8;
				rule.reg %= 33;
				rule.index %= 33;
				rule.offset = (__s32)(kst_random(random) % 512) - 64;
				rule.ra.how %= 6;
				rule.fp.how %= 6;
				rule.aux.how %= 6;
				rule.ra.offset %= 256;
				rule.fp.offset %= 256;
				rule.aux.offset %= 256;
			}
			w->reads = 0;
			if (kst_random(random) % 8)
				reason = uw_rule(w, &rule, aux);
			else
				reason = uw_fp(w);
			/* CFA, index, three saved, through a register each. */
			UW_WANT(w->reads <= 9);
			if (reason) {
				UW_WANT(reason < KSTRATA_REASON_NOT_RESIDENT);
				UW_WANT(w->f.pc == was.pc && w->f.sp == was.sp &&
					w->f.flags == was.flags);
				break;
			}
			UW_WANT(w->f.pc && !(w->f.pc & (KSTRATA_FRAME_KIND |
							KSTRATA_FRAME_OBJECT)));
			UW_WANT(w->f.flags & KST_FRAME_LEAF || w->f.sp > was.sp ||
				(w->f.sp == was.sp && was.flags & KST_FRAME_LEAF));
		}
	}
	return w->wrong;
}

struct uw_case {
	const char *name;
	const char *(*run)(struct uw_world *w, int machine);
};

static const struct uw_case uw_cases[] = {
	{ "registers", uw_case_registers },
	{ "aux", uw_case_aux },
	{ "expressions", uw_case_expressions },
	{ "return", uw_case_return },
	{ "wrong", uw_case_wrong },
	{ "signal", uw_case_signal },
	{ "fp", uw_case_fp },
	{ "low", uw_case_low },
	{ "code", uw_case_code },
};

#define UW_NR_CASES	ARRAY_SIZE(uw_cases)

/* NULL: all is well. */
static const char *uw_run(struct uw_world *w, unsigned int i, int machine)
{
	w->wrong = NULL;
	return uw_cases[i].run(w, machine);
}

#endif /* _KST_UNWIND_CASES_H */
