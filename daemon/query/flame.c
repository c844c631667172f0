// SPDX-License-Identifier: Apache-2.0
#include "query/flame.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

void flame_free(struct flame *f)
{
	if (!f)
		return;
	strtab_free(f->strings);
	free(f->nodes);
	free(f);
}

enum cut flame_marker(const struct flame *f, uint32_t node)
{
	const struct flame_node *n = &f->nodes[node];

	/* Elsewhere than at a stack's outer end it would be somebody's name. */
	if (n->depth != 1 || n->object)
		return CUT_NOT;
	return cut_find(strtab_get(f->strings, n->name, NULL), "");
}

static int by_total(const void *a, const void *b)
{
	const uint64_t *x = *(const uint64_t *const *)a;
	const uint64_t *y = *(const uint64_t *const *)b;

	return *x > *y ? -1 : *x < *y;
}

/* Mark the max largest nodes and their ancestors. */
static int choose(const struct flame *f, uint32_t max, bool *keep)
{
	cleanup(util_freep) const uint64_t **order =
		malloc(f->nr * sizeof(*order));
	uint32_t kept = 1;

	if (!order)
		return -ENOMEM;
	for (uint32_t i = 0; i < f->nr; i++)
		order[i] = &f->nodes[i].total;
	qsort(order, f->nr, sizeof(*order), by_total);
	keep[0] = true;
	for (uint32_t i = 0; i < f->nr && kept < max; i++) {
		const struct flame_node *n = container_of(
			order[i], const struct flame_node, total);
		uint32_t at = (uint32_t)(n - f->nodes);

		/* An ancestor's total is no less: mostly it is in already. */
		for (; !keep[at]; at = f->nodes[at].parent) {
			keep[at] = true;
			kept++;
		}
	}
	return 0;
}

static int copy_string(struct strtab *to, const struct strtab *from,
		       uint32_t id, uint32_t *out)
{
	size_t len;
	const char *s = strtab_get(from, id, &len);

	return strtab_intern(to, s, len, out);
}

/* "other" below node parent (in out), holding what its children lost. */
static void put_other(struct flame *out, uint32_t parent, uint32_t name,
		      uint64_t weight)
{
	out->nodes[out->nr++] = (struct flame_node){
		.parent = parent,
		.name = name,
		.depth = out->nodes[parent].depth + 1,
		.total = weight,
		.self = weight,
	};
}

static int copy_kept(const struct flame *f, const bool *keep,
		     const uint64_t *cut, struct flame *out)
{
	cleanup(util_freep) uint32_t *renamed = malloc(f->nr * sizeof(uint32_t));
	/* Ancestors of the node at hand, as ids of f: "other" comes last. */
	cleanup(util_freep) uint32_t *path = malloc(f->nr * sizeof(uint32_t));
	uint32_t depth = 0, other;
	int r;

	if (!renamed || !path)
		return -ENOMEM;
	r = strtab_intern(out->strings, "other", 5, &other);
	for (uint32_t i = 0; r >= 0 && i <= f->nr; i++) {
		const struct flame_node *n = &f->nodes[i];
		struct flame_node *to;

		if (i < f->nr && !keep[i])
			continue;
		while (depth && (i == f->nr || depth > n->depth)) {
			uint32_t done = path[--depth];

			if (cut[done])
				put_other(out, renamed[done], other, cut[done]);
		}
		if (i == f->nr)
			break;
		path[depth++] = i;
		renamed[i] = out->nr;
		to = &out->nodes[out->nr++];
		*to = *n;
		to->parent = i ? renamed[n->parent] : 0;
		r = copy_string(out->strings, f->strings, n->name, &to->name);
		if (r >= 0)
			r = copy_string(out->strings, f->strings, n->object,
					&to->object);
	}
	return r;
}

int flame_prune(const struct flame *f, uint32_t max, struct flame **result)
{
	cleanup(util_freep) bool *keep = calloc(f->nr + 1u, sizeof(*keep));
	cleanup(util_freep) uint64_t *cut = calloc(f->nr + 1u, sizeof(*cut));
	struct flame *out = calloc(1, sizeof(*out));
	int r = -ENOMEM;

	if (!keep || !cut || !out || strtab_new(&out->strings) < 0)
		goto out;
	memcpy(out->cut, f->cut, sizeof(out->cut));
	if (!max || max >= f->nr)
		memset(keep, true, f->nr);
	else if (choose(f, max, keep) < 0)
		goto out;
	for (uint32_t i = 1; i < f->nr; i++)
		if (!keep[i] && keep[f->nodes[i].parent])
			cut[f->nodes[i].parent] += f->nodes[i].total;
	/* Every kept node may get one "other". */
	out->nodes = malloc((2 * (size_t)f->nr + 1) * sizeof(*out->nodes));
	if (!out->nodes)
		goto out;
	r = copy_kept(f, keep, cut, out);
out:
	if (r < 0)
		flame_free(out);
	else
		*result = out;
	return r;
}

static int by_self(const void *a, const void *b)
{
	const struct flame_function *x = a, *y = b;

	if (x->self != y->self)
		return x->self > y->self ? -1 : 1;
	if (x->total != y->total)
		return x->total > y->total ? -1 : 1;
	return x->name < y->name ? -1 : x->name > y->name;
}

struct top {
	struct flame_function *v;
	uint32_t *active; /* how often it is on the path at hand */
	uint32_t nr;
	struct hash_index index; /* id: position + 1 */
};

static uint32_t function_of(struct top *t, const struct flame_node *n)
{
	uint64_t hash = hash_pair(n->name, n->object);
	uint32_t id;

	for (size_t at = hash_index_first(&t->index, hash, &id); id;
	     at = hash_index_next(&t->index, hash, at, &id))
		if (t->v[id - 1].name == n->name &&
		    t->v[id - 1].object == n->object)
			return id - 1;
	if (hash_index_grow(&t->index) < 0)
		return UINT32_MAX;
	t->v[t->nr] = (struct flame_function){ n->name, n->object, 0, 0 };
	hash_index_put(&t->index, hash, ++t->nr);
	return t->nr - 1;
}

int flame_top(const struct flame *f, struct flame_function **out, uint32_t *nr)
{
	cleanup(util_freep) uint32_t *path =
		malloc((f->nr + 1u) * sizeof(*path));
	struct top t = {
		.v = malloc((f->nr + 1u) * sizeof(*t.v)),
		.active = calloc(f->nr + 1u, sizeof(*t.active)),
	};
	uint32_t depth = 0;
	int r = !path || !t.v || !t.active ? -ENOMEM : 0;

	for (uint32_t i = 1; r >= 0 && i < f->nr; i++) {
		const struct flame_node *n = &f->nodes[i];
		uint32_t fn = function_of(&t, n);

		if (fn == UINT32_MAX) {
			r = -ENOMEM;
			break;
		}
		while (depth >= n->depth)
			t.active[path[--depth]]--;
		path[depth++] = fn;
		/* Recursion: only the outermost call's total counts. */
		if (!t.active[fn]++)
			t.v[fn].total += n->total;
		t.v[fn].self += n->self;
	}
	free(t.active);
	hash_index_release(&t.index);
	if (r < 0) {
		free(t.v);
		return r;
	}
	if (t.nr)
		qsort(t.v, t.nr, sizeof(*t.v), by_self);
	*out = t.v;
	*nr = t.nr;
	return 0;
}
