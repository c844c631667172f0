/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client of the generic netlink family, for the guest's test programs. Speaks
 * netlink itself, for the guest has no library.
 */
#ifndef KSTRATA_TESTS_VM_WORK_GENLCLIENT_H
#define KSTRATA_TESTS_VM_WORK_GENLCLIENT_H

#include "session.h"

#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <stddef.h>
#include <sys/socket.h>

#define SECOND INT64_C(1000000000)
#define ATTRS 64

/* got and want: 0, or an errno. */
static inline void answered(const char *name, int got, int want)
{
	verdict(got == want, name, "got %s, not %s",
		got ? strerror(got) : "success",
		want ? strerror(want) : "success");
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

static inline struct message request(uint16_t type, uint8_t cmd, uint16_t flags)
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
static inline struct nlattr *put(struct message *m, uint16_t type, const void *data,
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

static inline void put_u32(struct message *m, uint16_t type, uint32_t value)
{
	put(m, type, &value, sizeof(value));
}

static inline void end_nest(struct message *m, struct nlattr *nest)
{
	nest->nla_len = (uint16_t)((char *)m + m->nl.nlmsg_len - (char *)nest);
}

/* The attributes of a message or of a nest, by type. */
static inline void parse(const void *from, size_t len, const struct nlattr **attrs)
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

static inline void parse_message(const struct nlmsghdr *nl, const struct nlattr **attrs)
{
	parse((const char *)nl + NLMSG_HDRLEN + GENL_HDRLEN,
	      nl->nlmsg_len - NLMSG_HDRLEN - GENL_HDRLEN, attrs);
}

static inline size_t len_of(const struct nlattr *a)
{
	return a ? a->nla_len - (size_t)NLA_HDRLEN : 0;
}

static inline uint64_t number(const struct nlattr *a)
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

static inline uint64_t stat_in(const struct nlattr *nest, int stat)
{
	const struct nlattr *stats[ATTRS];

	parse((const char *)nest + NLA_HDRLEN, len_of(nest), stats);
	return number(stats[stat]);
}

/* ---- the socket -------------------------------------------------------- */

static inline int open_socket(void)
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

static inline void note_complaint(const struct nlmsghdr *nl)
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
static inline int receive(int fd, uint32_t seq, message_fn fn, void *userdata)
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
static inline int ask(int fd, struct message *m, message_fn fn, void *userdata)
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

static inline void note_family(const struct nlmsghdr *nl, const struct nlattr **attrs,
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

static inline int find_family(int fd)
{
	struct message m = request(GENL_ID_CTRL, CTRL_CMD_GETFAMILY, 0);

	put(&m, CTRL_ATTR_FAMILY_NAME, KSTRATA_GENL_NAME,
	    sizeof(KSTRATA_GENL_NAME));
	return ask(fd, &m, note_family, NULL);
}

static inline int join(int fd)
{
	return setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group,
			  sizeof(group)) ? errno : 0;
}

/* ---- sessions ---------------------------------------------------------- */

static inline struct kstrata_setup setup(int fd, uint32_t hz, uint32_t ring_bytes,
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

/* 0, or an errno. */
static inline int switched(int fd, unsigned long what)
{
	return toggle(fd, what) ? errno : 0;
}

static inline uint64_t lost_in(int fd, uint32_t cpus, uint32_t ring_bytes)
{
	uint64_t lost = 0;

	page = (size_t)sysconf(_SC_PAGESIZE);
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

static inline pid_t spinner_on(int cpu)
{
	pid_t pid = spinner();

	pin(pid, cpu);
	return pid;
}

/* A copy of the last answer's attributes. */
struct answer {
	char room[8192] __attribute__((aligned(8)));
	const struct nlattr *attrs[ATTRS];
	unsigned int messages;
};

static inline void keep(const struct nlmsghdr *nl, const struct nlattr **attrs,
		 void *userdata)
{
	struct answer *a = userdata;

	(void)attrs;
	a->messages++;
	memcpy(a->room, nl, nl->nlmsg_len);
	parse_message((const void *)a->room, a->attrs);
}

static inline int get_session(int fd, uint32_t id, struct answer *a)
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

static inline void enlist(const struct nlmsghdr *nl, const struct nlattr **attrs,
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

static inline struct message set_of(uint32_t id)
{
	struct message m = request(family, KSTRATA_CMD_SESSION_SET, 0);

	put_u32(&m, KSTRATA_ATTR_SESSION, id);
	return m;
}

static inline int set_u32(int fd, uint32_t id, uint16_t attr, uint32_t value)
{
	struct message m = set_of(id);

	put_u32(&m, attr, value);
	return ask(fd, &m, NULL, NULL);
}

#endif
