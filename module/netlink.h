/* SPDX-License-Identifier: GPL-2.0-only */
/* The generic netlink family: uapi/kstrata.h, section 5. */
#ifndef _KST_NETLINK_H
#define _KST_NETLINK_H

#include <linux/types.h>

struct sk_buff;

/* Module load and unload. Both may sleep; after exit no request is at work. */
int kst_netlink_init(void);
void kst_netlink_exit(void);

/* Does anybody listen to events? If not, there is no need to make any. */
bool kst_netlink_heard(void);

/*
 * An event of the session's that tells of one of its CPUs. May sleep. NULL: no
 * memory; else it ends in kst_netlink_send(). The attributes in between are small
 * and few, there is room for them.
 */
struct sk_buff *kst_netlink_event(u8 cmd, u32 session, u32 cpu, void **header);
void kst_netlink_send(struct sk_buff *skb, void *header);

#endif /* _KST_NETLINK_H */
