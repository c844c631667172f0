// SPDX-License-Identifier: Apache-2.0
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scratch.h"
#include "serve/gzip.h"

#define MIB (UINT64_C(1) << 20)

/* Bytes that pack neither to nothing nor not at all. */
static char *some_bytes(size_t len, uint64_t seed)
{
	char *data = malloc(len + 1);

	assert_non_null(data);
	for (size_t i = 0; i < len; i++)
		data[i] = (char)(i % 3 ? scratch_random(&seed) : i / 100);
	return data;
}

/* The file that command leaves in "out". */
static void read_output(char **data, size_t *len)
{
	assert_int_equal(util_read_file(scratch_path("out"), 256 * MIB, data,
					len),
			 0);
}

static void test_to_command(void **state)
{
	static const size_t sizes[] = { 0,     1,     2,      100,	 65535,
					65536, 65537, 131072, 1000000 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		char *data = some_bytes(sizes[i], i + 1), *back;
		struct buf out = { 0 };
		size_t len;

		assert_int_equal(gzip_pack(data, sizes[i], &out), 0);
		scratch_write("packed.gz", out.data, out.len);
		/* -t: length and CRC of the trailer are right as well. */
		scratch_run("gzip -t packed.gz && gzip -dc packed.gz >out");
		read_output(&back, &len);
		assert_int_equal(len, sizes[i]);
		assert_memory_equal(back, data, len);
		free(back);
		free(data);
		buf_release(&out);
	}
}

static void test_from_command(void **state)
{
	static const size_t sizes[] = { 0,     1,     100,    65535,
					65536, 65537, 131072, 1000000 };
	/* Without and with the file's name in the header. */
	static const char *const commands[] = {
		"gzip -c <plain >out",
		"gzip -9 -N -c plain >out",
		"gzip -1 -c <plain >out",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		char *data = some_bytes(sizes[i], i + 1), *packed;
		size_t len;

		scratch_write("plain", data, sizes[i]);
		for (size_t k = 0; k < ARRAY_SIZE(commands); k++) {
			struct buf out = { 0 };

			scratch_run("%s", commands[k]);
			read_output(&packed, &len);
			/* max is what may come out, inclusive. */
			assert_int_equal(gzip_unpack(packed, len, sizes[i],
						     &out),
					 0);
			assert_int_equal(out.len, sizes[i]);
			if (out.len)
				assert_memory_equal(out.data, data, out.len);
			buf_release(&out);
			if (sizes[i])
				assert_int_equal(gzip_unpack(packed, len,
							     sizes[i] - 1,
							     &out),
						 -EFBIG);
			buf_release(&out);
			free(packed);
		}
		free(data);
	}
}

static void test_append(void **state)
{
	struct buf packed = { 0 }, out = { 0 };

	(void)state;
	buf_str(&packed, "before");
	assert_int_equal(gzip_pack("hello", 5, &packed), 0);
	assert_memory_equal(packed.data, "before\x1f\x8b", 8);
	buf_str(&out, "there was something: ");
	/* max is about what comes out, not about what was there. */
	assert_int_equal(gzip_unpack(packed.data + 6, packed.len - 6, 5, &out),
			 0);
	assert_string_equal(buf_cstr(&out), "there was something: hello");
	assert_int_equal(gzip_unpack(packed.data + 6, packed.len - 6, 4, &out),
			 -EFBIG);
	buf_release(&out);
	/* One that failed before takes nothing more. */
	out.err = -ENOMEM;
	assert_int_equal(gzip_pack("hello", 5, &out), -ENOMEM);
	assert_int_equal(gzip_unpack(packed.data + 6, packed.len - 6, 5, &out),
			 -ENOMEM);
	assert_int_equal(out.len, 0);
	buf_release(&out);
	buf_release(&packed);
}

static int unpack(const void *data, size_t len, size_t max)
{
	/* A copy of its own, so that reading past its end is seen. */
	char *copy = malloc(len ? len : 1);
	struct buf out = { 0 };
	int r;

	assert_non_null(copy);
	if (len)
		memcpy(copy, data, len);
	r = gzip_unpack(copy, len, max, &out);
	free(copy);
	buf_release(&out);
	return r;
}

static void test_truncated(void **state)
{
	char *data = some_bytes(200000, 3);
	struct buf packed = { 0 };

	(void)state;
	assert_int_equal(gzip_pack(data, 200000, &packed), 0);
	for (size_t len = 0; len < packed.len; len++) {
		/* All of the ends, some of the middle. */
		if (len > 64 && len < packed.len - 64 && len % 997)
			continue;
		if (unpack(packed.data, len, MIB) != -EBADMSG)
			fail_msg("%zu of %zu bytes", len, packed.len);
	}
	buf_release(&packed);
	free(data);
}

/* What is wrong is seen (the CRC), or it was in a part that tells nothing. */
static void test_flipped(void **state)
{
	char *data = some_bytes(3000, 4), *packed;
	size_t len;

	(void)state;
	scratch_write("plain", data, 3000);
	scratch_run("gzip -N -c plain >out");
	read_output(&packed, &len);
	for (size_t bit = 0; bit < len * 8; bit++) {
		struct buf out = { 0 };
		int r;

		packed[bit / 8] ^= (char)(1 << bit % 8);
		r = gzip_unpack(packed, len, MIB, &out);
		packed[bit / 8] ^= (char)(1 << bit % 8);
		if (r != -EBADMSG && (r || out.len != 3000 ||
				      memcmp(out.data, data, 3000)))
			fail_msg("bit %zu: %d", bit, r);
		/* Magic, method, CRC and length do tell. */
		if (r != -EBADMSG && (bit < 24 || bit >= (len - 8) * 8))
			fail_msg("bit %zu", bit);
		buf_release(&out);
	}
	free(packed);
	free(data);
}

static void test_garbage(void **state)
{
	static const unsigned char zlib[] = { 0x78, 0x9c, 0x03, 0x00,
					      0x00, 0x00, 0x00, 0x01 };
	uint64_t seed = 5;
	char zeros[256] = { 0 };

	(void)state;
	assert_int_equal(unpack("", 0, MIB), -EBADMSG);
	assert_int_equal(unpack("hello world", 11, MIB), -EBADMSG);
	assert_int_equal(unpack("main;x 5\n", 9, MIB), -EBADMSG);
	assert_int_equal(unpack(zeros, sizeof(zeros), MIB), -EBADMSG);
	/* zlib's own framing is not gzip. */
	assert_int_equal(unpack(zlib, sizeof(zlib), MIB), -EBADMSG);
	/* A size that zlib has no word for. */
	assert_true(gzip_unpack(zeros, (size_t)UINT_MAX + 1, MIB,
				&(struct buf){ 0 }) < 0);
	for (int i = 0; i < 20000; i++) {
		char s[64];
		size_t len = scratch_random(&seed) % sizeof(s);

		for (size_t k = 0; k < len; k++)
			s[k] = (char)scratch_random(&seed);
		/* Half of them get past the first look. */
		if (i % 2 && len >= 10)
			memcpy(s, "\x1f\x8b\x08\x00", 4);
		assert_true(unpack(s, len, MIB) < 0);
	}
}

/* 64 MiB of zeros in 64 KiB: it ends at max, not after it. */
static void test_bomb(void **state)
{
	struct buf out = { 0 };
	char *packed;
	size_t len;

	(void)state;
	scratch_run("head -c 67108864 /dev/zero | gzip -9 -c >out");
	read_output(&packed, &len);
	assert_true(len < 128 * 1024);
	assert_int_equal(gzip_unpack(packed, len, MIB, &out), -EFBIG);
	assert_true(out.len <= MIB + 65536);
	assert_true(out.cap <= 4 * MIB);
	buf_release(&out);
	assert_int_equal(gzip_unpack(packed, len, 0, &out), -EFBIG);
	assert_true(out.cap <= MIB);
	buf_release(&out);
	assert_int_equal(gzip_unpack(packed, len, 64 * MIB, &out), 0);
	assert_int_equal(out.len, 64 * MIB);
	buf_release(&out);
	assert_int_equal(gzip_unpack(packed, len, 64 * MIB - 1, &out), -EFBIG);
	buf_release(&out);
	free(packed);
}

/* RFC 1952, 2.2: a gzip file is a series of members. */
static void test_members(void **state)
{
	struct buf out = { 0 };
	char *packed, *plain;
	size_t len, plain_len;

	(void)state;
	scratch_run("printf one >a; printf '' >b; seq 50000 >c; "
		    "gzip -c a >out; gzip -c b >>out; gzip -c c >>out; "
		    "gzip -c a >>out");
	read_output(&packed, &len);
	scratch_run("gzip -dc <out >plain && mv plain out");
	read_output(&plain, &plain_len);
	assert_true(plain_len > 250000);
	assert_int_equal(gzip_unpack(packed, len, plain_len, &out), 0);
	assert_int_equal(out.len, plain_len);
	assert_memory_equal(out.data, plain, plain_len);
	buf_release(&out);
	/* max is for all of them together. */
	assert_int_equal(unpack(packed, len, plain_len - 1), -EFBIG);
	assert_int_equal(unpack(packed, len - 1, MIB), -EBADMSG);
	free(plain);
	free(packed);
}

static void test_many_members(void **state)
{
	struct buf member = { 0 }, packed = { 0 }, out = { 0 };

	(void)state;
	assert_int_equal(gzip_pack("", 0, &member), 0);
	for (int i = 0; i < 20000; i++)
		buf_add(&packed, member.data, member.len);
	assert_int_equal(gzip_unpack(packed.data, packed.len, 0, &out), 0);
	assert_int_equal(out.len, 0);
	assert_true(out.cap <= MIB);
	buf_release(&out);
	buf_release(&packed);
	buf_release(&member);
}

/* What follows a member must be one. */
static void test_trailing(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
	} v[] = {
		{ "x", 1 },
		{ "\x1f", 1 },
		{ "\x1f\x8b\x08", 3 },
		{ "main;x 5\n", 9 },
		{ "\0\0\0\0", 4 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(v); i++) {
		struct buf packed = { 0 };

		assert_int_equal(gzip_pack("hello", 5, &packed), 0);
		buf_add(&packed, v[i].bytes, v[i].len);
		if (unpack(packed.data, packed.len, MIB) != -EBADMSG)
			fail_msg("%zu", i);
		buf_release(&packed);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_to_command),
		cmocka_unit_test(test_from_command),
		cmocka_unit_test(test_append),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_flipped),
		cmocka_unit_test(test_garbage),
		cmocka_unit_test(test_bomb),
		cmocka_unit_test(test_members),
		cmocka_unit_test(test_many_members),
		cmocka_unit_test(test_trailing),
	};

	return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
