/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tracepoints of the kernel, found by name since they are not exported, and a
 * session's probes on them. Registration takes void pointers: who adds a probe
 * has the compiler check its type with check_trace_callback_type_*().
 */
#ifndef _KST_PROBES_H
#define _KST_PROBES_H

struct kst_session;

enum kst_tracepoint {
	KST_TP_EXEC,
	KST_TP_EXIT,
	KST_TP_FORK,
	KST_TP_RENAME,
	KST_TP_SWITCH,
	KST_TP_SOFTIRQ_ENTRY,
	KST_TP_SOFTIRQ_EXIT,
	KST_TP_NR,
};

struct kst_probe {
	enum kst_tracepoint tp;
	void *fn;		/* its first argument is the session */
};

/* Module load: find them. -ENOENT: this kernel lacks one. */
int kst_probes_init(void);

/*
 * Register nr probes for s, all or none; unregister them. May sleep. After
 * remove no probe runs.
 */
int kst_probes_add(struct kst_session *s, const struct kst_probe *probes, int nr);
void kst_probes_remove(struct kst_session *s, const struct kst_probe *probes,
		       int nr);

#endif /* _KST_PROBES_H */
