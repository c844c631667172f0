// SPDX-License-Identifier: Apache-2.0
/*
 * collect/objects: numbers to files to names, whatever the order in which the
 * records come and whatever becomes of the files.
 */
#include "fakedevice.h"

#include "base/log.h"
#include "collect/objects.h"
#include "symbol/procmaps.h"

#include <elf.h>

#define ID (KSTRATA_OBJECT_ID_FIRST + 5)

struct fixture {
	struct symbolizer *s;
	struct objects *o;
	int files;
};

static void begin_with(struct fixture *f, uint64_t cache_bytes, size_t max)
{
	const struct symbolizer_options options = {
		.cache_bytes = cache_bytes,
		.kallsyms_path = "/dev/null",
	};

	log_set_level(LOG_LEVEL_ERROR);
	memset(&fake, 0, sizeof(fake));
	f->files = open_files();
	assert_int_equal(symbolizer_new(&f->s, &options), 0);
	assert_int_equal(objects_new(&f->o, fake_get, NULL, f->s, max), 0);
}

static void begin(struct fixture *f)
{
	begin_with(f, 16 << 20, 64);
}

/* Whatever happened, no file is held. */
static void end(struct fixture *f)
{
	assert_int_equal(open_files(), f->files);
	objects_free(f->o);
	symbolizer_free(f->s);
}

static struct objects_stats stats_of(struct fixture *f)
{
	struct objects_stats stats;

	objects_get_stats(f->o, &stats);
	return stats;
}

static void check_name(struct fixture *f, uint32_t id, uint64_t time,
		       uint64_t offset, const char *name)
{
	struct object_file *file = objects_find(f->o, id, time);
	struct symbol symbol;

	assert_non_null(file);
	symbol = objects_symbol(f->o, file, offset);
	assert_string_equal(symbol.name, name);
}

struct record {
	struct kstrata_object o;
	char path[128];
};

static struct record record_of(const struct fake_object *o, uint64_t time)
{
	struct record r = {
		.o.hdr.type = KSTRATA_RECORD_OBJECT,
		.o.hdr.size = sizeof(r),
		.o.hdr.time = time,
		.o.id = o->id,
		.o.kind = (uint16_t)o->kind,
		.o.path_offset = sizeof(r.o),
		.o.generation = o->generation,
		.o.dev_major = o->dev_major,
		.o.dev_minor = o->dev_minor,
		.o.ino = o->ino,
	};

	snprintf(r.path, sizeof(r.path), "%s", o->path);
	r.o.path_bytes = (uint16_t)(strlen(r.path) + 1);
	return r;
}

static bool gone(struct fixture *f, uint32_t id, uint64_t time)
{
	struct record r = {
		.o.hdr = { .type = KSTRATA_RECORD_OBJECT,
			   .flags = KSTRATA_OBJECT_GONE,
			   .size = sizeof(r.o),
			   .time = time },
		.o.id = id,
	};

	return objects_take(f->o, &r.o.hdr);
}

/* A program with one function to be found; its place in the file. */
static uint64_t build(const char *program, const char *function,
		      const char *flags)
{
	uint64_t offset = 0;
	char line[64] = "", at[32];
	FILE *out;

	scratch_run("printf 'int %s(int x) { return x + 1; }\\n"
		    "int main(int c, char **v) { (void)v; return %s(c); }\\n' "
		    "> %s.c && cc -O0 %s -o %s %s.c && "
		    "readelf -sW %s | awk '$8 == \"%s\" { print $2; exit }' "
		    "> %s.at", function, function, program, flags, program,
		    program, program, function, program);
	snprintf(at, sizeof(at), "%s.at", program);
	out = fopen(scratch_path(at), "r");
	assert_non_null(out);
	assert_non_null(fgets(line, sizeof(line), out));
	fclose(out);
	/* Text begins at the same offset and address in what ld makes here. */
	offset = strtoull(line, NULL, 16);
	if (offset >= 0x400000)
		offset -= 0x400000;
	return offset;
}

static void test_record_first(void **state)
{
	uint64_t at = build("first", "find_first", "");
	struct fixture f;
	struct record r;

	(void)state;
	begin(&f);
	r = record_of(fake_file(ID, scratch_path("first")), 100);
	assert_true(objects_take(f.o, &r.o.hdr));
	/* Read at once: it may be gone when its first sample is read. */
	assert_int_equal(fake.opened, 1);
	unlink(scratch_path("first"));
	fake_object(ID)->error = ENODATA;
	check_name(&f, ID, 50, at, "find_first");
	check_name(&f, ID, 150, at + 1, "find_first");
	assert_int_equal(fake.asked, 1);
	assert_int_equal(stats_of(&f).opened, 1);
	assert_int_equal(stats_of(&f).asked, 0);
	end(&f);
}

static void test_sample_first(void **state)
{
	uint64_t at = build("second", "find_second", "");
	struct fixture f;
	struct record r;

	(void)state;
	begin(&f);
	r = record_of(fake_file(ID, scratch_path("second")), 100);
	check_name(&f, ID, 50, at, "find_second");
	assert_int_equal(stats_of(&f).asked, 1);
	assert_int_equal(fake.opened, 1);
	/* The record brings nothing new, and twice neither. */
	assert_true(objects_take(f.o, &r.o.hdr));
	assert_true(objects_take(f.o, &r.o.hdr));
	check_name(&f, ID, 150, at, "find_second");
	assert_int_equal(fake.opened, 1);
	assert_int_equal(stats_of(&f).known, 1);
	end(&f);
}

/* A number means one file until it is gone, and another one then. */
static void test_reused(void **state)
{
	uint64_t old = build("old", "find_old", "");
	uint64_t new = build("new", "find_new", "");
	struct fixture f;
	struct record r;

	(void)state;
	begin(&f);
	fake_file(ID, scratch_path("old"));
	check_name(&f, ID, 100, old, "find_old");
	assert_true(gone(&f, ID, 200));
	fake_file(ID, scratch_path("new"));
	/* Of a ring that is read later: from before. */
	check_name(&f, ID, 200, old, "find_old");
	check_name(&f, ID, 201, new, "find_new");
	check_name(&f, ID, 150, old, "find_old");
	assert_int_equal(stats_of(&f).known, 2);

	/* The new one's record before the old one's GONE. */
	r = record_of(fake_file(ID, scratch_path("old")), 500);
	assert_true(objects_take(f.o, &r.o.hdr));
	check_name(&f, ID, 490, new, "find_new");
	assert_true(gone(&f, ID, 400));
	check_name(&f, ID, 400, new, "find_new");
	check_name(&f, ID, 490, old, "find_old");
	check_name(&f, ID, 501, old, "find_old");
	assert_int_equal(stats_of(&f).known, 3);

	/* In time all that is gone is forgotten. */
	objects_expire(f.o, 10 * (uint64_t)NSEC_PER_SEC);
	assert_int_equal(stats_of(&f).known, 1);
	check_name(&f, ID, 501, old, "find_old");
	end(&f);
}

/* The same inode number, made anew. */
static void test_generation(void **state)
{
	uint64_t one = build("gen", "find_one", "-Wl,--build-id=none"), two;
	struct fake_object *o;
	struct fixture f;
	struct record r;

	(void)state;
	begin(&f);
	o = fake_file(ID, scratch_path("gen"));
	check_name(&f, ID, 100, one, "find_one");
	two = build("gen2", "find_two", "-Wl,--build-id=none");
	o->generation++;
	strcpy(o->file, scratch_path("gen2"));
	r = record_of(o, 200);
	assert_true(objects_take(f.o, &r.o.hdr));
	check_name(&f, ID, 300, two, "find_two");
	assert_int_equal(fake.opened, 2);
	end(&f);
}

/* Copies, in images say, share what is read of one, where a build-id says what they are. */
static void test_copies(void **state)
{
	uint64_t at = build("id", "find_id", "-Wl,--build-id=sha1");
	struct symbolizer_stats stats;
	struct fixture f;

	(void)state;
	begin(&f);
	scratch_run("cp -p id id2; cp -p id id3; printf x >> id3");
	fake_file(ID, scratch_path("id"));
	fake_file(ID + 1, scratch_path("id2"));
	fake_file(ID + 2, scratch_path("id3"));
	for (uint32_t i = 0; i < 3; i++)
		check_name(&f, ID + i, 100, at, "find_id");
	symbolizer_get_stats(f.s, &stats);
	assert_int_equal(stats.loads, 2);
	assert_int_equal(stats.objects, 2);
	end(&f);
}

/* No sample is lost for want of a name, and each failure is counted. */
static void test_failures(void **state)
{
	static const struct {
		int error;
		const char *name;
		enum objects_failure failure;
	} cases[] = {
		{ ENODATA, "[bad]", OBJECTS_RELEASED },
		{ EACCES, "[bad]", OBJECTS_DENIED },
		{ EPERM, "[bad]", OBJECTS_DENIED },
		{ EIO, "[bad]", OBJECTS_OTHER },
		{ EMFILE, "[bad]", OBJECTS_OTHER },
	};
	struct fake_object *o;
	struct fixture f;
	struct record r;

	(void)state;
	scratch_write("bad", "#!/bin/sh\n", 10);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct objects_stats stats;

		begin(&f);
		o = fake_file(ID, scratch_path("bad"));
		o->error = cases[i].error;
		/* Not to be found by its path either. */
		o->ino++;
		r = record_of(o, 100);
		assert_true(objects_take(f.o, &r.o.hdr));
		for (int n = 0; n < 100; n++)
			check_name(&f, ID, 100, 0x1234, cases[i].name);
		stats = stats_of(&f);
		for (size_t n = 0; n < OBJECTS_FAILURES; n++)
			assert_int_equal(stats.failed[n],
					 n == cases[i].failure);
		assert_int_equal(fake.asked, 1);
		end(&f);
	}

	/* Nobody knows the number: until a record tells. */
	begin(&f);
	for (int n = 0; n < 100; n++)
		check_name(&f, ID, 100, 0x1234, "[unknown]");
	assert_int_equal(stats_of(&f).failed[OBJECTS_UNKNOWN], 1);
	o = fake_file(ID, scratch_path("bad"));
	r = record_of(o, 100);
	assert_true(objects_take(f.o, &r.o.hdr));
	check_name(&f, ID, 100, 0x1234, "[bad]");
	/* It was opened, but is no ELF file: once is enough. */
	assert_int_equal(fake.opened, 1);
	assert_int_equal(stats_of(&f).failed[OBJECTS_FORMAT], 1);
	end(&f);

	/* A program cut short at every kind of place. */
	build("whole", "find_whole", "");
	for (unsigned int bytes = 0; bytes < 20000; bytes += bytes / 4 + 13) {
		begin(&f);
		scratch_run("head -c %u whole > bad", bytes);
		fake_file(ID, scratch_path("bad"));
		for (uint64_t at = 0; at < 0x20000; at += 0x333) {
			struct object_file *file = objects_find(f.o, ID, 100);

			assert_true(*objects_symbol(f.o, file, at).name);
		}
		assert_int_equal(fake.opened, 1);
		end(&f);
	}
}

/* The kernel lets go of a file; it is where it was, or another one is. */
static void test_released(void **state)
{
	uint64_t at = build("there", "find_there", "");
	struct fake_object *o;
	struct fixture f;

	(void)state;
	begin(&f);
	o = fake_file(ID, scratch_path("there"));
	o->error = ENODATA;
	/* Without a path from the ioctl: the record has it. */
	{
		struct record r = record_of(o, 100);

		assert_true(objects_take(f.o, &r.o.hdr));
	}
	check_name(&f, ID, 100, at, "find_there");
	end(&f);

	begin(&f);
	o = fake_file(ID, scratch_path("there"));
	o->error = ENODATA;
	o->ino++;
	{
		struct record r = record_of(o, 100);

		assert_true(objects_take(f.o, &r.o.hdr));
	}
	check_name(&f, ID, 100, at, "[there]");
	end(&f);
}

/* Symbols that had to make room are read again when they are wanted. */
static void test_evicted(void **state)
{
	uint64_t a = build("ev_a", "find_a", "");
	uint64_t b = build("ev_b", "find_b", "");
	struct fixture f;

	(void)state;
	begin_with(&f, 1, 64);
	fake_file(ID, scratch_path("ev_a"));
	fake_file(ID + 1, scratch_path("ev_b"));
	for (int i = 0; i < 5; i++) {
		check_name(&f, ID, 100, a, "find_a");
		check_name(&f, ID + 1, 100, b, "find_b");
	}
	assert_int_equal(fake.opened, 10);
	end(&f);
}

static void test_offsets(void **state)
{
	uint64_t at = build("offsets", "find_it", "");
	struct fixture f;

	(void)state;
	begin(&f);
	fake_file(ID, scratch_path("offsets"));
	check_name(&f, ID, 100, at, "find_it");
	check_name(&f, ID, 100, 0, "[offsets]");
	check_name(&f, ID, 100, 1 << 30, "[offsets]");
	check_name(&f, ID, 100, (UINT64_C(1) << 40) - 1, "[offsets]");
	end(&f);
}

/* Two segments claim the same bytes of the file: still one name, the right one. */
static void test_overlapping_segments(void **state)
{
	uint64_t at = build("overlap", "find_overlap", "");
	struct fixture f;
	Elf64_Ehdr eh;
	Elf64_Phdr ph[32], *text = NULL;
	int fd, changed = 0;

	(void)state;
	if (sizeof(void *) != 8)
		skip();
	fd = open(scratch_path("overlap"), O_RDWR);
	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &eh, sizeof(eh), 0), sizeof(eh));
	assert_in_range(eh.e_phnum, 4, 32);
	assert_true(pread(fd, ph, eh.e_phnum * sizeof(*ph), (off_t)eh.e_phoff) >
		    0);
	for (int i = 0; i < eh.e_phnum; i++)
		if (ph[i].p_type == PT_LOAD && ph[i].p_flags & PF_X)
			text = &ph[i];
	assert_non_null(text);
	/* What need not be there becomes code at other addresses. */
	for (int i = 0; i < eh.e_phnum; i++) {
		if (ph[i].p_type != PT_GNU_STACK && ph[i].p_type != PT_GNU_RELRO)
			continue;
		ph[i] = *text;
		ph[i].p_vaddr += 0x10000000 * (uint64_t)++changed;
		ph[i].p_offset -= changed == 1 ? 0 : 0x100;
		ph[i].p_filesz += 0x4000;
	}
	assert_int_equal(changed, 2);
	assert_true(pwrite(fd, ph, eh.e_phnum * sizeof(*ph),
			   (off_t)eh.e_phoff) > 0);
	close(fd);
	begin(&f);
	fake_file(ID, scratch_path("overlap"));
	check_name(&f, ID, 100, at, "find_overlap");
	end(&f);
}

static void test_vdso(void **state)
{
	struct object_file *file;
	struct fixture f;

	(void)state;
	begin(&f);
	file = objects_find(f.o, KSTRATA_OBJECT_VDSO, 100);
	assert_string_equal(objects_symbol(f.o, file, 0).object, "[vdso]");
	check_name(&f, KSTRATA_OBJECT_VDSO, 100, 1 << 30, "[vdso]");
	check_name(&f, KSTRATA_OBJECT_VDSO32, 100, 0x123, "[vdso32]");
	/* Numbers that nobody gives. */
	check_name(&f, 0, 100, 0x123, "[unknown]");
	check_name(&f, 1, 100, 0x123, "[unknown]");
	check_name(&f, KSTRATA_OBJECT_ID_FIRST - 1, 100, 0x123, "[unknown]");
	assert_int_equal(fake.asked, 0);
	end(&f);
}

static void test_hostile_records(void **state)
{
	struct fake_object o = {
		.id = ID, .kind = KSTRATA_OBJECT_FILE, .path = "/no/such",
	};
	const struct record good = record_of(&o, 100);
	struct fixture f;
	struct record r;

	(void)state;
	begin(&f);
	r = good;
	for (uint32_t size = 16; size < sizeof(r.o); size += 8) {
		r.o.hdr.size = size;
		assert_false(objects_take(f.o, &r.o.hdr));
	}
	r = good;
	for (uint32_t id = 0; id < KSTRATA_OBJECT_ID_FIRST; id++) {
		r.o.id = id;
		assert_false(objects_take(f.o, &r.o.hdr));
		assert_false(gone(&f, id, 100));
	}
	r.o.id = 1u << KSTRATA_FRAME_OBJECT_BITS;
	assert_false(objects_take(f.o, &r.o.hdr));
	assert_false(gone(&f, UINT32_MAX, 100));
	r = good;
	r.o.path_offset = sizeof(r.o) - 1;
	assert_false(objects_take(f.o, &r.o.hdr));
	r.o.path_offset = sizeof(r) + 1;
	assert_false(objects_take(f.o, &r.o.hdr));
	r.o.path_offset = sizeof(r) - 4;
	assert_false(objects_take(f.o, &r.o.hdr));
	r.o.path_offset = UINT16_MAX;
	assert_false(objects_take(f.o, &r.o.hdr));
	r = good;
	r.o.path_bytes = UINT16_MAX;
	assert_false(objects_take(f.o, &r.o.hdr));
	assert_int_equal(stats_of(&f).known, 0);

	/* Gone before it was ever seen. */
	assert_true(gone(&f, ID + 7, 100));
	assert_int_equal(stats_of(&f).known, 0);

	/* A path without its NUL, up to the record's very end; no path; kinds. */
	r = good;
	memset(r.path, 'x', sizeof(r.path));
	r.path[0] = '/';
	r.o.path_bytes = sizeof(r.path);
	assert_true(objects_take(f.o, &r.o.hdr));
	assert_int_equal(strlen(objects_find(f.o, ID, 100)->path),
			 sizeof(r.path));
	r.o.id++;
	r.o.path_bytes = 0;
	assert_true(objects_take(f.o, &r.o.hdr));
	check_name(&f, r.o.id, 100, 1, "[unknown]");
	r = good;
	r.o.id += 2;
	r.o.kind = 77;
	assert_true(objects_take(f.o, &r.o.hdr));
	check_name(&f, r.o.id, 100, 1, "[such]");
	r.o.id++;
	strcpy(r.path, " (deleted)");
	r.o.path_bytes = 11;
	assert_true(objects_take(f.o, &r.o.hdr));
	r.o.id++;
	strcpy(r.path, "/a;b\n (deleted)");
	r.o.path_bytes = sizeof(r.path);
	assert_true(objects_take(f.o, &r.o.hdr));
	check_name(&f, r.o.id, 100, 1, "[a:b?]");
	end(&f);
}

/* More of them than there is room for. */
static void test_bounded(void **state)
{
	struct fixture f;

	(void)state;
	begin_with(&f, 1 << 20, 8);
	for (uint32_t i = 0; i < 1000; i++) {
		struct fake_object o = {
			.id = ID + i,
			.kind = KSTRATA_OBJECT_FILE,
			.path = "/no/such",
			.ino = i,
		};
		struct record r = record_of(&o, 100);

		assert_true(objects_take(f.o, &r.o.hdr));
		check_name(&f, ID + i, 100, i, "[such]");
		assert_true(stats_of(&f).known <= 8);
	}
	assert_int_equal(stats_of(&f).forgotten, 992);
	end(&f);
}

/* A GONE and an OBJECT were lost. */
static void test_doubt(void **state)
{
	uint64_t old = build("was", "find_was", "");
	uint64_t new = build("is", "find_is", "");
	uint64_t before, after;
	struct fixture f;

	(void)state;
	begin(&f);
	fake_file(ID, scratch_path("was"));
	before = (uint64_t)clock_monotonic_ns();
	check_name(&f, ID, before, old, "find_was");
	objects_doubt(f.o);
	check_name(&f, ID, before, old, "find_was");
	assert_int_equal(fake.opened, 1);
	assert_int_equal(fake.asked, 2);
	check_name(&f, ID, before, old, "find_was");
	assert_int_equal(fake.asked, 2);

	fake_file(ID, scratch_path("is"));
	objects_doubt(f.o);
	check_name(&f, ID, before, old, "find_was");
	after = (uint64_t)clock_monotonic_ns() + 1;
	check_name(&f, ID, after, new, "find_is");
	check_name(&f, ID, before, old, "find_was");
	/* The GONE was not lost, only in another ring: it is the old one's. */
	assert_int_equal(fake.opened, 2);
	assert_true(gone(&f, ID, before));
	check_name(&f, ID, before, old, "find_was");
	check_name(&f, ID, before + 1, new, "find_is");
	check_name(&f, ID, after + 1, new, "find_is");
	assert_int_equal(fake.opened, 2);
	end(&f);
}

/* A serial never names two states of knowledge. */
static void test_serials(void **state)
{
	struct fixture f;
	struct record r;
	uint32_t before;

	(void)state;
	begin(&f);
	before = objects_find(f.o, ID, 100)->serial;
	assert_int_not_equal(before, 0);
	assert_int_equal(objects_find(f.o, ID, 100)->serial, before);
	assert_int_not_equal(objects_find(f.o, ID + 1, 100)->serial, before);
	r = record_of(fake_file(ID, "/bin/sh"), 100);
	assert_true(objects_take(f.o, &r.o.hdr));
	assert_int_not_equal(objects_find(f.o, ID, 100)->serial, before);
	before = objects_find(f.o, ID, 100)->serial;
	assert_true(gone(&f, ID, 100));
	assert_int_equal(objects_find(f.o, ID, 100)->serial, before);
	assert_int_not_equal(objects_find(f.o, ID, 101)->serial, before);
	end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_record_first),
		cmocka_unit_test(test_sample_first),
		cmocka_unit_test(test_reused),
		cmocka_unit_test(test_generation),
		cmocka_unit_test(test_copies),
		cmocka_unit_test(test_failures),
		cmocka_unit_test(test_released),
		cmocka_unit_test(test_evicted),
		cmocka_unit_test(test_offsets),
		cmocka_unit_test(test_overlapping_segments),
		cmocka_unit_test(test_vdso),
		cmocka_unit_test(test_hostile_records),
		cmocka_unit_test(test_bounded),
		cmocka_unit_test(test_doubt),
		cmocka_unit_test(test_serials),
	};

	return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
