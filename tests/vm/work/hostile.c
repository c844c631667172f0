// SPDX-License-Identifier: Apache-2.0
/*
 * Clients that mean harm, or die at a bad moment, while their sessions sample at
 * 10 kHz on all CPUs. Whatever they do to their descriptors and mappings, the
 * kernel must not notice, and a well-behaved client beside them reads whole
 * records and loses nothing that it is not told of.
 *
 *   hostile SECONDS SEED    each kind for so long, all at the same time
 *   hostile open SECONDS    only open and close, whether or not there is a device
 */
#include <pthread.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "session.h"

#define HZ		10000
#define RING_BYTES	16384

static uint64_t seed;
static int64_t until;

static uint64_t chance(void)
{
	seed ^= seed >> 12;
	seed ^= seed << 25;
	seed ^= seed >> 27;
	return seed * 0x2545f4914f6cdd1dull >> 16;
}

static bool more(void)
{
	return now_ns() < until;
}

static void nap_us(long us)
{
	struct timespec ts = { 0, us * 1000 };

	nanosleep(&ts, NULL);
}

/* Set up, map and start, unless there are too many sessions. */
static bool begin(struct session *s)
{
	struct kstrata_setup setup = setup_of(HZ, RING_BYTES);
	int fd = open(KSTRATA_DEVICE, O_RDWR | O_CLOEXEC);

	if (fd < 0) {
		nap_us(20000);
		return false;
	}
	setup.flags = chance() % 2 ? KSTRATA_SETUP_OBJECTS : 0;
	session_begin_on(s, fd, setup);
	if (toggle(s->fd, KSTRATA_IOC_START)) {
		perror("START");
		exit(1);
	}
	return true;
}

static void *ring_of(struct session *s, uint32_t cpu)
{
	return (void *)(uintptr_t)s->producer[cpu];
}

static size_t ring_length(const struct session *s)
{
	return page + 2 * (size_t)s->ring_bytes;
}

/* ---- tails ----------------------------------------------------------------- */

static int tails(void)
{
	struct session s;
	int rounds = 0;

	while (more()) {
		if (!begin(&s))
			continue;
		for (int i = 0; i < 20000 && more(); i++) {
			uint32_t cpu = (uint32_t)(chance() % s.nr_cpus);
			uint64_t head;

			if (!s.consumer[cpu])
				continue;
			head = head_of(&s, cpu);
			switch (chance() % 5) {
			case 0: head = chance() << 32 | chance(); break;
			case 1: head += chance() % 64 - 32; break;
			case 2: head -= RING_BYTES + chance() % 64 - 32; break;
			case 3: head ^= 1ull << chance() % 64; break;
			}
			__atomic_store_n(&s.consumer[cpu]->tail, head,
					 __ATOMIC_RELEASE);
		}
		session_end(&s);
		rounds++;
	}
	return rounds;
}

/* ---- mappings -------------------------------------------------------------- */

/* Neither may grow, nor become what it must not be. */
static void forbidden(struct session *s, uint32_t cpu)
{
	char *ring = ring_of(s, cpu);

	if (!mprotect(ring, page, PROT_READ | PROT_WRITE) ||
	    !mprotect(ring + page, page, PROT_READ | PROT_EXEC) ||
	    !mprotect(s->consumer[cpu], page, PROT_READ | PROT_EXEC) ||
	    mremap(ring, ring_length(s), ring_length(s) + page,
		   MREMAP_MAYMOVE) != MAP_FAILED ||
	    mremap(s->consumer[cpu], page, 2 * page, MREMAP_MAYMOVE) !=
		    MAP_FAILED) {
		verdict(false, "hostile: mappings", "a mapping became more");
		exit(1);
	}
}

static int mappings(void)
{
	struct session s;
	int rounds = 0;

	while (more()) {
		uint32_t cpu;
		char *ring, *moved;

		if (!begin(&s))
			continue;
		cpu = (uint32_t)(chance() % s.nr_cpus);
		ring = ring_of(&s, cpu);
		if (!ring || !s.consumer[cpu]) {
			session_end(&s);
			continue;
		}
		forbidden(&s, cpu);
		s.consumer[cpu]->tail = chance();
		mprotect(s.consumer[cpu], page,
			 chance() % 2 ? PROT_NONE : PROT_READ);
		madvise(ring, ring_length(&s), MADV_DONTNEED);
		madvise(ring, ring_length(&s), MADV_DOFORK);
		madvise(ring, ring_length(&s), MADV_WILLNEED);
		mlock(ring, ring_length(&s));
		/* A hole, what is left moved, then some of it gone. */
		munmap(ring + page * (1 + chance() % 7), page);
		moved = mremap(ring, page, page, MREMAP_MAYMOVE | MREMAP_DONTUNMAP);
		if (moved != MAP_FAILED)
			munmap(moved, page);
		moved = mmap(NULL, page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
			     -1, 0);
		if (moved != MAP_FAILED &&
		    mremap(s.consumer[cpu], page, page,
			   MREMAP_MAYMOVE | MREMAP_FIXED, moved) == moved)
			s.consumer[cpu] = (void *)moved;
		nap_us((long)(chance() % 3000));
		if (chance() % 2)
			close(s.fd);
		nap_us((long)(chance() % 3000));
		/* The last mapping goes with the process or right here. */
		session_end(&s);
		rounds++;
	}
	return rounds;
}

/* ---- forks, duplicates, descriptors that travel ------------------------------ */

static void child_of_fork(struct session *s)
{
	/* The mapping is not ours any more: touching it must end us. */
	if (s->producer[0]) {
		volatile const struct kstrata_ring_producer *p = s->producer[0];

		(void)p->head;
	}
	_exit(1);
}

static int forks(void)
{
	struct session s;
	int rounds = 0;

	while (more()) {
		int other, status = 0;
		pid_t pid;

		if (!begin(&s))
			continue;
		pid = fork();
		if (pid == 0) {
			/* Of this fault the kernel log need not tell. */
			signal(SIGSEGV, _exit);
			child_of_fork(&s);
		}
		waitpid(pid, &status, 0);
		if (s.producer[0] &&
		    (!WIFEXITED(status) || WEXITSTATUS(status) != SIGSEGV)) {
			verdict(false, "hostile: forks",
				"the child has the mapping: %x",
				(unsigned int)status);
			exit(1);
		}
		other = dup(s.fd);
		close(s.fd);
		s.fd = other;
		/* Two processes of one session; one stops, one goes. */
		pid = fork();
		if (pid == 0) {
			toggle(s.fd, KSTRATA_IOC_STOP);
			nap_us((long)(chance() % 2000));
			toggle(s.fd, KSTRATA_IOC_START);
			_exit(0);
		}
		toggle(s.fd, KSTRATA_IOC_STOP);
		toggle(s.fd, KSTRATA_IOC_START);
		if (chance() % 2)
			waitpid(pid, NULL, 0);
		session_end(&s);
		while (waitpid(-1, NULL, 0) > 0)
			;
		rounds++;
	}
	return rounds;
}

static void send_fd(int socket, int fd)
{
	union {
		struct cmsghdr h;
		char room[CMSG_SPACE(sizeof(int))];
	} control = {};
	char byte = 0;
	struct iovec io = { &byte, 1 };
	struct msghdr msg = {
		.msg_iov = &io,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control.room),
	};

	control.h.cmsg_level = SOL_SOCKET;
	control.h.cmsg_type = SCM_RIGHTS;
	control.h.cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(&control.h), &fd, sizeof(fd));
	sendmsg(socket, &msg, 0);
}

/* The descriptor waits in a socket while its sender dies, then dies there. */
static int passes(void)
{
	struct session s;
	int rounds = 0;

	while (more()) {
		int pair[2], status;
		pid_t pid;

		if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
			exit(1);
		pid = fork();
		if (pid == 0) {
			if (begin(&s)) {
				send_fd(pair[0], s.fd);
				nap_us((long)(chance() % 2000));
			}
			_exit(0);
		}
		close(pair[0]);
		waitpid(pid, &status, 0);
		nap_us((long)(chance() % 5000));
		close(pair[1]);
		rounds++;
	}
	return rounds;
}

/* ---- sudden deaths --------------------------------------------------------- */

static int deaths(void)
{
	struct session s;
	int rounds = 0;

	while (more()) {
		pid_t pid = fork();

		if (pid == 0) {
			if (!begin(&s))
				_exit(0);
			switch (chance() % 3) {
			case 0:
				_exit(0);
			case 1:
				execl("/busybox/true", "true", (char *)NULL);
				_exit(0);
			}
			for (;;)
				pause();
		}
		nap_us(3000 + (long)(chance() % 30000));
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		/* The next child's chances are others. */
		chance();
		rounds++;
	}
	return rounds;
}

/* ---- threads that disagree --------------------------------------------------- */

static struct session shared;
static volatile int shared_over;

static void *disagree(void *arg)
{
	uint64_t mine = (uintptr_t)arg * 7919 + 1;

	while (!shared_over) {
		struct kstrata_setup setup = setup_of(HZ, RING_BYTES);
		struct kstrata_configure c = {
			.size = sizeof(c),
			.what = KSTRATA_CONFIGURE_HZ,
			.sample_hz = 1 + (uint32_t)(mine % HZ),
		};
		void *p;

		mine = mine * 6364136223846793005ull + 1442695040888963407ull;
		switch (mine >> 60) {
		case 0: ioctl(shared.fd, KSTRATA_IOC_SETUP, &setup); break;
		case 1: case 2: case 3:
			toggle(shared.fd, KSTRATA_IOC_START);
			break;
		case 4: case 5: case 6:
			toggle(shared.fd, KSTRATA_IOC_STOP);
			break;
		case 7: case 8: case 9: case 10:
			ioctl(shared.fd, KSTRATA_IOC_CONFIGURE, &c);
			break;
		case 11: case 12:
			p = mmap(NULL, page, PROT_READ, MAP_SHARED, shared.fd,
				 (off_t)KSTRATA_MMAP_CONSUMER(mine >> 33 & 3));
			if (p != MAP_FAILED)
				munmap(p, page);
			break;
		case 13:
			close(open(KSTRATA_DEVICE, O_RDWR | O_CLOEXEC));
			break;
		}
	}
	return NULL;
}

static int threads(void)
{
	int rounds = 0;

	while (more()) {
		pthread_t t[4];

		shared.fd = open(KSTRATA_DEVICE, O_RDWR | O_CLOEXEC);
		if (shared.fd < 0) {
			nap_us(20000);
			continue;
		}
		shared_over = 0;
		for (uintptr_t i = 0; i < 4; i++)
			pthread_create(&t[i], NULL, disagree,
				       (void *)(i + chance() % 1000));
		nap_us(100000);
		/* Under their feet. */
		close(shared.fd);
		nap_us(2000);
		shared_over = 1;
		for (int i = 0; i < 4; i++)
			pthread_join(t[i], NULL);
		rounds++;
	}
	return rounds;
}

/* ---- one that behaves -------------------------------------------------------- */

static uint64_t seen, told_lost;

static void count(const struct kstrata_record *r, void *userdata)
{
	(void)userdata;
	if (r->type == KSTRATA_RECORD_LOST)
		told_lost += ((const struct kstrata_lost *)r)->lost;
	else
		seen++;
}

static int behaves(void)
{
	struct session s;
	uint64_t lost = 0;
	int rounds = 0;

	session_begin(&s, setup_of(HZ, 1 << 18));
	if (toggle(s.fd, KSTRATA_IOC_START))
		exit(1);
	for (;;) {
		bool go_on = more();

		if (!go_on)
			toggle(s.fd, KSTRATA_IOC_STOP);
		for (uint32_t cpu = 0; cpu < s.nr_cpus; cpu++) {
			if (!s.producer[cpu] ||
			    drain(&s, cpu, count, NULL))
				continue;
			verdict(false, "hostile: behaves",
				"a record makes no sense");
			exit(1);
		}
		rounds++;
		if (!go_on)
			break;
		nap_us(20000);
	}
	for (uint32_t cpu = 0; cpu < s.nr_cpus; cpu++)
		if (s.producer[cpu])
			lost += s.producer[cpu]->lost;
	if (lost != told_lost || !seen) {
		verdict(false, "hostile: behaves",
			"%llu lost, %llu told of, %llu seen",
			(unsigned long long)lost, (unsigned long long)told_lost,
			(unsigned long long)seen);
		exit(1);
	}
	session_end(&s);
	return rounds;
}

/* ---- while the module comes and goes --------------------------------------------- */

static int openers(void)
{
	uint64_t opened = 0;

	while (more()) {
		int fd = open(KSTRATA_DEVICE, O_RDWR | O_CLOEXEC);
		struct kstrata_setup setup = setup_of(HZ, RING_BYTES);

		if (fd < 0) {
			/* Not there, on its way out, or not yet a node. */
			if (errno != ENOENT && errno != ENODEV &&
			    errno != ENXIO && errno != EBUSY) {
				expect("hostile: open", -1, 0);
				return 1;
			}
			sched_yield();
			continue;
		}
		opened++;
		if (chance() % 8 == 0 && !ioctl(fd, KSTRATA_IOC_SETUP, &setup))
			toggle(fd, KSTRATA_IOC_START);
		nap_us((long)(chance() % 3000));
		close(fd);
	}
	printf("# hostile: opened %llu times\n", (unsigned long long)opened);
	return 0;
}

static const struct kind {
	const char *name;
	int (*run)(void);
} kinds[] = {
	{ "behaves", behaves },
	{ "tails", tails },
	{ "mappings", mappings },
	{ "forks", forks },
	{ "passes", passes },
	{ "deaths", deaths },
	{ "threads", threads },
};

#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

int main(int argc, char **argv)
{
	pid_t pids[KINDS];

	page = (size_t)sysconf(_SC_PAGESIZE);
	if (argc > 2 && !strcmp(argv[1], "open")) {
		until = now_ns() + atoi(argv[2]) * INT64_C(1000000000);
		seed = (uint64_t)getpid() | 1;
		return openers();
	}
	until = now_ns() + (argc > 1 ? atoi(argv[1]) : 10) * INT64_C(1000000000);
	seed = argc > 2 ? strtoull(argv[2], NULL, 0) | 1 : 1;
	for (size_t i = 0; i < KINDS; i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			int rounds;

			seed += 0x9e3779b97f4a7c15ull * (i + 1);
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			rounds = kinds[i].run();
			printf("# hostile: %s: %d rounds\n", kinds[i].name,
			       rounds);
			fflush(stdout);
			_exit(rounds > 0 ? 0 : 2);
		}
		/* It must get the first of the few sessions. */
		if (!i)
			nap_us(500000);
	}
	for (size_t i = 0; i < KINDS; i++) {
		char name[64];
		int status = 0;

		waitpid(pids[i], &status, 0);
		snprintf(name, sizeof(name), "hostile: %s", kinds[i].name);
		verdict(status == 0, name, "status %x", (unsigned int)status);
	}
	return failed;
}
