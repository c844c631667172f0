/* SPDX-License-Identifier: Apache-2.0 */
/* What the daemon serves: the HTTP interface over the store. */
#ifndef KSTRATA_SERVE_SERVER_H
#define KSTRATA_SERVE_SERVER_H

#include "base/json.h"
#include "base/loop.h"
#include "store/store.h"

struct server;

struct server_options {
	const char *http_addr; /* ADDR:PORT, or NULL */
	const char *socket_path; /* or NULL */
	struct store *store; /* stays the caller's */
	struct loop *loop; /* likewise */
	/* Add members to the object of /api/v1/status. */
	void (*status)(void *userdata, struct json *j);
	/* Append to /metrics. */
	void (*metrics)(void *userdata, struct buf *out);
	void *userdata;
};

/* Failures are logged; -EADDRINUSE, -errno. */
int server_new(struct server **out, const struct server_options *options);
void server_free(struct server *s);

#endif
