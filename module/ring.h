/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One CPU's ring: single producer (this CPU, interrupts off), single consumer
 * (user space). Layout and ordering: uapi/kstrata.h, section 3.
 */
#ifndef _KST_RING_H
#define _KST_RING_H

#include <linux/types.h>

#include <kstrata/ring.h>

struct page;
struct vm_area_struct;

struct kst_ring {
	u64 head;		/* the truth; user space sees a copy, which is */
	u64 published;		/* this one: behind head only while committing */
	u32 bytes;
	u32 watermark;
	u64 lost;		/* records dropped since the last LOST record */
	u64 lost_weight;
	struct kstrata_ring_consumer *consumer;	/* user space writes here */
	struct kstrata_ring_producer *producer;
	void *data;
	struct page **pages;	/* behind the mapping, each once */
	unsigned int nr_pages;
};

/*
 * May sleep. bytes is a power of two and at least a page; memory comes from
 * cpu's node, zeroed, charged to the caller's cgroup.
 */
int kst_ring_init(struct kst_ring *r, int cpu, u32 bytes, u32 watermark);
/* May sleep. Safe on a zeroed ring, and while user space still maps it. */
void kst_ring_free(struct kst_ring *r);

/*
 * Producer only, interrupts off. Room for one record of at most max bytes, or
 * NULL: then the record is counted as lost together with weight. What was lost
 * before is told first, in a LOST record of its own.
 */
void *kst_ring_reserve(struct kst_ring *r, u32 max, u64 now, u64 weight);
/* The same, but the caller keeps what does not fit for later: it is not lost. */
void *kst_ring_try_reserve(struct kst_ring *r, u32 max, u64 now);
/*
 * Producer only, interrupts off: publish the reserved record, whose hdr.size
 * says how much of the room it took. True when the consumer wants waking.
 */
bool kst_ring_commit(struct kst_ring *r);

/*
 * Interrupts off, on the ring's CPU, no record reserved: tell what was lost
 * since the last record. Every reservation leaves room for this, once.
 */
void kst_ring_flush(struct kst_ring *r, u64 now);

/* Any context: does the ring hold as much as its watermark? */
bool kst_ring_readable(const struct kst_ring *r);

/* mmap() of the two parts, for kst_session_mmap(). */
int kst_ring_map_consumer(struct kst_ring *r, struct vm_area_struct *vma);
int kst_ring_map_data(struct kst_ring *r, struct vm_area_struct *vma);

#endif /* _KST_RING_H */
