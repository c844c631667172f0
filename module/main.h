/* SPDX-License-Identifier: GPL-2.0-only */
/* What the whole module has one of. */
#ifndef _KST_MAIN_H
#define _KST_MAIN_H

#include <linux/atomic.h>
#include <linux/cpuhotplug.h>

#define KST_RELEASE "0.1.0"

struct tracepoint;

enum kst_tracepoint {
	KST_TP_EXEC,
	KST_TP_EXIT,
	KST_TP_RENAME,
	KST_TP_NR,
};

struct kst {
	atomic_t sessions;		/* open files, for the limit */
	enum cpuhp_state cpuhp;		/* of sampler.c */
	struct tracepoint *tp[KST_TP_NR]; /* of tasks.c */
};

extern struct kst kst;

#endif /* _KST_MAIN_H */
