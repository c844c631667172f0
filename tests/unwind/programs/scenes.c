// SPDX-License-Identifier: Apache-2.0
/*
 * Ways to be somewhere: each scene is a chain of calls with known names that ends in
 * a leaf that spins. scenes.txt says how each leaf is reached.
 *
 *   scenes [SPINS [ROUNDS [SCENE...]]]
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "truth.h"

unsigned long spins = 2;
static volatile long sink;

/* asm.S */
extern long asm_pushes(long (*f)(long), long x);
extern long asm_base(long (*f)(long), long x);
extern long asm_deref(long (*f)(long), long x);
extern long asm_states(long (*f)(long), long x);
extern long asm_trap_first(void);
extern long asm_bare(long x);

/* ---- plain ---- */

FUNC static long leaf_chain(long x)
{
	SPIN();
	return x + 1;
}

FUNC static long chain_c(long x)
{
	x = leaf_chain(x) * 2;
	STAY();
	return x;
}

FUNC static long chain_b(long x)
{
	long a = chain_c(x), b = chain_c(x + 1);

	STAY();
	return a + b * x;
}

FUNC static void scene_chain(void)
{
	sink += chain_b(1);
	STAY();
}

FUNC static long leaf_deep(long x)
{
	SPIN();
	return x;
}

FUNC static long deep(long n, long x)
{
	if (n == 0)
		x = leaf_deep(x);
	else
		x = deep(n - 1, x + n) ^ n;
	STAY();
	return x;
}

FUNC static void scene_deep(void)
{
	sink += deep(200, 1);
	STAY();
}

/* ---- shapes of frames ---- */

FUNC static long leaf_alloca(char *p, long n)
{
	SPIN();
	return p[n / 2] + n;
}

FUNC static long with_alloca(long n)
{
	char *p = __builtin_alloca(n);

	memset(p, 1, n);
	n = leaf_alloca(p, n);
	STAY();
	return n;
}

FUNC static long with_vla(long n)
{
	char v[n + 1];
	long r = 0;

	v[n / 2] = 2;
	for (long i = 1; i <= n; i += n / 2) {
		char w[i];

		w[i / 2] = (char)i;
		r += with_alloca(i) + w[i / 2];
	}
	r += leaf_alloca(v, n);
	STAY();
	return r;
}

FUNC static void scene_alloca(void)
{
	sink += with_vla(100);
	STAY();
}

FUNC static long leaf_large(char *p, long n)
{
	SPIN();
	return p[n];
}

FUNC static long large_frame(long n)
{
	char p[80000];

	p[n] = 3;
	n = leaf_large(p, n);
	STAY();
	return n;
}

FUNC static void scene_large(void)
{
	sink += large_frame(70000);
	STAY();
}

typedef double four __attribute__((vector_size(32), aligned(32)));

FUNC static long leaf_realign(void *p)
{
	SPIN();
	return (long)p & 31;
}

/* Its locals are aligned to more than the stack is. */
FUNC static long realign_local(long n)
{
	char p[200] __attribute__((aligned(64)));

	p[n] = 1;
	n = leaf_realign(p) + p[n];
	STAY();
	return n;
}

/* ... and their place is known at run time only: the frame has two pointers. */
FUNC static long realign_dynamic(long n, long a, long b, long c, long d, long e,
				 long on_stack)
{
	char p[100] __attribute__((aligned(64)));
	char v[n];

	p[n / 2] = 1;
	v[n / 2] = (char)on_stack;
	n = leaf_realign(p) + leaf_realign(v) + p[n / 2] + v[n / 2] +
	    a + b + c + d + e;
	STAY();
	return n;
}

#if defined(__x86_64__)
__attribute__((target("avx"))) FUNC static long realign_avx(double x)
{
	four v = { x, 1, 2, 3 }, w = { 4, x, 6, 7 };
	long n;

	if (!__builtin_cpu_supports("avx"))
		return 0;
	/* Over a call no vector register lives. */
	__asm__ volatile("" : "+x" (v), "+x" (w));
	n = leaf_realign(&w);
	v = v * w + v;
	__asm__ volatile("" : "+x" (v));
	return n + (long)v[1];
}

__attribute__((force_align_arg_pointer)) FUNC static long realign_arg(long x)
{
	x = leaf_realign(&x) + x;
	STAY();
	return x;
}
#endif

FUNC static void scene_realign(void)
{
	sink += realign_local(50);
	sink += realign_dynamic(60, 1, 2, 3, 4, 5, 6);
#if defined(__x86_64__)
	sink += realign_avx(2);
	sink += realign_arg(3);
#endif
	STAY();
}

FUNC static long leaf_vararg(long x)
{
	SPIN();
	return x;
}

FUNC static long vararg(int n, ...)
{
	va_list list;
	long r = 0;

	va_start(list, n);
	while (n--)
		r += leaf_vararg(va_arg(list, long));
	va_end(list);
	return r;
}

FUNC static void scene_vararg(void)
{
	sink += vararg(9, 1L, 2L, 3L, 4L, 5L, 6L, 7L, 8L, 9L);
	STAY();
}

FUNC static long leaf_cold(long x)
{
	SPIN();
	return x * 3;
}

__attribute__((cold)) FUNC static long cold(long x)
{
	x = leaf_cold(x);
	STAY();
	return x;
}

/* Early returns before its frame is made, a cold part elsewhere, a jump table. */
FUNC static long branchy(long x, long *p)
{
	if (x == 0)
		return 0;
	if (__builtin_expect(x > 100, 0)) {
		p[0] = cold(x);
		p[1] = cold(x + p[0]);
		return p[1];
	}
	switch (x) {
	case 1: return leaf_cold(x) + p[0];
	case 2: p[1] = 5; return 9;
	case 3: return leaf_cold(p[1]) * leaf_cold(p[0]);
	case 4: p[2] = cold(4); break;
	case 5: return p[2];
	case 6: sink = leaf_cold(6); return sink;
	default: p[3] = leaf_cold(x); break;
	}
	return p[0] + p[3];
}

FUNC static void scene_branchy(void)
{
	long p[4] = { 1, 2, 3, 4 };

	for (long x = 0; x < 9; x++)
		sink += branchy(x, p);
	sink += branchy(200, p);
	STAY();
}

#if defined(__clang__)
#define TAIL __attribute__((musttail))
#else
#define TAIL
#endif

FUNC static long leaf_tail(long x)
{
	SPIN();
	return x;
}

FUNC static long tail_c(long x)
{
	char p[64];

	memset(p, (int)x, sizeof(p));
	sink = p[x & 63];
	TAIL return leaf_tail(x * 5);
}

FUNC static long tail_b(long x)
{
	sink = leaf_tail(x);
	TAIL return tail_c(x + 2);
}

FUNC static void scene_tail(void)
{
	sink += tail_b(3);
	STAY();
}

/* ---- signals ---- */

static sigjmp_buf out;

FUNC static long leaf_handler(int signal)
{
	SPIN();
	return signal;
}

FUNC static void handler_inner(int signal)
{
	sink += leaf_handler(signal);
	STAY();
}

FUNC static void handler_nested(int signal)
{
	handler_inner(signal);
	raise(SIGUSR2);
	STAY();
}

FUNC static void handler_jumps(int signal)
{
	handler_inner(signal);
	siglongjmp(out, 1);
}

static void on(int signal, void (*handler)(int), int flags)
{
	struct sigaction act = { .sa_flags = flags };

	act.sa_handler = handler;
	sigaction(signal, &act, NULL);
}

FUNC static void raises(int signal)
{
	raise(signal);
	STAY();
}

FUNC static void scene_signal(void)
{
	on(SIGUSR1, handler_nested, 0);
	on(SIGUSR2, handler_inner, 0);
	raises(SIGUSR1);
	STAY();
}

FUNC static void scene_altstack(void)
{
	static char stack[65536] __attribute__((aligned(16)));
	stack_t s = { .ss_sp = stack, .ss_size = sizeof(stack) };

	mark(MARK_SIGSTACK, stack, sizeof(stack));
	sigaltstack(&s, NULL);
	on(SIGUSR1, handler_nested, SA_ONSTACK);
	on(SIGUSR2, handler_inner, 0);
	raises(SIGUSR1);
	on(SIGUSR1, handler_jumps, SA_ONSTACK);
	if (!sigsetjmp(out, 1))
		raises(SIGUSR1);
	STAY();
}

/* Where the interrupted instruction is a function's first. */
FUNC static void scene_trap(void)
{
	on(SIGILL, handler_jumps, 0);
	if (!sigsetjmp(out, 1))
		sink += asm_trap_first();
	STAY();
}

FUNC static void scene_jump(void)
{
	on(SIGUSR1, handler_jumps, 0);
	if (!sigsetjmp(out, 1))
		raises(SIGUSR1);
	STAY();
}

FUNC static void leap(jmp_buf env)
{
	longjmp(env, 1);
}

FUNC static void jumper(jmp_buf env, long n)
{
	if (n > 0)
		jumper(env, n - 1);
	else
		leap(env);
	STAY();
}

FUNC static long leaf_longjmp(long x)
{
	SPIN();
	return x;
}

FUNC static void scene_longjmp(void)
{
	jmp_buf env;
	volatile int n = 0;

	if (setjmp(env) < 3 && n++ < 3) {
		sink += leaf_longjmp(n);
		jumper(env, 3);
	}
	STAY();
}

/* ---- what the kernel and the libraries bring ---- */

FUNC static long leaf_vfork(long x)
{
	SPIN();
	return x;
}

FUNC static void scene_vfork(void)
{
	pid_t pid = vfork();

	if (pid == 0) {
		leaf_vfork(1);
		_exit(0);
	}
	if (pid > 0)
		waitpid(pid, NULL, 0);
	STAY();
}

FUNC static void scene_vdso(void)
{
	struct timespec t;
	struct timeval v;

	for (unsigned long i = 0; i <= spins / 64; i++) {
		clock_gettime(CLOCK_MONOTONIC, &t);
		clock_gettime(CLOCK_REALTIME_COARSE, &t);
		gettimeofday(&v, NULL);
		sink += t.tv_sec + v.tv_usec + time(NULL);
	}
	STAY();
}

FUNC static int leaf_compare(const void *a, const void *b)
{
	SPIN();
	return *(const int *)a - *(const int *)b;
}

/* Each function of the C library for the first time: through its PLT. */
FUNC static void scene_library(void)
{
	int v[] = { 5, 2, 9, 1, 7, 3, 8 };
	char text[200];
	void *p;

	qsort(v, sizeof(v) / sizeof(v[0]), sizeof(v[0]), leaf_compare);
	snprintf(text, sizeof(text), "%d %s %.3f %lx", v[0], "word", 2.5, 77L);
	sink += strtol(text, NULL, 10) + (long)strtod("1.75e3", NULL);
	sink += (long)strlen(text) + !!strchr(text, 'w') + !!strstr(text, "ord");
	p = malloc(3000);
	p = realloc(p, 200000);
	free(p);
	sink += !!getenv("HOME") + atoi("12") + rand();
	STAY();
}

FUNC static long leaf_asm(long x)
{
	SPIN();
	return x;
}

FUNC static void scene_asm(void)
{
	sink += asm_pushes(leaf_asm, 1);
	sink += asm_base(leaf_asm, 2);
	sink += asm_deref(leaf_asm, 3);
	sink += asm_states(leaf_asm, 4);
	sink += asm_bare(5);
	STAY();
}

#if defined(__GLIBC__)
static ucontext_t main_context, other_context;

FUNC static long leaf_coroutine(long x)
{
	SPIN();
	return x;
}

FUNC static void coroutine_inner(long x)
{
	sink += leaf_coroutine(x);
	swapcontext(&other_context, &main_context);
	STAY();
}

FUNC static void coroutine(void)
{
	for (long x = 0; x < 3; x++) {
		coroutine_inner(x);
		STAY();
	}
}

FUNC static void scene_coroutine(void)
{
	static char stack[65536] __attribute__((aligned(16)));

	mark(MARK_STACK, stack, sizeof(stack));
	getcontext(&other_context);
	other_context.uc_stack.ss_sp = stack;
	other_context.uc_stack.ss_size = sizeof(stack);
	other_context.uc_link = &main_context;
	makecontext(&other_context, coroutine, 0);
	for (int i = 0; i < 4; i++)
		swapcontext(&main_context, &other_context);
	STAY();
}
#endif

FUNC static long leaf_thread(long x)
{
	SPIN();
	return x;
}

FUNC static void *thread_main(void *p)
{
	sink += leaf_thread((long)p);
	sink += chain_b((long)p);
	STAY();
	return NULL;
}

/* The watcher follows the second thread. */
FUNC static void scene_thread(void)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, thread_main, (void *)3L) == 0)
		pthread_join(thread, NULL);
	mark(MARK_THREAD, NULL, 0);
	if (pthread_create(&thread, NULL, thread_main, (void *)4L) == 0)
		pthread_join(thread, NULL);
	mark(MARK_RESUME, NULL, 0);
	STAY();
}

static const struct {
	const char *name;
	void (*play)(void);
} scenes[] = {
	{ "chain", scene_chain },
	{ "deep", scene_deep },
	{ "alloca", scene_alloca },
	{ "large", scene_large },
	{ "realign", scene_realign },
	{ "vararg", scene_vararg },
	{ "branchy", scene_branchy },
	{ "tail", scene_tail },
	{ "signal", scene_signal },
	{ "altstack", scene_altstack },
	{ "trap", scene_trap },
	{ "jump", scene_jump },
	{ "longjmp", scene_longjmp },
	{ "vfork", scene_vfork },
	{ "vdso", scene_vdso },
	{ "library", scene_library },
	{ "asm", scene_asm },
#if defined(__GLIBC__)
	{ "coroutine", scene_coroutine },
#endif
	{ "thread", scene_thread },
};

static int wanted(int argc, char **argv, const char *name)
{
	for (int i = 3; i < argc; i++)
		if (strcmp(argv[i], name) == 0)
			return 1;
	return argc <= 3;
}

int main(int argc, char **argv)
{
	long rounds = 1;

	if (argc > 1)
		spins = strtoul(argv[1], NULL, 10);
	if (argc > 2)
		rounds = strtol(argv[2], NULL, 10);
	mark(MARK_BEGIN, NULL, 0);
	while (rounds-- > 0)
		for (size_t i = 0; i < sizeof(scenes) / sizeof(scenes[0]); i++)
			if (wanted(argc, argv, scenes[i].name))
				scenes[i].play();
	mark(MARK_END, NULL, 0);
	return 0;
}
