// SPDX-License-Identifier: Apache-2.0
#include "profile/labels.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

static void label_release(struct label *l)
{
	free(l->name);
	free(l->value);
}

void labels_release(struct labels *l)
{
	for (size_t i = 0; i < l->nr; i++)
		label_release(&l->v[i]);
	free(l->v);
	*l = (struct labels){ 0 };
}

static bool name_byte(char c, bool first)
{
	if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_')
		return true;
	return !first && ((c >= '0' && c <= '9') || c == '.');
}

/* strcmp() of a name that is not NUL-terminated with one that is. */
static int compare(const char *name, size_t len, const char *other)
{
	int c = strncmp(name, other, len);

	return c ? c : -(other[len] != '\0');
}

/* Where name is (true), or where it belongs. */
static bool find(const struct labels *l, const char *name, size_t len,
		 size_t *at)
{
	size_t i;

	for (i = 0; i < l->nr; i++) {
		int c = compare(name, len, l->v[i].name);

		if (c <= 0) {
			*at = i;
			return !c;
		}
	}
	*at = i;
	return false;
}

int labels_setn(struct labels *l, const char *name, size_t name_len,
		const char *value, size_t value_len)
{
	struct label new = { NULL, NULL };
	struct label *v;
	bool have;
	size_t at;

	if (!name_len || (value_len && memchr(value, 0, value_len)))
		return -EINVAL;
	if (name_len > LABEL_NAME_MAX || value_len > LABEL_VALUE_MAX)
		return -E2BIG;
	for (size_t i = 0; i < name_len; i++)
		if (!name_byte(name[i], !i))
			return -EINVAL;
	have = find(l, name, name_len, &at);
	if (!value_len) {
		if (have) {
			label_release(&l->v[at]);
			l->nr--;
			memmove(&l->v[at], &l->v[at + 1],
				(l->nr - at) * sizeof(*l->v));
		}
		return 0;
	}
	if (!have && l->nr >= LABELS_MAX)
		return -E2BIG;
	new.value = strndup(value, value_len);
	if (!new.value)
		return -ENOMEM;
	if (have) {
		free(l->v[at].value);
		l->v[at].value = new.value;
		return 0;
	}
	new.name = strndup(name, name_len);
	v = realloc(l->v, (l->nr + 1) * sizeof(*v));
	if (v)
		l->v = v;
	if (!v || !new.name) {
		label_release(&new);
		return -ENOMEM;
	}
	memmove(&v[at + 1], &v[at], (l->nr - at) * sizeof(*v));
	v[at] = new;
	l->nr++;
	return 0;
}

int labels_set(struct labels *l, const char *name, const char *value)
{
	return labels_setn(l, name, strlen(name), value, strlen(value));
}

const char *labels_get(const struct labels *l, const char *name)
{
	size_t at;

	return find(l, name, strlen(name), &at) ? l->v[at].value : NULL;
}

int labels_copy(struct labels *to, const struct labels *from)
{
	struct labels l = { .v = calloc(from->nr ? from->nr : 1,
					sizeof(*l.v)) };

	if (!l.v)
		return -ENOMEM;
	for (; l.nr < from->nr; l.nr++) {
		struct label *v = &l.v[l.nr];

		v->name = strdup(from->v[l.nr].name);
		v->value = strdup(from->v[l.nr].value);
		if (!v->name || !v->value) {
			label_release(v);
			labels_release(&l);
			return -ENOMEM;
		}
	}
	*to = l;
	return 0;
}

bool labels_equal(const struct labels *a, const struct labels *b)
{
	if (a->nr != b->nr)
		return false;
	for (size_t i = 0; i < a->nr; i++)
		if (strcmp(a->v[i].name, b->v[i].name) ||
		    strcmp(a->v[i].value, b->v[i].value))
			return false;
	return true;
}

uint64_t labels_hash(const struct labels *l)
{
	uint64_t h = l->nr;

	for (size_t i = 0; i < l->nr; i++) {
		h = hash_u64(h ^ hash_bytes(l->v[i].name,
					    strlen(l->v[i].name)));
		h = hash_u64(h ^ hash_bytes(l->v[i].value,
					    strlen(l->v[i].value)));
	}
	return h;
}
