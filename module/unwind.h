/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The walk of a user stack, frame by frame: what is mapped at the frame's code, by
 * which rule of its object's rows the caller is found, and there the same again.
 */
#ifndef _KST_UNWIND_H
#define _KST_UNWIND_H

#include <linux/types.h>

#include <kstrata.h>

struct kst_objects;
struct pt_regs;

/*
 * Hardirq, interrupts off, on top of code that had them on: the user frames of
 * current, which must have an mm of its own, from regs (user mode) outwards, at most
 * max (at least 1), to out. Nothing faults. Fills in rec's nr_user, user_reason,
 * lookup and walk, reads its time, and counts in p. o may be NULL: then all frames
 * are user addresses, found by frame pointers.
 */
void kst_unwind_user(struct pt_regs *regs, struct kst_objects *o,
		     struct kstrata_ring_producer *p, struct kstrata_sample *rec,
		     u64 *out, u16 max);

#endif /* _KST_UNWIND_H */
