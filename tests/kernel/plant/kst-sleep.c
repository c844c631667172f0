// SPDX-License-Identifier: GPL-2.0-only
/*
 * A platform that sleeps: suspend to memory goes all the way, tasks frozen, all
 * CPUs but one off, time stopped, and then wakes up by itself. Cheaper than ACPI,
 * a wake-up timer and a bus for both, and the same to a module.
 */
#include <linux/delay.h>
#include <linux/module.h>
#include <linux/suspend.h>

static int sleep_enter(suspend_state_t state)
{
	mdelay(500);
	return 0;
}

static const struct platform_suspend_ops sleep_ops = {
	.valid = suspend_valid_only_mem,
	.enter = sleep_enter,
};

static int __init sleep_init(void)
{
	suspend_set_ops(&sleep_ops);
	return 0;
}

static void __exit sleep_exit(void)
{
	suspend_set_ops(NULL);
}

module_init(sleep_init);
module_exit(sleep_exit);

MODULE_DESCRIPTION("Pretended suspend to memory");
MODULE_AUTHOR("The kstrata authors");
MODULE_LICENSE("GPL");
