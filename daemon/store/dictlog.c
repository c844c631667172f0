// SPDX-License-Identifier: Apache-2.0
#include "store/dictlog.h"

#include <errno.h>
#include <string.h>

/* Raw bytes of a block: small enough to be built and unpacked lightly. */
#define BLOCK_GOAL (1u << 20)

struct dictlog dictlog_of(const struct dict *d)
{
	return (struct dictlog){
		.strings = strtab_count(d->strings),
		.locations = calltree_locations(d->tree),
		.nodes = calltree_count(d->tree),
		.series = dict_series_count(d),
	};
}

static void put_text(struct buf *b, const char *s, size_t len)
{
	buf_varint(b, len);
	buf_add(b, s, len);
}

static void put(struct buf *b, const struct dict *d, enum block_type type,
		uint32_t id)
{
	struct calltree_node node;
	struct location location;
	const struct labels *l;
	const char *s;
	size_t len;

	switch (type) {
	case BLOCK_STRINGS:
		s = strtab_get(d->strings, id, &len);
		put_text(b, s, len);
		break;
	case BLOCK_LOCATIONS:
		location = calltree_get_location(d->tree, id);
		buf_varint(b, location.name);
		buf_varint(b, location.object);
		break;
	case BLOCK_NODES:
		node = calltree_get(d->tree, id);
		buf_varint(b, id - node.parent);
		buf_varint(b, node.location);
		break;
	default:
		l = dict_series_labels(d, id);
		buf_varint(b, l->nr);
		for (size_t i = 0; i < l->nr; i++) {
			put_text(b, l->v[i].name, strlen(l->v[i].name));
			put_text(b, l->v[i].value, strlen(l->v[i].value));
		}
	}
}

static int append(struct logfile *f, struct codec *c, const struct dict *d,
		  enum block_type type, uint32_t from, uint32_t to)
{
	struct buf body = { 0 }, head = { 0 };
	int r = 0;

	while (from < to && !r) {
		uint32_t id = from;

		body.len = 0;
		head.len = 0;
		for (; id < to && body.len < BLOCK_GOAL && !body.err; id++)
			put(&body, d, type, id);
		buf_varint(&head, from);
		buf_varint(&head, id - from);
		buf_add(&head, body.data, body.len);
		r = body.err ? body.err : head.err;
		if (!r)
			r = logfile_append(f, c, type, &head, NULL, NULL);
		from = id;
	}
	buf_release(&head);
	buf_release(&body);
	return r;
}

int dictlog_append(struct logfile *f, struct codec *c, const struct dict *d,
		   struct dictlog *at)
{
	struct dictlog to = dictlog_of(d);
	int r = append(f, c, d, BLOCK_STRINGS, at->strings, to.strings);

	if (!r)
		r = append(f, c, d, BLOCK_LOCATIONS, at->locations,
			   to.locations);
	if (!r)
		r = append(f, c, d, BLOCK_NODES, at->nodes, to.nodes);
	if (!r)
		r = append(f, c, d, BLOCK_SERIES, at->series, to.series);
	if (!r)
		*at = to;
	return r;
}

struct reader {
	const uint8_t *p, *end;
};

static int get_u32(struct reader *rd, uint32_t *out)
{
	uint64_t v;

	if (buf_get_varint(&rd->p, rd->end, &v) < 0 || v > UINT32_MAX)
		return -EBADMSG;
	*out = (uint32_t)v;
	return 0;
}

static int get_text(struct reader *rd, size_t max, const char **s, size_t *len)
{
	uint64_t n;

	if (buf_get_varint(&rd->p, rd->end, &n) < 0 || n > max ||
	    n > (uint64_t)(rd->end - rd->p))
		return -EBADMSG;
	*s = (const char *)rd->p;
	*len = (size_t)n;
	rd->p += n;
	return memchr(*s, 0, *len) ? -EBADMSG : 0;
}

static int load_series(struct dict *d, struct reader *rd, uint32_t *got)
{
	struct labels l = { 0 };
	uint32_t nr;
	int r = get_u32(rd, &nr);

	if (!r && nr > LABELS_MAX)
		r = -EBADMSG;
	for (uint32_t i = 0; !r && i < nr; i++) {
		const char *name, *value;
		size_t name_len, value_len;

		r = get_text(rd, LABEL_NAME_MAX, &name, &name_len);
		if (!r)
			r = get_text(rd, LABEL_VALUE_MAX, &value, &value_len);
		if (!r)
			r = labels_setn(&l, name, name_len, value, value_len);
	}
	if (!r && l.nr != nr)
		r = -EBADMSG;
	if (!r)
		r = dict_series(d, &l, got);
	labels_release(&l);
	return r;
}

/* One entry; *got is the id that the dictionary has for it. */
static int load_one(struct dict *d, enum block_type type, struct reader *rd,
		    uint32_t id, uint32_t *got)
{
	struct location location;
	uint32_t back, where;
	const char *s;
	size_t len;
	int r;

	switch (type) {
	case BLOCK_STRINGS:
		r = get_text(rd, STRTAB_LEN_MAX, &s, &len);
		return r < 0 ? r : strtab_intern(d->strings, s, len, got);
	case BLOCK_LOCATIONS:
		r = get_u32(rd, &location.name);
		if (!r)
			r = get_u32(rd, &location.object);
		if (!r && (location.name >= strtab_count(d->strings) ||
			   location.object >= strtab_count(d->strings)))
			r = -EBADMSG;
		return r < 0 ? r : calltree_location(d->tree, location, got);
	case BLOCK_NODES:
		r = get_u32(rd, &back);
		if (!r)
			r = get_u32(rd, &where);
		if (!r && (!back || back > id))
			r = -EBADMSG;
		return r < 0 ? r :
			       calltree_child(d->tree, id - back, where, got);
	default:
		return load_series(d, rd, got);
	}
}

int dictlog_load(struct dict *d, enum block_type type, const void *data,
		 size_t len)
{
	struct reader rd = { data, (const uint8_t *)data + len };
	struct dictlog at = dictlog_of(d);
	uint32_t first, nr = 0, want;
	int r;

	want = type == BLOCK_STRINGS   ? at.strings :
	       type == BLOCK_LOCATIONS ? at.locations :
	       type == BLOCK_NODES     ? at.nodes :
					 at.series;
	r = get_u32(&rd, &first);
	if (!r)
		r = get_u32(&rd, &nr);
	if (!r && first != want)
		r = -EBADMSG;
	for (; !r && nr; nr--, want++) {
		uint32_t got;

		r = load_one(d, type, &rd, want, &got);
		/* Equal entries would get an id that is not the next one. */
		if (!r && got != want)
			r = -EBADMSG;
	}
	if (r < 0)
		return r == -ENOMEM ? r : -EBADMSG;
	return rd.p == rd.end ? 0 : -EBADMSG;
}
