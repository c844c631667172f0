// SPDX-License-Identifier: Apache-2.0
#include "symbol/cfispan.h"

#include <errno.h>
#include <stdlib.h>

int cfispan_add(struct cfi_spans *s, struct cfi_span span)
{
	if (span.start >= span.end)
		return 0;
	if (s->nr == s->cap) {
		size_t want = s->cap ? s->cap * 2 : 256;
		struct cfi_span *v = realloc(s->v, want * sizeof(*v));

		if (!v)
			return -ENOMEM;
		s->v = v;
		s->cap = want;
	}
	s->v[s->nr++] = span;
	return 0;
}

/* Those that start together: the first that was added last, for it is on top. */
static int by_start(const void *a, const void *b)
{
	const struct cfi_span *x = a, *y = b;

	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	return x->what > y->what ? -1 : x->what < y->what;
}

static bool is_flat(const struct cfi_spans *s)
{
	for (size_t i = 1; i < s->nr; i++)
		if (s->v[i].start < s->v[i - 1].end)
			return false;
	return true;
}

int cfispan_flatten(struct cfi_spans *s)
{
	struct cfi_spans out = { 0 };
	struct cfi_span *open;
	size_t nr_open = 0;
	uint64_t at = 0;
	int r = 0;

	if (s->nr)
		qsort(s->v, s->nr, sizeof(*s->v), by_start);
	if (is_flat(s))
		return 0;
	open = malloc(s->nr * sizeof(*open));
	if (!open)
		return -ENOMEM;
	/* open: those begun, the last on top; what is over lies till it shows. */
	for (size_t i = 0; i <= s->nr && r >= 0; i++) {
		uint64_t next = i < s->nr ? s->v[i].start : UINT64_MAX;

		while (nr_open && at < next && r >= 0) {
			struct cfi_span span = open[nr_open - 1];

			if (span.end <= next)
				nr_open--;
			span.start = max_u64(at, span.start);
			span.end = min_u64(span.end, next);
			r = cfispan_add(&out, span);
			at = max_u64(at, span.end);
		}
		if (i == s->nr)
			break;
		at = next;
		open[nr_open++] = s->v[i];
	}
	free(open);
	free(s->v);
	*s = out;
	return r;
}

int cfispan_under(struct cfi_spans *top, const struct cfi_spans *bottom)
{
	struct cfi_spans out = { 0 };
	size_t t = 0;
	int r = 0;

	for (size_t i = 0; i < bottom->nr && r >= 0; i++) {
		struct cfi_span rest = bottom->v[i];

		while (r >= 0 && t < top->nr && top->v[t].start < rest.end) {
			struct cfi_span piece = rest;

			/* One that ends in here may reach the next one too. */
			piece.end = min_u64(rest.end, top->v[t].start);
			r = cfispan_add(&out, piece);
			rest.start = max_u64(rest.start, top->v[t].end);
			if (top->v[t].end > rest.end)
				break;
			if (r >= 0)
				r = cfispan_add(&out, top->v[t++]);
		}
		if (r >= 0)
			r = cfispan_add(&out, rest);
	}
	while (t < top->nr && r >= 0)
		r = cfispan_add(&out, top->v[t++]);
	free(top->v);
	*top = out;
	return r;
}
