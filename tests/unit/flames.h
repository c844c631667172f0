/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Flame graphs from stacks, by way of the store, and lists of stacks to compare
 * what was written with what went in.
 */
#ifndef KSTRATA_TESTS_FLAMES_H
#define KSTRATA_TESTS_FLAMES_H

#include "base/buf.h"
#include "query/query.h"
#include "scratch.h"

/* Outermost first: name, object, name, object, ..., NULL. */
struct stack {
	uint64_t weight;
	const char *frames[33];
};

static maybe_unused struct flame *flame_of(const struct stack *v, size_t nr)
{
	const struct store_options o = { .memory_bytes = 64 << 20 };
	const int64_t time_ns = INT64_C(1700000000) * NSEC_PER_SEC;
	struct labels l = { 0 };
	struct selector *sel;
	struct flame *f = NULL;
	struct store *s;
	uint32_t series;

	assert_int_equal(store_open(&s, &o), 0);
	labels_set(&l, "service_name", "a");
	assert_int_equal(dict_series(store_dict(s), &l, &series), 0);
	labels_release(&l);
	for (size_t i = 0; i < nr; i++) {
		struct dict *d = store_dict(s);
		uint32_t node = 0, location;

		for (const char *const *p = v[i].frames; *p; p += 2) {
			assert_int_equal(dict_location(d, p[0], strlen(p[0]),
						       p[1], &location),
					 0);
			assert_int_equal(calltree_child(d->tree, node, location,
							&node),
					 0);
		}
		assert_int_equal(store_add(s, series, node, time_ns,
					   v[i].weight),
				 0);
	}
	assert_int_equal(selector_parse(&sel, "{}", NULL), 0);
	assert_int_equal(query_merge(s, sel, 0, INT64_MAX, &f), 0);
	selector_free(sel);
	store_close(s);
	return f;
}

/* One stack of depth frames, all of them "f". */
static maybe_unused struct flame *flame_deep(uint32_t depth, uint64_t weight)
{
	struct flame *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	assert_int_equal(strtab_new(&f->strings), 0);
	f->nodes = calloc(depth + 1u, sizeof(*f->nodes));
	assert_non_null(f->nodes);
	f->nr = depth + 1;
	for (uint32_t i = 0; i <= depth; i++) {
		f->nodes[i] = (struct flame_node){ .parent = i ? i - 1 : 0,
						   .depth = i,
						   .total = weight };
		assert_int_equal(strtab_intern(f->strings, i ? "f" : "total",
					       i ? 1 : 5, &f->nodes[i].name),
				 0);
	}
	f->nodes[depth].self = weight;
	return f;
}

/* Stacks as text, each once, with the sum of what was put. */
struct stacks {
	struct stacks_entry {
		char *text;
		uint64_t weight;
	} *v;
	size_t nr;
};

static maybe_unused void stacks_put(struct stacks *s, const char *text,
				    uint64_t weight)
{
	for (size_t i = 0; i < s->nr; i++)
		if (!strcmp(s->v[i].text, text)) {
			s->v[i].weight += weight;
			return;
		}
	s->v = realloc(s->v, (s->nr + 1) * sizeof(*s->v));
	assert_non_null(s->v);
	s->v[s->nr].text = strdup(text);
	assert_non_null(s->v[s->nr].text);
	s->v[s->nr++].weight = weight;
}

/* "name@object;name@object", or the names alone. */
static maybe_unused void stacks_of(struct stacks *s, const struct stack *v,
				   size_t nr, bool objects)
{
	for (size_t i = 0; i < nr; i++) {
		struct buf b = { 0 };

		for (const char *const *p = v[i].frames; *p; p += 2) {
			if (b.len)
				buf_char(&b, ';');
			buf_str(&b, p[0]);
			if (objects)
				buf_printf(&b, "@%s", p[1]);
		}
		stacks_put(s, buf_cstr(&b), v[i].weight);
		buf_release(&b);
	}
}

static maybe_unused void stacks_release(struct stacks *s)
{
	for (size_t i = 0; i < s->nr; i++)
		free(s->v[i].text);
	free(s->v);
	*s = (struct stacks){ 0 };
}

/* Both the same, whatever their order; releases both. */
static maybe_unused void assert_stacks_equal(struct stacks *a,
					     struct stacks *b)
{
	for (size_t i = 0; i < a->nr; i++) {
		size_t k = 0;

		while (k < b->nr && strcmp(a->v[i].text, b->v[k].text))
			k++;
		if (k == b->nr)
			fail_msg("only one has '%s'", a->v[i].text);
		else if (a->v[i].weight != b->v[k].weight)
			fail_msg("'%s': %llu, %llu", a->v[i].text,
				 (unsigned long long)a->v[i].weight,
				 (unsigned long long)b->v[k].weight);
	}
	assert_int_equal(a->nr, b->nr);
	stacks_release(a);
	stacks_release(b);
}

/* The same few hundred stacks every time, some of them alike. */
#define RANDOM_STACKS 400
static maybe_unused void random_stacks(struct stack *v)
{
	static const char *const names[] = { "main", "read",  "write", "poll",
					     "x::y", "a b c", "malloc" };
	static const char *const objects[] = { "/usr/bin/a", "/lib/libc.so.6",
					       "[kernel]", "" };
	uint64_t seed = 11;

	for (size_t i = 0; i < RANDOM_STACKS; i++) {
		size_t depth = 1 + scratch_random(&seed) % 16;

		if (i % 10 == 9)
			v[i] = v[i / 2];
		else
			for (size_t k = 0; k < depth; k++) {
				v[i].frames[2 * k] =
					names[scratch_random(&seed) %
					      ARRAY_SIZE(names)];
				v[i].frames[2 * k + 1] =
					objects[scratch_random(&seed) %
						ARRAY_SIZE(objects)];
			}
		v[i].weight = 1 + scratch_random(&seed) % 1000000007;
	}
}

#endif
