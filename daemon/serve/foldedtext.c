// SPDX-License-Identifier: Apache-2.0
#include "serve/foldedtext.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct line {
	size_t at; /* of the stack in the text, NUL-terminated */
	const char *stack;
	uint64_t value;
};

static int by_stack(const void *a, const void *b)
{
	return strcmp(((const struct line *)a)->stack,
		      ((const struct line *)b)->stack);
}

/* What would part frames or lines becomes something that does not. */
static void put_frame(struct buf *out, const char *s, size_t len)
{
	char *to = len ? buf_reserve(out, len) : NULL;

	for (size_t i = 0; to && i < len; i++)
		to[i] = s[i] == ';' ? ':' : s[i] == '\n' ? ' ' : s[i];
	out->len += to ? len : 0;
}

static void put_stack(const struct flame *f, uint32_t node, uint32_t *path,
		      struct buf *out)
{
	uint32_t depth = 0;

	for (uint32_t i = node; i; i = f->nodes[i].parent)
		path[depth++] = i;
	while (depth--) {
		size_t len;
		const char *s = strtab_get(f->strings,
					   f->nodes[path[depth]].name, &len);

		put_frame(out, s, len);
		if (depth)
			buf_char(out, ';');
	}
	buf_char(out, '\0');
}

static void put_lines(struct line *lines, size_t nr, struct buf *out)
{
	for (size_t i = 0; i < nr;) {
		const struct line *l = &lines[i];
		uint64_t value = 0;

		for (; i < nr && !strcmp(lines[i].stack, l->stack); i++)
			if (__builtin_add_overflow(value, lines[i].value,
						   &value))
				value = UINT64_MAX;
		buf_str(out, l->stack);
		buf_char(out, ' ');
		buf_u64_dec(out, value);
		buf_char(out, '\n');
	}
}

int foldedtext_write(const struct flame *f, struct buf *out)
{
	uint32_t *path = malloc((f->nr + 1u) * sizeof(*path));
	struct line *lines = malloc((f->nr + 1u) * sizeof(*lines));
	struct buf text = { 0 };
	size_t nr = 0;

	if (!path || !lines)
		text.err = -ENOMEM;
	for (uint32_t i = 1; !text.err && i < f->nr; i++) {
		if (!f->nodes[i].self)
			continue;
		lines[nr++] = (struct line){ .at = text.len,
					     .value = f->nodes[i].self };
		put_stack(f, i, path, &text);
	}
	if (text.err)
		out->err = text.err;
	else if (nr) {
		for (size_t i = 0; i < nr; i++)
			lines[i].stack = text.data + lines[i].at;
		qsort(lines, nr, sizeof(*lines), by_stack);
		put_lines(lines, nr, out);
	}
	free(path);
	free(lines);
	buf_release(&text);
	return out->err;
}
