// SPDX-License-Identifier: GPL-2.0-only
/* The ring as the sampler uses it: real pages, mapped twice. */
#include "../ring.c"

#include <linux/random.h>

#include <kstrata/period.h>

#include "suites.h"

#define BYTES	KSTRATA_RING_BYTES_MIN
/* The longest record that there is. */
#define LONGEST	(sizeof(struct kstrata_sample) + \
		 8 * (KSTRATA_KERNEL_DEPTH_MAX + KSTRATA_USER_DEPTH_MAX))

/* The producer's calls, which want interrupts off; expectations want them on. */
static void *reserve(struct kst_ring *r, u32 max, u64 now, u64 weight)
{
	unsigned long flags;
	void *rec;

	local_irq_save(flags);
	rec = kst_ring_reserve(r, max, now, weight);
	local_irq_restore(flags);
	return rec;
}

static bool commit(struct kst_ring *r)
{
	unsigned long flags;
	bool wake;

	local_irq_save(flags);
	wake = kst_ring_commit(r);
	local_irq_restore(flags);
	return wake;
}

static void flush(struct kst_ring *r, u64 now)
{
	unsigned long flags;

	local_irq_save(flags);
	kst_ring_flush(r, now);
	local_irq_restore(flags);
}

static int ring_setup(struct kunit *test)
{
	struct kst_ring *r = kunit_kzalloc(test, sizeof(*r), GFP_KERNEL);

	if (!r)
		return -ENOMEM;
	test->priv = r;
	return kst_ring_init(r, 0, BYTES, BYTES / 2);
}

static void ring_teardown(struct kunit *test)
{
	if (test->priv)
		kst_ring_free(test->priv);
}

/* As if head bytes had been produced and consumed. */
static void ring_at(struct kst_ring *r, u64 head)
{
	r->head = head;
	r->published = head;
	r->producer->head = head;
	r->consumer->tail = head;
}

static u64 word_of(u64 head, unsigned int i)
{
	return head * 0x9e3779b97f4a7c15ull + i;
}

/* A record of size bytes, every word of it written. */
static void fill(struct kstrata_record *rec, u32 size, u64 seed)
{
	u64 *words = (u64 *)rec;
	unsigned int i;

	*rec = (struct kstrata_record){ .type = 99, .size = size, .time = seed };
	for (i = sizeof(*rec) / 8; i < size / 8; i++)
		words[i] = word_of(seed, i);
}

static unsigned int damaged(const struct kstrata_record *rec)
{
	const u64 *words = (const u64 *)rec;
	unsigned int i, bad = 0;

	for (i = sizeof(*rec) / 8; i < rec->size / 8; i++)
		bad += words[i] != word_of(rec->time, i);
	return bad;
}

static void ring_fresh(struct kunit *test)
{
	struct kst_ring *r = test->priv;
	unsigned int i, bad = 0;

	KUNIT_EXPECT_EQ(test, r->producer->ring_bytes, BYTES);
	KUNIT_EXPECT_EQ(test, r->producer->head, 0);
	KUNIT_EXPECT_EQ(test, r->nr_pages, 2 + BYTES / PAGE_SIZE);
	KUNIT_EXPECT_FALSE(test, kst_ring_readable(r));
	for (i = 0; i < 2 * BYTES / 8; i++)
		bad += ((u64 *)r->data)[i] != 0;
	KUNIT_EXPECT_EQ(test, bad, 0);
}

static void ring_mapped_twice(struct kunit *test)
{
	struct kst_ring *r = test->priv;
	u64 *first = r->data, *again = r->data + BYTES;
	unsigned int i, bad = 0;

	for (i = 0; i < BYTES / 8; i++)
		first[i] = word_of(1, i);
	for (i = 0; i < BYTES / 8; i++)
		bad += again[i] != word_of(1, i);
	for (i = 0; i < BYTES / 8; i++)
		again[i] = word_of(2, i);
	for (i = 0; i < BYTES / 8; i++)
		bad += first[i] != word_of(2, i);
	KUNIT_EXPECT_EQ(test, bad, 0);
	KUNIT_EXPECT_EQ(test, r->producer->ring_bytes, BYTES);
}

/* The longest record at every offset there is, before and after 2^32 and 2^64. */
static void ring_every_offset(struct kunit *test)
{
	const u64 bases[] = { 0, 1ull << 32, 0 - (u64)BYTES };
	struct kst_ring *r = test->priv;
	unsigned int b, step = max(8u, 800 / max(1u, kst_test_effort) * 8);
	u64 off;

	for (b = 0; b < ARRAY_SIZE(bases); b++) {
		for (off = 0; off < BYTES; off += b ? step + 64 : step) {
			u64 at = bases[b] + off;
			const struct kstrata_record *rec;
			void *p;

			ring_at(r, at);
			p = reserve(r, LONGEST, 1, 1);
			KUNIT_ASSERT_PTR_EQ(test, p, r->data + off);
			fill(p, LONGEST, at);
			KUNIT_ASSERT_FALSE(test, commit(r));
			KUNIT_ASSERT_EQ(test, r->producer->head, at + LONGEST);
			rec = kst_ring_record(r->data, BYTES, at,
					      r->producer->head);
			KUNIT_ASSERT_PTR_EQ(test, (void *)rec, p);
			KUNIT_ASSERT_EQ(test, damaged(rec), 0);
		}
	}
}

/* Reserved for the worst case, committed for what was used. */
static void ring_commits_less(struct kunit *test)
{
	struct kst_ring *r = test->priv;
	struct kstrata_record *rec;
	u32 size;

	for (size = sizeof(*rec); size <= LONGEST; size += 8) {
		u64 head = r->head;

		rec = reserve(r, LONGEST, size, 1);
		KUNIT_ASSERT_NOT_NULL(test, rec);
		fill(rec, size, head);
		commit(r);
		KUNIT_ASSERT_EQ(test, r->head, head + size);
		r->consumer->tail = r->head;
	}
	KUNIT_EXPECT_EQ(test, r->producer->lost, 0);
}

/*
 * A reservation that nothing is committed for leaves no trace that a consumer
 * could see, but a LOST record that became due before it stays.
 */
static void ring_abandoned(struct kunit *test)
{
	struct kst_ring *r = test->priv;
	void *p = reserve(r, LONGEST, 1, 1);

	memset(p, 0xee, LONGEST);
	KUNIT_EXPECT_EQ(test, r->producer->head, 0);
	KUNIT_EXPECT_EQ(test, r->head, 0);
	KUNIT_EXPECT_PTR_EQ(test, reserve(r, LONGEST, 1, 1), p);
}

/* The consumer is woken once when the mark is crossed. */
static void ring_wakes_once(struct kunit *test)
{
	struct kst_ring *r = test->priv;
	unsigned int wakes = 0, n = 0;

	ring_at(r, 5 * BYTES + 8);
	for (;;) {
		struct kstrata_record *rec = reserve(r, 512, 1, 1);
		bool woke;

		if (!rec)
			break;
		fill(rec, 512, n);
		woke = commit(r);
		n++;
		wakes += woke;
		KUNIT_EXPECT_EQ(test, woke, n == BYTES / 2 / 512);
		KUNIT_EXPECT_EQ(test, kst_ring_readable(r), n >= BYTES / 2 / 512);
	}
	KUNIT_EXPECT_EQ(test, wakes, 1);
	KUNIT_EXPECT_EQ(test, n, BYTES / 512 - 1);
}

/* What a consumer that trusts nothing has seen. */
struct seen {
	u64 records, lost, lost_weight, weight;
	u64 bad;
};

#define EVERYTHING	(1ull << 62)

static void drain(struct kst_ring *r, struct seen *seen, u64 most)
{
	u64 tail = r->consumer->tail, head = r->producer->head;
	u64 end = min(head, tail + most);
	const struct kstrata_record *rec;

	while (tail < end) {
		rec = kst_ring_record(r->data, BYTES, tail, head);
		if (!rec) {
			seen->bad++;
			break;
		}
		if (rec->type == KSTRATA_RECORD_LOST) {
			const struct kstrata_lost *lost = (const void *)rec;

			seen->bad += rec->size != sizeof(*lost) || !lost->lost;
			seen->lost += lost->lost;
			seen->lost_weight += lost->weight;
		} else {
			seen->records++;
			seen->weight += rec->time;
			seen->bad += damaged(rec);
		}
		tail += rec->size;
	}
	r->consumer->tail = tail;
}

/*
 * Random records, random reading: everything that was offered is either seen
 * or told as lost, by number and by weight, in the record and in the counter.
 */
static void ring_accounts(struct kunit *test)
{
	struct kst_ring *r = test->priv;
	struct seen seen = {};
	u64 random = 4711, offered = 0, weight = 0, head;
	unsigned int i;

	for (i = 0; i < kst_test_trials(200000); i++) {
		u32 size = 16 + 8 * (kst_random(&random) % 60);
		u64 w = kst_random(&random) % 100000;
		struct kstrata_record *rec;

		rec = reserve(r, max_t(u32, size, 200), i, w);
		offered++;
		weight += w;
		if (rec) {
			fill(rec, size, w);
			commit(r);
		}
		/* Long pauses, then little or everything. */
		if (kst_random(&random) % 64 == 0)
			drain(r, &seen, kst_random(&random) % 8 ?
						1 + kst_random(&random) % BYTES :
						EVERYTHING);
		if (kst_random(&random) % 512 == 0)
			flush(r, i);
	}
	flush(r, i);
	/* Idempotent: nothing is due any more. */
	head = r->head;
	flush(r, i);
	KUNIT_EXPECT_EQ(test, r->head, head);
	drain(r, &seen, EVERYTHING);
	KUNIT_EXPECT_EQ(test, seen.bad, 0);
	KUNIT_EXPECT_GT(test, seen.lost, 0);
	KUNIT_EXPECT_EQ(test, seen.records + seen.lost, offered);
	KUNIT_EXPECT_EQ(test, seen.weight + seen.lost_weight, weight);
	KUNIT_EXPECT_EQ(test, r->producer->lost, seen.lost);
	KUNIT_EXPECT_EQ(test, r->producer->lost_weight, seen.lost_weight);
}

/* However a ring got full, the end can always be told. */
static void ring_flush_has_room(struct kunit *test)
{
	struct kst_ring *r = test->priv;
	u64 random = 17;
	unsigned int i;

	for (i = 0; i < kst_test_trials(2000); i++) {
		struct seen seen = {};
		u64 lost = r->producer->lost, offered = 0;

		ring_at(r, (u64)kst_random(&random) * 8);
		do {
			u32 size = 16 + 8 * (kst_random(&random) % 400);
			struct kstrata_record *rec = reserve(r, size, 1, 1);

			offered++;
			if (rec) {
				fill(rec, size, offered);
				commit(r);
			}
		} while (r->producer->lost - lost < 1 + i % 3);
		flush(r, 2);
		KUNIT_ASSERT_EQ(test, r->lost, 0);
		drain(r, &seen, EVERYTHING);
		KUNIT_ASSERT_EQ(test, seen.bad, 0);
		KUNIT_ASSERT_EQ(test, seen.records + seen.lost, offered);
	}
}

/*
 * The one word that user space writes: whatever it says, a reservation lies
 * within the ring's pages, and head goes on from where it was.
 */
static void ring_hostile_tail(struct kunit *test)
{
	struct kst_ring *r = test->priv;
	u64 random = 31, given = 0, refused = 0, told = 0;
	unsigned int i;

	for (i = 0; i < kst_test_trials(200000); i++) {
		u32 size = 16 + 8 * (kst_random(&random) % 300);
		u64 before, tail, at, offset;
		struct kstrata_record *rec;

		switch (kst_random(&random) % 6) {
		case 0:
			tail = (u64)kst_random(&random) << 32 | kst_random(&random);
			break;
		case 1:
			tail = r->head + kst_random(&random) % 64 - 32;
			break;
		case 2:
			tail = r->head - BYTES + kst_random(&random) % 64 - 32;
			break;
		case 3:
			tail = r->head ^ 1ull << kst_random(&random) % 64;
			break;
		case 4:
			tail = kst_random(&random) % 2 ? 0 : ~0ull;
			break;
		default:
			tail = r->head;
		}
		WRITE_ONCE(r->consumer->tail, tail);
		before = r->head;
		at = r->lost;
		rec = reserve(r, size, i, 1);
		if (!rec) {
			refused++;
			KUNIT_ASSERT_EQ(test, r->head, before);
			continue;
		}
		told += at;
		given++;
		/* Unsigned: not before the data either. */
		offset = (void *)rec - r->data;
		KUNIT_ASSERT_LT(test, offset, BYTES);
		KUNIT_ASSERT_LE(test, offset + size, 2 * BYTES);
		KUNIT_ASSERT_EQ(test, r->head - before,
				at ? sizeof(struct kstrata_lost) : 0);
		/* Every byte of it is there: KASAN and the guard page agree. */
		fill(rec, size, i);
		WRITE_ONCE(r->consumer->tail, tail + kst_random(&random));
		commit(r);
		kst_ring_readable(r);
		if (i % 16 == 0)
			flush(r, i);
	}
	flush(r, i);
	KUNIT_EXPECT_GT(test, given, 0);
	KUNIT_EXPECT_GT(test, refused, 0);
	KUNIT_EXPECT_EQ(test, given + refused, kst_test_trials(200000));
	KUNIT_EXPECT_EQ(test, r->producer->lost, refused);
	/* The control pages were nobody's target. */
	KUNIT_EXPECT_EQ(test, r->producer->ring_bytes, BYTES);
	KUNIT_EXPECT_EQ(test, r->producer->cpu, 0);
}

/* User space may scribble over its own page, all of it. */
static void ring_scribbled(struct kunit *test)
{
	struct kst_ring *r = test->priv;
	unsigned int i;

	for (i = 0; i < kst_test_trials(2000); i++) {
		struct kstrata_record *rec;

		get_random_bytes(r->consumer, PAGE_SIZE);
		rec = reserve(r, 64, i, 1);
		if (!rec)
			continue;
		fill(rec, 64, i);
		commit(r);
	}
	KUNIT_EXPECT_EQ(test, r->producer->ring_bytes, BYTES);
	KUNIT_EXPECT_EQ(test, r->producer->head, r->head);
}

static void ring_sizes(struct kunit *test)
{
	u32 bytes;

	for (bytes = PAGE_SIZE; bytes <= 1u << 22; bytes <<= 1) {
		struct kst_ring r = {};

		if (bytes < KSTRATA_RING_BYTES_MIN)
			continue;
		KUNIT_ASSERT_EQ(test, kst_ring_init(&r, 0, bytes, bytes - 1), 0);
		KUNIT_EXPECT_EQ(test, r.nr_pages, 2 + bytes / PAGE_SIZE);
		((u8 *)r.data)[2 * bytes - 1] = 42;
		KUNIT_EXPECT_EQ(test, ((u8 *)r.data)[bytes - 1], 42);
		kst_ring_free(&r);
		KUNIT_EXPECT_NULL(test, r.data);
		/* Freeing twice is freeing once. */
		kst_ring_free(&r);
	}
}

static struct kunit_case cases[] = {
	KUNIT_CASE(ring_fresh),
	KUNIT_CASE(ring_mapped_twice),
	KUNIT_CASE(ring_every_offset),
	KUNIT_CASE(ring_commits_less),
	KUNIT_CASE(ring_abandoned),
	KUNIT_CASE(ring_wakes_once),
	KUNIT_CASE(ring_accounts),
	KUNIT_CASE(ring_flush_has_room),
	KUNIT_CASE(ring_hostile_tail),
	KUNIT_CASE(ring_scribbled),
	KUNIT_CASE(ring_sizes),
	{}
};

struct kunit_suite kst_ring_suite = {
	.name = "kstrata-ring",
	.init = ring_setup,
	.exit = ring_teardown,
	.test_cases = cases,
};
