// SPDX-License-Identifier: Apache-2.0
#include "store/epoch.h"

#include "store/blocks.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum block_type {
	BLOCK_STRINGS = 1,
	BLOCK_LOCATIONS = 2,
	BLOCK_NODES = 3,
	BLOCK_SERIES = 4,
	BLOCK_WINDOWS = 5,
};

/* Flush a block of windows when it gets this long. */
#define WINDOWS_RAW_GOAL (1u << 20)

/* Where windows are: one of these per block. Window numbers, not ns. */
struct span {
	uint64_t offset;
	int64_t first, last;
};

struct epoch {
	char *dir; /* NULL: in memory */
	int64_t start;
	bool intact;
	struct blocks *blocks;
	struct dict dict;
	/* What of the dictionary is in the file. */
	uint32_t strings, locations, nodes, series;
	struct span *spans;
	size_t nr_spans, cap_spans;
	uint64_t windows;
	/* Since the last commit. */
	struct buf body; /* vectors of the block being filled */
	uint64_t body_nr;
	int64_t body_first, body_last;
	size_t put_spans; /* spans of blocks put, not yet committed */
	uint64_t put_windows;
	uint64_t committed_windows;
	int err;
};

/* ---- reading blocks back ---- */

struct cursor {
	const uint8_t *p, *end;
	int err;
};

static uint64_t get(struct cursor *c)
{
	uint64_t v = 0;

	if (!c->err)
		c->err = buf_get_varint(&c->p, c->end, &v);
	return v;
}

static uint32_t get_u32(struct cursor *c)
{
	uint64_t v = get(c);

	if (v > UINT32_MAX)
		c->err = -EBADMSG;
	return c->err ? 0 : (uint32_t)v;
}

static const char *get_bytes(struct cursor *c, size_t *len)
{
	uint64_t n = get(c);
	const char *s = (const char *)c->p;

	if (c->err || n > (uint64_t)(c->end - c->p)) {
		c->err = -EBADMSG;
		return NULL;
	}
	*len = (size_t)n;
	c->p += n;
	return s;
}

/* Ids must come out as they went in: no duplicates, no gaps. */
static int expect(int r, uint32_t got, uint32_t want)
{
	if (r < 0)
		return r == -EINVAL ? -EBADMSG : r;
	return got == want ? 0 : -EBADMSG;
}

static int load_strings(struct epoch *e, struct cursor *c, uint64_t nr)
{
	while (nr-- && !c->err) {
		size_t len = 0;
		const char *s = get_bytes(c, &len);
		uint32_t id = 0;

		if (c->err)
			break;
		if (len > STRTAB_LEN_MAX || memchr(s, '\0', len))
			return -EBADMSG;
		c->err = expect(strtab_intern(e->dict.strings, s, len, &id), id,
				e->strings++);
	}
	return c->err;
}

static int load_locations(struct epoch *e, struct cursor *c, uint64_t nr)
{
	while (nr-- && !c->err) {
		struct location l;
		uint32_t id = 0;

		l.name = get_u32(c);
		l.object = get_u32(c);
		if (!c->err && (l.name >= e->strings || l.object >= e->strings))
			c->err = -EBADMSG;
		if (!c->err)
			c->err = expect(calltree_location(e->dict.tree, l, &id),
					id, e->locations++);
	}
	return c->err;
}

static int load_nodes(struct epoch *e, struct cursor *c, uint64_t nr)
{
	while (nr-- && !c->err) {
		uint32_t parent = get_u32(c), location = get_u32(c), id = 0;

		if (!c->err && (parent >= e->nodes || location >= e->locations))
			c->err = -EBADMSG;
		if (!c->err)
			c->err = expect(calltree_child(e->dict.tree, parent,
						       location, &id),
					id, e->nodes++);
	}
	return c->err;
}

static int load_series(struct epoch *e, struct cursor *c, uint64_t nr)
{
	while (nr-- && !c->err) {
		struct labels labels = { 0 };
		uint64_t nr_labels = get(c);
		uint32_t id = 0;

		if (nr_labels > LABELS_MAX)
			c->err = -EBADMSG;
		while (!c->err && nr_labels--) {
			size_t name_len = 0, value_len = 0;
			const char *name = get_bytes(c, &name_len);
			const char *value = c->err ? NULL :
						     get_bytes(c, &value_len);
			int r;

			if (c->err)
				break;
			r = labels_setn(&labels, name, name_len, value,
					value_len);
			if (r < 0)
				c->err = r == -ENOMEM ? r : -EBADMSG;
		}
		if (!c->err)
			c->err = expect(dict_series(&e->dict, &labels, &id), id,
					e->series++);
		labels_release(&labels);
	}
	return c->err;
}

struct windows_vector {
	uint32_t series;
	int64_t window; /* number on the grid */
	uint64_t total;
	const char *packed;
	size_t len;
};

static int get_vector(struct cursor *c, uint32_t nr_series,
		      struct windows_vector *v)
{
	uint64_t window;

	v->series = get_u32(c);
	window = get(c);
	v->total = get(c);
	v->packed = get_bytes(c, &v->len);
	if (!c->err && (v->series >= nr_series || window > INT64_MAX / WINDOW_NS))
		c->err = -EBADMSG;
	v->window = (int64_t)window;
	return c->err;
}

static int add_span(struct epoch *e, struct span span)
{
	if (e->nr_spans == e->cap_spans) {
		size_t want = e->cap_spans ? e->cap_spans * 2 : 64;
		struct span *v = realloc(e->spans, want * sizeof(*v));

		if (!v)
			return -ENOMEM;
		e->spans = v;
		e->cap_spans = want;
	}
	e->spans[e->nr_spans++] = span;
	return 0;
}

static int ignore_entry(void *userdata, uint32_t node, uint64_t weight)
{
	(void)userdata;
	(void)node;
	(void)weight;
	return 0;
}

static int load_windows(struct epoch *e, struct cursor *c, uint64_t nr,
			uint64_t offset)
{
	struct span span = { offset, INT64_MAX, -1 };

	for (uint64_t i = 0; i < nr; i++) {
		struct windows_vector v;
		int r = get_vector(c, e->series, &v);

		if (r >= 0)
			r = vector_each_packed(v.packed, v.len, e->nodes,
					       ignore_entry, NULL);
		if (r < 0)
			return r;
		span.first = v.window < span.first ? v.window : span.first;
		span.last = v.window > span.last ? v.window : span.last;
	}
	if (!nr)
		return 0;
	e->windows += nr;
	return add_span(e, span);
}

static int on_block(void *userdata, uint16_t type, uint64_t offset,
		    const uint8_t *data, size_t len)
{
	struct cursor c = { .p = data, .end = data + len };
	struct epoch *e = userdata;
	uint64_t nr = get(&c);
	int r;

	if (c.err || nr > len)
		return -EBADMSG;
	switch (type) {
	case BLOCK_STRINGS:
		r = load_strings(e, &c, nr);
		break;
	case BLOCK_LOCATIONS:
		r = load_locations(e, &c, nr);
		break;
	case BLOCK_NODES:
		r = load_nodes(e, &c, nr);
		break;
	case BLOCK_SERIES:
		r = load_series(e, &c, nr);
		break;
	case BLOCK_WINDOWS:
		r = load_windows(e, &c, nr, offset);
		break;
	default:
		return -EBADMSG;
	}
	if (r < 0)
		return r;
	return c.p == c.end ? 0 : -EBADMSG;
}

/* ---- opening ---- */

static int sync_dir(const char *path)
{
	cleanup(util_closep) int fd =
		open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

int epoch_open(struct epoch **out, const char *dir, int64_t start)
{
	struct epoch *e = calloc(1, sizeof(*e));
	char path[PATH_MAX];
	int r = -ENOMEM;

	if (!e)
		return r;
	e->start = start;
	/* Id 0 of strings, locations and nodes is there from the beginning. */
	e->strings = e->locations = e->nodes = 1;
	if (dict_init(&e->dict) < 0)
		goto out;
	if (!dir) {
		r = blocks_open(&e->blocks, NULL, on_block, e, &e->intact);
		goto out;
	}
	e->dir = strdup(dir);
	if (!e->dir)
		goto out;
	r = -ENAMETOOLONG;
	if (snprintf(path, sizeof(path), "%s/log", dir) >= (int)sizeof(path))
		goto out;
	r = util_mkdirs(dir, 0750);
	if (r >= 0)
		r = blocks_open(&e->blocks, path, on_block, e, &e->intact);
	if (r >= 0)
		r = sync_dir(dir);
out:
	if (r < 0) {
		epoch_close(e);
		return r;
	}
	/*
	 * A block whose content broke off half-way may have left words behind
	 * that the file no longer has: such an epoch is only read from.
	 */
	e->committed_windows = e->windows;
	*out = e;
	return 0;
}

void epoch_close(struct epoch *e)
{
	if (!e)
		return;
	blocks_close(e->blocks);
	dict_release(&e->dict);
	buf_release(&e->body);
	free(e->spans);
	free(e->dir);
	free(e);
}

int epoch_unlink(struct epoch *e)
{
	static const char *const files[] = { "log", "log.damaged" };
	char path[PATH_MAX];

	if (!e->dir)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		snprintf(path, sizeof(path), "%s/%s", e->dir, files[i]);
		if (unlink(path) < 0 && errno != ENOENT)
			return -errno;
	}
	return rmdir(e->dir) < 0 ? -errno : 0;
}

struct dict *epoch_dict(struct epoch *e)
{
	return &e->dict;
}

int64_t epoch_start(const struct epoch *e)
{
	return e->start;
}

bool epoch_intact(const struct epoch *e)
{
	return e->intact;
}

uint64_t epoch_bytes(const struct epoch *e)
{
	return blocks_size(e->blocks);
}

size_t epoch_memory(const struct epoch *e)
{
	return dict_memory(&e->dict) + e->cap_spans * sizeof(*e->spans) +
	       e->body.cap + (e->dir ? 0 : (size_t)blocks_size(e->blocks));
}

uint64_t epoch_windows(const struct epoch *e)
{
	return e->committed_windows;
}

bool epoch_range(const struct epoch *e, int64_t *oldest, int64_t *newest)
{
	if (!e->nr_spans)
		return false;
	*oldest = INT64_MAX;
	*newest = 0;
	for (size_t i = 0; i < e->nr_spans; i++) {
		int64_t first = e->spans[i].first * WINDOW_NS;
		int64_t last = e->spans[i].last * WINDOW_NS;

		*oldest = first < *oldest ? first : *oldest;
		*newest = last > *newest ? last : *newest;
	}
	return true;
}

/* ---- appending ---- */

static void put_block(struct epoch *e, enum block_type type, uint64_t nr,
		      struct buf *body, uint64_t *offset)
{
	struct buf raw = { 0 };

	buf_varint(&raw, nr);
	buf_add(&raw, body->data, body->len);
	if (body->err)
		raw.err = body->err;
	blocks_put(e->blocks, (uint16_t)type, &raw, offset);
	buf_release(&raw);
	buf_release(body);
}

static void put_text(struct buf *b, const char *s, size_t len)
{
	buf_varint(b, len);
	buf_add(b, s, len);
}

/* What the dictionary gained since the last commit, in blocks of bounded size. */
static void put_dict(struct epoch *e)
{
	const struct dict *d = &e->dict;
	uint64_t offset, nr = 0;
	struct buf b = { 0 };

	for (uint32_t i = e->strings; i < strtab_count(d->strings); i++) {
		size_t len;
		const char *s = strtab_get(d->strings, i, &len);

		put_text(&b, s, len);
		nr++;
		if (b.len >= WINDOWS_RAW_GOAL) {
			put_block(e, BLOCK_STRINGS, nr, &b, &offset);
			nr = 0;
		}
	}
	if (nr)
		put_block(e, BLOCK_STRINGS, nr, &b, &offset);
	nr = calltree_locations(d->tree) - e->locations;
	for (uint32_t i = e->locations; i < calltree_locations(d->tree); i++) {
		struct location l = calltree_get_location(d->tree, i);

		buf_varint(&b, l.name);
		buf_varint(&b, l.object);
	}
	if (nr)
		put_block(e, BLOCK_LOCATIONS, nr, &b, &offset);
	nr = calltree_count(d->tree) - e->nodes;
	for (uint32_t i = e->nodes; i < calltree_count(d->tree); i++) {
		struct calltree_node n = calltree_get(d->tree, i);

		buf_varint(&b, n.parent);
		buf_varint(&b, n.location);
	}
	if (nr)
		put_block(e, BLOCK_NODES, nr, &b, &offset);
	nr = dict_series_count(d) - e->series;
	for (uint32_t i = e->series; i < dict_series_count(d); i++) {
		const struct labels *l = dict_series_labels(d, i);

		buf_varint(&b, l->nr);
		for (size_t k = 0; k < l->nr; k++) {
			put_text(&b, l->v[k].name, strlen(l->v[k].name));
			put_text(&b, l->v[k].value, strlen(l->v[k].value));
		}
	}
	if (nr)
		put_block(e, BLOCK_SERIES, nr, &b, &offset);
}

static void put_windows(struct epoch *e)
{
	struct span span = { 0, e->body_first, e->body_last };

	if (!e->body_nr)
		return;
	put_block(e, BLOCK_WINDOWS, e->body_nr, &e->body, &span.offset);
	if (add_span(e, span) < 0)
		e->err = -ENOMEM;
	else
		e->put_spans++;
	e->put_windows += e->body_nr;
	e->body_nr = 0;
}

void epoch_put(struct epoch *e, uint32_t series, int64_t start_ns,
	       const struct vector *v)
{
	int64_t window = start_ns / WINDOW_NS;
	struct buf packed = { 0 };

	/* First of all what the vectors refer to. */
	if (!e->body_nr && !e->put_windows)
		put_dict(e);
	if (vector_pack(v, &packed) < 0)
		e->err = -ENOMEM;
	if (!e->body_nr || window < e->body_first)
		e->body_first = window;
	if (!e->body_nr || window > e->body_last)
		e->body_last = window;
	buf_varint(&e->body, series);
	buf_varint(&e->body, (uint64_t)window);
	buf_varint(&e->body, vector_total(v));
	put_text(&e->body, packed.data, packed.len);
	e->body_nr++;
	buf_release(&packed);
	if (e->body.len >= WINDOWS_RAW_GOAL)
		put_windows(e);
}

int epoch_commit(struct epoch *e)
{
	int r;

	put_windows(e);
	r = e->err;
	if (r >= 0)
		r = blocks_commit(e->blocks);
	if (r >= 0) {
		e->strings = strtab_count(e->dict.strings);
		e->locations = calltree_locations(e->dict.tree);
		e->nodes = calltree_count(e->dict.tree);
		e->series = dict_series_count(&e->dict);
		e->windows += e->put_windows;
		e->committed_windows = e->windows;
	} else {
		blocks_discard(e->blocks);
		e->nr_spans -= e->put_spans;
	}
	e->put_spans = 0;
	e->put_windows = 0;
	e->err = 0;
	return r;
}

int epoch_sync(struct epoch *e)
{
	return blocks_sync(e->blocks);
}

/* ---- reading ---- */

struct entry_context {
	const struct store_reader *reader;
	const struct windows_vector *v;
};

static int on_entry(void *userdata, uint32_t node, uint64_t weight)
{
	const struct entry_context *x = userdata;

	return x->reader->entry(x->reader->userdata, x->v->series,
				x->v->window * WINDOW_NS, node, weight);
}

static int read_span(struct epoch *e, const struct span *span, int64_t first,
		     int64_t last, const bool *want,
		     const struct store_reader *reader)
{
	struct buf raw = { 0 };
	struct cursor c;
	uint64_t nr;
	int r;

	r = blocks_read(e->blocks, span->offset, &raw);
	c = (struct cursor){ .p = (uint8_t *)raw.data,
			     .end = (uint8_t *)raw.data + raw.len };
	nr = r < 0 ? 0 : get(&c);
	while (r >= 0 && nr--) {
		struct windows_vector v;
		struct entry_context x = { reader, &v };

		r = get_vector(&c, e->series, &v);
		if (r < 0 || !want[v.series] || v.window < first ||
		    v.window > last)
			continue;
		if (reader->window)
			r = reader->window(reader->userdata, v.series,
					   v.window * WINDOW_NS, v.total);
		if (r >= 0 && reader->entry)
			r = vector_each_packed(v.packed, v.len, e->nodes,
					       on_entry, &x);
	}
	buf_release(&raw);
	return r;
}

int epoch_read(struct epoch *e, int64_t from_ns, int64_t until_ns,
	       const bool *want, const struct store_reader *reader)
{
	/* [from, until) in window numbers, both ends included. */
	int64_t first = from_ns / WINDOW_NS, last = (until_ns - 1) / WINDOW_NS;

	for (size_t i = 0; i < e->nr_spans; i++) {
		const struct span *span = &e->spans[i];
		int r;

		if (span->last < first || span->first > last)
			continue;
		r = read_span(e, span, first, last, want, reader);
		if (r < 0)
			return r;
	}
	return 0;
}
