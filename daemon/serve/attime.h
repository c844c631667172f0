/* SPDX-License-Identifier: Apache-2.0 */
/* Points in time as Pyroscope's (and Graphite's) HTTP interfaces write them. */
#ifndef KSTRATA_SERVE_ATTIME_H
#define KSTRATA_SERVE_ATTIME_H

#include "base/util.h"

/*
 * Real time in ns from: unix seconds, ms, us or ns, told apart by their number
 * of digits (up to 11, 14, 17, more); "now", "now-1h30m", "now+5s" with s, m
 * (or min), h, d, w, M (30 days), y (365 days); YYYYMMDD. -EINVAL.
 */
int attime_parse(const char *s, int64_t now_ns, int64_t *out_ns);

#endif
