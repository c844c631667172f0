/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An epoch: a dictionary, and all windows whose ids it explains. On disk it is
 * a directory "epoch-<seconds of real time when it began>" with one file, "log"
 * (store/log.h); in memory it has the dictionary, an index of the log's blocks,
 * the windows that are open, and those closed but not yet written.
 *
 * Directory and log are made with the first write: an epoch without any window
 * leaves no trace.
 */
#ifndef KSTRATA_STORE_EPOCH_H
#define KSTRATA_STORE_EPOCH_H

#include "store/codec.h"
#include "store/store.h"

struct epoch;

/* An empty one. */
int epoch_new(struct epoch **out, int64_t begin_s);
/*
 * One that is there. A torn tail is cut. *intact is false when it must not be
 * continued: damaged (the file as it was is kept as "log.damaged"), or not to
 * be repaired. -ENODATA: nothing is left of it, or ever was.
 * -EPROTONOSUPPORT.
 */
int epoch_load(struct epoch **out, struct codec *c, int store_fd,
	       const char *name, bool *intact);
void epoch_free(struct epoch *e);
/* Begin, from a directory's name; false when it is not one of an epoch. */
bool epoch_parse_name(const char *name, int64_t *begin_s);

struct dict *epoch_dict(struct epoch *e);
int64_t epoch_begin_s(const struct epoch *e);

int epoch_add(struct epoch *e, int64_t window_ns, uint32_t series,
	      uint32_t node, uint64_t weight);
/* Close windows that end at or before end_ns: they wait to be written. What
 * there is no memory for is dropped and counted. */
void epoch_close(struct epoch *e, int64_t end_ns);
/* Close them all if there are too many. */
bool epoch_close_crowded(struct epoch *e);

/*
 * Write what waits and sync: all or nothing. 1 when something was written, 0
 * when nothing waited, -errno.
 */
int epoch_commit(struct epoch *e, struct codec *c, int store_fd);
/* Drop the oldest batch that waits; how many vectors that were. */
uint64_t epoch_drop(struct epoch *e);
/* Bytes that wait to be written. */
size_t epoch_waiting(const struct epoch *e);
/* Remove it from disk; then there is only epoch_free(). */
int epoch_unlink(struct epoch *e, int store_fd);

struct epoch_stats {
	uint64_t bytes; /* on disk */
	uint64_t memory;
	uint64_t vectors; /* closed */
	uint64_t open; /* vectors */
	uint64_t dropped;
	int64_t oldest_ns, newest_ns; /* window starts; oldest > newest: none */
	bool writable;
};

void epoch_get_stats(const struct epoch *e, struct epoch_stats *out);

int epoch_read(struct epoch *e, struct codec *c, int64_t from_ns,
	       int64_t until_ns, const struct store_reader *reader);

#endif
