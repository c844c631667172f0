// SPDX-License-Identifier: Apache-2.0
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "profile/folded.h"
#include "query/query.h"

#define T0 (INT64_C(1700000000) * NSEC_PER_SEC) /* on the grid */

static struct store *new_store(void)
{
	const struct store_options o = { .memory_bytes = 256 << 20 };
	struct store *s;

	assert_int_equal(store_open(&s, &o), 0);
	return s;
}

struct adding {
	struct store *s;
	uint32_t series;
	int64_t time_ns;
};

static int take(void *userdata, uint32_t node, uint64_t value)
{
	const struct adding *a = userdata;

	return store_add(a->s, a->series, node, a->time_ns, value);
}

static void add(struct store *s, const char *service, int64_t time_ns,
		const char *folded)
{
	struct adding a = { .s = s, .time_ns = time_ns };
	struct labels l = { 0 };

	labels_set(&l, "service_name", service);
	labels_set(&l, LABEL_PROFILE_TYPE, PROFILE_TYPE_CPU);
	assert_int_equal(dict_series(store_dict(s), &l, &a.series), 0);
	labels_release(&l);
	assert_int_equal(folded_parse(store_dict(s), folded, strlen(folded), 1,
				      take, &a, NULL),
			 0);
}

static struct flame *merge(struct store *s, const char *text, int64_t from,
			   int64_t until)
{
	struct selector *sel;
	struct flame *f = NULL;

	assert_int_equal(selector_parse(&sel, text, NULL), 0);
	assert_int_equal(query_merge(s, sel, from, until, &f), 0);
	selector_free(sel);
	return f;
}

/* "name:total/self" of each node in order, indented by its depth. */
static void assert_flame(const struct flame *f, const char *expect)
{
	struct buf b = { 0 };

	for (uint32_t i = 0; i < f->nr; i++) {
		const struct flame_node *n = &f->nodes[i];

		for (uint32_t k = 0; k < n->depth; k++)
			buf_char(&b, '.');
		buf_printf(&b, "%s:%llu/%llu ",
			   strtab_get(f->strings, n->name, NULL),
			   (unsigned long long)n->total,
			   (unsigned long long)n->self);
		if (i) {
			assert_true(n->parent < i);
			assert_int_equal(n->depth,
					 f->nodes[n->parent].depth + 1);
		}
	}
	assert_string_equal(buf_cstr(&b), expect);
	buf_release(&b);
}

static void test_merge(void **state)
{
	struct store *s = new_store();
	struct flame *f;

	(void)state;
	f = merge(s, "{}", 0, INT64_MAX);
	assert_flame(f, "total:0/0 ");
	flame_free(f);
	add(s, "a", T0, "main;x;y 5\nmain;x 2\nmain;z 7\n");
	add(s, "b", T0 + WINDOW_NS, "main;x;y 10\nother;q 1\n");
	f = merge(s, "{}", 0, INT64_MAX);
	assert_flame(f, "total:25/0 .main:24/0 ..x:17/2 ...y:15/15 ..z:7/7 "
			".other:1/0 ..q:1/1 ");
	flame_free(f);
	/* Equal totals: by name. */
	f = merge(s, "{service_name=\"a\"}", 0, INT64_MAX);
	assert_flame(f, "total:14/0 .main:14/0 ..x:7/2 ...y:5/5 ..z:7/7 ");
	flame_free(f);
	/* Closed windows count as open ones do. */
	assert_int_equal(store_flush(s), 0);
	add(s, "a", T0, "main 1000\n");
	f = merge(s, "{service_name=\"a\"}", 0, INT64_MAX);
	assert_flame(f,
		     "total:1014/0 .main:1014/1000 ..x:7/2 ...y:5/5 ..z:7/7 ");
	flame_free(f);
	store_close(s);
}

static uint64_t total(struct store *s, int64_t from, int64_t until)
{
	struct flame *f = merge(s, "{}", from, until);
	uint64_t t = f->nodes[0].total;

	flame_free(f);
	return t;
}

static void test_ranges(void **state)
{
	struct store *s = new_store();

	(void)state;
	add(s, "a", T0 + 3, "m 1\n");
	add(s, "a", T0 + WINDOW_NS, "m 10\n");
	add(s, "a", T0 + 2 * WINDOW_NS - 1, "m 100\n");
	add(s, "a", T0 + 2 * WINDOW_NS, "m 1000\n");
	for (int i = 0; i < 2; i++) {
		assert_int_equal(total(s, 0, T0), 0);
		assert_int_equal(total(s, 0, T0 + 1), 1);
		assert_int_equal(total(s, T0 + WINDOW_NS - 1, T0 + WINDOW_NS),
				 1);
		assert_int_equal(total(s, T0 + WINDOW_NS, T0 + WINDOW_NS + 1),
				 110);
		assert_int_equal(total(s, T0 + 5, T0 + WINDOW_NS + 1), 111);
		assert_int_equal(total(s, T0 + 3 * WINDOW_NS, INT64_MAX), 0);
		assert_int_equal(total(s, INT64_MIN, INT64_MAX), 1111);
		/* Empty: the one window that holds from. */
		assert_int_equal(total(s, T0 + WINDOW_NS, T0 + WINDOW_NS), 110);
		assert_int_equal(total(s, T0 + WINDOW_NS, 0), 110);
		assert_int_equal(total(s, INT64_MAX, INT64_MAX), 0);
		assert_int_equal(store_flush(s), 0);
	}
	store_close(s);
}

static int series(struct store *s, int64_t from, int64_t until, int64_t step,
		  struct query_series *q)
{
	struct selector *sel;
	int r;

	assert_int_equal(selector_parse(&sel, "{}", NULL), 0);
	r = query_series(s, sel, from, until, step, q);
	selector_free(sel);
	return r;
}

static void test_series(void **state)
{
	struct store *s = new_store();
	struct query_series q;

	(void)state;
	add(s, "a", T0, "m 1\n");
	add(s, "b", T0, "m 10\n");
	add(s, "a", T0 + 5 * WINDOW_NS, "m 100\n");
	assert_int_equal(series(s, T0, T0 + 6 * WINDOW_NS, 0, &q), 0);
	assert_int_equal(q.start_ns, T0);
	assert_int_equal(q.step_ns, WINDOW_NS);
	assert_int_equal(q.nr, 6);
	assert_int_equal(q.points[0], 11);
	assert_int_equal(q.points[1], 0);
	assert_int_equal(q.points[5], 100);
	query_series_release(&q);
	/* 25 s become 30 s, on a grid from 1970 on. */
	assert_int_equal(series(s, T0, T0 + 6 * WINDOW_NS, 25 * NSEC_PER_SEC,
				&q),
			 0);
	assert_int_equal(q.step_ns, 30 * NSEC_PER_SEC);
	assert_int_equal(q.start_ns % q.step_ns, 0);
	assert_true(q.start_ns <= T0 && q.start_ns > T0 - q.step_ns);
	query_series_release(&q);
	assert_int_equal(series(s, 0, INT64_MAX, NSEC_PER_SEC, &q), -E2BIG);
	assert_int_equal(series(s, INT64_MIN, INT64_MAX, NSEC_PER_SEC, &q),
			 -E2BIG);
	assert_int_equal(series(s, 0, INT64_MAX, INT64_MAX, &q), 0);
	assert_int_equal(q.points[0], 111);
	query_series_release(&q);
	assert_int_equal(series(s, T0, T0 + QUERY_POINTS_MAX * WINDOW_NS, 1,
				&q),
			 0);
	assert_int_equal(q.nr, QUERY_POINTS_MAX);
	query_series_release(&q);
	assert_int_equal(series(s, T0, T0 + QUERY_POINTS_MAX * WINDOW_NS + 1, 1,
				&q),
			 -E2BIG);
	store_close(s);
}

static void assert_strings(struct store *s, const char *label, const char *text,
			   int64_t from, int64_t until, const char *expect)
{
	struct query_strings q;
	struct selector *sel;
	struct buf b = { 0 };

	assert_int_equal(selector_parse(&sel, text, NULL), 0);
	assert_int_equal(label ? query_label_values(s, sel, label, from, until,
						    &q) :
				 query_label_names(s, sel, from, until, &q),
			 0);
	selector_free(sel);
	for (size_t i = 0; i < q.nr; i++)
		buf_printf(&b, "%s ", q.v[i]);
	assert_string_equal(buf_cstr(&b), expect);
	buf_release(&b);
	query_strings_release(&q);
}

static void test_labels(void **state)
{
	struct store *s = new_store();

	(void)state;
	assert_strings(s, NULL, "{}", 0, 0, "");
	add(s, "web", T0, "m 1\n");
	add(s, "db", T0 + WINDOW_NS, "m 1\n");
	add(s, "web", T0 + WINDOW_NS, "m 1\n");
	for (int i = 0; i < 2; i++) {
		assert_strings(s, NULL, "{}", 0, 0,
			       "__profile_type__ service_name ");
		assert_strings(s, "service_name", "{}", 0, 0, "db web ");
		assert_strings(s, "service_name", "{}", T0, T0 + 1, "web ");
		assert_strings(s, "service_name", "{service_name!=\"web\"}", 0,
			       0, "db ");
		assert_strings(s, "service_name", "{service_name!=\"web\"}", T0,
			       T0 + 1, "");
		assert_strings(s, NULL, "{}", 5, T0, "");
		assert_strings(s, "nope", "{}", 0, 0, "");
		assert_int_equal(store_flush(s), 0);
	}
	store_close(s);
}

static void test_prune(void **state)
{
	struct store *s = new_store();
	struct flame *f, *p;

	(void)state;
	add(s, "a", T0,
	    "main;x;y 5\nmain;x 2\nmain;z 4\nmain;w 3\nmain 1\nu 2\nv 1\n");
	f = merge(s, "{}", 0, INT64_MAX);
	assert_flame(f, "total:18/0 .main:15/1 ..x:7/2 ...y:5/5 ..z:4/4 "
			"..w:3/3 .u:2/2 .v:1/1 ");
	assert_int_equal(flame_prune(f, 0, &p), 0);
	assert_int_equal(p->nr, f->nr);
	flame_free(p);
	assert_int_equal(flame_prune(f, 8, &p), 0);
	assert_flame(p, "total:18/0 .main:15/1 ..x:7/2 ...y:5/5 ..z:4/4 "
			"..w:3/3 .u:2/2 .v:1/1 ");
	flame_free(p);
	assert_int_equal(flame_prune(f, 3, &p), 0);
	assert_flame(p, "total:18/0 .main:15/1 ..x:7/2 ...other:5/5 "
			"..other:7/7 .other:3/3 ");
	flame_free(p);
	assert_int_equal(flame_prune(f, 5, &p), 0);
	assert_flame(p, "total:18/0 .main:15/1 ..x:7/2 ...y:5/5 ..z:4/4 "
			"..other:3/3 .other:3/3 ");
	flame_free(p);
	assert_int_equal(flame_prune(f, 1, &p), 0);
	assert_flame(p, "total:18/0 .other:18/18 ");
	flame_free(p);
	flame_free(f);
	store_close(s);
}

/* Totals hold at every node that is shown, whatever the limit. */
static void test_prune_exact(void **state)
{
	struct store *s = new_store();
	struct buf b = { 0 };
	uint32_t rng = 5;
	struct flame *f;

	(void)state;
	for (int i = 0; i < 3000; i++) {
		for (int k = 0; k < 8; k++) {
			rng = rng * 1664525 + 1013904223;
			buf_printf(&b, "%sf%u", k ? ";" : "",
				   (rng >> 20) % 6 * (rng >> 28) % 7);
			if (rng >> 29 == 0)
				break;
		}
		buf_printf(&b, " %u\n", 1 + (rng >> 12) % 1000);
	}
	add(s, "a", T0, buf_cstr(&b));
	buf_release(&b);
	f = merge(s, "{}", 0, INT64_MAX);
	for (uint32_t max = 1; max < f->nr; max = max * 3 / 2 + 1) {
		struct flame *p;
		uint64_t *sum;

		assert_int_equal(flame_prune(f, max, &p), 0);
		sum = calloc(p->nr, sizeof(*sum));
		for (uint32_t i = 1; i < p->nr; i++)
			sum[p->nodes[i].parent] += p->nodes[i].total;
		for (uint32_t i = 0; i < p->nr; i++)
			assert_int_equal(p->nodes[i].total,
					 p->nodes[i].self + sum[i]);
		assert_int_equal(p->nodes[0].total, f->nodes[0].total);
		assert_true(p->nr <= 2 * max);
		free(sum);
		flame_free(p);
	}
	flame_free(f);
	store_close(s);
}

/* What is cut, whatever is shown of it and from however many dictionaries. */
static void test_cut(void **state)
{
	struct store *s = new_store();
	struct flame *f, *p;

	(void)state;
	add(s, "a", T0,
	    "[cut: fault];x;y 5\n[cut: fault];x 2\nmain 10\n"
	    "[cut: no rows];y 4\nmain;[cut: depth] 1\n[cut: what];x 1\n");
	add(s, "b", T0, "[cut: fault];x 100\n");
	f = merge(s, "{service_name=\"a\"}", 0, INT64_MAX);
	assert_int_equal(f->nodes[0].total, 23);
	assert_int_equal(f->cut[CUT_FAULT], 7);
	assert_int_equal(f->cut[CUT_NO_ROWS], 4);
	/* Not at the outer end, or of no name of ours. */
	assert_int_equal(f->cut[CUT_DEPTH], 0);
	assert_int_equal(f->cut[CUT_OTHER], 0);
	assert_int_equal(f->cut[CUT_NOT], 0);
	assert_int_equal(flame_prune(f, 2, &p), 0);
	assert_memory_equal(p->cut, f->cut, sizeof(f->cut));
	flame_free(p);
	flame_free(f);
	f = merge(s, "{}", 0, INT64_MAX);
	assert_int_equal(f->cut[CUT_FAULT], 107);
	flame_free(f);
	store_close(s);
}

static void test_top(void **state)
{
	static const struct {
		const char *name;
		uint64_t self, total;
	} expect[] = {
		{ "f", 111, 111 },
		{ "g", 20, 120 },
		{ "main", 5, 136 },
		{ "h", 0, 1 },
	};
	struct store *s = new_store();
	struct flame_function *v;
	struct flame *f;
	uint32_t nr;

	(void)state;
	/* Recursion, direct and through others, counts once. */
	add(s, "a", T0,
	    "main;f 10\nmain;g;f;f;f 100\nmain;g 20\nmain 5\n"
	    "main;f;h;f 1\n");
	f = merge(s, "{}", 0, INT64_MAX);
	assert_int_equal(flame_top(f, &v, &nr), 0);
	assert_int_equal(nr, ARRAY_SIZE(expect));
	for (uint32_t i = 0; i < nr; i++) {
		assert_string_equal(strtab_get(f->strings, v[i].name, NULL),
				    expect[i].name);
		assert_int_equal(v[i].self, expect[i].self);
		assert_int_equal(v[i].total, expect[i].total);
	}
	free(v);
	flame_free(f);
	f = merge(s, "{service_name=\"none\"}", 0, INT64_MAX);
	assert_int_equal(flame_top(f, &v, &nr), 0);
	assert_int_equal(nr, 0);
	free(v);
	flame_free(f);
	store_close(s);
}

/* Functions of the same name in other files are others. */
static void test_objects(void **state)
{
	struct store *s = new_store();
	struct dict *d = store_dict(s);
	struct labels l = { 0 };
	struct flame_function *v;
	uint32_t series_id, location, node, nr;
	struct flame *f;

	(void)state;
	labels_set(&l, "a", "b");
	assert_int_equal(dict_series(d, &l, &series_id), 0);
	labels_release(&l);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(dict_location(d, "read", 4,
					       i == 1 ? "/lib/b" : "/lib/a",
					       &location),
				 0);
		assert_int_equal(calltree_child(d->tree, 0, location, &node),
				 0);
		assert_int_equal(store_add(s, series_id, node, T0,
					   1 + (uint64_t)i),
				 0);
	}
	f = merge(s, "{}", 0, INT64_MAX);
	assert_flame(f, "total:6/0 .read:4/4 .read:2/2 ");
	assert_string_equal(strtab_get(f->strings, f->nodes[1].object, NULL),
			    "/lib/a");
	assert_int_equal(flame_top(f, &v, &nr), 0);
	assert_int_equal(nr, 2);
	free(v);
	flame_free(f);
	store_close(s);
}

/* Epochs have other ids for the same names, and deep stacks in reverse. */
static void test_epochs_and_depth(void **state)
{
	struct store *s = new_store();
	struct flame_function *v;
	struct buf b = { 0 };
	struct flame *f, *p;
	uint32_t nr;

	(void)state;
	for (int i = 0; i < FOLDED_DEPTH_MAX; i++)
		buf_printf(&b, "%sf%d", i ? ";" : "", i % 3000);
	buf_str(&b, " 1\n");
	add(s, "a", T0, "x;y 1\n");
	add(s, "a", T0, buf_cstr(&b));
	/* A day later, another epoch. */
	store_tick(s, clock_realtime_ns() + 30 * 3600 * NSEC_PER_SEC);
	assert_int_equal(calltree_count(store_dict(s)->tree), 1);
	add(s, "a", T0, buf_cstr(&b));
	add(s, "a", T0, "y;x 1\nx;y 1\n");
	buf_release(&b);
	f = merge(s, "{}", 0, INT64_MAX);
	assert_int_equal(f->nr, FOLDED_DEPTH_MAX + 1 + 4);
	assert_int_equal(f->nodes[0].total, 5);
	assert_int_equal(f->nodes[FOLDED_DEPTH_MAX].depth, FOLDED_DEPTH_MAX);
	assert_int_equal(f->nodes[FOLDED_DEPTH_MAX].self, 2);
	assert_int_equal(flame_top(f, &v, &nr), 0);
	assert_int_equal(nr, 3002);
	free(v);
	assert_int_equal(flame_prune(f, 4000, &p), 0);
	assert_int_equal(p->nodes[0].total, 5);
	flame_free(p);
	flame_free(f);
	store_close(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_merge),
		cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_series),
		cmocka_unit_test(test_labels),
		cmocka_unit_test(test_prune),
		cmocka_unit_test(test_prune_exact),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_top),
		cmocka_unit_test(test_objects),
		cmocka_unit_test(test_epochs_and_depth),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
