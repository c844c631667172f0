// SPDX-License-Identifier: Apache-2.0
#include "query/query.h"
#include "serve/api.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int write_strings(struct http_reply *reply, struct query_strings *s)
{
	struct json j = json_to(&reply->body);

	json_array(&j);
	for (size_t i = 0; i < s->nr; i++)
		json_str(&j, s->v[i]);
	json_end_array(&j);
	query_strings_release(s);
	return 0;
}

/* Without a range: all time, as Pyroscope's old interface has it. */
static int parse(struct api_query *x, const struct http_request *q,
		 struct http_reply *reply)
{
	int r = api_query_parse(x, q, reply, false);

	if (r >= 0 && !http_param(q, "from") && !http_param(q, "until"))
		x->from_ns = x->until_ns = 0;
	return r;
}

int api_label_names(struct api *a, const struct http_request *q,
		    struct http_reply *reply)
{
	struct query_strings names;
	struct api_query x;
	int r;

	r = parse(&x, q, reply);
	if (r < 0)
		return r == -EINVAL ? 0 : r;
	r = query_label_names(a->options.store, x.selector, x.from_ns,
			      x.until_ns, &names);
	api_query_release(&x);
	return r < 0 ? r : write_strings(reply, &names);
}

int api_label_values(struct api *a, const struct http_request *q,
		     struct http_reply *reply)
{
	const char *label = http_param(q, "label");
	struct query_strings values;
	struct api_query x;
	int r;

	if (!label || !*label)
		return http_error(reply, 400, "label: is required");
	/* Pyroscope's name of a profile type's series. */
	if (!strcmp(label, "__name__"))
		label = LABEL_PROFILE_TYPE;
	r = parse(&x, q, reply);
	if (r < 0)
		return r == -EINVAL ? 0 : r;
	r = query_label_values(a->options.store, x.selector, label, x.from_ns,
			       x.until_ns, &values);
	api_query_release(&x);
	return r < 0 ? r : write_strings(reply, &values);
}

/* ---- label sets with totals ---- */

struct group {
	struct labels labels;
	uint64_t total;
};

struct series_query {
	const struct selector *selector;
	const char *group_by; /* comma-separated; NULL: all labels */
	struct group *v;
	size_t nr;
	const struct dict *dict;
	size_t *group_of; /* by series of dict: position in v, + 1 */
};

static bool want(void *userdata, const struct labels *labels)
{
	return selector_match(((struct series_query *)userdata)->selector,
			      labels);
}

static int on_epoch(void *userdata, const struct dict *dict)
{
	struct series_query *s = userdata;

	free(s->group_of);
	s->dict = dict;
	s->group_of = calloc(dict_series_count(dict) + 1u,
			     sizeof(*s->group_of));
	return s->group_of ? 0 : -ENOMEM;
}

static bool grouped_by(const struct series_query *s, const char *name)
{
	size_t len = strlen(name);

	if (!s->group_by || !strcmp(name, LABEL_PROFILE_TYPE))
		return true;
	for (const char *p = s->group_by; *p;) {
		size_t n = strcspn(p, ",");

		if (n == len && !memcmp(p, name, n))
			return true;
		p += n + (p[n] == ',');
	}
	return false;
}

static int find_group(struct series_query *s, uint32_t series)
{
	const struct labels *all = dict_series_labels(s->dict, series);
	struct labels l = { 0 };
	struct group *v;
	int r = 0;

	for (size_t i = 0; r >= 0 && i < all->nr; i++)
		if (grouped_by(s, all->v[i].name))
			r = labels_set(&l, all->v[i].name, all->v[i].value);
	for (size_t i = 0; r >= 0 && i < s->nr; i++) {
		if (!labels_equal(&l, &s->v[i].labels))
			continue;
		labels_release(&l);
		s->group_of[series] = i + 1;
		return 0;
	}
	v = r < 0 ? NULL : realloc(s->v, (s->nr + 1) * sizeof(*v));
	if (!v) {
		labels_release(&l);
		return -ENOMEM;
	}
	s->v = v;
	v[s->nr++] = (struct group){ .labels = l };
	s->group_of[series] = s->nr;
	return 0;
}

static int on_window(void *userdata, uint32_t series, int64_t window_ns,
		     uint64_t total)
{
	struct series_query *s = userdata;
	int r = 0;

	(void)window_ns;
	if (!s->group_of[series])
		r = find_group(s, series);
	if (r >= 0)
		s->v[s->group_of[series] - 1].total += total;
	return r;
}

static int by_total(const void *a, const void *b)
{
	const struct group *x = a, *y = b;

	return x->total > y->total ? -1 : x->total < y->total;
}

static void write_groups(struct http_reply *reply, const struct series_query *s)
{
	struct json j = json_to(&reply->body);

	json_array(&j);
	for (size_t i = 0; i < s->nr; i++) {
		const struct labels *l = &s->v[i].labels;

		json_object(&j);
		json_key(&j, "labels");
		json_object(&j);
		for (size_t k = 0; k < l->nr; k++) {
			json_key(&j, l->v[k].name);
			json_str(&j, l->v[k].value);
		}
		json_end_object(&j);
		json_key(&j, "total");
		json_u64(&j, s->v[i].total);
		json_end_object(&j);
	}
	json_end_array(&j);
}

int api_series(struct api *a, const struct http_request *q,
	       struct http_reply *reply)
{
	struct series_query s = { .group_by = http_param(q, "groupBy") };
	struct store_reader reader = {
		.userdata = &s,
		.want = want,
		.epoch = on_epoch,
		.window = on_window,
	};
	struct api_query x;
	int r;

	r = api_query_parse(&x, q, reply, false);
	if (r < 0)
		return r == -EINVAL ? 0 : r;
	s.selector = x.selector;
	r = store_read(a->options.store, x.from_ns, x.until_ns, &reader);
	if (r >= 0) {
		if (s.nr)
			qsort(s.v, s.nr, sizeof(*s.v), by_total);
		write_groups(reply, &s);
	}
	for (size_t i = 0; i < s.nr; i++)
		labels_release(&s.v[i].labels);
	free(s.v);
	free(s.group_of);
	api_query_release(&x);
	return r;
}
