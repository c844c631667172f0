// SPDX-License-Identifier: GPL-2.0-only
#include "unwind.h"

#include <linux/hash.h>
#include <linux/kernel.h>
#include <linux/nospec.h>
#include <linux/sched.h>
#include <linux/uaccess.h>

#include <kstrata/rows.h>
#include <kstrata/unwind.h>

#include "compat/regs.h"
#include "lookup.h"
#include "rows.h"
#include "stack.h"

#ifdef CONFIG_X86_64
#define MACHINE	KST_X86_64
#else
#define MACHINE	KST_ARM64
#endif

/* A walk, between two frames. */
struct walk {
	struct kst_frame f;
	struct pt_regs *regs;
	struct kst_lookup *l;	/* or NULL: no look-ups */
	struct kst_rule_cache *cache;
	u64 end;		/* no word of user memory begins here or beyond */
	u64 fault;		/* what could not be read last */
	u64 *out;
	u16 n;
	u16 max;
	u16 by_rows;
	u16 by_fp;
	u16 full;		/* frames of objects without a number */
	u8 what;		/* KSTRATA_WALK_* */
	bool on_fp;		/* the frame pointer is from a record, not from rules */
};

/* ---- what steps read --------------------------------------------------- */

/*
 * A word of user memory, which is open. Page faults are off: what is not resident is
 * an error at once. The address comes from user memory itself: any that is not user
 * space's becomes zero, in speculation, too. That is the program's own memory as well,
 * if it has any there, else an error.
 */
static __always_inline int read_word(void *ctx, u64 at, u64 *word)
{
	struct walk *w = ctx;

	unsafe_get_user(*word, (u64 __user *)array_index_nospec(at, w->end), fault);
	return 1;
fault:
	w->fault = at;
	return 0;
}

static __always_inline int read_reg(void *ctx, unsigned int reg, u64 *value)
{
	struct walk *w = ctx;

	return kst_regs_dwarf(w->regs, reg, value);
}

/*
 * One word, with all the checks of the kernel's own helper: in particular, that
 * current's page tables are the ones in use. What it has checked holds for the walk,
 * since interrupts are off. Of the stack, or of the code, when no more is there.
 */
static bool user_is_there(struct walk *w)
{
	u8 byte;

	w->fault = w->f.sp;
	return !copy_from_user_nofault(&byte, (void __user *)w->f.sp, 1) ||
	       !copy_from_user_nofault(&byte, (void __user *)w->f.pc, 1);
}

/* ---- steps ------------------------------------------------------------- */

static __always_inline u8 step_by_rule(struct walk *w, const struct kstrata_rule *rule,
				       u8 aux)
{
	u8 reason;

	/* This opens, it does not ask: each read does, of its own address. */
	if (!user_read_access_begin((void __user *)NULL, 8))
		return KSTRATA_REASON_FAULT;
	/* Nothing may be called in here. */
	reason = kst_unwind_rule(&w->f, rule, aux, MACHINE, read_word, read_reg, w);
	user_read_access_end();
	if (reason)
		return reason;
	w->by_rows++;
	w->on_fp = false;
	return KSTRATA_REASON_NONE;
}

static __always_inline u8 step_by_code(struct walk *w)
{
	u8 reason;

	if (!user_read_access_begin((void __user *)NULL, 8))
		return KST_CODE_SILENT;
	reason = kst_unwind_code(&w->f, MACHINE, read_word, read_reg, w);
	user_read_access_end();
	if (reason)
		return reason;
	w->what |= KSTRATA_WALK_CODE;
	return KSTRATA_REASON_NONE;
}

static __always_inline u8 step_by_fp(struct walk *w)
{
	u8 reason;

	if (!user_read_access_begin((void __user *)NULL, 8))
		return KSTRATA_REASON_FAULT;
	reason = kst_unwind_fp(&w->f, MACHINE, read_word, w);
	user_read_access_end();
	if (reason)
		return reason;
	w->by_fp++;
	w->on_fp = true;
	return KSTRATA_REASON_NONE;
}

/*
 * Why a step by the frame pointer failed, if this was not off a record: what code
 * without rows has as a frame pointer may be anything.
 */
static noinline u8 no_record(struct walk *w, u8 reason)
{
	if (!w->l)
		return reason;
	switch (reason) {
	case KSTRATA_REASON_FAULT:
		return kst_lookup_mapped(w->l, w->fault) ? reason :
							   KSTRATA_REASON_NO_ROWS;
	case KSTRATA_REASON_COMPLETE:
		/* Whoever is called by nobody has none. So has any other. */
		return w->f.flags & KST_FRAME_LEAF && !w->f.fp ?
			KSTRATA_REASON_NO_ROWS : reason;
	default:
		return KSTRATA_REASON_NO_ROWS;
	}
}

/* Code that no rows cover, be it for now. */
static __always_inline u8 step_without_rows(struct walk *w, bool pending)
{
	u8 reason;

	if (pending)
		w->what |= KSTRATA_WALK_PENDING;
	reason = step_by_fp(w);
	if (unlikely(reason && !w->on_fp))
		return no_record(w, reason);
	return reason;
}

static noinline u8 step_leaf_without_rows(struct walk *w, bool pending)
{
	u8 reason = step_by_code(w);

	return reason == KST_CODE_SILENT ? step_without_rows(w, pending) : reason;
}

/* Note the frame. What it is in; NULL: nowhere. *at: its place in the file. */
static __always_inline const struct kst_span *note(struct walk *w, u64 *at)
{
	u64 place = kst_frame_place(&w->f);
	/* What a signal has interrupted is told like a return address. */
	u64 pc = w->f.pc + (w->n && w->f.flags & KST_FRAME_LEAF);
	const struct kst_span *span;
	u64 move;

	span = kst_lookup_span(w->l, place);
	if (unlikely(!span)) {
		w->out[w->n++] = KSTRATA_FRAME_NOWHERE | (pc & ~KSTRATA_FRAME_KIND);
		return NULL;
	}
	move = span->base - span->start;
	w->out[w->n++] = pc + move;
	*at = (place + move) & ((1ull << KSTRATA_FRAME_OFFSET_BITS) - 1);
	return span;
}

/*
 * A rule of the kind that kst_unwind_usual() is for, in a word: the CFA's offset from
 * SP or FP, a multiple of 8 and not 0 if it can be followed, and in the bits below
 * which of the two it is, and what is on the stack besides the return address, which is
 * right below the CFA. Zero: no such rule.
 */
#define USUAL_FP	1	/* CFA: from FP */
#define USUAL_SAVES_FP	2
#define USUAL_SAVES_AUX	4
#define USUAL_BITS	7

static s32 usual_of(const struct kstrata_rule *rule)
{
	s32 usual = rule->offset;

	if (rule->cfa != KSTRATA_CFA_REG || usual % 8 || !usual ||
	    rule->ra.how != KSTRATA_SAVE_AT_CFA || rule->ra.offset != -8 ||
	    rule->fp.how & ~KSTRATA_SAVE_AT_CFA ||
	    rule->aux.how & ~KSTRATA_SAVE_AT_CFA)
		return 0;
	if (rule->reg == kst_reg_fp(MACHINE))
		usual |= USUAL_FP;
	else if (rule->reg != kst_reg_sp(MACHINE))
		return 0;
	return usual | (rule->fp.how ? USUAL_SAVES_FP : 0) |
	       (rule->aux.how ? USUAL_SAVES_AUX : 0);
}

static const struct kstrata_rule *find_rule(struct kst_rule_slot *slot,
					    const struct kst_rows *rows, u64 at)
{
	static const struct kstrata_rule none = { .cfa = KSTRATA_CFA_NONE };
	const struct kstrata_rule *rule = kst_rows_find(&rows->view, at);

	if (!rule)
		return &none;
	BUILD_BUG_ON(KSTRATA_ROWS_RULES_MAX > U16_MAX);
	BUILD_BUG_ON(KSTRATA_FRAME_OFFSET_BITS + 16 > 64);
	slot->serial = rows->serial;
	slot->found = at << 16 | (u16)(rule - rows->view.rules);
	slot->usual = usual_of(rule);
	slot->fp = rule->fp.offset;
	slot->aux = rule->aux.offset;
	return rule;
}

/* One of KSTRATA_CFA_NONE where no row reaches. */
static __always_inline const struct kstrata_rule *
rule_at(struct walk *w, const struct kst_rows *rows, u64 at)
{
	struct kst_rule_slot *slot =
		&w->cache->slots[hash_64(at, KST_RULE_CACHE_BITS)];
	u64 found = slot->found;

	if (likely(slot->serial == rows->serial && found >> 16 == at))
		return &rows->view.rules[(u16)found];
	return find_rule(slot, rows, at);
}

/*
 * From a frame of this mapping on, as long as the callers are in it too and there is
 * nothing unusual to them: the same as step(), without looking up what is known, and
 * user memory stays open. It decides nothing: where a step does not succeed plainly
 * it has not been made. Bound: max frames.
 */
static __always_inline void run(struct walk *w, const struct kst_span *span)
{
	const u64 start = span->start, bytes = span->bytes, move = span->base - start;
	const struct kst_rows *rows = span->rows;
	const struct kst_rule_slot *slots = w->cache->slots;
	const u64 serial = rows ? rows->serial : 0;
	u64 pc = w->f.pc, sp = w->f.sp, fp = w->f.fp, aux = w->f.aux;
	u8 aux_reg = w->f.aux_reg;
	const u16 max = w->max, first = w->n;
	u16 n = first;

	if (MACHINE != KST_X86_64 || (w->f.flags & ~KST_FRAME_NEAR) != KST_FRAME_FP ||
	    pc - 1 - start >= bytes)
		return;
	if (!rows || aux_reg != rows->view.aux)
		aux_reg = KSTRATA_ROWS_AUX_NONE;
	if (!user_read_access_begin((void __user *)NULL, 8))
		return;
	/* Nothing may be called in here. */
	for (; n < max && pc - 1 - start < bytes; n++) {
		u64 cfa, ret, next = fp;

		if (rows) {
			const u64 at = (pc - 1 + move) &
				       ((1ull << KSTRATA_FRAME_OFFSET_BITS) - 1);
			const struct kst_rule_slot *slot =
				&slots[hash_64(at, KST_RULE_CACHE_BITS)];
			const s32 usual = slot->usual;

			if (slot->serial != serial || slot->found >> 16 != at ||
			    !usual)
				break;
			cfa = (usual & USUAL_FP ? fp : sp) + (usual & ~USUAL_BITS);
			if (cfa % 8 || cfa <= sp || !read_word(w, cfa - 8, &ret) ||
			    (usual & USUAL_SAVES_FP &&
			     !read_word(w, cfa + slot->fp, &next)) ||
			    kst_unwind_pc(ret))
				break;
			if (unlikely(usual & USUAL_SAVES_AUX)) {
				if (!read_word(w, cfa + slot->aux, &aux))
					break;
				aux_reg = rows->view.aux;
			}
		} else {
			if (!fp || fp % 8 || fp < sp || !read_word(w, fp, &next) ||
			    !read_word(w, fp + 8, &ret) || kst_unwind_pc(ret))
				break;
			cfa = fp + 16;
		}
		w->out[n] = pc + move;
		pc = ret;
		sp = cfa;
		fp = next;
	}
	user_read_access_end();
	if (n == first)
		return;
	w->n = n;
	w->f.pc = pc;
	w->f.sp = sp;
	w->f.fp = fp;
	w->f.aux = aux;
	w->f.aux_reg = aux_reg;
	w->f.flags = KST_FRAME_FP;
	w->on_fp = !rows;
	if (rows) {
		w->by_rows += n - first;
		return;
	}
	w->by_fp += n - first;
	if (span->pending)
		w->what |= KSTRATA_WALK_PENDING;
	if (span->full)
		w->full += n - first;
}

/* From a frame that is in no code. */
static noinline u8 step_off_code(struct walk *w)
{
	/* A call to nowhere has a caller; a return to it was none. */
	return w->f.flags & KST_FRAME_LEAF ? step_leaf_without_rows(w, false) :
					     KSTRATA_REASON_BAD_FRAME;
}

/* Note the frame and go on to its caller, and further while that is easy. */
static __always_inline u8 step(struct walk *w)
{
	const struct kst_span *span;
	const struct kstrata_rule *rule;
	u64 at;
	u8 reason;

	span = note(w, &at);
	if (unlikely(!span || (span->base & KSTRATA_FRAME_KIND) ==
				      KSTRATA_FRAME_NOWHERE))
		return step_off_code(w);
	if (!span->rows) {
		w->full += span->full;
		goto none;
	}
	rule = rule_at(w, span->rows, at);
	if (unlikely(rule->cfa <= KSTRATA_CFA_SIGNAL)) {
		if (rule->cfa == KSTRATA_CFA_NONE)
			goto none;
		if (rule->cfa == KSTRATA_CFA_SIGNAL) {
			w->what |= KSTRATA_WALK_SIGNAL;
			/* A handler returns to its first instruction. */
			if (!(w->f.flags & KST_FRAME_LEAF))
				w->out[w->n - 1]++;
		}
	}
	reason = step_by_rule(w, rule, span->rows->view.aux);
	if (likely(!reason))
		run(w, span);
	return reason;
none:
	if (unlikely(w->f.flags & KST_FRAME_LEAF))
		reason = step_leaf_without_rows(w, span->pending);
	else
		reason = step_without_rows(w, span->pending);
	if (likely(!reason))
		run(w, span);
	return reason;
}

/*
 * Without look-ups: all by frame pointers, but for the leaf, which may tell more. User
 * memory stays open. Bound: max frames, and fp only ever moves outwards.
 */
static u8 walk_by_fp(struct walk *w)
{
	u8 reason;

	w->out[w->n++] = w->f.pc;
	reason = step_leaf_without_rows(w, false);
	if (reason || w->n == w->max)
		return reason;
	if (!user_read_access_begin((void __user *)NULL, 8))
		return KSTRATA_REASON_FAULT;
	do {
		w->out[w->n++] = w->f.pc;
		reason = kst_unwind_fp(&w->f, MACHINE, read_word, w);
		w->by_fp += !reason;
	} while (!reason && w->n < w->max);
	user_read_access_end();
	return reason;
}

/*
 * Bound: max frames, each a look-up and a step of a few words. Steps only ever move
 * outwards, but for those across a signal frame.
 */
static u8 walk_all(struct walk *w)
{
	u8 reason;
	u64 at;

	if (unlikely(!user_is_there(w))) {
		if (w->l)
			note(w, &at);
		else
			w->out[w->n++] = w->f.pc;
		reason = KSTRATA_REASON_FAULT;
	} else {
		pagefault_disable();
		if (!w->l)
			reason = walk_by_fp(w);
		else
			do
				reason = step(w);
			while (!reason && w->n < w->max);
		pagefault_enable();
	}
	if (!reason)
		return KSTRATA_REASON_DEPTH;
	if (reason == KSTRATA_REASON_FAULT && w->l &&
	    kst_lookup_mapped(w->l, w->fault))
		return KSTRATA_REASON_NOT_RESIDENT;
	return reason;
}

/* 32-bit code: all by frame pointers, then look-ups. */
static void walk32(struct walk *w, struct kstrata_sample *rec)
{
	u16 i;

	w->n = kst_stack_user32(w->regs, w->out, w->max, &rec->user_reason);
	w->by_fp = w->n - 1;
	if (!w->l)
		return;
	for (i = 0; i < w->n; i++) {
		const struct kst_span *span =
			kst_lookup_span(w->l, w->out[i] - !!i);

		w->out[i] += span ? span->base - span->start :
				    KSTRATA_FRAME_NOWHERE;
		w->full += span && span->full;
	}
}

void kst_unwind_user(struct pt_regs *regs, struct kst_objects *o,
		     struct kst_rule_cache *cache, struct kstrata_ring_producer *p,
		     struct kstrata_sample *rec, u64 *out, u16 max)
{
	struct walk w = {
		.cache = cache,
		.regs = regs,
		.end = TASK_SIZE_MAX - sizeof(u64) + 1,
		.out = out,
		.max = max,
	};
	struct kst_lookup l;

	/*
	 * The high bits tell the kinds of frames. Nothing runs there, but a
	 * system call can be on its way there: sigreturn() and ptrace() set any
	 * address.
	 */
	if (instruction_pointer(regs) & KSTRATA_FRAME_KIND) {
		rec->user_reason = KSTRATA_REASON_BAD_FRAME;
		return;
	}
	rec->lookup = kst_lookup_begin(&l, o, p, rec->hdr.time);
	if (rec->lookup == KSTRATA_LOOKUP_DONE)
		w.l = &l;
	if (kst_regs_compat(regs)) {
		walk32(&w, rec);
	} else {
		kst_frame_leaf(&w.f, instruction_pointer(regs),
			       user_stack_pointer(regs),
			       kst_regs_frame_pointer(regs));
		rec->user_reason = walk_all(&w);
	}
	if (w.l)
		kst_lookup_end(&l);
	rec->nr_user = w.n;
	rec->walk = w.what | (w.by_rows ? KSTRATA_WALK_ROWS : 0) |
		    (w.by_fp ? KSTRATA_WALK_FP : 0);
	WRITE_ONCE(p->frames_rows, p->frames_rows + w.by_rows);
	WRITE_ONCE(p->frames_fp, p->frames_fp + w.by_fp);
	if (unlikely(w.full))
		WRITE_ONCE(p->raw_full, p->raw_full + w.full);
}
