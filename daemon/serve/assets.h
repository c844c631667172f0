/* SPDX-License-Identifier: Apache-2.0 */
/* The page's files, compressed and linked in (see mkassets.sh). */
#ifndef KSTRATA_SERVE_ASSETS_H
#define KSTRATA_SERVE_ASSETS_H

#include "base/util.h"

struct asset {
	const char *path; /* "/app.js" */
	const char *type; /* content type */
	const char *etag; /* quoted */
	const void *gz; /* gzip */
	uint64_t gz_len;
};

/* "/" is the index page; NULL: there is no such file. */
const struct asset *assets_find(const char *path);

#endif
