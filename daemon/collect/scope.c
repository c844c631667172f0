// SPDX-License-Identifier: Apache-2.0
#include "collect/scope.h"

#include "collect/cgroups.h"

#include <errno.h>
#include <string.h>

static void add(struct device_scope *out, uint16_t kind, uint64_t id)
{
	struct kstrata_filter *f = &out->filters[out->nr_filters++];

	f->kind = kind;
	f->id = id;
}

static int add_cgroups(struct device_scope *out, const struct config_list *paths)
{
	struct cgroups *cgroups = NULL;
	int r = 0;

	if (paths->nr)
		r = cgroups_new(&cgroups, NULL);
	for (size_t i = 0; r >= 0 && i < paths->nr; i++) {
		uint64_t id;

		r = cgroups_id(cgroups, paths->v[i], &id);
		if (r < 0)
			log_error("cgroup = %s: %s", paths->v[i], strerror(-r));
		else
			add(out, KSTRATA_FILTER_CGROUP, id);
	}
	cgroups_free(cgroups);
	return r;
}

int scope_make(struct device_scope *out, const struct config *config)
{
	int r = 0;

	memset(out, 0, sizeof(*out));
	if (config->pids.nr + config->cgroups.nr > ARRAY_SIZE(out->filters))
		return -E2BIG;
	if (strcmp(config->cpus, "all") != 0) {
		out->some_cpus = true;
		r = util_parse_cpus(config->cpus, out->cpus,
				    ARRAY_SIZE(out->cpus));
	}
	for (size_t i = 0; r >= 0 && i < config->pids.nr; i++) {
		uint64_t pid;

		r = util_parse_u64(config->pids.v[i], &pid);
		if (r >= 0)
			add(out, KSTRATA_FILTER_PID, pid);
	}
	return r < 0 ? r : add_cgroups(out, &config->cgroups);
}

bool scope_is_all(const struct device_scope *s)
{
	return !s->some_cpus && !s->nr_filters;
}

bool scope_equal(const struct device_scope *a, const struct device_scope *b)
{
	return a->some_cpus == b->some_cpus && a->nr_filters == b->nr_filters &&
	       !memcmp(a->cpus, b->cpus, sizeof(a->cpus)) &&
	       !memcmp(a->filters, b->filters, sizeof(a->filters));
}
