/* SPDX-License-Identifier: Apache-2.0 */
/* What instructions themselves tell where no call frame information speaks. */
#ifndef KSTRATA_SYMBOL_CFIASM_H
#define KSTRATA_SYMBOL_CFIASM_H

#include "symbol/cfielf.h"
#include "symbol/cfispan.h"

#include <kstrata.h>

/* Nothing but what fills the room between functions, from start to end. */
bool cfiasm_is_padding(struct cfi_elf *e, uint64_t start, uint64_t end);

/*
 * The first call of rt_sigreturn, as handlers return to, that lies between start and
 * end: its start and end.
 */
bool cfiasm_find_sigreturn(struct cfi_elf *e, uint64_t start, uint64_t end,
			   struct cfi_span *out);
/* How much before it is taken for it: a return address minus one is there. */
#define CFIASM_SIGRETURN_EARLY(machine) ((machine) == EM_X86_64 ? 1u : 4u)

/* Is there, from start (which is at vaddr) to end, what looks like a call? */
bool cfiasm_has_call(struct cfi_elf *e, uint64_t start, uint64_t end,
		     uint64_t vaddr);

/* Spans whose .what is one of these rules. */
extern const struct kstrata_rule cfiasm_rules[];
/* Of the stubs that linkers make, of .init and .fini. 0 or -ENOMEM. */
int cfiasm_plt(struct cfi_elf *e, struct cfi_spans *out);

#endif
