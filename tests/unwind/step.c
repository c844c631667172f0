// SPDX-License-Identifier: Apache-2.0
/*
 * Run a program instruction by instruction; at each, compare our walk of its stack
 * with the return addresses that its calls have really left.
 *
 *   step [OPTION...] PROGRAM [ARGUMENT...]
 *
 *   -a        from the first instruction in the dynamic linker on, everything
 *   -f        no tables: follow frame pointers only, and say what that loses
 *   -n STEPS  at most so many (default 400000)
 *   -p        run freely to MARK_BEGIN: what is outside of it is not compared
 *   -r TIMES  compare so often at one instruction, then now and then (default 6)
 *   -s EVERY  ask libdwfl too, at every so many-th comparison
 *   -v        print the first stacks that differ
 *
 * One line "step KEY=NUMBER ..." says what was done, then a line for each kind of
 * difference and function: "differs KIND COUNT FUNCTION". Exit code 1: there are some
 * that must not be.
 */
#include <elf.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <kstrata.h>

#include "programs/truth.h"
#include "second.h"
#include "shadow.h"
#include "walk.h"

#define FRAMES_MAX 400

struct thread {
	struct tracee t;
	struct shadow shadow;
	int inject;		/* a signal that is to be delivered */
	bool in_syscall;	/* stopped within a system call */
};

/* A kind of difference at a place. */
struct difference {
	char kind[16];
	char where[160];
	unsigned long count;
};

/* What is known of the instruction at an address. */
struct place {
	uint64_t pc;
	uint32_t seen;
	uint8_t kind;
};

#define PLACES (1u << 18)

static struct {
	bool all, frame_pointers, partly, verbose;
	unsigned long steps_max, repeats, second_every;
} opt = { .steps_max = 400000, .repeats = 6 };

static struct {
	struct walker *walker;
	struct second *second;
	struct place *places;
	struct difference *differences;
	size_t nr_differences;
	bool checking;
	uint64_t inode;		/* of the program */
	uint64_t resume;	/* the mark at which a thread that runs freely parks */
	pid_t main_pid;
	bool main_parked;	/* it has come there */
	unsigned long thread;	/* of MARK_THREAD */
	unsigned long steps, compared, equal, short_ones, wrong, excused, misled;
	unsigned long second_asked, second_equal, distinct, told;
} run;

enum outcome { RUN_ENDED, RUN_ENOUGH };

static enum outcome run_thread(struct thread *th);

static long trace(long request, pid_t pid, uint64_t addr, uint64_t data)
{
	long rc;

	errno = 0;
	rc = ptrace(request, pid, addr, data);
	if (rc == -1 && errno) {
		fprintf(stderr, "step: ptrace %ld of %d: %s\n", request, pid,
			strerror(errno));
		exit(2);
	}
	return rc;
}

/* ---- waiting ---- */

/* A thread that is not stepped has stopped: let it go on. */
static void serve_free(pid_t pid, int status)
{
	int signal = WSTOPSIG(status);

	if (!WIFSTOPPED(status))
		return;
	if (signal == (SIGTRAP | 0x80)) {
		struct user_regs_struct regs;

		trace(PTRACE_GETREGS, pid, 0, (uintptr_t)&regs);
		if (pid == run.main_pid && regs.orig_rax == MARK_NR &&
		    regs.rdi == run.resume) {
			run.main_parked = true;
			return;
		}
		signal = 0;
	} else if (status >> 16) {
		if (status >> 16 == PTRACE_EVENT_CLONE && pid == run.main_pid)
			trace(PTRACE_GETEVENTMSG, pid, 0, (uintptr_t)&run.thread);
		signal = 0;
	} else if (signal == SIGTRAP) {
		struct user_regs_struct regs;

		/* It has restored flags that it had saved while it was stepped. */
		trace(PTRACE_GETREGS, pid, 0, (uintptr_t)&regs);
		regs.eflags &= ~0x100ULL;
		trace(PTRACE_SETREGS, pid, 0, (uintptr_t)&regs);
		signal = 0;
	} else if (signal == SIGSTOP) {
		signal = 0;
	}
	trace(PTRACE_SYSCALL, pid, 0, signal);
}

static int wait_for(pid_t pid)
{
	int status;

	for (;;) {
		pid_t who = waitpid(-1, &status, __WALL);

		if (who < 0) {
			perror("step: waitpid");
			exit(2);
		}
		if (who == pid)
			return status;
		serve_free(who, status);
	}
}

/* ---- comparing ---- */

static struct place *place_of(struct tracee *t)
{
	uint64_t pc = t->regs.rip;
	uint32_t i = (uint32_t)(pc * 0x9e3779b97f4a7c15ULL >> 46);
	struct place *p;

	for (;; i = (i + 1) % PLACES) {
		p = &run.places[i];
		if (p->pc == pc)
			return p;
		if (!p->pc)
			break;
	}
	if (run.distinct > PLACES / 2) {
		fprintf(stderr, "step: too many instructions\n");
		exit(2);
	}
	run.distinct++;
	p->pc = pc;
	for (size_t n = 16; n; n /= 2) {
		uint8_t code[16];

		/* At the end of a mapping there are fewer. */
		if (tracee_read(t, pc, code, n)) {
			p->kind = instruction_kind(code, n);
			break;
		}
	}
	return p;
}

static void count(const char *kind, const char *where)
{
	struct difference *d;

	for (size_t i = 0; i < run.nr_differences; i++) {
		d = &run.differences[i];
		if (strcmp(d->kind, kind) == 0 && strcmp(d->where, where) == 0) {
			d->count++;
			return;
		}
	}
	run.differences = realloc(run.differences,
				  (run.nr_differences + 1) * sizeof(*d));
	if (!run.differences)
		abort();
	d = &run.differences[run.nr_differences++];
	snprintf(d->kind, sizeof(d->kind), "%s", kind);
	snprintf(d->where, sizeof(d->where), "%s", where);
	d->count = 1;
}

/*
 * Kinds that are not our doing. misled: what the file says is wrong. Nearly all of
 * that is in longjmp(), swapcontext() and throwing, where one context takes the place
 * of another and frames are in neither.
 */
static bool pardoned(const char *kind)
{
	return strcmp(kind, "no-rows") == 0 || strcmp(kind, "coroutine") == 0 ||
	       strcmp(kind, "misled") == 0 || opt.frame_pointers;
}

static void differs(const char *kind, const char *where)
{
	if (strcmp(kind, "misled") == 0)
		run.misled++;
	else if (pardoned(kind))
		run.excused++;
	else if (strcmp(kind, "wrong") == 0 || strcmp(kind, "beyond") == 0)
		run.wrong++;
	else
		run.short_ones++;
	count(kind, where);
}

static void print_frames(struct tracee *t, const char *who, const uint64_t *frames,
			 size_t n)
{
	char name[160];

	fprintf(stderr, "  %s:\n", who);
	for (size_t i = 0; i < n && i < 12; i++) {
		second_name(run.second, t, frames[i] - !!i, true, name, sizeof(name));
		fprintf(stderr, "    %016lx %s\n", (unsigned long)frames[i], name);
	}
}

static size_t common(const uint64_t *a, size_t na, const uint64_t *b, size_t nb)
{
	size_t i = 0;

	while (i < na && i < nb && a[i] == b[i])
		i++;
	return i;
}

/*
 * With frame pointers only, the program's own frames count, up to the first that is of
 * a library: those have none.
 */
static void compare_own(struct tracee *t, const uint64_t *truth, size_t nt,
			const uint64_t *ours, size_t no)
{
	size_t same = common(truth, nt, ours, no), own = 0;
	char name[160];

	while (own < nt) {
		const struct mapping *m = tracee_mapping(t, truth[own]);

		if (!m || m->inode != run.inode)
			break;
		own++;
	}
	if (!own)
		return;
	run.compared++;
	if (same >= own) {
		run.equal++;
		return;
	}
	second_name(run.second, t, truth[same - 1] - (same > 1), opt.verbose, name,
		    sizeof(name));
	differs(same == 1 && nt > 2 && no > 1 && ours[1] == truth[2] ?
		"no-caller" : "other", name);
	if (opt.verbose && run.told++ < 8) {
		print_frames(t, "truth", truth, nt);
		print_frames(t, "ours", ours, no);
	}
}

/* Does libdwfl go astray in the same way: is it the file that is wrong? */
static bool misled(struct tracee *t, const uint64_t *ours, size_t no,
		   const uint64_t *truth, size_t nt, size_t same)
{
	uint64_t theirs[FRAMES_MAX];
	size_t n = second_walk(run.second, t, theirs, FRAMES_MAX);

	if (common(theirs, n, ours, no) < same)
		return false;
	/* Where we stop they may stop, or have got something that is no code. */
	if (same == no)
		return same == n || (same < nt && theirs[same] != truth[same]);
	return same < n && theirs[same] == ours[same];
}

static void compare(struct thread *th)
{
	uint64_t truth[FRAMES_MAX], ours[FRAMES_MAX], theirs[FRAMES_MAX];
	struct tracee *t = &th->t;
	char name[160];
	const char *kind;
	size_t nt, no, same;
	uint8_t reason;
	bool planted;

	nt = shadow_frames(&th->shadow, t, truth, FRAMES_MAX, &planted);
	no = walker_walk(run.walker, t, ours, FRAMES_MAX, &reason);
	if (opt.frame_pointers) {
		compare_own(t, truth, nt, ours, no);
		return;
	}
	run.compared++;
	if (opt.second_every && run.compared % opt.second_every == 0) {
		same = second_walk(run.second, t, theirs, FRAMES_MAX);
		run.second_asked++;
		if (common(truth, nt, theirs, same) == nt &&
		    (same == nt || opt.partly)) {
			run.second_equal++;
		} else if (opt.verbose) {
			same = common(truth, nt, theirs, same);
			second_name(run.second, t, truth[same ? same - 1 : 0] -
				    (same > 1), true, name, sizeof(name));
			count("libdwfl", name);
		}
	}
	same = common(truth, nt, ours, no);
	if (same == nt && (no == nt || opt.partly) &&
	    reason == KSTRATA_REASON_COMPLETE) {
		run.equal++;
		return;
	}
	/* The frame from which it went wrong. */
	second_name(run.second, t, truth[same ? same - 1 : 0] - (same > 1),
		    opt.verbose, name, sizeof(name));
	if (same && !walker_covers(run.walker, t,
					truth[same - 1] - (same > 1)))
		kind = "no-rows";
	else if (same == nt && planted)
		/* That it is the outermost, glibc 2.36 does not say. */
		kind = "coroutine";
	else if (misled(t, ours, no, truth, nt, same))
		kind = "misled";
	else if (same == no)
		kind = walker_reason(reason);
	else
		kind = same == nt ? "beyond" : "wrong";
	differs(kind, name);
	if (opt.verbose && run.told++ < 8) {
		fprintf(stderr, "%s at step %lu, reason %s\n", kind, run.steps,
			walker_reason(reason));
		print_frames(t, "truth", truth, nt);
		print_frames(t, "ours", ours, no);
	}
}

/* ---- stepping ---- */

static bool caught(pid_t pid, int signal)
{
	unsigned long mask = 0;
	char path[64], line[256];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "SigCgt: %lx", &mask) == 1)
			break;
	if (f)
		fclose(f);
	return mask >> (signal - 1) & 1;
}

/* The thread runs freely until it parks. False: it has ended. */
static bool run_to_park(struct thread *th)
{
	int status;

	while (!run.main_parked) {
		status = wait_for(th->t.pid);
		if (!WIFSTOPPED(status))
			return false;
		serve_free(th->t.pid, status);
	}
	trace(PTRACE_SYSCALL, th->t.pid, 0, 0);
	if (!WIFSTOPPED(wait_for(th->t.pid)))
		return false;
	tracee_stopped(&th->t);
	tracee_remapped(&th->t);
	second_remapped(run.second);
	return true;
}

static bool run_freely(struct thread *th, uint64_t to)
{
	run.resume = to;
	run.main_parked = false;
	trace(PTRACE_SYSCALL, th->t.pid, 0, 0);
	return run_to_park(th);
}

/* The thread runs freely to MARK_RESUME; the next one that it starts is stepped. */
static bool run_other(struct thread *th)
{
	struct thread other = { .inject = 0 };
	enum outcome outcome;
	int status;

	run.thread = 0;
	run.resume = MARK_RESUME;
	run.main_parked = false;
	trace(PTRACE_SYSCALL, th->t.pid, 0, 0);
	while (!run.thread) {
		status = wait_for(th->t.pid);
		if (!WIFSTOPPED(status))
			return false;
		serve_free(th->t.pid, status);
		if (run.main_parked)
			return false;
	}
	other.t.pid = (pid_t)run.thread;
	shadow_init(&other.shadow);
	if (!WIFSTOPPED(wait_for(other.t.pid)))
		return false;
	tracee_stopped(&other.t);
	outcome = run_thread(&other);
	shadow_release(&other.shadow);
	tracee_release(&other.t);
	if (outcome != RUN_ENDED)
		return false;
	return run_to_park(th);
}

/* The child has its parent's memory, and stack, until it ends. */
static void run_vforked(struct thread *parent, pid_t pid)
{
	struct thread child = { .inject = 0 };

	child.t.pid = pid;
	if (!WIFSTOPPED(wait_for(pid)))
		return;
	tracee_stopped(&child.t);
	if (child.t.regs.rsp == parent->t.regs.rsp)
		shadow_copy(&child.shadow, &parent->shadow);
	else
		shadow_init(&child.shadow);
	run_thread(&child);
	shadow_release(&child.shadow);
	tracee_release(&child.t);
}

/* The system call that is about to be made. False: that was all. */
static bool at_syscall(struct thread *th)
{
	struct user_regs_struct *r = &th->t.regs;

	switch (r->rax) {
	case SYS_mmap:
	case SYS_munmap:
	case SYS_mprotect:
	case SYS_mremap:
		tracee_remapped(&th->t);
		second_remapped(run.second);
		break;
	case MARK_NR:
		switch (r->rdi) {
		case MARK_BEGIN:
			run.checking = true;
			break;
		case MARK_END:
			return false;
		case MARK_STACK:
			shadow_add_stack(&th->shadow, STACK_COROUTINE, r->rsi,
					 r->rdx);
			break;
		case MARK_SIGSTACK:
			shadow_add_stack(&th->shadow, STACK_SIGNALS, r->rsi,
					 r->rdx);
			break;
		}
		break;
	}
	return true;
}

/* It has stopped within a system call. False: the thread is another program. */
static bool event(struct thread *th, int what)
{
	unsigned long message;

	th->in_syscall = true;
	switch (what) {
	case PTRACE_EVENT_VFORK:
		trace(PTRACE_GETEVENTMSG, th->t.pid, 0, (uintptr_t)&message);
		run_vforked(th, (pid_t)message);
		return true;
	case PTRACE_EVENT_EXEC:
		trace(PTRACE_DETACH, th->t.pid, 0, 0);
		return false;
	}
	return true;
}

static enum outcome run_thread(struct thread *th)
{
	struct tracee *t = &th->t;

	while (run.steps < opt.steps_max) {
		struct user_regs_struct before = t->regs;
		struct place *p = place_of(t);
		enum kind kind = th->in_syscall ? KIND_OTHER : p->kind;
		int delivered = th->inject, status, signal;
		bool handler = delivered && caught(t->pid, delivered);
		uint64_t mark = 0;

		th->in_syscall = false;
		if (kind == KIND_SYSCALL && !delivered) {
			if (!at_syscall(th))
				return RUN_ENOUGH;
			if (before.rax == MARK_NR)
				mark = before.rdi;
		}
		th->inject = 0;
		trace(PTRACE_SINGLESTEP, t->pid, 0, delivered);
		status = wait_for(t->pid);
		if (!WIFSTOPPED(status))
			return RUN_ENDED;
		signal = WSTOPSIG(status);
		tracee_stopped(t);
		run.steps++;
		if (status >> 16) {
			if (!event(th, status >> 16))
				return RUN_ENDED;
			continue;
		}
		if (signal != SIGTRAP) {
			th->inject = signal;
			if (t->regs.rip == before.rip)
				continue;
		}
		if (handler)
			shadow_signal(&th->shadow, before.rip, t);
		else
			shadow_step(&th->shadow, kind, before.rsp, t);
		if ((mark == MARK_SKIP && !run_freely(th, MARK_RESUME)) ||
		    (mark == MARK_THREAD && !run_other(th))) {
			fprintf(stderr, "step: a mark is missing\n");
			exit(2);
		}
		if (!run.checking)
			continue;
		p = place_of(t);
		if (p->seen++ < opt.repeats || run.steps % 31 == 0)
			compare(th);
	}
	return RUN_ENOUGH;
}

/* ---- the beginning and the end ---- */

/* From the program's first instruction on; what loads it is another test's. */
static void run_to_entry(struct thread *th)
{
	uint64_t entry = tracee_aux(&th->t, AT_ENTRY);
	long code;

	if (!entry || opt.all || th->t.regs.rip == entry)
		return;
	code = trace(PTRACE_PEEKTEXT, th->t.pid, entry, 0);
	trace(PTRACE_POKETEXT, th->t.pid, entry, (code & ~0xffL) | 0xcc);
	trace(PTRACE_CONT, th->t.pid, 0, 0);
	if (!WIFSTOPPED(wait_for(th->t.pid)))
		exit(2);
	trace(PTRACE_POKETEXT, th->t.pid, entry, code);
	tracee_stopped(&th->t);
	tracee_remapped(&th->t);
	th->t.regs.rip = entry;
	trace(PTRACE_SETREGS, th->t.pid, 0, (uintptr_t)&th->t.regs);
}

static int by_count(const void *a, const void *b)
{
	const struct difference *x = a, *y = b;

	return (x->count < y->count) - (x->count > y->count);
}

static int report(void)
{
	printf("step steps=%lu places=%lu compared=%lu equal=%lu excused=%lu misled=%lu short=%lu wrong=%lu asked=%lu agreed=%lu\n",
	       run.steps, run.distinct, run.compared, run.equal, run.excused,
	       run.misled, run.short_ones, run.wrong, run.second_asked, run.second_equal);
	qsort(run.differences, run.nr_differences, sizeof(*run.differences),
	      by_count);
	for (size_t i = 0; i < run.nr_differences; i++)
		printf("differs %s %lu %s\n", run.differences[i].kind,
		       run.differences[i].count, run.differences[i].where);
	return run.short_ones || run.wrong || !run.compared;
}

static pid_t start(char **argv)
{
	cpu_set_t here;
	pid_t pid;
	int status;

	/* Taking turns on one CPU is three times as fast as on two. */
	CPU_ZERO(&here);
	CPU_SET(sched_getcpu(), &here);
	sched_setaffinity(0, sizeof(here), &here);
	pid = fork();

	if (pid == 0) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		execv(argv[0], argv);
		perror(argv[0]);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0 || !WIFSTOPPED(status)) {
		fprintf(stderr, "step: %s does not start\n", argv[0]);
		exit(2);
	}
	trace(PTRACE_SETOPTIONS, pid, 0,
	      PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE |
	      PTRACE_O_TRACEVFORK | PTRACE_O_TRACEEXEC);
	return pid;
}

int main(int argc, char **argv)
{
	struct thread th = { .inject = 0 };
	int c, rc;

	while ((c = getopt(argc, argv, "+afn:pr:s:v")) != -1) {
		switch (c) {
		case 'a': opt.all = true; break;
		case 'f': opt.frame_pointers = true; break;
		case 'n': opt.steps_max = strtoul(optarg, NULL, 10); break;
		case 'p': opt.partly = true; break;
		case 'r': opt.repeats = strtoul(optarg, NULL, 10); break;
		case 's': opt.second_every = strtoul(optarg, NULL, 10); break;
		case 'v': opt.verbose = true; break;
		default: return 2;
		}
	}
	if (optind >= argc) {
		fprintf(stderr, "usage: step [-afpv] [-n STEPS] [-r TIMES] [-s EVERY] PROGRAM [ARGUMENT...]\n");
		return 2;
	}
	run.places = calloc(PLACES, sizeof(*run.places));
	if (!run.places)
		abort();
	th.t.pid = start(argv + optind);
	run.main_pid = th.t.pid;
	run.walker = walker_new(!opt.frame_pointers);
	run.second = second_new(&th.t);
	run.checking = opt.all;
	shadow_init(&th.shadow);
	tracee_stopped(&th.t);
	run.inode = tracee_mapping(&th.t, tracee_aux(&th.t, AT_ENTRY))->inode;
	if (opt.partly)
		run.checking = run_freely(&th, MARK_BEGIN);
	else
		run_to_entry(&th);
	run_thread(&th);
	rc = report();
	kill(th.t.pid, SIGKILL);
	second_free(run.second);
	walker_free(run.walker);
	shadow_release(&th.shadow);
	tracee_release(&th.t);
	free(run.places);
	free(run.differences);
	return rc;
}
