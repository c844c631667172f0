// SPDX-License-Identifier: GPL-2.0-only
#include "objtable.h"

#include <linux/bitmap.h>
#include <linux/build_bug.h>
#include <linux/cache.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/hash.h>
#include <linux/ktime.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include <kstrata.h>

#include "rows.h"

/* A slot notes that its object was met no more often than this: ns. */
#define MET_GRAIN	(1u << 25)
/*
 * Rows of an object are asked for again no more often than this: where a session has
 * room for too few, neither its rings nor its client are kept busy with it.
 */
#define ASK_NS		(5 * (u64)NSEC_PER_SEC)

/* entry.flags */
#define TOLD	(1u << 0)	/* its OBJECT record is out */
#define OPENED	(1u << 1)	/* its file was opened: not held again */
#define NO_ROWS	(1u << 2)	/* it has none, its client says */
#define DROPPED	(1u << 3)	/* it had some, and was not asked for since */
#define ASK	(1u << 4)	/* ... and a sample met it */

/*
 * One slot. stamp is the number of the object in it, 0 when there is none, and
 * in the high half how often the slot was taken.
 *
 *   handler, no lock                      under the lock
 *   s = load_acquire(stamp)      (E)      evict:  store(stamp, no number)   (G)
 *   compare the key, take its rows                ...
 *   smp_rmb()                    (H)      insert: smp_wmb()                 (I)
 *   stamp is still s?                             store the key
 *                                                 store_release(stamp)      (F)
 *
 *   E pairs with F: with the number comes the key that it belongs to.
 *   H pairs with I: had the key been overwritten by then, G would be seen, and
 *       no later stamp of this slot is equal to s (for 2^32 times). Likewise with
 *       rows: those of a later object are set (with a release) after its F, and
 *       those of an earlier one were taken away before it.
 *
 * met, gone, file and flags are hints to a handler without the lock.
 */
struct entry {
	u64 stamp;
	struct kst_objkey key;
	u64 met;		/* last sample that did, about */
	u64 gone;		/* no sample up to here may take the slot */
	struct file *file;
	u32 flags;
};

/* Of one slot as well, so that an entry is no longer than it need be. */
struct rows_of {
	struct kst_rows __rcu *rows;	/* changes under kst_rowset.lock, too */
	u64 asked;		/* when they were asked for last, or 0: ns */
};

struct kst_objbucket {
	/* Of the same ways: 1 and a hash, to try few keys. 0: empty. */
	u32 tags[KST_OBJTABLE_WAYS];
	struct entry ways[KST_OBJTABLE_WAYS];
	struct rows_of rows[KST_OBJTABLE_WAYS];
};

static u32 number_of(u64 stamp)
{
	return lower_32_bits(stamp);
}

/* Tag in the high half, the bucket is the highest bits of the low one. */
static u64 hash_of(const struct kst_objkey *key)
{
	return (u64)key->inode * GOLDEN_RATIO_64;
}

static u32 tag_of(u64 hash)
{
	return lower_32_bits(hash >> 16) | 1;
}

static u32 bucket_of(const struct kst_objtable *t, u64 hash)
{
	return hash >> (64 - t->bucket_bits);
}

static bool key_is(const struct entry *e, const struct kst_objkey *key)
{
	return READ_ONCE(e->key.inode) == key->inode &&
	       READ_ONCE(e->key.ino) == key->ino &&
	       READ_ONCE(e->key.generation) == key->generation &&
	       READ_ONCE(e->key.dev) == key->dev;
}

int kst_objtable_init(struct kst_objtable *t, u32 slots)
{
	u32 buckets = slots / KST_OBJTABLE_WAYS;
	int i;

	/* One generation at least besides the first, which keeps 0 to 15 free. */
	BUILD_BUG_ON(KSTRATA_OBJECTS_MAX >= 1u << (KSTRATA_FRAME_OBJECT_BITS - 1));
	BUILD_BUG_ON(KSTRATA_OBJECTS_MIN < KSTRATA_OBJECT_ID_FIRST);

	raw_spin_lock_init(&t->lock);
	t->bucket_bits = ilog2(buckets);
	t->slot_bits = ilog2(slots);
	t->buckets = kvcalloc(buckets, sizeof(*t->buckets), GFP_KERNEL_ACCOUNT);
	if (!t->buckets)
		return -ENOMEM;
	for (i = 0; i < KST_OBJSET_NR; i++) {
		t->sets[i] = kvcalloc(BITS_TO_LONGS(buckets),
				      sizeof(*t->sets[i]), GFP_KERNEL_ACCOUNT);
		if (!t->sets[i]) {
			kst_objtable_free(t);
			return -ENOMEM;
		}
	}
	return 0;
}

void kst_objtable_free(struct kst_objtable *t)
{
	u32 bucket;
	int i;

	for (bucket = 0; t->buckets && bucket < 1u << t->bucket_bits; bucket++)
		for (i = 0; i < KST_OBJTABLE_WAYS; i++)
			if (t->buckets[bucket].ways[i].file)
				fput(t->buckets[bucket].ways[i].file);
	for (i = 0; i < KST_OBJSET_NR; i++)
		kvfree(t->sets[i]);
	kvfree(t->buckets);
	memset(t, 0, sizeof(*t));
}

/* Under the lock. */
static void hold(struct kst_objtable *t, u32 bucket, struct entry *e,
		 struct file *file)
{
	if (!file)
		return;
	WRITE_ONCE(e->file, get_file(file));
	__set_bit(bucket, t->sets[KST_OBJSET_HELD]);
}

/* Under the lock: what was held, for the caller to put without it. */
static struct file *let_go(struct entry *e)
{
	struct file *file = e->file;

	WRITE_ONCE(e->file, NULL);
	return file;
}

/* Without the lock. At most KST_OBJTABLE_WAYS turns. */
static struct entry *find(struct kst_objbucket *b, const struct kst_objkey *key,
			  u32 tag, u64 *stamp, const struct kst_rows **rows)
{
	int i;

	for (i = 0; i < KST_OBJTABLE_WAYS; i++) {
		struct entry *e = &b->ways[i];

		if (READ_ONCE(b->tags[i]) != tag)
			continue;
		*stamp = smp_load_acquire(&e->stamp);	/* E */
		if (!number_of(*stamp) || !key_is(e, key))
			continue;
		*rows = rcu_dereference_sched(b->rows[i].rows);
		smp_rmb();				/* H */
		if (READ_ONCE(e->stamp) == *stamp)
			return e;
	}
	return NULL;
}

static u64 next_stamp(const struct kst_objtable *t, u64 stamp, u32 slot)
{
	u32 taken = upper_32_bits(stamp) + 1;
	/* 1 to the last there is room for, in turn: no number is below 16. */
	u32 nr = (1u << (KSTRATA_FRAME_OBJECT_BITS - t->slot_bits)) - 1;

	return (u64)taken << 32 | (taken % nr + 1) << t->slot_bits | slot;
}

/* Under the lock; at most KST_OBJTABLE_WAYS turns. */
static u32 insert(struct kst_objtable *t, u32 bucket,
		  const struct kst_objkey *key, u32 tag, struct file *file,
		  u64 now)
{
	struct kst_objbucket *b = &t->buckets[bucket];
	struct entry *e;
	u64 stamp;
	int i, way = -1;

	for (i = 0; i < KST_OBJTABLE_WAYS; i++) {
		e = &b->ways[i];
		if (number_of(e->stamp)) {
			/* Another CPU was faster. */
			if (key_is(e, key))
				return number_of(e->stamp);
		} else if (way < 0 && now > e->gone) {
			way = i;
		}
	}
	if (way < 0)
		return 0;
	e = &b->ways[way];
	stamp = next_stamp(t, e->stamp, bucket * KST_OBJTABLE_WAYS + way);
	smp_wmb();						/* I */
	WRITE_ONCE(e->key.inode, key->inode);
	WRITE_ONCE(e->key.ino, key->ino);
	WRITE_ONCE(e->key.generation, key->generation);
	WRITE_ONCE(e->key.dev, key->dev);
	WRITE_ONCE(e->met, now);
	WRITE_ONCE(e->flags, 0);
	WRITE_ONCE(b->rows[way].asked, 0);
	hold(t, bucket, e, file);
	WRITE_ONCE(b->tags[way], tag);
	smp_store_release(&e->stamp, stamp);			/* F */
	return number_of(stamp);
}

/* It is time to ask for the rows that it once had. */
static bool to_ask(const struct rows_of *r, u32 flags, u64 now)
{
	u64 asked = READ_ONCE(r->asked);

	return (flags & (DROPPED | ASK)) == DROPPED &&
	       (!asked || (s64)(now - asked) > (s64)ASK_NS);
}

/*
 * Met again: note when, hold its file again if nobody has opened it, and have its
 * rows asked for if they were dropped.
 */
static void meet_again(struct kst_objtable *t, u32 bucket, struct entry *e,
		       u64 stamp, struct file *file, u64 now, bool *work)
{
	struct kst_objbucket *b = &t->buckets[bucket];
	const struct rows_of *r = &b->rows[e - b->ways];
	u32 flags = READ_ONCE(e->flags);

	/* Seldom, so that CPUs do not fight for the line. */
	if ((s64)(now - READ_ONCE(e->met)) > MET_GRAIN)
		WRITE_ONCE(e->met, now);
	if (likely((READ_ONCE(e->file) || flags & OPENED || !file) &&
		   !(flags & DROPPED && to_ask(r, flags, now))))
		return;
	/* Not to be had: the next sample will. */
	if (!raw_spin_trylock(&t->lock))
		return;
	if (e->stamp == stamp) {
		if (file && !e->file && !(e->flags & OPENED)) {
			hold(t, bucket, e, file);
			*work = true;
		}
		if (to_ask(r, e->flags, now)) {
			WRITE_ONCE(e->flags, e->flags | ASK);
			__set_bit(bucket, t->sets[KST_OBJSET_WORK]);
			*work = true;
		}
	}
	raw_spin_unlock(&t->lock);
}

/*
 * For a handler. Whoever holds the lock has interrupts off, so it is not what we
 * have interrupted, and is done soon: it looks at a bucket, or for one in a bitmap.
 * But its CPU may be a virtual one that does not run: bounded all the same.
 */
static void await_lock(struct kst_objtable *t)
{
	int turns;

	for (turns = 0; turns < 100 && raw_spin_is_locked(&t->lock); turns++)
		cpu_relax();
}

u32 kst_objtable_meet(struct kst_objtable *t, const struct kst_objkey *key,
		      struct file *file, u64 now, struct kst_rows_met *met,
		      bool *work)
{
	u64 hash = hash_of(key), stamp;
	u32 tag = tag_of(hash), bucket = bucket_of(t, hash), id;
	struct entry *e;

	lockdep_assert_irqs_disabled();
	e = find(&t->buckets[bucket], key, tag, &stamp, &met->rows);
	if (likely(e)) {
		met->pending = !met->rows && !(READ_ONCE(e->flags) & NO_ROWS);
		meet_again(t, bucket, e, stamp, file, now, work);
		return number_of(stamp);
	}
	*met = (struct kst_rows_met){ .pending = true };
	await_lock(t);
	if (!raw_spin_trylock(&t->lock))
		return 0;
	id = insert(t, bucket, key, tag, file, now);
	__set_bit(bucket, t->sets[KST_OBJSET_WORK]);
	raw_spin_unlock(&t->lock);
	*work = true;
	return id;
}

/* Under the lock: the slot of this number, or NULL. */
static struct entry *entry_of(struct kst_objtable *t, u32 id)
{
	u32 slot = id & ((1u << t->slot_bits) - 1);
	struct entry *e = &t->buckets[slot / KST_OBJTABLE_WAYS]
				   .ways[slot % KST_OBJTABLE_WAYS];

	return id && number_of(e->stamp) == id ? e : NULL;
}

static void describe(const struct entry *e, struct kst_object *out)
{
	out->id = number_of(e->stamp);
	out->key = e->key;
	out->file = e->file ? get_file(e->file) : NULL;
}

bool kst_objtable_get(struct kst_objtable *t, u32 id, struct kst_object *out)
{
	struct entry *e;
	unsigned long irq;

	raw_spin_lock_irqsave(&t->lock, irq);
	e = entry_of(t, id);
	if (e)
		describe(e, out);
	raw_spin_unlock_irqrestore(&t->lock, irq);
	return e;
}

struct file *kst_objtable_opened(struct kst_objtable *t, u32 id)
{
	struct file *file = NULL;
	struct entry *e;
	unsigned long irq;

	raw_spin_lock_irqsave(&t->lock, irq);
	e = entry_of(t, id);
	if (e) {
		WRITE_ONCE(e->flags, e->flags | OPENED);
		file = let_go(e);
	}
	raw_spin_unlock_irqrestore(&t->lock, irq);
	return file;
}

bool kst_objtable_last_met(struct kst_objtable *t, u32 id, u64 *met)
{
	struct entry *e;
	unsigned long irq;

	raw_spin_lock_irqsave(&t->lock, irq);
	e = entry_of(t, id);
	if (e)
		*met = READ_ONCE(e->met);
	raw_spin_unlock_irqrestore(&t->lock, irq);
	return e;
}

/* Under the lock: these are its rows now. What they were. */
static struct kst_rows *swap_rows(struct kst_objtable *t, const struct entry *e,
				  struct kst_rows *rows)
{
	u32 slot = number_of(e->stamp) & ((1u << t->slot_bits) - 1);
	struct rows_of *r = &t->buckets[slot / KST_OBJTABLE_WAYS]
				     .rows[slot % KST_OBJTABLE_WAYS];

	return rcu_replace_pointer(r->rows, rows, lockdep_is_held(&t->lock));
}

bool kst_objtable_set_rows(struct kst_objtable *t, u32 id, enum kst_objrows what,
			   struct kst_rows *rows, struct kst_rows **old)
{
	static const u32 flag[] = {
		[KST_OBJROWS_NONE] = NO_ROWS,
		[KST_OBJROWS_DROPPED] = DROPPED,
	};
	struct entry *e;
	unsigned long irq;

	*old = NULL;
	raw_spin_lock_irqsave(&t->lock, irq);
	e = entry_of(t, id);
	if (e) {
		u32 rest = e->flags & ~(NO_ROWS | DROPPED | ASK);

		WRITE_ONCE(e->flags, rest |
			   (what == KST_OBJROWS_GIVEN ? 0 : flag[what]));
		*old = swap_rows(t, e, rows);
	}
	raw_spin_unlock_irqrestore(&t->lock, irq);
	return e;
}

int kst_objtable_next(struct kst_objtable *t, enum kst_objset set, u32 from)
{
	u32 nr = 1u << t->bucket_bits, bucket;
	unsigned long irq;

	raw_spin_lock_irqsave(&t->lock, irq);
	bucket = find_next_bit(t->sets[set], nr, from);
	raw_spin_unlock_irqrestore(&t->lock, irq);
	return bucket < nr ? (int)bucket : -1;
}

void kst_objtable_begin(struct kst_objtable *t, u32 bucket)
{
	unsigned long irq;

	raw_spin_lock_irqsave(&t->lock, irq);
	__clear_bit(bucket, t->sets[KST_OBJSET_WORK]);
	raw_spin_unlock_irqrestore(&t->lock, irq);
}

void kst_objtable_again(struct kst_objtable *t, u32 bucket)
{
	unsigned long irq;

	raw_spin_lock_irqsave(&t->lock, irq);
	__set_bit(bucket, t->sets[KST_OBJSET_WORK]);
	raw_spin_unlock_irqrestore(&t->lock, irq);
}

bool kst_objtable_untold(struct kst_objtable *t, u32 bucket,
			 struct kst_object *out)
{
	struct kst_objbucket *b = &t->buckets[bucket];
	unsigned long irq;
	bool found = false;
	int i;

	raw_spin_lock_irqsave(&t->lock, irq);
	for (i = 0; i < KST_OBJTABLE_WAYS && !found; i++) {
		struct entry *e = &b->ways[i];

		if (!number_of(e->stamp) || e->flags & TOLD)
			continue;
		describe(e, out);
		found = true;
	}
	raw_spin_unlock_irqrestore(&t->lock, irq);
	return found;
}

void kst_objtable_told(struct kst_objtable *t, u32 id)
{
	struct entry *e;
	unsigned long irq;

	raw_spin_lock_irqsave(&t->lock, irq);
	e = entry_of(t, id);
	if (e)
		WRITE_ONCE(e->flags, e->flags | TOLD);
	raw_spin_unlock_irqrestore(&t->lock, irq);
}

u32 kst_objtable_wanted(struct kst_objtable *t, u32 bucket)
{
	struct kst_objbucket *b = &t->buckets[bucket];
	unsigned long irq;
	u32 id = 0;
	int i;

	raw_spin_lock_irqsave(&t->lock, irq);
	for (i = 0; i < KST_OBJTABLE_WAYS && !id; i++)
		/* Its first record has not asked yet. */
		if ((b->ways[i].flags & (ASK | TOLD)) == (ASK | TOLD))
			id = number_of(b->ways[i].stamp);
	raw_spin_unlock_irqrestore(&t->lock, irq);
	return id;
}

void kst_objtable_asked(struct kst_objtable *t, u32 id, u64 now)
{
	u32 slot = id & ((1u << t->slot_bits) - 1);
	struct entry *e;
	unsigned long irq;

	raw_spin_lock_irqsave(&t->lock, irq);
	e = entry_of(t, id);
	if (e) {
		WRITE_ONCE(e->flags, e->flags & ~(DROPPED | ASK));
		WRITE_ONCE(t->buckets[slot / KST_OBJTABLE_WAYS]
				   .rows[slot % KST_OBJTABLE_WAYS].asked, now);
	}
	raw_spin_unlock_irqrestore(&t->lock, irq);
}

u32 kst_objtable_victim(struct kst_objtable *t, u32 bucket)
{
	struct kst_objbucket *b = &t->buckets[bucket];
	struct entry *oldest = NULL;
	unsigned long irq;
	int i, empty = 0;
	u32 id = 0;

	raw_spin_lock_irqsave(&t->lock, irq);
	for (i = 0; i < KST_OBJTABLE_WAYS; i++) {
		struct entry *e = &b->ways[i];

		if (!number_of(e->stamp))
			empty++;
		else if (e->flags & TOLD &&
			 (!oldest || READ_ONCE(e->met) < READ_ONCE(oldest->met)))
			oldest = e;
	}
	if (empty < KST_OBJTABLE_FREE && oldest)
		id = number_of(oldest->stamp);
	raw_spin_unlock_irqrestore(&t->lock, irq);
	return id;
}

u64 kst_objtable_evict(struct kst_objtable *t, u32 id, struct file **file,
		       struct kst_rows **rows)
{
	u32 slot = id & ((1u << t->slot_bits) - 1);
	struct entry *e;
	unsigned long irq;
	u64 gone = 0;

	*file = NULL;
	*rows = NULL;
	raw_spin_lock_irqsave(&t->lock, irq);
	e = entry_of(t, id);
	if (e) {
		*file = let_go(e);
		*rows = swap_rows(t, e, NULL);
		WRITE_ONCE(t->buckets[slot / KST_OBJTABLE_WAYS]
				   .tags[slot % KST_OBJTABLE_WAYS], 0);
		WRITE_ONCE(e->flags, 0);
		WRITE_ONCE(e->stamp, (u64)upper_32_bits(e->stamp) << 32); /* G */
		/*
		 * A handler takes its time, then reads stamp: one that has seen
		 * the number has taken its time before G, and this is later.
		 */
		smp_mb();
		gone = ktime_get_ns();
		e->gone = gone;
	}
	raw_spin_unlock_irqrestore(&t->lock, irq);
	return gone;
}

struct file *kst_objtable_let_go(struct kst_objtable *t, u32 bucket, u64 since)
{
	struct kst_objbucket *b = &t->buckets[bucket];
	struct file *file = NULL;
	unsigned long irq;
	bool more = false;
	int i;

	raw_spin_lock_irqsave(&t->lock, irq);
	for (i = 0; i < KST_OBJTABLE_WAYS; i++) {
		struct entry *e = &b->ways[i];

		if (!e->file)
			continue;
		if (!file && (s64)(since - READ_ONCE(e->met)) > 0)
			file = let_go(e);
		else
			more = true;
	}
	if (!more)
		__clear_bit(bucket, t->sets[KST_OBJSET_HELD]);
	raw_spin_unlock_irqrestore(&t->lock, irq);
	return file;
}
