// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unwind rows in the kernel: what is a table here, what it takes, whose go first.
 * Every field of a table is broken in turn by tests/unit/test_rows.c.
 */
#include "../rows.c"

#include <kunit/test.h>

#include "suites.h"

#define SLOTS	KSTRATA_OBJECTS_MIN

struct set {
	struct kst_objtable t;
	struct kst_rowset rows;
	u64 now;
};

/* One rule, one row, a page: the smallest table. */
struct smallest {
	struct kstrata_rows_table t;
	u16 starts[32];
	struct kstrata_rule rule;
	u32 pages[2];
	u32 block;
	u8 row_rules[32];
} __packed;

static void make_smallest(struct smallest *s)
{
	BUILD_BUG_ON(sizeof(*s) % 8);
	*s = (struct smallest){
		.t = {
			.magic = KSTRATA_ROWS_MAGIC,
			.version = KSTRATA_ROWS_VERSION,
			.machine = MACHINE,
			.extent = 100,
			.bytes = sizeof(*s),
			.nr_rules = 1,
			.nr_pages = 1,
			.nr_blocks = 1,
			.page_bits = 8,
			.aux = KSTRATA_ROWS_AUX_NONE,
		},
		.rule.cfa = KSTRATA_CFA_END,
	};
	memset(&s->starts[1], 0xff, sizeof(s->starts) - sizeof(u16));
}

static int rows_setup(struct kunit *test)
{
	struct set *s = kunit_kzalloc(test, sizeof(*s), GFP_KERNEL);

	if (!s)
		return -ENOMEM;
	test->priv = s;
	s->now = ktime_get_ns();
	if (kst_objtable_init(&s->t, SLOTS))
		return -ENOMEM;
	kst_rowset_init(&s->rows, &s->t, 64);
	return 0;
}

static void rows_teardown(struct kunit *test)
{
	struct set *s = test->priv;

	if (!s || !s->rows.table)
		return;
	kst_rowset_free(&s->rows);
	KUNIT_EXPECT_EQ(test, s->rows.held, 0);
	kst_objtable_free(&s->t);
	kst_rowset_exit();
}

static u32 meet(struct set *s, u32 n, u64 now, struct kst_rows_met *met)
{
	struct kst_objkey key = { .inode = 0xffff888000000000ul + n * 0x340,
				  .ino = n };
	unsigned long irq;
	bool work;
	u32 id;

	local_irq_save(irq);
	id = kst_objtable_meet(&s->t, &key, NULL, now, met, &work);
	local_irq_restore(irq);
	return id;
}

/* The smallest table, with more behind it than there is: to take room only. */
static int give(struct kunit *test, u32 id, u32 bytes, u32 *dropped)
{
	struct set *s = test->priv;
	struct kst_rows *rows = rows_alloc(bytes);
	int r;

	KUNIT_ASSERT_NOT_NULL(test, rows);
	make_smallest((struct smallest *)rows->table);
	kst_rows_view(&rows->view, rows->table);
	rows->id = id;
	INIT_LIST_HEAD(&rows->list);
	mutex_lock(&s->rows.lock);
	r = set_rows(&s->rows, id, rows, dropped);
	mutex_unlock(&s->rows.lock);
	if (r)
		kvfree(rows);
	return r;
}

static int give_none(struct kunit *test, u32 id)
{
	struct set *s = test->priv;
	u32 dropped;
	int r;

	mutex_lock(&s->rows.lock);
	r = set_rows(&s->rows, id, NULL, &dropped);
	mutex_unlock(&s->rows.lock);
	KUNIT_EXPECT_EQ(test, dropped, 0);
	return r;
}

static void rows_check(struct kunit *test)
{
	struct smallest *s = kunit_kzalloc(test, sizeof(*s), GFP_KERNEL);
	struct kst_rows_view v;
	size_t bytes, bit;

	KUNIT_ASSERT_NOT_NULL(test, s);
	make_smallest(s);
	KUNIT_EXPECT_EQ(test, kst_rows_check(s, sizeof(*s), MACHINE), 0);
	for (bytes = 0; bytes < sizeof(*s); bytes++)
		KUNIT_EXPECT_EQ(test, kst_rows_check(s, bytes, MACHINE), -EINVAL);
	kst_rows_view(&v, &s->t);
	KUNIT_EXPECT_PTR_EQ(test, (void *)v.starts, (void *)s->starts);
	KUNIT_EXPECT_PTR_EQ(test, (void *)v.row_rules, (void *)s->row_rules);
	KUNIT_EXPECT_PTR_EQ(test, (void *)kst_rows_find(&v, 99), (void *)&s->rule);
	KUNIT_EXPECT_NULL(test, kst_rows_find(&v, 100));
	KUNIT_EXPECT_NULL(test, kst_rows_find(&v, ~0ull));
	/* What is still a table after any one bit changed is good for look-ups. */
	for (bit = 0; bit < 8 * sizeof(*s); bit++) {
		((u8 *)s)[bit / 8] ^= 1u << bit % 8;
		if (!kst_rows_check(s, sizeof(*s), MACHINE)) {
			u64 x;

			kst_rows_view(&v, &s->t);
			for (x = 0; x < s->t.extent && x < 1000; x++)
				KUNIT_ASSERT_PTR_EQ(test,
					(void *)kst_rows_find(&v, s->t.first + x),
					(void *)&s->rule);
		}
		((u8 *)s)[bit / 8] ^= 1u << bit % 8;
	}
	KUNIT_EXPECT_EQ(test, kst_rows_check(s, sizeof(*s), MACHINE), 0);
}

static void rows_errors(struct kunit *test)
{
	struct set *s = test->priv;
	struct kst_rows_met met;
	u32 id = meet(s, 1, s->now, &met), dropped;

	KUNIT_ASSERT_NE(test, id, 0);
	KUNIT_EXPECT_EQ(test, give(test, id + 1, 1000, &dropped), -ENOENT);
	KUNIT_EXPECT_EQ(test, give_none(test, id + 1), -ENOENT);
	KUNIT_EXPECT_EQ(test, give(test, id, 65 * SZ_1K, &dropped), -E2BIG);
	KUNIT_EXPECT_EQ(test, s->rows.held, 0);
	/* What a vDSO has is not to be had. */
	KUNIT_EXPECT_EQ(test, give(test, KSTRATA_OBJECT_VDSO, 20 * SZ_1K, &dropped),
			0);
	KUNIT_EXPECT_EQ(test, give(test, id, 50 * SZ_1K, &dropped), -E2BIG);
	KUNIT_EXPECT_EQ(test, give(test, id, 30 * SZ_1K, &dropped), 0);
	KUNIT_EXPECT_EQ(test, give(test, KSTRATA_OBJECT_VDSO, 60 * SZ_1K, &dropped),
			0);
	KUNIT_EXPECT_EQ(test, dropped, 1);
	KUNIT_EXPECT_EQ(test, give(test, KSTRATA_OBJECT_VDSO32, 60 * SZ_1K,
				   &dropped), -E2BIG);
	KUNIT_EXPECT_LE(test, s->rows.held, s->rows.cap);
}

static void rows_vdso(struct kunit *test)
{
	struct set *s = test->priv;
	struct kst_rows_met met;
	u32 dropped;

	local_irq_disable();
	met = kst_rowset_vdso(&s->rows, KSTRATA_OBJECT_VDSO);
	local_irq_enable();
	KUNIT_EXPECT_TRUE(test, !met.rows && met.pending);
	KUNIT_EXPECT_EQ(test, give(test, KSTRATA_OBJECT_VDSO, 400, &dropped), 0);
	local_irq_disable();
	met = kst_rowset_vdso(&s->rows, KSTRATA_OBJECT_VDSO);
	local_irq_enable();
	KUNIT_EXPECT_TRUE(test, met.rows && !met.pending);
	KUNIT_EXPECT_EQ(test, met.rows->id, KSTRATA_OBJECT_VDSO);
	KUNIT_EXPECT_EQ(test, kst_rowset_held_kb(&s->rows), 1);
	KUNIT_EXPECT_EQ(test, give_none(test, KSTRATA_OBJECT_VDSO32), 0);
	local_irq_disable();
	met = kst_rowset_vdso(&s->rows, KSTRATA_OBJECT_VDSO32);
	local_irq_enable();
	KUNIT_EXPECT_TRUE(test, !met.rows && !met.pending);
	KUNIT_EXPECT_EQ(test, give_none(test, KSTRATA_OBJECT_VDSO), 0);
	KUNIT_EXPECT_EQ(test, s->rows.held, 0);
	KUNIT_EXPECT_EQ(test, give(test, KSTRATA_OBJECT_VDSO32, 400, &dropped), 0);
}

/* Objects met in another order than their rows came in. */
static void rows_make_room(struct kunit *test)
{
	static const u32 order[] = { 3, 1, 0, 4, 2 };
	struct set *s = test->priv;
	u32 id[ARRAY_SIZE(order) + 1], dropped, i, one = 12 * SZ_1K;
	struct kst_rows_met met;
	struct kst_rows *rows;
	struct file *file;

	for (i = 0; i < ARRAY_SIZE(order); i++) {
		id[i] = meet(s, i, s->now, &met);
		KUNIT_ASSERT_NE(test, id[i], 0);
		KUNIT_EXPECT_EQ(test, give(test, id[i], one - 1000, &dropped), 0);
		KUNIT_EXPECT_EQ(test, dropped, 0);
	}
	KUNIT_EXPECT_EQ(test, s->rows.held, 5 * one);
	for (i = 0; i < ARRAY_SIZE(order); i++)
		meet(s, order[i], s->now + (i + 1) * NSEC_PER_SEC, &met);
	/* Its own are no reason to drop another's. */
	KUNIT_EXPECT_EQ(test, give(test, id[0], one - 1000, &dropped), 0);
	KUNIT_EXPECT_EQ(test, dropped, 0);
	/* Room for others: those of 3 go first, then those of 1. */
	id[5] = meet(s, 5, s->now + 9 * NSEC_PER_SEC, &met);
	KUNIT_EXPECT_EQ(test, give(test, id[5], 16 * SZ_1K - 1000, &dropped), 0);
	KUNIT_EXPECT_EQ(test, dropped, 1);
	meet(s, 3, s->now + 9 * NSEC_PER_SEC, &met);
	KUNIT_EXPECT_TRUE(test, !met.rows && met.pending);
	meet(s, 1, s->now + 2 * NSEC_PER_SEC, &met);
	KUNIT_EXPECT_TRUE(test, met.rows && !met.pending);
	KUNIT_EXPECT_EQ(test, give(test, id[3], one - 1000, &dropped), 0);
	KUNIT_EXPECT_EQ(test, dropped, 1);
	meet(s, 1, s->now + 2 * NSEC_PER_SEC, &met);
	KUNIT_EXPECT_TRUE(test, !met.rows && met.pending);
	KUNIT_EXPECT_LE(test, s->rows.held, s->rows.cap);
	/* One that leaves takes its rows along. */
	mutex_lock(&s->rows.lock);
	kst_objtable_evict(&s->t, id[5], &file, &rows);
	KUNIT_ASSERT_NOT_NULL(test, rows);
	kst_rowset_release(&s->rows, rows);
	mutex_unlock(&s->rows.lock);
	KUNIT_EXPECT_NULL(test, file);
	KUNIT_EXPECT_EQ(test, s->rows.held, 4 * one);
	KUNIT_EXPECT_EQ(test, give(test, id[5], one, &dropped), -ENOENT);
}

/* What waits for its grace period is bounded. */
static void rows_retire(struct kunit *test)
{
	struct set *s = test->priv;
	struct kst_rows_met met;
	u32 id = meet(s, 1, s->now, &met), dropped, i, waits = 0;

	for (i = 0; i < 50; i++) {
		KUNIT_ASSERT_EQ(test, give(test, id, 30 * SZ_1K, &dropped), 0);
		mutex_lock(&s->rows.lock);
		waits += retired_much(&s->rows);
		KUNIT_EXPECT_LE(test, s->rows.retired, s->rows.cap);
		mutex_unlock(&s->rows.lock);
	}
	/* 49 times 32 KiB, and room for two of these. */
	KUNIT_EXPECT_EQ(test, waits, 49 / 3);
	KUNIT_EXPECT_EQ(test, s->rows.held, 32 * SZ_1K);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(rows_check),
	KUNIT_CASE(rows_errors),
	KUNIT_CASE(rows_vdso),
	KUNIT_CASE(rows_make_room),
	KUNIT_CASE(rows_retire),
	{}
};

struct kunit_suite kst_rows_suite = {
	.name = "kstrata-rows",
	.init = rows_setup,
	.exit = rows_teardown,
	.test_cases = cases,
};
