/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The routes' handlers. Times are attime.h's, default from now-1h until now;
 * query is selector.h's. Mistakes of the client are answered with a 4xx and a
 * message that says which parameter is wrong.
 */
#ifndef KSTRATA_SERVE_API_H
#define KSTRATA_SERVE_API_H

#include "serve/http.h"
#include "serve/server.h"

struct api {
	struct server_options options;
	struct http *http; /* for its statistics; may be NULL */
	uint64_t ingested, rejected; /* pushes */
};

/* api_render.c */
int api_render(struct api *a, const struct http_request *q,
	       struct http_reply *reply);
int api_top(struct api *a, const struct http_request *q,
	    struct http_reply *reply);
/* api_ingest.c */
int api_ingest(struct api *a, const struct http_request *q,
	       struct http_reply *reply);
/* api_labels.c */
int api_label_names(struct api *a, const struct http_request *q,
		    struct http_reply *reply);
int api_label_values(struct api *a, const struct http_request *q,
		     struct http_reply *reply);
int api_series(struct api *a, const struct http_request *q,
	       struct http_reply *reply);
/* api_status.c */
int api_status(struct api *a, const struct http_request *q,
	       struct http_reply *reply);
int api_metrics(struct api *a, const struct http_request *q,
		struct http_reply *reply);

/*
 * What most have in common. 0, or -EINVAL with the reply made (then return 0
 * from the handler), or -ENOMEM.
 */
struct api_query {
	struct selector *selector;
	int64_t from_ns, until_ns;
};

int api_query_parse(struct api_query *out, const struct http_request *q,
		    struct http_reply *reply, bool required);
void api_query_release(struct api_query *q);
/* A number parameter; absent: fallback. */
int api_number(const struct http_request *q, struct http_reply *reply,
	       const char *name, uint64_t fallback, uint64_t *out);
int api_time(const struct http_request *q, struct http_reply *reply,
	     const char *name, const char *fallback, int64_t *out);

#endif
