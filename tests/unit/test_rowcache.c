// SPDX-License-Identifier: Apache-2.0
/* symbol/rowcache: what is put in comes out, whatever becomes of its files. */
#include "scratch.h"

#include "base/log.h"
#include "symbol/rowcache.h"
#include "tables.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <signal.h>
#include <time.h>

static struct rowcache *begin(uint64_t bytes)
{
	struct rowcache *c;

	scratch_run("rm -rf rows");
	assert_int_equal(rowcache_open(&c, scratch_path("rows"), bytes), 0);
	return c;
}

static struct rowcache_stats stats_of(const struct rowcache *c)
{
	struct rowcache_stats stats;

	rowcache_get_stats(c, &stats);
	return stats;
}

/* A key as one of a file with this build-id would be. */
static struct rowcache_key key_of(const char *build_id)
{
	struct rowcache_key key;

	snprintf(key.name, sizeof(key.name),
		 "%s-0-1-2.3." KSTRATA_VERSION "-" CFI_REVISION ".rows",
		 build_id);
	return key;
}

static void put(struct rowcache *c, const char *id, uint64_t first,
		uint32_t nr_rules)
{
	struct rowcache_key key = key_of(id);
	struct cfi_table table = table_make(first, nr_rules);

	rowcache_put(c, &key, &table);
	cfi_table_release(&table);
}

/* What the table there begins with; or -errno. */
static int64_t get(struct rowcache *c, const char *id)
{
	struct rowcache_key key = key_of(id);
	struct cfi_table table;
	int r = rowcache_get(c, &key, &table);
	int64_t first;

	if (r) {
		assert_null(table.bytes);
		return r;
	}
	first = (int64_t)table_first(&table);
	cfi_table_release(&table);
	return first;
}

static void test_round_trip(void **state)
{
	struct rowcache *c = begin(1 << 20);
	struct rowcache_key none = key_of("bbbb"), empty = { "" };
	struct cfi_table table;

	(void)state;
	assert_int_equal(get(c, "aaaa"), -ENOENT);
	put(c, "aaaa", 4096, 3);
	rowcache_put(c, &none, NULL);
	assert_int_equal(get(c, "aaaa"), 4096);
	assert_int_equal(get(c, "bbbb"), -ENODATA);
	assert_true(rowcache_has(c, &none));
	/* Once more, with another content. */
	put(c, "aaaa", 8192, 3);
	assert_int_equal(get(c, "aaaa"), 8192);
	assert_int_equal(stats_of(c).files, 2);
	assert_int_equal(stats_of(c).hits, 3);
	assert_int_equal(stats_of(c).misses, 1);
	/* Nothing to know it by. */
	rowcache_put(c, &empty, NULL);
	assert_int_equal(rowcache_get(c, &empty, &table), -ENOENT);
	assert_false(rowcache_has(c, &empty));
	rowcache_close(c);
	assert_int_equal(rowcache_open(&c, scratch_path("rows"), 1 << 20), 0);
	assert_int_equal(stats_of(c).files, 2);
	assert_int_equal(get(c, "aaaa"), 8192);
	assert_int_equal(get(c, "bbbb"), -ENODATA);
	rowcache_close(c);
}

/* Every byte counts, and so does every one that is missing. */
static void test_damage(void **state)
{
	struct rowcache *c = begin(1 << 20);
	struct stat st;
	char path[PATH_MAX];

	(void)state;
	snprintf(path, sizeof(path), "%s/%s", scratch_path("rows"),
		 key_of("aaaa").name);
	put(c, "aaaa", 4096, 1);
	assert_int_equal(stat(path, &st), 0);
	for (off_t at = 0; at < st.st_size; at++) {
		uint8_t byte;
		int fd;

		put(c, "aaaa", 4096, 1);
		fd = open(path, O_RDWR);
		assert_int_equal(pread(fd, &byte, 1, at), 1);
		byte ^= 0x10;
		assert_int_equal(pwrite(fd, &byte, 1, at), 1);
		close(fd);
		assert_int_equal(get(c, "aaaa"), -ENOENT);
		/* It is gone, and can be made anew. */
		assert_int_equal(stat(path, &st) < 0, 1);
		put(c, "aaaa", 4096, 1);
		assert_int_equal(get(c, "aaaa"), 4096);
		assert_int_equal(stat(path, &st), 0);
	}
	assert_int_equal(stats_of(c).damaged, st.st_size);
	for (off_t size = 0; size < st.st_size; size += 5) {
		put(c, "aaaa", 4096, 1);
		assert_int_equal(truncate(path, size), 0);
		assert_int_equal(get(c, "aaaa"), -ENOENT);
	}
	assert_int_equal(stats_of(c).files, 0);
	rowcache_close(c);
}

/* What is used stays; what is not goes, and never more is kept than may be. */
static void test_room(void **state)
{
	const uint32_t rules = 600; /* of 40 bytes each */
	struct rowcache *c = begin(200 << 10);
	char id[16];

	(void)state;
	put(c, "used", 1, rules);
	for (uint64_t i = 0; i < 40; i++) {
		struct timespec tick = { .tv_nsec = 5000000 };

		snprintf(id, sizeof(id), "%04d", (int)i);
		put(c, id, i, rules);
		assert_int_equal(get(c, "used"), 1);
		assert_int_equal(get(c, id), i);
		assert_true(stats_of(c).bytes <= 200 << 10);
		/* File systems tell times apart by their own clock's ticks. */
		nanosleep(&tick, NULL);
	}
	assert_true(stats_of(c).evicted > 20);
	assert_int_equal(get(c, "0000"), -ENOENT);
	assert_int_equal(get(c, "0039"), 39);
	/* One that would take most of it is not kept at all. */
	put(c, "huge", 9, 2000);
	assert_int_equal(get(c, "huge"), -ENOENT);
	rowcache_close(c);
	/* A smaller one from now on. */
	assert_int_equal(rowcache_open(&c, scratch_path("rows"), 60 << 10), 0);
	assert_true(stats_of(c).bytes <= 60 << 10);
	assert_int_equal(get(c, "0039"), 39);
	rowcache_close(c);
}

static void test_strangers(void **state)
{
	struct rowcache *c = begin(1 << 20);

	(void)state;
	put(c, "aaaa", 1, 1);
	rowcache_close(c);
	scratch_run("cd rows && echo x > new && echo x > cccc-0-1-2.3.0.0.0-1.rows "
		    "&& mkdir dir && ln -s /etc/passwd dddd-0-1-2.3." KSTRATA_VERSION
		    "-" CFI_REVISION ".rows");
	assert_int_equal(rowcache_open(&c, scratch_path("rows"), 1 << 20), 0);
	assert_int_equal(stats_of(c).files, 1);
	/* What was never finished and another version's are removed. */
	scratch_run("test ! -e rows/new && test ! -e rows/cccc* && test -d rows/dir");
	/* No link is followed out of it. */
	assert_int_equal(get(c, "dddd"), -ENOENT);
	rowcache_close(c);
}

/* Without room, or without a directory, we go without. */
static void test_full_disk(void **state)
{
	struct rowcache *c;
	struct rlimit was, small;

	(void)state;
	c = begin(1 << 20);
	put(c, "aaaa", 1, 1);
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &was);
	small = was;
	small.rlim_cur = 4096;
	setrlimit(RLIMIT_FSIZE, &small);
	put(c, "bbbb", 2, 300);
	setrlimit(RLIMIT_FSIZE, &was);
	assert_int_equal(stats_of(c).failed, 1);
	assert_int_equal(get(c, "bbbb"), -ENOENT);
	scratch_run("test ! -e rows/new");
	/* Not tried again at once; what there is can be read. */
	put(c, "cccc", 3, 1);
	assert_int_equal(get(c, "cccc"), -ENOENT);
	assert_int_equal(get(c, "aaaa"), 1);
	rowcache_close(c);
	scratch_write("file", "x", 1);
	assert_true(rowcache_open(&c, scratch_path("file/rows"), 1 << 20) < 0);
}

static void test_keys(void **state)
{
	struct rowcache_key a, b;
	uint32_t owner;
	int fd;

	(void)state;
	scratch_run("echo 'int main(void) { return 0; }' > p.c && "
		    "cc -Wl,--build-id=0x00112233445566778899 -o p p.c && "
		    "cc -Wl,--build-id=none -o q p.c && cp -p p r && "
		    "touch -d @12345 p");
	fd = open(scratch_path("p"), O_RDONLY);
	assert_int_equal(rowcache_key(fd, &a, &owner), 0);
	assert_int_equal(owner, getuid());
	assert_non_null(strstr(a.name, "00112233445566778899-"));
	close(fd);
	/* Of the same build-id, but another time. */
	fd = open(scratch_path("r"), O_RDONLY);
	assert_int_equal(rowcache_key(fd, &b, &owner), 0);
	assert_string_not_equal(a.name, b.name);
	close(fd);
	fd = open(scratch_path("q"), O_RDONLY);
	assert_int_equal(rowcache_key(fd, &a, &owner), -ENODATA);
	assert_string_equal(a.name, "");
	close(fd);
	fd = open(scratch_path("p.c"), O_RDONLY);
	assert_int_equal(rowcache_key(fd, &a, &owner), -ENOEXEC);
	assert_string_equal(a.name, "");
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_damage),
		cmocka_unit_test(test_room),
		cmocka_unit_test(test_strangers),
		cmocka_unit_test(test_full_disk),
		cmocka_unit_test(test_keys),
	};

	log_set_level(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
