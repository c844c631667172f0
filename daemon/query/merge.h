/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sums vectors of any number of dictionaries into one tree of names. Exact, and
 * without recursion: stacks are as deep as who pushed them liked.
 */
#ifndef KSTRATA_QUERY_MERGE_H
#define KSTRATA_QUERY_MERGE_H

#include "profile/dict.h"
#include "query/flame.h"

struct merge;

int merge_new(struct merge **out);
void merge_free(struct merge *m);
/* Node ids belong to d from here on; d is borrowed until the next call. */
int merge_dict(struct merge *m, const struct dict *d);
/* -EINVAL when the dictionary has no such node. */
int merge_add(struct merge *m, uint32_t node, uint64_t weight);
/* The sum so far; m is spent, only to be freed. */
int merge_finish(struct merge *m, struct flame **out);

#endif
