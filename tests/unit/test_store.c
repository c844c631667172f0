// SPDX-License-Identifier: Apache-2.0
/*
 * The store and the query engine against a naive model, and against what disks
 * and crashes do to files.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "base/log.h"
#include "profile/folded.h"
#include "query/query.h"
#include "store/log.h"
#include "store/store.h"

#define NR_SERIES 12
#define NR_STACKS 300
#define RECORDS_MAX 40000

/* ---- the model ---- */

struct record {
	int64_t window_ns;
	int series;
	int stack;
	uint64_t weight;
};

struct model {
	struct record *v;
	size_t nr;
};

static char *stacks[NR_STACKS]; /* folded, sorted */

static uint64_t rng = 88172645463325252u;

static uint32_t rnd(uint32_t n)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return (uint32_t)(rng >> 11) % n;
}

static int compare_strings(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int make_stacks(void **state)
{
	(void)state;
	for (int i = 0; i < NR_STACKS; i++) {
		char text[512];
		int n = snprintf(text, sizeof(text), "s%d", i);
		int depth = (int)rnd(20);

		for (int k = 0; k < depth; k++)
			n += snprintf(text + n, sizeof(text) - (size_t)n,
				      ";f%u", rnd(9));
		stacks[i] = strdup(text);
	}
	qsort(stacks, NR_STACKS, sizeof(*stacks), compare_strings);
	return 0;
}

static int free_stacks(void **state)
{
	(void)state;
	for (int i = 0; i < NR_STACKS; i++)
		free(stacks[i]);
	return 0;
}

static void series_labels(struct labels *l, int series)
{
	char text[32];

	*l = (struct labels){ 0 };
	snprintf(text, sizeof(text), "app%d", series);
	assert_int_equal(labels_set(l, "service_name", text), 0);
	snprintf(text, sizeof(text), "g%d", series % 3);
	assert_int_equal(labels_set(l, "group", text), 0);
	assert_int_equal(labels_set(l, LABEL_PROFILE_TYPE, PROFILE_TYPE_CPU),
			 0);
}

static int take_node(void *userdata, uint32_t node, uint64_t value)
{
	(void)value;
	*(uint32_t *)userdata = node;
	return 0;
}

static uint32_t intern_stack(struct dict *d, const char *stack)
{
	char text[600];
	int n = snprintf(text, sizeof(text), "%s 1\n", stack);
	uint32_t node = 0;

	assert_int_equal(folded_parse(d, text, (size_t)n, 1, take_node, &node,
				      NULL),
			 0);
	return node;
}

static void add(struct store *s, struct model *m, int series, int stack,
		int64_t time_ns, uint64_t weight)
{
	struct labels l;
	uint32_t id;

	series_labels(&l, series);
	assert_int_equal(dict_series(store_dict(s), &l, &id), 0);
	labels_release(&l);
	assert_int_equal(store_add(s, id,
				   intern_stack(store_dict(s), stacks[stack]),
				   time_ns, weight),
			 0);
	if (!m)
		return;
	assert_true(m->nr < RECORDS_MAX);
	m->v[m->nr++] = (struct record){ time_ns - time_ns % WINDOW_NS, series,
					 stack, weight };
}

static bool in_range(const struct record *r, int64_t from, int64_t until)
{
	if (until <= from)
		until = from + 1;
	return r->window_ns < until && r->window_ns + WINDOW_NS > from;
}

/* A selector and what it means. */
static void choose_selector(char *text, size_t len, bool *takes)
{
	int pick = (int)rnd(NR_SERIES), group = (int)rnd(3);
	int kind = (int)rnd(5);

	for (int i = 0; i < NR_SERIES; i++)
		takes[i] = kind == 0 ? true :
			   kind == 1 ? i == pick :
			   kind == 2 ? i % 3 == group :
			   kind == 3 ? i % 3 != group :
				       i % 3 == group && i != pick;
	if (kind == 0)
		snprintf(text, len, PROFILE_TYPE_CPU "{}");
	else if (kind == 1)
		snprintf(text, len, "{service_name=\"app%d\"}", pick);
	else if (kind == 2)
		snprintf(text, len, "{group=~\"g[%d]\",}", group);
	else if (kind == 3)
		snprintf(text, len, "{group!=\"g%d\"}", group);
	else
		snprintf(text, len, "{group='g%d', service_name!~`app%d`}",
			 group, pick);
}

/* The folded stack of a flame's node, "" for the root. */
static void path_of(const struct flame *f, uint32_t i, char *out, size_t len)
{
	uint32_t chain[64];
	size_t n = 0, at = 0;

	for (; i; i = f->nodes[i].parent) {
		assert_true(n < ARRAY_SIZE(chain));
		chain[n++] = i;
	}
	*out = '\0';
	while (n--) {
		at += (size_t)snprintf(out + at, len - at, "%s%s",
				       at ? ";" : "",
				       strtab_get(f->strings,
						  f->nodes[chain[n]].name,
						  NULL));
		assert_true(at < len);
	}
}

static void check_shape(const struct flame *f)
{
	uint64_t *below = calloc(f->nr, sizeof(*below));

	assert_true(f->nr >= 1);
	assert_int_equal(f->nodes[0].parent, 0);
	assert_int_equal(f->nodes[0].depth, 0);
	assert_string_equal(strtab_get(f->strings, f->nodes[0].name, NULL),
			    "total");
	for (uint32_t i = 1; i < f->nr; i++) {
		const struct flame_node *n = &f->nodes[i];

		assert_true(n->parent < i);
		assert_int_equal(n->depth, f->nodes[n->parent].depth + 1);
		below[n->parent] += n->total;
	}
	for (uint32_t i = 0; i < f->nr; i++)
		assert_int_equal(f->nodes[i].total,
				 f->nodes[i].self + below[i]);
	free(below);
}

static void check_merge(struct store *s, const struct model *m,
			const char *text, const bool *takes, int64_t from,
			int64_t until)
{
	uint64_t expect[NR_STACKS] = { 0 }, total = 0;
	struct selector *sel;
	struct flame *f;

	for (size_t i = 0; i < m->nr; i++) {
		const struct record *r = &m->v[i];

		if (!takes[r->series] || !in_range(r, from, until))
			continue;
		expect[r->stack] += r->weight;
		total += r->weight;
	}
	/* Equal stacks are one. */
	for (int i = 1; i < NR_STACKS; i++) {
		if (strcmp(stacks[i - 1], stacks[i]))
			continue;
		expect[i] += expect[i - 1];
		expect[i - 1] = 0;
	}
	assert_int_equal(selector_parse(&sel, text, NULL), 0);
	assert_int_equal(query_merge(s, sel, from, until, &f), 0);
	check_shape(f);
	assert_int_equal(f->nodes[0].total, total);
	for (uint32_t i = 0; i < f->nr; i++) {
		char path[600], *key = path;
		char **at;

		if (!f->nodes[i].self)
			continue;
		path_of(f, i, path, sizeof(path));
		at = bsearch(&key, stacks, NR_STACKS, sizeof(*stacks),
			     compare_strings);
		assert_non_null(at);
		while (at + 1 < stacks + NR_STACKS && !strcmp(at[0], at[1]))
			at++;
		assert_int_equal(expect[at - stacks], f->nodes[i].self);
		expect[at - stacks] = 0;
	}
	for (int i = 0; i < NR_STACKS; i++)
		assert_int_equal(expect[i], 0);
	flame_free(f);
	selector_free(sel);
}

static void check_series(struct store *s, const struct model *m,
			 const char *text, const bool *takes, int64_t from,
			 int64_t until, int64_t step)
{
	struct query_series q;
	struct selector *sel;
	uint64_t *expect;
	int r;

	assert_int_equal(selector_parse(&sel, text, NULL), 0);
	r = query_series(s, sel, from, until, step, &q);
	selector_free(sel);
	if (r == -E2BIG)
		return;
	assert_int_equal(r, 0);
	assert_int_equal(q.start_ns % q.step_ns, 0);
	assert_int_equal(q.step_ns % WINDOW_NS, 0);
	expect = calloc(q.nr, sizeof(*expect));
	for (size_t i = 0; i < m->nr; i++) {
		const struct record *rec = &m->v[i];
		int64_t at = (rec->window_ns - q.start_ns) / q.step_ns;

		if (!takes[rec->series] || !in_range(rec, from, until))
			continue;
		assert_true(at >= 0 && (size_t)at < q.nr);
		expect[at] += rec->weight;
	}
	assert_memory_equal(expect, q.points, q.nr * sizeof(*expect));
	free(expect);
	query_series_release(&q);
}

static void check_some(struct store *s, const struct model *m, int64_t now)
{
	bool takes[NR_SERIES];
	char text[200];

	for (int i = 0; i < 4; i++) {
		int64_t from = now - (int64_t)rnd(2000) * NSEC_PER_SEC;
		int64_t until = from + (int64_t)rnd(2000) * NSEC_PER_SEC;

		choose_selector(text, sizeof(text), takes);
		if (!rnd(4)) {
			from = 0;
			until = INT64_MAX;
		}
		check_merge(s, m, text, takes, from, until);
		check_series(s, m, text, takes, from, until,
			     (int64_t)(1 + rnd(200)) * NSEC_PER_SEC);
	}
}

/* ---- directories ---- */

static char *new_dir(void)
{
	char *dir = strdup("/tmp/kstrata-test-XXXXXX");

	assert_non_null(mkdtemp(dir));
	return dir;
}

static void remove_tree(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *e;

	while (d && (e = readdir(d))) {
		char path[600];

		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		if (unlink(path) < 0)
			remove_tree(path);
	}
	if (d)
		closedir(d);
	rmdir(dir);
}

static void free_dir(char *dir)
{
	remove_tree(dir);
	free(dir);
}

/* How many epochs are there, and the path of the newest one's file. */
static int find_file(const char *dir, const char *file, char *out, size_t len)
{
	char newest[256] = "";
	struct dirent *e;
	DIR *d = opendir(dir);
	int nr = 0;

	assert_non_null(d);
	while ((e = readdir(d))) {
		if (strncmp(e->d_name, "epoch-", 6))
			continue;
		nr++;
		if (strcmp(e->d_name, newest) > 0)
			snprintf(newest, sizeof(newest), "%s", e->d_name);
	}
	closedir(d);
	snprintf(out, len, "%s/%s/%s", dir, newest, file);
	return nr;
}

static struct store *open_store(const char *dir)
{
	const struct store_options o = { .dir = dir,
					 .sync_ns = 60 * NSEC_PER_SEC };
	struct store *s = NULL;

	assert_int_equal(store_open(&s, &o), 0);
	return s;
}

static void read_whole(const char *path, char **data, size_t *len)
{
	assert_int_equal(util_read_file(path, 64 << 20, data, len), 0);
}

static void write_whole(const char *path, const char *data, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0640);

	assert_true(fd >= 0);
	assert_int_equal(util_write_all(fd, data, len), 0);
	close(fd);
}

/* ---- tests ---- */

static void run_property(const char *dir, uint64_t epoch_bytes, int rounds)
{
	const struct store_options o = {
		.dir = dir,
		.sync_ns = 60 * NSEC_PER_SEC,
		.epoch_bytes = epoch_bytes,
		.memory_bytes = 1ull << 30,
	};
	struct model m = { .v = calloc(RECORDS_MAX, sizeof(*m.v)) };
	int64_t now = clock_realtime_ns();
	struct store_stats st;
	struct store *s;

	assert_int_equal(store_open(&s, &o), 0);
	for (int i = 0; i < rounds; i++) {
		for (int k = (int)rnd(40); k--;) {
			int64_t t = now - (int64_t)rnd(4) * NSEC_PER_SEC;

			if (!rnd(30))
				t = now - (int64_t)rnd(100000) * NSEC_PER_SEC;
			if (!rnd(30))
				t = now + (int64_t)rnd(100000) * NSEC_PER_SEC;
			add(s, &m, (int)rnd(NR_SERIES), (int)rnd(NR_STACKS), t,
			    rnd(5) ? 1 + rnd(1000) : (uint64_t)1 << rnd(40));
		}
		now += (int64_t)(1 + rnd(5)) * NSEC_PER_SEC;
		store_tick(s, now);
		if (!rnd(40))
			assert_int_equal(store_flush(s), 0);
		if (dir && !rnd(40)) {
			store_close(s);
			assert_int_equal(store_open(&s, &o), 0);
		}
		if (!rnd(10))
			check_some(s, &m, now);
	}
	check_some(s, &m, now);
	store_get_stats(s, &st);
	assert_false(st.failing);
	assert_int_equal(st.windows_dropped, 0);
	assert_true(!dir || !epoch_bytes || st.epochs > 3);
	store_close(s);
	free(m.v);
}

static void test_property_disk(void **state)
{
	char *dir = new_dir();

	(void)state;
	run_property(dir, 0, 600);
	free_dir(dir);
}

static void test_property_many_epochs(void **state)
{
	char *dir = new_dir();

	(void)state;
	run_property(dir, 16384, 600);
	free_dir(dir);
}

static void test_property_memory(void **state)
{
	(void)state;
	run_property(NULL, 0, 600);
}

static void test_second_open(void **state)
{
	char *dir = new_dir();
	const struct store_options o = { .dir = dir };
	struct store *s = open_store(dir), *other;

	(void)state;
	assert_int_equal(store_open(&other, &o), -EWOULDBLOCK);
	store_close(s);
	s = open_store(dir);
	store_close(s);
	free_dir(dir);
}

static void test_newer_version(void **state)
{
	char *dir = new_dir(), path[400], *data;
	const struct store_options o = { .dir = dir };
	struct store *s = open_store(dir);
	uint32_t crc;
	size_t len;

	(void)state;
	add(s, NULL, 0, 0, clock_realtime_ns(), 1);
	store_close(s);
	assert_int_equal(find_file(dir, "log", path, sizeof(path)), 1);
	read_whole(path, &data, &len);
	data[8]++;
	crc = crc32c(0, data, 28);
	memcpy(data + 28, &crc, 4);
	write_whole(path, data, len);
	free(data);
	assert_int_equal(store_open(&s, &o), -EPROTONOSUPPORT);
	free_dir(dir);
}

static uint64_t total_of(struct store *s, const char *selector)
{
	struct selector *sel;
	struct flame *f;
	uint64_t total;

	assert_int_equal(selector_parse(&sel, selector, NULL), 0);
	assert_int_equal(query_merge(s, sel, 0, INT64_MAX, &f), 0);
	total = f->nodes[0].total;
	check_shape(f);
	flame_free(f);
	selector_free(sel);
	return total;
}

/* Where the k-th commit of a store begins is where the file ended before. */
static uint64_t bytes_of(struct store *s)
{
	struct store_stats st;

	store_get_stats(s, &st);
	return st.bytes;
}

#define COMMITS 4

/* A store of some commits, each of weight 1 << 8 * its number. */
static void make_commits(const char *dir, uint64_t *ends)
{
	struct store *s = open_store(dir);
	int64_t now = clock_realtime_ns();

	for (int i = 0; i < COMMITS; i++) {
		for (int k = 0; k < 4; k++)
			add(s, NULL, i, 10 * i + k, now + i * WINDOW_NS,
			    UINT64_C(1) << (8 * i));
		assert_int_equal(store_flush(s), 0);
		ends[i] = bytes_of(s);
	}
	store_close(s);
}

static uint64_t weight_of_commits(int n)
{
	uint64_t total = 0;

	for (int i = 0; i < n; i++)
		total += UINT64_C(4) << (8 * i);
	return total;
}

/* A crash in the middle of a write: any prefix of the file. */
static void test_truncated(void **state)
{
	char *dir = new_dir(), path[400], *data;
	uint64_t ends[COMMITS];
	size_t len;

	(void)state;
	make_commits(dir, ends);
	assert_int_equal(find_file(dir, "log", path, sizeof(path)), 1);
	read_whole(path, &data, &len);
	assert_int_equal(len, ends[COMMITS - 1]);
	for (size_t cut = 0; cut < len; cut++) {
		char *copy = new_dir(), copied[400];
		uint64_t got, least;
		struct store *s;
		int whole = 0;

		snprintf(copied, sizeof(copied), "%s%s", copy,
			 path + strlen(dir));
		*strrchr(copied, '/') = '\0';
		mkdir(copied, 0750);
		strcat(copied, "/log");
		write_whole(copied, data, cut);
		s = open_store(copy);
		while (whole < COMMITS && ends[whole] <= cut)
			whole++;
		got = total_of(s, "{}");
		least = weight_of_commits(whole);
		/* A commit is one block of windows: all of it or nothing. */
		assert_int_equal(got, least);
		/* It goes on. */
		add(s, NULL, 11, 200, clock_realtime_ns(),
		    UINT64_C(1) << 50);
		assert_int_equal(store_flush(s), 0);
		store_close(s);
		s = open_store(copy);
		assert_int_equal(total_of(s, "{}"),
				 least + (UINT64_C(1) << 50));
		store_close(s);
		free_dir(copy);
	}
	free(data);
	free_dir(dir);
}

static void test_damaged_middle(void **state)
{
	char *dir = new_dir(), path[400], *data, *old;
	uint64_t ends[COMMITS];
	struct store *s;
	size_t len, old_len;

	(void)state;
	make_commits(dir, ends);
	find_file(dir, "log", path, sizeof(path));
	read_whole(path, &data, &len);
	data[ends[1] + 50] ^= 1;
	write_whole(path, data, len);
	s = open_store(dir);
	assert_int_equal(total_of(s, "{}"), weight_of_commits(2));
	assert_int_equal(total_of(s, "{service_name=\"app1\"}"), 4 << 8);
	/* The current epoch is another one; the old file is kept. */
	add(s, NULL, 3, 3, clock_realtime_ns(), 7);
	store_close(s);
	strcat(path, ".damaged");
	read_whole(path, &old, &old_len);
	assert_int_equal(old_len, len);
	assert_memory_equal(old, data, len);
	assert_int_equal(find_file(dir, "log", path, sizeof(path)), 2);
	s = open_store(dir);
	assert_int_equal(total_of(s, "{}"), weight_of_commits(2) + 7);
	store_close(s);
	free(old);
	free(data);
	free_dir(dir);
}

/* Any byte of the file wrong: never a crash, never a wrong weight. */
static void test_flipped(void **state)
{
	char *dir = new_dir(), path[400], *data;
	uint64_t ends[COMMITS];
	size_t len;

	(void)state;
	make_commits(dir, ends);
	find_file(dir, "log", path, sizeof(path));
	read_whole(path, &data, &len);
	for (size_t at = 0; at < len; at += 1 + rnd(3)) {
		const struct store_options o = { .dir = dir };
		char other[420], bit = (char)(1 << rnd(8));
		struct store *s;
		int r;

		data[at] ^= bit;
		write_whole(path, data, len);
		data[at] ^= bit;
		r = store_open(&s, &o);
		if (!r) {
			uint64_t got = total_of(s, "{}");
			bool prefix = false;

			for (int i = 0; i <= COMMITS; i++)
				prefix |= got == weight_of_commits(i);
			assert_true(prefix);
			assert_true(got < weight_of_commits(COMMITS));
			store_close(s);
		} else {
			assert_int_equal(r, -EPROTONOSUPPORT);
		}
		snprintf(other, sizeof(other), "%s.damaged", path);
		unlink(other);
		strcpy(other, path);
		*strrchr(other, '/') = '\0';
		mkdir(other, 0750);
	}
	free(data);
	free_dir(dir);
}

/* A block's content that is right but, now and then, for a number. */
static void hostile(int type, uint32_t nr, struct buf *head, struct buf *body)
{
	uint64_t v[64];
	size_t n = 0;

	if (type != BLOCK_WINDOWS)
		v[n++] = type != BLOCK_SERIES;
	v[n++] = nr;
	for (uint32_t i = 0; i < nr; i++) {
		if (type == BLOCK_STRINGS) {
			v[n++] = 1;
			v[n++] = 'a' + i;
		} else if (type == BLOCK_LOCATIONS) {
			v[n++] = 1 + i % 2;
			v[n++] = i;
		} else if (type == BLOCK_NODES) {
			v[n++] = 1;
			v[n++] = 1;
		} else if (type == BLOCK_SERIES) {
			v[n++] = 1;
			v[n++] = 1;
			v[n++] = 'a' + i;
			v[n++] = 1;
			v[n++] = 'b';
		} else {
			v[n++] = 0;
			v[n++] = i * 2;
			v[n++] = 7;
			v[n++] = 1;
			v[n++] = 2;
			buf_varint(body, rnd(3));
			buf_varint(body, 7);
		}
	}
	if (!rnd(6))
		v[rnd((uint32_t)n)] = rnd(2) ? rnd(5) : UINT64_MAX >> rnd(64);
	if (!rnd(20))
		n--;
	for (size_t i = 0; i < n; i++)
		buf_varint(head, v[i]);
}

/* CRCs that fit content that does not: what a hostile file would have. */
static void test_hostile_blocks(void **state)
{
	int sound = 0;

	(void)state;
	for (int i = 0; i < 1500; i++) {
		char *dir = new_dir(), path[400];
		struct buf head = { 0 }, body = { 0 };
		struct logfile *f;
		struct codec *c;
		struct store *s;
		int fd;

		snprintf(path, sizeof(path), "%s/epoch-0000000100", dir);
		mkdir(path, 0750);
		fd = open(path, O_RDONLY | O_DIRECTORY);
		assert_int_equal(logfile_create(&f, fd, "log", 100), 0);
		assert_int_equal(codec_new(&c), 0);
		for (int type = BLOCK_STRINGS; type <= BLOCK_WINDOWS; type++) {
			head.len = 0;
			body.len = 0;
			hostile(type, rnd(3) + 2, &head, &body);
			assert_int_equal(logfile_append(f, c,
							(enum block_type)type,
							&head, &body, NULL),
					 0);
		}
		logfile_close(f);
		codec_free(c);
		close(fd);
		buf_release(&head);
		buf_release(&body);
		s = open_store(dir);
		{
			struct selector *sel;
			struct flame *flame;

			assert_int_equal(selector_parse(&sel, "", NULL), 0);
			if (!query_merge(s, sel, 0, INT64_MAX, &flame)) {
				sound += flame->nodes[0].total > 0;
				flame_free(flame);
			}
			selector_free(sel);
		}
		store_close(s);
		free_dir(dir);
	}
	/* Not all were refused at the door. */
	assert_true(sound > 100);
}

static void check_full_disk(const char *dir, int (*more)(void *), void *arg)
{
	const struct store_options o = { .dir = dir, .memory_bytes = 64 << 20 };
	struct model m = { .v = calloc(RECORDS_MAX, sizeof(*m.v)) };
	bool takes[NR_SERIES];
	struct store_stats st;
	struct store *s;
	int64_t now = clock_realtime_ns();
	int failed = 0;

	memset(takes, 1, sizeof(takes));
	assert_int_equal(store_open(&s, &o), 0);
	for (int i = 0; i < 60; i++) {
		for (int k = 0; k < 300; k++)
			add(s, &m, (int)rnd(NR_SERIES), (int)rnd(NR_STACKS),
			    now, (uint64_t)rnd(1u << 30) << 20 | 1);
		now += 10 * NSEC_PER_SEC;
		store_tick(s, now);
		store_get_stats(s, &st);
		failed += st.failing;
		if (!(i % 10))
			check_merge(s, &m, "{}", takes, 0, INT64_MAX);
	}
	assert_true(failed > 0);
	assert_int_equal(st.windows_dropped, 0);
	assert_true(st.write_errors > 0);
	check_merge(s, &m, "{}", takes, 0, INT64_MAX);
	assert_int_equal(more(arg), 0);
	now += 10 * NSEC_PER_SEC;
	store_tick(s, now);
	store_get_stats(s, &st);
	assert_false(st.failing);
	store_close(s);
	assert_int_equal(store_open(&s, &o), 0);
	check_merge(s, &m, "{}", takes, 0, INT64_MAX);
	store_close(s);
	free(m.v);
}

static int lift_limit(void *arg)
{
	return setrlimit(RLIMIT_FSIZE, arg);
}

static void test_write_errors(void **state)
{
	char *dir = new_dir();
	struct rlimit old, small;

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	small = old;
	small.rlim_cur = 30000;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	check_full_disk(dir, lift_limit, &old);
	free_dir(dir);
}

static int remount_larger(void *arg)
{
	return mount("none", arg, NULL, MS_REMOUNT, "size=64m");
}

static void test_disk_full(void **state)
{
	char *dir = new_dir();

	(void)state;
	if (mount("none", dir, "tmpfs", 0, "size=64k") < 0) {
		free_dir(dir);
		skip();
	}
	check_full_disk(dir, remount_larger, dir);
	umount(dir);
	free_dir(dir);
}

/* Nothing can be written for long: memory stays bounded, losses are counted. */
static void test_disk_full_bounded(void **state)
{
	char *dir = new_dir();
	const struct store_options o = { .dir = dir, .memory_bytes = 1 << 20 };
	int64_t now = clock_realtime_ns();
	struct rlimit old, small;
	struct store_stats st;
	struct store *s;

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	small = old;
	small.rlim_cur = 1000;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	assert_int_equal(store_open(&s, &o), 0);
	for (int i = 0; i < 400; i++) {
		for (int k = 0; k < 600; k++)
			add(s, NULL, (int)rnd(NR_SERIES), (int)rnd(NR_STACKS),
			    now, (uint64_t)rnd(1u << 30) << 30 | 1);
		now += 10 * NSEC_PER_SEC;
		store_tick(s, now);
	}
	store_get_stats(s, &st);
	assert_true(st.failing);
	assert_true(st.windows_dropped > 0);
	assert_true(st.memory < 4 << 20);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_int_equal(store_flush(s), 0);
	store_close(s);
	free_dir(dir);
}

static void test_memory_bounded(void **state)
{
	const struct store_options o = { .memory_bytes = 4 << 20 };
	int64_t now = clock_realtime_ns();
	uint32_t generation;
	struct store_stats st;
	struct store *s;

	(void)state;
	assert_int_equal(store_open(&s, &o), 0);
	generation = store_generation(s);
	for (int i = 0; i < 3000; i++) {
		for (int k = 0; k < 200; k++) {
			struct labels l;
			uint32_t series;
			char stack[64];

			/* Names that never come again: the words add up too. */
			series_labels(&l, (int)rnd(NR_SERIES));
			assert_int_equal(dict_series(store_dict(s), &l,
						     &series),
					 0);
			labels_release(&l);
			snprintf(stack, sizeof(stack), "a;b;n%d-%d", i, k);
			assert_int_equal(
				store_add(s, series,
					  intern_stack(store_dict(s), stack),
					  now, 5),
				0);
		}
		now += 10 * NSEC_PER_SEC;
		store_tick(s, now);
		store_get_stats(s, &st);
		assert_true(st.memory < 5 << 20);
	}
	assert_true(st.windows_dropped > 0);
	assert_true(st.epochs > 1);
	assert_true(store_generation(s) != generation);
	/* The newest is there. */
	assert_true(st.newest_ns >= now - 40 * NSEC_PER_SEC);
	assert_true(total_of(s, "{}") >= 1000);
	store_close(s);
}

static void test_retention(void **state)
{
	char *dir = new_dir();
	struct store_options o = { .dir = dir,
				   .retention_bytes = 200000,
				   .epoch_bytes = 20000 };
	int64_t now = clock_realtime_ns();
	struct store_stats st;
	struct store *s;
	char path[400];
	int on_disk;

	(void)state;
	assert_int_equal(store_open(&s, &o), 0);
	for (int i = 0; i < 300; i++) {
		for (int k = 0; k < 300; k++)
			add(s, NULL, (int)rnd(NR_SERIES), (int)rnd(NR_STACKS),
			    now, (uint64_t)rnd(1u << 30) << 20 | 1);
		now += 10 * NSEC_PER_SEC;
		store_tick(s, now);
		store_get_stats(s, &st);
		assert_true(st.bytes < 230000);
	}
	assert_true(st.epochs > 4);
	assert_int_equal(st.windows_dropped, 0);
	assert_true(st.written_bytes > 250000);
	/* By age: all but the current epoch go. */
	o.retention_ns = 3600 * NSEC_PER_SEC;
	store_configure(s, &o);
	now += 2 * 3600 * NSEC_PER_SEC;
	store_tick(s, now);
	store_get_stats(s, &st);
	assert_int_equal(st.epochs, 1);
	store_close(s);
	on_disk = find_file(dir, "log", path, sizeof(path));
	assert_in_range(on_disk, 0, 1);
	free_dir(dir);
}

static void test_day_ends_epoch(void **state)
{
	char *dir = new_dir();
	struct store *s = open_store(dir);
	int64_t now = clock_realtime_ns();
	uint32_t generation = store_generation(s);
	struct store_stats st;

	(void)state;
	add(s, NULL, 0, 1, now, 1);
	store_tick(s, now + NSEC_PER_SEC);
	assert_int_equal(store_generation(s), generation);
	add(s, NULL, 0, 1, now, 10);
	store_tick(s, now + 25 * 3600 * NSEC_PER_SEC);
	assert_int_not_equal(store_generation(s), generation);
	assert_int_equal(dict_series_count(store_dict(s)), 0);
	add(s, NULL, 0, 1, now, 100);
	assert_int_equal(total_of(s, "{}"), 111);
	store_close(s);
	s = open_store(dir);
	store_get_stats(s, &st);
	assert_true(st.epochs >= 2);
	assert_int_equal(total_of(s, "{}"), 111);
	store_close(s);
	free_dir(dir);
}

static void test_bad_input(void **state)
{
	const struct store_options o = { .memory_bytes = 1 << 20 };
	struct labels l;
	struct store *s;
	uint32_t id;

	(void)state;
	assert_int_equal(store_open(&s, &o), 0);
	assert_int_equal(store_add(s, 0, 0, 1, 1), -EINVAL);
	series_labels(&l, 0);
	assert_int_equal(dict_series(store_dict(s), &l, &id), 0);
	labels_release(&l);
	assert_int_equal(store_add(s, id, 1, 1, 1), -EINVAL);
	assert_int_equal(store_add(s, id, 0, -1, 1), -EINVAL);
	assert_int_equal(store_add(s, id, 0, INT64_MAX, 1), -EINVAL);
	assert_int_equal(store_add(s, id, 0, INT64_MAX / 2, 3), 0);
	assert_int_equal(store_add(s, id, 0, 0, 4), 0);
	assert_int_equal(total_of(s, "{}"), 7);
	store_close(s);
}

/* Killed at any moment: what was synced is there. */
static void test_killed(void **state)
{
	(void)state;
	for (int i = 0; i < 20; i++) {
		char *dir = new_dir(), byte;
		uint64_t acknowledged = 0, got;
		struct store *s;
		int pipes[2];
		pid_t pid;

		assert_int_equal(pipe(pipes), 0);
		pid = fork();
		assert_true(pid >= 0);
		if (!pid) {
			int64_t now = clock_realtime_ns();

			s = open_store(dir);
			for (;;) {
				add(s, NULL, (int)rnd(NR_SERIES),
				    (int)rnd(NR_STACKS), now, 1);
				now += NSEC_PER_SEC;
				if (store_flush(s) < 0 ||
				    write(pipes[1], "", 1) != 1)
					_exit(1);
			}
		}
		close(pipes[1]);
		for (int n = 1 + (int)rnd(60); n--;) {
			assert_int_equal(read(pipes[0], &byte, 1), 1);
			acknowledged++;
		}
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		while (read(pipes[0], &byte, 1) == 1)
			acknowledged++;
		close(pipes[0]);
		s = open_store(dir);
		got = total_of(s, "{}");
		assert_in_range(got, acknowledged, acknowledged + 1);
		store_close(s);
		free_dir(dir);
	}
}

struct adding {
	struct store *s;
	uint32_t series;
	int64_t now;
};

static int add_folded(void *userdata, uint32_t node, uint64_t value)
{
	struct adding *a = userdata;

	return store_add(a->s, a->series, node, a->now, value);
}

#define MANY 100000

static void test_many_stacks(void **state)
{
	char *dir = new_dir();
	struct adding a = { .s = open_store(dir), .now = clock_realtime_ns() };
	bool *seen = calloc(MANY, sizeof(*seen));
	struct buf text = { 0 };
	struct folded_error err;
	struct selector *sel;
	struct flame *f;
	struct labels l;
	uint32_t found = 0;

	(void)state;
	for (int i = 0; i < MANY; i++)
		buf_printf(&text, "main;work%d;step%d;leaf%d %d\n", i % 10,
			   i % 1000, i, i + 1);
	series_labels(&l, 1);
	assert_int_equal(dict_series(store_dict(a.s), &l, &a.series), 0);
	labels_release(&l);
	assert_int_equal(folded_parse(store_dict(a.s), text.data, text.len, 3,
				      add_folded, &a, &err),
			 0);
	buf_release(&text);
	store_close(a.s);
	a.s = open_store(dir);
	assert_int_equal(selector_parse(&sel, "{}", NULL), 0);
	assert_int_equal(query_merge(a.s, sel, 0, INT64_MAX, &f), 0);
	check_shape(f);
	for (uint32_t i = 0; i < f->nr; i++) {
		char path[200], expect[200];
		uint64_t n;

		if (!f->nodes[i].self)
			continue;
		n = f->nodes[i].self / 3 - 1;
		assert_true(n < MANY && !seen[n]);
		seen[n] = true;
		found++;
		path_of(f, i, path, sizeof(path));
		snprintf(expect, sizeof(expect),
			 "main;work%d;step%d;leaf%d", (int)n % 10,
			 (int)n % 1000, (int)n);
		assert_string_equal(path, expect);
	}
	assert_int_equal(found, MANY);
	flame_free(f);
	selector_free(sel);
	store_close(a.s);
	free(seen);
	free_dir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_property_disk),
		cmocka_unit_test(test_property_many_epochs),
		cmocka_unit_test(test_property_memory),
		cmocka_unit_test(test_second_open),
		cmocka_unit_test(test_newer_version),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_damaged_middle),
		cmocka_unit_test(test_flipped),
		cmocka_unit_test(test_hostile_blocks),
		cmocka_unit_test(test_write_errors),
		cmocka_unit_test(test_disk_full),
		cmocka_unit_test(test_disk_full_bounded),
		cmocka_unit_test(test_memory_bounded),
		cmocka_unit_test(test_retention),
		cmocka_unit_test(test_day_ends_epoch),
		cmocka_unit_test(test_bad_input),
		cmocka_unit_test(test_killed),
		cmocka_unit_test(test_many_stacks),
	};

	/* Damage is warned of by the thousand here. */
	log_set_level(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, make_stacks, free_stacks);
}
