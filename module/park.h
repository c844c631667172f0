/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Parking: a session's timer of a CPU stands still while the CPU is idle, see
 * kstrata/busy.h. A CPU is busy in a task, and in a soft interrupt that came in
 * the idle task.
 */
#ifndef _KST_PARK_H
#define _KST_PARK_H

#include <linux/types.h>

struct kst_cpu;
struct kst_session;

/* Probes on the scheduler and soft interrupts. May sleep; after stop none runs. */
int kst_park_start(struct kst_session *s);
void kst_park_stop(struct kst_session *s);

/*
 * On c's CPU, interrupts off: begin with c's timer left ns of busy time ahead of
 * its first expiry, running or parked as the CPU is now; end.
 */
void kst_park_init(struct kst_cpu *c, u64 now, u64 left);
void kst_park_exit(struct kst_cpu *c, u64 now);
/* Likewise: the timer is to expire after c->busy.left from now. */
void kst_park_run(struct kst_cpu *c, u64 now);

/* Hardirq: is what was interrupted idleness? */
bool kst_park_interrupted_idle(void);
/* From c's handler, which must not restart the timer: it is idle after all. */
void kst_park_late(struct kst_cpu *c, u64 now);

#endif /* _KST_PARK_H */
