/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Ring arithmetic and the record walk: pure functions of their arguments,
 * shared by the module, the daemon and the tests. The layout and the memory
 * ordering are in uapi/kstrata.h.
 */
#ifndef _KSTRATA_RING_H
#define _KSTRATA_RING_H

#include <kstrata.h>

/*
 * May a record of needed bytes (at most ring_bytes) be written at head?
 * Any tail is safe: one that is ahead of head, or more than a ring behind it,
 * makes the used part look larger than the ring, and the answer is no.
 */
static inline int kst_ring_has_room(__u64 head, __u64 tail, __u64 ring_bytes,
				    __u64 needed)
{
	return head - tail <= ring_bytes - needed;
}

/*
 * Did writing the bytes from before to after carry the unread part over the
 * mark? True once per crossing: that is when the consumer wants waking.
 */
static inline int kst_ring_crosses(__u64 before, __u64 after, __u64 tail,
				   __u64 mark)
{
	return before - tail < mark && after - tail >= mark;
}

/*
 * For a consumer: the record at position pos, or NULL when [pos, head) does
 * not hold a whole, well-formed one (pos == head: simply nothing there). data
 * is the doubly mapped part, so the record is contiguous.
 */
static inline const struct kstrata_record *
kst_ring_record(const void *data, __u32 ring_bytes, __u64 pos, __u64 head)
{
	const struct kstrata_record *rec;
	__u64 unread = head - pos;

	if (unread < sizeof(*rec) || unread > ring_bytes)
		return (const struct kstrata_record *)0;
	rec = (const struct kstrata_record *)((const char *)data +
					      (pos & (ring_bytes - 1)));
	if (rec->size < sizeof(*rec) || rec->size % 8 || rec->size > unread)
		return (const struct kstrata_record *)0;
	return rec;
}

/* Is this record a SAMPLE whose frames all lie within it? */
static inline int kst_sample_valid(const struct kstrata_record *rec)
{
	const struct kstrata_sample *s = (const struct kstrata_sample *)rec;

	return rec->type == KSTRATA_RECORD_SAMPLE && rec->size >= sizeof(*s) &&
	       s->frames_offset >= sizeof(*s) && s->frames_offset % 8 == 0 &&
	       s->frames_offset <= rec->size &&
	       ((__u32)s->nr_kernel + s->nr_user) * 8 <=
		       rec->size - s->frames_offset;
}

static inline const __u64 *kst_sample_frames(const struct kstrata_sample *s)
{
	return (const __u64 *)((const char *)s + s->frames_offset);
}

#endif /* _KSTRATA_RING_H */
