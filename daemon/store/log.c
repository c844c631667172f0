// SPDX-License-Identifier: Apache-2.0
#include "store/log.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crc32c.h"

#define COPY_BYTES (64u << 10)

static const char magic[8] = "KSTRATA\n";

struct logfile {
	int fd;
	bool writable;
	bool torn; /* the file goes on behind end */
	int64_t begin_s;
	uint64_t end;
};

static void put32(uint8_t *p, uint32_t v)
{
	v = htole32(v);
	memcpy(p, &v, sizeof(v));
}

static void put64(uint8_t *p, uint64_t v)
{
	v = htole64(v);
	memcpy(p, &v, sizeof(v));
}

static uint32_t get32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return le32toh(v);
}

static uint64_t get64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return le64toh(v);
}

/* All of it: 0, -ENODATA at the end of the file, -errno. */
static int read_at(int fd, void *data, size_t len, uint64_t at)
{
	char *p = data;

	while (len) {
		ssize_t n = pread(fd, p, len, (off_t)at);

		if (n < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		if (!n)
			return -ENODATA;
		p += n;
		at += (size_t)n;
		len -= (size_t)n;
	}
	return 0;
}

static int write_at(int fd, const void *data, size_t len, uint64_t at)
{
	const char *p = data;

	while (len) {
		ssize_t n = pwrite(fd, p, len, (off_t)at);

		if (n < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		p += n;
		at += (size_t)n;
		len -= (size_t)n;
	}
	return 0;
}

static int logfile_new(struct logfile **out, int fd)
{
	struct logfile *f = calloc(1, sizeof(*f));

	if (!f) {
		close(fd);
		return -ENOMEM;
	}
	f->fd = fd;
	*out = f;
	return 0;
}

int logfile_create(struct logfile **out, int dir_fd, const char *name,
		   int64_t begin_s)
{
	int fd = openat(dir_fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC,
			0640);
	uint8_t header[LOGFILE_HEADER] = { 0 };
	struct logfile *f;
	int r;

	if (fd < 0)
		return -errno;
	r = logfile_new(&f, fd);
	if (r < 0)
		goto unlink;
	memcpy(header, magic, sizeof(magic));
	put32(header + 8, LOGFILE_VERSION);
	put64(header + 16, (uint64_t)begin_s);
	put32(header + 28, crc32c(0, header, 28));
	r = write_at(fd, header, sizeof(header), 0);
	if (!r && fsync(fd) < 0)
		r = -errno;
	if (r < 0) {
		logfile_close(f);
		goto unlink;
	}
	f->writable = true;
	f->begin_s = begin_s;
	f->end = sizeof(header);
	*out = f;
	return 0;
unlink:
	unlinkat(dir_fd, name, 0);
	return r;
}

int logfile_open(struct logfile **out, int dir_fd, const char *name)
{
	uint8_t header[LOGFILE_HEADER];
	bool writable = true;
	struct logfile *f;
	struct stat st;
	int fd, r;

	fd = openat(dir_fd, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 && (errno == EROFS || errno == EACCES || errno == EPERM)) {
		writable = false;
		fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	}
	if (fd < 0)
		return -errno;
	r = logfile_new(&f, fd);
	if (r < 0)
		return r;
	f->writable = writable;
	r = fstat(fd, &st) < 0 ? -errno :
				 read_at(fd, header, sizeof(header), 0);
	if (r == -ENODATA || (!r && (memcmp(header, magic, sizeof(magic)) ||
				     get32(header + 28) !=
					     crc32c(0, header, 28))))
		r = -EBADMSG;
	if (!r && get32(header + 8) != LOGFILE_VERSION)
		r = -EPROTONOSUPPORT;
	if (r < 0) {
		logfile_close(f);
		return r;
	}
	f->begin_s = (int64_t)get64(header + 16);
	f->end = (uint64_t)st.st_size;
	*out = f;
	return 0;
}

void logfile_close(struct logfile *f)
{
	if (!f)
		return;
	close(f->fd);
	free(f);
}

int64_t logfile_begin_s(const struct logfile *f)
{
	return f->begin_s;
}

bool logfile_writable(const struct logfile *f)
{
	return f->writable;
}

static uint32_t header_crc(const struct logfile *f, const uint8_t *h,
			   uint64_t at)
{
	uint8_t place[16];

	put64(place, at);
	put64(place + 8, (uint64_t)f->begin_s);
	return crc32c(crc32c(0, h, 36), place, sizeof(place));
}

static bool header_parse(const struct logfile *f, const uint8_t *h,
			 uint64_t at, struct block *b)
{
	if (get32(h) != LOGFILE_MAGIC || get32(h + 36) != header_crc(f, h, at))
		return false;
	*b = (struct block){
		.offset = at,
		.type = (uint16_t)(get32(h + 4) & 0xffff),
		.head_len = get32(h + 8),
		.head_raw = get32(h + 12),
		.body_len = get32(h + 16),
		.body_raw = get32(h + 20),
		.head_crc = get32(h + 24),
		.body_crc = get32(h + 28),
	};
	return b->head_raw <= LOGFILE_RAW_MAX &&
	       b->body_raw <= LOGFILE_RAW_MAX &&
	       b->head_len <= 2 * LOGFILE_RAW_MAX &&
	       b->body_len <= 2 * LOGFILE_RAW_MAX;
}

static uint64_t head_at(const struct block *b)
{
	return b->offset + LOGFILE_BLOCK_HEADER;
}

static uint64_t body_at(const struct block *b)
{
	return head_at(b) + b->head_len;
}

static int verify(const struct logfile *f, uint64_t at, uint64_t len,
		  uint32_t want)
{
	uint8_t *data = malloc(COPY_BYTES);
	uint32_t crc = 0;
	int r = 0;

	if (!data)
		return -ENOMEM;
	while (len && !r) {
		size_t n = min_u64(len, COPY_BYTES);

		r = read_at(f->fd, data, n, at);
		crc = crc32c(crc, data, n);
		at += n;
		len -= n;
	}
	free(data);
	if (r < 0)
		return r == -ENODATA ? -EBADMSG : r;
	return crc == want ? 0 : -EBADMSG;
}

int logfile_next(struct logfile *f, uint64_t *at, struct block *b)
{
	uint8_t h[LOGFILE_BLOCK_HEADER];
	uint64_t stop;
	int r;

	if (*at == f->end)
		return 0;
	if (*at > f->end || f->end - *at < sizeof(h))
		return -EBADMSG;
	r = read_at(f->fd, h, sizeof(h), *at);
	if (r < 0)
		return r == -ENODATA ? -EBADMSG : r;
	if (!header_parse(f, h, *at, b))
		return -EBADMSG;
	stop = body_at(b) + b->body_len;
	if (stop > f->end)
		return -EBADMSG;
	r = verify(f, head_at(b), b->head_len, b->head_crc);
	if (!r)
		r = verify(f, body_at(b), b->body_len, b->body_crc);
	if (r < 0)
		return r;
	*at = stop;
	return 1;
}

bool logfile_resumes(struct logfile *f, uint64_t at)
{
	uint8_t *data = malloc(COPY_BYTES);
	bool found = false;

	if (!data)
		return true; /* the careful answer */
	for (at++; !found && at < f->end;) {
		size_t n = min_u64(f->end - at, COPY_BYTES);
		struct block b;
		size_t i;

		if (n < LOGFILE_BLOCK_HEADER)
			break;
		if (read_at(f->fd, data, n, at) < 0) {
			found = true;
			break;
		}
		for (i = 0; i + LOGFILE_BLOCK_HEADER <= n && !found; i++)
			found = header_parse(f, data + i, at + i, &b);
		at += i;
	}
	free(data);
	return found;
}

static int read_part(struct logfile *f, struct codec *c, uint64_t at,
		     uint32_t len, uint32_t raw, uint32_t crc,
		     struct buf *packed, struct buf *out)
{
	void *p;
	int r;

	out->len = 0;
	if (!len)
		return raw ? -EBADMSG : 0;
	packed->len = 0;
	p = buf_reserve(packed, len);
	if (!p)
		return -ENOMEM;
	r = read_at(f->fd, p, len, at);
	if (r < 0)
		return r == -ENODATA ? -EBADMSG : r;
	if (crc32c(0, p, len) != crc)
		return -EBADMSG;
	return codec_unpack(c, p, len, raw, out);
}

int logfile_head(struct logfile *f, struct codec *c, const struct block *b,
		 struct buf *packed, struct buf *out)
{
	return read_part(f, c, head_at(b), b->head_len, b->head_raw,
			 b->head_crc, packed, out);
}

int logfile_body(struct logfile *f, struct codec *c, const struct block *b,
		 struct buf *packed, struct buf *out)
{
	return read_part(f, c, body_at(b), b->body_len, b->body_raw,
			 b->body_crc, packed, out);
}

uint64_t logfile_end(const struct logfile *f)
{
	return f->end;
}

int logfile_set_end(struct logfile *f, uint64_t end)
{
	f->end = end;
	f->torn = ftruncate(f->fd, (off_t)end) < 0;
	return f->torn ? -errno : 0;
}

int logfile_append(struct logfile *f, struct codec *c, enum block_type type,
		   const struct buf *head, const struct buf *body,
		   struct block *out)
{
	struct block b = { .offset = f->end, .type = (uint16_t)type };
	struct buf file = { 0 };
	uint8_t *h;
	int r = 0;

	if (!f->writable)
		return -EROFS;
	if (f->torn) {
		r = logfile_set_end(f, f->end);
		if (r < 0)
			return r;
	}
	if (head->len > LOGFILE_RAW_MAX ||
	    (body && body->len > LOGFILE_RAW_MAX))
		return -E2BIG;
	if (!buf_reserve(&file, LOGFILE_BLOCK_HEADER))
		return -ENOMEM;
	memset(file.data, 0, LOGFILE_BLOCK_HEADER);
	file.len = LOGFILE_BLOCK_HEADER;
	b.head_raw = (uint32_t)head->len;
	r = codec_pack(c, head->data, head->len, &file);
	if (r < 0)
		goto out;
	b.head_len = (uint32_t)(file.len - LOGFILE_BLOCK_HEADER);
	if (body && body->len) {
		b.body_raw = (uint32_t)body->len;
		r = codec_pack(c, body->data, body->len, &file);
		if (r < 0)
			goto out;
		b.body_len = (uint32_t)(file.len - LOGFILE_BLOCK_HEADER -
					b.head_len);
	}
	h = (uint8_t *)file.data;
	b.head_crc = crc32c(0, h + LOGFILE_BLOCK_HEADER, b.head_len);
	b.body_crc = crc32c(0, h + LOGFILE_BLOCK_HEADER + b.head_len,
			    b.body_len);
	put32(h, LOGFILE_MAGIC);
	put32(h + 4, b.type);
	put32(h + 8, b.head_len);
	put32(h + 12, b.head_raw);
	put32(h + 16, b.body_len);
	put32(h + 20, b.body_raw);
	put32(h + 24, b.head_crc);
	put32(h + 28, b.body_crc);
	put32(h + 36, header_crc(f, h, f->end));
	r = write_at(f->fd, file.data, file.len, f->end);
	if (r < 0) {
		f->torn = true;
		goto out;
	}
	f->end += file.len;
	if (out)
		*out = b;
out:
	buf_release(&file);
	return r;
}

int logfile_sync(struct logfile *f)
{
	return fdatasync(f->fd) < 0 ? -errno : 0;
}

int logfile_copy(struct logfile *f, uint64_t len, int dir_fd, const char *name)
{
	cleanup(util_closep) int fd =
		openat(dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC,
		       0640);
	cleanup(util_freep) char *data = malloc(COPY_BYTES);
	int r = 0;

	if (fd < 0)
		return -errno;
	if (!data)
		return -ENOMEM;
	for (uint64_t at = 0; at < len && !r;) {
		size_t n = min_u64(len - at, COPY_BYTES);

		r = read_at(f->fd, data, n, at);
		if (!r)
			r = write_at(fd, data, n, at);
		at += n;
	}
	if (!r && fsync(fd) < 0)
		r = -errno;
	if (r < 0)
		unlinkat(dir_fd, name, 0);
	return r;
}
