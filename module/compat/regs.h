/* SPDX-License-Identifier: GPL-2.0-only */
/* asm/ptrace.h: what the architectures call the same thing. */
#ifndef _KST_COMPAT_REGS_H
#define _KST_COMPAT_REGS_H

#include <linux/ptrace.h>
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

#endif /* _KST_COMPAT_REGS_H */
