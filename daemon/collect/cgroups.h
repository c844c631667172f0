/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Paths of cgroups in the default hierarchy by the ids that samples carry. An
 * id is looked up when it is first met, so that a cgroup that is gone by the
 * next sample keeps its name. Bounded.
 */
#ifndef KSTRATA_COLLECT_CGROUPS_H
#define KSTRATA_COLLECT_CGROUPS_H

#include "base/util.h"

struct cgroups;

/* root: where the hierarchy is mounted; NULL: find it. Need not exist. */
int cgroups_new(struct cgroups **out, const char *root);
void cgroups_free(struct cgroups *c);
/* "/", "/system.slice/x.service"; NULL: not known. Valid until the next call. */
const char *cgroups_path(struct cgroups *c, uint64_t id);
/*
 * The id of a path, as the above has it or with the mount point before it.
 * -ENOENT, -errno.
 */
int cgroups_id(const struct cgroups *c, const char *path, uint64_t *id);

#endif
