/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Unwind rows: is a table one? All that uapi/kstrata.h, section 6, demands, so that
 * neither a look-up (rows.h) nor a walk (unwind.h) has a bound or a field left to
 * check. One pass over the table, nothing kept besides; shared by the module, the
 * daemon, the tests and the fuzzers.
 */
#ifndef _KSTRATA_ROWCHECK_H
#define _KSTRATA_ROWCHECK_H

#include "rows.h"

#ifdef __KERNEL__
#include <linux/errno.h>
#include <linux/sched.h>
/* Between steps of some microseconds: a table may be as large as 64 MiB. */
#define KST_ROWS_PAUSE()	cond_resched()
#else
#include <errno.h>
#include <stddef.h>
#define KST_ROWS_PAUSE()	((void)0)
#endif

/* How many blocks, pages or rules are a step. */
#define KST_ROWS_STEP	256

#define KST_ROWS_X86_64	62	/* EM_X86_64 */
#define KST_ROWS_ARM64	183	/* EM_AARCH64 */

static inline int kst_rows_zero(const __u8 *at, __u64 bytes)
{
	__u64 i;

	for (i = 0; i < bytes; i++)
		if (at[i])
			return 0;
	return 1;
}

/* A general register of this machine, or SP? DWARF's numbers. */
static inline int kst_rows_reg(unsigned int reg, __u16 machine)
{
	return reg <= (machine == KST_ROWS_X86_64 ? 15 : 31);
}

/* The third register is neither SP nor the frame pointer: these are kept anyway. */
static inline int kst_rows_aux(unsigned int reg, __u16 machine)
{
	unsigned int fp = machine == KST_ROWS_X86_64 ? 6 : 29;
	unsigned int sp = machine == KST_ROWS_X86_64 ? 7 : 31;

	return kst_rows_reg(reg, machine) && reg != fp && reg != sp;
}

static inline int kst_rows_save_ok(const struct kstrata_save *s, __u16 machine)
{
	if (s->reserved)
		return 0;
	switch (s->how) {
	case KSTRATA_SAVE_SAME:
	case KSTRATA_SAVE_LOST:
		return !s->reg && !s->offset;
	case KSTRATA_SAVE_AT_CFA:
	case KSTRATA_SAVE_IS_CFA:
		return !s->reg;
	case KSTRATA_SAVE_AT_REG:
	case KSTRATA_SAVE_IS_REG:
		return kst_rows_reg(s->reg, machine);
	}
	return 0;
}

static inline int kst_rows_rule_ok(const struct kstrata_rule *r, __u16 machine,
				   __u8 aux)
{
	switch (r->cfa) {
	case KSTRATA_CFA_NONE:
	case KSTRATA_CFA_END:
	case KSTRATA_CFA_BAD:
	case KSTRATA_CFA_SIGNAL:
		return kst_rows_zero(&r->cfa + 1, sizeof(*r) - 1);
	case KSTRATA_CFA_REG:
		if (r->add)
			return 0;
		break;
	case KSTRATA_CFA_DEREF:
	case KSTRATA_CFA_INDEX:
		break;
	case KSTRATA_CFA_PLT:
		if (r->add < 0 || r->add > 15)
			return 0;
		break;
	default:
		return 0;
	}
	if (r->reserved || !kst_rows_reg(r->reg, machine))
		return 0;
	if (r->cfa == KSTRATA_CFA_INDEX ? !kst_rows_reg(r->index, machine) :
					  r->index)
		return 0;
	/* Its return address is always in memory. */
	if (machine == KST_ROWS_X86_64 && r->ra.how == KSTRATA_SAVE_SAME)
		return 0;
	if (aux == KSTRATA_ROWS_AUX_NONE &&
	    !kst_rows_zero((const __u8 *)&r->aux, sizeof(r->aux)))
		return 0;
	return kst_rows_save_ok(&r->ra, machine) &&
	       kst_rows_save_ok(&r->fp, machine) &&
	       kst_rows_save_ok(&r->aux, machine);
}

/* The header alone, of a table of that many bytes: are all its parts there? */
static inline int kst_rows_header_ok(const struct kstrata_rows_table *t, __u64 bytes,
				     __u16 machine)
{
	if (machine != KST_ROWS_X86_64 && machine != KST_ROWS_ARM64)
		return 0;
	if (bytes < sizeof(*t) || t->magic != KSTRATA_ROWS_MAGIC ||
	    t->version != KSTRATA_ROWS_VERSION || t->machine != machine ||
	    !kst_rows_zero(t->reserved, sizeof(t->reserved)))
		return 0;
	if (t->first >> KSTRATA_FRAME_OFFSET_BITS || !t->extent ||
	    t->first + t->extent > (__u64)1 << KSTRATA_FRAME_OFFSET_BITS)
		return 0;
	if (t->page_bits < KSTRATA_ROWS_PAGE_BITS_MIN ||
	    t->page_bits > KSTRATA_ROWS_PAGE_BITS_MAX ||
	    t->nr_pages != ((__u64)t->extent + ((__u64)1 << t->page_bits) - 1) >>
				   t->page_bits)
		return 0;
	if (!t->nr_rules || t->nr_rules > KSTRATA_ROWS_RULES_MAX || !t->nr_blocks)
		return 0;
	if (t->aux != KSTRATA_ROWS_AUX_NONE && !kst_rows_aux(t->aux, machine))
		return 0;
	/* So there are fewer than 2^32 rows: each takes three bytes. */
	return t->bytes == bytes && kst_rows_bytes(t) == bytes;
}

/* The rows of a block; *rare counts the rare ones seen so far. */
static inline int kst_rows_block_ok(const struct kst_rows_view *v,
				    const struct kstrata_rows_table *t, __u32 block,
				    __u32 *rare)
{
	__u32 row = block * KSTRATA_ROWS_PER_BLOCK, i;
	const __u16 *starts = v->starts + row;
	const __u8 *rules = v->row_rules + row;

	if (starts[0])
		return 0;
	for (i = 0; i < KSTRATA_ROWS_PER_BLOCK; i++) {
		if (starts[i] == KSTRATA_ROW_NONE) {
			/* No row, and none after it. */
			if (rules[i] || (i + 1 < KSTRATA_ROWS_PER_BLOCK &&
					 starts[i + 1] != KSTRATA_ROW_NONE))
				return 0;
			continue;
		}
		if (i && starts[i] <= starts[i - 1])
			return 0;
		if (rules[i] != KSTRATA_ROW_RARE) {
			if (rules[i] >= t->nr_rules)
				return 0;
			continue;
		}
		if (*rare >= t->nr_rare || v->rare_rows[*rare] != row + i ||
		    v->rare_rules[*rare] >= t->nr_rules)
			return 0;
		++*rare;
	}
	return 1;
}

/* All blocks: they rise, and so do their rows. */
static inline int kst_rows_blocks_ok(const struct kst_rows_view *v,
				     const struct kstrata_rows_table *t)
{
	__u32 block, rare = 0;

	if (v->blocks[0])
		return 0;
	for (block = 0; block < t->nr_blocks; block++) {
		if (block % KST_ROWS_STEP == 0)
			KST_ROWS_PAUSE();
		if (v->blocks[block] >= t->extent ||
		    (block && v->blocks[block] <= v->blocks[block - 1]))
			return 0;
		if (!kst_rows_block_ok(v, t, block, &rare))
			return 0;
	}
	return rare == t->nr_rare;
}

/* The directory, over blocks that rise. */
static inline int kst_rows_pages_ok(const struct kst_rows_view *v,
				    const struct kstrata_rows_table *t)
{
	__u32 page, last;

	for (page = 0; page <= t->nr_pages; page++) {
		__u64 at = (__u64)page << t->page_bits;

		if (page % KST_ROWS_STEP == 0)
			KST_ROWS_PAUSE();
		last = v->pages[page];
		if (last >= t->nr_blocks || v->blocks[last] > at ||
		    (last + 1 < t->nr_blocks && v->blocks[last + 1] <= at))
			return 0;
	}
	/* The last page ends at extent or beyond, and there no block starts. */
	return 1;
}

/*
 * 0: look-ups and walks may use this table, of so many bytes, aligned to 8, as one
 * of this machine (ELF's number); else -EINVAL. The table must not change meanwhile,
 * nor after. In the kernel it may sleep.
 */
static inline int kst_rows_check(const void *table, size_t bytes, __u16 machine)
{
	const struct kstrata_rows_table *t = table;
	struct kst_rows_view v;
	const __u8 *end;
	__u32 rule;

	if (!kst_rows_header_ok(t, bytes, machine))
		return -EINVAL;
	kst_rows_view(&v, t);
	for (rule = 0; rule < t->nr_rules; rule++) {
		if (rule % KST_ROWS_STEP == 0)
			KST_ROWS_PAUSE();
		if (!kst_rows_rule_ok(&v.rules[rule], machine, t->aux))
			return -EINVAL;
	}
	if (!kst_rows_blocks_ok(&v, t) || !kst_rows_pages_ok(&v, t))
		return -EINVAL;
	/* Padding. */
	end = v.row_rules + (__u64)t->nr_blocks * KSTRATA_ROWS_PER_BLOCK;
	return kst_rows_zero(end, (const __u8 *)table + bytes - end) ? 0 : -EINVAL;
}

#endif /* _KSTRATA_ROWCHECK_H */
