// SPDX-License-Identifier: Apache-2.0
#include "collect/ring.h"

#include <assert.h>
#include <errno.h>
#include <kstrata/ring.h>
#include <sys/mman.h>
#include <unistd.h>

static_assert(sizeof(struct kstrata_record) == 16, "ABI");
static_assert(sizeof(struct kstrata_sample) == 72, "ABI");
static_assert(sizeof(struct kstrata_lost) == 32, "ABI");
static_assert(sizeof(struct kstrata_task) == 64, "ABI");
static_assert(sizeof(struct kstrata_throttle) == 40, "ABI");
static_assert(sizeof(struct kstrata_version) == 40, "ABI");
static_assert(sizeof(struct kstrata_setup) == 48, "ABI");
static_assert(sizeof(struct kstrata_switch) == 8, "ABI");
static_assert(sizeof(struct kstrata_filter) == 16, "ABI");
static_assert(sizeof(struct kstrata_configure) == 40, "ABI");
static_assert(sizeof(struct kstrata_object_get) == 56, "ABI");
static_assert(sizeof(struct kstrata_object) == 48, "ABI");
static_assert(sizeof(struct kstrata_rows) == 32, "ABI");
static_assert(sizeof(struct kstrata_rule) == 36, "ABI");
static_assert(sizeof(struct kstrata_rows_table) == 64, "ABI");
static_assert(sizeof(struct kstrata_ring_producer) == 200, "ABI");
static_assert(offsetof(struct kstrata_ring_producer, ring_bytes) == 64, "ABI");

int ring_open(struct ring *r, int fd, uint32_t cpu, uint32_t ring_bytes)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	void *consumer, *producer;

	consumer = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
			(off_t)KSTRATA_MMAP_CONSUMER(cpu));
	if (consumer == MAP_FAILED)
		return -errno;
	producer = mmap(NULL, page + 2 * (size_t)ring_bytes, PROT_READ,
			MAP_SHARED, fd, (off_t)KSTRATA_MMAP_RING(cpu, page));
	if (producer == MAP_FAILED) {
		int e = -errno;

		munmap(consumer, page);
		return e;
	}
	*r = (struct ring){
		.consumer = consumer,
		.producer = producer,
		.data = (const uint8_t *)producer + page,
		.page = page,
		.bytes = ring_bytes,
	};
	return 0;
}

void ring_close(struct ring *r)
{
	if (!r->consumer)
		return;
	munmap((void *)r->producer, r->page + 2 * (size_t)r->bytes);
	munmap(r->consumer, r->page);
	*r = (struct ring){ 0 };
}

int64_t ring_drain(struct ring *r, ring_fn fn, void *userdata)
{
	/* C: pairs with the kernel's release of head (B). */
	uint64_t head = __atomic_load_n(&r->producer->head, __ATOMIC_ACQUIRE);
	int64_t nr = 0;

	while (r->tail != head) {
		const struct kstrata_record *rec =
			kst_ring_record(r->data, r->bytes, r->tail, head);

		if (!rec) {
			nr = -EBADMSG;
			r->tail = head;
			break;
		}
		fn(userdata, rec);
		nr++;
		r->tail += rec->size;
	}
	/* D: pairs with the kernel's acquire of tail (A). */
	__atomic_store_n(&r->consumer->tail, r->tail, __ATOMIC_RELEASE);
	return nr;
}
