// SPDX-License-Identifier: Apache-2.0
#include "collect/report.h"

/* As enum kstrata_reason, kstrata_lookup, collector_frame, objects_failure. */
static const char *const reasons[] = { "none",	    "complete",
				       "depth",	    "fault",
				       "bad_frame", "unsupported",
				       "no_rows",   "bad_rule",
				       "not_resident" };
static const char *const lookups[] = { "none", "done", "busy", "unsupported" };
static const char *const frames[] = { "object", "vdso", "anon", "nowhere",
				      "raw" };
static const char *const failures[] = { "unknown", "released", "denied",
					"format", "other" };

_Static_assert(ARRAY_SIZE(reasons) ==
		       ARRAY_SIZE(((struct collector_stats *)0)->reasons),
	       "a name for each");
static const char *const row_failures[] = { "unavailable", "too_large",
					    "memory",	   "unreadable",
					    "timeout",	   "crashed",
					    "refused",	   "other" };

_Static_assert(ARRAY_SIZE(row_failures) == ROWFEED_FAILURES, "a name for each");
_Static_assert(ARRAY_SIZE(frames) == COLLECTOR_FRAMES, "a name for each");
_Static_assert(ARRAY_SIZE(failures) == OBJECTS_FAILURES, "a name for each");

static void put_u64(struct json *j, const char *key, uint64_t value)
{
	json_key(j, key);
	json_u64(j, value);
}

/* What becomes of unwind rows; null: nobody gives any. */
static void rows_status(const struct collector_stats *c,
			const struct device_stats *dev, struct json *j)
{
	const struct rowfeed_stats *s = &c->rows;

	json_key(j, "rows");
	if (!c->feeds) {
		json_null(j);
		return;
	}
	json_object(j);
	put_u64(j, "loaded", s->loaded);
	put_u64(j, "none", s->none);
	put_u64(j, "pending", s->pending);
	put_u64(j, "held_bytes", s->held_bytes);
	put_u64(j, "loads", s->loads);
	put_u64(j, "dropped", s->dropped);
	put_u64(j, "wanted", s->wanted);
	put_u64(j, "compiled", s->compiled);
	put_u64(j, "cached", s->cached);
	put_u64(j, "compile_ns", s->compile_ns);
	put_u64(j, "cache_bytes", s->cache.bytes);
	json_key(j, "failed");
	json_object(j);
	for (size_t i = 0; i < ROWFEED_FAILURES; i++)
		put_u64(j, row_failures[i], s->failed[i]);
	json_end_object(j);
	put_u64(j, "reader_starts", s->reader.started);
	put_u64(j, "reader_crashes", s->reader.crashed);
	json_key(j, "reader_filtered");
	json_bool(j, !s->reader.unfiltered);
	put_u64(j, "frames_by_rows", dev->frames_rows);
	put_u64(j, "frames_by_frame_pointer", dev->frames_fp);
	json_end_object(j);
}

void report_status(const struct collector *collector,
		   const struct device *device,
		   const struct symbolizer *symbolizer, uint32_t hz,
		   struct json *j)
{
	struct symbolizer_stats symbols;
	struct collector_stats c;
	struct device_stats dev;
	uint64_t failed = 0;

	device_get_stats(device, &dev);
	collector_get_stats(collector, &c);
	symbolizer_get_stats(symbolizer, &symbols);
	for (size_t i = 0; i < OBJECTS_FAILURES; i++)
		failed += c.objects.failed[i];
	json_object(j);
	json_key(j, "module");
	json_str(j, dev.release);
	json_key(j, "hz");
	json_u64(j, hz);
	json_key(j, "cpus");
	json_u64(j, dev.cpus);
	json_key(j, "kernel_addresses");
	json_bool(j, dev.kernel_addresses);
	json_key(j, "samples");
	json_u64(j, c.samples);
	json_key(j, "weight");
	json_u64(j, c.weight);
	json_key(j, "cut");
	cut_write(j, c.cut_weight);
	json_key(j, "lost");
	json_u64(j, dev.lost);
	json_key(j, "lost_weight");
	json_u64(j, dev.lost_weight);
	json_key(j, "idle_weight");
	json_u64(j, dev.idle_weight);
	json_key(j, "on_weight");
	json_u64(j, dev.on_weight);
	json_key(j, "filtered");
	json_u64(j, dev.filtered);
	json_key(j, "filtered_weight");
	json_u64(j, dev.filtered_weight);
	json_key(j, "missed");
	json_u64(j, dev.missed);
	json_key(j, "handler_ns");
	json_u64(j, dev.handler_ns);
	json_key(j, "throttled");
	json_bool(j, c.period != 0);
	json_key(j, "tasks");
	json_u64(j, c.tasks);
	json_key(j, "frames");
	json_u64(j, c.frames);
	json_key(j, "unknown_frames");
	json_u64(j, c.unknown_frames);
	json_key(j, "user_frames");
	json_object(j);
	for (size_t i = 0; i < ARRAY_SIZE(frames); i++) {
		json_key(j, frames[i]);
		json_u64(j, c.user_frames[i]);
	}
	json_end_object(j);
	json_key(j, "lookups");
	json_object(j);
	for (size_t i = 0; i < ARRAY_SIZE(lookups); i++) {
		json_key(j, lookups[i]);
		json_u64(j, c.lookups[i]);
	}
	json_end_object(j);
	json_key(j, "raw_full");
	json_u64(j, dev.raw_full);
	json_key(j, "objects");
	json_object(j);
	json_key(j, "known");
	json_u64(j, c.objects.known);
	json_key(j, "opened");
	json_u64(j, c.objects.opened);
	json_key(j, "failed");
	json_u64(j, failed);
	json_end_object(j);
	rows_status(&c, &dev, j);
	json_key(j, "failed");
	json_u64(j, c.failed);
	json_key(j, "ring_bytes");
	json_u64(j, dev.ring_bytes);
	json_key(j, "symbol_objects");
	json_u64(j, symbols.objects);
	json_key(j, "symbol_bytes");
	json_u64(j, symbols.memory);
	json_end_object(j);
}

static void metric(struct buf *out, const char *name, const char *kind,
		   const char *help, uint64_t value)
{
	buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n%s %llu\n", name, help,
		   name, kind, name, (unsigned long long)value);
}

static void metric_seconds(struct buf *out, const char *name, const char *help,
			   uint64_t ns)
{
	buf_printf(out, "# HELP %s %s\n# TYPE %s counter\n%s %.9f\n", name,
		   help, name, name, (double)ns / 1e9);
}

/* One metric, its values by what the label says. */
static void by_label(struct buf *out, const char *name, const char *label,
		     const char *help, const char *const *names,
		     const uint64_t *values, size_t nr)
{
	buf_printf(out, "# HELP %s %s\n# TYPE %s counter\n", name, help, name);
	for (size_t i = 0; i < nr; i++)
		buf_printf(out, "%s{%s=\"%s\"} %llu\n", name, label, names[i],
			   (unsigned long long)values[i]);
}

static void put_cuts(struct buf *out, const struct collector_stats *c)
{
	static const char samples[] = "kstrata_cut_samples_total";
	static const char seconds[] = "kstrata_cut_seconds_total";

	buf_printf(out,
		   "# HELP %s Samples whose stack is cut, by why.\n"
		   "# TYPE %s counter\n",
		   samples, samples);
	for (enum cut i = CUT_NOT + 1; i < CUTS; i++)
		buf_printf(out, "%s{reason=\"%s\"} %llu\n", samples, cut_key(i),
			   (unsigned long long)c->cut_samples[i]);
	buf_printf(out,
		   "# HELP %s CPU time that these stand for.\n"
		   "# TYPE %s counter\n",
		   seconds, seconds);
	for (enum cut i = CUT_NOT + 1; i < CUTS; i++)
		buf_printf(out, "%s{reason=\"%s\"} %.9f\n", seconds, cut_key(i),
			   (double)c->cut_weight[i] / 1e9);
}

static void put_objects(struct buf *out, const struct collector_stats *c)
{
	by_label(out, "kstrata_lookups_total", "result",
		 "Samples with user frames by how these were looked up.",
		 lookups, c->lookups, ARRAY_SIZE(lookups));
	by_label(out, "kstrata_user_frames_total", "kind",
		 "User frames by where they led.", frames, c->user_frames,
		 ARRAY_SIZE(frames));
	metric(out, "kstrata_objects", "gauge", "Files with code known.",
	       c->objects.known);
	metric(out, "kstrata_objects_opened_total", "counter",
	       "Such files opened for their symbols.", c->objects.opened);
	metric(out, "kstrata_objects_gone_total", "counter",
	       "Such files that the module has forgotten.", c->objects.gone);
	by_label(out, "kstrata_objects_failed_total", "reason",
		 "Such files whose symbols could not be had.", failures,
		 c->objects.failed, ARRAY_SIZE(failures));
	metric(out, "kstrata_forks_total", "counter", "Processes and threads made.",
	       c->forks);
	metric(out, "kstrata_execs_total", "counter", "Programs started.",
	       c->execs);
}

static void put_reader(struct buf *out, const struct reader_stats *r)
{
	metric(out, "kstrata_reader_starts_total", "counter",
	       "Processes started to read files in.", r->started);
	metric(out, "kstrata_reader_crashes_total", "counter",
	       "Such processes that broke down over a file.", r->crashed);
	metric(out, "kstrata_reader_timeouts_total", "counter",
	       "Such processes that took too long for a file.", r->timeouts);
}

static void put_rows(struct buf *out, const struct collector_stats *c,
		     const struct device_stats *dev)
{
	static const char *const how[] = { "rows", "frame_pointer" };
	const uint64_t walked[] = { dev->frames_rows, dev->frames_fp };
	const struct rowfeed_stats *s = &c->rows;

	by_label(out, "kstrata_walked_frames_total", "by",
		 "User frames by what they were found by.", how, walked,
		 ARRAY_SIZE(how));
	if (!c->feeds)
		return;
	metric(out, "kstrata_rows_loaded", "gauge",
	       "Files whose unwind rows the module has.", s->loaded);
	metric(out, "kstrata_rows_none", "gauge",
	       "Files that have no unwind rows to be had.", s->none);
	metric(out, "kstrata_rows_pending", "gauge",
	       "Files whose unwind rows are to come.", s->pending);
	metric(out, "kstrata_rows_held_bytes", "gauge",
	       "Memory that the module's unwind rows took at the last load.",
	       s->held_bytes);
	metric(out, "kstrata_rows_loads_total", "counter",
	       "Tables of unwind rows given to the module.", s->loads);
	metric(out, "kstrata_rows_dropped_total", "counter",
	       "Tables that the module dropped to make room.", s->dropped);
	metric(out, "kstrata_rows_wanted_total", "counter",
	       "Dropped tables that it asked for again.", s->wanted);
	metric(out, "kstrata_rows_compiled_total", "counter",
	       "Files compiled to unwind rows.", s->compiled);
	metric(out, "kstrata_rows_cached_total", "counter",
	       "Tables that came out of the cache.", s->cached);
	metric_seconds(out, "kstrata_rows_compile_seconds_total",
		       "Time that files took to compile.", s->compile_ns);
	metric(out, "kstrata_rows_cache_bytes", "gauge",
	       "Size of the cache.", s->cache.bytes);
	by_label(out, "kstrata_rows_failed_total", "reason",
		 "Files without unwind rows for another reason than having none.",
		 row_failures, s->failed, ARRAY_SIZE(row_failures));
	put_reader(out, &s->reader);
}

void report_metrics(const struct collector *collector,
		    const struct device *device,
		    const struct symbolizer *symbolizer, struct buf *out)
{
	struct symbolizer_stats symbols;
	struct collector_stats c;
	struct device_stats dev;

	device_get_stats(device, &dev);
	collector_get_stats(collector, &c);
	symbolizer_get_stats(symbolizer, &symbols);
	metric(out, "kstrata_samples_total", "counter",
	       "Samples folded into the store.", c.samples);
	metric_seconds(out, "kstrata_sampled_seconds_total",
		       "CPU time that these samples stand for.", c.weight);
	metric(out, "kstrata_lost_total", "counter",
	       "Records dropped because a ring was full.", dev.lost);
	metric_seconds(out, "kstrata_lost_seconds_total",
		       "CPU time that dropped samples stood for.",
		       dev.lost_weight);
	metric(out, "kstrata_idle_total", "counter",
	       "How often a CPU became idle.", dev.idle);
	metric_seconds(out, "kstrata_idle_seconds_total",
		       "Time that CPUs were idle.", dev.idle_weight);
	metric_seconds(out, "kstrata_on_seconds_total",
		       "Time that sampling was on, of all CPUs.",
		       dev.on_weight);
	metric(out, "kstrata_filtered_total", "counter",
	       "Samples that no filter wanted.", dev.filtered);
	metric_seconds(out, "kstrata_filtered_seconds_total",
		       "CPU time that these stood for.", dev.filtered_weight);
	metric(out, "kstrata_raw_busy_total", "counter",
	       "Samples whose process was changing its mappings: frames not looked up.",
	       dev.raw_busy);
	metric(out, "kstrata_raw_full_total", "counter",
	       "Frames left raw because the module knew too many objects.",
	       dev.raw_full);
	metric(out, "kstrata_missed_total", "counter",
	       "Timer expiries that were overrun.", dev.missed);
	metric_seconds(out, "kstrata_handler_seconds_total",
		       "Time spent in the sampling handler.", dev.handler_ns);
	metric(out, "kstrata_ring_unread_bytes", "gauge",
	       "Bytes of records waiting in the rings.", dev.unread_bytes);
	metric(out, "kstrata_throttles_total", "counter",
	       "Changes of the sampling rate by the time budget.", c.throttles);
	metric(out, "kstrata_damaged_total", "counter",
	       "Records that made no sense.", c.damaged);
	metric(out, "kstrata_failed_total", "counter",
	       "Samples that could not be stored.", c.failed);
	metric(out, "kstrata_frames_total", "counter", "Frames looked up.",
	       c.frames);
	metric(out, "kstrata_unknown_frames_total", "counter",
	       "Frames in no known mapping.", c.unknown_frames);
	by_label(out, "kstrata_user_stacks_total", "reason",
		 "User stacks by why their walk ended.", reasons, c.reasons,
		 ARRAY_SIZE(reasons));
	put_cuts(out, &c);
	put_rows(out, &c, &dev);
	put_objects(out, &c);
	metric(out, "kstrata_tasks", "gauge", "Processes known.", c.tasks);
	metric(out, "kstrata_symbol_objects", "gauge",
	       "Files whose symbols are in memory.", symbols.objects);
	metric(out, "kstrata_symbol_bytes", "gauge",
	       "Memory that these take.", symbols.memory);
	metric(out, "kstrata_symbol_loads_total", "counter",
	       "Files whose symbols were read.", symbols.loads);
	metric(out, "kstrata_symbol_load_errors_total", "counter",
	       "Files whose symbols could not be read.", symbols.load_errors);
}
