/* SPDX-License-Identifier: Apache-2.0 */
/* The tool's way to the daemon: HTTP over its Unix socket. */
#ifndef KSTRATA_TOOL_CLIENT_H
#define KSTRATA_TOOL_CLIENT_H

#include "base/buf.h"

#include <jansson.h>

struct client;

/* NULL: out of memory. */
struct client *client_new(const char *socket_path);
void client_free(struct client *c);

/* One parameter of a query; ends with name NULL. Values NULL are left out. */
struct client_param {
	const char *name;
	const char *value;
};

/*
 * GET path?params into body. Anything but a 200 is told on stderr in words a
 * user can act on: -EIO, or -ECONNREFUSED when no daemon answers.
 */
int client_get(struct client *c, const char *path,
	       const struct client_param *params, struct buf *body);
/* The same, parsed. *out is the caller's to json_decref(). */
int client_get_json(struct client *c, const char *path,
		    const struct client_param *params, json_t **out);

/* What the last answer's Kstrata-Cut said of cut stacks; "": nothing. */
const char *client_cut(const struct client *c);

#endif
