/* SPDX-License-Identifier: Apache-2.0 */
/* Readable names out of mangled ones (libiberty does the work). */
#ifndef KSTRATA_SYMBOL_DEMANGLE_H
#define KSTRATA_SYMBOL_DEMANGLE_H

/*
 * malloc'ed name without parameters ("ns::Type<int>::method", Rust without its
 * hash), a plain copy when the symbol is not mangled, NULL when out of memory.
 * Symbol versions (@@GLIBC_2.34) are cut off; compiler clones keep a readable
 * suffix (" [clone .part.0]" becomes ".part.0").
 */
char *demangle(const char *symbol);

#endif
