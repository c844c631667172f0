// SPDX-License-Identifier: Apache-2.0
#include "symbol/readerchild.h"

#include "base/sandbox.h"
#include "symbol/reader.h"

#include <errno.h>
#include <fcntl.h>
#include <kstrata.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>



/* The largest of files take a tenth of the memory: libLLVM 28 MiB. */
static const struct sandbox_limits limits = {
	.memory = UINT64_C(256) << 20,
	.address_space = UINT64_C(8) << 30,
	.file = KSTRATA_ROWS_BYTES_MAX,
	.descriptors = 16,
};

union control {
	struct cmsghdr header; /* for its alignment */
	char room[CMSG_SPACE(READER_FDS * sizeof(int))];
};

int reader_send(int sock, const void *message, size_t size, const int *fds,
		size_t nr)
{
	struct iovec v = { .iov_base = (void *)(uintptr_t)message,
			   .iov_len = size };
	union control control;
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1 };

	if (nr) {
		struct cmsghdr *c;

		memset(&control, 0, sizeof(control));
		m.msg_control = &control;
		m.msg_controllen = CMSG_SPACE(nr * sizeof(int));
		c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(nr * sizeof(int));
		memcpy(CMSG_DATA(c), fds, nr * sizeof(int));
	}
	while (sendmsg(sock, &m, MSG_NOSIGNAL) < 0)
		if (errno != EINTR)
			return -errno;
	return 0;
}

int reader_receive(int sock, void *message, size_t size,
		   int fds[READER_FDS])
{
	struct iovec v = { .iov_base = message, .iov_len = size };
	union control control;
	struct msghdr m = {
		.msg_iov = &v,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	ssize_t n;
	int nr = 0;

	do {
		n = recvmsg(sock, &m, MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EWOULDBLOCK ? -EAGAIN : -errno;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
		size_t some = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		/* There is room for no more than that. */
		memcpy(fds, CMSG_DATA(c), some * sizeof(int));
		nr = (int)some;
	}
	if ((size_t)n == size && !(m.msg_flags & (MSG_TRUNC | MSG_CTRUNC)))
		return nr;
	for (int i = 0; i < nr; i++)
		close(fds[i]);
	return n ? -EBADMSG : -ECONNRESET;
}

int reader_work_cfi(enum reader_work work, int fd, struct cfi_table *out,
		    struct cfi_report *report)
{
	switch (work) {
	case READER_ROWS:
		return cfi_compile(fd, out, report);
	}
	return -EOPNOTSUPP;
}

static int write_result(int fd, const struct cfi_table *t)
{
	size_t done = 0;

	while (done < t->size) {
		ssize_t n = pwrite(fd, (char *)t->bytes + done, t->size - done,
				   (off_t)done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		done += (size_t)n;
	}
	return 0;
}

static int serve(reader_work_fn work)
{
	struct reader_request request;
	struct reader_reply reply;
	struct cfi_table table = { 0 };
	int fds[READER_FDS];
	int r, nr;

	nr = reader_receive(READER_SOCKET, &request, sizeof(request), fds);
	if (nr < 0)
		return nr;
	memset(&reply, 0, sizeof(reply));
	reply.serial = request.serial;
	r = -EBADMSG;
	if (nr == READER_FDS)
		r = work(request.work, fds[0], &table, &reply.report);
	if (!r)
		r = write_result(fds[1], &table);
	if (reply.report.why)
		strncpy(reply.why, reply.report.why, sizeof(reply.why) - 1);
	/* An address of ours means nothing to anybody else. */
	reply.report.why = NULL;
	reply.status = r;
	reply.bytes = r ? 0 : table.size;
	cfi_table_release(&table);
	for (int i = 0; i < nr; i++)
		close(fds[i]);
	return reader_send(READER_SOCKET, &reply, sizeof(reply), NULL, 0);
}

bool readerchild_is(int argc, char **argv)
{
	return argc == 2 && !strcmp(argv[1], READER_ARGUMENT);
}

/* Rather this one than any other, when memory runs out. */
static void volunteer(void)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (write(fd, "1000", 4) < 0)
		errno = 0; /* then not */
	close(fd);
}

int readerchild_main(reader_work_fn work)
{
	struct reader_reply hello;
	sigset_t none;
	int r;

	/* They are for the daemon; its end is ours. */
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	syscall(SYS_close_range, READER_SOCKET + 1, ~0U, 0);
	dup2(2, 0);
	dup2(2, 1);
	volunteer();
	setpriority(PRIO_PROCESS, 0, 10);
	memset(&hello, 0, sizeof(hello));
	prctl(PR_SET_NAME, READER_NAME, 0, 0, 0);
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
		return 1;
	r = sandbox_enter(&limits);
	if (r && r != -ENOSYS)
		return 1;
	hello.status = r;
	r = reader_send(READER_SOCKET, &hello, sizeof(hello), NULL, 0);
	while (!r)
		r = serve(work);
	return r != -ECONNRESET;
}
