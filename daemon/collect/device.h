/* SPDX-License-Identifier: Apache-2.0 */
/* A session of /dev/kstrata: set up, all rings mapped, started. */
#ifndef KSTRATA_COLLECT_DEVICE_H
#define KSTRATA_COLLECT_DEVICE_H

#include "collect/ring.h"

struct device;

struct device_options {
	const char *path;
	uint32_t hz;
	uint32_t ring_bytes; /* 0: as the rate needs */
	uint32_t objects; /* 0: the module's default */
	uint32_t rows_kb; /* for the rows of all; 0: the module's default */
};

/* Whom and where to sample. Zero where it says nothing, so that it compares. */
struct device_scope {
	bool some_cpus; /* false: all */
	uint64_t cpus[KSTRATA_CPUS_BYTES_MAX / 8]; /* bit n % 64 of word n / 64 */
	size_t nr_filters; /* 0: everybody */
	struct kstrata_filter filters[KSTRATA_FILTERS_MAX];
};

/*
 * Opens and sets up; sampling starts with device_start(). A module of minor 0
 * has neither objects nor a scope. Failures are logged with what the user can
 * do about them; -errno.
 */
int device_open(struct device **out, const struct device_options *options);
/* Stops and closes; unread records are gone. */
void device_close(struct device *d);
/*
 * Another rate and scope, sampling or not, all of it or (-errno, logged)
 * nothing. -EOPNOTSUPP: this module cannot.
 */
int device_configure(struct device *d, uint32_t hz,
		     const struct device_scope *scope);
int device_start(struct device *d);
/* After this, a last device_drain() gets all there will ever be. */
int device_stop(struct device *d);

/*
 * KSTRATA_IOC_OBJECT; size is filled in here. -errno, -ENOENT where there are
 * no objects at all.
 */
int device_object(struct device *d, struct kstrata_object_get *get);
/*
 * KSTRATA_IOC_ROWS; size is filled in here. -errno, -EOPNOTSUPP where this module or
 * its kernel has no use for rows.
 */
int device_rows(struct device *d, struct kstrata_rows *rows);
/* How many objects the module knows at once; 0: frames are addresses. */
uint32_t device_objects(const struct device *d);

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
	uint64_t samples, lost, lost_weight, idle, missed, handler_ns;
	uint64_t idle_weight; /* to this moment */
	uint64_t filtered, filtered_weight, raw_busy, raw_full;
	uint64_t on_weight; /* ns that sampling was on, to this moment */
	uint64_t frames_rows, frames_fp;
	bool kernel_addresses; /* the module shows them to us */
	char release[32]; /* of the module */
};

void device_get_stats(const struct device *d, struct device_stats *out);

#endif
