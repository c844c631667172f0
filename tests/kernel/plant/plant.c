// SPDX-License-Identifier: GPL-2.0-only
/*
 * Bugs on demand: a checker that is silent about its bug is no checker. Write
 * a bug's name to /sys/kernel/debug/kst-plant; what must be said about each is in
 * tests/kernel/plants. Never for a machine that anybody needs.
 */
#include <linux/debugfs.h>
#include <linux/fs.h>
#include <linux/kthread.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/timer.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>

/* The compiler must neither see through a bug nor warn of it. */
static noinline void *hidden(void *p)
{
	OPTIMIZER_HIDE_VAR(p);
	return p;
}

static void slab_out_of_bounds(void)
{
	char *p = kmalloc(100, GFP_KERNEL);

	if (p)
		((char *)hidden(p))[104] = 1;
	kfree(p);
}

static void vmalloc_out_of_bounds(void)
{
	char *p = vmalloc(PAGE_SIZE - 64);

	if (p)
		((char *)hidden(p))[PAGE_SIZE - 60] = 1;
	vfree(p);
}

static void use_after_free(void)
{
	char *p = kmalloc(100, GFP_KERNEL), *q = hidden(p);

	kfree(p);
	if (q)
		q[8] = 1;
}

static void double_free(void)
{
	char *p = kmalloc(100, GFP_KERNEL), *q = hidden(p);

	kfree(p);
	kfree(q);
}

static void leak(void)
{
	/* Nothing points to it: kmemleak's last reference is overwritten. */
	char *p = kmalloc(333, GFP_KERNEL);

	hidden(p);
}

static DEFINE_SPINLOCK(lock_a);
static DEFINE_SPINLOCK(lock_b);

static void lock_inversion(void)
{
	spin_lock(&lock_a);
	spin_lock(&lock_b);
	spin_unlock(&lock_b);
	spin_unlock(&lock_a);
	spin_lock(&lock_b);
	spin_lock(&lock_a);
	spin_unlock(&lock_a);
	spin_unlock(&lock_b);
}

static void sleep_in_atomic(void)
{
	static DEFINE_MUTEX(mutex);

	preempt_disable();
	mutex_lock(&mutex);
	mutex_unlock(&mutex);
	preempt_enable();
}

static void rcu_misuse(void)
{
	static int value;
	static int __rcu *pointer = RCU_INITIALIZER(&value);

	WRITE_ONCE(value, *rcu_dereference(pointer) + 1);
}

static void nothing(struct timer_list *timer)
{
}

static void active_timer_freed(void)
{
	struct timer_list *timer = kzalloc(sizeof(*timer), GFP_KERNEL);

	if (!timer)
		return;
	timer_setup(timer, nothing, 0);
	mod_timer(timer, jiffies + 1000 * HZ);
	kfree(timer);
}

static void list_corruption(void)
{
	LIST_HEAD(head);
	struct list_head one, two;

	list_add(&one, &head);
	list_add(&two, &head);
	*(struct list_head **)hidden(&one.prev) = &head;
	list_del(&one);
}

static void shift_out_of_bounds(void)
{
	int by = 40, *p = hidden(&by);

	WRITE_ONCE(*p, 1 << *p);
}

static void index_out_of_bounds(void)
{
	static int array[4];
	int at = 4, *p = hidden(&at);

	WRITE_ONCE(*p, array[*p]);
}

static unsigned long raced;

static int race(void *arg)
{
	unsigned long until = jiffies + HZ;

	while (time_before(jiffies, until)) {
		raced++;
		cond_resched();
	}
	return 0;
}

static void racing(void)
{
	struct task_struct *other = kthread_create(race, NULL, "kst-plant");

	if (IS_ERR(other))
		return;
	get_task_struct(other);
	wake_up_process(other);
	race(NULL);
	kthread_stop(other);
	put_task_struct(other);
}

static void warning(void)
{
	WARN(1, "planted\n");
}

static const struct {
	const char *name;
	void (*plant)(void);
} bugs[] = {
	{ "slab-out-of-bounds", slab_out_of_bounds },
	{ "vmalloc-out-of-bounds", vmalloc_out_of_bounds },
	{ "use-after-free", use_after_free },
	{ "double-free", double_free },
	{ "leak", leak },
	{ "lock-inversion", lock_inversion },
	{ "sleep-in-atomic", sleep_in_atomic },
	{ "rcu-misuse", rcu_misuse },
	{ "active-timer-freed", active_timer_freed },
	{ "list-corruption", list_corruption },
	{ "shift-out-of-bounds", shift_out_of_bounds },
	{ "index-out-of-bounds", index_out_of_bounds },
	{ "data-race", racing },
	{ "warning", warning },
};

static ssize_t plant_write(struct file *file, const char __user *user,
			   size_t len, loff_t *pos)
{
	char name[32] = "";
	int i;

	if (len >= sizeof(name))
		return -EINVAL;
	if (copy_from_user(name, user, len))
		return -EFAULT;
	for (i = 0; i < ARRAY_SIZE(bugs); i++) {
		if (!strcmp(strim(name), bugs[i].name)) {
			bugs[i].plant();
			return len;
		}
	}
	return -ENOENT;
}

static const struct file_operations plant_fops = {
	.owner = THIS_MODULE,
	.open = simple_open,
	.write = plant_write,
};

static struct dentry *file;

static int __init plant_init(void)
{
	file = debugfs_create_file("kst-plant", 0200, NULL, NULL, &plant_fops);
	return PTR_ERR_OR_ZERO(file);
}

static void __exit plant_exit(void)
{
	debugfs_remove(file);
}

module_init(plant_init);
module_exit(plant_exit);

MODULE_DESCRIPTION("Bugs on demand");
MODULE_AUTHOR("The kstrata authors");
MODULE_LICENSE("GPL");
