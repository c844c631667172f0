// SPDX-License-Identifier: GPL-2.0-only
/* include/kstrata/busy.h: no ns of busy time is lost or counted twice. */
#include "suites.h"

#include <kstrata/busy.h>
#include <kstrata/period.h>

static void busy_begins(struct kunit *test)
{
	struct kst_busy b;

	memset(&b, 0xff, sizeof(b));
	kst_busy_init(&b, 500);
	KUNIT_EXPECT_FALSE(test, b.running);
	KUNIT_EXPECT_EQ(test, kst_busy_resume(&b, 1000), 500);
	KUNIT_EXPECT_TRUE(test, b.running);
	KUNIT_EXPECT_EQ(test, b.due, 1500);
	KUNIT_EXPECT_EQ(test, kst_busy_expire(&b, 1510), 510);
	KUNIT_EXPECT_EQ(test, kst_busy_expire(&b, 1510), 0);
}

/* What is left of a period stands still with the CPU. */
static void busy_stands_still(struct kunit *test)
{
	struct kst_busy b;

	kst_busy_init(&b, 1000);
	kst_busy_resume(&b, 0);
	kst_busy_pause(&b, 300);
	KUNIT_EXPECT_EQ(test, b.left, 700);
	KUNIT_EXPECT_EQ(test, kst_busy_resume(&b, 1000000), 700);
	KUNIT_EXPECT_EQ(test, kst_busy_expire(&b, 1000700), 1000);
}

/* An expiry that idleness came before is served as soon as it can be. */
static void busy_overdue(struct kunit *test)
{
	struct kst_busy b;

	kst_busy_init(&b, 100);
	kst_busy_resume(&b, 0);
	kst_busy_pause(&b, 140);
	KUNIT_EXPECT_EQ(test, b.left, 0);
	KUNIT_EXPECT_EQ(test, kst_busy_resume(&b, 5000), 0);
	KUNIT_EXPECT_EQ(test, kst_busy_expire(&b, 5002), 142);
}

/*
 * Random bursts of work and idleness, expiries on time or late: the weights and
 * what is still to be told are the busy time, and idleness is all the rest.
 */
static void busy_adds_up(struct kunit *test)
{
	u64 random = 271828, now = 1000000, busy = 0, idle = 0, told = 0;
	u64 begin = now, mean = 1001001;
	struct kst_busy b;
	unsigned int i;

	kst_busy_init(&b, mean / 3);
	for (i = 0; i < kst_test_trials(200000); i++) {
		u64 burst = kst_random(&random) % (4 * mean), end, left;

		if (i % 2) {
			idle += burst;
			now += burst;
			continue;
		}
		left = kst_busy_resume(&b, now);
		KUNIT_ASSERT_EQ(test, b.due, now + left);
		KUNIT_ASSERT_LE(test, left, 2 * mean);
		end = now + burst;
		while (b.due <= end) {
			u64 late = kst_random(&random) % 5000;
			u64 at = min(b.due + late, end);

			told += kst_busy_expire(&b, at);
			b.due = at + kst_period_draw(&random, mean);
		}
		kst_busy_pause(&b, end);
		busy += burst;
		now = end;
	}
	KUNIT_EXPECT_EQ(test, told + b.run, busy);
	KUNIT_EXPECT_EQ(test, busy + idle, now - begin);
}

/*
 * Work that keeps time with the sampling period gets its share: 2 ms of every
 * 10.1 ms on an otherwise idle CPU, sampled at 99 Hz of busy time.
 */
static void busy_lockstep(struct kunit *test)
{
	u64 random = 1, now = 0, told = 0, mean = 10101010, samples = 0;
	const unsigned int rounds = 20000;
	struct kst_busy b;
	unsigned int i;

	kst_busy_init(&b, mean / 2);
	for (i = 0; i < rounds; i++) {
		u64 end;

		now = i * mean + 1000000;
		end = now + 2000000;
		kst_busy_resume(&b, now);
		while (b.due <= end) {
			told += kst_busy_expire(&b, b.due);
			samples++;
			b.due = b.since + kst_period_draw(&random, mean);
		}
		kst_busy_pause(&b, end);
	}
	KUNIT_EXPECT_EQ(test, told + b.run, rounds * 2000000ull);
	/* One each mean period of busy time, within 5 sigma. */
	KUNIT_EXPECT_LT(test, abs_diff(samples, rounds * 2000000ull / mean), 92);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(busy_begins),
	KUNIT_CASE(busy_stands_still),
	KUNIT_CASE(busy_overdue),
	KUNIT_CASE(busy_adds_up),
	KUNIT_CASE(busy_lockstep),
	{}
};

struct kunit_suite kst_busy_suite = {
	.name = "kstrata-busy",
	.test_cases = cases,
};
