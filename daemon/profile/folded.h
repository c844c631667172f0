/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Folded stacks: lines "outer;middle;leaf 123", the value after the last
 * space. Empty lines and a trailing CR are skipped. Frames may hold spaces and
 * any byte but ';', newline and NUL; an empty frame is kept as "".
 */
#ifndef KSTRATA_PROFILE_FOLDED_H
#define KSTRATA_PROFILE_FOLDED_H

#include "profile/dict.h"

#define FOLDED_DEPTH_MAX 4096
#define FOLDED_LINE_MAX (1u << 20)

struct folded_error {
	size_t line; /* counts from 1 */
	char message[160];
};

/*
 * Parse text and call fn for each stack, its node interned in d. Values are
 * multiplied by scale. All or nothing is the caller's affair: on -EINVAL (then
 * *err says where and why) stacks of earlier lines were already handed to fn.
 * A value that overflows 2^63 after scaling is -EINVAL too. Otherwise 0,
 * -ENOMEM, or what fn returned if that was negative.
 */
typedef int (*folded_fn)(void *userdata, uint32_t node, uint64_t value);

int folded_parse(struct dict *d, const char *text, size_t len, uint64_t scale,
		 folded_fn fn, void *userdata, struct folded_error *err);

/* Only check that folded_parse() would take it; same results and *err. */
int folded_check(const char *text, size_t len, uint64_t scale,
		 struct folded_error *err);

#endif
