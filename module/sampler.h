/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The timers: one per CPU and session, pinned, in hard interrupt context. All of
 * a kst_cpu that the handler touches is touched on its CPU with interrupts off;
 * s->filters is replaced under RCU.
 */
#ifndef _KST_SAMPLER_H
#define _KST_SAMPLER_H

struct kst_cpu;
struct kst_session;

/* Module load and unload: the hotplug state. May sleep. */
int kst_sampler_init(void);
void kst_sampler_exit(void);

/* Once per kst_cpu, before its first start. */
void kst_sampler_init_cpu(struct kst_cpu *c);

/*
 * Start on all CPUs that are online, and on those that come; stop everywhere.
 * Both may sleep; after stop no handler runs and none will.
 */
int kst_sampler_start(struct kst_session *s);
void kst_sampler_stop(struct kst_session *s);
/*
 * The running session's period or mask was changed (under cpus_read_lock(),
 * which the caller holds still): have every online CPU follow.
 */
void kst_sampler_follow(struct kst_session *s);

#endif /* _KST_SAMPLER_H */
