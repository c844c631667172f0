// SPDX-License-Identifier: Apache-2.0
#include "query/query.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "query/merge.h"

/* An empty range asks for the window that holds from. */
static int64_t until_of(int64_t from_ns, int64_t until_ns)
{
	if (until_ns > from_ns)
		return until_ns;
	return from_ns == INT64_MAX ? from_ns : from_ns + 1;
}

/* ---- merge ---- */

struct merge_query {
	const struct selector *sel;
	struct merge *merge;
};

static bool merge_want(void *userdata, const struct labels *labels)
{
	const struct merge_query *q = userdata;

	return selector_match(q->sel, labels);
}

static int merge_epoch(void *userdata, const struct dict *dict)
{
	const struct merge_query *q = userdata;

	return merge_dict(q->merge, dict);
}

static int merge_entry(void *userdata, uint32_t series, int64_t window_ns,
		       uint32_t node, uint64_t weight)
{
	const struct merge_query *q = userdata;

	(void)series;
	(void)window_ns;
	return merge_add(q->merge, node, weight);
}

int query_merge(struct store *s, const struct selector *sel, int64_t from_ns,
		int64_t until_ns, struct flame **out)
{
	struct merge_query q = { .sel = sel };
	const struct store_reader reader = {
		.userdata = &q,
		.want = merge_want,
		.epoch = merge_epoch,
		.entry = merge_entry,
	};
	int r = merge_new(&q.merge);

	if (r < 0)
		return r;
	r = store_read(s, from_ns, until_of(from_ns, until_ns), &reader);
	if (!r)
		r = merge_finish(q.merge, out);
	merge_free(q.merge);
	return r;
}

/* ---- series ---- */

struct series_query {
	const struct selector *sel;
	struct query_series *out;
};

static bool series_want(void *userdata, const struct labels *labels)
{
	const struct series_query *q = userdata;

	return selector_match(q->sel, labels);
}

static int no_epoch(void *userdata, const struct dict *dict)
{
	(void)userdata;
	(void)dict;
	return 0;
}

static int64_t floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

static int series_window(void *userdata, uint32_t series, int64_t window_ns,
			 uint64_t total)
{
	const struct series_query *q = userdata;
	struct query_series *out = q->out;
	int64_t at = floor_div(window_ns, out->step_ns) -
		     floor_div(out->start_ns, out->step_ns);
	uint64_t *point;

	(void)series;
	if (at < 0 || (uint64_t)at >= out->nr)
		return 0;
	point = &out->points[at];
	if (__builtin_add_overflow(*point, total, point))
		*point = UINT64_MAX;
	return 0;
}

int query_series(struct store *s, const struct selector *sel, int64_t from_ns,
		 int64_t until_ns, int64_t step_ns, struct query_series *out)
{
	struct series_query q = { .sel = sel, .out = out };
	const struct store_reader reader = {
		.userdata = &q,
		.want = series_want,
		.epoch = no_epoch,
		.window = series_window,
	};
	int64_t first, last, start;
	int r;

	*out = (struct query_series){ 0 };
	if (step_ns < WINDOW_NS)
		step_ns = WINDOW_NS;
	else if (step_ns > INT64_MAX - WINDOW_NS)
		step_ns = INT64_MAX / WINDOW_NS * WINDOW_NS;
	else
		step_ns = (step_ns + WINDOW_NS - 1) / WINDOW_NS * WINDOW_NS;
	until_ns = until_of(from_ns, until_ns);
	first = floor_div(from_ns, step_ns);
	last = floor_div(until_ns - 1, step_ns);
	if (last - first >= QUERY_POINTS_MAX ||
	    __builtin_mul_overflow(first, step_ns, &start))
		return -E2BIG;
	out->start_ns = start;
	out->step_ns = step_ns;
	out->nr = (size_t)(last - first + 1);
	out->points = calloc(out->nr, sizeof(*out->points));
	if (!out->points)
		return -ENOMEM;
	r = store_read(s, from_ns, until_ns, &reader);
	if (r < 0)
		query_series_release(out);
	return r;
}

void query_series_release(struct query_series *q)
{
	free(q->points);
	*q = (struct query_series){ 0 };
}

/* ---- labels ---- */

struct labels_query {
	const struct selector *sel;
	const char *label; /* its values; NULL: the names of all */
	struct strtab *found;
	/*
	 * By time: series are looked at when a window of theirs is there. All
	 * time: all that the dictionaries know, without reading any window.
	 */
	bool all_time;
	const struct dict *dict;
	bool *seen; /* series of dict */
	uint32_t nr_seen;
};

static int collect(struct labels_query *q, const struct labels *l)
{
	uint32_t id;
	int r = 0;

	for (size_t i = 0; i < l->nr && !r; i++) {
		const char *s = l->v[i].name;

		if (q->label && strcmp(s, q->label))
			continue;
		if (q->label)
			s = l->v[i].value;
		r = strtab_intern(q->found, s, strlen(s), &id);
	}
	return r;
}

static bool labels_want(void *userdata, const struct labels *labels)
{
	const struct labels_query *q = userdata;

	return selector_match(q->sel, labels);
}

static int labels_epoch(void *userdata, const struct dict *dict)
{
	struct labels_query *q = userdata;
	int r = 0;

	if (q->all_time) {
		for (uint32_t i = 0; i < dict_series_count(dict) && !r; i++) {
			const struct labels *l = dict_series_labels(dict, i);

			if (selector_match(q->sel, l))
				r = collect(q, l);
		}
		return r;
	}
	free(q->seen);
	q->nr_seen = dict_series_count(dict);
	q->seen = calloc(q->nr_seen + 1u, sizeof(*q->seen));
	q->dict = dict;
	return q->seen ? 0 : -ENOMEM;
}

static int labels_window(void *userdata, uint32_t series, int64_t window_ns,
			 uint64_t total)
{
	struct labels_query *q = userdata;

	(void)window_ns;
	(void)total;
	if (series >= q->nr_seen || q->seen[series])
		return 0;
	q->seen[series] = true;
	return collect(q, dict_series_labels(q->dict, series));
}

static int compare_strings(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int sorted(const struct strtab *found, struct query_strings *out)
{
	uint32_t nr = strtab_count(found) - 1; /* but "" */

	out->v = calloc(nr + 1u, sizeof(*out->v));
	if (!out->v)
		return -ENOMEM;
	for (; out->nr < nr; out->nr++) {
		uint32_t id = (uint32_t)out->nr + 1;

		out->v[out->nr] = strdup(strtab_get(found, id, NULL));
		if (!out->v[out->nr]) {
			query_strings_release(out);
			return -ENOMEM;
		}
	}
	qsort(out->v, out->nr, sizeof(*out->v), compare_strings);
	return 0;
}

static int query_labels(struct store *s, const struct selector *sel,
			const char *label, int64_t from_ns, int64_t until_ns,
			struct query_strings *out)
{
	struct labels_query q = {
		.sel = sel,
		.label = label,
		.all_time = !from_ns && !until_ns,
	};
	struct store_reader reader = {
		.userdata = &q,
		.want = labels_want,
		.epoch = labels_epoch,
		.window = labels_window,
	};
	int r;

	*out = (struct query_strings){ 0 };
	r = strtab_new(&q.found);
	if (r < 0)
		return r;
	if (q.all_time) {
		until_ns = INT64_MAX;
		reader.window = NULL;
	}
	r = store_read(s, from_ns, until_of(from_ns, until_ns), &reader);
	if (!r)
		r = sorted(q.found, out);
	strtab_free(q.found);
	free(q.seen);
	return r;
}

int query_label_names(struct store *s, const struct selector *sel,
		      int64_t from_ns, int64_t until_ns,
		      struct query_strings *out)
{
	return query_labels(s, sel, NULL, from_ns, until_ns, out);
}

int query_label_values(struct store *s, const struct selector *sel,
		       const char *label, int64_t from_ns, int64_t until_ns,
		       struct query_strings *out)
{
	return query_labels(s, sel, label, from_ns, until_ns, out);
}

void query_strings_release(struct query_strings *q)
{
	for (size_t i = 0; i < q->nr; i++)
		free(q->v[i]);
	free(q->v);
	*q = (struct query_strings){ 0 };
}
