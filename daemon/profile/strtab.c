// SPDX-License-Identifier: Apache-2.0
#include "profile/strtab.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

/*
 * Strings lie in chunks that never move, each as a 16-bit length, its bytes
 * and a NUL. An id's place is one 32-bit number: chunk * CHUNK + offset.
 */
#define CHUNK_BITS 16
#define CHUNK (1u << CHUNK_BITS)
#define CHUNKS_MAX (1u << (32 - CHUNK_BITS))

struct strtab {
	char **chunks;
	size_t nr_chunks;
	size_t cap_chunks;
	size_t used; /* of the last chunk */
	uint32_t *places;
	uint32_t nr;
	uint32_t cap;
	struct hash_index index;
};

int strtab_new(struct strtab **out)
{
	struct strtab *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->nr = 1; /* "" has no place */
	*out = t;
	return 0;
}

void strtab_free(struct strtab *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->nr_chunks; i++)
		free(t->chunks[i]);
	free(t->chunks);
	free(t->places);
	hash_index_release(&t->index);
	free(t);
}

static const char *at(const struct strtab *t, uint32_t id, size_t *len)
{
	uint32_t place = t->places[id];
	const char *p = t->chunks[place >> CHUNK_BITS] + (place & (CHUNK - 1));
	uint16_t n;

	memcpy(&n, p, sizeof(n));
	*len = n;
	return p + sizeof(n);
}

const char *strtab_get(const struct strtab *t, uint32_t id, size_t *len)
{
	size_t n = 0;
	const char *s = id && id < t->nr ? at(t, id, &n) : "";

	if (len)
		*len = n;
	return s;
}

static size_t fit(const char *s, size_t len)
{
	return strnlen(s, len < STRTAB_LEN_MAX ? len : STRTAB_LEN_MAX);
}

/* s is not empty and fits. */
static uint32_t find(const struct strtab *t, const char *s, size_t len,
		     uint64_t hash)
{
	uint32_t id;

	for (size_t i = hash_index_first(&t->index, hash, &id); id;
	     i = hash_index_next(&t->index, hash, i, &id)) {
		size_t n;
		const char *have = at(t, id, &n);

		if (n == len && !memcmp(have, s, len))
			break;
	}
	return id;
}

int strtab_find(const struct strtab *t, const char *s, size_t len,
		uint32_t *id)
{
	uint32_t found;

	len = len ? fit(s, len) : 0;
	if (!len) {
		*id = 0;
		return 0;
	}
	found = find(t, s, len, hash_bytes(s, len));
	if (!found)
		return -ENOENT;
	*id = found;
	return 0;
}

/* Room for n bytes in the last chunk, a new one if need be. */
static int reserve(struct strtab *t, size_t n)
{
	if (t->nr_chunks && CHUNK - t->used >= n)
		return 0;
	if (t->nr_chunks == CHUNKS_MAX)
		return -ENOMEM;
	if (t->nr_chunks == t->cap_chunks) {
		size_t cap = t->cap_chunks ? t->cap_chunks * 2 : 8;
		char **chunks = realloc(t->chunks, cap * sizeof(*chunks));

		if (!chunks)
			return -ENOMEM;
		t->chunks = chunks;
		t->cap_chunks = cap;
	}
	t->chunks[t->nr_chunks] = malloc(CHUNK);
	if (!t->chunks[t->nr_chunks])
		return -ENOMEM;
	t->nr_chunks++;
	t->used = 0;
	return 0;
}

int strtab_intern(struct strtab *t, const char *s, size_t len, uint32_t *id)
{
	uint64_t hash;
	uint16_t n;
	char *p;

	len = len ? fit(s, len) : 0;
	if (!len) {
		*id = 0;
		return 0;
	}
	hash = hash_bytes(s, len);
	*id = find(t, s, len, hash);
	if (*id)
		return 0;
	if (t->nr == UINT32_MAX)
		return -ENOMEM;
	if (t->nr >= t->cap) {
		uint64_t cap = t->cap ? t->cap + t->cap / 2ull : 128;
		uint32_t *places;

		if (cap > UINT32_MAX)
			cap = UINT32_MAX;
		places = realloc(t->places, cap * sizeof(*places));
		if (!places)
			return -ENOMEM;
		t->places = places;
		t->cap = (uint32_t)cap;
	}
	if (hash_index_grow(&t->index) < 0 ||
	    reserve(t, sizeof(n) + len + 1) < 0)
		return -ENOMEM;
	p = t->chunks[t->nr_chunks - 1] + t->used;
	n = (uint16_t)len;
	memcpy(p, &n, sizeof(n));
	memcpy(p + sizeof(n), s, len);
	p[sizeof(n) + len] = '\0';
	t->places[t->nr] =
		(uint32_t)((t->nr_chunks - 1) << CHUNK_BITS | t->used);
	t->used += sizeof(n) + len + 1;
	hash_index_put(&t->index, hash, t->nr);
	*id = t->nr++;
	return 0;
}

uint32_t strtab_count(const struct strtab *t)
{
	return t->nr;
}

size_t strtab_memory(const struct strtab *t)
{
	size_t slots = t->index.slots ? t->index.mask + 1 : 0;

	return sizeof(*t) + t->nr_chunks * CHUNK +
	       t->cap_chunks * sizeof(*t->chunks) +
	       t->cap * sizeof(*t->places) + slots * sizeof(struct hash_slot);
}
