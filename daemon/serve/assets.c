// SPDX-License-Identifier: Apache-2.0
#include "serve/assets.h"

#include <string.h>

/* From mkassets.sh; ends with a path of NULL. */
extern const struct asset kstrata_assets[];

const struct asset *assets_find(const char *path)
{
	if (!strcmp(path, "/"))
		path = "/index.html";
	for (const struct asset *a = kstrata_assets; a->path; a++)
		if (!strcmp(a->path, path))
			return a;
	return NULL;
}
