/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Label sets: sorted by name, names unique, values not empty. The profile type
 * of a series is the label __profile_type__.
 */
#ifndef KSTRATA_PROFILE_LABELS_H
#define KSTRATA_PROFILE_LABELS_H

#include "base/util.h"

#define LABEL_PROFILE_TYPE "__profile_type__"
#define PROFILE_TYPE_CPU "process_cpu:cpu:nanoseconds:cpu:nanoseconds"

#define LABELS_MAX 32
#define LABEL_NAME_MAX 1024
#define LABEL_VALUE_MAX 2048

struct label {
	char *name;
	char *value;
};

struct labels {
	struct label *v;
	size_t nr;
};

void labels_release(struct labels *l);
/*
 * Set name to value (copied), an empty value removes it. -EINVAL when the
 * name is not [a-zA-Z_][a-zA-Z0-9_.]*, -E2BIG past the limits above, -ENOMEM.
 * A value's bytes that are not UTF-8 stay as they are: writers repair them.
 */
int labels_set(struct labels *l, const char *name, const char *value);
int labels_setn(struct labels *l, const char *name, size_t name_len,
		const char *value, size_t value_len);
/* NULL when absent. */
const char *labels_get(const struct labels *l, const char *name);
int labels_copy(struct labels *to, const struct labels *from);
bool labels_equal(const struct labels *a, const struct labels *b);
uint64_t labels_hash(const struct labels *l);

#endif
