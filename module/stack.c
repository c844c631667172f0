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

/* What 32-bit x86 has at the frame pointer. Arm's 32-bit ABI has nothing there. */
struct kst_frame_record32 {
	u32 next;
	u32 ret;
};

/* A walk of such records, between two of them. */
struct walk32 {
	unsigned long fp;
	unsigned long sp;	/* what lies below has been left behind */
	u64 *out;
	u16 n;
	u16 max;
};

/* Can there be a record at w->fp? Else: why the walk ends. */
static __always_inline u8 walk_check(const struct walk32 *w)
{
	if (!w->fp)
		return KSTRATA_REASON_COMPLETE;
	/* Strictly outwards: this ends, whatever the stack holds. */
	if (w->fp % sizeof(u32) || w->fp < w->sp)
		return KSTRATA_REASON_BAD_FRAME;
	return KSTRATA_REASON_NONE;
}

/* One step: what stands in the record at w->fp. Else: why the walk ends. */
static __always_inline u8 walk_take(struct walk32 *w,
				    const struct kst_frame_record32 *rec)
{
	if (!rec->ret)
		return KSTRATA_REASON_COMPLETE;
	if (w->n == w->max)
		return KSTRATA_REASON_DEPTH;
	w->out[w->n++] = rec->ret;
	w->sp = w->fp + sizeof(*rec);
	w->fp = rec->next;
	return KSTRATA_REASON_NONE;
}

/* Bound: max frames, and fp only ever moves outwards. Nothing faults. */
static u8 walk_all(struct walk32 *w)
{
	/*
	 * On our own stack: copying straight into the ring would have hardened
	 * usercopy look the vmalloc area up, under a lock.
	 */
	struct kst_frame_record32 rec;
	u8 reason;

	for (;;) {
		reason = walk_check(w);
		if (reason)
			return reason;
		if (copy_from_user_nofault(&rec, (void __user *)w->fp,
					   sizeof(rec)))
			return KSTRATA_REASON_FAULT;
		reason = walk_take(w, &rec);
		if (reason)
			return reason;
	}
}

u16 kst_stack_user32(struct pt_regs *regs, u64 *out, u16 max, u8 *reason)
{
	struct walk32 w = {
		.fp = kst_regs_frame_pointer(regs),
		.sp = user_stack_pointer(regs),
		.out = out,
		.max = max,
	};

	out[w.n++] = instruction_pointer(regs);
	if (IS_ENABLED(CONFIG_X86_64))
		*reason = walk_all(&w);
	else
		*reason = KSTRATA_REASON_UNSUPPORTED;
	return w.n;
}
