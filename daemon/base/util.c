// SPDX-License-Identifier: Apache-2.0
#include "base/util.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static int64_t clock_ns(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (int64_t)ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
}

int64_t clock_monotonic_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

int64_t clock_realtime_ns(void)
{
	return clock_ns(CLOCK_REALTIME);
}

void util_closep(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void util_freep(void *p)
{
	free(*(void **)p);
}

int util_write_all(int fd, const void *data, size_t len)
{
	const char *p = data;

	while (len) {
		ssize_t n = write(fd, p, len);

		if (n < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

int util_read_file(const char *path, size_t max, char **data, size_t *len)
{
	cleanup(util_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
	cleanup(util_freep) char *buf = NULL;
	size_t used = 0, cap = 0;

	if (fd < 0)
		return -errno;
	for (;;) {
		ssize_t n;

		if (cap - used < 2) {
			size_t want = cap ? cap * 2 : 16384;
			char *bigger = realloc(buf, want);

			if (!bigger)
				return -ENOMEM;
			buf = bigger;
			cap = want;
		}
		n = read(fd, buf + used, cap - used - 1);
		if (n < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		if (!n)
			break;
		used += (size_t)n;
		if (used > max)
			return -EFBIG;
	}
	buf[used] = '\0';
	*data = buf;
	*len = used;
	buf = NULL;
	return 0;
}

int util_mkdirs(const char *path, unsigned int mode)
{
	char part[PATH_MAX];
	size_t len = strlen(path);

	if (!len)
		return -EINVAL;
	if (len >= sizeof(part))
		return -ENAMETOOLONG;
	memcpy(part, path, len + 1);
	for (size_t i = 1; i <= len; i++) {
		if (part[i] != '/' && part[i])
			continue;
		part[i] = '\0';
		if (mkdir(part, mode) < 0 && errno != EEXIST)
			return -errno;
		part[i] = path[i];
	}
	return 0;
}

int util_parse_u64(const char *s, uint64_t *out)
{
	uint64_t v = 0;

	if (!*s)
		return -EINVAL;
	for (; *s; s++) {
		if (*s < '0' || *s > '9')
			return -EINVAL;
		if (__builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(*s - '0'), &v))
			return -ERANGE;
	}
	*out = v;
	return 0;
}

/* Digits, then a unit that is looked up; shared by sizes and durations. */
static int parse_scaled(const char *s, const char *const *units,
			const uint64_t *scale, size_t nr, uint64_t *out)
{
	char digits[24];
	size_t n = strspn(s, "0123456789");
	uint64_t v;
	int r;

	if (!n || n >= sizeof(digits))
		return -EINVAL;
	memcpy(digits, s, n);
	digits[n] = '\0';
	r = util_parse_u64(digits, &v);
	if (r < 0)
		return r;
	for (size_t i = 0; i < nr; i++) {
		if (strcmp(s + n, units[i]))
			continue;
		if (__builtin_mul_overflow(v, scale[i], out))
			return -ERANGE;
		return 0;
	}
	return -EINVAL;
}

int util_parse_size(const char *s, uint64_t *out)
{
	static const char *const units[] = { "", "K", "M", "G", "T" };
	static const uint64_t scale[] = { 1, 1ULL << 10, 1ULL << 20, 1ULL << 30,
					  1ULL << 40 };

	return parse_scaled(s, units, scale, ARRAY_SIZE(units), out);
}

int util_parse_duration(const char *s, int64_t *ns)
{
	static const char *const units[] = { "",  "ns", "us", "ms", "s",
					     "m", "h",	"d",  "w" };
	static const uint64_t scale[] = {
		1000000000ULL,	1ULL,		1000ULL,
		1000000ULL,	1000000000ULL,	60000000000ULL,
		3600000000000ULL, 86400000000000ULL, 604800000000000ULL,
	};
	uint64_t v;
	int r = parse_scaled(s, units, scale, ARRAY_SIZE(units), &v);

	if (r < 0)
		return r;
	if (v > INT64_MAX)
		return -ERANGE;
	*ns = (int64_t)v;
	return 0;
}

static int parse_cpu(const char **s, size_t words, uint64_t *cpu)
{
	char digits[16];
	size_t n = strspn(*s, "0123456789");

	if (!n || n >= sizeof(digits))
		return -EINVAL;
	memcpy(digits, *s, n);
	digits[n] = '\0';
	*s += n;
	if (util_parse_u64(digits, cpu) < 0)
		return -EINVAL;
	return *cpu < words * 64 ? 0 : -ERANGE;
}

int util_parse_cpus(const char *s, uint64_t *mask, size_t words)
{
	uint64_t from, to;
	int r;

	memset(mask, 0, words * sizeof(*mask));
	for (;; s++) {
		r = parse_cpu(&s, words, &from);
		if (r < 0)
			return r;
		to = from;
		if (*s == '-') {
			s++;
			r = parse_cpu(&s, words, &to);
			if (r < 0)
				return r;
		}
		if (to < from)
			return -EINVAL;
		for (uint64_t cpu = from; cpu <= to; cpu++)
			mask[cpu / 64] |= UINT64_C(1) << cpu % 64;
		if (!*s)
			return 0;
		if (*s != ',')
			return -EINVAL;
	}
}
