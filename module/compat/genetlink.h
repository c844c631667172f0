/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * net/genetlink.h and linux/netlink.h.
 *
 * What came with a dump's request: the attributes stood in genl_dumpit_info()
 * itself until 6.6 put a struct genl_info there, see genl_info_dump().
 *
 * Who hears a multicast: netlink_broadcast_filtered(), which has us look at each
 * listener, went in 5.17 and came back in 6.6. In between, joining can be refused,
 * if only to those without CAP_SYS_ADMIN: GENL_MCAST_CAP_SYS_ADMIN came in 6.7 and
 * from there in the stable series (6.1.68). A family's bind() (6.9) cannot refuse.
 * With neither, nothing is sent.
 *
 * resv_start_op came in 6.1. Left at zero, which no older kernel minds, it has the
 * reserved part of the header checked for all commands.
 */
#ifndef _KST_COMPAT_GENETLINK_H
#define _KST_COMPAT_GENETLINK_H

#include <linux/version.h>
#include <net/genetlink.h>
#include <net/net_namespace.h>

static inline struct nlattr **kst_genl_dump_attrs(struct netlink_callback *cb)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 6, 0)
	return genl_info_dump(cb)->attrs;
#else
	return genl_dumpit_info(cb)->attrs;
#endif
}

#if LINUX_VERSION_CODE < KERNEL_VERSION(5, 17, 0) || \
	LINUX_VERSION_CODE >= KERNEL_VERSION(6, 6, 0)
#define KST_GENL_FILTER 1
#define KST_GENL_JOIN
#elif defined(GENL_MCAST_CAP_SYS_ADMIN)
#define KST_GENL_JOIN .flags = GENL_MCAST_CAP_SYS_ADMIN,
#else
#define KST_GENL_SILENT 1
#define KST_GENL_JOIN
#endif

/* Does anybody in the initial network namespace listen to this group? */
static inline bool kst_genl_heard(const struct genl_family *family,
				  unsigned int group)
{
#ifdef KST_GENL_SILENT
	return false;
#else
	return genl_has_listeners(family, &init_net, group) > 0;
#endif
}

/*
 * May sleep. Consumes skb. deaf says, where it can be asked, which sockets must
 * not hear it; elsewhere KST_GENL_JOIN has kept them out.
 */
static inline void kst_genl_multicast(const struct genl_family *family,
				      struct sk_buff *skb, unsigned int group,
				      int (*deaf)(struct sock *sk,
						  struct sk_buff *skb,
						  void *data))
{
#if defined(KST_GENL_FILTER)
	group += family->mcgrp_offset;
	NETLINK_CB(skb).dst_group = group;
	netlink_broadcast_filtered(init_net.genl_sock, skb, 0, group,
				   GFP_KERNEL, deaf, NULL);
#elif defined(KST_GENL_SILENT)
	nlmsg_free(skb);
#else
	genlmsg_multicast(family, skb, 0, group, GFP_KERNEL);
#endif
}

#endif /* _KST_COMPAT_GENETLINK_H */
