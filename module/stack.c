// SPDX-License-Identifier: GPL-2.0-only
#include "stack.h"

#include <linux/kernel.h>
#include <linux/nospec.h>
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

/* A walk of such records, between two of them. */
struct walk {
	unsigned long fp;
	unsigned long sp;	/* what lies below has been left behind */
	u64 *out;
	u16 n;
	u16 max;
};

/* compat is known when these are compiled: each walk has its own. */
static __always_inline unsigned long record_bytes(bool compat)
{
	return compat ? sizeof(struct kst_frame_record32) :
			sizeof(struct kst_frame_record);
}

/* Can there be a record at w->fp? Else: why the walk ends. */
static __always_inline u8 walk_check(const struct walk *w, bool compat)
{
	if (!w->fp)
		return KSTRATA_REASON_COMPLETE;
	/* Strictly outwards: this ends, whatever the stack holds. */
	if (w->fp % (record_bytes(compat) / 2) || w->fp < w->sp)
		return KSTRATA_REASON_BAD_FRAME;
	return KSTRATA_REASON_NONE;
}

/* One step: what stands in the record at w->fp. Else: why the walk ends. */
static __always_inline u8 walk_take(struct walk *w, unsigned long next,
				    unsigned long ret, bool compat)
{
	ret = kst_user_return(ret);
	if (!ret)
		return KSTRATA_REASON_COMPLETE;
	if (ret & KSTRATA_FRAME_KIND)
		return KSTRATA_REASON_BAD_FRAME;
	if (w->n == w->max)
		return KSTRATA_REASON_DEPTH;
	w->out[w->n++] = ret;
	w->sp = w->fp + record_bytes(compat);
	w->fp = next;
	return KSTRATA_REASON_NONE;
}

/*
 * The first record, with all the checks of the kernel's own helper: in
 * particular, that current's page tables are the ones in use.
 */
static __always_inline u8 walk_first(struct walk *w, bool compat)
{
	/*
	 * On our own stack: copying straight into the ring would have hardened
	 * usercopy look the vmalloc area up, under a lock.
	 */
	union {
		struct kst_frame_record native;
		struct kst_frame_record32 compat;
	} rec;
	u8 reason = walk_check(w, compat);

	if (reason)
		return reason;
	if (copy_from_user_nofault(&rec, (void __user *)w->fp,
				   record_bytes(compat)))
		return KSTRATA_REASON_FAULT;
	return compat ? walk_take(w, rec.compat.next, rec.compat.ret, compat) :
			walk_take(w, rec.native.next, rec.native.ret, compat);
}

/*
 * The others, at a quarter of the price. What walk_first() had checked still
 * holds, since interrupts are off. Page faults are off, as there: what is not
 * resident is an error at once. Where each copy has an instruction that stops
 * speculation, here the address is cut to user space: it comes from user memory
 * itself. Nothing may be called while user memory is open. Bound: max frames,
 * and fp only ever moves outwards.
 */
static __always_inline u8 walk_rest(struct walk *walk, bool compat)
{
	struct walk w = *walk;
	/* No record begins here or beyond. */
	unsigned long end = TASK_SIZE_MAX - record_bytes(compat) + 1;
	u8 reason;

	/* array_index_nospec() of 5.10 cannot have a constant that large. */
	OPTIMIZER_HIDE_VAR(end);
	pagefault_disable();
	/* Where the first record was: this opens, it does not ask. */
	if (!user_read_access_begin((void __user *)(w.sp - record_bytes(compat)),
				    record_bytes(compat))) {
		pagefault_enable();
		return KSTRATA_REASON_FAULT;
	}
	for (;;) {
		unsigned long next, ret, at;

		reason = walk_check(&w, compat);
		if (reason)
			break;
		if (w.fp >= end)
			goto fault;
		at = array_index_nospec(w.fp, end);
		if (compat) {
			struct kst_frame_record32 __user *rec = (void __user *)at;
			u32 next32, ret32;

			unsafe_get_user(next32, &rec->next, fault);
			unsafe_get_user(ret32, &rec->ret, fault);
			next = next32;
			ret = ret32;
		} else {
			struct kst_frame_record __user *rec = (void __user *)at;

			unsafe_get_user(next, &rec->next, fault);
			unsafe_get_user(ret, &rec->ret, fault);
		}
		reason = walk_take(&w, next, ret, compat);
		if (reason)
			break;
	}
	goto out;

fault:
	reason = KSTRATA_REASON_FAULT;
out:
	user_read_access_end();
	pagefault_enable();
	walk->n = w.n;
	return reason;
}

static __always_inline u8 walk_all(struct walk *w, bool compat)
{
	u8 reason = walk_first(w, compat);

	return reason == KSTRATA_REASON_NONE ? walk_rest(w, compat) : reason;
}

u16 kst_stack_user(struct pt_regs *regs, u64 *out, u16 max, u8 *reason)
{
	unsigned long ip = instruction_pointer(regs);
	struct walk w = {
		.fp = kst_regs_frame_pointer(regs),
		.sp = user_stack_pointer(regs),
		.out = out,
		.max = max,
	};

	/*
	 * The high bits tell the kinds of frames. Nothing runs there, but a
	 * system call can be on its way there: sigreturn() and ptrace() set any
	 * address.
	 */
	if (ip & KSTRATA_FRAME_KIND) {
		*reason = KSTRATA_REASON_BAD_FRAME;
		return 0;
	}
	out[w.n++] = ip;
	if (!kst_regs_compat(regs))
		*reason = walk_all(&w, false);
	else if (IS_ENABLED(CONFIG_X86_64))
		*reason = walk_all(&w, true);
	else
		*reason = KSTRATA_REASON_UNSUPPORTED;
	return w.n;
}
