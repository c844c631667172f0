// SPDX-License-Identifier: Apache-2.0
/*
 * Every way into the module with the first, the second, ... the n-th fault
 * injected, until a call gets through without one: allocations and copies from
 * and to user space fail, wherever they are. The errno must be one that the ABI
 * names; and after ENOMEM the same call must succeed, that is, nothing was left
 * half done.
 *
 *   faults            needs CONFIG_FAULT_INJECTION, and debugfs
 *   faults load FILE STEP
 *                     the module FILE is loaded, likewise, with every STEP-th
 *                     fault: there are hundreds, most of them the loader's
 */
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "../../rowmake.h"
#include "session.h"

/* No path of ours has nearly as many places that can fail. */
#define FAULTS_MAX	2000

static int fail_nth = -1;

/* What the paths work on; each starts with a state of its own. */
static int fd;
static const char *module_file;
static int module_fd;
static void *mapped;
static size_t mapped_bytes;

static void set_up(uint32_t flags)
{
	struct kstrata_setup setup = setup_of(1000, 16384);

	setup.flags = flags;
	fd = device();
	if (ioctl(fd, KSTRATA_IOC_SETUP, &setup)) {
		perror("SETUP");
		exit(1);
	}
}

static void start(uint32_t flags)
{
	set_up(flags);
	if (toggle(fd, KSTRATA_IOC_START)) {
		perror("START");
		exit(1);
	}
}

static void at_nothing(void)
{
	fd = -1;
}

static void at_new(void)
{
	fd = device();
}

static void at_ready(void)
{
	set_up(0);
}

static void at_running(void)
{
	start(0);
}

static uint32_t object_id;

static void note_object(const struct kstrata_record *r, void *userdata)
{
	const struct kstrata_object *o = (const void *)r;

	(void)userdata;
	if (r->type == KSTRATA_RECORD_OBJECT && !(r->flags & KSTRATA_OBJECT_GONE))
		object_id = o->id;
}

/* A session that has met us. */
static void at_sampled(void)
{
	struct kstrata_setup setup = setup_of(10000, 1 << 18);
	struct session s;

	setup.flags = KSTRATA_SETUP_OBJECTS;
	session_begin(&s, setup);
	object_id = 0;
	if (toggle(s.fd, KSTRATA_IOC_START)) {
		perror("START");
		exit(1);
	}
	for (int i = 0; i < 200 && !object_id; i++) {
		spin_ms(20);
		for (uint32_t cpu = 0; cpu < s.nr_cpus; cpu++)
			if (s.producer[cpu])
				drain(&s, cpu, note_object, NULL);
	}
	toggle(s.fd, KSTRATA_IOC_STOP);
	fd = dup(s.fd);
	session_end(&s);
}

/* Rows for it; made before any fault. In a page, and in many. */
static void *table;
static size_t table_bytes;

static void at_rows(uint32_t rows)
{
	uint64_t seed = 1;

	at_sampled();
	free(table);
	table = rowmake_wild(&seed, ROWMAKE_NATIVE, 0, 1 << 20, rows, &table_bytes);
	if (!table)
		exit(1);
}

static void at_few_rows(void)
{
	at_rows(2);
}

static void at_many_rows(void)
{
	at_rows(20000);
}

static void at_loading(void)
{
	fd = -1;
	module_fd = open(module_file, O_RDONLY | O_CLOEXEC);
}

static void end(long result)
{
	(void)result;
	if (fd >= 0)
		close(fd);
}

static void end_open(long result)
{
	if (result >= 0)
		close((int)result);
}

static void end_map(long result)
{
	if (result >= 0)
		munmap(mapped, mapped_bytes);
	close(fd);
}

static void end_load(long result)
{
	close(module_fd);
	if (result >= 0 && syscall(SYS_delete_module, "kstrata", 0))
		verdict(false, "faults: unload", "%s", strerror(errno));
}

static long do_open(void)
{
	return open(KSTRATA_DEVICE, O_RDWR | O_CLOEXEC);
}

static long do_version(void)
{
	struct kstrata_version version = { .size = sizeof(version) };

	return ioctl(fd, KSTRATA_IOC_VERSION, &version);
}

static long do_setup(void)
{
	struct kstrata_setup setup = setup_of(1000, 16384);

	return ioctl(fd, KSTRATA_IOC_SETUP, &setup);
}

static long do_setup_objects(void)
{
	struct kstrata_setup setup = setup_of(1000, 16384);

	setup.flags = KSTRATA_SETUP_OBJECTS;
	return ioctl(fd, KSTRATA_IOC_SETUP, &setup);
}

static long do_start(void)
{
	return toggle(fd, KSTRATA_IOC_START);
}

static long do_stop(void)
{
	return toggle(fd, KSTRATA_IOC_STOP);
}

static long do_configure(void)
{
	uint64_t cpus[2] = { ~0ull, 1 };
	struct kstrata_filter filters[2] = {
		{ .kind = KSTRATA_FILTER_PID, .id = 1 },
		{ .kind = KSTRATA_FILTER_CGROUP, .id = 1 },
	};
	struct kstrata_configure c = {
		.size = sizeof(c),
		.what = KSTRATA_CONFIGURE_ALL,
		.sample_hz = 500,
		.budget = 500,
		.cpus = (uintptr_t)cpus,
		.cpus_bytes = sizeof(cpus),
		.nr_filters = 2,
		.filters = (uintptr_t)filters,
	};

	return ioctl(fd, KSTRATA_IOC_CONFIGURE, &c);
}

static long do_object(void)
{
	char path[1024];
	struct kstrata_object_get get = {
		.size = sizeof(get),
		.id = object_id,
		.path = (uintptr_t)path,
		.path_bytes = sizeof(path),
	};
	int r = ioctl(fd, KSTRATA_IOC_OBJECT, &get);

	if (!r)
		close(get.fd);
	return r;
}

static long do_rows(void)
{
	struct kstrata_rows u = {
		.size = sizeof(u),
		.id = object_id,
		.bytes = (uint32_t)table_bytes,
		.table = (uintptr_t)table,
	};

	return ioctl(fd, KSTRATA_IOC_ROWS, &u);
}

static long do_map(off_t offset, size_t bytes, int prot)
{
	mapped = mmap(NULL, bytes, prot, MAP_SHARED | MAP_POPULATE, fd, offset);
	mapped_bytes = bytes;
	return mapped == MAP_FAILED ? -1 : 0;
}

static long do_map_consumer(void)
{
	return do_map((off_t)KSTRATA_MMAP_CONSUMER(0), page,
		      PROT_READ | PROT_WRITE);
}

static long do_map_ring(void)
{
	return do_map((off_t)KSTRATA_MMAP_RING(0, page), page + 2 * 16384,
		      PROT_READ);
}

static long do_poll(void)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 0);
}

static long do_close(void)
{
	int r = close(fd);

	fd = -1;
	return r;
}

static long do_load(void)
{
	return syscall(SYS_finit_module, module_fd, "", 0);
}

/* ---- netlink ------------------------------------------------------------------ */

struct request {
	struct nlmsghdr nl;
	struct genlmsghdr genl;
	char attrs[64];
};

static uint16_t family;
static uint32_t session_id;

static void put(struct request *r, uint16_t type, const void *data, uint16_t len)
{
	struct nlattr *a = (void *)((char *)r + r->nl.nlmsg_len);

	a->nla_type = type;
	a->nla_len = (uint16_t)(NLA_HDRLEN + len);
	memcpy((char *)a + NLA_HDRLEN, data, len);
	r->nl.nlmsg_len += NLA_ALIGN(a->nla_len);
}

static struct request request(uint16_t type, uint8_t cmd, uint16_t flags)
{
	return (struct request){
		.nl.nlmsg_len = NLMSG_HDRLEN + GENL_HDRLEN,
		.nl.nlmsg_type = type,
		.nl.nlmsg_flags = NLM_F_REQUEST | flags,
		.genl.cmd = cmd,
		.genl.version = 1,
	};
}

/* 0 when it was answered without an error; answer has the last datagram. */
static int ask(const struct request *r, void *answer, size_t room)
{
	if (send(fd, r, r->nl.nlmsg_len, 0) < 0)
		return -1;
	for (;;) {
		ssize_t n = recv(fd, answer, room, 0);

		if (n < 0)
			return -1;
		for (struct nlmsghdr *nl = answer; NLMSG_OK(nl, (size_t)n);
		     nl = NLMSG_NEXT(nl, n)) {
			const int *error = NLMSG_DATA(nl);

			if (nl->nlmsg_type == NLMSG_DONE ||
			    nl->nlmsg_type == NLMSG_ERROR) {
				errno = -*error;
				return *error ? -1 : 0;
			}
			if (!(nl->nlmsg_flags & NLM_F_MULTI) &&
			    !(r->nl.nlmsg_flags & NLM_F_ACK))
				return 0;
		}
	}
}

static char answer[16384] __attribute__((aligned(8)));

static int netlink_socket(void)
{
	struct timeval limit = { .tv_sec = 5 };
	int s = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC);

	setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	return s;
}

static bool find_family(void)
{
	struct request r = request(GENL_ID_CTRL, CTRL_CMD_GETFAMILY, 0);
	const struct nlmsghdr *nl = (void *)answer;
	size_t at = NLMSG_HDRLEN + GENL_HDRLEN;

	put(&r, CTRL_ATTR_FAMILY_NAME, KSTRATA_GENL_NAME,
	    sizeof(KSTRATA_GENL_NAME));
	fd = netlink_socket();
	if (ask(&r, answer, sizeof(answer)))
		return false;
	while (at < nl->nlmsg_len) {
		const struct nlattr *a = (void *)(answer + at);

		if (a->nla_type == CTRL_ATTR_FAMILY_ID)
			memcpy(&family, (const char *)a + NLA_HDRLEN,
			       sizeof(family));
		if (a->nla_len < NLA_HDRLEN)
			break;
		at += NLA_ALIGN(a->nla_len);
	}
	close(fd);
	return family;
}

static int beside = -1;

/* A session to be asked about, and a fresh socket. */
static void at_netlink(void)
{
	struct kstrata_setup setup = setup_of(1000, 16384);

	if (beside < 0) {
		beside = device();
		if (ioctl(beside, KSTRATA_IOC_SETUP, &setup)) {
			perror("SETUP");
			exit(1);
		}
		session_id = setup.session;
	}
	fd = netlink_socket();
}

static long do_netlink_status(void)
{
	struct request r = request(family, KSTRATA_CMD_STATUS_GET, 0);

	return ask(&r, answer, sizeof(answer));
}

static long do_netlink_session(void)
{
	struct request r = request(family, KSTRATA_CMD_SESSION_GET, 0);

	put(&r, KSTRATA_ATTR_SESSION, &session_id, sizeof(session_id));
	return ask(&r, answer, sizeof(answer));
}

static long do_netlink_dump(void)
{
	struct request r = request(family, KSTRATA_CMD_SESSION_GET, NLM_F_DUMP);

	return ask(&r, answer, sizeof(answer));
}

static long do_netlink_cpus(void)
{
	struct request r = request(family, KSTRATA_CMD_CPU_GET, NLM_F_DUMP);

	put(&r, KSTRATA_ATTR_SESSION, &session_id, sizeof(session_id));
	return ask(&r, answer, sizeof(answer));
}

static long do_netlink_set(void)
{
	struct request r = request(family, KSTRATA_CMD_SESSION_SET, NLM_F_ACK);
	uint32_t hz = 500;
	uint64_t cpus = 3;

	put(&r, KSTRATA_ATTR_SESSION, &session_id, sizeof(session_id));
	put(&r, KSTRATA_ATTR_HZ, &hz, sizeof(hz));
	put(&r, KSTRATA_ATTR_CPUS, &cpus, sizeof(cpus));
	return ask(&r, answer, sizeof(answer));
}

static const struct path {
	const char *name;
	void (*begin)(void);
	long (*call)(void);
	void (*end)(long result);
	int allowed[4];		/* errnos */
} paths[] = {
	{ "open", at_nothing, do_open, end_open, { ENOMEM, EFAULT } },
	{ "VERSION", at_new, do_version, end, { EFAULT } },
	{ "SETUP", at_new, do_setup, end, { ENOMEM, EFAULT } },
	{ "SETUP with objects", at_new, do_setup_objects, end,
	  { ENOMEM, EFAULT } },
	{ "START", at_ready, do_start, end, { ENOMEM, EFAULT } },
	{ "CONFIGURE, ready", at_ready, do_configure, end, { ENOMEM, EFAULT } },
	{ "CONFIGURE, running", at_running, do_configure, end,
	  { ENOMEM, EFAULT } },
	{ "STOP", at_running, do_stop, end, { EFAULT } },
	{ "OBJECT", at_sampled, do_object, end, { ENOMEM, EFAULT } },
	{ "ROWS, few", at_few_rows, do_rows, end, { ENOMEM, EFAULT } },
	{ "ROWS, many", at_many_rows, do_rows, end, { ENOMEM, EFAULT } },
	{ "mmap of the consumer's page", at_ready, do_map_consumer, end_map,
	  { ENOMEM, EAGAIN } },
	{ "mmap of the ring", at_ready, do_map_ring, end_map,
	  { ENOMEM, EAGAIN } },
	{ "poll", at_running, do_poll, end, { ENOMEM, EFAULT } },
	{ "close", at_running, do_close, end, { 0 } },
	{ "netlink: status", at_netlink, do_netlink_status, end,
	  { ENOMEM, ENOBUFS, EFAULT, EAGAIN } },
	{ "netlink: session", at_netlink, do_netlink_session, end,
	  { ENOMEM, ENOBUFS, EFAULT, EAGAIN } },
	{ "netlink: sessions", at_netlink, do_netlink_dump, end,
	  { ENOMEM, ENOBUFS, EFAULT, EAGAIN } },
	{ "netlink: CPUs", at_netlink, do_netlink_cpus, end,
	  { ENOMEM, ENOBUFS, EFAULT, EAGAIN } },
	{ "netlink: set", at_netlink, do_netlink_set, end,
	  { ENOMEM, ENOBUFS, EFAULT, EAGAIN } },
}, load = {
	"load", at_loading, do_load, end_load, { ENOMEM, EFAULT },
};

static bool allowed(const struct path *p, int error)
{
	for (size_t i = 0; i < 4 && p->allowed[i]; i++)
		if (p->allowed[i] == error)
			return true;
	return false;
}

static void arm(int n)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%d", n);

	/* The fault may strike in here, once. */
	if (pwrite(fail_nth, text, (size_t)len, 0) != len &&
	    pwrite(fail_nth, text, (size_t)len, 0) != len) {
		perror("fail-nth");
		exit(1);
	}
}

/* Was the fault injected since arm()? Disarms. */
static bool injected(void)
{
	char text[16] = "";
	ssize_t len = pread(fail_nth, text, sizeof(text) - 1, 0);

	/* That very read had it. */
	if (len < 0)
		return false;
	if (atoi(text) == 0)
		return true;
	arm(0);
	return false;
}

static void walk(const struct path *p, int step)
{
	char name[128];
	int n, hit = 0, survived = 0;

	for (n = 1; n <= FAULTS_MAX; n += step) {
		long result;
		int error;
		bool hurt;

		p->begin();
		arm(n);
		errno = 0;
		result = p->call();
		error = result < 0 ? errno : 0;
		hurt = injected();
		if (error && (!hurt || !allowed(p, error))) {
			verdict(false, p->name, "fault %d%s: %s", n,
				hurt ? "" : ", not injected", strerror(error));
			p->end(result);
			return;
		}
		hit += hurt;
		survived += hurt && !error;
		if (error == ENOMEM) {
			result = p->call();
			if (result < 0) {
				verdict(false, p->name,
					"after ENOMEM at fault %d: %s", n,
					strerror(errno));
				p->end(result);
				return;
			}
		}
		p->end(result);
		if (!hurt)
			break;
	}
	snprintf(name, sizeof(name), "faults: %s", p->name);
	verdict(n <= FAULTS_MAX, name, "more than %d", FAULTS_MAX);
	printf("# %s: %d faults, %d of them survived\n", p->name, hit, survived);
}

/* knob FILE VALUE, under debugfs. */
static bool knob(const char *file, const char *value)
{
	char path[128];
	int out, r;

	snprintf(path, sizeof(path), "/sys/kernel/debug/%s", file);
	out = open(path, O_WRONLY);
	if (out < 0)
		return false;
	r = (int)write(out, value, strlen(value));
	close(out);
	return r > 0;
}

int main(int argc, char **argv)
{
	char path[64];

	page = (size_t)sysconf(_SC_PAGESIZE);
	/* Sleeping allocations as well, and silently. */
	if (!knob("failslab/ignore-gfp-wait", "N") ||
	    !knob("failslab/verbose", "0") ||
	    !knob("fail_page_alloc/ignore-gfp-wait", "N") ||
	    !knob("fail_page_alloc/min-order", "0") ||
	    !knob("fail_page_alloc/verbose", "0") ||
	    !knob("fail_usercopy/verbose", "0")) {
		verdict(false, "faults", "this kernel cannot inject any");
		return 1;
	}
	snprintf(path, sizeof(path), "/proc/self/task/%d/fail-nth",
		 (int)syscall(SYS_gettid));
	fail_nth = open(path, O_RDWR | O_CLOEXEC);
	if (fail_nth < 0) {
		verdict(false, "faults", "%s: %s", path, strerror(errno));
		return 1;
	}
	if (argc > 3 && !strcmp(argv[1], "load")) {
		module_file = argv[2];
		walk(&load, atoi(argv[3]) > 0 ? atoi(argv[3]) : 1);
		return failed;
	}
	if (!find_family()) {
		verdict(false, "faults", "no netlink family");
		return 1;
	}
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		walk(&paths[i], 1);
	return failed;
}
