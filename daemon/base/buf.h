/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A growing run of bytes. Appending never fails in place: the first failure
 * sticks in err, later appends do nothing, and the one who takes the result
 * looks at err once. Zero-initialised is empty.
 */
#ifndef KSTRATA_BASE_BUF_H
#define KSTRATA_BASE_BUF_H

#include "base/util.h"

struct buf {
	char *data;
	size_t len;
	size_t cap;
	int err; /* 0 or -ENOMEM */
};

void buf_release(struct buf *b);
/* Make room for n more bytes and return where they go (NULL: err is set). */
void *buf_reserve(struct buf *b, size_t n);
void buf_add(struct buf *b, const void *data, size_t len);
void buf_str(struct buf *b, const char *s);
void buf_char(struct buf *b, char c);
void buf_printf(struct buf *b, const char *fmt, ...) printf_like(2, 3);
/* LEB128, as protobuf has it. */
void buf_varint(struct buf *b, uint64_t v);
void buf_u64_dec(struct buf *b, uint64_t v);
/* NUL-terminate (not counted in len) and return data, "" if empty or failed. */
const char *buf_cstr(struct buf *b);

/*
 * Read a LEB128 of at most 10 bytes from [*p, end); 0, or -EBADMSG (then *p
 * stays).
 */
int buf_get_varint(const uint8_t **p, const uint8_t *end, uint64_t *v);

#endif
