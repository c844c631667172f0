/* SPDX-License-Identifier: Apache-2.0 */
/* A flame graph as folded text. */
#ifndef KSTRATA_SERVE_FOLDEDTEXT_H
#define KSTRATA_SERVE_FOLDEDTEXT_H

#include "base/buf.h"
#include "query/flame.h"

/*
 * Append lines "outer;middle;leaf 123", sorted, each stack once (functions of
 * the same name in different objects fall together), without the root. A ';'
 * within a name becomes ':', a newline a space.
 */
int foldedtext_write(const struct flame *f, struct buf *out);

#endif
