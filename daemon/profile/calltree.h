/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interned calling contexts. A *location* is a function: (name, object), both
 * ids of the string table that goes with this tree. A *node* is (parent node,
 * location): a whole stack is one node id, and no stack is stored twice.
 * Node 0 is the root, above every stack's outermost frame; parents have
 * smaller ids than their children. Location 0 is the root's.
 */
#ifndef KSTRATA_PROFILE_CALLTREE_H
#define KSTRATA_PROFILE_CALLTREE_H

#include "base/util.h"

struct calltree;

struct location {
	uint32_t name; /* of the function */
	uint32_t object; /* path of its file, "[kernel]", "" unknown */
};

struct calltree_node {
	uint32_t parent;
	uint32_t location;
};

int calltree_new(struct calltree **out);
void calltree_free(struct calltree *t);

/* Intern; 0 or -ENOMEM. */
int calltree_location(struct calltree *t, struct location l, uint32_t *id);
/* -EINVAL when parent or location is not in the tree. */
int calltree_child(struct calltree *t, uint32_t parent, uint32_t location,
		   uint32_t *id);

struct location calltree_get_location(const struct calltree *t, uint32_t id);
struct calltree_node calltree_get(const struct calltree *t, uint32_t id);
uint32_t calltree_locations(const struct calltree *t);
uint32_t calltree_count(const struct calltree *t);
size_t calltree_memory(const struct calltree *t);

#endif
