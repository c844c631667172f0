/* SPDX-License-Identifier: Apache-2.0 */
/* gzip in memory. */
#ifndef KSTRATA_SERVE_GZIP_H
#define KSTRATA_SERVE_GZIP_H

#include "base/buf.h"

/* Append the packed or unpacked bytes to out. 0 or -ENOMEM. */
int gzip_pack(const void *data, size_t len, struct buf *out);
/* -EBADMSG: not gzip; -EFBIG: more than max bytes would come out. */
int gzip_unpack(const void *data, size_t len, size_t max, struct buf *out);

#endif
