// SPDX-License-Identifier: Apache-2.0
/*
 * What include/uapi/kstrata.h says of objects, with real processes. Prints a line
 * "ok NAME" or "not ok NAME # why" for each promise.
 *
 *   objects           all of them
 *   objects spin      a program to sample: burns time for good
 */
#include <pthread.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>

#include "objlog.h"

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

	watch(log, pid, 20, true);
	reap(pid);
	log_stop(log);
	b = burned(log, pid);
#define NAME(text) (snprintf(name, sizeof(name), "%s: %s", what, text), name)
	verdict(b.right >= 20 && !b.wrong,
		NAME("frames are offsets in its file"),
		"of %u samples %u are right, %u wrong", b.samples, b.right,
		b.wrong);
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

/* Layers as containers have them: the file is the top's, whoever has its pages. */
static void test_overlay(void)
{
	struct stat st = { 0 };
	struct log log;
	pid_t pid;

	mkdir(DIR "/layers", 0755);
	mount("layers", DIR "/layers", "tmpfs", 0, NULL);
	mkdir(DIR "/layers/lower", 0755);
	mkdir(DIR "/layers/upper", 0755);
	mkdir(DIR "/layers/work", 0755);
	mkdir(DIR "/layers/top", 0755);
	copy_self(DIR "/layers/lower/program", 0755);
	if (mount("overlay", DIR "/layers/top", "overlay", 0,
		  "lowerdir=" DIR "/layers/lower,upperdir=" DIR
		  "/layers/upper,workdir=" DIR "/layers/work")) {
		printf("# no overlay file system here: %s\n", strerror(errno));
		umount(DIR "/layers");
		return;
	}
	stat(DIR "/layers/top/program", &st);
	log_begin(&log, 0);
	pid = run(DIR "/layers/top/program");
	check_program(&log, pid, "program on an overlay",
		      DIR "/layers/top/program", &st);
	log_end(&log);
	umount(DIR "/layers/top");
	umount(DIR "/layers");
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
	watch(&log, pid, 200, false);
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

/* In exec() a process has, for a while, a new memory and old registers. */
static void test_exec(void)
{
	unsigned int between = 0, astray = 0, fine = 0;
	struct log log;
	pid_t pid;

	log_begin(&log, 0);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execl("/bin/sh", "sh", "-c",
		      "while :; do /busybox/busybox true; done", NULL);
		_exit(127);
	}
	watch(&log, pid, 200, false);
	reap(pid);
	log_stop(&log);
	for (size_t i = 0; i < log.nr_seen; i++) {
		const struct seen *s = &log.seen[i];

		if (!s->pid || s->kthread)
			continue;
		between += !s->nr;
		fine += id_of(s->frames[0]) != 0;
		astray += s->nr && s->frames[0] >> 61 == 2;
	}
	/* Its last steps, with all in place but the registers, are few. */
	verdict(between && fine && astray <= between / 10,
		"exec(): no frames between the old program and the new",
		"%u samples without, %u with, %u astray", between, fine,
		astray);
	log_end(&log);
}

#ifdef __x86_64__
/* Most of its system calls' samples are from within the kernel. */
static void test_vdso32(void)
{
	unsigned int vdso = 0, own = 0, wrong = 0, before;
	uint64_t ready = UINT64_MAX;
	struct kstrata_object_get g;
	struct log log;
	pid_t pid;
	int r;

	log_begin(&log, 0);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execl("/usr/bin/spin32", "spin32", "vdso", NULL);
		_exit(127);
	}
	watch(&log, pid, 100, false);
	reap(pid);
	log_stop(&log);
	for (size_t i = 0; i < log.nr_seen; i++) {
		const struct seen *s = &log.seen[i];

		if (s->pid != (uint32_t)pid || !s->nr ||
		    s->lookup != KSTRATA_LOOKUP_DONE)
			continue;
		before = vdso + own;
		for (int k = 0; k < s->nr; k++) {
			uint32_t id = id_of(s->frames[k]);
			const struct met *m = meaning(&log, id, s->time);

			vdso += id == KSTRATA_OBJECT_VDSO32 &&
				offset_of(s->frames[k]) < 1 << 16;
			own += m && !strcmp(m->path, "/usr/bin/spin32");
		}
		if (vdso + own != before && s->time < ready)
			ready = s->time;
	}
	/*
	 * Its callers may be nowhere: the vDSO uses the frame pointer. So may the
	 * last steps of exec(), see there.
	 */
	for (size_t i = 0; i < log.nr_seen; i++) {
		const struct seen *s = &log.seen[i];

		wrong += s->pid == (uint32_t)pid && s->nr &&
			 s->lookup == KSTRATA_LOOKUP_DONE && s->time > ready &&
			 s->frames[0] >> 61 == 2;
	}
	verdict(vdso && own && !wrong,
		"the 32-bit vDSO: frames are offsets in its image",
		"%u, %u of the program, %u nowhere", vdso, own, wrong);
	r = get(log.s.fd, KSTRATA_OBJECT_VDSO32, KSTRATA_OBJECT_GET_NO_FD,
		NULL, 0, &g);
	verdict(!r && g.kind == KSTRATA_OBJECT_VDSO32,
		"the 32-bit vDSO has a number of its own", "%s",
		r ? strerror(errno) : "success");
	log_end(&log);
}
#endif

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
	watch(&log, pid, 20, false);
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
	watch(&log, pid, 100, false);
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

/* Kernels where whoever else changes mappings is in nobody's way. */
static bool locks_mappings(void)
{
	unsigned int major = 0, minor = 0;
	struct utsname u;

	uname(&u);
	sscanf(u.release, "%u.%u", &major, &minor);
	return major == 6 && minor >= 12 && minor < 15;
}

static void test_storm(void)
{
	unsigned int busy = 0, wrong = 0, right = 0, raw = 0;
	uint64_t from, until, counted = 0, full = 0;
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
	watch(&log, pid, 500, false);
	reap(pid);
	log_stop(&log);
	for (uint32_t cpu = 0; cpu < log.s.nr_cpus; cpu++) {
		counted += log.s.producer[cpu]->raw_busy;
		full += log.s.producer[cpu]->raw_full;
	}
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
		/* The program is where it always was. */
		raw += leaf >= a && leaf < b;
		wrong += (leaf & KSTRATA_FRAME_KIND) == KSTRATA_FRAME_NOWHERE;
		right += id_of(leaf) && offset_of(leaf) >= from &&
			 offset_of(leaf) < until;
	}
	verdict(busy == counted && !busy == locks_mappings(),
		"mappings that change: BUSY samples are counted",
		"%u samples, counted %llu", busy, (unsigned long long)counted);
	verdict(right && !wrong && raw <= full,
		"mappings that change: nothing is wrong",
		"%u right, %u wrong, %u raw, counted %llu", right, wrong, raw,
		(unsigned long long)full);
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
	watch(&log, pid, 20, false);
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

int main(int argc, char **argv)
{
	page = (size_t)sysconf(_SC_PAGESIZE);
	if (argc == 2 && !strcmp(argv[1], "spin"))
		spin();
	mkdir(DIR, 0755);
	if (!access("/sys/kernel/realtime", F_OK)) {
		test_realtime();
		return failed;
	}
	test_static();
	test_dynamic();
	test_deleted();
	test_namespace();
	test_overlay();
	test_memfd();
	test_no_file();
	test_exec();
#ifdef __x86_64__
	test_vdso32();
#endif
	test_storm();
	return failed;
}
