/* SPDX-License-Identifier: Apache-2.0 */
/* Who speaks of which bytes of a file, when several do. */
#ifndef KSTRATA_SYMBOL_CFISPAN_H
#define KSTRATA_SYMBOL_CFISPAN_H

#include "base/util.h"

/* Bytes of the file, and the number of what speaks of them. */
struct cfi_span {
	uint64_t start, end;
	uint32_t what;
	uint32_t kind;
};

struct cfi_spans {
	struct cfi_span *v;
	size_t nr, cap;
};

int cfispan_add(struct cfi_spans *s, struct cfi_span span);
/* Sort; where some overlap, the one that starts last has the bytes. */
int cfispan_flatten(struct cfi_spans *s);
/* Both flat: the first, and what it leaves of the second. */
int cfispan_under(struct cfi_spans *top, const struct cfi_spans *bottom);

#endif
