// SPDX-License-Identifier: Apache-2.0
#include "base/hash.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

static uint64_t hash_seed(void)
{
	static uint64_t seed;

	if (!seed) {
		if (getrandom(&seed, sizeof(seed), GRND_NONBLOCK) !=
		    (ssize_t)sizeof(seed))
			seed = (uint64_t)clock_monotonic_ns();
		seed |= 1;
	}
	return seed;
}

uint64_t hash_bytes(const void *data, size_t len)
{
	const uint8_t *p = data;
	uint64_t h = hash_seed() ^ (len * UINT64_C(0x9e3779b97f4a7c15));
	uint64_t w;

	for (; len >= 8; p += 8, len -= 8) {
		memcpy(&w, p, 8);
		h = (h ^ hash_u64(w)) * UINT64_C(0x9ddfea08eb382d69);
		h ^= h >> 29;
	}
	w = 0;
	memcpy(&w, p, len);
	return hash_u64(h ^ w);
}

void hash_index_release(struct hash_index *ix)
{
	free(ix->slots);
	*ix = (struct hash_index){ 0 };
}

static void put(struct hash_slot *slots, size_t mask, uint32_t hash,
		uint32_t id)
{
	size_t at = hash & mask;

	while (slots[at].id)
		at = (at + 1) & mask;
	slots[at] = (struct hash_slot){ hash, id };
}

int hash_index_grow(struct hash_index *ix)
{
	size_t cap = ix->slots ? ix->mask + 1 : 0;
	size_t want = cap ? cap * 2 : 64;
	struct hash_slot *slots;

	if (cap && (ix->used + 1) * 4 <= cap * 3)
		return 0;
	slots = calloc(want, sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	for (size_t i = 0; i < cap; i++)
		if (ix->slots[i].id)
			put(slots, want - 1, ix->slots[i].hash,
			    ix->slots[i].id);
	free(ix->slots);
	ix->slots = slots;
	ix->mask = want - 1;
	return 0;
}

void hash_index_put(struct hash_index *ix, uint64_t hash, uint32_t id)
{
	put(ix->slots, ix->mask, (uint32_t)hash, id);
	ix->used++;
}
