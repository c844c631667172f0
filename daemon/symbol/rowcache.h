/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tables of unwind rows on disk, a file for each build-id, so that a file is compiled
 * once and not at every start. That there are none is kept as well. Only files of the
 * same build-id, owner, size and time of last change share a table: nobody can choose
 * rows for another's file. Nothing is lost with it: a file that is damaged is removed,
 * a disk that cannot be written to is done without. Bounded in bytes, least recently
 * used first out.
 */
#ifndef KSTRATA_SYMBOL_ROWCACHE_H
#define KSTRATA_SYMBOL_ROWCACHE_H

#include "symbol/cfi.h"

struct rowcache;

/* The name of a file of the cache; empty: nothing to know its content by. */
struct rowcache_key {
	char name[232];
};

/* dir is made when it is not there. -errno, logged. */
int rowcache_open(struct rowcache **out, const char *dir, uint64_t max_bytes);
void rowcache_close(struct rowcache *c);

/*
 * Of an open ELF file, in *owner whose it is; -ENODATA: it has no build-id; or as
 * elfsym_read_build_id().
 */
int rowcache_key(int fd, struct rowcache_key *key, uint32_t *owner);

/* 0: *out is the caller's. -ENODATA: it has no rows. -ENOENT: not known. */
int rowcache_get(struct rowcache *c, const struct rowcache_key *key,
		 struct cfi_table *out);
bool rowcache_has(const struct rowcache *c, const struct rowcache_key *key);
/* table NULL: it has no rows. A failure is logged now and then. */
void rowcache_put(struct rowcache *c, const struct rowcache_key *key,
		  const struct cfi_table *table);

struct rowcache_stats {
	uint64_t files, bytes; /* now */
	uint64_t hits, misses, damaged, evicted, failed;
};

void rowcache_get_stats(const struct rowcache *c, struct rowcache_stats *out);

#endif
