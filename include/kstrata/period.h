/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * How long until the next sample. A fixed period would always meet, or always
 * miss, a workload that keeps the same time; so each period is drawn evenly
 * from [T/2, 3T/2), whose mean is T.
 */
#ifndef _KSTRATA_PERIOD_H
#define _KSTRATA_PERIOD_H

#include <linux/types.h>

/* xorshift64*: the state must not be zero, and never becomes it. */
static inline __u32 kst_random(__u64 *state)
{
	__u64 x = *state;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	*state = x;
	return (x * 0x2545f4914f6cdd1dULL) >> 32;
}

/* mean in ns, below 2^32 (1 Hz is 10^9). */
static inline __u64 kst_period_draw(__u64 *state, __u64 mean)
{
	return mean / 2 + (mean * kst_random(state) >> 32);
}

#endif /* _KSTRATA_PERIOD_H */
