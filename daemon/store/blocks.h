/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An append-only file of checked blocks; the only kind of file that the store
 * has. All numbers are little-endian.
 *
 *   file   = header block*
 *   header = "kstrata\n" (8 bytes), version u32, CRC-32C u32 of the 12 before
 *   block  = magic u32 ("KSBL"), type u16, zero u16, packed length u32, raw
 *            length u32, CRC-32C u32 of the packed bytes, CRC-32C u32 of the
 *            20 bytes before, then the packed bytes: a zstd frame
 *
 * What the types hold is epoch.h's affair. A block is good when both its CRCs
 * are; a file is cut after its last good block when it is opened.
 *
 * With path NULL the same thing lives in memory.
 */
#ifndef KSTRATA_STORE_BLOCKS_H
#define KSTRATA_STORE_BLOCKS_H

#include "base/buf.h"

#define BLOCKS_VERSION 1
#define BLOCKS_RAW_MAX (64u << 20) /* raw bytes */

struct blocks;

/*
 * For each good block, in order, while opening: its type, where it begins, and
 * its content. -EBADMSG means that the content is not what its type promises:
 * the block is then treated as damaged. Other errors end blocks_open().
 */
typedef int (*blocks_fn)(void *userdata, uint16_t type, uint64_t offset,
		      const uint8_t *data, size_t len);

/*
 * Open for appending, created if need be. A tail that is not whole is cut off
 * with a warning; if more than a torn block follows the damage, that part is
 * first copied to path + ".damaged". *intact tells whether nothing was cut.
 * -EPROTONOSUPPORT: another version's. -EBADMSG: not such a file at all.
 */
int blocks_open(struct blocks **out, const char *path, blocks_fn fn, void *userdata,
	     bool *intact);
void blocks_close(struct blocks *l);

/*
 * Blocks are collected by blocks_put() and written as one by blocks_commit(), which
 * leaves the file as it was when it fails (-errno). blocks_put() tells where the
 * block will begin; its errors show at the commit.
 */
void blocks_put(struct blocks *l, uint16_t type, const struct buf *raw,
	     uint64_t *offset);
int blocks_commit(struct blocks *l);
/* Forget what was put since the last commit. */
void blocks_discard(struct blocks *l);

/* Read one block's content back, appended to raw. -EBADMSG: damaged. */
int blocks_read(struct blocks *l, uint64_t offset, struct buf *raw);
/* To the disk with what was committed; may take long. */
int blocks_sync(struct blocks *l);
uint64_t blocks_size(const struct blocks *l);

#endif
