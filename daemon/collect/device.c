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
	d->setup = (struct kstrata_setup){
		.size = sizeof(d->setup),
		.sample_hz = options->hz,
		.ring_bytes = options->ring_bytes,
	};
	if (ioctl(d->fd, KSTRATA_IOC_SETUP, &d->setup) < 0) {
		r = -errno;
		log_error("%s: cannot set up %u Hz with rings of %u bytes: %s",
			  options->path, options->hz, options->ring_bytes,
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
		out->idle_weight += load(&r->producer->idle_weight);
		out->missed += load(&r->producer->missed);
		out->handler_ns += load(&r->producer->handler_ns);
	}
}
