/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prometheus vector selectors: {a="b", c!="d", e=~"re", f!~"re",} with an
 * optional profile type in front, as Pyroscope writes it:
 *	process_cpu:cpu:nanoseconds:cpu:nanoseconds{service_name="x"}
 * Values in double quotes, single quotes or backquotes, Go's escapes in the
 * first two. Regular expressions are anchored at both ends (POSIX extended).
 * A missing label equals "". {} takes everything.
 */
#ifndef KSTRATA_QUERY_SELECTOR_H
#define KSTRATA_QUERY_SELECTOR_H

#include "profile/labels.h"

#define SELECTOR_TEXT_MAX 8192
#define SELECTOR_MATCHERS_MAX 64

struct selector;

struct selector_error {
	size_t at; /* byte of the text */
	char message[160];
};

/* 0, -EINVAL with *err, -ENOMEM. "" is the same as {}. */
int selector_parse(struct selector **out, const char *text,
		   struct selector_error *err);
void selector_free(struct selector *s);
bool selector_match(const struct selector *s, const struct labels *l);
/* The profile type asked for by equality, or NULL. */
const char *selector_profile_type(const struct selector *s);

#endif
