/* SPDX-License-Identifier: Apache-2.0 */
/* Hashing, and the open-addressed index that the interning tables share. */
#ifndef KSTRATA_BASE_HASH_H
#define KSTRATA_BASE_HASH_H

#include "base/util.h"

static inline uint64_t hash_u64(uint64_t x)
{
	x ^= x >> 32;
	x *= UINT64_C(0xd6e8feb86659fd93);
	x ^= x >> 32;
	x *= UINT64_C(0xd6e8feb86659fd93);
	x ^= x >> 32;
	return x;
}

static inline uint64_t hash_pair(uint32_t a, uint32_t b)
{
	return hash_u64((uint64_t)a << 32 | b);
}

/* Seeded once per process: names come from strangers. */
uint64_t hash_bytes(const void *data, size_t len);

/*
 * Maps a hash to candidate ids; the caller owns the entries themselves and
 * tells whether a candidate is the one. Ids are 1 to 2^32 - 1; 0 means none.
 * Zero-initialised is empty.
 */
struct hash_index {
	struct hash_slot {
		uint32_t hash;
		uint32_t id;
	} *slots;
	size_t mask; /* slots - 1 */
	size_t used;
};

void hash_index_release(struct hash_index *ix);
/* Make sure one more hash_index_put() cannot fail; 0 or -ENOMEM. */
int hash_index_grow(struct hash_index *ix);
/* After hash_index_grow(), for an id that is not in it. */
void hash_index_put(struct hash_index *ix, uint64_t hash, uint32_t id);

/*
 * Walk the candidates of a hash:
 *	for (size_t at = hash_index_first(ix, h, &id); id;
 *	     at = hash_index_next(ix, h, at, &id))
 */
static inline size_t hash_index_scan(const struct hash_index *ix, uint32_t hash,
				     size_t at, uint32_t *id)
{
	for (;; at = (at + 1) & ix->mask) {
		const struct hash_slot *s = &ix->slots[at];

		if (!s->id || s->hash == hash) {
			*id = s->id;
			return at;
		}
	}
}

static inline size_t hash_index_first(const struct hash_index *ix,
				      uint64_t hash, uint32_t *id)
{
	*id = 0;
	if (!ix->slots)
		return 0;
	return hash_index_scan(ix, (uint32_t)hash, (uint32_t)hash & ix->mask,
			       id);
}

static inline size_t hash_index_next(const struct hash_index *ix,
				     uint64_t hash, size_t at, uint32_t *id)
{
	return hash_index_scan(ix, (uint32_t)hash, (at + 1) & ix->mask, id);
}

#endif
