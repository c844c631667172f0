// SPDX-License-Identifier: Apache-2.0
/*
 * What the sampler promises: rates, masks and filters that change while it runs,
 * ids and flags of tasks, and time that adds up.
 *
 *   sampler                 all that can be checked anywhere
 *   sampler idle SECONDS HZ       hold a session, 0 Hz: one that never starts
 *   sampler accounts SECONDS HZ   bursts of work: does the time add up?
 *   sampler lockstep SECONDS HZ   work that keeps the timer's nominal time
 *
 * The last two print "NAME key=value ..." for the guest's script to judge.
 */
#include "session.h"

#include <sched.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

static void sleep_ns(int64_t ns)
{
	struct timespec ts = { ns / 1000000000, ns % 1000000000 };

	nanosleep(&ts, NULL);
}

static void sleep_until(int64_t ns)
{
	struct timespec ts = { ns / 1000000000, ns % 1000000000 };

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL))
		;
}

static int64_t cpu_of_children(void)
{
	struct rusage ru;

	getrusage(RUSAGE_CHILDREN, &ru);
	return (ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) * INT64_C(1000000000) +
	       (ru.ru_utime.tv_usec + ru.ru_stime.tv_usec) * INT64_C(1000);
}

/* ---- what a session saw ------------------------------------------------ */

#define PIDS 8

struct seen {
	uint32_t pid[PIDS];
	uint64_t samples[PIDS], weight[PIDS];
	uint64_t others, all, all_weight;
	unsigned int cpus; /* mask of those with samples */
	uint32_t cpu; /* being drained */
	uint64_t longest, shortest; /* between samples of one CPU, busy */
};

static void see(const struct kstrata_record *r, void *userdata)
{
	const struct kstrata_sample *sample = (const void *)r;
	struct seen *seen = userdata;

	if (r->type != KSTRATA_RECORD_SAMPLE)
		return;
	seen->all++;
	seen->all_weight += sample->weight;
	seen->cpus |= 1u << seen->cpu;
	if (sample->weight > seen->longest)
		seen->longest = sample->weight;
	if (!seen->shortest || sample->weight < seen->shortest)
		seen->shortest = sample->weight;
	for (int i = 0; i < PIDS; i++) {
		if (!seen->pid[i] || sample->pid != seen->pid[i])
			continue;
		seen->samples[i]++;
		seen->weight[i] += sample->weight;
		return;
	}
	seen->others++;
}

static void drain_all(struct session *s, struct seen *seen)
{
	for (seen->cpu = 0; seen->cpu < s->nr_cpus; seen->cpu++)
		if (s->producer[seen->cpu])
			drain(s, seen->cpu, see, seen);
}

/*
 * What comes from now on, until there is enough of pid (0: of anybody), however
 * little of its time the guest gets. On and on for 20 s, then it is too little.
 */
static void gather(struct session *s, struct seen *seen, pid_t pid,
		   uint64_t enough)
{
	int64_t limit = now_ns() + INT64_C(20000000000);
	struct seen before = { 0 };

	drain_all(s, &before);
	memset(seen, 0, sizeof(*seen));
	seen->pid[0] = (uint32_t)pid;
	do {
		spin_ms(100);
		drain_all(s, seen);
	} while ((pid ? seen->samples[0] : seen->all) < enough &&
		 now_ns() < limit);
}

static uint64_t filtered(const struct session *s)
{
	uint64_t n = 0;

	for (uint32_t cpu = 0; cpu < s->nr_cpus; cpu++)
		if (s->producer[cpu] && s->producer[cpu]->filtered_weight)
			n += s->producer[cpu]->filtered;
	return n;
}

static int configure(int fd, struct kstrata_configure c)
{
	c.size = sizeof(c);
	return ioctl(fd, KSTRATA_IOC_CONFIGURE, &c);
}

/* ---- CONFIGURE --------------------------------------------------------- */

static void test_configure_errors(void)
{
	struct kstrata_filter filter = { .kind = KSTRATA_FILTER_PID, .id = 1 };
	struct kstrata_filter many[KSTRATA_FILTERS_MAX + 1];
	struct kstrata_configure c;
	struct session s;
	uint64_t mask = 1, none = 0;
	int fd = device();

	expect("CONFIGURE before SETUP: EINVAL",
	       configure(fd, (struct kstrata_configure){
				     .what = KSTRATA_CONFIGURE_HZ,
				     .sample_hz = 99 }),
	       EINVAL);
	close(fd);
	session_begin(&s, setup_of(99, 0));

#define REFUSED(name, error, ...)                                          \
	expect("CONFIGURE " name, configure(s.fd,                          \
		(struct kstrata_configure){ __VA_ARGS__ }), error)

	REFUSED("of nothing: EINVAL", EINVAL, .what = 0);
	REFUSED("of something unknown: EINVAL", EINVAL, .what = 1u << 31);
	REFUSED("at no rate: EINVAL", EINVAL, .what = KSTRATA_CONFIGURE_HZ);
	REFUSED("at too high a rate: EINVAL", EINVAL,
		.what = KSTRATA_CONFIGURE_HZ,
		.sample_hz = KSTRATA_HZ_MAX + 1);
	REFUSED("with no budget: EINVAL", EINVAL,
		.what = KSTRATA_CONFIGURE_BUDGET);
	REFUSED("with a budget beyond all time: EINVAL", EINVAL,
		.what = KSTRATA_CONFIGURE_BUDGET, .budget = 1001);
	REFUSED("with an empty mask: EINVAL", EINVAL,
		.what = KSTRATA_CONFIGURE_CPUS,
		.cpus = (uintptr_t)&none, .cpus_bytes = 8);
	REFUSED("with a mask of no length: EINVAL", EINVAL,
		.what = KSTRATA_CONFIGURE_CPUS, .cpus = (uintptr_t)&mask);
	REFUSED("with a mask of odd length: EINVAL", EINVAL,
		.what = KSTRATA_CONFIGURE_CPUS,
		.cpus = (uintptr_t)&mask, .cpus_bytes = 4);
	REFUSED("with an endless mask: E2BIG", E2BIG,
		.what = KSTRATA_CONFIGURE_CPUS, .cpus = (uintptr_t)&mask,
		.cpus_bytes = 0xfffffff8);
	REFUSED("with a mask that is not there: EFAULT", EFAULT,
		.what = KSTRATA_CONFIGURE_CPUS, .cpus = 8, .cpus_bytes = 8);
	memset(many, 0, sizeof(many));
	REFUSED("with too many filters: E2BIG", E2BIG,
		.what = KSTRATA_CONFIGURE_FILTERS, .filters = (uintptr_t)many,
		.nr_filters = KSTRATA_FILTERS_MAX + 1);
	REFUSED("with filters that are not there: EFAULT", EFAULT,
		.what = KSTRATA_CONFIGURE_FILTERS, .filters = 8,
		.nr_filters = 1);
	filter.kind = 77;
	REFUSED("with a filter of no kind: EINVAL", EINVAL,
		.what = KSTRATA_CONFIGURE_FILTERS,
		.filters = (uintptr_t)&filter, .nr_filters = 1);
	filter.kind = KSTRATA_FILTER_PID;
	filter.id = UINT64_C(1) << 32;
	REFUSED("with a process that cannot be: EINVAL", EINVAL,
		.what = KSTRATA_CONFIGURE_FILTERS,
		.filters = (uintptr_t)&filter, .nr_filters = 1);
	filter.id = 1;
	filter.reserved[2] = 1;
	REFUSED("with a filter's reserved word: EINVAL", EINVAL,
		.what = KSTRATA_CONFIGURE_FILTERS,
		.filters = (uintptr_t)&filter, .nr_filters = 1);
#undef REFUSED
	c = (struct kstrata_configure){ .size = sizeof(c) - 8 };
	expect("CONFIGURE too small: EINVAL",
	       ioctl(s.fd, KSTRATA_IOC_CONFIGURE, &c), EINVAL);
	expect("CONFIGURE of everything, READY",
	       configure(s.fd, (struct kstrata_configure){
				       .what = KSTRATA_CONFIGURE_ALL,
				       .sample_hz = 1000, .budget = 500,
				       .cpus = (uintptr_t)&mask,
				       .cpus_bytes = 8 }),
	       0);
	session_end(&s);
}

static void test_configure_running(void)
{
	uint64_t first = 1, all = ~UINT64_C(0);
	struct seen seen;
	struct session s;
	pid_t child[2] = { spinner(), spinner() };
	struct kstrata_filter filters[2] = {
		{ .kind = KSTRATA_FILTER_PID, .id = 0x7fffffff },
		{ .kind = KSTRATA_FILTER_PID, .id = (uint64_t)child[1] },
	};

	session_begin(&s, setup_of(100, 1u << 20));
	toggle(s.fd, KSTRATA_IOC_START);

	expect("the rate changes while running",
	       configure(s.fd, (struct kstrata_configure){
				       .what = KSTRATA_CONFIGURE_HZ,
				       .sample_hz = 2000 }),
	       0);
	gather(&s, &seen, 0, 60);
	/* The mean weight: 0.5 ms, or more where the host is too slow. */
	verdict(seen.all > 50 && seen.shortest < 1000000,
		"samples come at the new rate", "%llu, the shortest %llu ns",
		(unsigned long long)seen.all, (unsigned long long)seen.shortest);

	expect("CPU 0 alone",
	       configure(s.fd, (struct kstrata_configure){
				       .what = KSTRATA_CONFIGURE_CPUS,
				       .cpus = (uintptr_t)&first,
				       .cpus_bytes = 8 }),
	       0);
	gather(&s, &seen, 0, 20);
	verdict(seen.cpus == 1, "only CPU 0 is sampled", "mask %x", seen.cpus);
	verdict(s.nr_cpus < 2 || !s.producer[1] ||
			(!s.producer[1]->started && s.producer[1]->on_weight),
		"the other CPU says that it is off", "it does not");
	expect("all CPUs again",
	       configure(s.fd, (struct kstrata_configure){
				       .what = KSTRATA_CONFIGURE_CPUS,
				       .cpus = (uintptr_t)&all,
				       .cpus_bytes = 8 }),
	       0);

	expect("one process alone",
	       configure(s.fd, (struct kstrata_configure){
				       .what = KSTRATA_CONFIGURE_FILTERS,
				       .filters = (uintptr_t)filters,
				       .nr_filters = 2 }),
	       0);
	gather(&s, &seen, child[1], 20);
	verdict(seen.samples[0] && !seen.others,
		"only that process is sampled", "%llu samples, %llu of others",
		(unsigned long long)seen.samples[0],
		(unsigned long long)seen.others);
	verdict(filtered(&s),
		"what was not wanted is counted", "it is not");
	expect("everybody again",
	       configure(s.fd, (struct kstrata_configure){
				       .what = KSTRATA_CONFIGURE_FILTERS }),
	       0);
	gather(&s, &seen, child[0], 1);
	verdict(seen.samples[0], "everybody is sampled again", "none");
	reap(child[0]);
	reap(child[1]);
	session_end(&s);
}

#define CGROUP "/sys/fs/cgroup/kstrata-test"

static void join(const char *cgroup)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/cgroup.procs", cgroup);
	f = fopen(path, "w");
	if (!f || fputs("0", f) < 0 || fclose(f))
		_exit(3);
}

static void test_cgroup(void)
{
	struct kstrata_filter filter = { .kind = KSTRATA_FILTER_CGROUP };
	struct seen seen = { 0 };
	struct session s;
	struct stat st;
	pid_t inside, outside = spinner();
	int fds[2];
	char c;

	if (mkdir(CGROUP, 0755) || mkdir(CGROUP "/below", 0755) ||
	    stat(CGROUP, &st) || pipe(fds)) {
		verdict(false, "a cgroup of our own", "%s", strerror(errno));
		return;
	}
	filter.id = st.st_ino;
	inside = fork();
	if (inside == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		join(CGROUP "/below");
		if (write(fds[1], "x", 1) != 1)
			_exit(3);
		for (;;)
			;
	}
	if (read(fds[0], &c, 1) != 1)
		c = 0;
	session_begin(&s, setup_of(1000, 1u << 20));
	expect("a cgroup alone",
	       configure(s.fd, (struct kstrata_configure){
				       .what = KSTRATA_CONFIGURE_FILTERS,
				       .filters = (uintptr_t)&filter,
				       .nr_filters = 1 }),
	       0);
	toggle(s.fd, KSTRATA_IOC_START);
	gather(&s, &seen, inside, 20);
	toggle(s.fd, KSTRATA_IOC_STOP);
	verdict(seen.samples[0] && !seen.others,
		"only what is in the cgroup, or below, is sampled",
		"%llu samples, %llu of others",
		(unsigned long long)seen.samples[0],
		(unsigned long long)seen.others);
	reap(inside);
	reap(outside);
	session_end(&s);
	close(fds[0]);
	close(fds[1]);
	sleep_ns(100000000);
	rmdir(CGROUP "/below");
	rmdir(CGROUP);
}

/* ---- tasks ------------------------------------------------------------- */

struct forks {
	uint32_t parent, child;
	bool process, thread, kthread, cgroup;
};

static void forked(const struct kstrata_record *r, void *userdata)
{
	const struct kstrata_task *t = (const void *)r;
	struct forks *f = userdata;

	if (r->type != KSTRATA_RECORD_TASK || t->event != KSTRATA_TASK_FORK)
		return;
	if (t->pid == f->child && t->tid == f->child &&
	    t->parent_pid == f->parent && t->parent_tid == f->parent &&
	    !(r->flags & KSTRATA_TASK_KTHREAD)) {
		f->process = true;
		f->cgroup = t->cgroup != 0;
	}
	if (t->pid == f->child && t->tid != f->child &&
	    t->parent_pid == f->child)
		f->thread = true;
}

static char thread_stack[16384];

static int thread_fn(void *arg)
{
	(void)arg;
	syscall(SYS_exit, 0);
	return 0;
}

static void test_forks(void)
{
	struct forks f = { .parent = (uint32_t)getpid() };
	struct session s;
	pid_t pid;

	session_begin(&s, setup_of(99, 0));
	toggle(s.fd, KSTRATA_IOC_START);
	pid = fork();
	if (pid == 0) {
		clone(thread_fn, thread_stack + sizeof(thread_stack),
		      CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND |
			      CLONE_THREAD,
		      NULL);
		spin_ms(50);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	toggle(s.fd, KSTRATA_IOC_STOP);
	f.child = (uint32_t)pid;
	for (uint32_t cpu = 0; cpu < s.nr_cpus; cpu++)
		drain(&s, cpu, forked, &f);
	verdict(f.process, "FORK record of a process, with its parent", "none");
	verdict(f.thread, "FORK record of a thread, with its process", "none");
	verdict(f.cgroup, "FORK record with the cgroup", "0");
	session_end(&s);
}

/* A session opened in a pid namespace of its own: its ids, and none of others. */
static void test_pid_namespace(void)
{
	int status = 0;
	pid_t outside = spinner(), pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		if (unshare(CLONE_NEWPID))
			_exit(10);
		pid = fork();
		if (pid == 0) {
			struct seen seen = { .pid = { 1, 2, 0 } };
			struct session s;

			prctl(PR_SET_PDEATHSIG, SIGKILL);
			pid = spinner(); /* 2 here */
			session_begin(&s, setup_of(1000, 1u << 20));
			toggle(s.fd, KSTRATA_IOC_START);
			spin_ms(600);
			toggle(s.fd, KSTRATA_IOC_STOP);
			seen.cpu = 0;
			drain_all(&s, &seen);
			reap(pid);
			session_end(&s);
			/* The others are there, but have no number here. */
			_exit(!seen.samples[0] ? 11 : !seen.samples[1] ? 12 :
			      !seen.others ? 13 : 0);
		}
		waitpid(pid, &status, 0);
		_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 14);
	}
	waitpid(pid, &status, 0);
	verdict(status == 0, "ids are those of the opener's pid namespace",
		"%d", WEXITSTATUS(status));
	reap(outside);
}

/* ---- 32-bit programs --------------------------------------------------- */

#ifdef __x86_64__
struct compat {
	uint32_t pid;
	unsigned int samples, flagged, whole, complete;
	bool exec;
};

static void compat(const struct kstrata_record *r, void *userdata)
{
	const struct kstrata_sample *sample = (const void *)r;
	const struct kstrata_task *t = (const void *)r;
	struct compat *c = userdata;

	if (r->type == KSTRATA_RECORD_TASK && t->pid == c->pid &&
	    t->event == KSTRATA_TASK_EXEC && r->flags & KSTRATA_TASK_COMPAT)
		c->exec = true;
	if (r->type != KSTRATA_RECORD_SAMPLE || sample->pid != c->pid ||
	    strcmp(sample->comm, "spin32"))
		return;
	c->samples++;
	c->flagged += !!(r->flags & KSTRATA_SAMPLE_COMPAT);
	/* inner, outer, _start */
	c->whole += sample->nr_user == 3;
	c->complete += sample->user_reason == KSTRATA_REASON_COMPLETE;
}

static void test_compat(void)
{
	struct compat c = { 0 };
	struct session s;
	pid_t pid;

	session_begin(&s, setup_of(1000, 1u << 20));
	toggle(s.fd, KSTRATA_IOC_START);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execl("/usr/bin/spin32", "spin32", NULL);
		_exit(127);
	}
	c.pid = (uint32_t)pid;
	/* As long as it takes: where the host is busy exec() alone is long. */
	for (int i = 0; i < 200 && c.flagged < 100; i++) {
		spin_ms(100);
		for (uint32_t cpu = 0; cpu < s.nr_cpus; cpu++)
			drain(&s, cpu, compat, &c);
	}
	toggle(s.fd, KSTRATA_IOC_STOP);
	reap(pid);
	verdict(c.exec, "EXEC of a 32-bit program says so", "it does not");
	/* But for those before a frame is made. */
	verdict(c.flagged >= 100 &&
			c.whole >= c.flagged / 10 * 9 && c.complete >= c.whole,
		"stacks of a 32-bit program are walked",
		"%u samples, %u flagged, %u whole, %u complete", c.samples,
		c.flagged, c.whole, c.complete);
	session_end(&s);
}
#endif

/* ---- time that adds up ------------------------------------------------- */

static void test_accounts(void)
{
	struct seen seen[CPUS];
	struct session s;
	bool stable = true;

	memset(seen, 0, sizeof(seen));
	session_begin(&s, setup_of(1000, 1u << 20));
	toggle(s.fd, KSTRATA_IOC_START);
	for (int i = 0; i < 100; i++) {
		spin_ms(3);
		sleep_ns(5000000);
	}
	toggle(s.fd, KSTRATA_IOC_STOP);
	for (uint32_t cpu = 0; cpu < s.nr_cpus; cpu++) {
		const struct kstrata_ring_producer *p = s.producer[cpu];
		uint64_t sum;

		if (!p)
			continue;
		drain(&s, cpu, see, &seen[cpu]);
		sum = seen[cpu].all_weight + p->lost_weight +
		      p->filtered_weight + p->idle_weight;
		/*
		 * Less what has passed since the last expiry: 1.5 periods,
		 * more where the host kept an expiry, or STOP, waiting.
		 */
		verdict(sum <= p->on_weight &&
				p->on_weight - sum < 1500000 + seen[cpu].longest +
							     p->on_weight / 100,
			"sampled, lost and idle time is all the time",
			"CPU %u: %llu of %llu", cpu, (unsigned long long)sum,
			(unsigned long long)p->on_weight);
		verdict(p->idle && p->idle_weight, "idle time is counted",
			"CPU %u: none", cpu);
		stable = stable && !p->idle_since && !p->started;
	}
	verdict(stable, "a stopped session idles nowhere", "it does");
	session_end(&s);
}

/* ---- for the guest whose clock counts instructions --------------------- */

/* So far, of any kind, on all CPUs: what wakes an idle one. */
static uint64_t interrupts(void)
{
	char line[4096];
	uint64_t n = 0;
	FILE *f = fopen("/proc/interrupts", "r");

	while (f && fgets(line, sizeof(line), f)) {
		char *p = strchr(line, ':'), *end;

		for (p = p ? p + 1 : line; p; p = end) {
			unsigned long long one = strtoull(p, &end, 10);

			if (end == p)
				break;
			n += one;
		}
	}
	if (f)
		fclose(f);
	return n;
}

/* Each is an interrupt, too, but of a CPU that was awake. */
static uint64_t samples(const struct session *s)
{
	uint64_t n = 0;

	for (uint32_t cpu = 0; cpu < s->nr_cpus; cpu++)
		n += s->producer[cpu] ? s->producer[cpu]->samples : 0;
	return n;
}

static void hold(double seconds, uint32_t hz)
{
	uint64_t before, after;
	struct session s;

	session_begin(&s, setup_of(hz, 1u << 20));
	if (hz)
		toggle(s.fd, KSTRATA_IOC_START);
	/* What starting and stopping leave to do is not what is measured. */
	sleep_ns(INT64_C(5000000000));
	before = interrupts() - samples(&s);
	sleep_ns((int64_t)(seconds * 1e9));
	after = interrupts() - samples(&s);
	toggle(s.fd, KSTRATA_IOC_STOP);
	printf("interrupts n=%llu\n", (unsigned long long)(after - before));
	for (uint32_t cpu = 0; cpu < s.nr_cpus; cpu++)
		printf("idle cpu=%u samples=%llu idle=%llu idle_ns=%llu on_ns=%llu\n",
		       cpu, (unsigned long long)s.producer[cpu]->samples,
		       (unsigned long long)s.producer[cpu]->idle,
		       (unsigned long long)s.producer[cpu]->idle_weight,
		       (unsigned long long)s.producer[cpu]->on_weight);
	session_end(&s);
}

static void accounts(double seconds, uint32_t hz)
{
	struct seen seen = { 0 };
	struct session s;
	int64_t end, before = now_ns(), after;

	session_begin(&s, setup_of(hz, 1u << 22));
	toggle(s.fd, KSTRATA_IOC_START);
	end = now_ns() + (int64_t)(seconds * 1e9);
	for (uint32_t i = 1; now_ns() < end; i = i * 1664525 + 1013904223) {
		spin_ms((int)(i >> 24) / 16);
		sleep_ns((i >> 8 & 0xffff) * 300);
	}
	toggle(s.fd, KSTRATA_IOC_STOP);
	after = now_ns();
	drain_all(&s, &seen);
	printf("accounts wall_ns=%lld on_ns=%llu sampled_ns=%llu idle_ns=%llu lost_ns=%llu samples=%llu\n",
	       (long long)(after - before),
	       (unsigned long long)s.producer[0]->on_weight,
	       (unsigned long long)seen.all_weight,
	       (unsigned long long)s.producer[0]->idle_weight,
	       (unsigned long long)s.producer[0]->lost_weight,
	       (unsigned long long)seen.all);
	session_end(&s);
}

/* Awake from 1 to 3 ms after each tick of a clock of 99 Hz. */
static void lockstep_work(double seconds)
{
	const int64_t tick = 1000000000 / 99, ms = 1000000;
	int64_t begin = now_ns();

	for (int64_t t = begin; t < begin + (int64_t)(seconds * 1e9); t += tick) {
		sleep_until(t + ms);
		while (now_ns() < t + 3 * ms)
			;
	}
	_exit(0);
}

static void lockstep(double seconds, uint32_t hz)
{
	struct seen seen = { 0 };
	struct session s;
	pid_t pid;

	session_begin(&s, setup_of(hz, 1u << 22));
	toggle(s.fd, KSTRATA_IOC_START);
	pid = fork();
	if (pid == 0)
		lockstep_work(seconds);
	waitpid(pid, NULL, 0);
	toggle(s.fd, KSTRATA_IOC_STOP);
	seen.pid[0] = (uint32_t)pid;
	drain_all(&s, &seen);
	printf("lockstep hz=%u cpu_ns=%lld weight_ns=%llu samples=%llu\n", hz,
	       (long long)cpu_of_children(), (unsigned long long)seen.weight[0],
	       (unsigned long long)seen.samples[0]);
	session_end(&s);
}

int main(int argc, char **argv)
{
	page = (size_t)sysconf(_SC_PAGESIZE);
	if (argc == 3 && !strcmp(argv[1], "work")) {
		lockstep_work(atof(argv[2]));
	} else if (argc == 4) {
		double seconds = atof(argv[2]);
		uint32_t hz = (uint32_t)atoi(argv[3]);

		if (!strcmp(argv[1], "idle"))
			hold(seconds, hz);
		else if (!strcmp(argv[1], "accounts"))
			accounts(seconds, hz);
		else if (!strcmp(argv[1], "lockstep"))
			lockstep(seconds, hz);
		else
			return 2;
	} else if (argc == 1) {
		test_configure_errors();
		test_configure_running();
		test_cgroup();
		test_forks();
		test_pid_namespace();
#ifdef __x86_64__
		test_compat();
#endif
		test_accounts();
	} else {
		return 2;
	}
	return failed;
}
