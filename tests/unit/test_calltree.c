// SPDX-License-Identifier: Apache-2.0
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>

#include "profile/calltree.h"
#include "profile/dict.h"

static void test_root(void **state)
{
	struct calltree *t;
	struct calltree_node n;

	(void)state;
	assert_int_equal(calltree_new(&t), 0);
	assert_int_equal(calltree_count(t), 1);
	assert_int_equal(calltree_locations(t), 1);
	n = calltree_get(t, 0);
	assert_int_equal(n.parent, 0);
	assert_int_equal(n.location, 0);
	calltree_free(t);
	calltree_free(NULL);
}

static void test_interning(void **state)
{
	struct calltree *t;
	uint32_t a, b, same, x, y, z;

	(void)state;
	assert_int_equal(calltree_new(&t), 0);
	assert_int_equal(calltree_location(t, (struct location){ 1, 2 }, &a),
			 0);
	assert_int_equal(calltree_location(t, (struct location){ 2, 1 }, &b),
			 0);
	assert_int_equal(calltree_location(t, (struct location){ 1, 2 }, &same),
			 0);
	assert_int_equal(a, same);
	assert_int_not_equal(a, b);
	assert_int_equal(calltree_get_location(t, a).object, 2);
	assert_int_equal(calltree_child(t, 0, a, &x), 0);
	assert_int_equal(calltree_child(t, 0, b, &y), 0);
	assert_int_equal(calltree_child(t, x, b, &z), 0);
	assert_true(x != y && y != z && x != z);
	assert_true(z > x);
	assert_int_equal(calltree_child(t, x, b, &same), 0);
	assert_int_equal(same, z);
	assert_int_equal(calltree_get(t, z).parent, x);
	assert_int_equal(calltree_get(t, z).location, b);
	/* An unnamed function of no object is a location like any other. */
	assert_int_equal(calltree_location(t, (struct location){ 0, 0 }, &a),
			 0);
	assert_int_equal(calltree_child(t, 0, a, &x), 0);
	assert_int_not_equal(x, 0);
	calltree_free(t);
}

static void test_refuses(void **state)
{
	struct calltree *t;
	uint32_t id;

	(void)state;
	assert_int_equal(calltree_new(&t), 0);
	assert_int_equal(calltree_child(t, 1, 0, &id), -EINVAL);
	assert_int_equal(calltree_child(t, 0, 1, &id), -EINVAL);
	assert_int_equal(calltree_child(t, UINT32_MAX, 0, &id), -EINVAL);
	assert_int_equal(calltree_get(t, 77).parent, 0);
	assert_int_equal(calltree_get_location(t, 77).name, 0);
	calltree_free(t);
}

static void test_deep_and_wide(void **state)
{
	struct calltree *t;
	uint32_t at = 0, location, id;

	(void)state;
	assert_int_equal(calltree_new(&t), 0);
	for (uint32_t i = 1; i <= 100000; i++) {
		assert_int_equal(calltree_location(t,
						   (struct location){ i, 0 },
						   &location),
				 0);
		assert_int_equal(calltree_child(t, at, location, &id), 0);
		assert_true(id > at);
		at = id;
		assert_int_equal(calltree_child(t, 0, location, &id), 0);
	}
	assert_in_range(calltree_count(t), 200000 - 1, 200001);
	/* 8 bytes a node and location, and their index. */
	assert_true(calltree_memory(t) < 300000 * 40);
	calltree_free(t);
}

static void test_dict(void **state)
{
	struct labels l = { 0 };
	struct dict d;
	uint32_t a, b, id;

	(void)state;
	assert_int_equal(dict_init(&d), 0);
	assert_int_equal(dict_location(&d, "main", 4, "/bin/a", &a), 0);
	assert_int_equal(dict_location(&d, "main", 4, NULL, &b), 0);
	assert_int_not_equal(a, b);
	assert_int_equal(dict_location(&d, "mainX", 4, "/bin/a", &b), 0);
	assert_int_equal(a, b);
	for (uint32_t i = 0; i < DICT_SERIES_MAX; i++) {
		char value[2] = { (char)('a' + i % 26), 0 };
		char name[8] = "_aaaa";

		for (uint32_t k = 0, n = i; k < 4; k++, n /= 16)
			name[k + 1] = (char)('a' + n % 16);
		assert_int_equal(labels_set(&l, name, value), 0);
		assert_int_equal(dict_series(&d, &l, &id), 0);
		assert_int_equal(id, i);
		assert_int_equal(dict_series(&d, &l, &id), 0);
		assert_int_equal(id, i);
		assert_true(labels_equal(dict_series_labels(&d, i), &l));
		labels_release(&l);
	}
	assert_int_equal(dict_series(&d, &l, &id), -ENOSPC);
	assert_int_equal(dict_series_labels(&d, UINT32_MAX)->nr, 0);
	assert_true(dict_memory(&d) > DICT_SERIES_MAX * 16);
	dict_release(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_root),
		cmocka_unit_test(test_interning),
		cmocka_unit_test(test_refuses),
		cmocka_unit_test(test_deep_and_wide),
		cmocka_unit_test(test_dict),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
