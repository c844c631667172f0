// SPDX-License-Identifier: Apache-2.0
/*
 * symbol/symbolizer: functions of live programs, deleted and replaced files,
 * what is no file at all, and the cache's bounds.
 */
#include "scratch.h"

#include "symbol/symbolizer.h"

#include <dlfcn.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

struct fixture {
	struct symbolizer *s;
	int proc;
};

static void begin(struct fixture *f, uint64_t cache_bytes)
{
	const struct symbolizer_options options = {
		.cache_bytes = cache_bytes,
		.kallsyms_path = scratch_path("kallsyms"),
	};
	static const char kallsyms[] =
		"ffffffff81000000 T do_thing\n"
		"ffffffff81000100 t a;b\x01\n"
		"ffffffffc0000000 t mod_thing\t[ext4]\n";

	scratch_write("kallsyms", kallsyms, sizeof(kallsyms) - 1);
	f->proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(f->proc >= 0);
	assert_int_equal(symbolizer_new(&f->s, &options), 0);
}

static void end(struct fixture *f)
{
	symbolizer_free(f->s);
	close(f->proc);
}

static void check_user(struct fixture *f, pid_t pid, uint64_t address,
		       const char *name, const char *object)
{
	const struct mapping *m;
	struct procmaps maps;
	struct symbol sym;

	assert_int_equal(procmaps_read(&maps, f->proc, (uint32_t)pid), 0);
	m = procmaps_find(&maps, address);
	assert_non_null(m);
	sym = symbolizer_user(f->s, f->proc, (uint32_t)pid, m, address);
	assert_string_equal(sym.name, name);
	if (object)
		assert_string_equal(sym.object, object);
	procmaps_release(&maps);
}

static struct symbolizer_stats stats_of(struct fixture *f)
{
	struct symbolizer_stats stats;

	symbolizer_get_stats(f->s, &stats);
	return stats;
}

static void test_kernel(void **state)
{
	struct fixture f;
	struct symbol sym;

	(void)state;
	begin(&f, 1 << 20);
	assert_int_equal(stats_of(&f).kernel_symbols, 3);
	sym = symbolizer_kernel(f.s, 0xffffffff81000010);
	assert_string_equal(sym.name, "do_thing");
	assert_string_equal(sym.object, "[kernel]");
	sym = symbolizer_kernel(f.s, 0xffffffff81000110);
	assert_string_equal(sym.name, "a:b?");
	sym = symbolizer_kernel(f.s, 0xffffffffc0000010);
	assert_string_equal(sym.name, "mod_thing");
	assert_string_equal(sym.object, "[ext4]");
	sym = symbolizer_kernel(f.s, 0x1000);
	assert_string_equal(sym.name, "[kernel]");

	/* A module more; then a kernel that hides: what is known stays. */
	scratch_write("kallsyms", "ffffffff81000000 T renamed\n", 27);
	assert_int_equal(symbolizer_reload_kernel(f.s), 0);
	assert_string_equal(symbolizer_kernel(f.s, 0xffffffff81000010).name,
			    "renamed");
	scratch_write("kallsyms", "0000000000000000 T hidden\n", 26);
	assert_int_equal(symbolizer_reload_kernel(f.s), -EPERM);
	assert_string_equal(symbolizer_kernel(f.s, 0xffffffff81000010).name,
			    "renamed");
	end(&f);
}

static void test_self(void **state)
{
	struct fixture f;
	char exe[PATH_MAX] = "";
	uint64_t here = (uint64_t)(uintptr_t)test_self + 4;

	(void)state;
	begin(&f, 64 << 20);
	assert_true(readlink("/proc/self/exe", exe, sizeof(exe) - 1) > 0);
	for (int i = 0; i < 3; i++)
		check_user(&f, getpid(), here, "test_self", exe);
	assert_int_equal(stats_of(&f).lookups, 3);
	assert_int_equal(stats_of(&f).loads, 1);
	assert_int_equal(stats_of(&f).hits, 2);
	assert_int_equal(stats_of(&f).objects, 1);
	end(&f);
}

static const char vdso_name[] =
#if defined(__aarch64__)
	"__kernel_clock_gettime";
#else
	"__vdso_clock_gettime";
#endif

/* Its functions, as the dynamic linker knows them, have their own names. */
static void test_vdso(void **state)
{
	struct fixture f;
	void *image = dlopen("linux-vdso.so.1", RTLD_LAZY | RTLD_NOLOAD);
	void *p = image ? dlsym(image, vdso_name) : NULL;
	const struct mapping *m;
	struct procmaps maps;
	const char *name;

	(void)state;
	if (!p)
		skip();
	begin(&f, 1 << 20);
	assert_int_equal(procmaps_read(&maps, f.proc, (uint32_t)getpid()), 0);
	m = procmaps_find(&maps, (uint64_t)(uintptr_t)p);
	assert_non_null(m);
	assert_string_equal(m->path, "[vdso]");
	name = symbolizer_user(f.s, f.proc, (uint32_t)getpid(), m,
			       (uint64_t)(uintptr_t)p).name;
	/* "clock_gettime" is its weak alias. */
	assert_non_null(strstr(name, "clock_gettime"));
	assert_string_equal(symbolizer_user(f.s, f.proc, (uint32_t)getpid(), m,
					    m->start).name, "[vdso]");
	procmaps_release(&maps);
	dlclose(image);
	end(&f);
}

/* Mappings that no file is behind, by their own names. */
static void test_no_file(void **state)
{
	static const struct {
		const char *path, *name;
	} cases[] = {
		{ "", "[anon]" },
		{ "[stack]", "[stack]" },
		{ "[heap]", "[heap]" },
		{ "[anon:v8;x]", "[anon:v8:x]" },
		{ "[vsyscall]", "[vsyscall]" },
	};
	struct fixture f;

	(void)state;
	begin(&f, 1 << 20);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char path[32];
		struct mapping m = { .start = 0x1000, .end = 0x2000,
				     .path = path };

		strcpy(path, cases[i].path);
		assert_string_equal(symbolizer_user(f.s, f.proc, 1, &m,
						    0x1800).name,
				    cases[i].name);
		assert_string_equal(symbolizer_user(f.s, f.proc, 1, &m,
						    0x2000).name, "[unknown]");
		assert_string_equal(symbolizer_user(f.s, f.proc, 1, &m,
						    0xfff).name, "[unknown]");
	}
	end(&f);
}

/* A place that no symbol has: by the file, or by its offset there as well. */
static void test_offsets(void **state)
{
	static const struct symbols_key nobody;

	(void)state;
	for (int offsets = 0; offsets < 2; offsets++) {
		const struct symbolizer_options options = {
			.cache_bytes = 1 << 20,
			.kallsyms_path = scratch_path("none"),
			.offsets = offsets,
		};
		struct symbolizer *s;
		struct symbol out;

		assert_int_equal(symbolizer_new(&s, &options), 0);
		assert_false(symbolizer_file(s, &nobody, "/lib/a.so", 0x1f40,
					     &out));
		assert_string_equal(out.name,
				    offsets ? "[a.so+0x1f40]" : "[a.so]");
		assert_string_equal(out.object, "/lib/a.so");
		symbolizer_free(s);
	}
}

/* Runs a program that prints an address of its own and waits. */
static pid_t run(const char *program, uint64_t *address)
{
	char line[64] = "";
	int out[2];
	FILE *f;
	pid_t pid;

	assert_int_equal(pipe(out), 0);
	pid = fork();
	if (!pid) {
		/* A failing test leaves nobody behind. */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(out[1], 1);
		close(out[0]);
		close(out[1]);
		execl(program, program, (char *)NULL);
		_exit(1);
	}
	assert_true(pid > 0);
	close(out[1]);
	f = fdopen(out[0], "r");
	assert_non_null(fgets(line, sizeof(line), f));
	*address = strtoull(line, NULL, 16);
	fclose(f);
	return pid;
}

static void stop(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void build(const char *program, const char *function)
{
	scratch_run("printf '#include <stdio.h>\\n#include <unistd.h>\\n"
		    "int %s(void) { return 1; }\\nint main(void) { "
		    "printf(\"%%%%p\\\\n\", (void *)%s); fflush(stdout); "
		    "for (;;) pause(); }\\n' > live.c && cc -O1 -o %s live.c",
		    function, function, program);
}

static void test_deleted(void **state)
{
	struct fixture f;
	uint64_t address;
	pid_t pid;
	int fd;

	(void)state;
	begin(&f, 1 << 20);
	build("gone", "find_me");
	pid = run(scratch_path("gone"), &address);
	unlink(scratch_path("gone"));
	/* Needs /proc/PID/map_files: CAP_CHECKPOINT_RESTORE. */
	fd = open("/proc/self/map_files", O_RDONLY | O_DIRECTORY);
	if (fd < 0 || geteuid() != 0) {
		stop(pid);
		end(&f);
		skip();
	}
	close(fd);
	check_user(&f, pid, address, "find_me", scratch_path("gone"));
	stop(pid);
	end(&f);
}

/* A file rebuilt in place, as a compiler does, often has the same inode. */
static void test_replaced(void **state)
{
	struct fixture f;
	uint64_t address;
	pid_t pid;

	(void)state;
	begin(&f, 1 << 20);
	for (int i = 0; i < 5; i++) {
		char name[16];

		snprintf(name, sizeof(name), "version_%c", 'a' + i);
		build("again", name);
		pid = run(scratch_path("again"), &address);
		check_user(&f, pid, address, name, scratch_path("again"));
		stop(pid);
		unlink(scratch_path("again"));
	}
	end(&f);
}

/* When the process is gone, what was read before still tells. */
static void test_gone(void **state)
{
	struct fixture f;
	const struct mapping *m;
	struct procmaps maps;
	uint64_t address;
	pid_t pid;

	(void)state;
	begin(&f, 1 << 20);
	build("short", "lived");
	pid = run(scratch_path("short"), &address);
	assert_int_equal(procmaps_read(&maps, f.proc, (uint32_t)pid), 0);
	m = procmaps_find(&maps, address);
	assert_non_null(m);
	check_user(&f, pid, address, "lived", NULL);
	stop(pid);
	unlink(scratch_path("short"));
	assert_string_equal(symbolizer_user(f.s, f.proc, (uint32_t)pid, m,
					    address).name, "lived");
	/* Another process that had it, unseen until now and gone as well. */
	assert_string_equal(symbolizer_user(f.s, f.proc, 0x7fffffff, m,
					    address).name, "lived");
	procmaps_release(&maps);
	end(&f);
}

static struct mapping mapping_of(const char *path, uint64_t inode)
{
	static char copy[PATH_MAX];

	snprintf(copy, sizeof(copy), "%s", path);
	return (struct mapping){ .start = 0x1000, .end = 0x100000,
				 .inode = inode, .path = copy };
}

/* What cannot be read has the file's name, is asked for once, and is bounded. */
static void test_unreadable(void **state)
{
	struct fixture f;
	struct mapping m;
	struct stat st;

	(void)state;
	begin(&f, 64 << 10);
	m = mapping_of("/no/such/lib;x\n.so", 12345);
	for (int i = 0; i < 3; i++) {
		struct symbol sym = symbolizer_user(f.s, f.proc,
						    (uint32_t)getpid(), &m,
						    0x2000);

		assert_string_equal(sym.name, "[lib:x?.so]");
		assert_string_equal(sym.object, "/no/such/lib:x?.so");
	}
	assert_int_equal(stats_of(&f).load_errors, 1);

	/* A FIFO by that name and inode neither blocks nor is read. */
	assert_int_equal(mkfifo(scratch_path("fifo"), 0600), 0);
	assert_int_equal(stat(scratch_path("fifo"), &st), 0);
	m = mapping_of(scratch_path("fifo"), st.st_ino);
	assert_string_equal(symbolizer_user(f.s, f.proc, (uint32_t)getpid(), &m,
					    0x2000).name, "[fifo]");

	/* The path now leads to another file than the one mapped. */
	assert_int_equal(stat("/bin/sh", &st), 0);
	m = mapping_of("/bin/sh", st.st_ino + 1);
	assert_string_equal(symbolizer_user(f.s, f.proc, (uint32_t)getpid(), &m,
					    0x2000).name, "[sh]");

	/* Not an ELF file. */
	assert_int_equal(stat("/etc/passwd", &st), 0);
	m = mapping_of("/etc/passwd", st.st_ino);
	assert_string_equal(symbolizer_user(f.s, f.proc, (uint32_t)getpid(), &m,
					    0x2000).name, "[passwd]");
	assert_int_equal(stats_of(&f).objects, 0);

	/* A program that maps ever new files does not make us grow. */
	for (uint64_t i = 0; i < 5000; i++) {
		m = mapping_of("/no/such", 1000000 + i);
		symbolizer_user(f.s, f.proc, (uint32_t)getpid(), &m, 0x2000);
		assert_true(stats_of(&f).memory <= 64 << 10);
	}
	assert_true(stats_of(&f).evictions > 4000);
	end(&f);
}

/* Tables come and go within the bytes allowed; the answers stay right. */
static void test_eviction(void **state)
{
	char program[4][16];
	uint64_t address[4];
	pid_t pid[4];
	struct fixture f;
	uint64_t bytes;

	(void)state;
	for (int i = 0; i < 4; i++) {
		char name[16];

		snprintf(program[i], sizeof(program[i]), "p%d", i);
		snprintf(name, sizeof(name), "f%d", i);
		build(program[i], name);
		pid[i] = run(scratch_path(program[i]), &address[i]);
	}
	/* Room for two and a half of them. */
	begin(&f, 1 << 20);
	check_user(&f, pid[0], address[0], "f0", NULL);
	bytes = stats_of(&f).memory * 5 / 2;
	end(&f);
	begin(&f, bytes);
	for (int round = 0; round < 20; round++) {
		int i = round % 4;
		char name[16];

		snprintf(name, sizeof(name), "f%d", i);
		check_user(&f, pid[i], address[i], name, NULL);
		assert_true(stats_of(&f).memory <= bytes);
	}
	assert_int_equal(stats_of(&f).evictions, 18);
	assert_int_equal(stats_of(&f).objects, 2);
	for (int i = 0; i < 4; i++)
		stop(pid[i]);
	end(&f);
}

/* Names that would break folded text, out of a real symbol table. */
static void test_odd_symbols(void **state)
{
	static const char source[] =
		"__asm__(\".text\\n.globl \\\"a;b c\\\"\\n"
		".type \\\"a;b c\\\",@function\\n\\\"a;b c\\\": nop\\nnop\\n"
		".size \\\"a;b c\\\", 2\\n\");\n"
		"#include <stdio.h>\n#include <unistd.h>\n"
		"extern char odd __asm__(\"\\\"a;b c\\\"\");\n"
		"int main(void) { printf(\"%p\\n\", (void *)&odd);\n"
		"	fflush(stdout); for (;;) pause(); }\n";
	struct fixture f;
	uint64_t address;
	pid_t pid;

	(void)state;
	begin(&f, 1 << 20);
	scratch_write("odd.c", source, sizeof(source) - 1);
	scratch_run("cc -O1 -o odd odd.c");
	pid = run(scratch_path("odd"), &address);
	check_user(&f, pid, address, "a:b c", NULL);
	stop(pid);
	end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kernel),
		cmocka_unit_test(test_self),
		cmocka_unit_test(test_vdso),
		cmocka_unit_test(test_no_file),
		cmocka_unit_test(test_offsets),
		cmocka_unit_test(test_deleted),
		cmocka_unit_test(test_replaced),
		cmocka_unit_test(test_gone),
		cmocka_unit_test(test_unreadable),
		cmocka_unit_test(test_eviction),
		cmocka_unit_test(test_odd_symbols),
	};

	return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
