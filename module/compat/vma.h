/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * linux/mm.h: vma->vm_flags was assigned directly until 6.3, which made it
 * const and added vm_flags_set(), vm_flags_mod() and the like.
 */
#ifndef _KST_COMPAT_VMA_H
#define _KST_COMPAT_VMA_H

#include <linux/mm.h>
#include <linux/version.h>

static inline void kst_vm_flags_mod(struct vm_area_struct *vma,
				    unsigned long set, unsigned long clear)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 3, 0)
	vm_flags_mod(vma, set, clear);
#else
	vma->vm_flags = (vma->vm_flags | set) & ~clear;
#endif
}

#endif /* _KST_COMPAT_VMA_H */
