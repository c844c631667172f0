/* SPDX-License-Identifier: Apache-2.0 */
/* The entries of .eh_frame or .debug_frame. */
#ifndef KSTRATA_SYMBOL_CFIFRAME_H
#define KSTRATA_SYMBOL_CFIFRAME_H

#include "symbol/cficode.h"
#include "symbol/cfielf.h"

/* A frame description entry whose code is in the file. */
struct cfi_fde {
	uint64_t start, end; /* in the file */
	uint64_t vaddr;	     /* of start */
	uint32_t cie;
	uint32_t code, len; /* in the section: its instructions */
};

struct cfi_frames {
	struct cfi_section section;
	bool debug; /* .debug_frame */
	struct cfi_cie *cies;
	struct cfi_fde *fdes;
	size_t nr_cies, cap_cies, nr_fdes, cap_fdes;
	size_t nr_bad; /* FDEs left out */
};

/* f->section, f->debug are given, and freed with it. 0, -EFBIG, -ENOMEM. */
int cfiframe_parse(struct cfi_frames *f, const struct cfi_elf *e);
void cfiframe_release(struct cfi_frames *f);

#endif
