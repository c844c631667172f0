// SPDX-License-Identifier: GPL-2.0-only
/* kstrata: samples what every CPU of the host does. Interface: uapi/kstrata.h */

#include <linux/module.h>

#include "chardev.h"
#include "events.h"
#include "main.h"
#include "netlink.h"
#include "objects.h"
#include "probes.h"
#include "sampler.h"

struct kst kst = {
	.lock = __MUTEX_INITIALIZER(kst.lock),
	.sessions = LIST_HEAD_INIT(kst.sessions),
};

static int __init kst_init(void)
{
	int r;

	r = kst_probes_init();
	if (r)
		return r;
	r = kst_objects_init();
	if (r)
		return r;
	r = kst_sampler_init();
	if (r)
		goto err_objects;
	r = kst_events_init();
	if (r)
		goto err_sampler;
	r = kst_netlink_init();
	if (r)
		goto err_events;
	/* Last: what has been opened must not find that the module fails. */
	r = kst_chardev_init();
	if (r)
		goto err_netlink;
	return 0;

err_netlink:
	kst_netlink_exit();
err_events:
	kst_events_exit();
err_sampler:
	kst_sampler_exit();
err_objects:
	kst_objects_exit();
	return r;
}

/*
 * Every session holds a reference to the module (its file's owner), so none
 * is left here: no timer runs, and no probe finds anything to do.
 */
static void __exit kst_exit(void)
{
	kst_netlink_exit();
	kst_chardev_exit();
	kst_events_exit();
	kst_sampler_exit();
	kst_probes_exit();
	kst_objects_exit();
}

module_init(kst_init);
module_exit(kst_exit);

MODULE_DESCRIPTION("Always-on sampling of kernel and user stacks");
MODULE_AUTHOR("The kstrata authors");
MODULE_LICENSE("GPL");
MODULE_VERSION(KST_RELEASE);
