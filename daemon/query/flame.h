/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The result of a merge: one tree of (name, object) with exact weights, free
 * of any dictionary. Nodes are in pre-order, children by descending total,
 * then by name; node 0 is the root ("total").
 */
#ifndef KSTRATA_QUERY_FLAME_H
#define KSTRATA_QUERY_FLAME_H

#include "profile/cut.h"
#include "profile/strtab.h"

struct flame_node {
	uint32_t parent; /* the root's is itself */
	uint32_t name; /* ids in flame.strings */
	uint32_t object;
	uint32_t depth; /* the root's is 0 */
	uint64_t total;
	uint64_t self;
};

struct flame {
	struct strtab *strings;
	struct flame_node *nodes;
	uint32_t nr;
	/* What stacks weigh that are cut, of all that was merged. */
	uint64_t cut[CUTS];
};

/* Is the node a marker of profile/cut.h, no function? CUT_NOT: it is none. */
enum cut flame_marker(const struct flame *f, uint32_t node);

void flame_free(struct flame *f);

/*
 * What a limit of max nodes (0: none; the root counts) shows of it: the
 * largest by total, all ancestors kept; what is cut below a node becomes its
 * last child, named "other", so that totals stay exact. The "other" nodes come
 * on top of max: at most one for each node kept.
 */
int flame_prune(const struct flame *f, uint32_t max, struct flame **out);

/* Flat view: per (name, object), self and total (recursion counted once). */
struct flame_function {
	uint32_t name;
	uint32_t object;
	uint64_t self;
	uint64_t total;
};

/* Sorted by self, then total, descending. *out is malloc'ed. */
int flame_top(const struct flame *f, struct flame_function **out,
	      uint32_t *nr);

#endif
