/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aarch64's vDSO has no call frame information. Its code is little and plain, so its
 * instructions tell: what they do to SP, and where x29 and x30 are kept.
 */
#ifndef KSTRATA_SYMBOL_CFIVDSO_H
#define KSTRATA_SYMBOL_CFIVDSO_H

#include "symbol/cfielf.h"
#include "symbol/cfispan.h"

#include <kstrata.h>

#define CFIVDSO_RULES_MAX 64

struct cfivdso {
	struct cfi_spans spans; /* .what is one of these: */
	struct kstrata_rule rules[CFIVDSO_RULES_MAX];
	size_t nr_rules;
};

/* Empty for anything but that vDSO. 0 or -ENOMEM; free v->spans.v either way. */
int cfivdso_read(struct cfi_elf *e, struct cfivdso *v);

#endif
