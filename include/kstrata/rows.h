/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Unwind rows: where the parts of a table are, is it one, and the look-up. Pure
 * functions of their arguments, shared by the module, the daemon and the tests. The
 * layout is in uapi/kstrata.h, section 6.
 *
 * Why so. A 4-byte row (16 bits of address, 16 of rule) in pages of 64 KiB costs a
 * dozen dependent steps over several cache lines; rows of 8 or 14 bytes cost that
 * and the memory. Here a directory leads to one or two blocks; of a block, one line
 * of starts is searched in five steps without a branch, then one byte names the rule,
 * since 255 rules cover nearly all rows of any object. tests/bench/unwind compares
 * them.
 */
#ifndef _KSTRATA_ROWS_H
#define _KSTRATA_ROWS_H

#include <kstrata.h>

/* A table, taken apart. Points into it. */
struct kst_rows_view {
	const __u16 *starts;
	const struct kstrata_rule *rules;
	const __u32 *pages;
	const __u32 *blocks;
	const __u32 *rare_rows;
	const __u16 *rare_rules;
	const __u8 *row_rules;
	__u64 first;
	__u32 extent;
	__u32 nr_rare;
	__u8 page_bits;
	__u8 aux;
};

/* Bytes of a table with these counts; may exceed 32 bits. */
static inline __u64 kst_rows_bytes(const struct kstrata_rows_table *t)
{
	__u64 bytes = sizeof(*t);

	bytes += (__u64)t->nr_rules * sizeof(struct kstrata_rule);
	bytes += ((__u64)t->nr_pages + 1) * sizeof(__u32);
	bytes += (__u64)t->nr_blocks *
		 (sizeof(__u32) + KSTRATA_ROWS_PER_BLOCK *
				  (sizeof(__u16) + sizeof(__u8)));
	bytes += (__u64)t->nr_rare * (sizeof(__u32) + sizeof(__u16));
	return (bytes + 7) & ~(__u64)7;
}

/* The header's counts must be those of a table that is all there. */
static inline void kst_rows_view(struct kst_rows_view *v,
				 const struct kstrata_rows_table *t)
{
	v->first = t->first;
	v->extent = t->extent;
	v->nr_rare = t->nr_rare;
	v->page_bits = t->page_bits;
	v->aux = t->aux;
	v->starts = (const __u16 *)(t + 1);
	v->rules = (const struct kstrata_rule *)(v->starts +
		(__u64)t->nr_blocks * KSTRATA_ROWS_PER_BLOCK);
	v->pages = (const __u32 *)(v->rules + t->nr_rules);
	v->blocks = v->pages + t->nr_pages + 1;
	v->rare_rows = v->blocks + t->nr_blocks;
	v->rare_rules = (const __u16 *)(v->rare_rows + t->nr_rare);
	v->row_rules = (const __u8 *)(v->rare_rules + t->nr_rare);
}

/* The rule of a rare row. At most 32 steps. */
static inline __u32 kst_rows_rare(const struct kst_rows_view *v, __u32 row)
{
	__u32 low = 0, high = v->nr_rare;

	while (high - low > 1) {
		__u32 mid = low + (high - low) / 2;

		if (v->rare_rows[mid] <= row)
			low = mid;
		else
			high = mid;
	}
	return v->rare_rules[low];
}

/*
 * The rule at an offset in the file, in a table that is one (kst_rows_check());
 * NULL: no row reaches there. Bound: a step for each halving of the blocks of a
 * page, mostly none, at most 32; then five.
 */
static inline const struct kstrata_rule *
kst_rows_find(const struct kst_rows_view *v, __u64 offset)
{
	const __u16 *starts;
	__u32 x, d, low, high, i, rule;

	if (offset - v->first >= v->extent)
		return (const struct kstrata_rule *)0;
	x = (__u32)(offset - v->first);
	low = v->pages[x >> v->page_bits];
	high = v->pages[(x >> v->page_bits) + 1];
	while (low < high) {
		__u32 mid = high - (high - low) / 2;

		if (v->blocks[mid] <= x)
			low = mid;
		else
			high = mid - 1;
	}
	d = x - v->blocks[low];
	if (d > KSTRATA_ROW_START_MAX)
		d = KSTRATA_ROW_START_MAX;
	starts = v->starts + (__u64)low * KSTRATA_ROWS_PER_BLOCK;
	i = starts[16] <= d ? 16 : 0;
	i += starts[i + 8] <= d ? 8 : 0;
	i += starts[i + 4] <= d ? 4 : 0;
	i += starts[i + 2] <= d ? 2 : 0;
	i += starts[i + 1] <= d ? 1 : 0;
	rule = v->row_rules[(__u64)low * KSTRATA_ROWS_PER_BLOCK + i];
	if (rule == KSTRATA_ROW_RARE)
		rule = kst_rows_rare(v, low * KSTRATA_ROWS_PER_BLOCK + i);
	return &v->rules[rule];
}

#endif /* _KSTRATA_ROWS_H */
