/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store: windows of WINDOW_NS on a fixed grid of real time, each holding a
 * vector per series. Open windows live in memory; closed ones are appended to
 * the current epoch's log and to nothing else (store/log.h is the file's
 * format, store/epoch.h says what one epoch is).
 *
 * Single-threaded: everything is called from the loop's thread.
 */
#ifndef KSTRATA_STORE_STORE_H
#define KSTRATA_STORE_STORE_H

#include "profile/dict.h"
#include "profile/vector.h"

#define WINDOW_NS (10 * NSEC_PER_SEC)

struct store;

struct store_options {
	const char *dir; /* NULL: memory only */
	uint64_t retention_bytes; /* 0: no limit. Oldest epochs go first */
	int64_t retention_ns; /* 0: no limit */
	int64_t sync_ns; /* closed windows are written and synced so often */
	/* An epoch ends at this size (0: any), at an eighth of retention_bytes,
	 * or after a day. */
	uint64_t epoch_bytes;
	/* Closed windows kept: all there are when dir is NULL, else those that
	 * a failing disk does not take. 0: a default. */
	uint64_t memory_bytes;
};

/*
 * Create or open; epochs found are read, torn tails cut (with a warning).
 * -EWOULDBLOCK: another process has it open. -EPROTONOSUPPORT: written by a
 * newer version. Damage in the middle of a file costs what follows it in that
 * epoch (kept aside as log.damaged), never the start of the daemon.
 */
int store_open(struct store **out, const struct store_options *options);
/* Closes open windows, syncs. Errors are logged. */
void store_close(struct store *s);
/* Take new retention and sync values (not dir). */
void store_configure(struct store *s, const struct store_options *options);

/*
 * The dictionary that ids given to store_add() belong to. It is replaced when
 * a new epoch begins, which happens in store_tick() only: generation tells.
 */
struct dict *store_dict(struct store *s);
uint32_t store_generation(const struct store *s);

/*
 * Add weight to the window that holds time_ns (real time, ns; any, past or
 * future). -EINVAL: a time before 1970, or ids that the dictionary has not.
 */
int store_add(struct store *s, uint32_t series, uint32_t node,
	      int64_t time_ns, uint64_t weight);

/*
 * Close what is due: windows that ended more than a grace of 2 s before now.
 * Writes and syncs what is closed when sync_ns have passed since last time (or
 * much waits), rolls the epoch over, applies retention. Call once a second.
 * A full or failing disk is logged and retried, windows then stay in memory up
 * to a bound, beyond which the oldest are dropped and counted.
 */
void store_tick(struct store *s, int64_t now_ns);
/* Close every open window and sync, whatever the time. 0 or -errno. */
int store_flush(struct store *s);

struct store_stats {
	uint64_t epochs;
	uint64_t bytes; /* on disk */
	uint64_t written_bytes; /* since start */
	uint64_t windows; /* vectors stored */
	uint64_t windows_open;
	uint64_t windows_dropped;
	uint64_t syncs;
	uint64_t write_errors;
	uint64_t memory; /* bytes, estimate */
	uint64_t series, nodes, strings; /* current epoch */
	int64_t oldest_ns, newest_ns; /* window starts; 0 when empty */
	bool failing; /* the last write failed */
};

void store_get_stats(const struct store *s, struct store_stats *out);

/*
 * Reading. In each epoch that has windows in the range, each vector of a series
 * that want() takes whose window overlaps [from, until), in no particular
 * order; a window and series may come more than once: vectors add up. A
 * negative return of any function ends the reading. What is damaged on disk
 * gives -EBADMSG, never a sum with something missing.
 */
struct store_reader {
	void *userdata;
	/* Does the query want this series? Once a series and such an epoch. */
	bool (*want)(void *userdata, const struct labels *labels);
	/* A new epoch's dictionary: ids from here on belong to it. 0 or -errno. */
	int (*epoch)(void *userdata, const struct dict *dict);
	/* One (node, weight) of a window. May be NULL: totals only. */
	int (*entry)(void *userdata, uint32_t series, int64_t window_ns,
		     uint32_t node, uint64_t weight);
	/* One vector's total, before its entries. May be NULL. */
	int (*window)(void *userdata, uint32_t series, int64_t window_ns,
		      uint64_t total);
};

int store_read(struct store *s, int64_t from_ns, int64_t until_ns,
	       const struct store_reader *reader);

#endif
