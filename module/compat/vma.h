/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * linux/mm.h: vma->vm_flags was assigned directly until 6.3, which made it
 * const and added vm_flags_set(), vm_flags_mod() and the like.
 *
 * 6.1 keeps a process's mappings in a maple tree. Before, they are in a
 * red-black tree, and find_vma() notes what it finds in a cache of the task's,
 * which the code that we interrupt may be about to read or write: walk the tree
 * ourselves.
 */
#ifndef _KST_COMPAT_VMA_H
#define _KST_COMPAT_VMA_H

#include <linux/mm.h>
#include <linux/rbtree.h>
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

#endif /* _KST_COMPAT_VMA_H */
