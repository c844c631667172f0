/* SPDX-License-Identifier: Apache-2.0 */
/* From a state of call frame information to the rule that says it. */
#ifndef KSTRATA_SYMBOL_CFIRULE_H
#define KSTRATA_SYMBOL_CFIRULE_H

#include "symbol/cficode.h"

/* struct cfi_state, columns[] */
enum { CFI_COLUMN_RA, CFI_COLUMN_FP, CFI_COLUMN_AUX, CFI_COLUMN_SP };

/* struct cfi_column, how */
enum cfi_how {
	CFI_HOW_UNSET,
	CFI_HOW_UNDEFINED,
	CFI_HOW_SAME,
	CFI_HOW_OFFSET,		/* the word at CFA + offset */
	CFI_HOW_VAL_OFFSET,	/* CFA + offset */
	CFI_HOW_REGISTER,	/* reg; a CFA: + offset */
	CFI_HOW_EXPR,		/* the word at what expr computes; a CFA: that */
	CFI_HOW_VAL_EXPR,	/* what expr computes */
};

/* What cannot be said becomes BAD, or one register of it LOST; run counts it. */
void cfirule_make(struct cfi_run *run, const struct cfi_cie *cie,
		  const struct cfi_state *state, struct kstrata_rule *out);

#endif
