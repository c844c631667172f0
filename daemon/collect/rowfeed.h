/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Gives the module unwind rows of the objects that it meets: out of the cache, or
 * compiled by the reader from the file that collect/objects.h opens anyway; those that
 * samples lack most come first. What has none, or cannot be read, is told as well, so
 * that nobody waits for it. Works in small steps from the loop.
 */
#ifndef KSTRATA_COLLECT_ROWFEED_H
#define KSTRATA_COLLECT_ROWFEED_H

#include "collect/objects.h"
#include "symbol/reader.h"
#include "symbol/rowcache.h"

struct rowfeed;

struct rowfeed_options {
	/* KSTRATA_IOC_ROWS: 0 or -errno. */
	int (*load)(void *userdata, struct kstrata_rows *rows);
	void *userdata;
	struct loop *loop;
	struct objects *objects;
	const char *cache_dir; /* NULL: without a cache */
	uint64_t cache_bytes;
	struct reader_options reader;
};

/* Hooks itself up to objects, which must outlive it. */
int rowfeed_new(struct rowfeed **out, const struct rowfeed_options *options);
void rowfeed_free(struct rowfeed *f);

/* A sample has a frame of this object, and was walked without its rows. */
void rowfeed_missed(struct rowfeed *f, uint32_t id);

/* Why there are no rows of an object. */
enum rowfeed_failure {
	ROWFEED_UNAVAILABLE, /* its file could not be opened (again) */
	ROWFEED_TOO_LARGE, /* for the compiler, or for the module */
	ROWFEED_MEMORY,
	ROWFEED_UNREADABLE, /* the file */
	ROWFEED_TIMEOUT,
	ROWFEED_CRASHED, /* the reader */
	ROWFEED_REFUSED, /* by the module, or our own check */
	ROWFEED_OTHER,
	ROWFEED_FAILURES,
};

struct rowfeed_stats {
	uint64_t pending; /* objects that wait for theirs, now */
	uint64_t loaded; /* objects that have them, now, as far as we know */
	uint64_t none; /* objects that have none to be had, now */
	uint64_t held_bytes; /* of the module's memory, at the last load */
	uint64_t loads, loaded_bytes; /* ever */
	uint64_t dropped; /* by the module, to make room */
	uint64_t wanted; /* asked for again */
	uint64_t compiled, cached; /* where tables came from */
	uint64_t compile_ns; /* that we waited for the reader */
	uint64_t failed[ROWFEED_FAILURES];
	struct reader_stats reader;
	struct rowcache_stats cache;
};

void rowfeed_get_stats(const struct rowfeed *f, struct rowfeed_stats *out);

#endif
