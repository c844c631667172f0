/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A device of our own: a sparse file for the rings, and an ioctl() that stands
 * for libc's in this program and plays the module for the file's descriptors.
 */
#ifndef KSTRATA_TESTS_FAKEDEVICE_H
#define KSTRATA_TESTS_FAKEDEVICE_H

#include "scratch.h"

#include "collect/device.h"

#include <kstrata.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#define FAKE_OBJECTS 16

struct fake_object {
	uint32_t id; /* 0: free */
	uint32_t kind;
	uint32_t generation, dev_major, dev_minor;
	uint64_t ino;
	char path[128];
	char file[128]; /* what is opened, unless there is an error */
	int error;
	unsigned int loads; /* of rows, those with NONE included */
	bool none;
	uint64_t first; /* of the table it has, unless none */
};

static struct fake_device {
	uint16_t minor;
	uint32_t cpus;
	struct kstrata_setup setup; /* as it was asked for */
	struct kstrata_configure configure;
	uint64_t mask[KSTRATA_CPUS_BYTES_MAX / 8];
	struct kstrata_filter filters[KSTRATA_FILTERS_MAX];
	int configure_error;
	bool running;
	struct fake_object objects[FAKE_OBJECTS];
	unsigned int asked, opened;
	int rows_error;
	uint32_t rows_order[FAKE_OBJECTS]; /* objects, as they got rows */
	unsigned int nr_rows;
} fake;

/* A session of one CPU, of a module of minor 1. 0, or -1. */
static maybe_unused int fake_open(struct device **out)
{
	struct device_options options = { .hz = 99, .ring_bytes = 1 << 14 };
	char path[] = "/tmp/fakedevice.XXXXXX";
	int fd = mkstemp(path), r;

	memset(&fake, 0, sizeof(fake));
	fake.minor = 1;
	fake.cpus = 1;
	options.path = path;
	if (fd < 0)
		return -1;
	r = ftruncate(fd, 1 << 20);
	if (r >= 0)
		r = device_open(out, &options);
	close(fd);
	unlink(path);
	return r < 0 ? -1 : 0;
}

static maybe_unused struct fake_object *fake_object(uint32_t id)
{
	for (size_t i = 0; i < FAKE_OBJECTS; i++)
		if (fake.objects[i].id == id)
			return &fake.objects[i];
	return NULL;
}

/* The number now means this file, with the identity that it has. */
static maybe_unused struct fake_object *fake_file(uint32_t id, const char *file)
{
	struct fake_object *o = fake_object(id);
	struct stat st;

	if (!o)
		o = fake_object(0);
	assert_non_null(o);
	assert_int_equal(stat(file, &st), 0);
	*o = (struct fake_object){
		.id = id,
		.kind = KSTRATA_OBJECT_FILE,
		.generation = 1,
		.dev_major = major(st.st_dev),
		.dev_minor = minor(st.st_dev),
		.ino = st.st_ino,
	};
	snprintf(o->path, sizeof(o->path), "%s", file);
	snprintf(o->file, sizeof(o->file), "%s", file);
	return o;
}

/* KSTRATA_IOC_OBJECT; 0 or -errno. */
static int fake_get(void *userdata, struct kstrata_object_get *get)
{
	struct fake_object *o = fake_object(get->id);
	size_t need;

	(void)userdata;
	fake.asked++;
	assert_int_equal(get->size, sizeof(*get));
	assert_int_equal(get->reserved, 0);
	assert_int_equal(get->flags & ~KSTRATA_OBJECT_GET_NO_FD, 0);
	if (!get->id || !o)
		return -ENOENT;
	get->kind = o->kind;
	get->generation = o->generation;
	get->dev_major = o->dev_major;
	get->dev_minor = o->dev_minor;
	get->ino = o->ino;
	get->fd = -1;
	need = strlen(o->path) + 1;
	if (get->path && get->path_bytes) {
		size_t cut = need > get->path_bytes ? need - get->path_bytes : 0;

		memcpy((char *)(uintptr_t)get->path, o->path + cut, need - cut);
	}
	get->path_bytes = o->error == ENODATA ? 0 : (uint32_t)need;
	if (get->flags & KSTRATA_OBJECT_GET_NO_FD)
		return 0;
	if (o->error)
		return -o->error;
	get->fd = open(o->file, O_RDONLY | O_CLOEXEC);
	assert_true(get->fd >= 0);
	fake.opened++;
	return 0;
}

/* KSTRATA_IOC_ROWS; 0 or -errno. */
static maybe_unused int fake_rows(void *userdata, struct kstrata_rows *rows)
{
	const struct kstrata_rows_table *t = (void *)(uintptr_t)rows->table;
	struct fake_object *o = fake_object(rows->id);

	(void)userdata;
	assert_int_equal(rows->size, sizeof(*rows));
	if (fake.rows_error && !(rows->flags & KSTRATA_ROWS_NONE))
		return -fake.rows_error;
	if (!rows->id || !o)
		return -ENOENT;
	o->loads++;
	o->none = rows->flags & KSTRATA_ROWS_NONE;
	assert_int_equal(!t, o->none);
	if (t) {
		assert_int_equal(t->bytes, rows->bytes);
		o->first = t->first;
		fake.rows_order[fake.nr_rows++ % FAKE_OBJECTS] = rows->id;
	}
	rows->held_kb = 4 * fake.nr_rows;
	rows->dropped = 0;
	return 0;
}

static int fake_setup(struct kstrata_setup *s)
{
	size_t known = fake.minor ? sizeof(*s) : KSTRATA_SETUP_SIZE_0;

	memset(&fake.setup, 0, sizeof(fake.setup));
	memcpy(&fake.setup, s, s->size < known ? s->size : known);
	if (s->size > known)
		return -E2BIG;
	if (!fake.minor && s->flags & KSTRATA_SETUP_OBJECTS)
		return -EINVAL;
	s->nr_cpus = fake.cpus;
	s->granted = KSTRATA_GRANT_KERNEL_ADDR;
	return 0;
}

static int fake_configure(const struct kstrata_configure *c)
{
	if (!fake.minor)
		return -ENOTTY;
	if (fake.configure_error)
		return -fake.configure_error;
	fake.configure = *c;
	memset(fake.mask, 0, sizeof(fake.mask));
	memcpy(fake.mask, (void *)(uintptr_t)c->cpus, c->cpus_bytes);
	memcpy(fake.filters, (void *)(uintptr_t)c->filters,
	       c->nr_filters * sizeof(fake.filters[0]));
	return 0;
}

static int fake_ioctl(unsigned long request, void *arg)
{
	struct kstrata_version *v = arg;

	switch (request) {
	case KSTRATA_IOC_VERSION:
		v->abi_major = KSTRATA_ABI_MAJOR;
		v->abi_minor = fake.minor;
		strcpy(v->release, "fake");
		return 0;
	case KSTRATA_IOC_SETUP:
		return fake_setup(arg);
	case KSTRATA_IOC_CONFIGURE:
		return fake_configure(arg);
	case KSTRATA_IOC_START:
		fake.running = true;
		return 0;
	case KSTRATA_IOC_STOP:
		fake.running = false;
		return 0;
	case KSTRATA_IOC_OBJECT:
		return fake_get(NULL, arg);
	case KSTRATA_IOC_ROWS:
		return fake.minor < 2 ? -ENOTTY : fake_rows(NULL, arg);
	}
	return -ENOTTY;
}

int ioctl(int fd, unsigned long request, ...)
{
	va_list args;
	void *arg;
	int r;

	(void)fd;
	va_start(args, request);
	arg = va_arg(args, void *);
	va_end(args);
	r = fake_ioctl(request, arg);
	if (r >= 0)
		return r;
	errno = -r;
	return -1;
}

/* How many descriptors we have open. */
static maybe_unused int open_files(void)
{
	int n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

#endif
