/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The functions of one ELF file: .symtab, .dynsym for what it lacks, and the
 * stubs of the PLT ("function@plt"), sorted by address, names demangled (C++,
 * Rust, D). Built once from an open file and independent of it afterwards.
 * Hostile files cost bounded time and memory and give an error, never a crash.
 */
#ifndef KSTRATA_SYMBOL_ELFSYM_H
#define KSTRATA_SYMBOL_ELFSYM_H

#include "base/util.h"

struct elfsym;

#define ELFSYM_BUILD_ID_MAX (2 * 64 + 1) /* as text, with its NUL */

/* -ENOEXEC: not an ELF file we can read. -EFBIG, -ENOMEM, -EIO. */
int elfsym_load(struct elfsym **out, int fd);
void elfsym_free(struct elfsym *e);

/*
 * The function that holds the byte at this offset of the file (through the
 * PT_LOAD that maps it), or NULL. The name lives as long as e.
 */
const char *elfsym_lookup(struct elfsym *e, uint64_t file_offset);
size_t elfsym_count(const struct elfsym *e);
size_t elfsym_memory(const struct elfsym *e);
/* Lower-case hex of the build-id note, "" when there is none. */
const char *elfsym_build_id(const struct elfsym *e);

/*
 * The same of a file that is not loaded, from its program headers' notes alone.
 * 0 or, with out "", as elfsym_load().
 */
int elfsym_read_build_id(int fd, char out[ELFSYM_BUILD_ID_MAX]);

#endif
