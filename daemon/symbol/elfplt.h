/* SPDX-License-Identifier: Apache-2.0 */
/* The procedure linkage table: stubs that no symbol table names. */
#ifndef KSTRATA_SYMBOL_ELFPLT_H
#define KSTRATA_SYMBOL_ELFPLT_H

#include "base/util.h"

#include <libelf.h>

/* name, in memory of elf, is the function that the stub jumps to. */
typedef int (*elfplt_fn)(void *userdata, uint64_t vaddr, uint32_t size,
			 const char *name, size_t len);

/*
 * Call fn for every stub of .plt, .plt.sec and .plt.got that can be told; a
 * negative return ends it. x86-64 only; other machines have none here. 0,
 * fn's error, -ENOMEM.
 */
int elfplt_walk(Elf *elf, elfplt_fn fn, void *userdata);

#endif
