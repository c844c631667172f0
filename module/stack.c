// SPDX-License-Identifier: GPL-2.0-only
#include "stack.h"

#include <linux/kernel.h>
#include <linux/sched.h>
#include <linux/stacktrace.h>
#include <linux/uaccess.h>

#include <kstrata.h>

#include "compat/regs.h"

#ifdef CONFIG_X86_64
#include <asm/unwind.h>

u16 kst_stack_kernel(struct pt_regs *regs, u64 *out, u16 max, u8 *reason)
{
	struct unwind_state state;
	u16 n = 0;

	/* The unwinder starts with the caller of regs' frame. */
	out[n++] = instruction_pointer(regs);
	for (unwind_start(&state, current, regs, NULL); !unwind_done(&state);
	     unwind_next_frame(&state)) {
		unsigned long addr = unwind_get_return_address(&state);

		if (!addr)
			break;
		if (n == max) {
			*reason = KSTRATA_REASON_DEPTH;
			return n;
		}
		out[n++] = addr;
	}
	*reason = unwind_error(&state) ? KSTRATA_REASON_BAD_FRAME :
					 KSTRATA_REASON_COMPLETE;
	return n;
}
#else
u16 kst_stack_kernel(struct pt_regs *regs, u64 *out, u16 max, u8 *reason)
{
	unsigned long *entries = (unsigned long *)out;
	unsigned int nr, skip;

	BUILD_BUG_ON(sizeof(*entries) != sizeof(*out));
	/* From here: the handler's own frames come first, cut them off. */
	nr = stack_trace_save(entries, max, 0);
	for (skip = 0; skip < nr; skip++)
		if (entries[skip] == instruction_pointer(regs))
			break;
	if (skip == nr) {
		out[0] = instruction_pointer(regs);
		*reason = KSTRATA_REASON_BAD_FRAME;
		return 1;
	}
	memmove(out, out + skip, (nr - skip) * sizeof(*out));
	*reason = nr == max ? KSTRATA_REASON_DEPTH : KSTRATA_REASON_COMPLETE;
	return nr - skip;
}
#endif

/* What the ABI puts at the frame pointer, on x86-64 and arm64 alike. */
struct frame_record {
	unsigned long next;
	unsigned long ret;
};

u16 kst_stack_user(struct pt_regs *regs, u64 *out, u16 max, u8 *reason)
{
	unsigned long sp = user_stack_pointer(regs);
	unsigned long fp = kst_regs_frame_pointer(regs);
	unsigned long ip = instruction_pointer(regs);
	u16 n = 0;

	/*
	 * Bit 63 is the object frames'. Nothing runs there, but a system call
	 * can be on its way there: sigreturn() and ptrace() set any address.
	 */
	if (ip & KSTRATA_FRAME_OBJECT) {
		*reason = KSTRATA_REASON_BAD_FRAME;
		return 0;
	}
	out[n++] = ip;
	if (kst_regs_compat(regs)) {
		*reason = KSTRATA_REASON_UNSUPPORTED;
		return n;
	}
	for (;;) {
		/*
		 * On our own stack: copying straight into the ring would have
		 * hardened usercopy look the vmalloc area up, under a lock.
		 */
		struct frame_record rec;

		if (!fp) {
			*reason = KSTRATA_REASON_COMPLETE;
			return n;
		}
		/* Strictly outwards: this ends, whatever the stack holds. */
		if (fp % sizeof(fp) || fp < sp) {
			*reason = KSTRATA_REASON_BAD_FRAME;
			return n;
		}
		if (copy_from_user_nofault(&rec, (void __user *)fp,
					   sizeof(rec))) {
			*reason = KSTRATA_REASON_FAULT;
			return n;
		}
		if (!rec.ret) {
			*reason = KSTRATA_REASON_COMPLETE;
			return n;
		}
		if (rec.ret & KSTRATA_FRAME_OBJECT) {
			*reason = KSTRATA_REASON_BAD_FRAME;
			return n;
		}
		if (n == max) {
			*reason = KSTRATA_REASON_DEPTH;
			return n;
		}
		out[n++] = rec.ret;
		sp = fp + sizeof(rec);
		fp = rec.next;
	}
}
