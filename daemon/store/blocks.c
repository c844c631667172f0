// SPDX-License-Identifier: Apache-2.0
#include "store/blocks.h"

#include "base/crc32c.h"
#include "base/log.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#define BLOCK_MAGIC 0x4c42534bu /* "KSBL" */
#define ZSTD_LEVEL 3

struct file_header {
	char magic[8];
	uint32_t version;
	uint32_t crc;
};

struct block_header {
	uint32_t magic;
	uint16_t type;
	uint16_t zero;
	uint32_t packed;
	uint32_t raw;
	uint32_t payload_crc;
	uint32_t header_crc;
};

_Static_assert(sizeof(struct file_header) == 16, "file format");
_Static_assert(sizeof(struct block_header) == 24, "file format");

struct blocks {
	int fd; /* -1: in memory */
	uint64_t size; /* committed */
	struct buf memory;
	struct buf pending;
};

static int read_at(const struct blocks *l, uint64_t offset, void *data, size_t len)
{
	char *p = data;

	if (l->fd < 0) {
		if (offset > l->memory.len || len > l->memory.len - offset)
			return -EBADMSG;
		memcpy(data, l->memory.data + offset, len);
		return 0;
	}
	while (len) {
		ssize_t n = pread(l->fd, p, len, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EBADMSG;
		p += n;
		offset += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

static int read_header(const struct blocks *l, uint64_t offset, uint64_t end,
		       struct block_header *h)
{
	struct block_header raw;
	int r;

	if (end - offset < sizeof(raw))
		return -EBADMSG;
	r = read_at(l, offset, &raw, sizeof(raw));
	if (r < 0)
		return r;
	*h = (struct block_header){
		.magic = le32toh(raw.magic),
		.type = le16toh(raw.type),
		.packed = le32toh(raw.packed),
		.raw = le32toh(raw.raw),
		.payload_crc = le32toh(raw.payload_crc),
		.header_crc = le32toh(raw.header_crc),
	};
	if (h->magic != BLOCK_MAGIC || raw.zero ||
	    h->header_crc != crc32c(0, &raw, sizeof(raw) - 4) ||
	    h->raw > BLOCKS_RAW_MAX || h->packed > ZSTD_COMPRESSBOUND(BLOCKS_RAW_MAX) ||
	    h->packed > end - offset - sizeof(raw))
		return -EBADMSG;
	return 0;
}

static int read_block(const struct blocks *l, uint64_t offset, uint64_t end,
		      struct block_header *h, struct buf *raw)
{
	cleanup(util_freep) char *packed = NULL;
	size_t n;
	void *to;
	int r;

	r = read_header(l, offset, end, h);
	if (r < 0)
		return r;
	packed = malloc(h->packed + 1u);
	to = buf_reserve(raw, h->raw + 1u);
	if (!packed || !to)
		return -ENOMEM;
	r = read_at(l, offset + sizeof(*h), packed, h->packed);
	if (r < 0)
		return r;
	if (crc32c(0, packed, h->packed) != h->payload_crc)
		return -EBADMSG;
	n = ZSTD_decompress(to, h->raw, packed, h->packed);
	if (ZSTD_isError(n) || n != h->raw)
		return -EBADMSG;
	raw->len += n;
	return 0;
}

static int write_file_header(struct blocks *l)
{
	struct file_header h = { .version = htole32(BLOCKS_VERSION) };
	struct buf *out = l->fd < 0 ? &l->memory : &l->pending;

	memcpy(h.magic, "kstrata\n", sizeof(h.magic));
	h.crc = htole32(crc32c(0, &h, 12));
	buf_add(out, &h, sizeof(h));
	if (out->err)
		return out->err;
	if (l->fd < 0) {
		l->size = sizeof(h);
		return 0;
	}
	return blocks_commit(l);
}

static int check_file_header(struct blocks *l)
{
	struct file_header h;
	int r = read_at(l, 0, &h, sizeof(h));

	if (r < 0)
		return r;
	if (memcmp(h.magic, "kstrata\n", sizeof(h.magic)) ||
	    h.crc != htole32(crc32c(0, &h, 12)))
		return -EBADMSG;
	return le32toh(h.version) == BLOCKS_VERSION ? 0 : -EPROTONOSUPPORT;
}

/* Keep what is cut off: somebody may want to look at it. */
static void set_aside(const struct blocks *l, const char *path, uint64_t from,
		      uint64_t end)
{
	char name[PATH_MAX], chunk[65536];
	cleanup(util_closep) int fd = -1;

	if (snprintf(name, sizeof(name), "%s.damaged", path) >=
	    (int)sizeof(name))
		return;
	fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
	while (fd >= 0 && from < end) {
		size_t n = (size_t)min_u64(end - from, sizeof(chunk));

		if (read_at(l, from, chunk, n) < 0 ||
		    util_write_all(fd, chunk, n) < 0)
			return;
		from += n;
	}
}

/* Walk the blocks of [sizeof(header), end); cut at the first that is bad. */
static int scan(struct blocks *l, const char *path, uint64_t end, blocks_fn fn,
		void *userdata, bool *intact)
{
	uint64_t at = sizeof(struct file_header);
	struct buf raw = { 0 };
	struct block_header h;
	int r = 0;

	while (at < end) {
		raw.len = 0;
		r = read_block(l, at, end, &h, &raw);
		if (r >= 0)
			r = fn(userdata, h.type, at, (uint8_t *)raw.data,
			       raw.len);
		if (r < 0)
			break;
		at += sizeof(h) + h.packed;
	}
	buf_release(&raw);
	if (r < 0 && r != -EBADMSG)
		return r;
	l->size = at;
	*intact = at == end;
	if (*intact)
		return 0;
	/* A header that promises more than there is: the write was torn. */
	r = read_header(l, at, end, &h);
	if (r >= 0)
		set_aside(l, path, at, end);
	log_warn("%s: %llu bytes at its end are damaged or incomplete: cut off at %llu",
		 path, (unsigned long long)(end - at), (unsigned long long)at);
	if (ftruncate(l->fd, (off_t)at) < 0)
		return -errno;
	return 0;
}

int blocks_open(struct blocks **out, const char *path, blocks_fn fn, void *userdata,
	     bool *intact)
{
	struct blocks *l = calloc(1, sizeof(*l));
	struct stat st;
	int r;

	*intact = true;
	if (!l)
		return -ENOMEM;
	l->fd = -1;
	if (!path) {
		r = write_file_header(l);
		goto out;
	}
	l->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
	if (l->fd < 0 || fstat(l->fd, &st) < 0) {
		r = -errno;
		goto out;
	}
	if ((uint64_t)st.st_size < sizeof(struct file_header)) {
		/* New, or torn before anything was in it. */
		r = ftruncate(l->fd, 0) < 0 ? -errno : write_file_header(l);
		goto out;
	}
	r = check_file_header(l);
	if (r >= 0)
		r = scan(l, path, (uint64_t)st.st_size, fn, userdata, intact);
out:
	if (r < 0)
		blocks_close(l);
	else
		*out = l;
	return r;
}

void blocks_close(struct blocks *l)
{
	if (!l)
		return;
	util_closep(&l->fd);
	buf_release(&l->memory);
	buf_release(&l->pending);
	free(l);
}

void blocks_put(struct blocks *l, uint16_t type, const struct buf *raw,
	     uint64_t *offset)
{
	size_t bound = ZSTD_compressBound(raw->len), packed;
	struct block_header h;
	char *p;

	*offset = l->size + l->pending.len;
	if (raw->err || raw->len > BLOCKS_RAW_MAX) {
		l->pending.err = raw->err ? raw->err : -EFBIG;
		return;
	}
	p = buf_reserve(&l->pending, sizeof(h) + bound);
	if (!p)
		return;
	packed = ZSTD_compress(p + sizeof(h), bound, raw->data, raw->len,
			       ZSTD_LEVEL);
	if (ZSTD_isError(packed)) {
		l->pending.err = -ENOMEM;
		return;
	}
	h = (struct block_header){
		.magic = htole32(BLOCK_MAGIC),
		.type = htole16(type),
		.packed = htole32((uint32_t)packed),
		.raw = htole32((uint32_t)raw->len),
		.payload_crc = htole32(crc32c(0, p + sizeof(h), packed)),
	};
	h.header_crc = htole32(crc32c(0, &h, sizeof(h) - 4));
	memcpy(p, &h, sizeof(h));
	l->pending.len += sizeof(h) + packed;
}

static int write_pending(struct blocks *l)
{
	size_t done = 0;

	while (done < l->pending.len) {
		ssize_t n = pwrite(l->fd, l->pending.data + done,
				   l->pending.len - done,
				   (off_t)(l->size + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			int r = n < 0 ? -errno : -EIO;

			/* Should this fail too, the next open cuts it. */
			(void)!ftruncate(l->fd, (off_t)l->size);
			return r;
		}
		done += (size_t)n;
	}
	return 0;
}

int blocks_commit(struct blocks *l)
{
	int r = l->pending.err;

	if (!r && l->fd < 0) {
		buf_add(&l->memory, l->pending.data, l->pending.len);
		r = l->memory.err;
		l->memory.err = 0;
	} else if (!r) {
		r = write_pending(l);
	}
	if (!r)
		l->size += l->pending.len;
	blocks_discard(l);
	return r;
}

void blocks_discard(struct blocks *l)
{
	buf_release(&l->pending);
}

int blocks_read(struct blocks *l, uint64_t offset, struct buf *raw)
{
	struct block_header h;

	if (offset >= l->size)
		return -EBADMSG;
	return read_block(l, offset, l->size, &h, raw);
}

int blocks_sync(struct blocks *l)
{
	return l->fd >= 0 && fdatasync(l->fd) < 0 ? -errno : 0;
}

uint64_t blocks_size(const struct blocks *l)
{
	return l->size;
}
