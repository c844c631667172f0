// SPDX-License-Identifier: Apache-2.0
/* symbol/kallsyms: the format, its limits, and the running kernel's own. */
#include "scratch.h"

#include "symbol/kallsyms.h"

#include <inttypes.h>

static struct kallsyms *load(const char *text)
{
	struct kallsyms *k = NULL;

	scratch_write("kallsyms", text, strlen(text));
	assert_int_equal(kallsyms_load(&k, scratch_path("kallsyms")), 0);
	return k;
}

static int error_of(const char *text, size_t len)
{
	struct kallsyms *k = NULL;
	int r;

	scratch_write("kallsyms", text, len);
	r = kallsyms_load(&k, scratch_path("kallsyms"));
	if (!r)
		kallsyms_free(k);
	return r;
}

static void check(const struct kallsyms *k, uint64_t address, const char *name,
		  const char *module)
{
	const char *n = NULL, *m = NULL;

	if (!name) {
		assert_false(kallsyms_lookup(k, address, &n, &m));
		return;
	}
	assert_true(kallsyms_lookup(k, address, &n, &m));
	assert_string_equal(n, name);
	assert_string_equal(m, module);
}

static const char sample[] =
	"0000000000000000 A fixed_percpu_data\n"
	"ffffffff81000000 T _stext\n"
	"ffffffff81000000 T _text\n"
	"ffffffff81000040 t local\n"
	"ffffffff81000100 W weak_one\n"
	"ffffffff82000000 D jiffies\n"
	"ffffffffc0002000 t ext4_read\t[ext4]\n"
	"ffffffffc0001000 t ext4_init\t[ext4]\n"
	"ffffffffc0004000 t bpf_prog_6deef7357e7b4530\t[bpf]\n";

static void test_format(void **state)
{
	struct kallsyms *k = load(sample);

	(void)state;
	assert_int_equal(kallsyms_count(k), 7);
	assert_true(kallsyms_memory(k) >= 7 * 16);
	check(k, 0, NULL, NULL);
	check(k, 0xffffffff80ffffff, NULL, NULL);
	/* Aliases: the first one, as the kernel prints it. */
	check(k, 0xffffffff81000000, "_stext", "[kernel]");
	check(k, 0xffffffff8100003f, "_stext", "[kernel]");
	check(k, 0xffffffff81000040, "local", "[kernel]");
	check(k, 0xffffffff81000100, "weak_one", "[kernel]");
	/* Data has no function, and a gap before modules neither. */
	check(k, 0xffffffff81000100 + 0xffff, "weak_one", "[kernel]");
	check(k, 0xffffffff81000100 + 0x10000, NULL, NULL);
	check(k, 0xffffffff82000000, NULL, NULL);
	check(k, 0xffffffffc0001800, "ext4_init", "[ext4]");
	check(k, 0xffffffffc0002800, "ext4_read", "[ext4]");
	check(k, 0xffffffffc0004010, "bpf_prog_6deef7357e7b4530", "[bpf]");
	check(k, 0xffffffffc0014000, NULL, NULL);
	check(k, UINT64_MAX, NULL, NULL);
	kallsyms_free(k);
}

static void test_errors(void **state)
{
	static const char hidden[] = "0000000000000000 T _stext\n"
				     "0000000000000000 t local\n";
	static const char *const bad[] = {
		"", "\n", "hello\n", "ffffffff81000000\n", "ffffffff81000000 T\n",
		"fffffffff81000000 T too_many_digits\n", " T x\n",
		"ffffffff81000000 D only_data\n", "ffffffff81000000-T-x\n",
	};
	char *line = malloc(200000);
	struct kallsyms *k;

	(void)state;
	assert_int_equal(error_of(hidden, sizeof(hidden) - 1), -EPERM);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(error_of(bad[i], strlen(bad[i])), -EBADMSG);
	assert_int_equal(kallsyms_load(&k, "/nonexistent"), -ENOENT);
	assert_int_equal(kallsyms_load(&k, scratch), -EISDIR);
	/* A line that never ends. */
	memset(line, 'a', 200000);
	assert_int_equal(error_of(line, 200000), -EBADMSG);
	free(line);
	kallsyms_free(NULL);
}

/* Lines cut by the reading's chunks, and no newline at the end. */
static void test_chunks(void **state)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);
	struct kallsyms *k;

	(void)state;
	for (uint64_t i = 0; i < 50000; i++)
		fprintf(f, "%016" PRIx64 " t function_%" PRIu64 "%s%s",
			UINT64_C(0xffffffff81000000) + i * 32, i,
			i >= 40000 ? "\t[mod]" : "", i == 49999 ? "" : "\n");
	fclose(f);
	k = load(text);
	free(text);
	assert_int_equal(kallsyms_count(k), 50000);
	for (uint64_t i = 0; i < 50000; i++) {
		char name[32];

		snprintf(name, sizeof(name), "function_%" PRIu64, i);
		check(k, UINT64_C(0xffffffff81000000) + i * 32 + i % 32, name,
		      i >= 40000 ? "[mod]" : "[kernel]");
	}
	/* "[mod]" is kept once. */
	assert_true(kallsyms_memory(k) < 50000 * (16 + 15) + 64);
	kallsyms_free(k);
}

/* Any bytes: an error or a table, never a crash. */
static void test_noise(void **state)
{
	char copy[sizeof(sample)];
	uint64_t seed = 5;

	(void)state;
	for (size_t cut = 0; cut < sizeof(sample); cut++)
		error_of(sample, cut);
	for (int i = 0; i < 5000; i++) {
		memcpy(copy, sample, sizeof(sample));
		for (int flips = 0; flips < 3; flips++)
			copy[scratch_random(&seed) % sizeof(copy)] =
				(char)scratch_random(&seed);
		error_of(copy, sizeof(copy) - 1);
	}
}

/* Every function of this kernel by its own address. */
static void test_this_kernel(void **state)
{
	struct kallsyms *k;
	char line[1024];
	uint64_t last = 0;
	size_t seen = 0;
	FILE *f;
	int r;

	(void)state;
	r = kallsyms_load(&k, "/proc/kallsyms");
	if (r == -EPERM || r == -ENOENT)
		skip();
	assert_int_equal(r, 0);
	f = fopen("/proc/kallsyms", "r");
	while (fgets(line, sizeof(line), f)) {
		char name[512], module[128] = "[kernel]", type;
		uint64_t address;

		assert_true(sscanf(line, "%" SCNx64 " %c %511s %127s", &address,
				   &type, name, module) >= 3);
		if (!strchr("tTwW", type))
			continue;
		/* The first of an address's names, where they are in order. */
		if (address > last || !seen)
			check(k, address, name, module);
		last = address;
		seen++;
	}
	fclose(f);
	assert_int_equal(kallsyms_count(k), seen);
	kallsyms_free(k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_format),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_chunks),
		cmocka_unit_test(test_noise),
		cmocka_unit_test(test_this_kernel),
	};

	return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
