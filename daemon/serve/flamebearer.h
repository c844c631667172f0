/* SPDX-License-Identifier: Apache-2.0 */
/* A flame graph in Pyroscope's JSON. */
#ifndef KSTRATA_SERVE_FLAMEBEARER_H
#define KSTRATA_SERVE_FLAMEBEARER_H

#include "base/json.h"
#include "query/flame.h"
#include "query/query.h"

/*
 * The whole answer of /pyroscope/render: version, flamebearer, metadata,
 * timeline, and our own "objects": {names, index}, where index has for each of
 * flamebearer's names which of the objects it lies in. Nodes of the same name in
 * different objects have names of their own, so index is unambiguous.
 */
int flamebearer_write(struct json *j, const struct flame *f, const char *type,
		      const struct query_series *timeline);

#endif
