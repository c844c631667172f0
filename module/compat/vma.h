/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * linux/mm.h: vma->vm_flags was assigned directly until 6.3, which made it
 * const and added vm_flags_set(), vm_flags_mod() and the like.
 *
 * 6.1 keeps a process's mappings in a maple tree. Before, they are in a
 * red-black tree, and find_vma() notes what it finds in a cache of the task's,
 * which the code that we interrupt may be about to read or write: walk the tree
 * ourselves.
 *
 * 6.4 gave each mapping a lock for readers of its own, so that a page fault need not
 * wait for who holds mmap_lock; lock_vma_under_rcu() is exported from 7.2 on only, but
 * until 6.15 gave them another form, all that it does can be done from outside. Since
 * 6.5, who changes the maple tree puts new nodes in their place before the old ones
 * are marked as dead.
 */
#ifndef _KST_COMPAT_VMA_H
#define _KST_COMPAT_VMA_H

#include <linux/mm.h>
#include <linux/rbtree.h>
#include <linux/sched.h>
#include <linux/version.h>

static inline void kst_vm_flags_mod(struct vm_area_struct *vma,
				    unsigned long set, unsigned long clear)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 3, 0)
	vm_flags_mod(vma, set, clear);
#else
	vma->vm_flags = (vma->vm_flags | set) & ~clear;
#endif
}

/*
 * The mapping at addr, or NULL. With mm's mmap_lock held for reading, in any
 * context: takes no lock. Bound: the depth of the tree, which is logarithmic in
 * the number of mappings; nobody changes the tree meanwhile, or, for a stack
 * that grows under the read lock, replaces a node at a time, and never leaves
 * one behind that cannot be walked.
 */
static inline struct vm_area_struct *kst_vma_lookup(struct mm_struct *mm,
						    unsigned long addr)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 1, 0)
	return vma_lookup(mm, addr);
#else
	struct rb_node *node = mm->mm_rb.rb_node;

	while (node) {
		struct vm_area_struct *vma =
			rb_entry(node, struct vm_area_struct, vm_rb);

		if (addr < vma->vm_start)
			node = node->rb_left;
		else if (addr >= vma->vm_end)
			node = node->rb_right;
		else
			return vma;
	}
	return NULL;
#endif
}

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 12, 0) && !defined(CONFIG_PREEMPT_RT)
/*
 * Does current, which we interrupted, hold mm's mmap_lock for writing? Then it may be
 * about to change the tree, but nobody else is: kst_vma_lookup() does without the
 * lock, under RCU. No dead node can be come upon from the root, so it does not wait
 * for the writer that is below us; a mapping leaves the tree before its file is let
 * go. The one that is being changed may have its start and its offset from different
 * times: that is between two instructions of the writer's, and of a mapping that the
 * program asks to change, not of the code that asks.
 */
static inline bool kst_vma_ours(struct mm_struct *mm)
{
	return atomic_long_read(&mm->mmap_lock.owner) == (long)current &&
	       mt_in_rcu(&mm->mm_mt);
}
#else
static inline bool kst_vma_ours(struct mm_struct *mm)
{
	return false;
}
#endif

#if defined(CONFIG_PER_VMA_LOCK) && !defined(CONFIG_PREEMPT_RT) && \
	LINUX_VERSION_CODE >= KERNEL_VERSION(6, 12, 0) && \
	LINUX_VERSION_CODE < KERNEL_VERSION(6, 15, 0)
static inline bool kst_vma_can_lock(struct mm_struct *mm)
{
	return mt_in_rcu(&mm->mm_mt);
}

/*
 * The mapping at addr, to be unlocked, whoever changes others of mm; NULL: there is
 * none, or it is itself about to be changed. A trylock; bound: as often as the tree is
 * changed meanwhile by another CPU.
 */
static inline struct vm_area_struct *kst_vma_lock(struct mm_struct *mm,
						  unsigned long addr)
{
	MA_STATE(mas, &mm->mm_mt, addr, addr);
	struct vm_area_struct *vma;

	rcu_read_lock();
	vma = mas_walk(&mas);
	if (vma && !vma_start_read(vma))
		vma = NULL;
	rcu_read_unlock();
	if (vma && (vma->detached || addr < vma->vm_start || addr >= vma->vm_end)) {
		vma_end_read(vma);
		vma = NULL;
	}
	return vma;
}

static inline void kst_vma_unlock(struct vm_area_struct *vma)
{
	vma_end_read(vma);
}
#else
static inline bool kst_vma_can_lock(struct mm_struct *mm)
{
	return false;
}

static inline struct vm_area_struct *kst_vma_lock(struct mm_struct *mm,
						  unsigned long addr)
{
	return NULL;
}

static inline void kst_vma_unlock(struct vm_area_struct *vma)
{
}
#endif

#endif /* _KST_COMPAT_VMA_H */
