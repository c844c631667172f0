// SPDX-License-Identifier: Apache-2.0
#include "symbol/rowcache.h"

#include "base/crc32c.h"
#include "base/log.h"
#include "symbol/elfsym.h"
#include "symbol/reader.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <kstrata.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SUFFIX "." KSTRATA_VERSION "-" CFI_REVISION ".rows"
#define TEMPORARY "new"

#define MAGIC 0x63726b31 /* "1krc" */
#define FLAG_NONE 1u /* the file has no rows */
/* After a failure to write. */
#define RETRY_NS (60 * NSEC_PER_SEC)
/* What making room leaves, of what there may be. */
#define KEEP(bytes) ((bytes) / 4 * 3)

/* What a file starts with; the table follows. */
struct header {
	uint32_t magic;
	uint32_t crc; /* of all that follows */
	uint32_t flags;
	uint32_t reserved;
	uint64_t bytes; /* of the table */
};

struct rowcache {
	int dir;
	uint64_t max_bytes;
	int64_t not_before; /* CLOCK_MONOTONIC: do not write */
	struct log_ratelimit complain;
	struct rowcache_stats stats;
};

/* What a file takes on disk, about. */
static uint64_t room_of(const struct stat *st)
{
	return ((uint64_t)st->st_size + 4095) & ~UINT64_C(4095);
}

static void remove_file(struct rowcache *c, const char *name,
			const struct stat *st)
{
	if (unlinkat(c->dir, name, 0) < 0)
		return;
	c->stats.files--;
	c->stats.bytes -= min_u64(c->stats.bytes, room_of(st));
}

static bool is_ours(const char *name)
{
	size_t len = strlen(name), tail = strlen(SUFFIX);

	return len > tail && !strcmp(name + len - tail, SUFFIX);
}

struct entry {
	struct timespec used;
	uint64_t room;
	char name[sizeof(((struct rowcache_key *)0)->name)];
};

static int by_age(const void *a, const void *b)
{
	const struct timespec *x = &((const struct entry *)a)->used;
	const struct timespec *y = &((const struct entry *)b)->used;

	if (x->tv_sec != y->tv_sec)
		return x->tv_sec < y->tv_sec ? -1 : 1;
	return x->tv_nsec < y->tv_nsec ? -1 : x->tv_nsec > y->tv_nsec;
}

static int add_entry(struct entry **entries, size_t *nr, const char *name,
		     const struct stat *st)
{
	struct entry *e = *entries;

	if (!(*nr & (*nr + 1))) {
		e = realloc(e, (*nr + 1) * 2 * sizeof(*e));
		if (!e)
			return -ENOMEM;
		*entries = e;
	}
	e += (*nr)++;
	e->used = st->st_mtim;
	e->room = room_of(st);
	snprintf(e->name, sizeof(e->name), "%s", name);
	return 0;
}

/* Look at all that is there: count it, and make a list when one is asked for. */
static int scan(struct rowcache *c, struct entry **entries, size_t *nr)
{
	int fd = openat(c->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent *d;
	struct stat st;
	int r = 0;
	DIR *dir;

	if (fd < 0)
		return -errno;
	dir = fdopendir(fd);
	if (!dir) {
		r = -errno;
		close(fd);
		return r;
	}
	c->stats.files = c->stats.bytes = 0;
	while (!r && (d = readdir(dir))) {
		if (fstatat(c->dir, d->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
		    !S_ISREG(st.st_mode))
			continue;
		/* Another version's, or one that was never finished. */
		if (!is_ours(d->d_name)) {
			unlinkat(c->dir, d->d_name, 0);
			continue;
		}
		c->stats.files++;
		c->stats.bytes += room_of(&st);
		if (entries)
			r = add_entry(entries, nr, d->d_name, &st);
	}
	closedir(dir);
	return r;
}

static void make_room(struct rowcache *c)
{
	struct entry *entries = NULL;
	size_t nr = 0;

	if (c->stats.bytes <= c->max_bytes)
		return;
	if (scan(c, &entries, &nr) < 0 || !nr) {
		free(entries);
		return;
	}
	qsort(entries, nr, sizeof(*entries), by_age);
	for (size_t i = 0; i < nr; i++) {
		if (c->stats.bytes <= KEEP(c->max_bytes))
			break;
		if (unlinkat(c->dir, entries[i].name, 0) < 0)
			break;
		c->stats.files--;
		c->stats.bytes -= entries[i].room;
		c->stats.evicted++;
	}
	free(entries);
}

int rowcache_open(struct rowcache **out, const char *dir, uint64_t max_bytes)
{
	struct rowcache *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return -ENOMEM;
	c->max_bytes = max_bytes;
	c->dir = -1;
	r = util_mkdirs(dir, 0700);
	if (r >= 0) {
		c->dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		r = c->dir < 0 ? -errno : scan(c, NULL, NULL);
	}
	if (r < 0) {
		log_warn("%s: tables of unwind rows are not kept: %s", dir,
			 strerror(-r));
		rowcache_close(c);
		return r;
	}
	make_room(c);
	*out = c;
	return 0;
}

void rowcache_close(struct rowcache *c)
{
	if (!c)
		return;
	util_closep(&c->dir);
	free(c);
}

int rowcache_key(int fd, struct rowcache_key *key, uint32_t *owner)
{
	char build_id[ELFSYM_BUILD_ID_MAX];
	struct stat st;
	int r;

	key->name[0] = '\0';
	*owner = UINT32_MAX;
	if (fstat(fd, &st) < 0)
		return -errno;
	*owner = st.st_uid;
	r = elfsym_read_build_id(fd, build_id);
	if (r < 0)
		return r;
	/* A short one is no hash of anything. */
	if (strlen(build_id) < 16)
		return -ENODATA;
	snprintf(key->name, sizeof(key->name),
		 "%s-%x-%" PRIx64 "-%" PRIx64 ".%lx" SUFFIX, build_id,
		 st.st_uid, (uint64_t)st.st_size, (uint64_t)st.st_mtim.tv_sec,
		 (unsigned long)st.st_mtim.tv_nsec);
	return 0;
}

static uint32_t crc_of(const struct header *h, const void *table)
{
	uint32_t crc = crc32c(0, &h->flags,
			      sizeof(*h) - offsetof(struct header, flags));

	return crc32c(crc, table, h->bytes);
}

static int read_all(int fd, void *data, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = read(fd, (char *)data + done, len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EBADMSG;
		done += (size_t)n;
	}
	return 0;
}

/* -EBADMSG: this is none of ours, or no more. */
static int read_table(int fd, const struct stat *st, struct cfi_table *out)
{
	struct header h;
	int r;

	r = read_all(fd, &h, sizeof(h));
	if (r)
		return r;
	if (h.magic != MAGIC || h.reserved || (h.flags & ~FLAG_NONE) ||
	    h.bytes > KSTRATA_ROWS_BYTES_MAX ||
	    (uint64_t)st->st_size != sizeof(h) + h.bytes ||
	    !(h.flags & FLAG_NONE) != !!h.bytes)
		return -EBADMSG;
	if (h.bytes) {
		out->bytes = malloc(h.bytes);
		if (!out->bytes)
			return -ENOMEM;
		out->size = h.bytes;
		r = read_all(fd, out->bytes, out->size);
	}
	if (!r && crc_of(&h, out->bytes) != h.crc)
		r = -EBADMSG;
	if (!r && h.bytes && !reader_is_table(out->bytes, out->size))
		r = -EBADMSG;
	if (!r && !h.bytes)
		r = -ENODATA;
	return r;
}

int rowcache_get(struct rowcache *c, const struct rowcache_key *key,
		 struct cfi_table *out)
{
	cleanup(util_closep) int fd = -1;
	struct stat st;
	int r = -ENOENT;

	*out = (struct cfi_table){ 0 };
	if (!key->name[0])
		return -ENOENT;
	fd = openat(c->dir, key->name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd >= 0) {
		r = fstat(fd, &st) < 0 ? -errno : read_table(fd, &st, out);
		if (r == -EBADMSG) {
			c->stats.damaged++;
			remove_file(c, key->name, &st);
		}
		if (r < 0)
			cfi_table_release(out);
	}
	if (!r || r == -ENODATA) {
		/* The time of its last use; without it, it goes sooner. */
		futimens(fd, NULL);
		c->stats.hits++;
		return r;
	}
	c->stats.misses++;
	return -ENOENT;
}

bool rowcache_has(const struct rowcache *c, const struct rowcache_key *key)
{
	return key->name[0] && !faccessat(c->dir, key->name, R_OK, 0);
}

static int write_file(struct rowcache *c, const struct header *h,
		      const void *table)
{
	int fd = openat(c->dir, TEMPORARY,
			O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
			0600);
	int r;

	if (fd < 0)
		return -errno;
	r = util_write_all(fd, h, sizeof(*h));
	if (!r)
		r = util_write_all(fd, table, h->bytes);
	if (close(fd) < 0 && !r)
		r = -errno;
	return r;
}

void rowcache_put(struct rowcache *c, const struct rowcache_key *key,
		  const struct cfi_table *table)
{
	struct header h = { .magic = MAGIC };
	struct stat st;
	int r;

	if (!key->name[0] || clock_monotonic_ns() < c->not_before ||
	    (table && table->size > c->max_bytes / 4))
		return;
	if (table)
		h.bytes = table->size;
	else
		h.flags = FLAG_NONE;
	h.crc = crc_of(&h, table ? table->bytes : NULL);
	if (!fstatat(c->dir, key->name, &st, AT_SYMLINK_NOFOLLOW))
		remove_file(c, key->name, &st);
	r = write_file(c, &h, table ? table->bytes : NULL);
	/* Not synced: what a crash of the machine leaves half is found damaged. */
	if (!r && renameat(c->dir, TEMPORARY, c->dir, key->name) < 0)
		r = -errno;
	if (r < 0) {
		unlinkat(c->dir, TEMPORARY, 0);
		c->stats.failed++;
		c->not_before = clock_monotonic_ns() + RETRY_NS;
		if (log_ratelimit(&c->complain, 1, 60 * RETRY_NS))
			log_warn("tables of unwind rows are not kept: %s",
				 strerror(-r));
		return;
	}
	st.st_size = (off_t)(sizeof(h) + h.bytes);
	c->stats.files++;
	c->stats.bytes += room_of(&st);
	make_room(c);
}

void rowcache_get_stats(const struct rowcache *c, struct rowcache_stats *out)
{
	*out = c->stats;
}
