// SPDX-License-Identifier: Apache-2.0
/* collect/device: sessions of old and new modules, scopes, counters. */
#include "fakedevice.h"

#include "base/config.h"
#include "base/log.h"
#include "collect/device.h"
#include "collect/scope.h"

#define PAGE 4096
#define RING (1u << 14)

static char path[PATH_MAX];

/* The producer's page of a CPU, as the kernel would write it. */
static void write_page(uint32_t cpu, const struct kstrata_ring_producer *p)
{
	int fd = open(path, O_RDWR);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, p, sizeof(*p),
				(off_t)KSTRATA_MMAP_RING(cpu, PAGE)),
			 sizeof(*p));
	close(fd);
}

static struct device *begin_with(uint16_t minor, uint32_t cpus,
				 struct device_options options)
{
	struct device *d;

	log_set_level(LOG_LEVEL_ERROR);
	memset(&fake, 0, sizeof(fake));
	fake.minor = minor;
	fake.cpus = cpus;
	snprintf(path, sizeof(path), "%s", scratch_path("device"));
	scratch_write("device", "", 0);
	assert_int_equal(truncate(path, (off_t)KSTRATA_MMAP_RING(cpus, PAGE)),
			 0);
	options.path = path;
	assert_int_equal(device_open(&d, &options), 0);
	return d;
}

static struct device *begin(uint16_t minor, uint32_t cpus, uint32_t objects)
{
	struct device_options options = {
		.hz = 49,
		.ring_bytes = RING,
		.objects = objects,
	};

	return begin_with(minor, cpus, options);
}

static void test_minor_0(void **state)
{
	struct kstrata_object_get get = { .id = 20 };
	struct device_scope scope = { 0 };
	struct device_stats stats;
	struct device *d;

	(void)state;
	d = begin(0, 2, 1024);
	assert_int_equal(fake.setup.size, KSTRATA_SETUP_SIZE_0);
	assert_int_equal(fake.setup.flags, 0);
	assert_int_equal(fake.setup.sample_hz, 49);
	assert_int_equal(device_objects(d), 0);
	assert_int_equal(device_object(d, &get), -ENOENT);
	assert_int_equal(fake.asked, 0);
	assert_int_equal(device_configure(d, 99, &scope), -EOPNOTSUPP);
	assert_int_equal(device_start(d), 0);
	assert_true(fake.running);
	device_get_stats(d, &stats);
	assert_int_equal(stats.cpus, 2);
	/* Words that it does not know of are zero. */
	assert_int_equal(stats.on_weight, 0);
	device_close(d);
}

static void test_minor_1(void **state)
{
	struct kstrata_object_get get = { .id = 20, .fd = -1 };
	struct device *d;

	(void)state;
	d = begin(1, 1, 1024);
	assert_int_equal(fake.setup.size, sizeof(fake.setup));
	assert_int_equal(fake.setup.flags, KSTRATA_SETUP_OBJECTS);
	assert_int_equal(fake.setup.objects, 1024);
	assert_int_equal(device_objects(d), 1024);
	assert_int_equal(device_object(d, &get), -ENOENT);
	fake_file(20, "/bin/sh");
	assert_int_equal(device_object(d, &get), 0);
	assert_true(get.fd >= 0);
	close(get.fd);
	fake_object(20)->error = ENODATA;
	assert_int_equal(device_object(d, &get), -ENODATA);
	assert_int_equal(device_stop(d), 0);
	device_close(d);
}

/* Without a size, what a second may take: a power of two. */
static void test_ring_size(void **state)
{
	static const struct {
		uint32_t hz, bytes;
	} cases[] = {
		{ 1, KSTRATA_RING_BYTES_DEFAULT },
		{ 99, KSTRATA_RING_BYTES_DEFAULT },
		{ 999, 1u << 19 },
		{ 10000, 1u << 22 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct device_options options = { .hz = cases[i].hz };
		struct device *d = begin_with(1, 1, options);

		assert_int_equal(fake.setup.ring_bytes, cases[i].bytes);
		device_close(d);
	}
}

static void test_configure(void **state)
{
	struct device_scope scope = { 0 };
	struct device *d;

	(void)state;
	d = begin(1, 70, 0);
	assert_int_equal(device_objects(d), KSTRATA_OBJECTS_DEFAULT);
	assert_true(scope_is_all(&scope));
	assert_int_equal(device_configure(d, 99, &scope), 0);
	assert_int_equal(fake.configure.what,
			 KSTRATA_CONFIGURE_HZ | KSTRATA_CONFIGURE_CPUS |
				 KSTRATA_CONFIGURE_FILTERS);
	assert_int_equal(fake.configure.sample_hz, 99);
	assert_int_equal(fake.configure.cpus_bytes, 16);
	assert_true(fake.mask[0] == UINT64_MAX);
	assert_true(fake.mask[1] == 0x3f);
	assert_int_equal(fake.configure.nr_filters, 0);

	scope.some_cpus = true;
	scope.cpus[0] = 0x5;
	scope.cpus[1] = UINT64_MAX;
	scope.cpus[2] = 1;
	scope.nr_filters = 2;
	scope.filters[0].kind = KSTRATA_FILTER_PID;
	scope.filters[0].id = 77;
	scope.filters[1].kind = KSTRATA_FILTER_CGROUP;
	scope.filters[1].id = 1ull << 40;
	assert_false(scope_is_all(&scope));
	assert_int_equal(device_configure(d, 999, &scope), 0);
	assert_true(fake.mask[0] == 0x5);
	assert_true(fake.mask[1] == 0x3f);
	assert_int_equal(fake.configure.nr_filters, 2);
	assert_int_equal(fake.filters[0].kind, KSTRATA_FILTER_PID);
	assert_int_equal(fake.filters[0].id, 77);
	assert_true(fake.filters[1].id == 1ull << 40);

	fake.configure_error = EINVAL;
	assert_int_equal(device_configure(d, 99, &scope), -EINVAL);
	fake.configure_error = ENOTTY;
	assert_int_equal(device_configure(d, 99, &scope), -EOPNOTSUPP);
	device_close(d);
}

/* Idle time runs on between the kernel's words. */
static void test_counters(void **state)
{
	uint64_t second = (uint64_t)NSEC_PER_SEC;
	uint64_t now = (uint64_t)clock_monotonic_ns();
	struct kstrata_ring_producer one = {
		.ring_bytes = RING,
		.samples = 5,
		.idle_weight = 1000,
		.idle_since = now - second,
		.started = now - 2 * second,
		.on_weight = 3000,
		.filtered = 3,
		.raw_busy = 2,
	};
	struct kstrata_ring_producer two = {
		.ring_bytes = RING,
		.cpu = 1,
		.samples = 6,
		.idle_weight = 50,
		/* As if of the future: never time that is negative. */
		.started = now + 3600 * second,
		.on_weight = 70,
		.filtered_weight = 9,
		.raw_full = 4,
	};
	struct device_stats a, b;
	struct device *d;

	(void)state;
	d = begin(1, 2, 0);
	write_page(0, &one);
	write_page(1, &two);
	device_get_stats(d, &a);
	device_get_stats(d, &b);
	assert_int_equal(a.samples, 11);
	assert_int_equal(a.filtered, 3);
	assert_int_equal(a.filtered_weight, 9);
	assert_int_equal(a.raw_busy, 2);
	assert_int_equal(a.raw_full, 4);
	assert_true(a.idle_weight >= 1050 + second);
	assert_true(b.idle_weight >= a.idle_weight);
	assert_true(a.on_weight >= 3070 + 2 * second);
	assert_true(b.on_weight >= a.on_weight);
	/* One idle, one on: the same time passed for both. */
	assert_true(b.idle_weight - a.idle_weight <=
		    (uint64_t)clock_monotonic_ns() - now);
	device_close(d);
}

static void test_scope(void **state)
{
	const char *words[] = { "kstratad", "--config", "/dev/null", "--cpus",
				"0-2,64",   "--pid",    "1",	     "--pid",
				"33",	    NULL };
	struct device_scope a, b;
	struct config c;

	(void)state;
	assert_int_equal(config_parse(&c, 9, (char **)words), CONFIG_RUN);
	assert_int_equal(scope_make(&a, &c), 0);
	assert_int_equal(scope_make(&b, &c), 0);
	assert_true(scope_equal(&a, &b));
	assert_true(a.some_cpus);
	assert_true(a.cpus[0] == 7 && a.cpus[1] == 1 && !a.cpus[2]);
	assert_int_equal(a.nr_filters, 2);
	assert_int_equal(a.filters[1].kind, KSTRATA_FILTER_PID);
	assert_int_equal(a.filters[1].id, 33);
	b.filters[1].id = 34;
	assert_false(scope_equal(&a, &b));
	b = a;
	b.cpus[1] = 3;
	assert_false(scope_equal(&a, &b));
	config_release(&c);

	words[3] = "--cgroup";
	words[4] = "/no/such/cgroup/here";
	assert_int_equal(config_parse(&c, 5, (char **)words), CONFIG_RUN);
	assert_int_equal(scope_make(&a, &c), -ENOENT);
	config_release(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_minor_0),
		cmocka_unit_test(test_minor_1),
		cmocka_unit_test(test_ring_size),
		cmocka_unit_test(test_configure),
		cmocka_unit_test(test_counters),
		cmocka_unit_test(test_scope),
	};

	return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
