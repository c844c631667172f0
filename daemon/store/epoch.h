/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One epoch: a dictionary and the windows whose ids it explains, in one block
 * file ("log" in the epoch's directory). The unit of deletion.
 *
 * Block types, all numbers varints (LEB128) unless said otherwise. Dictionary
 * blocks continue where the last one of their type ended, and precede every
 * use of what they define:
 *
 *   STRINGS    count, then each: length, bytes. Ids from 1 on; 0 is "".
 *   LOCATIONS  count, then each: name, object (string ids). Ids from 1 on.
 *   NODES      count, then each: parent, location. Ids from 1 on; 0 the root.
 *   SERIES     count, then each: number of labels, then name length, name,
 *              value length, value of each. Ids from 0 on.
 *   WINDOWS    count, then each: series, start / WINDOW_NS, total weight,
 *              length, packed vector (profile/vector.h) of that many bytes.
 *              Several vectors of the same series and window add up.
 */
#ifndef KSTRATA_STORE_EPOCH_H
#define KSTRATA_STORE_EPOCH_H

#include "profile/dict.h"
#include "profile/vector.h"
#include "store/store.h"

struct epoch;

/* dir NULL: in memory. start: real time, s. Errors as blocks_open()'s. */
int epoch_open(struct epoch **out, const char *dir, int64_t start);
void epoch_close(struct epoch *e);
/* Remove its files; close it afterwards. */
int epoch_unlink(struct epoch *e);

struct dict *epoch_dict(struct epoch *e);
int64_t epoch_start(const struct epoch *e);
/* Nothing was cut off when it was opened. */
bool epoch_intact(const struct epoch *e);
/* Bytes of its file (or of memory, without one). */
uint64_t epoch_bytes(const struct epoch *e);
/* Dictionary and index. */
size_t epoch_memory(const struct epoch *e);
uint64_t epoch_windows(const struct epoch *e);
/* Window starts, ns; false when it has none. */
bool epoch_range(const struct epoch *e, int64_t *oldest, int64_t *newest);

/*
 * Append vectors: any number of epoch_put(), then epoch_commit() writes them
 * and what the dictionary gained, all or nothing (-errno).
 */
void epoch_put(struct epoch *e, uint32_t series, int64_t start_ns,
	       const struct vector *v);
int epoch_commit(struct epoch *e);
int epoch_sync(struct epoch *e);

/* Call the reader for what overlaps [from, until); -EBADMSG: damaged since. */
int epoch_read(struct epoch *e, int64_t from_ns, int64_t until_ns,
	       const bool *want, const struct store_reader *reader);

#endif
