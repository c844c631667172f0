/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Collects the unwind rows of an object, in order, and lays them out as
 * uapi/kstrata.h (section 6) says.
 */
#ifndef KSTRATA_SYMBOL_ROWTABLE_H
#define KSTRATA_SYMBOL_ROWTABLE_H

#include "symbol/cfi.h"

#include <kstrata.h>

struct rowtable {
	struct rowtable_row {
		uint32_t at; /* from base */
		uint32_t rule;
	} *rows;
	struct kstrata_rule *rules;
	struct hash_slot *slots; /* of the rules' index */
	size_t nr_rows, cap_rows;
	size_t nr_rules, cap_rules;
	size_t mask;
	uint64_t base; /* offset in the file of the first row */
	uint64_t end;  /* and of what is behind the last */
	int err;       /* sticks; 0, -ENOMEM or -EFBIG */
};

/* What cannot be said, and what nothing is said of. */
extern const struct kstrata_rule rowtable_bad, rowtable_none;

/*
 * From this offset on, or from where the last row begins, if that is later. Equal
 * neighbours become one row.
 */
void rowtable_add(struct rowtable *t, uint64_t offset,
		  const struct kstrata_rule *rule);
/* Rows reach up to here. */
void rowtable_end(struct rowtable *t, uint64_t offset);
/*
 * 0, -ENODATA without any row, or what has stuck. Counts rows, rules, rare, bytes of
 * the report.
 */
int rowtable_finish(struct rowtable *t, uint16_t machine, uint8_t aux,
		    struct cfi_table *out, struct cfi_report *report);
void rowtable_release(struct rowtable *t);

#endif
