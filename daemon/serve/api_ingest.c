// SPDX-License-Identifier: Apache-2.0
#include "profile/folded.h"
#include "serve/api.h"
#include "serve/profiletype.h"

#include <errno.h>
#include <string.h>

#define SAMPLE_RATE_DEFAULT 100

struct push {
	struct store *store;
	uint32_t series;
	int64_t time_ns;
};

static int add(void *userdata, uint32_t node, uint64_t value)
{
	struct push *p = userdata;

	return store_add(p->store, p->series, node, p->time_ns, value);
}

static const char *param(const struct http_request *q, const char *name,
			 const char *fallback)
{
	const char *s = http_param(q, name);

	return s && *s ? s : fallback;
}

/* "a;b;c" per line counts one each: make it what folded_parse() reads. */
static int lines_to_folded(const char *text, size_t len, struct buf *out)
{
	const char *end = text + len;

	while (text < end) {
		const char *eol = memchr(text, '\n', (size_t)(end - text));
		size_t n = (size_t)((eol ? eol : end) - text);

		if (n && text[n - 1] == '\r')
			n--;
		buf_add(out, text, n);
		if (n)
			buf_str(out, " 1");
		buf_char(out, '\n');
		text = eol ? eol + 1 : end;
	}
	return out->err;
}

static int reject(struct api *a, struct http_reply *reply, unsigned int status,
		  const char *why)
{
	a->rejected++;
	return http_error(reply, status, "%s", why);
}

/* Checked whole before anything is taken: all or nothing. */
static int store_folded(struct api *a, struct push *p, const char *text,
			size_t len, uint64_t scale, struct http_reply *reply)
{
	struct folded_error err = { 0 };
	int r;

	r = folded_check(text, len, scale, &err);
	if (r >= 0)
		r = folded_parse(store_dict(a->options.store), text, len, scale,
				 add, p, &err);
	if (r == -EINVAL) {
		a->rejected++;
		return http_error(reply, 422, "folded text: line %zu: %s",
				  err.line, err.message);
	}
	if (r >= 0)
		a->ingested++;
	return r;
}

static int ingest(struct api *a, const struct http_request *q,
		  struct http_reply *reply, struct labels *labels)
{
	const char *format = param(q, "format", "groups");
	const char *name = http_param(q, "name");
	struct push push = { .store = a->options.store };
	struct buf lines = { 0 };
	uint64_t rate, scale;
	const char *why, *body;
	int64_t until;
	size_t len;
	int r;

	if (!name || !*name)
		return reject(a, reply, 400, "name: is required");
	if (!strcmp(format, "pprof") || !strcmp(format, "jfr") ||
	    !strcmp(format, "trie") || !strcmp(format, "tree") ||
	    !strcmp(format, "speedscope"))
		return reject(a, reply, 422,
			      "format: only folded (groups, collapsed) and lines are taken in");
	if (api_number(q, reply, "sampleRate", SAMPLE_RATE_DEFAULT, &rate) < 0 ||
	    api_time(q, reply, "from", "now", &push.time_ns) < 0 ||
	    api_time(q, reply, "until", "now", &until) < 0) {
		a->rejected++;
		return 0;
	}
	if (push.time_ns < 0 || push.time_ns > INT64_MAX - 2 * WINDOW_NS)
		return reject(a, reply, 400, "from: out of range");
	r = profile_type_of_push(name, param(q, "units", "samples"),
				 param(q, "spyName", ""), rate, labels, &scale,
				 &why);
	if (r == -EINVAL)
		return reject(a, reply, 400, why);
	if (r >= 0)
		r = dict_series(store_dict(a->options.store), labels,
				&push.series);
	if (r == -ENOSPC)
		return reject(a, reply, 429, "too many series");
	if (r < 0)
		return r;
	body = http_body(q, &len);
	if (!strcmp(format, "lines")) {
		r = lines_to_folded(body, len, &lines);
		body = lines.data ? lines.data : "";
		len = lines.len;
	}
	if (r >= 0)
		r = store_folded(a, &push, body, len, scale, reply);
	buf_release(&lines);
	return r;
}

int api_ingest(struct api *a, const struct http_request *q,
	       struct http_reply *reply)
{
	struct labels labels = { 0 };
	int r;

	reply->content_type = "text/plain; charset=utf-8";
	r = ingest(a, q, reply, &labels);
	labels_release(&labels);
	return r;
}
