/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What netlink messages hold: uapi/kstrata.h, section 5. Each verb adds attributes
 * to a message that is being made; -EMSGSIZE: they do not all fit, some may be
 * there.
 */
#ifndef _KST_NETMSG_H
#define _KST_NETMSG_H

#include <linux/types.h>

struct kst_cpu;
struct kst_session;
struct sk_buff;

/* Unpadded: readers copy 64-bit numbers. */
int kst_netmsg_put_u64(struct sk_buff *skb, int attr, u64 value);

/* The module. Takes kst.lock. */
int kst_netmsg_put_status(struct sk_buff *skb);

/*
 * Under kst.lock; takes the session's. At most, with KSTRATA_FILTERS_MAX filters and
 * a mask of KSTRATA_CPUS_BYTES_MAX, some 2,200 bytes: GENLMSG_DEFAULT_SIZE and the
 * smallest buffer of a dump have room for it.
 */
int kst_netmsg_put_session(struct sk_buff *skb, struct kst_session *s);

/* Under the session's lock. */
int kst_netmsg_put_cpu(struct sk_buff *skb, const struct kst_session *s,
		       const struct kst_cpu *c);

#endif /* _KST_NETMSG_H */
