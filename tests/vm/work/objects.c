// SPDX-License-Identifier: Apache-2.0
/*
 * What include/uapi/kstrata.h says of objects, with real processes. Prints a line
 * "ok NAME" or "not ok NAME # why" for each promise.
 *
 *   objects           all of them
 *   objects spin      a program to sample: burns time for good
 */
#include <elf.h>
#include <limits.h>
#include <link.h>
#include <pthread.h>
#include <sys/auxv.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <linux/capability.h>

#include "session.h"

#define DIR "/tmp/objects"

/* ---- the programs that are sampled -------------------------------------- */

/* All of burn() and nothing else: the linker knows where the section is. */
extern const char __start_burn_text[], __stop_burn_text[];

__attribute__((noinline, section("burn_text"))) static void burn(void)
{
	for (volatile unsigned int i = 0; i < 100000; i++)
		;
}

_Noreturn static void spin(void)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;)
		burn();
}

/*
 * The smallest program: an ELF header, one segment, code that counts down and
 * exits. pad makes files differ.
 */
static bool write_tiny(const char *path, uint32_t rounds)
{
	struct {
		Elf64_Ehdr e;
		Elf64_Phdr p;
		uint8_t code[32];
	} f = {
		.e = {
			.e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3,
				     ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
			.e_type = ET_EXEC,
			.e_version = EV_CURRENT,
			.e_entry = 0x400000 + sizeof(f.e) + sizeof(f.p),
			.e_phoff = sizeof(f.e),
			.e_ehsize = sizeof(f.e),
			.e_phentsize = sizeof(f.p),
			.e_phnum = 1,
		},
		.p = {
			.p_type = PT_LOAD,
			.p_flags = PF_R | PF_X,
			.p_vaddr = 0x400000,
			.p_paddr = 0x400000,
			.p_filesz = sizeof(f),
			.p_memsz = sizeof(f),
			.p_align = 0x1000,
		},
	};
	int fd;
	bool ok;

#if defined(__x86_64__)
	/* mov $rounds,%ecx; 1: dec %ecx; jnz 1b; mov $60,%eax; syscall */
	static const uint8_t code[] = { 0xb9, 0, 0, 0, 0, 0xff, 0xc9, 0x75, 0xfc,
					0xb8, 60, 0, 0, 0, 0x0f, 0x05 };

	memcpy(f.code, code, sizeof(code));
	memcpy(f.code + 1, &rounds, 4);
	f.e.e_machine = EM_X86_64;
#elif defined(__aarch64__)
	/* mov w1,lo; movk w1,hi,lsl 16; 1: subs w1,w1,1; b.ne 1b; exit(0) */
	const uint32_t code[] = { 0x52800001 | (rounds & 0xffff) << 5,
				  0x72a00001 | (rounds >> 16) << 5,
				  0x71000421, 0x54ffffe1, 0x52800000,
				  0xd2800ba8, 0xd4000001 };

	memcpy(f.code, code, sizeof(code));
	f.e.e_machine = EM_AARCH64;
#endif
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
	ok = fd >= 0 && write(fd, &f, sizeof(f)) == sizeof(f);
	close(fd);
	return ok;
}

/* A copy of this program. */
static void copy_self(const char *path, mode_t mode)
{
	int in = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	int out = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
	static char buf[1 << 16];
	ssize_t n;

	while ((n = read(in, buf, sizeof(buf))) > 0)
		if (write(out, buf, (size_t)n) != n)
			n = -1;
	if (in < 0 || out < 0 || n < 0 || fchmod(out, mode)) {
		perror(path);
		exit(1);
	}
	close(in);
	close(out);
}

static pid_t run(const char *path)
{
	pid_t pid = fork();

	if (pid == 0) {
		execl(path, path, "spin", NULL);
		_exit(127);
	}
	return pid;
}

/* ---- what the rings say ------------------------------------------------- */

#define FRAMES 8

struct seen {
	uint64_t time;
	uint32_t pid;
	uint8_t lookup;
	uint8_t nr;		/* of the first user frames */
	bool user;
	uint64_t frames[FRAMES];
};

struct met {
	uint64_t time;
	uint64_t ino;
	uint32_t id;
	uint32_t generation;
	uint32_t dev_major;
	uint32_t dev_minor;
	bool gone;
	char path[KSTRATA_OBJECT_PATH_MAX];
};

struct log {
	struct session s;
	struct seen *seen;
	size_t nr_seen;
	struct met *met;
	size_t nr_met;
	bool unsound;
};

static void *grown(void *p, size_t nr, size_t size)
{
	/* In steps of powers of two. */
	if (nr & (nr - 1))
		return p;
	p = realloc(p, (nr ? 2 * nr : 1) * size);
	if (!p)
		exit(1);
	return p;
}

static void note_object(struct log *log, const struct kstrata_object *o)
{
	const char *path = (const char *)o + o->path_offset;
	struct met *m;

	log->met = grown(log->met, log->nr_met, sizeof(*m));
	m = &log->met[log->nr_met++];
	*m = (struct met){
		.time = o->hdr.time,
		.ino = o->ino,
		.id = o->id,
		.generation = o->generation,
		.dev_major = o->dev_major,
		.dev_minor = o->dev_minor,
		.gone = o->hdr.flags & KSTRATA_OBJECT_GONE,
	};
	if (m->gone)
		return;
	if (o->kind != KSTRATA_OBJECT_FILE ||
	    o->path_bytes < 1 || o->path_bytes > sizeof(m->path) ||
	    o->path_offset < sizeof(*o) ||
	    (uint32_t)o->path_offset + o->path_bytes > o->hdr.size ||
	    memchr(path, 0, o->path_bytes) != path + o->path_bytes - 1)
		log->unsound = true;
	else
		memcpy(m->path, path, o->path_bytes);
}

static void note(const struct kstrata_record *r, void *userdata)
{
	const struct kstrata_sample *sample = (const void *)r;
	struct log *log = userdata;
	struct seen *seen;

	if (r->type == KSTRATA_RECORD_OBJECT)
		note_object(log, (const void *)r);
	if (r->type != KSTRATA_RECORD_SAMPLE)
		return;
	log->seen = grown(log->seen, log->nr_seen, sizeof(*seen));
	seen = &log->seen[log->nr_seen++];
	*seen = (struct seen){
		.time = r->time,
		.pid = sample->pid,
		.lookup = sample->lookup,
		.user = r->flags & KSTRATA_SAMPLE_USER,
		.nr = sample->nr_user < FRAMES ? sample->nr_user : FRAMES,
	};
	memcpy(seen->frames,
	       (const char *)r + sample->frames_offset + 8 * sample->nr_kernel,
	       seen->nr * 8u);
}

static void drain_all(struct log *log)
{
	for (uint32_t cpu = 0; cpu < log->s.nr_cpus; cpu++)
		if (log->s.producer[cpu] &&
		    !drain(&log->s, cpu, note, log))
			log->unsound = true;
}

static void nap_ms(int ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000L };

	nanosleep(&ts, NULL);
}

static void log_begin(struct log *log, uint32_t objects)
{
	struct kstrata_setup setup = setup_of(997, 1u << 20);

	memset(log, 0, sizeof(*log));
	setup.flags = KSTRATA_SETUP_OBJECTS;
	setup.objects = objects;
	session_begin(&log->s, setup);
	toggle(log->s.fd, KSTRATA_IOC_START);
}

/* So many samples of pid in user code, or ten seconds. */
static void watch(struct log *log, pid_t pid, unsigned int samples)
{
	for (int i = 0; i < 500; i++) {
		unsigned int n = 0;

		nap_ms(20);
		drain_all(log);
		for (size_t k = 0; k < log->nr_seen; k++)
			n += log->seen[k].pid == (uint32_t)pid &&
			     log->seen[k].user;
		if (n >= samples)
			break;
	}
}

static void log_stop(struct log *log)
{
	toggle(log->s.fd, KSTRATA_IOC_STOP);
	drain_all(log);
	verdict(!log->unsound, "OBJECT records are sound", "one is not");
}

static void log_end(struct log *log)
{
	session_end(&log->s);
	free(log->seen);
	free(log->met);
}

static uint32_t id_of(uint64_t frame)
{
	return frame & KSTRATA_FRAME_OBJECT ?
		       (frame & ~KSTRATA_FRAME_OBJECT) >>
			       KSTRATA_FRAME_OFFSET_BITS :
		       0;
}

static uint64_t offset_of(uint64_t frame)
{
	return frame & ((UINT64_C(1) << KSTRATA_FRAME_OFFSET_BITS) - 1);
}

/* Which object had this number when the sample was made? NULL: none is known. */
static const struct met *meaning(const struct log *log, uint32_t id,
				 uint64_t time)
{
	const struct met *best = NULL;
	uint64_t from = 0, until = UINT64_MAX;

	/* Numbers begin anew after each GONE, so those bound the time. */
	for (size_t i = 0; i < log->nr_met; i++) {
		const struct met *m = &log->met[i];

		if (m->id != id || !m->gone)
			continue;
		if (m->time < time && m->time > from)
			from = m->time;
		if (m->time >= time && m->time < until)
			until = m->time;
	}
	for (size_t i = 0; i < log->nr_met; i++) {
		const struct met *m = &log->met[i];

		if (m->id == id && !m->gone && m->time > from &&
		    m->time <= until)
			best = m;
	}
	return best;
}

/* ---- the ioctl ----------------------------------------------------------- */

static int get(int fd, uint32_t id, uint32_t flags, char *path, uint32_t room,
	       struct kstrata_object_get *g)
{
	*g = (struct kstrata_object_get){
		.size = sizeof(*g),
		.flags = flags,
		.id = id,
		.path = (uint64_t)(uintptr_t)path,
		.path_bytes = room,
	};
	return ioctl(fd, KSTRATA_IOC_OBJECT, g);
}

/* The lowest descriptor that is free: the same as before means no leak. */
static int lowest(void)
{
	int fd = dup(0);

	close(fd);
	return fd;
}

static bool same_content(int fd)
{
	int self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	static char a[1 << 16], b[1 << 16];
	ssize_t n, m;
	bool same = true;

	for (off_t at = 0; same; at += n) {
		n = pread(self, a, sizeof(a), at);
		m = pread(fd, b, sizeof(b), at);
		same = n == m && n >= 0 && !memcmp(a, b, (size_t)n);
		if (n <= 0)
			break;
	}
	close(self);
	return same;
}

/* ---- promises ------------------------------------------------------------ */

/* Where burn() is in the file of this program, by its program headers. */
static void burn_range(uint64_t *from, uint64_t *until)
{
	const ElfW(Phdr) *p = (const void *)getauxval(AT_PHDR);
	unsigned long n = getauxval(AT_PHNUM);
	uint64_t a = (uint64_t)(uintptr_t)__start_burn_text;

	for (; n; n--, p++)
		if (p->p_type == PT_LOAD && a >= p->p_vaddr &&
		    a < p->p_vaddr + p->p_memsz) {
			*from = a - p->p_vaddr + p->p_offset;
			*until = *from + (uint64_t)(__stop_burn_text -
						    __start_burn_text);
			return;
		}
	*from = *until = 0;
}

struct burned {
	unsigned int samples;	/* of the process, in user code, looked up */
	unsigned int right;	/* whose leaf is burn() of the file */
	uint32_t id;
	const struct met *met;
};

static struct burned burned(const struct log *log, pid_t pid)
{
	struct burned b = { 0 };
	uint64_t from, until;

	burn_range(&from, &until);
	for (size_t i = 0; i < log->nr_seen; i++) {
		const struct seen *s = &log->seen[i];
		uint64_t leaf = s->frames[0];

		if (s->pid != (uint32_t)pid || !s->user ||
		    s->lookup != KSTRATA_LOOKUP_DONE || !s->nr)
			continue;
		b.samples++;
		if (!id_of(leaf) || offset_of(leaf) < from ||
		    offset_of(leaf) >= until)
			continue;
		if (!b.id)
			b.id = id_of(leaf);
		b.right += id_of(leaf) == b.id;
		b.met = meaning(log, b.id, s->time);
	}
	return b;
}

/*
 * A running copy of this program, known by its number: everything about it is
 * right, and the ioctl opens it though the process is dead.
 */
static void check_program(struct log *log, pid_t pid, const char *what,
			  const char *path, const struct stat *st)
{
	struct kstrata_object_get g;
	char name[128], got[PATH_MAX] = "";
	struct burned b;
	struct stat fst = { 0 };
	int r;

	watch(log, pid, 20);
	reap(pid);
	log_stop(log);
	b = burned(log, pid);
#define NAME(text) (snprintf(name, sizeof(name), "%s: %s", what, text), name)
	/* Startup is sampled as well: most, not all, are in burn(). */
	verdict(b.samples >= 20 && b.right * 2 > b.samples,
		NAME("frames are offsets in its file"),
		"%u of %u samples are right", b.right, b.samples);
	verdict(b.met && !strcmp(b.met->path, path),
		NAME("the record has its path"), "%s, not %s",
		b.met ? b.met->path : "no record", path);
	if (st)
		verdict(b.met && b.met->ino == st->st_ino &&
				b.met->dev_major == major(st->st_dev) &&
				b.met->dev_minor == minor(st->st_dev),
			NAME("the record has its device and inode"),
			"inode %llu",
			(unsigned long long)(b.met ? b.met->ino : 0));
	r = get(log->s.fd, b.id, KSTRATA_OBJECT_GET_NO_FD, got, sizeof(got),
		&g);
	/* Its mount namespace has gone with the process: seen from there. */
	if (!st && !strncmp(path, DIR "/ns", sizeof(DIR)))
		path += strlen(DIR "/ns");
	verdict(!r && g.fd == -1 && g.kind == KSTRATA_OBJECT_FILE && b.met &&
			g.ino == b.met->ino &&
			g.generation == b.met->generation &&
			!strcmp(got, path) && g.path_bytes == strlen(path) + 1,
		NAME("the ioctl tells of it"), "%s, %s",
		r ? strerror(errno) : "success", got);
	r = get(log->s.fd, b.id, 0, NULL, 0, &g);
	if (!r)
		fstat(g.fd, &fst);
	verdict(!r && fst.st_ino == g.ino &&
			major(fst.st_dev) == g.dev_major &&
			minor(fst.st_dev) == g.dev_minor &&
			same_content(g.fd),
		NAME("the ioctl opens that very file"), "%s",
		r ? strerror(errno) : "another file");
	verdict(!r && (fcntl(g.fd, F_GETFL) & O_ACCMODE) == O_RDONLY &&
			fcntl(g.fd, F_GETFD) == FD_CLOEXEC &&
			write(g.fd, "x", 1) < 0 && errno == EBADF,
		NAME("the descriptor is read-only and close-on-exec"),
		"flags %x", r ? 0 : fcntl(g.fd, F_GETFL));
	if (!r)
		close(g.fd);
	r = get(log->s.fd, b.id, 0, got, sizeof(got), &g);
	verdict(r < 0 && errno == ENODATA && b.met && g.ino == b.met->ino &&
			g.kind == KSTRATA_OBJECT_FILE && g.fd == -1 &&
			g.path_bytes == 0,
		NAME("opened once, it is held no longer: ENODATA"), "%s",
		r ? strerror(errno) : "success");
#undef NAME
}

static void test_static(void)
{
	struct stat st = { 0 };
	struct log log;
	pid_t pid;

	log_begin(&log, 0);
	copy_self(DIR "/static", 0755);
	stat(DIR "/static", &st);
	pid = run(DIR "/static");
	check_program(&log, pid, "static program", DIR "/static", &st);
	log_end(&log);
}

static void test_deleted(void)
{
	struct stat st = { 0 };
	struct log log;
	pid_t pid;

	copy_self(DIR "/deleted", 0755);
	stat(DIR "/deleted", &st);
	pid = run(DIR "/deleted");
	nap_ms(300);
	unlink(DIR "/deleted");
	log_begin(&log, 0);
	check_program(&log, pid, "deleted program", DIR "/deleted (deleted)",
		      &st);
	log_end(&log);
}

static void test_namespace(void)
{
	struct log log;
	pid_t pid;

	mkdir(DIR "/ns", 0755);
	log_begin(&log, 0);
	pid = fork();
	if (pid == 0) {
		if (unshare(CLONE_NEWNS) ||
		    mount("", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
		    mount("ns", DIR "/ns", "tmpfs", 0, NULL))
			_exit(126);
		copy_self(DIR "/ns/hidden", 0755);
		execl(DIR "/ns/hidden", "hidden", "spin", NULL);
		_exit(127);
	}
	check_program(&log, pid, "program in another mount namespace",
		      DIR "/ns/hidden", NULL);
	log_end(&log);
}

static void test_memfd(void)
{
	struct log log;
	pid_t pid;

	log_begin(&log, 0);
	pid = fork();
	if (pid == 0) {
		char *argv[] = { "nameless", "spin", NULL }, *envp[] = { NULL };
		int fd = (int)syscall(SYS_memfd_create, "nameless", 0), exec;
		char path[64];

		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		copy_self(path, 0755);
		/* ETXTBSY while it is open for writing. */
		exec = open(path, O_RDONLY | O_CLOEXEC);
		close(fd);
		snprintf(path, sizeof(path), "/proc/self/fd/%d", exec);
		execve(path, argv, envp);
		_exit(127);
	}
	check_program(&log, pid, "program in a memfd",
		      "/memfd:nameless (deleted)", NULL);
	log_end(&log);
}

/* Is there an executable mapping in the text of maps that fits the frame? */
static bool in_maps(FILE *maps, const struct met *m, uint64_t offset)
{
	char line[PATH_MAX + 128];

	rewind(maps);
	while (fgets(line, sizeof(line), maps)) {
		unsigned long long start, end, at, ino;
		char prot[8], path[PATH_MAX] = "";
		unsigned int maj, min;

		if (sscanf(line, "%llx-%llx %7s %llx %x:%x %llu %4095[^\n]",
			   &start, &end, prot, &at, &maj, &min, &ino,
			   path) < 7)
			continue;
		if (prot[2] == 'x' && ino == m->ino && maj == m->dev_major &&
		    min == m->dev_minor && !strcmp(path, m->path) &&
		    offset >= at && offset <= at + end - start)
			return true;
	}
	return false;
}

static void test_dynamic(void)
{
	unsigned int frames = 0, right = 0, libc = 0, other = 0;
	char path[64], buf[4096];
	struct log log;
	FILE *maps, *copy = tmpfile();
	size_t n;
	pid_t pid;

	log_begin(&log, 0);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execl("/bin/sh", "sh", "-c",
		      "x=1; while :; do x=$((x + 1)); eval \"y=$x\"; done",
		      NULL);
		_exit(127);
	}
	watch(&log, pid, 200);
	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	maps = fopen(path, "r");
	while ((n = fread(buf, 1, sizeof(buf), maps)) > 0)
		fwrite(buf, 1, n, copy);
	fclose(maps);
	reap(pid);
	log_stop(&log);
	for (size_t i = 0; i < log.nr_seen; i++) {
		const struct seen *s = &log.seen[i];

		if (s->pid != (uint32_t)pid ||
		    s->lookup != KSTRATA_LOOKUP_DONE)
			continue;
		for (int k = 0; k < s->nr; k++) {
			uint32_t id = id_of(s->frames[k]);
			const struct met *m;

			/* Before the exec it ran this program. */
			if (id < KSTRATA_OBJECT_ID_FIRST)
				continue;
			m = meaning(&log, id, s->time);
			if (m && strstr(m->path, "/objects"))
				continue;
			frames++;
			if (!m || !in_maps(copy, m, offset_of(s->frames[k])))
				continue;
			right++;
			libc += strstr(m->path, "/libc.so") != NULL;
			other += strstr(m->path, "/sh") != NULL;
		}
	}
	verdict(frames >= 100 && right == frames,
		"dynamic program: every object frame is in /proc/PID/maps",
		"%u of %u", right, frames);
	verdict(libc && other,
		"dynamic program: both its own file and a library",
		"%u in libc, %u in the program", libc, other);
	fclose(copy);
	log_end(&log);
}

struct kinds {
	unsigned int anon;
	unsigned int vdso;
	unsigned int samples;
};

static struct kinds kinds(const struct log *log, pid_t pid, uint64_t from,
			  uint64_t bytes)
{
	struct kinds k = { 0 };

	for (size_t i = 0; i < log->nr_seen; i++) {
		const struct seen *s = &log->seen[i];
		uint64_t leaf = s->frames[0];

		if (s->pid != (uint32_t)pid || !s->user || !s->nr ||
		    s->lookup != KSTRATA_LOOKUP_DONE)
			continue;
		k.samples++;
		k.anon += (leaf & (KSTRATA_FRAME_OBJECT |
				   KSTRATA_FRAME_KIND)) == KSTRATA_FRAME_ANON &&
			  (leaf & ~KSTRATA_FRAME_KIND) - from < bytes;
		k.vdso += id_of(leaf) == KSTRATA_OBJECT_VDSO &&
			  offset_of(leaf) < 1 << 16;
	}
	return k;
}

static void test_no_file(void)
{
#if defined(__x86_64__)
	static const uint8_t forever[] = { 0xeb, 0xfe };
#else
	static const uint32_t forever[] = { 0x14000000 };
#endif
	struct kstrata_object_get g;
	struct kinds k;
	struct log log;
	pid_t pid;
	void *code;
	int r;

	code = mmap(NULL, page, PROT_READ | PROT_WRITE | PROT_EXEC,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memcpy(code, forever, sizeof(forever));
	__builtin___clear_cache(code, (char *)code + sizeof(forever));
	log_begin(&log, 0);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		((void (*)(void))code)();
	}
	watch(&log, pid, 20);
	reap(pid);
	k = kinds(&log, pid, (uint64_t)(uintptr_t)code, page);
	verdict(k.samples >= 20 && k.anon * 2 > k.samples && !k.vdso,
		"anonymous executable memory: frames say so",
		"%u of %u samples", k.anon, k.samples);

	pid = fork();
	if (pid == 0) {
		struct timespec ts;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			clock_gettime(CLOCK_MONOTONIC, &ts);
	}
	watch(&log, pid, 100);
	reap(pid);
	log_stop(&log);
	k = kinds(&log, pid, (uint64_t)(uintptr_t)code, page);
	verdict(k.vdso && !k.anon, "the vDSO: frames are offsets in its image",
		"%u of %u samples, %u anonymous", k.vdso, k.samples, k.anon);
	r = get(log.s.fd, KSTRATA_OBJECT_VDSO, KSTRATA_OBJECT_GET_NO_FD, NULL,
		0, &g);
	verdict(!r && g.kind == KSTRATA_OBJECT_VDSO && g.fd == -1,
		"the vDSO has a number and no file", "%s",
		r ? strerror(errno) : "success");
	expect("the vDSO cannot be opened: ENODATA",
	       get(log.s.fd, KSTRATA_OBJECT_VDSO, 0, NULL, 0, &g), ENODATA);
	log_end(&log);
	munmap(code, page);
}

_Noreturn static void *map_storm(void *userdata)
{
	(void)userdata;
	for (;;) {
		void *p = mmap(NULL, 16 * page, PROT_READ, MAP_PRIVATE |
			       MAP_ANONYMOUS, -1, 0);

		mprotect(p, page, PROT_READ | PROT_WRITE);
		munmap(p, 16 * page);
	}
}

static void test_storm(void)
{
	unsigned int busy = 0, wrong = 0, right = 0;
	uint64_t from, until, counted = 0;
	struct log log;
	pid_t pid;

	burn_range(&from, &until);
	log_begin(&log, 0);
	pid = fork();
	if (pid == 0) {
		pthread_t t;

		pthread_create(&t, NULL, map_storm, NULL);
		spin();
	}
	watch(&log, pid, 500);
	reap(pid);
	log_stop(&log);
	for (uint32_t cpu = 0; cpu < log.s.nr_cpus; cpu++)
		counted += log.s.producer[cpu]->raw_busy;
	for (size_t i = 0; i < log.nr_seen; i++) {
		const struct seen *s = &log.seen[i];
		uint64_t leaf = s->nr ? s->frames[0] : 0;
		uint64_t a = (uint64_t)(uintptr_t)__start_burn_text;
		uint64_t b = (uint64_t)(uintptr_t)__stop_burn_text;

		if (s->lookup == KSTRATA_LOOKUP_BUSY) {
			busy++;
			for (int k = 0; k < s->nr; k++)
				wrong += s->frames[k] >> 61 != 0;
		}
		if (s->pid != (uint32_t)pid ||
		    s->lookup != KSTRATA_LOOKUP_DONE)
			continue;
		/* The program is where it always was: never a raw address. */
		wrong += leaf >= a && leaf < b;
		wrong += (leaf & KSTRATA_FRAME_KIND) == KSTRATA_FRAME_NOWHERE;
		right += id_of(leaf) && offset_of(leaf) >= from &&
			 offset_of(leaf) < until;
	}
	verdict(busy && busy == counted,
		"mappings that change: BUSY samples are counted",
		"%u samples, counted %llu", busy, (unsigned long long)counted);
	verdict(right && !wrong, "mappings that change: nothing is wrong",
		"%u right, %u wrong", right, wrong);
	log_end(&log);
}

/* mmap_lock sleeps there: every frame is as the walk has found it. */
static void test_realtime(void)
{
	uint64_t a = (uint64_t)(uintptr_t)__start_burn_text;
	uint64_t b = (uint64_t)(uintptr_t)__stop_burn_text;
	unsigned int samples = 0, right = 0;
	struct log log;
	pid_t pid = fork();

	if (pid == 0)
		spin();
	log_begin(&log, 0);
	watch(&log, pid, 20);
	reap(pid);
	log_stop(&log);
	for (size_t i = 0; i < log.nr_seen; i++) {
		const struct seen *s = &log.seen[i];

		if (s->pid != (uint32_t)pid || !s->user || !s->nr)
			continue;
		samples++;
		right += s->lookup == KSTRATA_LOOKUP_UNSUPPORTED &&
			 s->frames[0] >= a && s->frames[0] < b;
	}
	verdict(samples && right == samples && !log.nr_met,
		"PREEMPT_RT: raw frames, and why", "%u of %u samples", right,
		samples);
	log_end(&log);
}

/* ---- more objects than there is room for --------------------------------- */

#define COPIES	500
#define TABLE	64

static void test_eviction(void)
{
	static pid_t pids[COPIES];
	unsigned int right = 0, wrong = 0, raw = 0, gone = 0, live = 0, most = 0;
	uint64_t counted = 0;
	struct log log;
	char path[64];

	log_begin(&log, TABLE);
	for (int i = 0; i < COPIES; i++) {
		snprintf(path, sizeof(path), DIR "/tiny-%d", i);
		if (!write_tiny(path, 3000000))
			break;
		pids[i] = run(path);
		waitpid(pids[i], NULL, 0);
		unlink(path);
		drain_all(&log);
	}
	log_stop(&log);
	for (size_t i = 0; i < log.nr_met; i++) {
		gone += log.met[i].gone;
		live += log.met[i].gone ? -1u : 1;
		if (live > most)
			most = live;
	}
	for (size_t i = 0; i < log.nr_seen; i++) {
		const struct seen *s = &log.seen[i];
		const struct met *m;
		int n;

		for (n = 0; n < COPIES; n++)
			if (pids[n] == (pid_t)s->pid)
				break;
		/* One frame: the little program's own. */
		if (n == COPIES || !s->user || s->nr != 1 ||
		    s->lookup != KSTRATA_LOOKUP_DONE)
			continue;
		if (!id_of(s->frames[0])) {
			raw += s->frames[0] >> 61 == 0;
			continue;
		}
		snprintf(path, sizeof(path), DIR "/tiny-%d", n);
		m = meaning(&log, id_of(s->frames[0]), s->time);
		/* Not yet the little program. */
		if (m && strstr(m->path, "/bin/objects"))
			continue;
		if (m && !strncmp(m->path, path, strlen(path)) &&
		    strchr("( ", m->path[strlen(path)]) &&
		    offset_of(s->frames[0]) >= 120 &&
		    offset_of(s->frames[0]) < 152) {
			right++;
		} else {
			wrong++;
			printf("# %s: object %u is %s\n", path,
			       id_of(s->frames[0]), m ? m->path : "unknown");
		}
	}
	for (uint32_t cpu = 0; cpu < log.s.nr_cpus; cpu++)
		counted += log.s.producer[cpu]->raw_full;
	printf("# %d programs, %d objects: %u samples right, %u raw, %u GONE, at most %u known\n",
	       COPIES, TABLE, right, raw, gone, most);
	verdict(gone > COPIES / 2, "a full table makes room and says so",
		"%u GONE records", gone);
	verdict(most <= TABLE, "no more objects are known than asked for",
		"%u", most);
	verdict(right > COPIES && !wrong,
		"numbers that come again are told apart",
		"%u samples right, %u wrong", right, wrong);
	verdict(raw <= counted, "frames left raw are counted",
		"%u, counted %llu", raw, (unsigned long long)counted);
	log_end(&log);
}

/* ---- files held ----------------------------------------------------------- */

static void test_hold(void)
{
	struct log log;
	pid_t pid;
	int64_t since;
	int r;

	mkdir(DIR "/hold", 0755);
	mount("hold", DIR "/hold", "tmpfs", 0, NULL);
	copy_self(DIR "/hold/held", 0755);
	log_begin(&log, 0);
	pid = run(DIR "/hold/held");
	watch(&log, pid, 20);
	reap(pid);
	since = now_ns();
	r = umount(DIR "/hold");
	verdict(r < 0 && errno == EBUSY, "an object's file is held",
		"umount: %s", r ? strerror(errno) : "success");
	/* A limit for the test, far beyond the promise. */
	while (r && now_ns() - since < INT64_C(60000000000)) {
		nap_ms(200);
		drain_all(&log);
		r = umount(DIR "/hold");
	}
	verdict(!r, "it is let go when nobody opens it", "umount: %s",
		strerror(errno));
	verdict(now_ns() - since >=
			(int64_t)KSTRATA_OBJECT_HOLD_NS - INT64_C(1000000000),
		"and not before its time", "after %lld ms",
		(long long)(now_ns() - since) / 1000000);
	log_stop(&log);
	log_end(&log);
}

/* ---- errors ---------------------------------------------------------------- */

static void test_errors_without_objects(void)
{
	struct kstrata_setup setup = setup_of(99, 0);
	struct kstrata_object_get g;
	int fd = device();

	expect("OBJECT before SETUP: EINVAL",
	       get(fd, KSTRATA_OBJECT_VDSO, KSTRATA_OBJECT_GET_NO_FD, NULL, 0,
		   &g),
	       EINVAL);
	setup.flags = KSTRATA_SETUP_OBJECTS;
	setup.objects = KSTRATA_OBJECTS_MIN - 1;
	expect("SETUP with too few objects: EINVAL",
	       ioctl(fd, KSTRATA_IOC_SETUP, &setup), EINVAL);
	setup.objects = KSTRATA_OBJECTS_MAX + 1;
	expect("SETUP with too many objects: EINVAL",
	       ioctl(fd, KSTRATA_IOC_SETUP, &setup), EINVAL);
	setup.flags = 0;
	setup.objects = 64;
	expect("SETUP with a number of objects and none wanted: EINVAL",
	       ioctl(fd, KSTRATA_IOC_SETUP, &setup), EINVAL);
	setup.flags = KSTRATA_SETUP_OBJECTS;
	setup.objects = 65;
	expect("SETUP with objects", ioctl(fd, KSTRATA_IOC_SETUP, &setup), 0);
	verdict(setup.objects == 128, "SETUP rounds the number of objects up",
		"to %u", setup.objects);
	expect("OBJECT 0: ENOENT", get(fd, 0, 0, NULL, 0, &g), ENOENT);
	expect("OBJECT of a number not in use: ENOENT",
	       get(fd, 1000, 0, NULL, 0, &g), ENOENT);
	expect("OBJECT of a number beyond all: ENOENT",
	       get(fd, UINT32_MAX, 0, NULL, 0, &g), ENOENT);
	close(fd);
}

static void test_errors(void)
{
	struct kstrata_object_get g, *unmapped = (void *)8;
	struct rlimit limit, none;
	struct log log;
	struct burned b;
	char path[8];
	pid_t pid;
	int fd, free_fd, r;

	log_begin(&log, 0);
	copy_self(DIR "/errors", 0755);
	pid = run(DIR "/errors");
	watch(&log, pid, 20);
	reap(pid);
	log_stop(&log);
	b = burned(&log, pid);
	fd = log.s.fd;
	free_fd = lowest();
	expect("OBJECT with an unknown flag: EINVAL",
	       get(fd, b.id, 2, NULL, 0, &g), EINVAL);
	g = (struct kstrata_object_get){
		.size = sizeof(g), .id = b.id, .reserved = 1,
	};
	expect("OBJECT with a reserved word: EINVAL",
	       ioctl(fd, KSTRATA_IOC_OBJECT, &g), EINVAL);
	expect("OBJECT at no address: EFAULT",
	       ioctl(fd, KSTRATA_IOC_OBJECT, unmapped), EFAULT);
	expect("OBJECT with a path at no address: EFAULT",
	       get(fd, b.id, 0, (char *)unmapped, 64, &g), EFAULT);
	/* Readable, so that all is done before it cannot be written. */
	g = (struct kstrata_object_get){ .size = sizeof(g), .id = b.id };
	{
		void *p = mmap(NULL, page, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		memcpy(p, &g, sizeof(g));
		mprotect(p, page, PROT_READ);
		expect("OBJECT into read-only memory: EFAULT",
		       ioctl(fd, KSTRATA_IOC_OBJECT, p), EFAULT);
		munmap(p, page);
	}
	getrlimit(RLIMIT_NOFILE, &limit);
	none = limit;
	none.rlim_cur = (rlim_t)free_fd;
	setrlimit(RLIMIT_NOFILE, &none);
	r = get(fd, b.id, 0, NULL, 0, &g);
	setrlimit(RLIMIT_NOFILE, &limit);
	expect("OBJECT without a descriptor left: EMFILE", r, EMFILE);
	verdict(lowest() == free_fd, "no error leaves a descriptor behind",
		"%d, not %d", lowest(), free_fd);
	memset(path, 'x', sizeof(path));
	r = get(fd, b.id, 0, path, sizeof(path), &g);
	verdict(!r && !memcmp(path, "/errors", sizeof(path)) &&
			g.path_bytes == sizeof(DIR "/errors"),
		"after them it opens all the same; a long path is cut",
		"%s, %.8s, takes %u", r ? strerror(errno) : "success", path,
		g.path_bytes);
	if (!r)
		close(g.fd);
	log_end(&log);
}

/* Only CAP_PERFMON, and nobody. */
static bool drop_rights(void)
{
	struct __user_cap_header_struct h = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct d[2] = { 0 };

	d[1].permitted = d[1].effective = 1u << (CAP_PERFMON - 32);
	return !prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) &&
	       !setresgid(65534, 65534, 65534) &&
	       !setresuid(65534, 65534, 65534) && !syscall(SYS_capset, &h, d);
}

static void test_access(void)
{
	struct kstrata_object_get g;
	struct log log;
	struct burned b;
	pid_t pid, opener;
	int status = -1;

	copy_self(DIR "/secret", 0711);
	chmod(KSTRATA_DEVICE, 0666);
	opener = fork();
	if (opener == 0) {
		failed = 0;
		if (!drop_rights())
			_exit(126);
		log_begin(&log, 0);
		pid = run(DIR "/secret");
		watch(&log, pid, 20);
		reap(pid);
		log_stop(&log);
		b = burned(&log, pid);
		expect("an opener who may not read the file: EACCES",
		       get(log.s.fd, b.id, 0, NULL, 0, &g), EACCES);
		verdict(g.fd == -1 && b.met && g.ino == b.met->ino,
			"and yet the ioctl tells of it", "inode %llu",
			(unsigned long long)g.ino);
		log_end(&log);
		_exit(failed);
	}
	waitpid(opener, &status, 0);
	chmod(KSTRATA_DEVICE, 0600);
	verdict(status == 0, "an opener without rights", "status %x", status);
}

int main(int argc, char **argv)
{
	page = (size_t)sysconf(_SC_PAGESIZE);
	if (argc == 2 && !strcmp(argv[1], "spin"))
		spin();
	mkdir(DIR, 0755);
	if (!access("/sys/kernel/realtime", F_OK)) {
		test_realtime();
		test_errors_without_objects();
		return failed;
	}
	test_errors_without_objects();
	test_static();
	test_dynamic();
	test_deleted();
	test_namespace();
	test_memfd();
	test_no_file();
	test_storm();
	test_eviction();
	test_hold();
	test_errors();
	test_access();
	return failed;
}
