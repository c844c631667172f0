// SPDX-License-Identifier: Apache-2.0
#include "collect/rowfeed.h"

#include "base/hash.h"
#include "base/log.h"
#include "symbol/vdso.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BUCKETS 1024
/* Files held open until it is their turn; the others are opened again. */
#define HELD_MAX 128
/* At one go, before the loop sees to the rest of the daemon. */
#define STEP_NS (5 * NSEC_PER_MSEC)
/* A file whose reader was killed, or that could not be had, is tried so often. */
#define TRIES 2
#define AGAIN_NS NSEC_PER_SEC
/* Files that broke the reader: their numbers may change, they do not. */
#define CULPRITS 64
/* Rows that are dropped again and again come back ever more slowly, up to 2^6 s. */
#define DROPS_MAX 6

enum want_state { WANT_QUEUED, WANT_READING, WANT_LOADED, WANT_NONE };

struct want {
	struct want *next; /* hash chain */
	uint32_t id;
	enum want_state state;
	int fd; /* -1: to be opened when it is needed */
	uint32_t owner;
	bool seen; /* key and owner were read from the file */
	bool cached; /* the cache has it, says rowcache_has() */
	uint8_t tries, drops;
	uint64_t missed; /* frames that samples lacked its rows for */
	int64_t not_before; /* CLOCK_MONOTONIC */
	struct rowcache_key key;
};

/* A file as it is: with another content it is another one. */
struct culprit {
	uint64_t dev, ino, size;
	int64_t sec, nsec;
};

struct rowfeed {
	struct rowfeed_options options;
	struct reader *reader;
	struct rowcache *cache; /* NULL: none */
	struct want *buckets[BUCKETS];
	size_t nr_held;
	struct loop_source *work;
	struct want *reading; /* NULL: nothing, or it is gone meanwhile */
	struct rowcache_key key; /* of what is read */
	struct culprit file; /* likewise */
	int64_t asked;
	struct culprit culprits[CULPRITS];
	size_t next_culprit;
	bool off; /* this module takes no rows */
	struct log_ratelimit complain, complain_room;
	struct rowfeed_stats stats;
};

static struct want **place_of(struct rowfeed *f, uint32_t id)
{
	struct want **p = &f->buckets[hash_u64(id) % BUCKETS];

	while (*p && (*p)->id != id)
		p = &(*p)->next;
	return p;
}

static void let_go(struct rowfeed *f, struct want *w)
{
	if (w->fd < 0)
		return;
	util_closep(&w->fd);
	f->nr_held--;
}

static void count(struct rowfeed *f, enum want_state state, uint64_t by)
{
	switch (state) {
	case WANT_QUEUED:
	case WANT_READING:
		f->stats.pending += by;
		break;
	case WANT_LOADED:
		f->stats.loaded += by;
		break;
	case WANT_NONE:
		f->stats.none += by;
		break;
	}
}

static void become(struct rowfeed *f, struct want *w, enum want_state state)
{
	count(f, w->state, UINT64_MAX);
	w->state = state;
	count(f, w->state, 1);
}

static void forget(struct rowfeed *f, uint32_t id)
{
	struct want **p = place_of(f, id), *w = *p;

	if (!w)
		return;
	*p = w->next;
	if (f->reading == w)
		f->reading = NULL;
	count(f, w->state, UINT64_MAX);
	let_go(f, w);
	free(w);
}

/* Queued, from now on; NULL: no memory. */
static struct want *queue(struct rowfeed *f, uint32_t id)
{
	struct want **p = place_of(f, id), *w = *p;

	if (!w) {
		w = calloc(1, sizeof(*w));
		if (!w)
			return NULL;
		w->id = id;
		w->fd = -1;
		*p = w;
		count(f, WANT_QUEUED, 1);
	} else {
		if (f->reading == w)
			f->reading = NULL;
		become(f, w, WANT_QUEUED);
	}
	w->tries = 0;
	loop_set_alarm(f->work, 0);
	return w;
}

static bool is_file(const struct want *w)
{
	return w->id >= KSTRATA_OBJECT_ID_FIRST;
}

/* What the file says of itself. */
static void see(struct rowfeed *f, struct want *w, int fd)
{
	rowcache_key(fd, &w->key, &w->owner);
	w->seen = true;
	/* Made a moment ago, and soon done anew. */
	if (!is_file(w))
		w->key.name[0] = '\0';
	w->cached = f->cache && rowcache_has(f->cache, &w->key);
}

/* ---- what objects say ---- */

static void on_opened(void *userdata, uint32_t id, int fd)
{
	struct rowfeed *f = userdata;
	struct want *w = *place_of(f, id);

	if (f->off || (w && w->state != WANT_QUEUED))
		return;
	if (!w)
		w = queue(f, id);
	if (!w || w->fd >= 0)
		return;
	see(f, w, fd);
	if (w->cached || f->nr_held >= HELD_MAX)
		return;
	w->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (w->fd >= 0)
		f->nr_held++;
}

static void on_wanted(void *userdata, uint32_t id)
{
	struct rowfeed *f = userdata;
	struct want *w = *place_of(f, id);

	if (f->off)
		return;
	f->stats.wanted++;
	/* It is on its way, or was told before that there are none. */
	if (w && w->state != WANT_LOADED)
		return;
	w = queue(f, id);
	if (!w)
		return;
	if (w->seen)
		w->cached = f->cache && rowcache_has(f->cache, &w->key);
	if (w->drops)
		w->not_before = clock_monotonic_ns() +
				(NSEC_PER_SEC << (w->drops - 1));
	if (w->drops <= DROPS_MAX)
		w->drops++;
}

static void on_gone(void *userdata, uint32_t id)
{
	forget(userdata, id);
}

void rowfeed_missed(struct rowfeed *f, uint32_t id)
{
	struct want *w = *place_of(f, id);

	if (w && w->state == WANT_QUEUED)
		w->missed++;
}

/* ---- to the module ---- */

static int load(struct rowfeed *f, uint32_t id, const struct cfi_table *table)
{
	struct kstrata_rows rows = {
		.size = sizeof(rows),
		.flags = table ? 0 : KSTRATA_ROWS_NONE,
		.id = id,
	};
	int r;

	if (table) {
		rows.bytes = (uint32_t)table->size;
		rows.table = (uint64_t)(uintptr_t)table->bytes;
	}
	r = f->options.load(f->options.userdata, &rows);
	if (!r) {
		f->stats.held_bytes = (uint64_t)rows.held_kb << 10;
		f->stats.dropped += rows.dropped;
	}
	return r;
}

static void switch_off(struct rowfeed *f)
{
	f->off = true;
	for (size_t i = 0; i < BUCKETS; i++)
		while (f->buckets[i])
			forget(f, f->buckets[i]->id);
	loop_set_alarm(f->work, -1);
	log_info("the module takes no unwind rows here: user stacks follow frame pointers");
}

/* There are none, or none to be had: the walker need not wait for them. */
static void load_none(struct rowfeed *f, struct want *w)
{
	int r = load(f, w->id, NULL);

	let_go(f, w);
	if (r == -EOPNOTSUPP)
		switch_off(f);
	else if (r == -ENOENT)
		forget(f, w->id);
	else
		become(f, w, WANT_NONE);
}

static void fail(struct rowfeed *f, struct want *w, enum rowfeed_failure why,
		 const char *words)
{
	const struct object_file *file = objects_known(f->options.objects,
						       w->id);

	f->stats.failed[why]++;
	if (log_ratelimit(&f->complain, 5, 60 * NSEC_PER_SEC))
		log_warn("%s: no unwind rows: %s",
			 file && *file->path ? file->path : "an object",
			 words);
	load_none(f, w);
}

static void give(struct rowfeed *f, struct want *w,
		 const struct cfi_table *table)
{
	uint32_t id = w->id;
	int r;

	/* The number may mean another file by now: then the rows are not its. */
	if (is_file(w) && !objects_still(f->options.objects, id)) {
		forget(f, id);
		return;
	}
	r = load(f, id, table);
	switch (r) {
	case 0:
		break;
	case -ENOENT:
		forget(f, id);
		return;
	case -EOPNOTSUPP:
		switch_off(f);
		return;
	case -E2BIG:
		fail(f, w, ROWFEED_TOO_LARGE,
		     "they take more room than all may (--rows-memory)");
		return;
	case -ENOMEM:
		fail(f, w, ROWFEED_MEMORY, "the kernel has no memory for them");
		return;
	default:
		fail(f, w, ROWFEED_REFUSED, strerror(-r));
		return;
	}
	f->stats.loads++;
	f->stats.loaded_bytes += table->size;
	log_debug("object %u: %zu bytes of unwind rows loaded, %llu frames lacked them",
		  id, table->size, (unsigned long long)w->missed);
	w->missed = 0;
	let_go(f, w);
	if (is_file(w) && !objects_still(f->options.objects, id)) {
		/* Just now, and its own rows are yet to come. */
		load(f, id, NULL);
		forget(f, id);
		return;
	}
	become(f, w, WANT_LOADED);
}

/* ---- reading ---- */

static struct culprit culprit_of(int fd)
{
	struct culprit c = { 0 };
	struct stat st;

	if (fstat(fd, &st) < 0)
		return c;
	c.dev = st.st_dev;
	c.ino = st.st_ino;
	c.size = (uint64_t)st.st_size;
	c.sec = st.st_mtim.tv_sec;
	c.nsec = st.st_mtim.tv_nsec;
	return c;
}

static bool is_culprit(const struct rowfeed *f, const struct culprit *c)
{
	for (size_t i = 0; i < CULPRITS; i++)
		if (c->ino && !memcmp(&f->culprits[i], c, sizeof(*c)))
			return true;
	return false;
}

static bool no_rows(int status)
{
	return status == -ENODATA || status == -ENOEXEC ||
	       status == -EOPNOTSUPP;
}

static void again(struct rowfeed *f, struct want *w)
{
	w->not_before = clock_monotonic_ns() + AGAIN_NS;
	become(f, w, WANT_QUEUED);
}

static void fail_by(struct rowfeed *f, struct want *w, int status,
		    const char *why)
{
	enum rowfeed_failure failure = ROWFEED_OTHER;

	switch (status) {
	case -EFBIG:
		failure = ROWFEED_TOO_LARGE;
		break;
	case -ENOMEM:
		failure = ROWFEED_MEMORY;
		break;
	case -EIO:
		failure = ROWFEED_UNREADABLE;
		break;
	case -ETIMEDOUT:
		failure = ROWFEED_TIMEOUT;
		break;
	case -EFAULT:
	case -EINTR:
		failure = ROWFEED_CRASHED;
		break;
	case -EPROTO:
		failure = ROWFEED_REFUSED;
		break;
	}
	fail(f, w, failure, why ? why : strerror(-status));
}

static void on_answer(void *userdata, struct reader_answer *a)
{
	struct rowfeed *f = userdata;
	struct want *w = f->reading;

	f->reading = NULL;
	f->stats.compile_ns += (uint64_t)(clock_monotonic_ns() - f->asked);
	log_debug("a file of %llu bytes read in %.1f ms: %s",
		  (unsigned long long)f->file.size,
		  (double)(clock_monotonic_ns() - f->asked) / 1e6,
		  a->status ? strerror(-a->status) : "done");
	loop_set_alarm(f->work, 0);
	if (!a->status || no_rows(a->status)) {
		f->stats.compiled++;
		if (f->cache)
			rowcache_put(f->cache, &f->key,
				     a->status ? NULL : &a->table);
	} else if (a->status == -EFAULT || a->status == -ETIMEDOUT ||
		   a->status == -EPROTO) {
		f->culprits[f->next_culprit++ % CULPRITS] = f->file;
	}
	if (!w)
		return;
	if (!a->status)
		give(f, w, &a->table);
	else if (no_rows(a->status))
		load_none(f, w);
	else if (a->status == -EINTR && ++w->tries < TRIES)
		again(f, w);
	else
		fail_by(f, w, a->status, a->report.why);
}

/* -1: not to be had (any more). */
static int open_again(struct rowfeed *f, const struct want *w)
{
	size_t size;

	return is_file(w) ? objects_open(f->options.objects, w->id) :
			    vdso_open(&size);
}

/* false: the reader takes none just now. */
static bool read_file(struct rowfeed *f, struct want *w)
{
	int r;

	if (w->fd < 0) {
		w->fd = open_again(f, w);
		if (w->fd < 0) {
			if (++w->tries < TRIES)
				again(f, w);
			else
				fail(f, w, ROWFEED_UNAVAILABLE,
				     "its file cannot be opened any more");
			return true;
		}
		f->nr_held++;
		see(f, w, w->fd);
		if (w->cached)
			return true;
	}
	f->file = culprit_of(w->fd);
	if (is_culprit(f, &f->file)) {
		fail(f, w, ROWFEED_CRASHED, "it broke the reader before");
		return true;
	}
	r = reader_ask(f->reader, READER_ROWS, w->fd, w->owner, on_answer, f);
	if (r == -EBUSY || r == -EAGAIN)
		return false;
	if (r < 0) {
		if (log_ratelimit(&f->complain, 5, 60 * NSEC_PER_SEC))
			log_warn("cannot start the reader of files: %s",
				 strerror(-r));
		return false;
	}
	f->reading = w;
	f->key = w->key;
	f->asked = clock_monotonic_ns();
	become(f, w, WANT_READING);
	return true;
}

static void take_cached(struct rowfeed *f, struct want *w)
{
	struct cfi_table table;
	int r = rowcache_get(f->cache, &w->key, &table);

	if (r == -ENOENT) {
		/* Damaged, or it had to make room. */
		w->cached = false;
		return;
	}
	f->stats.cached++;
	if (r)
		load_none(f, w);
	else
		give(f, w, &table);
	cfi_table_release(&table);
}

/* Whose turn it is; *later: of those that must wait, how long the first one must. */
static struct want *next(struct rowfeed *f, int64_t now, bool can_read,
			 int64_t *later)
{
	struct want *best = NULL;

	for (size_t i = 0; i < BUCKETS; i++) {
		for (struct want *w = f->buckets[i]; w; w = w->next) {
			if (w->state != WANT_QUEUED)
				continue;
			if (w->not_before > now) {
				if (*later < 0 || w->not_before - now < *later)
					*later = w->not_before - now;
				continue;
			}
			if (!w->cached && !can_read)
				continue;
			if (!best || w->missed > best->missed)
				best = w;
		}
	}
	return best;
}

static int on_work(void *userdata, uint32_t events)
{
	struct rowfeed *f = userdata;
	int64_t now = clock_monotonic_ns(), end = now + STEP_NS;

	(void)events;
	while (!f->off) {
		int64_t delay = reader_delay(f->reader), later = -1;
		bool busy = reader_busy(f->reader);
		struct want *w = next(f, now, !busy && !delay, &later);

		if (!w) {
			/* A reader that is busy says when it is not. */
			if (!busy && delay && f->stats.pending &&
			    (later < 0 || delay < later))
				later = delay;
			loop_set_alarm(f->work, later);
			return 0;
		}
		if (w->cached)
			take_cached(f, w);
		else if (!read_file(f, w))
			w->not_before = now + AGAIN_NS;
		now = clock_monotonic_ns();
		if (now >= end) {
			loop_set_alarm(f->work, 0);
			return 0;
		}
	}
	return 0;
}

/* ---- */

int rowfeed_new(struct rowfeed **out, const struct rowfeed_options *options)
{
	struct rowfeed *f = calloc(1, sizeof(*f));
	struct objects_hooks hooks = {
		.opened = on_opened,
		.wanted = on_wanted,
		.gone = on_gone,
		.userdata = f,
	};
	int r;

	if (!f)
		return -ENOMEM;
	f->options = *options;
	r = reader_new(&f->reader, options->loop, &options->reader);
	if (r >= 0)
		r = loop_add_alarm(options->loop, on_work, f, &f->work);
	if (r < 0) {
		reader_free(f->reader);
		free(f);
		return r;
	}
	/* It says itself why there is none. */
	if (options->cache_dir)
		rowcache_open(&f->cache, options->cache_dir,
			      options->cache_bytes);
	objects_set_hooks(options->objects, &hooks);
	/* There is never a record of it. */
	queue(f, KSTRATA_OBJECT_VDSO);
	*out = f;
	return 0;
}

void rowfeed_free(struct rowfeed *f)
{
	static const struct objects_hooks none;

	if (!f)
		return;
	objects_set_hooks(f->options.objects, &none);
	for (size_t i = 0; i < BUCKETS; i++)
		while (f->buckets[i])
			forget(f, f->buckets[i]->id);
	loop_remove(f->options.loop, f->work);
	reader_free(f->reader);
	rowcache_close(f->cache);
	free(f);
}

void rowfeed_get_stats(const struct rowfeed *f, struct rowfeed_stats *out)
{
	*out = f->stats;
	reader_get_stats(f->reader, &out->reader);
	if (f->cache)
		rowcache_get_stats(f->cache, &out->cache);
}
