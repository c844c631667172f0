/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stacks whose outer part is missing, and why. Such a stack has a marker in
 * place of its outermost frame, a location like any other: "[cut: fault]", of
 * no object. So the reason is as exact as the stack, wherever stacks go.
 */
#ifndef KSTRATA_PROFILE_CUT_H
#define KSTRATA_PROFILE_CUT_H

#include "base/json.h"

#include <kstrata.h>

enum cut {
	CUT_NOT, /* the stack is whole */
	CUT_DEPTH, /* as of enum kstrata_reason */
	CUT_FAULT,
	CUT_BAD_FRAME,
	CUT_NOT_WALKED,
	CUT_NO_ROWS,
	CUT_BAD_RULE,
	CUT_NOT_RESIDENT,
	/*
	 * It ended like a whole one, but went by frame pointers where rows were
	 * not loaded yet: of code without any, callers are missing.
	 */
	CUT_NO_ROWS_YET,
	/* Likewise, where rows could not be looked up. */
	CUT_MAPPINGS_BUSY,
	CUT_OTHER, /* a reason that is newer than we are */
	CUTS,
};

/*
 * How a sample's stack, user and kernel as one, is cut on its outer side. rows:
 * the module is given some. Else frame pointers are all there is to go by, and
 * what ends well is taken for whole.
 */
enum cut cut_of(const struct kstrata_sample *s, bool rows);

/* "no rows", for people; "no_rows", for members and labels. */
const char *cut_name(enum cut cut);
const char *cut_key(enum cut cut);
/* "[cut: no rows]"; CUT_NOT has none. */
const char *cut_marker(enum cut cut);
/* Which marker a location is; CUT_NOT: none. */
enum cut cut_find(const char *name, const char *object);

/* Weights by reason as an object: those that are not 0, by their keys. */
void cut_write(struct json *j, const uint64_t cuts[CUTS]);
/* Is any of them not 0? */
bool cut_any(const uint64_t cuts[CUTS]);

#endif
