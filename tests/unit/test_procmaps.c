// SPDX-License-Identifier: Apache-2.0
/* symbol/procmaps: made-up maps, hostile ones, and our own. */
#include "scratch.h"

#include "symbol/procmaps.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

static const char sample[] =
	"55d0c0a00000-55d0c0a10000 r--p 00000000 fe:01 1234      /usr/bin/x\n"
	"55d0c0a10000-55d0c0a20000 r-xp 00010000 fe:01 1234      /usr/bin/x\n"
	"7f0000000000-7f0000001000 r-xp 00000000 00:00 0 \n"
	"7f0000001000-7f0000002000 rwxp 00000000 00:00 0         [anon:v8]\n"
	"7f0000002000-7f0000003000 r-xs 00000000 00:01 99        /memfd:jit "
	"(deleted)\n"
	"7f0000003000-7f0000004000 r-xp 00001000 103:4f2 5       "
	"/tmp/two words\\012line\\134 (deleted)\n"
	"7ffe00000000-7ffe00021000 rw-p 00000000 00:00 0         [stack]\n"
	"7ffe00100000-7ffe00102000 r-xp 00000000 00:00 0         [vdso]\n"
	"ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0 [vsyscall]\n";

static void test_format(void **state)
{
	struct procmaps m;

	(void)state;
	assert_int_equal(procmaps_parse(&m, sample, sizeof(sample) - 1), 0);
	assert_int_equal(m.nr, 7);
	assert_string_equal(m.v[0].path, "/usr/bin/x");
	assert_true(m.v[0].start == 0x55d0c0a10000);
	assert_true(m.v[0].end == 0x55d0c0a20000);
	assert_true(m.v[0].offset == 0x10000);
	assert_int_equal(m.v[0].dev_major, 0xfe);
	assert_int_equal(m.v[0].dev_minor, 1);
	assert_int_equal(m.v[0].inode, 1234);
	assert_false(m.v[0].deleted);
	assert_string_equal(m.v[1].path, "");
	assert_string_equal(m.v[2].path, "[anon:v8]");
	assert_string_equal(m.v[3].path, "/memfd:jit");
	assert_true(m.v[3].deleted);
	/* Only newlines are written in another way by the kernel. */
	assert_string_equal(m.v[4].path, "/tmp/two words\nline\\134");
	assert_true(m.v[4].deleted);
	assert_int_equal(m.v[4].dev_major, 0x103);
	assert_int_equal(m.v[4].dev_minor, 0x4f2);
	assert_string_equal(m.v[5].path, "[vdso]");
	assert_string_equal(m.v[6].path, "[vsyscall]");

	assert_ptr_equal(procmaps_find(&m, 0x55d0c0a10000), &m.v[0]);
	assert_ptr_equal(procmaps_find(&m, 0x55d0c0a1ffff), &m.v[0]);
	assert_null(procmaps_find(&m, 0x55d0c0a20000));
	assert_null(procmaps_find(&m, 0x55d0c0a0ffff));
	assert_null(procmaps_find(&m, 0));
	assert_null(procmaps_find(&m, UINT64_MAX));
	assert_ptr_equal(procmaps_find(&m, 0xffffffffff600fff), &m.v[6]);
	procmaps_release(&m);
	assert_null(procmaps_find(&m, 0));
}

static void test_bad(void **state)
{
	static const char *const bad[] = {
		"\n",
		"x",
		"1000-2000",
		"1000-2000 r-xp",
		"1000-2000 r-xp 0 00:00",
		"1000-2000 r-xp 0 00:00 \n",
		"2000-1000 r-xp 0 00:00 0\n",
		"1000-1000 r-xp 0 00:00 0\n",
		"10000000000000000-2 r-xp 0 00:00 0\n",
		"1000-2000 r-xp 0 100000000:00 0\n",
		"1000-2000 r-xp 0 00:00 99999999999999999999\n",
		"1000-2000 r-xp 0 00:00 0x10\n",
		"1000-3000 r-xp 0 00:00 0\n2000-4000 r-xp 0 00:00 0\n",
		"2000-3000 r-xp 0 00:00 0\n1000-2000 r-xp 0 00:00 0\n",
	};
	static const char nul[] = "1000-2000 r-xp 0 00:00 0 a\0b\n";
	char copy[sizeof(sample)];
	struct procmaps m;
	uint64_t seed = 9;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(procmaps_parse(&m, bad[i], strlen(bad[i])),
				 -EBADMSG);
	assert_int_equal(procmaps_parse(&m, nul, sizeof(nul) - 1), -EBADMSG);
	assert_int_equal(procmaps_parse(&m, "", 0), 0);
	assert_int_equal(m.nr, 0);
	procmaps_release(&m);
	for (size_t cut = 0; cut < sizeof(sample); cut++) {
		/* On the heap, at its exact length: reads past it show. */
		char *exact = malloc(cut + !cut);

		memcpy(exact, sample, cut);
		if (!procmaps_parse(&m, exact, cut))
			procmaps_release(&m);
		free(exact);
	}
	for (int i = 0; i < 20000; i++) {
		memcpy(copy, sample, sizeof(sample));
		for (int flips = 0; flips < 3; flips++)
			copy[scratch_random(&seed) % sizeof(copy)] =
				(char)scratch_random(&seed);
		if (!procmaps_parse(&m, copy, sizeof(copy)))
			procmaps_release(&m);
	}
}

static void read_self(struct procmaps *m)
{
	int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_true(proc >= 0);
	assert_int_equal(procmaps_read(m, proc, (uint32_t)getpid()), 0);
	close(proc);
}

static void test_self(void **state)
{
	const struct mapping *f;
	struct procmaps m;
	char exe[PATH_MAX] = "";
	struct stat st;

	(void)state;
	read_self(&m);
	f = procmaps_find(&m, (uint64_t)(uintptr_t)test_self);
	assert_non_null(f);
	assert_true(readlink("/proc/self/exe", exe, sizeof(exe) - 1) > 0);
	assert_string_equal(f->path, exe);
	assert_int_equal(stat(exe, &st), 0);
	assert_int_equal(f->inode, st.st_ino);
	f = procmaps_find(&m, (uint64_t)(uintptr_t)getpid);
	assert_non_null(f);
	assert_ptr_not_equal(f, procmaps_find(&m, (uint64_t)(uintptr_t)exe));
	for (size_t i = 1; i < m.nr; i++)
		assert_true(m.v[i - 1].end <= m.v[i].start);
	procmaps_release(&m);
}

/* How the running kernel writes paths that are hard to write. */
static void test_odd_names(void **state)
{
	static const char *const names[] = { "two words", "new\nline",
					     "back\\134slash", "tab\there",
					     "x (deleted)y", "\xc3\xa4\xff" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		int fd = open(scratch_path(names[i]), O_RDWR | O_CREAT, 0700);
		const struct mapping *f;
		struct procmaps m;
		void *p;

		assert_true(fd >= 0);
		assert_int_equal(ftruncate(fd, 8192), 0);
		p = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd,
			 4096);
		if (p == MAP_FAILED)
			skip(); /* mounted noexec */
		for (int gone = 0; gone < 2; gone++) {
			read_self(&m);
			f = procmaps_find(&m, (uint64_t)(uintptr_t)p);
			assert_non_null(f);
			assert_string_equal(f->path, scratch_path(names[i]));
			assert_int_equal(f->deleted, gone);
			assert_true(f->offset == 4096);
			procmaps_release(&m);
			unlink(scratch_path(names[i]));
		}
		munmap(p, 4096);
		close(fd);
	}
}

static void test_gone(void **state)
{
	int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct procmaps m;
	pid_t pid = fork();

	(void)state;
	if (!pid)
		_exit(0);
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(procmaps_read(&m, proc, (uint32_t)pid), -ESRCH);
	close(proc);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_format),	  cmocka_unit_test(test_bad),
		cmocka_unit_test(test_self),	  cmocka_unit_test(test_odd_names),
		cmocka_unit_test(test_gone),
	};

	return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
