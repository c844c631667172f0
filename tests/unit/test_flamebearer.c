// SPDX-License-Identifier: Apache-2.0
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Names that jansson has in common with base/json.h; neither is called here. */
#define json_object jansson_object
#define json_array jansson_array
#define json_null jansson_null
#include <jansson.h>
#undef json_object
#undef json_array
#undef json_null

#include "flames.h"
#include "serve/flamebearer.h"
#include "serve/foldedtext.h"

#define CPU "process_cpu:cpu:nanoseconds:cpu:nanoseconds"

static json_t *parse(const struct flame *f, const char *type,
		     const struct query_series *timeline, size_t flags)
{
	const struct query_series none = { .step_ns = WINDOW_NS };
	struct buf out = { 0 };
	struct json j = json_to(&out);
	json_error_t err;
	json_t *root;

	assert_int_equal(flamebearer_write(&j, f, type,
					   timeline ? timeline : &none),
			 0);
	assert_int_equal(out.err, 0);
	/* Also what jansson is strict about: UTF-8, and each key once. */
	root = json_loadb(out.data, out.len, flags | JSON_REJECT_DUPLICATES,
			  &err);
	if (!root)
		fail_msg("%s at %d: %.200s", err.text, err.position,
			 buf_cstr(&out));
	buf_release(&out);
	return root;
}

/* Member of members: "flamebearer.names". */
static json_t *get(json_t *at, const char *path)
{
	char key[64];

	while (at && *path) {
		size_t len = strcspn(path, ".");

		snprintf(key, sizeof(key), "%.*s", (int)len, path);
		at = json_object_get(at, key);
		path += len + (path[len] == '.');
	}
	if (!at)
		fail_msg("no %s", path);
	return at;
}

static uint64_t number(const json_t *v)
{
	assert_true(json_is_integer(v));
	assert_true(json_integer_value(v) >= 0);
	return (uint64_t)json_integer_value(v);
}

static void assert_json(json_t *root, const char *path, const char *expect)
{
	char *got = json_dumps(get(root, path),
			       JSON_COMPACT | JSON_ENCODE_ANY);

	assert_non_null(got);
	assert_string_equal(got, expect);
	free(got);
}

/* The example of Pyroscope's own description. */
static void test_example(void **state)
{
	static const struct stack v[] = {
		{ 95, { "main", "/bin/a", "work", "/bin/a", NULL } },
		{ 5, { "main", "/bin/a", NULL } },
	};
	uint64_t points[] = { 100, 0 };
	const struct query_series timeline = {
		.start_ns = INT64_C(1577836800) * NSEC_PER_SEC,
		.step_ns = 20 * NSEC_PER_SEC,
		.points = points,
		.nr = 2,
	};
	struct flame *f = flame_of(v, ARRAY_SIZE(v));
	json_t *root = parse(f, CPU, &timeline, 0);

	(void)state;
	assert_json(root, "version", "1");
	assert_json(root, "flamebearer.names", "[\"total\",\"main\",\"work\"]");
	assert_json(root, "flamebearer.levels",
		    "[[0,100,0,0],[0,100,5,1],[0,95,95,2]]");
	assert_json(root, "flamebearer.numTicks", "100");
	assert_json(root, "flamebearer.maxSelf", "95");
	assert_json(root, "metadata.format", "\"single\"");
	assert_json(root, "metadata.spyName", "\"\"");
	assert_json(root, "metadata.sampleRate", "1000000000");
	assert_json(root, "metadata.units", "\"samples\"");
	assert_json(root, "metadata.name", "\"cpu\"");
	assert_json(root, "timeline.startTime", "1577836800");
	assert_json(root, "timeline.samples", "[100,0]");
	assert_json(root, "timeline.durationDelta", "20");
	assert_json(root, "timeline.watermarks", "null");
	assert_json(root, "groups", "null");
	assert_json(root, "heatmap", "null");
	assert_json(root, "objects.names", "[\"\",\"/bin/a\"]");
	assert_json(root, "objects.index", "[0,1,1]");
	json_decref(root);
	flame_free(f);
}

/* Cut stacks: what they weigh, by reason; nothing where none is. */
static void test_cut(void **state)
{
	static const struct stack v[] = {
		{ 95, { "main", "/bin/a", "work", "/bin/a", NULL } },
		{ 3, { "[cut: no rows]", "", "work", "/bin/a", NULL } },
		{ 2, { "[cut: fault]", "", "work", "/bin/a", NULL } },
		{ 1, { "[cut: depth]", "/bin/odd", "work", "/bin/a", NULL } },
	};
	uint64_t points[] = { 100 };
	const struct query_series timeline = { .points = points, .nr = 1 };
	struct flame *f = flame_of(v, ARRAY_SIZE(v));
	json_t *root = parse(f, CPU, &timeline, 0);

	(void)state;
	assert_json(root, "metadata.cut", "{\"fault\":2,\"no_rows\":3}");
	json_decref(root);
	flame_free(f);
	f = flame_of(v, 1);
	root = parse(f, CPU, &timeline, 0);
	assert_null(json_object_get(get(root, "metadata"), "cut"));
	json_decref(root);
	flame_free(f);
}

/* Offsets count from the end of the bar before, gaps and all. */
static void test_offsets(void **state)
{
	static const struct stack v[] = {
		{ 10, { "a", "", NULL } },
		{ 20, { "a", "", "x", "", NULL } },
		{ 9, { "b", "", NULL } },
		{ 4, { "c", "", "y", "", "z", "", NULL } },
		{ 3, { "c", "", "x", "", NULL } },
	};
	struct flame *f = flame_of(v, ARRAY_SIZE(v));
	json_t *root = parse(f, CPU, NULL, 0);

	(void)state;
	assert_json(root, "flamebearer.names",
		    "[\"total\",\"a\",\"x\",\"b\",\"c\",\"y\",\"z\"]");
	assert_json(root, "flamebearer.levels",
		    "[[0,46,0,0],"
		    "[0,30,10,1,0,9,9,3,0,7,0,4],"
		    "[0,20,20,2,19,4,0,5,0,3,3,2],"
		    "[39,4,4,6]]");
	assert_json(root, "timeline.samples", "[]");
	json_decref(root);
	flame_free(f);
}

static void test_empty(void **state)
{
	struct flame *f = flame_of(NULL, 0);
	json_t *root = parse(f, CPU, NULL, 0);
	struct buf out = { 0 };

	(void)state;
	assert_json(root, "flamebearer.names", "[\"total\"]");
	assert_json(root, "flamebearer.levels", "[[0,0,0,0]]");
	assert_json(root, "flamebearer.numTicks", "0");
	assert_json(root, "flamebearer.maxSelf", "0");
	assert_json(root, "objects.names", "[\"\"]");
	assert_json(root, "objects.index", "[0]");
	json_decref(root);
	assert_int_equal(foldedtext_write(f, &out), 0);
	assert_string_equal(buf_cstr(&out), "");
	buf_release(&out);
	flame_free(f);
}

static void test_metadata(void **state)
{
	static const struct {
		const char *type, *units, *rate, *name;
	} v[] = {
		{ CPU, "\"samples\"", "1000000000", "\"cpu\"" },
		{ "off_cpu:off_cpu:nanoseconds::", "\"nanoseconds\"", "100",
		  "\"off_cpu\"" },
		{ "wall:wall:nanoseconds:cpu:nanoseconds", "\"nanoseconds\"",
		  "100", "\"wall\"" },
		{ "memory:alloc_space:bytes:space:bytes", "\"bytes\"", "100",
		  "\"alloc_space\"" },
		{ "memory:alloc_objects:count:space:bytes", "\"objects\"",
		  "100", "\"alloc_objects\"" },
		{ "memory:inuse_objects:count:space:bytes", "\"objects\"",
		  "100", "\"inuse_objects\"" },
		{ "goroutine:goroutine:count:goroutine:count", "\"objects\"",
		  "100", "\"goroutine\"" },
		{ "process_cpu:samples:count:cpu:nanoseconds", "\"objects\"",
		  "100", "\"samples\"" },
		{ "x:a\"b\\c\xff:d\n::", "\"d\\n\"", "100",
		  "\"a\\\"b\\\\c\xef\xbf\xbd\"" },
	};
	/* No profile types; what they say of units is of no interest. */
	static const char *const bad[] = { "", ":", "a:b", "a:\xff:\x01",
					   "a:b:c:d:e:f:g" };
	struct flame *f = flame_of(NULL, 0);
	json_t *root;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(v); i++) {
		root = parse(f, v[i].type, NULL, 0);
		assert_json(root, "metadata.units", v[i].units);
		assert_json(root, "metadata.sampleRate", v[i].rate);
		assert_json(root, "metadata.name", v[i].name);
		json_decref(root);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		json_decref(parse(f, bad[i], NULL, 0));
	flame_free(f);
}

struct bar {
	uint64_t x, total, self, name;
	size_t parent, inside; /* how much of it its children take */
};

static const char *text_at(json_t *list, uint64_t i)
{
	const char *s = json_string_value(json_array_get(list, i));

	assert_non_null(s);
	return s;
}

static void put_bar(struct stacks *to, const struct bar *bars, size_t at,
		    json_t *root)
{
	size_t path[256], depth = 0;
	struct buf b = { 0 };

	for (size_t i = at; i; i = bars[i].parent) {
		assert_true(depth < ARRAY_SIZE(path));
		path[depth++] = i;
	}
	while (depth--) {
		uint64_t name = bars[path[depth]].name;

		if (b.len)
			buf_char(&b, ';');
		buf_printf(&b, "%s@%s",
			   text_at(get(root, "flamebearer.names"), name),
			   text_at(get(root, "objects.names"),
				   number(json_array_get(
					   get(root, "objects.index"), name))));
	}
	stacks_put(to, buf_cstr(&b), bars[at].self);
	buf_release(&b);
}

/*
 * The stacks that the bars show: one lies on the bar of the level above that
 * spans it.
 */
static void stacks_shown(struct stacks *to, json_t *root)
{
	json_t *levels = get(root, "flamebearer.levels");
	size_t nr = 0, above = 0, level_first = 0, nr_bars = 0;
	uint64_t max_self = 0;
	struct bar *bars;

	for (size_t d = 0; d < json_array_size(levels); d++)
		nr_bars += json_array_size(json_array_get(levels, d)) / 4;
	bars = calloc(nr_bars + 1, sizeof(*bars));
	assert_non_null(bars);
	for (size_t d = 0; d < json_array_size(levels); d++) {
		json_t *level = json_array_get(levels, d);
		uint64_t x = 0;

		assert_int_equal(json_array_size(level) % 4, 0);
		above = level_first;
		level_first = nr;
		for (size_t i = 0; i < json_array_size(level); i += 4) {
			struct bar *b = &bars[nr++], *p = &bars[above];

			x += number(json_array_get(level, i));
			b->x = x;
			b->total = number(json_array_get(level, i + 1));
			b->self = number(json_array_get(level, i + 2));
			b->name = number(json_array_get(level, i + 3));
			x += b->total;
			max_self = max_u64(max_self, b->self);
			if (!d)
				continue;
			while (p->x + p->total <= b->x &&
			       p < &bars[level_first])
				p++;
			assert_true(p < &bars[level_first]);
			assert_true(p->x <= b->x && p->x + p->total >= x);
			b->parent = (size_t)(p - bars);
			p->inside += b->total;
		}
	}
	assert_int_equal(number(get(root, "flamebearer.numTicks")),
			 bars[0].total);
	assert_int_equal(number(get(root, "flamebearer.maxSelf")), max_self);
	assert_string_equal(text_at(get(root, "flamebearer.names"),
				    bars[0].name),
			    "total");
	for (size_t i = 0; i < nr; i++) {
		assert_int_equal(bars[i].inside + bars[i].self, bars[i].total);
		if (bars[i].self)
			put_bar(to, bars, i, root);
	}
	free(bars);
}

/* Names and objects are each once, or rather each pair of them. */
static void assert_names_once(json_t *root)
{
	json_t *names = get(root, "flamebearer.names");
	json_t *objects = get(root, "objects.names");
	json_t *index = get(root, "objects.index");

	assert_int_equal(json_array_size(names), json_array_size(index));
	for (size_t i = 0; i < json_array_size(names); i++)
		for (size_t k = 0; k < i; k++)
			assert_false(!strcmp(text_at(names, i),
					     text_at(names, k)) &&
				     json_equal(json_array_get(index, i),
						json_array_get(index, k)));
	for (size_t i = 0; i < json_array_size(objects); i++)
		for (size_t k = 0; k < i; k++)
			assert_true(strcmp(text_at(objects, i),
					   text_at(objects, k)));
}

static void test_random(void **state)
{
	struct stack v[RANDOM_STACKS] = { 0 };
	struct stacks in = { 0 }, shown = { 0 };
	struct flame *f;
	json_t *root;

	(void)state;
	random_stacks(v);
	f = flame_of(v, RANDOM_STACKS);
	root = parse(f, CPU, NULL, 0);
	assert_names_once(root);
	stacks_of(&in, v, RANDOM_STACKS, true);
	stacks_shown(&shown, root);
	assert_stacks_equal(&in, &shown);
	json_decref(root);
	flame_free(f);
}

/* A name in two objects is two functions, though folded text has one. */
static void test_objects(void **state)
{
	static const struct stack v[] = {
		{ 5, { "main", "/bin/a", "f", "/lib/x", NULL } },
		{ 3, { "main", "/bin/a", "f", "/lib/y", NULL } },
		{ 2, { "main", "/bin/a", "f", "", NULL } },
	};
	struct flame *f = flame_of(v, ARRAY_SIZE(v));
	json_t *root = parse(f, CPU, NULL, 0);
	struct buf out = { 0 };

	(void)state;
	assert_json(root, "flamebearer.names",
		    "[\"total\",\"main\",\"f\",\"f\",\"f\"]");
	assert_json(root, "flamebearer.levels",
		    "[[0,10,0,0],[0,10,0,1],[0,5,5,2,0,3,3,3,0,2,2,4]]");
	assert_json(root, "objects.names",
		    "[\"\",\"/bin/a\",\"/lib/x\",\"/lib/y\"]");
	assert_json(root, "objects.index", "[0,1,2,3,0]");
	json_decref(root);
	assert_int_equal(foldedtext_write(f, &out), 0);
	assert_string_equal(buf_cstr(&out), "main;f 10\n");
	buf_release(&out);
	flame_free(f);
}

/* What symbol tables and mappings may hold. */
static void test_hostile_names(void **state)
{
	static const struct stack v[] = {
		{ 1, { "\"],\"x\":[\"", "\\", NULL } },
		{ 2, { "\xff\xfe", "\xc3", NULL } },
		{ 4, { "</script>", "\x01\x1f\x7f", NULL } },
		{ 8, { "\xed\xa0\x80", "/bin/\xf0\x9f\x94\xa5", NULL } },
		{ 16, { "total", "", "total", "", NULL } },
		{ 32, { "", "", "", "", NULL } },
	};
	struct flame *f = flame_of(v, ARRAY_SIZE(v));
	json_t *root = parse(f, CPU, NULL, 0);
	struct stacks in = { 0 }, shown = { 0 };
#define BAD "\xef\xbf\xbd" /* instead of a byte that is not UTF-8 */

	(void)state;
	stacks_put(&in, "\"],\"x\":[\"@\\", 1);
	stacks_put(&in, BAD BAD "@" BAD, 2);
	stacks_put(&in, "</script>@\x01\x1f\x7f", 4);
	stacks_put(&in, BAD BAD BAD "@/bin/\xf0\x9f\x94\xa5", 8);
	stacks_put(&in, "total@;total@", 16);
	stacks_put(&in, "@;@", 32);
	stacks_shown(&shown, root);
	assert_stacks_equal(&in, &shown);
	json_decref(root);
	flame_free(f);
}

/* What the limit cut is there as "other". */
static void test_pruned(void **state)
{
	struct stack v[RANDOM_STACKS] = { 0 };
	struct stacks shown = { 0 }, none = { 0 };
	struct flame *f, *few;
	uint64_t sum = 0, total = 0, folded = 0;
	struct buf out = { 0 };
	json_t *root;
	char *rest;

	(void)state;
	random_stacks(v);
	for (size_t i = 0; i < RANDOM_STACKS; i++)
		sum += v[i].weight;
	f = flame_of(v, RANDOM_STACKS);
	assert_int_equal(flame_prune(f, 20, &few), 0);
	root = parse(few, CPU, NULL, 0);
	assert_names_once(root);
	stacks_shown(&shown, root);
	assert_true(shown.nr > 1 && shown.nr < 40);
	for (size_t i = 0; i < shown.nr; i++)
		total += shown.v[i].weight;
	assert_int_equal(total, sum);
	stacks_release(&shown);
	assert_stacks_equal(&shown, &none);
	assert_int_equal(foldedtext_write(few, &out), 0);
	buf_cstr(&out);
	for (char *line = strtok_r(out.data, "\n", &rest); line;
	     line = strtok_r(NULL, "\n", &rest))
		folded += strtoull(strrchr(line, ' '), NULL, 10);
	assert_int_equal(folded, sum);
	buf_release(&out);
	json_decref(root);
	flame_free(few);
	flame_free(f);
}

/* Depth is the input's to choose: levels and time grow with it, no stack. */
static void test_deep(void **state)
{
	struct flame *f = flame_deep(50000, 7);
	json_t *root = parse(f, CPU, NULL, 0);
	struct buf out = { 0 };

	(void)state;
	assert_int_equal(json_array_size(get(root, "flamebearer.levels")),
			 50001);
	assert_json(root, "flamebearer.names", "[\"total\",\"f\"]");
	json_decref(root);
	assert_int_equal(foldedtext_write(f, &out), 0);
	assert_int_equal(out.len, 2 * 50000 + 2);
	assert_memory_equal(out.data, "f;f;f;", 6);
	assert_string_equal(buf_cstr(&out) + out.len - 8, "f;f;f 7\n");
	buf_release(&out);
	flame_free(f);
}

/* Weights have 64 bits, whatever a reader makes of them. */
static void test_weights(void **state)
{
	static const struct stack v[] = {
		{ UINT64_MAX, { "a", "", NULL } },
	};
	struct flame *f = flame_of(v, ARRAY_SIZE(v));
	json_t *root = parse(f, CPU, NULL, JSON_DECODE_INT_AS_REAL);
	struct buf out = { 0 };

	(void)state;
	assert_true(json_number_value(get(root, "flamebearer.numTicks")) >
		    1.8446744e19);
	json_decref(root);
	assert_int_equal(foldedtext_write(f, &out), 0);
	assert_string_equal(buf_cstr(&out), "a 18446744073709551615\n");
	buf_release(&out);
	flame_free(f);
}

static void test_folded(void **state)
{
	static const struct stack v[] = {
		{ 1, { "b", "", NULL } },
		{ 2, { "a", "", "c", "", NULL } },
		{ 3, { "a", "", NULL } },
		{ 4, { "a", "", "b", "", "c", "", NULL } },
		{ 5, { "\xff", "", NULL } },
		{ 6, { "a b", "", "c 7", "", NULL } },
	};
	struct flame *f = flame_of(v, ARRAY_SIZE(v));
	struct buf out = { 0 };

	(void)state;
	/* It appends. */
	buf_str(&out, "# before\n");
	assert_int_equal(foldedtext_write(f, &out), 0);
	assert_string_equal(buf_cstr(&out), "# before\n"
					    "a 3\n"
					    "a b;c 7 6\n"
					    "a;b;c 4\n"
					    "a;c 2\n"
					    "b 1\n"
					    "\xff 5\n");
	buf_release(&out);
	/* What failed stays failed. */
	out.err = -ENOMEM;
	assert_int_equal(foldedtext_write(f, &out), -ENOMEM);
	assert_int_equal(out.len, 0);
	flame_free(f);
}

/* No name makes another stack or line, and stacks that become alike are one. */
static void test_folded_hostile(void **state)
{
	static const struct stack v[] = {
		{ 1, { "a;b", "", NULL } },
		{ 2, { "a:b", "", NULL } },
		{ 4, { "x\ny 5\nz", "", "w;", "", NULL } },
		{ 8, { "", "", NULL } },
		{ 16, { "", "", "", "", NULL } },
		{ 32, { ";", "", "\n", "", NULL } },
	};
	struct flame *f = flame_of(v, ARRAY_SIZE(v));
	struct buf out = { 0 };

	(void)state;
	assert_int_equal(foldedtext_write(f, &out), 0);
	assert_string_equal(buf_cstr(&out), " 8\n"
					    ":;  32\n"
					    "; 16\n"
					    "a:b 3\n"
					    "x y 5 z;w: 4\n");
	buf_release(&out);
	flame_free(f);
}

/* The first frame written is an empty one: there is no memory for it yet. */
static void test_folded_empty_frame(void **state)
{
	static const struct stack v[] = { { 8, { "", "/bin/a", NULL } } };
	struct flame *f = flame_of(v, ARRAY_SIZE(v));
	struct buf out = { 0 };

	(void)state;
	assert_int_equal(foldedtext_write(f, &out), 0);
	assert_string_equal(buf_cstr(&out), " 8\n");
	buf_release(&out);
	flame_free(f);
}

/* Sums of stacks that fall together stop at the largest number. */
static void test_folded_overflow(void **state)
{
	static const struct stack v[] = {
		{ UINT64_MAX - 5, { "a", "/bin/x", NULL } },
		{ 5, { "a", "/bin/y", NULL } },
	};
	struct flame *f = flame_of(v, ARRAY_SIZE(v));
	struct buf out = { 0 };

	(void)state;
	assert_int_equal(foldedtext_write(f, &out), 0);
	assert_string_equal(buf_cstr(&out), "a 18446744073709551615\n");
	out.len = 0;
	for (uint32_t i = 1; i < f->nr; i++)
		f->nodes[i].self = UINT64_MAX - 5;
	assert_int_equal(foldedtext_write(f, &out), 0);
	assert_string_equal(buf_cstr(&out), "a 18446744073709551615\n");
	buf_release(&out);
	flame_free(f);
}

static void test_folded_random(void **state)
{
	struct stack v[RANDOM_STACKS] = { 0 };
	struct stacks in = { 0 }, written = { 0 };
	const char *before = "";
	struct buf out = { 0 };
	struct flame *f;
	char *rest;

	(void)state;
	random_stacks(v);
	f = flame_of(v, RANDOM_STACKS);
	assert_int_equal(foldedtext_write(f, &out), 0);
	buf_cstr(&out);
	for (char *line = strtok_r(out.data, "\n", &rest); line;
	     line = strtok_r(NULL, "\n", &rest)) {
		char *value = strrchr(line, ' ');

		assert_non_null(value);
		*value++ = '\0';
		assert_true(strcmp(before, line) < 0);
		before = line;
		stacks_put(&written, line, strtoull(value, NULL, 10));
	}
	stacks_of(&in, v, RANDOM_STACKS, false);
	assert_stacks_equal(&in, &written);
	buf_release(&out);
	flame_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_example),
		cmocka_unit_test(test_offsets),
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_metadata),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_objects),
		cmocka_unit_test(test_hostile_names),
		cmocka_unit_test(test_pruned),
		cmocka_unit_test(test_deep),
		cmocka_unit_test(test_weights),
		cmocka_unit_test(test_folded),
		cmocka_unit_test(test_folded_hostile),
		cmocka_unit_test(test_folded_empty_frame),
		cmocka_unit_test(test_folded_overflow),
		cmocka_unit_test(test_folded_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
