// SPDX-License-Identifier: GPL-2.0-only
#include "lookup.h"

#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/mmap_lock.h>
#include <linux/sched.h>

#include "compat/path.h"
#include "compat/vdso.h"
#include "compat/vma.h"
#include "objects.h"
#include "objtable.h"

static void take_rows(struct kst_span *span, struct kst_rows_met met)
{
	span->rows = met.rows;
	span->pending = met.pending;
}

/* The frame word of a file mapping's start, and its rows. */
static u64 file_base(struct kst_lookup *l, const struct vm_area_struct *vma,
		     struct kst_span *span)
{
	struct inode *inode = d_inode(kst_file_path(vma->vm_file)->dentry);
	u64 offset = (u64)vma->vm_pgoff << PAGE_SHIFT;
	struct kst_rows_met met;
	struct kst_objkey key;
	u32 id;

	/* The end counts as well: a call may be the last instruction. */
	if (vma->vm_pgoff >> (KSTRATA_FRAME_OFFSET_BITS - PAGE_SHIFT) ||
	    (offset + span->bytes) >> KSTRATA_FRAME_OFFSET_BITS)
		return span->start;
	/* A device's memory, say. */
	if (!inode || !S_ISREG(inode->i_mode))
		return KSTRATA_FRAME_ANON | span->start;
	key = (struct kst_objkey){
		.inode = (unsigned long)inode,
		.ino = inode->i_ino,
		.generation = inode->i_generation,
		.dev = inode->i_sb->s_dev,
	};
	id = kst_objtable_meet(kst_objects_table(l->o), &key, vma->vm_file,
			       l->now, &met, &l->work);
	if (!id) {
		span->full = true;
		return span->start;
	}
	take_rows(span, met);
	return KSTRATA_FRAME_OBJECT |
	       (u64)id << KSTRATA_FRAME_OFFSET_BITS | offset;
}

static u64 vdso_base(struct kst_lookup *l, struct kst_span *span)
{
	u64 id = kst_vdso_is_32bit() ? KSTRATA_OBJECT_VDSO32 : KSTRATA_OBJECT_VDSO;

	take_rows(span, kst_objects_vdso(l->o, id));
	return KSTRATA_FRAME_OBJECT | id << KSTRATA_FRAME_OFFSET_BITS;
}

static struct vm_area_struct *get_vma(struct kst_lookup *l, u64 at)
{
	return l->by == KST_LOOKUP_BY_VMA ? kst_vma_lock(l->mm, at) :
					    kst_vma_lookup(l->mm, at);
}

static void put_vma(struct kst_lookup *l, struct vm_area_struct *vma)
{
	if (l->by == KST_LOOKUP_BY_VMA && vma)
		kst_vma_unlock(vma);
}

/* False: there is no mapping at this address. */
static bool look_up_in(struct kst_lookup *l, const struct vm_area_struct *vma, u64 at,
		       struct kst_span *span)
{
	unsigned long vdso;

	/* A stack that grows, under the read lock, is in the tree too early. */
	if (!vma || at - vma->vm_start >= vma->vm_end - vma->vm_start)
		return false;
	*span = (struct kst_span){
		.start = vma->vm_start,
		.bytes = vma->vm_end - vma->vm_start,
	};
	vdso = kst_vdso_of(l->mm);
	if (!(vma->vm_flags & VM_EXEC))
		span->base = KSTRATA_FRAME_NOWHERE | span->start;
	else if (vma->vm_file)
		span->base = file_base(l, vma, span);
	else if (vdso && vdso == vma->vm_start)
		span->base = vdso_base(l, span);
	else
		span->base = KSTRATA_FRAME_ANON | span->start;
	return true;
}

static bool look_up(struct kst_lookup *l, u64 at, struct kst_span *span)
{
	struct vm_area_struct *vma = get_vma(l, at);
	bool found = look_up_in(l, vma, at, span);

	put_vma(l, vma);
	if (found || l->by != KST_LOOKUP_BY_VMA)
		return found;
	/* Not there, or locked: this address alone stays as it is. */
	*span = (struct kst_span){ .start = at, .bytes = 1, .base = at };
	return true;
}

const struct kst_span *kst_lookup_miss(struct kst_lookup *l, u64 at)
{
	struct kst_span *span = &l->spans[l->next];

	if (!look_up(l, at, span))
		return NULL;
	l->next = (l->next + 1) % KST_SPANS;
	return span;
}

bool kst_lookup_mapped(struct kst_lookup *l, u64 at)
{
	struct vm_area_struct *vma = get_vma(l, at);
	bool mapped = vma && at - vma->vm_start < vma->vm_end - vma->vm_start;

	put_vma(l, vma);
	return mapped;
}

/*
 * Taking mmap_lock in a hard interrupt. The trylock is one compare-and-exchange
 * on the count and fails when there is a writer, or one that waits. Unlocking may
 * have to wake such a writer: that takes the lock's wait_lock, then a task's
 * pi_lock and a runqueue's lock. All of these are only ever held with interrupts
 * off, and this interrupt came while they were on: this CPU holds none of them,
 * and another that does will let go. (Code that is called under a runqueue's
 * lock, as a probe of sched_switch is, may not do this.) On PREEMPT_RT mmap_lock
 * is a sleeping lock with an owner, which an interrupt cannot be.
 *
 * current cannot change its mm, nor end, while we are on top of it; whoever takes
 * mappings from this mm waits for the lock. So every mapping found is good until
 * the unlock, and so is the file that it holds. That is for as long as a walk of at
 * most KSTRATA_USER_DEPTH_MAX frames takes.
 *
 * With a writer, there are two ways besides, on kernels that have them: where current
 * itself is the writer, as it mostly is, nobody changes anything while we are on top
 * of it. Where another thread is, each mapping's own lock will do, taken and let go as
 * mmap_lock is. Spans keep nothing of a mapping that could go.
 *
 * Rows need no lock either, see rows.h: those found are good until this handler
 * returns.
 */
u8 kst_lookup_begin(struct kst_lookup *l, struct kst_objects *o,
		    struct kstrata_ring_producer *p, u64 now)
{
	lockdep_assert_irqs_disabled();
	if (!o)
		return KSTRATA_LOOKUP_NONE;
	if (IS_ENABLED(CONFIG_PREEMPT_RT))
		return KSTRATA_LOOKUP_UNSUPPORTED;
	*l = (struct kst_lookup){
		.o = o,
		.mm = current->mm,
		.now = now,
	};
	if (mmap_read_trylock(l->mm)) {
		l->by = KST_LOOKUP_BY_MM;
	} else if (kst_vma_ours(l->mm)) {
		l->by = KST_LOOKUP_BY_CURRENT;
	} else if (kst_vma_can_lock(l->mm)) {
		l->by = KST_LOOKUP_BY_VMA;
	} else {
		WRITE_ONCE(p->raw_busy, p->raw_busy + 1);
		return KSTRATA_LOOKUP_BUSY;
	}
	return KSTRATA_LOOKUP_DONE;
}

void kst_lookup_end(struct kst_lookup *l)
{
	if (l->by == KST_LOOKUP_BY_MM)
		mmap_read_unlock(l->mm);
	/* Queueing work wakes a worker: not from here. */
	if (l->work)
		kst_objects_kick(l->o);
}
