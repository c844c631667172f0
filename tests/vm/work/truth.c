// SPDX-License-Identifier: Apache-2.0
/*
 * A program whose true profile is known (see hot.h), in four threads. Ends after
 * SECONDS of CPU time and prints what the kernel accounted to it:
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

#include "hot.h"

#define THREADS 4

struct thread {
	pthread_t id;
	struct hot hot;
};

static int64_t deadline_ns;

static int64_t cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}

__attribute__((noinline)) static void *thread_main(void *arg)
{
	struct thread *t = arg;

	while (cpu_ns() < deadline_ns)
		work(&t->hot);
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
		threads[i].hot.seed = (uint64_t)i + 1;
		if (pthread_create(&threads[i].id, NULL, thread_main,
				   &threads[i]))
			return 1;
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i].id, NULL);
		a += threads[i].hot.rounds_a;
		b += threads[i].hot.rounds_b;
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
