/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where in the call tree the last stacks ended, frame by frame. From one sample
 * of a thread to the next its outer frames mostly stay: what they led to need
 * not be found out again.
 *
 * A frame's word alone says what is called, for these: frames of objects whose
 * names are settled, what the look-up found to be no file's, and the kernel's.
 * Where a number comes to mean another file, all is forgotten, and samples
 * from before that are to be kept from here.
 */
#ifndef KSTRATA_COLLECT_PATHS_H
#define KSTRATA_COLLECT_PATHS_H

#include "profile/cut.h"

#define PATHS 256
#define PATH_STEPS_MAX (KSTRATA_KERNEL_DEPTH_MAX + KSTRATA_USER_DEPTH_MAX)

/* User frames by where they led, enum collector_frame: its first four kinds. */
#define PATH_KINDS 4
#define PATH_COUNT(kind) (1u << 8 * (kind))

struct path {
	uint32_t version;
	enum cut cut;
	uint16_t user, total; /* frames of the stack */
	uint16_t nr; /* outer ones of them that are here */
	struct path_step {
		uint64_t frame;
		uint32_t node;
		/* User frames up to here by kind, eight bits each. */
		uint32_t counts;
	} steps[PATH_STEPS_MAX]; /* outermost first */
};

/* Zero-initialised knows nothing. */
struct paths {
	struct path *v;
	uint32_t version;
};

void paths_release(struct paths *p);
/* Names may have changed, or the tree was replaced: all that is known is void. */
void paths_forget(struct paths *p);

/*
 * The path to follow and to write on for this sample. *shared of its outer
 * steps are those of the sample's stack; the others are gone. NULL: it is none
 * to be remembered.
 */
struct path *paths_begin(struct paths *p, const struct kstrata_sample *s,
			 enum cut cut, unsigned int *shared);

#endif
