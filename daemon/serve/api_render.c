// SPDX-License-Identifier: Apache-2.0
#include "query/query.h"
#include "serve/api.h"
#include "serve/flamebearer.h"
#include "serve/foldedtext.h"
#include "serve/pprof.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Pyroscope's own default for what it shows. */
#define MAX_NODES_DEFAULT 8192
/* The timeline has at most about this many points. */
#define TIMELINE_POINTS 1500

static int64_t timeline_step(const struct api_query *x)
{
	int64_t step = (x->until_ns - x->from_ns) / TIMELINE_POINTS;

	return step < WINDOW_NS ? WINDOW_NS : step;
}

static int write_json(struct api *a, const struct api_query *x,
		      const struct flame *f, struct http_reply *reply)
{
	const char *type = selector_profile_type(x->selector);
	struct json j = json_to(&reply->body);
	struct query_series timeline;
	int r;

	r = query_series(a->options.store, x->selector, x->from_ns, x->until_ns,
			 timeline_step(x), &timeline);
	if (r < 0)
		return r;
	r = flamebearer_write(&j, f, type ? type : PROFILE_TYPE_CPU, &timeline);
	query_series_release(&timeline);
	return r;
}

enum format { FORMAT_JSON, FORMAT_FOLDED, FORMAT_PPROF };

static int parse_format(const struct http_request *q, struct http_reply *reply,
			enum format *out)
{
	static const struct {
		const char *name;
		enum format format;
	} formats[] = {
		{ "json", FORMAT_JSON },       { "folded", FORMAT_FOLDED },
		{ "collapsed", FORMAT_FOLDED }, { "pprof", FORMAT_PPROF },
	};
	const char *s = http_param(q, "format");

	*out = FORMAT_JSON;
	if (!s || !*s)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
		if (strcmp(s, formats[i].name))
			continue;
		*out = formats[i].format;
		return 0;
	}
	http_error(reply, 400, "format: '%.32s' is not json, folded or pprof",
		   s);
	return -EINVAL;
}

static int write_format(struct api *a, const struct api_query *x,
			const struct flame *f, enum format format,
			struct http_reply *reply)
{
	const char *type = selector_profile_type(x->selector);
	int r;

	switch (format) {
	case FORMAT_FOLDED:
		reply->content_type = "text/plain; charset=utf-8";
		return foldedtext_write(f, &reply->body);
	case FORMAT_PPROF:
		reply->content_type = "application/octet-stream";
		reply->disposition = "profile.pb.gz";
		r = pprof_write(f, type ? type : PROFILE_TYPE_CPU, x->from_ns,
				x->until_ns, &reply->body);
		if (r != -EINVAL)
			return r;
		return http_error(reply, 400,
				  "query: '%.128s' is not a profile type of five parts",
				  type);
	case FORMAT_JSON:
		break;
	}
	return write_json(a, x, f, reply);
}

/* For formats that have no place to say it: "total=9, no_rows=1, fault=2". */
static void put_cut(const struct flame *f, struct http_reply *reply)
{
	int at;

	if (!cut_any(f->cut))
		return;
	at = snprintf(reply->cut, sizeof(reply->cut), "total=%llu",
		      (unsigned long long)f->nodes[0].total);
	for (enum cut i = CUT_NOT + 1; i < CUTS; i++)
		if (f->cut[i])
			at += snprintf(reply->cut + at,
				       sizeof(reply->cut) - (size_t)at,
				       ", %s=%llu", cut_key(i),
				       (unsigned long long)f->cut[i]);
}

static int parse_limit(const struct http_request *q, struct http_reply *reply,
		       enum format format, uint64_t *max)
{
	uint64_t fallback = format == FORMAT_JSON ? MAX_NODES_DEFAULT : 0;
	int r;

	r = api_number(q, reply, "maxNodes", fallback, &fallback);
	if (r >= 0)
		r = api_number(q, reply, "max-nodes", fallback, max);
	return r;
}

int api_render(struct api *a, const struct http_request *q,
	       struct http_reply *reply)
{
	struct flame *whole = NULL, *shown = NULL;
	enum format format;
	struct api_query x;
	uint64_t max;
	int r;

	r = api_query_parse(&x, q, reply, true);
	if (r < 0)
		return r == -EINVAL ? 0 : r;
	if (parse_format(q, reply, &format) < 0 ||
	    parse_limit(q, reply, format, &max) < 0)
		goto out;
	r = query_merge(a->options.store, x.selector, x.from_ns, x.until_ns,
			&whole);
	if (r >= 0 && max && max < whole->nr)
		r = flame_prune(whole, (uint32_t)max, &shown);
	if (r >= 0)
		r = write_format(a, &x, shown ? shown : whole, format, reply);
	if (r >= 0 && reply->status < 400)
		put_cut(whole, reply);
	flame_free(shown);
	flame_free(whole);
out:
	api_query_release(&x);
	return r;
}

#define TOP_DEFAULT 100

/* What stands for missing frames is no function. */
static bool is_marker(const struct flame *f, const struct flame_function *fn)
{
	return cut_find(strtab_get(f->strings, fn->name, NULL),
			strtab_get(f->strings, fn->object, NULL)) != CUT_NOT;
}

int api_top(struct api *a, const struct http_request *q,
	    struct http_reply *reply)
{
	struct json j = json_to(&reply->body);
	struct flame_function *functions = NULL;
	struct flame *f = NULL;
	struct api_query x;
	const char *type;
	uint64_t limit;
	uint32_t nr;
	int r;

	r = api_query_parse(&x, q, reply, false);
	if (r < 0)
		return r == -EINVAL ? 0 : r;
	if (api_number(q, reply, "n", TOP_DEFAULT, &limit) < 0)
		goto out;
	r = query_merge(a->options.store, x.selector, x.from_ns, x.until_ns,
			&f);
	if (r >= 0)
		r = flame_top(f, &functions, &nr);
	if (r < 0)
		goto out;
	type = selector_profile_type(x.selector);
	json_object(&j);
	json_key(&j, "total");
	json_u64(&j, f->nodes[0].total);
	json_key(&j, "unit");
	json_str(&j, !type || strstr(type, ":nanoseconds:") ? "nanoseconds" :
							      "count");
	if (cut_any(f->cut)) {
		json_key(&j, "cut");
		cut_write(&j, f->cut);
	}
	json_key(&j, "functions");
	json_array(&j);
	if (!limit)
		limit = nr;
	for (uint32_t i = 0; i < nr && limit; i++) {
		if (is_marker(f, &functions[i]))
			continue;
		limit--;
		json_object(&j);
		json_key(&j, "name");
		json_str(&j, strtab_get(f->strings, functions[i].name, NULL));
		json_key(&j, "object");
		json_str(&j, strtab_get(f->strings, functions[i].object, NULL));
		json_key(&j, "self");
		json_u64(&j, functions[i].self);
		json_key(&j, "total");
		json_u64(&j, functions[i].total);
		json_end_object(&j);
	}
	json_end_array(&j);
	json_end_object(&j);
out:
	free(functions);
	flame_free(f);
	api_query_release(&x);
	return r;
}
