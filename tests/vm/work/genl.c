// SPDX-License-Identifier: Apache-2.0
/*
 * The generic netlink family, as section 5 of include/uapi/kstrata.h promises it:
 * every command, every error, who may ask and hear. Speaks netlink itself, for the
 * guest has no library. Prints a line "ok NAME" or "not ok NAME # why" for each
 * promise.
 *
 *   genl                    all of them
 *   genl fuzz SEED COUNT    so many mutated messages; the same for the same seed
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <kstrata.h>

#ifndef CAP_PERFMON
#define CAP_PERFMON 38
#endif

#define SECOND INT64_C(1000000000)
#define ATTRS 64
#define CPUS 64

static int failed;

__attribute__((format(printf, 3, 4))) static void
verdict(bool good, const char *name, const char *fmt, ...)
{
	va_list ap;

	printf(good ? "ok %s" : "not ok %s # ", name);
	if (!good) {
		va_start(ap, fmt);
		vprintf(fmt, ap);
		va_end(ap);
		failed = 1;
	}
	putchar('\n');
	fflush(stdout);
}

/* got and want: 0, or an errno. */
static void expect(const char *name, int got, int want)
{
	verdict(got == want, name, "got %s, not %s",
		got ? strerror(got) : "success",
		want ? strerror(want) : "success");
}

static int64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * SECOND + ts.tv_nsec;
}

static void spin_ms(int ms)
{
	int64_t end = now_ns() + ms * INT64_C(1000000);

	while (now_ns() < end)
		;
}

/* ---- messages ---------------------------------------------------------- */

struct message {
	struct nlmsghdr nl;
	struct genlmsghdr genl;
	char room[8192];
};

static uint16_t family;
static uint32_t group;
static uint32_t last_seq;

static struct message request(uint16_t type, uint8_t cmd, uint16_t flags)
{
	return (struct message){
		.nl.nlmsg_len = NLMSG_HDRLEN + GENL_HDRLEN,
		.nl.nlmsg_type = type,
		.nl.nlmsg_flags = NLM_F_REQUEST | flags,
		.nl.nlmsg_seq = ++last_seq,
		.genl.cmd = cmd,
		.genl.version = 1,
	};
}

/* A nested attribute is begun with no data and ended by end_nest(). */
static struct nlattr *put(struct message *m, uint16_t type, const void *data,
			  size_t len)
{
	struct nlattr *a = (void *)((char *)m + NLMSG_ALIGN(m->nl.nlmsg_len));

	a->nla_type = type;
	a->nla_len = (uint16_t)(NLA_HDRLEN + len);
	if (len)
		memcpy((char *)a + NLA_HDRLEN, data, len);
	m->nl.nlmsg_len = (uint32_t)(NLMSG_ALIGN(m->nl.nlmsg_len) +
				     NLA_ALIGN(a->nla_len));
	return a;
}

static void put_u32(struct message *m, uint16_t type, uint32_t value)
{
	put(m, type, &value, sizeof(value));
}

static void end_nest(struct message *m, struct nlattr *nest)
{
	nest->nla_len = (uint16_t)((char *)m + m->nl.nlmsg_len - (char *)nest);
}

/* The attributes of a message or of a nest, by type. */
static void parse(const void *from, size_t len, const struct nlattr **attrs)
{
	memset(attrs, 0, ATTRS * sizeof(*attrs));
	while (len >= NLA_HDRLEN) {
		const struct nlattr *a = from;
		size_t size = NLA_ALIGN(a->nla_len);
		int type = a->nla_type & NLA_TYPE_MASK;

		if (a->nla_len < NLA_HDRLEN || a->nla_len > len)
			break;
		if (type < ATTRS)
			attrs[type] = a;
		if (size > len)
			break;
		from = (const char *)from + size;
		len -= size;
	}
}

static void parse_message(const struct nlmsghdr *nl, const struct nlattr **attrs)
{
	parse((const char *)nl + NLMSG_HDRLEN + GENL_HDRLEN,
	      nl->nlmsg_len - NLMSG_HDRLEN - GENL_HDRLEN, attrs);
}

static size_t len_of(const struct nlattr *a)
{
	return a ? a->nla_len - (size_t)NLA_HDRLEN : 0;
}

static uint64_t number(const struct nlattr *a)
{
	uint64_t v64 = 0;
	uint32_t v32 = 0;

	if (len_of(a) == sizeof(v64)) {
		memcpy(&v64, (const char *)a + NLA_HDRLEN, sizeof(v64));
		return v64;
	}
	if (len_of(a) == sizeof(v32))
		memcpy(&v32, (const char *)a + NLA_HDRLEN, sizeof(v32));
	return v32;
}

static uint64_t stat_in(const struct nlattr *nest, int stat)
{
	const struct nlattr *stats[ATTRS];

	parse((const char *)nest + NLA_HDRLEN, len_of(nest), stats);
	return number(stats[stat]);
}

/* ---- the socket -------------------------------------------------------- */

static int open_socket(void)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC);
	struct sockaddr_nl to = { .nl_family = AF_NETLINK };
	struct timeval limit = { .tv_sec = 30 };
	int on = 1;

	if (fd < 0 || connect(fd, (void *)&to, sizeof(to))) {
		perror("netlink");
		exit(1);
	}
	setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	return fd;
}

typedef void (*message_fn)(const struct nlmsghdr *nl,
			   const struct nlattr **attrs, void *userdata);

/* What the kernel last said about an error. */
static char complaint[128];
static bool complained_of_attr;
static bool interrupted;
static unsigned int datagrams;

static void note_complaint(const struct nlmsghdr *nl)
{
	const struct nlmsgerr *e = NLMSG_DATA(nl);
	size_t skip = NLMSG_HDRLEN + sizeof(*e);
	const struct nlattr *attrs[ATTRS];

	complaint[0] = '\0';
	complained_of_attr = false;
	if (!(nl->nlmsg_flags & NLM_F_ACK_TLVS))
		return;
	if (!(nl->nlmsg_flags & NLM_F_CAPPED))
		skip += e->msg.nlmsg_len - NLMSG_HDRLEN;
	skip = NLMSG_ALIGN(skip);
	if (skip > nl->nlmsg_len)
		return;
	parse((const char *)nl + skip, nl->nlmsg_len - skip, attrs);
	if (attrs[NLMSGERR_ATTR_MSG])
		snprintf(complaint, sizeof(complaint), "%.*s",
			 (int)len_of(attrs[NLMSGERR_ATTR_MSG]),
			 (const char *)attrs[NLMSGERR_ATTR_MSG] + NLA_HDRLEN);
	complained_of_attr = attrs[NLMSGERR_ATTR_OFFS];
}

/* One datagram: -1: there is more to come; else the errno it ends with. */
static int receive(int fd, uint32_t seq, message_fn fn, void *userdata)
{
	static char buf[4096] __attribute__((aligned(8)));
	ssize_t n = recv(fd, buf, sizeof(buf), 0);
	const struct nlattr *attrs[ATTRS];

	if (n < 0)
		return errno;
	datagrams++;
	for (struct nlmsghdr *nl = (void *)buf; NLMSG_OK(nl, (size_t)n);
	     nl = NLMSG_NEXT(nl, n)) {
		if (nl->nlmsg_seq != seq)
			continue;
		if (nl->nlmsg_flags & NLM_F_DUMP_INTR)
			interrupted = true;
		if (nl->nlmsg_type == NLMSG_ERROR) {
			const struct nlmsgerr *e = NLMSG_DATA(nl);

			note_complaint(nl);
			return -e->error;
		}
		if (nl->nlmsg_type == NLMSG_DONE) {
			int r = 0;

			if (nl->nlmsg_len >= NLMSG_HDRLEN + sizeof(r))
				memcpy(&r, NLMSG_DATA(nl), sizeof(r));
			return -r;
		}
		parse_message(nl, attrs);
		if (fn)
			fn(nl, attrs, userdata);
	}
	return -1;
}

/* Send and take in all that is answered: 0 or an errno. */
static int ask(int fd, struct message *m, message_fn fn, void *userdata)
{
	int r;

	if (!(m->nl.nlmsg_flags & NLM_F_DUMP))
		m->nl.nlmsg_flags |= NLM_F_ACK;
	interrupted = false;
	datagrams = 0;
	if (send(fd, m, m->nl.nlmsg_len, 0) < 0)
		return errno;
	while ((r = receive(fd, m->nl.nlmsg_seq, fn, userdata)) < 0)
		;
	return r;
}

static void note_family(const struct nlmsghdr *nl, const struct nlattr **attrs,
			void *userdata)
{
	const struct nlattr *groups[ATTRS], *one[ATTRS];
	uint16_t id = 0;

	(void)nl;
	(void)userdata;
	if (len_of(attrs[CTRL_ATTR_FAMILY_ID]) == sizeof(id))
		memcpy(&id, (const char *)attrs[CTRL_ATTR_FAMILY_ID] + NLA_HDRLEN,
		       sizeof(id));
	family = id;
	if (!attrs[CTRL_ATTR_MCAST_GROUPS])
		return;
	parse((const char *)attrs[CTRL_ATTR_MCAST_GROUPS] + NLA_HDRLEN,
	      len_of(attrs[CTRL_ATTR_MCAST_GROUPS]), groups);
	for (int i = 0; i < ATTRS; i++) {
		if (!groups[i])
			continue;
		parse((const char *)groups[i] + NLA_HDRLEN, len_of(groups[i]),
		      one);
		if (one[CTRL_ATTR_MCAST_GRP_NAME] &&
		    !strcmp((const char *)one[CTRL_ATTR_MCAST_GRP_NAME] +
				    NLA_HDRLEN,
			    KSTRATA_GENL_EVENTS))
			group = (uint32_t)number(one[CTRL_ATTR_MCAST_GRP_ID]);
	}
}

static int find_family(int fd)
{
	struct message m = request(GENL_ID_CTRL, CTRL_CMD_GETFAMILY, 0);

	put(&m, CTRL_ATTR_FAMILY_NAME, KSTRATA_GENL_NAME,
	    sizeof(KSTRATA_GENL_NAME));
	return ask(fd, &m, note_family, NULL);
}

static int join(int fd)
{
	return setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group,
			  sizeof(group)) ? errno : 0;
}

/* ---- sessions ---------------------------------------------------------- */

static int device(void)
{
	int fd = open(KSTRATA_DEVICE, O_RDWR | O_CLOEXEC);

	if (fd < 0) {
		perror(KSTRATA_DEVICE);
		exit(1);
	}
	return fd;
}

static struct kstrata_setup setup(int fd, uint32_t hz, uint32_t ring_bytes,
				  uint32_t budget)
{
	struct kstrata_setup u = {
		.size = sizeof(u),
		.sample_hz = hz,
		.ring_bytes = ring_bytes,
		.budget = budget,
		.flags = KSTRATA_SETUP_NO_TASKS,
	};

	if (ioctl(fd, KSTRATA_IOC_SETUP, &u)) {
		perror("SETUP");
		exit(1);
	}
	return u;
}

static int toggle(int fd, unsigned long what)
{
	struct kstrata_switch sw = { .size = sizeof(sw) };

	return ioctl(fd, what, &sw) ? errno : 0;
}

static uint64_t lost_in(int fd, uint32_t cpus, uint32_t ring_bytes)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	uint64_t lost = 0;

	for (uint32_t cpu = 0; cpu < cpus; cpu++) {
		size_t len = page + 2 * (size_t)ring_bytes;
		struct kstrata_ring_producer *p =
			mmap(NULL, len, PROT_READ, MAP_SHARED, fd,
			     (off_t)KSTRATA_MMAP_RING(cpu, page));

		if (p == MAP_FAILED)
			continue;
		lost += p->lost;
		munmap(p, len);
	}
	return lost;
}

static pid_t spinner(int cpu)
{
	pid_t pid = fork();
	cpu_set_t set;

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		CPU_ZERO(&set);
		CPU_SET(cpu, &set);
		sched_setaffinity(0, sizeof(set), &set);
		for (;;)
			;
	}
	return pid;
}

static void reap(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* A copy of the last answer's attributes. */
struct answer {
	char room[8192] __attribute__((aligned(8)));
	const struct nlattr *attrs[ATTRS];
	unsigned int messages;
};

static void keep(const struct nlmsghdr *nl, const struct nlattr **attrs,
		 void *userdata)
{
	struct answer *a = userdata;

	(void)attrs;
	a->messages++;
	memcpy(a->room, nl, nl->nlmsg_len);
	parse_message((const void *)a->room, a->attrs);
}

static int get_session(int fd, uint32_t id, struct answer *a)
{
	struct message m = request(family, KSTRATA_CMD_SESSION_GET, 0);

	memset(a, 0, sizeof(*a));
	put_u32(&m, KSTRATA_ATTR_SESSION, id);
	return ask(fd, &m, keep, a);
}

struct list {
	unsigned int n;
	uint32_t id[32];
	uint32_t fresh;	/* one in state NEW */
};

static void enlist(const struct nlmsghdr *nl, const struct nlattr **attrs,
		   void *userdata)
{
	struct list *l = userdata;
	uint32_t id = (uint32_t)number(attrs[KSTRATA_ATTR_SESSION]);

	(void)nl;
	if (attrs[KSTRATA_ATTR_STATE] &&
	    number(attrs[KSTRATA_ATTR_STATE]) == KSTRATA_STATE_NEW)
		l->fresh = id;
	if (l->n < 32)
		l->id[l->n++] = id;
}

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

	expect("STATUS_GET", ask(fd, &m, keep, &a), 0);
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
	expect("STATUS_GET with an attribute: EINVAL",
	       ask_with(fd, KSTRATA_CMD_STATUS_GET, 0, KSTRATA_ATTR_SESSION,
			&one, sizeof(one)), EINVAL);
	expect("STATUS_GET as a dump: EOPNOTSUPP",
	       ask_plain(fd, KSTRATA_CMD_STATUS_GET, NLM_F_DUMP), EOPNOTSUPP);
	expect("CPU_GET not as a dump: EOPNOTSUPP",
	       ask_plain(fd, KSTRATA_CMD_CPU_GET, 0), EOPNOTSUPP);
	expect("SESSION_SET as a dump: EOPNOTSUPP",
	       ask_plain(fd, KSTRATA_CMD_SESSION_SET, NLM_F_DUMP), EOPNOTSUPP);
	expect("command 0: EOPNOTSUPP", ask_plain(fd, 0, 0), EOPNOTSUPP);
	expect("an unknown command: EOPNOTSUPP", ask_plain(fd, 31, 0),
	       EOPNOTSUPP);
	expect("an event as a request: EOPNOTSUPP",
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
		expect(name, got, want);                                       \
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
	expect("a dump of sessions with SESSION: EINVAL",
	       ask(fd, &m, NULL, NULL), EINVAL);
	if (linux_is(6, 1)) {
		m = request(family, KSTRATA_CMD_STATUS_GET, 0);
		m.genl.reserved = 1;
		expect("a reserved word that is not zero: EINVAL",
		       ask(fd, &m, NULL, NULL), EINVAL);
	}
	/* Less than a header is no message: dropped, and the next one counts. */
	m = request(family, KSTRATA_CMD_STATUS_GET, 0);
	send(fd, &m, 7, 0);
	expect("a message after one that is none",
	       ask_plain(fd, KSTRATA_CMD_STATUS_GET, 0), 0);
}

/* ---- SESSION_GET, SESSION_SET ------------------------------------------ */

static struct message set_of(uint32_t id)
{
	struct message m = request(family, KSTRATA_CMD_SESSION_SET, 0);

	put_u32(&m, KSTRATA_ATTR_SESSION, id);
	return m;
}

static int set_u32(int fd, uint32_t id, uint16_t attr, uint32_t value)
{
	struct message m = set_of(id);

	put_u32(&m, attr, value);
	return ask(fd, &m, NULL, NULL);
}

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

	expect("a dump of sessions", ask(fd, &m, enlist, &l), 0);
	verdict(l.n == 1 && l.fresh, "it has the one that there is",
		"%u sessions", l.n);
	expect("SESSION_GET of one that is NEW", get_session(fd, l.fresh, &a),
	       0);
	verdict(number(a.attrs[KSTRATA_ATTR_OPENER]) == (uint64_t)getpid() &&
			!a.attrs[KSTRATA_ATTR_HZ] && !a.attrs[KSTRATA_ATTR_STATS],
		"it has an opener and no set-up", "opener %u",
		(unsigned int)number(a.attrs[KSTRATA_ATTR_OPENER]));
	expect("SESSION_SET of one that is NEW: EINVAL",
	       set_u32(fd, l.fresh, KSTRATA_ATTR_HZ, 50), EINVAL);
	verdict(complained_of_attr && !strncmp(complaint, "SESSION", 7),
		"the kernel says why", "%s", complaint);
	m = request(family, KSTRATA_CMD_CPU_GET, NLM_F_DUMP);
	put_u32(&m, KSTRATA_ATTR_SESSION, l.fresh);
	memset(&a, 0, sizeof(a));
	expect("CPU_GET of one that is NEW", ask(fd, &m, keep, &a), 0);
	verdict(!a.messages, "it has no CPUs", "%u", a.messages);
	close(session);
	expect("SESSION_GET of one that has ended: ENOENT",
	       get_session(fd, l.fresh, &a), ENOENT);
}

static void test_session(int fd)
{
	int session = device();
	struct kstrata_setup u = setup(session, 199, 1u << 16, 300);
	uint64_t words[130] = { 1 }, all = ~UINT64_C(0), got;
	struct answer a;
	struct message m;

	expect("SESSION_GET", get_session(fd, u.session, &a), 0);
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
		expect("SESSION_SET " what, got, want);                        \
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
	expect("SESSION_SET of nothing: EINVAL", ask(fd, &m, NULL, NULL),
	       EINVAL);
	m = set_of(u.session);
	put_u32(&m, KSTRATA_ATTR_HZ, 500);
	put_u32(&m, KSTRATA_ATTR_BUDGET, 77);
	put(&m, KSTRATA_ATTR_CPUS, words, 8);
	expect("SESSION_SET of what is right and what is not: EINVAL",
	       ask(fd, &m, NULL, NULL), EINVAL);
	get_session(fd, u.session, &a);
	verdict(number(a.attrs[KSTRATA_ATTR_HZ]) == 199 &&
			number(a.attrs[KSTRATA_ATTR_BUDGET]) == 300,
		"all or nothing", "%u Hz",
		(unsigned int)number(a.attrs[KSTRATA_ATTR_HZ]));

	expect("SESSION_SET of as many filters as promised",
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
	expect("SESSION_SET of no filters",
	       set_filters(fd, u.session, 0, 0, 0, 0), 0);
	m = set_of(u.session);
	put_u32(&m, KSTRATA_ATTR_HZ, 500);
	put_u32(&m, KSTRATA_ATTR_BUDGET, 1000);
	words[0] = 1;
	put(&m, KSTRATA_ATTR_CPUS, words, KSTRATA_CPUS_BYTES_MAX);
	expect("SESSION_SET of rate, budget and CPUs", ask(fd, &m, NULL, NULL),
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
	expect("SESSION_SET of all CPUs",
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
	expect("CPU_GET", ask(fd, &m, count_cpu, &c), 0);
	return c;
}

static void test_cpus(int fd)
{
	int session = device();
	struct kstrata_setup u = setup(session, 500, 1u << 20, 1000);
	uint64_t first = 1;
	pid_t child = spinner(0);
	struct answer a;
	struct cpus c;
	unsigned int online = (unsigned int)sysconf(_SC_NPROCESSORS_ONLN);

	toggle(session, KSTRATA_IOC_START);
	c = get_cpus(fd, u.session);
	verdict(c.n >= online && c.started == online && c.asked == 2000000 &&
			c.period == 2000000 && !c.throttled,
		"CPU_GET tells of every CPU", "%u CPUs, %u on, period %llu",
		c.n, c.started, (unsigned long long)c.period);
	expect("SESSION_SET of one CPU, running",
	       set_data(fd, u.session, KSTRATA_ATTR_CPUS, &first, 8), 0);
	expect("SESSION_SET of the rate, running",
	       set_u32(fd, u.session, KSTRATA_ATTR_HZ, 1000), 0);
	spin_ms(300);
	c = get_cpus(fd, u.session);
	verdict(c.started == 1 && c.asked == 1000000, "the CPUs follow",
		"%u on, asked %llu", c.started, (unsigned long long)c.asked);
	toggle(session, KSTRATA_IOC_STOP);
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
	expect("a dump of all sessions that there can be",
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
	expect("the next dump", ask(fd, &m, enlist, &l), 0);
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
	expect("join the group", join(fd), 0);
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
	pid_t child = spinner(0);
	struct heard h;
	struct cpus c;

	ear = listener(u.session, &h);
	toggle(session, KSTRATA_IOC_START);
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
	pid_t child = spinner(0);
	struct answer a;
	struct heard h;
	int64_t begin;
	uint64_t lost;
	bool rare = true;

	ear = listener(u.session, &h);
	begin = now_ns();
	toggle(session, KSTRATA_IOC_START);
	listen_for(ear, &h, 3500);
	toggle(session, KSTRATA_IOC_STOP);
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

static int online(int cpu, bool on)
{
	char path[64];
	FILE *f;
	int r;

	snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/online",
		 cpu);
	f = fopen(path, "w");
	if (!f)
		return -1;
	r = fputs(on ? "1" : "0", f) < 0 ? -1 : 0;
	return fclose(f) ? -1 : r;
}

static void test_hotplug(int fd)
{
	int session = device(), ear;
	struct kstrata_setup u = setup(session, 99, 0, 1000);
	struct cpus c;
	struct heard h;

	ear = listener(u.session, &h);
	toggle(session, KSTRATA_IOC_START);
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
	toggle(session, KSTRATA_IOC_STOP);
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
		expect(name, ask(fd, &m, NULL, NULL), EPERM);
	}
	snprintf(name, sizeof(name), "%s: a dump of sessions: EPERM", who);
	expect(name, ask_plain(fd, KSTRATA_CMD_SESSION_GET, NLM_F_DUMP), EPERM);
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

	expect("the family in another network namespace: ENOENT",
	       find_family(fd), ENOENT);
	expect("its number in another network namespace: ENOENT",
	       ask_plain(fd, KSTRATA_CMD_STATUS_GET, 0), ENOENT);
}

static void with_perfmon(int unused)
{
	(void)unused;
	keep_only(CAP_PERFMON);
	expect("CAP_PERFMON is enough to ask",
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
	child = spinner(0);
	toggle(session, KSTRATA_IOC_START);
	for (int i = 0; i < 200 && h.throttles < 3; i++)
		listen_for(ear, &h, 100);
	verdict(h.throttles > 0, "there is something to hear", "nothing");
	toggle(session, KSTRATA_IOC_STOP);
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
	pid_t child = spinner(0), asker;
	struct heard h;
	unsigned int n = 0;
	int ear = listener(0, &h), status;
	struct answer a;

	for (int i = 0; i < 2; i++) {
		stay[i] = device();
		setup(stay[i], 99, 0, 0);
		toggle(stay[i], KSTRATA_IOC_START);
	}
	fflush(stdout);
	asker = fork();
	if (asker == 0)
		busybody();
	for (int i = 0; i < 40; i++) {
		int session = throttled(&u);

		n += !toggle(session, KSTRATA_IOC_START);
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
	expect("none is left", get_session(fd, u.session, &a), ENOENT);
	verdict(n == 40, "all of them started", "%u", n);
	close(ear);
	for (int i = 0; i < 2; i++)
		close(stay[i]);
}

/* ---- fuzzing ----------------------------------------------------------- */

static uint64_t random_state;

static uint32_t rnd(uint32_t below)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (uint32_t)(random_state >> 16) % below;
}

static void random_attr(struct message *m, uint32_t id)
{
	static const uint16_t kinds[] = { 0, 1, 2, 3, 9 };
	char junk[64];
	struct nlattr *nest;
	uint64_t value;

	for (size_t i = 0; i < sizeof(junk); i++)
		junk[i] = (char)rnd(256);
	switch (rnd(8)) {
	case 0:
	case 1:
		put_u32(m, KSTRATA_ATTR_SESSION, id);
		break;
	case 2:
		put_u32(m, KSTRATA_ATTR_HZ, rnd(4) ? 1 + rnd(2000) : rnd(20000));
		break;
	case 3:
		put_u32(m, KSTRATA_ATTR_BUDGET, rnd(1100));
		break;
	case 4:
		value = rnd(8);
		put(m, KSTRATA_ATTR_CPUS, &value, rnd(4) ? 8 : rnd(9));
		break;
	case 5:
		nest = put(m, KSTRATA_ATTR_FILTERS | (rnd(8) ? NLA_F_NESTED : 0),
			   NULL, 0);
		for (uint32_t n = rnd(rnd(8) ? 4 : 70); n; n--) {
			value = rnd(5000);
			put(m, kinds[rnd(5)], &value, rnd(8) ? 8 : rnd(9));
		}
		end_nest(m, nest);
		break;
	case 6:
		put(m, (uint16_t)rnd(64), junk, rnd(64));
		break;
	default:
		put(m, (uint16_t)rnd(65536), junk, rnd(64));
	}
}

static void fuzz(int fd, uint64_t seed, unsigned long count)
{
	static char buf[65536];
	int session = device();
	uint32_t id = setup(session, 199, 1u << 14, 0).session;
	struct answer a;
	unsigned long answers = 0;

	random_state = seed * UINT64_C(0x9e3779b97f4a7c15) | 1;
	toggle(session, KSTRATA_IOC_START);
	for (unsigned long i = 0; i < count; i++) {
		struct message m = request(family,
					   (uint8_t)(rnd(8) ? 1 + rnd(4) :
							      rnd(256)),
					   rnd(3) ? NLM_F_ACK : NLM_F_DUMP);
		uint32_t len, n;

		/* What makes sense, more often than not. */
		if (rnd(4))
			put_u32(&m, KSTRATA_ATTR_SESSION, id);
		for (n = rnd(5); n; n--)
			random_attr(&m, id);
		len = m.nl.nlmsg_len;
		/* Anything behind the type: others' families are not ours. */
		for (n = rnd(2) ? rnd(6) : 0; n; n--)
			((char *)&m)[8 + rnd(len - 8)] = (char)rnd(256);
		if (!rnd(8))
			m.nl.nlmsg_len = rnd(len + 64);
		if (!rnd(8))
			m.nl.nlmsg_flags ^= (uint16_t)(1u << rnd(16));
		/* Nothing behind the message: it would be one of any type. */
		if (len > m.nl.nlmsg_len)
			len = m.nl.nlmsg_len ? m.nl.nlmsg_len : 1;
		send(fd, &m, rnd(8) ? len : rnd(len) + 1, MSG_DONTWAIT);
		/* A dump goes on as it is read, and ends. */
		while (recv(fd, buf, sizeof(buf), MSG_DONTWAIT) > 0)
			answers++;
	}
	printf("# fuzz: %lu messages, %lu answers\n", count, answers);
	close(fd);
	fd = open_socket();
	expect("the session is there after fuzzing", get_session(fd, id, &a), 0);
	expect("the session can be set after fuzzing",
	       set_u32(fd, id, KSTRATA_ATTR_HZ, 99), 0);
	verdict(answers > count / 4, "fuzzing is answered", "%lu times", answers);
	toggle(session, KSTRATA_IOC_STOP);
	close(session);
}

int main(int argc, char **argv)
{
	int fd = open_socket();

	expect("the family is found", find_family(fd), 0);
	verdict(family && group, "it has its group", "family %u, group %u",
		family, group);
	if (!family)
		return 1;
	if (argc == 4 && !strcmp(argv[1], "fuzz")) {
		fuzz(fd, strtoull(argv[2], NULL, 0), strtoul(argv[3], NULL, 0));
		return failed;
	}
	test_status(fd);
	test_form(fd);
	test_new(fd);
	test_session(fd);
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
