// SPDX-License-Identifier: Apache-2.0
/* include/kstrata/ring.h and period.h: arithmetic, the record walk, a race. */
#include "base/util.h"

#include <kstrata/period.h>
#include <kstrata/ring.h>
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define BYTES 16384u

static void test_room(void **state)
{
	(void)state;
	assert_true(kst_ring_has_room(0, 0, BYTES, BYTES));
	assert_false(kst_ring_has_room(8, 0, BYTES, BYTES));
	assert_true(kst_ring_has_room(BYTES, BYTES, BYTES, BYTES));
	assert_true(kst_ring_has_room(BYTES - 64, 0, BYTES, 64));
	assert_false(kst_ring_has_room(BYTES - 56, 0, BYTES, 64));
	/* Positions that wrapped around 2^64. */
	assert_true(kst_ring_has_room(16, UINT64_MAX - 15, BYTES, BYTES - 32));
	assert_false(kst_ring_has_room(16, UINT64_MAX - 15, BYTES, BYTES - 24));
}

/* Whatever the tail says, "room" never covers more than the ring. */
static void test_room_hostile_tail(void **state)
{
	__u64 seed = 42;

	(void)state;
	for (int i = 0; i < 1000000; i++) {
		uint64_t head = kst_random(&seed) % (8 * BYTES);
		uint64_t tail = (uint64_t)kst_random(&seed) << 32 |
				kst_random(&seed);
		uint64_t needed = kst_random(&seed) % BYTES;

		if (i & 1)
			tail = head + kst_random(&seed) % 64 - 32;
		if (kst_ring_has_room(head, tail, BYTES, needed))
			assert_true(head - tail + needed <= BYTES);
	}
	assert_false(kst_ring_has_room(0, 1, BYTES, 64));
	assert_false(kst_ring_has_room(100, 101, BYTES, 64));
}

static void test_crosses(void **state)
{
	(void)state;
	assert_false(kst_ring_crosses(0, 64, 0, 128));
	assert_true(kst_ring_crosses(64, 128, 0, 128));
	assert_false(kst_ring_crosses(128, 192, 0, 128));
	assert_true(kst_ring_crosses(200, 300, 100, 128));
}

static void test_record_walk(void **state)
{
	static uint64_t data[2 * BYTES / 8];
	struct kstrata_record *rec = (struct kstrata_record *)data;

	(void)state;
	assert_null(kst_ring_record(data, BYTES, 0, 0));
	*rec = (struct kstrata_record){ .type = 1, .size = 16 };
	assert_ptr_equal(kst_ring_record(data, BYTES, 0, 16), rec);
	assert_ptr_equal(kst_ring_record(data, BYTES, BYTES, BYTES + 16), rec);
	assert_null(kst_ring_record(data, BYTES, 0, 8));
	rec->size = 24;
	assert_null(kst_ring_record(data, BYTES, 0, 16));
	assert_non_null(kst_ring_record(data, BYTES, 0, 24));
	rec->size = 20;
	assert_null(kst_ring_record(data, BYTES, 0, 64));
	rec->size = 8;
	assert_null(kst_ring_record(data, BYTES, 0, 64));
	rec->size = 0;
	assert_null(kst_ring_record(data, BYTES, 0, 64));
	rec->size = UINT32_MAX & ~7u;
	assert_null(kst_ring_record(data, BYTES, 0, BYTES));
	/* A head further away than the ring is long. */
	rec->size = 16;
	assert_null(kst_ring_record(data, BYTES, 0, BYTES + 16));
}

static void test_sample_valid(void **state)
{
	union {
		struct kstrata_sample s;
		uint64_t words[64];
	} u = { .s = {
			.hdr.type = KSTRATA_RECORD_SAMPLE,
			.hdr.size = sizeof(struct kstrata_sample) + 24,
			.frames_offset = sizeof(struct kstrata_sample),
			.nr_kernel = 1,
			.nr_user = 2,
		} };

	(void)state;
	assert_true(kst_sample_valid(&u.s.hdr));
	u.s.nr_user = 3;
	assert_false(kst_sample_valid(&u.s.hdr));
	u.s.nr_user = 65535;
	u.s.nr_kernel = 65535;
	assert_false(kst_sample_valid(&u.s.hdr));
	u.s.nr_user = 2;
	u.s.nr_kernel = 1;
	u.s.frames_offset = 0;
	assert_false(kst_sample_valid(&u.s.hdr));
	u.s.frames_offset = 65528;
	assert_false(kst_sample_valid(&u.s.hdr));
	/* A later minor's longer fixed part. */
	u.s.frames_offset = sizeof(struct kstrata_sample) + 8;
	u.s.hdr.size += 8;
	assert_true(kst_sample_valid(&u.s.hdr));
	u.s.hdr.size = 64;
	assert_false(kst_sample_valid(&u.s.hdr));
}

/*
 * Producer and consumer as the uapi header's proof has them, racing over data
 * that is mapped twice: every record arrives whole and in order, and what was
 * dropped adds up.
 */
struct race {
	struct kstrata_ring_consumer consumer;
	struct kstrata_ring_producer producer;
	uint8_t *data;
	uint64_t produced, dropped;
	int done;
};

#define RACE_RECORDS 400000u

static uint8_t *map_twice(void)
{
	int fd = memfd_create("ring", MFD_CLOEXEC);
	uint8_t *data;

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, BYTES), 0);
	data = mmap(NULL, 2 * BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
		    -1, 0);
	assert_true(data != MAP_FAILED);
	for (int i = 0; i < 2; i++)
		assert_true(mmap(data + i * BYTES, BYTES,
				 PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
				 fd, 0) != MAP_FAILED);
	close(fd);
	return data;
}

static void *produce(void *arg)
{
	struct race *r = arg;
	uint64_t head = 0;
	__u64 seed = 7;

	for (uint64_t i = 0; i < RACE_RECORDS; i++) {
		uint32_t len = 24 + 8 * (kst_random(&seed) % 36);
		uint64_t *words = (uint64_t *)(r->data + (head & (BYTES - 1)));
		uint64_t tail = __atomic_load_n(&r->consumer.tail,
						__ATOMIC_ACQUIRE);

		if (!kst_ring_has_room(head, tail, BYTES, len)) {
			r->dropped++;
			continue;
		}
		*(struct kstrata_record *)words =
			(struct kstrata_record){ .type = 9, .size = len, .time = i };
		for (uint32_t w = 2; w < len / 8; w++)
			words[w] = i ^ w;
		head += len;
		r->produced++;
		__atomic_store_n(&r->producer.head, head, __ATOMIC_RELEASE);
	}
	__atomic_store_n(&r->done, 1, __ATOMIC_RELEASE);
	return NULL;
}

static void test_race(void **state)
{
	struct race r = { .data = map_twice() };
	uint64_t tail = 0, seen = 0, last = 0, broken = 0;
	pthread_t thread;
	int done;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, produce, &r), 0);
	do {
		uint64_t head;

		done = __atomic_load_n(&r.done, __ATOMIC_ACQUIRE);
		head = __atomic_load_n(&r.producer.head, __ATOMIC_ACQUIRE);
		while (tail != head) {
			const struct kstrata_record *rec =
				kst_ring_record(r.data, BYTES, tail, head);
			const uint64_t *words = (const uint64_t *)rec;

			assert_non_null(rec);
			broken += rec->type != 9 || (seen && rec->time <= last);
			last = rec->time;
			for (uint32_t w = 2; w < rec->size / 8; w++)
				broken += words[w] != (last ^ w);
			seen++;
			tail += rec->size;
		}
		__atomic_store_n(&r.consumer.tail, tail, __ATOMIC_RELEASE);
	} while (!done);
	pthread_join(thread, NULL);
	assert_int_equal(broken, 0);
	assert_int_equal(seen, r.produced);
	assert_int_equal(r.produced + r.dropped, RACE_RECORDS);
	munmap(r.data, 2 * BYTES);
}

static void test_period(void **state)
{
	const uint64_t means[] = { 100000, 1010101, 10101010, 1000000000 };

	(void)state;
	for (size_t m = 0; m < ARRAY_SIZE(means); m++) {
		__u64 seed = 12345 + m, mean = means[m];
		double sum = 0, square = 0;
		const int n = 200000;

		for (int i = 0; i < n; i++) {
			uint64_t p = kst_period_draw(&seed, mean);

			assert_in_range(p, mean / 2, mean / 2 + mean);
			sum += (double)p;
			square += (double)p * (double)p;
		}
		/* Mean T, deviation T / sqrt(12): both within 5 sigma. */
		sum /= n;
		square = sqrt(square / n - sum * sum);
		assert_true(fabs(sum / (double)mean - 1) <
			    5 * 0.2887 / sqrt(n));
		assert_true(fabs(square / (double)mean - 0.28868) < 0.005);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_room),
		cmocka_unit_test(test_room_hostile_tail),
		cmocka_unit_test(test_crosses),
		cmocka_unit_test(test_record_walk),
		cmocka_unit_test(test_sample_valid),
		cmocka_unit_test(test_race),
		cmocka_unit_test(test_period),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
