/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the guest's test programs share: verdicts, one "ok NAME" or "not ok NAME
 * # why" a line, and a client of the device that checks nothing.
 */
#ifndef KSTRATA_TESTS_VM_WORK_SESSION_H
#define KSTRATA_TESTS_VM_WORK_SESSION_H

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <kstrata.h>

/* main() sets page to sysconf(_SC_PAGESIZE) and ends with failed. */
static size_t page;
static int failed;

#define CPUS 64

struct session {
	int fd;
	uint32_t nr_cpus;
	uint32_t ring_bytes;
	struct kstrata_ring_consumer *consumer[CPUS];
	const struct kstrata_ring_producer *producer[CPUS];
};


__attribute__((format(printf, 3, 4))) static inline void
verdict(bool good, const char *name, const char *fmt, ...)
{
	va_list ap;

	printf(good ? "ok %s" : "not ok %s # ", name);
	if (!good) {
		va_start(ap, fmt);
		vprintf(fmt, ap);
		va_end(ap);
		failed = 1;
	}
	putchar('\n');
	fflush(stdout);
}

/* want: 0, or the errno that must come. */
static inline void expect(const char *name, long result, int want)
{
	int got = result < 0 ? errno : 0;

	verdict(got == want, name, "got %s, not %s",
		got ? strerror(got) : "success",
		want ? strerror(want) : "success");
}

static inline void expect_map(const char *name, void *p, int want)
{
	expect(name, p == MAP_FAILED ? -1 : 0, want);
}

static inline int64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}

static inline void spin_ms(int ms)
{
	int64_t end = now_ns() + ms * INT64_C(1000000);

	while (now_ns() < end)
		;
}

static inline int device(void)
{
	int fd = open(KSTRATA_DEVICE, O_RDWR | O_CLOEXEC);

	if (fd < 0) {
		perror(KSTRATA_DEVICE);
		exit(1);
	}
	return fd;
}

static inline struct kstrata_setup setup_of(uint32_t hz, uint32_t ring_bytes)
{
	return (struct kstrata_setup){
		.size = sizeof(struct kstrata_setup),
		.sample_hz = hz,
		.ring_bytes = ring_bytes,
		.budget = 1000,
	};
}

static inline int toggle(int fd, unsigned long request)
{
	struct kstrata_switch sw = { .size = sizeof(sw) };

	return ioctl(fd, request, &sw);
}

/* With the device open already; fd is the session's then. */
static inline void session_begin_on(struct session *s, int fd,
				    struct kstrata_setup setup)
{
	memset(s, 0, sizeof(*s));
	s->fd = fd;
	if (ioctl(s->fd, KSTRATA_IOC_SETUP, &setup)) {
		perror("SETUP");
		exit(1);
	}
	s->nr_cpus = setup.nr_cpus < CPUS ? setup.nr_cpus : CPUS;
	s->ring_bytes = setup.ring_bytes;
	for (uint32_t cpu = 0; cpu < s->nr_cpus; cpu++) {
		void *c = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED,
			       s->fd, (off_t)KSTRATA_MMAP_CONSUMER(cpu));
		void *p = mmap(NULL, page + 2 * (size_t)s->ring_bytes,
			       PROT_READ, MAP_SHARED, s->fd,
			       (off_t)KSTRATA_MMAP_RING(cpu, page));

		s->consumer[cpu] = c == MAP_FAILED ? NULL : c;
		s->producer[cpu] = p == MAP_FAILED ? NULL : p;
	}
}

static inline void session_begin(struct session *s, struct kstrata_setup setup)
{
	session_begin_on(s, device(), setup);
}

static inline void session_end(struct session *s)
{
	for (uint32_t cpu = 0; cpu < s->nr_cpus; cpu++) {
		if (s->consumer[cpu])
			munmap(s->consumer[cpu], page);
		if (s->producer[cpu])
			munmap((void *)(uintptr_t)s->producer[cpu],
			       page + 2 * (size_t)s->ring_bytes);
	}
	close(s->fd);
}

static inline uint64_t head_of(const struct session *s, uint32_t cpu)
{
	return __atomic_load_n(&s->producer[cpu]->head, __ATOMIC_ACQUIRE);
}

typedef void (*record_fn)(const struct kstrata_record *r, void *userdata);

/* All whole records of a ring; false when one makes no sense. */
static inline bool drain(struct session *s, uint32_t cpu, record_fn fn, void *userdata)
{
	const char *data = (const char *)s->producer[cpu] + page;
	uint64_t tail = s->consumer[cpu]->tail;
	uint64_t head = head_of(s, cpu);

	while (tail < head) {
		const struct kstrata_record *r =
			(const void *)(data + (tail & (s->ring_bytes - 1)));

		if (r->size < sizeof(*r) || r->size % 8 ||
		    r->size > head - tail)
			return false;
		if (fn)
			fn(r, userdata);
		tail += r->size;
	}
	__atomic_store_n(&s->consumer[cpu]->tail, tail, __ATOMIC_RELEASE);
	return true;
}

/* A child that keeps a CPU busy. */
static inline pid_t spinner(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			;
	}
	return pid;
}

static inline void reap(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static inline int online(int cpu, bool on)
{
	char path[64];
	FILE *f;
	int r;

	snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/online",
		 cpu);
	f = fopen(path, "w");
	if (!f)
		return -1;
	r = fputs(on ? "1" : "0", f) < 0 ? -1 : 0;
	return fclose(f) ? -1 : r;
}

static inline void pin(pid_t pid, int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(pid, sizeof(set), &set);
}

#endif
