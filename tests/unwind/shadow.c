// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>
#include <string.h>

#include "shadow.h"

void shadow_init(struct shadow *s)
{
	memset(s, 0, sizeof(*s));
	s->nr_stacks = 1;
	s->stacks[0].kind = STACK_THREAD;
}

void shadow_add_stack(struct shadow *s, enum stack_kind kind, uint64_t base,
		      uint64_t bytes)
{
	struct stack *k;

	for (size_t i = 1; i < s->nr_stacks; i++)
		if (s->stacks[i].base == base)
			return;
	if (s->nr_stacks == STACKS_MAX)
		abort();
	k = &s->stacks[s->nr_stacks++];
	memset(k, 0, sizeof(*k));
	k->kind = kind;
	k->base = base;
	k->bytes = bytes;
}

static size_t stack_of(const struct shadow *s, uint64_t sp)
{
	/* An empty stack's SP is its end. */
	for (size_t i = 1; i < s->nr_stacks; i++)
		if (sp - s->stacks[i].base - 1 < s->stacks[i].bytes)
			return i;
	return 0;
}

static void push(struct stack *k, const struct entry *e)
{
	if (k->n == k->room) {
		k->room = k->room ? 2 * k->room : 64;
		k->entries = realloc(k->entries, k->room * sizeof(*e));
		if (!k->entries)
			abort();
	}
	k->entries[k->n++] = *e;
}

static void push_slot(struct stack *k, struct tracee *t)
{
	struct entry e = { .slot = t->regs.rsp };

	tracee_read(t, e.slot, &e.ret, sizeof(e.ret));
	push(k, &e);
}

/* Is it still where the thread will return to? */
static bool alive(struct entry *e, struct tracee *t)
{
	uint64_t sp = t->regs.rsp, word;

	if (e->signal)
		/* The handler has returned: to the trampoline, at first. */
		return sp <= e->slot + 8;
	if (!e->popped)
		return sp <= e->slot;
	if (sp > e->slot + 8 || t->regs.rip == e->ret)
		return false;
	if (sp == e->slot + 8)
		return true;
	e->popped = false;
	return tracee_read(t, e->slot, &word, sizeof(word)) && word == e->ret;
}

static void forget_dead(struct stack *k, struct tracee *t)
{
	while (k->n && !alive(&k->entries[k->n - 1], t))
		k->n--;
}

void shadow_step(struct shadow *s, enum kind kind, uint64_t sp, struct tracee *t)
{
	size_t now = stack_of(s, t->regs.rsp);
	struct stack *k = &s->stacks[now];

	if (now != s->current) {
		struct stack *left = &s->stacks[s->current];

		/* Left for good: who comes again starts anew. */
		if (left->kind == STACK_SIGNALS)
			left->n = 0;
		s->current = now;
		/* Its maker has put there what its function returns to. */
		if (k->kind == STACK_COROUTINE && !k->n) {
			push_slot(k, t);
			k->entries[0].planted = true;
		}
	} else if (kind == KIND_POP && k->n && k->entries[k->n - 1].slot == sp &&
		   !k->entries[k->n - 1].signal && t->regs.rsp == sp + 8) {
		k->entries[k->n - 1].popped = true;
	}
	forget_dead(k, t);
	if (kind == KIND_CALL)
		push_slot(k, t);
}

void shadow_signal(struct shadow *s, uint64_t pc, struct tracee *t)
{
	size_t now = stack_of(s, t->regs.rsp);
	struct stack *k = &s->stacks[now];
	struct entry e = {
		.slot = t->regs.rsp,
		.signal = true,
		.pc = pc,
		.from = s->current,
		.from_depth = s->stacks[s->current].n,
	};

	if (now != s->current && k->kind == STACK_SIGNALS)
		k->n = 0;
	tracee_read(t, e.slot, &e.ret, sizeof(e.ret));
	push(k, &e);
	s->current = now;
}

size_t shadow_frames(const struct shadow *s, const struct tracee *t,
		     uint64_t *frames, size_t max, bool *planted)
{
	const struct stack *k = &s->stacks[s->current];
	size_t n = 0, depth = k->n;
	bool leaf = true;

	*planted = false;
	if (max)
		frames[n++] = t->regs.rip;
	while (depth && n < max) {
		const struct entry *e = &k->entries[--depth];

		/* In the trampoline: that is the leaf. */
		if (!(e->signal && leaf && t->regs.rsp > e->slot))
			frames[n++] = e->ret;
		leaf = false;
		*planted = e->planted;
		if (!e->signal)
			continue;
		if (n < max)
			frames[n++] = e->pc;
		k = &s->stacks[e->from];
		depth = e->from_depth;
	}
	return n;
}

void shadow_copy(struct shadow *to, const struct shadow *from)
{
	*to = *from;
	for (size_t i = 0; i < to->nr_stacks; i++) {
		struct stack *k = &to->stacks[i];

		if (!k->room)
			continue;
		k->entries = malloc(k->room * sizeof(*k->entries));
		if (!k->entries)
			abort();
		memcpy(k->entries, from->stacks[i].entries,
		       k->n * sizeof(*k->entries));
	}
}

void shadow_release(struct shadow *s)
{
	for (size_t i = 0; i < s->nr_stacks; i++)
		free(s->stacks[i].entries);
	memset(s, 0, sizeof(*s));
}
