/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DWARF expressions of call frame information, as far as rules have words for what
 * they compute: they are run on symbols instead of numbers.
 */
#ifndef KSTRATA_SYMBOL_CFIEXPR_H
#define KSTRATA_SYMBOL_CFIEXPR_H

#include "base/util.h"

#define CFI_SYMBOL_CFA	0xfe	/* a register that is none: the CFA */
#define CFI_SYMBOL_NONE	0xff

/*
 * reg * scale + index * index_scale + offset, or with deref the word there, + add.
 * A number alone has no reg.
 */
struct cfi_symbol {
	uint8_t reg, index; /* CFI_SYMBOL_NONE: no such term */
	bool deref;
	int64_t scale, index_scale;
	int64_t offset, add;
};

/* What an expression computes; the CFA is on its stack first, or not. */
bool cfiexpr_eval(const uint8_t *code, size_t len, bool with_cfa,
		  struct cfi_symbol *out);

/*
 * The linkers' for a PLT: reg + offset, + 8 where the PC's last 4 bits are at least
 * this threshold.
 */
bool cfiexpr_plt(const uint8_t *code, size_t len, uint8_t pc, uint8_t *reg,
		 int64_t *offset, uint8_t *threshold);

#endif
