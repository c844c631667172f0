/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Our own walk of a stopped thread's stack: the tables that the daemon compiles and
 * the steps that the module makes.
 */
#ifndef WALK_H
#define WALK_H

#include "tracee.h"

struct walker;

/* With no tables, everything is taken to keep frame pointers. */
struct walker *walker_new(bool tables);
void walker_free(struct walker *w);
/* Frames, leaf first, at most max; *reason: enum kstrata_reason. */
size_t walker_walk(struct walker *w, struct tracee *t, uint64_t *frames, size_t max,
		   uint8_t *reason);
/* Do rows say how to go on from here? */
bool walker_covers(struct walker *w, struct tracee *t, uint64_t pc);
const char *walker_reason(uint8_t reason);

#endif /* WALK_H */
