/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a WINDOWS block holds: packed vectors and, apart from them, a directory
 * with their totals. In memory until written, and again when read back.
 */
#ifndef KSTRATA_STORE_BATCH_H
#define KSTRATA_STORE_BATCH_H

#include "base/buf.h"
#include "profile/vector.h"
#include "store/store.h"

/* Reached, a batch is due to be closed; no batch is as long as its log's limit. */
#define BATCH_BYTES (256u << 10)

struct batch_entry {
	int64_t window_ns;
	uint64_t total;
	uint32_t series;
	uint32_t count;
	uint32_t offset; /* in data */
	uint32_t len;
};

struct batch {
	struct batch_entry *v;
	size_t nr, cap;
	struct buf data;
	int64_t oldest_ns, newest_ns; /* window starts */
};

void batch_release(struct batch *b);
/* 0, -ENOMEM, -E2BIG: it has room for no such vector any more. */
int batch_add(struct batch *b, uint32_t series, int64_t window_ns,
	      const struct vector *v);
size_t batch_memory(const struct batch *b);

/* The directory, as store/log.h has it; errors stick in out. */
void batch_encode(const struct batch *b, struct buf *out);
/*
 * Into an empty batch, without the data, which is to be body_len bytes long.
 * -EBADMSG when it is none, or names a series that is not below nr_series.
 */
int batch_decode(struct batch *b, const void *head, size_t len,
		 size_t body_len, uint32_t nr_series);

/* What a reader wants of an epoch. */
struct batch_query {
	const struct store_reader *reader;
	const bool *want; /* per series below nr_series */
	uint32_t nr_series;
	uint32_t nr_nodes;
	int64_t from_ns, until_ns;
};

bool batch_wants(const struct batch_query *q, uint32_t series,
		 int64_t window_ns);
/* Does any entry of the directory interest? */
bool batch_any(const struct batch *b, const struct batch_query *q);
/* Hand on what interests; data is only touched when the reader has entry(). */
int batch_read(const struct batch *b, const struct buf *data,
	       const struct batch_query *q);

#endif
