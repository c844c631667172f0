// SPDX-License-Identifier: Apache-2.0
#include "query/selector.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "query/regex.h"

enum match {
	MATCH_EQUAL,
	MATCH_NOT_EQUAL,
	MATCH_REGEX,
	MATCH_NOT_REGEX,
};

struct matcher {
	enum match match;
	char *name;
	char *value;
	regex_t regex; /* of the last two */
};

struct selector {
	struct matcher v[SELECTOR_MATCHERS_MAX];
	size_t nr;
};

struct parser {
	const char *text;
	const char *p;
	struct selector *sel;
	struct selector_error *err;
};

static int fail(struct parser *ps, const char *at, const char *fmt, ...)
	printf_like(3, 4);

static int fail(struct parser *ps, const char *at, const char *fmt, ...)
{
	va_list ap;

	if (!ps->err)
		return -EINVAL;
	ps->err->at = (size_t)(at - ps->text);
	va_start(ap, fmt);
	vsnprintf(ps->err->message, sizeof(ps->err->message), fmt, ap);
	va_end(ap);
	return -EINVAL;
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static void skip_space(struct parser *ps)
{
	while (is_space(*ps->p))
		ps->p++;
}

static bool name_byte(char c, bool first)
{
	if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_')
		return true;
	return !first && ((c >= '0' && c <= '9') || c == '.');
}

static void put_utf8(struct buf *b, uint32_t c)
{
	if (c < 0x80) {
		buf_char(b, (char)c);
		return;
	}
	if (c < 0x800) {
		buf_char(b, (char)(0xc0 | c >> 6));
	} else {
		if (c < 0x10000) {
			buf_char(b, (char)(0xe0 | c >> 12));
		} else {
			buf_char(b, (char)(0xf0 | c >> 18));
			buf_char(b, (char)(0x80 | (c >> 12 & 0x3f)));
		}
		buf_char(b, (char)(0x80 | (c >> 6 & 0x3f)));
	}
	buf_char(b, (char)(0x80 | (c & 0x3f)));
}

/* Exactly n digits of the base; -1 when they are not. */
static int64_t digits(struct parser *ps, int n, int base)
{
	int64_t v = 0;

	for (int i = 0; i < n; i++) {
		char c = *ps->p;
		int d = c >= '0' && c <= '9' ? c - '0' :
			c >= 'a' && c <= 'f' ? c - 'a' + 10 :
			c >= 'A' && c <= 'F' ? c - 'A' + 10 :
					       99;

		if (d >= base)
			return -1;
		v = v * base + d;
		ps->p++;
	}
	return v;
}

/* After a backslash: Go's escapes. */
static int escape(struct parser *ps, struct buf *out)
{
	static const char letters[] = "abfnrtv\\'\"";
	static const char bytes[] = "\a\b\f\n\r\t\v\\'\"";
	const char *start = ps->p - 1;
	char c = *ps->p;
	const char *at = c ? strchr(letters, c) : NULL;
	int64_t v;

	if (at) {
		ps->p++;
		buf_char(out, bytes[at - letters]);
		return 0;
	}
	if (c == 'x' || c == 'u' || c == 'U') {
		ps->p++;
		v = digits(ps, c == 'x' ? 2 : c == 'u' ? 4 : 8, 16);
	} else {
		v = digits(ps, 3, 8);
	}
	if (v <= 0 || v > 0x10ffff || (v >= 0xd800 && v <= 0xdfff) ||
	    (c != 'u' && c != 'U' && v > 0xff))
		return fail(ps, start, "not an escape sequence");
	if (c == 'u' || c == 'U')
		put_utf8(out, (uint32_t)v);
	else
		buf_char(out, (char)v);
	return 0;
}

static int parse_value(struct parser *ps, char **out)
{
	const char *start = ps->p;
	struct buf b = { 0 };
	char quote = *start;
	int r = 0;

	if (quote != '"' && quote != '\'' && quote != '`')
		return fail(ps, start, "a quoted value is missing");
	for (ps->p++; *ps->p != quote && !r;) {
		char c = *ps->p;

		if (!c)
			r = fail(ps, start, "the quote is not closed");
		ps->p += c != 0;
		if (c == '\\' && quote != '`')
			r = escape(ps, &b);
		else if (c)
			buf_char(&b, c);
	}
	if (!r)
		ps->p++;
	if (!r) {
		*out = strdup(buf_cstr(&b));
		if (b.err || !*out)
			r = -ENOMEM;
	}
	buf_release(&b);
	return r;
}

static int parse_match(struct parser *ps, enum match *out)
{
	static const struct {
		char text[3];
		enum match match;
	} operators[] = {
		{ "=~", MATCH_REGEX },
		{ "!~", MATCH_NOT_REGEX },
		{ "!=", MATCH_NOT_EQUAL },
		{ "=", MATCH_EQUAL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(operators); i++) {
		size_t len = strlen(operators[i].text);

		if (strncmp(ps->p, operators[i].text, len))
			continue;
		ps->p += len;
		*out = operators[i].match;
		return 0;
	}
	return fail(ps, ps->p, "one of = != =~ !~ is missing");
}

static int begin_matcher(struct parser *ps, const char *name, size_t len,
			 struct matcher **out)
{
	struct matcher *m;

	if (ps->sel->nr == SELECTOR_MATCHERS_MAX)
		return fail(ps, name, "more than %d matchers",
			    SELECTOR_MATCHERS_MAX);
	m = &ps->sel->v[ps->sel->nr];
	m->name = strndup(name, len);
	if (!m->name)
		return -ENOMEM;
	m->match = MATCH_EQUAL;
	ps->sel->nr++;
	*out = m;
	return 0;
}

static int parse_matcher(struct parser *ps)
{
	const char *start = ps->p, *value;
	struct matcher *m;
	enum match match = MATCH_EQUAL;
	char why[100];
	int r;

	while (name_byte(*ps->p, ps->p == start))
		ps->p++;
	if (ps->p == start)
		return fail(ps, start, "a label's name is missing");
	r = begin_matcher(ps, start, (size_t)(ps->p - start), &m);
	if (r < 0)
		return r;
	skip_space(ps);
	r = parse_match(ps, &match);
	if (r < 0)
		return r;
	skip_space(ps);
	value = ps->p;
	r = parse_value(ps, &m->value);
	if (r < 0)
		return r;
	if (match == MATCH_REGEX || match == MATCH_NOT_REGEX) {
		r = regex_compile(&m->regex, m->value, why, sizeof(why));
		if (r == -EINVAL)
			return fail(ps, value, "the regular expression: %s",
				    why);
		if (r < 0)
			return r;
	}
	/* Only now, so that selector_free() knows what was compiled. */
	m->match = match;
	return 0;
}

static int parse_type(struct parser *ps)
{
	const char *start = ps->p;
	struct matcher *m;
	int r;

	while (*ps->p && *ps->p != '{' && !is_space(*ps->p)) {
		char c = *ps->p;

		if (!name_byte(c, false) && c != ':' && c != '-')
			return fail(ps, ps->p, "not a profile type");
		ps->p++;
	}
	if (ps->p == start)
		return 0;
	r = begin_matcher(ps, LABEL_PROFILE_TYPE, strlen(LABEL_PROFILE_TYPE),
			  &m);
	if (r < 0)
		return r;
	m->value = strndup(start, (size_t)(ps->p - start));
	return m->value ? 0 : -ENOMEM;
}

static int parse(struct parser *ps)
{
	int r;

	skip_space(ps);
	r = parse_type(ps);
	if (r < 0)
		return r;
	skip_space(ps);
	if (!*ps->p)
		return 0;
	if (*ps->p != '{')
		return fail(ps, ps->p, "a { is missing");
	ps->p++;
	for (;;) {
		skip_space(ps);
		if (*ps->p == '}')
			break;
		r = parse_matcher(ps);
		if (r < 0)
			return r;
		skip_space(ps);
		if (*ps->p == ',')
			ps->p++;
		else if (*ps->p != '}')
			return fail(ps, ps->p, "a , or } is missing");
	}
	ps->p++;
	skip_space(ps);
	return *ps->p ? fail(ps, ps->p, "something follows the }") : 0;
}

int selector_parse(struct selector **out, const char *text,
		   struct selector_error *err)
{
	struct parser ps = { .text = text, .p = text, .err = err };
	int r;

	if (strnlen(text, SELECTOR_TEXT_MAX + 1) > SELECTOR_TEXT_MAX)
		return fail(&ps, text + SELECTOR_TEXT_MAX,
			    "longer than %d bytes", SELECTOR_TEXT_MAX);
	ps.sel = calloc(1, sizeof(*ps.sel));
	if (!ps.sel)
		return -ENOMEM;
	r = parse(&ps);
	if (r < 0)
		selector_free(ps.sel);
	else
		*out = ps.sel;
	return r;
}

void selector_free(struct selector *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->nr; i++) {
		struct matcher *m = &s->v[i];

		if (m->match == MATCH_REGEX || m->match == MATCH_NOT_REGEX)
			regfree(&m->regex);
		free(m->name);
		free(m->value);
	}
	free(s);
}

bool selector_match(const struct selector *s, const struct labels *l)
{
	for (size_t i = 0; i < s->nr; i++) {
		const struct matcher *m = &s->v[i];
		const char *value = labels_get(l, m->name);
		bool is;

		if (!value)
			value = "";
		if (m->match == MATCH_EQUAL || m->match == MATCH_NOT_EQUAL)
			is = !strcmp(value, m->value);
		else
			is = !regexec(&m->regex, value, 0, NULL, 0);
		if (is != (m->match == MATCH_EQUAL || m->match == MATCH_REGEX))
			return false;
	}
	return true;
}

const char *selector_profile_type(const struct selector *s)
{
	for (size_t i = 0; i < s->nr; i++) {
		const struct matcher *m = &s->v[i];

		if (m->match == MATCH_EQUAL && *m->value &&
		    !strcmp(m->name, LABEL_PROFILE_TYPE))
			return m->value;
	}
	return NULL;
}
