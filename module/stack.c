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
struct kst_frame_record {
	unsigned long next;
	unsigned long ret;
};

/* The same of 32-bit x86. Arm's 32-bit ABI has none. */
struct kst_frame_record32 {
	u32 next;
	u32 ret;
};

/*
 * Read the record at fp, on our own stack: copying straight into the ring would
 * have hardened usercopy look the vmalloc area up, under a lock. Does not fault
 * in, and nothing else faults: what is not there is an error.
 */
static bool read_record(struct kst_frame_record *rec, unsigned long fp, bool compat)
{
	struct kst_frame_record32 rec32;

	if (!compat)
		return !copy_from_user_nofault(rec, (void __user *)fp,
					       sizeof(*rec));
	if (copy_from_user_nofault(&rec32, (void __user *)fp, sizeof(rec32)))
		return false;
	rec->next = rec32.next;
	rec->ret = rec32.ret;
	return true;
}

u16 kst_stack_user(struct pt_regs *regs, u64 *out, u16 max, u8 *reason)
{
	unsigned long sp = user_stack_pointer(regs);
	unsigned long fp = kst_regs_frame_pointer(regs);
	unsigned long ip = instruction_pointer(regs);
	bool compat = kst_regs_compat(regs);
	unsigned long word = compat ? sizeof(u32) : sizeof(u64);
	u16 n = 0;

	/*
	 * The high bits tell the kinds of frames. Nothing runs there, but a
	 * system call can be on its way there: sigreturn() and ptrace() set any
	 * address.
	 */
	if (ip & KSTRATA_FRAME_KIND) {
		*reason = KSTRATA_REASON_BAD_FRAME;
		return 0;
	}
	out[n++] = ip;
	if (compat && !IS_ENABLED(CONFIG_X86_64)) {
		*reason = KSTRATA_REASON_UNSUPPORTED;
		return n;
	}
	/* Bound: max frames, and fp only ever moves outwards. */
	for (;;) {
		struct kst_frame_record rec;

		if (!fp) {
			*reason = KSTRATA_REASON_COMPLETE;
			return n;
		}
		/* Strictly outwards: this ends, whatever the stack holds. */
		if (fp % word || fp < sp) {
			*reason = KSTRATA_REASON_BAD_FRAME;
			return n;
		}
		if (!read_record(&rec, fp, compat)) {
			*reason = KSTRATA_REASON_FAULT;
			return n;
		}
		rec.ret = kst_user_return(rec.ret);
		if (!rec.ret) {
			*reason = KSTRATA_REASON_COMPLETE;
			return n;
		}
		if (rec.ret & KSTRATA_FRAME_KIND) {
			*reason = KSTRATA_REASON_BAD_FRAME;
			return n;
		}
		if (n == max) {
			*reason = KSTRATA_REASON_DEPTH;
			return n;
		}
		out[n++] = rec.ret;
		sp = fp + 2 * word;
		fp = rec.next;
	}
}
