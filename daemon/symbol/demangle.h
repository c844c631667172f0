/* SPDX-License-Identifier: Apache-2.0 */
/* Readable names out of mangled ones (libiberty does the work). */
#ifndef KSTRATA_SYMBOL_DEMANGLE_H
#define KSTRATA_SYMBOL_DEMANGLE_H

#include <stdbool.h>

/*
 * malloc'ed name without parameters ("ns::Type<int>::method", Rust without its
 * hash), a plain copy when the symbol is not mangled, NULL when out of memory.
 * Symbol versions (@@GLIBC_2.34) are cut off, "@plt" stays; compiler clones
 * keep their suffix (".part.0"). Symbols that are too long, or whose name would
 * be, stay mangled.
 */
char *demangle(const char *symbol);
/* Whether demangle() could give anything but a copy; cheap. */
bool demangle_changes(const char *symbol);

#endif
