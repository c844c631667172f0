// SPDX-License-Identifier: Apache-2.0
#include "store/epoch.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "store/batch.h"
#include "store/dictlog.h"
#include "store/log.h"
#include "store/windows.h"

#define LOG "log"
#define LOG_DAMAGED "log.damaged"
#define LOG_TMP "log.tmp"

/* A block of windows in the log. */
struct block_index {
	struct block block;
	int64_t oldest_ns, newest_ns; /* window starts */
	uint32_t vectors;
};

struct epoch {
	int64_t begin_s;
	char name[32]; /* of the directory */
	struct dict dict;
	struct dictlog written; /* of dict */
	struct logfile *log; /* NULL: nothing written */
	uint64_t damaged_bytes; /* of the file set aside */
	struct block_index *blocks;
	size_t nr_blocks, cap_blocks;
	struct batch *waiting; /* oldest first; the last one is filled */
	size_t nr_waiting, cap_waiting;
	struct windows *open;
	uint64_t dropped;
	bool ahead; /* dict has a part of a block that the log has not */
};

static struct epoch *allocate(int64_t begin_s)
{
	struct epoch *e = calloc(1, sizeof(*e));

	if (!e)
		return NULL;
	e->begin_s = begin_s;
	e->written = DICTLOG_EMPTY;
	snprintf(e->name, sizeof(e->name), "epoch-%010" PRId64, begin_s);
	if (dict_init(&e->dict) < 0 || windows_new(&e->open) < 0) {
		epoch_free(e);
		return NULL;
	}
	return e;
}

int epoch_new(struct epoch **out, int64_t begin_s)
{
	*out = allocate(begin_s);
	return *out ? 0 : -ENOMEM;
}

void epoch_free(struct epoch *e)
{
	if (!e)
		return;
	for (size_t i = 0; i < e->nr_waiting; i++)
		batch_release(&e->waiting[i]);
	free(e->waiting);
	free(e->blocks);
	windows_free(e->open);
	dict_release(&e->dict);
	logfile_close(e->log);
	free(e);
}

bool epoch_parse_name(const char *name, int64_t *begin_s)
{
	uint64_t v;

	if (strncmp(name, "epoch-", 6) || strlen(name) < 16 ||
	    strlen(name) > 24 || util_parse_u64(name + 6, &v) < 0 ||
	    v > (uint64_t)(INT64_MAX / NSEC_PER_SEC / 2))
		return false;
	*begin_s = (int64_t)v;
	return true;
}

struct dict *epoch_dict(struct epoch *e)
{
	return &e->dict;
}

int64_t epoch_begin_s(const struct epoch *e)
{
	return e->begin_s;
}

/* ---- loading ---- */

static int push_block(struct epoch *e, const struct block *block,
		      const struct batch *b)
{
	if (e->nr_blocks == e->cap_blocks) {
		size_t cap = e->cap_blocks ? e->cap_blocks * 2 : 16;
		struct block_index *v = realloc(e->blocks, cap * sizeof(*v));

		if (!v)
			return -ENOMEM;
		e->blocks = v;
		e->cap_blocks = cap;
	}
	e->blocks[e->nr_blocks++] = (struct block_index){
		.block = *block,
		.oldest_ns = b->oldest_ns,
		.newest_ns = b->newest_ns,
		.vectors = (uint32_t)b->nr,
	};
	return 0;
}

static int load_block(struct epoch *e, struct codec *c, const struct block *b,
		      struct buf *packed, struct buf *raw)
{
	struct batch batch = { 0 };
	int r = logfile_head(e->log, c, b, packed, raw);

	if (r < 0)
		return r;
	if (b->type >= BLOCK_STRINGS && b->type <= BLOCK_SERIES)
		return b->body_len ? -EBADMSG :
				     dictlog_load(&e->dict, b->type, raw->data,
						  raw->len);
	if (b->type != BLOCK_WINDOWS)
		return -EBADMSG;
	r = batch_decode(&batch, raw->data, raw->len, b->body_raw,
			 dict_series_count(&e->dict));
	if (!r && batch.nr)
		r = push_block(e, b, &batch);
	batch_release(&batch);
	return r;
}

/* Read all blocks; *at is then behind the last good one. */
static int scan(struct epoch *e, struct codec *c, uint64_t *at)
{
	struct buf packed = { 0 }, raw = { 0 };
	struct block b;
	int r;

	*at = LOGFILE_HEADER;
	for (;;) {
		uint64_t next = *at;

		r = logfile_next(e->log, &next, &b);
		if (r <= 0)
			break;
		r = load_block(e, c, &b, &packed, &raw);
		if (r < 0) {
			e->ahead = true;
			break;
		}
		*at = next;
	}
	buf_release(&packed);
	buf_release(&raw);
	return r;
}

/*
 * Damage, and more behind it that may be good but cannot be understood without
 * what is lost: keep the file as it was, go on with what precedes.
 */
static int set_aside(struct epoch *e, int dir_fd, uint64_t good)
{
	struct logfile *salvaged;
	int r = logfile_copy(e->log, good, dir_fd, LOG_TMP);

	if (r < 0)
		return r;
	/* A link first, so that there is a log at every moment. */
	unlinkat(dir_fd, LOG_DAMAGED, 0);
	if (linkat(dir_fd, LOG, dir_fd, LOG_DAMAGED, 0) < 0 &&
	    renameat(dir_fd, LOG, dir_fd, LOG_DAMAGED) < 0)
		return -errno;
	if (renameat(dir_fd, LOG_TMP, dir_fd, LOG) < 0 || fsync(dir_fd) < 0)
		return -errno;
	r = logfile_open(&salvaged, dir_fd, LOG);
	if (r < 0)
		return r;
	logfile_close(e->log);
	e->log = salvaged;
	return 0;
}

static int repair(struct epoch *e, int dir_fd, uint64_t good, bool torn)
{
	uint64_t lost = logfile_end(e->log) - good;
	int r;

	if (torn) {
		log_warn("%s: the last %" PRIu64 " bytes are torn and cut off",
			 e->name, lost);
		r = logfile_set_end(e->log, good);
	} else {
		log_error("%s: damaged at byte %" PRIu64 ": the %" PRIu64
			  " bytes from there are lost, see " LOG_DAMAGED,
			  e->name, good, lost);
		r = set_aside(e, dir_fd, good);
	}
	if (r < 0)
		log_warn("%s: cannot repair: %s", e->name, strerror(-r));
	return r;
}

static void count_damaged(struct epoch *e, int dir_fd)
{
	struct stat st;

	if (!fstatat(dir_fd, LOG_DAMAGED, &st, AT_SYMLINK_NOFOLLOW))
		e->damaged_bytes = (uint64_t)st.st_size;
}

int epoch_load(struct epoch **out, struct codec *c, int store_fd,
	       const char *name, bool *intact)
{
	cleanup(util_closep) int dir_fd = -1;
	struct epoch *e;
	int64_t begin_s;
	uint64_t good;
	int r;

	if (!epoch_parse_name(name, &begin_s))
		return -EINVAL;
	dir_fd = openat(store_fd, name,
			O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (dir_fd < 0)
		return -errno;
	e = allocate(begin_s);
	if (!e)
		return -ENOMEM;
	snprintf(e->name, sizeof(e->name), "%s", name);
	unlinkat(dir_fd, LOG_TMP, 0); /* of a repair that was cut short */
	*intact = true;
	r = logfile_open(&e->log, dir_fd, LOG);
	if (r == -ENOENT || r == -EBADMSG) {
		*intact = false;
		log_warn("%s: no log in it that could be read", name);
		if (r == -EBADMSG)
			renameat(dir_fd, LOG, dir_fd, LOG_DAMAGED);
		count_damaged(e, dir_fd);
		r = e->damaged_bytes ? 0 : -ENODATA;
		if (r < 0)
			epoch_unlink(e, store_fd);
		goto out;
	}
	if (!r)
		r = scan(e, c, &good);
	if (r == -EBADMSG) {
		bool torn = !logfile_resumes(e->log, good);

		/* A crash while writing ends like this: no harm is done. */
		r = repair(e, dir_fd, good, torn);
		*intact = !r && torn && !e->ahead;
		r = 0;
	}
	count_damaged(e, dir_fd);
	e->written = dictlog_of(&e->dict);
out:
	if (r < 0)
		epoch_free(e);
	else
		*out = e;
	return r;
}

/* ---- filling ---- */

int epoch_add(struct epoch *e, int64_t window_ns, uint32_t series,
	      uint32_t node, uint64_t weight)
{
	if (series >= dict_series_count(&e->dict) ||
	    node >= calltree_count(e->dict.tree))
		return -EINVAL;
	return windows_add(e->open, window_ns, series, node, weight);
}

static int push_waiting(struct epoch *e)
{
	if (e->nr_waiting == e->cap_waiting) {
		size_t cap = e->cap_waiting ? e->cap_waiting * 2 : 4;
		struct batch *v = realloc(e->waiting, cap * sizeof(*v));

		if (!v)
			return -ENOMEM;
		e->waiting = v;
		e->cap_waiting = cap;
	}
	e->waiting[e->nr_waiting++] = (struct batch){ 0 };
	return 0;
}

static int enqueue(void *userdata, int64_t window_ns, uint32_t series,
		const struct vector *v)
{
	struct epoch *e = userdata;
	struct batch *b = e->nr_waiting ? &e->waiting[e->nr_waiting - 1] : NULL;
	int r = 0;

	if (!b || b->data.len >= BATCH_BYTES)
		r = push_waiting(e);
	if (!r)
		r = batch_add(&e->waiting[e->nr_waiting - 1], series, window_ns,
			      v);
	if (r < 0)
		e->dropped++;
	return r;
}

void epoch_close(struct epoch *e, int64_t end_ns)
{
	windows_close(e->open, end_ns, enqueue, e);
}

bool epoch_close_crowded(struct epoch *e)
{
	if (!windows_crowded(e->open))
		return false;
	epoch_close(e, INT64_MAX);
	return true;
}

uint64_t epoch_drop(struct epoch *e)
{
	uint64_t vectors;

	if (!e->nr_waiting)
		return 0;
	vectors = e->waiting[0].nr;
	batch_release(&e->waiting[0]);
	e->nr_waiting--;
	memmove(e->waiting, e->waiting + 1,
		e->nr_waiting * sizeof(*e->waiting));
	e->dropped += vectors;
	return vectors;
}

size_t epoch_waiting(const struct epoch *e)
{
	size_t bytes = 0;

	for (size_t i = 0; i < e->nr_waiting; i++)
		bytes += batch_memory(&e->waiting[i]);
	return bytes;
}

/* ---- writing ---- */

static int create(struct epoch *e, int store_fd)
{
	cleanup(util_closep) int dir_fd = -1;
	int r;

	if (mkdirat(store_fd, e->name, 0750) < 0 && errno != EEXIST)
		return -errno;
	dir_fd = openat(store_fd, e->name,
			O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (dir_fd < 0 || fsync(store_fd) < 0)
		return -errno;
	r = logfile_create(&e->log, dir_fd, LOG, e->begin_s);
	if (!r && fsync(dir_fd) < 0) {
		r = -errno;
		logfile_close(e->log);
		e->log = NULL;
		unlinkat(dir_fd, LOG, 0);
	}
	return r;
}

static int write_batch(struct epoch *e, struct codec *c, const struct batch *b)
{
	struct buf head = { 0 };
	struct block block;
	int r;

	if (!b->nr)
		return 0;
	batch_encode(b, &head);
	r = head.err;
	if (!r)
		r = logfile_append(e->log, c, BLOCK_WINDOWS, &head, &b->data,
				   &block);
	if (!r)
		r = push_block(e, &block, b);
	buf_release(&head);
	return r;
}

int epoch_commit(struct epoch *e, struct codec *c, int store_fd)
{
	struct dictlog written = e->written;
	size_t nr_blocks = e->nr_blocks;
	uint64_t end;
	int r;

	if (!e->nr_waiting)
		return 0;
	r = e->log ? 0 : create(e, store_fd);
	if (r < 0)
		return r;
	end = logfile_end(e->log);
	r = dictlog_append(e->log, c, &e->dict, &written);
	for (size_t i = 0; i < e->nr_waiting && !r; i++)
		r = write_batch(e, c, &e->waiting[i]);
	if (!r)
		r = logfile_sync(e->log);
	if (r < 0) {
		/* Also after a failed sync: nobody knows what is on disk. */
		e->nr_blocks = nr_blocks;
		logfile_set_end(e->log, end);
		return r;
	}
	e->written = written;
	for (size_t i = 0; i < e->nr_waiting; i++)
		batch_release(&e->waiting[i]);
	e->nr_waiting = 0;
	return 1;
}

int epoch_unlink(struct epoch *e, int store_fd)
{
	static const char *const names[] = { LOG_TMP, LOG_DAMAGED, LOG };
	cleanup(util_closep) int dir_fd =
		openat(store_fd, e->name,
		       O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	if (dir_fd < 0)
		return errno == ENOENT ? 0 : -errno;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (unlinkat(dir_fd, names[i], 0) < 0 && errno != ENOENT)
			return -errno;
	if (unlinkat(store_fd, e->name, AT_REMOVEDIR) < 0)
		return -errno;
	return fsync(store_fd) < 0 ? -errno : 0;
}

/* ---- asking ---- */

static void widen(struct epoch_stats *s, int64_t oldest_ns, int64_t newest_ns)
{
	if (oldest_ns < s->oldest_ns)
		s->oldest_ns = oldest_ns;
	if (newest_ns > s->newest_ns)
		s->newest_ns = newest_ns;
}

static int widen_open(void *userdata, int64_t window_ns, uint32_t series,
		      const struct vector *v)
{
	(void)series;
	(void)v;
	widen(userdata, window_ns, window_ns);
	return 0;
}

void epoch_get_stats(const struct epoch *e, struct epoch_stats *out)
{
	*out = (struct epoch_stats){
		.bytes = e->damaged_bytes +
			 (e->log ? logfile_end(e->log) : 0),
		.memory = sizeof(*e) + dict_memory(&e->dict) +
			  e->cap_blocks * sizeof(*e->blocks) +
			  epoch_waiting(e) + windows_memory(e->open),
		.open = windows_vectors(e->open),
		.dropped = e->dropped,
		.oldest_ns = INT64_MAX,
		.newest_ns = INT64_MIN,
		.writable = e->log && logfile_writable(e->log),
	};
	for (size_t i = 0; i < e->nr_blocks; i++) {
		out->vectors += e->blocks[i].vectors;
		widen(out, e->blocks[i].oldest_ns, e->blocks[i].newest_ns);
	}
	for (size_t i = 0; i < e->nr_waiting; i++) {
		out->vectors += e->waiting[i].nr;
		if (e->waiting[i].nr)
			widen(out, e->waiting[i].oldest_ns,
			      e->waiting[i].newest_ns);
	}
	windows_each(e->open, widen_open, out);
}

/* ---- reading ---- */

struct open_vector {
	const struct batch_query *q;
	int64_t window_ns;
	uint32_t series;
};

static int open_entry(void *userdata, uint32_t node, uint64_t weight)
{
	const struct open_vector *x = userdata;
	const struct store_reader *reader = x->q->reader;

	return reader->entry(reader->userdata, x->series, x->window_ns, node,
			     weight);
}

static int read_open(void *userdata, int64_t window_ns, uint32_t series,
		     const struct vector *v)
{
	struct open_vector x = { userdata, window_ns, series };
	const struct store_reader *reader = x.q->reader;
	int r = 0;

	if (!batch_wants(x.q, series, window_ns))
		return 0;
	if (reader->window)
		r = reader->window(reader->userdata, series, window_ns,
				   vector_total(v));
	if (r >= 0 && reader->entry)
		r = vector_each(v, open_entry, &x);
	return r;
}

/* Buffers that a read goes through its blocks with. */
struct scratch {
	struct buf packed, head, body;
};

static int read_block(struct epoch *e, struct codec *c,
		      const struct block *block, const struct batch_query *q,
		      struct scratch *x)
{
	struct batch b = { 0 };
	int r = logfile_head(e->log, c, block, &x->packed, &x->head);

	if (!r)
		r = batch_decode(&b, x->head.data, x->head.len,
				 block->body_raw, q->nr_series);
	if (!r && batch_any(&b, q)) {
		if (q->reader->entry)
			r = logfile_body(e->log, c, block, &x->packed,
					 &x->body);
		if (!r)
			r = batch_read(&b, &x->body, q);
	}
	batch_release(&b);
	return r;
}

static bool overlaps(const struct batch_query *q, int64_t oldest_ns,
		     int64_t newest_ns)
{
	return oldest_ns < q->until_ns && newest_ns + WINDOW_NS > q->from_ns;
}

static int read_windows(struct epoch *e, struct codec *c,
			const struct batch_query *q)
{
	struct scratch x = { 0 };
	int r = 0;

	for (size_t i = 0; i < e->nr_blocks && !r; i++)
		if (overlaps(q, e->blocks[i].oldest_ns, e->blocks[i].newest_ns))
			r = read_block(e, c, &e->blocks[i].block, q, &x);
	buf_release(&x.packed);
	buf_release(&x.head);
	buf_release(&x.body);
	for (size_t i = 0; i < e->nr_waiting && !r; i++)
		r = batch_read(&e->waiting[i], &e->waiting[i].data, q);
	if (!r)
		r = windows_each(e->open, read_open, (void *)q);
	return r;
}

int epoch_read(struct epoch *e, struct codec *c, int64_t from_ns,
	       int64_t until_ns, const struct store_reader *reader)
{
	struct batch_query q = {
		.reader = reader,
		.nr_series = dict_series_count(&e->dict),
		.nr_nodes = calltree_count(e->dict.tree),
		.from_ns = from_ns,
		.until_ns = until_ns,
	};
	struct epoch_stats st;
	bool *want, any = false;
	int r;

	epoch_get_stats(e, &st);
	if (st.oldest_ns > st.newest_ns ||
	    !overlaps(&q, st.oldest_ns, st.newest_ns))
		return 0;
	want = calloc(q.nr_series + 1u, sizeof(*want));
	if (!want)
		return -ENOMEM;
	for (uint32_t i = 0; i < q.nr_series; i++) {
		want[i] = reader->want(reader->userdata,
				       dict_series_labels(&e->dict, i));
		any |= want[i];
	}
	q.want = want;
	r = any ? reader->epoch(reader->userdata, &e->dict) : 0;
	if (!r && any && (reader->window || reader->entry))
		r = read_windows(e, c, &q);
	free(want);
	return r;
}
