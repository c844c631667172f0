/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * One step of a walk of a user stack, from a frame to its caller: by a rule
 * (uapi/kstrata.h, section 6), by the frame pointer, or at the leaf by the
 * instructions there. Of both machines, on any: pure functions of the frame and of
 * what two others read, which are known when this is compiled, as the machine is.
 *
 *   read  a word of the program's memory, at any address; 0: there is none
 *   leaf  a register at the interrupted instruction, by DWARF's number; 0: no such
 *
 * No loop here depends on what is read, and no step reads more than a few words.
 */
#ifndef _KSTRATA_UNWIND_H
#define _KSTRATA_UNWIND_H

#include <kstrata.h>

#define KST_X86_64	62	/* EM_X86_64 */
#define KST_ARM64	183	/* EM_AARCH64 */

typedef int kst_read_fn(void *ctx, __u64 at, __u64 *word);
typedef int kst_leaf_fn(void *ctx, unsigned int reg, __u64 *value);

/*
 * kst_frame.flags. LEAF: pc is where it was interrupted, not a return address, and all
 * registers are known. NEAR: the leaf's caller: scratch registers may be as they were
 * there. LOW: sp is no more than a lower bound.
 */
#define KST_FRAME_LEAF	(1u << 0)
#define KST_FRAME_FP	(1u << 1)	/* fp is known */
#define KST_FRAME_LOW	(1u << 2)
#define KST_FRAME_NEAR	(1u << 3)

/**
 * struct kst_frame - where a walk is
 * @pc:		the instruction that goes on here
 * @sp:		stack pointer: what lies below has been left behind
 * @fp:		frame pointer
 * @aux:	value of the register @aux_reg
 * @saved:	LEAF or NEAR: address of the registers that a signal frame has saved,
 *		or 0
 * @aux_reg:	number of a register, KSTRATA_ROWS_AUX_NONE: of none
 * @flags:	KST_FRAME_*
 */
struct kst_frame {
	__u64 pc;
	__u64 sp;
	__u64 fp;
	__u64 aux;
	__u64 saved;
	__u8 aux_reg;
	__u8 flags;
};

/* What was interrupted. */
static __always_inline void kst_frame_leaf(struct kst_frame *f, __u64 pc, __u64 sp, __u64 fp)
{
	*f = (struct kst_frame){
		.pc = pc,
		.sp = sp,
		.fp = fp,
		.aux_reg = KSTRATA_ROWS_AUX_NONE,
		.flags = KST_FRAME_LEAF | KST_FRAME_FP,
	};
}

/*
 * The place to look up: a return address belongs to the call before it, which may
 * be the last instruction of its function.
 */
static __always_inline __u64 kst_frame_place(const struct kst_frame *f)
{
	return f->pc - !(f->flags & KST_FRAME_LEAF);
}

static __always_inline unsigned int kst_reg_sp(int machine)
{
	return machine == KST_X86_64 ? 7 : 31;
}

static __always_inline unsigned int kst_reg_fp(int machine)
{
	return machine == KST_X86_64 ? 6 : 29;
}

/*
 * A return address without the signature that programs built for pointer
 * authentication give it. ptrauth_strip_user_insn_pac() does that only from 6.5 on,
 * its forerunner did other things; the instruction knows how wide addresses are,
 * needs no key, and is no operation where there are no signatures. On another
 * machine, where arm64's addresses are only made up: 48 bits.
 */
static __always_inline __u64 kst_unwind_strip(__u64 address, int machine)
{
	if (machine != KST_ARM64)
		return address;
#ifdef __aarch64__
	{
		register __u64 lr __asm__("x30") = address;

		__asm__("hint #7 // xpaclri" : "+r" (lr));
		return lr;
	}
#else
	return address & 0xffffffffffffULL;
#endif
}

/* Can this be the caller's PC? Else: why the walk ends. */
static __always_inline __u8 kst_unwind_pc(__u64 pc)
{
	if (!pc)
		return KSTRATA_REASON_COMPLETE;
	return pc & (KSTRATA_FRAME_OBJECT | KSTRATA_FRAME_KIND) ?
		KSTRATA_REASON_BAD_FRAME : KSTRATA_REASON_NONE;
}

/*
 * Where the kernel saves registers for a signal's handler, from SP at the handler's
 * return on. x86-64: that is the rt_sigframe but for its first word, so uc_flags,
 * uc_link and uc_stack come before the registers, in an order of their own. arm64:
 * siginfo, then of the ucontext all up to its fault_address.
 */
#define KST_X86_64_SAVED	40
#define KST_ARM64_SAVED		312
#define KST_SAVED_NONE		0xff

/* The word there that holds a register; the one of PC is 33. */
static __always_inline unsigned int kst_saved_slot(unsigned int reg, int machine)
{
	if (machine == KST_ARM64)
		return reg <= 31 ? reg : reg == 33 ? 32 : KST_SAVED_NONE;
	if (reg >= 8 && reg <= 15)
		return reg - 8;
	switch (reg) {
	case 5: return 8;	/* rdi */
	case 4: return 9;	/* rsi */
	case 6: return 10;	/* rbp */
	case 3: return 11;	/* rbx */
	case 1: return 12;	/* rdx */
	case 0: return 13;	/* rax */
	case 2: return 14;	/* rcx */
	case 7: return 15;	/* rsp */
	case 33: return 16;	/* rip */
	}
	return KST_SAVED_NONE;
}

/* Is it one that functions need not leave as they found it? */
static __always_inline int kst_reg_scratch(unsigned int reg, int machine)
{
	/* x86-64: all but rbx, rbp, rsp and r12 to r15. */
	return machine == KST_ARM64 ? reg < 18 :
		reg < 12 && reg != 3 && reg != 6 && reg != 7;
}

/* The value of a register in this frame; BAD_RULE: not known, FAULT: unreadable. */
static __always_inline __u8 kst_unwind_reg(const struct kst_frame *f,
					   unsigned int reg, __u64 *value,
					   int machine, kst_read_fn *read,
					   kst_leaf_fn *leaf, void *ctx)
{
	unsigned int slot;

	if (reg == kst_reg_sp(machine)) {
		*value = f->sp;
		return f->flags & KST_FRAME_LOW ? KSTRATA_REASON_BAD_RULE :
						  KSTRATA_REASON_NONE;
	}
	if (reg == kst_reg_fp(machine)) {
		*value = f->fp;
		return f->flags & KST_FRAME_FP ? KSTRATA_REASON_NONE :
						 KSTRATA_REASON_BAD_RULE;
	}
	if (!(f->flags & KST_FRAME_LEAF)) {
		*value = f->aux;
		if (reg == f->aux_reg && reg != KSTRATA_ROWS_AUX_NONE)
			return KSTRATA_REASON_NONE;
		/*
		 * Who finds its frame by a scratch register across a call knows that
		 * the callee leaves it alone: openssl's assembly does.
		 */
		if (!(f->flags & KST_FRAME_NEAR) || !kst_reg_scratch(reg, machine))
			return KSTRATA_REASON_BAD_RULE;
	}
	if (!f->saved)
		return leaf(ctx, reg, value) ? KSTRATA_REASON_NONE :
					       KSTRATA_REASON_BAD_RULE;
	slot = kst_saved_slot(reg, machine);
	if (slot == KST_SAVED_NONE)
		return KSTRATA_REASON_BAD_RULE;
	return read(ctx, f->saved + 8 * slot, value) ? KSTRATA_REASON_NONE :
						       KSTRATA_REASON_FAULT;
}

/* How a register is saved, but for SAME and LOST: these are BAD_RULE. */
static __always_inline __u8 kst_unwind_save(const struct kst_frame *f,
					    const struct kstrata_save *save,
					    __u64 cfa, __u64 *value, int machine,
					    kst_read_fn *read, kst_leaf_fn *leaf,
					    void *ctx)
{
	__u64 at = cfa;
	__u8 reason;

	switch (save->how) {
	case KSTRATA_SAVE_AT_CFA:
	case KSTRATA_SAVE_IS_CFA:
		break;
	case KSTRATA_SAVE_AT_REG:
	case KSTRATA_SAVE_IS_REG:
		reason = kst_unwind_reg(f, save->reg, &at, machine, read, leaf, ctx);
		if (reason)
			return reason;
		break;
	default:
		return KSTRATA_REASON_BAD_RULE;
	}
	*value = at + save->offset;
	if (save->how == KSTRATA_SAVE_IS_CFA || save->how == KSTRATA_SAVE_IS_REG)
		return KSTRATA_REASON_NONE;
	return read(ctx, *value, value) ? KSTRATA_REASON_NONE : KSTRATA_REASON_FAULT;
}

/* Across a signal frame: SP, FP and PC at once, the others when asked for. */
static __always_inline __u8 kst_unwind_signal(struct kst_frame *f, int machine,
					      kst_read_fn *read, void *ctx)
{
	__u64 saved = f->sp + (machine == KST_ARM64 ? KST_ARM64_SAVED :
						      KST_X86_64_SAVED);
	struct kst_frame to = {
		.saved = saved,
		.aux_reg = KSTRATA_ROWS_AUX_NONE,
		.flags = KST_FRAME_LEAF | KST_FRAME_FP,
	};
	__u8 reason;

	if (f->flags & KST_FRAME_LOW)
		return KSTRATA_REASON_BAD_RULE;
	if (!read(ctx, saved + 8 * kst_saved_slot(33, machine), &to.pc) ||
	    !read(ctx, saved + 8 * kst_saved_slot(kst_reg_sp(machine), machine),
		  &to.sp) ||
	    !read(ctx, saved + 8 * kst_saved_slot(kst_reg_fp(machine), machine),
		  &to.fp))
		return KSTRATA_REASON_FAULT;
	/* Where it stood, whatever the stack: not signed, not checked. */
	reason = kst_unwind_pc(to.pc);
	if (!reason)
		*f = to;
	return reason;
}

/*
 * By the frame record that fp points to. On arm64 a frame's record is anywhere in
 * it: how far up the caller's SP is, is not known then. Like all steps: NONE, and f
 * is the caller; else why the walk ends, and f is as it was.
 */
static __always_inline __u8 kst_unwind_fp(struct kst_frame *f, int machine,
					  kst_read_fn *read, void *ctx)
{
	__u64 next, ret;
	__u8 reason;

	if (!(f->flags & KST_FRAME_FP))
		return KSTRATA_REASON_NO_ROWS;
	if (!f->fp)
		return KSTRATA_REASON_COMPLETE;
	/* Strictly outwards: this ends, whatever the stack holds. */
	if (f->fp % 8 || f->fp < f->sp)
		return KSTRATA_REASON_BAD_FRAME;
	if (!read(ctx, f->fp, &next) || !read(ctx, f->fp + 8, &ret))
		return KSTRATA_REASON_FAULT;
	ret = kst_unwind_strip(ret, machine);
	reason = kst_unwind_pc(ret);
	if (reason)
		return reason;
	f->pc = ret;
	f->sp = f->fp + 16;
	f->fp = next;
	f->aux_reg = KSTRATA_ROWS_AUX_NONE;
	f->flags = KST_FRAME_FP | (machine == KST_ARM64 ? KST_FRAME_LOW : 0);
	return KSTRATA_REASON_NONE;
}

/* The CFA, not checked. */
static __always_inline __u8 kst_unwind_cfa(const struct kst_frame *f,
					   const struct kstrata_rule *rule,
					   __u64 *cfa, int machine, kst_read_fn *read,
					   kst_leaf_fn *leaf, void *ctx)
{
	__u64 value, index;
	__u8 reason;

	reason = kst_unwind_reg(f, rule->reg, &value, machine, read, leaf, ctx);
	if (reason)
		return reason;
	value += rule->offset;
	if (__builtin_expect(rule->cfa == KSTRATA_CFA_REG, 1)) {
		*cfa = value;
		return KSTRATA_REASON_NONE;
	}
	if (rule->cfa == KSTRATA_CFA_PLT) {
		*cfa = value + (f->pc % 16 >= (__u32)rule->add ? 8 : 0);
		return KSTRATA_REASON_NONE;
	}
	if (rule->cfa == KSTRATA_CFA_INDEX) {
		reason = kst_unwind_reg(f, rule->index, &index, machine, read, leaf,
					ctx);
		if (reason)
			return reason;
		value += 8 * index;
	} else if (rule->cfa != KSTRATA_CFA_DEREF) {
		return KSTRATA_REASON_BAD_RULE;
	}
	if (!read(ctx, value, &value))
		return KSTRATA_REASON_FAULT;
	*cfa = value + rule->add;
	return KSTRATA_REASON_NONE;
}

/*
 * What nearly all rules are, x86-64: CFA = SP or FP + offset, the return address right
 * below it, the frame pointer as it is or on the stack, likewise the third register.
 * KST_RULE_OTHER: this is none of them.
 */
#define KST_RULE_OTHER	0xff

static __always_inline __u8 kst_unwind_usual(struct kst_frame *f,
					     const struct kstrata_rule *rule,
					     __u8 aux, kst_read_fn *read, void *ctx)
{
	__u64 cfa, pc, fp = f->fp, value = f->aux;
	__u8 reason;

	/* SAME is 0, AT_CFA one bit. */
	if (rule->cfa != KSTRATA_CFA_REG || rule->ra.how != KSTRATA_SAVE_AT_CFA ||
	    rule->fp.how & ~KSTRATA_SAVE_AT_CFA ||
	    rule->aux.how & ~KSTRATA_SAVE_AT_CFA || f->flags != KST_FRAME_FP)
		return KST_RULE_OTHER;
	cfa = f->sp;
	if (rule->reg != kst_reg_sp(KST_X86_64)) {
		cfa = fp;
		if (rule->reg != kst_reg_fp(KST_X86_64))
			return KST_RULE_OTHER;
	}
	cfa += rule->offset;
	if (cfa % 8 || cfa <= f->sp)
		return KSTRATA_REASON_BAD_FRAME;
	if (!read(ctx, cfa + rule->ra.offset, &pc))
		return KSTRATA_REASON_FAULT;
	reason = kst_unwind_pc(pc);
	if (reason)
		return reason;
	if (rule->fp.how && !read(ctx, cfa + rule->fp.offset, &fp))
		return KSTRATA_REASON_FAULT;
	if (rule->aux.how) {
		if (!read(ctx, cfa + rule->aux.offset, &value))
			return KSTRATA_REASON_FAULT;
		f->aux_reg = aux;
	} else if (f->aux_reg != aux) {
		f->aux_reg = KSTRATA_ROWS_AUX_NONE;
	}
	f->pc = pc;
	f->sp = cfa;
	f->fp = fp;
	f->aux = value;
	return KSTRATA_REASON_NONE;
}

/*
 * By the rule of the place that f is in (not one of KSTRATA_CFA_NONE: that is no
 * rule), from a table whose third register is aux. Any rule is safe, also one that
 * no table may have.
 */
static __always_inline __u8 kst_unwind_rule(struct kst_frame *f,
					    const struct kstrata_rule *rule, __u8 aux,
					    int machine, kst_read_fn *read,
					    kst_leaf_fn *leaf, void *ctx)
{
	/* Words of its own each: a struct would not stay in registers. */
	__u64 cfa, pc, fp = 0, aux_value = 0;
	__u8 reason, flags, aux_reg = KSTRATA_ROWS_AUX_NONE;

	if (machine == KST_X86_64) {
		reason = kst_unwind_usual(f, rule, aux, read, ctx);
		if (__builtin_expect(reason != KST_RULE_OTHER, 1))
			return reason;
	}

	if (__builtin_expect(rule->cfa <= KSTRATA_CFA_SIGNAL, 0)) {
		if (rule->cfa == KSTRATA_CFA_END)
			return KSTRATA_REASON_COMPLETE;
		if (rule->cfa != KSTRATA_CFA_SIGNAL)
			return KSTRATA_REASON_BAD_RULE;
		if (machine == KST_ARM64 && f->flags & KST_FRAME_LOW)
			/* The kernel links a record to the handler's. */
			return kst_unwind_fp(f, machine, read, ctx);
		return kst_unwind_signal(f, machine, read, ctx);
	}
	if (machine == KST_ARM64 && f->flags & KST_FRAME_LOW &&
	    rule->cfa == KSTRATA_CFA_REG && rule->reg == kst_reg_sp(machine)) {
		/* Its record, if it keeps one, is where fp points. */
		if (rule->fp.how != KSTRATA_SAVE_AT_CFA ||
		    rule->ra.how != KSTRATA_SAVE_AT_CFA ||
		    (__s64)rule->ra.offset != (__s64)rule->fp.offset + 8 ||
		    !(f->flags & KST_FRAME_FP))
			return kst_unwind_fp(f, machine, read, ctx);
		cfa = f->fp - rule->fp.offset;
	} else {
		reason = kst_unwind_cfa(f, rule, &cfa, machine, read, leaf, ctx);
		if (reason)
			return reason;
	}
	/*
	 * Outwards, strictly but for a leaf that has pushed nothing: the return
	 * address in a register.
	 */
	if (cfa % 8 || cfa < f->sp ||
	    (cfa == f->sp && !(f->flags & KST_FRAME_LEAF)))
		return KSTRATA_REASON_BAD_FRAME;

	if (rule->ra.how == KSTRATA_SAVE_SAME) {
		/* The link register: who calls overwrites it. */
		if (machine != KST_ARM64 || !(f->flags & KST_FRAME_LEAF))
			return KSTRATA_REASON_BAD_RULE;
		reason = kst_unwind_reg(f, 30, &pc, machine, read, leaf, ctx);
	} else {
		reason = kst_unwind_save(f, &rule->ra, cfa, &pc, machine, read,
					 leaf, ctx);
	}
	if (reason)
		return reason;
	pc = kst_unwind_strip(pc, machine);
	reason = kst_unwind_pc(pc);
	if (reason)
		return reason;

	/* A register that cannot be had is only missed if it is asked for. */
	if (rule->fp.how == KSTRATA_SAVE_SAME) {
		fp = f->fp;
		flags = f->flags & KST_FRAME_FP;
	} else {
		reason = kst_unwind_save(f, &rule->fp, cfa, &fp, machine, read,
					 leaf, ctx);
		/* Past its pop, GCC still has it where FP, restored, points. */
		if (reason == KSTRATA_REASON_FAULT &&
		    rule->fp.how == KSTRATA_SAVE_AT_CFA)
			return reason;
		flags = reason ? 0 : KST_FRAME_FP;
	}
	if (aux != KSTRATA_ROWS_AUX_NONE) {
		if (rule->aux.how == KSTRATA_SAVE_SAME)
			reason = kst_unwind_reg(f, aux, &aux_value, machine, read, leaf,
						ctx);
		else
			reason = kst_unwind_save(f, &rule->aux, cfa, &aux_value,
						 machine, read, leaf, ctx);
		if (reason == KSTRATA_REASON_FAULT &&
		    rule->aux.how == KSTRATA_SAVE_AT_CFA)
			return reason;
		if (!reason)
			aux_reg = aux;
	}
	f->pc = pc;
	f->sp = cfa;
	f->fp = fp;
	f->aux = aux_value;
	f->aux_reg = aux_reg;
	f->flags = flags | (f->flags & KST_FRAME_LEAF ? KST_FRAME_NEAR : 0);
	return KSTRATA_REASON_NONE;
}

/* What kst_unwind_code() says besides: the instructions here tell nothing. */
#define KST_CODE_SILENT		0xff

/* Do 8 bytes of code, a word as it stands in memory, begin with these? */
#define KST_CODE_IS(code, bytes, value) \
	(((code) & (((__u64)1 << (8 * (bytes))) - 1)) == (value))

/*
 * x86-64: the return address is where SP points before push %rbp and at ret (after
 * leave, or pop %rbp, that is), one word up between push %rbp and mov %rsp,%rbp.
 * Words on the stack up to and with the return address; 0: not told.
 */
static __always_inline unsigned int kst_code_x86_64(__u64 pc, kst_read_fn *read, void *ctx)
{
	__u64 code, before;

	if (!read(ctx, pc, &code))
		return 0;
	if (KST_CODE_IS(code, 4, 0xfa1e0ff3))		/* endbr64 */
		code >>= 32;
	if (KST_CODE_IS(code, 4, 0xe5894855) ||		/* push %rbp; mov %rsp,%rbp */
	    KST_CODE_IS(code, 4, 0xec8b4855) ||		/* the same */
	    KST_CODE_IS(code, 1, 0xc3) ||		/* ret */
	    KST_CODE_IS(code, 2, 0xc3f3) ||		/* rep ret */
	    KST_CODE_IS(code, 1, 0xc2))			/* ret $bytes */
		return 1;
	if (!KST_CODE_IS(code, 3, 0xe58948) &&		/* mov %rsp,%rbp */
	    !KST_CODE_IS(code, 3, 0xec8b48))		/* the same */
		return 0;
	return read(ctx, pc - 8, &before) && before >> 56 == 0x55 ? 2 : 0;
}

#define KST_CODE_WORDS	4	/* of two instructions each */

/*
 * arm64: from the function's entry until it has set X29 up, and from where it has
 * restored X30 to its ret, the return address is in X30. Looks ahead, as far as
 * nothing branches, at most 2 KST_CODE_WORDS instructions. 1: it is there; 2: and SP
 * is the caller's; 0: not told.
 */
static __always_inline unsigned int kst_code_arm64(__u64 pc, kst_read_fn *read, void *ctx)
{
	__u64 code = 0;
	unsigned int i;

	for (i = 0; i < 2 * KST_CODE_WORDS; i++) {
		__u32 insn;

		if (i % 2)
			code >>= 32;
		else if (!read(ctx, pc + 4 * i, &code))
			return 0;
		insn = (__u32)code;
		/* ret, retaa, retab */
		if (insn == 0xd65f03c0 || (insn | 0x400) == 0xd65f0fff)
			return i ? 1 : 2;
		/* add x29, sp, #n; mov x29, sp is one */
		if ((insn & 0xffc003ff) == 0x910003fd)
			return 1;
		/* ldp x29, x30, [sp], #n; [sp, #n]; ldr x30, [sp], #n; [sp, #n] */
		if ((insn & 0xffc07fff) == 0xa8c07bfd ||
		    (insn & 0xffc07fff) == 0xa9407bfd ||
		    (insn & 0xffe00fff) == 0xf84007fe ||
		    (insn & 0xffc003ff) == 0xf94003fe)
			return 0;
		/* b, bl; b.cond; cbz, cbnz, tbz, tbnz; br, blr; brk, hlt and svc */
		if ((insn & 0x7c000000) == 0x14000000 ||
		    (insn & 0xff000000) == 0x54000000 ||
		    (insn & 0x7c000000) == 0x34000000 ||
		    (insn & 0xfe000000) == 0xd6000000 ||
		    (insn & 0xff000000) == 0xd4000000)
			return 0;
	}
	return 0;
}

/*
 * A leaf without rows, by its instructions: where the frame pointer is still, or is
 * again, the caller's, following it would lose the caller. KST_CODE_SILENT: not seen
 * to be such a place. Not seen are leaf functions that make no frame, except at
 * their return (arm64: near it).
 */
static __always_inline __u8 kst_unwind_code(struct kst_frame *f, int machine,
					    kst_read_fn *read, kst_leaf_fn *leaf,
					    void *ctx)
{
	unsigned int told = machine == KST_ARM64 ?
		kst_code_arm64(f->pc, read, ctx) :
		kst_code_x86_64(f->pc, read, ctx);
	__u64 ret, sp = f->sp;
	__u8 reason;

	if (!told)
		return KST_CODE_SILENT;
	if (machine == KST_ARM64) {
		reason = kst_unwind_reg(f, 30, &ret, machine, read, leaf, ctx);
		if (reason)
			return reason;
	} else {
		if (sp % 8)
			return KSTRATA_REASON_BAD_FRAME;
		sp += 8 * told;
		if (!read(ctx, sp - 8, &ret))
			return KSTRATA_REASON_FAULT;
	}
	ret = kst_unwind_strip(ret, machine);
	reason = kst_unwind_pc(ret);
	if (reason)
		return reason;
	f->pc = ret;
	f->sp = sp;
	f->aux_reg = KSTRATA_ROWS_AUX_NONE;
	f->flags &= KST_FRAME_FP;
	if (machine == KST_ARM64 && told != 2)
		f->flags |= KST_FRAME_LOW;
	return KSTRATA_REASON_NONE;
}

#endif /* _KSTRATA_UNWIND_H */
