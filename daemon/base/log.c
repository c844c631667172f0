// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const struct {
	const char *name;
	int syslog;
} levels[] = {
	[LOG_LEVEL_ERROR] = { "error", 3 },
	[LOG_LEVEL_WARN] = { "warn", 4 },
	[LOG_LEVEL_INFO] = { "info", 6 },
	[LOG_LEVEL_DEBUG] = { "debug", 7 },
};

static enum log_level log_threshold = LOG_LEVEL_INFO;

void log_set_level(enum log_level level)
{
	log_threshold = level;
}

int log_parse_level(const char *s, enum log_level *out)
{
	for (size_t i = 0; i < ARRAY_SIZE(levels); i++) {
		if (strcmp(s, levels[i].name))
			continue;
		*out = (enum log_level)i;
		return 0;
	}
	return -EINVAL;
}

const char *log_level_name(enum log_level level)
{
	return levels[level].name;
}

void log_write(enum log_level level, const char *fmt, ...)
{
	char line[2048];
	int used, n;
	va_list ap;

	if (level > log_threshold)
		return;
	if (getenv("JOURNAL_STREAM")) {
		used = snprintf(line, sizeof(line), "<%d>",
				levels[level].syslog);
	} else {
		struct timespec ts;
		struct tm tm;

		clock_gettime(CLOCK_REALTIME, &ts);
		gmtime_r(&ts.tv_sec, &tm);
		used = (int)strftime(line, sizeof(line), "%Y-%m-%dT%H:%M:%S",
				     &tm);
		used += snprintf(line + used, sizeof(line) - (size_t)used,
				 ".%03ldZ %-5s ", ts.tv_nsec / 1000000,
				 levels[level].name);
	}
	va_start(ap, fmt);
	n = vsnprintf(line + used, sizeof(line) - (size_t)used - 1, fmt, ap);
	va_end(ap);
	if (n < 0)
		return;
	used += n;
	if ((size_t)used > sizeof(line) - 2)
		used = sizeof(line) - 2;
	/* Names come from untrusted files: no control characters on a terminal. */
	for (int i = 0; i < used; i++)
		if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
			line[i] = '?';
	line[used++] = '\n';
	util_write_all(STDERR_FILENO, line, (size_t)used);
}

bool log_ratelimit(struct log_ratelimit *rl, unsigned int burst,
		   int64_t interval_ns)
{
	int64_t now = clock_monotonic_ns();

	if (!rl->begin || now - rl->begin >= interval_ns) {
		rl->begin = now;
		rl->done = 0;
	}
	return rl->done++ < burst;
}
