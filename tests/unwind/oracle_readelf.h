/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows by readelf: what --debug-dump=frames-interp prints, and from
 * --debug-dump=frames what that leaves out: expressions, and whether a register is
 * undefined or was never spoken of.
 */
#ifndef KSTRATA_TESTS_ORACLE_READELF_H
#define KSTRATA_TESTS_ORACLE_READELF_H

#include "oracle_values.h"

#include <stddef.h>

struct oracle_row {
	uint64_t start, end;	/* addresses as linked */
	const struct oracle_rule *rule;	/* one object for equal ones */
	uint32_t fde;		/* its number, in the order of the file */
	bool debug;		/* it is from .debug_frame */
};

struct oracle_rows {
	struct oracle_row *rows;
	size_t nr, room;
	size_t fdes;
	size_t empty;		/* FDEs that cover nothing */
	size_t unread;		/* FDEs that readelf has no CIE for */
};

/* Exits when readelf cannot be run. aux: as in kstrata_rows_table. */
void oracle_read(struct oracle_rows *o, const char *path, uint16_t machine, uint8_t aux);
void oracle_release(struct oracle_rows *o);

#endif
