// SPDX-License-Identifier: Apache-2.0
#include "serve/profiletype.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int profile_type_parse(struct profile_type *out, const char *id)
{
	char *parts[] = { out->name, out->sample_type, out->sample_unit,
			  out->period_type, out->period_unit };

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		size_t len = strcspn(id, ":");

		if (len >= sizeof(out->name) || (i < 3 && !len))
			return -EINVAL;
		memcpy(parts[i], id, len);
		parts[i][len] = '\0';
		id += len;
		if (i + 1 < ARRAY_SIZE(parts) && *id++ != ':')
			return -EINVAL;
	}
	return !*id || !strcmp(id, ":delta") ? 0 : -EINVAL;
}

/* By the part of the name after its last dot. */
static const struct {
	const char *suffix;
	const char *type;
	bool time; /* values are samples: to be multiplied by their period */
} known[] = {
	{ "cpu", "process_cpu:cpu:nanoseconds:cpu:nanoseconds", true },
	{ "itimer", "process_cpu:cpu:nanoseconds:cpu:nanoseconds", true },
	{ "wall", "wall:wall:nanoseconds:cpu:nanoseconds", true },
	{ "inuse_objects", "memory:inuse_objects:count:space:bytes", false },
	{ "inuse_space", "memory:inuse_space:bytes:space:bytes", false },
	{ "alloc_objects", "memory:alloc_objects:count:space:bytes", false },
	{ "alloc_space", "memory:alloc_space:bytes:space:bytes", false },
	{ "goroutines", "goroutine:goroutine:count:goroutine:count", false },
	{ "mutex_count", "mutex:contentions:count:contentions:count", false },
	{ "mutex_duration", "mutex:delay:nanoseconds:contentions:count", false },
	{ "block_count", "block:contentions:count:contentions:count", false },
	{ "block_duration", "block:delay:nanoseconds:contentions:count", false },
	{ "lock_count", "block:contentions:count:contentions:count", false },
	{ "lock_duration", "block:delay:nanoseconds:contentions:count", false },
	{ "exceptions", "exceptions:exceptions:count:exceptions:count", false },
};

static size_t find_known(const char *suffix, size_t len)
{
	size_t i = 0;

	while (i < ARRAY_SIZE(known) &&
	       (strlen(known[i].suffix) != len ||
		memcmp(known[i].suffix, suffix, len)))
		i++;
	return i;
}

static void cut_spaces(const char **s, size_t *len)
{
	for (; *len && **s == ' '; (*len)--)
		(*s)++;
	while (*len && (*s)[*len - 1] == ' ')
		(*len)--;
}

/* "{k=v,k2=v2}"; values may not hold ',' or '}', spaces around are cut. */
static int parse_labels(const char *s, struct labels *labels, const char **why)
{
	*why = "name: labels must be {key=value,key=value}";
	if (!*s)
		return 0;
	if (*s != '{' || s[strlen(s) - 1] != '}')
		return -EINVAL;
	s++;
	while (*s != '}') {
		size_t name_len = strcspn(s, "=,}"), value;
		const char *v = s + name_len + 1, *end;
		int r;

		if (s[name_len] != '=')
			return -EINVAL;
		value = strcspn(v, ",}");
		end = v + value;
		cut_spaces(&s, &name_len);
		cut_spaces(&v, &value);
		if (value >= 2 && *v == '"' && v[value - 1] == '"')
			r = labels_setn(labels, s, name_len, v + 1, value - 2);
		else
			r = labels_setn(labels, s, name_len, v, value);
		if (r < 0) {
			if (r == -E2BIG)
				*why = "name: too many or too long labels";
			return r == -ENOMEM ? r : -EINVAL;
		}
		s = end;
		if (*s == ',')
			s++;
		else if (s[1])
			return -EINVAL;
	}
	return s[1] ? -EINVAL : 0;
}

int profile_type_of_push(const char *name, const char *units, const char *spy,
			 uint64_t sample_rate, struct labels *labels,
			 uint64_t *scale, const char **why)
{
	size_t app_len = strcspn(name, "{"), base_len = app_len, kind;
	const char *dot = memrchr(name, '.', app_len);
	char app[512];
	int r;

	*scale = 1;
	kind = 0; /* without a suffix: cpu */
	if (dot) {
		kind = find_known(dot + 1, app_len - (size_t)(dot + 1 - name));
		base_len = (size_t)(dot - name);
		/* A name with a dot of its own is no suffix of ours. */
		if (kind == ARRAY_SIZE(known)) {
			kind = 0;
			base_len = app_len;
		}
	}
	if (!base_len || base_len >= sizeof(app)) {
		*why = "name: must be app.cpu{key=value}";
		return -EINVAL;
	}
	memcpy(app, name, base_len);
	app[base_len] = '\0';
	r = parse_labels(name + app_len, labels, why);
	if (r < 0)
		return r;
	if (known[kind].time && strcmp(units, "nanoseconds")) {
		if (!sample_rate || sample_rate > (uint64_t)NSEC_PER_SEC) {
			*why = "sampleRate: must be 1 to 1000000000";
			return -EINVAL;
		}
		*scale = (uint64_t)NSEC_PER_SEC / sample_rate;
	}
	*why = "name: too many or too long labels";
	r = labels_set(labels, LABEL_PROFILE_TYPE, known[kind].type);
	if (r >= 0 && !labels_get(labels, "service_name"))
		r = labels_set(labels, "service_name", app);
	if (r >= 0)
		r = labels_set(labels, "app_name", app);
	if (r >= 0 && *spy)
		r = labels_set(labels, "pyroscope_spy", spy);
	return r == -E2BIG ? -EINVAL : r;
}
