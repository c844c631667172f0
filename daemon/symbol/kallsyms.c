// SPDX-License-Identifier: Apache-2.0
#include "symbol/kallsyms.h"

#include "base/buf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define KALLSYMS_BYTES_MAX (256u << 20)
/* The last function has no next one: it is taken to be at most this long. */
#define LAST_LEN_MAX (64u << 10)

struct entry {
	uint64_t address;
	uint32_t name; /* offsets in names */
	uint32_t module;
};

struct kallsyms {
	struct entry *v;
	size_t nr;
	struct buf names;
};

static int by_address(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	if (x->address != y->address)
		return x->address < y->address ? -1 : 1;
	/* Aliases: the first in the file stands for all. */
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

/* "ffffffff81000000 T _stext" or "... t func\t[module]". */
static int parse_line(struct kallsyms *k, const char *s, const char *end,
		      struct entry *e, uint32_t *last_module)
{
	const char *tab;
	char type;

	if (parse_hex(&s, end, &e->address) < 0 || end - s < 4 || s[0] != ' ' ||
	    s[2] != ' ')
		return -EBADMSG;
	type = s[1];
	s += 3;
	if (type != 't' && type != 'T' && type != 'w' && type != 'W')
		return 0;
	tab = memchr(s, '\t', (size_t)(end - s));
	e->name = add_name(k, s, (size_t)((tab ? tab : end) - s));
	e->module = 0;
	if (tab) {
		size_t len = (size_t)(end - tab - 1);
		const char *last = k->names.data + *last_module;

		/* Modules come in runs. */
		if (*last_module && strlen(last) == len &&
		    !memcmp(last, tab + 1, len))
			e->module = *last_module;
		else
			e->module = *last_module = add_name(k, tab + 1, len);
	}
	return k->names.err ? k->names.err : 1;
}

static int parse(struct kallsyms *k, const char *text, size_t len)
{
	const char *end = text + len;
	uint32_t last_module = 0;
	bool addresses = false;
	size_t cap = 0;

	while (text < end) {
		const char *eol = memchr(text, '\n', (size_t)(end - text));
		struct entry e;
		int r;

		if (!eol)
			eol = end;
		r = parse_line(k, text, eol, &e, &last_module);
		text = eol + 1;
		if (r < 0)
			return r;
		if (!r)
			continue;
		addresses |= e.address != 0;
		if (k->nr == cap) {
			size_t want = cap ? cap * 2 : 4096;
			struct entry *v = realloc(k->v, want * sizeof(*v));

			if (!v)
				return -ENOMEM;
			k->v = v;
			cap = want;
		}
		k->v[k->nr++] = e;
	}
	if (!k->nr)
		return -EBADMSG;
	if (!addresses)
		return -EPERM;
	qsort(k->v, k->nr, sizeof(*k->v), by_address);
	return 0;
}

int kallsyms_load(struct kallsyms **out, const char *path)
{
	cleanup(util_freep) char *text = NULL;
	struct kallsyms *k;
	size_t len;
	int r;

	r = util_read_file(path, KALLSYMS_BYTES_MAX, &text, &len);
	if (r < 0)
		return r;
	k = calloc(1, sizeof(*k));
	if (!k)
		return -ENOMEM;
	/* Offset 0 is the core kernel's "module". */
	buf_add(&k->names, "[kernel]", sizeof("[kernel]"));
	r = parse(k, text, len);
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
	if (at == k->nr - 1 && address - k->v[at].address >= LAST_LEN_MAX)
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
