// SPDX-License-Identifier: Apache-2.0
/* base/config: defaults, file, flags, and what is wrong with each. */
#include "base/config.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char file[] = "/tmp/test_config.XXXXXX";

static int setup(void **state)
{
	int fd = mkstemp(file);

	(void)state;
	if (fd < 0)
		return -1;
	close(fd);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	return unlink(file);
}

static void write_file(const char *text, size_t len)
{
	int fd = open(file, O_WRONLY | O_TRUNC);

	assert_true(fd >= 0);
	assert_int_equal(util_write_all(fd, text, len), 0);
	close(fd);
}

/* Parse with stderr caught into *said. */
static int parse(struct config *c, char *said, size_t said_len,
		 const char *const *words)
{
	char **argv = (char **)words; /* as execve() has it */
	int argc = 0, r, saved = dup(STDERR_FILENO), fds[2];
	ssize_t n;

	while (argv[argc])
		argc++;
	assert_int_equal(pipe2(fds, O_NONBLOCK), 0);
	dup2(fds[1], STDERR_FILENO);
	r = config_parse(c, argc, argv);
	dup2(saved, STDERR_FILENO);
	n = read(fds[0], said, said_len - 1);
	said[n > 0 ? n : 0] = '\0';
	close(fds[0]);
	close(fds[1]);
	close(saved);
	return r;
}

#define PARSE(...)                                                         \
	parse(&c, said, sizeof(said),                                      \
	      (const char *[]){ "kstratad", __VA_ARGS__, NULL })

static void test_defaults(void **state)
{
	struct config c;
	char said[4096];

	(void)state;
	write_file("", 0);
	assert_int_equal(PARSE("--config", file), CONFIG_RUN);
	assert_string_equal(c.store, "/var/lib/kstrata");
	assert_string_equal(c.http, "127.0.0.1:4040");
	assert_string_equal(c.socket, "/run/kstrata/kstratad.sock");
	assert_false(c.no_device);
	assert_int_equal(c.hz, 99);
	assert_int_equal(c.sync_ns, 60 * NSEC_PER_SEC);
	assert_string_equal(said, "");
	config_release(&c);
}

static void test_flag_wins(void **state)
{
	static const char text[] = "# comment\n hz = 49 # trailing\n\n"
				   "store=/tmp/x\nno-device = yes\n"
				   "retention-size = 2G\nlog-level=debug";
	struct config c;
	char said[4096];

	(void)state;
	write_file(text, sizeof(text) - 1);
	assert_int_equal(PARSE("--hz", "199", "--config", file), CONFIG_RUN);
	assert_int_equal(c.hz, 199);
	assert_string_equal(c.store, "/tmp/x");
	assert_true(c.no_device);
	assert_true(c.retention_bytes == 2ull << 30);
	assert_int_equal(c.log_level, LOG_LEVEL_DEBUG);
	config_release(&c);
}

/* Options that add up; the flags' list stands for the file's. */
static void test_lists(void **state)
{
	static const char text[] = "pid = 7\npid=8\ncgroup = /a\ncpus = 1-3\n";
	char many[70 * 8] = "";
	struct config c;
	char said[4096];

	(void)state;
	write_file(text, sizeof(text) - 1);
	assert_int_equal(PARSE("--config", file), CONFIG_RUN);
	assert_int_equal(c.pids.nr, 2);
	assert_string_equal(c.pids.v[1], "8");
	assert_int_equal(c.cgroups.nr, 1);
	assert_string_equal(c.cpus, "1-3");
	config_release(&c);
	assert_int_equal(PARSE("--pid", "1", "--config", file, "--pid", "2",
			       "--pid", "3"), CONFIG_RUN);
	assert_int_equal(c.pids.nr, 3);
	assert_string_equal(c.pids.v[0], "1");
	assert_string_equal(c.pids.v[2], "3");
	assert_string_equal(c.cgroups.v[0], "/a");
	config_release(&c);
	for (int i = 0; i < 65; i++)
		strcat(many, "pid = 1\n");
	write_file(many, strlen(many));
	assert_int_equal(PARSE("--config", file), -EINVAL);
	assert_non_null(strstr(said, "more than 64"));
	config_release(&c);
}

static void test_cpu_lists(void **state)
{
	static const char *const wrong[] = { "", ",", "1,", "-1", "1--2", "a",
					     "1 ", "0x1", "2-1",
					     "99999999999999999999" };
	uint64_t mask[2];

	(void)state;
	assert_int_equal(util_parse_cpus("0", mask, 2), 0);
	assert_true(mask[0] == 1 && !mask[1]);
	assert_int_equal(util_parse_cpus("0-127", mask, 2), 0);
	assert_true(mask[0] == UINT64_MAX && mask[1] == UINT64_MAX);
	assert_int_equal(util_parse_cpus("63-64,5,5", mask, 2), 0);
	assert_true(mask[0] == ((1ull << 63) | 32) && mask[1] == 1);
	assert_int_equal(util_parse_cpus("128", mask, 2), -ERANGE);
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		assert_int_equal(util_parse_cpus(wrong[i], mask, 2), -EINVAL);
}

static void test_file_errors(void **state)
{
	static const struct {
		const char *text;
		const char *says;
	} cases[] = {
		{ "hz = 99\nnonsense\n", ":2: 'nonsense' is not" },
		{ "\n\nhertz = 9\n", ":3: there is no option 'hertz'" },
		{ "hz = many\n", ":1: hz = many: must be a number" },
		{ "hz = 10001\n", "out of range (1 to 10000)" },
		{ "hz = 0\n", "out of range" },
		{ "hz = 99999999999999999999\n", ":1: hz" },
		{ "hz = -1\n", "must be a number" },
		{ "objects = 63\n", "out of range (64 to 65536)" },
		{ "cpus = 0-\n", "must be a list such as" },
		{ "cpus = 3-1\n", "must be a list such as" },
		{ "cpus = 8192\n", "must be a list such as" },
		{ "cpus = 1,,2\n", "must be a list such as" },
		{ "pid = 0\n", "must be the number of a process" },
		{ "pid = 1\npid = me\n", "must be the number of a process" },
		{ "cgroup =\n", "must not be empty" },
		{ "ring-size = 100K\n", "not a power of two" },
		{ "ring-size = 8K\n", "is less than" },
		{ "sync = soon\n", "must be a time" },
		{ "http = localhost\n", "must be ADDR:PORT" },
		{ "http = ::1:4040\n", "must be ADDR:PORT" },
		{ "http = 127.0.0.1:99999\n", "must be ADDR:PORT" },
		{ "store =\n", "must not be empty" },
		{ "no-device = maybe\n", "must be yes or no" },
		{ "config = /x\n", "there is no option 'config'" },
	};
	char said[4096];
	struct config c;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		write_file(cases[i].text, strlen(cases[i].text));
		assert_int_equal(PARSE("--config", file), -EINVAL);
		if (!strstr(said, cases[i].says))
			fail_msg("'%s' gave '%s'", cases[i].text, said);
		config_release(&c);
	}
	write_file("hz\0= 9", 6);
	assert_int_equal(PARSE("--config", file), -EINVAL);
	assert_non_null(strstr(said, "NUL"));
	config_release(&c);
	assert_int_equal(PARSE("--config", "/nonexistent/x"), -ENOENT);
	assert_non_null(strstr(said, "/nonexistent/x: No such file"));
	config_release(&c);
}

static void test_flag_errors(void **state)
{
	char said[4096];
	struct config c;

	(void)state;
	write_file("", 0);
	assert_int_equal(PARSE("--config", file, "--frobnicate"), -EINVAL);
	assert_non_null(strstr(said, "--help"));
	config_release(&c);
	assert_int_equal(PARSE("--config", file, "--hz", "zero"), -EINVAL);
	assert_non_null(strstr(said, "--hz"));
	config_release(&c);
	assert_int_equal(PARSE("--config", file, "left", "over"), -EINVAL);
	assert_non_null(strstr(said, "'left'"));
	config_release(&c);
}

static void test_split_address(void **state)
{
	char addr[64];
	uint16_t port;

	(void)state;
	assert_int_equal(config_split_address("127.0.0.1:0", addr, 64, &port), 0);
	assert_string_equal(addr, "127.0.0.1");
	assert_int_equal(config_split_address("[::1]:4040", addr, 64, &port), 0);
	assert_string_equal(addr, "::1");
	assert_int_equal(port, 4040);
	assert_int_equal(config_split_address(":4040", addr, 64, &port), -EINVAL);
	assert_int_equal(config_split_address("a:", addr, 64, &port), -EINVAL);
	assert_int_equal(config_split_address("a:65536", addr, 64, &port),
			 -EINVAL);
	assert_int_equal(config_split_address("[]:1", addr, 64, &port), -EINVAL);
	assert_int_equal(config_split_address("localhost:1", addr, 5, &port),
			 -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_flag_wins),
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_cpu_lists),
		cmocka_unit_test(test_file_errors),
		cmocka_unit_test(test_flag_errors),
		cmocka_unit_test(test_split_address),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
