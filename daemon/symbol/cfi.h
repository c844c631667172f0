/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Call frame information of one ELF file, compiled to the table of unwind rows that
 * uapi/kstrata.h describes (section 6). The file's machine, x86-64 or aarch64, may be
 * another than ours. Hostile files cost bounded time and memory and give an error or
 * a table that is one, never a crash.
 */
#ifndef KSTRATA_SYMBOL_CFI_H
#define KSTRATA_SYMBOL_CFI_H

#include "base/util.h"

/* To be raised when the rows of the same file become others: old ones are kept on disk. */
#define CFI_REVISION "2"

/* What rows say of the rules that a table has no words for, and of other oddities. */
enum cfi_bad {
	CFI_BAD_CFA_EXPRESSION,	/* the CFA is one that we do not know */
	CFI_BAD_CFA_REGISTER,	/* it is of a register that rules do not name */
	CFI_BAD_RA,		/* the return address is somewhere odd */
	CFI_BAD_PROGRAM,	/* the instructions make no sense from here on */
	CFI_BAD_LIMIT,		/* too many rules, states, or offsets too large */
	/* The row is good, but one of its registers is LOST: */
	CFI_BAD_FP,
	CFI_BAD_AUX,
	CFI_BAD_KINDS
};

/* Where rows came from: cfi_report.sources. */
#define CFI_FROM_EH_FRAME	(1u << 0)
#define CFI_FROM_DEBUG_FRAME	(1u << 1)
#define CFI_FROM_CODE		(1u << 2) /* trampolines, a vDSO: instructions */
#define CFI_FROM_GOPCLNTAB	(1u << 3)

struct cfi_report {
	const char *why;	/* it failed; static text, NULL when it did not */
	uint16_t machine;	/* ELF's number, 0 when not known */
	uint32_t sources;	/* CFI_FROM_* */
	uint64_t code_bytes;	/* of executable segments */
	uint64_t covered;	/* bytes of code that rows speak of */
	uint64_t fdes;
	uint64_t fdes_bad;	/* of these, left out */
	uint64_t rows;
	uint64_t rules;
	uint64_t rare;		/* rows whose rule is not among the first 255 */
	uint64_t bad[CFI_BAD_KINDS];	/* rows, see enum cfi_bad */
	uint64_t bytes;		/* of the table */
	uint8_t aux;		/* the third register, KSTRATA_ROWS_AUX_NONE */
	/*
	 * A Go program. .debug_frame forgets that its functions keep frame pointers, and
	 * that its runtime changes stacks, which frame pointers lead across: it only
	 * speaks of where none is set up yet, and nothing is called.
	 */
	bool go;
};

struct cfi_table {
	void *bytes;
	size_t size;
};

/*
 * The table of an open file, which is left as it is. The caller releases *out, which
 * is empty when this fails; *report is filled in either way.
 *
 *   -ENOEXEC	not an ELF file, or a damaged one
 *   -EOPNOTSUPP another machine, 32 bits, or big-endian
 *   -ENODATA	an ELF file that says nothing of its frames
 *   -EFBIG	more than we take, or more than fits in a table
 *   -ENOMEM, -EIO
 */
int cfi_compile(int fd, struct cfi_table *out, struct cfi_report *report);
/* The same of a file, or a vDSO, in memory. */
int cfi_compile_image(const void *image, size_t bytes, struct cfi_table *out,
		      struct cfi_report *report);
void cfi_table_release(struct cfi_table *t);

/* "cfa-expression", say; for statistics. */
const char *cfi_bad_name(enum cfi_bad kind);

#endif
