// SPDX-License-Identifier: Apache-2.0
#include "profile/cut.h"

#include <kstrata/ring.h>
#include <string.h>

#define CUT(text, member) { text, member, "[cut: " text "]" }

static const struct {
	const char *name, *key, *marker;
} cuts[] = {
	[CUT_NOT] = { "", "", "" },
	[CUT_DEPTH] = CUT("depth", "depth"),
	[CUT_FAULT] = CUT("fault", "fault"),
	[CUT_BAD_FRAME] = CUT("bad frame", "bad_frame"),
	[CUT_NOT_WALKED] = CUT("not walked", "not_walked"),
	[CUT_NO_ROWS] = CUT("no rows", "no_rows"),
	[CUT_BAD_RULE] = CUT("bad rule", "bad_rule"),
	[CUT_NOT_RESIDENT] = CUT("not resident", "not_resident"),
	[CUT_NO_ROWS_YET] = CUT("no rows yet", "no_rows_yet"),
	[CUT_MAPPINGS_BUSY] = CUT("mappings busy", "mappings_busy"),
	[CUT_OTHER] = CUT("other", "other"),
};

_Static_assert(ARRAY_SIZE(cuts) == CUTS, "a name for each");

static enum cut of_reason(uint8_t reason)
{
	switch (reason) {
	case KSTRATA_REASON_NONE:
	case KSTRATA_REASON_COMPLETE:
		return CUT_NOT;
	case KSTRATA_REASON_DEPTH:
		return CUT_DEPTH;
	case KSTRATA_REASON_FAULT:
		return CUT_FAULT;
	case KSTRATA_REASON_BAD_FRAME:
		return CUT_BAD_FRAME;
	case KSTRATA_REASON_UNSUPPORTED:
		return CUT_NOT_WALKED;
	case KSTRATA_REASON_NO_ROWS:
		return CUT_NO_ROWS;
	case KSTRATA_REASON_BAD_RULE:
		return CUT_BAD_RULE;
	case KSTRATA_REASON_NOT_RESIDENT:
		return CUT_NOT_RESIDENT;
	}
	return CUT_OTHER;
}

enum cut cut_of(const struct kstrata_sample *s, bool rows)
{
	/* What the kernel's walk missed is outermost where no user stack is. */
	if (s->user_reason == KSTRATA_REASON_NONE && !s->nr_user) {
		/* Hidden on purpose; the one frame says so. */
		if (s->nr_kernel == 1 &&
		    kst_sample_frames(s)[0] == KSTRATA_FRAME_HIDDEN)
			return CUT_NOT;
		return of_reason(s->kernel_reason);
	}
	/*
	 * Frame pointers of code that has none end a walk anyhow, even well; the
	 * limit alone cuts those that were right as well.
	 */
	if (rows && s->user_reason != KSTRATA_REASON_DEPTH) {
		if (s->walk & KSTRATA_WALK_PENDING)
			return CUT_NO_ROWS_YET;
		if (s->lookup == KSTRATA_LOOKUP_BUSY)
			return CUT_MAPPINGS_BUSY;
	}
	return of_reason(s->user_reason);
}

const char *cut_name(enum cut cut)
{
	return cuts[cut].name;
}

const char *cut_key(enum cut cut)
{
	return cuts[cut].key;
}

const char *cut_marker(enum cut cut)
{
	return cuts[cut].marker;
}

enum cut cut_find(const char *name, const char *object)
{
	if (*name != '[' || *object)
		return CUT_NOT;
	for (enum cut i = CUT_NOT + 1; i < CUTS; i++)
		if (!strcmp(name, cuts[i].marker))
			return i;
	return CUT_NOT;
}

void cut_write(struct json *j, const uint64_t weights[CUTS])
{
	json_object(j);
	for (enum cut i = CUT_NOT + 1; i < CUTS; i++) {
		if (!weights[i])
			continue;
		json_key(j, cuts[i].key);
		json_u64(j, weights[i]);
	}
	json_end_object(j);
}

bool cut_any(const uint64_t weights[CUTS])
{
	for (enum cut i = CUT_NOT + 1; i < CUTS; i++)
		if (weights[i])
			return true;
	return false;
}
