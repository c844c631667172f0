// SPDX-License-Identifier: Apache-2.0
#include "serve/http.h"

#include "base/config.h"
#include "base/json.h"
#include "base/log.h"
#include "serve/gzip.h"
#include "serve/listen.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define CONNECTIONS_MAX 64
#define CONNECTION_MEMORY (32u << 10)
#define CONNECTION_TIMEOUT_S 30
#define COMPRESS_FROM 1024

#define CSP                                                              \
	"default-src 'none'; script-src 'self'; style-src 'self'; "       \
	"img-src 'self' data:; connect-src 'self'; form-action 'none'; "  \
	"frame-ancestors 'none'; base-uri 'none'"

struct listener {
	struct http *http;
	struct MHD_Daemon *daemon;
	struct loop_source *source, *alarm;
	bool full;
	bool local; /* the Unix socket: any Host will do */
};

struct http {
	struct http_options options;
	struct listener tcp, local;
	char *socket_path;
	char *host; /* of the listening address */
	struct http_stats stats;
};

struct http_request {
	struct listener *listener;
	struct MHD_Connection *connection;
	const char *method, *path;
	struct buf body;
	bool too_large;
};

/* ---- requests ---- */

const char *http_method(const struct http_request *r)
{
	return strcmp(r->method, MHD_HTTP_METHOD_HEAD) ? r->method :
							 MHD_HTTP_METHOD_GET;
}

const char *http_path(const struct http_request *r)
{
	return r->path;
}

const char *http_param(const struct http_request *r, const char *name)
{
	return MHD_lookup_connection_value(r->connection,
					   MHD_GET_ARGUMENT_KIND, name);
}

const char *http_header(const struct http_request *r, const char *name)
{
	return MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND,
					   name);
}

const char *http_body(const struct http_request *r, size_t *len)
{
	*len = r->body.len;
	return r->body.data ? r->body.data : "";
}

/* ---- replies ---- */

static const char *code_of(unsigned int status)
{
	switch (status) {
	case 400:
	case 422:
		return "invalid_argument";
	case 403:
		return "permission_denied";
	case 404:
		return "not_found";
	case 405:
		return "unimplemented";
	case 413:
		return "resource_exhausted";
	case 415:
		return "unimplemented";
	default:
		return "internal";
	}
}

int http_error(struct http_reply *reply, unsigned int status, const char *fmt,
	       ...)
{
	char message[512];
	struct json j;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	buf_release(&reply->body);
	reply->status = status;
	reply->content_type = NULL;
	reply->gz = NULL;
	reply->disposition = NULL;
	reply->cut[0] = '\0';
	j = json_to(&reply->body);
	json_object(&j);
	json_key(&j, "code");
	json_str(&j, code_of(status));
	json_key(&j, "message");
	json_str(&j, message);
	json_end_object(&j);
	buf_char(&reply->body, '\n');
	return 0;
}

static bool accepts_gzip(const struct http_request *r)
{
	const char *accept = http_header(r, "Accept-Encoding");

	return accept && strstr(accept, "gzip") && !strstr(accept, "gzip;q=0");
}

static void add_headers(struct MHD_Response *response,
			const struct http_reply *reply)
{
	static const char *const always[][2] = {
		{ "Content-Security-Policy", CSP },
		{ "X-Content-Type-Options", "nosniff" },
		{ "Referrer-Policy", "no-referrer" },
		{ "Cross-Origin-Resource-Policy", "same-origin" },
		{ "Vary", "Accept-Encoding" },
	};
	char value[128];

	for (size_t i = 0; i < ARRAY_SIZE(always); i++)
		MHD_add_response_header(response, always[i][0], always[i][1]);
	MHD_add_response_header(response, "Content-Type",
				reply->content_type ? reply->content_type :
						      "application/json");
	if (reply->etag) {
		MHD_add_response_header(response, "ETag", reply->etag);
		MHD_add_response_header(response, "Cache-Control", "no-cache");
	} else {
		MHD_add_response_header(response, "Cache-Control", "no-store");
	}
	if (reply->disposition) {
		snprintf(value, sizeof(value), "attachment; filename=\"%s\"",
			 reply->disposition);
		MHD_add_response_header(response, "Content-Disposition", value);
	}
	if (*reply->cut)
		MHD_add_response_header(response, "Kstrata-Cut", reply->cut);
}

/* Choose the bytes: as they are, compressed now, or compressed before. */
static struct MHD_Response *make_response(const struct http_request *r,
					  struct http_reply *reply)
{
	struct MHD_Response *response;
	bool gzip = accepts_gzip(r);
	struct buf other = { 0 };

	if (reply->gz && gzip) {
		response = MHD_create_response_from_buffer(
			reply->gz_len, (void *)reply->gz,
			MHD_RESPMEM_PERSISTENT);
		goto compressed;
	}
	if (reply->gz)
		gzip_unpack(reply->gz, reply->gz_len, HTTP_BODY_MAX,
			    &reply->body);
	if (reply->body.err)
		return NULL;
	if (gzip && !reply->gz && reply->body.len >= COMPRESS_FROM &&
	    gzip_pack(reply->body.data, reply->body.len, &other) >= 0) {
		buf_release(&reply->body);
		response = MHD_create_response_from_buffer(
			other.len, other.data, MHD_RESPMEM_MUST_FREE);
		if (!response)
			buf_release(&other);
		goto compressed;
	}
	response = MHD_create_response_from_buffer(reply->body.len,
						   reply->body.data,
						   MHD_RESPMEM_MUST_FREE);
	if (response)
		reply->body = (struct buf){ 0 };
	return response;

compressed:
	if (response)
		MHD_add_response_header(response, "Content-Encoding", "gzip");
	return response;
}

static enum MHD_Result send_reply(struct http_request *r,
				  struct http_reply *reply)
{
	struct http *h = r->listener->http;
	struct MHD_Response *response;
	enum MHD_Result result;
	const char *match;

	if (!reply->status)
		reply->status = 200;
	match = http_header(r, "If-None-Match");
	if (reply->etag && match && !strcmp(match, reply->etag)) {
		reply->status = 304;
		reply->gz = NULL;
	}
	h->stats.by_class[reply->status / 100 % 6]++;
	response = make_response(r, reply);
	buf_release(&reply->body);
	if (!response)
		return MHD_NO;
	add_headers(response, reply);
	if (reply->status == 405)
		MHD_add_response_header(response, "Allow", "GET, HEAD, POST");
	result = MHD_queue_response(r->connection, reply->status, response);
	MHD_destroy_response(response);
	return result;
}

/* ---- who may ask ---- */

static bool is_ip_literal(const char *host, size_t len)
{
	return host[0] == '[' ||
	       (len && strspn(host, "0123456789.") == len);
}

/*
 * A page of another site can make a browser send requests here under its own
 * name (DNS rebinding): only names that cannot be somebody else's are served.
 */
static bool host_allowed(const struct http_request *r)
{
	const char *host = http_header(r, "Host");
	const struct http *h = r->listener->http;
	size_t len;

	if (r->listener->local || !host)
		return true;
	len = *host == '[' ? strcspn(host, "]") : strcspn(host, ":");
	if (is_ip_literal(host, len))
		return true;
	return (len == 9 && !strncasecmp(host, "localhost", 9)) ||
	       (h->host && strlen(h->host) == len &&
		!strncasecmp(host, h->host, len));
}

/* ---- bodies ---- */

static int unpack_body(struct http_request *r, struct http_reply *reply)
{
	const char *encoding = http_header(r, "Content-Encoding");
	struct buf plain = { 0 };
	int e;

	if (!encoding || !*encoding || !strcasecmp(encoding, "identity"))
		return 0;
	if (strcasecmp(encoding, "gzip")) {
		http_error(reply, 415, "content encoding '%s' is not known here",
			   encoding);
		return -EINVAL;
	}
	e = gzip_unpack(r->body.data ? r->body.data : "", r->body.len,
			HTTP_BODY_MAX, &plain);
	if (e < 0) {
		buf_release(&plain);
		if (e == -EFBIG)
			http_error(reply, 413, "the unpacked body is larger than %u bytes",
				   HTTP_BODY_MAX);
		else
			http_error(reply, 400, "the body is not gzip");
		return e;
	}
	buf_release(&r->body);
	r->body = plain;
	return 0;
}

static void answer(struct http_request *r, struct http_reply *reply)
{
	const struct http_options *o = &r->listener->http->options;
	int e;

	if (r->too_large) {
		http_error(reply, 413, "the body is larger than %u bytes",
			   HTTP_BODY_MAX);
		return;
	}
	if (!host_allowed(r)) {
		http_error(reply, 403,
			   "this Host is not served: use an address or localhost");
		return;
	}
	if (strcmp(http_method(r), "GET") && strcmp(r->method, "POST")) {
		http_error(reply, 405, "method %.16s is not served", r->method);
		return;
	}
	if (unpack_body(r, reply) < 0)
		return;
	e = o->handler(o->userdata, r, reply);
	if (!e && reply->body.err)
		e = reply->body.err;
	if (e < 0)
		http_error(reply, 500, "%s", strerror(-e));
}

static enum MHD_Result on_request(void *userdata,
				  struct MHD_Connection *connection,
				  const char *url, const char *method,
				  const char *version, const char *upload,
				  size_t *upload_len, void **state)
{
	struct listener *l = userdata;
	struct http_request *r = *state;
	struct http_reply reply = { 0 };

	(void)version;
	if (!r) {
		r = calloc(1, sizeof(*r));
		if (!r)
			return MHD_NO;
		r->listener = l;
		r->connection = connection;
		*state = r;
		return MHD_YES;
	}
	r->method = method;
	r->path = url;
	if (*upload_len) {
		/* Swallow the rest: the client reads no answer before. */
		if (r->body.len + *upload_len > HTTP_BODY_MAX) {
			r->too_large = true;
			buf_release(&r->body);
		}
		if (!r->too_large)
			buf_add(&r->body, upload, *upload_len);
		l->http->stats.received_bytes += *upload_len;
		*upload_len = 0;
		return r->body.err ? MHD_NO : MHD_YES;
	}
	answer(r, &reply);
	l->http->stats.sent_bytes += reply.gz ? reply.gz_len : reply.body.len;
	return send_reply(r, &reply);
}

static void on_completed(void *userdata, struct MHD_Connection *connection,
			 void **state, enum MHD_RequestTerminationCode why)
{
	struct http_request *r = *state;

	(void)userdata;
	(void)connection;
	(void)why;
	if (!r)
		return;
	buf_release(&r->body);
	free(r);
	*state = NULL;
}

/* ---- the loop ---- */

static bool is_full(const struct listener *l)
{
	const union MHD_DaemonInfo *info = MHD_get_daemon_info(
		l->daemon, MHD_DAEMON_INFO_CURRENT_CONNECTIONS);

	return info && info->num_connections >= CONNECTIONS_MAX;
}

/*
 * Its descriptor tells of new events only: what libmicrohttpd has left over
 * from the last, and its time-outs, it tells as the time of its next turn.
 */
static int on_turn(void *userdata, uint32_t events)
{
	struct listener *l = userdata;
	MHD_UNSIGNED_LONG_LONG ms;
	int64_t delay = -1;
	bool full;

	(void)events;
	MHD_run(l->daemon);
	full = is_full(l);
	/* It listens again in the turn after that in which it was full. */
	if (l->full && !full)
		delay = 0;
	else if (MHD_get_timeout(l->daemon, &ms) == MHD_YES)
		delay = (int64_t)ms * NSEC_PER_MSEC;
	l->full = full;
	loop_set_alarm(l->alarm, delay);
	return 0;
}

static void on_mhd_log(void *userdata, const char *fmt, va_list ap)
{
	char line[512];
	size_t len;

	(void)userdata;
	vsnprintf(line, sizeof(line), fmt, ap);
	len = strlen(line);
	while (len && line[len - 1] == '\n')
		line[--len] = '\0';
	log_debug("http: %s", line);
}

/* Takes fd over. */
static int serve(struct http *h, struct listener *l, int fd)
{
	const union MHD_DaemonInfo *info;
	int r;

	l->http = h;
	l->daemon = MHD_start_daemon(
		MHD_USE_EPOLL | MHD_USE_ERROR_LOG, 0, NULL, NULL, on_request, l,
		MHD_OPTION_EXTERNAL_LOGGER, on_mhd_log, NULL,
		MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_NOTIFY_COMPLETED,
		on_completed, NULL, MHD_OPTION_CONNECTION_LIMIT,
		(unsigned int)CONNECTIONS_MAX,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY,
		MHD_OPTION_CONNECTION_TIMEOUT,
		(unsigned int)CONNECTION_TIMEOUT_S, MHD_OPTION_END);
	if (!l->daemon) {
		close(fd);
		log_error("the HTTP library does not start");
		return -EIO;
	}
	info = MHD_get_daemon_info(l->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	if (!info)
		return -EIO;
	r = loop_add_alarm(h->options.loop, on_turn, l, &l->alarm);
	if (r < 0)
		return r;
	return loop_add_fd(h->options.loop, info->epoll_fd, EPOLLIN, on_turn, l,
			   &l->source);
}

static int serve_tcp(struct http *h, const char *address)
{
	char host[64];
	uint16_t port;
	int fd;

	if (config_split_address(address, host, sizeof(host), &port) < 0) {
		log_error("http: '%s' is not ADDR:PORT", address);
		return -EINVAL;
	}
	h->host = strdup(host);
	if (!h->host)
		return -ENOMEM;
	fd = listen_tcp(host, port);
	return fd < 0 ? fd : serve(h, &h->tcp, fd);
}

static int serve_local(struct http *h, const char *path)
{
	int fd;

	fd = listen_unix(path);
	if (fd < 0)
		return fd;
	h->socket_path = strdup(path);
	h->local.local = true;
	return serve(h, &h->local, fd);
}

int http_new(struct http **out, const struct http_options *options)
{
	struct http *h = calloc(1, sizeof(*h));
	int r = 0;

	if (!h)
		return -ENOMEM;
	h->options = *options;
	if (options->address)
		r = serve_tcp(h, options->address);
	if (r >= 0 && options->socket_path)
		r = serve_local(h, options->socket_path);
	if (r < 0) {
		http_free(h);
		return r;
	}
	*out = h;
	return 0;
}

static void listener_stop(struct http *h, struct listener *l)
{
	loop_remove(h->options.loop, l->source);
	loop_remove(h->options.loop, l->alarm);
	if (l->daemon)
		MHD_stop_daemon(l->daemon);
}

void http_free(struct http *h)
{
	if (!h)
		return;
	listener_stop(h, &h->tcp);
	listener_stop(h, &h->local);
	if (h->socket_path)
		unlink(h->socket_path);
	free(h->socket_path);
	free(h->host);
	free(h);
}

void http_get_stats(const struct http *h, struct http_stats *out)
{
	*out = h->stats;
}
