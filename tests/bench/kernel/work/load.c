// SPDX-License-Identifier: Apache-2.0
#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define noinline __attribute__((noinline, noclone, noipa))

static void die(const char *what)
{
	perror(what);
	exit(1);
}

/* ---- CPU ---- */

static volatile uint64_t sink;

static noinline void cpu_run(uint64_t rounds)
{
	uint64_t x = 88172645463325252;

#ifdef FRAME_POINTERS
	/* Not a leaf to the compiler: without a frame its caller were lost. */
	__asm__ volatile("" : : "r"(__builtin_frame_address(0)));
#endif
	for (uint64_t i = 0; i < rounds; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
	}
	sink = x;
}

/* ---- system calls: short ones, and one that stays in the kernel ---- */

static noinline void syscall_run(uint64_t rounds)
{
	for (uint64_t i = 0; i < rounds; i++)
		syscall(SYS_getppid);
}

static int random_fd = -1;
static char block[4096];

static void random_prepare(void)
{
	random_fd = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
	if (random_fd < 0)
		die("/dev/urandom");
}

static noinline void random_run(uint64_t rounds)
{
	for (uint64_t i = 0; i < rounds; i++)
		if (read(random_fd, block, sizeof(block)) != sizeof(block))
			die("read");
}

/* ---- loopback TCP: the deepest kernel stacks that a guest has ---- */

static int tcp_out = -1, tcp_in = -1;

static void tcp_prepare(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(at);
	int one = 1;
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	tcp_out = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (listener < 0 || tcp_out < 0)
		die("socket");
	if (bind(listener, (struct sockaddr *)&at, sizeof(at)) ||
	    listen(listener, 1) ||
	    getsockname(listener, (struct sockaddr *)&at, &len) ||
	    connect(tcp_out, (struct sockaddr *)&at, sizeof(at)))
		die("connect");
	tcp_in = accept(listener, NULL, NULL);
	if (tcp_in < 0 || setsockopt(tcp_out, IPPROTO_TCP, TCP_NODELAY, &one,
				     sizeof(one)))
		die("accept");
	close(listener);
}

/*
 * Sending runs the whole receiving side below it, in a software interrupt. A
 * little else, of varying length, between: rounds that are all alike would meet
 * a timer of a fixed period always at the same place.
 */
static noinline void tcp_run(uint64_t rounds)
{
	uint32_t x = 1;

	for (uint64_t i = 0; i < rounds; i++) {
		if (send(tcp_out, block, 64, 0) != 64)
			die("send");
		if (recv(tcp_in, block, 64, MSG_WAITALL) != 64)
			die("recv");
		x = x * 1103515245 + 12345;
		for (uint32_t wait = x >> 20; wait; wait--)
			sink = wait;
	}
}

/* ---- processes ---- */

static noinline void fork_run(uint64_t rounds)
{
	char *const argv[] = { "kbench", "--nothing", NULL };
	char *const envp[] = { NULL };

	for (uint64_t i = 0; i < rounds; i++) {
		int status;
		pid_t pid = fork();

		if (pid < 0)
			die("fork");
		if (pid == 0) {
			execve("/proc/self/exe", argv, envp);
			_exit(127);
		}
		if (waitpid(pid, &status, 0) != pid || status)
			die("a child");
	}
}

/* ---- context switches: two processes that only wait for each other ---- */

static int ping[2], pong[2];

static void pipe_prepare(void)
{
	char c;

	if (pipe2(ping, O_CLOEXEC) || pipe2(pong, O_CLOEXEC))
		die("pipe2");
	switch (fork()) {
	case -1:
		die("fork");
		break;
	case 0:
		close(ping[1]);
		close(pong[0]);
		while (read(ping[0], &c, 1) == 1)
			if (write(pong[1], &c, 1) != 1)
				break;
		_exit(0);
	}
	close(ping[0]);
	close(pong[1]);
}

static noinline void pipe_run(uint64_t rounds)
{
	char c = 0;

	for (uint64_t i = 0; i < rounds; i++)
		if (write(ping[1], &c, 1) != 1 || read(pong[0], &c, 1) != 1)
			die("the other process");
}

static const struct load loads[] = {
	{ "cpu", "a loop that never leaves user space", NULL, cpu_run },
	{ "syscall", "getppid()", NULL, syscall_run },
	{ "random", "read 4 KiB of /dev/urandom", random_prepare, random_run },
	{ "tcp", "64 bytes to itself by TCP", tcp_prepare, tcp_run },
	{ "fork", "fork, exec, exit, wait", NULL, fork_run },
	{ "switch", "a byte to another process and back", pipe_prepare,
	  pipe_run },
};

const struct load *load_find(const char *name)
{
	for (size_t i = 0; i < sizeof(loads) / sizeof(loads[0]); i++)
		if (!strcmp(loads[i].name, name))
			return &loads[i];
	return NULL;
}

void load_list(void)
{
	for (size_t i = 0; i < sizeof(loads) / sizeof(loads[0]); i++)
		printf("  %-8s %s\n", loads[i].name, loads[i].help);
}

/*
 * The function that works is one frame, and each level of this one more. The
 * outermost level cuts the chain above itself: its caller is the last frame
 * that a walk finds, whatever stands above that. Without frame pointers a walk
 * goes on to where the program began.
 */
static noinline void descend(const struct load *load, uint64_t rounds,
			     unsigned int levels, int outermost)
{
#ifdef FRAME_POINTERS
	void *volatile *frame = __builtin_frame_address(0);
	void *caller = frame[0];

	if (outermost)
		frame[0] = NULL;
#else
	(void)outermost;
#endif
	if (levels > 1)
		descend(load, rounds, levels - 1, 0);
	else
		load->run(rounds);
#ifdef FRAME_POINTERS
	frame[0] = caller;
#endif
}

void load_run(const struct load *load, uint64_t rounds, unsigned int depth)
{
	descend(load, rounds, depth - (LOAD_DEPTH_MIN - 1), 1);
}
