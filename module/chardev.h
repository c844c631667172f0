/* SPDX-License-Identifier: GPL-2.0-only */
/* /dev/kstrata: who may, and the ioctls' calling convention. */
#ifndef _KST_CHARDEV_H
#define _KST_CHARDEV_H

int kst_chardev_init(void);
void kst_chardev_exit(void);

#endif /* _KST_CHARDEV_H */
