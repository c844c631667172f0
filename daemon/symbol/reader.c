// SPDX-License-Identifier: Apache-2.0
#include "symbol/reader.h"

#include "base/log.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <kstrata.h>
#include <kstrata/rowcheck.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CPU_NS (20 * NSEC_PER_SEC)
#define WALL_NS (120 * NSEC_PER_SEC)
#define IDLE_NS (10 * NSEC_PER_SEC)
#define BACKOFF_NS (100 * NSEC_PER_MSEC)
#define BACKOFF_DOUBLES 9
/* Killed, but stuck in the kernel: no more than so many, and a new one. */
#define STUCK_MAX 4
#define STUCK_NS (5 * NSEC_PER_SEC)

struct child {
	struct reader *reader;
	struct child *next; /* of those given up, only to be waited for */
	struct child **link;
	struct loop *loop;
	pid_t pid;
	int pidfd, sock;
	uint32_t owner;
	struct loop_source *on_end, *on_message;
};

struct reader {
	struct loop *loop;
	struct reader_options options;
	struct child *child;
	struct child *stuck;
	unsigned int nr_stuck;
	struct loop_source *watch;
	/* What is under way; fn is NULL when nothing is. */
	reader_fn fn;
	void *userdata;
	uint32_t serial;
	int result;
	int64_t began, cpu_began;
	int64_t killed; /* CLOCK_MONOTONIC, when we did it for its time */
	unsigned int failures; /* in a row */
	int64_t not_before; /* CLOCK_MONOTONIC */
	bool told_unfiltered;
	struct reader_stats stats;
};

/* ---- the child's life ---- */

static void child_free(struct child *c)
{
	loop_remove(c->loop, c->on_message);
	loop_remove(c->loop, c->on_end);
	util_closep(&c->sock);
	util_closep(&c->pidfd);
	free(c);
}

static void child_kill(struct child *c)
{
	syscall(SYS_pidfd_send_signal, c->pidfd, SIGKILL, NULL, 0);
}

/* It is to end, and nobody waits for that. */
static void give_up(struct reader *r)
{
	struct child *c = r->child;

	if (!c)
		return;
	r->child = NULL;
	r->stats.pid = 0;
	child_kill(c);
	loop_remove(c->loop, c->on_message);
	c->on_message = NULL;
	util_closep(&c->sock);
	c->next = r->stuck;
	if (c->next)
		c->next->link = &c->next;
	c->link = &r->stuck;
	r->stuck = c;
	r->nr_stuck++;
}

static void back_off(struct reader *r)
{
	unsigned int doubles = r->failures < BACKOFF_DOUBLES ? r->failures :
							       BACKOFF_DOUBLES;

	r->failures++;
	r->not_before = clock_monotonic_ns() + (r->options.backoff << doubles);
}

/* Nobody waits for the answer any more when fn is called, so that it can ask. */
static void answer(struct reader *r, struct reader_answer *a)
{
	reader_fn fn = r->fn;

	util_closep(&r->result);
	if (a->why[0])
		a->report.why = a->why;
	r->fn = NULL;
	if (r->child)
		loop_set_alarm(r->watch, r->options.idle);
	if (fn)
		fn(r->userdata, a);
	cfi_table_release(&a->table);
}

static void fail(struct reader *r, int status, const char *why)
{
	struct reader_answer a = { .status = status };

	snprintf(a.why, sizeof(a.why), "%s", why);
	answer(r, &a);
}

/* Of a child that ended in the midst of its work. */
static void fail_by(struct reader *r, int status)
{
	char why[80];

	back_off(r);
	if (r->killed) {
		r->stats.timeouts++;
		fail(r, -ETIMEDOUT, "it took too long to read");
	} else if (WIFSIGNALED(status) && (WTERMSIG(status) == SIGKILL ||
					   WTERMSIG(status) == SIGTERM)) {
		r->stats.killed++;
		fail(r, -EINTR, "the reader was killed");
	} else {
		r->stats.crashed++;
		if (WIFSIGNALED(status))
			snprintf(why, sizeof(why), "the reader crashed: %s",
				 strsignal(WTERMSIG(status)));
		else
			snprintf(why, sizeof(why),
				 "the reader ended with exit code %d",
				 WEXITSTATUS(status));
		fail(r, -EFAULT, why);
	}
}

static int on_message(void *userdata, uint32_t events);

static int on_end(void *userdata, uint32_t events)
{
	struct child *c = userdata;
	struct reader *r = c->reader;
	int status = 0;

	(void)events;
	if (waitpid(c->pid, &status, WNOHANG) == 0)
		return 0;
	if (r->child != c) {
		*c->link = c->next;
		if (c->next)
			c->next->link = c->link;
		r->nr_stuck--;
		child_free(c);
		return 0;
	}
	/* Its last words count. */
	on_message(c, 0);
	if (r->child != c)
		return 0; /* they led to another: this one is waited for anew */
	r->child = NULL;
	r->stats.pid = 0;
	child_free(c);
	loop_set_alarm(r->watch, -1);
	if (r->fn)
		fail_by(r, status);
	return 0;
}

static int spawn(struct child *c, int theirs)
{
	char *argv[] = { (char *)READER_NAME, (char *)READER_ARGUMENT, NULL };
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t pipe;
	int e;

	sigemptyset(&pipe);
	sigaddset(&pipe, SIGPIPE);
	e = posix_spawn_file_actions_init(&actions);
	if (e)
		return -e;
	e = posix_spawnattr_init(&attributes);
	if (e) {
		posix_spawn_file_actions_destroy(&actions);
		return -e;
	}
	/* Signals that the daemon blocks stay so until it is ready for them. */
	e = posix_spawnattr_setsigdefault(&attributes, &pipe);
	if (!e)
		e = posix_spawnattr_setflags(&attributes,
					     POSIX_SPAWN_SETSIGDEF);
	if (!e)
		e = posix_spawn_file_actions_adddup2(&actions, theirs,
						     READER_SOCKET);
	if (!e)
		e = posix_spawn(&c->pid, "/proc/self/exe", &actions,
				&attributes, argv, environ);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	return -e;
}

static int child_new(struct reader *r, uint32_t owner)
{
	struct child *c = calloc(1, sizeof(*c));
	int pair[2];
	int e;

	if (!c)
		return -ENOMEM;
	c->reader = r;
	c->loop = r->loop;
	c->owner = owner;
	c->pidfd = -1;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
		e = -errno;
		free(c);
		return e;
	}
	c->sock = pair[0];
	if (fcntl(c->sock, F_SETFL, O_NONBLOCK) < 0)
		e = -errno;
	else
		e = spawn(c, pair[1]);
	close(pair[1]);
	if (e < 0) {
		close(c->sock);
		free(c);
		return e;
	}
	c->pidfd = (int)syscall(SYS_pidfd_open, c->pid, 0);
	e = c->pidfd < 0 ? -errno : 0;
	if (!e)
		e = loop_add_fd(r->loop, c->pidfd, EPOLLIN, on_end, c,
				&c->on_end);
	if (!e)
		e = loop_add_fd(r->loop, c->sock, EPOLLIN, on_message, c,
				&c->on_message);
	if (e < 0) {
		kill(c->pid, SIGKILL);
		waitpid(c->pid, NULL, 0);
		child_free(c);
		return e;
	}
	r->child = c;
	r->stats.started++;
	r->stats.pid = c->pid;
	return 0;
}

/* ---- work ---- */

/* Its CPU time so far. */
static int64_t cpu_time(const struct child *c)
{
	struct timespec t = { 0 };
	clockid_t clock;

	if (clock_getcpuclockid(c->pid, &clock) ||
	    clock_gettime(clock, &t) < 0)
		return 0;
	return t.tv_sec * NSEC_PER_SEC + t.tv_nsec;
}

static int on_watch(void *userdata, uint32_t events)
{
	struct reader *r = userdata;
	int64_t now = clock_monotonic_ns();

	(void)events;
	if (!r->child)
		return 0;
	if (!r->fn) {
		/* Idle for long enough. */
		give_up(r);
		return 0;
	}
	if (r->killed) {
		if (now - r->killed < STUCK_NS)
			goto again;
		give_up(r);
		fail_by(r, 0);
		return 0;
	}
	if (now - r->began > r->options.wall ||
	    cpu_time(r->child) - r->cpu_began > r->options.cpu) {
		r->killed = now;
		child_kill(r->child);
	}
again:
	loop_set_alarm(r->watch,
		       (int64_t)min_u64((uint64_t)r->options.cpu / 4,
					(uint64_t)r->options.wall / 4) +
			       NSEC_PER_MSEC);
	return 0;
}

bool reader_is_table(const void *table, size_t bytes)
{
#ifdef __aarch64__
	const uint16_t machine = EM_AARCH64;
#else
	const uint16_t machine = EM_X86_64;
#endif

	return !kst_rows_check(table, bytes, machine);
}

/*
 * The result, copied: the child may go on writing to the file. -EPROTO: there are not
 * so many bytes, or they are no table.
 */
static int take_table(int fd, uint64_t bytes, struct cfi_table *out)
{
	size_t done = 0;

	if (bytes < sizeof(struct kstrata_rows_table) ||
	    bytes > KSTRATA_ROWS_BYTES_MAX)
		return -EPROTO;
	out->bytes = malloc(bytes);
	if (!out->bytes)
		return -ENOMEM;
	while (done < bytes) {
		ssize_t n = pread(fd, (char *)out->bytes + done, bytes - done,
				  (off_t)done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		done += (size_t)n;
	}
	out->size = bytes;
	if (done == bytes && reader_is_table(out->bytes, bytes))
		return 0;
	cfi_table_release(out);
	return -EPROTO;
}

static void take_reply(struct reader *r, const struct reader_reply *reply)
{
	struct reader_answer a = { .status = reply->status,
				   .report = reply->report };

	memcpy(a.why, reply->why, sizeof(a.why));
	a.why[sizeof(a.why) - 1] = '\0';
	a.report.why = NULL;
	if (a.status > 0)
		a.status = -EPROTO;
	if (!a.status)
		a.status = take_table(r->result, reply->bytes, &a.table);
	if (a.status == -EPROTO) {
		r->stats.refused++;
		strcpy(a.why, "what the reader made of it is no table");
		back_off(r);
		give_up(r);
	} else {
		r->failures = 0;
	}
	answer(r, &a);
}

static void take_hello(struct reader *r, const struct reader_reply *hello)
{
	if (!hello->status || r->told_unfiltered)
		return;
	r->told_unfiltered = true;
	r->stats.unfiltered = true;
	log_warn("this kernel cannot filter system calls (seccomp): files are read by a process without it");
}

static int on_message(void *userdata, uint32_t events)
{
	struct child *c = userdata;
	struct reader *r = c->reader;
	struct reader_reply reply;
	int fds[READER_FDS];
	int nr;

	(void)events;
	while (r->child == c) {
		nr = reader_receive(c->sock, &reply, sizeof(reply), fds);
		if (nr == -EAGAIN)
			return 0;
		for (int i = 0; i < nr; i++)
			close(fds[i]);
		if (nr < 0) {
			/* It ends, or is of no use: on_end() says why. */
			child_kill(c);
			loop_remove(c->loop, c->on_message);
			c->on_message = NULL;
			return 0;
		}
		if (!reply.serial)
			take_hello(r, &reply);
		else if (r->fn && reply.serial == r->serial && !r->killed)
			take_reply(r, &reply);
	}
	return 0;
}

bool reader_busy(const struct reader *r)
{
	return r->fn != NULL;
}

int64_t reader_delay(const struct reader *r)
{
	int64_t now = clock_monotonic_ns();

	if (r->nr_stuck >= STUCK_MAX && now + NSEC_PER_SEC > r->not_before)
		return NSEC_PER_SEC;
	return r->not_before > now ? r->not_before - now : 0;
}

int reader_ask(struct reader *r, enum reader_work work, int fd, uint32_t owner,
	       reader_fn fn, void *userdata)
{
	struct reader_request request = { .work = work };
	int fds[READER_FDS] = { fd, -1 };
	int e = 0;

	if (r->fn)
		return -EBUSY;
	if (r->child && r->child->owner != owner)
		give_up(r);
	if (reader_delay(r))
		return -EAGAIN;
	r->result = memfd_create("rows", MFD_CLOEXEC);
	if (r->result < 0)
		return -errno;
	/* One that has ended just now: we were not told yet. */
	for (int tries = 0; tries < 2; tries++) {
		e = r->child ? 0 : child_new(r, owner);
		if (e < 0)
			break;
		if (!++r->serial)
			r->serial = 1;
		request.serial = r->serial;
		fds[1] = r->result;
		r->cpu_began = cpu_time(r->child);
		e = reader_send(r->child->sock, &request, sizeof(request), fds,
				READER_FDS);
		if (!e)
			break;
		give_up(r);
	}
	if (e < 0) {
		util_closep(&r->result);
		back_off(r);
		return e;
	}
	r->stats.asked++;
	r->fn = fn;
	r->userdata = userdata;
	r->killed = 0;
	r->began = clock_monotonic_ns();
	loop_set_alarm(r->watch, 0);
	return 0;
}

int reader_new(struct reader **out, struct loop *loop,
	       const struct reader_options *options)
{
	struct reader *r = calloc(1, sizeof(*r));
	int e;

	if (!r)
		return -ENOMEM;
	r->loop = loop;
	r->options = *options;
	r->result = -1;
	if (!r->options.cpu)
		r->options.cpu = CPU_NS;
	if (!r->options.wall)
		r->options.wall = WALL_NS;
	if (!r->options.idle)
		r->options.idle = IDLE_NS;
	if (!r->options.backoff)
		r->options.backoff = BACKOFF_NS;
	e = loop_add_alarm(loop, on_watch, r, &r->watch);
	if (e < 0) {
		free(r);
		return e;
	}
	*out = r;
	return 0;
}

void reader_free(struct reader *r)
{
	struct child *c;

	if (!r)
		return;
	give_up(r);
	/* They are killed; what takes longer to end is init's to wait for. */
	while ((c = r->stuck)) {
		r->stuck = c->next;
		waitpid(c->pid, NULL, WNOHANG);
		child_free(c);
	}
	loop_remove(r->loop, r->watch);
	util_closep(&r->result);
	free(r);
}

void reader_get_stats(const struct reader *r, struct reader_stats *out)
{
	*out = r->stats;
}
