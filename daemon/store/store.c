// SPDX-License-Identifier: Apache-2.0
#include "store/store.h"

#include "base/hash.h"
#include "base/log.h"
#include "store/epoch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* Samples may arrive this long after their window ended. */
#define GRACE_NS (2 * NSEC_PER_SEC)
#define EPOCH_SECONDS (24 * 3600)
/* Open windows kept while the disk does not take them. */
#define OPEN_MAX 65536
#define OPEN_BYTES_MAX (64u << 20)

struct window {
	int64_t start; /* ns */
	uint32_t series;
	struct vector *vector;
};

struct store {
	char *dir; /* NULL: in memory */
	int lock;
	struct store_options options;
	struct epoch **epochs; /* oldest first; the last one is written to */
	size_t nr_epochs;
	uint32_t generation;
	struct window *open;
	size_t nr_open, cap_open;
	struct hash_index open_index; /* id: position + 1 */
	int64_t first_due; /* earliest end of an open window, ns */
	int64_t synced; /* CLOCK_MONOTONIC, ns */
	bool dirty;
	bool failing;
	uint64_t written, dropped, syncs, write_errors;
	struct log_ratelimit complain;
};

static struct epoch *current(const struct store *s)
{
	return s->epochs[s->nr_epochs - 1];
}

/* ---- epochs ---- */

static int push_epoch(struct store *s, struct epoch *e)
{
	struct epoch **v = realloc(s->epochs,
				   (s->nr_epochs + 1) * sizeof(struct epoch *));

	if (!v)
		return -ENOMEM;
	s->epochs = v;
	v[s->nr_epochs++] = e;
	return 0;
}

static int sync_store_dir(const struct store *s)
{
	cleanup(util_closep) int fd =
		open(s->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

static int epoch_path(const struct store *s, int64_t start, char *path,
		      size_t len)
{
	int n = snprintf(path, len, "%s/epoch-%012" PRId64, s->dir, start);

	return n < 0 || (size_t)n >= len ? -ENAMETOOLONG : 0;
}

static int new_epoch(struct store *s)
{
	int64_t start = clock_realtime_ns() / NSEC_PER_SEC;
	char path[PATH_MAX];
	struct epoch *e;
	int r;

	/* Epochs are told apart, and ordered, by their start. */
	if (s->nr_epochs && start <= epoch_start(current(s)))
		start = epoch_start(current(s)) + 1;
	r = s->dir ? epoch_path(s, start, path, sizeof(path)) : 0;
	if (r >= 0)
		r = epoch_open(&e, s->dir ? path : NULL, start);
	if (r < 0)
		return r;
	if (s->dir)
		r = sync_store_dir(s);
	if (r >= 0)
		r = push_epoch(s, e);
	if (r < 0) {
		epoch_close(e);
		return r;
	}
	s->generation++;
	return 0;
}

static int by_start(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

/* The starts of the epochs in the directory, sorted; malloc'ed. */
static int find_epochs(const struct store *s, int64_t **out, size_t *out_nr)
{
	DIR *dir = opendir(s->dir);
	int64_t *v = NULL;
	struct dirent *d;
	size_t nr = 0;
	int r = 0;

	if (!dir)
		return -errno;
	while ((d = readdir(dir))) {
		uint64_t start;
		int64_t *more;

		if (strncmp(d->d_name, "epoch-", 6) ||
		    util_parse_u64(d->d_name + 6, &start) < 0 ||
		    start > INT64_MAX / NSEC_PER_SEC)
			continue;
		more = realloc(v, (nr + 1) * sizeof(*v));
		if (!more) {
			r = -ENOMEM;
			break;
		}
		v = more;
		v[nr++] = (int64_t)start;
	}
	closedir(dir);
	if (r < 0) {
		free(v);
		return r;
	}
	if (nr)
		qsort(v, nr, sizeof(*v), by_start);
	*out = v;
	*out_nr = nr;
	return 0;
}

static int load_epoch(struct store *s, int64_t start)
{
	char path[PATH_MAX];
	struct epoch *e;
	int r;

	r = epoch_path(s, start, path, sizeof(path));
	if (r >= 0)
		r = epoch_open(&e, path, start);
	if (r == -EBADMSG) {
		log_warn("%s: not an epoch: left alone", path);
		return 0;
	}
	if (r < 0) {
		log_error("%s: %s", path,
			  r == -EPROTONOSUPPORT ?
				  "written by another version" :
				  strerror(-r));
		return r;
	}
	r = push_epoch(s, e);
	if (r < 0)
		epoch_close(e);
	return r;
}

static uint64_t epoch_limit(const struct store *s)
{
	uint64_t limit = s->dir ? s->options.epoch_bytes :
				  s->options.memory_bytes / 4;

	/* Deleting an epoch must not delete most of what may be kept. */
	if (s->dir && s->options.retention_bytes)
		limit = min_u64(limit, s->options.retention_bytes / 4);
	return limit;
}

static bool epoch_full(const struct store *s)
{
	struct epoch *e = current(s);
	uint64_t size = s->dir ? epoch_bytes(e) : epoch_memory(e);

	return size >= epoch_limit(s) ||
	       clock_realtime_ns() / NSEC_PER_SEC - epoch_start(e) >=
		       EPOCH_SECONDS;
}

static int load_epochs(struct store *s)
{
	cleanup(util_freep) int64_t *starts = NULL;
	size_t nr = 0;
	int r;

	if (s->dir) {
		r = find_epochs(s, &starts, &nr);
		for (size_t i = 0; r >= 0 && i < nr; i++)
			r = load_epoch(s, starts[i]);
		if (r < 0)
			return r;
	}
	if (s->nr_epochs && epoch_intact(current(s)) && !epoch_full(s))
		return 0;
	return new_epoch(s);
}

static int take_lock(struct store *s)
{
	char path[PATH_MAX];

	if (snprintf(path, sizeof(path), "%s/lock", s->dir) >=
	    (int)sizeof(path))
		return -ENAMETOOLONG;
	s->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
	if (s->lock < 0 || flock(s->lock, LOCK_EX | LOCK_NB) < 0)
		return -errno;
	return 0;
}

int store_open(struct store **out, const struct store_options *options)
{
	struct store *s = calloc(1, sizeof(*s));
	int r = 0;

	if (!s)
		return -ENOMEM;
	s->lock = -1;
	s->options = *options;
	s->first_due = INT64_MAX;
	s->synced = clock_monotonic_ns();
	if (options->dir) {
		s->dir = strdup(options->dir);
		r = s->dir ? util_mkdirs(s->dir, 0750) : -ENOMEM;
		if (r >= 0)
			r = take_lock(s);
	}
	s->options.dir = s->dir;
	if (r >= 0)
		r = load_epochs(s);
	if (r < 0) {
		store_close(s);
		return r;
	}
	*out = s;
	return 0;
}

void store_close(struct store *s)
{
	int r;

	if (!s)
		return;
	if (s->nr_epochs) {
		r = store_flush(s);
		if (r < 0)
			log_error("the last windows were not stored: %s",
				  strerror(-r));
	}
	for (size_t i = 0; i < s->nr_open; i++)
		vector_free(s->open[i].vector);
	for (size_t i = 0; i < s->nr_epochs; i++)
		epoch_close(s->epochs[i]);
	hash_index_release(&s->open_index);
	util_closep(&s->lock);
	free(s->open);
	free(s->epochs);
	free(s->dir);
	free(s);
}

void store_configure(struct store *s, const struct store_options *options)
{
	s->options.retention_bytes = options->retention_bytes;
	s->options.retention_ns = options->retention_ns;
	s->options.sync_ns = options->sync_ns;
}

struct dict *store_dict(struct store *s)
{
	return epoch_dict(current(s));
}

uint32_t store_generation(const struct store *s)
{
	return s->generation;
}

/* ---- open windows ---- */

static uint64_t window_hash(int64_t start, uint32_t series)
{
	return hash_u64((uint64_t)start ^ hash_u64(series));
}

static struct window *find_window(struct store *s, int64_t start,
				  uint32_t series)
{
	uint64_t hash = window_hash(start, series);
	uint32_t id;

	for (size_t at = hash_index_first(&s->open_index, hash, &id); id;
	     at = hash_index_next(&s->open_index, hash, at, &id)) {
		struct window *w = &s->open[id - 1];

		if (w->start == start && w->series == series)
			return w;
	}
	return NULL;
}

static int add_window(struct store *s, int64_t start, uint32_t series,
		      struct window **out)
{
	struct window *w;
	int r;

	if (s->nr_open == s->cap_open) {
		size_t want = s->cap_open ? s->cap_open * 2 : 64;
		struct window *v = realloc(s->open, want * sizeof(*v));

		if (!v)
			return -ENOMEM;
		s->open = v;
		s->cap_open = want;
	}
	r = hash_index_grow(&s->open_index);
	if (r < 0)
		return r;
	w = &s->open[s->nr_open];
	*w = (struct window){ .start = start, .series = series };
	r = vector_new(&w->vector);
	if (r < 0)
		return r;
	hash_index_put(&s->open_index, window_hash(start, series),
		       (uint32_t)++s->nr_open);
	if (start + WINDOW_NS < s->first_due)
		s->first_due = start + WINDOW_NS;
	*out = w;
	return 0;
}

int store_add(struct store *s, uint32_t series, uint32_t node, int64_t time_ns,
	      uint64_t weight)
{
	struct window *w;
	int64_t start;
	int r;

	if (time_ns < 0 || time_ns > INT64_MAX - 2 * WINDOW_NS)
		return -EINVAL;
	if (series >= dict_series_count(store_dict(s)))
		return -EINVAL;
	start = time_ns - time_ns % WINDOW_NS;
	w = find_window(s, start, series);
	if (!w) {
		r = add_window(s, start, series, &w);
		if (r < 0)
			return r;
	}
	return vector_add(w->vector, node, weight);
}

/* Forget the windows that ended at or before due. */
static void remove_windows(struct store *s, int64_t due)
{
	size_t kept = 0;

	hash_index_release(&s->open_index);
	s->first_due = INT64_MAX;
	for (size_t i = 0; i < s->nr_open; i++) {
		struct window w = s->open[i];

		if (w.start + WINDOW_NS <= due) {
			vector_free(w.vector);
			continue;
		}
		s->open[kept++] = w;
		if (w.start + WINDOW_NS < s->first_due)
			s->first_due = w.start + WINDOW_NS;
	}
	s->nr_open = kept;
	for (size_t i = 0; i < kept; i++) {
		/* Cannot want more room than the table just given up had. */
		if (hash_index_grow(&s->open_index) < 0)
			return;
		hash_index_put(&s->open_index,
			       window_hash(s->open[i].start,
					   s->open[i].series),
			       (uint32_t)(i + 1));
	}
}

static size_t open_bytes(const struct store *s)
{
	size_t bytes = s->cap_open * sizeof(*s->open);

	for (size_t i = 0; i < s->nr_open; i++)
		bytes += vector_memory(s->open[i].vector);
	return bytes;
}

/* The disk takes nothing: give the oldest windows up rather than all memory. */
static void drop_oldest(struct store *s)
{
	while (s->nr_open > OPEN_MAX || open_bytes(s) > OPEN_BYTES_MAX) {
		size_t before = s->nr_open;

		remove_windows(s, s->first_due);
		s->dropped += before - s->nr_open;
	}
}

static void write_failed(struct store *s, int r)
{
	s->write_errors++;
	if (!s->failing || log_ratelimit(&s->complain, 1, 60 * NSEC_PER_SEC))
		log_error("%s: cannot write: %s: keeping windows in memory",
			  s->dir ? s->dir : "memory", strerror(-r));
	s->failing = true;
	drop_oldest(s);
}

/* Write and forget the windows that ended at or before due. */
static int close_windows(struct store *s, int64_t due)
{
	struct epoch *e = current(s);
	uint64_t before = epoch_bytes(e);
	int r;

	if (s->first_due > due)
		return 0;
	for (size_t i = 0; i < s->nr_open; i++)
		if (s->open[i].start + WINDOW_NS <= due)
			epoch_put(e, s->open[i].series, s->open[i].start,
				  s->open[i].vector);
	r = epoch_commit(e);
	if (r < 0) {
		write_failed(s, r);
		return r;
	}
	if (s->failing)
		log_info("writing works again");
	s->failing = false;
	s->written += epoch_bytes(e) - before;
	s->dirty = true;
	remove_windows(s, due);
	return 0;
}

static int sync_now(struct store *s)
{
	int r;

	s->synced = clock_monotonic_ns();
	if (!s->dirty)
		return 0;
	r = epoch_sync(current(s));
	if (r < 0) {
		write_failed(s, r);
		return r;
	}
	s->dirty = false;
	s->syncs++;
	return 0;
}

/* ---- keeping house ---- */

static uint64_t total_bytes(const struct store *s)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < s->nr_epochs; i++)
		bytes += s->dir ? epoch_bytes(s->epochs[i]) :
				  epoch_memory(s->epochs[i]);
	return bytes;
}

/* An epoch ends where the next one starts. */
static bool expired(const struct store *s, int64_t now_ns)
{
	int64_t end = epoch_start(s->epochs[1]) * NSEC_PER_SEC;
	uint64_t limit = s->dir ? s->options.retention_bytes :
				  s->options.memory_bytes;

	return (limit && total_bytes(s) > limit) ||
	       (s->options.retention_ns &&
		end < now_ns - s->options.retention_ns);
}

static void retain(struct store *s, int64_t now_ns)
{
	while (s->nr_epochs > 1 && expired(s, now_ns)) {
		int r = epoch_unlink(s->epochs[0]);

		if (r < 0) {
			if (log_ratelimit(&s->complain, 1, 60 * NSEC_PER_SEC))
				log_error("cannot delete the oldest epoch: %s",
					  strerror(-r));
			return;
		}
		log_debug("the oldest epoch is deleted");
		epoch_close(s->epochs[0]);
		s->nr_epochs--;
		memmove(s->epochs, s->epochs + 1,
			s->nr_epochs * sizeof(struct epoch *));
	}
}

/* All ids change with the epoch: nothing open may stay behind. */
static void roll_over(struct store *s)
{
	int r;

	if (!epoch_full(s))
		return;
	r = close_windows(s, INT64_MAX);
	if (r >= 0)
		r = sync_now(s);
	if (r >= 0)
		r = new_epoch(s);
	if (r < 0 && log_ratelimit(&s->complain, 1, 60 * NSEC_PER_SEC))
		log_error("cannot begin a new epoch: %s", strerror(-r));
}

void store_tick(struct store *s, int64_t now_ns)
{
	close_windows(s, now_ns - GRACE_NS);
	roll_over(s);
	if (clock_monotonic_ns() - s->synced >= s->options.sync_ns)
		sync_now(s);
	retain(s, now_ns);
}

int store_flush(struct store *s)
{
	int r = close_windows(s, INT64_MAX);

	return r < 0 ? r : sync_now(s);
}

void store_get_stats(const struct store *s, struct store_stats *out)
{
	const struct dict *d = epoch_dict(current(s));

	*out = (struct store_stats){
		.epochs = s->nr_epochs,
		.written_bytes = s->written,
		.windows_open = s->nr_open,
		.windows_dropped = s->dropped,
		.syncs = s->syncs,
		.write_errors = s->write_errors,
		.memory = open_bytes(s),
		.series = dict_series_count(d),
		.nodes = calltree_count(d->tree),
		.strings = strtab_count(d->strings),
		.failing = s->failing,
	};
	for (size_t i = 0; i < s->nr_epochs; i++) {
		const struct epoch *e = s->epochs[i];
		int64_t oldest, newest;

		out->bytes += s->dir ? epoch_bytes(e) : 0;
		out->windows += epoch_windows(e);
		out->memory += epoch_memory(e);
		if (!epoch_range(e, &oldest, &newest))
			continue;
		if (!out->oldest_ns || oldest < out->oldest_ns)
			out->oldest_ns = oldest;
		if (newest > out->newest_ns)
			out->newest_ns = newest;
	}
	for (size_t i = 0; i < s->nr_open; i++) {
		int64_t start = s->open[i].start;

		if (!out->oldest_ns || start < out->oldest_ns)
			out->oldest_ns = start;
		if (start > out->newest_ns)
			out->newest_ns = start;
	}
}

/* ---- reading ---- */

struct open_context {
	const struct store_reader *reader;
	const struct window *w;
};

static int on_open_entry(void *userdata, uint32_t node, uint64_t weight)
{
	const struct open_context *x = userdata;

	return x->reader->entry(x->reader->userdata, x->w->series, x->w->start,
				node, weight);
}

static int read_open(struct store *s, int64_t from_ns, int64_t until_ns,
		     const bool *want, const struct store_reader *reader)
{
	int r = 0;

	for (size_t i = 0; r >= 0 && i < s->nr_open; i++) {
		const struct window *w = &s->open[i];
		struct open_context x = { reader, w };

		if (!want[w->series] || w->start >= until_ns ||
		    w->start + WINDOW_NS <= from_ns)
			continue;
		if (reader->window)
			r = reader->window(reader->userdata, w->series,
					   w->start, vector_total(w->vector));
		if (r >= 0 && reader->entry)
			r = vector_each(w->vector, on_open_entry, &x);
	}
	return r;
}

static int read_epoch(struct store *s, struct epoch *e, int64_t from_ns,
		      int64_t until_ns, const struct store_reader *reader)
{
	const struct dict *d = epoch_dict(e);
	uint32_t nr = dict_series_count(d);
	cleanup(util_freep) bool *want = calloc(nr + 1u, sizeof(*want));
	bool any = false;
	int r;

	if (!want)
		return -ENOMEM;
	for (uint32_t i = 0; i < nr; i++) {
		want[i] = reader->want(reader->userdata,
				       dict_series_labels(d, i));
		any |= want[i];
	}
	if (!any)
		return 0;
	r = reader->epoch(reader->userdata, d);
	if (r >= 0)
		r = epoch_read(e, from_ns, until_ns, want, reader);
	if (r >= 0 && e == current(s))
		r = read_open(s, from_ns, until_ns, want, reader);
	return r;
}

int store_read(struct store *s, int64_t from_ns, int64_t until_ns,
	       const struct store_reader *reader)
{
	if (from_ns < 0)
		from_ns = 0;
	if (until_ns <= from_ns) {
		if (from_ns == INT64_MAX)
			return 0;
		until_ns = from_ns + 1;
	}
	for (size_t i = 0; i < s->nr_epochs; i++) {
		int r = read_epoch(s, s->epochs[i], from_ns, until_ns, reader);

		/* What can be read of a damaged epoch has been. */
		if (r == -EBADMSG || r == -EIO) {
			log_warn("an epoch could not be read whole: %s",
				 strerror(-r));
			continue;
		}
		if (r < 0)
			return r;
	}
	return 0;
}
