/* SPDX-License-Identifier: Apache-2.0 */
/* The consumer's end of one CPU's ring; see uapi/kstrata.h, section 3. */
#ifndef KSTRATA_COLLECT_RING_H
#define KSTRATA_COLLECT_RING_H

#include "base/util.h"

#include <kstrata.h>

struct ring {
	struct kstrata_ring_consumer *consumer;
	const struct kstrata_ring_producer *producer;
	const uint8_t *data;
	size_t page;
	uint32_t bytes;
	uint64_t tail;
};

/* -ENXIO: this CPU has no ring. -errno. */
int ring_open(struct ring *r, int fd, uint32_t cpu, uint32_t ring_bytes);
void ring_close(struct ring *r);

/*
 * Hand every record that is in the ring now to fn, oldest first, then free
 * their room. A record is only valid within fn. Returns how many there were;
 * -EBADMSG when the ring holds what cannot be a record: the rest of what was
 * there is then skipped.
 */
typedef void (*ring_fn)(void *userdata, const struct kstrata_record *rec);
int64_t ring_drain(struct ring *r, ring_fn fn, void *userdata);

#endif
