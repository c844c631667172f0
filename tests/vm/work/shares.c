// SPDX-License-Identifier: Apache-2.0
/*
 * Is a profile right? Reads the rings itself, so that it needs nothing but the
 * device: runs work whose true profile is known (see hot.h) in one process less
 * than there are CPUs, samples it and compares.
 *
 *   shares SECONDS [HZ]
 */
#include "session.h"

#include <math.h>
#include <sys/resource.h>

#include "hot.h"

/* The linker's names for the ends of hot.h's sections. */
extern const char __start_code_hot_a[], __stop_code_hot_a[];
extern const char __start_code_hot_b[], __stop_code_hot_b[];
extern const char __start_code_work[], __stop_code_work[];

#define within(address, name)                                                  \
	((address) >= (uintptr_t)__start_code_##name &&                        \
	 (address) < (uintptr_t)__stop_code_##name)

struct seen {
	pid_t pids[CPUS];
	int nr_pids;
	uint64_t samples;	/* of anything */
	uint64_t weight;
	uint64_t lost;
	uint64_t ours;		/* weight of the work's samples */
	uint64_t leaves;	/* samples with hot_a or hot_b as the leaf ... */
	uint64_t called;	/* ... and work() as its caller */
	uint64_t stray;		/* the last caller that was not work(), 0: none */
	double a, b;		/* their weights */
	double squares;
};

static void look(const struct kstrata_record *r, void *userdata)
{
	const struct kstrata_sample *s = (const void *)r;
	const uint64_t *user = (const void *)((const char *)r +
					      s->frames_offset);
	struct seen *seen = userdata;
	double w;
	int i;

	if (r->type == KSTRATA_RECORD_LOST)
		seen->lost += ((const struct kstrata_lost *)(const void *)r)->lost;
	if (r->type != KSTRATA_RECORD_SAMPLE)
		return;
	seen->samples++;
	seen->weight += s->weight;
	for (i = 0; i < seen->nr_pids; i++)
		if (s->pid == (uint32_t)seen->pids[i])
			break;
	if (i == seen->nr_pids)
		return;
	seen->ours += s->weight;
	user += s->nr_kernel;
	if (!s->nr_user)
		return;
	w = (double)s->weight;
	if (within(user[0], hot_a))
		seen->a += w;
	else if (within(user[0], hot_b))
		seen->b += w;
	else
		return;
	seen->squares += w * w;
	seen->leaves++;
	if (s->nr_user > 1 && within(user[1] - 1, work))
		seen->called++;
	else
		seen->stray = s->nr_user > 1 ? user[1] : 0;
}

static pid_t start_work(uint64_t seed)
{
	struct hot hot = { .seed = seed };
	pid_t pid = fork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			work(&hot);
	}
	return pid;
}

static double cpu_ns_of_children(void)
{
	struct rusage ru;

	getrusage(RUSAGE_CHILDREN, &ru);
	return (double)(ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) * 1e9 +
	       (double)(ru.ru_utime.tv_usec + ru.ru_stime.tv_usec) * 1e3;
}

int main(int argc, char **argv)
{
	uint64_t on = 0, idle = 0, lost = 0, lost_weight = 0, filtered = 0;
	uint32_t hz = argc > 2 ? (uint32_t)atoi(argv[2]) : 499;
	struct seen seen = { .nr_pids = 0 };
	double share, sigma, real, accounted, slack;
	struct session s;
	int64_t end;

	if (argc < 2) {
		fprintf(stderr, "usage: shares SECONDS [HZ]\n");
		return 2;
	}
	page = (size_t)sysconf(_SC_PAGESIZE);
	session_begin(&s, setup_of(hz, 1u << 20));
	/* All of their life is sampled, so that their time can be compared. */
	expect("shares: START", toggle(s.fd, KSTRATA_IOC_START), 0);
	do {
		seen.pids[seen.nr_pids] = start_work((uint64_t)seen.nr_pids + 1);
	} while (++seen.nr_pids < (int)s.nr_cpus - 1);
	end = now_ns() + atoi(argv[1]) * INT64_C(1000000000);
	while (now_ns() < end) {
		usleep(50000);
		for (uint32_t cpu = 0; cpu < s.nr_cpus; cpu++)
			drain(&s, cpu, look, &seen);
	}
	for (int i = 0; i < seen.nr_pids; i++)
		reap(seen.pids[i]);
	expect("shares: STOP", toggle(s.fd, KSTRATA_IOC_STOP), 0);
	for (uint32_t cpu = 0; cpu < s.nr_cpus; cpu++) {
		const struct kstrata_ring_producer *p = s.producer[cpu];

		if (!p)
			continue;
		verdict(drain(&s, cpu, look, &seen), "shares: a sound ring",
			"CPU %u", cpu);
		on += p->on_weight;
		idle += p->idle_weight;
		lost += p->lost;
		lost_weight += p->lost_weight;
		filtered += p->filtered_weight;
	}
	real = cpu_ns_of_children();
	share = seen.a / (seen.a + seen.b);
	sigma = sqrt(0.21 * seen.squares) / (seen.a + seen.b);
	accounted = (double)(seen.weight + idle + lost_weight + filtered);
	slack = (double)on - accounted;
	printf("# %llu samples, %llu of them hot; hot_a %.2f %% (sigma %.2f %%); work %.3f s, the kernel's count %.3f s; sampled %.3f s + idle %.3f s of %.3f s\n",
	       (unsigned long long)seen.samples,
	       (unsigned long long)seen.leaves, 100 * share, 100 * sigma,
	       (double)seen.ours / 1e9, real / 1e9, (double)seen.weight / 1e9,
	       (double)idle / 1e9, (double)on / 1e9);
	verdict(seen.leaves >= 200, "shares: enough samples", "%llu",
		(unsigned long long)seen.leaves);
	verdict(fabs(share - 0.7) < 4 * sigma + 0.005,
		"shares: 70 % within 4 sigma", "%.2f %%, sigma %.2f %%",
		100 * share, 100 * sigma);
	/* The first instruction or two of a function have no frame yet. */
	verdict((double)seen.called > 0.98 * (double)seen.leaves,
		"shares: the caller is found", "%llu of %llu, also %#llx",
		(unsigned long long)seen.called,
		(unsigned long long)seen.leaves,
		(unsigned long long)seen.stray);
	verdict(fabs((double)seen.ours - real) < 0.05 * real,
		"shares: weights are CPU time within 5 %", "%.3f s, not %.3f s",
		(double)seen.ours / 1e9, real / 1e9);
	verdict(lost == 0 && seen.lost == 0, "shares: nothing is lost",
		"%llu records, LOST says %llu", (unsigned long long)lost,
		(unsigned long long)seen.lost);
	/* What has passed since each CPU's last expiry is in no sample. */
	verdict(slack >= 0 && slack < 0.01 * (double)on + s.nr_cpus * 1e8,
		"shares: sampled and idle time is all time", "%.3f s of %.3f s",
		accounted / 1e9, (double)on / 1e9);
	session_end(&s);
	return failed;
}
