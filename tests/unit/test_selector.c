// SPDX-License-Identifier: Apache-2.0
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "query/selector.h"

static struct labels example(void)
{
	struct labels l = { 0 };

	labels_set(&l, LABEL_PROFILE_TYPE, PROFILE_TYPE_CPU);
	labels_set(&l, "service_name", "web.api-1");
	labels_set(&l, "unit", "nginx.service");
	labels_set(&l, "k8s.pod", "a\"b\\c\n\xe2\x82\xac");
	return l;
}

static bool matches(const char *text)
{
	struct labels l = example();
	struct selector_error err = { 0 };
	struct selector *s = NULL;
	bool is;
	int r = selector_parse(&s, text, &err);

	if (r)
		fail_msg("%s: %d at %zu: %s", text, r, err.at, err.message);
	is = selector_match(s, &l);
	selector_free(s);
	labels_release(&l);
	return is;
}

static void test_matches(void **state)
{
	static const char *const yes[] = {
		"",
		"  ",
		"{}",
		" { } ",
		PROFILE_TYPE_CPU,
		PROFILE_TYPE_CPU "{}",
		PROFILE_TYPE_CPU " {unit=\"nginx.service\",}",
		"{service_name=\"web.api-1\"}",
		"{service_name='web.api-1',unit=`nginx.service`}",
		"{ service_name = \"web.api-1\" , unit != \"x\" , }",
		"{missing=\"\"}",
		"{missing!=\"x\"}",
		"{missing=~\"\"}",
		"{missing=~\".*\"}",
		"{missing!~\".+\"}",
		"{unit=~\"nginx[.]service\"}",
		"{unit=~\"nginx\\\\.service\"}",
		"{unit=~`nginx\\.service`}",
		"{unit=~\"apache|nginx.*\"}",
		"{unit=~\"(?:apache|nginx).service\"}",
		"{unit=~\"(?i)NGINX.SERVICE\"}",
		"{unit=~`\\w+\\.\\w+`}",
		"{unit=~`\\D+`}",
		"{service_name=~`web\\.api\\-\\d`}",
		"{service_name=~`[\\w.-]+`}",
		"{service_name=~`[a-z.\\-1]+`}",
		"{service_name=~`[^\\s\\]]+`}",
		"{service_name=~`[^x^]+`}",
		"{service_name=~`\\Aweb.*?1\\z`}",
		"{service_name=~`^web.*$`}",
		"{service_name=~`(w(e(b)))\\.[a-i]{1,2}pi?.{2}`}",
		"{service_name!~\"web\"}",
		"{service_name!~\"api-1\"}",
		"{k8s.pod=\"a\\\"b\\\\c\\n\\u20ac\"}",
		"{k8s.pod=\"\\x61\\042b\\\\c\\n\\xe2\\x82\\xac\"}",
	};
	static const char *const no[] = {
		"memory:inuse:bytes:space:bytes",
		"process_cpu{}",
		"{service_name=\"web\"}",
		"{service_name!=\"web.api-1\"}",
		"{service_name=~\"web\"}",
		"{service_name=~\"api-1\"}",
		"{service_name=~\"web|api-1\"}",
		"{service_name!~\".*\"}",
		"{missing!=\"\"}",
		"{missing=~\".+\"}",
		"{unit=\"nginx.service\",service_name=\"other\"}",
		"{unit=~`nginx\\\\.service`}",
		"{unit=~`[^]n]+`}",
		"{unit=~`[]]`}",
		"{unit=~`[\\^]`}",
		"{unit=~`{`}",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(yes); i++)
		if (!matches(yes[i]))
			fail_msg("does not match: %s", yes[i]);
	for (size_t i = 0; i < ARRAY_SIZE(no); i++)
		if (matches(no[i]))
			fail_msg("matches: %s", no[i]);
}

static int parse_fails(const char *text, size_t *at)
{
	struct selector_error err = { .at = 99999 };
	struct selector *s;
	int r = selector_parse(&s, text, &err);

	if (!r) {
		selector_free(s);
		fail_msg("parsed: %s", text);
	}
	assert_true(strlen(err.message) > 5);
	assert_true(err.at <= strlen(text));
	*at = err.at;
	/* The place is for those who want it. */
	assert_int_equal(selector_parse(&s, text, NULL), r);
	return r;
}

static void test_refuses(void **state)
{
	static const struct {
		const char *text;
		size_t at;
	} cases[] = {
		{ "{", 1 },
		{ "}", 0 },
		{ "{a}", 2 },
		{ "{a=}", 3 },
		{ "{a=b}", 3 },
		{ "{a=\"b}", 3 },
		{ "{a=\"b\" c=\"d\"}", 7 },
		{ "{,}", 1 },
		{ "{a=\"b\",,}", 7 },
		{ "{a==\"b\"}", 3 },
		{ "{a>\"b\"}", 2 },
		{ "{1a=\"b\"}", 1 },
		{ "{a=\"b\"} x", 8 },
		{ "cpu} {}", 3 },
		{ "cpu x{}", 4 },
		{ "{a=\"\\q\"}", 4 },
		{ "{a=\"\\x00\"}", 4 },
		{ "{a=\"\\000\"}", 4 },
		{ "{a=\"\\xg0\"}", 4 },
		{ "{a=\"\\ud800\"}", 4 },
		{ "{a=\"\\U00110000\"}", 4 },
		{ "{a=\"\\", 4 },
		{ "{a=~\"(\"}", 4 },
		{ "{a=~\")\"}", 4 },
		{ "{a=~\"[\"}", 4 },
		{ "{a=~\"[a\"}", 4 },
		{ "{a=~\"*\"}", 4 },
		{ "{a=~\"a|*\"}", 4 },
		{ "{a=~`(a)\\1`}", 4 },
		{ "{a=~`\\`}", 4 },
		{ "{a=~`(?P<n>a)`}", 4 },
		{ "{a=~`(?=a)`}", 4 },
		{ "{a=~`a{1001}`}", 4 },
		{ "{a=~`a{5,2}`}", 4 },
		{ "{a=~`[[:nope:]]`}", 4 },
		{ "{a=~`[z-a]`}", 4 },
		{ "{a=~`\\pL`}", 4 },
		/* Small to write, large to build. */
		{ "{a=~`((a{100}){100}){100}`}", 4 },
		{ "{a=~`((((((((((((((a+)+)+)+)+)+)+)+)+)+)+)+)+)+)+`}", 4 },
	};
	size_t at;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(parse_fails(cases[i].text, &at), -EINVAL);
		if (at != cases[i].at)
			fail_msg("%s: at %zu, not %zu", cases[i].text, at,
				 cases[i].at);
	}
}

static void test_limits(void **state)
{
	struct buf b = { 0 };
	struct selector *s;
	size_t at;

	(void)state;
	buf_char(&b, '{');
	for (int i = 0; i < SELECTOR_MATCHERS_MAX; i++)
		buf_printf(&b, "n%d!=\"x\",", i);
	buf_char(&b, '}');
	assert_int_equal(selector_parse(&s, buf_cstr(&b), NULL), 0);
	selector_free(s);
	b.len--;
	buf_str(&b, "more=\"x\"}");
	assert_int_equal(parse_fails(buf_cstr(&b), &at), -EINVAL);
	b.len = 0;
	buf_str(&b, "{a=\"");
	while (b.len < SELECTOR_TEXT_MAX - 2)
		buf_char(&b, 'x');
	buf_str(&b, "\"}");
	assert_int_equal(selector_parse(&s, buf_cstr(&b), NULL), 0);
	selector_free(s);
	buf_char(&b, ' ');
	assert_int_equal(parse_fails(buf_cstr(&b), &at), -EINVAL);
	b.len = 0;
	buf_str(&b, "{a=~\"");
	for (int i = 0; i < 2000; i++)
		buf_char(&b, '(');
	buf_str(&b, "\"}");
	assert_int_equal(parse_fails(buf_cstr(&b), &at), -EINVAL);
	buf_release(&b);
}

static void test_profile_type(void **state)
{
	struct selector *s;

	(void)state;
	assert_int_equal(selector_parse(&s, "a:b:c:d:e{x=\"y\"}", NULL), 0);
	assert_string_equal(selector_profile_type(s), "a:b:c:d:e");
	selector_free(s);
	assert_int_equal(selector_parse(&s, "{__profile_type__=\"a:b\"}", NULL),
			 0);
	assert_string_equal(selector_profile_type(s), "a:b");
	selector_free(s);
	assert_int_equal(selector_parse(&s, "{__profile_type__=~\"a:b\"}",
					NULL),
			 0);
	assert_null(selector_profile_type(s));
	selector_free(s);
	assert_int_equal(selector_parse(&s, "{x=\"y\"}", NULL), 0);
	assert_null(selector_profile_type(s));
	selector_free(s);
}

static void test_noise(void **state)
{
	static const char bytes[] = "{}ab=~!\"'`,\\[]()^-|*+?{1,2}:.\x80 d:";
	struct labels l = example();
	uint32_t rng = 9;

	(void)state;
	for (int i = 0; i < 100000; i++) {
		struct selector_error err;
		struct selector *s;
		char text[48] = "{unit=~`";
		size_t begin = i % 2 ? 8 : 0, len = begin + (size_t)i % 24;

		for (size_t k = begin; k < len; k++) {
			rng = rng * 1664525 + 1013904223;
			text[k] = bytes[(rng >> 16) % (sizeof(bytes) - 1)];
		}
		strcpy(text + len, i % 2 ? "`}" : "");
		if (selector_parse(&s, text, &err))
			continue;
		selector_match(s, &l);
		selector_free(s);
	}
	labels_release(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_matches),
		cmocka_unit_test(test_refuses),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_profile_type),
		cmocka_unit_test(test_noise),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
