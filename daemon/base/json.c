// SPDX-License-Identifier: Apache-2.0
#include "base/json.h"

#include <math.h>
#include <string.h>

static void value(struct json *j)
{
	if (j->comma)
		buf_char(j->out, ',');
	j->comma = true;
}

static void open_with(struct json *j, char c)
{
	value(j);
	buf_char(j->out, c);
	j->comma = false;
}

static void close_with(struct json *j, char c)
{
	buf_char(j->out, c);
	j->comma = true;
}

void json_object(struct json *j)
{
	open_with(j, '{');
}

void json_end_object(struct json *j)
{
	close_with(j, '}');
}

void json_array(struct json *j)
{
	open_with(j, '[');
}

void json_end_array(struct json *j)
{
	close_with(j, ']');
}

/* Length of the UTF-8 sequence at s, 0 when it is none. */
static size_t utf8_len(const uint8_t *s, size_t len)
{
	uint32_t c;
	size_t n;

	if (s[0] < 0x80)
		return 1;
	if (s[0] >= 0xc2 && s[0] <= 0xdf)
		n = 2;
	else if (s[0] >= 0xe0 && s[0] <= 0xef)
		n = 3;
	else if (s[0] >= 0xf0 && s[0] <= 0xf4)
		n = 4;
	else
		return 0;
	if (len < n)
		return 0;
	c = s[0] & (0x7fu >> n);
	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	if ((n == 3 && (c < 0x800 || (c >= 0xd800 && c <= 0xdfff))) ||
	    (n == 4 && (c < 0x10000 || c > 0x10ffff)))
		return 0;
	return n;
}

static void quoted(struct buf *out, const char *str, size_t len)
{
	const uint8_t *s = (const uint8_t *)str;
	size_t run = 0;

	buf_char(out, '"');
	for (size_t i = 0; i < len;) {
		size_t n = utf8_len(s + i, len - i);

		if (n && s[i] >= 0x20 && s[i] != '"' && s[i] != '\\' &&
		    s[i] != 0x7f) {
			i += n;
			continue;
		}
		buf_add(out, s + run, i - run);
		if (!n)
			buf_str(out, "\xef\xbf\xbd");
		else if (s[i] == '"' || s[i] == '\\')
			buf_printf(out, "\\%c", s[i]);
		else
			buf_printf(out, "\\u%04x", s[i]);
		run = ++i;
	}
	buf_add(out, s + run, len - run);
	buf_char(out, '"');
}

void json_key(struct json *j, const char *key)
{
	value(j);
	quoted(j->out, key, strlen(key));
	buf_char(j->out, ':');
	j->comma = false;
}

void json_strn(struct json *j, const char *s, size_t len)
{
	value(j);
	quoted(j->out, s, len);
}

void json_str(struct json *j, const char *s)
{
	json_strn(j, s, strlen(s));
}

void json_u64(struct json *j, uint64_t v)
{
	value(j);
	buf_u64_dec(j->out, v);
}

void json_i64(struct json *j, int64_t v)
{
	value(j);
	buf_printf(j->out, "%lld", (long long)v);
}

void json_double(struct json *j, double v)
{
	value(j);
	if (isfinite(v))
		buf_printf(j->out, "%.12g", v);
	else
		buf_str(j->out, "null");
}

void json_bool(struct json *j, bool v)
{
	value(j);
	buf_str(j->out, v ? "true" : "false");
}

void json_null(struct json *j)
{
	value(j);
	buf_str(j->out, "null");
}
