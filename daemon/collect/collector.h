/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From records to profiles: drains the device, gives every frame its name,
 * folds the stack into the store's call tree and adds its weight.
 */
#ifndef KSTRATA_COLLECT_COLLECTOR_H
#define KSTRATA_COLLECT_COLLECTOR_H

#include "collect/device.h"
#include "collect/objects.h"
#include "collect/rowfeed.h"
#include "profile/cut.h"
#include "store/store.h"
#include "symbol/symbolizer.h"

struct collector;

/*
 * device, symbolizer and store stay the caller's and must outlive it. device
 * may be NULL where records come by collector_take() alone, and no object can
 * be opened.
 */
int collector_new(struct collector **out, struct device *device,
		  struct symbolizer *symbolizer, struct store *store);
void collector_free(struct collector *c);
/*
 * From now on, give the module unwind rows of the objects that it meets. Of the
 * options, load, userdata and objects are filled in here.
 */
int collector_feed_rows(struct collector *c,
			const struct rowfeed_options *options);

/* Take all that the rings hold now. */
void collector_drain(struct collector *c);
/* Take one record, wherever it comes from; its size was checked. */
void collector_take(struct collector *c, const struct kstrata_record *rec);
/* The kernel's names changed (symbolizer_reload_kernel()): look again. */
void collector_forget_kernel(struct collector *c);

/* Where user frames led. */
enum collector_frame {
	COLLECTOR_FRAME_OBJECT,
	COLLECTOR_FRAME_VDSO,
	COLLECTOR_FRAME_ANON, /* executable memory that is no file's */
	COLLECTOR_FRAME_NOWHERE, /* no executable memory */
	COLLECTOR_FRAME_RAW, /* looked up in /proc */
	COLLECTOR_FRAMES,
};

struct collector_stats {
	uint64_t samples, weight; /* folded into the store; ns */
	uint64_t lost, lost_weight; /* told by LOST records */
	uint64_t tasks; /* known now */
	uint64_t forks, execs, exits, throttles;
	uint64_t unknown_records, damaged;
	uint64_t frames, unknown_frames;
	uint64_t user_frames[COLLECTOR_FRAMES];
	uint64_t lookups[4]; /* samples with user frames by enum kstrata_lookup */
	struct objects_stats objects;
	bool feeds; /* collector_feed_rows(); else rows is zero */
	struct rowfeed_stats rows;
	uint64_t failed; /* samples not stored: memory, series limit */
	uint64_t reasons[9]; /* user stacks by enum kstrata_reason */
	uint64_t cut_samples[CUTS], cut_weight[CUTS]; /* of samples, weight */
	uint64_t period; /* ns, slowest CPU's as of the last THROTTLE; 0: none */
};

void collector_get_stats(const struct collector *c,
			 struct collector_stats *out);

#endif
