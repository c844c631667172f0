/* SPDX-License-Identifier: GPL-2.0-only */
/* asm/ptrace.h: what the architectures call, or write, in ways of their own. */
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

/*
 * A return address off a user stack, without the signature that programs built
 * for pointer authentication give it. ptrauth_strip_user_insn_pac() does that only
 * from 6.5 on, its forerunner did other things; the instruction knows how wide
 * addresses are, needs no key, and is no operation where there are no signatures.
 */
static inline unsigned long kst_user_return(unsigned long address)
{
#if defined(CONFIG_ARM64)
	register unsigned long lr asm("x30") = address;

	asm("hint #7 // xpaclri" : "+r" (lr));
	return lr;
#else
	return address;
#endif
}

#endif /* _KST_COMPAT_REGS_H */
