// SPDX-License-Identifier: Apache-2.0
#include "store/codec.h"

#include <errno.h>
#include <stdlib.h>
#include <zstd.h>

#define LEVEL 3

struct codec {
	ZSTD_CCtx *pack; /* made when first needed */
	ZSTD_DCtx *unpack;
};

int codec_new(struct codec **out)
{
	struct codec *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	*out = c;
	return 0;
}

void codec_free(struct codec *c)
{
	if (!c)
		return;
	ZSTD_freeCCtx(c->pack);
	ZSTD_freeDCtx(c->unpack);
	free(c);
}

int codec_pack(struct codec *c, const void *data, size_t len, struct buf *out)
{
	size_t room = ZSTD_compressBound(len), n;
	void *p;

	if (!c->pack)
		c->pack = ZSTD_createCCtx();
	p = buf_reserve(out, room);
	if (!p || !c->pack)
		return -ENOMEM;
	n = ZSTD_compressCCtx(c->pack, p, room, data, len, LEVEL);
	if (ZSTD_isError(n))
		return -EIO;
	out->len += n;
	return 0;
}

int codec_unpack(struct codec *c, const void *data, size_t len, size_t raw_len,
		 struct buf *out)
{
	size_t n;
	void *p;

	if (!c->unpack)
		c->unpack = ZSTD_createDCtx();
	out->len = 0;
	p = buf_reserve(out, raw_len + 1); /* never NULL for nothing */
	if (!p || !c->unpack)
		return -ENOMEM;
	n = ZSTD_decompressDCtx(c->unpack, p, raw_len, data, len);
	if (ZSTD_isError(n) || n != raw_len)
		return -EBADMSG;
	out->len = n;
	return 0;
}
