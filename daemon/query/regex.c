// SPDX-License-Identifier: Apache-2.0
#include "query/regex.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"

/*
 * The library expands x{m,n} and x+ by copying x, and nesting multiplies: what
 * the whole would grow to is counted, in atoms, before it gets to see it.
 */
#define ATOMS_MAX 8192
#define REPEAT_MAX 1000

struct translation {
	struct buf out;
	const char *p;
	const char *why;
	int flags;
	uint64_t atoms[REGEX_DEPTH_MAX + 1]; /* per open group, so far */
	uint64_t last[REGEX_DEPTH_MAX + 1]; /* what a quantifier applies to */
	unsigned int depth;
};

static int refuse(struct translation *t, const char *why)
{
	t->why = why;
	return -EINVAL;
}

static int atom(struct translation *t, uint64_t size)
{
	t->last[t->depth] = size;
	t->atoms[t->depth] += size;
	return t->atoms[t->depth] > ATOMS_MAX ?
		       refuse(t, "the regular expression is too large") :
		       0;
}

/* The last atom is repeated up to n times. */
static int repeat(struct translation *t, uint64_t n)
{
	uint64_t last = t->last[t->depth];

	if (!last)
		return refuse(t, "nothing to repeat");
	if (n < 2)
		return 0;
	t->atoms[t->depth] -= last;
	return atom(t, last * n);
}

static const char *class_of(char c)
{
	switch (c) {
	case 'd':
		return "0-9";
	case 'w':
		return "[:alnum:]_";
	case 's':
		return "[:space:]";
	default:
		return NULL;
	}
}

/* \n and so on; 0 when c is none of them. */
static char control_of(char c)
{
	static const char letters[] = "ntrfv", controls[] = "\n\t\r\f\v";
	const char *at = c ? strchr(letters, c) : NULL;

	return at ? controls[at - letters] : 0;
}

static bool alphanumeric(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
	       (c >= 'A' && c <= 'Z');
}

/* After a backslash, outside brackets. */
static int escape(struct translation *t)
{
	char c = *t->p;
	char lower = (char)(c | 0x20);

	if (!c)
		return refuse(t, "a backslash at the end");
	t->p++;
	if (alphanumeric(c) && class_of(lower)) {
		buf_str(&t->out, c == lower ? "[" : "[^");
		buf_str(&t->out, class_of(lower));
		buf_char(&t->out, ']');
		return atom(t, 1);
	}
	if (control_of(c)) {
		buf_char(&t->out, control_of(c));
		return atom(t, 1);
	}
	if (c == 'A' || c == 'z') {
		buf_char(&t->out, c == 'A' ? '^' : '$');
		return atom(t, 1);
	}
	if (c == 'b' || c == 'B') {
		buf_printf(&t->out, "\\%c", c);
		return atom(t, 1);
	}
	if (alphanumeric(c))
		return refuse(t, "an escape that is not supported");
	/* In POSIX a backslash before other punctuation means nothing good. */
	if (strchr(".[]\\()*+?{}|^$", c))
		buf_char(&t->out, '\\');
	buf_char(&t->out, c);
	return atom(t, 1);
}


/*
 * After '['. POSIX takes backslashes in brackets literally, ']' only as the
 * first, '-' as the last and '^' anywhere but first: so those are put there.
 */
static int bracket(struct translation *t)
{
	bool close = false, dash = false, caret = false, first = true;
	struct buf set = { 0 };
	bool negate = *t->p == '^';
	int r = 0;

	if (negate)
		t->p++;
	for (;; first = false) {
		char c = *t->p;

		if (!c) {
			r = refuse(t, "a [ without its ]");
			goto out;
		}
		t->p++;
		if (c == ']' && !first)
			break;
		if (c == '[' && *t->p == ':') {
			const char *end = strstr(t->p, ":]");

			if (!end) {
				r = refuse(t, "a [: without its :]");
				goto out;
			}
			buf_char(&set, '[');
			buf_add(&set, t->p, (size_t)(end + 2 - t->p));
			t->p = end + 2;
			continue;
		}
		if (c == '[' && (*t->p == '.' || *t->p == '=')) {
			r = refuse(t, "[. and [= are not supported");
			goto out;
		}
		if (c == '\\') {
			c = *t->p;
			if (c)
				t->p++;
			if (c && class_of(c)) {
				buf_str(&set, class_of(c));
				continue;
			}
			if (control_of(c)) {
				c = control_of(c);
			} else if (!c || alphanumeric(c)) {
				r = refuse(t, "an escape that is not "
					      "supported in brackets");
				goto out;
			} else if (c == '-') {
				dash = true;
				continue;
			}
		}
		if (c == ']')
			close = true;
		else if (c == '^' && *t->p != '-')
			caret = true;
		else if (c == '-' && (first || *t->p == ']'))
			dash = true;
		else
			buf_char(&set, c);
	}
	if (caret && !close && !set.len && !dash && !negate) {
		/* [^] of POSIX would be a negation: it is just the caret. */
		buf_str(&t->out, "\\^");
		r = atom(t, 1);
		goto out;
	}
	buf_str(&t->out, negate ? "[^" : "[");
	if (close)
		buf_char(&t->out, ']');
	buf_add(&t->out, set.data, set.len);
	if (caret && !close && !set.len && !negate) {
		/* ^ must not be first, - is literal at either end. */
		buf_str(&t->out, "-^");
		dash = false;
	} else if (caret) {
		buf_char(&t->out, '^');
	}
	if (dash)
		buf_char(&t->out, '-');
	buf_char(&t->out, ']');
	if (set.err)
		t->out.err = set.err;
	r = atom(t, 1);
out:
	buf_release(&set);
	return r;
}

/* After '{': a repetition count, or else a literal brace as RE2 has it. */
static int braces(struct translation *t)
{
	unsigned int low = 0, high = 0;
	int n = 0;

	if (sscanf(t->p, "%4u,%4u}%n", &low, &high, &n) == 2 && n)
		;
	else if (n = 0, sscanf(t->p, "%4u}%n", &low, &n) == 1 && n)
		high = low;
	else if (n = 0, sscanf(t->p, "%4u,}%n", &low, &n) == 1 && n)
		high = low + 1;
	else {
		buf_str(&t->out, "\\{");
		return atom(t, 1);
	}
	if (low > REPEAT_MAX || high > REPEAT_MAX || high < low)
		return refuse(t, "a repeat count that is too large");
	buf_char(&t->out, '{');
	buf_add(&t->out, t->p, (size_t)n);
	t->p += n;
	if (*t->p == '?')
		t->p++;
	return repeat(t, high);
}

static int group(struct translation *t)
{
	if (*t->p == '?') {
		if (t->p[1] != ':')
			return refuse(t, "of (?...) only (?:...) is supported");
		t->p += 2;
	}
	if (t->depth == REGEX_DEPTH_MAX)
		return refuse(t, "too many nested groups");
	t->depth++;
	t->atoms[t->depth] = 1;
	t->last[t->depth] = 0;
	buf_char(&t->out, '(');
	return 0;
}

static int step(struct translation *t)
{
	char c = *t->p++;
	int r;

	switch (c) {
	case '\\':
		return escape(t);
	case '[':
		return bracket(t);
	case '(':
		return group(t);
	case ')':
		if (!t->depth)
			return refuse(t, "a ) without its (");
		buf_char(&t->out, c);
		t->depth--;
		return atom(t, t->atoms[t->depth + 1]);
	case '{':
		return braces(t);
	case '|':
		t->last[t->depth] = 0;
		buf_char(&t->out, c);
		return 0;
	case '*':
	case '+':
	case '?':
		buf_char(&t->out, c);
		r = repeat(t, c == '+' ? 2 : 1);
		if (*t->p == '?')
			t->p++; /* lazy: the same language */
		return r;
	case '}':
		buf_str(&t->out, "\\}");
		return atom(t, 1);
	default:
		buf_char(&t->out, c);
		return atom(t, 1);
	}
}

int regex_compile(regex_t *out, const char *text, char *why, size_t why_len)
{
	struct translation t = { .p = text, .flags = REG_EXTENDED | REG_NOSUB };
	int r = 0;

	if (strlen(text) > REGEX_TEXT_MAX) {
		snprintf(why, why_len, "longer than %d bytes", REGEX_TEXT_MAX);
		return -EINVAL;
	}
	if (!strncmp(t.p, "(?i)", 4)) {
		t.flags |= REG_ICASE;
		t.p += 4;
	} else if (!strncmp(t.p, "(?s)", 4)) {
		t.p += 4;
	}
	buf_str(&t.out, "^(");
	while (*t.p && !r)
		r = step(&t);
	if (!r && t.depth)
		r = refuse(&t, "a ( without its )");
	buf_str(&t.out, ")$");
	if (!r && t.out.err)
		r = t.out.err;
	if (!r) {
		int e = regcomp(out, buf_cstr(&t.out), t.flags);

		if (e == REG_ESPACE || t.out.err)
			r = -ENOMEM;
		else if (e)
			r = -EINVAL;
		if (e)
			regerror(e, out, why, why_len);
	} else if (t.why) {
		snprintf(why, why_len, "%s", t.why);
	}
	buf_release(&t.out);
	return r;
}
