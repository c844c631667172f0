/* SPDX-License-Identifier: Apache-2.0 */
/* A flame graph as a pprof profile. */
#ifndef KSTRATA_SERVE_PPROF_H
#define KSTRATA_SERVE_PPROF_H

#include "base/buf.h"
#include "query/flame.h"

/*
 * Append the gzip'ed protobuf to out. type is the five-part profile type id:
 * its parts name the sample type and the period type. -EINVAL: it has fewer.
 * Weights beyond 2^63 are cut there: the format has signed values.
 */
int pprof_write(const struct flame *f, const char *type, int64_t from_ns,
		int64_t until_ns, struct buf *out);

#endif
