/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of objects share: programs to sample, what the rings say of them,
 * and the ioctl. main() of a program that includes this must spin() when it is
 * called with "spin".
 */
#ifndef KSTRATA_TESTS_VM_WORK_OBJLOG_H
#define KSTRATA_TESTS_VM_WORK_OBJLOG_H

#include <elf.h>
#include <limits.h>
#include <link.h>
#include <sys/auxv.h>
#include <sys/stat.h>

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

_Noreturn static inline void spin(void)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;)
		burn();
}

/* A copy of this program. */
static inline void copy_self(const char *path, mode_t mode)
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

static inline pid_t run(const char *path)
{
	pid_t pid = fork();

	if (pid == 0) {
		execl(path, path, "spin", NULL);
		_exit(127);
	}
	return pid;
}

/*
 * The smallest program: an ELF header, one segment, code that counts down and
 * exits. pad makes files differ.
 */
static inline bool write_tiny(const char *path, uint32_t rounds)
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

/* ---- what the rings say ------------------------------------------------- */

#define FRAMES 8

struct seen {
	uint64_t time;
	uint32_t pid;
	uint8_t lookup;
	uint8_t nr;		/* of the first user frames */
	uint8_t reason;		/* of the user stack */
	uint8_t walk;
	bool user;
	bool kthread;
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

/* Its rows are asked for again. */
struct wanted {
	uint64_t time;
	uint32_t id;
};

struct log {
	struct session s;
	struct seen *seen;
	size_t nr_seen;
	struct met *met;
	size_t nr_met;
	struct wanted *wanted;
	size_t nr_wanted;
	bool unsound;
};

static inline void *grown(void *p, size_t nr, size_t size)
{
	/* In steps of powers of two. */
	if (nr & (nr - 1))
		return p;
	p = realloc(p, (nr ? 2 * nr : 1) * size);
	if (!p)
		exit(1);
	return p;
}

static inline void note_object(struct log *log, const struct kstrata_object *o)
{
	const char *path = (const char *)o + o->path_offset;
	struct met *m;

	if (o->hdr.flags & KSTRATA_OBJECT_WANTED) {
		log->wanted = grown(log->wanted, log->nr_wanted,
				    sizeof(*log->wanted));
		log->wanted[log->nr_wanted++] = (struct wanted){
			.time = o->hdr.time,
			.id = o->id,
		};
		if (o->hdr.flags != KSTRATA_OBJECT_WANTED ||
		    o->hdr.size != sizeof(*o) || o->path_bytes || o->ino)
			log->unsound = true;
		return;
	}
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

static inline void note(const struct kstrata_record *r, void *userdata)
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
		.reason = sample->user_reason,
		.walk = sample->walk,
		.user = r->flags & KSTRATA_SAMPLE_USER,
		.kthread = r->flags & KSTRATA_SAMPLE_KTHREAD,
		.nr = sample->nr_user < FRAMES ? sample->nr_user : FRAMES,
	};
	memcpy(seen->frames,
	       (const char *)r + sample->frames_offset + 8 * sample->nr_kernel,
	       seen->nr * 8u);
}

static inline void drain_all(struct log *log)
{
	for (uint32_t cpu = 0; cpu < log->s.nr_cpus; cpu++)
		if (log->s.producer[cpu] &&
		    !drain(&log->s, cpu, note, log))
			log->unsound = true;
}

static inline void nap_ms(int ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000L };

	nanosleep(&ts, NULL);
}

static inline void log_begin_with(struct log *log, uint32_t objects,
				  uint32_t rows_kb)
{
	struct kstrata_setup setup = setup_of(997, 1u << 20);

	memset(log, 0, sizeof(*log));
	setup.flags = KSTRATA_SETUP_OBJECTS;
	setup.objects = objects;
	setup.rows_kb = rows_kb;
	session_begin(&log->s, setup);
	toggle(log->s.fd, KSTRATA_IOC_START);
}

static inline void log_begin(struct log *log, uint32_t objects)
{
	log_begin_with(log, objects, 0);
}

static inline uint32_t id_of(uint64_t frame)
{
	return frame & KSTRATA_FRAME_OBJECT ?
		       (frame & ~KSTRATA_FRAME_OBJECT) >>
			       KSTRATA_FRAME_OFFSET_BITS :
		       0;
}

static inline uint64_t offset_of(uint64_t frame)
{
	return frame & ((UINT64_C(1) << KSTRATA_FRAME_OFFSET_BITS) - 1);
}

/* Which object had this number when the sample was made? NULL: none is known. */
static inline const struct met *meaning(const struct log *log, uint32_t id,
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

/* Where burn() is in the file of this program, by its program headers. */
static inline void burn_range(uint64_t *from, uint64_t *until)
{
	const ElfW(Phdr) *p = (const void *)getauxval(AT_PHDR);
	unsigned long n = getauxval(AT_PHNUM);
	uint64_t a = (uint64_t)(uintptr_t)__start_burn_text;

	for (; n; n--, p++)
		if (p->p_type == PT_LOAD && a >= p->p_vaddr &&
		    a < p->p_vaddr + p->p_memsz) {
			*from = a - p->p_vaddr + p->p_offset;
			*until = *from - a +
				 (uint64_t)(uintptr_t)__stop_burn_text;
			return;
		}
	*from = *until = 0;
}

struct burned {
	unsigned int samples;	/* of the process, in user code */
	unsigned int right;	/* whose leaf is burn() of the file */
	unsigned int wrong;	/* ... of another, or in no file */
	uint32_t id;
	const struct met *met;
};

static inline struct burned burned(const struct log *log, pid_t pid)
{
	uint64_t at = (uint64_t)(uintptr_t)__start_burn_text;
	struct burned b = { 0 };
	uint64_t from, until;

	burn_range(&from, &until);
	for (size_t i = 0; i < log->nr_seen; i++) {
		const struct seen *s = &log->seen[i];
		uint64_t leaf = s->frames[0];

		if (s->pid != (uint32_t)pid || !s->user || !s->nr)
			continue;
		b.samples++;
		if (s->lookup != KSTRATA_LOOKUP_DONE)
			continue;
		/* A raw one is not wrong: two CPUs have met it at once. */
		if (!id_of(leaf)) {
			b.wrong += leaf & KSTRATA_FRAME_KIND &&
				   (leaf & ~KSTRATA_FRAME_KIND) - at <
					   until - from;
			continue;
		}
		if (offset_of(leaf) < from || offset_of(leaf) >= until)
			continue;
		if (!b.id)
			b.id = id_of(leaf);
		b.right += id_of(leaf) == b.id;
		b.wrong += id_of(leaf) != b.id;
		b.met = meaning(log, b.id, s->time);
	}
	return b;
}

/*
 * Until there are so many samples of pid in user code, of burn() if it burns; or
 * for a minute, which the slowest of kernels does not need.
 */
static inline void watch(struct log *log, pid_t pid, unsigned int samples,
			 bool burns)
{
	for (int i = 0; i < 3000; i++) {
		struct burned b;

		nap_ms(20);
		drain_all(log);
		b = burned(log, pid);
		if ((burns ? b.right : b.samples) >= samples)
			break;
	}
}

static inline void log_stop(struct log *log)
{
	toggle(log->s.fd, KSTRATA_IOC_STOP);
	drain_all(log);
	verdict(!log->unsound, "OBJECT records are sound", "one is not");
}

static inline void log_end(struct log *log)
{
	session_end(&log->s);
	free(log->seen);
	free(log->met);
	free(log->wanted);
}

/* ---- the ioctl ----------------------------------------------------------- */

static inline int get(int fd, uint32_t id, uint32_t flags, char *path, uint32_t room,
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
static inline int lowest(void)
{
	int fd = dup(0);

	close(fd);
	return fd;
}

static inline bool same_content(int fd)
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

#endif
