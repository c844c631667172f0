/* SPDX-License-Identifier: GPL-2.0-only */
/* asm/ptrace.h: what the architectures call, or write, in ways of their own. */
#ifndef _KST_COMPAT_REGS_H
#define _KST_COMPAT_REGS_H

#include <linux/kernel.h>
#include <linux/ptrace.h>
#include <linux/stddef.h>
#include <linux/types.h>
#include <asm/ptrace.h>

/* Do these user registers belong to 32-bit code? */
static inline bool kst_regs_compat(struct pt_regs *regs)
{
#if defined(CONFIG_X86_64)
	return !user_64bit_mode(regs);
#elif defined(CONFIG_ARM64)
	return compat_user_mode(regs);
#else
#error "kstrata supports x86-64 and arm64"
#endif
}

static inline unsigned long kst_regs_frame_pointer(struct pt_regs *regs)
{
#if defined(CONFIG_X86_64)
	return regs->bp;
#else
	return regs->regs[29];
#endif
}

/* A register by DWARF's number, SP's among them; false: there is no such. */
static inline bool kst_regs_dwarf(const struct pt_regs *regs, unsigned int reg,
				  u64 *value)
{
#if defined(CONFIG_X86_64)
	static const u8 offsets[] = {
		offsetof(struct pt_regs, ax), offsetof(struct pt_regs, dx),
		offsetof(struct pt_regs, cx), offsetof(struct pt_regs, bx),
		offsetof(struct pt_regs, si), offsetof(struct pt_regs, di),
		offsetof(struct pt_regs, bp), offsetof(struct pt_regs, sp),
		offsetof(struct pt_regs, r8), offsetof(struct pt_regs, r9),
		offsetof(struct pt_regs, r10), offsetof(struct pt_regs, r11),
		offsetof(struct pt_regs, r12), offsetof(struct pt_regs, r13),
		offsetof(struct pt_regs, r14), offsetof(struct pt_regs, r15),
	};

	/* Where nothing may be called, the sanitizer's report of a bound neither. */
	const u8 *offset = offsets;

	if (reg >= ARRAY_SIZE(offsets))
		return false;
	*value = *(const unsigned long *)((const char *)regs + offset[reg]);
	return true;
#else
	const u64 *from = regs->regs;

	if (reg > 31)
		return false;
	*value = reg == 31 ? regs->sp : from[reg];
	return true;
#endif
}

#endif /* _KST_COMPAT_REGS_H */
