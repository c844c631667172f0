// SPDX-License-Identifier: Apache-2.0
#include "profile/calltree.h"

#include <errno.h>
#include <stdlib.h>

#include "base/hash.h"

/* Pairs of 32-bit numbers with ids from 0, the one for 0 given beforehand. */
struct pairs {
	struct pair {
		uint32_t a, b;
	} *v;
	uint32_t nr;
	uint32_t cap;
	struct hash_index index;
};

struct calltree {
	struct pairs locations; /* name, object */
	struct pairs nodes; /* parent, location */
};

/* Apart from pairs_intern(), which mostly finds them: there it is cheaper. */
static __attribute__((noinline)) int pairs_add(struct pairs *p, uint32_t a,
					       uint32_t b, uint32_t *out)
{
	if (p->nr == UINT32_MAX)
		return -ENOMEM;
	if (p->nr == p->cap) {
		uint64_t cap = p->cap + p->cap / 2ull;
		struct pair *v;

		if (cap > UINT32_MAX)
			cap = UINT32_MAX;
		v = realloc(p->v, cap * sizeof(*v));
		if (!v)
			return -ENOMEM;
		p->v = v;
		p->cap = (uint32_t)cap;
	}
	if (hash_index_grow(&p->index) < 0)
		return -ENOMEM;
	hash_index_put(&p->index, hash_pair(a, b), p->nr);
	p->v[p->nr] = (struct pair){ a, b };
	*out = p->nr++;
	return 0;
}

static inline int pairs_intern(struct pairs *p, uint32_t a, uint32_t b,
			       uint32_t *out)
{
	uint64_t hash = hash_pair(a, b);
	uint32_t id;

	for (size_t i = hash_index_first(&p->index, hash, &id); id;
	     i = hash_index_next(&p->index, hash, i, &id)) {
		if (p->v[id].a == a && p->v[id].b == b) {
			*out = id;
			return 0;
		}
	}
	return pairs_add(p, a, b, out);
}

static int pairs_init(struct pairs *p)
{
	p->cap = 64;
	p->v = calloc(p->cap, sizeof(*p->v));
	if (!p->v)
		return -ENOMEM;
	p->nr = 1;
	return 0;
}

static void pairs_release(struct pairs *p)
{
	free(p->v);
	hash_index_release(&p->index);
}

static size_t pairs_memory(const struct pairs *p)
{
	size_t slots = p->index.slots ? p->index.mask + 1 : 0;

	return p->cap * sizeof(*p->v) + slots * sizeof(struct hash_slot);
}

int calltree_new(struct calltree **out)
{
	struct calltree *t = calloc(1, sizeof(*t));

	if (!t || pairs_init(&t->locations) < 0 || pairs_init(&t->nodes) < 0) {
		calltree_free(t);
		return -ENOMEM;
	}
	*out = t;
	return 0;
}

void calltree_free(struct calltree *t)
{
	if (!t)
		return;
	pairs_release(&t->locations);
	pairs_release(&t->nodes);
	free(t);
}

int calltree_location(struct calltree *t, struct location l, uint32_t *id)
{
	if (!l.name && !l.object) {
		*id = 0; /* the root's own, once more */
		return 0;
	}
	return pairs_intern(&t->locations, l.name, l.object, id);
}

int calltree_child(struct calltree *t, uint32_t parent, uint32_t location,
		   uint32_t *id)
{
	if (parent >= t->nodes.nr || location >= t->locations.nr)
		return -EINVAL;
	return pairs_intern(&t->nodes, parent, location, id);
}

struct location calltree_get_location(const struct calltree *t, uint32_t id)
{
	struct pair p = { 0, 0 };

	if (id < t->locations.nr)
		p = t->locations.v[id];
	return (struct location){ .name = p.a, .object = p.b };
}

struct calltree_node calltree_get(const struct calltree *t, uint32_t id)
{
	struct pair p = { 0, 0 };

	if (id < t->nodes.nr)
		p = t->nodes.v[id];
	return (struct calltree_node){ .parent = p.a, .location = p.b };
}

uint32_t calltree_locations(const struct calltree *t)
{
	return t->locations.nr;
}

uint32_t calltree_count(const struct calltree *t)
{
	return t->nodes.nr;
}

size_t calltree_memory(const struct calltree *t)
{
	return sizeof(*t) + pairs_memory(&t->locations) +
	       pairs_memory(&t->nodes);
}
