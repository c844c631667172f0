// SPDX-License-Identifier: Apache-2.0
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "scratch.h"
#include "serve/attime.h"

#define NOW (INT64_C(1700000000) * NSEC_PER_SEC + 123456789)
#define MIN_S INT64_C(60)
#define HOUR_S (60 * MIN_S)
#define DAY_S (24 * HOUR_S)

static int64_t at(const char *s)
{
	int64_t ns = -77;
	int r = attime_parse(s, NOW, &ns);

	if (r)
		fail_msg("'%s': %d", s, r);
	return ns;
}

static void assert_none(const char *s)
{
	int64_t ns = 0;
	int r = attime_parse(s, NOW, &ns);

	if (r != -EINVAL)
		fail_msg("'%s': %d, %lld", s, r, (long long)ns);
}

/* The unit goes by the number of digits: one point in time, four ways. */
static void test_unix(void **state)
{
	(void)state;
	assert_int_equal(at("1577836800"), INT64_C(1577836800000000000));
	assert_int_equal(at("1577836800123"), INT64_C(1577836800123000000));
	assert_int_equal(at("1577836800123456"), INT64_C(1577836800123456000));
	assert_int_equal(at("1577836800123456789"),
			 INT64_C(1577836800123456789));
	assert_int_equal(at("0"), 0);
	assert_int_equal(at("1"), NSEC_PER_SEC);
	/* Both sides of each border: 11, 14, 17 digits. */
	assert_int_equal(at("00000000001"), NSEC_PER_SEC);
	assert_int_equal(at("000000000001"), NSEC_PER_MSEC);
	assert_int_equal(at("00000000000001"), NSEC_PER_MSEC);
	assert_int_equal(at("000000000000001"), 1000);
	assert_int_equal(at("00000000000000001"), 1000);
	assert_int_equal(at("000000000000000001"), 1);
}

/* What does not fit into 63 bits of ns is an error, not another time. */
static void test_unix_limits(void **state)
{
	(void)state;
	assert_int_equal(at("9223372036"), INT64_C(9223372036000000000));
	assert_none("9223372037");
	assert_none("99999999999");
	assert_int_equal(at("9223372036854"), INT64_C(9223372036854000000));
	assert_none("9223372036855");
	assert_int_equal(at("9223372036854775"), INT64_C(9223372036854775000));
	assert_none("9223372036854776");
	assert_int_equal(at("9223372036854775807"), INT64_MAX);
	assert_none("9223372036854775808");
	assert_none("18446744073709551615");
	assert_none("18446744073709551616");
	assert_none("99999999999999999999999999999999999999999999");
}

static void test_now(void **state)
{
	static const struct {
		const char *s;
		int64_t seconds;
	} v[] = {
		{ "now", 0 },
		{ "now-0s", 0 },
		{ "now-1s", -1 },
		{ "now+5s", 5 },
		{ "now-1m", -MIN_S },
		{ "now-1min", -MIN_S },
		{ "now-30min", -30 * MIN_S },
		{ "now-1h", -HOUR_S },
		{ "now-1h30m", -90 * MIN_S },
		{ "now-1h30min15s", -90 * MIN_S - 15 },
		{ "now+1h30m", 90 * MIN_S },
		{ "now-1d", -DAY_S },
		{ "now-2w", -14 * DAY_S },
		{ "now-1M", -30 * DAY_S },
		{ "now-1y", -365 * DAY_S },
		{ "now-1y1M1w1d1h1m1s",
		  -(365 + 30 + 7 + 1) * DAY_S - HOUR_S - MIN_S - 1 },
		{ "now-007s", -7 },
		{ "now-100y", -36500 * DAY_S },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(v); i++)
		if (at(v[i].s) != NOW + v[i].seconds * NSEC_PER_SEC)
			fail_msg("'%s': %lld", v[i].s, (long long)at(v[i].s));
}

static void test_now_limits(void **state)
{
	int64_t ns;

	(void)state;
	assert_none("now-9223372037s");
	assert_none("now+9223372037s");
	assert_none("now-9223372036854775807s");
	assert_none("now-9223372036854775808s");
	assert_none("now-99999999999999999999999999s");
	assert_none("now-293y");
	/* Each part fits, the sum does not. */
	assert_none("now-200y200y");
	/* The offset fits, the time does not. */
	assert_none("now+9223372036s");
	assert_int_equal(attime_parse("now-9223372036s", -NSEC_PER_SEC, &ns),
			 -EINVAL);
	assert_int_equal(attime_parse("now-9223372036s", 0, &ns), 0);
	assert_int_equal(ns, INT64_C(-9223372036000000000));
	assert_int_equal(attime_parse("now", INT64_MAX, &ns), 0);
	assert_int_equal(ns, INT64_MAX);
	assert_int_equal(attime_parse("now+1s", INT64_MAX, &ns), -EINVAL);
}

static unsigned int month_days(unsigned int year, unsigned int month)
{
	static const unsigned int days[] = { 31, 28, 31, 30, 31, 30,
					     31, 31, 30, 31, 30, 31 };
	bool leap = (year % 4 == 0 && year % 100) || year % 400 == 0;

	return days[month - 1] + (leap && month == 2);
}

/* Every day that has a time in ns, counted one by one from 1970-01-01 on. */
static void test_dates(void **state)
{
	int64_t day = 0;
	char s[32];

	(void)state;
	for (unsigned int y = 1970; y < 2262; y++)
		for (unsigned int m = 1; m <= 12; m++)
			for (unsigned int d = 1; d <= month_days(y, m); d++) {
				snprintf(s, sizeof(s), "%04u%02u%02u", y, m, d);
				if (at(s) != day * DAY_S * NSEC_PER_SEC)
					fail_msg("%s", s);
				day++;
			}
	assert_int_equal(at("20200101"), INT64_C(1577836800) * NSEC_PER_SEC);
	assert_int_equal(at("20240229"), INT64_C(1709164800) * NSEC_PER_SEC);
}

/* Days are UTC's wherever the daemon runs. */
static void test_dates_zone(void **state)
{
	(void)state;
	setenv("TZ", "UTC+11", 1);
	tzset();
	assert_int_equal(at("20200101"), INT64_C(1577836800) * NSEC_PER_SEC);
	unsetenv("TZ");
	tzset();
}

/* 2262-04-11 is the last day that 63 bits of ns reach. */
static void test_dates_limits(void **state)
{
	(void)state;
	assert_int_equal(at("22620411"), INT64_C(9223286400) * NSEC_PER_SEC);
	assert_none("22620412");
	assert_none("22621231");
	assert_none("23000101");
	assert_none("29991231");
}

/* Eight digits that are no date are seconds, as any others are. */
static void test_no_dates(void **state)
{
	static const char *const v[] = {
		"00000000", "00000001", "12345678", "19691231", "20230001",
		"20230100", "20230132", "20230229", "20230230", "20231301",
		"20239999", "21000229", "30000101", "99999999",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(v); i++)
		if (at(v[i]) != strtoll(v[i], NULL, 10) * NSEC_PER_SEC)
			fail_msg("'%s'", v[i]);
	assert_int_equal(at("2020010"), INT64_C(2020010) * NSEC_PER_SEC);
	assert_int_equal(at("202001010"), INT64_C(202001010) * NSEC_PER_SEC);
}

static void test_garbage(void **state)
{
	static const char *const v[] = {
		"", " ", "n", "no", "nowhere", "Now", "NOW", " now", "now ",
		"now-", "now+", "now--1h", "now-+1h", "now-1", "now-h",
		"now-1h-1m", "now-1h30", "now-1h ", "now- 1h", "now-1x",
		"now-1H", "now-1mi", "now-1mon", "now-1mins", "now-1.5h",
		"now-1hh", "now1h", "now*1h", "now 1h", "-1h", "+1h", "1h",
		"-1", "+1", "1.5", "1e9", "0x10", "1_000", "12 ", " 12",
		"1577836800s", "2020-01-01", "20200101T00", "2020010a",
		"2020-01-01T00:00:00Z", "\xff\xfe", "now-\xc3\xa9", "%s%n",
		"today", "midnight", "1577836800\n",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(v); i++)
		assert_none(v[i]);
}

/* Whatever it is, it is a time or an error. */
static void test_random(void **state)
{
	static const char bytes[] = "now-+0123456789smhdwMyi \x80";
	uint64_t seed = 7;
	int64_t ns;
	char s[48];
	size_t nr = 0;

	(void)state;
	for (int i = 0; i < 200000; i++) {
		size_t len = scratch_random(&seed) % (sizeof(s) - 1), k = 0;
		int r;

		if (i % 2) {
			strcpy(s, i % 4 == 1 ? "now-" : "now+");
			k = 4;
		}
		for (; k < len; k++)
			s[k] = bytes[scratch_random(&seed) %
				     (sizeof(bytes) - 1)];
		s[k] = '\0';
		r = attime_parse(s, NOW, &ns);
		if (r && r != -EINVAL)
			fail_msg("'%s': %d", s, r);
		nr += !r;
	}
	assert_true(nr > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unix),
		cmocka_unit_test(test_unix_limits),
		cmocka_unit_test(test_now),
		cmocka_unit_test(test_now_limits),
		cmocka_unit_test(test_dates),
		cmocka_unit_test(test_dates_zone),
		cmocka_unit_test(test_dates_limits),
		cmocka_unit_test(test_no_dates),
		cmocka_unit_test(test_garbage),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
