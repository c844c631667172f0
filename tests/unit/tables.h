/* SPDX-License-Identifier: Apache-2.0 */
/* The smallest tables of unwind rows: one row, told apart by where it begins. */
#ifndef KSTRATA_TESTS_TABLES_H
#define KSTRATA_TESTS_TABLES_H

#include <kstrata.h>
#include <kstrata/rows.h>
#include <stdlib.h>
#include <string.h>

#include "symbol/cfi.h"

/* The caller releases it. bytes of further rules make it larger. */
static inline struct cfi_table table_make(uint64_t first, uint32_t nr_rules)
{
	struct kstrata_rows_table header = {
		.magic = KSTRATA_ROWS_MAGIC,
		.version = KSTRATA_ROWS_VERSION,
#ifdef __aarch64__
		.machine = 183,
#else
		.machine = 62,
#endif
		.first = first,
		.extent = 16,
		.nr_rules = nr_rules,
		.nr_pages = 1,
		.nr_blocks = 1,
		.page_bits = KSTRATA_ROWS_PAGE_BITS_MIN,
		.aux = KSTRATA_ROWS_AUX_NONE,
	};
	struct cfi_table out = { .size = kst_rows_bytes(&header) };
	struct kst_rows_view v;

	header.bytes = (uint32_t)out.size;
	out.bytes = calloc(1, out.size);
	if (!out.bytes)
		abort();
	memcpy(out.bytes, &header, sizeof(header));
	kst_rows_view(&v, out.bytes);
	memset((void *)(uintptr_t)v.starts, 0xff,
	       KSTRATA_ROWS_PER_BLOCK * sizeof(*v.starts));
	*(uint16_t *)(uintptr_t)v.starts = 0;
	for (uint32_t i = 0; i < nr_rules; i++)
		((struct kstrata_rule *)(uintptr_t)v.rules)[i].cfa =
			KSTRATA_CFA_END;
	return out;
}

static inline uint64_t table_first(const struct cfi_table *t)
{
	return ((const struct kstrata_rows_table *)t->bytes)->first;
}

#endif
