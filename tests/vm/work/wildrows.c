// SPDX-License-Identifier: Apache-2.0
/*
 * Rows that are tables and yet nonsense, for programs whose stacks are nonsense,
 * too: every kind of rule with any register and offset, for this program, for all
 * others that are met and for the vDSO, replaced all the time; stack pointers and all
 * other registers at random, at edges of mappings, at kernel addresses. Now and then a
 * table has some bits spoilt. Only the kernel's health is judged, elsewhere, and
 * that samples stay whole.
 *
 *   wildrows SECONDS SEED
 */
#include "../../rowmake.h"
#include "session.h"

#include <sys/resource.h>

#define HZ		10000
#define EXTENT		(UINT32_C(1) << 21)
#define ROWS		3000
#define OBJECTS		64
#define ROWS_KB		100

extern const char __executable_start[], etext[];

static uint64_t seed;
static int64_t until;

static uint32_t chance(void)
{
	return rowmake_random(&seed);
}

/* Somewhere in our own code. */
static uint64_t code(void)
{
	uintptr_t begin = (uintptr_t)__executable_start;

	return begin + chance() % (uint32_t)((uintptr_t)etext - begin);
}

static uint64_t chance64(void)
{
	return (uint64_t)chance() << 32 | chance();
}

/* ---- stacks ----------------------------------------------------------------- */

/* A stack between two pages that are not there, and one with nothing behind it. */
static char *stack;
static size_t stack_bytes;

static void make_stack(void)
{
	char *p;

	stack_bytes = 8 * page;
	p = mmap(NULL, stack_bytes + 2 * page, PROT_NONE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	stack = p + page;
	if (p == MAP_FAILED ||
	    mprotect(stack, stack_bytes, PROT_READ | PROT_WRITE)) {
		perror("stack");
		exit(1);
	}
}

static uint64_t wild_address(void)
{
	static const uint64_t edges[] = {
		0, 1, 8, 4088, 4096, 0x7fffffffeff8, 0x7ffffffff000,
		0x800000000000, 0xffff800000000000, 0xffff888000000000,
		0xffffffff81000000, 0xffffffffff600000, ~UINT64_C(7),
		~UINT64_C(0), UINT64_C(1) << 63, INT64_MAX,
	};

	switch (chance() % 8) {
	case 0: return chance64();
	case 1: return edges[chance() % (sizeof(edges) / sizeof(*edges))];
	/* The edges of the stack, and beyond. */
	case 2: return (uintptr_t)stack + chance() % 64 * 4 - 128;
	case 3: return (uintptr_t)stack + stack_bytes + chance() % 64 * 4 - 128;
	/* Code. */
	case 4: return code();
	}
	return (uintptr_t)stack + chance() % (uint32_t)stack_bytes / 8 * 8;
}

/* What frames are made of: code, and places further up. */
static void fill_stack(void)
{
	uint64_t *words = (void *)stack;

	for (size_t i = 0; i < stack_bytes / 8; i++) {
		switch (chance() % 4) {
		case 0: words[i] = wild_address(); break;
		case 1: words[i] = (uintptr_t)&words[i + chance() % 64]; break;
		default:
			words[i] = code();
		}
	}
	/* A page that was never touched: not resident. */
	if (chance() % 4 == 0)
		madvise(stack + page * (chance() % 8), page, MADV_DONTNEED);
}

/* All registers, but for what the machine needs to come back. */
static struct {
	uint64_t regs[32];
	uint64_t sp;
	uint64_t rounds;
} wild __asm__("wild") __attribute__((used));

#if defined(__x86_64__)
void wild_spin(void);
__asm__(".text\n"
	".globl wild_spin\n"
	".type wild_spin, @function\n"
	"wild_spin:\n"
	"	push %rbx\n	push %rbp\n"
	"	push %r12\n	push %r13\n	push %r14\n	push %r15\n"
	"	mov %rsp, wild+256(%rip)\n"
	"	mov wild+0(%rip), %rax\n	mov wild+8(%rip), %rdx\n"
	"	mov wild+16(%rip), %rcx\n	mov wild+24(%rip), %rbx\n"
	"	mov wild+32(%rip), %rsi\n	mov wild+40(%rip), %rdi\n"
	"	mov wild+48(%rip), %rbp\n	mov wild+56(%rip), %rsp\n"
	"	mov wild+64(%rip), %r8\n	mov wild+72(%rip), %r9\n"
	"	mov wild+80(%rip), %r10\n	mov wild+88(%rip), %r11\n"
	"	mov wild+96(%rip), %r12\n	mov wild+104(%rip), %r13\n"
	"	mov wild+112(%rip), %r14\n	mov wild+120(%rip), %r15\n"
	"1:	decq wild+264(%rip)\n"
	"	jnz 1b\n"
	"	mov wild+256(%rip), %rsp\n"
	"	pop %r15\n	pop %r14\n	pop %r13\n	pop %r12\n"
	"	pop %rbp\n	pop %rbx\n"
	"	ret\n"
	".size wild_spin, . - wild_spin\n");
#elif defined(__aarch64__)
void wild_spin(void);
__asm__(".text\n"
	".globl wild_spin\n"
	".type wild_spin, %function\n"
	"wild_spin:\n"
	"	hint #34\n"
	"	stp x29, x30, [sp, #-96]!\n"
	"	stp x19, x20, [sp, #16]\n	stp x21, x22, [sp, #32]\n"
	"	stp x23, x24, [sp, #48]\n	stp x25, x26, [sp, #64]\n"
	"	stp x27, x28, [sp, #80]\n"
	"	adrp x16, wild\n	add x16, x16, :lo12:wild\n"
	"	mov x17, sp\n	str x17, [x16, #256]\n"
	"	ldr x17, [x16, #248]\n	mov sp, x17\n"
	"	ldp x0, x1, [x16]\n	ldp x2, x3, [x16, #16]\n"
	"	ldp x4, x5, [x16, #32]\n	ldp x6, x7, [x16, #48]\n"
	"	ldp x8, x9, [x16, #64]\n	ldp x10, x11, [x16, #80]\n"
	"	ldp x12, x13, [x16, #96]\n	ldp x14, x15, [x16, #112]\n"
	"	ldp x18, x19, [x16, #144]\n	ldp x20, x21, [x16, #160]\n"
	"	ldp x22, x23, [x16, #176]\n	ldp x24, x25, [x16, #192]\n"
	"	ldp x26, x27, [x16, #208]\n	ldp x28, x29, [x16, #224]\n"
	"	ldr x30, [x16, #240]\n	ldr x17, [x16, #264]\n"
	"1:	subs x17, x17, #1\n"
	"	b.ne 1b\n"
	"	ldr x17, [x16, #256]\n	mov sp, x17\n"
	"	ldp x19, x20, [sp, #16]\n	ldp x21, x22, [sp, #32]\n"
	"	ldp x23, x24, [sp, #48]\n	ldp x25, x26, [sp, #64]\n"
	"	ldp x27, x28, [sp, #80]\n"
	"	ldp x29, x30, [sp], #96\n"
	"	ret\n"
	".size wild_spin, . - wild_spin\n");
#endif

static void registers(void)
{
	for (;;) {
		for (int i = 0; i < 32; i++)
			wild.regs[i] = wild_address();
		/* SP, where it must be for long walks, mostly. */
		if (chance() % 2)
#if defined(__x86_64__)
			wild.regs[7] = (uintptr_t)stack + chance() % 512 * 8;
#else
			wild.regs[31] = (uintptr_t)stack + chance() % 512 * 8;
#endif
		wild.rounds = 100000 + chance() % 1000000;
		fill_stack();
		wild_spin();
	}
}

__attribute__((noinline)) static int deeper(int depth)
{
	volatile int sum = 0;
	int more = depth ? deeper(depth - 1) : 0;

	for (int i = 0; i < (depth ? 50 : 200000); i++)
		sum += i;
	return sum + more;
}

/* Deeper than a stack may be told, with a stack that is whole. */
static void recursion(void)
{
	for (;;)
		deeper((int)(chance() % 400));
}

/* Signals, system calls and the vDSO. */
static void on_signal(int number)
{
	(void)number;
	deeper((int)(chance() % 20));
}

static void signals(void)
{
	stack_t other = { .ss_sp = stack, .ss_size = stack_bytes };
	struct sigaction act = { .sa_handler = on_signal, .sa_flags = SA_ONSTACK };
	struct timespec ts;

	sigaltstack(&other, NULL);
	sigaction(SIGUSR1, &act, NULL);
	for (;;) {
		raise(SIGUSR1);
		for (int i = 0; i < 1000; i++)
			clock_gettime(CLOCK_MONOTONIC, &ts);
		if (chance() % 4 == 0)
			kill(getpid(), SIGUSR1);
	}
}

/* Mappings that come and go under the stack's feet. */
static void mappings(void)
{
	for (;;) {
		char *p = mmap(NULL, 4 * page, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		for (int i = 0; i < 32; i++)
			wild.regs[i] = (uintptr_t)p + chance() % (uint32_t)(4 * page);
		memcpy(p, stack, 2 * page);
		wild.rounds = 50000;
		if (chance() % 2)
			munmap(p + page, page);
		if (chance() % 2)
			mprotect(p, page, PROT_NONE);
		wild_spin();
		munmap(p, 4 * page);
		fill_stack();
	}
}

static void (*const kinds[])(void) = { registers, recursion, signals, mappings };

#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

/* ---- rows ------------------------------------------------------------------- */

static uint32_t objects[OBJECTS];
static unsigned int nr_objects;
static uint64_t samples, by_rows, reasons[16];
static bool unsound;

static void note(const struct kstrata_record *r, void *userdata)
{
	const struct kstrata_object *o = (const void *)r;
	const struct kstrata_sample *s = (const void *)r;

	(void)userdata;
	if (r->type == KSTRATA_RECORD_OBJECT && !r->flags)
		objects[nr_objects++ % OBJECTS] = o->id;
	if (r->type != KSTRATA_RECORD_SAMPLE)
		return;
	samples++;
	by_rows += !!(s->walk & KSTRATA_WALK_ROWS);
	reasons[s->user_reason % 16]++;
	if (s->nr_user > KSTRATA_USER_DEPTH_MAX ||
	    s->user_reason > KSTRATA_REASON_NOT_RESIDENT ||
	    (s->frames_offset + 8u * (s->nr_kernel + (uint32_t)s->nr_user)) > r->size)
		unsound = true;
}

static void drain_all(struct session *s)
{
	for (uint32_t cpu = 0; cpu < s->nr_cpus; cpu++)
		if (s->producer[cpu] && !drain(s, cpu, note, NULL))
			unsound = true;
}

/* 0, or the errno. */
static int load(int fd, bool *spoilt)
{
	uint32_t which = chance() % 8, extent = EXTENT;
	struct kstrata_rows u = { .size = sizeof(u) };
	size_t bytes;
	uint8_t *table;
	int error;

	u.id = which == 0 || !nr_objects ? KSTRATA_OBJECT_VDSO :
		objects[chance() % (nr_objects < OBJECTS ? nr_objects : OBJECTS)];
	/* The vDSO is small. */
	if (u.id == KSTRATA_OBJECT_VDSO)
		extent = 0x2000;
	if (chance() % 32 == 0) {
		u.flags = KSTRATA_ROWS_NONE;
		return ioctl(fd, KSTRATA_IOC_ROWS, &u) ? errno : 0;
	}
	table = rowmake_wild(&seed, ROWMAKE_NATIVE, chance() % 8 ? 0 : chance() % 4096,
			     extent, 1 + chance() % ROWS, &bytes);
	if (!table)
		exit(1);
	*spoilt = chance() % 4 == 0;
	for (unsigned int n = *spoilt ? 1 + chance() % 3 : 0; n; n--)
		table[chance() % bytes] ^= (uint8_t)(1u << chance() % 8);
	u.bytes = (uint32_t)bytes;
	u.table = (uintptr_t)table;
	error = ioctl(fd, KSTRATA_IOC_ROWS, &u) ? errno : 0;
	free(table);
	/* Larger than all that there may be besides the vDSO's. */
	return error == E2BIG ? ENOENT : error;
}

int main(int argc, char **argv)
{
	struct kstrata_setup setup = setup_of(HZ, 1 << 18);
	unsigned int loaded = 0, refused = 0, other = 0;
	int why = 0;
	pid_t pids[KINDS];
	struct session s;

	page = (size_t)sysconf(_SC_PAGESIZE);
	until = now_ns() + (argc > 1 ? atoi(argv[1]) : 10) * INT64_C(1000000000);
	seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
	make_stack();
	fill_stack();
	setup.flags = KSTRATA_SETUP_OBJECTS | KSTRATA_SETUP_NO_KERNEL;
	/* Some are dropped for others. */
	setup.objects = OBJECTS;
	setup.rows_kb = ROWS_KB;
	session_begin(&s, setup);
	if (toggle(s.fd, KSTRATA_IOC_START)) {
		perror("START");
		return 1;
	}
	for (size_t i = 0; i < KINDS; i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			seed += 7919 * (i + 1);
			kinds[i]();
		}
	}
	/* Ahead of them. */
	setpriority(PRIO_PROCESS, 0, -19);
	while (now_ns() < until) {
		struct timespec ts = { 0, 2000000 };
		bool spoilt = false;
		int error;

		/* For a while each; at the same time at others'. */
		nanosleep(&ts, NULL);
		drain_all(&s);
		error = load(s.fd, &spoilt);
		if (!error) {
			loaded++;
		} else if (error == EINVAL && spoilt) {
			refused++;
		} else if (error != ENOENT) {
			other++;
			why = error;
		}
	}
	for (size_t i = 0; i < KINDS; i++) {
		int status;

		/* It is still at it. */
		if (waitpid(pids[i], &status, WNOHANG))
			verdict(false, "wildrows: programs", "%zu: status %x", i,
				(unsigned int)status);
		reap(pids[i]);
	}
	toggle(s.fd, KSTRATA_IOC_STOP);
	drain_all(&s);
	session_end(&s);
	printf("# wildrows: %u loaded, %u refused; %llu samples, %llu by rows; reasons",
	       loaded, refused, (unsigned long long)samples,
	       (unsigned long long)by_rows);
	for (int i = 0; i <= KSTRATA_REASON_NOT_RESIDENT; i++)
		printf(" %llu", (unsigned long long)reasons[i]);
	putchar('\n');
	verdict(!other, "wildrows: any such table is taken", "%u were not, %s last",
		other, strerror(why));
	verdict(loaded && refused && samples && by_rows && !unsound,
		"wildrows: samples are whole", "%llu samples, %llu by rows",
		(unsigned long long)samples, (unsigned long long)by_rows);
	return failed;
}
