// SPDX-License-Identifier: Apache-2.0
/*
 * collect/cgroups on a tree of directories that stands for the hierarchy:
 * inode numbers to paths, those that are gone, and more than there is room for.
 */
#include "scratch.h"

#include "collect/cgroups.h"

#include <sys/stat.h>

static uint64_t id_of(const char *path)
{
	struct stat st;

	assert_int_equal(stat(scratch_path(path), &st), 0);
	return st.st_ino;
}

static void test_paths(void **state)
{
	struct cgroups *c;
	uint64_t id, a, b, root;

	(void)state;
	scratch_run("mkdir -p tree/a/b.service tree/.dot/x");
	assert_int_equal(cgroups_new(&c, scratch_path("tree")), 0);
	root = id_of("tree");
	a = id_of("tree/a");
	b = id_of("tree/a/b.service");
	assert_string_equal(cgroups_path(c, b), "/a/b.service");
	assert_string_equal(cgroups_path(c, a), "/a");
	assert_string_equal(cgroups_path(c, root), "/");
	assert_string_equal(cgroups_path(c, id_of("tree/.dot/x")), "/.dot/x");
	assert_null(cgroups_path(c, 0));
	assert_null(cgroups_path(c, UINT64_MAX));
	assert_null(cgroups_path(c, UINT64_MAX));

	/* The name outlives it. */
	scratch_run("rm -r tree/a");
	assert_string_equal(cgroups_path(c, b), "/a/b.service");

	scratch_run("mkdir -p tree/c/d; : > tree/file");
	assert_int_equal(cgroups_id(c, "/c/d", &id), 0);
	assert_true(id == id_of("tree/c/d"));
	assert_int_equal(cgroups_id(c, "c/d", &id), 0);
	assert_true(id == id_of("tree/c/d"));
	assert_int_equal(cgroups_id(c, scratch_path("tree/c"), &id), 0);
	assert_true(id == id_of("tree/c"));
	assert_int_equal(cgroups_id(c, "/", &id), 0);
	assert_true(id == root);
	assert_int_equal(cgroups_id(c, "/a", &id), -ENOENT);
	assert_int_equal(cgroups_id(c, "/file", &id), -ENOTDIR);
	cgroups_free(c);
}

static void test_no_hierarchy(void **state)
{
	struct cgroups *c;
	uint64_t id;

	(void)state;
	assert_int_equal(cgroups_new(&c, "/no/such/tree"), 0);
	assert_null(cgroups_path(c, 1));
	assert_int_equal(cgroups_id(c, "/", &id), -ENOENT);
	cgroups_free(c);
}

/* Thousands at once: each answer is right or none. */
static void test_many(void **state)
{
	struct cgroups *c;
	unsigned int known = 0;

	(void)state;
	scratch_run("mkdir many; cd many; seq -f g%%g 3000 | xargs mkdir");
	assert_int_equal(cgroups_new(&c, scratch_path("many")), 0);
	for (int i = 1; i <= 3000; i++) {
		char name[32];
		const char *path;

		snprintf(name, sizeof(name), "many/g%d", i);
		path = cgroups_path(c, id_of(name));
		if (!path)
			continue;
		assert_string_equal(path, name + 4);
		known++;
	}
	assert_true(known > 500);
	cgroups_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_no_hierarchy),
		cmocka_unit_test(test_many),
	};

	return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
