// SPDX-License-Identifier: Apache-2.0
#include "serve/attime.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#define DAY (24 * 3600)

static int parse_unit(const char **s, int64_t *seconds)
{
	static const struct {
		const char *name;
		int64_t seconds;
	} units[] = {
		{ "min", 60 },	{ "s", 1 },	    { "m", 60 },
		{ "h", 3600 },	{ "d", DAY },	    { "w", 7 * DAY },
		{ "M", 30 * DAY }, { "y", 365 * DAY },
	};

	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		size_t len = strlen(units[i].name);

		if (strncmp(*s, units[i].name, len))
			continue;
		*s += len;
		*seconds = units[i].seconds;
		return 0;
	}
	return -EINVAL;
}

/* "-1h30m" behind "now". */
static int parse_offset(const char *s, int64_t *ns)
{
	int64_t sign = *s == '-' ? -1 : 1;

	if (*s != '-' && *s != '+')
		return -EINVAL;
	s++;
	*ns = 0;
	do {
		int64_t n = 0, unit;

		if (*s < '0' || *s > '9')
			return -EINVAL;
		for (; *s >= '0' && *s <= '9'; s++)
			if (__builtin_mul_overflow(n, 10, &n) ||
			    __builtin_add_overflow(n, *s - '0', &n))
				return -EINVAL;
		if (parse_unit(&s, &unit) < 0 ||
		    __builtin_mul_overflow(n, unit, &n) ||
		    __builtin_mul_overflow(n, NSEC_PER_SEC, &n) ||
		    __builtin_add_overflow(*ns, n, ns))
			return -EINVAL;
	} while (*s);
	*ns *= sign;
	return 0;
}

static void parse_date(uint64_t yyyymmdd, uint64_t *seconds)
{
	struct tm tm = {
		.tm_year = (int)(yyyymmdd / 10000) - 1900,
		.tm_mon = (int)(yyyymmdd / 100 % 100) - 1,
		.tm_mday = (int)(yyyymmdd % 100),
	};
	struct tm as_given = tm;
	time_t t = timegm(&tm);

	/* timegm() makes February 30 into March 2: no date, left alone. */
	if (tm.tm_mon == as_given.tm_mon && tm.tm_mday == as_given.tm_mday &&
	    t >= 0)
		*seconds = (uint64_t)t;
}

int attime_parse(const char *s, int64_t now_ns, int64_t *out_ns)
{
	static const struct {
		size_t digits;
		int64_t scale;
	} scales[] = {
		{ 11, NSEC_PER_SEC }, { 14, NSEC_PER_MSEC }, { 17, 1000 },
		{ 20, 1 },
	};
	size_t digits = strspn(s, "0123456789"), i = 0;
	int64_t offset = 0;
	uint64_t v;

	if (!strncmp(s, "now", 3)) {
		if (s[3] && parse_offset(s + 3, &offset) < 0)
			return -EINVAL;
		return __builtin_add_overflow(now_ns, offset, out_ns) ?
			       -EINVAL :
			       0;
	}
	if (!digits || s[digits] || util_parse_u64(s, &v) < 0 || v > INT64_MAX)
		return -EINVAL;
	/* What is no date stays what it is: seconds. */
	if (digits == 8 && v >= 19700101 && v <= 29991231)
		parse_date(v, &v);
	while (i < ARRAY_SIZE(scales) - 1 && digits > scales[i].digits)
		i++;
	return __builtin_mul_overflow((int64_t)v, scales[i].scale, out_ns) ?
		       -EINVAL :
		       0;
}
