// SPDX-License-Identifier: Apache-2.0
/*
 * Calls without sense: ioctls, mappings, reads, from several processes that share
 * descriptors, arguments at the edges of what is allowed and far beyond. Only
 * the kernel's health is judged, elsewhere. The seed makes each process's calls;
 * how they meet is chance.
 *
 *   fuzz SECONDS SEED
 */
#include <poll.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "../../rowmake.h"
#include "session.h"

#define PROCESSES	4
#define FDS		4

static uint64_t state;
static uint64_t calls, succeeded;

static uint64_t chance(void)
{
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return state * 0x2545f4914f6cdd1dull >> 8;
}

static uint64_t edge(void)
{
	static const uint64_t edges[] = {
		0, 1, 2, 3, 7, 8, 15, 16, 63, 64, 65, 127, 255, 256, 999, 1000,
		1001, 4095, 4096, 4097, 9999, 10000, 10001, 16383, 16384, 16385,
		65535, 65536, 1ull << 20, 0x7fffffff, 0x80000000, 0xffffffff,
		1ull << 32, 1ull << 63, ~0ull, ~0ull - 7, 0x7ffffffff000,
		0xffff888000000000,
	};

	return edges[chance() % (sizeof(edges) / sizeof(edges[0]))];
}

/* Something that was valid, with some of it spoilt. */
static void spoil(void *data, size_t bytes)
{
	uint8_t *b = data;

	for (uint64_t n = chance() % 4; n; n--) {
		size_t at = chance() % bytes;

		switch (chance() % 4) {
		case 0:
			b[at] ^= 1 << chance() % 8;
			break;
		case 1:
			b[at] = (uint8_t)chance();
			break;
		case 2: {
			uint32_t v = (uint32_t)edge();

			memcpy(b + at / 4 * 4, &v, 4);
			break;
		}
		default: {
			uint64_t v = edge();

			if (bytes >= 8)
				memcpy(b + at / 8 * 8 % (bytes - 7), &v, 8);
		}
		}
	}
}

/* The arguments' page ends where nothing is mapped: reads beyond it fault. */
static uint8_t *arguments;

static void *place(const void *data, size_t bytes)
{
	uint8_t *at = arguments + 2 * page - bytes;

	if (chance() % 8 == 0)
		at = arguments + chance() % page;
	if (chance() % 32 == 0)
		at = arguments + 2 * page - bytes / 2;
	else
		memcpy(at, data, bytes);
	return at;
}

static void fuzz_setup(int fd)
{
	struct kstrata_setup u = setup_of((uint32_t)(chance() % 10001),
					  1u << (14 + chance() % 7));

	u.flags = (uint32_t)(chance() % 16);
	u.objects = chance() % 2 ? 0 : 1u << (6 + chance() % 8);
	if (u.flags & KSTRATA_SETUP_OBJECTS && chance() % 2)
		u.rows_kb = (uint32_t)(chance() % 500);
	u.user_depth = (uint16_t)(chance() % 256);
	u.kernel_depth = (uint16_t)(chance() % 128);
	u.watermark_bytes = (uint32_t)(chance() % u.ring_bytes);
	u.budget = (uint32_t)(chance() % 1001);
	if (chance() % 3 == 0)
		spoil(&u, sizeof(u));
	/* Memory is not what is tested here, or the guest has none left. */
	if (u.ring_bytes > 1 << 21)
		u.ring_bytes = 1 << 21;
	succeeded += !ioctl(fd, KSTRATA_IOC_SETUP, place(&u, sizeof(u)));
}

static void fuzz_configure(int fd)
{
	static struct kstrata_filter filters[80];
	static uint64_t cpus[200];
	struct kstrata_configure c = {
		.size = sizeof(c),
		.what = (uint32_t)(chance() % 16),
		.sample_hz = 1 + (uint32_t)(chance() % 10000),
		.budget = 1 + (uint32_t)(chance() % 1000),
		.cpus = (uintptr_t)cpus,
		.cpus_bytes = 8 * (uint32_t)(1 + chance() % 4),
		.nr_filters = (uint32_t)(chance() % 66),
		.filters = (uintptr_t)filters,
	};

	for (size_t i = 0; i < 80; i++)
		filters[i] = (struct kstrata_filter){
			.kind = (uint16_t)(1 + chance() % 2),
			.id = 1 + chance() % 300,
		};
	cpus[0] = chance();
	if (chance() % 4 == 0)
		spoil(filters, sizeof(filters));
	if (chance() % 3 == 0)
		spoil(&c, sizeof(c));
	succeeded += !ioctl(fd, KSTRATA_IOC_CONFIGURE, place(&c, sizeof(c)));
}

static void fuzz_object(int fd)
{
	static char path[2048];
	struct kstrata_object_get g = {
		.size = sizeof(g),
		.flags = (uint32_t)(chance() % 2),
		.id = (uint32_t)(chance() % 40),
		.path = chance() % 2 ? (uintptr_t)path : 0,
		.path_bytes = (uint32_t)(chance() % sizeof(path)),
	};
	struct kstrata_object_get *at;

	if (chance() % 3 == 0)
		spoil(&g, sizeof(g));
	at = place(&g, sizeof(g));
	if (!ioctl(fd, KSTRATA_IOC_OBJECT, at)) {
		succeeded++;
		/* Not ours when the answer went astray; bounded all the same. */
		memcpy(&g, at, sizeof(g));
		if (g.fd > FDS + 8 && g.fd < 1024)
			close(g.fd);
	}
}

static void fuzz_rows(int fd)
{
	struct kstrata_rows u = {
		.size = sizeof(u),
		.flags = chance() % 8 == 0 ? KSTRATA_ROWS_NONE : 0,
		.id = (uint32_t)(chance() % 4 ? 2 + chance() % 2 : chance() % 4200),
	};
	uint64_t seed = chance();
	size_t bytes = 0;
	void *table = NULL;

	if (!u.flags)
		table = rowmake_wild(&seed, ROWMAKE_NATIVE, chance() % 4 ? 0 : edge(),
				     1 + (uint32_t)(chance() % 100000),
				     1 + (uint32_t)(chance() % 300), &bytes);
	if (table && chance() % 3 == 0)
		spoil(table, chance() % 2 ? bytes :
					    sizeof(struct kstrata_rows_table));
	u.bytes = (uint32_t)bytes;
	u.table = (uintptr_t)table;
	if (chance() % 4 == 0)
		spoil(&u, sizeof(u));
	succeeded += !ioctl(fd, KSTRATA_IOC_ROWS, place(&u, sizeof(u)));
	free(table);
}

static void fuzz_any(int fd)
{
	uint64_t words[16];
	unsigned long request;

	for (size_t i = 0; i < 16; i++)
		words[i] = chance() % 2 ? edge() : 0;
	((uint32_t *)words)[0] = (uint32_t)(chance() % 2 ? edge() :
							  chance() % 200);
	request = _IO(KSTRATA_IOC_MAGIC, chance() % 10);
	if (chance() % 4 == 0)
		request = edge();
	/* Of requests that any file has, none that would make it wait. */
	if (request == KSTRATA_IOC_SETUP)
		return;
	succeeded += !ioctl(fd, request,
			    chance() % 8 ? place(words, sizeof(words)) :
					   (void *)(uintptr_t)edge());
}

static void fuzz_map(int fd)
{
	size_t bytes = chance() % 3 ? page * (1 + chance() % 10) :
				      page + (2u << (12 + chance() % 9));
	uint64_t offset = (chance() % 4) << 32 | (chance() % 3) * page;
	char *p;

	if (chance() % 8 == 0)
		offset = edge() & ~(uint64_t)(page - 1);
	p = mmap(NULL, bytes, (int)(chance() % 8),
		 chance() % 8 ? MAP_SHARED : MAP_PRIVATE, fd, (off_t)offset);
	if (p == MAP_FAILED)
		return;
	succeeded++;
	switch (chance() % 6) {
	case 0: mprotect(p, page, (int)(chance() % 8)); break;
	case 1: madvise(p, bytes, (int)(chance() % 26)); break;
	case 2: msync(p, bytes, MS_SYNC); break;
	case 3: mlock(p, bytes); break;
	case 4: munmap(p + bytes - page, page); break;
	case 5:
		/* As a system call's buffer. */
		read(fd, p, bytes);
		write(fd, p, bytes);
		getcwd(p, page);
		break;
	}
	munmap(p, bytes);
}

static void fuzz_file(int fd)
{
	struct pollfd polls = { .fd = fd, .events = (short)chance() };
	char byte = 0;
	int other;

	switch (chance() % 8) {
	case 0: poll(&polls, 1, 0); break;
	case 1: read(fd, &byte, 1); break;
	case 2: write(fd, &byte, 1); break;
	case 3: lseek(fd, (off_t)edge(), (int)(chance() % 5)); break;
	case 4: ftruncate(fd, (off_t)edge()); break;
	case 5: fsync(fd); break;
	case 6:
		other = dup(fd);
		close(other);
		break;
	case 7: fcntl(fd, F_SETFL, chance() % 2 ? O_NONBLOCK : O_ASYNC); break;
	}
}

static void fuzz(int *fds, int64_t until)
{
	while (now_ns() < until) {
		int *fd = &fds[chance() % FDS];

		calls++;
		switch (chance() % 18) {
		case 0:
			close(*fd);
			*fd = open(KSTRATA_DEVICE,
				   (int)(chance() % 3) | O_CLOEXEC | O_NONBLOCK);
			break;
		case 1: case 2: fuzz_setup(*fd); break;
		case 3: case 4: fuzz_configure(*fd); break;
		case 5: case 6: fuzz_object(*fd); break;
		case 7: case 8: fuzz_any(*fd); break;
		case 9: case 10: fuzz_map(*fd); break;
		case 11: fuzz_file(*fd); break;
		case 12: case 13: toggle(*fd, KSTRATA_IOC_START); break;
		case 14: toggle(*fd, KSTRATA_IOC_STOP); break;
		case 15:
			if (chance() % 8 == 0)
				sched_yield();
			break;
		case 16: case 17: fuzz_rows(*fd); break;
		}
	}
	printf("# fuzz: %llu calls, %llu of them succeeded\n",
	       (unsigned long long)calls, (unsigned long long)succeeded);
	fflush(stdout);
	_exit(calls ? 0 : 2);
}

int main(int argc, char **argv)
{
	int seconds = argc > 1 ? atoi(argv[1]) : 10;
	uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
	int64_t until = now_ns() + seconds * INT64_C(1000000000);
	pid_t pids[PROCESSES];
	int fds[FDS];

	page = (size_t)sysconf(_SC_PAGESIZE);
	arguments = mmap(NULL, 3 * page, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	munmap(arguments + 2 * page, page);
	/* Shared by all of them, until each has opened its own. */
	for (int i = 0; i < FDS; i++)
		fds[i] = device();
	for (int i = 0; i < PROCESSES; i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			/* Signals that descriptors were set up to send. */
			signal(SIGIO, SIG_IGN);
			state = (seed + 1) * 0x9e3779b97f4a7c15ull + (uint64_t)i;
			state |= 1;
			fuzz(fds, until);
		}
	}
	for (int i = 0; i < FDS; i++)
		close(fds[i]);
	for (int i = 0; i < PROCESSES; i++) {
		char name[64];
		int status = 0;

		waitpid(pids[i], &status, 0);
		snprintf(name, sizeof(name), "fuzz: process %d", i);
		verdict(status == 0, name, "status %x", (unsigned int)status);
	}
	return failed;
}
