/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * linux/list_sort.h: the callback's list heads are const since 5.13, and in 5.10's
 * later stable releases, but not in its first: the declaration itself tells.
 */
#ifndef _KST_COMPAT_LIST_H
#define _KST_COMPAT_LIST_H

#include <linux/compiler.h>
#include <linux/list.h>
#include <linux/list_sort.h>

typedef int kst_list_plain(void *priv, struct list_head *a, struct list_head *b);

/* Makes kst_list_sort() with this callback, of const list heads, possible. */
#define KST_LIST_CMP(cmp) \
static int __maybe_unused cmp##_plain(void *priv, struct list_head *a, \
				      struct list_head *b) \
{ \
	return cmp(priv, a, b); \
}

#define kst_list_sort(head, cmp) \
	list_sort(NULL, head, __builtin_choose_expr(__same_type(&list_sort, \
			void (*)(void *, struct list_head *, kst_list_plain *)), \
		cmp##_plain, cmp))

#endif /* _KST_COMPAT_LIST_H */
