/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The true stack of return addresses: kept from the calls and returns that a thread
 * is seen to execute, never from tables or from what a stack looks like.
 */
#ifndef SHADOW_H
#define SHADOW_H

#include "tracee.h"

/* A return address where a call (or the kernel) has put it. */
struct entry {
	uint64_t slot;		/* its address */
	uint64_t ret;
	bool popped;		/* it is in a register for a while (vfork) */
	bool planted;		/* no call has put it there, but who made the stack */
	bool signal;		/* of a handler: beyond it is what was interrupted */
	uint64_t pc;		/* signal: where */
	size_t from;		/* ... in which stack */
	size_t from_depth;	/* ... how deep in it */
};

enum stack_kind {
	STACK_THREAD,	/* all memory that no other stack has */
	STACK_COROUTINE,
	STACK_SIGNALS,
};

struct stack {
	uint64_t base;
	uint64_t bytes;
	enum stack_kind kind;
	struct entry *entries;	/* outermost first */
	size_t n;
	size_t room;
};

#define STACKS_MAX 8

struct shadow {
	struct stack stacks[STACKS_MAX];
	size_t nr_stacks;
	size_t current;
};

void shadow_init(struct shadow *s);
/* A stack other than the thread's own. */
void shadow_add_stack(struct shadow *s, enum stack_kind kind, uint64_t base,
		      uint64_t bytes);
/*
 * One instruction of this kind has been executed; sp was SP before it, t is the state
 * after it.
 */
void shadow_step(struct shadow *s, enum kind kind, uint64_t sp, struct tracee *t);
/* A signal's handler is about to run; pc is where it came. */
void shadow_signal(struct shadow *s, uint64_t pc, struct tracee *t);
/*
 * PC, then the return addresses up to the outermost; how many (at most max).
 * *planted: the outermost is where the function of a coroutine returns to.
 */
size_t shadow_frames(const struct shadow *s, const struct tracee *t,
		     uint64_t *frames, size_t max, bool *planted);
/* The same, for a child that starts where its parent is. */
void shadow_copy(struct shadow *to, const struct shadow *from);
void shadow_release(struct shadow *s);

#endif /* SHADOW_H */
