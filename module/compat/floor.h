/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * linux/version.h: the oldest kernel. copy_from_user_nofault(), mmap_read_trylock()
 * and CAP_PERFMON are as we use them from 5.8 on; 5.10 is the oldest that is
 * tested. dkms.conf says the same to DKMS.
 */
#ifndef _KST_COMPAT_FLOOR_H
#define _KST_COMPAT_FLOOR_H

#include <linux/version.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(5, 10, 0)
#error "kstrata needs Linux 5.10 or newer"
#endif

#endif /* _KST_COMPAT_FLOOR_H */
