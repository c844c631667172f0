// SPDX-License-Identifier: Apache-2.0
#include "query/merge.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/*
 * Within one dictionary weights are summed by node id, in an array; names are
 * looked at once per node that has a weight below it, when the dictionary ends.
 */
struct merge {
	struct dict sum; /* strings and call tree of the result */
	uint64_t *self; /* of sum's nodes */
	uint32_t cap;
	const struct dict *dict;
	uint64_t *weights; /* of dict's nodes */
	uint32_t nr;
	bool any;
};

static uint64_t add_saturating(uint64_t a, uint64_t b)
{
	uint64_t sum;

	return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

int merge_new(struct merge **out)
{
	struct merge *m = calloc(1, sizeof(*m));

	if (!m)
		return -ENOMEM;
	m->cap = 256;
	m->self = calloc(m->cap, sizeof(*m->self));
	if (!m->self || dict_init(&m->sum) < 0) {
		free(m->self);
		free(m);
		return -ENOMEM;
	}
	*out = m;
	return 0;
}

void merge_free(struct merge *m)
{
	if (!m)
		return;
	dict_release(&m->sum);
	free(m->self);
	free(m->weights);
	free(m);
}

int merge_add(struct merge *m, uint32_t node, uint64_t weight)
{
	if (node >= m->nr)
		return -EINVAL;
	m->weights[node] = add_saturating(m->weights[node], weight);
	m->any = true;
	return 0;
}

static int add_self(struct merge *m, uint32_t node, uint64_t weight)
{
	if (node >= m->cap) {
		uint64_t cap = max_u64(m->cap * 2ull, node + 1ull);
		uint64_t *self = realloc(m->self, cap * sizeof(*self));

		if (!self)
			return -ENOMEM;
		memset(self + m->cap, 0, (cap - m->cap) * sizeof(*self));
		m->self = self;
		m->cap = (uint32_t)min_u64(cap, UINT32_MAX);
	}
	m->self[node] = add_saturating(m->self[node], weight);
	return 0;
}

static int map_string(struct merge *m, uint32_t from, uint32_t *to)
{
	size_t len;
	const char *s = strtab_get(m->dict->strings, from, &len);

	return strtab_intern(m->sum.strings, s, len, to);
}

/* map[] holds the location in sum + 1 once it was needed. */
static int map_location(struct merge *m, uint32_t *map, uint32_t from,
			uint32_t *to)
{
	struct location l;
	int r = 0;

	if (!map[from]) {
		l = calltree_get_location(m->dict->tree, from);
		r = map_string(m, l.name, &l.name);
		if (!r)
			r = map_string(m, l.object, &l.object);
		if (!r)
			r = calltree_location(m->sum.tree, l, &map[from]);
		if (r < 0)
			return r;
		map[from]++;
	}
	*to = map[from] - 1;
	return 0;
}

/* Bring what was summed for the dictionary into the result. */
static int settle(struct merge *m)
{
	const struct calltree *t = m->dict ? m->dict->tree : NULL;
	uint32_t *nodes, *locations;
	int r = -ENOMEM;

	if (!m->any)
		return 0;
	nodes = calloc(m->nr, sizeof(*nodes));
	locations = calloc(calltree_locations(t), sizeof(*locations));
	if (!nodes || !locations)
		goto out;
	/* Parents have smaller ids: backwards to mark what is needed ... */
	for (uint32_t i = m->nr - 1; i; i--)
		if (m->weights[i] || nodes[i])
			nodes[calltree_get(t, i).parent] = nodes[i] = 1;
	/* ... and forwards to map it. */
	nodes[0] = 0;
	r = add_self(m, 0, m->weights[0]);
	for (uint32_t i = 1; i < m->nr && !r; i++) {
		struct calltree_node n;
		uint32_t location;

		if (!nodes[i])
			continue;
		n = calltree_get(t, i);
		r = map_location(m, locations, n.location, &location);
		if (!r)
			r = calltree_child(m->sum.tree, nodes[n.parent],
					   location, &nodes[i]);
		if (!r)
			r = add_self(m, nodes[i], m->weights[i]);
	}
out:
	free(nodes);
	free(locations);
	return r;
}

static void drop_weights(struct merge *m)
{
	free(m->weights);
	m->weights = NULL;
	m->nr = 0;
	m->any = false;
	m->dict = NULL;
}

int merge_dict(struct merge *m, const struct dict *d)
{
	int r = settle(m);

	drop_weights(m);
	if (r < 0)
		return r;
	m->weights = calloc(calltree_count(d->tree), sizeof(*m->weights));
	if (!m->weights)
		return -ENOMEM;
	m->nr = calltree_count(d->tree);
	m->dict = d;
	return 0;
}

/* What ordering siblings needs. */
struct order {
	const struct dict *sum;
	const uint64_t *totals;
};

/* By parent, then as flame.h says: by total, falling, by name, by object. */
static int compare(const void *a, const void *b, void *userdata)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	const struct order *o = userdata;
	struct calltree_node nx = calltree_get(o->sum->tree, x);
	struct calltree_node ny = calltree_get(o->sum->tree, y);
	struct location lx, ly;
	int c;

	if (nx.parent != ny.parent)
		return nx.parent < ny.parent ? -1 : 1;
	if (o->totals[x] != o->totals[y])
		return o->totals[x] > o->totals[y] ? -1 : 1;
	lx = calltree_get_location(o->sum->tree, nx.location);
	ly = calltree_get_location(o->sum->tree, ny.location);
	c = strcmp(strtab_get(o->sum->strings, lx.name, NULL),
		   strtab_get(o->sum->strings, ly.name, NULL));
	return c ? c :
		   strcmp(strtab_get(o->sum->strings, lx.object, NULL),
			  strtab_get(o->sum->strings, ly.object, NULL));
}

/* Scratch arrays of merge_finish(), one element a node. */
struct finish {
	uint64_t *totals;
	uint32_t *sorted; /* siblings together, in their order */
	uint32_t *first; /* of a node's children in sorted */
	uint32_t *stack;
	uint32_t *place; /* node -> flame's */
};

static void preorder(struct merge *m, const struct finish *x, uint32_t nr,
		     struct flame *f)
{
	const struct calltree *t = m->sum.tree;
	uint32_t top = 0;

	x->stack[top++] = 0;
	while (top) {
		uint32_t i = x->stack[--top];
		struct calltree_node n = calltree_get(t, i);
		struct location l = calltree_get_location(t, n.location);
		uint32_t parent = i ? x->place[n.parent] : 0;
		uint32_t end = x->first[i];

		x->place[i] = f->nr;
		f->nodes[f->nr++] = (struct flame_node){
			.parent = parent,
			.name = l.name,
			.object = l.object,
			.depth = i ? f->nodes[parent].depth + 1 : 0,
			.total = x->totals[i],
			.self = m->self[i],
		};
		/* The first child is to come off the stack first. */
		while (end < nr &&
		       calltree_get(t, x->sorted[end]).parent == i)
			end++;
		while (end-- > x->first[i])
			x->stack[top++] = x->sorted[end];
	}
}

static void add_cut(struct flame *f, uint32_t node)
{
	enum cut cut = flame_marker(f, node);

	if (cut != CUT_NOT)
		f->cut[cut] = add_saturating(f->cut[cut], f->nodes[node].total);
}

static int build(struct merge *m, struct finish *x, struct flame *f)
{
	const struct calltree *t = m->sum.tree;
	uint32_t nr = calltree_count(t);
	struct order order = { &m->sum, x->totals };
	uint32_t root;

	memcpy(x->totals, m->self, nr * sizeof(*x->totals));
	for (uint32_t i = nr - 1; i; i--) {
		uint32_t parent = calltree_get(t, i).parent;

		x->totals[parent] =
			add_saturating(x->totals[parent], x->totals[i]);
		x->sorted[i - 1] = i;
	}
	qsort_r(x->sorted, nr - 1, sizeof(*x->sorted), compare, &order);
	for (uint32_t i = 0; i < nr; i++)
		x->first[i] = nr;
	for (uint32_t i = nr - 1; i--;)
		x->first[calltree_get(t, x->sorted[i]).parent] = i;
	preorder(m, x, nr - 1, f);
	if (strtab_intern(m->sum.strings, "total", 5, &root) < 0)
		return -ENOMEM;
	f->nodes[0].name = root;
	f->nodes[0].object = 0;
	f->strings = m->sum.strings;
	m->sum.strings = NULL;
	for (uint32_t i = 1; i < f->nr; i++)
		if (f->nodes[i].depth == 1)
			add_cut(f, i);
	return 0;
}

int merge_finish(struct merge *m, struct flame **out)
{
	struct flame *f = calloc(1, sizeof(*f));
	struct finish x = { 0 };
	int r = f ? settle(m) : -ENOMEM;
	size_t nr = calltree_count(m->sum.tree);

	drop_weights(m);
	if (!r)
		r = add_self(m, (uint32_t)nr - 1, 0); /* as long as the tree */
	if (!r) {
		f->nodes = malloc(nr * sizeof(*f->nodes));
		x.totals = malloc(nr * sizeof(*x.totals));
		x.sorted = malloc(nr * sizeof(*x.sorted));
		x.first = malloc(nr * sizeof(*x.first));
		x.stack = malloc(nr * sizeof(*x.stack));
		x.place = malloc(nr * sizeof(*x.place));
		if (!f->nodes || !x.totals || !x.sorted || !x.first ||
		    !x.stack || !x.place)
			r = -ENOMEM;
	}
	if (!r)
		r = build(m, &x, f);
	free(x.totals);
	free(x.sorted);
	free(x.first);
	free(x.stack);
	free(x.place);
	if (r < 0)
		flame_free(f);
	else
		*out = f;
	return r;
}
