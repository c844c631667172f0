// SPDX-License-Identifier: Apache-2.0
/*
 * Unwind rows: what the ioctl takes and refuses, whose rows go to make room, and
 * what samples say of it. Prints a line "ok NAME" or "not ok NAME # why" for each
 * promise.
 *
 *   rows          all of them
 *   rows spin     a program to sample: burns time for good
 */
#include <linux/capability.h>
#include <sys/syscall.h>

#include "../../rowmake.h"
#include "objlog.h"

static bool realtime;

/* ---- tables and the ioctl ------------------------------------------------- */

/* A table of about so many bytes that has this rule for all of a file. */
static void *table_of(struct kstrata_rule rule, size_t about, size_t *bytes)
{
	uint32_t nr = (uint32_t)(about / 3 + 1);
	uint32_t *at = calloc(nr, sizeof(*at)), *which = calloc(nr, sizeof(*which));
	struct rowmake m = {
		.extent = UINT32_C(1) << 24,
		.nr = nr,
		.at = at,
		.rule = which,
		.nr_rules = 1,
		.rules = &rule,
		.machine = ROWMAKE_NATIVE,
		.page_bits = 20,
		.aux = KSTRATA_ROWS_AUX_NONE,
		.fill = 32,
	};
	void *table;

	if (!at || !which)
		exit(1);
	for (uint32_t i = 0; i < nr; i++)
		at[i] = i * 16;
	table = rowmake_table(&m, bytes);
	if (!table)
		exit(1);
	free(at);
	free(which);
	return table;
}

static const struct kstrata_rule end_rule = { .cfa = KSTRATA_CFA_END };
static const struct kstrata_rule bad_rule = { .cfa = KSTRATA_CFA_BAD };

static struct kstrata_rows rows_of(uint32_t id, const void *table, size_t bytes)
{
	return (struct kstrata_rows){
		.size = sizeof(struct kstrata_rows),
		.id = id,
		.bytes = (uint32_t)bytes,
		.table = (uintptr_t)table,
	};
}

static int load(int fd, uint32_t id, const void *table, size_t bytes,
		struct kstrata_rows *out)
{
	*out = rows_of(id, table, bytes);
	return ioctl(fd, KSTRATA_IOC_ROWS, out);
}

static int load_none(int fd, uint32_t id, struct kstrata_rows *out)
{
	*out = rows_of(id, NULL, 0);
	out->flags = KSTRATA_ROWS_NONE;
	return ioctl(fd, KSTRATA_IOC_ROWS, out);
}

/* A program, sampled: its number. */
static uint32_t meet(struct log *log, const char *path, pid_t *pid)
{
	copy_self(path, 0755);
	*pid = run(path);
	watch(log, *pid, 10, true);
	return burned(log, *pid).id;
}

/* ---- errors ---------------------------------------------------------------- */

static void test_setup(void)
{
	struct kstrata_setup setup = setup_of(99, 0);
	struct kstrata_rows u;
	size_t bytes;
	void *table = table_of(end_rule, 100, &bytes);
	int fd = device(), plain;

	expect("ROWS before SETUP: EINVAL",
	       load(fd, KSTRATA_OBJECT_VDSO, table, bytes, &u), EINVAL);
	setup.rows_kb = 100;
	expect("SETUP with room for rows and no objects: EINVAL",
	       ioctl(fd, KSTRATA_IOC_SETUP, &setup), EINVAL);
	setup.flags = KSTRATA_SETUP_OBJECTS;
	setup.rows_kb = KSTRATA_ROWS_KB_MAX + 1;
	expect("SETUP with too much room for rows: EINVAL",
	       ioctl(fd, KSTRATA_IOC_SETUP, &setup), EINVAL);
	setup.rows_kb = 0;
	expect("SETUP with the default room", ioctl(fd, KSTRATA_IOC_SETUP, &setup),
	       0);
	verdict(setup.rows_kb == KSTRATA_ROWS_KB_DEFAULT,
		"SETUP tells how much room there is for rows", "%u KiB",
		setup.rows_kb);
	plain = device();
	setup = setup_of(99, 0);
	ioctl(plain, KSTRATA_IOC_SETUP, &setup);
	expect("ROWS where there are no objects: ENOENT",
	       load(plain, KSTRATA_OBJECT_VDSO, table, bytes, &u),
	       realtime ? EOPNOTSUPP : ENOENT);
	if (realtime)
		expect("ROWS on PREEMPT_RT: EOPNOTSUPP",
		       load(fd, KSTRATA_OBJECT_VDSO, table, bytes, &u),
		       EOPNOTSUPP);
	close(plain);
	close(fd);
	free(table);
}

static void test_arguments(int fd, uint32_t id)
{
	struct {
		struct kstrata_rows u;
		char more[16];
	} large;
	size_t bytes, big_bytes;
	uint8_t *table = table_of(end_rule, 3000, &bytes);
	void *big = table_of(end_rule, 300000, &big_bytes);
	struct kstrata_rows u, *locked;
	unsigned int wrong = 0;
	char *edge;

#define REFUSED(what, error, ...)                                              \
	do {                                                                   \
		u = rows_of(id, table, bytes);                                 \
		__VA_ARGS__;                                                   \
		expect("ROWS " what, ioctl(fd, KSTRATA_IOC_ROWS, &u), error);  \
	} while (0)

	REFUSED("of no object: ENOENT", ENOENT, u.id = 0);
	REFUSED("of a vDSO that is none: ENOENT", ENOENT, u.id = 4);
	REFUSED("of a number not in use: ENOENT", ENOENT, u.id = id + (1u << 20));
	REFUSED("of a number beyond all: ENOENT", ENOENT, u.id = UINT32_MAX);
	REFUSED("too small: EINVAL", EINVAL, u.size = sizeof(u) - 8);
	REFUSED("with an unknown flag: EINVAL", EINVAL, u.flags = 2);
	REFUSED("without a table: EINVAL", EINVAL, u.bytes = 0);
	REFUSED("NONE, and a table: EINVAL", EINVAL, u.flags = KSTRATA_ROWS_NONE);
	REFUSED("NONE, and a length: EINVAL", EINVAL,
		u.flags = KSTRATA_ROWS_NONE; u.table = 0);
	REFUSED("NONE, and an address: EINVAL", EINVAL,
		u.flags = KSTRATA_ROWS_NONE; u.bytes = 0);
	REFUSED("of a header only: EINVAL", EINVAL,
		u.bytes = sizeof(struct kstrata_rows_table));
	REFUSED("shorter than a header: EINVAL", EINVAL, u.bytes = 8);
	REFUSED("too short: EINVAL", EINVAL, u.bytes -= 8);
	REFUSED("at no address: EFAULT", EFAULT, u.table = 8);
	REFUSED("at a kernel address: EFAULT", EFAULT, u.table = 1ull << 63);
	REFUSED("longer than any table: E2BIG", E2BIG,
		u.bytes = KSTRATA_ROWS_BYTES_MAX + 1);
	REFUSED("as long as can be, of an absurd length: E2BIG", E2BIG,
		u.bytes = UINT32_MAX);
	REFUSED("longer than there may be: E2BIG", E2BIG,
		u.table = (uintptr_t)big; u.bytes = (uint32_t)big_bytes);
	expect("ROWS at no address: EFAULT",
	       ioctl(fd, KSTRATA_IOC_ROWS, (void *)8), EFAULT);
	memset(&large, 0, sizeof(large));
	large.u = rows_of(id, table, bytes);
	large.u.size = sizeof(large);
	expect("ROWS larger, tail zero", ioctl(fd, KSTRATA_IOC_ROWS, &large), 0);
	large.more[7] = 1;
	expect("ROWS larger, tail not zero: E2BIG",
	       ioctl(fd, KSTRATA_IOC_ROWS, &large), E2BIG);
	/* All but the last bytes of it are there. */
	edge = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	munmap(edge + page, page);
	memcpy(edge + page - (bytes - 8 < page ? bytes - 8 : page), table,
	       bytes - 8 < page ? bytes - 8 : page);
	REFUSED("of a table that is not all there: EFAULT", EFAULT,
		u.table = (uintptr_t)(edge + page - (bytes - 8)));
	locked = (void *)edge;
	*locked = rows_of(id, table, bytes);
	mprotect(edge, page, PROT_READ);
	expect("ROWS into read-only memory: EFAULT",
	       ioctl(fd, KSTRATA_IOC_ROWS, locked), EFAULT);
	munmap(edge, page);
	/* The header's machine, then each bit of it and of what comes next. */
	((struct kstrata_rows_table *)table)->machine =
		ROWMAKE_NATIVE == ROWMAKE_ARM64 ? ROWMAKE_X86_64 : ROWMAKE_ARM64;
	REFUSED("of another machine: EINVAL", EINVAL, (void)0);
	((struct kstrata_rows_table *)table)->machine = ROWMAKE_NATIVE;
	for (size_t bit = 0; bit < 8 * 66; bit++) {
		/* Where it begins, and where it ends, may be elsewhere. */
		if (bit / 8 >= 8 && bit / 8 < 20)
			continue;
		/* No third register: none of its rules is about one. */
		if (bit / 8 == 41)
			continue;
		table[bit / 8] ^= (uint8_t)(1u << bit % 8);
		u = rows_of(id, table, bytes);
		if (!ioctl(fd, KSTRATA_IOC_ROWS, &u) || errno != EINVAL)
			wrong++;
		table[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	verdict(!wrong, "ROWS with any bit of its beginning changed: EINVAL",
		"%u taken, or another error", wrong);
	REFUSED("after all that", 0, (void)0);
	verdict(u.held_kb == (bytes + 192 > page ? (bytes + 192 + page - 1) / page *
			      page : bytes + 192) / 1024 +
				     (bytes + 192 <= page && (bytes + 192) % 1024),
		"ROWS tells how much is held", "%u KiB for %zu bytes", u.held_kb,
		bytes);
	expect("ROWS: it has none", load_none(fd, id, &u), 0);
	verdict(!u.held_kb && !u.dropped, "and nothing is held then", "%u KiB",
		u.held_kb);
	free(table);
	free(big);
}

static void test_errors(void)
{
	struct kstrata_rows u;
	struct log log;
	uint32_t id;
	size_t bytes;
	void *table;
	pid_t pid;

	log_begin_with(&log, 64, 256);
	id = meet(&log, DIR "/rows", &pid);
	reap(pid);
	verdict(id, "an object to give rows to", "none was met");
	test_arguments(log.s.fd, id);
	table = table_of(end_rule, 1000, &bytes);
	expect("ROWS of the vDSO", load(log.s.fd, KSTRATA_OBJECT_VDSO, table, bytes,
					&u), 0);
	expect("ROWS of the 32-bit vDSO",
	       load(log.s.fd, KSTRATA_OBJECT_VDSO32, table, bytes, &u), 0);
	verdict(u.held_kb >= 2, "both are held", "%u KiB", u.held_kb);
	expect("ROWS of the vDSO once more",
	       load(log.s.fd, KSTRATA_OBJECT_VDSO, table, bytes, &u), 0);
	expect("ROWS: the vDSO has none",
	       load_none(log.s.fd, KSTRATA_OBJECT_VDSO, &u), 0);
	expect("ROWS: nor has the 32-bit one",
	       load_none(log.s.fd, KSTRATA_OBJECT_VDSO32, &u), 0);
	verdict(!u.held_kb, "none is held then", "%u KiB", u.held_kb);
	log_stop(&log);
	expect("ROWS after STOP", load(log.s.fd, id, table, bytes, &u), 0);
	free(table);
	log_end(&log);
}

/* Only CAP_PERFMON, and nobody. */
static bool drop_rights(void)
{
	struct __user_cap_header_struct h = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct d[2] = { 0 };

	return !setresgid(65534, 65534, 65534) && !setresuid(65534, 65534, 65534) &&
	       !syscall(SYS_capset, &h, d);
}

/* The session is the file's, whoever has it. */
static void test_passed(void)
{
	struct kstrata_rows u;
	struct log log;
	size_t bytes;
	void *table = table_of(end_rule, 1000, &bytes);
	int status = -1, other;
	uint32_t id;
	pid_t pid;

	log_begin(&log, 64);
	id = meet(&log, DIR "/passed", &pid);
	reap(pid);
	log_stop(&log);
	other = dup(log.s.fd);
	expect("ROWS by another descriptor", load(other, id, table, bytes, &u), 0);
	close(other);
	pid = fork();
	if (pid == 0)
		_exit(drop_rights() ? load(log.s.fd, id, table, bytes, &u) ? errno :
							u.held_kb ? 0 : 1 : 126);
	waitpid(pid, &status, 0);
	verdict(status == 0, "ROWS by a child without rights", "status %x",
		(unsigned int)status);
	free(table);
	log_end(&log);
}

/* ---- room ------------------------------------------------------------------ */

#define PROGRAMS 4

static unsigned int asked(const struct log *log, uint32_t id)
{
	unsigned int n = 0;

	for (size_t i = 0; i < log->nr_wanted; i++)
		n += log->wanted[i].id == id;
	return n;
}

static void pass_ms(struct log *log, int ms)
{
	for (int i = 0; i < ms; i += 50) {
		nap_ms(50);
		drain_all(log);
	}
}

/* A sample met it again, later than now. */
static void meet_again(struct log *log, pid_t pid)
{
	watch(log, pid, burned(log, pid).right + 20, true);
}

static void test_room(void)
{
	struct kstrata_rows u;
	size_t bytes;
	void *table = table_of(bad_rule, 60000, &bytes);
	uint32_t id[PROGRAMS], cap;
	pid_t pid[PROGRAMS];
	struct log log;
	int r = 0;

	/* Room for all but one, and no page more. */
	cap = (uint32_t)((bytes + 192 + page - 1) / page * page / 1024) *
	      (PROGRAMS - 1);
	log_begin_with(&log, 64, cap);
	for (int i = 0; i < PROGRAMS; i++) {
		char path[64];

		snprintf(path, sizeof(path), DIR "/room-%d", i);
		id[i] = meet(&log, path, &pid[i]);
		/* The second is not met any more; the others go on. */
		if (i == 1)
			reap(pid[i]);
	}
	for (int i = 0; i < PROGRAMS - 1; i++)
		r |= load(log.s.fd, id[i], table, bytes, &u);
	verdict(!r && u.held_kb == cap && !u.dropped, "rows, as many as may be",
		"%s, %u KiB of %u, %u dropped", strerror(errno), u.held_kb, cap,
		u.dropped);
	meet_again(&log, pid[0]);
	meet_again(&log, pid[2]);
	meet_again(&log, pid[3]);
	r = load(log.s.fd, id[3], table, bytes, &u);
	verdict(!r && u.held_kb == cap && u.dropped == 1,
		"more of them: one object's go", "%s, %u KiB of %u, %u dropped",
		strerror(errno), u.held_kb, cap, u.dropped);
	meet_again(&log, pid[0]);
	pass_ms(&log, 500);
	verdict(!log.nr_wanted, "those of the one that is not met: nobody asks",
		"%zu were asked for", log.nr_wanted);
	/* Now those of one that runs: the first, the others were met later. */
	reap(pid[0]);
	pass_ms(&log, 200);
	meet_again(&log, pid[2]);
	meet_again(&log, pid[3]);
	r = load(log.s.fd, id[1], table, bytes, &u);
	verdict(!r && u.dropped == 1, "dropped by when they were met",
		"%s, %u dropped", strerror(errno), u.dropped);
	pid[0] = run(DIR "/room-0");
	watch(&log, pid[0], 20, true);
	for (int i = 0; i < 100 && !asked(&log, id[0]); i++)
		pass_ms(&log, 50);
	verdict(asked(&log, id[0]) == 1, "met again, its rows are asked for",
		"%u times", asked(&log, id[0]));
	pass_ms(&log, 500);
	verdict(asked(&log, id[0]) == 1 && log.nr_wanted == 1,
		"once, and no other's", "%u times, %zu in all", asked(&log, id[0]),
		log.nr_wanted);
	/*
	 * Too little room for what runs: given and dropped in turn, as fast as it
	 * can be, and yet nobody is asked for them every time.
	 */
	for (int i = 0; i < 150; i++) {
		r |= load(log.s.fd, id[i % PROGRAMS], table, bytes, &u);
		pass_ms(&log, 50);
	}
	for (size_t i = 0; i < log.nr_wanted; i++)
		for (size_t j = i + 1; j < log.nr_wanted; j++)
			if (log.wanted[i].id == log.wanted[j].id &&
			    log.wanted[j].time - log.wanted[i].time <
				    UINT64_C(4000000000))
				r = 1;
	printf("# asked for %zu times in all\n", log.nr_wanted);
	verdict(!r, "too little room: the same rows are not asked for all the time",
		"%zu times in all", log.nr_wanted);
	/* It has none: that makes room, and is an answer. */
	for (int i = 0; i < PROGRAMS; i++)
		load_none(log.s.fd, id[i], &u);
	verdict(!u.held_kb, "none of them has any: nothing is held", "%u KiB",
		u.held_kb);
	log.nr_wanted = 0;
	meet_again(&log, pid[0]);
	pass_ms(&log, 300);
	verdict(!log.nr_wanted, "nor asked for", "%zu times", log.nr_wanted);
	for (int i = 0; i < PROGRAMS; i++)
		if (i != 1)
			reap(pid[i]);
	log_stop(&log);
	log_end(&log);
	free(table);
}

/* ---- objects that leave ------------------------------------------------------ */

#define COPIES	150
#define TABLE	64

static void test_eviction(void)
{
	unsigned int given = 0, refused = 0, gone = 0, other = 0;
	struct kstrata_rows u = { 0 };
	size_t bytes, done = 0;
	void *table = table_of(end_rule, 20000, &bytes);
	uint32_t one = (uint32_t)((bytes + 192 + page - 1) / page * page / 1024);
	uint32_t most = 0, last = 0;
	struct log log;
	char path[64];

	log_begin(&log, TABLE);
	for (int i = 0; i < COPIES; i++) {
		pid_t pid;

		snprintf(path, sizeof(path), DIR "/tiny-%d", i);
		if (!write_tiny(path, 3000000))
			break;
		pid = run(path);
		waitpid(pid, NULL, 0);
		unlink(path);
		drain_all(&log);
		for (; done < log.nr_met; done++) {
			const struct met *m = &log.met[done];

			gone += m->gone;
			if (m->gone)
				continue;
			if (!load(log.s.fd, m->id, table, bytes, &u))
				given++;
			else if (errno == ENOENT)
				refused++;
			else
				other++;
			if (u.held_kb > most)
				most = u.held_kb;
		}
	}
	log_stop(&log);
	for (; done < log.nr_met; done++)
		gone += log.met[done].gone;
	/* Numbers that are gone, and were not taken again. */
	for (size_t i = 0; i < log.nr_met; i++) {
		bool again = false;

		for (size_t j = i + 1; j < log.nr_met; j++)
			again |= log.met[j].id == log.met[i].id;
		if (!log.met[i].gone || again)
			continue;
		if (!load(log.s.fd, log.met[i].id, table, bytes, &u) ||
		    errno != ENOENT)
			other++;
		last++;
	}
	printf("# %u given, %u came late, %u GONE, at most %u KiB held, %u each\n",
	       given, refused, gone, most, one);
	verdict(given > TABLE && gone > COPIES / 4 && last, "objects come and leave",
		"%u given, %u GONE", given, gone);
	verdict(!other, "rows of one that is gone: ENOENT", "%u others", other);
	verdict(most <= TABLE * one, "rows leave with their objects",
		"%u KiB held, %u each", most, one);
	log_end(&log);
	free(table);
}

/* ---- what walks make of it ------------------------------------------------- */

/*
 * Two tables in turn, while programs that they cover are sampled: by the one there is
 * no caller, by the other no rule to be followed. Every stack is by one of them.
 */
static void test_replaced(void)
{
	unsigned int pending = 0, ended = 0, bad = 0, neither = 0, none = 0;
	struct kstrata_rows u;
	size_t bytes[2], from;
	void *table[2] = { table_of(end_rule, 3000, &bytes[0]),
			   table_of(bad_rule, 90000, &bytes[1]) };
	struct log log;
	uint32_t id;
	pid_t pid;
	int r = 0;

	log_begin(&log, 0);
	id = meet(&log, DIR "/replaced", &pid);
	for (size_t i = 0; i < log.nr_seen; i++)
		if (log.seen[i].pid == (uint32_t)pid && log.seen[i].user &&
		    log.seen[i].nr > 1 && id_of(log.seen[i].frames[0]) == id)
			pending += log.seen[i].walk & KSTRATA_WALK_PENDING;
	verdict(pending, "samples say that rows are to come", "none does");
	r |= load(log.s.fd, id, table[0], bytes[0], &u);
	/* What was under way. */
	pass_ms(&log, 100);
	from = log.nr_seen;
	for (int i = 0; i < 1500 && !r; i++) {
		r |= load(log.s.fd, id, table[i % 2], bytes[i % 2], &u);
		if (i % 20 == 0)
			drain_all(&log);
	}
	watch(&log, pid, burned(&log, pid).right + 100, true);
	r |= load(log.s.fd, id, table[0], bytes[0], &u);
	watch(&log, pid, burned(&log, pid).right + 100, true);
	for (size_t i = from; i < log.nr_seen; i++) {
		const struct seen *s = &log.seen[i];

		if (s->pid != (uint32_t)pid || !s->user ||
		    s->lookup != KSTRATA_LOOKUP_DONE || !s->nr ||
		    id_of(s->frames[0]) != id)
			continue;
		if (s->nr == 1 && s->reason == KSTRATA_REASON_COMPLETE)
			ended++;
		else if (s->nr == 1 && s->reason == KSTRATA_REASON_BAD_RULE)
			bad++;
		else
			neither++;
	}
	verdict(!r, "rows are replaced while samples use them", "%s",
		strerror(errno));
	printf("# %u ended, %u by a bad rule\n", ended, bad);
	verdict(ended > 50 && bad > 50 && !neither,
		"each stack is by the ones or by the others",
		"%u ended, %u by a bad rule, %u neither", ended, bad, neither);
	load_none(log.s.fd, id, &u);
	pass_ms(&log, 100);
	from = log.nr_seen;
	watch(&log, pid, burned(&log, pid).right + 50, true);
	for (size_t i = from; i < log.nr_seen; i++)
		if (log.seen[i].pid == (uint32_t)pid && log.seen[i].user &&
		    id_of(log.seen[i].frames[0]) == id)
			none += log.seen[i].walk &
				(KSTRATA_WALK_PENDING | KSTRATA_WALK_ROWS);
	verdict(!none, "none are to come when there are none", "%u say so", none);
	reap(pid);
	log_stop(&log);
	log_end(&log);
	free(table[0]);
	free(table[1]);
}

/* ---- memory ------------------------------------------------------------------ */

static long kernel_kb(void)
{
	FILE *f = fopen("/proc/meminfo", "r");
	char line[128];
	long sum = 0, kb;

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "SUnreclaim: %ld", &kb) == 1 ||
		    sscanf(line, "VmallocUsed: %ld", &kb) == 1)
			sum += kb;
	if (f)
		fclose(f);
	return sum;
}

/* Sixty MiB in all, replaced, dropped for room, and left at the end. */
static void test_given_back(void)
{
	size_t bytes, small_bytes;
	void *table = table_of(end_rule, 300000, &bytes);
	void *small = table_of(end_rule, 1000, &small_bytes);
	long before = 0, most = 0, after, now;
	struct kstrata_rows u;
	int r = 0;

	for (int i = 0; i < 50; i++) {
		struct kstrata_setup setup = setup_of(99, 16384);
		int fd = device();

		setup.flags = KSTRATA_SETUP_OBJECTS;
		setup.rows_kb = 700;
		r |= ioctl(fd, KSTRATA_IOC_SETUP, &setup);
		for (int j = 0; j < 2; j++) {
			r |= load(fd, KSTRATA_OBJECT_VDSO, table, bytes, &u);
			r |= load(fd, KSTRATA_OBJECT_VDSO32, table, bytes, &u);
			r |= load(fd, KSTRATA_OBJECT_VDSO32, small, small_bytes, &u);
		}
		close(fd);
		/* The first ones warm up. */
		if (i == 2)
			before = kernel_kb();
		now = kernel_kb();
		if (now > most)
			most = now;
	}
	/* Not at once, but soon. */
	for (int i = 0; i < 100; i++) {
		after = kernel_kb();
		if (after < before + 4096)
			break;
		nap_ms(100);
	}
	printf("# kernel memory: %ld kB before, at most %ld, %ld after\n", before,
	       most, after);
	verdict(!r && after < before + 4096, "memory of rows is given back",
		"%ld kB before, %ld after; %s", before, after,
		r ? strerror(errno) : "all loaded");
	free(table);
	free(small);
}

int main(int argc, char **argv)
{
	page = (size_t)sysconf(_SC_PAGESIZE);
	if (argc == 2 && !strcmp(argv[1], "spin"))
		spin();
	realtime = !access("/sys/kernel/realtime", F_OK);
	mkdir(DIR, 0755);
	test_setup();
	if (realtime)
		return failed;
	test_errors();
	test_passed();
	test_room();
	test_eviction();
	test_replaced();
	test_given_back();
	return failed;
}
