/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The objects that a session knows: which file has which number. Of fixed size,
 * set-associative: a file's bucket is where its inode's address hashes to, and
 * holds KST_OBJTABLE_WAYS of them, whatever the number of files.
 *
 * The sampling handlers of all CPUs look up without a lock; what changes the
 * table is under its lock, which a handler only ever tries to take. One worker
 * tells of new objects, and alone makes room.
 *
 * The number of an object is the slot it is in and how often the slot has been
 * taken, so it comes again only when both do; the slot is taken again only by
 * a sample later than the GONE record of its last number.
 */
#ifndef _KST_OBJTABLE_H
#define _KST_OBJTABLE_H

#include <linux/spinlock.h>
#include <linux/types.h>

struct file;
struct kst_objbucket;
struct kst_rows;
struct kst_rows_met;

#define KST_OBJTABLE_WAYS	8
/* Ways of a bucket that the worker keeps free, for objects to come. */
#define KST_OBJTABLE_FREE	2

/*
 * Who a file is. The inode's address is compared, never followed: the table
 * outlives its hold on the file.
 */
struct kst_objkey {
	unsigned long inode;
	u64 ino;
	u32 generation;
	u32 dev;		/* dev_t, as the kernel has it */
};

/* Sets of buckets, a bit each. */
enum kst_objset {
	KST_OBJSET_WORK,	/* something to tell or ask, or too few ways free */
	KST_OBJSET_HELD,	/* files held */
	KST_OBJSET_NR,
};

struct kst_objtable {
	raw_spinlock_t lock;	/* always with interrupts off */
	u32 bucket_bits;
	u32 slot_bits;
	struct kst_objbucket *buckets;
	unsigned long *sets[KST_OBJSET_NR];
};

/* What the table says of an object. */
struct kst_object {
	struct kst_objkey key;
	u32 id;
	struct file *file;	/* a reference of the asker's own, or NULL */
};

/*
 * Both may sleep. slots is a power of two, KSTRATA_OBJECTS_MIN to _MAX. Freeing
 * lets go of all files; safe on a zeroed table.
 */
int kst_objtable_init(struct kst_objtable *t, u32 slots);
void kst_objtable_free(struct kst_objtable *t);

/*
 * Interrupts off, any CPU, from a sample made at now: the number of the object
 * with this key, which is file's; 0: it has none yet and could not get one. A
 * new object, and one whose file was let go unopened, takes a reference to file
 * (NULL: there is none to take). *met tells of its rows, which are good as long as
 * interrupts stay off. *work is set when there is any for the worker, else left as it
 * is.
 */
u32 kst_objtable_meet(struct kst_objtable *t, const struct kst_objkey *key,
		      struct file *file, u64 now, struct kst_rows_met *met,
		      bool *work);

/* Any context: false when no object has this number (any more). */
bool kst_objtable_get(struct kst_objtable *t, u32 id, struct kst_object *out);

/*
 * Any context: its file has been opened and needs no holding any more. Returns
 * what was held for the caller to put, or NULL.
 */
struct file *kst_objtable_opened(struct kst_objtable *t, u32 id);

/* Any context: when about a sample last met it; false: no such object. */
bool kst_objtable_last_met(struct kst_objtable *t, u32 id, u64 *met);

enum kst_objrows {
	KST_OBJROWS_GIVEN,	/* these */
	KST_OBJROWS_NONE,	/* it has none */
	KST_OBJROWS_DROPPED,	/* to be asked for, when a sample meets it */
};

/*
 * Under kst_rowset.lock, else any context: the object's rows are these from now on
 * (NULL but for GIVEN). *old is what they were, or NULL. False: no such object.
 */
bool kst_objtable_set_rows(struct kst_objtable *t, u32 id, enum kst_objrows what,
			   struct kst_rows *rows, struct kst_rows **old);

/* Any context: the first bucket of the set from this one on, or -1. */
int kst_objtable_next(struct kst_objtable *t, enum kst_objset set, u32 from);

/* ---- the worker only: one at a time ---- */

/* A bucket leaves the set of work to do; put it back when some is left. */
void kst_objtable_begin(struct kst_objtable *t, u32 bucket);
void kst_objtable_again(struct kst_objtable *t, u32 bucket);

/* An object of this bucket that was not told of yet; false: there is none. */
bool kst_objtable_untold(struct kst_objtable *t, u32 bucket,
			 struct kst_object *out);
void kst_objtable_told(struct kst_objtable *t, u32 id);

/*
 * Number of an object of this bucket that was told of, was met without the rows that
 * it once had, and was not asked for lately; 0: there is none. It counts as asked for
 * from asked() on.
 */
u32 kst_objtable_wanted(struct kst_objtable *t, u32 bucket);
void kst_objtable_asked(struct kst_objtable *t, u32 id, u64 now);

/*
 * When too few ways are free: the number of the object that was not met for
 * longest among those told of, else 0.
 */
u32 kst_objtable_victim(struct kst_objtable *t, u32 bucket);
/*
 * Under kst_rowset.lock: it leaves the table. Returns the time up to which samples
 * may mean it, and what was held of it and its rows, or NULL, for the caller to put
 * and to release.
 */
u64 kst_objtable_evict(struct kst_objtable *t, u32 id, struct file **file,
		       struct kst_rows **rows);

/*
 * A file held that no sample has met since that time, for the caller to put;
 * NULL: this bucket has no more.
 */
struct file *kst_objtable_let_go(struct kst_objtable *t, u32 bucket, u64 since);

#endif /* _KST_OBJTABLE_H */
