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
#include "profile/folded.h"

struct got {
	struct dict d;
	char text[4096];
	size_t nr;
	uint32_t depth; /* of the last stack */
	int answer;
};

static int take(void *userdata, uint32_t node, uint64_t value)
{
	struct got *g = userdata;
	const char *names[64];
	uint32_t n = 0;
	size_t at = strlen(g->text);

	g->nr++;
	g->depth = 0;
	for (uint32_t i = node; i; i = calltree_get(g->d.tree, i).parent) {
		struct location l = calltree_get_location(
			g->d.tree, calltree_get(g->d.tree, i).location);

		g->depth++;
		if (n < 64)
			names[n++] = strtab_get(g->d.strings, l.name, NULL);
	}
	while (n-- && at + 100 < sizeof(g->text))
		at += (size_t)snprintf(g->text + at, 100, "<%.60s>", names[n]);
	snprintf(g->text + at, sizeof(g->text) - at, "=%llu|",
		 (unsigned long long)value);
	return g->answer;
}

static int parse(struct got *g, const char *text, size_t len, uint64_t scale,
		 struct folded_error *err)
{
	struct folded_error checked = { 0 };
	int r, check;

	*g = (struct got){ .answer = g->answer };
	*err = (struct folded_error){ 0 };
	assert_int_equal(dict_init(&g->d), 0);
	r = folded_parse(&g->d, text, len, scale, take, g, err);
	check = folded_check(text, len, scale, &checked);
	if (!g->answer) {
		assert_int_equal(r, check);
		assert_int_equal(err->line, checked.line);
		assert_string_equal(err->message, checked.message);
	}
	dict_release(&g->d);
	return r;
}

static void test_good(void **state)
{
	static const struct {
		const char *text, *expect;
	} cases[] = {
		{ "", "" },
		{ "\n\r\n\n", "" },
		{ "a;b;c 1\n", "<a><b><c>=3|" },
		{ "a;b;c 1", "<a><b><c>=3|" },
		{ "a 1\r\nb 2\r\n", "<a>=3|<b>=6|" },
		{ "operator new(unsigned long);x y 7\n",
		  "<operator new(unsigned long)><x y>=21|" },
		{ ";a;;b; 2\n", "<><a><><b><>=6|" },
		{ " 2\n", "<>=6|" },
		{ "\xff\xfe;\x01 2\n", "<\xff\xfe><\x01>=6|" },
		{ "a 0\n", "<a>=0|" },
		{ "a 0000000000000000000000000000012\n", "<a>=36|" },
		{ "a;a;a 1\na;a 1\n", "<a><a><a>=3|<a><a>=3|" },
	};
	struct folded_error err;
	struct got *g = calloc(1, sizeof(*g));

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(parse(g, cases[i].text, strlen(cases[i].text),
				       3, &err),
				 0);
		assert_string_equal(g->text, cases[i].expect);
	}
	free(g);
}

static void test_bad(void **state)
{
	static const struct {
		const char *text;
		size_t line;
	} cases[] = {
		{ "a", 1 },
		{ "a 1\n\nb\n", 3 },
		{ "a 1 \n", 1 },
		{ "a -1\n", 1 },
		{ "a 1.5\n", 1 },
		{ "a 0x1\n", 1 },
		{ "a 1\r\r\n", 1 },
		{ "a 9223372036854775808\n", 1 },
		{ "a 3074457345618258603\n", 1 },
		{ "a 99999999999999999999999999\n", 1 },
	};
	struct got *g = calloc(1, sizeof(*g));
	struct folded_error err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(parse(g, cases[i].text, strlen(cases[i].text),
				       3, &err),
				 -EINVAL);
		assert_int_equal(err.line, cases[i].line);
		assert_true(strlen(err.message) > 5);
	}
	assert_int_equal(parse(g, "a;\0b 1\n", 7, 3, &err), -EINVAL);
	assert_int_equal(parse(g, "a 3074457345618258602\n", 22, 3, &err), 0);
	g->answer = -EIO;
	assert_int_equal(parse(g, "a 1\nb 1\n", 8, 1, &err), -EIO);
	assert_int_equal(g->nr, 1);
	g->answer = 5;
	assert_int_equal(parse(g, "a 1\nb 1\n", 8, 1, &err), 0);
	assert_int_equal(g->nr, 2);
	free(g);
}

static void test_limits(void **state)
{
	struct got *g = calloc(1, sizeof(*g));
	struct folded_error err;
	struct buf b = { 0 };

	(void)state;
	for (int i = 0; i < FOLDED_DEPTH_MAX - 1; i++)
		buf_str(&b, "f;");
	buf_str(&b, "f 1\n");
	assert_int_equal(parse(g, b.data, b.len, 1, &err), 0);
	assert_int_equal(g->depth, FOLDED_DEPTH_MAX);
	b.len -= 4;
	buf_str(&b, "f;f 1\n");
	assert_int_equal(parse(g, b.data, b.len, 1, &err), -EINVAL);
	b.len = 0;
	for (unsigned int i = 0; i < FOLDED_LINE_MAX - 2; i++)
		buf_char(&b, 'x');
	buf_str(&b, " 1\n");
	assert_int_equal(parse(g, b.data, b.len, 1, &err), 0);
	b.len -= 3;
	buf_str(&b, "x 1\n");
	assert_int_equal(parse(g, b.data, b.len, 1, &err), -EINVAL);
	buf_release(&b);
	free(g);
}

static void test_noise(void **state)
{
	static const char bytes[] = "ab; ;\n\r19 0\0\xff";
	struct got *g = calloc(1, sizeof(*g));
	uint32_t rng = 1;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		struct folded_error err;
		char *text = malloc(40);
		size_t len = (size_t)i % 40;

		for (size_t k = 0; k < len; k++) {
			rng = rng * 1664525 + 1013904223;
			text[k] = bytes[(rng >> 20) % (sizeof(bytes) - 1)];
		}
		text = realloc(text, len + !len); /* for ASan */
		parse(g, text, len, 1, &err);
		free(text);
	}
	free(g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_noise),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
