// SPDX-License-Identifier: Apache-2.0
/*
 * A program whose true profile is known: four threads call hot_a and hot_b from
 * one place, with the same loop in both and 7:3 of its rounds, in slices of
 * random length. Ends after SECONDS of CPU time and prints what the kernel
 * accounted to it:
 *
 *   truth SECONDS
 *   truth cpu_ns=... rusage_ns=... a=ROUNDS b=ROUNDS
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#define THREADS 4
#define SLICE 2000 /* rounds, mean */

#define noinline __attribute__((noinline, noclone, noipa))
/* A function that does not touch the stack gets no frame without this. */
#define frame() __asm__ volatile("" : : "r"(__builtin_frame_address(0)))

struct thread {
	pthread_t id;
	uint64_t seed;
	uint64_t rounds_a;
	uint64_t rounds_b;
	uint64_t sum;
};

static int64_t deadline_ns;

static int64_t cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}

static inline __attribute__((always_inline)) uint64_t loop(uint64_t x,
							   uint64_t rounds)
{
	for (uint64_t i = 0; i < rounds; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
	}
	return x;
}

noinline uint64_t hot_a(uint64_t x, uint64_t rounds);
noinline uint64_t hot_b(uint64_t x, uint64_t rounds);
noinline void work(struct thread *t);
noinline void *thread_main(void *arg);

uint64_t hot_a(uint64_t x, uint64_t rounds)
{
	frame();
	return loop(x, rounds);
}

uint64_t hot_b(uint64_t x, uint64_t rounds)
{
	frame();
	return loop(x, rounds);
}

void work(struct thread *t)
{
	for (int i = 0; i < 64; i++) {
		uint64_t slice;

		t->seed = t->seed * UINT64_C(6364136223846793005) + 1;
		slice = 1 + (t->seed >> 33) % (2 * SLICE / 10);
		t->sum += hot_a(t->seed | 1, 7 * slice);
		t->sum += hot_b(t->seed | 1, 3 * slice);
		t->rounds_a += 7 * slice;
		t->rounds_b += 3 * slice;
	}
}

void *thread_main(void *arg)
{
	while (cpu_ns() < deadline_ns)
		work(arg);
	return arg;
}

int main(int argc, char **argv)
{
	struct thread threads[THREADS] = { 0 };
	uint64_t a = 0, b = 0;
	struct rusage ru;

	if (argc != 2) {
		fprintf(stderr, "usage: truth SECONDS\n");
		return 2;
	}
	deadline_ns = (int64_t)(atof(argv[1]) * 1e9);
	for (int i = 0; i < THREADS; i++) {
		threads[i].seed = (uint64_t)i + 1;
		if (pthread_create(&threads[i].id, NULL, thread_main,
				   &threads[i]))
			return 1;
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i].id, NULL);
		a += threads[i].rounds_a;
		b += threads[i].rounds_b;
	}
	getrusage(RUSAGE_SELF, &ru);
	printf("truth cpu_ns=%lld rusage_ns=%lld a=%llu b=%llu\n",
	       (long long)cpu_ns(),
	       (long long)(ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) *
			       1000000000 +
		       (ru.ru_utime.tv_usec + ru.ru_stime.tv_usec) * 1000,
	       (unsigned long long)a, (unsigned long long)b);
	return 0;
}
