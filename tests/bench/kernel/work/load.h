/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fixed amounts of work. Each is the same instructions in every run, but for
 * what the kernel does in between: that is what the bench measures.
 */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include <stdint.h>

/* The worker, one level below it, and that one's caller. */
#define LOAD_DEPTH_MIN	3
#define LOAD_DEPTH_MAX	200

struct load {
	const char *name;
	const char *help;
	/* Once, before: whatever needs opening. May be NULL. */
	void (*prepare)(void);
	void (*run)(uint64_t rounds);
};

/* NULL: no such load. */
const struct load *load_find(const char *name);
void load_list(void);

/*
 * Run it with exactly depth frames on the user stack, the function that works
 * included, all linked by frame pointers if these are built with them. Loads that start
 * other programs or switch between them have their depth on the first process's stack
 * only.
 */
void load_run(const struct load *load, uint64_t rounds, unsigned int depth);

#endif
