/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The regular expressions of selectors. Their authors think of RE2 (Prometheus,
 * Grafana), the C library has POSIX extended ones: what is common in the first
 * and easy in the second is translated, the rest is refused with a message.
 *
 * Translated: \d \D \w \W \s \S (in brackets the lower-case ones), (?:...), a
 * leading (?i) or (?s), lazy quantifiers, \n \t \r \f \v, \A \z, and any escaped
 * punctuation. Refused: back references, other (?...), expressions that would
 * take the library much memory or a deep stack.
 */
#ifndef KSTRATA_QUERY_REGEX_H
#define KSTRATA_QUERY_REGEX_H

#include <regex.h>

#include "base/util.h"

#define REGEX_TEXT_MAX 2048
#define REGEX_DEPTH_MAX 32

/*
 * Compile, anchored at both ends. 0, -ENOMEM, or -EINVAL and why says what is
 * wrong.
 */
int regex_compile(regex_t *out, const char *text, char *why, size_t why_len);

#endif
