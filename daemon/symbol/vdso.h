/* SPDX-License-Identifier: Apache-2.0 */
/* The code that the kernel maps into every program, as a file. */
#ifndef KSTRATA_SYMBOL_VDSO_H
#define KSTRATA_SYMBOL_VDSO_H

#include "base/util.h"

/*
 * A copy of our own, which is that of all programs of our word size. A descriptor
 * that is the caller's, and its bytes in *size; or -errno, -ENODATA: there is none.
 */
int vdso_open(size_t *size);

#endif
