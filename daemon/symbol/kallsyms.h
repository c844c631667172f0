/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's functions, from /proc/kallsyms. */
#ifndef KSTRATA_SYMBOL_KALLSYMS_H
#define KSTRATA_SYMBOL_KALLSYMS_H

#include "base/util.h"

struct kallsyms;

/*
 * Text symbols (t, T, w, W) sorted by address. -EPERM when every address
 * reads as zero (kptr_restrict or no CAP_SYSLOG), -EBADMSG, -errno.
 */
int kallsyms_load(struct kallsyms **out, const char *path);
void kallsyms_free(struct kallsyms *k);

/*
 * Name and module ("[kernel]", or "[ext4]" as kallsyms has it) of the function
 * that holds address; false when there is none.
 */
bool kallsyms_lookup(const struct kallsyms *k, uint64_t address,
		     const char **name, const char **module);
size_t kallsyms_count(const struct kallsyms *k);
size_t kallsyms_memory(const struct kallsyms *k);

#endif
