/* SPDX-License-Identifier: Apache-2.0 */
/*
 * As much of an ELF file (64 bits, little-endian) as the compiler of unwind rows
 * wants: where code is, and the sections that speak of it. It is never mapped, for a
 * file cut short under a mapping would kill us.
 */
#ifndef KSTRATA_SYMBOL_CFIELF_H
#define KSTRATA_SYMBOL_CFIELF_H

#include "symbol/cfibytes.h"

#include <elf.h>

#define CFI_SEGMENTS_MAX 64
#define CFI_WINDOW 65536

struct cfi_segment {
	uint64_t vaddr, size; /* size: as in the file */
	uint64_t offset;
	bool code;
};

struct cfi_elf {
	int fd; /* -1: image */
	const uint8_t *image;
	uint64_t size;
	uint16_t machine;
	struct cfi_segment segments[CFI_SEGMENTS_MAX]; /* by offset */
	size_t nr_segments;
	Elf64_Shdr *sections;
	size_t nr_sections;
	char *names;
	size_t names_size;
	uint64_t unwind_header; /* vaddr of .eh_frame_hdr, 0: none */
	const char *why;

	uint8_t *window;
	uint64_t window_at;
	size_t window_len;
};

/* 0, or as cfi_compile(), with why set. Either way cfielf_close() it. */
int cfielf_open(struct cfi_elf *e, int fd, const void *image, size_t bytes);
void cfielf_close(struct cfi_elf *e);

/* A section by name, with its bytes in the file; NULL: there is none. */
const Elf64_Shdr *cfielf_section(const struct cfi_elf *e, const char *name);
const char *cfielf_name(const struct cfi_elf *e, const Elf64_Shdr *shdr);
/*
 * Its bytes, decompressed; at most max of them. 0, -EFBIG, -ENOEXEC, -ENOMEM, -EIO.
 * The caller frees out->data.
 */
int cfielf_load(struct cfi_elf *e, const Elf64_Shdr *shdr, size_t max,
		struct cfi_section *out);
/* .eh_frame, by its name or by the program headers; -ENODATA: there is none. */
int cfielf_load_eh_frame(struct cfi_elf *e, size_t max,
			 struct cfi_section *out);

/* Where code at an address is in the file, and how much is mapped from there. */
bool cfielf_code_offset(const struct cfi_elf *e, uint64_t vaddr,
			uint64_t *offset, uint64_t *room);
bool cfielf_code_vaddr(const struct cfi_elf *e, uint64_t offset,
		       uint64_t *vaddr);
/*
 * len bytes (CFI_WINDOW at most) at an offset of the file, valid until the next call;
 * NULL: the file has no such bytes.
 */
const uint8_t *cfielf_peek(struct cfi_elf *e, uint64_t offset, size_t len);

#endif
