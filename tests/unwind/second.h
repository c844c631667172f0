/* SPDX-License-Identifier: Apache-2.0 */
/* A second opinion on a stopped thread's stack: elfutils' libdwfl. And names. */
#ifndef SECOND_H
#define SECOND_H

#include "tracee.h"

struct second;

struct second *second_new(struct tracee *t);
void second_free(struct second *s);
/* Frames, leaf first, at most max. */
size_t second_walk(struct second *s, struct tracee *t, uint64_t *frames, size_t max);
/* Mappings have changed. */
void second_remapped(struct second *s);
/* "function+offset [file]" or what is known of it. */
void second_name(struct second *s, struct tracee *t, uint64_t pc, bool offset,
		 char *name, size_t bytes);

#endif /* SECOND_H */
