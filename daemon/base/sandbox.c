// SPDX-License-Identifier: Apache-2.0
#include "base/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Whatever of them a root process, or one with ambient ones, was started with. */
static int drop_capabilities(void)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3];

	memset(none, 0, sizeof(none));
	/* Fails on capabilities that do not exist and without CAP_SETPCAP. */
	for (int cap = 0; cap < 64; cap++)
		prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	if (syscall(SYS_capset, &header, none) < 0)
		return -errno;
	return 0;
}

static int limit(int resource, uint64_t value)
{
	struct rlimit l;

	if (getrlimit(resource, &l) < 0)
		return -errno;
	l.rlim_max = min_u64(l.rlim_max, value);
	l.rlim_cur = l.rlim_max;
	return setrlimit(resource, &l) < 0 ? -errno : 0;
}

static int set_limits(const struct sandbox_limits *l)
{
	int r = limit(RLIMIT_CORE, 0);

	if (!r && !SANDBOX_LOOSE)
		r = limit(RLIMIT_AS, l->address_space);
	if (!r && !SANDBOX_LOOSE)
		r = limit(RLIMIT_DATA, l->memory);
	if (!r)
		r = limit(RLIMIT_FSIZE, l->file);
	if (!r)
		r = limit(RLIMIT_NOFILE, l->descriptors);
	if (!r)
		r = limit(RLIMIT_NPROC, 0);
	if (!r)
		r = limit(RLIMIT_MEMLOCK, 0);
	return r;
}

static const int allowed[] = {
	/* what it is sent */
	SCMP_SYS(read), SCMP_SYS(pread64), SCMP_SYS(lseek), SCMP_SYS(fstat),
	SCMP_SYS(recvmsg), SCMP_SYS(sendmsg), SCMP_SYS(pwrite64),
	SCMP_SYS(close),
	/* memory; mmap and mprotect: see below */
	SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise), SCMP_SYS(brk),
	SCMP_SYS(futex),
	/* what libraries ask: the page size's friends, time, seeds */
	SCMP_SYS(clock_gettime), SCMP_SYS(getrandom), SCMP_SYS(sysinfo),
	SCMP_SYS(getpid), SCMP_SYS(gettid),
	/* last words of abort(), and the end */
	SCMP_SYS(write), SCMP_SYS(writev), SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigreturn),
	SCMP_SYS(restart_syscall), SCMP_SYS(exit), SCMP_SYS(exit_group),
};

/* Such builds may do all but these. */
static const int denied[] = {
	SCMP_SYS(execve), SCMP_SYS(execveat), SCMP_SYS(socket),
	SCMP_SYS(ptrace), SCMP_SYS(mount), SCMP_SYS(bpf), SCMP_SYS(unlink),
	SCMP_SYS(unlinkat), SCMP_SYS(rename), SCMP_SYS(renameat),
	SCMP_SYS(kill),
};

static const int not_found[] = { SCMP_SYS(open), SCMP_SYS(openat) };

/* Calls with an argument that decides. */
static int add_conditional(scmp_filter_ctx ctx)
{
	const struct scmp_arg_cmp data =
		SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0);
	const struct scmp_arg_cmp getfd = SCMP_A1(SCMP_CMP_EQ, F_GETFD, 0);
	const struct scmp_arg_cmp getfl = SCMP_A1(SCMP_CMP_EQ, F_GETFL, 0);
	/* fstat() by another name; paths tell no more than what exists. */
	const struct scmp_arg_cmp self =
		SCMP_A3(SCMP_CMP_EQ, AT_EMPTY_PATH, 0);
	const struct scmp_arg_cmp ours =
		SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid(), 0);
	int r;

	r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1, data);
	if (!r)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mprotect),
				     1, data);
	if (!r)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1,
				     getfd);
	if (!r)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1,
				     getfl);
	if (!r)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(newfstatat),
				     1, self);
	if (!r)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
				     ours);
	return r;
}

static int add_all(scmp_filter_ctx ctx, uint32_t action, const int *calls,
		   size_t nr)
{
	int r = 0;

	for (size_t i = 0; i < nr && !r; i++)
		r = seccomp_rule_add(ctx, action, calls[i], 0);
	return r;
}

static int filter_calls(void)
{
	scmp_filter_ctx ctx = seccomp_init(
		SANDBOX_LOOSE ? SCMP_ACT_ALLOW : SCMP_ACT_KILL_PROCESS);
	int r;

	if (!ctx)
		return -ENOMEM;
	r = add_all(ctx, SCMP_ACT_ERRNO(EACCES), not_found,
		    ARRAY_SIZE(not_found));
	if (!r && SANDBOX_LOOSE) {
		r = add_all(ctx, SCMP_ACT_KILL_PROCESS, denied,
			    ARRAY_SIZE(denied));
	} else if (!r) {
		r = add_all(ctx, SCMP_ACT_ALLOW, allowed, ARRAY_SIZE(allowed));
		if (!r)
			r = add_conditional(ctx);
	}
	if (!r)
		r = seccomp_load(ctx);
	seccomp_release(ctx);
	return r;
}

int sandbox_enter(const struct sandbox_limits *limits)
{
	int r;

	/* Nobody of our user looks into it, nor is its memory dumped. */
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	r = set_limits(limits);
	if (!r)
		r = drop_capabilities();
	if (r)
		return r;
	/* A kernel that has filters looks for one there, and says EFAULT. */
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, NULL, 0, 0) < 0 &&
	    errno != EFAULT)
		return -ENOSYS;
	return filter_calls();
}
