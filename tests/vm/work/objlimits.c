// SPDX-License-Identifier: Apache-2.0
/*
 * The bounds of objects: how many are known, for how long their files are held,
 * what the ioctl refuses. Prints a line "ok NAME" or "not ok NAME # why" for each
 * promise.
 *
 *   objlimits         all of them
 *   objlimits spin    a program to sample: burns time for good
 */
#include <linux/capability.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "objlog.h"

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
		if (m && strstr(m->path, "/bin/objlimits"))
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
	struct kstrata_object_get g;
	struct log log;
	uint32_t again;
	pid_t pid;
	int64_t since;
	int r;

	copy_self(DIR "/again", 0755);
	mkdir(DIR "/hold", 0755);
	mount("hold", DIR "/hold", "tmpfs", 0, NULL);
	copy_self(DIR "/hold/held", 0755);
	log_begin(&log, 0);
	pid = run(DIR "/again");
	watch(&log, pid, 20, true);
	reap(pid);
	again = burned(&log, pid).id;
	pid = run(DIR "/hold/held");
	watch(&log, pid, 20, true);
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
	r = get(log.s.fd, again, 0, NULL, 0, &g);
	verdict(r < 0 && errno == ENODATA && g.ino,
		"let go, it cannot be opened: ENODATA", "%s",
		r ? strerror(errno) : "success");
	pid = run(DIR "/again");
	watch(&log, pid, 20, true);
	reap(pid);
	verdict(burned(&log, pid).id == again,
		"a file met again has the number it had", "%u, not %u",
		burned(&log, pid).id, again);
	r = get(log.s.fd, again, 0, NULL, 0, &g);
	verdict(!r && same_content(g.fd), "and can be opened after all", "%s",
		r ? strerror(errno) : "another file");
	if (!r)
		close(g.fd);
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
	watch(&log, pid, 20, true);
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
		watch(&log, pid, 20, true);
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
	test_errors_without_objects();
	/* No object is ever met there: see objects.c. */
	if (!access("/sys/kernel/realtime", F_OK))
		return failed;
	test_eviction();
	test_hold();
	test_errors();
	test_access();
	return failed;
}
