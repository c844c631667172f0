/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The dictionaries that give profiles their meaning, together: strings, call
 * tree and series. Each epoch of the store owns one; ids of one mean nothing
 * in another. Append-only, so that a writer can save what came since last time.
 */
#ifndef KSTRATA_PROFILE_DICT_H
#define KSTRATA_PROFILE_DICT_H

#include "profile/calltree.h"
#include "profile/labels.h"
#include "profile/strtab.h"

struct dict {
	struct strtab *strings;
	struct calltree *tree;
	struct series_set *series;
};

int dict_init(struct dict *d);
void dict_release(struct dict *d);

/* Location of a function by its names; object may be NULL (unknown). */
int dict_location(struct dict *d, const char *name, size_t name_len,
		  const char *object, uint32_t *location);

/*
 * Series: label sets with ids 0, 1, ... in the order of first sight.
 * -ENOSPC beyond DICT_SERIES_MAX.
 */
#define DICT_SERIES_MAX 65536
int dict_series(struct dict *d, const struct labels *l, uint32_t *id);
const struct labels *dict_series_labels(const struct dict *d, uint32_t id);
uint32_t dict_series_count(const struct dict *d);

size_t dict_memory(const struct dict *d);

#endif
