/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP over TCP and over a Unix socket, on the loop's thread: the seam behind
 * which libmicrohttpd does the work. Requests come whole (body included), and
 * are answered within the handler.
 */
#ifndef KSTRATA_SERVE_HTTP_H
#define KSTRATA_SERVE_HTTP_H

#include "base/buf.h"
#include "base/loop.h"

#define HTTP_BODY_MAX (64u << 20) /* also when unpacked */

struct http;
struct http_request;

struct http_reply {
	unsigned int status; /* 200 unless set */
	const char *content_type; /* static; NULL: application/json */
	struct buf body; /* taken over by http */
	/* Instead of body: bytes that stay, already compressed. */
	const void *gz;
	size_t gz_len;
	const char *etag; /* with gz */
	const char *disposition; /* static; file name for a download, or NULL */
	char cut[384]; /* value of Kstrata-Cut, "": none */
};

/* A route's handler fills in the reply; a negative errno gives a 500. */
typedef int (*http_fn)(void *userdata, const struct http_request *req,
		       struct http_reply *reply);

struct http_options {
	const char *address; /* ADDR:PORT, or NULL */
	const char *socket_path; /* or NULL */
	http_fn handler;
	void *userdata;
	struct loop *loop;
};

/* Failures are logged with what can be done; -EADDRINUSE, -errno. */
int http_new(struct http **out, const struct http_options *options);
void http_free(struct http *h);

/* Of a request, valid within its handler. */
const char *http_method(const struct http_request *r); /* HEAD comes as GET */
const char *http_path(const struct http_request *r);
/* The query's first parameter of that name, decoded; NULL when there is none. */
const char *http_param(const struct http_request *r, const char *name);
const char *http_header(const struct http_request *r, const char *name);
const char *http_body(const struct http_request *r, size_t *len);

/* An error: {"code": ..., "message": ...}. */
int http_error(struct http_reply *reply, unsigned int status, const char *fmt,
	       ...) printf_like(3, 4);

struct http_stats {
	uint64_t by_class[6]; /* [2]: 2xx ... */
	uint64_t received_bytes, sent_bytes;
};

void http_get_stats(const struct http *h, struct http_stats *out);

#endif
