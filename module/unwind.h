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
 * Which rule holds where, of those looked up last: most stacks go through places that
 * were met lately, and finding a rule takes longer than following it. A slot is right
 * for the rows that have its serial and for no others: what was replaced or dropped
 * needs no telling.
 */
#define KST_RULE_CACHE_BITS	9

struct kst_rule_slot {
	u64 serial;		/* kst_rows.serial */
	u64 found;		/* offset in the file, number of the rule: 16 bits */
	s32 usual;		/* of the rule: see unwind.c, 0: it is not */
	s32 fp, aux;		/* offsets from the CFA */
};

/* Zeroed: empty. Of one session and CPU. */
struct kst_rule_cache {
	struct kst_rule_slot slots[1 << KST_RULE_CACHE_BITS];
};

/*
 * Hardirq, interrupts off, on top of code that had them on: the user frames of
 * current, which must have an mm of its own, from regs (user mode) outwards, at most
 * max (at least 1), to out. Nothing faults. Fills in rec's nr_user, user_reason,
 * lookup and walk, reads its time, and counts in p. o may be NULL: then all frames
 * are user addresses, found by frame pointers; else there is a cache.
 */
void kst_unwind_user(struct pt_regs *regs, struct kst_objects *o,
		     struct kst_rule_cache *cache, struct kstrata_ring_producer *p,
		     struct kstrata_sample *rec, u64 *out, u16 max);

#endif /* _KST_UNWIND_H */
