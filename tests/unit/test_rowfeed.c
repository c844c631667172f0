// SPDX-License-Identifier: Apache-2.0
/*
 * collect/rowfeed: objects get their rows, those first that lack them most, and
 * nothing that a file or the module does stops it. The reader's child is this program:
 * a file's table begins where the file says.
 */
#include "fakedevice.h"

#include "base/log.h"
#include "collect/rowfeed.h"
#include "tables.h"

#define ID(n) (KSTRATA_OBJECT_ID_FIRST + 1 + (uint32_t)(n))
/* Not what anything takes: when a test gives up waiting. */
#define PATIENCE_NS (60 * NSEC_PER_SEC)

/* In the child. The files are no ELF files: nothing of ours cares. */
static int work(enum reader_work kind, int fd, struct cfi_table *out,
		struct cfi_report *report)
{
	char what[32] = "";

	(void)kind;
	*out = (struct cfi_table){ 0 };
	*report = (struct cfi_report){ 0 };
	if (pread(fd, what, sizeof(what) - 1, 0) < 0)
		return -EIO;
	if (!strcmp(what, "none"))
		return -ENODATA;
	if (!strcmp(what, "crash"))
		_exit(3);
	if (!strcmp(what, "large"))
		return -EFBIG;
	*out = table_make(strtoull(what, NULL, 0) ?: 1, 1);
	return 0;
}

struct fixture {
	struct symbolizer *symbolizer;
	struct objects *objects;
	struct loop *loop;
	struct rowfeed *feed;
	uint64_t time;
};

static int on_patience(void *userdata, uint32_t events)
{
	(void)userdata;
	(void)events;
	return -ETIME;
}

static void begin_with(struct fixture *f, const char *cache)
{
	const struct symbolizer_options symbols = {
		.cache_bytes = 1 << 20,
		.kallsyms_path = "/dev/null",
	};
	const struct rowfeed_options options = {
		.load = fake_rows,
		.cache_dir = cache,
		.cache_bytes = 1 << 20,
		.reader = { .backoff = NSEC_PER_MSEC },
	};
	struct rowfeed_options own = options;

	*f = (struct fixture){ .time = 1 };
	memset(&fake, 0, sizeof(fake));
	assert_int_equal(loop_new(&f->loop), 0);
	assert_int_equal(loop_add_timer(f->loop, PATIENCE_NS, on_patience, NULL,
					NULL), 0);
	assert_int_equal(symbolizer_new(&f->symbolizer, &symbols), 0);
	assert_int_equal(objects_new(&f->objects, fake_get, NULL, f->symbolizer,
				     64), 0);
	own.loop = f->loop;
	own.objects = f->objects;
	assert_int_equal(rowfeed_new(&f->feed, &own), 0);
}

static void begin(struct fixture *f)
{
	begin_with(f, NULL);
}

static void end(struct fixture *f)
{
	rowfeed_free(f->feed);
	objects_free(f->objects);
	symbolizer_free(f->symbolizer);
	loop_free(f->loop);
}

static struct rowfeed_stats stats_of(struct fixture *f)
{
	struct rowfeed_stats stats;

	rowfeed_get_stats(f->feed, &stats);
	return stats;
}

static int stop_when_done(void *userdata, uint32_t events)
{
	struct fixture *f = userdata;

	(void)events;
	if (!stats_of(f).pending)
		loop_stop(f->loop);
	return 0;
}

/* Until nobody waits for rows. */
static void settle(struct fixture *f)
{
	struct loop_source *timer;

	assert_int_equal(loop_add_timer(f->loop, NSEC_PER_MSEC, stop_when_done,
					f, &timer), 0);
	assert_int_equal(loop_run(f->loop), 0);
	loop_remove(f->loop, timer);
}

static void record(struct fixture *f, uint32_t id, uint16_t flags)
{
	const struct fake_object *o = fake_object(id);
	struct {
		struct kstrata_object o;
		char path[128];
	} r = {
		.o.hdr.type = KSTRATA_RECORD_OBJECT,
		.o.hdr.flags = flags,
		.o.hdr.size = sizeof(r),
		.o.hdr.time = f->time++,
		.o.id = id,
	};

	if (!flags) {
		r.o.kind = (uint16_t)o->kind;
		r.o.path_offset = sizeof(r.o);
		r.o.generation = o->generation;
		r.o.dev_major = o->dev_major;
		r.o.dev_minor = o->dev_minor;
		r.o.ino = o->ino;
		snprintf(r.path, sizeof(r.path), "%s", o->path);
		r.o.path_bytes = (uint16_t)(strlen(r.path) + 1);
	}
	assert_true(objects_take(f->objects, &r.o.hdr));
}

/* A file with this content has this number from now on, and the daemon is told. */
static void meet(struct fixture *f, uint32_t id, const char *name,
		 const char *content)
{
	scratch_write(name, content, strlen(content));
	fake_file(id, scratch_path(name));
	record(f, id, 0);
}

static void test_in_order_of_need(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f);
	meet(&f, ID(0), "a", "1000");
	meet(&f, ID(1), "b", "2000");
	meet(&f, ID(2), "c", "3000");
	rowfeed_missed(f.feed, ID(1));
	for (int i = 0; i < 5; i++)
		rowfeed_missed(f.feed, ID(2));
	rowfeed_missed(f.feed, ID(7)); /* nobody knows it */
	/* a, b, c and the vDSO. */
	assert_int_equal(stats_of(&f).pending, 4);
	settle(&f);
	assert_int_equal(fake_object(ID(0))->first, 1000);
	assert_int_equal(fake_object(ID(1))->first, 2000);
	assert_int_equal(fake_object(ID(2))->first, 3000);
	assert_int_equal(fake.rows_order[0], ID(2));
	assert_int_equal(fake.rows_order[1], ID(1));
	assert_int_equal(stats_of(&f).loaded, 3);
	assert_int_equal(stats_of(&f).loads, 3);
	assert_int_equal(stats_of(&f).held_bytes, 12 << 10);
	/* Each file was opened once, for names and rows. */
	assert_int_equal(fake.opened, 3);
	/* Told of again, and met again: nothing to do. */
	record(&f, ID(0), 0);
	rowfeed_missed(f.feed, ID(0));
	settle(&f);
	assert_int_equal(fake_object(ID(0))->loads, 1);
	end(&f);
}

static void test_vdso(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f);
	fake.objects[0] = (struct fake_object){ .id = KSTRATA_OBJECT_VDSO,
						.kind = KSTRATA_OBJECT_VDSO };
	settle(&f);
	assert_int_equal(fake.objects[0].loads, 1);
	assert_false(fake.objects[0].none);
	record(&f, KSTRATA_OBJECT_VDSO, KSTRATA_OBJECT_WANTED);
	settle(&f);
	assert_int_equal(fake.objects[0].loads, 2);
	end(&f);
}

static void test_none(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f);
	meet(&f, ID(0), "a", "none");
	meet(&f, ID(1), "b", "large");
	settle(&f);
	assert_true(fake_object(ID(0))->none);
	assert_true(fake_object(ID(1))->none);
	assert_int_equal(stats_of(&f).none, 2);
	assert_int_equal(stats_of(&f).failed[ROWFEED_TOO_LARGE], 1);
	/* Asked again all the same: it was told. */
	record(&f, ID(0), KSTRATA_OBJECT_WANTED);
	settle(&f);
	assert_int_equal(fake_object(ID(0))->loads, 1);
	end(&f);
}

static void test_wanted_again(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f);
	meet(&f, ID(0), "a", "1000");
	settle(&f);
	record(&f, ID(0), KSTRATA_OBJECT_WANTED);
	assert_int_equal(stats_of(&f).pending, 1);
	settle(&f);
	assert_int_equal(fake_object(ID(0))->loads, 2);
	assert_int_equal(stats_of(&f).wanted, 1);
	/* Held no longer: but it is where it was. */
	fake_object(ID(0))->error = ENODATA;
	record(&f, ID(0), KSTRATA_OBJECT_WANTED);
	settle(&f);
	assert_int_equal(fake_object(ID(0))->loads, 3);
	assert_false(fake_object(ID(0))->none);
	/* Or is not. */
	scratch_run("rm a");
	record(&f, ID(0), KSTRATA_OBJECT_WANTED);
	settle(&f);
	assert_true(fake_object(ID(0))->none);
	assert_int_equal(stats_of(&f).failed[ROWFEED_UNAVAILABLE], 1);
	/* Of a number that is not known. */
	record(&f, ID(9), KSTRATA_OBJECT_WANTED);
	settle(&f);
	end(&f);
}

/* The second time, nothing is read: the build-id says it all. */
static void test_cache(void **state)
{
	char cache[PATH_MAX];
	struct fixture f;

	(void)state;
	snprintf(cache, sizeof(cache), "%s", scratch_path("rows"));
	scratch_run("cp /bin/sh sh && echo none > n && cp /bin/true true");
	for (int i = 0; i < 2; i++) {
		begin_with(&f, cache);
		fake_file(ID(0), scratch_path("sh"));
		record(&f, ID(0), 0);
		fake_file(ID(1), scratch_path("n"));
		record(&f, ID(1), 0);
		settle(&f);
		assert_int_equal(fake_object(ID(0))->loads, 1);
		assert_false(fake_object(ID(0))->none);
		/* Of the two, the vDSO, and, once, sh. */
		assert_int_equal(stats_of(&f).compiled, i ? 2 : 3);
		assert_int_equal(stats_of(&f).cached, i ? 1 : 0);
		assert_int_equal(stats_of(&f).cache.files, 1);
		/* Dropped, and brought back. */
		record(&f, ID(0), KSTRATA_OBJECT_WANTED);
		settle(&f);
		assert_int_equal(fake_object(ID(0))->loads, 2);
		assert_int_equal(stats_of(&f).cached, i ? 2 : 1);
		end(&f);
	}
	/* Damaged, it is made anew. */
	scratch_run("for i in rows/*; do printf x | dd of=$i bs=1 seek=70 "
		    "conv=notrunc status=none; done");
	begin_with(&f, cache);
	fake_file(ID(0), scratch_path("sh"));
	record(&f, ID(0), 0);
	settle(&f);
	assert_int_equal(fake_object(ID(0))->loads, 1);
	assert_int_equal(stats_of(&f).cached, 0);
	assert_int_equal(stats_of(&f).cache.damaged, 1);
	end(&f);
}

/* What breaks the reader does it once; everybody else is served. */
static void test_breakdowns(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f);
	meet(&f, ID(0), "a", "crash");
	for (int i = 0; i < 9; i++)
		rowfeed_missed(f.feed, ID(0));
	meet(&f, ID(1), "b", "2000");
	settle(&f);
	assert_true(fake_object(ID(0))->none);
	assert_int_equal(fake_object(ID(1))->first, 2000);
	assert_int_equal(stats_of(&f).failed[ROWFEED_CRASHED], 1);
	assert_int_equal(stats_of(&f).reader.crashed, 1);
	/* By another number, it is the same file. */
	fake_file(ID(2), scratch_path("a"));
	record(&f, ID(2), 0);
	settle(&f);
	assert_true(fake_object(ID(2))->none);
	assert_int_equal(stats_of(&f).reader.crashed, 1);
	/* Changed, it is not. */
	meet(&f, ID(3), "a", "3000");
	settle(&f);
	assert_int_equal(fake_object(ID(3))->first, 3000);
	end(&f);
}

/* Numbers mean other files as time goes by. */
static void test_gone(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f);
	/* Gone before it was its turn. */
	meet(&f, ID(0), "a", "1000");
	record(&f, ID(0), KSTRATA_OBJECT_GONE);
	fake_object(ID(0))->id = 0;
	settle(&f);
	assert_int_equal(fake.nr_rows, 0);
	/* Another file took over, and nobody has told yet: not with its rows. */
	meet(&f, ID(1), "b", "2000");
	scratch_write("c", "3000", 4);
	fake_file(ID(1), scratch_path("c"));
	settle(&f);
	assert_int_equal(fake_object(ID(1))->loads, 0);
	/* Now they have. */
	record(&f, ID(1), 0);
	settle(&f);
	assert_int_equal(fake_object(ID(1))->first, 3000);
	assert_int_equal(stats_of(&f).loaded, 1);
	/* The module knows nothing of it. */
	meet(&f, ID(2), "d", "4000");
	fake.rows_error = ENOENT;
	settle(&f);
	assert_int_equal(stats_of(&f).loaded, 1);
	end(&f);
}

static void test_module(void **state)
{
	static const struct {
		int error;
		enum rowfeed_failure failure;
	} cases[] = {
		{ E2BIG, ROWFEED_TOO_LARGE },
		{ ENOMEM, ROWFEED_MEMORY },
		{ EINVAL, ROWFEED_REFUSED },
	};
	struct fixture f;
	char name[16];

	(void)state;
	begin(&f);
	settle(&f);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		fake.rows_error = cases[i].error;
		snprintf(name, sizeof(name), "f%zu", i);
		meet(&f, ID(i), name, "1000");
		settle(&f);
		assert_true(fake_object(ID(i))->none);
		assert_int_equal(stats_of(&f).failed[cases[i].failure], 1);
	}
	/* A kernel that has no use for rows is not bothered with them any more. */
	fake.rows_error = EOPNOTSUPP;
	meet(&f, ID(5), "g", "1000");
	meet(&f, ID(6), "h", "1000");
	settle(&f);
	fake.rows_error = 0;
	meet(&f, ID(7), "i", "1000");
	rowfeed_missed(f.feed, ID(7));
	record(&f, ID(7), KSTRATA_OBJECT_WANTED);
	settle(&f);
	assert_int_equal(fake.nr_rows, 0);
	assert_int_equal(stats_of(&f).pending, 0);
	end(&f);
}

/* More than are held open wait for their turn, and get it. */
static void test_many(void **state)
{
	struct fixture f;
	int before;

	(void)state;
	begin(&f);
	before = open_files();
	for (int i = 0; i < 15; i++) {
		char name[16], content[16];

		snprintf(name, sizeof(name), "m%d", i);
		snprintf(content, sizeof(content), "%d", 100 + i);
		meet(&f, ID(i), name, content);
	}
	settle(&f);
	for (int i = 0; i < 15; i++)
		assert_int_equal(fake_object(ID(i))->first, 100 + i);
	/* But for what belongs to the one child. */
	assert_true(open_files() <= before + 2);
	end(&f);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_in_order_of_need),
		cmocka_unit_test(test_vdso),
		cmocka_unit_test(test_none),
		cmocka_unit_test(test_wanted_again),
		cmocka_unit_test(test_cache),
		cmocka_unit_test(test_breakdowns),
		cmocka_unit_test(test_gone),
		cmocka_unit_test(test_module),
		cmocka_unit_test(test_many),
	};

	if (readerchild_is(argc, argv))
		return readerchild_main(work);
	log_set_level(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
