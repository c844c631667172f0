// SPDX-License-Identifier: Apache-2.0
#include "serve/pprof.h"

#include "serve/gzip.h"
#include "serve/profile.pb-c.h"
#include "serve/profiletype.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * A location is a (name, object) pair, as in the call tree; it gets a function
 * of its own. Only nodes with self weight become samples, leaf first.
 */
struct writer {
	const struct flame *f;
	Pprof__Profile profile;
	/* One message each per flame node, function or object, at most. */
	Pprof__Sample *samples;
	uint64_t *ids;	/* location ids of all samples, one run each */
	int64_t *values;
	Pprof__Location *locations;
	Pprof__Line *lines;
	Pprof__Line **line_ptrs;
	Pprof__Function *functions;
	Pprof__Mapping *mappings;
	char **strings;
	int64_t comments[CUTS]; /* one a reason that stacks were cut for */
	char texts[CUTS][96];
	void **ptrs; /* arrays of pointers that protobuf-c wants */
	uint32_t *node_location; /* by flame node: location id */
	uint32_t *mapping_of; /* by string id: mapping id, 0: none yet */
	uint32_t nr_strings;
};

static void writer_release(struct writer *w)
{
	free(w->samples);
	free(w->ids);
	free(w->values);
	free(w->locations);
	free(w->lines);
	free(w->line_ptrs);
	free(w->functions);
	free(w->mappings);
	free(w->strings);
	free(w->ptrs);
	free(w->node_location);
	free(w->mapping_of);
}

static uint32_t mapping_id(struct writer *w, uint32_t object)
{
	Pprof__Mapping *m;

	if (!object)
		return 0;
	if (w->mapping_of[object])
		return w->mapping_of[object];
	m = &w->mappings[w->profile.n_mapping++];
	pprof__mapping__init(m);
	m->id = w->profile.n_mapping;
	m->filename = object;
	m->has_functions = 1;
	w->mapping_of[object] = (uint32_t)m->id;
	return (uint32_t)m->id;
}

static int put_locations(struct writer *w)
{
	struct flame_function *functions;
	uint32_t nr;
	int r;

	/* The flat view has each (name, object) once. */
	r = flame_top(w->f, &functions, &nr);
	if (r < 0)
		return r;
	w->locations = calloc(nr + 1u, sizeof(*w->locations));
	w->functions = calloc(nr + 1u, sizeof(*w->functions));
	w->mappings = calloc(nr + 1u, sizeof(*w->mappings));
	w->lines = calloc(nr + 1u, sizeof(*w->lines));
	w->line_ptrs = calloc(nr + 1u, sizeof(*w->line_ptrs));
	if (!w->locations || !w->functions || !w->mappings || !w->lines ||
	    !w->line_ptrs) {
		free(functions);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < nr; i++) {
		Pprof__Location *l = &w->locations[i];
		Pprof__Function *fn = &w->functions[i];
		Pprof__Line *line = &w->lines[i];

		pprof__function__init(fn);
		fn->id = i + 1u;
		fn->name = fn->system_name = functions[i].name;
		pprof__line__init(line);
		line->function_id = fn->id;
		w->line_ptrs[i] = line;
		pprof__location__init(l);
		l->id = i + 1u;
		l->mapping_id = mapping_id(w, functions[i].object);
		l->n_line = 1;
		l->line = &w->line_ptrs[i];
	}
	w->profile.n_location = w->profile.n_function = nr;
	free(functions);
	return 0;
}

struct key {
	uint32_t name, object, id;
};

static int by_key(const void *a, const void *b)
{
	const struct key *x = a, *y = b;

	if (x->name != y->name)
		return x->name < y->name ? -1 : 1;
	return x->object < y->object ? -1 : x->object > y->object;
}

/* Which location each flame node is: by sorting the locations' keys. */
static int find_locations(struct writer *w)
{
	size_t nr = w->profile.n_location;
	cleanup(util_freep) struct key *keys = calloc(nr + 1, sizeof(*keys));

	if (!keys)
		return -ENOMEM;
	for (size_t i = 0; i < nr; i++) {
		const Pprof__Location *l = &w->locations[i];

		keys[i].name = (uint32_t)w->functions[i].name;
		keys[i].object =
			l->mapping_id ?
				(uint32_t)w->mappings[l->mapping_id - 1].filename :
				0;
		keys[i].id = (uint32_t)l->id;
	}
	if (nr)
		qsort(keys, nr, sizeof(*keys), by_key);
	for (uint32_t i = 1; i < w->f->nr; i++) {
		struct key want = { w->f->nodes[i].name, w->f->nodes[i].object,
				    0 };
		const struct key *k =
			bsearch(&want, keys, nr, sizeof(*keys), by_key);

		if (!k)
			return -EINVAL;
		w->node_location[i] = k->id;
	}
	return 0;
}

static int put_samples(struct writer *w)
{
	const struct flame *f = w->f;
	size_t total_depth = 0, nr = 0, at = 0;

	for (uint32_t i = 1; i < f->nr; i++) {
		if (!f->nodes[i].self)
			continue;
		total_depth += f->nodes[i].depth;
		nr++;
	}
	w->samples = calloc(nr + 1, sizeof(*w->samples));
	w->values = calloc(nr + 1, sizeof(*w->values));
	w->ids = calloc(total_depth + 1, sizeof(*w->ids));
	if (!w->samples || !w->values || !w->ids)
		return -ENOMEM;
	for (uint32_t i = 1; i < f->nr; i++) {
		size_t n = w->profile.n_sample;
		Pprof__Sample *s = &w->samples[n];

		if (!f->nodes[i].self)
			continue;
		pprof__sample__init(s);
		s->location_id = &w->ids[at];
		for (uint32_t k = i; k; k = f->nodes[k].parent)
			w->ids[at++] = w->node_location[k];
		s->n_location_id = f->nodes[i].depth;
		w->values[n] = (int64_t)min_u64(f->nodes[i].self, INT64_MAX);
		s->value = &w->values[n];
		s->n_value = 1;
		w->profile.n_sample++;
	}
	return 0;
}

static uint32_t put_string(struct writer *w, const char *s)
{
	w->strings[w->nr_strings] = (char *)s;
	return w->nr_strings++;
}

/* In the unit of the samples. */
static void put_comments(struct writer *w)
{
	Pprof__Profile *p = &w->profile;
	uint64_t total = max_u64(w->f->nodes[0].total, 1);

	p->comment = w->comments;
	for (enum cut i = CUT_NOT + 1; i < CUTS; i++) {
		uint64_t cut = w->f->cut[i];

		if (!cut)
			continue;
		snprintf(w->texts[i], sizeof(w->texts[i]),
			 "cut stacks, %s: %llu (%.2f %%)", cut_name(i),
			 (unsigned long long)cut,
			 100 * (double)cut / (double)total);
		w->comments[p->n_comment++] = put_string(w, w->texts[i]);
	}
}

/* protobuf-c wants arrays of pointers where we have arrays. */
static int point(struct writer *w)
{
	Pprof__Profile *p = &w->profile;
	size_t nr = p->n_sample + p->n_location + p->n_function + p->n_mapping;
	void **at = w->ptrs = calloc(nr + 1, sizeof(void *));

	if (!at)
		return -ENOMEM;
	p->sample = (Pprof__Sample **)at;
	for (size_t i = 0; i < p->n_sample; i++)
		*at++ = &w->samples[i];
	p->location = (Pprof__Location **)at;
	for (size_t i = 0; i < p->n_location; i++)
		*at++ = &w->locations[i];
	p->function = (Pprof__Function **)at;
	for (size_t i = 0; i < p->n_function; i++)
		*at++ = &w->functions[i];
	p->mapping = (Pprof__Mapping **)at;
	for (size_t i = 0; i < p->n_mapping; i++)
		*at++ = &w->mappings[i];
	return 0;
}

static int fill(struct writer *w)
{
	uint32_t nr = strtab_count(w->f->strings);
	int r;

	w->strings = calloc(nr + 8u + CUTS, sizeof(*w->strings));
	w->mapping_of = calloc(nr + 1u, sizeof(*w->mapping_of));
	w->node_location = calloc(w->f->nr + 1u, sizeof(*w->node_location));
	if (!w->strings || !w->mapping_of || !w->node_location)
		return -ENOMEM;
	/* The flame's string ids serve as they are. */
	for (uint32_t i = 0; i < nr; i++)
		put_string(w, strtab_get(w->f->strings, i, NULL));
	r = put_locations(w);
	if (r >= 0)
		r = find_locations(w);
	if (r >= 0)
		r = put_samples(w);
	if (r >= 0)
		r = point(w);
	return r;
}

static int pack(const struct writer *w, struct buf *out)
{
	size_t len = pprof__profile__get_packed_size(&w->profile);
	uint8_t *raw = malloc(len + 1);
	int r;

	if (!raw)
		return -ENOMEM;
	pprof__profile__pack(&w->profile, raw);
	r = gzip_pack(raw, len, out);
	free(raw);
	return r;
}

int pprof_write(const struct flame *f, const char *type, int64_t from_ns,
		int64_t until_ns, struct buf *out)
{
	Pprof__ValueType sample_type = PPROF__VALUE_TYPE__INIT;
	Pprof__ValueType period_type = PPROF__VALUE_TYPE__INIT;
	Pprof__ValueType *sample_types[] = { &sample_type };
	struct writer w = { .f = f };
	struct profile_type t;
	int r;

	if (profile_type_parse(&t, type) < 0)
		return -EINVAL;
	pprof__profile__init(&w.profile);
	r = fill(&w);
	if (r >= 0) {
		sample_type.type = put_string(&w, t.sample_type);
		sample_type.unit = put_string(&w, t.sample_unit);
		w.profile.n_sample_type = 1;
		w.profile.sample_type = sample_types;
		w.profile.default_sample_type = sample_type.type;
		if (*t.period_type) {
			period_type.type = put_string(&w, t.period_type);
			period_type.unit = put_string(&w, t.period_unit);
			w.profile.period_type = &period_type;
			w.profile.period = 1;
		}
		put_comments(&w);
		w.profile.time_nanos = from_ns;
		if (__builtin_sub_overflow(until_ns, from_ns,
					   &w.profile.duration_nanos))
			w.profile.duration_nanos = INT64_MAX;
		w.profile.n_string_table = w.nr_strings;
		w.profile.string_table = w.strings;
		r = pack(&w, out);
	}
	writer_release(&w);
	return r;
}
