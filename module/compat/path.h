/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * linux/fs.h: a file system on top of others maps files of theirs. Such a file's
 * f_path was the user's until 6.8, which has the real path there and the user's
 * in file_user_path(). path_permission() came in 5.12, when inode_permission()
 * began to want to know the mount.
 */
#ifndef _KST_COMPAT_PATH_H
#define _KST_COMPAT_PATH_H

#include <linux/dcache.h>
#include <linux/fs.h>
#include <linux/path.h>
#include <linux/version.h>

/* The path by which user space knows an open file; it lives as long. */
static inline const struct path *kst_file_path(const struct file *file)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 8, 0)
	return file_user_path((struct file *)file);
#else
	return &file->f_path;
#endif
}

/* May sleep: 0 or an error, by current's credentials. */
static inline int kst_path_permission(const struct path *path, int mask)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 12, 0)
	return path_permission(path, mask);
#else
	return inode_permission(d_inode(path->dentry), mask);
#endif
}

#endif /* _KST_COMPAT_PATH_H */
