/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the programs tell whoever watches them step by step (tests/unwind/step.c): by
 * system calls that no kernel has, so that nothing happens when nobody does. And
 * what they spin in for whoever samples them.
 */
#ifndef TRUTH_H
#define TRUTH_H

#define MARK_NR		0x6b73

#define MARK_BEGIN	1	/* compare from here on */
#define MARK_END	2	/* ... to here: the watcher has seen enough */
#define MARK_SKIP	3	/* run freely ... */
#define MARK_RESUME	4	/* ... to here: in the same function */
#define MARK_STACK	5	/* a stack of a coroutine: base, bytes */
#define MARK_SIGSTACK	6	/* an alternate signal stack: base, bytes */
#define MARK_THREAD	7	/* go on with the next thread instead of this one */

static inline __attribute__((always_inline)) void
mark(long what, const void *base, unsigned long bytes)
{
#if defined(__x86_64__)
	long nr = MARK_NR;

	__asm__ volatile("syscall" : "+a" (nr)
			 : "D" (what), "S" (base), "d" (bytes)
			 : "rcx", "r11", "memory");
#elif defined(__aarch64__)
	register long nr __asm__("x8") = MARK_NR;
	register long a0 __asm__("x0") = what;
	register const void *a1 __asm__("x1") = base;
	register unsigned long a2 __asm__("x2") = bytes;

	__asm__ volatile("svc #0" : "+r" (a0) : "r" (nr), "r" (a1), "r" (a2)
			 : "memory");
#endif
}

/* Loops of a leaf. */
extern unsigned long spins;

#define SPIN() do { \
	for (unsigned long spin_ = spins; spin_; spin_--) \
		__asm__ volatile("" ::: "memory"); \
} while (0)

/* Not to be made into anything else than a call from exactly one place. */
#if defined(__clang__)
#define FUNC __attribute__((noinline))
#else
#define FUNC __attribute__((noinline, noclone, noipa))
#endif
/* After a call: it is not the last thing a function does. */
#define STAY() __asm__ volatile("" ::: "memory")

#endif /* TRUTH_H */
