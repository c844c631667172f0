/* SPDX-License-Identifier: Apache-2.0 */
/* A directory of its own for a test's files, and commands run in it. */
#ifndef KSTRATA_TESTS_SCRATCH_H
#define KSTRATA_TESTS_SCRATCH_H

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define maybe_unused __attribute__((unused))

static char scratch[64];

static maybe_unused int scratch_setup(void **state)
{
	(void)state;
	strcpy(scratch, "/tmp/kstrata-test-XXXXXX");
	return mkdtemp(scratch) ? 0 : -1;
}

static maybe_unused int scratch_teardown(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", scratch);
	return system(command);
}

static maybe_unused const char *scratch_path(const char *name)
{
	static char paths[4][PATH_MAX];
	static unsigned int turn;
	char *path = paths[turn++ % 4];

	snprintf(path, PATH_MAX, "%s/%s", scratch, name);
	return path;
}

static maybe_unused void scratch_write(const char *name, const void *data,
				       size_t len)
{
	FILE *f = fopen(scratch_path(name), "w");

	assert_non_null(f);
	assert_int_equal(fwrite(data, 1, len, f), len);
	fclose(f);
}

/* Run a shell command in the directory; it must succeed. */
static maybe_unused void scratch_run(const char *fmt, ...)
{
	char command[4096];
	size_t at = (size_t)snprintf(command, sizeof(command), "cd %s && ",
				     scratch);
	va_list args;

	va_start(args, fmt);
	vsnprintf(command + at, sizeof(command) - at, fmt, args);
	va_end(args);
	if (system(command) != 0)
		fail_msg("%s", command);
}

/* xorshift64*: the same numbers in every run. */
static maybe_unused uint64_t scratch_random(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * UINT64_C(0x2545f4914f6cdd1d);
}

#endif
