// SPDX-License-Identifier: Apache-2.0
#include "collect/addrcache.h"

#include "base/hash.h"

#include <stdlib.h>

void addrcache_release(struct addrcache *c)
{
	free(c->slots);
	*c = (struct addrcache){ 0 };
}

static struct addrcache_slot *slot_of(struct addrcache_slot *slots, size_t mask,
				      uint64_t address)
{
	size_t at = hash_u64(address) & mask;

	while (slots[at].address && slots[at].address != address)
		at = (at + 1) & mask;
	return &slots[at];
}

bool addrcache_get(const struct addrcache *c, uint64_t address,
		   uint32_t *location)
{
	const struct addrcache_slot *s;

	if (!c->slots || !address)
		return false;
	s = slot_of(c->slots, c->mask, address);
	*location = s->location;
	return s->address;
}

static bool grow(struct addrcache *c)
{
	size_t cap = c->slots ? c->mask + 1 : 0;
	size_t want = cap ? cap * 2 : 64;
	struct addrcache_slot *slots = calloc(want, sizeof(*slots));

	if (!slots)
		return false;
	for (size_t i = 0; i < cap; i++)
		if (c->slots[i].address)
			*slot_of(slots, want - 1, c->slots[i].address) =
				c->slots[i];
	free(c->slots);
	c->slots = slots;
	c->mask = want - 1;
	return true;
}

void addrcache_put(struct addrcache *c, uint64_t address, uint32_t location,
		   size_t max)
{
	if (!address)
		return;
	if (c->used >= max)
		addrcache_release(c);
	if ((!c->slots || (c->used + 1) * 4 > (c->mask + 1) * 3) && !grow(c))
		return;
	*slot_of(c->slots, c->mask, address) =
		(struct addrcache_slot){ address, location };
	c->used++;
}
