// SPDX-License-Identifier: GPL-2.0-only
/* Filters: what is refused, and whom they fit. */
#include "../filter.c"

#include "suites.h"

static bool fits(const struct kst_filters *f, u32 pid)
{
	unsigned long flags;
	bool r;

	local_irq_save(flags);
	r = kst_filters_fit(f, pid);
	local_irq_restore(flags);
	return r;
}

static struct kst_filters *one(u16 kind, u64 id)
{
	struct kstrata_filter f = { .kind = kind, .id = id };

	return kst_filters_new(&f, 1);
}

static void filter_none(struct kunit *test)
{
	KUNIT_EXPECT_NULL(test, kst_filters_new(NULL, 0));
	KUNIT_EXPECT_TRUE(test, fits(NULL, 0));
	KUNIT_EXPECT_TRUE(test, fits(NULL, 4711));
}

static void filter_refused(struct kunit *test)
{
	struct kstrata_filter f = { .kind = KSTRATA_FILTER_PID, .id = 1 };
	unsigned int i;

	KUNIT_EXPECT_EQ(test, PTR_ERR(one(0, 1)), -EINVAL);
	KUNIT_EXPECT_EQ(test, PTR_ERR(one(3, 1)), -EINVAL);
	KUNIT_EXPECT_EQ(test, PTR_ERR(one(U16_MAX, 1)), -EINVAL);
	KUNIT_EXPECT_EQ(test, PTR_ERR(one(KSTRATA_FILTER_PID, 0)), -EINVAL);
	KUNIT_EXPECT_EQ(test, PTR_ERR(one(KSTRATA_FILTER_CGROUP, 0)), -EINVAL);
	KUNIT_EXPECT_EQ(test, PTR_ERR(one(KSTRATA_FILTER_PID, 1ull << 32)),
			-EINVAL);
	for (i = 0; i < ARRAY_SIZE(f.reserved); i++) {
		f.reserved[i] = 1;
		KUNIT_EXPECT_EQ(test, PTR_ERR(kst_filters_new(&f, 1)), -EINVAL);
		f.reserved[i] = 0;
	}
}

static void filter_number(struct kunit *test)
{
	struct kstrata_filter *many;
	struct kst_filters *f;
	u32 i;

	many = kunit_kcalloc(test, KSTRATA_FILTERS_MAX + 1, sizeof(*many),
			     GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, many);
	for (i = 0; i <= KSTRATA_FILTERS_MAX; i++)
		many[i] = (struct kstrata_filter){ .kind = KSTRATA_FILTER_PID,
						   .id = 1000 + i };
	KUNIT_EXPECT_EQ(test,
			PTR_ERR(kst_filters_new(many, KSTRATA_FILTERS_MAX + 1)),
			-E2BIG);
	KUNIT_EXPECT_EQ(test, PTR_ERR(kst_filters_new(many, U32_MAX)), -E2BIG);
	f = kst_filters_new(many, KSTRATA_FILTERS_MAX);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, f);
	/* A copy: the caller's may change. */
	memset(many, 0, (KSTRATA_FILTERS_MAX + 1) * sizeof(*many));
	for (i = 0; i < KSTRATA_FILTERS_MAX; i++)
		KUNIT_EXPECT_TRUE(test, fits(f, 1000 + i));
	KUNIT_EXPECT_FALSE(test, fits(f, 999));
	KUNIT_EXPECT_FALSE(test, fits(f, 1000 + KSTRATA_FILTERS_MAX));
	/* A task that the opener cannot see has no process id. */
	KUNIT_EXPECT_FALSE(test, fits(f, 0));
	kfree(f);
}

/* The own cgroup fits and so does each above it; a process id is none. */
static void filter_cgroup(struct kunit *test)
{
	struct cgroup *cgrp;
	struct kst_filters *f;
	u64 ids[LEVELS_MAX];
	unsigned int nr = 0, i;

	rcu_read_lock();
	for (cgrp = task_dfl_cgroup(current); cgrp && nr < LEVELS_MAX;
	     cgrp = cgroup_parent(cgrp))
		ids[nr++] = cgroup_id(cgrp);
	rcu_read_unlock();
	KUNIT_ASSERT_GT(test, nr, 0);
	KUNIT_EXPECT_EQ(test, kst_cgroup_of(current), ids[0]);
	for (i = 0; i < nr; i++) {
		f = one(KSTRATA_FILTER_CGROUP, ids[i]);
		KUNIT_ASSERT_NOT_ERR_OR_NULL(test, f);
		KUNIT_EXPECT_TRUE(test, fits(f, 1));
		kfree(f);
	}
	f = one(KSTRATA_FILTER_CGROUP, 0xdeadbeef12345);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, f);
	KUNIT_EXPECT_FALSE(test, fits(f, 1));
	KUNIT_EXPECT_FALSE(test, fits(f, 0x12345));
	kfree(f);
	f = one(KSTRATA_FILTER_PID, ids[0]);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, f);
	KUNIT_EXPECT_FALSE(test, fits(f, ids[0] + 1));
	KUNIT_EXPECT_TRUE(test, fits(f, ids[0]));
	kfree(f);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(filter_none),
	KUNIT_CASE(filter_refused),
	KUNIT_CASE(filter_number),
	KUNIT_CASE(filter_cgroup),
	{}
};

struct kunit_suite kst_filter_suite = {
	.name = "kstrata-filter",
	.test_cases = cases,
};
