// SPDX-License-Identifier: Apache-2.0
#include "store/batch.h"

#include <errno.h>
#include <stdlib.h>

#include "store/log.h"

void batch_release(struct batch *b)
{
	free(b->v);
	buf_release(&b->data);
	*b = (struct batch){ 0 };
}

static int push(struct batch *b, struct batch_entry e)
{
	if (b->nr == b->cap) {
		size_t cap = b->cap ? b->cap * 2 : 32;
		struct batch_entry *v = realloc(b->v, cap * sizeof(*v));

		if (!v)
			return -ENOMEM;
		b->v = v;
		b->cap = cap;
	}
	if (!b->nr || e.window_ns < b->oldest_ns)
		b->oldest_ns = e.window_ns;
	if (!b->nr || e.window_ns > b->newest_ns)
		b->newest_ns = e.window_ns;
	b->v[b->nr++] = e;
	return 0;
}

int batch_add(struct batch *b, uint32_t series, int64_t window_ns,
	      const struct vector *v)
{
	size_t begin = b->data.len;
	struct batch_entry e = {
		.window_ns = window_ns,
		.total = vector_total(v),
		.series = series,
		.count = (uint32_t)vector_count(v),
		.offset = (uint32_t)begin,
	};
	int r;

	/* 15 bytes are the most that an entry packs to. */
	if (begin + vector_count(v) * 15 > LOGFILE_RAW_MAX)
		return -E2BIG;
	r = vector_pack(v, &b->data);
	if (!r) {
		e.len = (uint32_t)(b->data.len - begin);
		r = push(b, e);
	}
	if (r < 0) {
		b->data.len = begin;
		b->data.err = 0;
	}
	return r;
}

size_t batch_memory(const struct batch *b)
{
	return b->data.cap + b->cap * sizeof(*b->v);
}

static uint64_t zigzag(int64_t v)
{
	return (uint64_t)v << 1 ^ -(uint64_t)(v < 0);
}

static int64_t unzigzag(uint64_t v)
{
	return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

void batch_encode(const struct batch *b, struct buf *out)
{
	int64_t last = 0;

	buf_varint(out, b->nr);
	for (size_t i = 0; i < b->nr; i++) {
		const struct batch_entry *e = &b->v[i];
		int64_t window = e->window_ns / WINDOW_NS;

		buf_varint(out, e->series);
		buf_varint(out, zigzag(window - last));
		buf_varint(out, e->total);
		buf_varint(out, e->count);
		buf_varint(out, e->len);
		last = window;
	}
}

int batch_decode(struct batch *b, const void *head, size_t len,
		 size_t body_len, uint32_t nr_series)
{
	const uint8_t *p = head, *end = p + len;
	uint64_t nr, v[5];
	int64_t window = 0;
	size_t offset = 0;
	int r;

	r = buf_get_varint(&p, end, &nr);
	if (r < 0)
		return r;
	while (nr--) {
		struct batch_entry e;

		for (size_t i = 0; i < ARRAY_SIZE(v); i++) {
			r = buf_get_varint(&p, end, &v[i]);
			if (r < 0)
				return r;
		}
		if (__builtin_add_overflow(window, unzigzag(v[1]), &window) ||
		    window < 0 || window >= INT64_MAX / WINDOW_NS ||
		    v[0] >= nr_series || v[4] > body_len - offset ||
		    v[3] > v[4] / 2)
			return -EBADMSG;
		e = (struct batch_entry){
			.window_ns = window * WINDOW_NS,
			.total = v[2],
			.series = (uint32_t)v[0],
			.count = (uint32_t)v[3],
			.offset = (uint32_t)offset,
			.len = (uint32_t)v[4],
		};
		offset += e.len;
		r = push(b, e);
		if (r < 0)
			return r;
	}
	return p == end && offset == body_len ? 0 : -EBADMSG;
}

bool batch_wants(const struct batch_query *q, uint32_t series,
		 int64_t window_ns)
{
	return window_ns < q->until_ns && window_ns + WINDOW_NS > q->from_ns &&
	       series < q->nr_series && q->want[series];
}

bool batch_any(const struct batch *b, const struct batch_query *q)
{
	for (size_t i = 0; i < b->nr; i++)
		if (batch_wants(q, b->v[i].series, b->v[i].window_ns))
			return true;
	return false;
}

struct entry_of {
	const struct store_reader *reader;
	const struct batch_entry *e;
};

static int hand_on(void *userdata, uint32_t node, uint64_t weight)
{
	const struct entry_of *x = userdata;

	return x->reader->entry(x->reader->userdata, x->e->series,
				x->e->window_ns, node, weight);
}

int batch_read(const struct batch *b, const struct buf *data,
	       const struct batch_query *q)
{
	const struct store_reader *reader = q->reader;
	int r = 0;

	for (size_t i = 0; i < b->nr && !r; i++) {
		const struct batch_entry *e = &b->v[i];
		struct entry_of x = { reader, e };

		if (!batch_wants(q, e->series, e->window_ns))
			continue;
		if (reader->window)
			r = reader->window(reader->userdata, e->series,
					   e->window_ns, e->total);
		if (r >= 0 && reader->entry && e->len)
			r = vector_each_packed(data->data + e->offset, e->len,
					       q->nr_nodes, hand_on, &x);
		if (r > 0)
			r = 0;
	}
	return r;
}
