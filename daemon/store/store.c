// SPDX-License-Identifier: Apache-2.0
#include "store/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/log.h"
#include "store/batch.h"
#include "store/epoch.h"

/* Samples may come this long after their window ended. */
#define GRACE_NS (2 * NSEC_PER_SEC)
#define EPOCH_NS (24 * 3600 * NSEC_PER_SEC)
/* Write before the sync is due when this much waits. */
#define WAITING_GOAL (1u << 20)
#define RETRY_NS (5 * NSEC_PER_SEC)
/* In bytes, where nothing else is said. */
#define MEMORY_DEFAULT (32u << 20)
/* An epoch also ends when its dictionary gets this large ... */
#define DICT_BYTES (24u << 20)
/* ... or has this many series: DICT_SERIES_MAX must not be met. */
#define DICT_SERIES (DICT_SERIES_MAX / 4 * 3)

struct store {
	struct store_options options; /* dir is only told apart from NULL */
	int dir_fd; /* -1: in memory */
	int lock_fd;
	struct codec *codec;
	struct epoch **epochs; /* oldest first, the last is current */
	size_t nr_epochs;
	uint32_t generation;
	int64_t now_ns; /* of the last tick */
	int64_t committed_ns, tried_ns; /* by the ticks' clock */
	bool failing;
	uint64_t written_bytes, syncs, write_errors;
	uint64_t dropped; /* by epochs that are gone */
	struct log_ratelimit complain;
};

static struct epoch *current(const struct store *s)
{
	return s->epochs[s->nr_epochs - 1];
}

static bool on_disk(const struct store *s)
{
	return s->dir_fd >= 0;
}

static uint64_t memory_limit(const struct store *s)
{
	return s->options.memory_bytes ? s->options.memory_bytes :
					 MEMORY_DEFAULT;
}

/* ---- the set of epochs ---- */

static int push_epoch(struct store *s, struct epoch *e)
{
	struct epoch **v =
		realloc(s->epochs, (s->nr_epochs + 1) * sizeof(struct epoch *));

	if (!v)
		return -ENOMEM;
	s->epochs = v;
	s->epochs[s->nr_epochs++] = e;
	return 0;
}

static void remove_epoch(struct store *s, size_t i)
{
	struct epoch_stats st;

	epoch_get_stats(s->epochs[i], &st);
	s->dropped += st.dropped;
	epoch_free(s->epochs[i]);
	s->nr_epochs--;
	memmove(s->epochs + i, s->epochs + i + 1,
		(s->nr_epochs - i) * sizeof(struct epoch *));
}

static bool empty(const struct epoch *e)
{
	struct epoch_stats st;

	epoch_get_stats(e, &st);
	return !st.bytes && !st.vectors && !st.open;
}

static int new_epoch(struct store *s, int64_t now_ns)
{
	int64_t begin_s = now_ns / NSEC_PER_SEC;
	struct epoch *e;
	int r;

	/* Names are unique and in order even if the clock is not. */
	if (begin_s < 0)
		begin_s = 0;
	if (s->nr_epochs && begin_s <= epoch_begin_s(current(s)))
		begin_s = epoch_begin_s(current(s)) + 1;
	r = epoch_new(&e, begin_s);
	if (r < 0)
		return r;
	r = push_epoch(s, e);
	if (r < 0) {
		epoch_free(e);
		return r;
	}
	s->generation++;
	if (s->nr_epochs > 1 && empty(s->epochs[s->nr_epochs - 2]))
		remove_epoch(s, s->nr_epochs - 2);
	return 0;
}

static bool full(const struct store *s, int64_t now_ns)
{
	struct epoch *e = current(s);
	const struct dict *d = epoch_dict(e);
	uint64_t dict_limit = DICT_BYTES, limit = s->options.epoch_bytes;
	struct epoch_stats st;

	if (!on_disk(s))
		dict_limit = min_u64(dict_limit, memory_limit(s) / 4);
	if (dict_memory(d) > dict_limit ||
	    dict_series_count(d) > DICT_SERIES ||
	    now_ns - epoch_begin_s(e) * NSEC_PER_SEC >= EPOCH_NS)
		return true;
	/* The least that is deleted is an epoch: not most of what is kept. */
	if (s->options.retention_bytes &&
	    (!limit || limit > s->options.retention_bytes / 8))
		limit = s->options.retention_bytes / 8;
	epoch_get_stats(e, &st);
	return limit && st.bytes >= limit;
}

/* ---- opening ---- */

static int compare_names(const void *a, const void *b)
{
	int64_t x = 0, y = 0;

	epoch_parse_name(*(char *const *)a, &x);
	epoch_parse_name(*(char *const *)b, &y);
	return x < y ? -1 : x > y;
}

static void free_names(char **names, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		free(names[i]);
	free(names);
}

static int find_names(struct store *s, char ***out, size_t *out_nr)
{
	int fd = fcntl(s->dir_fd, F_DUPFD_CLOEXEC, 0);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	char **names = NULL;
	size_t nr = 0;
	struct dirent *d;
	int r = 0;

	if (!dir) {
		r = -errno;
		if (fd >= 0)
			close(fd);
		return r;
	}
	while (!r && (d = readdir(dir))) {
		int64_t begin_s;
		char **v;

		if (!epoch_parse_name(d->d_name, &begin_s))
			continue;
		v = realloc(names, (nr + 1) * sizeof(*v));
		if (!v) {
			r = -ENOMEM;
			break;
		}
		names = v;
		names[nr] = strdup(d->d_name);
		if (names[nr])
			nr++;
		else
			r = -ENOMEM;
	}
	closedir(dir);
	if (r < 0) {
		free_names(names, nr);
		return r;
	}
	if (nr)
		qsort(names, nr, sizeof(*names), compare_names);
	*out = names;
	*out_nr = nr;
	return 0;
}

static int load_epochs(struct store *s, bool *intact)
{
	char **names = NULL;
	size_t nr = 0;
	int r = find_names(s, &names, &nr);

	for (size_t i = 0; i < nr && !r; i++) {
		struct epoch *e;

		r = epoch_load(&e, s->codec, s->dir_fd, names[i], intact);
		if (r == -EPROTONOSUPPORT) {
			log_error("%s: %s was written by another version",
				  s->options.dir, names[i]);
			break;
		}
		if (r == -ENOMEM)
			break;
		if (r < 0) {
			log_error("%s: %s cannot be read: %s", s->options.dir,
				  names[i], strerror(-r));
			r = 0;
			continue;
		}
		r = push_epoch(s, e);
		if (r < 0)
			epoch_free(e);
	}
	free_names(names, nr);
	return r;
}

static int open_dir(struct store *s, const char *dir)
{
	int r = util_mkdirs(dir, 0750);

	if (r < 0)
		return r;
	s->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->dir_fd < 0)
		return -errno;
	s->lock_fd = openat(s->dir_fd, "lock",
			    O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (s->lock_fd < 0 || flock(s->lock_fd, LOCK_EX | LOCK_NB) < 0)
		return -errno;
	return 0;
}

static void destroy(struct store *s)
{
	for (size_t i = 0; i < s->nr_epochs; i++)
		epoch_free(s->epochs[i]);
	free(s->epochs);
	codec_free(s->codec);
	util_closep(&s->dir_fd);
	util_closep(&s->lock_fd);
	free((char *)s->options.dir);
	free(s);
}

int store_open(struct store **out, const struct store_options *options)
{
	int64_t now_ns = clock_realtime_ns();
	struct store *s = calloc(1, sizeof(*s));
	bool intact = false;
	int r = 0;

	if (!s)
		return -ENOMEM;
	s->options = *options;
	s->options.dir = options->dir ? strdup(options->dir) : NULL;
	s->dir_fd = -1;
	s->lock_fd = -1;
	if ((options->dir && !s->options.dir) || codec_new(&s->codec) < 0)
		r = -ENOMEM;
	if (!r && options->dir)
		r = open_dir(s, options->dir);
	if (!r && options->dir)
		r = load_epochs(s, &intact);
	if (!r && s->nr_epochs && intact) {
		struct epoch_stats st;

		epoch_get_stats(current(s), &st);
		intact = st.writable && !full(s, now_ns);
	}
	if (!r && (!s->nr_epochs || !intact))
		r = new_epoch(s, now_ns);
	if (r < 0) {
		destroy(s);
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
	r = store_flush(s);
	if (r < 0)
		log_error("the last windows are lost: %s", strerror(-r));
	destroy(s);
}

void store_configure(struct store *s, const struct store_options *options)
{
	const char *dir = s->options.dir;

	s->options = *options;
	s->options.dir = dir;
}

struct dict *store_dict(struct store *s)
{
	return epoch_dict(current(s));
}

uint32_t store_generation(const struct store *s)
{
	return s->generation;
}

/* ---- writing ---- */

/* Keep what waits within bounds. */
static void bound_memory(struct store *s)
{
	uint64_t limit = memory_limit(s), bytes = 0, vectors = 0;
	struct epoch_stats st;

	if (on_disk(s)) {
		while (epoch_waiting(current(s)) > limit)
			vectors += epoch_drop(current(s));
	} else {
		for (size_t i = 0; i < s->nr_epochs; i++) {
			epoch_get_stats(s->epochs[i], &st);
			bytes += st.memory;
		}
		while (bytes > limit) {
			struct epoch *e = s->epochs[0];
			uint64_t before, now;

			epoch_get_stats(e, &st);
			before = st.memory;
			if (!epoch_drop(e) && s->nr_epochs == 1)
				break;
			epoch_get_stats(e, &st);
			now = st.memory;
			if (!st.vectors && s->nr_epochs > 1) {
				remove_epoch(s, 0);
				now = 0;
			}
			bytes -= before - now;
		}
	}
	if (vectors && log_ratelimit(&s->complain, 1, 60 * NSEC_PER_SEC))
		log_error("the disk takes nothing: dropped %llu old windows",
			  (unsigned long long)vectors);
}

static int commit(struct store *s)
{
	struct epoch_stats before, after;
	int r;

	if (!on_disk(s))
		return 0;
	s->tried_ns = s->now_ns;
	epoch_get_stats(current(s), &before);
	r = epoch_commit(current(s), s->codec, s->dir_fd);
	if (r < 0) {
		s->write_errors++;
		if (!s->failing ||
		    log_ratelimit(&s->complain, 1, 60 * NSEC_PER_SEC))
			log_error("%s: cannot write: %s; windows stay in memory",
				  s->options.dir, strerror(-r));
		s->failing = true;
		return r;
	}
	s->committed_ns = s->now_ns;
	if (!r)
		return 0;
	if (s->failing)
		log_info("%s: written again", s->options.dir);
	s->failing = false;
	epoch_get_stats(current(s), &after);
	s->written_bytes += after.bytes - before.bytes;
	s->syncs++;
	return 0;
}

/* Is now as long after then as that, or the clock was put back? */
static bool due(int64_t now_ns, int64_t then_ns, int64_t after_ns)
{
	return now_ns < then_ns || now_ns - then_ns >= after_ns;
}

int store_add(struct store *s, uint32_t series, uint32_t node,
	      int64_t time_ns, uint64_t weight)
{
	int r;

	if (time_ns < 0 || time_ns > INT64_MAX - 2 * WINDOW_NS)
		return -EINVAL;
	r = epoch_add(current(s), time_ns - time_ns % WINDOW_NS, series, node,
		      weight);
	if (r < 0 || !epoch_close_crowded(current(s)))
		return r;
	if (!s->failing && epoch_waiting(current(s)) >= WAITING_GOAL)
		commit(s);
	bound_memory(s);
	return 0;
}

/* A new epoch, if it is time and the current one could be written. */
static void roll_over(struct store *s)
{
	struct epoch *e = current(s);
	bool huge;
	int r;

	if (!full(s, s->now_ns))
		return;
	/* Ids change: nothing open may stay. */
	epoch_close(e, INT64_MAX);
	/* A disk that fails for long must not let the dictionary grow. */
	huge = dict_memory(epoch_dict(e)) > 2 * DICT_BYTES ||
	       dict_series_count(epoch_dict(e)) == DICT_SERIES_MAX;
	if (s->failing && !huge &&
	    !due(s->now_ns, s->tried_ns, RETRY_NS))
		return;
	r = commit(s);
	while (r < 0 && huge && epoch_drop(e))
		;
	if (r < 0 && !huge)
		return;
	r = new_epoch(s, s->now_ns);
	if (r < 0)
		log_error("cannot begin an epoch: %s", strerror(-r));
}

/* When its data ends, at the latest when the next one began. */
static int64_t end_of(const struct store *s, size_t i)
{
	int64_t next = epoch_begin_s(s->epochs[i + 1]) * NSEC_PER_SEC;
	struct epoch_stats st;

	epoch_get_stats(s->epochs[i], &st);
	if (st.oldest_ns > st.newest_ns || st.newest_ns + WINDOW_NS > next)
		return next;
	return st.newest_ns + WINDOW_NS;
}

static bool outlived(const struct store *s)
{
	const struct store_options *o = &s->options;
	struct epoch_stats st;
	uint64_t bytes = 0;

	if (o->retention_ns && end_of(s, 0) < s->now_ns - o->retention_ns)
		return true;
	if (!on_disk(s) || !o->retention_bytes)
		return false;
	for (size_t i = 0; i < s->nr_epochs; i++) {
		epoch_get_stats(s->epochs[i], &st);
		bytes += st.bytes;
	}
	return bytes > o->retention_bytes;
}

static void retain(struct store *s)
{
	while (s->nr_epochs > 1 && outlived(s)) {
		int r = on_disk(s) ? epoch_unlink(s->epochs[0], s->dir_fd) : 0;

		if (r < 0) {
			if (log_ratelimit(&s->complain, 1, 60 * NSEC_PER_SEC))
				log_error("cannot delete an epoch: %s",
					  strerror(-r));
			return;
		}
		remove_epoch(s, 0);
	}
}

void store_tick(struct store *s, int64_t now_ns)
{
	struct epoch *e = current(s);

	if (now_ns < 0)
		return;
	if (!s->now_ns)
		s->committed_ns = now_ns;
	s->now_ns = now_ns;
	epoch_close(e, now_ns - GRACE_NS);
	if (s->failing ? due(now_ns, s->tried_ns, RETRY_NS) :
			 due(now_ns, s->committed_ns, s->options.sync_ns) ||
				 epoch_waiting(e) >= WAITING_GOAL)
		commit(s);
	roll_over(s);
	bound_memory(s);
	retain(s);
}

int store_flush(struct store *s)
{
	int r;

	epoch_close(current(s), INT64_MAX);
	r = commit(s);
	bound_memory(s);
	return r;
}

/* ---- asking ---- */

void store_get_stats(const struct store *s, struct store_stats *out)
{
	const struct dict *d = epoch_dict(current(s));
	int64_t oldest_ns = INT64_MAX, newest_ns = INT64_MIN;

	*out = (struct store_stats){
		.epochs = s->nr_epochs,
		.written_bytes = s->written_bytes,
		.windows_dropped = s->dropped,
		.syncs = s->syncs,
		.write_errors = s->write_errors,
		.series = dict_series_count(d),
		.nodes = calltree_count(d->tree),
		.strings = strtab_count(d->strings),
		.failing = s->failing,
	};
	for (size_t i = 0; i < s->nr_epochs; i++) {
		struct epoch_stats st;

		epoch_get_stats(s->epochs[i], &st);
		out->bytes += st.bytes;
		out->windows += st.vectors;
		out->windows_open += st.open;
		out->windows_dropped += st.dropped;
		out->memory += st.memory;
		if (st.oldest_ns < oldest_ns)
			oldest_ns = st.oldest_ns;
		if (st.newest_ns > newest_ns)
			newest_ns = st.newest_ns;
	}
	if (oldest_ns <= newest_ns) {
		out->oldest_ns = oldest_ns;
		out->newest_ns = newest_ns;
	}
}

int store_read(struct store *s, int64_t from_ns, int64_t until_ns,
	       const struct store_reader *reader)
{
	int r = 0;

	for (size_t i = 0; i < s->nr_epochs && !r; i++)
		r = epoch_read(s->epochs[i], s->codec, from_ns, until_ns,
			       reader);
	return r;
}
