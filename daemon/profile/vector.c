// SPDX-License-Identifier: Apache-2.0
#include "profile/vector.h"

#include <errno.h>
#include <stdlib.h>

#include "base/hash.h"

/*
 * Open addressing; keys are node + 1, 0 is a free slot. Weights first in the
 * one allocation that both arrays share. Many series see a handful of nodes in
 * a window, so it starts small.
 */
struct vector {
	uint64_t *weights;
	uint32_t *keys;
	uint32_t mask;
	uint32_t nr;
	uint64_t total;
};

#define SLOTS_MIN 8u
#define SLOT_BYTES (sizeof(uint64_t) + sizeof(uint32_t))

static uint64_t add_saturating(uint64_t a, uint64_t b)
{
	uint64_t sum;

	return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

static int allocate(struct vector *v, uint32_t slots)
{
	uint64_t *weights = calloc(slots, SLOT_BYTES);

	if (!weights)
		return -ENOMEM;
	v->weights = weights;
	v->keys = (uint32_t *)(weights + slots);
	v->mask = slots - 1;
	return 0;
}

int vector_new(struct vector **out)
{
	struct vector *v = calloc(1, sizeof(*v));

	if (!v || allocate(v, SLOTS_MIN) < 0) {
		free(v);
		return -ENOMEM;
	}
	*out = v;
	return 0;
}

void vector_free(struct vector *v)
{
	if (!v)
		return;
	free(v->weights);
	free(v);
}

/* The slot of key, or the free one where it belongs. */
static uint32_t slot_of(const struct vector *v, uint32_t key)
{
	uint32_t at = (uint32_t)hash_u64(key) & v->mask;

	while (v->keys[at] && v->keys[at] != key)
		at = (at + 1) & v->mask;
	return at;
}

static int grow(struct vector *v)
{
	struct vector old = *v;

	if (v->mask >= UINT32_MAX / 2 || allocate(v, (v->mask + 1) * 2) < 0)
		return -ENOMEM;
	for (uint32_t i = 0; i <= old.mask; i++) {
		uint32_t at;

		if (!old.keys[i])
			continue;
		at = slot_of(v, old.keys[i]);
		v->keys[at] = old.keys[i];
		v->weights[at] = old.weights[i];
	}
	free(old.weights);
	return 0;
}

int vector_add(struct vector *v, uint32_t node, uint64_t weight)
{
	uint32_t key = node + 1;
	uint32_t at;

	if (!weight)
		return 0;
	if (!key)
		return -ENOMEM; /* no tree has that many nodes */
	at = slot_of(v, key);
	if (!v->keys[at]) {
		if ((v->nr + 1) * UINT64_C(4) > (v->mask + 1) * UINT64_C(3)) {
			if (grow(v) < 0)
				return -ENOMEM;
			at = slot_of(v, key);
		}
		v->keys[at] = key;
		v->nr++;
	}
	v->weights[at] = add_saturating(v->weights[at], weight);
	v->total = add_saturating(v->total, weight);
	return 0;
}

uint64_t vector_total(const struct vector *v)
{
	return v->total;
}

size_t vector_count(const struct vector *v)
{
	return v->nr;
}

size_t vector_memory(const struct vector *v)
{
	return sizeof(*v) + (v->mask + 1) * SLOT_BYTES;
}

int vector_each(const struct vector *v, vector_fn fn, void *userdata)
{
	for (uint32_t i = 0; i <= v->mask; i++) {
		int r;

		if (!v->keys[i])
			continue;
		r = fn(userdata, v->keys[i] - 1, v->weights[i]);
		if (r < 0)
			return r;
	}
	return 0;
}

static int compare_nodes(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

int vector_pack(const struct vector *v, struct buf *out)
{
	uint32_t *nodes = malloc((v->nr + !v->nr) * sizeof(*nodes));
	uint32_t nr = 0, last = 0;

	if (!nodes) {
		out->err = -ENOMEM;
		return -ENOMEM;
	}
	for (uint32_t i = 0; i <= v->mask; i++)
		if (v->keys[i])
			nodes[nr++] = v->keys[i] - 1;
	qsort(nodes, nr, sizeof(*nodes), compare_nodes);
	for (uint32_t i = 0; i < nr; i++) {
		buf_varint(out, nodes[i] - last);
		buf_varint(out, v->weights[slot_of(v, nodes[i] + 1)]);
		last = nodes[i];
	}
	free(nodes);
	return out->err;
}

int vector_each_packed(const void *data, size_t len, uint32_t nr_nodes,
		       vector_fn fn, void *userdata)
{
	const uint8_t *p = data, *end = len ? p + len : p;
	uint64_t node = 0;

	for (bool first = true; p < end; first = false) {
		uint64_t delta, weight;
		int r;

		if (buf_get_varint(&p, end, &delta) < 0 ||
		    buf_get_varint(&p, end, &weight) < 0)
			return -EBADMSG;
		/* Only the first may repeat what came before, 0. */
		if (delta >= nr_nodes || (!delta && !first) || !weight)
			return -EBADMSG;
		node += delta;
		if (node >= nr_nodes)
			return -EBADMSG;
		r = fn(userdata, (uint32_t)node, weight);
		if (r < 0)
			return r;
	}
	return 0;
}
