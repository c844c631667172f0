// SPDX-License-Identifier: GPL-2.0-only
/*
 * The records and ioctl structs as bytes: each field's place is part of the ABI,
 * and there is no padding, which would carry kernel memory to user space.
 */
#include "suites.h"

#include <linux/stddef.h>

#include <kstrata/ring.h>

struct field {
	const char *name;
	size_t at, size;
};

#define FIELD(type, name) { #type "." #name, offsetof(struct type, name), \
			    sizeof_field(struct type, name) }

/* The fields, in order, fill the struct without a hole. */
static void fills(struct kunit *test, const struct field *f, unsigned int n,
		  size_t size)
{
	size_t at = 0;
	unsigned int i;

	for (i = 0; i < n; i++) {
		KUNIT_EXPECT_EQ_MSG(test, f[i].at, at, "%s", f[i].name);
		at = f[i].at + f[i].size;
	}
	KUNIT_EXPECT_EQ_MSG(test, at, size, "after %s", f[n - 1].name);
	KUNIT_EXPECT_EQ_MSG(test, size % 8, 0, "%s", f[0].name);
}

#define FILLS(test, type, wanted, ...) do { \
	static const struct field fields[] = { __VA_ARGS__ }; \
	\
	KUNIT_EXPECT_EQ(test, sizeof(struct type), wanted); \
	fills(test, fields, ARRAY_SIZE(fields), sizeof(struct type)); \
} while (0)

static void abi_records(struct kunit *test)
{
	FILLS(test, kstrata_record, 16,
	      FIELD(kstrata_record, type), FIELD(kstrata_record, flags),
	      FIELD(kstrata_record, size), FIELD(kstrata_record, time));
	FILLS(test, kstrata_sample, 72,
	      FIELD(kstrata_sample, hdr), FIELD(kstrata_sample, weight),
	      FIELD(kstrata_sample, cgroup), FIELD(kstrata_sample, pid),
	      FIELD(kstrata_sample, tid), FIELD(kstrata_sample, comm),
	      FIELD(kstrata_sample, profile),
	      FIELD(kstrata_sample, frames_offset),
	      FIELD(kstrata_sample, nr_kernel), FIELD(kstrata_sample, nr_user),
	      FIELD(kstrata_sample, kernel_reason),
	      FIELD(kstrata_sample, user_reason), FIELD(kstrata_sample, lookup),
	      FIELD(kstrata_sample, walk), FIELD(kstrata_sample, reserved));
	FILLS(test, kstrata_lost, 32,
	      FIELD(kstrata_lost, hdr), FIELD(kstrata_lost, lost),
	      FIELD(kstrata_lost, weight));
	FILLS(test, kstrata_task, 64,
	      FIELD(kstrata_task, hdr), FIELD(kstrata_task, pid),
	      FIELD(kstrata_task, tid), FIELD(kstrata_task, comm),
	      FIELD(kstrata_task, event), FIELD(kstrata_task, reserved),
	      FIELD(kstrata_task, parent_pid), FIELD(kstrata_task, parent_tid),
	      FIELD(kstrata_task, cgroup));
	FILLS(test, kstrata_throttle, 40,
	      FIELD(kstrata_throttle, hdr), FIELD(kstrata_throttle, period),
	      FIELD(kstrata_throttle, asked), FIELD(kstrata_throttle, handler_ns));
	FILLS(test, kstrata_object, 48,
	      FIELD(kstrata_object, hdr), FIELD(kstrata_object, id),
	      FIELD(kstrata_object, kind), FIELD(kstrata_object, path_offset),
	      FIELD(kstrata_object, path_bytes), FIELD(kstrata_object, reserved),
	      FIELD(kstrata_object, generation), FIELD(kstrata_object, dev_major),
	      FIELD(kstrata_object, dev_minor), FIELD(kstrata_object, ino));
	KUNIT_EXPECT_EQ(test, offsetof(struct kstrata_task, parent_pid),
			KSTRATA_TASK_SIZE_0);
}

static void abi_ioctls(struct kunit *test)
{
	FILLS(test, kstrata_version, 40,
	      FIELD(kstrata_version, size), FIELD(kstrata_version, abi_major),
	      FIELD(kstrata_version, abi_minor), FIELD(kstrata_version, release));
	FILLS(test, kstrata_setup, 48,
	      FIELD(kstrata_setup, size), FIELD(kstrata_setup, flags),
	      FIELD(kstrata_setup, sample_hz), FIELD(kstrata_setup, ring_bytes),
	      FIELD(kstrata_setup, watermark_bytes),
	      FIELD(kstrata_setup, kernel_depth),
	      FIELD(kstrata_setup, user_depth), FIELD(kstrata_setup, budget),
	      FIELD(kstrata_setup, granted), FIELD(kstrata_setup, nr_cpus),
	      FIELD(kstrata_setup, session), FIELD(kstrata_setup, objects),
	      FIELD(kstrata_setup, rows_kb));
	KUNIT_EXPECT_EQ(test, offsetof(struct kstrata_setup, objects),
			KSTRATA_SETUP_SIZE_0);
	FILLS(test, kstrata_filter, 16,
	      FIELD(kstrata_filter, kind), FIELD(kstrata_filter, reserved),
	      FIELD(kstrata_filter, id));
	FILLS(test, kstrata_configure, 40,
	      FIELD(kstrata_configure, size), FIELD(kstrata_configure, what),
	      FIELD(kstrata_configure, sample_hz),
	      FIELD(kstrata_configure, budget), FIELD(kstrata_configure, cpus),
	      FIELD(kstrata_configure, cpus_bytes),
	      FIELD(kstrata_configure, nr_filters),
	      FIELD(kstrata_configure, filters));
	FILLS(test, kstrata_object_get, 56,
	      FIELD(kstrata_object_get, size), FIELD(kstrata_object_get, flags),
	      FIELD(kstrata_object_get, id), FIELD(kstrata_object_get, kind),
	      FIELD(kstrata_object_get, fd),
	      FIELD(kstrata_object_get, generation),
	      FIELD(kstrata_object_get, dev_major),
	      FIELD(kstrata_object_get, dev_minor), FIELD(kstrata_object_get, ino),
	      FIELD(kstrata_object_get, path),
	      FIELD(kstrata_object_get, path_bytes),
	      FIELD(kstrata_object_get, reserved));
	FILLS(test, kstrata_rows, 32,
	      FIELD(kstrata_rows, size), FIELD(kstrata_rows, flags),
	      FIELD(kstrata_rows, id), FIELD(kstrata_rows, bytes),
	      FIELD(kstrata_rows, table), FIELD(kstrata_rows, held_kb),
	      FIELD(kstrata_rows, dropped));
	FILLS(test, kstrata_switch, 8,
	      FIELD(kstrata_switch, size), FIELD(kstrata_switch, flags));
}

/* What a table of unwind rows is made of; a rule is no multiple of 8. */
static void abi_rows(struct kunit *test)
{
	FILLS(test, kstrata_rows_table, 64,
	      FIELD(kstrata_rows_table, magic), FIELD(kstrata_rows_table, version),
	      FIELD(kstrata_rows_table, machine), FIELD(kstrata_rows_table, first),
	      FIELD(kstrata_rows_table, extent), FIELD(kstrata_rows_table, bytes),
	      FIELD(kstrata_rows_table, nr_rules),
	      FIELD(kstrata_rows_table, nr_pages),
	      FIELD(kstrata_rows_table, nr_blocks),
	      FIELD(kstrata_rows_table, nr_rare),
	      FIELD(kstrata_rows_table, page_bits), FIELD(kstrata_rows_table, aux),
	      FIELD(kstrata_rows_table, reserved));
	FILLS(test, kstrata_save, 8,
	      FIELD(kstrata_save, how), FIELD(kstrata_save, reg),
	      FIELD(kstrata_save, reserved), FIELD(kstrata_save, offset));
	KUNIT_EXPECT_EQ(test, sizeof(struct kstrata_rule), 36);
	KUNIT_EXPECT_EQ(test, offsetof(struct kstrata_rule, offset), 4);
	KUNIT_EXPECT_EQ(test, offsetof(struct kstrata_rule, ra), 12);
	KUNIT_EXPECT_EQ(test, offsetof(struct kstrata_rule, aux), 28);
	/* The starts of a block are aligned as the table is. */
	KUNIT_EXPECT_EQ(test, KSTRATA_ROWS_PER_BLOCK * sizeof(u16), 64);
}

static void abi_pages(struct kunit *test)
{
	const u64 page = 4096;

	KUNIT_EXPECT_EQ(test, offsetof(struct kstrata_ring_consumer, tail), 0);
	KUNIT_EXPECT_EQ(test, offsetof(struct kstrata_ring_producer, head), 0);
	KUNIT_EXPECT_EQ(test,
			offsetof(struct kstrata_ring_producer, ring_bytes), 64);
	KUNIT_EXPECT_EQ(test, offsetof(struct kstrata_ring_producer, idle_since),
			128);
	KUNIT_EXPECT_LE(test, sizeof(struct kstrata_ring_producer), 4096ul);
	/* mmap() offsets are multiples of the page, and CPUs do not overlap. */
	KUNIT_EXPECT_EQ(test, KSTRATA_MMAP_CONSUMER(3), 3ull << 32);
	KUNIT_EXPECT_EQ(test, KSTRATA_MMAP_RING(3, page), (3ull << 32) + page);
	KUNIT_EXPECT_LT(test, KSTRATA_MMAP_RING(0, page) + page +
				2ull * KSTRATA_RING_BYTES_MAX,
			KSTRATA_MMAP_CONSUMER(1));
}

/* A frame's bits: an object frame can be told from every other kind. */
static void abi_frames(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, KSTRATA_FRAME_OFFSET_BITS +
				KSTRATA_FRAME_OBJECT_BITS, 63);
	KUNIT_EXPECT_EQ(test, KSTRATA_FRAME_KIND, 7ull << 61);
	KUNIT_EXPECT_EQ(test, KSTRATA_FRAME_ANON & KSTRATA_FRAME_OBJECT, 0);
	KUNIT_EXPECT_EQ(test, KSTRATA_FRAME_NOWHERE & KSTRATA_FRAME_OBJECT, 0);
	/* No user address has a bit of the kind's. */
	KUNIT_EXPECT_EQ(test, (u64)(TASK_SIZE_MAX - 1) & KSTRATA_FRAME_KIND, 0);
	KUNIT_EXPECT_LT(test, KSTRATA_OBJECTS_MAX + KSTRATA_OBJECT_ID_FIRST,
			1u << KSTRATA_FRAME_OBJECT_BITS);
}

/* What kst_sample_valid() lets pass has all of its frames within it. */
static void abi_sample_valid(struct kunit *test)
{
	const u32 room = 4096;
	struct kstrata_sample *s = kunit_kzalloc(test, room, GFP_KERNEL);
	u32 size, offset;
	int k, u;

	KUNIT_ASSERT_NOT_NULL(test, s);
	s->hdr.type = KSTRATA_RECORD_SAMPLE;
	for (size = 16; size <= 200; size += 8) {
		for (offset = 0; offset <= 208; offset += 4) {
			for (k = 0; k < 20; k++) {
				for (u = 0; u < 20; u++) {
					u32 end = offset + 8 * (k + u);
					bool fits = offset >= sizeof(*s) &&
						    offset % 8 == 0 && end <= size;

					s->hdr.size = size;
					s->frames_offset = offset;
					s->nr_kernel = k;
					s->nr_user = u;
					KUNIT_ASSERT_EQ(test,
							!!kst_sample_valid(&s->hdr),
							fits);
				}
			}
		}
	}
	s->hdr.size = room;
	s->frames_offset = sizeof(*s);
	s->nr_kernel = U16_MAX;
	s->nr_user = U16_MAX;
	KUNIT_EXPECT_FALSE(test, kst_sample_valid(&s->hdr));
	s->nr_kernel = s->nr_user = 1;
	s->hdr.type = KSTRATA_RECORD_TASK;
	KUNIT_EXPECT_FALSE(test, kst_sample_valid(&s->hdr));
}

static struct kunit_case cases[] = {
	KUNIT_CASE(abi_records),
	KUNIT_CASE(abi_ioctls),
	KUNIT_CASE(abi_rows),
	KUNIT_CASE(abi_pages),
	KUNIT_CASE(abi_frames),
	KUNIT_CASE(abi_sample_valid),
	{}
};

struct kunit_suite kst_abi_suite = {
	.name = "kstrata-abi",
	.test_cases = cases,
};
