// SPDX-License-Identifier: Apache-2.0
#include "query/selector.h"
#include "serve/api.h"
#include "serve/attime.h"

#include <errno.h>

int api_time(const struct http_request *q, struct http_reply *reply,
	     const char *name, const char *fallback, int64_t *out)
{
	const char *s = http_param(q, name);

	if (!s || !*s)
		s = fallback;
	if (attime_parse(s, clock_realtime_ns(), out) >= 0)
		return 0;
	http_error(reply, 400,
		   "%s: '%.64s' is not a time: unix seconds, ms, us, ns, now-1h or YYYYMMDD",
		   name, s);
	return -EINVAL;
}

int api_number(const struct http_request *q, struct http_reply *reply,
	       const char *name, uint64_t fallback, uint64_t *out)
{
	const char *s = http_param(q, name);

	*out = fallback;
	if (!s || !*s || util_parse_u64(s, out) >= 0)
		return 0;
	http_error(reply, 400, "%s: '%.64s' is not a number", name, s);
	return -EINVAL;
}

int api_query_parse(struct api_query *out, const struct http_request *q,
		    struct http_reply *reply, bool required)
{
	const char *query = http_param(q, "query");
	struct selector_error err;
	int r;

	*out = (struct api_query){ 0 };
	if (!query || !*query) {
		if (required) {
			http_error(reply, 400, "query: is required");
			return -EINVAL;
		}
		query = "{}";
	}
	r = api_time(q, reply, "from", "now-1h", &out->from_ns);
	if (r >= 0)
		r = api_time(q, reply, "until", "now", &out->until_ns);
	if (r >= 0 && out->until_ns < out->from_ns) {
		http_error(reply, 400, "until: lies before from");
		r = -EINVAL;
	}
	if (r < 0)
		return r;
	r = selector_parse(&out->selector, query, &err);
	if (r == -EINVAL)
		http_error(reply, 400, "query: at byte %zu: %s", err.at,
			   err.message);
	return r;
}

void api_query_release(struct api_query *q)
{
	selector_free(q->selector);
	q->selector = NULL;
}
