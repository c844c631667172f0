/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A profiler without its user space: the kernel's half is started, takes samples
 * into a ring that nobody drains, and is asked afterwards what it took. So the
 * time that a load loses is what the kernel's half cost.
 */
#ifndef BENCH_PROBE_H
#define BENCH_PROBE_H

#include <stdint.h>

enum probe_kind {
	PROBE_NONE,
	PROBE_KSTRATA,	/* frames as addresses */
	PROBE_OBJECTS,	/* kstrata with frames as objects */
	PROBE_ROWS,	/* the same with the load's unwind rows */
	PROBE_PERF,	/* what perf record -e cpu-clock -a -g sets up */
	PROBE_DWARF,	/* the same with --call-graph dwarf */
};

struct probe_result {
	uint64_t samples;	/* in the ring */
	uint64_t lost;		/* as the producer counts them */
	uint64_t told;		/* lost, as records in the ring say */
	uint64_t weight;	/* ns: of the samples in the ring */
	uint64_t told_weight;	/* ns: of the lost ones, as records say */
	uint64_t off_weight;	/* ns: idle or filtered */
	uint64_t on_ns;		/* kstrata's own measure of start to stop; else 0 */
	uint64_t kernel_frames;	/* of all samples */
	uint64_t user_frames;
	uint64_t handler_ns;	/* kstrata's own measure; else 0 */
	uint64_t raw;		/* user frames that are no object's */
	uint64_t rows_frames;	/* user frames that rows have found */
	uint64_t bytes;		/* of all samples, as they are in the ring */
};

/*
 * All exit with a message when the kernel refuses. With PROBE_ROWS sampling is on
 * from here on: only what is met can be given rows.
 */
void probe_open(enum probe_kind kind, uint32_t hz, uint32_t ring_bytes);
void probe_start(void);
void probe_stop(void);
/* What was taken from start to stop. */
void probe_result(struct probe_result *out);

#endif
