// SPDX-License-Identifier: GPL-2.0-only
/* The table of objects: numbers, references, eviction, and a race for it. */
#include "../objtable.c"

#include <linux/anon_inodes.h>
#include <linux/kthread.h>

#include <kstrata/period.h>

#include "suites.h"

#define SLOTS	KSTRATA_OBJECTS_MIN

struct table {
	struct kst_objtable t;
	struct file *file;
	u64 now;
};

static const struct file_operations no_fops = {};

static int objects_setup(struct kunit *test)
{
	struct table *s = kunit_kzalloc(test, sizeof(*s), GFP_KERNEL);
	struct file *file;

	if (!s)
		return -ENOMEM;
	file = anon_inode_getfile("[kst-test]", &no_fops, NULL, O_RDONLY);
	if (IS_ERR(file))
		return PTR_ERR(file);
	s->file = file;
	s->now = ktime_get_ns();
	test->priv = s;
	return kst_objtable_init(&s->t, SLOTS);
}

static void objects_teardown(struct kunit *test)
{
	struct table *s = test->priv;

	if (!s)
		return;
	kst_objtable_free(&s->t);
	/* Every reference but our own was given back. */
	KUNIT_EXPECT_EQ(test, file_count(s->file), 1);
	fput(s->file);
}

/* The n-th made-up file. */
static struct kst_objkey key_of(u32 n)
{
	return (struct kst_objkey){
		.inode = 0xffff888000000000ul + 0x540ul * n,
		.ino = 1000 + n,
		.generation = n * 7,
		.dev = 8 << 20 | 1,
	};
}

static u32 meet_rows_at(struct table *s, const struct kst_objkey *key, u64 now,
			struct kst_rows_met *met, bool *work)
{
	unsigned long flags;
	u32 id;

	*work = false;
	local_irq_save(flags);
	id = kst_objtable_meet(&s->t, key, s->file, now, met, work);
	local_irq_restore(flags);
	return id;
}

static u32 meet_at(struct table *s, const struct kst_objkey *key, u64 now,
		   bool *work)
{
	struct kst_rows_met met;

	return meet_rows_at(s, key, now, &met, work);
}

static u32 meet(struct table *s, u32 n)
{
	struct kst_objkey key = key_of(n);
	bool work;

	return meet_at(s, &key, s->now, &work);
}

static u32 bucket_of_key(struct table *s, u32 n)
{
	struct kst_objkey key = key_of(n);

	return bucket_of(&s->t, hash_of(&key));
}

/* nr made-up files that share a bucket. */
static void colliding(struct table *s, u32 *out, unsigned int nr)
{
	u32 n, bucket = bucket_of_key(s, 0);

	for (n = 0; nr; n++) {
		if (bucket_of_key(s, n) != bucket)
			continue;
		*out++ = n;
		nr--;
	}
}

/* Forget without asking, as a caller that drops the reference. */
static void put(struct file *file)
{
	if (file)
		fput(file);
}

static void objects_number(struct kunit *test)
{
	struct table *s = test->priv;
	struct kst_objkey key = key_of(1);
	struct kst_object o;
	bool work;
	u32 id;

	id = meet_at(s, &key, s->now, &work);
	KUNIT_EXPECT_TRUE(test, work);
	KUNIT_EXPECT_GE(test, id, KSTRATA_OBJECT_ID_FIRST);
	KUNIT_EXPECT_LT(test, id, 1u << KSTRATA_FRAME_OBJECT_BITS);
	/* The same file: the same number, and nothing to do. */
	KUNIT_EXPECT_EQ(test, meet_at(s, &key, s->now, &work), id);
	KUNIT_EXPECT_FALSE(test, work);
	KUNIT_ASSERT_TRUE(test, kst_objtable_get(&s->t, id, &o));
	KUNIT_EXPECT_EQ(test, o.id, id);
	KUNIT_EXPECT_EQ(test, o.key.ino, key.ino);
	KUNIT_EXPECT_EQ(test, o.key.generation, key.generation);
	KUNIT_EXPECT_EQ(test, o.key.dev, key.dev);
	KUNIT_EXPECT_PTR_EQ(test, o.file, s->file);
	put(o.file);
	/* Each part of who it is counts: an inode's memory is used again. */
	key.generation++;
	KUNIT_EXPECT_NE(test, meet_at(s, &key, s->now, &work), id);
	key = key_of(1);
	key.ino++;
	KUNIT_EXPECT_NE(test, meet_at(s, &key, s->now, &work), id);
	key = key_of(1);
	key.dev++;
	KUNIT_EXPECT_NE(test, meet_at(s, &key, s->now, &work), id);
}

static void objects_unknown(struct kunit *test)
{
	struct table *s = test->priv;
	struct kst_object o;
	struct file *file;
	struct kst_rows *rows;
	u64 at;
	u64 random = 5;
	unsigned int i;
	u32 id = meet(s, 1);

	KUNIT_EXPECT_FALSE(test, kst_objtable_get(&s->t, 0, &o));
	for (i = 0; i < kst_test_trials(20000); i++) {
		u32 other = kst_random(&random);

		if (other == id)
			continue;
		KUNIT_ASSERT_FALSE(test, kst_objtable_get(&s->t, other, &o));
		KUNIT_ASSERT_NULL(test, kst_objtable_opened(&s->t, other));
		kst_objtable_told(&s->t, other);
		kst_objtable_evict(&s->t, other, &file, &rows);
		KUNIT_ASSERT_NULL(test, rows);
		KUNIT_ASSERT_FALSE(test, kst_objtable_last_met(&s->t, other, &at));
		KUNIT_ASSERT_NULL(test, file);
	}
	KUNIT_EXPECT_EQ(test, meet(s, 1), id);
}

/* One reference while it is held; none once it was opened, for good. */
static void objects_references(struct kunit *test)
{
	struct table *s = test->priv;
	struct kst_object o;
	u32 id = meet(s, 1);

	KUNIT_EXPECT_EQ(test, file_count(s->file), 2);
	meet(s, 1);
	KUNIT_EXPECT_EQ(test, file_count(s->file), 2);
	put(kst_objtable_opened(&s->t, id));
	KUNIT_EXPECT_EQ(test, file_count(s->file), 1);
	KUNIT_EXPECT_NULL(test, kst_objtable_opened(&s->t, id));
	KUNIT_EXPECT_EQ(test, meet(s, 1), id);
	KUNIT_EXPECT_EQ(test, file_count(s->file), 1);
	KUNIT_ASSERT_TRUE(test, kst_objtable_get(&s->t, id, &o));
	KUNIT_EXPECT_NULL(test, o.file);
}

/* Not opened for long: let go, and held again by the next sample. */
static void objects_let_go(struct kunit *test)
{
	struct table *s = test->priv;
	u32 bucket = bucket_of_key(s, 1), id = meet(s, 1);
	bool work;
	struct kst_objkey key = key_of(1);

	KUNIT_EXPECT_EQ(test, kst_objtable_next(&s->t, KST_OBJSET_HELD, 0), bucket);
	KUNIT_EXPECT_NULL(test, kst_objtable_let_go(&s->t, bucket, s->now));
	KUNIT_EXPECT_EQ(test, file_count(s->file), 2);
	put(kst_objtable_let_go(&s->t, bucket, s->now + 1));
	KUNIT_EXPECT_EQ(test, file_count(s->file), 1);
	KUNIT_EXPECT_EQ(test, kst_objtable_next(&s->t, KST_OBJSET_HELD, 0), -1);
	s->now += NSEC_PER_SEC;
	KUNIT_EXPECT_EQ(test, meet_at(s, &key, s->now, &work), id);
	KUNIT_EXPECT_TRUE(test, work);
	KUNIT_EXPECT_EQ(test, file_count(s->file), 2);
}

static void objects_tells(struct kunit *test)
{
	struct table *s = test->priv;
	u32 n[3], id[3], bucket, i;
	struct kst_object o;

	colliding(s, n, 3);
	for (i = 0; i < 3; i++)
		id[i] = meet(s, n[i]);
	bucket = bucket_of_key(s, n[0]);
	KUNIT_EXPECT_EQ(test, kst_objtable_next(&s->t, KST_OBJSET_WORK, 0), bucket);
	kst_objtable_begin(&s->t, bucket);
	KUNIT_EXPECT_EQ(test, kst_objtable_next(&s->t, KST_OBJSET_WORK, 0), -1);
	for (i = 0; i < 3; i++) {
		KUNIT_ASSERT_TRUE(test, kst_objtable_untold(&s->t, bucket, &o));
		KUNIT_EXPECT_TRUE(test, o.id == id[0] || o.id == id[1] ||
						o.id == id[2]);
		put(o.file);
		kst_objtable_told(&s->t, o.id);
	}
	KUNIT_EXPECT_FALSE(test, kst_objtable_untold(&s->t, bucket, &o));
	kst_objtable_again(&s->t, bucket);
	KUNIT_EXPECT_EQ(test, kst_objtable_next(&s->t, KST_OBJSET_WORK, 0), bucket);
	KUNIT_EXPECT_EQ(test, kst_objtable_next(&s->t, KST_OBJSET_WORK, bucket + 1),
			-1);
}

/*
 * A bucket that is full: the next file has no number, until the one that was
 * not met for longest has gone; and only a sample later than that takes its slot.
 */
static void objects_eviction(struct kunit *test)
{
	struct table *s = test->priv;
	u32 n[KST_OBJTABLE_WAYS + 1], id[KST_OBJTABLE_WAYS], bucket, i, again;
	struct kst_objkey late;
	struct kst_object o;
	struct file *file;
	struct kst_rows *rows;
	bool work;
	u64 gone;

	colliding(s, n, ARRAY_SIZE(n));
	bucket = bucket_of_key(s, n[0]);
	late = key_of(n[KST_OBJTABLE_WAYS]);
	for (i = 0; i < KST_OBJTABLE_WAYS; i++) {
		struct kst_objkey key = key_of(n[i]);

		/* The one in the middle is the oldest. */
		id[i] = meet_at(s, &key, s->now + (i == 3 ? 0 : 1000 + i), &work);
		KUNIT_ASSERT_NE(test, id[i], 0);
	}
	KUNIT_EXPECT_EQ(test, file_count(s->file), 1 + KST_OBJTABLE_WAYS);
	KUNIT_EXPECT_EQ(test, meet_at(s, &late, s->now, &work), 0);
	KUNIT_EXPECT_TRUE(test, work);
	/* Nobody goes untold. */
	KUNIT_EXPECT_EQ(test, kst_objtable_victim(&s->t, bucket), 0);
	for (i = 0; i < KST_OBJTABLE_WAYS; i++)
		kst_objtable_told(&s->t, id[i]);
	KUNIT_EXPECT_EQ(test, kst_objtable_victim(&s->t, bucket), id[3]);
	gone = kst_objtable_evict(&s->t, id[3], &file, &rows);
	KUNIT_EXPECT_PTR_EQ(test, file, s->file);
	put(file);
	KUNIT_EXPECT_FALSE(test, kst_objtable_get(&s->t, id[3], &o));
	KUNIT_EXPECT_EQ(test, kst_objtable_evict(&s->t, id[3], &file, &rows), 0);
	KUNIT_EXPECT_NULL(test, file);
	KUNIT_EXPECT_EQ(test, meet_at(s, &late, gone, &work), 0);
	again = meet_at(s, &late, gone + 1, &work);
	KUNIT_EXPECT_NE(test, again, 0);
	KUNIT_EXPECT_NE(test, again, id[3]);
	KUNIT_EXPECT_EQ(test, again % SLOTS, id[3] % SLOTS);
	/* The others are where they were. */
	for (i = 0; i < KST_OBJTABLE_WAYS; i++)
		if (i != 3)
			KUNIT_EXPECT_EQ(test, meet(s, n[i]), id[i]);
}

/* Numbers of a slot: none below the first, none twice until all have been. */
static void objects_generations(struct kunit *test)
{
	struct table *s = test->priv;
	const u32 nr = (1u << KSTRATA_FRAME_OBJECT_BITS) / SLOTS - 1;
	unsigned long *seen = bitmap_alloc(1u << KSTRATA_FRAME_OBJECT_BITS,
					   GFP_KERNEL | __GFP_ZERO);
	u32 slot, i, low = 0, twice = 0, other = 0;
	u64 stamp;

	KUNIT_ASSERT_NOT_NULL(test, seen);
	for (slot = 0; slot < SLOTS; slot += SLOTS / 4) {
		stamp = 0;
		for (i = 0; i < nr; i++) {
			u32 id;

			stamp = next_stamp(&s->t, stamp, slot);
			id = number_of(stamp);
			low += id < KSTRATA_OBJECT_ID_FIRST;
			other += id % SLOTS != slot ||
				 id >> KSTRATA_FRAME_OBJECT_BITS;
			if (!(id >> KSTRATA_FRAME_OBJECT_BITS))
				twice += __test_and_set_bit(id, seen);
		}
	}
	bitmap_free(seen);
	KUNIT_EXPECT_EQ(test, low, 0);
	KUNIT_EXPECT_EQ(test, twice, 0);
	KUNIT_EXPECT_EQ(test, other, 0);
}

/* All that the worker does, for whatever there is to do. */
static void work_all(struct table *s)
{
	struct kst_object o;
	struct kst_rows *rows;
	struct file *file;
	int bucket;
	u32 id;

	for (bucket = kst_objtable_next(&s->t, KST_OBJSET_WORK, 0); bucket >= 0;
	     bucket = kst_objtable_next(&s->t, KST_OBJSET_WORK, bucket + 1)) {
		kst_objtable_begin(&s->t, bucket);
		while (kst_objtable_untold(&s->t, bucket, &o)) {
			put(o.file);
			kst_objtable_told(&s->t, o.id);
		}
		while ((id = kst_objtable_victim(&s->t, bucket))) {
			kst_objtable_evict(&s->t, id, &file, &rows);
			put(file);
			kfree_rcu(rows, rcu);
		}
	}
}

struct racer {
	struct table *s;
	u64 seed, met, rows, none, wrong;
	struct task_struct *task;
};

/* Rows that say whose they are. */
static void give(struct table *s, u32 id)
{
	struct kst_rows *rows = kzalloc(sizeof(*rows), GFP_KERNEL), *old;

	if (!rows)
		return;
	rows->id = id;
	if (kst_objtable_set_rows(&s->t, id, KST_OBJROWS_GIVEN, rows, &old))
		kfree_rcu(old, rcu);
	else
		kfree(rows);
}

/*
 * A number that a sample got means the file it was made for, as long as it means
 * anything.
 */
static int race(void *arg)
{
	struct racer *r = arg;

	while (!kthread_should_stop()) {
		struct kst_objkey key = key_of(kst_random(&r->seed) % (4 * SLOTS));
		struct kst_object o;
		unsigned long flags;
		struct kst_rows_met met;
		bool work, known;
		u32 id;

		local_irq_save(flags);
		id = kst_objtable_meet(&r->s->t, &key, r->s->file,
				       ktime_get_ns(), &met, &work);
		if (met.rows && id) {
			r->rows++;
			r->wrong += met.rows->id != id;
		}
		local_irq_restore(flags);
		if (!id) {
			r->none++;
			cond_resched();
			continue;
		}
		r->met++;
		known = kst_objtable_get(&r->s->t, id, &o);
		if (known) {
			r->wrong += o.key.ino != key.ino ||
				    o.key.inode != key.inode ||
				    o.key.generation != key.generation;
			put(o.file);
		}
		if (kst_random(&r->seed) % 16 == 0)
			put(kst_objtable_opened(&r->s->t, id));
		if (kst_random(&r->seed) % 8 == 0)
			give(r->s, id);
		cond_resched();
	}
	return 0;
}

static void objects_race(struct kunit *test)
{
	struct table *s = test->priv;
	unsigned int i, nr = min(num_online_cpus() + 1, 4u);
	unsigned long until = jiffies + kst_test_trials(10 * HZ);
	struct racer *r = kunit_kcalloc(test, nr, sizeof(*r), GFP_KERNEL);
	u32 slot;

	KUNIT_ASSERT_NOT_NULL(test, r);
	for (i = 0; i < nr; i++) {
		r[i].s = s;
		r[i].seed = 1 + i;
		r[i].task = kthread_run(race, &r[i], "kst-race/%u", i);
		if (IS_ERR(r[i].task))
			break;
	}
	while (time_before(jiffies, until)) {
		int bucket;

		work_all(s);
		for (bucket = kst_objtable_next(&s->t, KST_OBJSET_HELD, 0);
		     bucket >= 0;
		     bucket = kst_objtable_next(&s->t, KST_OBJSET_HELD,
						bucket + 1))
			put(kst_objtable_let_go(&s->t, bucket,
						ktime_get_ns() - NSEC_PER_MSEC));
		cond_resched();
	}
	KUNIT_EXPECT_EQ(test, i, nr);
	while (i--) {
		kthread_stop(r[i].task);
		KUNIT_EXPECT_GT(test, r[i].met, 0);
		KUNIT_EXPECT_GT(test, r[i].rows, 0);
		KUNIT_EXPECT_EQ(test, r[i].wrong, 0);
	}
	for (slot = 0; slot < SLOTS; slot++)
		kfree(rcu_dereference_protected(
			s->t.buckets[slot / KST_OBJTABLE_WAYS]
				.rows[slot % KST_OBJTABLE_WAYS].rows, true));
}

/* What a handler hears of rows, and when they are asked for. */
static void objects_rows(struct kunit *test)
{
	struct table *s = test->priv;
	struct kst_rows *rows = kunit_kzalloc(test, sizeof(*rows), GFP_KERNEL);
	struct kst_objkey key = key_of(1);
	struct kst_rows_met met;
	struct kst_rows *old;
	struct file *file;
	int bucket;
	bool work;
	u64 at;
	u32 id;

	KUNIT_ASSERT_NOT_NULL(test, rows);
	id = meet_rows_at(s, &key, s->now, &met, &work);
	KUNIT_EXPECT_TRUE(test, !met.rows && met.pending);
	KUNIT_EXPECT_EQ(test, meet_rows_at(s, &key, s->now, &met, &work), id);
	KUNIT_EXPECT_TRUE(test, !met.rows && met.pending);
	work_all(s);
	bucket = (id & (SLOTS - 1)) / KST_OBJTABLE_WAYS;

	KUNIT_EXPECT_TRUE(test, kst_objtable_set_rows(&s->t, id, KST_OBJROWS_GIVEN,
						      rows, &old));
	KUNIT_EXPECT_NULL(test, old);
	KUNIT_EXPECT_EQ(test, meet_rows_at(s, &key, s->now, &met, &work), id);
	KUNIT_EXPECT_TRUE(test, met.rows == rows && !met.pending && !work);
	KUNIT_EXPECT_FALSE(test, kst_objtable_set_rows(&s->t, id + SLOTS,
						       KST_OBJROWS_GIVEN, rows,
						       &old));

	KUNIT_EXPECT_TRUE(test, kst_objtable_set_rows(&s->t, id, KST_OBJROWS_NONE,
						      NULL, &old));
	KUNIT_EXPECT_PTR_EQ(test, old, rows);
	meet_rows_at(s, &key, s->now, &met, &work);
	KUNIT_EXPECT_TRUE(test, !met.rows && !met.pending && !work);
	KUNIT_EXPECT_EQ(test, kst_objtable_wanted(&s->t, bucket), 0);

	/* Dropped: asked for when it is met, once; dropped again: not at once. */
	kst_objtable_set_rows(&s->t, id, KST_OBJROWS_DROPPED, NULL, &old);
	KUNIT_EXPECT_EQ(test, kst_objtable_wanted(&s->t, bucket), 0);
	meet_rows_at(s, &key, s->now, &met, &work);
	KUNIT_EXPECT_TRUE(test, !met.rows && met.pending && work);
	KUNIT_EXPECT_EQ(test, kst_objtable_next(&s->t, KST_OBJSET_WORK, 0), bucket);
	KUNIT_EXPECT_EQ(test, kst_objtable_wanted(&s->t, bucket), id);
	kst_objtable_asked(&s->t, id, s->now);
	KUNIT_EXPECT_EQ(test, kst_objtable_wanted(&s->t, bucket), 0);
	meet_rows_at(s, &key, s->now + 2 * ASK_NS, &met, &work);
	KUNIT_EXPECT_TRUE(test, !met.rows && met.pending && !work);
	kst_objtable_set_rows(&s->t, id, KST_OBJROWS_GIVEN, rows, &old);
	kst_objtable_set_rows(&s->t, id, KST_OBJROWS_DROPPED, NULL, &old);
	meet_rows_at(s, &key, s->now + ASK_NS - 1, &met, &work);
	KUNIT_EXPECT_FALSE(test, work);
	meet_rows_at(s, &key, s->now + ASK_NS + 1, &met, &work);
	KUNIT_EXPECT_TRUE(test, work);
	/* They come before it was asked. */
	kst_objtable_set_rows(&s->t, id, KST_OBJROWS_GIVEN, rows, &old);
	KUNIT_EXPECT_EQ(test, kst_objtable_wanted(&s->t, bucket), 0);

	KUNIT_EXPECT_TRUE(test, kst_objtable_last_met(&s->t, id, &at));
	KUNIT_EXPECT_GT(test, at, s->now);
	kst_objtable_evict(&s->t, id, &file, &old);
	KUNIT_EXPECT_PTR_EQ(test, old, rows);
	put(file);
	KUNIT_EXPECT_FALSE(test, kst_objtable_last_met(&s->t, id, &at));
	id = meet_rows_at(s, &key, ktime_get_ns(), &met, &work);
	KUNIT_EXPECT_TRUE(test, id && !met.rows && met.pending);
}

static void objects_sizes(struct kunit *test)
{
	u32 slots;

	for (slots = KSTRATA_OBJECTS_MIN; slots <= KSTRATA_OBJECTS_MAX; slots *= 4) {
		struct kst_objtable t = {};

		KUNIT_ASSERT_EQ(test, kst_objtable_init(&t, slots), 0);
		KUNIT_EXPECT_EQ(test, 1u << t.slot_bits, slots);
		KUNIT_EXPECT_EQ(test, kst_objtable_next(&t, KST_OBJSET_WORK, 0), -1);
		kst_objtable_free(&t);
		kst_objtable_free(&t);
	}
}

static struct kunit_case cases[] = {
	KUNIT_CASE(objects_number),
	KUNIT_CASE(objects_unknown),
	KUNIT_CASE(objects_references),
	KUNIT_CASE(objects_let_go),
	KUNIT_CASE(objects_tells),
	KUNIT_CASE(objects_eviction),
	KUNIT_CASE(objects_generations),
	KUNIT_CASE(objects_race),
	KUNIT_CASE(objects_rows),
	KUNIT_CASE(objects_sizes),
	{}
};

struct kunit_suite kst_objects_suite = {
	.name = "kstrata-objects",
	.init = objects_setup,
	.exit = objects_teardown,
	.test_cases = cases,
};
