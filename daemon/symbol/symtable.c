// SPDX-License-Identifier: Apache-2.0
#include "symbol/symtable.h"

#include "base/buf.h"
#include "base/hash.h"
#include "symbol/demangle.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What a hostile file may cost at most. */
#define SYMBOLS_MAX (4u << 20)
#define NAMES_BYTES_MAX (256u << 20)
/* Functions within functions, as crafted or hand-written tables have them. */
#define NESTING_MAX 16

struct candidate {
	uint64_t offset; /* in the file */
	const char *name; /* in the caller's memory */
	uint32_t size;
	uint16_t name_len;
	uint8_t rank;
};

/* A run of bytes that one function owns; entries do not overlap. */
struct entry {
	uint64_t offset; /* in the file */
	uint32_t size;
	uint32_t name; /* offset in names */
};

struct symtable {
	struct candidate *candidates; /* until sealed */
	size_t nr_candidates, cap_candidates;
	struct entry *v;
	size_t nr, cap;
	size_t functions;
	struct buf names; /* as the file has them */
	struct memo {
		uint32_t raw; /* offset in names */
		char *name; /* demangled */
	} *memo;
	size_t nr_memo, cap_memo, memo_bytes;
	struct hash_index memo_index; /* id: position + 1 */
};

int symtable_new(struct symtable **out)
{
	struct symtable *t = calloc(1, sizeof(*t));

	*out = t;
	return t ? 0 : -ENOMEM;
}

void symtable_free(struct symtable *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->nr_memo; i++)
		free(t->memo[i].name);
	free(t->memo);
	hash_index_release(&t->memo_index);
	buf_release(&t->names);
	free(t->candidates);
	free(t->v);
	free(t);
}

int symtable_add(struct symtable *t, uint64_t offset, uint64_t size,
		 const char *name, size_t name_len, unsigned int rank)
{
	/* Nothing may wrap round the end of the file's address space. */
	if (!size || offset + size < offset || name_len >= SYMTABLE_NAME_MAX)
		return 0;
	if (t->nr_candidates >= SYMBOLS_MAX)
		return -EFBIG;
	if (t->nr_candidates == t->cap_candidates) {
		size_t want = t->cap_candidates ? t->cap_candidates * 2 : 256;
		struct candidate *v = realloc(t->candidates, want * sizeof(*v));

		if (!v)
			return -ENOMEM;
		t->candidates = v;
		t->cap_candidates = want;
	}
	t->candidates[t->nr_candidates++] = (struct candidate){
		.offset = offset,
		.name = name,
		.size = (uint32_t)min_u64(size, UINT32_MAX),
		.name_len = (uint16_t)name_len,
		.rank = (uint8_t)rank,
	};
	return 0;
}

static int by_offset(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;
	int r;

	if (x->offset != y->offset)
		return x->offset < y->offset ? -1 : 1;
	if (x->rank != y->rank)
		return x->rank < y->rank ? -1 : 1;
	if (x->name_len != y->name_len)
		return x->name_len < y->name_len ? -1 : 1;
	r = strcmp(x->name, y->name);
	/* The same name twice: the longer. */
	return r ? r : (x->size < y->size) - (x->size > y->size);
}

/* A function whose end is still ahead of the sweep. */
struct open {
	uint64_t end;
	uint32_t name;
};

struct sweep {
	struct symtable *t;
	struct open stack[NESTING_MAX]; /* ends decrease upwards */
	size_t depth;
};

static int emit(struct symtable *t, uint64_t offset, const struct open *o)
{
	struct entry *last = t->nr ? &t->v[t->nr - 1] : NULL;

	if (last && offset - last->offset < last->size)
		last->size = (uint32_t)(offset - last->offset);
	if (t->nr == t->cap) {
		size_t want = t->cap ? t->cap * 2 : 64;
		struct entry *v = realloc(t->v, want * sizeof(*v));

		if (!v)
			return -ENOMEM;
		t->v = v;
		t->cap = want;
	}
	t->v[t->nr++] = (struct entry){
		.offset = offset,
		.size = (uint32_t)min_u64(o->end - offset, UINT32_MAX),
		.name = o->name,
	};
	return 0;
}

/* Close what ends before offset; what encloses it owns the bytes behind it. */
static int close_until(struct sweep *s, uint64_t offset)
{
	while (s->depth && s->stack[s->depth - 1].end <= offset) {
		uint64_t end = s->stack[--s->depth].end;
		int r;

		while (s->depth && s->stack[s->depth - 1].end <= end)
			s->depth--;
		if (!s->depth || end >= offset)
			continue;
		r = emit(s->t, end, &s->stack[s->depth - 1]);
		if (r < 0)
			return r;
	}
	return 0;
}

/* next: where the following symbol is. */
static int place(struct sweep *s, const struct candidate *c, uint64_t next)
{
	struct symtable *t = s->t;
	struct open o = { .end = c->offset + c->size };
	int r;

	r = close_until(s, c->offset);
	if (r < 0)
		return r;
	if (s->depth) {
		/* A label within a function is a place in it. */
		if (c->rank & SYMTABLE_LABEL)
			return 0;
		if (c->rank & SYMTABLE_NO_SIZE)
			o.end = min_u64(o.end, s->stack[s->depth - 1].end);
	}
	if (c->rank & SYMTABLE_NO_SIZE)
		o.end = min_u64(o.end, next);
	if (t->names.len + c->name_len > NAMES_BYTES_MAX)
		return -EFBIG;
	o.name = (uint32_t)t->names.len;
	buf_add(&t->names, c->name, c->name_len);
	if (c->rank & SYMTABLE_PLT)
		buf_str(&t->names, "@plt");
	buf_char(&t->names, '\0');
	if (t->names.err)
		return t->names.err;
	t->functions++;
	r = emit(t, c->offset, &o);
	/* Deeper than that: whoever encloses all of it loses its tail. */
	if (s->depth == NESTING_MAX)
		memmove(s->stack, s->stack + 1,
			--s->depth * sizeof(*s->stack));
	s->stack[s->depth++] = o;
	return r;
}

static void trim(struct symtable *t)
{
	void *v = t->nr ? realloc(t->v, t->nr * sizeof(*t->v)) : NULL;
	void *names = t->names.len ? realloc(t->names.data, t->names.len) : NULL;

	if (v) {
		t->v = v;
		t->cap = t->nr;
	}
	if (names) {
		t->names.data = names;
		t->names.cap = t->names.len;
	}
}

int symtable_seal(struct symtable *t)
{
	const struct candidate *v = t->candidates;
	size_t nr = t->nr_candidates;
	struct sweep s = { .t = t };
	int r = 0;

	if (nr)
		qsort(t->candidates, nr, sizeof(*v), by_offset);
	for (size_t i = 0; i < nr && r >= 0;) {
		const struct candidate *best = &v[i];

		while (++i < nr && v[i].offset == best->offset)
			;
		r = place(&s, best, i < nr ? v[i].offset : UINT64_MAX);
	}
	if (r >= 0)
		r = close_until(&s, UINT64_MAX);
	free(t->candidates);
	t->candidates = NULL;
	t->nr_candidates = t->cap_candidates = 0;
	if (r >= 0)
		trim(t);
	return r;
}

/* Demangling is dear and few functions are ever asked for: on demand, once. */
static const char *name_of(struct symtable *t, uint32_t at_raw)
{
	const char *raw = t->names.data + at_raw;
	uint64_t hash = hash_u64(at_raw);
	char *name;
	uint32_t id;

	if (!demangle_changes(raw))
		return raw;
	for (size_t at = hash_index_first(&t->memo_index, hash, &id); id;
	     at = hash_index_next(&t->memo_index, hash, at, &id))
		if (t->memo[id - 1].raw == at_raw)
			return t->memo[id - 1].name;
	name = demangle(raw);
	if (!name)
		return raw;
	if (t->nr_memo == t->cap_memo) {
		size_t want = t->cap_memo ? t->cap_memo * 2 : 16;
		struct memo *memo = realloc(t->memo, want * sizeof(*memo));

		if (!memo)
			goto forget;
		t->memo = memo;
		t->cap_memo = want;
	}
	if (hash_index_grow(&t->memo_index) < 0)
		goto forget;
	t->memo[t->nr_memo++] = (struct memo){ at_raw, name };
	hash_index_put(&t->memo_index, hash, (uint32_t)t->nr_memo);
	t->memo_bytes += strlen(name) + 16;
	return name;

forget:
	free(name);
	return raw;
}

const char *symtable_find(struct symtable *t, uint64_t offset)
{
	size_t lo = 0, hi = t->nr;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (t->v[mid].offset <= offset)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (!lo || offset - t->v[lo - 1].offset >= t->v[lo - 1].size)
		return NULL;
	return name_of(t, t->v[lo - 1].name);
}

size_t symtable_count(const struct symtable *t)
{
	return t->functions;
}

size_t symtable_memory(const struct symtable *t)
{
	size_t slots = t->memo_index.slots ? t->memo_index.mask + 1 : 0;

	return sizeof(*t) + t->cap * sizeof(*t->v) + t->names.cap +
	       t->cap_memo * sizeof(*t->memo) + t->memo_bytes +
	       slots * sizeof(*t->memo_index.slots);
}
