// SPDX-License-Identifier: Apache-2.0
/*
 * The generic netlink family, as section 5 of include/uapi/kstrata.h promises it:
 * every command, every error, who may ask and hear. Prints a line "ok NAME" or
 * "not ok NAME # why" for each promise.
 */
#include "../../rowmake.h"
#include "genlclient.h"

#include <grp.h>
#include <linux/capability.h>
#include <poll.h>
#include <sys/syscall.h>
#include <sys/utsname.h>

#ifndef CAP_PERFMON
#define CAP_PERFMON 38
#endif

/* ---- requests that are wrong ------------------------------------------- */

static int ask_plain(int fd, uint8_t cmd, uint16_t flags)
{
	struct message m = request(family, cmd, flags);

	return ask(fd, &m, NULL, NULL);
}

static int ask_with(int fd, uint8_t cmd, uint16_t flags, uint16_t type,
		    const void *data, size_t len)
{
	struct message m = request(family, cmd, flags);

	put(&m, type, data, len);
	return ask(fd, &m, NULL, NULL);
}

static void test_status(int fd)
{
	struct message m = request(family, KSTRATA_CMD_STATUS_GET, 0);
	struct answer a = { 0 };
	uint32_t one = 1;
	int device_fd = device();

	answered("STATUS_GET", ask(fd, &m, keep, &a), 0);
	verdict(number(a.attrs[KSTRATA_ATTR_ABI_MAJOR]) == KSTRATA_ABI_MAJOR &&
			number(a.attrs[KSTRATA_ATTR_SESSIONS]) == 1 &&
			number(a.attrs[KSTRATA_ATTR_SESSIONS_MAX]) ==
				KSTRATA_SESSIONS_MAX &&
			number(a.attrs[KSTRATA_ATTR_CPUS_ONLINE]) ==
				(uint64_t)sysconf(_SC_NPROCESSORS_ONLN) &&
			number(a.attrs[KSTRATA_ATTR_CPUS_POSSIBLE]) >=
				number(a.attrs[KSTRATA_ATTR_CPUS_ONLINE]) &&
			len_of(a.attrs[KSTRATA_ATTR_RELEASE]) > 1,
		"STATUS_GET tells what there is", "%u sessions, %u CPUs",
		(unsigned int)number(a.attrs[KSTRATA_ATTR_SESSIONS]),
		(unsigned int)number(a.attrs[KSTRATA_ATTR_CPUS_ONLINE]));
	close(device_fd);
	answered("STATUS_GET with an attribute: EINVAL",
	       ask_with(fd, KSTRATA_CMD_STATUS_GET, 0, KSTRATA_ATTR_SESSION,
			&one, sizeof(one)), EINVAL);
	answered("STATUS_GET as a dump: EOPNOTSUPP",
	       ask_plain(fd, KSTRATA_CMD_STATUS_GET, NLM_F_DUMP), EOPNOTSUPP);
	answered("CPU_GET not as a dump: EOPNOTSUPP",
	       ask_plain(fd, KSTRATA_CMD_CPU_GET, 0), EOPNOTSUPP);
	answered("SESSION_SET as a dump: EOPNOTSUPP",
	       ask_plain(fd, KSTRATA_CMD_SESSION_SET, NLM_F_DUMP), EOPNOTSUPP);
	answered("command 0: EOPNOTSUPP", ask_plain(fd, 0, 0), EOPNOTSUPP);
	answered("an unknown command: EOPNOTSUPP", ask_plain(fd, 31, 0),
	       EOPNOTSUPP);
	answered("an event as a request: EOPNOTSUPP",
	       ask_plain(fd, KSTRATA_CMD_EVENT_LOSS, 0), EOPNOTSUPP);
}

/* Is the kernel of this version, or a later one? */
static bool linux_is(int major, int minor)
{
	int its_major = 0, its_minor = 0;
	struct utsname u;

	uname(&u);
	sscanf(u.release, "%d.%d", &its_major, &its_minor);
	return its_major > major || (its_major == major && its_minor >= minor);
}

static void test_form(int fd)
{
	uint32_t one = 1, none = 0, wild = 4000000000u;
	struct nlattr *last;
	struct message m;

	for (uint8_t cmd = KSTRATA_CMD_SESSION_GET; cmd <= KSTRATA_CMD_CPU_GET;
	     cmd++) {
		uint16_t dump = cmd == KSTRATA_CMD_CPU_GET ? NLM_F_DUMP : 0;
		char name[80];

#define CASE(what, got, want)                                                  \
	do {                                                                   \
		snprintf(name, sizeof(name), "command %u %s", cmd, what);      \
		answered(name, got, want);                                       \
	} while (0)
		CASE("without SESSION: EINVAL", ask_plain(fd, cmd, dump),
		     EINVAL);
		CASE("with SESSION 0: ERANGE",
		     ask_with(fd, cmd, dump, KSTRATA_ATTR_SESSION, &none, 4),
		     ERANGE);
		CASE("with a short SESSION: EINVAL",
		     ask_with(fd, cmd, dump, KSTRATA_ATTR_SESSION, &one, 2),
		     EINVAL);
		CASE("with an empty SESSION: EINVAL",
		     ask_with(fd, cmd, dump, KSTRATA_ATTR_SESSION, NULL, 0),
		     EINVAL);
		CASE("with a long SESSION: EINVAL",
		     ask_with(fd, cmd, dump, KSTRATA_ATTR_SESSION,
			      (uint64_t[]){ 1 }, 8), EINVAL);
		m = request(family, cmd, dump);
		put_u32(&m, KSTRATA_ATTR_SESSION, wild);
		if (cmd == KSTRATA_CMD_SESSION_SET)
			put_u32(&m, KSTRATA_ATTR_HZ, 99);
		CASE("of no session: ENOENT", ask(fd, &m, NULL, NULL), ENOENT);
		/* Older kernels keep to themselves why a dump fails. */
		if (!dump || linux_is(6, 12))
			CASE("of no session: the kernel says of what",
			     complained_of_attr &&
					     !strncmp(complaint, "SESSION", 7) ?
				     0 : ENOMSG, 0);
		m = request(family, cmd, dump);
		put_u32(&m, KSTRATA_ATTR_SESSION, wild);
		put_u32(&m, 7, 1);
		CASE("with an attribute that is not defined: EINVAL",
		     ask(fd, &m, NULL, NULL), EINVAL);
		m = request(family, cmd, dump);
		put_u32(&m, KSTRATA_ATTR_SESSION, wild);
		put_u32(&m, KSTRATA_ATTR_STATE, 1);
		CASE("with an attribute of answers: EINVAL",
		     ask(fd, &m, NULL, NULL), EINVAL);
		m = request(family, cmd, dump);
		last = put(&m, KSTRATA_ATTR_SESSION, &wild, 4);
		last->nla_len = 200;
		CASE("with an attribute beyond its end: EINVAL",
		     ask(fd, &m, NULL, NULL), EINVAL);
		last->nla_len = 3;
		m.nl.nlmsg_seq = ++last_seq;
		CASE("with an attribute less than its header: EINVAL",
		     ask(fd, &m, NULL, NULL), EINVAL);
		m = request(family, cmd, dump);
		m.nl.nlmsg_len -= 2;
		CASE("cut within its header: EINVAL", ask(fd, &m, NULL, NULL),
		     EINVAL);
	}
	m = request(family, KSTRATA_CMD_SESSION_GET, NLM_F_DUMP);
	put_u32(&m, KSTRATA_ATTR_SESSION, 1);
	answered("a dump of sessions with SESSION: EINVAL",
	       ask(fd, &m, NULL, NULL), EINVAL);
	if (linux_is(6, 1)) {
		m = request(family, KSTRATA_CMD_STATUS_GET, 0);
		m.genl.reserved = 1;
		answered("a reserved word that is not zero: EINVAL",
		       ask(fd, &m, NULL, NULL), EINVAL);
	}
	/* Less than a header is no message: dropped, and the next one counts. */
	m = request(family, KSTRATA_CMD_STATUS_GET, 0);
	send(fd, &m, 7, 0);
	answered("a message after one that is none",
	       ask_plain(fd, KSTRATA_CMD_STATUS_GET, 0), 0);
}

/* ---- SESSION_GET, SESSION_SET ------------------------------------------ */

static int set_data(int fd, uint32_t id, uint16_t attr, const void *data,
		    size_t len)
{
	struct message m = set_of(id);

	put(&m, attr, data, len);
	return ask(fd, &m, NULL, NULL);
}

/* n filters of a kind, ids from first on. */
static int set_filters(int fd, uint32_t id, unsigned int n, uint16_t kind,
		       uint64_t first, size_t len)
{
	struct message m = set_of(id);
	struct nlattr *nest = put(&m, KSTRATA_ATTR_FILTERS | NLA_F_NESTED, NULL,
				  0);

	for (unsigned int i = 0; i < n; i++) {
		put(&m, kind, &first, len);
		first++;
	}
	end_nest(&m, nest);
	return ask(fd, &m, NULL, NULL);
}

static void test_new(int fd)
{
	int session = device();
	struct list l = { 0 };
	struct message m = request(family, KSTRATA_CMD_SESSION_GET, NLM_F_DUMP);
	struct answer a = { 0 };

	answered("a dump of sessions", ask(fd, &m, enlist, &l), 0);
	verdict(l.n == 1 && l.fresh, "it has the one that there is",
		"%u sessions", l.n);
	answered("SESSION_GET of one that is NEW", get_session(fd, l.fresh, &a),
	       0);
	verdict(number(a.attrs[KSTRATA_ATTR_OPENER]) == (uint64_t)getpid() &&
			!a.attrs[KSTRATA_ATTR_HZ] && !a.attrs[KSTRATA_ATTR_STATS],
		"it has an opener and no set-up", "opener %u",
		(unsigned int)number(a.attrs[KSTRATA_ATTR_OPENER]));
	answered("SESSION_SET of one that is NEW: EINVAL",
	       set_u32(fd, l.fresh, KSTRATA_ATTR_HZ, 50), EINVAL);
	verdict(complained_of_attr && !strncmp(complaint, "SESSION", 7),
		"the kernel says why", "%s", complaint);
	m = request(family, KSTRATA_CMD_CPU_GET, NLM_F_DUMP);
	put_u32(&m, KSTRATA_ATTR_SESSION, l.fresh);
	memset(&a, 0, sizeof(a));
	answered("CPU_GET of one that is NEW", ask(fd, &m, keep, &a), 0);
	verdict(!a.messages, "it has no CPUs", "%u", a.messages);
	close(session);
	answered("SESSION_GET of one that has ended: ENOENT",
	       get_session(fd, l.fresh, &a), ENOENT);
}

/* Room for unwind rows, and what of it is taken. */
static void test_rows(int fd)
{
	struct kstrata_setup u = setup_of(99, 1u << 14);
	struct kstrata_rows rows = {
		.size = sizeof(rows),
		.id = KSTRATA_OBJECT_VDSO,
	};
	bool realtime = !access("/sys/kernel/realtime", F_OK);
	uint64_t seed = 1;
	int session = device();
	struct answer a;
	size_t bytes = 0;
	void *table = rowmake_wild(&seed, ROWMAKE_NATIVE, 0, 10000, 2000, &bytes);

	u.flags = KSTRATA_SETUP_OBJECTS;
	u.rows_kb = 500;
	ioctl(session, KSTRATA_IOC_SETUP, &u);
	answered("SESSION_GET of one with objects",
		 get_session(fd, u.session, &a), 0);
	verdict(number(a.attrs[KSTRATA_ATTR_OBJECTS]) == u.objects &&
			number(a.attrs[KSTRATA_ATTR_ROWS_KB]) == 500 &&
			a.attrs[KSTRATA_ATTR_ROWS_HELD_KB] &&
			!number(a.attrs[KSTRATA_ATTR_ROWS_HELD_KB]),
		"SESSION_GET tells how much room there is for rows", "%u KiB",
		(unsigned int)number(a.attrs[KSTRATA_ATTR_ROWS_KB]));
	rows.bytes = (uint32_t)bytes;
	rows.table = (uintptr_t)table;
	expect("ROWS", ioctl(session, KSTRATA_IOC_ROWS, &rows),
	       realtime ? EOPNOTSUPP : 0);
	answered("SESSION_GET of one with rows", get_session(fd, u.session, &a), 0);
	verdict(number(a.attrs[KSTRATA_ATTR_ROWS_HELD_KB]) == rows.held_kb &&
			!rows.held_kb == realtime,
		"SESSION_GET tells how much of it is taken", "%u KiB, not %u",
		(unsigned int)number(a.attrs[KSTRATA_ATTR_ROWS_HELD_KB]),
		rows.held_kb);
	free(table);
	close(session);
}

static void test_session(int fd)
{
	int session = device();
	struct kstrata_setup u = setup(session, 199, 1u << 16, 300);
	uint64_t words[130] = { 1 }, all = ~UINT64_C(0), got;
	struct answer a;
	struct message m;

	answered("SESSION_GET", get_session(fd, u.session, &a), 0);
	verdict(number(a.attrs[KSTRATA_ATTR_STATE]) == KSTRATA_STATE_READY &&
			number(a.attrs[KSTRATA_ATTR_HZ]) == 199 &&
			number(a.attrs[KSTRATA_ATTR_BUDGET]) == 300 &&
			number(a.attrs[KSTRATA_ATTR_FLAGS]) == u.flags &&
			number(a.attrs[KSTRATA_ATTR_GRANTED]) == u.granted &&
			number(a.attrs[KSTRATA_ATTR_RING_BYTES]) == 1u << 16 &&
			number(a.attrs[KSTRATA_ATTR_WATERMARK_BYTES]) ==
				u.watermark_bytes &&
			number(a.attrs[KSTRATA_ATTR_KERNEL_DEPTH]) ==
				u.kernel_depth &&
			number(a.attrs[KSTRATA_ATTR_USER_DEPTH]) ==
				u.user_depth &&
			len_of(a.attrs[KSTRATA_ATTR_CPUS]) >= 8 &&
			a.attrs[KSTRATA_ATTR_FILTERS] &&
			!len_of(a.attrs[KSTRATA_ATTR_FILTERS]) &&
			a.attrs[KSTRATA_ATTR_STATS],
		"SESSION_GET tells what was set up", "state %u, %u Hz",
		(unsigned int)number(a.attrs[KSTRATA_ATTR_STATE]),
		(unsigned int)number(a.attrs[KSTRATA_ATTR_HZ]));

#define REFUSED(what, got, want, attr)                                         \
	do {                                                                   \
		answered("SESSION_SET " what, got, want);                        \
		verdict(complained_of_attr, "SESSION_SET " what                \
			": the kernel says of what", "%s", complaint);         \
		verdict(!(attr) || !strncmp(complaint, (attr),                 \
					    strlen(attr)),                     \
			"SESSION_SET " what ": the kernel names it", "%s",     \
			complaint);                                            \
	} while (0)
	REFUSED("of rate 0: ERANGE", set_u32(fd, u.session, KSTRATA_ATTR_HZ, 0),
		ERANGE, "");
	REFUSED("of too high a rate: ERANGE",
		set_u32(fd, u.session, KSTRATA_ATTR_HZ, KSTRATA_HZ_MAX + 1),
		ERANGE, "");
	REFUSED("of budget 0: ERANGE",
		set_u32(fd, u.session, KSTRATA_ATTR_BUDGET, 0), ERANGE, "");
	REFUSED("of too large a budget: ERANGE",
		set_u32(fd, u.session, KSTRATA_ATTR_BUDGET, 1001), ERANGE, "");
	REFUSED("of a short rate: EINVAL",
		set_data(fd, u.session, KSTRATA_ATTR_HZ, words, 2), EINVAL, "");
	REFUSED("of an empty CPU mask: EINVAL",
		set_data(fd, u.session, KSTRATA_ATTR_CPUS, NULL, 0), EINVAL,
		"CPUS");
	REFUSED("of half a word of CPUs: EINVAL",
		set_data(fd, u.session, KSTRATA_ATTR_CPUS, words, 4), EINVAL,
		"CPUS");
	REFUSED("of too long a CPU mask: ERANGE",
		set_data(fd, u.session, KSTRATA_ATTR_CPUS, words,
			 KSTRATA_CPUS_BYTES_MAX + 8), ERANGE, "");
	words[0] = 0;
	REFUSED("of no CPU: EINVAL",
		set_data(fd, u.session, KSTRATA_ATTR_CPUS, words, 8), EINVAL,
		"CPUS");
	REFUSED("of filters that are not nested: EINVAL",
		set_data(fd, u.session, KSTRATA_ATTR_FILTERS, words, 16),
		EINVAL, "");
	REFUSED("of a filter of no kind: EINVAL",
		set_filters(fd, u.session, 1, 9, 1, 8), EINVAL, "");
	REFUSED("of a short filter: EINVAL",
		set_filters(fd, u.session, 1, KSTRATA_FILTER_PID, 1, 4), EINVAL,
		"");
	REFUSED("of a filter of process 0: EINVAL",
		set_filters(fd, u.session, 1, KSTRATA_FILTER_PID, 0, 8), EINVAL,
		"FILTERS");
	REFUSED("of too many filters: E2BIG",
		set_filters(fd, u.session, KSTRATA_FILTERS_MAX + 1,
			    KSTRATA_FILTER_CGROUP, 1, 8), E2BIG, "FILTERS");
#undef REFUSED
	m = set_of(u.session);
	answered("SESSION_SET of nothing: EINVAL", ask(fd, &m, NULL, NULL),
	       EINVAL);
	m = set_of(u.session);
	put_u32(&m, KSTRATA_ATTR_HZ, 500);
	put_u32(&m, KSTRATA_ATTR_BUDGET, 77);
	put(&m, KSTRATA_ATTR_CPUS, words, 8);
	answered("SESSION_SET of what is right and what is not: EINVAL",
	       ask(fd, &m, NULL, NULL), EINVAL);
	get_session(fd, u.session, &a);
	verdict(number(a.attrs[KSTRATA_ATTR_HZ]) == 199 &&
			number(a.attrs[KSTRATA_ATTR_BUDGET]) == 300,
		"all or nothing", "%u Hz",
		(unsigned int)number(a.attrs[KSTRATA_ATTR_HZ]));

	answered("SESSION_SET of as many filters as promised",
	       set_filters(fd, u.session, KSTRATA_FILTERS_MAX,
			   KSTRATA_FILTER_CGROUP, 1000, 8), 0);
	get_session(fd, u.session, &a);
	verdict(len_of(a.attrs[KSTRATA_ATTR_FILTERS]) ==
			KSTRATA_FILTERS_MAX * 12 &&
			stat_in(a.attrs[KSTRATA_ATTR_FILTERS],
				KSTRATA_FILTER_CGROUP) ==
				1000 + KSTRATA_FILTERS_MAX - 1,
		"SESSION_GET tells of all filters", "%zu bytes",
		len_of(a.attrs[KSTRATA_ATTR_FILTERS]));
	answered("SESSION_SET of no filters",
	       set_filters(fd, u.session, 0, 0, 0, 0), 0);
	m = set_of(u.session);
	put_u32(&m, KSTRATA_ATTR_HZ, 500);
	put_u32(&m, KSTRATA_ATTR_BUDGET, 1000);
	words[0] = 1;
	put(&m, KSTRATA_ATTR_CPUS, words, KSTRATA_CPUS_BYTES_MAX);
	answered("SESSION_SET of rate, budget and CPUs", ask(fd, &m, NULL, NULL),
	       0);
	get_session(fd, u.session, &a);
	got = 0;
	if (len_of(a.attrs[KSTRATA_ATTR_CPUS]) >= 8)
		memcpy(&got, (const char *)a.attrs[KSTRATA_ATTR_CPUS] +
			       NLA_HDRLEN, 8);
	verdict(number(a.attrs[KSTRATA_ATTR_HZ]) == 500 &&
			number(a.attrs[KSTRATA_ATTR_BUDGET]) == 1000 &&
			got == 1 && !len_of(a.attrs[KSTRATA_ATTR_FILTERS]),
		"SESSION_GET tells what was changed", "%u Hz, CPUs %llx",
		(unsigned int)number(a.attrs[KSTRATA_ATTR_HZ]),
		(unsigned long long)got);
	answered("SESSION_SET of all CPUs",
	       set_data(fd, u.session, KSTRATA_ATTR_CPUS, &all, 8), 0);
	close(session);
}

struct cpus {
	unsigned int n;
	unsigned int started;
	uint64_t samples;
	uint64_t period;
	uint64_t asked;
	unsigned int throttled;
};

static void count_cpu(const struct nlmsghdr *nl, const struct nlattr **attrs,
		      void *userdata)
{
	struct cpus *c = userdata;

	(void)nl;
	c->n++;
	c->started += number(attrs[KSTRATA_ATTR_STARTED]) != 0;
	c->throttled += attrs[KSTRATA_ATTR_THROTTLED] != NULL;
	c->period = number(attrs[KSTRATA_ATTR_PERIOD]);
	c->asked = number(attrs[KSTRATA_ATTR_ASKED]);
	c->samples += stat_in(attrs[KSTRATA_ATTR_STATS], KSTRATA_STAT_SAMPLES);
}

static struct cpus get_cpus(int fd, uint32_t id)
{
	struct message m = request(family, KSTRATA_CMD_CPU_GET, NLM_F_DUMP);
	struct cpus c = { 0 };

	put_u32(&m, KSTRATA_ATTR_SESSION, id);
	answered("CPU_GET", ask(fd, &m, count_cpu, &c), 0);
	return c;
}

static void test_cpus(int fd)
{
	int session = device();
	struct kstrata_setup u = setup(session, 500, 1u << 20, 1000);
	uint64_t first = 1;
	pid_t child = spinner_on(0);
	struct answer a;
	struct cpus c;
	unsigned int online = (unsigned int)sysconf(_SC_NPROCESSORS_ONLN);

	switched(session, KSTRATA_IOC_START);
	c = get_cpus(fd, u.session);
	verdict(c.n >= online && c.started == online && c.asked == 2000000 &&
			c.period == 2000000 && !c.throttled,
		"CPU_GET tells of every CPU", "%u CPUs, %u on, period %llu",
		c.n, c.started, (unsigned long long)c.period);
	answered("SESSION_SET of one CPU, running",
	       set_data(fd, u.session, KSTRATA_ATTR_CPUS, &first, 8), 0);
	answered("SESSION_SET of the rate, running",
	       set_u32(fd, u.session, KSTRATA_ATTR_HZ, 1000), 0);
	spin_ms(300);
	c = get_cpus(fd, u.session);
	verdict(c.started == 1 && c.asked == 1000000, "the CPUs follow",
		"%u on, asked %llu", c.started, (unsigned long long)c.asked);
	switched(session, KSTRATA_IOC_STOP);
	reap(child);
	c = get_cpus(fd, u.session);
	get_session(fd, u.session, &a);
	verdict(c.samples > 0 && !c.started &&
			stat_in(a.attrs[KSTRATA_ATTR_STATS],
				KSTRATA_STAT_SAMPLES) == c.samples,
		"the session's statistics are the sum of its CPUs'",
		"%llu samples",
		(unsigned long long)c.samples);
	close(session);
}

static void test_dump(int fd)
{
	int sessions[KSTRATA_SESSIONS_MAX];
	uint32_t ids[KSTRATA_SESSIONS_MAX];
	struct list l = { 0 };
	struct message m;
	bool all = true;
	int r;

	for (int i = 0; i < KSTRATA_SESSIONS_MAX; i++) {
		sessions[i] = device();
		ids[i] = setup(sessions[i], 99, 1u << 14, 0).session;
		/* So that not all of them fit in one datagram. */
		set_filters(fd, ids[i], KSTRATA_FILTERS_MAX,
			    KSTRATA_FILTER_PID, 1, 8);
	}
	m = request(family, KSTRATA_CMD_SESSION_GET, NLM_F_DUMP);
	answered("a dump of all sessions that there can be",
	       ask(fd, &m, enlist, &l), 0);
	for (int i = 0; i < KSTRATA_SESSIONS_MAX; i++)
		all = all && l.id[i] == ids[i];
	verdict(all && l.n == KSTRATA_SESSIONS_MAX && datagrams > 2 &&
			!interrupted,
		"it has each of them once, in several parts",
		"%u in %u parts", l.n, datagrams);

	m = request(family, KSTRATA_CMD_SESSION_GET, NLM_F_DUMP);
	interrupted = false;
	memset(&l, 0, sizeof(l));
	send(fd, &m, m.nl.nlmsg_len, 0);
	r = receive(fd, m.nl.nlmsg_seq, enlist, &l);
	close(sessions[7]);
	while (r < 0)
		r = receive(fd, m.nl.nlmsg_seq, enlist, &l);
	verdict(!r && interrupted, "a dump says that a session has ended meanwhile",
		"%u sessions, %s", l.n, strerror(r));
	m = request(family, KSTRATA_CMD_SESSION_GET, NLM_F_DUMP);
	memset(&l, 0, sizeof(l));
	answered("the next dump", ask(fd, &m, enlist, &l), 0);
	verdict(l.n == KSTRATA_SESSIONS_MAX - 1 && !interrupted,
		"it has those that are left", "%u sessions", l.n);
	for (int i = 0; i < KSTRATA_SESSIONS_MAX - 1; i++)
		close(sessions[i]);
}

/* ---- events ------------------------------------------------------------ */

struct heard {
	uint32_t session;
	unsigned int throttles;
	unsigned int losses[CPUS];
	uint64_t lost;
	unsigned int went;
	unsigned int came;
	unsigned int foreign;
	bool odd;
};

static void hear(struct heard *h, const struct nlmsghdr *nl)
{
	const struct genlmsghdr *genl = NLMSG_DATA(nl);
	const struct nlattr *attrs[ATTRS];
	uint64_t cpu;

	parse_message(nl, attrs);
	if (nl->nlmsg_type != family ||
	    number(attrs[KSTRATA_ATTR_SESSION]) != h->session) {
		h->foreign++;
		return;
	}
	cpu = number(attrs[KSTRATA_ATTR_CPU]);
	switch (genl->cmd) {
	case KSTRATA_CMD_EVENT_THROTTLE:
		h->throttles++;
		if (!attrs[KSTRATA_ATTR_CPU] ||
		    number(attrs[KSTRATA_ATTR_PERIOD]) <
			    number(attrs[KSTRATA_ATTR_ASKED]) ||
		    !number(attrs[KSTRATA_ATTR_ASKED]) ||
		    !attrs[KSTRATA_ATTR_HANDLER_NS])
			h->odd = true;
		break;
	case KSTRATA_CMD_EVENT_LOSS:
		if (cpu < CPUS)
			h->losses[cpu]++;
		h->lost += number(attrs[KSTRATA_ATTR_LOST]);
		if (!attrs[KSTRATA_ATTR_CPU] ||
		    !number(attrs[KSTRATA_ATTR_LOST]) ||
		    !number(attrs[KSTRATA_ATTR_LOST_WEIGHT]))
			h->odd = true;
		break;
	case KSTRATA_CMD_EVENT_HOTPLUG:
		if (cpu != 1 || !attrs[KSTRATA_ATTR_ONLINE])
			h->odd = true;
		else if (number(attrs[KSTRATA_ATTR_ONLINE]))
			h->came++;
		else
			h->went++;
		break;
	default:
		h->odd = true;
	}
}

/* What comes within ms; ENOBUFS is no end. */
static void listen_for(int fd, struct heard *h, int ms)
{
	static char buf[65536] __attribute__((aligned(8)));
	int64_t end = now_ns() + ms * INT64_C(1000000);
	struct pollfd p = { .fd = fd, .events = POLLIN };

	do {
		int64_t left = (end - now_ns()) / 1000000;
		ssize_t n;

		if (poll(&p, 1, left > 0 ? (int)left : 0) <= 0)
			continue;
		n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);
		for (struct nlmsghdr *nl = (void *)buf;
		     n > 0 && NLMSG_OK(nl, (size_t)n); nl = NLMSG_NEXT(nl, n))
			hear(h, nl);
	} while (now_ns() < end);
}

static int listener(uint32_t session, struct heard *h)
{
	int fd = open_socket();

	*h = (struct heard){ .session = session };
	answered("join the group", join(fd), 0);
	return fd;
}

/* A running session whose throttle engages at once. */
static int throttled(struct kstrata_setup *u)
{
	int session = device();

	*u = setup(session, 10000, 1u << 20, 1);
	return session;
}

static void test_throttle(int fd)
{
	struct kstrata_setup u;
	int session = throttled(&u), ear;
	pid_t child = spinner_on(0);
	struct heard h;
	struct cpus c;

	ear = listener(u.session, &h);
	switched(session, KSTRATA_IOC_START);
	for (int i = 0; i < 200 && !h.throttles; i++)
		listen_for(ear, &h, 100);
	verdict(h.throttles && !h.odd && !h.foreign,
		"a throttled session is heard of", "%u events, %u foreign",
		h.throttles, h.foreign);
	c = get_cpus(fd, u.session);
	verdict(c.throttled > 0, "CPU_GET tells which CPUs are throttled",
		"none");
	reap(child);
	close(session);
	close(ear);
}

static void test_loss(int fd)
{
	int session = device(), ear;
	struct kstrata_setup u = setup(session, 2000, 1u << 14, 1000);
	pid_t child = spinner_on(0);
	struct answer a;
	struct heard h;
	int64_t begin;
	uint64_t lost;
	bool rare = true;

	ear = listener(u.session, &h);
	begin = now_ns();
	switched(session, KSTRATA_IOC_START);
	listen_for(ear, &h, 3500);
	switched(session, KSTRATA_IOC_STOP);
	reap(child);
	lost = lost_in(session, u.nr_cpus, u.ring_bytes);
	for (int i = 0; i < 100 && h.lost != lost; i++)
		listen_for(ear, &h, 100);
	verdict(h.lost == lost && lost && !h.odd && !h.foreign,
		"LOSS events tell all that was lost", "%llu of %llu",
		(unsigned long long)h.lost, (unsigned long long)lost);
	for (int cpu = 0; cpu < CPUS; cpu++)
		rare = rare && h.losses[cpu] <=
				       (now_ns() - begin) / SECOND + 1;
	verdict(rare && h.losses[0] >= 2, "they come once a second at most",
		"%u of CPU 0 in %lld ns", h.losses[0],
		(long long)(now_ns() - begin));
	get_session(fd, u.session, &a);
	verdict(stat_in(a.attrs[KSTRATA_ATTR_STATS], KSTRATA_STAT_LOST) == lost,
		"SESSION_GET tells of the loss", "%llu of %llu",
		(unsigned long long)stat_in(a.attrs[KSTRATA_ATTR_STATS],
					    KSTRATA_STAT_LOST),
		(unsigned long long)lost);
	close(session);
	close(ear);
}

static void test_hotplug(int fd)
{
	int session = device(), ear;
	struct kstrata_setup u = setup(session, 99, 0, 1000);
	struct cpus c;
	struct heard h;

	ear = listener(u.session, &h);
	switched(session, KSTRATA_IOC_START);
	listen_for(ear, &h, 300);
	verdict(!h.came && !h.went, "START is no hotplug", "%u", h.came);
	if (online(1, false)) {
		verdict(false, "CPU 1 goes", "%s", strerror(errno));
		goto out;
	}
	for (int i = 0; i < 100 && !h.went; i++)
		listen_for(ear, &h, 100);
	c = get_cpus(fd, u.session);
	verdict(h.went == 1 && !h.came && c.started == c.n - 1,
		"a CPU that goes is heard of", "%u events, %u CPUs on", h.went,
		c.started);
	online(1, true);
	for (int i = 0; i < 100 && !h.came; i++)
		listen_for(ear, &h, 100);
	verdict(h.went == 1 && h.came == 1 && !h.odd,
		"a CPU that comes is heard of", "%u events", h.came);
out:
	switched(session, KSTRATA_IOC_STOP);
	listen_for(ear, &h, 100);
	verdict(h.went <= 1 && h.came <= 1, "STOP is no hotplug", "%u", h.went);
	close(session);
	close(ear);
}

/* ---- rights ------------------------------------------------------------ */

/* Run fn(argument) in a child; its verdicts are ours. */
static void in_child(void (*fn)(int), int argument)
{
	int status = 0;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		failed = 0;
		fn(argument);
		exit(failed);
	}
	waitpid(pid, &status, 0);
	if (!WIFEXITED(status) || WEXITSTATUS(status) > 1)
		verdict(false, "a child ends", "status %x", status);
	else if (status)
		failed = 1;
}

static void become_nobody(void)
{
	if (setgroups(0, NULL) || setresgid(65534, 65534, 65534) ||
	    setresuid(65534, 65534, 65534)) {
		perror("setresuid");
		exit(1);
	}
}

static void keep_only(int cap)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[2] = { 0 };

	prctl(PR_SET_KEEPCAPS, 1);
	become_nobody();
	data[cap / 32].effective = data[cap / 32].permitted = 1u << cap % 32;
	if (syscall(SYS_capset, &header, data)) {
		perror("capset");
		exit(1);
	}
}

static void refused_all(int fd, const char *who)
{
	static const uint16_t dumps[] = {
		[KSTRATA_CMD_STATUS_GET] = 0,
		[KSTRATA_CMD_SESSION_GET] = 0,
		[KSTRATA_CMD_SESSION_SET] = 0,
		[KSTRATA_CMD_CPU_GET] = NLM_F_DUMP,
	};
	char name[80];

	for (uint8_t cmd = 1; cmd <= KSTRATA_CMD_CPU_GET; cmd++) {
		struct message m = request(family, cmd, dumps[cmd]);

		if (cmd != KSTRATA_CMD_STATUS_GET)
			put_u32(&m, KSTRATA_ATTR_SESSION, 1);
		snprintf(name, sizeof(name), "%s: command %u: EPERM", who, cmd);
		answered(name, ask(fd, &m, NULL, NULL), EPERM);
	}
	snprintf(name, sizeof(name), "%s: a dump of sessions: EPERM", who);
	answered(name, ask_plain(fd, KSTRATA_CMD_SESSION_GET, NLM_F_DUMP), EPERM);
}

static void as_nobody(int unused)
{
	(void)unused;
	become_nobody();
	refused_all(open_socket(), "a sender without rights");
}

static void as_nobody_with(int fd)
{
	become_nobody();
	refused_all(fd, "a sender without rights on root's socket");
}

static void as_root_with_nobodys(int unused)
{
	int fd;

	(void)unused;
	if (seteuid(65534))
		exit(1);
	fd = open_socket();
	if (seteuid(0))
		exit(1);
	refused_all(fd, "root on a socket without rights");
}

static void in_user_ns(int unused)
{
	(void)unused;
	if (unshare(CLONE_NEWUSER)) {
		verdict(false, "a user namespace", "%s", strerror(errno));
		return;
	}
	refused_all(open_socket(), "root of a user namespace");
}

static void in_net_ns(int unused)
{
	(void)unused;
	if (unshare(CLONE_NEWNET)) {
		verdict(false, "a network namespace", "%s", strerror(errno));
		return;
	}
	int fd = open_socket();

	answered("the family in another network namespace: ENOENT",
	       find_family(fd), ENOENT);
	answered("its number in another network namespace: ENOENT",
	       ask_plain(fd, KSTRATA_CMD_STATUS_GET, 0), ENOENT);
}

static void with_perfmon(int unused)
{
	(void)unused;
	keep_only(CAP_PERFMON);
	answered("CAP_PERFMON is enough to ask",
	       ask_plain(open_socket(), KSTRATA_CMD_STATUS_GET, 0), 0);
}

static void with_net_admin(int unused)
{
	(void)unused;
	keep_only(CAP_NET_ADMIN);
	refused_all(open_socket(), "CAP_NET_ADMIN only");
}

/*
 * A listener of some kind, which joins and says how that went; then listens until
 * it is told to end, and says whether it heard anything.
 */
enum kind {
	NOBODY,
	NET_ADMIN,
	OTHER_NET,
	USER_NS,
	PERFMON,
	KINDS
};

struct spy {
	pid_t pid;
	int to;
	int from;
	int joined;
	bool heard;
};

static void spy(enum kind kind, int in, int out)
{
	struct pollfd p;
	char c;
	int fd, r = 0;

	switch (kind) {
	case NOBODY:
		become_nobody();
		break;
	case NET_ADMIN:
		keep_only(CAP_NET_ADMIN);
		break;
	case OTHER_NET:
		r = unshare(CLONE_NEWNET);
		break;
	case USER_NS:
		r = unshare(CLONE_NEWUSER | CLONE_NEWNET);
		break;
	default:
		keep_only(CAP_PERFMON);
	}
	fd = open_socket();
	r = r ? errno : join(fd);
	if (write(out, &r, sizeof(r)) != sizeof(r))
		_exit(1);
	if (read(in, &c, 1) != 1)
		_exit(1);
	/* What is there by now is all. */
	p = (struct pollfd){ .fd = fd, .events = POLLIN };
	poll(&p, 1, 0);
	c = p.revents != 0;
	if (write(out, &c, 1) != 1)
		_exit(1);
	_exit(0);
}

static struct spy spy_begin(enum kind kind)
{
	struct spy s = { .joined = -1 };
	int in[2], out[2];

	if (pipe(in) || pipe(out))
		exit(1);
	fflush(stdout);
	s.pid = fork();
	if (s.pid == 0) {
		close(in[1]);
		close(out[0]);
		spy(kind, in[0], out[1]);
	}
	close(in[0]);
	close(out[1]);
	s.to = in[1];
	s.from = out[0];
	if (read(s.from, &s.joined, sizeof(s.joined)) != sizeof(s.joined))
		s.joined = -1;
	return s;
}

static void spy_end(struct spy *s)
{
	char c = 2;

	if (write(s->to, "", 1) != 1 || read(s->from, &c, 1) != 1)
		c = 2;
	s->heard = c != 0;
	close(s->to);
	close(s->from);
	waitpid(s->pid, NULL, 0);
}

static void test_ears(int fd)
{
	static const char *const names[KINDS] = {
		[NOBODY] = "a listener without rights",
		[NET_ADMIN] = "a listener with CAP_NET_ADMIN only",
		[OTHER_NET] = "a listener in another network namespace",
		[USER_NS] = "a listener in another user namespace",
		[PERFMON] = "a listener with CAP_PERFMON only",
	};
	struct kstrata_setup u;
	int session = throttled(&u), ear;
	struct spy spies[KINDS];
	struct heard h;
	pid_t child;
	char name[80];

	(void)fd;
	for (int kind = 0; kind < KINDS; kind++)
		spies[kind] = spy_begin(kind);
	ear = listener(u.session, &h);
	child = spinner_on(0);
	switched(session, KSTRATA_IOC_START);
	for (int i = 0; i < 200 && h.throttles < 3; i++)
		listen_for(ear, &h, 100);
	verdict(h.throttles > 0, "there is something to hear", "nothing");
	switched(session, KSTRATA_IOC_STOP);
	reap(child);
	for (int kind = 0; kind < KINDS; kind++)
		spy_end(&spies[kind]);
	for (int kind = 0; kind < PERFMON; kind++) {
		snprintf(name, sizeof(name), "%s hears nothing", names[kind]);
		verdict(!spies[kind].heard && spies[kind].joined >= 0, name,
			"joined: %d, heard: %d", spies[kind].joined,
			spies[kind].heard);
	}
	/* Where the kernel cannot choose, joining is what it can refuse. */
	if (spies[PERFMON].joined == EPERM)
		verdict(spies[NOBODY].joined == EPERM &&
				!spies[PERFMON].heard,
			"joining needs CAP_SYS_ADMIN where listeners cannot be chosen",
			"nobody: %d", spies[NOBODY].joined);
	else
		verdict(!spies[PERFMON].joined && spies[PERFMON].heard,
			"a listener with CAP_PERFMON only hears",
			"joined: %d", spies[PERFMON].joined);
	close(session);
	close(ear);
}

static void test_rights(int fd)
{
	in_child(as_nobody, 0);
	in_child(as_nobody_with, fd);
	in_child(as_root_with_nobodys, 0);
	in_child(in_user_ns, 0);
	in_child(in_net_ns, 0);
	in_child(with_perfmon, 0);
	in_child(with_net_admin, 0);
}

/* ---- sessions that come and go ------------------------------------------ */

/* Ask for all there is and change it, until killed. */
static void busybody(void)
{
	int fd = open_socket();
	unsigned int wrong = 0;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		struct message m = request(family, KSTRATA_CMD_SESSION_GET,
					   NLM_F_DUMP);
		struct list l = { 0 };

		if (ask(fd, &m, enlist, &l))
			wrong++;
		for (unsigned int i = 0; i < l.n; i++) {
			int r = set_u32(fd, l.id[i], KSTRATA_ATTR_HZ, 9999);

			/* EINVAL: not set up yet. */
			if (r && r != ENOENT && r != EINVAL)
				wrong++;
			m = request(family, KSTRATA_CMD_CPU_GET, NLM_F_DUMP);
			put_u32(&m, KSTRATA_ATTR_SESSION, l.id[i]);
			r = ask(fd, &m, NULL, NULL);
			if (r && r != ENOENT)
				wrong++;
		}
		if (wrong)
			_exit(1);
	}
}

/*
 * Sessions end with their events, and what is asked of them, on the way. Two that
 * stay keep the tracepoints in use: the first probe of one, and the second, have the
 * kernel patch its code, and an emulated CPU trips over that once in a while.
 */
static void test_storm(int fd)
{
	struct kstrata_setup u;
	int stay[2];
	pid_t child = spinner_on(0), asker;
	struct heard h;
	unsigned int n = 0;
	int ear = listener(0, &h), status;
	struct answer a;

	for (int i = 0; i < 2; i++) {
		stay[i] = device();
		setup(stay[i], 99, 0, 0);
		switched(stay[i], KSTRATA_IOC_START);
	}
	fflush(stdout);
	asker = fork();
	if (asker == 0)
		busybody();
	for (int i = 0; i < 40; i++) {
		int session = throttled(&u);

		n += !switched(session, KSTRATA_IOC_START);
		if (i % 16 == 0)
			online(1, i % 32 != 0);
		spin_ms(i % 8);
		close(session);
		listen_for(ear, &h, 0);
	}
	online(1, true);
	verdict(!waitpid(asker, &status, WNOHANG),
		"sessions that come and go while they are asked of",
		"an answer was wrong");
	reap(asker);
	reap(child);
	answered("none is left", get_session(fd, u.session, &a), ENOENT);
	verdict(n == 40, "all of them started", "%u", n);
	close(ear);
	for (int i = 0; i < 2; i++)
		close(stay[i]);
}

int main(void)
{
	int fd = open_socket();

	answered("the family is found", find_family(fd), 0);
	verdict(family && group, "it has its group", "family %u, group %u",
		family, group);
	if (!family)
		return 1;
	test_status(fd);
	test_form(fd);
	test_new(fd);
	test_session(fd);
	test_rows(fd);
	test_cpus(fd);
	test_dump(fd);
	test_throttle(fd);
	test_loss(fd);
	test_hotplug(fd);
	test_rights(fd);
	test_ears(fd);
	test_storm(fd);
	return failed;
}
