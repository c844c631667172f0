// SPDX-License-Identifier: Apache-2.0
/*
 * Everything that include/uapi/kstrata.h promises to a client that misbehaves,
 * and the bookkeeping that it promises to one that does not. Prints a line
 * "ok NAME" or "not ok NAME # why" for each promise.
 *
 *   abuse           all of them
 *   abuse denied    the device must refuse to be opened (run it unprivileged)
 *   abuse cycle     one short session, to be used between load and unload
 *   abuse hotplug   CPU 1 goes and comes while it is sampled
 */
#include "session.h"

#include <poll.h>
#include <elf.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>

/* ---- ioctls ------------------------------------------------------------ */

static void test_ioctls(void)
{
	struct kstrata_version version = { .size = sizeof(version) };
	struct kstrata_switch sw = { .size = sizeof(sw) };
	struct kstrata_setup setup;
	struct {
		struct kstrata_setup setup;
		char more[64];
	} large;
	int fd = device();

	expect("unknown ioctl of ours: ENOTTY",
	       ioctl(fd, _IO(KSTRATA_IOC_MAGIC, 99), &sw), ENOTTY);
	expect("foreign ioctl: ENOTTY", ioctl(fd, _IO('T', 1), &sw), ENOTTY);
	expect("VERSION", ioctl(fd, KSTRATA_IOC_VERSION, &version), 0);
	verdict(version.abi_major == KSTRATA_ABI_MAJOR &&
			memchr(version.release, 0, sizeof(version.release)) &&
			version.release[0],
		"VERSION says who answers", "major %u", version.abi_major);
	version.size = 4;
	expect("VERSION too small: EINVAL",
	       ioctl(fd, KSTRATA_IOC_VERSION, &version), EINVAL);
	expect("unreadable argument: EFAULT",
	       ioctl(fd, KSTRATA_IOC_SETUP, (void *)8), EFAULT);
	expect("START before SETUP: EINVAL", toggle(fd, KSTRATA_IOC_START),
	       EINVAL);
	expect("STOP before SETUP: EINVAL", toggle(fd, KSTRATA_IOC_STOP),
	       EINVAL);
	expect_map("mmap before SETUP: EBADFD",
		   mmap(NULL, page, PROT_READ, MAP_SHARED, fd,
			(off_t)KSTRATA_MMAP_CONSUMER(0)),
		   EBADFD);

	setup = setup_of(99, 0);
	setup.size = KSTRATA_SETUP_SIZE_0 - 8;
	expect("SETUP too small: EINVAL", ioctl(fd, KSTRATA_IOC_SETUP, &setup),
	       EINVAL);
	setup.size = 0;
	expect("SETUP of size 0: EINVAL", ioctl(fd, KSTRATA_IOC_SETUP, &setup),
	       EINVAL);
	memset(&large, 0, sizeof(large));
	large.setup = setup_of(99, 0);
	large.setup.size = sizeof(large);
	large.more[63] = 1;
	expect("SETUP larger, tail not zero: E2BIG",
	       ioctl(fd, KSTRATA_IOC_SETUP, &large), E2BIG);
	setup = setup_of(99, 0);
	setup.size = 0xfffffff0;
	expect("SETUP of an absurd size: E2BIG",
	       ioctl(fd, KSTRATA_IOC_SETUP, &setup), E2BIG);

#define REFUSED(what, field, value)                                            \
	do {                                                                   \
		setup = setup_of(99, 0);                                       \
		setup.field = (value);                                         \
		expect("SETUP " what ": EINVAL",                               \
		       ioctl(fd, KSTRATA_IOC_SETUP, &setup), EINVAL);          \
	} while (0)
	REFUSED("with an unknown flag", flags, 1u << 31);
	REFUSED("with room for rows, without objects", rows_kb, 1);
	REFUSED("at too high a rate", sample_hz, KSTRATA_HZ_MAX + 1);
	REFUSED("with rings not a power of two", ring_bytes, 3u << 14);
	REFUSED("with rings too small", ring_bytes, 1u << 13);
	REFUSED("with rings too large", ring_bytes, 1u << 27);
	REFUSED("with a watermark as large as the ring", watermark_bytes,
		KSTRATA_RING_BYTES_DEFAULT);
	REFUSED("with too deep kernel stacks", kernel_depth,
		KSTRATA_KERNEL_DEPTH_MAX + 1);
	REFUSED("with too deep user stacks", user_depth,
		KSTRATA_USER_DEPTH_MAX + 1);
	REFUSED("with a budget beyond all time", budget, 1001);
#undef REFUSED

	large.more[63] = 0;
	expect("SETUP larger, tail zero",
	       ioctl(fd, KSTRATA_IOC_SETUP, &large), 0);
	verdict(large.setup.nr_cpus > 0 &&
			large.setup.ring_bytes == KSTRATA_RING_BYTES_DEFAULT &&
			large.setup.sample_hz == 99 &&
			large.setup.user_depth == KSTRATA_USER_DEPTH_MAX,
		"SETUP writes back what is in force", "%u cpus, rings of %u",
		large.setup.nr_cpus, large.setup.ring_bytes);
	verdict(large.setup.session, "SETUP tells the session's number", "0");
	setup = setup_of(99, 0);
	expect("SETUP twice: EBUSY", ioctl(fd, KSTRATA_IOC_SETUP, &setup),
	       EBUSY);
	sw.flags = 1;
	expect("START with a flag: EINVAL", ioctl(fd, KSTRATA_IOC_START, &sw),
	       EINVAL);
	expect("STOP while not running: EINVAL", toggle(fd, KSTRATA_IOC_STOP),
	       EINVAL);
	expect("START", toggle(fd, KSTRATA_IOC_START), 0);
	expect("START twice: EALREADY", toggle(fd, KSTRATA_IOC_START),
	       EALREADY);
	expect("STOP", toggle(fd, KSTRATA_IOC_STOP), 0);
	expect("START again", toggle(fd, KSTRATA_IOC_START), 0);
	close(fd);
}

static void test_sessions(void)
{
	int fds[KSTRATA_SESSIONS_MAX], n = 0;

	while (n < KSTRATA_SESSIONS_MAX) {
		fds[n] = open(KSTRATA_DEVICE, O_RDWR);
		if (fds[n] < 0)
			break;
		n++;
	}
	verdict(n == KSTRATA_SESSIONS_MAX, "as many sessions as promised",
		"only %d", n);
	expect("one session more: EBUSY", open(KSTRATA_DEVICE, O_RDWR), EBUSY);
	while (n)
		close(fds[--n]);
	n = open(KSTRATA_DEVICE, O_RDWR);
	expect("a session after others ended", n, 0);
	close(n);
}

/* ---- mappings ---------------------------------------------------------- */

static void test_mappings(void)
{
	struct session s;
	size_t ring;
	void *p;
	pid_t pid;
	int status = 0;

	session_begin(&s, setup_of(99, 1u << 16));
	ring = page + 2 * (size_t)s.ring_bytes;
	verdict(s.consumer[0] && s.producer[0], "map a ring", "%s",
		strerror(errno));
	if (!s.consumer[0] || !s.producer[0])
		exit(1);
	verdict(s.producer[0]->ring_bytes == s.ring_bytes &&
			s.producer[0]->cpu == 0,
		"the producer page names its ring", "%u bytes, CPU %u",
		s.producer[0]->ring_bytes, s.producer[0]->cpu);

#define MAP(len, prot, flags, offset)                                          \
	mmap(NULL, len, prot, flags, s.fd, (off_t)(offset))
	expect_map("ring mapped writable: EPERM",
		   MAP(ring, PROT_READ | PROT_WRITE, MAP_SHARED,
		       KSTRATA_MMAP_RING(0, page)),
		   EPERM);
	expect_map("ring mapped executable: EPERM",
		   MAP(ring, PROT_READ | PROT_EXEC, MAP_SHARED,
		       KSTRATA_MMAP_RING(0, page)),
		   EPERM);
	expect_map("private mapping of a ring: EINVAL",
		   MAP(ring, PROT_READ, MAP_PRIVATE,
		       KSTRATA_MMAP_RING(0, page)),
		   EINVAL);
	expect_map("private mapping of a consumer page: EINVAL",
		   MAP(page, PROT_READ | PROT_WRITE, MAP_PRIVATE,
		       KSTRATA_MMAP_CONSUMER(0)),
		   EINVAL);
	expect_map("ring a page too short: EINVAL",
		   MAP(ring - page, PROT_READ, MAP_SHARED,
		       KSTRATA_MMAP_RING(0, page)),
		   EINVAL);
	expect_map("ring a page too long: EINVAL",
		   MAP(ring + page, PROT_READ, MAP_SHARED,
		       KSTRATA_MMAP_RING(0, page)),
		   EINVAL);
	expect_map("consumer page and more: EINVAL",
		   MAP(2 * page, PROT_READ | PROT_WRITE, MAP_SHARED,
		       KSTRATA_MMAP_CONSUMER(0)),
		   EINVAL);
	expect_map("an offset within a ring: EINVAL",
		   MAP(page, PROT_READ, MAP_SHARED,
		       KSTRATA_MMAP_RING(0, page) + page),
		   EINVAL);
	expect_map("no such CPU: ENXIO",
		   MAP(page, PROT_READ, MAP_SHARED,
		       KSTRATA_MMAP_CONSUMER(s.nr_cpus)),
		   ENXIO);
	expect_map("a CPU far out: ENXIO",
		   MAP(page, PROT_READ, MAP_SHARED,
		       KSTRATA_MMAP_CONSUMER(1u << 20)),
		   ENXIO);
#undef MAP

	p = (void *)(uintptr_t)s.producer[0];
	expect("mprotect a ring writable: EACCES",
	       mprotect(p, ring, PROT_READ | PROT_WRITE), EACCES);
	p = mremap(p, ring, ring + page, MREMAP_MAYMOVE);
	verdict(p == MAP_FAILED, "a ring cannot grow", "mremap did it");
	p = mremap(s.consumer[0], page, 2 * page, MREMAP_MAYMOVE);
	verdict(p == MAP_FAILED, "a consumer page cannot grow",
		"mremap did it");

	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		/* The kernel is asked to read it: no signal, no log line. */
		int fds[2];

		if (pipe(fds))
			_exit(2);
		_exit(write(fds[1], s.consumer[0], 8) < 0 && errno == EFAULT ?
			      0 :
			      1);
	}
	waitpid(pid, &status, 0);
	verdict(status == 0, "a child does not inherit the mapping",
		"status %x", status);

	/* The mapping outlives the descriptor. */
	expect("START with mappings", toggle(s.fd, KSTRATA_IOC_START), 0);
	close(s.fd);
	spin_ms(50);
	verdict(s.producer[0]->ring_bytes == s.ring_bytes,
		"a mapping outlives its descriptor", "it changed");
	s.fd = -1;
	session_end(&s);
}

/* ---- sampling ---------------------------------------------------------- */

static void test_hostile_tail(void)
{
	struct session s;
	uint64_t x = 88172645463325252u, before = 0, after = 0;
	int64_t end;
	pid_t child = spinner();

	session_begin(&s, setup_of(2000, 1u << 14));
	toggle(s.fd, KSTRATA_IOC_START);
	end = now_ns() + 2 * INT64_C(1000000000);
	for (unsigned int i = 0; now_ns() < end; i++) {
		uint32_t cpu = i % s.nr_cpus;
		uint64_t tail;

		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		tail = i % 3 == 0 ? x :
		       i % 3 == 1 ? head_of(&s, cpu) + x % (1u << 16) :
				    head_of(&s, cpu) - x % (1u << 16);
		if (s.producer[cpu])
			__atomic_store_n(&s.consumer[cpu]->tail, tail,
					 __ATOMIC_RELEASE);
	}
	expect("STOP after two seconds of wild tails",
	       toggle(s.fd, KSTRATA_IOC_STOP), 0);
	for (uint32_t cpu = 0; cpu < s.nr_cpus; cpu++) {
		s.consumer[cpu]->tail = head_of(&s, cpu);
		before += s.producer[cpu]->samples;
	}
	toggle(s.fd, KSTRATA_IOC_START);
	spin_ms(300);
	toggle(s.fd, KSTRATA_IOC_STOP);
	for (uint32_t cpu = 0; cpu < s.nr_cpus; cpu++) {
		after += s.producer[cpu]->samples;
		verdict(drain(&s, cpu, NULL, NULL),
			"the ring is sound once the tail is", "CPU %u", cpu);
	}
	verdict(after > before, "sampling goes on once the tail is sound",
		"%llu samples", (unsigned long long)before);
	reap(child);
	session_end(&s);
}

static void test_poll(void)
{
	struct kstrata_setup setup = setup_of(2000, 1u << 16);
	struct session s;
	struct pollfd p;
	pid_t child;
	int r;

	setup.watermark_bytes = 8192;
	session_begin(&s, setup);
	p = (struct pollfd){ .fd = s.fd, .events = POLLIN };
	verdict(poll(&p, 1, 0) == 0, "poll() of empty rings: nothing",
		"revents %x", p.revents);
	child = spinner();
	toggle(s.fd, KSTRATA_IOC_START);
	r = poll(&p, 1, 20000);
	verdict(r == 1 && (p.revents & POLLIN), "poll() wakes at the watermark",
		"returned %d, revents %x", r, p.revents);
	toggle(s.fd, KSTRATA_IOC_STOP);
	reap(child);
	session_end(&s);
}

struct tally {
	uint64_t samples;
	uint64_t weight;
	uint64_t lost;
	uint64_t lost_weight;
	uint64_t last_time;
	bool backwards;
	bool unsound;
};

static void tally(const struct kstrata_record *r, void *userdata)
{
	struct tally *t = userdata;

	if (r->time < t->last_time)
		t->backwards = true;
	t->last_time = r->time;
	if (r->type == KSTRATA_RECORD_SAMPLE) {
		const struct kstrata_sample *sample = (const void *)r;

		t->samples++;
		t->weight += sample->weight;
		if (r->size != sample->frames_offset +
				       8u * (sample->nr_kernel +
					     sample->nr_user))
			t->unsound = true;
	} else if (r->type == KSTRATA_RECORD_LOST) {
		const struct kstrata_lost *lost = (const void *)r;

		t->lost += lost->lost;
		t->lost_weight += lost->weight;
	}
}

static void test_lost(void)
{
	struct tally t[CPUS] = { 0 };
	bool same[CPUS] = { 0 }, told = false;
	struct session s;
	int64_t before, begin, end, after, limit;
	uint64_t lost = 0;
	pid_t child = spinner();

	session_begin(&s, setup_of(2000, 1u << 16));
	before = now_ns();
	toggle(s.fd, KSTRATA_IOC_START);
	begin = now_ns();
	/* Nobody drains, until a ring is full; the host may be busy, too. */
	limit = now_ns() + INT64_C(20000000000);
	do
		spin_ms(1000);
	while (!s.producer[0]->lost && now_ns() < limit);
	/*
	 * What is dropped is told before the next record that fits; where the
	 * host is busy that takes a while to come.
	 */
	end = now_ns() + INT64_C(500000000);
	limit = now_ns() + INT64_C(10000000000);
	while (now_ns() < end || (!told && now_ns() < limit)) {
		told = true;
		for (uint32_t cpu = 0; cpu < s.nr_cpus; cpu++) {
			uint64_t counted = s.producer[cpu]->lost;
			uint64_t weight = s.producer[cpu]->lost_weight;

			if (!drain(&s, cpu, tally, &t[cpu]))
				t[cpu].unsound = true;
			same[cpu] = t[cpu].lost == counted &&
				    t[cpu].lost_weight == weight;
			told = told && same[cpu];
		}
	}
	/* START and STOP wait for a thread of each CPU, which has to share it. */
	end = now_ns();
	toggle(s.fd, KSTRATA_IOC_STOP);
	after = now_ns();
	for (uint32_t cpu = 0; cpu < s.nr_cpus; cpu++) {
		const struct kstrata_ring_producer *p = s.producer[cpu];
		uint64_t all;

		if (!drain(&s, cpu, tally, &t[cpu]))
			t[cpu].unsound = true;
		verdict(!t[cpu].unsound, "records are sound", "CPU %u", cpu);
		verdict(!t[cpu].backwards, "time does not go back", "CPU %u",
			cpu);
		verdict(same[cpu], "LOST records tell all that was lost",
			"CPU %u: %llu of %llu records, %llu of %llu ns", cpu,
			(unsigned long long)t[cpu].lost,
			(unsigned long long)p->lost,
			(unsigned long long)t[cpu].lost_weight,
			(unsigned long long)p->lost_weight);
		verdict(t[cpu].samples == p->samples,
			"samples are all delivered",
			"CPU %u: %llu, counter %llu", cpu,
			(unsigned long long)t[cpu].samples,
			(unsigned long long)p->samples);
		/* What was seen, lost and idle is the time that went by. */
		all = t[cpu].weight + p->lost_weight + p->idle_weight;
		verdict(all <= (uint64_t)(after - before) &&
				all >= (uint64_t)(end - begin) / 10 * 9,
			"weights add up to the time that went by",
			"CPU %u: %llu of %lld to %lld", cpu,
			(unsigned long long)all, (long long)(end - begin),
			(long long)(after - before));
		lost += p->lost;
	}
	verdict(lost > 0, "a full ring drops and counts", "nothing was lost");
	reap(child);
	session_end(&s);
}

struct events {
	uint32_t pid;
	bool exec;
	bool comm;
	bool exit;
	bool last;
};

static void event(const struct kstrata_record *r, void *userdata)
{
	const struct kstrata_task *task = (const void *)r;
	struct events *e = userdata;

	if (r->type != KSTRATA_RECORD_TASK || task->pid != e->pid)
		return;
	if (task->event == KSTRATA_TASK_EXEC && !strcmp(task->comm, "true"))
		e->exec = true;
	if (task->event == KSTRATA_TASK_COMM && !strcmp(task->comm, "renamed"))
		e->comm = true;
	if (task->event == KSTRATA_TASK_EXIT) {
		e->exit = true;
		e->last = r->flags & KSTRATA_TASK_LAST;
	}
}

static void test_tasks(void)
{
	struct events e = { 0 };
	struct session s;
	pid_t pid;

	session_begin(&s, setup_of(99, 0));
	toggle(s.fd, KSTRATA_IOC_START);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_NAME, "renamed");
		execl("/busybox/true", "true", NULL);
		_exit(127);
	}
	waitpid(pid, NULL, 0);
	spin_ms(100);
	toggle(s.fd, KSTRATA_IOC_STOP);
	e.pid = (uint32_t)pid;
	for (uint32_t cpu = 0; cpu < s.nr_cpus; cpu++)
		drain(&s, cpu, event, &e);
	verdict(e.comm, "COMM record of a renamed child", "none");
	verdict(e.exec, "EXEC record of a child", "none");
	verdict(e.exit, "EXIT record of a child", "none");
	verdict(e.last, "EXIT of the last thread says so", "it does not");
	session_end(&s);
}

/* ---- what SETUP can leave out, and stacks that lie ---------------------- */

struct stacks {
	uint32_t pid;
	unsigned int samples;
	unsigned int kernel;	/* with kernel frames */
	unsigned int whole;	/* with those of readv(), to the outermost */
	unsigned int user;	/* with user frames */
	unsigned int refused;	/* with neither user frames nor a way to them */
	unsigned int forged;	/* with a user frame that claims to be an object */
	unsigned int tasks;
};

static void stacks(const struct kstrata_record *r, void *userdata)
{
	const struct kstrata_sample *sample = (const void *)r;
	const uint64_t *frames =
		(const void *)((const char *)r + sample->frames_offset);
	struct stacks *st = userdata;

	if (r->type == KSTRATA_RECORD_TASK)
		st->tasks++;
	if (r->type != KSTRATA_RECORD_SAMPLE || sample->pid != st->pid)
		return;
	st->samples++;
	st->kernel += sample->nr_kernel > 0;
	st->whole += sample->nr_kernel >= 4 &&
		     sample->kernel_reason == KSTRATA_REASON_COMPLETE;
	st->user += sample->nr_user > 0;
	st->refused += !sample->nr_user &&
		       sample->user_reason == KSTRATA_REASON_BAD_FRAME;
	for (int i = 0; i < sample->nr_user; i++)
		st->forged += frames[sample->nr_kernel + i] >> 63;
}

/* Reads zeroes, 512 MiB a call: all of its time is the kernel's. */
static void read_zeroes(void)
{
	static char buf[1 << 20];
	static struct iovec v[512];
	int fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);

	for (size_t i = 0; i < 512; i++)
		v[i] = (struct iovec){ buf, sizeof(buf) };
	readv(fd, v, 512);
}

static struct stacks profile_reader(uint32_t flags)
{
	struct kstrata_setup setup = setup_of(500, 1u << 20);
	struct stacks st = { 0 };
	struct session s;
	pid_t pid = fork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			read_zeroes();
	}
	setup.flags = flags;
	session_begin(&s, setup);
	expect("a session that leaves something out: START",
	       toggle(s.fd, KSTRATA_IOC_START), 0);
	spin_ms(300);
	expect("a session that leaves something out: STOP",
	       toggle(s.fd, KSTRATA_IOC_STOP), 0);
	reap(pid);
	st.pid = (uint32_t)pid;
	for (uint32_t cpu = 0; cpu < s.nr_cpus; cpu++)
		drain(&s, cpu, stacks, &st);
	session_end(&s);
	return st;
}

static void test_flags(void)
{
	struct stacks st;

	st = profile_reader(KSTRATA_SETUP_NO_KERNEL);
	verdict(st.samples && st.user && !st.kernel,
		"NO_KERNEL: samples without kernel frames",
		"%u samples, %u user, %u kernel", st.samples, st.user,
		st.kernel);
	st = profile_reader(KSTRATA_SETUP_NO_USER);
	verdict(st.samples && st.kernel && !st.user,
		"NO_USER: samples without user frames",
		"%u samples, %u user, %u kernel", st.samples, st.user,
		st.kernel);
	st = profile_reader(KSTRATA_SETUP_NO_TASKS);
	verdict(st.samples && !st.tasks, "NO_TASKS: samples, no TASK records",
		"%u samples, %u TASK records", st.samples, st.tasks);
	/* But for what is at the edges of a call. */
	verdict(st.kernel && st.whole * 10 >= st.kernel * 8,
		"kernel stacks are walked to their end", "%u of %u", st.whole,
		st.kernel);
}

#ifdef __x86_64__
#define REG_CALL orig_rax
#define REG_PC rip
#else
#define REG_CALL regs[8]
#define REG_PC pc
#endif

/*
 * A tracer makes a system call return to an address with bit 63 set, which is
 * how the ABI marks frames that the kernel has resolved.
 */
static void test_forged_frame(void)
{
	struct user_regs_struct regs;
	struct iovec all = { &regs, sizeof(regs) };
	struct stacks st = { 0 };
	struct session s;
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		read_zeroes();
		_exit(0);
	}
	waitpid(pid, &status, 0);
	do {
		ptrace(PTRACE_SYSCALL, pid, NULL, NULL);
		waitpid(pid, &status, 0);
		ptrace(PTRACE_GETREGSET, pid, (void *)NT_PRSTATUS, &all);
	} while (WIFSTOPPED(status) && regs.REG_CALL != SYS_readv);
	regs.REG_PC = 0xffffffffff600000;
	ptrace(PTRACE_SETREGSET, pid, (void *)NT_PRSTATUS, &all);

	session_begin(&s, setup_of(500, 1u << 20));
	toggle(s.fd, KSTRATA_IOC_START);
	ptrace(PTRACE_SYSCALL, pid, NULL, NULL);
	waitpid(pid, &status, 0);
	toggle(s.fd, KSTRATA_IOC_STOP);
	reap(pid);
	st.pid = (uint32_t)pid;
	for (uint32_t cpu = 0; cpu < s.nr_cpus; cpu++)
		drain(&s, cpu, stacks, &st);
	verdict(st.samples && st.refused == st.samples && !st.forged,
		"an instruction pointer that forges an object frame: no frame",
		"%u samples, %u refused, %u forged", st.samples, st.refused,
		st.forged);
	session_end(&s);
}

/* ---- the other ways to be run ------------------------------------------ */

static void test_hotplug(void)
{
	struct session s;
	pid_t child = spinner();
	bool went = true, silent = true, resumed = true;

	session_begin(&s, setup_of(500, 1u << 20));
	toggle(s.fd, KSTRATA_IOC_START);
	for (int i = 0; i < 5; i++) {
		uint64_t n;

		if (online(1, false))
			went = false;
		n = s.producer[1]->samples;
		spin_ms(200);
		if (s.producer[1]->samples != n)
			silent = false;
		if (online(1, true))
			went = false;
		pin(child, 1);
		for (int wait = 0; wait < 50; wait++) {
			spin_ms(100);
			if (s.producer[1]->samples > n)
				break;
		}
		if (s.producer[1]->samples == n)
			resumed = false;
		for (uint32_t cpu = 0; cpu < s.nr_cpus; cpu++)
			drain(&s, cpu, NULL, NULL);
	}
	verdict(went, "CPU 1 goes and comes five times", "%s",
		strerror(errno));
	verdict(silent, "no sample from a CPU that is offline", "some came");
	verdict(resumed, "samples resume when a CPU comes back", "they do not");
	reap(child);
	session_end(&s);
}

static void cycle(void)
{
	struct session s;

	session_begin(&s, setup_of(1000, 1u << 16));
	toggle(s.fd, KSTRATA_IOC_START);
	spin_ms(20);
	session_end(&s);
}

int main(int argc, char **argv)
{
	page = (size_t)sysconf(_SC_PAGESIZE);
	if (argc == 2 && !strcmp(argv[1], "denied")) {
		expect("unprivileged open: EPERM",
		       open(KSTRATA_DEVICE, O_RDWR), EPERM);
	} else if (argc == 2 && !strcmp(argv[1], "cycle")) {
		cycle();
	} else if (argc == 2 && !strcmp(argv[1], "hotplug")) {
		test_hotplug();
	} else {
		test_ioctls();
		test_sessions();
		test_mappings();
		test_hostile_tail();
		test_poll();
		test_lost();
		test_tasks();
		test_flags();
		test_forged_frame();
	}
	return failed;
}
