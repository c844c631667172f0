/* SPDX-License-Identifier: Apache-2.0 */
/* "kstrata rows": what the unwind rows of files look like. Asks no daemon. */
#ifndef KSTRATA_TOOL_ROWS_H
#define KSTRATA_TOOL_ROWS_H

#include "base/util.h"

struct rows_options {
	bool json;
	bool dump;
	bool vaddr; /* addresses as the object has them, not offsets in the file */
	const char *write; /* a file for the table, of one object, or NULL */
};

/* 0, or -EIO when some file could not be read or has no rows (it is said why). */
int rows_run(const struct rows_options *o, char **files, size_t nr);

/* The format of --dump, for the help. */
extern const char rows_format[];

#endif
