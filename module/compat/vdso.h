/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * asm/mmu.h, asm/thread_info.h: where a process has its vDSO and whether it is a
 * 32-bit one. The same member on both architectures since before 5.10, with
 * different types; the thread flags have different names.
 */
#ifndef _KST_COMPAT_VDSO_H
#define _KST_COMPAT_VDSO_H

#include <linux/mm_types.h>
#include <linux/sched.h>
#include <linux/thread_info.h>

/* Its address; 0: none. */
static inline unsigned long kst_vdso_of(const struct mm_struct *mm)
{
	return (unsigned long)mm->context.vdso;
}

/* Of current. */
static inline bool kst_vdso_is_32bit(void)
{
#ifdef CONFIG_X86_64
	return test_thread_flag(TIF_ADDR32);
#else
	return test_thread_flag(TIF_32BIT);
#endif
}

#endif /* _KST_COMPAT_VDSO_H */
