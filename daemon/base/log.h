/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Log lines to stderr: with syslog's <N> prefix under the journal, with the
 * time otherwise. One line a call, logfmt-like "key=value" tails by habit.
 * Not more than a burst of lines a second from one place: see log_ratelimit.
 */
#ifndef KSTRATA_BASE_LOG_H
#define KSTRATA_BASE_LOG_H

#include "base/util.h"

enum log_level {
	LOG_LEVEL_ERROR,
	LOG_LEVEL_WARN,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG,
};

/* Process-wide by nature, as stderr is: the one exception to "no globals". */
void log_set_level(enum log_level level);
/* "error", "warn", "info", "debug"; -EINVAL for anything else. */
int log_parse_level(const char *s, enum log_level *out);
const char *log_level_name(enum log_level level);

void log_write(enum log_level level, const char *fmt, ...) printf_like(2, 3);

#define log_error(...) log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...) log_write(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...) log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)

/* A caller's own budget: true at most burst times in each interval. */
struct log_ratelimit {
	int64_t begin;
	unsigned int done;
};

bool log_ratelimit(struct log_ratelimit *rl, unsigned int burst,
		   int64_t interval_ns);

#endif
