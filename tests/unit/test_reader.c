// SPDX-License-Identifier: Apache-2.0
/*
 * symbol/reader: the child, what it may not do, and what becomes of us when it breaks
 * down. The child is this program; what it does with a file is what the file says.
 */
#include "scratch.h"

#include "base/log.h"
#include "base/sandbox.h"
#include "symbol/reader.h"
#include "symbol/vdso.h"
#include "tables.h"

#include <elf.h>
#include <linux/futex.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* Not what anything takes: when a test gives up waiting. */
#define PATIENCE_NS (60 * NSEC_PER_SEC)

/* ---- in the child ---- */

static void overflow(void)
{
	char *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	munmap(p, 4096);
	*(volatile char *)p = 1;
}

/* Pages that nobody touches cost nothing; the limit counts them. */
static int take_memory(void)
{
	for (uint64_t got = 0; got < UINT64_C(64) << 30; got += 64 << 20)
		if (mmap(NULL, 64 << 20, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
			 0) == MAP_FAILED)
			return -ENOMEM;
	return 0;
}

static void wait_forever(void)
{
	uint32_t word = 0;

	for (;;)
		syscall(SYS_futex, &word, FUTEX_WAIT, 0, NULL);
}

static int misbehave(const char *what)
{
	if (!strcmp(what, "crash"))
		overflow();
	if (!strcmp(what, "abort"))
		abort();
	if (!strcmp(what, "exit"))
		_exit(3);
	if (!strcmp(what, "spin"))
		for (volatile bool on = true; on;)
			continue;
	if (!strcmp(what, "sleep"))
		wait_forever();
	if (!strcmp(what, "stop"))
		raise(SIGSTOP);
	if (!strcmp(what, "open"))
		return open("/etc/passwd", O_RDONLY) < 0 ? -errno : 0;
	if (!strcmp(what, "exec"))
		execl("/bin/true", "true", (char *)NULL);
	if (!strcmp(what, "socket"))
		return (int)syscall(SYS_socket, 2, 1, 0);
	if (!strcmp(what, "kill"))
		return (int)syscall(SYS_kill, 1, 0);
	if (!strcmp(what, "fork"))
		return (int)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
	if (!strcmp(what, "code"))
		mmap(NULL, 4096, PROT_READ | PROT_EXEC,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (!strcmp(what, "memory"))
		return take_memory();
	return 1;
}

static int work(enum reader_work kind, int fd, struct cfi_table *out,
		struct cfi_report *report)
{
	char what[32] = "";
	int r;

	*out = (struct cfi_table){ 0 };
	*report = (struct cfi_report){ .rows = 7 };
	if (kind != READER_ROWS || pread(fd, what, sizeof(what) - 1, 0) < 0)
		return -EIO;
	if (!memcmp(what, ELFMAG, SELFMAG))
		return reader_work_cfi(kind, fd, out, report);
	if (!strcmp(what, "none")) {
		report->why = "there is nothing in it";
		return -ENODATA;
	}
	r = misbehave(what);
	if (r <= 0)
		return r;
	*out = table_make(strtoull(what, NULL, 0), 1);
	if (!strcmp(what, "liar"))
		((struct kstrata_rows_table *)out->bytes)->nr_blocks = 99;
	return 0;
}

/* ---- in the daemon ---- */

struct fixture {
	struct loop *loop;
	struct reader *reader;
	int answers;
	struct reader_answer last;
	uint64_t first; /* of the table */
};

static int on_patience(void *userdata, uint32_t events)
{
	(void)userdata;
	(void)events;
	return -ETIME;
}

static void begin(struct fixture *f, struct reader_options options)
{
	*f = (struct fixture){ 0 };
	if (!options.backoff)
		options.backoff = NSEC_PER_MSEC;
	assert_int_equal(loop_new(&f->loop), 0);
	assert_int_equal(loop_add_timer(f->loop, PATIENCE_NS, on_patience, NULL,
					NULL), 0);
	assert_int_equal(reader_new(&f->reader, f->loop, &options), 0);
}

static void end(struct fixture *f)
{
	reader_free(f->reader);
	loop_free(f->loop);
}

static void on_answer(void *userdata, struct reader_answer *a)
{
	struct fixture *f = userdata;

	f->answers++;
	f->last = *a;
	f->last.report.why = a->report.why ? f->last.why : NULL;
	if (!a->status)
		f->first = table_first(&a->table);
	loop_stop(f->loop);
}

static int on_alarm(void *userdata, uint32_t events)
{
	(void)events;
	loop_stop(userdata);
	return 0;
}

static void run_for(struct fixture *f, int64_t ns)
{
	struct loop_source *alarm;

	assert_int_equal(loop_add_alarm(f->loop, on_alarm, f->loop, &alarm), 0);
	loop_set_alarm(alarm, ns);
	assert_int_equal(loop_run(f->loop), 0);
	loop_remove(f->loop, alarm);
}

static void ask(struct fixture *f, const char *what, uint32_t owner)
{
	int fd;

	while (reader_delay(f->reader))
		run_for(f, reader_delay(f->reader));
	scratch_write("file", what, strlen(what));
	fd = open(scratch_path("file"), O_RDONLY);
	assert_true(fd >= 0);
	assert_int_equal(reader_ask(f->reader, READER_ROWS, fd, owner, on_answer,
				    f), 0);
	assert_true(reader_busy(f->reader));
	close(fd);
}

static int ask_owned(struct fixture *f, const char *what, uint32_t owner)
{
	ask(f, what, owner);
	assert_int_equal(f->answers, 0);
	assert_int_equal(loop_run(f->loop), 0);
	assert_int_equal(f->answers, 1);
	f->answers = 0;
	return f->last.status;
}

static int get(struct fixture *f, const char *what)
{
	return ask_owned(f, what, 0);
}

static struct reader_stats stats_of(struct fixture *f)
{
	struct reader_stats stats;

	reader_get_stats(f->reader, &stats);
	return stats;
}

static void test_answers(void **state)
{
	struct fixture f;
	int32_t pid;

	(void)state;
	begin(&f, (struct reader_options){ 0 });
	assert_int_equal(stats_of(&f).pid, 0);
	assert_int_equal(get(&f, "4096"), 0);
	assert_int_equal(f.first, 4096);
	assert_int_equal(f.last.report.rows, 7);
	assert_null(f.last.report.why);
	pid = stats_of(&f).pid;
	assert_true(pid > 0 && pid != getpid());
	assert_int_equal(get(&f, "8192"), 0);
	assert_int_equal(f.first, 8192);
	assert_int_equal(get(&f, "none"), -ENODATA);
	assert_string_equal(f.last.report.why, "there is nothing in it");
	/* All by one child. */
	assert_int_equal(stats_of(&f).pid, pid);
	assert_int_equal(stats_of(&f).started, 1);
	assert_false(stats_of(&f).unfiltered);
	end(&f);
}

static void test_one_at_a_time(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, (struct reader_options){ 0 });
	ask(&f, "4096", 0);
	assert_int_equal(reader_ask(f.reader, READER_ROWS, 0, 0, on_answer, &f),
			 -EBUSY);
	assert_int_equal(loop_run(f.loop), 0);
	assert_false(reader_busy(f.reader));
	/* Work that it does not know. */
	assert_int_equal(reader_ask(f.reader, 77, 0, 0, on_answer, &f), 0);
	assert_int_equal(loop_run(f.loop), 0);
	assert_int_equal(f.last.status, -EIO);
	/* Freed with work under way: no answer, nobody left behind. */
	f.answers = 0;
	ask(&f, "sleep", 0);
	end(&f);
	assert_int_equal(f.answers, 0);
}

/* Of what a hostile file may make it do. */
static void test_breakdowns(void **state)
{
	static const struct {
		const char *what, *why;
	} cases[] = {
		{ "crash", "crashed" },
		{ "abort", "crashed" },
		{ "exit", "exit code 3" },
		{ "exec", "Bad system call" },
		{ "socket", "Bad system call" },
		{ "kill", "Bad system call" },
		{ "fork", "Bad system call" },
		{ "code", "Bad system call" },
	};
	uint64_t crashed = 0;
	struct fixture f;

	(void)state;
	begin(&f, (struct reader_options){ 0 });
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		/* What it may in a build with sanitizers, or what they catch. */
		if (SANDBOX_LOOSE && (!strcmp(cases[i].what, "fork") ||
				      !strcmp(cases[i].what, "code")))
			continue;
		assert_int_equal(get(&f, cases[i].what), -EFAULT);
		crashed++;
		if (!SANDBOX_LOOSE || strcmp(cases[i].what, "crash") != 0)
			if (!strstr(f.last.report.why, cases[i].why))
				fail_msg("%s: %s", cases[i].what,
					 f.last.report.why);
		assert_true(reader_delay(f.reader) > 0);
		/* The next one is none the worse for it. */
		assert_int_equal(get(&f, "4096"), 0);
		assert_int_equal(reader_delay(f.reader), 0);
		assert_int_equal(stats_of(&f).crashed, crashed);
		assert_int_equal(stats_of(&f).started, crashed + 1);
	}
	assert_int_equal(get(&f, "open"), -EACCES);
	if (!SANDBOX_LOOSE)
		assert_int_equal(get(&f, "memory"), -ENOMEM);
	assert_int_equal(get(&f, "4096"), 0);
	end(&f);
}

/* An answer that is no table is not taken, nor is its author trusted again. */
static void test_liar(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, (struct reader_options){ 0 });
	assert_int_equal(get(&f, "liar"), -EPROTO);
	assert_int_equal(stats_of(&f).refused, 1);
	assert_int_equal(stats_of(&f).pid, 0);
	assert_int_equal(get(&f, "4096"), 0);
	assert_int_equal(stats_of(&f).started, 2);
	end(&f);
}

/* The compiler has all that it needs in there. */
static void test_compiles(void **state)
{
	static const char *const files[] = { "/bin/sh", "/proc/self/exe" };
	struct fixture f;
	int fd;

	(void)state;
	begin(&f, (struct reader_options){ 0 });
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		fd = open(files[i], O_RDONLY);
		assert_true(fd >= 0);
		assert_int_equal(reader_ask(f.reader, READER_ROWS, fd, 0,
					    on_answer, &f), 0);
		close(fd);
		assert_int_equal(loop_run(f.loop), 0);
		if (f.last.status)
			fail_msg("%s: %s", files[i], f.last.report.why);
		assert_true(f.last.report.rows > 100);
		assert_true(f.first > 0);
	}
	fd = vdso_open(&(size_t){ 0 });
	assert_true(fd >= 0);
	assert_int_equal(reader_ask(f.reader, READER_ROWS, fd, 0, on_answer, &f),
			 0);
	close(fd);
	assert_int_equal(loop_run(f.loop), 0);
	assert_int_equal(f.last.status, 0);
	assert_int_equal(stats_of(&f).started, 1);
	end(&f);
}

/* Neither its CPU time nor waiting for nothing goes on for ever. */
static void test_timeouts(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, (struct reader_options){ .cpu = 200 * NSEC_PER_MSEC });
	assert_int_equal(get(&f, "spin"), -ETIMEDOUT);
	assert_int_equal(get(&f, "4096"), 0);
	end(&f);
	begin(&f, (struct reader_options){ .wall = 300 * NSEC_PER_MSEC });
	assert_int_equal(get(&f, "sleep"), -ETIMEDOUT);
	assert_int_equal(get(&f, "stop"), -ETIMEDOUT);
	assert_int_equal(stats_of(&f).timeouts, 2);
	assert_int_equal(stats_of(&f).crashed, 0);
	end(&f);
}

static void test_killed(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, (struct reader_options){ 0 });
	/* At work: the file is not to blame. */
	ask(&f, "sleep", 0);
	kill(stats_of(&f).pid, SIGKILL);
	assert_int_equal(loop_run(f.loop), 0);
	assert_int_equal(f.last.status, -EINTR);
	assert_int_equal(stats_of(&f).killed, 1);
	f.answers = 0;
	assert_int_equal(get(&f, "4096"), 0);
	/* Idle: nobody notices. */
	kill(stats_of(&f).pid, SIGKILL);
	while (stats_of(&f).pid)
		run_for(&f, 20 * NSEC_PER_MSEC);
	assert_int_equal(get(&f, "8192"), 0);
	assert_int_equal(f.first, 8192);
	assert_int_equal(stats_of(&f).killed, 1);
	assert_int_equal(stats_of(&f).started, 3);
	end(&f);
}

static void test_backoff(void **state)
{
	struct fixture f;
	int64_t before = 0;

	(void)state;
	begin(&f, (struct reader_options){ .backoff = 10 * NSEC_PER_MSEC });
	for (int i = 0; i < 3; i++) {
		int64_t delay;

		assert_int_equal(get(&f, "exit"), -EFAULT);
		delay = reader_delay(f.reader);
		assert_true(delay > before);
		assert_int_equal(reader_ask(f.reader, READER_ROWS, 0, 0,
					    on_answer, &f), -EAGAIN);
		before = delay;
	}
	end(&f);
}

/* A child that has read one user's file reads no other's. */
static void test_owners(void **state)
{
	struct fixture f;
	int32_t first;

	(void)state;
	begin(&f, (struct reader_options){ 0 });
	assert_int_equal(ask_owned(&f, "4096", 0), 0);
	first = stats_of(&f).pid;
	assert_int_equal(ask_owned(&f, "4096", 1000), 0);
	assert_int_not_equal(stats_of(&f).pid, first);
	assert_int_equal(stats_of(&f).started, 2);
	assert_int_equal(ask_owned(&f, "4096", 1000), 0);
	assert_int_equal(stats_of(&f).started, 2);
	end(&f);
}

/* With nothing to do there is no child, and no zombie either. */
static void test_idle(void **state)
{
	struct fixture f;
	int32_t pid;

	(void)state;
	begin(&f, (struct reader_options){ .idle = 50 * NSEC_PER_MSEC });
	assert_int_equal(get(&f, "4096"), 0);
	pid = stats_of(&f).pid;
	while (!kill(pid, 0))
		run_for(&f, 20 * NSEC_PER_MSEC);
	assert_int_equal(stats_of(&f).pid, 0);
	assert_int_equal(get(&f, "4096"), 0);
	assert_int_equal(stats_of(&f).started, 2);
	assert_int_equal(stats_of(&f).crashed, 0);
	end(&f);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_one_at_a_time),
		cmocka_unit_test(test_breakdowns),
		cmocka_unit_test(test_liar),
		cmocka_unit_test(test_compiles),
		cmocka_unit_test(test_timeouts),
		cmocka_unit_test(test_killed),
		cmocka_unit_test(test_backoff),
		cmocka_unit_test(test_owners),
		cmocka_unit_test(test_idle),
	};

	if (readerchild_is(argc, argv))
		return readerchild_main(work);
	log_set_level(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
