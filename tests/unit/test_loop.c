// SPDX-License-Identifier: Apache-2.0
/* base/loop: descriptors, timers, signals, removal from within. */
#include "base/loop.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <cmocka.h>

struct seen {
	struct loop *loop;
	struct loop_source *other;
	int fd, count, limit, result;
	uint32_t last;
};

static int count(void *userdata, uint32_t events)
{
	struct seen *s = userdata;

	s->last = events;
	if (++s->count == s->limit)
		loop_stop(s->loop);
	return s->result;
}

static int read_and_remove(void *userdata, uint32_t events)
{
	struct seen *s = userdata;
	char c;

	assert_int_equal(read(s->fd, &c, 1), 1);
	loop_remove(s->loop, s->other);
	return count(s, events);
}

static void test_timer(void **state)
{
	struct seen s = { .limit = 3 };

	(void)state;
	assert_int_equal(loop_new(&s.loop), 0);
	assert_int_equal(loop_add_timer(s.loop, 0, count, &s, NULL), -EINVAL);
	assert_int_equal(loop_add_timer(s.loop, NSEC_PER_MSEC, count, &s, NULL),
			 0);
	assert_int_equal(loop_run(s.loop), 0);
	assert_int_equal(s.count, 3);
	loop_free(s.loop);
}

static int set_again(void *userdata, uint32_t events)
{
	struct seen *s = userdata;

	if (s->count < 4)
		loop_set_alarm(s->other, 0);
	return count(s, events);
}

static void test_alarm(void **state)
{
	struct seen s = { .limit = 5 }, off = { .limit = 1 };

	(void)state;
	assert_int_equal(loop_new(&s.loop), 0);
	off.loop = s.loop;
	assert_int_equal(loop_add_alarm(s.loop, set_again, &s, &s.other), 0);
	assert_int_equal(loop_add_alarm(s.loop, count, &off, &off.other), 0);
	loop_set_alarm(off.other, 0);
	loop_set_alarm(off.other, -1);
	loop_set_alarm(s.other, NSEC_PER_SEC * 3600);
	loop_set_alarm(s.other, NSEC_PER_MSEC);
	assert_int_equal(loop_run(s.loop), 0);
	assert_int_equal(s.count, 5);
	assert_int_equal(off.count, 0);
	loop_free(s.loop);
}

static void test_callback_error_ends_it(void **state)
{
	struct seen s = { .result = -EIO };

	(void)state;
	assert_int_equal(loop_new(&s.loop), 0);
	assert_int_equal(loop_add_timer(s.loop, NSEC_PER_MSEC, count, &s, NULL),
			 0);
	assert_int_equal(loop_run(s.loop), -EIO);
	assert_int_equal(s.count, 1);
	loop_free(s.loop);
}

/* Both are ready in one round; whichever runs first removes the other. */
static void test_remove_within(void **state)
{
	struct seen a = { .limit = 1 }, b = { .limit = 1 };
	int pa[2], pb[2];

	(void)state;
	assert_int_equal(pipe(pa), 0);
	assert_int_equal(pipe(pb), 0);
	assert_int_equal(loop_new(&a.loop), 0);
	b.loop = a.loop;
	a.fd = pa[0];
	b.fd = pb[0];
	assert_int_equal(loop_add_fd(a.loop, pa[0], EPOLLIN, read_and_remove,
				     &a, &b.other), 0);
	assert_int_equal(loop_add_fd(a.loop, pb[0], EPOLLIN, read_and_remove,
				     &b, &a.other), 0);
	assert_int_equal(write(pa[1], "x", 1), 1);
	assert_int_equal(write(pb[1], "x", 1), 1);
	assert_int_equal(loop_run(a.loop), 0);
	assert_int_equal(a.count + b.count, 1);
	loop_free(a.loop);
	for (int i = 0; i < 2; i++) {
		close(pa[i]);
		close(pb[i]);
	}
}

static void test_signal(void **state)
{
	static const int signals[] = { SIGUSR1, 0 };
	struct seen s = { .limit = 1 };

	(void)state;
	assert_int_equal(loop_new(&s.loop), 0);
	assert_int_equal(loop_add_signals(s.loop, signals, count, &s), 0);
	assert_int_equal(raise(SIGUSR1), 0);
	assert_int_equal(loop_run(s.loop), 0);
	assert_int_equal(s.last, SIGUSR1);
	loop_free(s.loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_timer),
		cmocka_unit_test(test_alarm),
		cmocka_unit_test(test_callback_error_ends_it),
		cmocka_unit_test(test_remove_within),
		cmocka_unit_test(test_signal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
