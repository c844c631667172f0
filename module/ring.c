// SPDX-License-Identifier: GPL-2.0-only
#include "ring.h"

#include <linux/build_bug.h>
#include <linux/lockdep.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/topology.h>
#include <linux/vmalloc.h>

#include "compat/vma.h"

/* The consumer's page, the producer's page. */
#define CONTROL_PAGES	2

static void check_layout(void)
{
	BUILD_BUG_ON(sizeof(struct kstrata_record) != 16);
	BUILD_BUG_ON(sizeof(struct kstrata_sample) != 72);
	BUILD_BUG_ON(sizeof(struct kstrata_lost) != 32);
	BUILD_BUG_ON(sizeof(struct kstrata_task) != 64);
	BUILD_BUG_ON(sizeof(struct kstrata_throttle) != 40);
	BUILD_BUG_ON(sizeof(struct kstrata_version) != 40);
	BUILD_BUG_ON(sizeof(struct kstrata_setup) != 48);
	BUILD_BUG_ON(sizeof(struct kstrata_switch) != 8);
	BUILD_BUG_ON(sizeof(struct kstrata_filter) != 16);
	BUILD_BUG_ON(sizeof(struct kstrata_configure) != 40);
	BUILD_BUG_ON(sizeof(struct kstrata_object_get) != 56);
	BUILD_BUG_ON(sizeof(struct kstrata_object) != 48);
	BUILD_BUG_ON(offsetof(struct kstrata_ring_producer, ring_bytes) != 64);
	BUILD_BUG_ON(sizeof(struct kstrata_ring_producer) != 200);
	/* The largest SAMPLE and two LOST records fit in the smallest ring. */
	BUILD_BUG_ON(2 * sizeof(struct kstrata_lost) +
		     sizeof(struct kstrata_sample) +
		     8 * (KSTRATA_KERNEL_DEPTH_MAX + KSTRATA_USER_DEPTH_MAX) >
		     KSTRATA_RING_BYTES_MIN);
}

int kst_ring_init(struct kst_ring *r, int cpu, u32 bytes, u32 watermark)
{
	unsigned int nr_data = bytes >> PAGE_SHIFT;
	unsigned int nr = CONTROL_PAGES + nr_data;
	struct page **pages;
	void *area;

	check_layout();
	/* The data pages stand twice in it: that is what wraps records. */
	pages = kvcalloc(nr + nr_data, sizeof(*pages), GFP_KERNEL);
	if (!pages)
		return -ENOMEM;
	r->pages = pages;
	for (; r->nr_pages < nr; r->nr_pages++) {
		struct page *page;

		page = alloc_pages_node(cpu_to_node(cpu),
					GFP_KERNEL_ACCOUNT | __GFP_ZERO |
					__GFP_NOWARN, 0);
		if (!page)
			goto err;
		pages[r->nr_pages] = page;
		if (r->nr_pages >= CONTROL_PAGES)
			pages[r->nr_pages + nr_data] = page;
	}
	/* VM_USERMAP: remap_vmalloc_range() may give it to user space. */
	area = vmap(pages, nr + nr_data, VM_MAP | VM_USERMAP, PAGE_KERNEL);
	if (!area)
		goto err;
	r->bytes = bytes;
	r->watermark = watermark;
	r->consumer = area;
	r->producer = area + PAGE_SIZE;
	r->data = area + CONTROL_PAGES * PAGE_SIZE;
	r->producer->ring_bytes = bytes;
	r->producer->cpu = cpu;
	return 0;

err:
	kst_ring_free(r);
	return -ENOMEM;
}

void kst_ring_free(struct kst_ring *r)
{
	if (r->consumer)
		vunmap(r->consumer);
	while (r->nr_pages)
		__free_page(r->pages[--r->nr_pages]);
	kvfree(r->pages);
	memset(r, 0, sizeof(*r));
}

/* Where the record at head begins; it does not split, the data is doubled. */
static void *ring_at_head(struct kst_ring *r)
{
	return r->data + (r->head & (r->bytes - 1));
}

static void ring_put_lost(struct kst_ring *r, u64 now)
{
	struct kstrata_lost *rec = ring_at_head(r);

	*rec = (struct kstrata_lost){
		.hdr.type = KSTRATA_RECORD_LOST,
		.hdr.size = sizeof(*rec),
		.hdr.time = now,
		.lost = r->lost,
		.weight = r->lost_weight,
	};
	r->head += sizeof(*rec);
	r->lost = 0;
	r->lost_weight = 0;
}

void *kst_ring_try_reserve(struct kst_ring *r, u32 max, u64 now)
{
	/* A: pairs with the consumer's release of tail (D). */
	u64 tail = smp_load_acquire(&r->consumer->tail);
	/*
	 * There is always room left for a LOST record: see kst_ring_flush().
	 * One that is due now takes room of its own.
	 */
	u64 needed = max + sizeof(struct kstrata_lost) * (r->lost ? 2 : 1);

	lockdep_assert_irqs_disabled();
	if (unlikely(!kst_ring_has_room(r->head, tail, r->bytes, needed)))
		return NULL;
	if (unlikely(r->lost))
		ring_put_lost(r, now);
	return ring_at_head(r);
}

void *kst_ring_reserve(struct kst_ring *r, u32 max, u64 now, u64 weight)
{
	void *rec = kst_ring_try_reserve(r, max, now);

	if (likely(rec))
		return rec;
	r->lost++;
	r->lost_weight += weight;
	WRITE_ONCE(r->producer->lost, r->producer->lost + 1);
	WRITE_ONCE(r->producer->lost_weight,
		   r->producer->lost_weight + weight);
	return NULL;
}

static void ring_publish(struct kst_ring *r)
{
	WRITE_ONCE(r->published, r->head);
	/* B: pairs with the consumer's acquire of head (C). */
	smp_store_release(&r->producer->head, r->head);
}

bool kst_ring_commit(struct kst_ring *r)
{
	const struct kstrata_record *rec = ring_at_head(r);
	/* Not read back from the shared page; a LOST record before counts too. */
	u64 before = r->published;

	lockdep_assert_irqs_disabled();
	r->head += rec->size;
	ring_publish(r);
	return kst_ring_crosses(before, r->head, READ_ONCE(r->consumer->tail),
				r->watermark);
}

void kst_ring_flush(struct kst_ring *r, u64 now)
{
	u64 tail = smp_load_acquire(&r->consumer->tail); /* A */

	lockdep_assert_irqs_disabled();
	if (!r->lost || !kst_ring_has_room(r->head, tail, r->bytes,
					   sizeof(struct kstrata_lost)))
		return;
	ring_put_lost(r, now);
	ring_publish(r);
}

bool kst_ring_readable(const struct kst_ring *r)
{
	return READ_ONCE(r->published) - READ_ONCE(r->consumer->tail) >=
	       r->watermark;
}

int kst_ring_map_consumer(struct kst_ring *r, struct vm_area_struct *vma)
{
	kst_vm_flags_mod(vma, VM_DONTCOPY, VM_MAYEXEC);
	return remap_vmalloc_range(vma, r->consumer, 0);
}

int kst_ring_map_data(struct kst_ring *r, struct vm_area_struct *vma)
{
	kst_vm_flags_mod(vma, VM_DONTCOPY, VM_MAYWRITE | VM_MAYEXEC);
	return remap_vmalloc_range(vma, r->consumer, 1);
}
