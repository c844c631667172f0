/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * list_sort()'s callback. Its list heads are const since 5.13 (commit 4f0f586bf0c8);
 * before it was handed plain ones, and a callback of the other type does not fit.
 */
#ifndef _KST_COMPAT_LIST_H
#define _KST_COMPAT_LIST_H

#include <linux/list.h>
#include <linux/list_sort.h>
#include <linux/version.h>

#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 13, 0)
typedef const struct list_head kst_list_item;
#else
typedef struct list_head kst_list_item;
#endif

#endif /* _KST_COMPAT_LIST_H */
