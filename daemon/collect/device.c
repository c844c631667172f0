// SPDX-License-Identifier: Apache-2.0
#include "collect/device.h"

#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

struct device {
	int fd;
	struct kstrata_version version;
	struct kstrata_setup setup;
	struct ring *rings; /* setup.nr_cpus; without consumer: no such CPU */
};

static int open_failed(const char *path, int error)
{
	switch (error) {
	case ENOENT:
	case ENXIO:
	case ENODEV:
		log_error("%s: no such device: load the module (modprobe kstrata), or run with --no-device",
			  path);
		break;
	case EACCES:
	case EPERM:
		log_error("%s: not permitted: CAP_PERFMON in the initial user namespace is needed",
			  path);
		break;
	case EBUSY:
		log_error("%s: all %d sessions are taken", path,
			  KSTRATA_SESSIONS_MAX);
		break;
	default:
		log_error("%s: %s", path, strerror(error));
	}
	return -error;
}

static int check_version(struct device *d, const char *path)
{
	d->version.size = sizeof(d->version);
	if (ioctl(d->fd, KSTRATA_IOC_VERSION, &d->version) < 0) {
		int e = errno;

		log_error("%s: not a kstrata device: %s", path, strerror(e));
		return -e;
	}
	d->version.release[sizeof(d->version.release) - 1] = '\0';
	if (d->version.abi_major == KSTRATA_ABI_MAJOR)
		return 0;
	log_error("%s: the module (%s) speaks ABI %u, this daemon %u: update the older of them",
		  path, d->version.release, d->version.abi_major,
		  KSTRATA_ABI_MAJOR);
	return -EPROTONOSUPPORT;
}

static int map_rings(struct device *d)
{
	uint32_t mapped = 0;

	d->rings = calloc(d->setup.nr_cpus, sizeof(*d->rings));
	if (!d->rings)
		return -ENOMEM;
	for (uint32_t cpu = 0; cpu < d->setup.nr_cpus; cpu++) {
		int r = ring_open(&d->rings[cpu], d->fd, cpu,
				  d->setup.ring_bytes);

		if (r == -ENXIO)
			continue;
		if (r < 0) {
			log_error("cannot map the ring of CPU %u: %s", cpu,
				  strerror(-r));
			return r;
		}
		mapped++;
	}
	return mapped ? 0 : -ENXIO;
}

/* What a second of samples takes, some 40 frames each: a daemon may be kept waiting. */
static uint32_t ring_bytes_for(uint32_t hz)
{
	uint32_t bytes = KSTRATA_RING_BYTES_DEFAULT;

	while (bytes < hz * 400)
		bytes *= 2;
	return bytes;
}

/* What this module knows of the struct, no more: its minor 0 ended earlier. */
static int setup(struct device *d, const struct device_options *options)
{
	d->setup = (struct kstrata_setup){
		.size = sizeof(d->setup),
		.sample_hz = options->hz,
		.ring_bytes = options->ring_bytes ? options->ring_bytes :
						    ring_bytes_for(options->hz),
	};
	if (d->version.abi_minor == 0) {
		d->setup.size = KSTRATA_SETUP_SIZE_0;
	} else {
		d->setup.flags = KSTRATA_SETUP_OBJECTS;
		d->setup.objects = options->objects;
		if (d->version.abi_minor >= 2)
			d->setup.rows_kb = options->rows_kb;
	}
	return ioctl(d->fd, KSTRATA_IOC_SETUP, &d->setup) < 0 ? -errno : 0;
}

int device_open(struct device **out, const struct device_options *options)
{
	struct device *d = calloc(1, sizeof(*d));
	int r;

	if (!d)
		return -ENOMEM;
	d->fd = open(options->path, O_RDWR | O_CLOEXEC);
	if (d->fd < 0) {
		r = open_failed(options->path, errno);
		goto err;
	}
	r = check_version(d, options->path);
	if (r < 0)
		goto err;
	r = setup(d, options);
	if (r < 0) {
		log_error("%s: cannot set up %u Hz with rings of %u bytes: %s",
			  options->path, options->hz, d->setup.ring_bytes,
			  strerror(-r));
		goto err;
	}
	r = map_rings(d);
	if (r < 0)
		goto err;
	*out = d;
	return 0;

err:
	device_close(d);
	return r;
}

void device_close(struct device *d)
{
	if (!d)
		return;
	for (uint32_t cpu = 0; d->rings && cpu < d->setup.nr_cpus; cpu++)
		ring_close(&d->rings[cpu]);
	free(d->rings);
	util_closep(&d->fd);
	free(d);
}

static int device_switch(struct device *d, unsigned long request)
{
	struct kstrata_switch sw = { .size = sizeof(sw) };

	return ioctl(d->fd, request, &sw) < 0 ? -errno : 0;
}

int device_configure(struct device *d, uint32_t hz,
		     const struct device_scope *scope)
{
	size_t words = (d->setup.nr_cpus + 63) / 64;
	uint64_t cpus[KSTRATA_CPUS_BYTES_MAX / 8] = { 0 };
	struct kstrata_configure u = {
		.size = sizeof(u),
		.what = KSTRATA_CONFIGURE_HZ | KSTRATA_CONFIGURE_CPUS |
			KSTRATA_CONFIGURE_FILTERS,
		.sample_hz = hz,
		.cpus = (uint64_t)(uintptr_t)cpus,
		.cpus_bytes = (uint32_t)words * 8,
		.nr_filters = (uint32_t)scope->nr_filters,
		.filters = (uint64_t)(uintptr_t)scope->filters,
	};

	if (d->version.abi_minor == 0)
		return -EOPNOTSUPP;
	if (words > ARRAY_SIZE(cpus))
		return -E2BIG;
	for (uint32_t cpu = 0; cpu < d->setup.nr_cpus; cpu++)
		if (!scope->some_cpus || scope->cpus[cpu / 64] >> cpu % 64 & 1)
			cpus[cpu / 64] |= UINT64_C(1) << cpu % 64;
	if (ioctl(d->fd, KSTRATA_IOC_CONFIGURE, &u) < 0) {
		int r = errno == ENOTTY ? -EOPNOTSUPP : -errno;

		log_error("cannot sample at %u Hz with these CPUs and filters: %s",
			  hz, strerror(-r));
		return r;
	}
	return 0;
}

int device_object(struct device *d, struct kstrata_object_get *get)
{
	if (!(d->setup.flags & KSTRATA_SETUP_OBJECTS))
		return -ENOENT;
	get->size = sizeof(*get);
	return ioctl(d->fd, KSTRATA_IOC_OBJECT, get) < 0 ? -errno : 0;
}

int device_rows(struct device *d, struct kstrata_rows *rows)
{
	if (!(d->setup.flags & KSTRATA_SETUP_OBJECTS) ||
	    d->version.abi_minor < 2)
		return -EOPNOTSUPP;
	rows->size = sizeof(*rows);
	if (ioctl(d->fd, KSTRATA_IOC_ROWS, rows) < 0)
		return errno == ENOTTY ? -EOPNOTSUPP : -errno;
	return 0;
}

uint32_t device_objects(const struct device *d)
{
	if (!(d->setup.flags & KSTRATA_SETUP_OBJECTS))
		return 0;
	return d->setup.objects ? d->setup.objects : KSTRATA_OBJECTS_DEFAULT;
}

int device_start(struct device *d)
{
	return device_switch(d, KSTRATA_IOC_START);
}

int device_stop(struct device *d)
{
	return device_switch(d, KSTRATA_IOC_STOP);
}

int device_fd(const struct device *d)
{
	return d->fd;
}

uint64_t device_drain(struct device *d, ring_fn fn, void *userdata,
		      uint64_t *damaged)
{
	uint64_t nr = 0;

	for (uint32_t cpu = 0; cpu < d->setup.nr_cpus; cpu++) {
		int64_t n;

		if (!d->rings[cpu].consumer)
			continue;
		n = ring_drain(&d->rings[cpu], fn, userdata);
		if (n < 0)
			(*damaged)++;
		else
			nr += (uint64_t)n;
	}
	return nr;
}

static uint64_t load(const __u64 *p)
{
	return __atomic_load_n(p, __ATOMIC_RELAXED);
}

/*
 * What a pair of counters says to this moment: up to since, and from then on
 * when it is not 0. The kernel may change both as we look.
 */
static uint64_t until_now(const __u64 *weight, const __u64 *since)
{
	uint64_t w, before, after = __atomic_load_n(since, __ATOMIC_ACQUIRE);
	uint64_t now;

	for (int tries = 0; tries < 8; tries++) {
		before = after;
		w = __atomic_load_n(weight, __ATOMIC_ACQUIRE);
		after = __atomic_load_n(since, __ATOMIC_ACQUIRE);
		if (before == after)
			break;
	}
	now = (uint64_t)clock_monotonic_ns();
	return after && after == before && now > after ? w + (now - after) : w;
}

void device_get_stats(const struct device *d, struct device_stats *out)
{
	*out = (struct device_stats){
		.kernel_addresses = d->setup.granted &
				    KSTRATA_GRANT_KERNEL_ADDR,
	};
	memcpy(out->release, d->version.release, sizeof(out->release));
	for (uint32_t cpu = 0; cpu < d->setup.nr_cpus; cpu++) {
		const struct ring *r = &d->rings[cpu];

		if (!r->consumer)
			continue;
		out->cpus++;
		out->ring_bytes += r->bytes;
		out->unread_bytes += load(&r->producer->head) - r->tail;
		out->samples += load(&r->producer->samples);
		out->lost += load(&r->producer->lost);
		out->lost_weight += load(&r->producer->lost_weight);
		out->idle += load(&r->producer->idle);
		out->idle_weight += until_now(&r->producer->idle_weight,
					      &r->producer->idle_since);
		out->on_weight += until_now(&r->producer->on_weight,
					    &r->producer->started);
		out->filtered += load(&r->producer->filtered);
		out->filtered_weight += load(&r->producer->filtered_weight);
		out->raw_busy += load(&r->producer->raw_busy);
		out->raw_full += load(&r->producer->raw_full);
		out->missed += load(&r->producer->missed);
		out->handler_ns += load(&r->producer->handler_ns);
		out->frames_rows += load(&r->producer->frames_rows);
		out->frames_fp += load(&r->producer->frames_fp);
	}
}
