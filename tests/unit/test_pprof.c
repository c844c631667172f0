// SPDX-License-Identifier: Apache-2.0
/*
 * What pprof_write() writes, unpacked by gzip and read by a reader of the wire
 * format that shares nothing with it; and by go's pprof where that is.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "flames.h"
#include "serve/pprof.h"

#define CPU "process_cpu:cpu:nanoseconds:cpu:nanoseconds"
#define FROM (INT64_C(1700000000) * NSEC_PER_SEC)
#define UNTIL (FROM + 60 * NSEC_PER_SEC)

/* Bytes of a message; a field of it. */
struct wire {
	const uint8_t *at, *end;
};

struct field {
	uint64_t nr, value; /* value: of a number */
	struct wire bytes; /* of anything else */
	bool is_number;
};

static uint64_t varint(struct wire *w)
{
	uint64_t v = 0;

	for (unsigned int shift = 0; shift < 64; shift += 7) {
		uint8_t byte;

		assert_true(w->at < w->end);
		byte = *w->at++;
		v |= (uint64_t)(byte & 127) << shift;
		if (byte < 128)
			return v;
	}
	fail_msg("a number of more than ten bytes");
	return 0;
}

static bool next(struct wire *w, struct field *f)
{
	uint64_t tag, len;

	if (w->at == w->end)
		return false;
	tag = varint(w);
	f->nr = tag >> 3;
	f->is_number = !(tag & 7);
	if (f->is_number) {
		f->value = varint(w);
		return true;
	}
	assert_int_equal(tag & 7, 2);
	len = varint(w);
	assert_true(len <= (uint64_t)(w->end - w->at));
	f->bytes = (struct wire){ w->at, w->at + len };
	w->at += len;
	return true;
}

static uint64_t number(const struct field *f)
{
	assert_true(f->is_number);
	return f->value;
}

static struct wire message(const struct field *f)
{
	assert_false(f->is_number);
	return f->bytes;
}

#define MOST 4096

struct numbers {
	uint64_t v[64];
	size_t nr;
};

struct value_type {
	uint64_t type, unit;
};

struct profile {
	char *raw;
	struct value_type sample_type, period_type;
	size_t nr_sample_types, nr_period_types;
	struct sample {
		struct numbers locations, values;
	} *samples;
	struct mapping {
		uint64_t id, filename, has_functions;
	} *mappings;
	struct place {
		uint64_t id, mapping, function;
	} *locations;
	struct function {
		uint64_t id, name, system_name;
	} *functions;
	char **strings;
	size_t nr_samples, nr_mappings, nr_locations, nr_functions, nr_strings;
	uint64_t time, duration, period, default_type;
	struct numbers comments;
};

/* Repeated numbers come packed into one field or each in its own. */
static void put_numbers(struct numbers *n, const struct field *f)
{
	struct wire w;

	if (f->is_number) {
		assert_true(n->nr < ARRAY_SIZE(n->v));
		n->v[n->nr++] = f->value;
		return;
	}
	w = f->bytes;
	while (w.at < w.end) {
		assert_true(n->nr < ARRAY_SIZE(n->v));
		n->v[n->nr++] = varint(&w);
	}
}

static void read_value_type(struct value_type *t, struct wire w)
{
	struct field f;

	while (next(&w, &f)) {
		assert_true(f.nr == 1 || f.nr == 2);
		*(f.nr == 1 ? &t->type : &t->unit) = number(&f);
	}
}

static void read_sample(struct sample *s, struct wire w)
{
	struct field f;

	while (next(&w, &f)) {
		assert_true(f.nr == 1 || f.nr == 2);
		put_numbers(f.nr == 1 ? &s->locations : &s->values, &f);
	}
}

static void read_mapping(struct mapping *m, struct wire w)
{
	struct field f;

	while (next(&w, &f)) {
		assert_true(f.nr == 1 || f.nr == 5 || f.nr == 7);
		*(f.nr == 1 ? &m->id :
		  f.nr == 5 ? &m->filename :
			      &m->has_functions) = number(&f);
	}
}

static void read_location(struct place *l, struct wire w)
{
	struct field f, line;
	size_t lines = 0;

	while (next(&w, &f)) {
		struct wire in;

		assert_true(f.nr == 1 || f.nr == 2 || f.nr == 4);
		if (f.nr != 4) {
			*(f.nr == 1 ? &l->id : &l->mapping) = number(&f);
			continue;
		}
		in = message(&f);
		while (next(&in, &line)) {
			assert_int_equal(line.nr, 1);
			l->function = number(&line);
		}
		lines++;
	}
	assert_int_equal(lines, 1);
}

static void read_function(struct function *fn, struct wire w)
{
	struct field f;

	while (next(&w, &f)) {
		assert_true(f.nr >= 1 && f.nr <= 3);
		*(f.nr == 1 ? &fn->id :
		  f.nr == 2 ? &fn->name :
			      &fn->system_name) = number(&f);
	}
}

static void read_profile(struct profile *p, struct wire w)
{
	struct field f;

	while (next(&w, &f)) {
		assert_true(p->nr_samples < MOST && p->nr_mappings < MOST &&
			    p->nr_locations < MOST && p->nr_functions < MOST &&
			    p->nr_strings < MOST);
		switch (f.nr) {
		case 1:
			p->nr_sample_types++;
			read_value_type(&p->sample_type, message(&f));
			break;
		case 2:
			read_sample(&p->samples[p->nr_samples++], message(&f));
			break;
		case 3:
			read_mapping(&p->mappings[p->nr_mappings++],
				     message(&f));
			break;
		case 4:
			read_location(&p->locations[p->nr_locations++],
				      message(&f));
			break;
		case 5:
			read_function(&p->functions[p->nr_functions++],
				      message(&f));
			break;
		case 6:
			message(&f);
			p->strings[p->nr_strings++] =
				strndup((const char *)f.bytes.at,
					(size_t)(f.bytes.end - f.bytes.at));
			break;
		case 9:
			p->time = number(&f);
			break;
		case 10:
			p->duration = number(&f);
			break;
		case 11:
			p->nr_period_types++;
			read_value_type(&p->period_type, message(&f));
			break;
		case 12:
			p->period = number(&f);
			break;
		case 13:
			put_numbers(&p->comments, &f);
			break;
		case 14:
			p->default_type = number(&f);
			break;
		default:
			fail_msg("field %llu", (unsigned long long)f.nr);
		}
	}
}

static void release(struct profile *p)
{
	for (size_t i = 0; i < p->nr_strings; i++)
		free(p->strings[i]);
	free(p->raw);
	free(p->samples);
	free(p->mappings);
	free(p->locations);
	free(p->functions);
	free(p->strings);
}

static const char *text(const struct profile *p, uint64_t id)
{
	assert_true(id < p->nr_strings);
	return p->strings[id];
}

/* What every profile has to be, by the format's own description. */
static void assert_sound(const struct profile *p)
{
	assert_true(p->nr_strings > 0);
	assert_string_equal(p->strings[0], "");
	assert_int_equal(p->nr_sample_types, 1);
	assert_int_equal(p->default_type, p->sample_type.type);
	for (size_t i = 0; i < p->nr_mappings; i++) {
		assert_true(p->mappings[i].id);
		assert_true(*text(p, p->mappings[i].filename));
		/* Otherwise readers would look for symbols themselves. */
		assert_int_equal(p->mappings[i].has_functions, 1);
		for (size_t k = 0; k < i; k++) {
			assert_true(p->mappings[k].id != p->mappings[i].id);
			assert_true(p->mappings[k].filename !=
				    p->mappings[i].filename);
		}
	}
	for (size_t i = 0; i < p->nr_functions; i++) {
		assert_true(p->functions[i].id);
		assert_int_equal(p->functions[i].name,
				 p->functions[i].system_name);
		for (size_t k = 0; k < i; k++)
			assert_true(p->functions[k].id != p->functions[i].id);
	}
	for (size_t i = 0; i < p->nr_locations; i++) {
		assert_true(p->locations[i].id);
		for (size_t k = 0; k < i; k++)
			assert_true(p->locations[k].id != p->locations[i].id);
	}
	for (size_t i = 0; i < p->nr_samples; i++)
		assert_int_equal(p->samples[i].values.nr, 1);
}

static void unpack(struct profile *p, const struct buf *out)
{
	struct wire w;
	size_t len;

	*p = (struct profile){
		.samples = calloc(MOST, sizeof(*p->samples)),
		.mappings = calloc(MOST, sizeof(*p->mappings)),
		.locations = calloc(MOST, sizeof(*p->locations)),
		.functions = calloc(MOST, sizeof(*p->functions)),
		.strings = calloc(MOST, sizeof(*p->strings)),
	};
	assert_true(p->samples && p->mappings && p->locations &&
		    p->functions && p->strings);
	scratch_write("profile.pb.gz", out->data, out->len);
	scratch_run("gzip -t profile.pb.gz && gzip -dc profile.pb.gz >profile");
	assert_int_equal(util_read_file(scratch_path("profile"), 64 << 20,
					&p->raw, &len),
			 0);
	w.at = (const uint8_t *)p->raw;
	w.end = w.at + len;
	read_profile(p, w);
	assert_sound(p);
}

static void write_and_read(struct profile *p, const struct flame *f,
			   const char *type)
{
	struct buf out = { 0 };

	assert_int_equal(pprof_write(f, type, FROM, UNTIL, &out), 0);
	unpack(p, &out);
	buf_release(&out);
}

static const struct place *location(const struct profile *p, uint64_t id)
{
	for (size_t i = 0; i < p->nr_locations; i++)
		if (p->locations[i].id == id)
			return &p->locations[i];
	fail_msg("no location %llu", (unsigned long long)id);
	return NULL;
}

static const char *name_of(const struct profile *p, const struct place *l)
{
	for (size_t i = 0; i < p->nr_functions; i++)
		if (p->functions[i].id == l->function)
			return text(p, p->functions[i].name);
	fail_msg("no function %llu", (unsigned long long)l->function);
	return NULL;
}

static const char *object_of(const struct profile *p,
			     const struct place *l)
{
	if (!l->mapping)
		return "";
	for (size_t i = 0; i < p->nr_mappings; i++)
		if (p->mappings[i].id == l->mapping)
			return text(p, p->mappings[i].filename);
	fail_msg("no mapping %llu", (unsigned long long)l->mapping);
	return NULL;
}

/* Samples are leaf first; each stack comes once. */
static void stacks_read(struct stacks *to, const struct profile *p)
{
	for (size_t i = 0; i < p->nr_samples; i++) {
		const struct numbers *ids = &p->samples[i].locations;
		struct buf b = { 0 };

		assert_true(ids->nr > 0);
		for (size_t k = ids->nr; k--;) {
			const struct place *l = location(p, ids->v[k]);

			buf_printf(&b, "%s@%s%s", name_of(p, l),
				   object_of(p, l), k ? ";" : "");
		}
		stacks_put(to, buf_cstr(&b), p->samples[i].values.v[0]);
		buf_release(&b);
	}
	assert_int_equal(to->nr, p->nr_samples);
}

static void test_small(void **state)
{
	static const struct stack v[] = {
		{ 95, { "main", "/bin/a", "work", "/lib/b", NULL } },
		{ 5, { "main", "/bin/a", NULL } },
		{ 7, { "main", "/bin/a", "work", "[kernel]", NULL } },
		{ 9, { "[unknown]", "", NULL } },
		/* Recursion: a location twice in one sample. */
		{ 3, { "main", "/bin/a", "main", "/bin/a", "main", "/bin/a",
		       NULL } },
	};
	struct flame *f = flame_of(v, ARRAY_SIZE(v));
	struct stacks in = { 0 }, read = { 0 };
	struct profile p;

	(void)state;
	write_and_read(&p, f, CPU);
	assert_string_equal(text(&p, p.sample_type.type), "cpu");
	assert_string_equal(text(&p, p.sample_type.unit), "nanoseconds");
	assert_int_equal(p.nr_period_types, 1);
	assert_string_equal(text(&p, p.period_type.type), "cpu");
	assert_string_equal(text(&p, p.period_type.unit), "nanoseconds");
	assert_int_equal(p.period, 1);
	assert_int_equal(p.time, FROM);
	assert_int_equal(p.duration, UNTIL - FROM);
	assert_int_equal(p.nr_samples, 5);
	assert_int_equal(p.nr_locations, 4);
	assert_int_equal(p.nr_functions, 4);
	assert_int_equal(p.nr_mappings, 3);
	stacks_of(&in, v, ARRAY_SIZE(v), true);
	stacks_read(&read, &p);
	assert_stacks_equal(&in, &read);
	release(&p);
	flame_free(f);
}

/* The markers are frames like others; a comment sums them up. */
static void test_cut(void **state)
{
	static const struct stack v[] = {
		{ 995, { "main", "/bin/a", "work", "/lib/b", NULL } },
		{ 3, { "[cut: no rows]", "", "work", "/lib/b", NULL } },
		{ 2, { "[cut: fault]", "", "work", "/lib/b", NULL } },
	};
	struct flame *f = flame_of(v, ARRAY_SIZE(v));
	struct stacks in = { 0 }, read = { 0 };
	struct profile p;

	(void)state;
	write_and_read(&p, f, CPU);
	assert_int_equal(p.comments.nr, 2);
	assert_string_equal(text(&p, p.comments.v[0]),
			    "cut stacks, fault: 2 (0.20 %)");
	assert_string_equal(text(&p, p.comments.v[1]),
			    "cut stacks, no rows: 3 (0.30 %)");
	stacks_of(&in, v, ARRAY_SIZE(v), true);
	stacks_read(&read, &p);
	assert_stacks_equal(&in, &read);
	release(&p);
	flame_free(f);
	f = flame_of(v, 1);
	write_and_read(&p, f, CPU);
	assert_int_equal(p.comments.nr, 0);
	release(&p);
	flame_free(f);
}

static void test_random(void **state)
{
	struct stack v[RANDOM_STACKS] = { 0 };
	struct stacks in = { 0 }, read = { 0 };
	struct flame *f;
	struct profile p;

	(void)state;
	random_stacks(v);
	f = flame_of(v, RANDOM_STACKS);
	write_and_read(&p, f, CPU);
	stacks_of(&in, v, RANDOM_STACKS, true);
	stacks_read(&read, &p);
	assert_stacks_equal(&in, &read);
	release(&p);
	flame_free(f);
}

static void test_types(void **state)
{
	static const struct {
		const char *id, *type, *unit, *period_type, *period_unit;
	} v[] = {
		{ "off_cpu:off_cpu:nanoseconds::", "off_cpu", "nanoseconds",
		  NULL, NULL },
		{ "memory:alloc_space:bytes:space:bytes", "alloc_space",
		  "bytes", "space", "bytes" },
		{ "a:b:c:d:e:delta", "b", "c", "d", "e" },
		{ "a:b:c:d:", "b", "c", "d", "" },
		{ "a:\xc3\xa9 \"b:c\n:d:e", "\xc3\xa9 \"b", "c\n", "d", "e" },
	};
	static const char *const bad[] = { "", "a", "a:b:c", "a:b:c:d", ":::::",
					   "a:b:c:d:e:f" };
	static const struct stack one[] = { { 1, { "main", "", NULL } } };
	struct flame *f = flame_of(one, 1);
	struct buf out = { 0 };
	struct profile p;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(v); i++) {
		write_and_read(&p, f, v[i].id);
		assert_string_equal(text(&p, p.sample_type.type), v[i].type);
		assert_string_equal(text(&p, p.sample_type.unit), v[i].unit);
		assert_int_equal(p.nr_period_types, !!v[i].period_type);
		if (v[i].period_type) {
			assert_string_equal(text(&p, p.period_type.type),
					    v[i].period_type);
			assert_string_equal(text(&p, p.period_type.unit),
					    v[i].period_unit);
		}
		release(&p);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(pprof_write(f, bad[i], FROM, UNTIL, &out),
				 -EINVAL);
	assert_int_equal(out.len, 0);
	buf_release(&out);
	flame_free(f);
}

static void test_empty(void **state)
{
	struct flame *f = flame_of(NULL, 0);
	struct profile p;

	(void)state;
	write_and_read(&p, f, CPU);
	assert_int_equal(p.nr_samples, 0);
	assert_int_equal(p.nr_locations, 0);
	assert_int_equal(p.nr_functions, 0);
	assert_int_equal(p.nr_mappings, 0);
	assert_int_equal(p.time, FROM);
	release(&p);
	flame_free(f);
}

static void test_weights(void **state)
{
	static const struct stack v[] = {
		{ UINT64_MAX - UINT64_MAX / 2 - 1, { "max", "", NULL } },
		{ 1, { "one", "", NULL } },
		/* Longer and longer numbers. */
		{ 127, { "a", "", NULL } },
		{ 128, { "b", "", NULL } },
		{ UINT64_C(1) << 35, { "c", "", NULL } },
		{ UINT64_C(1) << 62, { "d", "", NULL } },
	};
	static const uint64_t beyond[] = { UINT64_C(1) << 63,
					   (UINT64_C(1) << 63) + 1,
					   UINT64_MAX - 1, UINT64_MAX };
	struct flame *f = flame_of(v, ARRAY_SIZE(v));
	struct stacks in = { 0 }, read = { 0 };
	struct profile p;

	(void)state;
	write_and_read(&p, f, CPU);
	stacks_of(&in, v, ARRAY_SIZE(v), true);
	stacks_read(&read, &p);
	assert_stacks_equal(&in, &read);
	release(&p);
	flame_free(f);
	for (size_t i = 0; i < ARRAY_SIZE(beyond); i++) {
		struct stack one = { beyond[i], { "main", "", NULL } };

		f = flame_of(&one, 1);
		write_and_read(&p, f, CPU);
		assert_int_equal(p.nr_samples, 1);
		assert_int_equal(p.samples[0].values.v[0], INT64_MAX);
		release(&p);
		flame_free(f);
	}
}

/* Any range that HTTP lets through; durations have 63 bits. */
static void test_times(void **state)
{
	static const struct {
		int64_t from, until, duration;
	} v[] = {
		{ 0, 0, 0 },
		{ FROM, FROM, 0 },
		{ 0, INT64_MAX, INT64_MAX },
		{ -5, 10, 15 },
		{ INT64_MIN, INT64_MIN + 3, 3 },
		{ -1, INT64_MAX, INT64_MAX },
		{ INT64_MIN, INT64_MAX, INT64_MAX },
	};
	static const struct stack one[] = { { 1, { "main", "", NULL } } };
	struct flame *f = flame_of(one, 1);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(v); i++) {
		struct buf out = { 0 };
		struct profile p;

		assert_int_equal(pprof_write(f, CPU, v[i].from, v[i].until,
					     &out),
				 0);
		unpack(&p, &out);
		assert_int_equal((int64_t)p.time, v[i].from);
		assert_int_equal((int64_t)p.duration, v[i].duration);
		release(&p);
		buf_release(&out);
	}
	flame_free(f);
}

static void test_hostile_names(void **state)
{
	static const struct stack v[] = {
		{ 1, { "\"\\\n\t\x01\x7f", "/bin/\n", NULL } },
		{ 2, { "%s%n", "%s", NULL } },
		{ 4, { "", "", "", "/bin/a", NULL } },
		{ 8, { "cpu", "nanoseconds", NULL } },
		{ 16, { "total", "total", "total", "total", NULL } },
		{ 32, { "\xf0\x9f\x94\xa5", "/\xc3\xa9", NULL } },
	};
	struct flame *f = flame_of(v, ARRAY_SIZE(v));
	struct stacks in = { 0 }, read = { 0 };
	struct profile p;

	(void)state;
	write_and_read(&p, f, CPU);
	stacks_of(&in, v, ARRAY_SIZE(v), true);
	stacks_read(&read, &p);
	assert_stacks_equal(&in, &read);
	release(&p);
	flame_free(f);
}

/* A sample of many locations, far more than the reader above takes. */
static void test_deep(void **state)
{
	struct flame *f = flame_deep(50000, 7);
	struct buf out = { 0 };
	size_t len;
	char *raw;

	(void)state;
	assert_int_equal(pprof_write(f, CPU, FROM, UNTIL, &out), 0);
	scratch_write("profile.pb.gz", out.data, out.len);
	scratch_run("gzip -dc profile.pb.gz >profile");
	assert_int_equal(util_read_file(scratch_path("profile"), 64 << 20,
					&raw, &len),
			 0);
	/* One location, one byte for each time that the sample has it. */
	assert_true(len > 50000 && len < 50000 + 256);
	free(raw);
	buf_release(&out);
	flame_free(f);
}

static void test_append(void **state)
{
	static const struct stack one[] = { { 1, { "main", "", NULL } } };
	struct flame *f = flame_of(one, 1);
	struct buf out = { 0 };

	(void)state;
	buf_str(&out, "before");
	assert_int_equal(pprof_write(f, CPU, FROM, UNTIL, &out), 0);
	assert_memory_equal(out.data, "before\x1f\x8b", 8);
	buf_release(&out);
	out.err = -ENOMEM;
	assert_int_equal(pprof_write(f, CPU, FROM, UNTIL, &out), -ENOMEM);
	flame_free(f);
}

/* Weight of the stacks that end in name, and of those that hold it. */
static void weights_of(const struct stack *v, size_t nr, const char *name,
		       uint64_t *flat, uint64_t *cum)
{
	*flat = *cum = 0;
	for (size_t i = 0; i < nr; i++) {
		const char *const *p = v[i].frames;
		bool holds = false, ends = false;

		for (; *p; p += 2) {
			ends = !strcmp(*p, name);
			holds |= ends;
		}
		*flat += ends ? v[i].weight : 0;
		*cum += holds ? v[i].weight : 0;
	}
}

/* The lines "flat flat% sum% cum cum% name" of -top. */
static size_t check_top(char *top, const struct stack *v, size_t nr)
{
	size_t seen = 0;
	char *rest;

	for (char *line = strtok_r(top, "\n", &rest); line;
	     line = strtok_r(NULL, "\n", &rest)) {
		unsigned long long got_flat, got_cum;
		uint64_t flat, cum;
		int at = 0;

		if (sscanf(line, " %llu %*f%% %*f%% %llu %*f%% %n", &got_flat,
			   &got_cum, &at) != 2 ||
		    !at)
			continue;
		weights_of(v, nr, line + at, &flat, &cum);
		if (flat != got_flat || cum != got_cum)
			fail_msg("%s", line);
		seen++;
	}
	return seen;
}

/* Go's own reader checks what it reads and adds it up as we do. */
static void test_go(void **state)
{
	struct stack v[RANDOM_STACKS] = { 0 };
	struct buf out = { 0 };
	struct flame *f;
	size_t len;
	char *got;

	(void)state;
	random_stacks(v);
	for (size_t i = 0; i < RANDOM_STACKS; i++)
		v[i].weight %= 1000; /* printed as they are */
	f = flame_of(v, RANDOM_STACKS);
	assert_int_equal(pprof_write(f, "x:samples:count:cpu:nanoseconds",
				     FROM, UNTIL, &out),
			 0);
	scratch_write("profile.pb.gz", out.data, out.len);
#define GO "PPROF_TMPDIR=. GOTOOLCHAIN=local go tool pprof -symbolize=none "
	scratch_run(GO "-top -nodefraction=0 -edgefraction=0 -nodecount=100000 "
		       "profile.pb.gz >top 2>err || { cat err; false; }");
	assert_int_equal(util_read_file(scratch_path("top"), 1 << 20, &got,
					&len),
			 0);
	assert_non_null(strstr(got, "Type: samples"));
	assert_non_null(strstr(got, "Duration: 60s"));
	assert_int_equal(check_top(got, v, RANDOM_STACKS), 7);
	free(got);
	scratch_run(GO "-raw profile.pb.gz >raw 2>err || { cat err; false; }");
	assert_int_equal(util_read_file(scratch_path("raw"), 1 << 22, &got,
					&len),
			 0);
	assert_non_null(strstr(got, "PeriodType: cpu nanoseconds"));
	assert_non_null(strstr(got, "Period: 1\n"));
	assert_non_null(strstr(got, "samples/count[dflt]"));
	assert_non_null(strstr(got, "/lib/libc.so.6"));
	free(got);
	buf_release(&out);
	flame_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_small),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_types),
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_weights),
		cmocka_unit_test(test_times),
		cmocka_unit_test(test_hostile_names),
		cmocka_unit_test(test_deep),
		cmocka_unit_test(test_append),
		cmocka_unit_test(test_go),
	};

	return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
