// SPDX-License-Identifier: Apache-2.0
#include "serve/server.h"

#include "serve/api.h"
#include "serve/assets.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct server {
	struct api api;
	struct http *http;
};

static int healthz(struct api *a, const struct http_request *q,
		   struct http_reply *reply)
{
	(void)a;
	(void)q;
	reply->content_type = "text/plain; charset=utf-8";
	buf_str(&reply->body, "ok\n");
	return 0;
}

static const struct route {
	const char *method;
	const char *path;
	int (*fn)(struct api *a, const struct http_request *q,
		  struct http_reply *reply);
} routes[] = {
	{ "GET", "/pyroscope/render", api_render },
	{ "GET", "/render", api_render },
	{ "POST", "/ingest", api_ingest },
	{ "POST", "/pyroscope/ingest", api_ingest },
	{ "GET", "/pyroscope/label-names", api_label_names },
	{ "GET", "/pyroscope/labels", api_label_names },
	{ "GET", "/labels", api_label_names },
	{ "GET", "/pyroscope/label-values", api_label_values },
	{ "GET", "/label-values", api_label_values },
	{ "GET", "/api/v1/series", api_series },
	{ "GET", "/api/v1/top", api_top },
	{ "GET", "/api/v1/status", api_status },
	{ "GET", "/metrics", api_metrics },
	{ "GET", "/healthz", healthz },
};

static int serve_asset(const struct asset *a, struct http_reply *reply)
{
	reply->content_type = a->type;
	reply->gz = a->gz;
	reply->gz_len = a->gz_len;
	reply->etag = a->etag;
	return 0;
}

static int on_request(void *userdata, const struct http_request *q,
		      struct http_reply *reply)
{
	struct server *s = userdata;
	const char *path = http_path(q), *method = http_method(q);
	const struct asset *asset = assets_find(path);

	for (size_t i = 0; i < ARRAY_SIZE(routes); i++) {
		if (strcmp(routes[i].path, path))
			continue;
		if (strcmp(routes[i].method, method))
			return http_error(reply, 405, "%s wants %s", path,
					  routes[i].method);
		return routes[i].fn(&s->api, q, reply);
	}
	if (asset && strcmp(method, "GET"))
		return http_error(reply, 405, "%s wants GET", path);
	if (asset)
		return serve_asset(asset, reply);
	return http_error(reply, 404, "there is nothing at %.128s", path);
}

int server_new(struct server **out, const struct server_options *options)
{
	struct server *s = calloc(1, sizeof(*s));
	struct http_options http = {
		.address = options->http_addr,
		.socket_path = options->socket_path,
		.handler = on_request,
		.loop = options->loop,
	};
	int r;

	if (!s)
		return -ENOMEM;
	s->api.options = *options;
	http.userdata = s;
	r = http_new(&s->http, &http);
	if (r < 0) {
		free(s);
		return r;
	}
	s->api.http = s->http;
	*out = s;
	return 0;
}

void server_free(struct server *s)
{
	if (!s)
		return;
	http_free(s->http);
	free(s);
}
