// SPDX-License-Identifier: Apache-2.0
#include "collect/paths.h"

#include "base/hash.h"

#include <kstrata/ring.h>
#include <stdlib.h>

void paths_release(struct paths *p)
{
	free(p->v);
	*p = (struct paths){ 0 };
}

void paths_forget(struct paths *p)
{
	p->version++;
}

static unsigned int compare(const struct path *path,
			    const struct kstrata_sample *s)
{
	unsigned int nr = s->nr_user + s->nr_kernel, same = 0;
	unsigned int limit = (unsigned int)min_u64(path->nr, nr);
	const __u64 *outermost = kst_sample_frames(s) + nr - 1;

	/* A word means another thing in the kernel's part. */
	if (path->user != s->nr_user)
		limit = (unsigned int)min_u64(
			limit, min_u64(path->user, s->nr_user));
	while (same < limit && path->steps[same].frame == *(outermost - same))
		same++;
	if (same == nr && nr == path->total)
		return same;
	/* The leaf is no return address: it has no meaning elsewhere. */
	limit = (unsigned int)min_u64(path->total, nr) - 1;
	return same < limit ? same : limit;
}

struct path *paths_begin(struct paths *p, const struct kstrata_sample *s,
			 enum cut cut, unsigned int *shared)
{
	unsigned int nr = s->nr_user + s->nr_kernel;
	struct path *path;

	*shared = 0;
	if (!nr || nr > PATH_STEPS_MAX || s->nr_user > KSTRATA_USER_DEPTH_MAX ||
	    (s->nr_user && s->lookup != KSTRATA_LOOKUP_DONE))
		return NULL;
	if (!p->v) {
		p->v = calloc(PATHS, sizeof(*p->v));
		if (!p->v)
			return NULL;
		paths_forget(p); /* the zeroes as well */
	}
	path = &p->v[hash_u64(s->tid) % PATHS];
	if (path->version == p->version && path->cut == cut)
		*shared = compare(path, s);
	path->version = p->version;
	path->cut = cut;
	path->user = s->nr_user;
	path->total = (uint16_t)nr;
	path->nr = (uint16_t)*shared;
	return path;
}
