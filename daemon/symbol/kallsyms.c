// SPDX-License-Identifier: Apache-2.0
#include "symbol/kallsyms.h"

#include "base/buf.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KALLSYMS_BYTES_MAX (256u << 20)
#define CHUNK_BYTES (64u << 10)
/*
 * A function ends where the next begins. The last one of the kernel, or of a
 * module, has no next one that tells: it is taken to be at most this long.
 */
#define LAST_LEN_MAX (64u << 10)

struct entry {
	uint64_t address;
	uint32_t name; /* offsets in names */
	uint32_t module;
};

struct kallsyms {
	struct entry *v;
	size_t nr, cap;
	struct buf names;
};

struct parser {
	uint32_t last_module; /* modules come in runs */
	uint64_t last_address;
	bool sorted;
	bool addresses; /* any but zero */
};

static int by_address(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	if (x->address != y->address)
		return x->address < y->address ? -1 : 1;
	/* Aliases: the first in the file stands for all, as in the kernel's %pS. */
	return x->name < y->name ? -1 : x->name > y->name;
}

static int parse_hex(const char **p, const char *end, uint64_t *v)
{
	const char *s = *p;

	*v = 0;
	for (; s < end; s++) {
		int digit;

		if (*s >= '0' && *s <= '9')
			digit = *s - '0';
		else if (*s >= 'a' && *s <= 'f')
			digit = *s - 'a' + 10;
		else
			break;
		if (*v >> 60)
			return -EBADMSG;
		*v = *v << 4 | (uint64_t)digit;
	}
	if (s == *p)
		return -EBADMSG;
	*p = s;
	return 0;
}

static uint32_t add_name(struct kallsyms *k, const char *s, size_t len)
{
	uint32_t at = (uint32_t)k->names.len;

	buf_add(&k->names, s, len);
	buf_char(&k->names, '\0');
	return at;
}

/* "ffffffff81000000 T _stext" or "... t func\t[module]". 1: *e is text. */
static int parse_line(struct kallsyms *k, struct parser *p, const char *s,
		      const char *end, struct entry *e)
{
	const char *tab, *module;
	size_t len;
	char type;

	if (parse_hex(&s, end, &e->address) < 0 || end - s < 4 || s[0] != ' ' ||
	    s[2] != ' ')
		return -EBADMSG;
	type = s[1];
	s += 3;
	if (type != 't' && type != 'T' && type != 'w' && type != 'W')
		return 0;
	p->addresses |= e->address != 0;
	p->sorted &= e->address >= p->last_address;
	p->last_address = e->address;
	tab = memchr(s, '\t', (size_t)(end - s));
	e->name = add_name(k, s, (size_t)((tab ? tab : end) - s));
	e->module = 0;
	if (tab && !k->names.err) {
		len = (size_t)(end - tab - 1);
		module = k->names.data + p->last_module;
		if (!p->last_module || strlen(module) != len ||
		    memcmp(module, tab + 1, len) != 0)
			p->last_module = add_name(k, tab + 1, len);
		e->module = p->last_module;
	}
	return k->names.err ? k->names.err : 1;
}

static int add_entry(struct kallsyms *k, const struct entry *e)
{
	if (k->nr == k->cap) {
		size_t want = k->cap ? k->cap * 2 : 4096;
		struct entry *v = realloc(k->v, want * sizeof(*v));

		if (!v)
			return -ENOMEM;
		k->v = v;
		k->cap = want;
	}
	k->v[k->nr++] = *e;
	return 0;
}

static int parse_lines(struct kallsyms *k, struct parser *p, const char *text,
		       const char *end)
{
	while (text < end) {
		const char *eol = memchr(text, '\n', (size_t)(end - text));
		struct entry e;
		int r;

		if (!eol)
			eol = end;
		r = parse_line(k, p, text, eol, &e);
		text = eol + 1;
		if (r > 0)
			r = add_entry(k, &e);
		if (r < 0)
			return r;
	}
	return 0;
}

/*
 * The kernel makes up the text (10 MB and more) as we read it: chunk by chunk,
 * with the begin of a line carried over, it is never all in memory.
 */
static int parse_file(struct kallsyms *k, struct parser *p, int fd)
{
	cleanup(util_freep) char *chunk = malloc(CHUNK_BYTES);
	size_t len = 0, total = 0;

	if (!chunk)
		return -ENOMEM;
	for (;;) {
		ssize_t n = read(fd, chunk + len, CHUNK_BYTES - len);
		const char *eol;
		size_t whole;
		int r;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n)
			return parse_lines(k, p, chunk, chunk + len);
		len += (size_t)n;
		total += (size_t)n;
		if (total > KALLSYMS_BYTES_MAX)
			return -EFBIG;
		eol = memrchr(chunk, '\n', len);
		if (!eol && len == CHUNK_BYTES)
			return -EBADMSG;
		whole = eol ? (size_t)(eol - chunk) + 1 : 0;
		r = parse_lines(k, p, chunk, chunk + whole);
		if (r < 0)
			return r;
		len -= whole;
		memmove(chunk, chunk + whole, len);
	}
}

static int finish(struct kallsyms *k, const struct parser *p)
{
	void *v, *names;

	if (!k->nr)
		return -EBADMSG;
	if (!p->addresses)
		return -EPERM;
	if (!p->sorted)
		qsort(k->v, k->nr, sizeof(*k->v), by_address);
	v = realloc(k->v, k->nr * sizeof(*k->v));
	if (v) {
		k->v = v;
		k->cap = k->nr;
	}
	names = realloc(k->names.data, k->names.len);
	if (names) {
		k->names.data = names;
		k->names.cap = k->names.len;
	}
	return 0;
}

int kallsyms_load(struct kallsyms **out, const char *path)
{
	cleanup(util_closep) int fd =
		open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct parser p = { .sorted = true };
	struct kallsyms *k;
	int r;

	if (fd < 0)
		return -errno;
	k = calloc(1, sizeof(*k));
	if (!k)
		return -ENOMEM;
	/* Offset 0 is the core kernel's "module". */
	buf_add(&k->names, "[kernel]", sizeof("[kernel]"));
	r = k->names.err ? k->names.err : parse_file(k, &p, fd);
	if (r >= 0)
		r = finish(k, &p);
	if (r < 0) {
		kallsyms_free(k);
		return r;
	}
	*out = k;
	return 0;
}

void kallsyms_free(struct kallsyms *k)
{
	if (!k)
		return;
	free(k->v);
	buf_release(&k->names);
	free(k);
}

bool kallsyms_lookup(const struct kallsyms *k, uint64_t address,
		     const char **name, const char **module)
{
	size_t lo = 0, hi = k->nr, at;

	/* The last entry at or below address. */
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (k->v[mid].address <= address)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (!lo)
		return false;
	at = lo - 1;
	if ((lo == k->nr || k->v[lo].module != k->v[at].module) &&
	    address - k->v[at].address >= LAST_LEN_MAX)
		return false;
	while (at && k->v[at - 1].address == k->v[at].address)
		at--;
	*name = k->names.data + k->v[at].name;
	*module = k->names.data + k->v[at].module;
	return true;
}

size_t kallsyms_count(const struct kallsyms *k)
{
	return k->nr;
}

size_t kallsyms_memory(const struct kallsyms *k)
{
	return k->nr * sizeof(*k->v) + k->names.cap;
}
