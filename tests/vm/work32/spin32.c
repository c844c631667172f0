// SPDX-License-Identifier: Apache-2.0
/*
 * A 32-bit x86 program without a library: _start, outer, inner, and no end. With
 * an argument: system calls by way of the vDSO, and no end.
 */

#define noinline __attribute__((noinline, noclone, noipa))

noinline void inner(volatile unsigned int *n);
noinline void outer(void);
noinline void by_vdso(unsigned long *sp);

#define AT_SYSINFO 32
#define SYS_getpid 20

void inner(volatile unsigned int *n)
{
	/* A function that does not touch the stack gets no frame without this. */
	__asm__ volatile("" : : "r"(__builtin_frame_address(0)));
	for (;;)
		*n += 1;
}

void outer(void)
{
	volatile unsigned int n = 0;

	inner(&n);
	__asm__ volatile("" : : : "memory"); /* no tail call */
}

void by_vdso(unsigned long *sp)
{
	unsigned long *p = sp + 1 + sp[0] + 1;

	while (*p++)
		;
	for (; *p && *p != AT_SYSINFO; p += 2)
		;
	while (*p) {
		unsigned long call = p[1], r = SYS_getpid;

		__asm__ volatile("call *%1" : "+a"(r) : "r"(call) : "memory");
	}
}

/* As every C library's: no frame of its own, and none above. */
__asm__(".globl _start\n"
	"_start:\n"
	"	xor %ebp, %ebp\n"
	"	mov %esp, %eax\n"
	"	and $-16, %esp\n"
	"	cmpl $1, (%eax)\n"
	"	jne 1f\n"
	"	call outer\n"
	"1:	sub $12, %esp\n"
	"	push %eax\n"
	"	call by_vdso\n"
	"	hlt\n");
