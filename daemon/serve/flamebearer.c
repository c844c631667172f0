// SPDX-License-Identifier: Apache-2.0
#include "serve/flamebearer.h"

#include "base/hash.h"
#include "serve/profiletype.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The names that levels refer to: distinct (name, object) pairs. */
struct names {
	const struct flame *f;
	uint32_t *of; /* by node: position in v */
	uint32_t *v; /* by name: a node that has it */
	uint32_t nr;
	struct hash_index index;
};

static int names_find(struct names *n, uint32_t node)
{
	const struct flame_node *nodes = n->f->nodes;
	uint64_t hash = hash_pair(nodes[node].name, nodes[node].object);
	uint32_t id;

	for (size_t at = hash_index_first(&n->index, hash, &id); id;
	     at = hash_index_next(&n->index, hash, at, &id)) {
		const struct flame_node *other = &nodes[n->v[id - 1]];

		if (other->name == nodes[node].name &&
		    other->object == nodes[node].object) {
			n->of[node] = id - 1;
			return 0;
		}
	}
	if (hash_index_grow(&n->index) < 0)
		return -ENOMEM;
	n->v[n->nr] = node;
	n->of[node] = n->nr++;
	hash_index_put(&n->index, hash, n->nr);
	return 0;
}

static void write_text(struct json *j, const struct flame *f, uint32_t id)
{
	size_t len;
	const char *s = strtab_get(f->strings, id, &len);

	json_strn(j, s, len);
}

/*
 * Nodes are in pre-order; a level wants those of one depth from left to right,
 * which is their order too. One pass by counting sort over depths.
 */
static int write_levels(struct json *j, const struct flame *f,
			const struct names *names)
{
	uint32_t deepest = 0;
	uint32_t *first, *order;
	uint64_t *x;
	int r = 0;

	for (uint32_t i = 0; i < f->nr; i++)
		if (f->nodes[i].depth > deepest)
			deepest = f->nodes[i].depth;
	first = calloc(deepest + 3u, sizeof(*first));
	order = malloc((f->nr + 1u) * sizeof(*order));
	x = malloc((f->nr + 1u) * 2 * sizeof(*x));
	if (!first || !order || !x) {
		r = -ENOMEM;
		goto out;
	}
	for (uint32_t i = 0; i < f->nr; i++)
		first[f->nodes[i].depth + 2]++;
	for (uint32_t d = 2; d < deepest + 2; d++)
		first[d + 1] += first[d];
	for (uint32_t i = 0; i < f->nr; i++)
		order[first[f->nodes[i].depth + 1]++] = i;
	/* x[2i]: where node i begins; x[2i + 1]: where its next child does. */
	for (uint32_t i = 0; i < f->nr; i++) {
		uint32_t parent = f->nodes[i].parent;

		x[2 * i] = i ? x[2 * parent + 1] : 0;
		x[2 * i + 1] = x[2 * i];
		if (i)
			x[2 * parent + 1] += f->nodes[i].total;
	}
	for (uint32_t d = 0; d <= deepest; d++) {
		uint64_t end = 0;

		json_array(j);
		for (uint32_t k = first[d]; k < first[d + 1]; k++) {
			uint32_t i = order[k];

			json_u64(j, x[2 * i] - end);
			json_u64(j, f->nodes[i].total);
			json_u64(j, f->nodes[i].self);
			json_u64(j, names->of[i]);
			end = x[2 * i] + f->nodes[i].total;
		}
		json_end_array(j);
	}
out:
	free(first);
	free(order);
	free(x);
	return r;
}

static int write_objects(struct json *j, const struct names *names)
{
	const struct flame *f = names->f;
	uint32_t nr_strings = strtab_count(f->strings), nr = 0;
	uint32_t *position = calloc(nr_strings, sizeof(*position));

	if (!position)
		return -ENOMEM;
	json_key(j, "objects");
	json_object(j);
	json_key(j, "names");
	json_array(j);
	for (uint32_t i = 0; i < names->nr; i++) {
		uint32_t object = f->nodes[names->v[i]].object;

		if (position[object])
			continue;
		position[object] = ++nr;
		write_text(j, f, object);
	}
	json_end_array(j);
	json_key(j, "index");
	json_array(j);
	for (uint32_t i = 0; i < names->nr; i++)
		json_u64(j, position[f->nodes[names->v[i]].object] - 1);
	json_end_array(j);
	json_end_object(j);
	free(position);
	return 0;
}

static void write_metadata(struct json *j, const struct flame *f,
			   const char *type)
{
	struct profile_type t = { .sample_type = "cpu" };
	const char *units;
	uint64_t rate = 100;

	profile_type_parse(&t, type);
	units = t.sample_unit;
	if (!strcmp(t.sample_type, "cpu")) {
		units = "samples";
		rate = NSEC_PER_SEC;
	} else if (!strcmp(t.sample_unit, "count")) {
		units = "objects";
	}
	json_key(j, "metadata");
	json_object(j);
	json_key(j, "format");
	json_str(j, "single");
	json_key(j, "spyName");
	json_str(j, "");
	json_key(j, "sampleRate");
	json_u64(j, rate);
	json_key(j, "units");
	json_str(j, units);
	json_key(j, "name");
	json_str(j, t.sample_type);
	if (cut_any(f->cut)) {
		json_key(j, "cut");
		cut_write(j, f->cut);
	}
	json_end_object(j);
}

static void write_timeline(struct json *j, const struct query_series *s)
{
	json_key(j, "timeline");
	json_object(j);
	json_key(j, "startTime");
	json_i64(j, s->start_ns / NSEC_PER_SEC);
	json_key(j, "samples");
	json_array(j);
	for (size_t i = 0; i < s->nr; i++)
		json_u64(j, s->points[i]);
	json_end_array(j);
	json_key(j, "durationDelta");
	json_i64(j, s->step_ns / NSEC_PER_SEC);
	json_key(j, "watermarks");
	json_null(j);
	json_end_object(j);
}

static int write_flamebearer(struct json *j, const struct flame *f,
			     struct names *names)
{
	uint64_t max_self = 0;
	int r;

	for (uint32_t i = 0; i < f->nr; i++) {
		if (names_find(names, i) < 0)
			return -ENOMEM;
		max_self = max_u64(max_self, f->nodes[i].self);
	}
	json_key(j, "flamebearer");
	json_object(j);
	json_key(j, "names");
	json_array(j);
	for (uint32_t i = 0; i < names->nr; i++)
		write_text(j, f, f->nodes[names->v[i]].name);
	json_end_array(j);
	json_key(j, "levels");
	json_array(j);
	r = write_levels(j, f, names);
	json_end_array(j);
	json_key(j, "numTicks");
	json_u64(j, f->nodes[0].total);
	json_key(j, "maxSelf");
	json_u64(j, max_self);
	json_end_object(j);
	return r;
}

int flamebearer_write(struct json *j, const struct flame *f, const char *type,
		      const struct query_series *timeline)
{
	struct names names = {
		.f = f,
		.of = malloc((f->nr + 1u) * sizeof(uint32_t)),
		.v = malloc((f->nr + 1u) * sizeof(uint32_t)),
	};
	int r = -ENOMEM;

	if (!names.of || !names.v)
		goto out;
	json_object(j);
	json_key(j, "version");
	json_u64(j, 1);
	r = write_flamebearer(j, f, &names);
	if (r < 0)
		goto out;
	write_metadata(j, f, type);
	write_timeline(j, timeline);
	json_key(j, "groups");
	json_null(j);
	json_key(j, "heatmap");
	json_null(j);
	r = write_objects(j, &names);
	json_end_object(j);
out:
	free(names.of);
	free(names.v);
	hash_index_release(&names.index);
	return r;
}
