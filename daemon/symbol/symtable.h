/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who owns which bytes of a file: functions are added in any order, sealed
 * once, then found by offset. Overlaps are settled at sealing: the innermost
 * function owns a byte, one name stands for its aliases.
 */
#ifndef KSTRATA_SYMBOL_SYMTABLE_H
#define KSTRATA_SYMBOL_SYMTABLE_H

#include "base/util.h"

struct symtable;

#define SYMTABLE_NAME_MAX 16384 /* a name's length, its NUL included */

/* Who gets an address that several symbols name: the smaller sum. */
enum symtable_rank {
	SYMTABLE_LABEL = 1 << 7, /* no type: hand-written assembly */
	SYMTABLE_PLT = 1 << 6, /* a stub: its name gets "@plt" */
	SYMTABLE_NO_SIZE = 1 << 5, /* ends where the next begins, or earlier */
	SYMTABLE_DYNSYM = 1 << 4,
	SYMTABLE_LOCAL = 2 << 2,
	SYMTABLE_WEAK = 1 << 2,
	SYMTABLE_UNDERSCORES = 3, /* at most so many leading ones count */
};

int symtable_new(struct symtable **out);
void symtable_free(struct symtable *t);

/*
 * [offset, offset + size) is name's. The name is not copied and must live until
 * sealing. 0, -ENOMEM, -EFBIG (too many).
 */
int symtable_add(struct symtable *t, uint64_t offset, uint64_t size,
		 const char *name, size_t name_len, unsigned int rank);
/* No more is added; call once. 0, -ENOMEM, -EFBIG. */
int symtable_seal(struct symtable *t);

/* Readable name of the function there, as long as t lives; NULL for none. */
const char *symtable_find(struct symtable *t, uint64_t offset);
size_t symtable_count(const struct symtable *t);
size_t symtable_memory(const struct symtable *t);

#endif
