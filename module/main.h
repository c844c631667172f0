/* SPDX-License-Identifier: GPL-2.0-only */
/* What the whole module has one of. */
#ifndef _KST_MAIN_H
#define _KST_MAIN_H

#include <linux/cpuhotplug.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/types.h>

#include "compat/floor.h"
#include "probes.h"

#define KST_RELEASE "0.1.0"

struct workqueue_struct;

struct kst {
	struct mutex lock;		/* sessions; taken before a session's */
	struct list_head sessions;	/* open files */
	unsigned int nr_sessions;
	u32 last_id;			/* of a session */
	enum cpuhp_state cpuhp;		/* of sampler.c */
	enum cpuhp_state cpuhp_events;	/* of events.c */
	struct kst_probes probes;
	struct workqueue_struct *objects; /* of objects.c */
};

extern struct kst kst;

#endif /* _KST_MAIN_H */
