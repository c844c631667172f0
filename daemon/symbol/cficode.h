/* SPDX-License-Identifier: Apache-2.0 */
/* Runs the instructions of call frame information, from state to state, into rows. */
#ifndef KSTRATA_SYMBOL_CFICODE_H
#define KSTRATA_SYMBOL_CFICODE_H

#include "symbol/cfielf.h"
#include "symbol/rowtable.h"

/* What a machine's registers are called by. */
struct cfi_machine {
	uint16_t elf;
	uint8_t ra;	 /* usual column of the return address */
	uint8_t sp, fp;
	uint8_t regs;	 /* rules may name the registers below this one */
	bool link;	 /* ra is a register that holds it at entry */
	uint32_t saved;	 /* registers that callees save, other than sp and fp */
};

/* NULL: not one of ours. */
const struct cfi_machine *cfi_machine(uint16_t elf);

/* A common information entry. */
struct cfi_cie {
	uint64_t code_align;
	int64_t data_align;
	uint64_t ra;	      /* column of the return address */
	uint64_t at;	      /* its place in the section */
	const uint8_t *code;
	size_t len;
	uint8_t fde_encoding; /* of pointers */
	bool sized;	      /* FDEs tell the size of their augmentation */
	bool signal;
	bool bad;
};

#define CFI_COLUMNS 4 /* return address, frame pointer, aux, SP */

struct cfi_state {
	struct cfi_column {
		uint8_t how;
		uint64_t reg;
		int64_t offset;
		const uint8_t *expr;
		size_t len;
	} cfa, columns[CFI_COLUMNS];
};

/* Of one compilation. */
struct cfi_run {
	const struct cfi_machine *machine;
	const struct cfi_section *section;
	struct cfi_elf *elf;
	struct rowtable *rows;
	struct cfi_report *report;
	uint64_t budget;  /* bytes of instructions that may still be run */
	uint32_t needs;	   /* registers that the last rule takes, see saved above */
	uint64_t need[32]; /* rows that call, and take this one */
	uint8_t aux;
	bool leaves; /* of a program that keeps frame pointers: see cfi_report.go */

	/* Where the present function's rows are wanted. */
	uint64_t from, to;
	/* The state that the last CIE begins with. */
	const struct cfi_cie *last;
	struct cfi_state initial;
	bool initial_bad;
};

/*
 * The rows of one function, whose first byte is at an offset in the file and at an
 * address in the object; only those from one offset to another. 0, or -EFBIG when the
 * budget is used up. Instructions that make no sense give rows that are BAD.
 */
int cficode_run(struct cfi_run *run, const struct cfi_cie *cie,
		const uint8_t *code, size_t len, uint64_t offset,
		uint64_t vaddr, uint64_t from, uint64_t to);

#endif
