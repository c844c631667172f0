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

#include "profile/strtab.h"

static void test_ids(void **state)
{
	struct strtab *t;
	uint32_t id, again;
	size_t len;

	(void)state;
	assert_int_equal(strtab_new(&t), 0);
	assert_int_equal(strtab_count(t), 1);
	assert_string_equal(strtab_get(t, 0, &len), "");
	assert_int_equal(len, 0);
	assert_int_equal(strtab_find(t, "main", 4, &id), -ENOENT);
	assert_int_equal(strtab_intern(t, "", 0, &id), 0);
	assert_int_equal(id, 0);
	assert_int_equal(strtab_intern(t, NULL, 0, &id), 0);
	assert_int_equal(id, 0);
	assert_int_equal(strtab_intern(t, "main", 4, &id), 0);
	assert_int_equal(id, 1);
	assert_int_equal(strtab_intern(t, "mainly", 4, &again), 0);
	assert_int_equal(again, 1);
	assert_int_equal(strtab_intern(t, "mai", 3, &again), 0);
	assert_int_equal(again, 2);
	assert_int_equal(strtab_find(t, "main", 4, &again), 0);
	assert_int_equal(again, 1);
	assert_string_equal(strtab_get(t, 1, &len), "main");
	assert_int_equal(len, 4);
	/* Not in it. */
	assert_string_equal(strtab_get(t, 3, &len), "");
	assert_string_equal(strtab_get(t, UINT32_MAX, NULL), "");
	strtab_free(t);
	strtab_free(NULL);
}

/* What strings hold: any byte but NUL, at most so many. */
static void test_limits(void **state)
{
	char *big = malloc(100000);
	struct strtab *t;
	uint32_t id, again;
	size_t len;

	(void)state;
	memset(big, 'x', 100000);
	assert_int_equal(strtab_new(&t), 0);
	assert_int_equal(strtab_intern(t, big, 100000, &id), 0);
	strtab_get(t, id, &len);
	assert_int_equal(len, STRTAB_LEN_MAX);
	assert_int_equal(strtab_intern(t, big, STRTAB_LEN_MAX, &again), 0);
	assert_int_equal(id, again);
	assert_int_equal(strtab_find(t, big, 100000, &again), 0);
	assert_int_equal(id, again);
	assert_int_equal(strtab_intern(t, big, STRTAB_LEN_MAX - 1, &again), 0);
	assert_int_not_equal(id, again);
	assert_int_equal(strtab_intern(t, "a\0b", 3, &id), 0);
	assert_int_equal(strtab_intern(t, "a", 1, &again), 0);
	assert_int_equal(id, again);
	assert_int_equal(strtab_intern(t, "\xff\x01\n", 3, &id), 0);
	assert_memory_equal(strtab_get(t, id, &len), "\xff\x01\n", 4);
	free(big);
	strtab_free(t);
}

static void test_many(void **state)
{
	struct strtab *t;
	const char *first;
	uint32_t id;

	(void)state;
	assert_int_equal(strtab_new(&t), 0);
	for (int round = 0; round < 2; round++) {
		for (uint32_t i = 0; i < 200000; i++) {
			char text[32];
			int n = snprintf(text, sizeof(text), "name %u", i);

			assert_int_equal(strtab_intern(t, text, (size_t)n,
						       &id),
					 0);
			assert_int_equal(id, i + 1);
			if (!i && !round)
				first = strtab_get(t, id, NULL);
		}
	}
	assert_int_equal(strtab_count(t), 200001);
	/* Strings do not move. */
	assert_ptr_equal(first, strtab_get(t, 1, NULL));
	assert_string_equal(strtab_get(t, 123457, NULL), "name 123456");
	assert_true(strtab_memory(t) > 200000 * 10);
	assert_true(strtab_memory(t) < 200000 * 48);
	strtab_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ids),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
