// SPDX-License-Identifier: Apache-2.0
/* kstratad: wires the rooms together. */

#include "base/config.h"
#include "base/json.h"
#include "base/loop.h"
#include "base/notify.h"
#include "collect/collector.h"
#include "collect/report.h"
#include "collect/scope.h"
#include "serve/server.h"
#include "symbol/readerchild.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

/* Rings are drained at least this often, whatever their watermarks say. */
#define DRAIN_INTERVAL_NS (100 * NSEC_PER_MSEC)
#define TICK_INTERVAL_NS NSEC_PER_SEC
/* Those of every file that a large installation has. */
#define ROWS_CACHE_BYTES (UINT64_C(64) << 20)

struct daemon {
	struct config config;
	int argc;
	char **argv;
	struct loop *loop;
	struct store *store;
	struct symbolizer *symbolizer;
	struct device *device; /* NULL: --no-device */
	struct device_scope scope; /* as the device was told */
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

/* The rate and the scope of a session that goes on; an error changes nothing. */
static int reconfigure(struct daemon *d, const struct config *fresh)
{
	struct device_scope scope;
	int r;

	if (!d->device)
		return 0;
	r = scope_make(&scope, fresh);
	if (r < 0)
		return r;
	if (fresh->hz == d->config.hz && scope_equal(&scope, &d->scope))
		return 0;
	r = device_configure(d->device, fresh->hz, &scope);
	if (r == -EOPNOTSUPP)
		log_error("this module cannot change rate, CPUs or filters while it samples");
	if (r < 0)
		return r;
	d->scope = scope;
	d->config.hz = fresh->hz;
	log_info("sampling at %u Hz with %zu filters from now on", fresh->hz,
		 scope.nr_filters);
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
	if (reconfigure(d, &fresh) < 0) {
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

	json_key(j, "started");
	json_i64(j, d->started / NSEC_PER_SEC);
	json_key(j, "collector");
	if (d->collector)
		report_status(d->collector, d->device, d->symbolizer,
			      d->config.hz, j);
	else
		json_null(j);
}

static void add_metrics(void *userdata, struct buf *out)
{
	struct daemon *d = userdata;

	if (d->collector)
		report_metrics(d->collector, d->device, d->symbolizer, out);
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

/* Compiled ones are kept in the store's directory, where it has one. */
static int feed_rows(struct daemon *d)
{
	struct rowfeed_options options = {
		.loop = d->loop,
		.cache_bytes = ROWS_CACHE_BYTES,
	};
	char *dir = NULL;
	int r;

	if (strcmp(d->config.store, "memory") != 0 &&
	    asprintf(&dir, "%s/rows", d->config.store) < 0)
		return -ENOMEM;
	options.cache_dir = dir;
	r = collector_feed_rows(d->collector, &options);
	free(dir);
	return r;
}

static int start_collector(struct daemon *d)
{
	struct symbolizer_options symbols = {
		.cache_bytes = d->config.symbol_cache_bytes,
		.offsets = d->config.offsets,
	};
	struct device_options device = {
		.path = d->config.device,
		.hz = d->config.hz,
		.ring_bytes = (uint32_t)d->config.ring_bytes,
		.objects = d->config.objects,
		.rows_kb = (uint32_t)(d->config.rows_bytes >> 10),
	};
	struct device_stats stats;
	int r;

	r = scope_make(&d->scope, &d->config);
	if (r < 0)
		return r;
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
	if (r >= 0 && !d->config.no_rows)
		r = feed_rows(d);
	if (r < 0)
		return r;
	r = loop_add_fd(d->loop, device_fd(d->device), EPOLLIN, on_drain, d,
			NULL);
	if (r >= 0)
		r = loop_add_timer(d->loop, DRAIN_INTERVAL_NS, on_drain, d,
				   NULL);
	if (r >= 0 && !scope_is_all(&d->scope)) {
		r = device_configure(d->device, d->config.hz, &d->scope);
		if (r == -EOPNOTSUPP)
			log_error("this module knows no CPUs or filters to choose");
	}
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

	if (readerchild_is(argc, argv))
		return readerchild_main(reader_work_cfi);
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
