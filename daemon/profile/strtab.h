/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An interned string table: equal strings get equal ids. Ids count up from 0
 * in the order of first sight; id 0 is "". Strings may hold any byte but NUL.
 */
#ifndef KSTRATA_PROFILE_STRTAB_H
#define KSTRATA_PROFILE_STRTAB_H

#include "base/util.h"

#define STRTAB_LEN_MAX 16383 /* longer strings are cut there */

struct strtab;

int strtab_new(struct strtab **out);
void strtab_free(struct strtab *t);

/* The id of s, interned if need be; 0 or -ENOMEM. */
int strtab_intern(struct strtab *t, const char *s, size_t len, uint32_t *id);
/* Look up without interning; -ENOENT. */
int strtab_find(const struct strtab *t, const char *s, size_t len,
		uint32_t *id);
/* Valid as long as t lives; "" for an id that is not in it. */
const char *strtab_get(const struct strtab *t, uint32_t id, size_t *len);
/* How many ids there are (at least 1). */
uint32_t strtab_count(const struct strtab *t);
size_t strtab_memory(const struct strtab *t);

#endif
