// SPDX-License-Identifier: Apache-2.0
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "scratch.h"
#include "serve/profiletype.h"

#define CPU "process_cpu:cpu:nanoseconds:cpu:nanoseconds"

static void test_parse(void **state)
{
	struct profile_type t;

	(void)state;
	assert_int_equal(profile_type_parse(&t, "a:b:c:d:e"), 0);
	assert_string_equal(t.name, "a");
	assert_string_equal(t.sample_type, "b");
	assert_string_equal(t.sample_unit, "c");
	assert_string_equal(t.period_type, "d");
	assert_string_equal(t.period_unit, "e");
	assert_int_equal(profile_type_parse(&t, CPU), 0);
	assert_string_equal(t.name, "process_cpu");
	assert_string_equal(t.period_unit, "nanoseconds");
	/* No period: the parts are there, and empty. */
	assert_int_equal(profile_type_parse(&t, "off_cpu:off_cpu:nanoseconds::"),
			 0);
	assert_string_equal(t.sample_unit, "nanoseconds");
	assert_string_equal(t.period_type, "");
	assert_string_equal(t.period_unit, "");
	assert_int_equal(profile_type_parse(&t, "a:b:c:d:e:delta"), 0);
	assert_string_equal(t.period_unit, "e");
	assert_int_equal(profile_type_parse(&t, "a:b:c:::delta"), 0);
	assert_string_equal(t.period_unit, "");
}

static void test_parse_bad(void **state)
{
	static const char *const v[] = {
		"", ":", "::::", ":::::", "a", "a:", "a:b", "a:b:c", "a:b:c:",
		"a:b:c:d", ":b:c:d:e", "a::c:d:e", "a:b::d:e", "a:b:c:d:e:",
		"a:b:c:d:e:f", "a:b:c:d:e:deltas", "a:b:c:d:e:delt",
		"a:b:c:d:e:delta:", "a:b:c:d:e::delta", "a:b:c:d:e:f:g",
	};
	struct profile_type t;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(v); i++)
		if (profile_type_parse(&t, v[i]) != -EINVAL)
			fail_msg("'%s'", v[i]);
}

/* Each part in turn at the most it may have, and one over. */
static void test_parse_long(void **state)
{
	struct profile_type t;
	char part[65];

	(void)state;
	memset(part, 'x', sizeof(part));
	for (int i = 0; i < 5; i++) {
		for (int len = 63; len <= 64; len++) {
			struct buf b = { 0 };

			for (int k = 0; k < 5; k++)
				buf_printf(&b, "%s%.*s", k ? ":" : "",
					   k == i ? len : 1, part);
			assert_int_equal(profile_type_parse(&t, buf_cstr(&b)),
					 len == 63 ? 0 : -EINVAL);
			buf_release(&b);
		}
	}
}

/* "name=value name=value scale" as it is taken, or what is wrong. */
static char *push_as(const char *name, const char *units, const char *spy,
		     uint64_t rate)
{
	struct labels l = { 0 };
	struct buf b = { 0 };
	const char *why = NULL;
	uint64_t scale = 77;
	int r = profile_type_of_push(name, units, spy, rate, &l, &scale, &why);

	if (r == 0) {
		for (size_t i = 0; i < l.nr; i++)
			buf_printf(&b, "%s=%s ", l.v[i].name, l.v[i].value);
		buf_printf(&b, "*%llu", (unsigned long long)scale);
	} else {
		assert_int_equal(r, -EINVAL);
		assert_non_null(why);
		assert_true(*why);
		buf_printf(&b, "!%s", why);
	}
	labels_release(&l);
	buf_cstr(&b);
	return b.data;
}

static void assert_push(const char *name, const char *expect)
{
	char *got = push_as(name, "samples", "", 100);

	assert_string_equal(got, expect);
	free(got);
}

static void assert_bad(const char *name, const char *where)
{
	char *got = push_as(name, "samples", "", 100);

	if (*got != '!' || !strstr(got, where))
		fail_msg("'%s': %s", name, got);
	free(got);
}

/* Labels come sorted: __profile_type__, app_name, others, service_name. */
#define TAKEN(type, app) \
	"__profile_type__=" type " app_name=" app " service_name=" app " "

static void test_push_types(void **state)
{
	(void)state;
	assert_push("app", TAKEN(CPU, "app") "*10000000");
	assert_push("app.cpu", TAKEN(CPU, "app") "*10000000");
	assert_push("app.itimer", TAKEN(CPU, "app") "*10000000");
	assert_push("app.cpu{}", TAKEN(CPU, "app") "*10000000");
	assert_push("app.wall", TAKEN("wall:wall:nanoseconds:cpu:nanoseconds",
				      "app") "*10000000");
	assert_push("app.alloc_objects",
		    TAKEN("memory:alloc_objects:count:space:bytes", "app") "*1");
	assert_push("app.alloc_space",
		    TAKEN("memory:alloc_space:bytes:space:bytes", "app") "*1");
	assert_push("app.inuse_objects",
		    TAKEN("memory:inuse_objects:count:space:bytes", "app") "*1");
	assert_push("app.inuse_space",
		    TAKEN("memory:inuse_space:bytes:space:bytes", "app") "*1");
	assert_push("app.goroutines",
		    TAKEN("goroutine:goroutine:count:goroutine:count",
			  "app") "*1");
	assert_push("app.mutex_count",
		    TAKEN("mutex:contentions:count:contentions:count",
			  "app") "*1");
	assert_push("app.mutex_duration",
		    TAKEN("mutex:delay:nanoseconds:contentions:count",
			  "app") "*1");
	assert_push("app.block_count",
		    TAKEN("block:contentions:count:contentions:count",
			  "app") "*1");
	assert_push("app.block_duration",
		    TAKEN("block:delay:nanoseconds:contentions:count",
			  "app") "*1");
	/* The last dot parts; what is no type is the name's own. */
	assert_push("my.app.cpu", TAKEN(CPU, "my.app") "*10000000");
	assert_push("my.app", TAKEN(CPU, "my.app") "*10000000");
	assert_push("my.cpu.app", TAKEN(CPU, "my.cpu.app") "*10000000");
	assert_push("app.cpux", TAKEN(CPU, "app.cpux") "*10000000");
	assert_push("app.cp", TAKEN(CPU, "app.cp") "*10000000");
	assert_push("app.", TAKEN(CPU, "app.") "*10000000");
	assert_push("app.CPU", TAKEN(CPU, "app.CPU") "*10000000");
	assert_push("cpu", TAKEN(CPU, "cpu") "*10000000");
	/* A dot within the labels is not the name's. */
	assert_push("app{k=a.alloc_space}",
		    "__profile_type__=" CPU
		    " app_name=app k=a.alloc_space service_name=app *10000000");
}

static void test_push_scale(void **state)
{
	static const struct {
		const char *units;
		uint64_t rate;
		const char *scale;
	} v[] = {
		{ "samples", 100, "*10000000" },
		{ "samples", 1, "*1000000000" },
		{ "samples", 97, "*10309278" },
		{ "samples", 1000000000, "*1" },
		{ "", 100, "*10000000" },
		/* These are time already. */
		{ "nanoseconds", 100, "*1" },
		{ "nanoseconds", 0, "*1" },
		{ "samples", 0, "!sampleRate" },
		{ "samples", 1000000001, "!sampleRate" },
		{ "samples", UINT64_MAX, "!sampleRate" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(v); i++) {
		char *got = push_as("app.cpu", v[i].units, "", v[i].rate);
		const char *at = strpbrk(got, "*!");

		if (!at || strncmp(at, v[i].scale, strlen(v[i].scale)) ||
		    (*at == '*' && strcmp(at, v[i].scale)))
			fail_msg("%zu: %s", i, got);
		free(got);
		/* What is not time has no rate, so a bad one does not matter. */
		got = push_as("app.alloc_space", v[i].units, "", v[i].rate);
		assert_string_equal(strpbrk(got, "*!"), "*1");
		free(got);
	}
}

static void test_push_labels(void **state)
{
	char *got;

	(void)state;
#define BEFORE "__profile_type__=" CPU " app_name=app "
#define AFTER " service_name=app *10000000"
	assert_push("app.cpu{k=v}", BEFORE "k=v" AFTER);
	assert_push("app.cpu{k=v,}", BEFORE "k=v" AFTER);
	assert_push("app.cpu{k2=v2,k=v}", BEFORE "k=v k2=v2" AFTER);
	assert_push("app.cpu{k=\"v\"}", BEFORE "k=v" AFTER);
	assert_push("app.cpu{k=a=b}", BEFORE "k=a=b" AFTER);
	assert_push("app.cpu{k={a}", BEFORE "k={a" AFTER);
	assert_push("app.cpu{k=\"}", BEFORE "k=\"" AFTER);
	assert_push("app.cpu{k=a b}", BEFORE "k=a b" AFTER);
	assert_push("app.cpu{k=\xff\xfe}", BEFORE "k=\xff\xfe" AFTER);
	/* The same name twice: the last. No value: no label. */
	assert_push("app.cpu{k=1,k=2}", BEFORE "k=2" AFTER);
	assert_push("app.cpu{k=1,k=}", TAKEN(CPU, "app") "*10000000");
	assert_push("app.cpu{k=\"\"}", TAKEN(CPU, "app") "*10000000");
	/* Spaces around names and values are cut. */
	assert_push("app.cpu{ k = v , k2 = \"v2\" }", BEFORE "k=v k2=v2" AFTER);
	assert_push("app.cpu{k= }", TAKEN(CPU, "app") "*10000000");
	assert_push("app.cpu{k=\" v \"}", BEFORE "k= v " AFTER);
	/* A pusher may name the service, but not the rest. */
	assert_push("app.cpu{service_name=web}",
		    BEFORE "service_name=web *10000000");
	assert_push("app.cpu{app_name=x,__profile_type__=a:b:c:d:e}",
		    TAKEN(CPU, "app") "*10000000");
	got = push_as("app.cpu{k=v}", "samples", "gospy", 100);
	assert_string_equal(got, BEFORE "k=v pyroscope_spy=gospy" AFTER);
	free(got);
}

static void test_push_bad(void **state)
{
	static const char *const v[] = {
		"app{", "app{k", "app{k}", "app{k=", "app{k=v",
		"app{=v}", "app{,}", "app{k=v,,}", "app{,k=v}", "app{ }",
		"app{k=v}}", "app{k=v}x", "app{k=v}{k=v}", "app{k=a}b}",
		"app{1k=v}", "app{k-k=v}", "app{k k=v}", "app{ =v}",
		"app{\xc3\xa9=v}", "app{k=\"a,b\"}", "app{\"k\"=v}",
		"app{k=v} ", "app{}}", "app{}k=v}", "app{k=v,}}",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(v); i++)
		assert_bad(v[i], "name: ");
	assert_bad("", "app.cpu");
	assert_bad(".cpu", "app.cpu");
	assert_bad("{}", "app.cpu");
	assert_bad("{k=v}", "app.cpu");
	assert_bad(".cpu{k=v}", "app.cpu");
}

static void test_push_limits(void **state)
{
	struct buf b = { 0 };
	char *got, *text;

	(void)state;
	/* The longest name, and one over. */
	for (int len = 511; len <= 512; len++) {
		b.len = 0;
		for (int i = 0; i < len; i++)
			buf_char(&b, 'a');
		buf_str(&b, ".cpu");
		got = push_as(buf_cstr(&b), "samples", "", 100);
		assert_int_equal(*got, len == 511 ? '_' : '!');
		free(got);
	}
	/* As many labels as fit with our three, and one over. */
	for (int nr = LABELS_MAX - 3; nr <= LABELS_MAX - 2; nr++) {
		b.len = 0;
		buf_str(&b, "app.cpu{");
		for (int i = 0; i < nr; i++)
			buf_printf(&b, "k%d=v,", i);
		buf_char(&b, '}');
		got = push_as(buf_cstr(&b), "samples", "", 100);
		assert_int_equal(*got, nr == LABELS_MAX - 3 ? '_' : '!');
		if (*got == '!')
			assert_non_null(strstr(got, "too many"));
		free(got);
	}
	b.len = 0;
	buf_str(&b, "app.cpu{");
	for (int i = 0; i < 100000; i++)
		buf_printf(&b, "k%d=v,", i);
	buf_char(&b, '}');
	assert_bad(buf_cstr(&b), "too many");
	/* A value, a name and a spy that are too long. */
	text = malloc(100001);
	assert_non_null(text);
	memset(text, 'x', 100000);
	text[100000] = '\0';
	b.len = 0;
	buf_printf(&b, "app.cpu{k=%s}", text);
	assert_bad(buf_cstr(&b), "too long");
	b.len = 0;
	buf_printf(&b, "app.cpu{%s=v}", text);
	assert_bad(buf_cstr(&b), "too long");
	assert_bad(text, "app.cpu");
	got = push_as("app.cpu", "samples", text, 100);
	assert_int_equal(*got, '!');
	free(got);
	free(text);
	buf_release(&b);
}

/* Whatever it is, it is taken or refused with a reason. */
static void test_push_random(void **state)
{
	static const char bytes[] = "{}=,\" .acpuk\xff";
	uint64_t seed = 9;
	size_t taken = 0;

	(void)state;
	for (int i = 0; i < 200000; i++) {
		size_t len = scratch_random(&seed) % 24, k = 0;
		char *name = malloc(len + 8), *got;

		assert_non_null(name);
		if (i % 2)
			k = (size_t)sprintf(name, "app{");
		for (; k < len; k++)
			name[k] = bytes[scratch_random(&seed) %
					(sizeof(bytes) - 1)];
		if (i % 2)
			name[k++] = '}';
		name[k] = '\0';
		got = push_as(name, "samples", "", 100);
		taken += *got != '!';
		free(got);
		free(name);
	}
	assert_true(taken > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_parse_bad),
		cmocka_unit_test(test_parse_long),
		cmocka_unit_test(test_push_types),
		cmocka_unit_test(test_push_scale),
		cmocka_unit_test(test_push_labels),
		cmocka_unit_test(test_push_bad),
		cmocka_unit_test(test_push_limits),
		cmocka_unit_test(test_push_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
