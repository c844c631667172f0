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
 * User frames of current from regs (user mode) outwards by frame pointers, at
 * most max (at least 1), to out, none with a bit of KSTRATA_FRAME_KIND set.
 * current must have an mm of its own.
 */
u16 kst_stack_user(struct pt_regs *regs, u64 *out, u16 max, u8 *reason);

#endif /* _KST_STACK_H */
