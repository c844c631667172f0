// SPDX-License-Identifier: Apache-2.0
/*
 * collect/paths.c: what is remembered of a thread's last stack changes nothing.
 * Two collectors take the same samples; one is made to forget before each.
 */
#include "fakedevice.h"
#include "samples.h"

#include "collect/paths.h"
#include "serve/foldedtext.h"

#define ROUNDS 20000
#define FRAMES 24
#define THREADS 7
#define HOUR (3600 * (uint64_t)NSEC_PER_SEC)

static struct device *device;
static char exe[PATH_MAX];

static int setup_fake(void **state)
{
	(void)state;
	if (readlink("/proc/self/exe", exe, sizeof(exe) - 1) < 0 ||
	    fake_open(&device) < 0)
		return -1;
	return 0;
}

static int teardown_fake(void **state)
{
	(void)state;
	device_close(device);
	return 0;
}

static char *folded_of(struct store *s)
{
	struct buf text = { 0 };
	struct selector *sel;
	struct flame *f;

	assert_int_equal(selector_parse(&sel, "{}", NULL), 0);
	assert_int_equal(query_merge(s, sel, 0, INT64_MAX, &f), 0);
	assert_int_equal(foldedtext_write(f, &text), 0);
	flame_free(f);
	selector_free(sel);
	return (char *)buf_cstr(&text);
}

static void assert_equal(struct fixture *a, struct fixture *b)
{
	struct collector_stats x, y;
	char *s = folded_of(a->store), *t = folded_of(b->store);

	assert_string_equal(s, t);
	assert_true(strlen(s) > 0);
	free(s);
	free(t);
	collector_get_stats(a->collector, &x);
	collector_get_stats(b->collector, &y);
	assert_int_equal(x.samples, y.samples);
	assert_int_equal(x.failed, 0);
	assert_int_equal(x.damaged, 0);
	assert_int_equal(x.frames, y.frames);
	assert_int_equal(x.unknown_frames, y.unknown_frames);
	assert_memory_equal(x.user_frames, y.user_frames,
			    sizeof(x.user_frames));
	assert_memory_equal(x.cut_weight, y.cut_weight, sizeof(x.cut_weight));
}

/* Few of each kind, so that they meet again in other places. */
static uint64_t user_frame(uint64_t *seed)
{
	uint64_t pick = scratch_random(seed) % 8;

	switch (scratch_random(seed) % 16) {
	case 0:
		return KSTRATA_FRAME_ANON | (0x1000 + pick);
	case 1:
	case 2:
		return KSTRATA_FRAME_NOWHERE | (0x2000 + pick);
	case 3:
		return 0x3000 + pick; /* not looked up */
	case 4: /* nobody knows the number */
		return KSTRATA_FRAME_OBJECT |
		       UINT64_C(99) << KSTRATA_FRAME_OFFSET_BITS | pick;
	case 5:
		return KSTRATA_FRAME_OBJECT |
		       (uint64_t)KSTRATA_OBJECT_VDSO
			       << KSTRATA_FRAME_OFFSET_BITS |
		       pick * 64;
	}
	return KSTRATA_FRAME_OBJECT |
	       (16 + pick % 2) << KSTRATA_FRAME_OFFSET_BITS |
	       (0x2000 + scratch_random(seed) % 64 * 0x100);
}

static uint64_t kernel_frame(uint64_t *seed)
{
	/* Also at a function's first byte, where a return address is not. */
	return 0xffffffff81000100 + scratch_random(seed) % 3 * 0x100 +
	       scratch_random(seed) % 2 * 0x10;
}

/* As before, but for some of the inner frames; sometimes not at all. */
static void next_stack(struct sample *x, uint64_t *seed)
{
	static const uint8_t reasons[] = { KSTRATA_REASON_COMPLETE,
					   KSTRATA_REASON_COMPLETE,
					   KSTRATA_REASON_COMPLETE,
					   KSTRATA_REASON_FAULT };
	unsigned int user = x->s.nr_user, kernel = x->s.nr_kernel;
	uint64_t old[FRAMES];
	unsigned int keep;

	memcpy(old, x->frames + kernel, user * sizeof(*old));
	if (scratch_random(seed) % 8) {
		x->s.nr_user = (uint16_t)(scratch_random(seed) % 12);
		x->s.nr_kernel = scratch_random(seed) % 3 ?
					 0 :
					 (uint16_t)(scratch_random(seed) % 8);
		keep = (unsigned int)(scratch_random(seed) % 13);
		if (keep > user)
			keep = user;
		for (unsigned int i = 0; i < x->s.nr_user; i++)
			x->frames[x->s.nr_kernel + x->s.nr_user - 1 - i] =
				i < keep ? old[user - 1 - i] :
					   user_frame(seed);
		for (unsigned int i = 0; i < x->s.nr_kernel; i++)
			x->frames[i] = kernel_frame(seed);
		if (x->s.nr_kernel == 1 && scratch_random(seed) % 2)
			x->frames[0] = KSTRATA_FRAME_HIDDEN;
		x->s.user_reason = reasons[scratch_random(seed) % 4];
		if (!x->s.nr_user)
			x->s.user_reason = KSTRATA_REASON_NONE;
		x->s.kernel_reason = reasons[scratch_random(seed) % 4];
		x->s.lookup = scratch_random(seed) % 16 ?
				      KSTRATA_LOOKUP_DONE :
				      KSTRATA_LOOKUP_BUSY;
	}
}

/* The number 17 is another file from now on, by turns. */
static void change_object(struct fixture *f, uint64_t time, bool first)
{
	const struct fake_object *o = fake_file(17, first ? exe : "/bin/true");
	struct {
		struct kstrata_object r;
		char path[PATH_MAX];
	} now = {
		.r.hdr.type = KSTRATA_RECORD_OBJECT,
		.r.hdr.size = sizeof(now),
		.r.hdr.time = time,
		.r.id = 17,
		.r.kind = o->kind,
		.r.generation = o->generation,
		.r.dev_major = o->dev_major,
		.r.dev_minor = o->dev_minor,
		.r.ino = o->ino,
		.r.path_offset = sizeof(now.r),
		.r.path_bytes = (uint16_t)(strlen(o->path) + 1),
	};
	struct kstrata_object gone = {
		.hdr.type = KSTRATA_RECORD_OBJECT,
		.hdr.flags = KSTRATA_OBJECT_GONE,
		.hdr.size = sizeof(gone),
		.hdr.time = time,
		.id = 17,
	};

	strcpy(now.path, o->path);
	collector_take(f->collector, &gone.hdr);
	collector_take(f->collector, &now.r.hdr);
}

static void test_same(void **state)
{
	struct sample threads[THREADS];
	struct fixture *a, *b;
	uint64_t seed = 3, time = (uint64_t)clock_monotonic_ns();
	bool first = true;

	(void)state;
	assert_int_equal(setup_with((void **)&a, device), 0);
	assert_int_equal(setup_with((void **)&b, device), 0);
	fake_file(16, exe);
	fake_file(17, exe);
	for (unsigned int i = 0; i < THREADS; i++) {
		threads[i] = sample_of((1u << 22) + i % 3, "paths", 1);
		/* Some of the same number, as of two pid namespaces. */
		threads[i].s.tid = i % 5;
	}
	for (unsigned int i = 1; i <= ROUNDS; i++) {
		struct sample *x = &threads[scratch_random(&seed) % THREADS];

		next_stack(x, &seed);
		x->s.weight = 1 + scratch_random(&seed) % 1000;
		time += NSEC_PER_SEC / 100;
		/* Rings are read one after the other. */
		x->s.hdr.time = time - scratch_random(&seed) % NSEC_PER_SEC;
		if (i % 100 == 0) {
			first = !first;
			change_object(a, time - NSEC_PER_SEC / 2, first);
			change_object(b, time - NSEC_PER_SEC / 2, first);
		}
		if (i % 4700 == 0) {
			/* A new epoch, with a dictionary of its own. */
			store_tick(a->store, clock_realtime_ns() +
						     (int64_t)(i * HOUR));
			store_tick(b->store, clock_realtime_ns() +
						     (int64_t)(i * HOUR));
		}
		collector_take(a->collector, &x->s.hdr);
		collector_forget_kernel(b->collector);
		collector_take(b->collector, &x->s.hdr);
		if (i % 500 == 0)
			assert_equal(a, b);
	}
	teardown((void **)&a);
	teardown((void **)&b);
}

static struct sample two_frames(void)
{
	struct sample x = sample_of(1, "x", 1);

	x.s.lookup = KSTRATA_LOOKUP_DONE;
	x.s.nr_user = 2;
	x.frames[0] = KSTRATA_FRAME_ANON | 1;
	x.frames[1] = KSTRATA_FRAME_ANON | 2;
	return x;
}

static unsigned int shared(struct paths *p, const struct sample *x, enum cut cut)
{
	unsigned int n;
	struct path *path = paths_begin(p, &x->s, cut, &n);

	assert_non_null(path);
	for (unsigned int i = n; i < path->total; i++) {
		path->steps[i].frame = x->frames[path->total - 1 - i];
		path->nr++;
	}
	return n;
}

static void test_shared(void **state)
{
	struct sample x = two_frames(), y = x;
	struct paths p = { 0 };

	(void)state;
	assert_int_equal(shared(&p, &x, CUT_NOT), 0);
	assert_int_equal(shared(&p, &x, CUT_NOT), 2);
	/* One more inside: what was the leaf is a return address now. */
	y.s.nr_user = 3;
	memcpy(y.frames + 1, x.frames, sizeof(*y.frames) * 2);
	assert_int_equal(shared(&p, &y, CUT_NOT), 1);
	assert_int_equal(shared(&p, &y, CUT_NOT), 3);
	/* And one less: a return address is the leaf. */
	assert_int_equal(shared(&p, &x, CUT_NOT), 1);
	/* The same words, but one of them in the kernel. */
	x.s.nr_user = x.s.nr_kernel = 1;
	assert_int_equal(shared(&p, &x, CUT_NOT), 1);
	/* Under another marker, or of nobody knows what. */
	assert_int_equal(shared(&p, &x, CUT_FAULT), 0);
	assert_int_equal(shared(&p, &x, CUT_FAULT), 2);
	paths_forget(&p);
	assert_int_equal(shared(&p, &x, CUT_FAULT), 0);
	x.s.lookup = KSTRATA_LOOKUP_BUSY;
	assert_null(paths_begin(&p, &x.s, CUT_FAULT, &(unsigned int){ 0 }));
	paths_release(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_same),
		cmocka_unit_test(test_shared),
	};

	return cmocka_run_group_tests(tests, setup_fake, teardown_fake);
}
