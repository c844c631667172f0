// SPDX-License-Identifier: Apache-2.0
#include "serve/api.h"

#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

/* Resident bytes, from /proc/self/statm; 0 when that cannot be read. */
static uint64_t resident_bytes(void)
{
	cleanup(util_freep) char *text = NULL;
	unsigned long size, resident;
	size_t len;

	if (util_read_file("/proc/self/statm", 4096, &text, &len) < 0 ||
	    sscanf(text, "%lu %lu", &size, &resident) != 2)
		return 0;
	return (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static double cpu_seconds(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

int api_status(struct api *a, const struct http_request *q,
	       struct http_reply *reply)
{
	struct json j = json_to(&reply->body);
	struct store_stats st;

	(void)q;
	store_get_stats(a->options.store, &st);
	json_object(&j);
	json_key(&j, "version");
	json_str(&j, KSTRATA_VERSION);
	json_key(&j, "now");
	json_i64(&j, clock_realtime_ns() / NSEC_PER_SEC);
	json_key(&j, "process");
	json_object(&j);
	json_key(&j, "cpu_seconds");
	json_double(&j, cpu_seconds());
	json_key(&j, "resident_bytes");
	json_u64(&j, resident_bytes());
	json_end_object(&j);
	json_key(&j, "store");
	json_object(&j);
	json_key(&j, "bytes");
	json_u64(&j, st.bytes);
	json_key(&j, "epochs");
	json_u64(&j, st.epochs);
	json_key(&j, "windows");
	json_u64(&j, st.windows);
	json_key(&j, "windows_open");
	json_u64(&j, st.windows_open);
	json_key(&j, "windows_dropped");
	json_u64(&j, st.windows_dropped);
	json_key(&j, "series");
	json_u64(&j, st.series);
	json_key(&j, "nodes");
	json_u64(&j, st.nodes);
	json_key(&j, "strings");
	json_u64(&j, st.strings);
	json_key(&j, "memory");
	json_u64(&j, st.memory);
	json_key(&j, "oldest");
	json_i64(&j, st.oldest_ns / NSEC_PER_SEC);
	json_key(&j, "newest");
	json_i64(&j, st.newest_ns / NSEC_PER_SEC);
	json_key(&j, "failing");
	json_bool(&j, st.failing);
	json_end_object(&j);
	if (a->options.status)
		a->options.status(a->options.userdata, &j);
	json_end_object(&j);
	return 0;
}

static void put(struct buf *out, const char *name, const char *kind,
		const char *help, uint64_t value)
{
	buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n%s %llu\n", name, help,
		   name, kind, name, (unsigned long long)value);
}

static void put_store(struct buf *out, const struct store_stats *st)
{
	put(out, "kstrata_store_bytes", "gauge", "Bytes of all epochs on disk.",
	    st->bytes);
	put(out, "kstrata_store_written_bytes_total", "counter",
	    "Bytes appended to epochs.", st->written_bytes);
	put(out, "kstrata_store_epochs", "gauge", "Epochs.", st->epochs);
	put(out, "kstrata_store_windows", "gauge", "Vectors stored.",
	    st->windows);
	put(out, "kstrata_store_windows_open", "gauge",
	    "Vectors of windows not yet stored.", st->windows_open);
	put(out, "kstrata_store_windows_dropped_total", "counter",
	    "Vectors given up because the disk took nothing.",
	    st->windows_dropped);
	put(out, "kstrata_store_syncs_total", "counter", "Syncs to disk.",
	    st->syncs);
	put(out, "kstrata_store_write_errors_total", "counter",
	    "Writes that failed.", st->write_errors);
	put(out, "kstrata_store_memory_bytes", "gauge",
	    "Memory of dictionaries, indices and open windows.", st->memory);
	put(out, "kstrata_series", "gauge", "Series of the current epoch.",
	    st->series);
	put(out, "kstrata_nodes", "gauge",
	    "Call-tree nodes of the current epoch.", st->nodes);
}

static void put_http(struct buf *out, const struct api *a)
{
	struct http_stats h;

	if (!a->http)
		return;
	http_get_stats(a->http, &h);
	buf_str(out, "# HELP kstrata_http_requests_total Requests answered.\n"
		     "# TYPE kstrata_http_requests_total counter\n");
	for (unsigned int c = 2; c < ARRAY_SIZE(h.by_class); c++)
		buf_printf(out, "kstrata_http_requests_total{class=\"%uxx\"} %llu\n",
			   c, (unsigned long long)h.by_class[c]);
	put(out, "kstrata_http_received_bytes_total", "counter",
	    "Bytes of request bodies.", h.received_bytes);
	put(out, "kstrata_http_sent_bytes_total", "counter",
	    "Bytes of replies, before compression.", h.sent_bytes);
}

int api_metrics(struct api *a, const struct http_request *q,
		struct http_reply *reply)
{
	struct buf *out = &reply->body;
	struct store_stats st;

	(void)q;
	reply->content_type = "text/plain; version=0.0.4; charset=utf-8";
	buf_printf(out,
		   "# HELP kstrata_build_info The daemon's version.\n"
		   "# TYPE kstrata_build_info gauge\n"
		   "kstrata_build_info{version=\"%s\"} 1\n",
		   KSTRATA_VERSION);
	store_get_stats(a->options.store, &st);
	put_store(out, &st);
	put_http(out, a);
	put(out, "kstrata_pushes_total", "counter", "Profiles taken in.",
	    a->ingested);
	put(out, "kstrata_pushes_rejected_total", "counter",
	    "Profiles not taken in.", a->rejected);
	put(out, "process_resident_memory_bytes", "gauge",
	    "Resident memory of the daemon.", resident_bytes());
	buf_printf(out,
		   "# HELP process_cpu_seconds_total CPU time of the daemon.\n"
		   "# TYPE process_cpu_seconds_total counter\n"
		   "process_cpu_seconds_total %.6f\n",
		   cpu_seconds());
	if (a->options.metrics)
		a->options.metrics(a->options.userdata, out);
	return 0;
}
