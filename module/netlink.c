// SPDX-License-Identifier: GPL-2.0-only
#include "netlink.h"

#include <linux/capability.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <net/sock.h>

#include "compat/genetlink.h"
#include "main.h"
#include "netmsg.h"
#include "session.h"

enum {
	GROUP_EVENTS,
};

static struct genl_family family;

/*
 * Before anything else, in the sender's context: both the sender and whoever
 * opened the socket, so that no privileged program can be made to ask for others.
 */
static int check_rights(struct sk_buff *skb, struct netlink_ext_ack *extack)
{
	if (netlink_capable(skb, CAP_PERFMON) ||
	    netlink_capable(skb, CAP_SYS_ADMIN))
		return 0;
	NL_SET_ERR_MSG(extack, "CAP_PERFMON is needed");
	return -EPERM;
}

/* Under kst.lock. The session that a request names. */
static struct kst_session *session_of(struct nlattr **attrs,
				      struct netlink_ext_ack *extack)
{
	struct nlattr *id = attrs ? attrs[KSTRATA_ATTR_SESSION] : NULL;
	struct kst_session *s;

	if (!id) {
		NL_SET_ERR_MSG(extack, "SESSION is missing");
		return ERR_PTR(-EINVAL);
	}
	s = kst_session_find(nla_get_u32(id));
	if (s)
		return s;
	NL_SET_ERR_MSG_ATTR(extack, id, "SESSION: there is none of this number");
	return ERR_PTR(-ENOENT);
}

/* ---- STATUS_GET --------------------------------------------------------- */

static int status_get(struct sk_buff *skb, struct genl_info *info)
{
	struct sk_buff *reply;
	void *header;
	int r;

	r = check_rights(skb, info->extack);
	if (r)
		return r;
	reply = genlmsg_new(GENLMSG_DEFAULT_SIZE, GFP_KERNEL);
	if (!reply)
		return -ENOMEM;
	header = genlmsg_put_reply(reply, info, &family, 0,
				   KSTRATA_CMD_STATUS_GET);
	r = header ? kst_netmsg_put_status(reply) : -EMSGSIZE;
	if (r) {
		nlmsg_free(reply);
		return r;
	}
	genlmsg_end(reply, header);
	return genlmsg_reply(reply, info);
}

/* ---- SESSION_GET -------------------------------------------------------- */

static int session_get(struct sk_buff *skb, struct genl_info *info)
{
	struct kst_session *s;
	struct sk_buff *reply;
	void *header;
	int r;

	r = check_rights(skb, info->extack);
	if (r)
		return r;
	reply = genlmsg_new(GENLMSG_DEFAULT_SIZE, GFP_KERNEL);
	if (!reply)
		return -ENOMEM;
	header = genlmsg_put_reply(reply, info, &family, 0,
				   KSTRATA_CMD_SESSION_GET);
	mutex_lock(&kst.lock);
	s = session_of(info->attrs, info->extack);
	if (IS_ERR(s))
		r = PTR_ERR(s);
	else
		r = header ? kst_netmsg_put_session(reply, s) : -EMSGSIZE;
	mutex_unlock(&kst.lock);
	if (r) {
		nlmsg_free(reply);
		return r;
	}
	genlmsg_end(reply, header);
	return genlmsg_reply(reply, info);
}

static int session_dump_start(struct netlink_callback *cb)
{
	struct nlattr **attrs = kst_genl_dump_attrs(cb);
	int r = check_rights(cb->skb, cb->extack);

	if (r)
		return r;
	if (attrs && attrs[KSTRATA_ATTR_SESSION]) {
		NL_SET_ERR_MSG_ATTR(cb->extack, attrs[KSTRATA_ATTR_SESSION],
				    "SESSION: a dump tells of all sessions");
		return -EINVAL;
	}
	return 0;
}

/* cb->args[0]: how many of the list have been told of. */
static int session_dump(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct kst_session *s;
	long at = 0;
	int r = 0;

	mutex_lock(&kst.lock);
	/* An entry changes the one, a leave the other: no two lists are the same. */
	BUILD_BUG_ON(KSTRATA_SESSIONS_MAX > 15);
	cb->seq = kst.last_id << 4 | kst.nr_sessions;
	list_for_each_entry(s, &kst.sessions, list) {
		void *header;

		if (at++ < cb->args[0])
			continue;
		r = -EMSGSIZE;
		header = genlmsg_put(skb, NETLINK_CB(cb->skb).portid,
				     cb->nlh->nlmsg_seq, &family, NLM_F_MULTI,
				     KSTRATA_CMD_SESSION_GET);
		if (!header)
			break;
		genl_dump_check_consistent(cb, header);
		r = kst_netmsg_put_session(skb, s);
		if (r) {
			genlmsg_cancel(skb, header);
			break;
		}
		genlmsg_end(skb, header);
		cb->args[0]++;
	}
	mutex_unlock(&kst.lock);
	/* A message that does not fit begins the next buffer. */
	return skb->len ? skb->len : r;
}

/* ---- CPU_GET ------------------------------------------------------------ */

/* cb->args: next CPU, session. */
static int cpu_dump_start(struct netlink_callback *cb)
{
	int r = check_rights(cb->skb, cb->extack);
	struct kst_session *s;

	if (r)
		return r;
	mutex_lock(&kst.lock);
	s = session_of(kst_genl_dump_attrs(cb), cb->extack);
	if (IS_ERR(s))
		r = PTR_ERR(s);
	else
		cb->args[1] = s->id;
	mutex_unlock(&kst.lock);
	return r;
}

static int cpu_dump_one(struct sk_buff *skb, struct netlink_callback *cb,
			const struct kst_session *s, const struct kst_cpu *c)
{
	void *header = genlmsg_put(skb, NETLINK_CB(cb->skb).portid,
				   cb->nlh->nlmsg_seq, &family, NLM_F_MULTI,
				   KSTRATA_CMD_CPU_GET);
	int r;

	if (!header)
		return -EMSGSIZE;
	r = kst_netmsg_put_cpu(skb, s, c);
	if (r)
		genlmsg_cancel(skb, header);
	else
		genlmsg_end(skb, header);
	return r;
}

static int cpu_dump(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct kst_session *s;
	int r = 0;

	mutex_lock(&kst.lock);
	s = kst_session_find(cb->args[1]);
	if (!s) {
		/* It ended while we told of it, and the end of the dump says so. */
		mutex_unlock(&kst.lock);
		return -ENOENT;
	}
	mutex_lock(&s->lock);
	for (; s->cpus && cb->args[0] < nr_cpu_ids; cb->args[0]++) {
		const struct kst_cpu *c = s->cpus[cb->args[0]];

		r = c ? cpu_dump_one(skb, cb, s, c) : 0;
		if (r)
			break;
	}
	mutex_unlock(&s->lock);
	mutex_unlock(&kst.lock);
	return skb->len ? skb->len : r;
}

/* ---- SESSION_SET -------------------------------------------------------- */

static int take_cpus(struct kst_config *config, const struct nlattr *attr,
		     struct netlink_ext_ack *extack)
{
	int len = nla_len(attr);
	void *words;

	if (!len || len % sizeof(u64)) {
		NL_SET_ERR_MSG_ATTR(extack, attr,
				    "CPUS: not a mask of 64-bit words");
		return -EINVAL;
	}
	/* Copied, for it may not be aligned. */
	words = kmemdup(nla_data(attr), len, GFP_KERNEL);
	if (!words)
		return -ENOMEM;
	config->what |= KSTRATA_CONFIGURE_CPUS;
	config->cpus = words;
	config->nr_cpu_words = len / sizeof(u64);
	return 0;
}

/* The policy has checked types and lengths. */
static int take_filters(struct kst_config *config, const struct nlattr *nest,
			struct netlink_ext_ack *extack)
{
	struct kstrata_filter *filters;
	struct nlattr *attr;
	u32 nr = 0;
	int left;

	nla_for_each_nested(attr, nest, left)
		nr++;
	if (nr > KSTRATA_FILTERS_MAX) {
		NL_SET_ERR_MSG_ATTR(extack, nest, "FILTERS: too many");
		return -E2BIG;
	}
	config->what |= KSTRATA_CONFIGURE_FILTERS;
	if (!nr)
		return 0;
	filters = kcalloc(nr, sizeof(*filters), GFP_KERNEL);
	if (!filters)
		return -ENOMEM;
	config->filters = filters;
	nla_for_each_nested(attr, nest, left) {
		filters->kind = nla_type(attr);
		filters->id = nla_get_u64(attr);
		filters++;
		config->nr_filters++;
	}
	return 0;
}

static int take_config(struct kst_config *config, struct nlattr **attrs,
		       struct netlink_ext_ack *extack)
{
	int r = 0;

	if (attrs[KSTRATA_ATTR_HZ]) {
		config->what |= KSTRATA_CONFIGURE_HZ;
		config->sample_hz = nla_get_u32(attrs[KSTRATA_ATTR_HZ]);
	}
	if (attrs[KSTRATA_ATTR_BUDGET]) {
		config->what |= KSTRATA_CONFIGURE_BUDGET;
		config->budget = nla_get_u32(attrs[KSTRATA_ATTR_BUDGET]);
	}
	if (attrs[KSTRATA_ATTR_CPUS])
		r = take_cpus(config, attrs[KSTRATA_ATTR_CPUS], extack);
	if (!r && attrs[KSTRATA_ATTR_FILTERS])
		r = take_filters(config, attrs[KSTRATA_ATTR_FILTERS], extack);
	if (!r && !config->what) {
		NL_SET_ERR_MSG(extack, "nothing to change");
		r = -EINVAL;
	}
	return r;
}

/* All else that can be wrong with a request has been found already. */
static void blame(struct nlattr **attrs, const struct kst_session *s,
		  struct netlink_ext_ack *extack)
{
	const struct nlattr *cpus = attrs[KSTRATA_ATTR_CPUS];
	const struct nlattr *filters = attrs[KSTRATA_ATTR_FILTERS];

	if (READ_ONCE(s->state) == KST_NEW)
		NL_SET_ERR_MSG_ATTR(extack, attrs[KSTRATA_ATTR_SESSION],
				    "SESSION: it has not been set up");
	else if (cpus && filters)
		NL_SET_ERR_MSG(extack, "CPUS or FILTERS make no sense");
	else if (cpus)
		NL_SET_ERR_MSG_ATTR(extack, cpus, "CPUS: there is no such CPU");
	else if (filters)
		NL_SET_ERR_MSG_ATTR(extack, filters,
				    "FILTERS: one makes no sense");
}

static int session_set(struct sk_buff *skb, struct genl_info *info)
{
	struct kst_config config = { 0 };
	struct kst_session *s;
	int r;

	r = check_rights(skb, info->extack);
	if (r)
		return r;
	r = take_config(&config, info->attrs, info->extack);
	if (r)
		goto out;
	mutex_lock(&kst.lock);
	s = session_of(info->attrs, info->extack);
	r = PTR_ERR_OR_ZERO(s);
	if (!r) {
		r = kst_session_configure(s, &config);
		if (r == -EINVAL)
			blame(info->attrs, s, info->extack);
	}
	mutex_unlock(&kst.lock);
out:
	kfree(config.filters);
	kfree(config.cpus);
	return r;
}

/* ---- events ------------------------------------------------------------- */

/* By the credentials of whoever opened the socket, as the device has it. */
static int deaf(struct sock *sk, struct sk_buff *skb, void *data)
{
	const struct file *file = sk->sk_socket ? sk->sk_socket->file : NULL;

	return !file || !(file_ns_capable(file, &init_user_ns, CAP_PERFMON) ||
			  file_ns_capable(file, &init_user_ns, CAP_SYS_ADMIN));
}

bool kst_netlink_heard(void)
{
	return kst_genl_heard(&family, GROUP_EVENTS);
}

struct sk_buff *kst_netlink_event(u8 cmd, u32 session, u32 cpu, void **header)
{
	struct sk_buff *skb = genlmsg_new(GENLMSG_DEFAULT_SIZE, GFP_KERNEL);

	if (!skb)
		return NULL;
	*header = genlmsg_put(skb, 0, 0, &family, 0, cmd);
	if (*header && !nla_put_u32(skb, KSTRATA_ATTR_SESSION, session) &&
	    !nla_put_u32(skb, KSTRATA_ATTR_CPU, cpu))
		return skb;
	nlmsg_free(skb);
	return NULL;
}

void kst_netlink_send(struct sk_buff *skb, void *header)
{
	genlmsg_end(skb, header);
	/* A listener that is too slow learns of it: ENOBUFS. */
	kst_genl_multicast(&family, skb, GROUP_EVENTS, deaf);
}

/* ---- the family --------------------------------------------------------- */

/* maxattr 0 would mean that attributes go unchecked. */
static const struct nla_policy none_policy[] = {
	[KSTRATA_ATTR_SESSION] = { .type = NLA_REJECT },
};

static const struct nla_policy session_policy[] = {
	[KSTRATA_ATTR_SESSION] = NLA_POLICY_MIN(NLA_U32, 1),
};

static const struct nla_policy filter_policy[] = {
	[KSTRATA_FILTER_PID] = { .type = NLA_U64 },
	[KSTRATA_FILTER_CGROUP] = { .type = NLA_U64 },
};

static const struct nla_policy set_policy[] = {
	[KSTRATA_ATTR_SESSION] = NLA_POLICY_MIN(NLA_U32, 1),
	[KSTRATA_ATTR_HZ] = NLA_POLICY_RANGE(NLA_U32, KSTRATA_HZ_MIN,
					     KSTRATA_HZ_MAX),
	[KSTRATA_ATTR_BUDGET] = NLA_POLICY_RANGE(NLA_U32, 1, 1000),
	[KSTRATA_ATTR_CPUS] = { .type = NLA_BINARY,
				.len = KSTRATA_CPUS_BYTES_MAX },
	[KSTRATA_ATTR_FILTERS] = NLA_POLICY_NESTED(filter_policy),
};

#define POLICY(p) .policy = (p), .maxattr = ARRAY_SIZE(p) - 1

/* validate is 0: strict. flags are 0: check_rights() asks for other rights. */
static const struct genl_ops ops[] = {
	{
		.cmd = KSTRATA_CMD_STATUS_GET,
		.doit = status_get,
		POLICY(none_policy),
	},
	{
		.cmd = KSTRATA_CMD_SESSION_GET,
		.doit = session_get,
		.start = session_dump_start,
		.dumpit = session_dump,
		POLICY(session_policy),
	},
	{
		.cmd = KSTRATA_CMD_SESSION_SET,
		.doit = session_set,
		POLICY(set_policy),
	},
	{
		.cmd = KSTRATA_CMD_CPU_GET,
		.start = cpu_dump_start,
		.dumpit = cpu_dump,
		POLICY(session_policy),
	},
};

static const struct genl_multicast_group groups[] = {
	[GROUP_EVENTS] = { .name = KSTRATA_GENL_EVENTS, KST_GENL_JOIN },
};

/* netnsok is false: for the initial network namespace only. */
static struct genl_family family __ro_after_init = {
	.name = KSTRATA_GENL_NAME,
	.version = KSTRATA_GENL_VERSION,
	.module = THIS_MODULE,
	/* kst.lock is enough, there is no need to keep other families waiting. */
	.parallel_ops = true,
	.ops = ops,
	.n_ops = ARRAY_SIZE(ops),
	.mcgrps = groups,
	.n_mcgrps = ARRAY_SIZE(groups),
};

int kst_netlink_init(void)
{
	return genl_register_family(&family);
}

void kst_netlink_exit(void)
{
	genl_unregister_family(&family);
}
