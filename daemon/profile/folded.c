// SPDX-License-Identifier: Apache-2.0
#include "profile/folded.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static int fail(struct folded_error *err, size_t line, const char *fmt, ...)
	printf_like(3, 4);

static int fail(struct folded_error *err, size_t line, const char *fmt, ...)
{
	va_list ap;

	if (!err)
		return -EINVAL;
	err->line = line;
	va_start(ap, fmt);
	vsnprintf(err->message, sizeof(err->message), fmt, ap);
	va_end(ap);
	return -EINVAL;
}

static int parse_value(const char *s, size_t len, uint64_t scale,
		       uint64_t *out, const char **why)
{
	uint64_t v = 0;

	*why = "the value after the last space is not a number";
	if (!len)
		return -EINVAL;
	for (size_t i = 0; i < len; i++)
		if (s[i] < '0' || s[i] > '9')
			return -EINVAL;
	*why = "the value is too large";
	for (size_t i = 0; i < len; i++)
		if (__builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(s[i] - '0'), &v))
			return -EINVAL;
	if (__builtin_mul_overflow(v, scale, &v) || v > INT64_MAX)
		return -EINVAL;
	*out = v;
	return 0;
}

/* Intern the frames of s; with no dictionary only count them. */
static int parse_stack(struct dict *d, const char *s, size_t len,
		       uint32_t *node)
{
	const char *end = s + len;
	size_t depth = 0;

	*node = 0;
	for (;;) {
		const char *semi = memchr(s, ';', (size_t)(end - s));
		const char *stop = semi ? semi : end;
		uint32_t location;
		int r;

		if (++depth > FOLDED_DEPTH_MAX)
			return -E2BIG;
		if (d) {
			r = dict_location(d, s, (size_t)(stop - s), NULL,
					  &location);
			if (!r)
				r = calltree_child(d->tree, *node, location,
						   node);
			if (r < 0)
				return r;
		}
		if (!semi)
			return 0;
		s = semi + 1;
	}
}

static int parse_line(struct dict *d, const char *s, size_t len,
		      uint64_t scale, size_t line, folded_fn fn,
		      void *userdata, struct folded_error *err)
{
	const char *space, *why;
	uint64_t value;
	uint32_t node;
	int r;

	if (len > FOLDED_LINE_MAX)
		return fail(err, line, "the line is longer than %u bytes",
			    FOLDED_LINE_MAX);
	if (memchr(s, 0, len))
		return fail(err, line, "the line holds a NUL byte");
	space = memrchr(s, ' ', len);
	if (!space)
		return fail(err, line, "no space and value after the stack");
	r = parse_value(space + 1, len - (size_t)(space + 1 - s), scale, &value,
			&why);
	if (r < 0)
		return fail(err, line, "%s", why);
	r = parse_stack(d, s, (size_t)(space - s), &node);
	if (r == -E2BIG)
		return fail(err, line, "the stack has more than %d frames",
			    FOLDED_DEPTH_MAX);
	if (r < 0)
		return r;
	r = fn ? fn(userdata, node, value) : 0;
	return r < 0 ? r : 0;
}

int folded_parse(struct dict *d, const char *text, size_t len, uint64_t scale,
		 folded_fn fn, void *userdata, struct folded_error *err)
{
	const char *end = len ? text + len : text;

	for (size_t line = 1; text < end; line++) {
		const char *nl = memchr(text, '\n', (size_t)(end - text));
		const char *stop = nl ? nl : end;
		size_t n = (size_t)(stop - text);
		int r;

		if (n && text[n - 1] == '\r')
			n--;
		if (n) {
			r = parse_line(d, text, n, scale, line, fn, userdata,
				       err);
			if (r < 0)
				return r;
		}
		text = nl ? nl + 1 : end;
	}
	return 0;
}

int folded_check(const char *text, size_t len, uint64_t scale,
		 struct folded_error *err)
{
	return folded_parse(NULL, text, len, scale, NULL, NULL, err);
}
