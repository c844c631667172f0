/* SPDX-License-Identifier: GPL-2.0-only */
/* User memory that a suite makes stacks of, and what must hold of any walk of it. */
#ifndef _KST_KUNIT_FORGED_H
#define _KST_KUNIT_FORGED_H

#include <linux/err.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/uaccess.h>
#include <kunit/test.h>

#include <kstrata.h>

/* Stands behind the frames that may be written. */
#define FORGED_END	0xfeedface

/*
 * bytes of it, in memory: a walk faults nothing in. Behind them absent bytes that are
 * mapped and are not, then a page that is not even mapped. 0: no memory.
 */
static inline unsigned long forged_stack(struct kunit *test, size_t bytes,
					 size_t absent, unsigned long flags)
{
	unsigned long at = kunit_vm_mmap(test, NULL, 0, bytes + absent + PAGE_SIZE,
					 PROT_READ | PROT_WRITE,
					 MAP_ANONYMOUS | MAP_PRIVATE | flags, 0);

	if (!at || IS_ERR_VALUE(at) || clear_user((void __user *)at, bytes) ||
	    vm_munmap(at + bytes + absent, PAGE_SIZE))
		return 0;
	return at;
}

/* The bound held and every frame is a user address. */
static inline bool forged_sane(const u64 *frames, u16 n, u16 max, u8 reason)
{
	u16 i;

	if (n > max || frames[max] != FORGED_END || reason == 0xff)
		return false;
	for (i = 0; i < n; i++)
		if (frames[i] & KSTRATA_FRAME_KIND)
			return false;
	return true;
}

#endif /* _KST_KUNIT_FORGED_H */
