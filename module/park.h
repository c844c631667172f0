/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Parking: a session's timer of a CPU stands still while the CPU is idle, see
 * kstrata/busy.h. A CPU is busy in a task, and in a soft interrupt that came in
 * the idle task.
 */
#ifndef _KST_PARK_H
#define _KST_PARK_H

#include <linux/types.h>

#include "compat/tracepoints.h"

struct kst_cpu;

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

/* For probes.c: the scheduler switches, soft interrupts begin and end. */
void kst_park_probe_switch(void *data, KST_PROTO_SWITCH);
void kst_park_probe_softirq_entry(void *data, unsigned int vec_nr);
void kst_park_probe_softirq_exit(void *data, unsigned int vec_nr);

#endif /* _KST_PARK_H */
