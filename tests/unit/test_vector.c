// SPDX-License-Identifier: Apache-2.0
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "profile/vector.h"

#define NODES 5000

struct sums {
	uint64_t v[NODES];
	size_t nr;
	uint32_t last;
	int stop_after;
};

static int sum(void *userdata, uint32_t node, uint64_t weight)
{
	struct sums *s = userdata;

	assert_true(node < NODES);
	s->v[node] += weight;
	s->nr++;
	return s->stop_after && s->nr == (size_t)s->stop_after ? -EINTR : 0;
}

static int sum_sorted(void *userdata, uint32_t node, uint64_t weight)
{
	struct sums *s = userdata;

	assert_true(!s->nr || node > s->last);
	s->last = node;
	return sum(userdata, node, weight);
}

static void test_sums(void **state)
{
	struct sums *expect = calloc(1, sizeof(*expect));
	struct sums *got = calloc(1, sizeof(*got));
	struct buf packed = { 0 };
	uint64_t rng = 7, total = 0;
	struct vector *v;
	size_t distinct = 0;

	(void)state;
	assert_int_equal(vector_new(&v), 0);
	assert_int_equal(vector_pack(v, &packed), 0);
	assert_int_equal(packed.len, 0);
	for (int i = 0; i < 30000; i++) {
		uint32_t node;
		uint64_t weight;

		rng = rng * 6364136223846793005u + 1442695040888963407u;
		node = (uint32_t)(rng >> 33) % NODES;
		weight = rng >> 40 >> (rng >> 20 & 15);
		if (weight && !expect->v[node])
			distinct++;
		expect->v[node] += weight;
		total += weight;
		assert_int_equal(vector_add(v, node, weight), 0);
	}
	assert_int_equal(vector_total(v), total);
	assert_int_equal(vector_count(v), distinct);
	assert_int_equal(vector_each(v, sum, got), 0);
	assert_memory_equal(got->v, expect->v, sizeof(got->v));
	assert_int_equal(got->nr, distinct);
	assert_int_equal(vector_pack(v, &packed), 0);
	memset(got, 0, sizeof(*got));
	assert_int_equal(vector_each_packed(packed.data, packed.len, NODES,
					    sum_sorted, got),
			 0);
	assert_memory_equal(got->v, expect->v, sizeof(got->v));
	memset(got, 0, sizeof(*got));
	got->stop_after = 3;
	assert_int_equal(vector_each_packed(packed.data, packed.len, NODES,
					    sum_sorted, got),
			 -EINTR);
	assert_int_equal(got->nr, 3);
	assert_int_equal(vector_each(v, sum, got), 0);
	assert_true(vector_memory(v) < distinct * 40);
	vector_free(v);
	vector_free(NULL);
	buf_release(&packed);
	free(expect);
	free(got);
}

static void test_saturates(void **state)
{
	struct sums *got = calloc(1, sizeof(*got));
	struct vector *v;

	(void)state;
	assert_int_equal(vector_new(&v), 0);
	assert_int_equal(vector_add(v, 1, UINT64_MAX - 1), 0);
	assert_int_equal(vector_add(v, 1, 7), 0);
	assert_int_equal(vector_add(v, 0, 5), 0);
	assert_int_equal(vector_total(v), UINT64_MAX);
	assert_int_equal(vector_each(v, sum, got), 0);
	assert_int_equal(got->v[1], UINT64_MAX);
	assert_int_equal(got->v[0], 5);
	vector_free(v);
	free(got);
}

static int check_bad(const char *bytes, size_t len, uint32_t nr_nodes)
{
	struct sums *got = calloc(1, sizeof(*got));
	char *copy = malloc(len + !len); /* for ASan */
	int r;

	memcpy(copy, bytes, len);
	r = vector_each_packed(copy, len, nr_nodes, sum_sorted, got);
	free(copy);
	free(got);
	return r;
}

static void test_bad_packed(void **state)
{
	uint32_t rng = 3;

	(void)state;
	assert_int_equal(check_bad("", 0, 0), 0);
	assert_int_equal(check_bad("\x00\x05", 2, 1), 0);
	assert_int_equal(check_bad("\x00\x05\x00\x05", 4, 9), -EBADMSG);
	assert_int_equal(check_bad("\x05\x05", 2, 5), -EBADMSG);
	assert_int_equal(check_bad("\x04\x05\x01\x05", 4, 5), -EBADMSG);
	assert_int_equal(check_bad("\x04", 1, 5), -EBADMSG);
	assert_int_equal(check_bad("\x04\x85", 2, 5), -EBADMSG);
	assert_int_equal(check_bad("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x01",
				   11, NODES),
			 -EBADMSG);
	for (int i = 0; i < 50000; i++) {
		char bytes[12];
		int r;

		for (size_t k = 0; k < sizeof(bytes); k++) {
			rng = rng * 1664525 + 1013904223;
			bytes[k] = (char)(rng >> 24 >> (rng >> 20 & 7));
		}
		r = check_bad(bytes, (size_t)i % 13, NODES);
		assert_true(!r || r == -EBADMSG);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sums),
		cmocka_unit_test(test_saturates),
		cmocka_unit_test(test_bad_packed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
