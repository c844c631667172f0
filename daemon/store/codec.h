/* SPDX-License-Identifier: Apache-2.0 */
/* zstd with its contexts kept: one for a store, all of whose epochs share it. */
#ifndef KSTRATA_STORE_CODEC_H
#define KSTRATA_STORE_CODEC_H

#include "base/buf.h"

struct codec;

int codec_new(struct codec **out);
void codec_free(struct codec *c);

/* Append the compressed data to out; 0, -ENOMEM or -EIO. */
int codec_pack(struct codec *c, const void *data, size_t len, struct buf *out);
/*
 * Replace out by what data unpacks to, which must be exactly raw_len bytes, or
 * it is -EBADMSG. The caller has bounded raw_len.
 */
int codec_unpack(struct codec *c, const void *data, size_t len, size_t raw_len,
		 struct buf *out);

#endif
