// SPDX-License-Identifier: GPL-2.0-only
/* include/kstrata/period.h: bounds, mean, spread, independence. */
#include "suites.h"

#include <linux/math64.h>

#include <kstrata/period.h>

#define DRAWS	65536
#define BINS	64

static const u64 means[] = { 100000, 1001001, 10101010, 1000000000, 4294967295 };

static void period_bounds(struct kunit *test)
{
	u64 extreme[] = { 1, ~0ull, 1ull << 63, 0x5555555555555555ull };
	unsigned int m, e, i;

	for (m = 0; m < ARRAY_SIZE(means); m++) {
		for (e = 0; e < ARRAY_SIZE(extreme); e++) {
			u64 state = extreme[e], bad = 0;

			for (i = 0; i < kst_test_trials(20000); i++) {
				u64 p = kst_period_draw(&state, means[m]);

				bad += p < means[m] / 2 ||
				       p >= means[m] / 2 + means[m];
				bad += !state;
			}
			KUNIT_EXPECT_EQ(test, bad, 0);
		}
	}
	/* The rate nobody asks for does not divide or wait for ever. */
	for (i = 1; i < 4; i++) {
		u64 state = i;

		KUNIT_EXPECT_LE(test, kst_period_draw(&state, i), 2 * i);
	}
}

/* The sum of n draws is n times the mean within 5 sigma: mean / sqrt(12 n). */
static void period_mean(struct kunit *test)
{
	unsigned int m, i;

	for (m = 0; m < ARRAY_SIZE(means); m++) {
		u64 state = 12345 + m, sum = 0, wanted = means[m] * DRAWS;
		/* 5 * mean * DRAWS / (sqrt(12) * sqrt(DRAWS)) */
		u64 sigma5 = means[m] * 256 * 1443 / 1000;

		for (i = 0; i < DRAWS; i++)
			sum += kst_period_draw(&state, means[m]);
		KUNIT_EXPECT_LT(test, abs_diff(sum, wanted), sigma5);
	}
}

/*
 * Chi square over 64 equal bins: 63 degrees of freedom, beyond 128 in one of
 * 10^5 sequences; and the seeds are fixed.
 */
static void period_even(struct kunit *test)
{
	unsigned int *bins = kunit_kcalloc(test, BINS, sizeof(*bins), GFP_KERNEL);
	unsigned int m, i;

	KUNIT_ASSERT_NOT_NULL(test, bins);
	for (m = 0; m < ARRAY_SIZE(means); m++) {
		u64 state = 777 + m, chi = 0;

		memset(bins, 0, BINS * sizeof(*bins));
		for (i = 0; i < DRAWS; i++) {
			u64 p = kst_period_draw(&state, means[m]) - means[m] / 2;
			u64 bin = div64_u64(p * BINS, means[m]);

			KUNIT_ASSERT_LT(test, bin, BINS);
			bins[bin]++;
		}
		for (i = 0; i < BINS; i++) {
			s64 d = (s64)bins[i] - DRAWS / BINS;

			chi += d * d;
		}
		chi = div_u64(chi, DRAWS / BINS);
		KUNIT_EXPECT_LT(test, chi, 128);
		/* Too even is not random either. */
		KUNIT_EXPECT_GT(test, chi, 20);
	}
}

/*
 * One draw says nothing of the next: of all pairs (low half or high half), each
 * of the four is as frequent.
 */
static void period_independent(struct kunit *test)
{
	unsigned int pairs[4] = {}, last = 0, i;
	u64 state = 99, mean = 1000000;

	for (i = 0; i < DRAWS; i++) {
		unsigned int high = kst_period_draw(&state, mean) >= mean;

		pairs[2 * last + high]++;
		last = high;
	}
	/* 5 sigma of a binomial: sqrt(n * 3 / 16) is 111. */
	for (i = 0; i < 4; i++)
		KUNIT_EXPECT_LT(test, abs_diff(pairs[i], DRAWS / 4u), 555u);
}

/* CPUs that start together do not stay together. */
static void period_phases(struct kunit *test)
{
	u64 a = 1, b = 2, t_a = 0, t_b = 0, mean = 10101010;
	unsigned int i, together = 0;

	for (i = 0; i < 1000; i++) {
		t_a += kst_period_draw(&a, mean);
		t_b += kst_period_draw(&b, mean);
		together += abs_diff(t_a, t_b) < mean / 100;
	}
	KUNIT_EXPECT_LT(test, together, 50u);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(period_bounds),
	KUNIT_CASE(period_mean),
	KUNIT_CASE(period_even),
	KUNIT_CASE(period_independent),
	KUNIT_CASE(period_phases),
	{}
};

struct kunit_suite kst_period_suite = {
	.name = "kstrata-period",
	.test_cases = cases,
};
