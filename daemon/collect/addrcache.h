/* SPDX-License-Identifier: Apache-2.0 */
/* Address -> location id, so that a name is looked up once. */
#ifndef KSTRATA_COLLECT_ADDRCACHE_H
#define KSTRATA_COLLECT_ADDRCACHE_H

#include "base/util.h"

/* Zero-initialised is empty. */
struct addrcache {
	struct addrcache_slot {
		uint64_t address; /* 0: free */
		uint32_t location;
	} *slots;
	size_t mask;
	size_t used;
};

void addrcache_release(struct addrcache *c);
bool addrcache_get(const struct addrcache *c, uint64_t address,
		   uint32_t *location);
/*
 * Remember (address is not in it). Starts afresh when it would pass max
 * entries; a failure to remember is not an error.
 */
void addrcache_put(struct addrcache *c, uint64_t address, uint32_t location,
		   size_t max);

#endif
