// SPDX-License-Identifier: Apache-2.0
/*
 * collect/collector: what each kind of frame becomes, and whose samples are
 * whose where processes are too short-lived for /proc.
 */
#include "fakedevice.h"
#include "samples.h"

#include "collect/report.h"
#include "symbol/procmaps.h"

#include <signal.h>
#include <sys/auxv.h>
#include <sys/wait.h>

#define ID (KSTRATA_OBJECT_ID_FIRST + 1)

/* Something to be found; not inlined, not static, not empty. */
int frames_test_first(int x);
int frames_test_second(int x);

__attribute__((noinline)) int frames_test_first(int x)
{
	return x * 5 + getpid();
}

__attribute__((noinline)) int frames_test_second(int x)
{
	return frames_test_first(x) + 1;
}

static struct device *device;
static struct loop *loop; /* of the last test's rows */
static char exe[PATH_MAX];

static int setup_fake(void **state)
{
	if (readlink("/proc/self/exe", exe, sizeof(exe) - 1) < 0 ||
	    fake_open(&device) < 0)
		return -1;
	return setup_with(state, device);
}

static int teardown_fake(void **state)
{
	int r = teardown(state);

	loop_free(loop);
	device_close(device);
	return r;
}

/* Where a function of ours is in our file. */
static uint64_t offset_of(int (*function)(int))
{
	uint64_t address = (uint64_t)(uintptr_t)function, offset;
	const struct mapping *m;
	struct procmaps maps;
	int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_int_equal(procmaps_read(&maps, proc, (uint32_t)getpid()), 0);
	m = procmaps_find(&maps, address);
	assert_non_null(m);
	offset = address - m->start + m->offset;
	procmaps_release(&maps);
	close(proc);
	return offset;
}

static uint64_t object_frame(uint32_t id, uint64_t offset)
{
	return KSTRATA_FRAME_OBJECT |
	       (uint64_t)id << KSTRATA_FRAME_OFFSET_BITS | offset;
}

static struct sample looked_up(uint32_t pid, const char *comm)
{
	struct sample x = sample_of(pid, comm, 10);

	x.s.lookup = KSTRATA_LOOKUP_DONE;
	return x;
}

static void check_stack(struct fixture *f, const char *query, const char *stack,
			uint64_t weight)
{
	char text[1024];
	uint64_t total;

	only_stack(f, query, text, sizeof(text), &total);
	assert_string_equal(text, stack);
	assert_int_equal(total, weight);
}

static struct collector_stats stats_of(struct fixture *f)
{
	struct collector_stats stats;

	collector_get_stats(f->collector, &stats);
	return stats;
}

static void test_objects(void **state)
{
	struct fixture *f = *state;
	uint64_t first = offset_of(frames_test_first);
	uint64_t second = offset_of(frames_test_second);
	struct sample x = looked_up(1, "objects");
	struct collector_stats before = stats_of(f), after;

	fake_file(ID, exe);
	/* Of a process that is nowhere in /proc. */
	x.s.pid = x.s.tid = 0x7ffffff0;
	x.s.nr_user = 4;
	/* The leaf is where it says, the others are return addresses. */
	x.frames[0] = object_frame(ID, first);
	x.frames[1] = object_frame(ID, second + 4);
	x.frames[2] = object_frame(ID, first + 1);
	/* Before a file's first byte is no other file. */
	x.frames[3] = object_frame(ID, 0);
	collector_take(f->collector, &x.s.hdr);
	collector_take(f->collector, &x.s.hdr);
	check_stack(f, "{service_name=\"objects\"}",
		    "[test_frames];frames_test_first;frames_test_second;frames_test_first",
		    20);
	after = stats_of(f);
	assert_int_equal(after.user_frames[COLLECTOR_FRAME_OBJECT] -
				 before.user_frames[COLLECTOR_FRAME_OBJECT], 8);
	assert_int_equal(after.lookups[KSTRATA_LOOKUP_DONE] -
				 before.lookups[KSTRATA_LOOKUP_DONE], 2);
	assert_int_equal(after.objects.asked - before.objects.asked, 1);
	assert_int_equal(fake.opened, 1);
	assert_int_equal(after.unknown_frames, before.unknown_frames);
}

static void test_no_file(void **state)
{
	struct fixture *f = *state;
	struct sample x = looked_up(0x7ffffff1, "nofile");
	struct collector_stats before = stats_of(f), after;

	x.s.nr_user = 8;
	x.frames[0] = KSTRATA_FRAME_ANON | 0x7f0000001000;
	x.frames[1] = object_frame(KSTRATA_OBJECT_VDSO32, 0x10);
	x.frames[2] = object_frame(KSTRATA_OBJECT_VDSO, 0xffffff);
	x.frames[3] = KSTRATA_FRAME_NOWHERE | 0x1234;
	x.frames[4] = KSTRATA_FRAME_NOWHERE;
	/* A kind to come, an offset that is not there, no number. */
	x.frames[5] = (uint64_t)3 << 61;
	x.frames[6] = object_frame(KSTRATA_OBJECT_VDSO32, 0);
	x.frames[7] = object_frame((1 << 23) - 1, 0);
	collector_take(f->collector, &x.s.hdr);
	check_stack(f, "{service_name=\"nofile\"}",
		    "[unknown];[vdso32];[unknown];[vdso];[vdso32];[anon]", 10);
	after = stats_of(f);
	assert_int_equal(after.user_frames[COLLECTOR_FRAME_ANON] -
				 before.user_frames[COLLECTOR_FRAME_ANON], 1);
	assert_int_equal(after.user_frames[COLLECTOR_FRAME_NOWHERE] -
				 before.user_frames[COLLECTOR_FRAME_NOWHERE], 3);
	assert_int_equal(after.user_frames[COLLECTOR_FRAME_VDSO] -
				 before.user_frames[COLLECTOR_FRAME_VDSO], 3);
	assert_int_equal(after.unknown_frames - before.unknown_frames, 4);
	assert_int_equal(after.objects.failed[OBJECTS_UNKNOWN] -
				 before.objects.failed[OBJECTS_UNKNOWN], 1);
}

/* A function of our own vDSO, by its place in the image. */
static void test_vdso(void **state)
{
	struct fixture *f = *state;
	struct sample x = looked_up(0x7ffffff2, "vdso");
	char text[256];
	uint64_t total, at;

	if (!getauxval(AT_SYSINFO_EHDR))
		skip();
	x.s.nr_user = 1;
	for (at = 0; at < 4096; at += 16)
		if (strcmp(symbolizer_vdso(f->symbolizer, at).name, "[vdso]"))
			break;
	if (at == 4096)
		skip();
	x.frames[0] = object_frame(KSTRATA_OBJECT_VDSO, at);
	collector_take(f->collector, &x.s.hdr);
	only_stack(f, "{service_name=\"vdso\"}", text, sizeof(text), &total);
	assert_non_null(strstr(text, "vdso"));
	assert_string_not_equal(text, "[vdso]");
}

/* Not looked up, for whatever reason: /proc says. */
static void test_raw(void **state)
{
	static const uint8_t lookups[] = { KSTRATA_LOOKUP_NONE,
					   KSTRATA_LOOKUP_BUSY,
					   KSTRATA_LOOKUP_UNSUPPORTED,
					   KSTRATA_LOOKUP_DONE, 200 };
	struct fixture *f = *state;
	struct collector_stats before = stats_of(f), after;

	for (size_t i = 0; i < ARRAY_SIZE(lookups); i++) {
		struct sample x = sample_of((uint32_t)getpid(), "raw", 10);

		x.s.lookup = lookups[i];
		x.s.nr_user = 1;
		x.frames[0] = (uint64_t)(uintptr_t)frames_test_first;
		collector_take(f->collector, &x.s.hdr);
	}
	check_stack(f, "{comm=\"raw\"}", "frames_test_first", 50);
	after = stats_of(f);
	assert_int_equal(after.user_frames[COLLECTOR_FRAME_RAW] -
				 before.user_frames[COLLECTOR_FRAME_RAW], 5);
	for (int i = 0; i < 4; i++)
		assert_int_equal(after.lookups[i] - before.lookups[i], 1);
}

/* The number's file is replaced; the names that were remembered are not used. */
static void test_reused_number(void **state)
{
	struct fixture *f = *state;
	uint64_t now = (uint64_t)clock_monotonic_ns();
	struct sample x = looked_up(0x7ffffff3, "reuse_a");
	struct kstrata_object gone = {
		.hdr = { .type = KSTRATA_RECORD_OBJECT,
			 .flags = KSTRATA_OBJECT_GONE,
			 .size = sizeof(gone),
			 .time = now },
		.id = ID + 1,
	};

	fake_file(ID + 1, exe);
	x.s.hdr.time = now;
	x.s.nr_user = 1;
	x.frames[0] = object_frame(ID + 1, offset_of(frames_test_first));
	collector_take(f->collector, &x.s.hdr);
	check_stack(f, "{comm=\"reuse_a\"}", "frames_test_first", 10);
	collector_take(f->collector, &gone.hdr);
	fake_file(ID + 1, "/etc/passwd");
	collector_take(f->collector, &x.s.hdr);
	check_stack(f, "{comm=\"reuse_a\"}", "frames_test_first", 20);
	strcpy(x.s.comm, "reuse_b");
	x.s.hdr.time = now + 1;
	collector_take(f->collector, &x.s.hdr);
	check_stack(f, "{comm=\"reuse_b\"}", "[passwd]", 10);
}

static void test_idle(void **state)
{
	struct fixture *f = *state;
	struct sample x = sample_of(0, "swapper/3", 7);

	x.s.hdr.flags = KSTRATA_SAMPLE_IDLE;
	x.s.nr_kernel = 1;
	x.frames[0] = 0xffffffff81000210;
	collector_take(f->collector, &x.s.hdr);
	strcpy(x.s.comm, "swapper/4");
	x.s.hdr.flags |= KSTRATA_SAMPLE_KTHREAD;
	collector_take(f->collector, &x.s.hdr);
	check_stack(f, "{service_name=\"kernel\",comm=\"swapper\"}", "vfs_read",
		    14);

	/* A program of another pid namespace has no number either. */
	x = sample_of(0, "elsewhere", 3);
	x.s.nr_kernel = 1;
	x.frames[0] = 0xffffffff81000210;
	collector_take(f->collector, &x.s.hdr);
	x.s.hdr.flags = KSTRATA_SAMPLE_IDLE;
	collector_take(f->collector, &x.s.hdr);
	check_stack(f, "{service_name=\"elsewhere\"}", "vfs_read", 3);
	check_stack(f, "{comm=\"swapper\"}", "vfs_read", 17);
}

static void task(struct fixture *f, enum kstrata_task_event event, uint32_t pid,
		 uint32_t parent, uint64_t time)
{
	struct kstrata_task t = {
		.hdr = { .type = KSTRATA_RECORD_TASK,
			 .flags = event == KSTRATA_TASK_EXIT ?
					  KSTRATA_TASK_LAST :
					  0,
			 .size = sizeof(t),
			 .time = time },
		.pid = pid,
		.tid = pid,
		.event = (uint16_t)event,
		.parent_pid = parent,
		.parent_tid = parent,
	};

	collector_take(f->collector, &t.hdr);
}

static void sample_at(struct fixture *f, uint32_t pid, const char *comm,
		      uint64_t time)
{
	struct sample x = sample_of(pid, comm, 10);

	x.s.hdr.time = time;
	x.s.nr_kernel = 1;
	x.frames[0] = 0xffffffff81000210;
	collector_take(f->collector, &x.s.hdr);
}

/* The children are in no /proc: what is known of them is the parent's. */
static void test_forks(void **state)
{
	struct fixture *f = *state;
	uint64_t t = (uint64_t)clock_monotonic_ns();
	uint32_t self = (uint32_t)getpid();
	struct collector_stats before = stats_of(f), after;
	const uint32_t pid = 0x7fff0000;

	task(f, KSTRATA_TASK_FORK, pid, self, t + 1);
	task(f, KSTRATA_TASK_FORK, pid + 1, pid, t + 2);
	sample_at(f, pid, "fork_a", t + 3);
	sample_at(f, pid + 1, "fork_a", t + 4);
	check_stack(f, "{service_name=\"test_frames\",comm=\"fork_a\"}",
		    "vfs_read", 20);

	/* Another program: nothing of the parent's counts, */
	task(f, KSTRATA_TASK_EXEC, pid, 0, t + 10);
	sample_at(f, pid, "fork_b", t + 11);
	check_stack(f, "{service_name=\"fork_b\"}", "vfs_read", 10);
	/* ... not even when the fork is told last. */
	task(f, KSTRATA_TASK_EXEC, pid + 2, 0, t + 20);
	task(f, KSTRATA_TASK_FORK, pid + 2, self, t + 19);
	sample_at(f, pid + 2, "fork_c", t + 21);
	check_stack(f, "{service_name=\"fork_c\"}", "vfs_read", 10);

	/* A pid used anew, its first owner's end told last. */
	task(f, KSTRATA_TASK_FORK, pid + 3, pid, t + 30);
	sample_at(f, pid + 3, "fork_d", t + 31);
	task(f, KSTRATA_TASK_FORK, pid + 3, self, t + 40);
	task(f, KSTRATA_TASK_EXIT, pid + 3, 0, t + 35);
	sample_at(f, pid + 3, "fork_e", t + 41);
	check_stack(f, "{service_name=\"fork_d\"}", "vfs_read", 10);
	check_stack(f, "{service_name=\"test_frames\",comm=\"fork_e\"}",
		    "vfs_read", 10);

	/* Threads, the invisible, and parents that nobody knows. */
	task(f, KSTRATA_TASK_FORK, self, self, t + 50);
	task(f, KSTRATA_TASK_FORK, 0, self, t + 50);
	task(f, KSTRATA_TASK_FORK, pid + 4, 0x7ffe0000, t + 50);
	sample_at(f, pid + 4, "fork_f", t + 51);
	check_stack(f, "{service_name=\"fork_f\"}", "vfs_read", 10);
	after = stats_of(f);
	assert_int_equal(after.forks - before.forks, 8);
	assert_int_equal(after.damaged, before.damaged);
}

/* What minor 0 sends is shorter, and knows of no forks. */
static void test_short_records(void **state)
{
	struct fixture *f = *state;
	struct collector_stats before = stats_of(f), after;
	struct kstrata_task t = {
		.hdr = { .type = KSTRATA_RECORD_TASK,
			 .size = KSTRATA_TASK_SIZE_0,
			 .time = 1 },
		.pid = 0x7fff1000,
		.event = KSTRATA_TASK_EXEC,
	};

	collector_take(f->collector, &t.hdr);
	t.event = KSTRATA_TASK_EXIT;
	collector_take(f->collector, &t.hdr);
	after = stats_of(f);
	assert_int_equal(after.execs - before.execs, 1);
	assert_int_equal(after.exits - before.exits, 1);
	assert_int_equal(after.damaged, before.damaged);
	t.event = KSTRATA_TASK_FORK;
	collector_take(f->collector, &t.hdr);
	t.hdr.size = KSTRATA_TASK_SIZE_0 - 8;
	t.event = KSTRATA_TASK_EXEC;
	collector_take(f->collector, &t.hdr);
	after = stats_of(f);
	assert_int_equal(after.forks, before.forks);
	assert_int_equal(after.damaged - before.damaged, 2);
}

/* A storm of processes is held to a bound, and the books are right. */
static void test_fork_storm(void **state)
{
	struct fixture *f = *state;
	uint64_t t = (uint64_t)clock_monotonic_ns();

	for (uint32_t i = 0; i < 100000; i++)
		task(f, KSTRATA_TASK_FORK, 0x40000000 + i,
		     i ? 0x40000000 + i - 1 : (uint32_t)getpid(), t + i);
	assert_true(stats_of(f).tasks <= 32768);
	sample_at(f, 0x40000000 + 99999, "storm", t + 100000);
	check_stack(f, "{service_name=\"test_frames\",comm=\"storm\"}",
		    "vfs_read", 10);
}

/* Status and metrics say what is cut, by the reasons' keys. */
static void test_report(void **state)
{
	struct fixture *f = *state;
	struct sample x = looked_up(0x7ffffff4, "report");
	struct buf metrics = { 0 }, status = { 0 };
	struct json j = json_to(&status);
	struct collector_stats before = stats_of(f);

	assert_int_equal(before.cut_samples[CUT_NO_ROWS], 0);
	x.s.nr_user = 1;
	x.frames[0] = KSTRATA_FRAME_ANON | 0x1000;
	x.s.user_reason = KSTRATA_REASON_NO_ROWS;
	x.s.weight = 1500000000;
	collector_take(f->collector, &x.s.hdr);
	collector_take(f->collector, &x.s.hdr);
	report_metrics(f->collector, device, f->symbolizer, &metrics);
	assert_non_null(strstr(buf_cstr(&metrics),
			       "\nkstrata_cut_samples_total{reason=\"no_rows\"} 2\n"));
	assert_non_null(strstr(buf_cstr(&metrics),
			       "\nkstrata_cut_seconds_total{reason=\"no_rows\"} 3.000000000\n"));
	assert_non_null(strstr(buf_cstr(&metrics),
			       "\nkstrata_cut_samples_total{reason=\"not_resident\"} 0\n"));
	assert_non_null(strstr(buf_cstr(&metrics),
			       "\nkstrata_user_stacks_total{reason=\"no_rows\"} 2\n"));
	report_status(f->collector, device, f->symbolizer, 99, &j);
	assert_non_null(strstr(buf_cstr(&status),
			       "\"cut\":{\"no_rows\":3000000000}"));
	buf_release(&metrics);
	buf_release(&status);
}

/* Where rows are given, frame pointers in their place are not to be trusted. */
static void test_rows_to_come(void **state)
{
	struct rowfeed_options options = { 0 };
	struct fixture *f = *state;
	struct sample x = looked_up(0x7ffffff5, "pending");

	x.s.nr_user = 1;
	x.frames[0] = KSTRATA_FRAME_ANON | 0x1000;
	x.s.walk = KSTRATA_WALK_FP | KSTRATA_WALK_PENDING;
	collector_take(f->collector, &x.s.hdr);
	check_stack(f, "{comm=\"pending\"}", "[anon]", 10);
	assert_int_equal(loop_new(&loop), 0);
	options.loop = loop;
	assert_int_equal(collector_feed_rows(f->collector, &options), 0);
	strcpy(x.s.comm, "pending2");
	collector_take(f->collector, &x.s.hdr);
	check_stack(f, "{comm=\"pending2\"}", "[cut: no rows yet];[anon]", 10);
	x.s.walk = KSTRATA_WALK_FP;
	strcpy(x.s.comm, "pending3");
	collector_take(f->collector, &x.s.hdr);
	check_stack(f, "{comm=\"pending3\"}", "[anon]", 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_objects),
		cmocka_unit_test(test_no_file),
		cmocka_unit_test(test_vdso),
		cmocka_unit_test(test_raw),
		cmocka_unit_test(test_reused_number),
		cmocka_unit_test(test_idle),
		cmocka_unit_test(test_forks),
		cmocka_unit_test(test_short_records),
		cmocka_unit_test(test_report),
		cmocka_unit_test(test_fork_storm),
		cmocka_unit_test(test_rows_to_come),
	};

	frames_test_second(1);
	return cmocka_run_group_tests(tests, setup_fake, teardown_fake);
}
