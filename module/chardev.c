// SPDX-License-Identifier: GPL-2.0-only
#include "chardev.h"

#include <linux/capability.h>
#include <linux/compat.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/security.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "main.h"
#include "objects.h"
#include "session.h"

static int kst_open(struct inode *inode, struct file *file)
{
	struct kst_session *s;

	if (!perfmon_capable())
		return -EPERM;
	s = kst_session_new();
	if (IS_ERR(s))
		return PTR_ERR(s);
	file->private_data = s;
	return nonseekable_open(inode, file);
}

static int kst_release(struct inode *inode, struct file *file)
{
	kst_session_free(file->private_data);
	return 0;
}

/*
 * Size-first structs, see "ioctls" in uapi/kstrata.h. known is the module's
 * size, least that of the first version.
 */
static long copy_in(void *arg, size_t known, size_t least, void __user *user,
		    u32 *size)
{
	if (get_user(*size, (u32 __user *)user))
		return -EFAULT;
	if (*size < least)
		return -EINVAL;
	/* Bounds how much of a longer struct is checked for zeroes. */
	if (*size > PAGE_SIZE)
		return -E2BIG;
	return copy_struct_from_user(arg, known, user, *size);
}

static long copy_out(void *arg, size_t known, void __user *user, u32 size)
{
	return copy_to_user(user, arg, min_t(size_t, known, size)) ? -EFAULT : 0;
}

static long ioctl_version(void __user *user)
{
	struct kstrata_version v;
	u32 size;
	long r;

	r = copy_in(&v, sizeof(v), sizeof(v), user, &size);
	if (r)
		return r;
	v = (struct kstrata_version){
		.size = size,
		.abi_major = KSTRATA_ABI_MAJOR,
		.abi_minor = KSTRATA_ABI_MINOR,
		.release = KST_RELEASE,
	};
	return copy_out(&v, sizeof(v), user, size);
}

/* By the opener's credentials: a passed descriptor keeps its rights. */
static bool may_see_kernel(struct file *file)
{
	return file_ns_capable(file, &init_user_ns, CAP_SYSLOG) &&
	       !security_locked_down(LOCKDOWN_PERF);
}

static long ioctl_setup(struct file *file, void __user *user)
{
	struct kstrata_setup u;
	u32 size;
	long r;

	r = copy_in(&u, sizeof(u), KSTRATA_SETUP_SIZE_0, user, &size);
	if (r)
		return r;
	r = kst_session_setup(file->private_data, &u, may_see_kernel(file));
	if (r)
		return r;
	return copy_out(&u, sizeof(u), user, size);
}

static long ioctl_configure(struct kst_session *s, void __user *user)
{
	struct kst_config config;
	struct kstrata_configure u;
	void *cpus = NULL, *filters = NULL;
	u32 size;
	long r;

	r = copy_in(&u, sizeof(u), sizeof(u), user, &size);
	if (r)
		return r;
	if (u.what & KSTRATA_CONFIGURE_CPUS) {
		if (u.cpus_bytes > KSTRATA_CPUS_BYTES_MAX)
			return -E2BIG;
		if (!u.cpus_bytes || u.cpus_bytes % sizeof(u64))
			return -EINVAL;
		cpus = memdup_user(u64_to_user_ptr(u.cpus), u.cpus_bytes);
		if (IS_ERR(cpus))
			return PTR_ERR(cpus);
	}
	if (u.what & KSTRATA_CONFIGURE_FILTERS && u.nr_filters) {
		r = -E2BIG;
		if (u.nr_filters > KSTRATA_FILTERS_MAX)
			goto out;
		filters = memdup_user(u64_to_user_ptr(u.filters),
				      u.nr_filters *
					      sizeof(struct kstrata_filter));
		r = PTR_ERR_OR_ZERO(filters);
		if (r) {
			filters = NULL;
			goto out;
		}
	}
	config = (struct kst_config){
		.what = u.what,
		.sample_hz = u.sample_hz,
		.budget = u.budget,
		.nr_cpu_words = u.cpus_bytes / sizeof(u64),
		.cpus = cpus,
		.nr_filters = u.nr_filters,
		.filters = filters,
	};
	r = kst_session_configure(s, &config);
out:
	kfree(filters);
	kfree(cpus);
	return r;
}

/* The end of path that fits in the caller's room; room is set to what it takes. */
static long copy_path(const char *path, u64 user, u32 *room)
{
	u32 bytes = strlen(path) + 1, fits = min(bytes, *room);

	*room = bytes;
	if (!user)
		return 0;
	return copy_to_user(u64_to_user_ptr(user), path + bytes - fits, fits) ?
		       -EFAULT : 0;
}

static long get_path(const struct file *held, struct kstrata_object_get *u)
{
	char *buf;
	bool cut;
	long r;

	if (!held) {
		u->path_bytes = 0;
		return 0;
	}
	buf = kmalloc(PATH_MAX, GFP_KERNEL);
	if (!buf)
		return -ENOMEM;
	r = copy_path(kst_objects_path(held, buf, PATH_MAX, &cut), u->path,
		      &u->path_bytes);
	kfree(buf);
	return r;
}

/* Open what is held by the opener's credentials. *opened: not installed yet. */
static long get_fd(struct file *file, struct file *held,
		   struct kstrata_object_get *u, struct file **opened)
{
	struct file *f;
	int fd;

	if (u->flags & KSTRATA_OBJECT_GET_NO_FD)
		return 0;
	if (!held)
		return -ENODATA;
	f = kst_objects_open(held, file->f_cred);
	if (IS_ERR(f))
		return PTR_ERR(f);
	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0) {
		fput(f);
		return fd;
	}
	u->fd = fd;
	*opened = f;
	return 0;
}

static long ioctl_object(struct file *file, void __user *user)
{
	struct file *held, *opened = NULL;
	struct kst_objects *objects;
	struct kstrata_object_get u;
	u32 size;
	long r, fault;

	r = copy_in(&u, sizeof(u), sizeof(u), user, &size);
	if (r)
		return r;
	if (u.flags & ~KSTRATA_OBJECT_GET_NO_FD || u.reserved ||
	    !kst_session_objects(file->private_data, &objects))
		return -EINVAL;
	u.fd = -1;
	r = kst_objects_get(objects, &u, &held);
	if (r)
		return r;
	fault = get_path(held, &u);
	if (!fault)
		r = get_fd(file, held, &u, &opened);
	if (held)
		fput(held);
	/* Nothing is installed before all is copied: no fault leaks it. */
	if (!fault)
		fault = copy_out(&u, sizeof(u), user, size);
	if (!opened)
		return fault ?: r;
	if (fault) {
		put_unused_fd(u.fd);
		fput(opened);
		return fault;
	}
	fd_install(u.fd, opened);
	kst_objects_opened(objects, u.id);
	return 0;
}

static long ioctl_rows(struct kst_session *s, void __user *user)
{
	struct kst_objects *objects;
	struct kstrata_rows u;
	u32 size;
	long r;

	r = copy_in(&u, sizeof(u), sizeof(u), user, &size);
	if (r)
		return r;
	if (u.flags & ~KSTRATA_ROWS_NONE || !kst_session_objects(s, &objects))
		return -EINVAL;
	r = kst_objects_rows(objects, &u);
	return r ?: copy_out(&u, sizeof(u), user, size);
}

static long ioctl_switch(struct kst_session *s, void __user *user,
			 int (*verb)(struct kst_session *s))
{
	struct kstrata_switch u;
	u32 size;
	long r;

	r = copy_in(&u, sizeof(u), sizeof(u), user, &size);
	if (r)
		return r;
	if (u.flags)
		return -EINVAL;
	return verb(s);
}

static long kst_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	void __user *user = (void __user *)arg;

	switch (cmd) {
	case KSTRATA_IOC_VERSION:
		return ioctl_version(user);
	case KSTRATA_IOC_SETUP:
		return ioctl_setup(file, user);
	case KSTRATA_IOC_CONFIGURE:
		return ioctl_configure(file->private_data, user);
	case KSTRATA_IOC_OBJECT:
		return ioctl_object(file, user);
	case KSTRATA_IOC_ROWS:
		return ioctl_rows(file->private_data, user);
	case KSTRATA_IOC_START:
		return ioctl_switch(file->private_data, user,
				    kst_session_start);
	case KSTRATA_IOC_STOP:
		return ioctl_switch(file->private_data, user,
				    kst_session_stop);
	}
	return -ENOTTY;
}

static int kst_mmap(struct file *file, struct vm_area_struct *vma)
{
	return kst_session_mmap(file->private_data, vma);
}

static __poll_t kst_poll(struct file *file, poll_table *wait)
{
	return kst_session_poll(file->private_data, file, wait);
}

static const struct file_operations kst_fops = {
	.owner = THIS_MODULE,
	.open = kst_open,
	.release = kst_release,
	.unlocked_ioctl = kst_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.mmap = kst_mmap,
	.poll = kst_poll,
};

static struct miscdevice kst_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "kstrata",
	.mode = 0600,
	.fops = &kst_fops,
};

int kst_chardev_init(void)
{
	return misc_register(&kst_device);
}

void kst_chardev_exit(void)
{
	misc_deregister(&kst_device);
}
