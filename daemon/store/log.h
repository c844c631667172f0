/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file of an epoch: append-only, a file header and then blocks, until the
 * end. All numbers are little-endian.
 *
 * File header, 32 bytes:
 *	 0	8	"KSTRATA\n"
 *	 8	u32	format version, LOGFILE_VERSION
 *	12	u32	0
 *	16	i64	when the epoch began, seconds of real time
 *	24	u32	0
 *	28	u32	CRC-32C of bytes 0 to 27
 *
 * Block: a header of 40 bytes, the head and the body, both zstd frames (or
 * nothing, when their length is 0):
 *	 0	u32	LOGFILE_MAGIC
 *	 4	u16	type, enum block_type
 *	 6	u16	0
 *	 8	u32	head's length in the file
 *	12	u32	... and unpacked, at most LOGFILE_RAW_MAX
 *	16	u32	body's length in the file
 *	20	u32	... and unpacked, at most LOGFILE_RAW_MAX
 *	24	u32	CRC-32C of the head as it is in the file
 *	28	u32	CRC-32C of the body as it is in the file
 *	32	u32	0
 *	36	u32	CRC-32C of bytes 0 to 35, then of the block's offset (u64)
 *			and the epoch's begin (i64): a block is valid in its
 *			place only
 *
 * Contents, unpacked (varint = LEB128):
 *	STRINGS	  head: varint first id, varint number; each: varint length,
 *		  bytes without NUL
 *	LOCATIONS head: varint first id, varint number; each: varint name,
 *		  varint object (string ids)
 *	NODES	  head: varint first id, varint number; each: varint id -
 *		  parent, varint location
 *	SERIES	  head: varint first id, varint number; each: varint number of
 *		  labels; each of those: varint length, name, varint length,
 *		  value
 *	WINDOWS	  head: varint number of vectors; each: varint series, varint
 *		  zigzag(window's number - that of the one before), varint
 *		  total, varint number of entries, varint bytes in the body
 *		  body: the packed vectors (profile/vector.h), in that order
 *
 * A window's number is its start / WINDOW_NS. First ids continue where the last
 * block of the type ended; what a block refers to stands before it. The same
 * (series, window) may come again: vectors add up.
 */
#ifndef KSTRATA_STORE_LOG_H
#define KSTRATA_STORE_LOG_H

#include "base/buf.h"
#include "store/codec.h"

#define LOGFILE_VERSION 1
#define LOGFILE_MAGIC UINT32_C(0x4b42534b) /* "KSBK" */
#define LOGFILE_HEADER 32
#define LOGFILE_BLOCK_HEADER 40
#define LOGFILE_RAW_MAX (64u << 20)

enum block_type {
	BLOCK_STRINGS = 1,
	BLOCK_LOCATIONS = 2,
	BLOCK_NODES = 3,
	BLOCK_SERIES = 4,
	BLOCK_WINDOWS = 5,
};

struct block {
	uint64_t offset; /* of the block's header in the file */
	uint16_t type;
	uint32_t head_len, head_raw, head_crc;
	uint32_t body_len, body_raw, body_crc;
};

struct logfile;

/* A new file in dir_fd, its header written and synced. */
int logfile_create(struct logfile **out, int dir_fd, const char *name,
		   int64_t begin_s);
/*
 * -EPROTONOSUPPORT: newer version; -EBADMSG: no such file's header. Opened
 * for reading only where writing is forbidden (see logfile_writable()).
 */
int logfile_open(struct logfile **out, int dir_fd, const char *name);
void logfile_close(struct logfile *f);
int64_t logfile_begin_s(const struct logfile *f);
bool logfile_writable(const struct logfile *f);

/*
 * Read and verify the block at *at and step over it: 1, 0 at the end of the
 * file, -EBADMSG for a torn or damaged block, other errors of reading.
 */
int logfile_next(struct logfile *f, uint64_t *at, struct block *b);
/* Is there a block header that is valid in its place after at? */
bool logfile_resumes(struct logfile *f, uint64_t at);
/* Unpack into out (replaced); packed is scratch. CRCs are checked again. */
int logfile_head(struct logfile *f, struct codec *c, const struct block *b,
		 struct buf *packed, struct buf *out);
int logfile_body(struct logfile *f, struct codec *c, const struct block *b,
		 struct buf *packed, struct buf *out);

/* Where the next block goes; also the file's size, after logfile_set_end(). */
uint64_t logfile_end(const struct logfile *f);
/* Cut there; what failed to be cut is cut before the next append. */
int logfile_set_end(struct logfile *f, uint64_t end);
/*
 * Append; nothing is promised before logfile_sync(). After an error the caller
 * goes back to a logfile_end() of before.
 */
int logfile_append(struct logfile *f, struct codec *c, enum block_type type,
		   const struct buf *head, const struct buf *body,
		   struct block *out);
int logfile_sync(struct logfile *f);
/* Copy the first len bytes to a new, synced file. */
int logfile_copy(struct logfile *f, uint64_t len, int dir_fd,
		 const char *name);

#endif
