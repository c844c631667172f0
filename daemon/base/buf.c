// SPDX-License-Identifier: Apache-2.0
#include "base/buf.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void buf_release(struct buf *b)
{
	free(b->data);
	*b = (struct buf){ 0 };
}

void *buf_reserve(struct buf *b, size_t n)
{
	size_t need, cap;
	char *data;

	if (b->err)
		return NULL;
	if (b->cap - b->len >= n)
		return b->data + b->len;
	if (__builtin_add_overflow(b->len, n, &need) || need > SIZE_MAX / 2) {
		b->err = -ENOMEM;
		return NULL;
	}
	for (cap = b->cap ? b->cap : 64; cap < need; cap *= 2)
		;
	data = realloc(b->data, cap);
	if (!data) {
		b->err = -ENOMEM;
		return NULL;
	}
	b->data = data;
	b->cap = cap;
	return b->data + b->len;
}

void buf_add(struct buf *b, const void *data, size_t len)
{
	void *p;

	if (!len)
		return;
	p = buf_reserve(b, len);
	if (!p)
		return;
	memcpy(p, data, len);
	b->len += len;
}

void buf_str(struct buf *b, const char *s)
{
	buf_add(b, s, strlen(s));
}

void buf_char(struct buf *b, char c)
{
	buf_add(b, &c, 1);
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap, again;
	int n;

	va_start(ap, fmt);
	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n > 0) {
		char *p = buf_reserve(b, (size_t)n + 1);

		if (p) {
			vsnprintf(p, (size_t)n + 1, fmt, again);
			b->len += (size_t)n;
		}
	}
	va_end(again);
}

void buf_varint(struct buf *b, uint64_t v)
{
	uint8_t tmp[10];
	size_t n = 0;

	while (v >= 0x80) {
		tmp[n++] = (uint8_t)(v | 0x80);
		v >>= 7;
	}
	tmp[n++] = (uint8_t)v;
	buf_add(b, tmp, n);
}

void buf_u64_dec(struct buf *b, uint64_t v)
{
	char tmp[20];
	size_t i = sizeof(tmp);

	do {
		tmp[--i] = (char)('0' + v % 10);
		v /= 10;
	} while (v);
	buf_add(b, tmp + i, sizeof(tmp) - i);
}

const char *buf_cstr(struct buf *b)
{
	char *p = buf_reserve(b, 1);

	if (!p)
		return "";
	*p = '\0';
	return b->data;
}

int buf_get_varint(const uint8_t **p, const uint8_t *end, uint64_t *v)
{
	const uint8_t *q = *p;
	uint64_t out = 0;

	for (unsigned int shift = 0; shift < 70; shift += 7) {
		uint8_t byte;

		if (q == end)
			return -EBADMSG;
		byte = *q++;
		if (shift == 63 && byte > 1)
			return -EBADMSG;
		out |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80)) {
			*p = q;
			*v = out;
			return 0;
		}
	}
	return -EBADMSG;
}
