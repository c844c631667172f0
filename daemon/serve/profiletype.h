/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Profile types: "name:sample type:sample unit:period type:period unit", and how
 * the names that pushers use ("app.cpu") map to them.
 */
#ifndef KSTRATA_SERVE_PROFILETYPE_H
#define KSTRATA_SERVE_PROFILETYPE_H

#include "profile/labels.h"

struct profile_type {
	char name[64], sample_type[64], sample_unit[64];
	char period_type[64], period_unit[64];
};

/* -EINVAL unless it has five parts (a sixth, "delta", is let pass). */
int profile_type_parse(struct profile_type *out, const char *id);

/*
 * What POST /ingest was told: name=app.cpu{k=v,k2=v2}, units and sampleRate.
 * Fills in the series' labels, profile type and service_name among them, and
 * what to multiply each value with. spy is "" when not given. On -EINVAL *why
 * is a static text.
 */
int profile_type_of_push(const char *name, const char *units, const char *spy,
			 uint64_t sample_rate, struct labels *labels,
			 uint64_t *scale, const char **why);

#endif
