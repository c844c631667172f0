/* SPDX-License-Identifier: Apache-2.0 */
/* A session of /dev/kstrata: set up, all rings mapped, started. */
#ifndef KSTRATA_COLLECT_DEVICE_H
#define KSTRATA_COLLECT_DEVICE_H

#include "collect/ring.h"

struct device;

struct device_options {
	const char *path;
	uint32_t hz;
	uint32_t ring_bytes;
};

/*
 * Opens and sets up; sampling starts with device_start(). Failures are logged
 * with what the user can do about them; -errno.
 */
int device_open(struct device **out, const struct device_options *options);
/* Stops and closes; unread records are gone. */
void device_close(struct device *d);
int device_start(struct device *d);
/* After this, a last device_drain() gets all there will ever be. */
int device_stop(struct device *d);

/* Readable (EPOLLIN) when a ring passed its watermark. */
int device_fd(const struct device *d);

/*
 * Drain all rings. Returns the records handed to fn; *damaged counts rings
 * whose content made no sense.
 */
uint64_t device_drain(struct device *d, ring_fn fn, void *userdata,
		      uint64_t *damaged);

struct device_stats {
	uint32_t cpus; /* rings */
	uint64_t ring_bytes; /* of all */
	uint64_t unread_bytes;
	/* sums over the CPUs, as in struct kstrata_ring_producer */
	uint64_t samples, lost, lost_weight, idle, idle_weight, missed,
		handler_ns;
	bool kernel_addresses; /* the module shows them to us */
	char release[32]; /* of the module */
};

void device_get_stats(const struct device *d, struct device_stats *out);

#endif
