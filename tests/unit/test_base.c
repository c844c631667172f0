// SPDX-License-Identifier: Apache-2.0
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/config.h"
#include "base/crc32c.h"
#include "base/hash.h"
#include "base/json.h"

static void test_buf(void **state)
{
	struct buf b = { 0 };

	(void)state;
	assert_string_equal(buf_cstr(&b), "");
	buf_str(&b, "a");
	buf_char(&b, 'b');
	buf_add(&b, NULL, 0);
	buf_add(&b, "cde", 2);
	buf_printf(&b, "-%d-%s-", 42, "x");
	buf_u64_dec(&b, 0);
	buf_char(&b, ' ');
	buf_u64_dec(&b, UINT64_MAX);
	assert_string_equal(buf_cstr(&b), "abcd-42-x-0 18446744073709551615");
	assert_int_equal(b.len, strlen(b.data));
	for (int i = 0; i < 100000; i++)
		buf_printf(&b, "%05d", i);
	assert_int_equal(b.err, 0);
	assert_memory_equal(b.data + b.len - 5, "99999", 5);
	buf_release(&b);
	assert_null(b.data);
}

/* The first failure sticks. */
static void test_buf_error(void **state)
{
	struct buf b = { 0 };

	(void)state;
	buf_str(&b, "before");
	assert_null(buf_reserve(&b, SIZE_MAX - 2));
	assert_int_equal(b.err, -ENOMEM);
	buf_str(&b, "after");
	assert_int_equal(b.len, 6);
	assert_null(buf_reserve(&b, 1));
	assert_string_equal(buf_cstr(&b), "");
	buf_release(&b);
}

static void test_varint(void **state)
{
	static const uint8_t too_long[] = { 0x80, 0x80, 0x80, 0x80, 0x80, 0x80,
					    0x80, 0x80, 0x80, 0x80, 0x00 };
	static const uint8_t too_large[] = { 0xff, 0xff, 0xff, 0xff, 0xff,
					     0xff, 0xff, 0xff, 0xff, 0x02 };
	const uint8_t *p, *end;
	struct buf b = { 0 };
	uint64_t v;

	(void)state;
	for (int bits = 0; bits <= 64; bits++) {
		uint64_t top = bits == 64 ? UINT64_MAX :
					    (UINT64_C(1) << bits) - 1;

		for (int k = 0; k < 2; k++) {
			b.len = 0;
			buf_varint(&b, top + (uint64_t)k);
			p = (uint8_t *)b.data;
			end = p + b.len;
			assert_int_equal(buf_get_varint(&p, end, &v), 0);
			assert_true(v == top + (uint64_t)k);
			assert_ptr_equal(p, end);
			/* Cut short. */
			p = (uint8_t *)b.data;
			assert_int_equal(buf_get_varint(&p, end - 1, &v),
					 -EBADMSG);
			assert_ptr_equal(p, b.data);
		}
	}
	p = too_long;
	assert_int_equal(buf_get_varint(&p, p + sizeof(too_long), &v),
			 -EBADMSG);
	p = too_large;
	assert_int_equal(buf_get_varint(&p, p + sizeof(too_large), &v),
			 -EBADMSG);
	buf_release(&b);
}

static void test_crc32c(void **state)
{
	uint8_t zeros[32] = { 0 }, ones[32], data[100];

	(void)state;
	memset(ones, 0xff, sizeof(ones));
	assert_int_equal(crc32c(0, "", 0), 0);
	assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283);
	/* RFC 3720, B.4 */
	assert_int_equal(crc32c(0, zeros, 32), 0x8a9136aa);
	assert_int_equal(crc32c(0, ones, 32), 0x62a8ab43);
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7);
	for (size_t i = 0; i <= sizeof(data); i++)
		assert_int_equal(crc32c(crc32c(0, data, i), data + i,
					sizeof(data) - i),
				 crc32c(0, data, sizeof(data)));
}

static void test_hash_index(void **state)
{
	struct hash_index ix = { 0 };
	uint32_t id;

	(void)state;
	hash_index_first(&ix, 5, &id);
	assert_int_equal(id, 0);
	for (uint32_t i = 1; i <= 5000; i++) {
		assert_int_equal(hash_index_grow(&ix), 0);
		/* Many collide. */
		hash_index_put(&ix, i % 100, i);
	}
	for (uint32_t h = 0; h < 100; h++) {
		unsigned int seen = 0;

		for (size_t at = hash_index_first(&ix, h, &id); id;
		     at = hash_index_next(&ix, h, at, &id)) {
			assert_int_equal(id % 100, h);
			seen++;
		}
		assert_int_equal(seen, 50);
	}
	hash_index_first(&ix, 100, &id);
	assert_int_equal(id, 0);
	hash_index_release(&ix);
	assert_true(hash_bytes("abcdefgh1", 9) == hash_bytes("abcdefgh1", 9));
	assert_true(hash_bytes("abcdefgh1", 9) != hash_bytes("abcdefgh2", 9));
	assert_true(hash_bytes("abcdefgh1", 9) != hash_bytes("abcdefgh1", 8));
	assert_true(hash_bytes("\0\0", 2) != hash_bytes("\0", 1));
	assert_true(hash_pair(1, 2) != hash_pair(2, 1));
}

static void test_json(void **state)
{
	struct buf b = { 0 };
	struct json j = json_to(&b);

	(void)state;
	json_object(&j);
	json_key(&j, "a\"b");
	json_array(&j);
	json_u64(&j, UINT64_MAX);
	json_i64(&j, INT64_MIN);
	json_object(&j);
	json_end_object(&j);
	json_array(&j);
	json_end_array(&j);
	json_bool(&j, true);
	json_bool(&j, false);
	json_null(&j);
	json_double(&j, 0.5);
	json_double(&j, NAN);
	json_double(&j, INFINITY);
	json_end_array(&j);
	json_key(&j, "s");
	json_str(&j, "\\ \n\t\x01\x7f \xc3\xa9 \xf0\x9f\x94\xa5");
	json_key(&j, "t");
	/* Overlong, surrogate, beyond Unicode, cut short, stray, NUL. */
	json_strn(&j, "\xc0\xaf|\xed\xa0\x80|\xf4\x90\x80\x80|\xe2\x82|\x80|\0",
		  18);
	json_end_object(&j);
	assert_string_equal(
		buf_cstr(&b),
		"{\"a\\\"b\":[18446744073709551615,-9223372036854775808,{},[],"
		"true,false,null,0.5,null,null],"
		"\"s\":\"\\\\ \\u000a\\u0009\\u0001\\u007f \xc3\xa9 "
		"\xf0\x9f\x94\xa5\","
#define BAD "\xef\xbf\xbd"
		"\"t\":\"" BAD BAD "|" BAD BAD BAD "|" BAD BAD BAD BAD "|" BAD
		BAD "|" BAD "|\\u0000\"}");
	buf_release(&b);
}

static void test_numbers(void **state)
{
	uint64_t v;
	int64_t ns;

	(void)state;
	assert_int_equal(util_parse_u64("18446744073709551615", &v), 0);
	assert_true(v == UINT64_MAX);
	assert_int_equal(util_parse_u64("18446744073709551616", &v), -ERANGE);
	assert_int_equal(util_parse_u64("", &v), -EINVAL);
	assert_int_equal(util_parse_u64("-1", &v), -EINVAL);
	assert_int_equal(util_parse_u64("1 ", &v), -EINVAL);
	assert_int_equal(util_parse_size("64M", &v), 0);
	assert_int_equal(v, 64 << 20);
	assert_int_equal(util_parse_size("10", &v), 0);
	assert_int_equal(v, 10);
	assert_int_equal(util_parse_size("M", &v), -EINVAL);
	assert_int_equal(util_parse_size("1Q", &v), -EINVAL);
	assert_int_equal(util_parse_size("16777216T", &v), -ERANGE);
	assert_int_equal(util_parse_duration("90", &ns), 0);
	assert_true(ns == 90 * NSEC_PER_SEC);
	assert_int_equal(util_parse_duration("5ms", &ns), 0);
	assert_true(ns == 5 * NSEC_PER_MSEC);
	assert_int_equal(util_parse_duration("2w", &ns), 0);
	assert_true(ns == 14 * 86400 * NSEC_PER_SEC);
	assert_int_equal(util_parse_duration("1y", &ns), -EINVAL);
	assert_int_equal(util_parse_duration("9223372037", &ns), -ERANGE);
	assert_true(max_u64(1, 2) == 2 && min_u64(1, 2) == 1);
}

static void test_files(void **state)
{
	char dir[] = "/tmp/kstrata-test-XXXXXX", path[200], *data;
	struct stat st;
	size_t len;
	int fd;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/a/b//c", dir);
	assert_int_equal(util_mkdirs(path, 0700), 0);
	assert_int_equal(util_mkdirs(path, 0700), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_true(S_ISDIR(st.st_mode));
	assert_int_equal(util_mkdirs("", 0700), -EINVAL);
	snprintf(path, sizeof(path), "%s/a/b/c/file", dir);
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	assert_true(fd >= 0);
	assert_int_equal(util_write_all(fd, "0123456789", 10), 0);
	close(fd);
	assert_int_equal(util_write_all(-1, "x", 1), -EBADF);
	assert_int_equal(util_read_file(path, 10, &data, &len), 0);
	assert_int_equal(len, 10);
	assert_string_equal(data, "0123456789");
	free(data);
	assert_int_equal(util_read_file(path, 9, &data, &len), -EFBIG);
	assert_int_equal(util_read_file("/proc/self/maps", 1 << 20, &data,
					&len),
			 0);
	assert_true(len > 0);
	free(data);
	assert_int_equal(util_read_file(dir, 10, &data, &len), -EISDIR);
	unlink(path);
	assert_int_equal(util_read_file(path, 10, &data, &len), -ENOENT);
	for (int i = 0; i < 3; i++) {
		*strrchr(path, '/') = '\0';
		rmdir(path);
	}
	assert_int_equal(rmdir(dir), 0);
}

static void test_addresses(void **state)
{
	static const struct {
		const char *text, *addr;
		uint16_t port;
	} good[] = {
		{ "127.0.0.1:4040", "127.0.0.1", 4040 },
		{ "[::1]:0", "::1", 0 },
		{ "[fe80::1%eth0]:65535", "fe80::1%eth0", 65535 },
		{ "localhost:80", "localhost", 80 },
	};
	static const char *const bad[] = {
		"",	   ":80",     "127.0.0.1",   "127.0.0.1:",
		"::1:80",  "[::1:80", "[]:80",	     "a:65536",
		"a:-1",	   "a:8x",    "[::1]x:80",   "[::1]",
		"a: 80",
		("0123456789012345678901234567890123456789"
		 "012345678901234567890123:80"),
	};
	char addr[64];
	uint16_t port;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		assert_int_equal(config_split_address(good[i].text, addr,
						      sizeof(addr), &port),
				 0);
		assert_string_equal(addr, good[i].addr);
		assert_int_equal(port, good[i].port);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (config_split_address(bad[i], addr, sizeof(addr), &port) !=
		    -EINVAL)
			fail_msg("taken: %s", bad[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_buf),
		cmocka_unit_test(test_buf_error),
		cmocka_unit_test(test_varint),
		cmocka_unit_test(test_crc32c),
		cmocka_unit_test(test_hash_index),
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
