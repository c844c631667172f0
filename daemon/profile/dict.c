// SPDX-License-Identifier: Apache-2.0
#include "profile/dict.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

struct series_set {
	struct labels *v;
	uint32_t nr;
	uint32_t cap;
	size_t bytes; /* of the label sets */
	struct hash_index index; /* of ids + 1 */
};

static void series_free(struct series_set *s)
{
	if (!s)
		return;
	for (uint32_t i = 0; i < s->nr; i++)
		labels_release(&s->v[i]);
	free(s->v);
	hash_index_release(&s->index);
	free(s);
}

int dict_init(struct dict *d)
{
	*d = (struct dict){ .series = calloc(1, sizeof(*d->series)) };
	if (!d->series || strtab_new(&d->strings) < 0 ||
	    calltree_new(&d->tree) < 0) {
		dict_release(d);
		return -ENOMEM;
	}
	return 0;
}

void dict_release(struct dict *d)
{
	strtab_free(d->strings);
	calltree_free(d->tree);
	series_free(d->series);
	*d = (struct dict){ 0 };
}

int dict_location(struct dict *d, const char *name, size_t name_len,
		  const char *object, uint32_t *location)
{
	struct location l = { 0, 0 };
	int r = strtab_intern(d->strings, name, name_len, &l.name);

	if (!r && object)
		r = strtab_intern(d->strings, object, strlen(object),
				  &l.object);
	return r < 0 ? r : calltree_location(d->tree, l, location);
}

int dict_series(struct dict *d, const struct labels *l, uint32_t *out)
{
	struct series_set *s = d->series;
	uint64_t hash = labels_hash(l);
	uint32_t id;
	int r;

	for (size_t i = hash_index_first(&s->index, hash, &id); id;
	     i = hash_index_next(&s->index, hash, i, &id)) {
		if (labels_equal(&s->v[id - 1], l)) {
			*out = id - 1;
			return 0;
		}
	}
	if (s->nr == DICT_SERIES_MAX)
		return -ENOSPC;
	if (s->nr == s->cap) {
		uint32_t cap = s->cap ? s->cap * 2 : 16;
		struct labels *v = realloc(s->v, cap * sizeof(*v));

		if (!v)
			return -ENOMEM;
		s->v = v;
		s->cap = cap;
	}
	r = hash_index_grow(&s->index);
	if (!r)
		r = labels_copy(&s->v[s->nr], l);
	if (r < 0)
		return r;
	for (size_t i = 0; i < l->nr; i++)
		s->bytes += sizeof(struct label) + 32 + strlen(l->v[i].name) +
			    strlen(l->v[i].value);
	*out = s->nr++;
	hash_index_put(&s->index, hash, s->nr);
	return 0;
}

const struct labels *dict_series_labels(const struct dict *d, uint32_t id)
{
	static const struct labels none;

	return id < d->series->nr ? &d->series->v[id] : &none;
}

uint32_t dict_series_count(const struct dict *d)
{
	return d->series->nr;
}

size_t dict_memory(const struct dict *d)
{
	const struct series_set *s = d->series;
	size_t slots = s->index.slots ? s->index.mask + 1 : 0;

	return strtab_memory(d->strings) + calltree_memory(d->tree) +
	       sizeof(*s) + s->cap * sizeof(*s->v) + s->bytes +
	       slots * sizeof(struct hash_slot);
}
