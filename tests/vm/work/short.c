// SPDX-License-Identifier: Apache-2.0
/*
 * Processes that live for milliseconds, from files that nobody can open by name:
 * copies of this program in a tmpfs of a mount namespace of its own, deleted as
 * they first run. Each copy spins in the same function, which has a name of its
 * own in each: whoever takes one file for another gives the wrong name.
 *
 *   short load COPIES RUNS [MS]   run each copy so many times, one after the
 *                                 other, for MS of CPU time (5)
 *   short rings COPIES RUNS [MS]  the same, while the rings are read: what the
 *                                 kernel says of these processes, is it right?
 *   short spin NAME MS            what the copies do
 */
#include "session.h"

#include <elf.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

#define LIFE_MS "5"
#define COPIES_MAX 90
#define PIDS_MAX 65536
#define SAMPLES_MAX 400000

#define noinline __attribute__((noinline, noclone, noipa))
#define frame() __asm__ volatile("" : : "r"(__builtin_frame_address(0)))

/* The last two letters are overwritten in each copy. */
#define HOT "hot_function_zz"
noinline uint64_t hot_function_zz(uint64_t x);

uint64_t hot_function_zz(uint64_t x)
{
	frame();
	for (int i = 0; i < 20000; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
	}
	return x;
}

static int spin(const char *name, int ms)
{
	struct timespec ts;
	uint64_t x = 88172645463325252;

	prctl(PR_SET_NAME, name);
	do {
		x = hot_function_zz(x);
		clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	} while (ts.tv_sec * 1000 + ts.tv_nsec / 1000000 < ms);
	return x == 0;
}

/* ---- the copies ---------------------------------------------------------- */

static struct copy {
	char name[16];
	char hot[sizeof(HOT)];
	int fd;
	struct stat st;
} copies[COPIES_MAX];

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static char *read_self(size_t *len)
{
	int fd = open("/proc/self/exe", O_RDONLY);
	struct stat st;
	char *data;

	if (fd < 0 || fstat(fd, &st))
		die("/proc/self/exe");
	data = malloc((size_t)st.st_size);
	if (!data || read(fd, data, (size_t)st.st_size) != st.st_size)
		die("/proc/self/exe");
	close(fd);
	*len = (size_t)st.st_size;
	return data;
}

/* A build-id of its own, as a linker would have given it. */
static void change_build_id(char *data, size_t len, char to)
{
	static const uint32_t note[] = { 4, 20, NT_GNU_BUILD_ID };
	char *at = memmem(data, len, note, sizeof(note));

	if (at && at + sizeof(note) + 24 < data + len &&
	    !memcmp(at + sizeof(note), "GNU", 4))
		at[sizeof(note) + 4] = to;
}

/* The symbol table's name, not the copy's own string constants. */
static void rename_hot(char *data, size_t len, const char *to)
{
	char *at = data, *end = data + len;

	while ((at = memmem(at, (size_t)(end - at), HOT, sizeof(HOT)))) {
		memcpy(at, to, sizeof(HOT));
		at += sizeof(HOT);
	}
}

static void make_copies(int nr)
{
	size_t len;
	char *self = read_self(&len), *data = malloc(len);

	if (!data)
		die("malloc");
	if (unshare(CLONE_NEWNS) ||
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("short", "/tmp", "tmpfs", 0, NULL))
		die("a mount namespace");
	for (int i = 0; i < nr; i++) {
		struct copy *c = &copies[i];
		char path[64];
		int fd;

		snprintf(c->name, sizeof(c->name), "short_%02d", i);
		snprintf(c->hot, sizeof(c->hot), "hot_function_%02d", i);
		snprintf(path, sizeof(path), "/tmp/%.15s", c->name);
		memcpy(data, self, len);
		rename_hot(data, len, c->hot);
		change_build_id(data, len, (char)i);
		fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0755);
		if (fd < 0 || write(fd, data, len) != (ssize_t)len)
			die(path);
		close(fd);
		c->fd = open(path, O_RDONLY | O_CLOEXEC);
		if (c->fd < 0 || fstat(c->fd, &c->st))
			die(path);
	}
	free(data);
	free(self);
}

static char life[16] = LIFE_MS;

/* Start one; the file is deleted as soon as its first process runs. */
static pid_t start(struct copy *c, bool first)
{
	char *argv[] = { c->name, "spin", c->name, life, NULL };
	char *envp[] = { NULL };
	char path[64];
	int ready[2];
	char x;
	pid_t pid;

	snprintf(path, sizeof(path), "/tmp/%.15s", c->name);
	if (pipe2(ready, O_CLOEXEC))
		die("pipe");
	pid = fork();
	if (!pid) {
		if (first)
			execve(path, argv, envp);
		else
			fexecve(c->fd, argv, envp);
		_exit(127);
	}
	if (pid < 0)
		die("fork");
	close(ready[1]);
	/* The end of the pipe: exec has closed it. */
	if (read(ready[0], &x, 1) != 0)
		die("the pipe");
	close(ready[0]);
	if (first && unlink(path))
		die(path);
	return pid;
}

/* 0: every process ended well. */
static int run_all(int nr, int runs, void (*meanwhile)(int copy, pid_t pid))
{
	int bad = 0;

	for (int run = 0; run < runs; run++) {
		for (int i = 0; i < nr; i++) {
			pid_t pid = start(&copies[i], !run);
			int status;

			if (meanwhile)
				meanwhile(i, pid);
			if (waitpid(pid, &status, 0) != pid || status)
				bad++;
		}
	}
	/* The last that knows them. */
	for (int i = 0; i < nr; i++)
		close(copies[i].fd);
	return bad;
}

/* ---- what the rings say -------------------------------------------------- */

static struct session session;
static int copy_of[PIDS_MAX]; /* by pid, 0: none of ours, else number + 1 */
static uint64_t exec_time[PIDS_MAX];
static uint64_t lost;

static struct seen {
	uint64_t time, leaf;
	uint32_t pid;
	uint8_t lookup;
} *seen;
static size_t nr_seen;

/* What a number is, asked at first sight. */
#define NUMBERS 65536
static struct number {
	uint32_t id;
	struct kstrata_object_get get;
	int error;
	bool right_content;
	char path[64];
} *numbers;
static size_t nr_numbers;

static bool content_is(int fd, const char *hot)
{
	struct stat st;
	bool found = false;
	char *data;

	if (fd < 0 || fstat(fd, &st))
		return false;
	data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (data != MAP_FAILED) {
		found = memmem(data, (size_t)st.st_size, hot, strlen(hot) + 1);
		munmap(data, (size_t)st.st_size);
	}
	return found;
}

static struct number *number_of(uint32_t id, const char *hot)
{
	struct number *n;

	for (size_t i = 0; i < nr_numbers; i++)
		if (numbers[i].id == id)
			return &numbers[i];
	if (nr_numbers == NUMBERS)
		return NULL;
	n = &numbers[nr_numbers++];
	n->id = id;
	n->get = (struct kstrata_object_get){
		.size = sizeof(n->get),
		.id = id,
		.fd = -1,
		.path = (uintptr_t)n->path,
		.path_bytes = sizeof(n->path) - 1,
	};
	n->error = ioctl(session.fd, KSTRATA_IOC_OBJECT, &n->get) ? errno : 0;
	if (!n->error) {
		n->right_content = content_is(n->get.fd, hot);
		close(n->get.fd);
	}
	return n;
}

static void on_record(const struct kstrata_record *r, void *userdata)
{
	const struct kstrata_sample *s = (const void *)r;
	const struct kstrata_task *t = (const void *)r;
	const uint64_t *frames;

	(void)userdata;
	if (r->type == KSTRATA_RECORD_LOST)
		lost += ((const struct kstrata_lost *)r)->lost;
	if (r->type == KSTRATA_RECORD_TASK && t->event == KSTRATA_TASK_EXEC &&
	    t->pid < PIDS_MAX)
		exec_time[t->pid] = r->time;
	if (r->type != KSTRATA_RECORD_SAMPLE || s->pid >= PIDS_MAX ||
	    !copy_of[s->pid] || !(r->flags & KSTRATA_SAMPLE_USER) ||
	    !s->nr_user || nr_seen == SAMPLES_MAX)
		return;
	frames = (const void *)((const char *)s + s->frames_offset);
	seen[nr_seen++] = (struct seen){
		.time = r->time,
		.leaf = frames[s->nr_kernel],
		.pid = s->pid,
		.lookup = s->lookup,
	};
	/* Now, as a daemon would: the process may be gone. */
	if (s->lookup == KSTRATA_LOOKUP_DONE &&
	    frames[s->nr_kernel] & KSTRATA_FRAME_OBJECT)
		number_of((frames[s->nr_kernel] & ~KSTRATA_FRAME_OBJECT) >>
				  KSTRATA_FRAME_OFFSET_BITS,
			  copies[copy_of[s->pid] - 1].hot);
}

static void drain_all(void)
{
	for (uint32_t cpu = 0; cpu < session.nr_cpus; cpu++)
		if (session.producer[cpu])
			drain(&session, cpu, on_record, NULL);
}

static void note_pid(int copy, pid_t pid)
{
	/* What was of another process by this number was read before. */
	if (pid < PIDS_MAX) {
		copy_of[pid] = copy + 1;
		exec_time[pid] = 0;
	}
	/* Those that ended in the meantime: some are read dead, some alive. */
	if (copy % 4 == 0)
		drain_all();
}

static bool is_right(const struct seen *s)
{
	const struct copy *c = &copies[copy_of[s->pid] - 1];
	const struct number *n;

	if (s->lookup != KSTRATA_LOOKUP_DONE ||
	    !(s->leaf & KSTRATA_FRAME_OBJECT))
		return false;
	n = number_of((s->leaf & ~KSTRATA_FRAME_OBJECT) >>
			      KSTRATA_FRAME_OFFSET_BITS, c->hot);
	return n && !n->error && n->right_content &&
	       n->get.ino == c->st.st_ino &&
	       n->get.dev_major == major(c->st.st_dev) &&
	       n->get.dev_minor == minor(c->st.st_dev) &&
	       strstr(n->path, c->name);
}

static void judge(int nr, int runs)
{
	unsigned int lookups[4] = { 0 };
	size_t right = 0, of_copies = 0, opened = 0, vdso = 0;
	unsigned int told = 0;

	for (size_t i = 0; i < nr_seen; i++) {
		const struct seen *s = &seen[i];

		/* Before exec it is the parent's program that runs. */
		if (!exec_time[s->pid] || s->time < exec_time[s->pid])
			continue;
		/* Of the kernel's own code there is no file. */
		if (s->lookup == KSTRATA_LOOKUP_DONE &&
		    s->leaf >> KSTRATA_FRAME_OFFSET_BITS ==
			    (KSTRATA_FRAME_OBJECT >> KSTRATA_FRAME_OFFSET_BITS |
			     KSTRATA_OBJECT_VDSO)) {
			vdso++;
			continue;
		}
		of_copies++;
		lookups[s->lookup & 3]++;
		if (is_right(s))
			right++;
		else if (told++ < 8)
			printf("# wrong: %s: lookup %u, leaf %llx\n",
			       copies[copy_of[s->pid] - 1].name, s->lookup,
			       (unsigned long long)s->leaf);
	}
	for (size_t i = 0; i < nr_numbers; i++)
		opened += !numbers[i].error && numbers[i].right_content;
	printf("# short: %d processes, %zu user samples and %zu in the vDSO, %zu right; none %u, done %u, busy %u, unsupported %u; %zu of %zu objects are copies\n",
	       nr * runs, of_copies, vdso, right, lookups[0], lookups[1], lookups[2],
	       lookups[3], opened, nr_numbers);
	verdict(!lost, "short-lived: no record is lost", "%llu are",
		(unsigned long long)lost);
	verdict(of_copies >= (size_t)(nr * runs),
		"short-lived: a user sample of each process, at the least",
		"%zu of %d processes", of_copies, nr * runs);
	verdict(of_copies && right * 100 >= of_copies * 99,
		"short-lived: 99 in 100 user samples have the right object",
		"%zu of %zu", right, of_copies);
	verdict(opened == (size_t)nr,
		"short-lived: the very file of each copy could be opened",
		"%zu of %d", opened, nr);
}

static int rings(int nr, int runs)
{
	struct kstrata_setup setup = setup_of(999, 1u << 20);
	int bad;

	seen = calloc(SAMPLES_MAX, sizeof(*seen));
	numbers = calloc(NUMBERS, sizeof(*numbers));
	if (!seen || !numbers)
		die("malloc");
	setup.flags = KSTRATA_SETUP_OBJECTS;
	session_begin(&session, setup);
	if (toggle(session.fd, KSTRATA_IOC_START))
		die("START");
	bad = run_all(nr, runs, note_pid);
	toggle(session.fd, KSTRATA_IOC_STOP);
	drain_all();
	verdict(!bad, "short-lived: every process ends well", "%d do not", bad);
	judge(nr, runs);
	session_end(&session);
	return failed;
}

int main(int argc, char **argv)
{
	int nr, runs;

	page = (size_t)sysconf(_SC_PAGESIZE);
	if (argc == 4 && !strcmp(argv[1], "spin"))
		return spin(argv[2], atoi(argv[3]));
	if (argc < 4 || argc > 5 || (nr = atoi(argv[2])) < 1 || nr > COPIES_MAX ||
	    (runs = atoi(argv[3])) < 1) {
		fprintf(stderr, "usage: short load|rings COPIES RUNS [MS]\n");
		return 2;
	}
	if (argc == 5)
		snprintf(life, sizeof(life), "%s", argv[4]);
	make_copies(nr);
	if (!strcmp(argv[1], "rings"))
		return rings(nr, runs);
	return run_all(nr, runs, NULL) != 0;
}
