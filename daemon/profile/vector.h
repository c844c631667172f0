/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A window's content for one series: a sparse vector of (node, weight). While
 * the window is open it is a hash table (struct vector); when it closes it is
 * packed: sorted by node, varint of the node's delta, varint of the weight.
 */
#ifndef KSTRATA_PROFILE_VECTOR_H
#define KSTRATA_PROFILE_VECTOR_H

#include "base/buf.h"

struct vector;

int vector_new(struct vector **out);
void vector_free(struct vector *v);
/* Add weight to node's; saturates at 2^64 - 1; 0 adds no entry. 0 or -ENOMEM. */
int vector_add(struct vector *v, uint32_t node, uint64_t weight);
uint64_t vector_total(const struct vector *v);
size_t vector_count(const struct vector *v);
size_t vector_memory(const struct vector *v);

typedef int (*vector_fn)(void *userdata, uint32_t node, uint64_t weight);
/* In no particular order; stops at a negative return and hands it on. */
int vector_each(const struct vector *v, vector_fn fn, void *userdata);

/* Append the packed form to out (errors stick there). */
int vector_pack(const struct vector *v, struct buf *out);
/*
 * Walk a packed vector in node order; -EBADMSG when it is not one, or names a
 * node that is not below nr_nodes.
 */
int vector_each_packed(const void *data, size_t len, uint32_t nr_nodes,
		       vector_fn fn, void *userdata);

#endif
