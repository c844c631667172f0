// SPDX-License-Identifier: Apache-2.0
/*
 * collect/: records in, folded stacks out. The samples' addresses are this
 * program's own, so that maps, symbols and labels are real.
 */
#include "samples.h"

#include <signal.h>
#include <sys/wait.h>

/* Something to be found; not inlined, not static, not empty. */
int collector_test_outer(int x);
int collector_test_leaf(int x);

__attribute__((noinline)) int collector_test_leaf(int x)
{
	return x * 3 + getpid();
}

__attribute__((noinline)) int collector_test_outer(int x)
{
	return collector_test_leaf(x) + 1;
}

static void test_user_and_kernel_are_one_stack(void **state)
{
	struct fixture *f = *state;
	struct sample x = sample_of((uint32_t)getpid(), "tester", 1000);
	char text[512];
	uint64_t total;

	x.s.nr_kernel = 3;
	x.s.nr_user = 2;
	x.frames[0] = 0xffffffff81000200; /* the very first byte: the leaf */
	x.frames[1] = 0xffffffff81000400; /* a call at ksys_read's very end */
	x.frames[2] = 0xffffffff81000150;
	x.frames[3] = (uint64_t)(uintptr_t)collector_test_leaf + 4;
	x.frames[4] = (uint64_t)(uintptr_t)collector_test_outer + 4;
	collector_take(f->collector, &x.s.hdr);
	collector_take(f->collector, &x.s.hdr);
	only_stack(f, "{service_name=\"test_collector\",comm=\"tester\"}", text,
		   sizeof(text), &total);
	assert_string_equal(text, "collector_test_outer;collector_test_leaf;"
				  "entry_SYSCALL_64;ksys_read;vfs_read");
	assert_int_equal(total, 2000);
}

static void test_leaf_is_not_a_return_address(void **state)
{
	struct fixture *f = *state;
	struct sample x = sample_of((uint32_t)getpid(), "leaf", 7);
	char text[512];
	uint64_t total;

	/* At a function's first byte: one less would be another function. */
	x.s.nr_user = 1;
	x.frames[0] = (uint64_t)(uintptr_t)collector_test_leaf;
	collector_take(f->collector, &x.s.hdr);
	only_stack(f, "{comm=\"leaf\"}", text, sizeof(text), &total);
	assert_string_equal(text, "collector_test_leaf");
}

static void test_kernel_thread(void **state)
{
	struct fixture *f = *state;
	struct sample x = sample_of(2, "kworker/3:1-mm_", 5);
	char text[512];
	uint64_t total;

	x.s.hdr.flags = KSTRATA_SAMPLE_KTHREAD;
	x.s.nr_kernel = 1;
	x.frames[0] = 0xffffffff81000210;
	collector_take(f->collector, &x.s.hdr);
	only_stack(f, "{service_name=\"kernel\",comm=\"kworker\"}", text,
		   sizeof(text), &total);
	assert_string_equal(text, "vfs_read");
	assert_int_equal(total, 5);
}

/* A process that is gone keeps its weight under the name it had. */
static void test_gone(void **state)
{
	struct fixture *f = *state;
	struct sample x;
	char text[512];
	uint64_t total;
	pid_t pid = fork();

	if (!pid)
		_exit(0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	x = sample_of((uint32_t)pid, "departed", 11);
	x.s.nr_user = 3;
	x.frames[0] = 0x1000;
	x.frames[1] = 0x2000;
	x.frames[2] = 0x3000;
	collector_take(f->collector, &x.s.hdr);
	only_stack(f, "{service_name=\"departed\"}", text, sizeof(text), &total);
	assert_string_equal(text, "[unknown]");
	assert_int_equal(total, 11);
}

/* The reason stands where the frames are missing, and its weight is counted. */
static void test_cut(void **state)
{
	static const struct {
		uint8_t reason, walk;
		const char *marker;
	} v[] = {
		{ KSTRATA_REASON_DEPTH, 0, "[cut: depth];" },
		{ KSTRATA_REASON_FAULT, 0, "[cut: fault];" },
		{ KSTRATA_REASON_BAD_FRAME, 0, "[cut: bad frame];" },
		{ KSTRATA_REASON_UNSUPPORTED, 0, "[cut: not walked];" },
		{ KSTRATA_REASON_NO_ROWS, 1, "[cut: no rows];" },
		{ KSTRATA_REASON_BAD_RULE, 1, "[cut: bad rule];" },
		{ KSTRATA_REASON_NOT_RESIDENT, 1, "[cut: not resident];" },
		{ 250, 1, "[cut: other];" },
		/* This collector gives the module no rows. */
		{ KSTRATA_REASON_COMPLETE, KSTRATA_WALK_PENDING, "" },
		{ KSTRATA_REASON_COMPLETE, KSTRATA_WALK_ROWS, "" },
	};
	struct fixture *f = *state;
	struct collector_stats before, after;
	char text[512], expect[512], comm[16], query[32];
	uint64_t total, samples = 0, weight = 0;

	collector_get_stats(f->collector, &before);
	for (size_t i = 0; i < ARRAY_SIZE(v); i++) {
		struct sample x;

		snprintf(comm, sizeof(comm), "cut%zu", i);
		snprintf(query, sizeof(query), "{comm=\"%s\"}", comm);
		snprintf(expect, sizeof(expect),
			 "%scollector_test_outer;collector_test_leaf",
			 v[i].marker);
		x = sample_of((uint32_t)getpid(), comm, 100 + i);
		x.s.nr_user = 2;
		x.s.user_reason = v[i].reason;
		x.s.walk = v[i].walk;
		x.frames[0] = (uint64_t)(uintptr_t)collector_test_leaf + 4;
		x.frames[1] = (uint64_t)(uintptr_t)collector_test_outer + 4;
		collector_take(f->collector, &x.s.hdr);
		collector_take(f->collector, &x.s.hdr);
		only_stack(f, query, text, sizeof(text), &total);
		assert_string_equal(text, expect);
		assert_int_equal(total, 2 * (100 + i));
	}
	collector_get_stats(f->collector, &after);
	for (enum cut i = CUT_NOT + 1; i < CUTS; i++) {
		samples += after.cut_samples[i] - before.cut_samples[i];
		weight += after.cut_weight[i] - before.cut_weight[i];
	}
	assert_int_equal(samples, 2 * (ARRAY_SIZE(v) - 2));
	assert_int_equal(weight, 2 * (100 + 101 + 102 + 103 + 104 + 105 + 106 +
				      107));
	assert_int_equal(after.cut_weight[CUT_NOT] - before.cut_weight[CUT_NOT],
			 2 * (108 + 109));
}

/* Where no frame at all is left, the time is not the marker's own. */
static void test_cut_without_frames(void **state)
{
	struct fixture *f = *state;
	struct sample x = sample_of((uint32_t)getpid(), "nothing", 9);
	char text[512];
	uint64_t total;

	x.s.user_reason = KSTRATA_REASON_BAD_FRAME;
	collector_take(f->collector, &x.s.hdr);
	only_stack(f, "{comm=\"nothing\"}", text, sizeof(text), &total);
	assert_string_equal(text, "[cut: bad frame];[unknown]");
	assert_int_equal(total, 9);
}

static void test_cut_kernel(void **state)
{
	struct fixture *f = *state;
	struct sample x = sample_of(2, "kcut", 5);
	char text[512];
	uint64_t total;

	x.s.hdr.flags = KSTRATA_SAMPLE_KTHREAD;
	x.s.user_reason = KSTRATA_REASON_NONE;
	x.s.kernel_reason = KSTRATA_REASON_DEPTH;
	x.s.nr_kernel = 1;
	x.frames[0] = 0xffffffff81000210;
	collector_take(f->collector, &x.s.hdr);
	only_stack(f, "{comm=\"kcut\"}", text, sizeof(text), &total);
	assert_string_equal(text, "[cut: depth];vfs_read");
	/* Below a whole user stack, it is none of the outer end. */
	x = sample_of((uint32_t)getpid(), "ucut", 5);
	x.s.kernel_reason = KSTRATA_REASON_DEPTH;
	x.s.nr_kernel = x.s.nr_user = 1;
	x.frames[0] = 0xffffffff81000210;
	x.frames[1] = (uint64_t)(uintptr_t)collector_test_outer + 4;
	collector_take(f->collector, &x.s.hdr);
	only_stack(f, "{comm=\"ucut\"}", text, sizeof(text), &total);
	assert_string_equal(text, "collector_test_outer;vfs_read");
}

static void test_exec_looks_again(void **state)
{
	struct fixture *f = *state;
	struct sample x;
	struct kstrata_task t = {
		.hdr.type = KSTRATA_RECORD_TASK,
		.hdr.size = sizeof(t),
		.event = KSTRATA_TASK_EXEC,
	};
	int go[2], ready[2];
	char text[512], c;
	uint64_t total;
	pid_t pid;

	assert_int_equal(pipe(go), 0);
	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (!pid) {
		if (read(go[0], &c, 1) != 1)
			_exit(1);
		/* It stays until killed: nothing more comes from us. */
		dup2(go[0], STDIN_FILENO);
		close(go[1]);
		dup2(ready[1], STDOUT_FILENO);
		execl("/bin/sh", "sh", "-c", "echo; read x", (char *)NULL);
		_exit(1);
	}
	x = sample_of((uint32_t)pid, "before", 1);
	x.s.nr_user = 1;
	x.frames[0] = (uint64_t)(uintptr_t)collector_test_leaf + 2;
	collector_take(f->collector, &x.s.hdr);
	only_stack(f, "{comm=\"before\"}", text, sizeof(text), &total);
	assert_string_equal(text, "collector_test_leaf");

	assert_int_equal(write(go[1], "x", 1), 1);
	assert_int_equal(read(ready[0], &c, 1), 1);
	t.hdr.time = (uint64_t)clock_monotonic_ns();
	t.pid = (uint32_t)pid;
	t.tid = t.pid;
	collector_take(f->collector, &t.hdr);
	x = sample_of((uint32_t)pid, "after", 2);
	x.s.nr_user = 1;
	x.frames[0] = (uint64_t)(uintptr_t)collector_test_leaf + 2;
	collector_take(f->collector, &x.s.hdr);
	/* Another program now: that address is not ours any more. */
	only_stack(f, "{service_name=~\"dash|bash|sh\",comm=\"after\"}", text,
		   sizeof(text), &total);
	assert_int_equal(total, 2);
	assert_string_not_equal(text, "collector_test_leaf");
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	for (int i = 0; i < 2; i++) {
		close(go[i]);
		close(ready[i]);
	}
}

static void test_hostile_records(void **state)
{
	struct fixture *f = *state;
	struct sample x = sample_of((uint32_t)getpid(), "hostile", 1);
	struct collector_stats before, after;
	struct kstrata_record tiny = { .size = sizeof(tiny) };

	collector_get_stats(f->collector, &before);
	x.s.nr_user = 60000;
	collector_take(f->collector, &x.s.hdr);
	x.s.nr_user = 1;
	x.s.frames_offset = 4;
	collector_take(f->collector, &x.s.hdr);
	for (uint16_t type = 0; type < 100; type++) {
		tiny.type = type;
		collector_take(f->collector, &tiny);
	}
	collector_get_stats(f->collector, &after);
	assert_int_equal(after.samples, before.samples);
	/* Two samples, then one each of SAMPLE to OBJECT. */
	assert_int_equal(after.damaged - before.damaged, 7);
	assert_int_equal(after.unknown_records - before.unknown_records, 95);
}

static void test_lost_adds_up(void **state)
{
	struct fixture *f = *state;
	struct kstrata_lost l = {
		.hdr.type = KSTRATA_RECORD_LOST,
		.hdr.size = sizeof(l),
		.lost = 3,
		.weight = 300,
	};
	struct collector_stats stats;

	collector_take(f->collector, &l.hdr);
	collector_take(f->collector, &l.hdr);
	collector_get_stats(f->collector, &stats);
	assert_int_equal(stats.lost, 6);
	assert_int_equal(stats.lost_weight, 600);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_user_and_kernel_are_one_stack),
		cmocka_unit_test(test_leaf_is_not_a_return_address),
		cmocka_unit_test(test_kernel_thread),
		cmocka_unit_test(test_gone),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_cut_without_frames),
		cmocka_unit_test(test_cut_kernel),
		cmocka_unit_test(test_exec_looks_again),
		cmocka_unit_test(test_hostile_records),
		cmocka_unit_test(test_lost_adds_up),
	};

	collector_test_outer(1);
	return cmocka_run_group_tests(tests, setup, teardown);
}
