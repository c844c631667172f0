/* SPDX-License-Identifier: Apache-2.0 */
/* A dictionary in a log: what came since last time is appended, in blocks. */
#ifndef KSTRATA_STORE_DICTLOG_H
#define KSTRATA_STORE_DICTLOG_H

#include "profile/dict.h"
#include "store/log.h"

/* How much of a dictionary a log has. */
struct dictlog {
	uint32_t strings, locations, nodes, series;
};

/* Nothing yet: ids 0 of the first three need no words. */
#define DICTLOG_EMPTY ((struct dictlog){ 1, 1, 1, 0 })

struct dictlog dictlog_of(const struct dict *d);
/* Append what d has and the log has not; *at follows on success only. */
int dictlog_append(struct logfile *f, struct codec *c, const struct dict *d,
		   struct dictlog *at);
/*
 * Add a block's content to d, which must be where the block begins. -EBADMSG
 * when it is not such content (d may then hold a part of it); -ENOMEM.
 */
int dictlog_load(struct dict *d, enum block_type type, const void *data,
		 size_t len);

#endif
