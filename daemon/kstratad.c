// SPDX-License-Identifier: Apache-2.0
/* kstratad: wires the rooms together. */

#include "base/config.h"
#include "base/json.h"
#include "base/loop.h"
#include "base/notify.h"
#include "collect/collector.h"
#include "serve/server.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

/* Rings are drained at least this often, whatever their watermarks say. */
#define DRAIN_INTERVAL_NS (100 * NSEC_PER_MSEC)
#define TICK_INTERVAL_NS NSEC_PER_SEC

struct daemon {
	struct config config;
	int argc;
	char **argv;
	struct loop *loop;
	struct store *store;
	struct symbolizer *symbolizer;
	struct device *device; /* NULL: --no-device */
	struct collector *collector;
	struct server *server;
	int64_t started; /* real time, ns */
};

static struct store_options store_options(const struct config *c)
{
	bool memory = !strcmp(c->store, "memory");

	return (struct store_options){
		.dir = memory ? NULL : c->store,
		.retention_bytes = c->retention_bytes,
		.retention_ns = c->retention_ns,
		.sync_ns = c->sync_ns,
		.epoch_bytes = 256u << 20,
		.memory_bytes = c->memory_bytes,
	};
}

static int on_drain(void *userdata, uint32_t events)
{
	struct daemon *d = userdata;

	(void)events;
	collector_drain(d->collector);
	return 0;
}

static int on_tick(void *userdata, uint32_t events)
{
	struct daemon *d = userdata;

	(void)events;
	store_tick(d->store, clock_realtime_ns());
	return 0;
}

static int on_watchdog(void *userdata, uint32_t events)
{
	(void)userdata;
	(void)events;
	notify_send("WATCHDOG=1");
	return 0;
}

/* A broken file changes nothing: the daemon goes on with what it has. */
static void reload(struct daemon *d)
{
	struct config fresh;
	struct store_options options;

	notify_send("RELOADING=1");
	if (config_parse(&fresh, d->argc, d->argv) != CONFIG_RUN) {
		log_error("configuration not reloaded");
		config_release(&fresh);
		notify_send("READY=1");
		return;
	}
	log_set_level(fresh.log_level);
	options = store_options(&fresh);
	store_configure(d->store, &options);
	if (d->collector && symbolizer_reload_kernel(d->symbolizer) >= 0)
		collector_forget_kernel(d->collector);
	d->config.log_level = fresh.log_level;
	d->config.retention_bytes = fresh.retention_bytes;
	d->config.retention_ns = fresh.retention_ns;
	d->config.sync_ns = fresh.sync_ns;
	config_release(&fresh);
	log_info("configuration reloaded");
	notify_send("READY=1");
}

static int on_signal(void *userdata, uint32_t signal)
{
	struct daemon *d = userdata;

	if (signal == SIGHUP) {
		reload(d);
		return 0;
	}
	log_info("%s: stopping", strsignal((int)signal));
	notify_send("STOPPING=1");
	loop_stop(d->loop);
	return 0;
}

static void add_status(void *userdata, struct json *j)
{
	struct daemon *d = userdata;
	struct symbolizer_stats symbols;
	struct collector_stats c;
	struct device_stats dev;

	json_key(j, "started");
	json_i64(j, d->started / NSEC_PER_SEC);
	json_key(j, "collector");
	if (!d->device) {
		json_null(j);
		return;
	}
	device_get_stats(d->device, &dev);
	collector_get_stats(d->collector, &c);
	symbolizer_get_stats(d->symbolizer, &symbols);
	json_object(j);
	json_key(j, "module");
	json_str(j, dev.release);
	json_key(j, "hz");
	json_u64(j, d->config.hz);
	json_key(j, "cpus");
	json_u64(j, dev.cpus);
	json_key(j, "kernel_addresses");
	json_bool(j, dev.kernel_addresses);
	json_key(j, "samples");
	json_u64(j, c.samples);
	json_key(j, "weight");
	json_u64(j, c.weight);
	json_key(j, "lost");
	json_u64(j, dev.lost);
	json_key(j, "lost_weight");
	json_u64(j, dev.lost_weight);
	json_key(j, "idle_weight");
	json_u64(j, dev.idle_weight);
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

static void add_metrics(void *userdata, struct buf *out)
{
	static const char *const reasons[8] = {
		"none",	     "complete",    "depth", "fault",
		"bad_frame", "unsupported", NULL,    NULL,
	};
	struct daemon *d = userdata;
	struct symbolizer_stats symbols;
	struct collector_stats c;
	struct device_stats dev;

	if (!d->device)
		return;
	device_get_stats(d->device, &dev);
	collector_get_stats(d->collector, &c);
	symbolizer_get_stats(d->symbolizer, &symbols);
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
	       "Timer expiries that found their CPU idle.", dev.idle);
	metric_seconds(out, "kstrata_idle_seconds_total",
		       "Time that these stand for.", dev.idle_weight);
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
	buf_str(out,
		"# HELP kstrata_user_stacks_total User stacks by why their walk ended.\n"
		"# TYPE kstrata_user_stacks_total counter\n");
	for (size_t i = 0; i < ARRAY_SIZE(reasons); i++)
		if (reasons[i])
			buf_printf(out,
				   "kstrata_user_stacks_total{reason=\"%s\"} %llu\n",
				   reasons[i], (unsigned long long)c.reasons[i]);
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

static int start_store(struct daemon *d)
{
	struct store_options options = store_options(&d->config);
	int r;

	r = store_open(&d->store, &options);
	if (r == -EWOULDBLOCK)
		log_error("%s: another kstratad has this store open",
			  options.dir);
	else if (r < 0)
		log_error("cannot open the store %s: %s",
			  options.dir ? options.dir : "in memory",
			  strerror(-r));
	return r;
}

static int start_collector(struct daemon *d)
{
	struct symbolizer_options symbols = {
		.cache_bytes = d->config.symbol_cache_bytes,
	};
	struct device_options device = {
		.path = d->config.device,
		.hz = d->config.hz,
		.ring_bytes = (uint32_t)d->config.ring_bytes,
	};
	struct device_stats stats;
	int r;

	r = device_open(&d->device, &device);
	if (r < 0)
		return r;
	r = symbolizer_new(&d->symbolizer, &symbols);
	if (r < 0)
		return r;
	device_get_stats(d->device, &stats);
	if (!stats.kernel_addresses)
		log_warn("kernel stacks are hidden: CAP_SYSLOG is needed, and no lockdown");
	r = collector_new(&d->collector, d->device, d->symbolizer, d->store);
	if (r < 0)
		return r;
	r = loop_add_fd(d->loop, device_fd(d->device), EPOLLIN, on_drain, d,
			NULL);
	if (r >= 0)
		r = loop_add_timer(d->loop, DRAIN_INTERVAL_NS, on_drain, d,
				   NULL);
	if (r >= 0)
		r = device_start(d->device);
	if (r >= 0)
		log_info("sampling %u CPUs at %u Hz (module %s)", stats.cpus,
			 d->config.hz, stats.release);
	return r;
}

static int start_server(struct daemon *d)
{
	bool http = strcmp(d->config.http, "none") != 0;
	bool sock = strcmp(d->config.socket, "none") != 0;
	struct server_options options = {
		.http_addr = http ? d->config.http : NULL,
		.socket_path = sock ? d->config.socket : NULL,
		.store = d->store,
		.loop = d->loop,
		.status = add_status,
		.metrics = add_metrics,
		.userdata = d,
	};

	return server_new(&d->server, &options);
}

static int run(struct daemon *d)
{
	static const int signals[] = { SIGTERM, SIGINT, SIGHUP, 0 };
	int64_t watchdog = notify_watchdog_ns();
	int r;

	r = loop_new(&d->loop);
	if (r >= 0)
		r = loop_add_signals(d->loop, signals, on_signal, d);
	if (r >= 0)
		r = start_store(d);
	if (r >= 0)
		r = loop_add_timer(d->loop, TICK_INTERVAL_NS, on_tick, d, NULL);
	/* Serve before collecting: an occupied port must not cost samples. */
	if (r >= 0)
		r = start_server(d);
	if (r >= 0 && !d->config.no_device)
		r = start_collector(d);
	if (r >= 0 && watchdog)
		r = loop_add_timer(d->loop, watchdog, on_watchdog, d, NULL);
	if (r < 0)
		return r;
	notify_send("READY=1");
	r = loop_run(d->loop);
	if (r < 0)
		log_error("the loop ended: %s", strerror(-r));
	return r;
}

static int stop(struct daemon *d)
{
	int r = 0;

	if (d->collector) {
		device_stop(d->device);
		collector_drain(d->collector);
	}
	server_free(d->server);
	collector_free(d->collector);
	symbolizer_free(d->symbolizer);
	device_close(d->device);
	if (d->store) {
		r = store_flush(d->store);
		if (r < 0)
			log_error("what was in memory could not be stored: %s",
				  strerror(-r));
		store_close(d->store);
	}
	loop_free(d->loop);
	return r;
}

int main(int argc, char **argv)
{
	struct daemon d = {
		.argc = argc,
		.argv = argv,
		.started = clock_realtime_ns(),
	};
	int r, stopped;

	signal(SIGPIPE, SIG_IGN);
	r = config_parse(&d.config, argc, argv);
	if (r != CONFIG_RUN) {
		config_release(&d.config);
		return r == CONFIG_EXIT ? 0 : 2;
	}
	log_set_level(d.config.log_level);
	if (d.config.check) {
		log_info("the configuration is fine");
		config_release(&d.config);
		return 0;
	}
	r = run(&d);
	stopped = stop(&d);
	config_release(&d.config);
	return r < 0 || stopped < 0;
}
