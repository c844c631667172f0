// SPDX-License-Identifier: Apache-2.0
/*
 * Tasks that are born, renamed, become other programs and die as fast as they
 * can, while all of it is sampled and recorded: the TASK records and samples
 * must go on making sense.
 *
 *   storm SECONDS    the storm, and a client that reads
 *   storm nothing    what the storm executes
 */
#include <pthread.h>
#include <spawn.h>

#include "session.h"

static struct seen {
	uint64_t samples, execs, exits, last, forks, comms, nonsense;
} seen;

static void look(const struct kstrata_record *r, void *userdata)
{
	const struct kstrata_sample *s = (const void *)r;
	const struct kstrata_task *t = (const void *)r;

	(void)userdata;
	if (r->type == KSTRATA_RECORD_SAMPLE) {
		seen.samples++;
		seen.nonsense +=
			r->size != s->frames_offset +
					   8u * (s->nr_kernel + s->nr_user) ||
			!memchr(s->comm, 0, sizeof(s->comm)) || !s->weight;
	} else if (r->type == KSTRATA_RECORD_TASK) {
		seen.execs += t->event == KSTRATA_TASK_EXEC;
		seen.forks += t->event == KSTRATA_TASK_FORK;
		seen.comms += t->event == KSTRATA_TASK_COMM;
		seen.exits += t->event == KSTRATA_TASK_EXIT;
		seen.last += t->event == KSTRATA_TASK_EXIT &&
			     r->flags & KSTRATA_TASK_LAST;
		seen.nonsense += !memchr(t->comm, 0, sizeof(t->comm)) ||
				 (t->event == KSTRATA_TASK_FORK &&
				  !t->parent_pid && t->pid);
	}
}

static void *brief(void *arg)
{
	prctl(PR_SET_NAME, arg);
	return NULL;
}

/* A child that runs another program, or ends at once; how, by n. */
static pid_t born(const char *self, uint32_t n)
{
	char *argv[] = { (char *)(n % 2 ? "odd" : "even"), (char *)"nothing",
			 NULL };
	pid_t pid;

	/* The parent waits for the exec. */
	if (n % 3 == 0)
		return posix_spawn(&pid, self, NULL, NULL, argv, NULL) ? -1 : pid;
	pid = fork();
	if (pid == 0) {
		if (n % 3 == 1)
			execv(self, argv);
		_exit(0);
	}
	return pid;
}

static void storm(const char *self, int64_t until)
{
	uint32_t n = 0;

	while (now_ns() < until) {
		pid_t pid = born(self, n);

		if (n % 4 == 0) {
			pthread_t t[3];

			for (int i = 0; i < 3; i++)
				if (pthread_create(&t[i], NULL, brief,
						   (void *)"brief"))
					exit(1);
			for (int i = 0; i < 3; i++)
				pthread_join(t[i], NULL);
		}
		if (n % 5 == 4 && pid > 0)
			kill(pid, SIGKILL);
		while (waitpid(-1, NULL, 0) > 0)
			;
		n++;
	}
	exit(0);
}

int main(int argc, char **argv)
{
	struct kstrata_setup setup = setup_of(10000, 1 << 20);
	struct session s;
	uint64_t lost = 0;
	int64_t until;
	pid_t pids[3];
	bool go_on;

	page = (size_t)sysconf(_SC_PAGESIZE);
	if (argc > 1 && !strcmp(argv[1], "nothing"))
		return 0;
	until = now_ns() + (argc > 1 ? atoi(argv[1]) : 10) * INT64_C(1000000000);
	setup.flags = KSTRATA_SETUP_OBJECTS;
	session_begin(&s, setup);
	expect("storm: START", toggle(s.fd, KSTRATA_IOC_START), 0);
	for (int i = 0; i < 3; i++) {
		pids[i] = fork();
		if (pids[i] == 0)
			storm("/proc/self/exe", until);
	}
	do {
		struct timespec ts = { 0, 10000000 };

		go_on = now_ns() < until;
		if (!go_on)
			toggle(s.fd, KSTRATA_IOC_STOP);
		for (uint32_t cpu = 0; cpu < s.nr_cpus; cpu++)
			if (s.producer[cpu] && !drain(&s, cpu, look, NULL))
				seen.nonsense++;
		nanosleep(&ts, NULL);
	} while (go_on);
	for (int i = 0; i < 3; i++)
		waitpid(pids[i], NULL, 0);
	for (uint32_t cpu = 0; cpu < s.nr_cpus; cpu++)
		if (s.producer[cpu])
			lost += s.producer[cpu]->lost;
	session_end(&s);
	printf("# storm: %llu samples, %llu forks, %llu execs, %llu names, %llu exits, %llu lost\n",
	       (unsigned long long)seen.samples, (unsigned long long)seen.forks,
	       (unsigned long long)seen.execs, (unsigned long long)seen.comms,
	       (unsigned long long)seen.exits, (unsigned long long)lost);
	verdict(!seen.nonsense, "storm: every record makes sense", "%llu do not",
		(unsigned long long)seen.nonsense);
	verdict(seen.samples && seen.execs && seen.exits &&
			seen.last && seen.forks && seen.comms,
		"storm: samples and events of each kind", "see above");
	return failed;
}
