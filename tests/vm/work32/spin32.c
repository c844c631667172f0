// SPDX-License-Identifier: Apache-2.0
/* A 32-bit x86 program without a library: _start, outer, inner, and no end. */

#define noinline __attribute__((noinline, noclone, noipa))

noinline void inner(volatile unsigned int *n);
noinline void outer(void);

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

/* As every C library's: no frame of its own, and none above. */
__asm__(".globl _start\n"
	"_start:\n"
	"	xor %ebp, %ebp\n"
	"	and $-16, %esp\n"
	"	call outer\n"
	"	hlt\n");
