// SPDX-License-Identifier: Apache-2.0
#include "symbol/demangle.h"

#include "base/buf.h"

#include <ctype.h>
#include <libiberty/demangle.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

/*
 * A mangled name refers back to its own parts, so a readable one can be
 * exponentially long (and take as long to print). The output is cut off here.
 */
#define MANGLED_MAX 16384
#define READABLE_MAX 16384
/* Where the demangler cannot be stopped half-way. */
#define BACK_REFERENCES_MAX 16
#define D_MANGLED_MAX 2048

struct printer {
	struct buf out;
	bool unwind; /* longjmp at the limit, do not only stop copying */
	bool full;
	jmp_buf limit;
};

static void print(const char *text, size_t len, void *userdata)
{
	struct printer *p = userdata;

	if (p->out.len + len > READABLE_MAX)
		p->full = true;
	if (!p->full) {
		buf_add(&p->out, text, len);
		p->full = p->out.err != 0;
	}
	/*
	 * The callback demanglers keep their state on the stack, except for
	 * Rust's punycode: there we let the demangler run to its end.
	 */
	if (p->full && p->unwind)
		longjmp(p->limit, 1);
}

static size_t count_char(const char *s, char c)
{
	size_t n = 0;

	while ((s = strchr(s, c))) {
		n++;
		s++;
	}
	return n;
}

/* The readable name, malloc'ed, or NULL. */
static char *take(struct printer *p, bool done)
{
	if (done && !p->full && p->out.len) {
		buf_char(&p->out, '\0');
		if (!p->out.err)
			return p->out.data;
	}
	buf_release(&p->out);
	return NULL;
}

static bool has_punycode(const char *s)
{
	while ((s = strchr(s, 'u'))) {
		s++;
		if (isdigit((unsigned char)*s))
			return true;
	}
	return false;
}

typedef int (*demangler)(const char *mangled, int options,
			 demangle_callbackref callback, void *userdata);

static bool run(struct printer *p, demangler fn, const char *symbol)
{
	if (setjmp(p->limit))
		return false;
	return fn(symbol, DMGL_NO_OPTS, print, p) != 0;
}

static char *demangle_rust(const char *symbol)
{
	struct printer p = { .unwind = true };

	if (symbol[1] == 'R' && has_punycode(symbol)) {
		if (count_char(symbol, 'B') > BACK_REFERENCES_MAX)
			return NULL;
		p.unwind = false;
	}
	return take(&p, run(&p, rust_demangle_callback, symbol));
}

static char *demangle_cxx(const char *symbol)
{
	struct printer p = { .unwind = true };

	return take(&p, run(&p, cplus_demangle_v3_callback, symbol));
}

/* "module.function(char, int)" -> "module.function", but "f!(int)" stays. */
static void drop_parameters(char *name)
{
	size_t at = strlen(name), depth = 0;

	if (!at || name[at - 1] != ')')
		return;
	while (at--) {
		if (name[at] == ')')
			depth++;
		else if (name[at] == '(' && !--depth)
			break;
	}
	if (!depth && at && name[at - 1] != '!')
		name[at] = '\0';
}

static char *demangle_d(const char *symbol)
{
	char *out;

	/* Recursive and on the heap: short ones only. */
	if (strlen(symbol) > D_MANGLED_MAX ||
	    count_char(symbol, 'Q') > BACK_REFERENCES_MAX)
		return NULL;
	out = dlang_demangle(symbol, DMGL_NO_OPTS);
	if (out && strlen(out) > READABLE_MAX) {
		free(out);
		return NULL;
	}
	if (out)
		drop_parameters(out);
	return out;
}

/* Where ".part.0", ".cold" and the like begin; the end when there is none. */
static char *clone_suffix(char *symbol, bool rust)
{
	char *p = symbol;

	/* Rust's older mangling has dots of its own: look behind its hash. */
	if (rust && symbol[1] == 'Z')
		while (*p && !(p[0] == 'E' && (p[1] == '.' || !p[1])))
			p++;
	p += strcspn(p, ".");
	return p;
}

static char *join(const char *name, const char *suffix, const char *tail)
{
	struct buf b = { 0 };

	buf_str(&b, name);
	buf_str(&b, suffix);
	buf_str(&b, tail);
	buf_char(&b, '\0');
	if (b.err)
		buf_release(&b);
	return b.data;
}

bool demangle_changes(const char *symbol)
{
	const char *at = strchr(symbol, '@');

	return (at && at != symbol && strcmp(at, "@plt")) ||
	       (symbol[0] == '_' && (symbol[1] == 'Z' || symbol[1] == 'R' ||
				     symbol[1] == 'D'));
}

char *demangle(const char *symbol)
{
	const char *at = symbol[0] ? strchr(symbol + 1, '@') : NULL;
	size_t len = at ? (size_t)(at - symbol) : strlen(symbol);
	const char *tail = at && !strcmp(at, "@plt") ? at : "";
	cleanup(util_freep) char *plain = strndup(symbol, len);
	cleanup(util_freep) char *name = NULL;
	bool rust = false;
	char *suffix;

	if (!plain)
		return NULL;
	if (len > MANGLED_MAX || plain[0] != '_')
		return join(plain, "", tail);
	if (plain[1] == 'Z' || plain[1] == 'R') {
		name = demangle_rust(plain);
		rust = name != NULL;
	}
	suffix = clone_suffix(plain, rust);
	if (!name && plain[1] == 'Z')
		name = demangle_cxx(plain);
	else if (!name && plain[1] == 'D')
		name = demangle_d(plain);
	if (!name)
		return join(plain, "", tail);
	/* Not a clone: the linker's mark of where it came from. */
	if (!strncmp(suffix, ".llvm.", 6))
		suffix += strlen(suffix);
	return join(name, suffix, tail);
}
