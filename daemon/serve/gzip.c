// SPDX-License-Identifier: Apache-2.0
#include "serve/gzip.h"

#include <errno.h>
#include <limits.h>
#include <zlib.h>

/* zlib's way to say gzip rather than zlib's own framing. */
#define GZIP_WINDOW (15 + 16)

int gzip_pack(const void *data, size_t len, struct buf *out)
{
	z_stream z = { .next_in = (Bytef *)data, .avail_in = (uInt)len };
	void *to;
	int r;

	if (len > UINT_MAX)
		return -EFBIG;
	if (deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, GZIP_WINDOW, 8,
			 Z_DEFAULT_STRATEGY) != Z_OK)
		return -ENOMEM;
	z.avail_out = (uInt)min_u64(deflateBound(&z, len), UINT_MAX);
	to = buf_reserve(out, z.avail_out);
	z.next_out = to;
	r = to ? deflate(&z, Z_FINISH) : Z_MEM_ERROR;
	out->len += to ? z.total_out : 0;
	deflateEnd(&z);
	return r == Z_STREAM_END ? 0 : -ENOMEM;
}

int gzip_unpack(const void *data, size_t len, size_t max, struct buf *out)
{
	z_stream z = { .next_in = (Bytef *)data, .avail_in = (uInt)len };
	size_t before = out->len;
	int r;

	if (len > UINT_MAX)
		return -EFBIG;
	if (inflateInit2(&z, GZIP_WINDOW) != Z_OK)
		return -ENOMEM;
	do {
		void *to = buf_reserve(out, 65536);

		if (!to) {
			r = Z_MEM_ERROR;
			break;
		}
		z.next_out = to;
		z.avail_out = 65536;
		r = inflate(&z, Z_NO_FLUSH);
		out->len += 65536 - z.avail_out;
		if (out->len - before > max) {
			inflateEnd(&z);
			return -EFBIG;
		}
		/* A gzip file is a series of members. */
		if (r == Z_STREAM_END && z.avail_in)
			r = inflateReset(&z);
	} while (r == Z_OK);
	inflateEnd(&z);
	if (r == Z_MEM_ERROR)
		return -ENOMEM;
	return r == Z_STREAM_END ? 0 : -EBADMSG;
}
