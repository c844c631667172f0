/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What rules say, as values: a rule of readelf's and one of ours are equal when they
 * give the same on machines whose registers and memory hold noise.
 */
#ifndef KSTRATA_TESTS_ORACLE_VALUES_H
#define KSTRATA_TESTS_ORACLE_VALUES_H

#include <kstrata.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum tracked { ORACLE_RA, ORACLE_FP, ORACLE_AUX, ORACLE_SP, ORACLE_TRACKED };

/*
 * A rule in readelf's words. Interned by whoever makes them: equal pointers, equal
 * words. cfa: "rsp+8" or "=EXPRESSION"; the others, NULL when nothing was said of
 * them, "undefined", "same", "c-16" (saved there), "v+0" (that it is), a register's
 * name, "@EXPRESSION" (saved there) or "=EXPRESSION".
 */
struct oracle_rule {
	const char *cfa;
	const char *of[ORACLE_TRACKED];
};

enum known { VALUE_KNOWN, VALUE_SAME, VALUE_UNDEFINED, VALUE_UNREADABLE };

struct value {
	enum known known;
	uint64_t is;
};

/* What a caller's frame is. The CFA is never SAME. */
struct frame {
	struct value cfa;
	struct value of[ORACLE_TRACKED];
};

struct noise {
	uint64_t reg[33];
	uint64_t memory;	/* its seed */
	uint64_t pc;
};

/* DWARF's number of a register by name, -1: not a general one. And the reverse. */
int oracle_register(uint16_t machine, const char *name, size_t len);
const char *oracle_register_name(uint16_t machine, unsigned int number);

void noise_make(struct noise *n, unsigned int seed);
uint64_t noise_memory(const struct noise *n, uint64_t address);

void oracle_frame(const struct oracle_rule *r, uint16_t machine,
		  const struct noise *n, struct frame *f);
/* Whether what it gives depends on the PC as such. */
bool oracle_needs_pc(const struct oracle_rule *r);
/* Of a rule with a caller: cfa SIGNAL or more. aux: kstrata_rows_table.aux. */
void our_frame(const struct kstrata_rule *r, uint16_t machine, uint8_t aux,
	       const struct noise *n, struct frame *f);

#endif
