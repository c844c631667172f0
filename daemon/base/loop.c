// SPDX-License-Identifier: Apache-2.0
#include "base/loop.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

enum source_kind { SOURCE_FD, SOURCE_TIMER, SOURCE_SIGNAL, SOURCE_DEAD };

struct loop_source {
	struct loop_source *next;
	enum source_kind kind;
	int fd;
	loop_fn fn;
	void *userdata;
};

struct loop {
	int epoll;
	bool stop;
	bool dispatching;
	struct loop_source *sources;
};

int loop_new(struct loop **out)
{
	struct loop *l = calloc(1, sizeof(*l));

	if (!l)
		return -ENOMEM;
	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (l->epoll < 0) {
		int r = -errno;

		free(l);
		return r;
	}
	*out = l;
	return 0;
}

/* Free what was removed: not while events of this round may name it. */
static void reap(struct loop *l)
{
	struct loop_source **p = &l->sources;

	while (*p) {
		struct loop_source *s = *p;

		if (s->kind != SOURCE_DEAD) {
			p = &s->next;
			continue;
		}
		*p = s->next;
		free(s);
	}
}

void loop_free(struct loop *l)
{
	if (!l)
		return;
	l->dispatching = true; /* remove marks, reap frees */
	for (struct loop_source *s = l->sources; s; s = s->next)
		loop_remove(l, s);
	reap(l);
	close(l->epoll);
	free(l);
}

static int add(struct loop *l, enum source_kind kind, int fd, uint32_t events,
	       loop_fn fn, void *userdata, struct loop_source **out)
{
	struct loop_source *s = calloc(1, sizeof(*s));
	struct epoll_event ev = { .events = events, .data.ptr = s };

	if (!s)
		return -ENOMEM;
	if (epoll_ctl(l->epoll, EPOLL_CTL_ADD, fd, &ev) < 0) {
		int r = -errno;

		free(s);
		return r;
	}
	s->kind = kind;
	s->fd = fd;
	s->fn = fn;
	s->userdata = userdata;
	s->next = l->sources;
	l->sources = s;
	if (out)
		*out = s;
	return 0;
}

int loop_add_fd(struct loop *l, int fd, uint32_t events, loop_fn fn,
		void *userdata, struct loop_source **out)
{
	return add(l, SOURCE_FD, fd, events, fn, userdata, out);
}

static struct timespec timespec_of(int64_t ns)
{
	return (struct timespec){
		.tv_sec = ns / NSEC_PER_SEC,
		.tv_nsec = ns % NSEC_PER_SEC,
	};
}

static int add_timer(struct loop *l, const struct itimerspec *spec, loop_fn fn,
		     void *userdata, struct loop_source **out)
{
	int fd, r;

	fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (fd < 0)
		return -errno;
	r = timerfd_settime(fd, 0, spec, NULL) < 0 ? -errno : 0;
	if (!r)
		r = add(l, SOURCE_TIMER, fd, EPOLLIN, fn, userdata, out);
	if (r < 0)
		close(fd);
	return r;
}

int loop_add_timer(struct loop *l, int64_t interval_ns, loop_fn fn,
		   void *userdata, struct loop_source **out)
{
	struct itimerspec spec = {
		.it_interval = timespec_of(interval_ns),
		.it_value = timespec_of(interval_ns),
	};

	if (interval_ns <= 0)
		return -EINVAL;
	return add_timer(l, &spec, fn, userdata, out);
}

int loop_add_alarm(struct loop *l, loop_fn fn, void *userdata,
		   struct loop_source **out)
{
	static const struct itimerspec off;

	return add_timer(l, &off, fn, userdata, out);
}

void loop_set_alarm(struct loop_source *s, int64_t delay_ns)
{
	/* 0 would switch it off. */
	struct itimerspec spec = {
		.it_value = timespec_of(delay_ns < 0 ? 0 :
					delay_ns     ? delay_ns :
						       1),
	};

	/* Fails for no descriptor and no value of ours. */
	timerfd_settime(s->fd, 0, &spec, NULL);
}

int loop_add_signals(struct loop *l, const int *signals, loop_fn fn,
		     void *userdata)
{
	sigset_t set;
	int fd, r;

	sigemptyset(&set);
	for (; *signals; signals++)
		sigaddset(&set, *signals);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		return -errno;
	r = add(l, SOURCE_SIGNAL, fd, EPOLLIN, fn, userdata, NULL);
	if (r < 0)
		close(fd);
	return r;
}

void loop_remove(struct loop *l, struct loop_source *s)
{
	if (!s || s->kind == SOURCE_DEAD)
		return;
	epoll_ctl(l->epoll, EPOLL_CTL_DEL, s->fd, NULL);
	if (s->kind != SOURCE_FD)
		close(s->fd);
	s->kind = SOURCE_DEAD;
	if (!l->dispatching)
		reap(l);
}

static int dispatch(struct loop_source *s, uint32_t events)
{
	struct signalfd_siginfo si;
	uint64_t expirations;

	switch (s->kind) {
	case SOURCE_FD:
		return s->fn(s->userdata, events);
	case SOURCE_TIMER:
		if (read(s->fd, &expirations, sizeof(expirations)) !=
		    sizeof(expirations))
			return 0;
		return s->fn(s->userdata, events);
	case SOURCE_SIGNAL:
		if (read(s->fd, &si, sizeof(si)) != sizeof(si))
			return 0;
		return s->fn(s->userdata, si.ssi_signo);
	case SOURCE_DEAD:
		break;
	}
	return 0;
}

int loop_run(struct loop *l)
{
	struct epoll_event events[32];
	int r = 0;

	l->stop = false;
	while (!l->stop && r >= 0) {
		int n = epoll_wait(l->epoll, events, ARRAY_SIZE(events), -1);

		if (n < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		l->dispatching = true;
		for (int i = 0; i < n && r >= 0; i++)
			r = dispatch(events[i].data.ptr, events[i].events);
		l->dispatching = false;
		reap(l);
	}
	return r < 0 ? r : 0;
}

void loop_stop(struct loop *l)
{
	l->stop = true;
}
