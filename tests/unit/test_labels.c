// SPDX-License-Identifier: Apache-2.0
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "profile/labels.h"

static void test_set(void **state)
{
	struct labels l = { 0 };

	(void)state;
	assert_int_equal(labels_set(&l, "m", "1"), 0);
	assert_int_equal(labels_set(&l, "z", "2"), 0);
	assert_int_equal(labels_set(&l, "a", "3"), 0);
	assert_int_equal(labels_set(&l, "ab", "4"), 0);
	assert_int_equal(labels_set(&l, "m", "5"), 0);
	assert_int_equal(l.nr, 4);
	assert_string_equal(l.v[0].name, "a");
	assert_string_equal(l.v[1].name, "ab");
	assert_string_equal(l.v[2].name, "m");
	assert_string_equal(l.v[3].name, "z");
	assert_string_equal(labels_get(&l, "m"), "5");
	assert_null(labels_get(&l, "mm"));
	assert_null(labels_get(&l, ""));
	/* Empty removes, also what is not there. */
	assert_int_equal(labels_set(&l, "ab", ""), 0);
	assert_int_equal(labels_set(&l, "ab", ""), 0);
	assert_int_equal(l.nr, 3);
	assert_null(labels_get(&l, "ab"));
	assert_int_equal(labels_setn(&l, "abc", 2, "xyz", 2), 0);
	assert_string_equal(labels_get(&l, "ab"), "xy");
	labels_release(&l);
}

static void test_refuses(void **state)
{
	static const char *const names[] = { "",    "1a",  "a-b", "a b",
					     "\xff", ".a", "a\n", "a=" };
	struct labels l = { 0 };
	char text[LABEL_VALUE_MAX + 2];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		assert_int_equal(labels_set(&l, names[i], "v"), -EINVAL);
	assert_int_equal(labels_setn(&l, "a", 1, "x\0y", 3), -EINVAL);
	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(labels_set(&l, "a", text), -E2BIG);
	text[LABEL_VALUE_MAX] = '\0';
	assert_int_equal(labels_set(&l, "a", text), 0);
	text[LABEL_NAME_MAX + 1] = '\0';
	assert_int_equal(labels_set(&l, text, "v"), -E2BIG);
	text[LABEL_NAME_MAX] = '\0';
	assert_int_equal(labels_set(&l, text, "v"), 0);
	for (int i = 2; i < LABELS_MAX; i++) {
		char name[16];

		snprintf(name, sizeof(name), "n%d.x_", i);
		assert_int_equal(labels_set(&l, name, "\xff\xfe"), 0);
	}
	assert_int_equal(labels_set(&l, "one_more", "v"), -E2BIG);
	/* A name that is there can still change. */
	assert_int_equal(labels_set(&l, "a", "v"), 0);
	labels_release(&l);
}

static void test_equal(void **state)
{
	struct labels a = { 0 }, b = { 0 }, c;

	(void)state;
	assert_true(labels_equal(&a, &b));
	assert_int_equal(labels_copy(&c, &a), 0);
	assert_true(labels_equal(&a, &c));
	labels_release(&c);
	labels_set(&a, "x", "1");
	labels_set(&a, "y", "2");
	labels_set(&b, "y", "2");
	assert_false(labels_equal(&a, &b));
	labels_set(&b, "x", "1");
	assert_true(labels_equal(&a, &b));
	assert_true(labels_hash(&a) == labels_hash(&b));
	assert_int_equal(labels_copy(&c, &a), 0);
	labels_release(&a);
	assert_true(labels_equal(&b, &c));
	labels_set(&c, "x", "2");
	assert_false(labels_equal(&b, &c));
	assert_true(labels_hash(&b) != labels_hash(&c));
	labels_release(&b);
	labels_release(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_set),
		cmocka_unit_test(test_refuses),
		cmocka_unit_test(test_equal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
