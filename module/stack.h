/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Walks of the interrupted stack. Hardirq context, interrupts off; nothing
 * here faults, sleeps or loops without a bound.
 */
#ifndef _KST_STACK_H
#define _KST_STACK_H

#include <linux/types.h>

struct pt_regs;

/*
 * Kernel frames from regs (kernel mode) outwards, at most max (at least 1), to
 * out. Returns their number; *reason tells why it is not more.
 */
u16 kst_stack_kernel(struct pt_regs *regs, u64 *out, u16 max, u8 *reason);

/*
 * Frames of current's 32-bit user code from regs (user mode, at an address that has
 * no bit of KSTRATA_FRAME_KIND) outwards by frame pointers, at most max (at least 1),
 * to out. current must have an mm of its own.
 */
u16 kst_stack_user32(struct pt_regs *regs, u64 *out, u16 max, u8 *reason);

#endif /* _KST_STACK_H */
