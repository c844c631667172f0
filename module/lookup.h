/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is mapped where in the process that was interrupted: of an address, the
 * mapping that it is in, what makes a frame of it, and the rows of its object.
 */
#ifndef _KST_LOOKUP_H
#define _KST_LOOKUP_H

#include <linux/compiler.h>
#include <linux/types.h>

#include <kstrata.h>

struct kst_objects;
struct kst_rows;
struct mm_struct;

/* A mapping: what to make of an address in it. */
struct kst_span {
	u64 start;
	u64 bytes;
	u64 base;	/* the frame word of start */
	const struct kst_rows *rows;	/* of its object, or NULL */
	bool pending;	/* NULL for now: they are wanted */
	bool full;	/* an object that could not get a number */
};

/*
 * The last mappings of this stack: a program and its libraries call each other.
 * Nothing is kept from one stack to the next, mappings change.
 */
#define KST_SPANS	4

/* What keeps the mappings as they are. */
enum kst_lookup_by {
	KST_LOOKUP_BY_MM,	/* mmap_lock, for reading */
	KST_LOOKUP_BY_CURRENT,	/* it holds mmap_lock for writing, and does not run */
	KST_LOOKUP_BY_VMA,	/* the lock of each mapping while it is looked at */
};

struct kst_lookup {
	struct kst_objects *o;
	struct mm_struct *mm;
	enum kst_lookup_by by;
	u64 now;
	bool work;		/* for the objects' worker */
	unsigned int next;	/* the span to replace */
	struct kst_span spans[KST_SPANS];
};

/*
 * Hardirq, interrupts off, on top of code that had them on; current has an mm of its
 * own. Begin look-ups of its addresses, for a sample made at now: when DONE is
 * returned they may be made, until kst_lookup_end(). Else enum kstrata_lookup says
 * why not. o may be NULL; a busy process is counted in p.
 */
u8 kst_lookup_begin(struct kst_lookup *l, struct kst_objects *o,
		    struct kstrata_ring_producer *p, u64 now);
void kst_lookup_end(struct kst_lookup *l);

/* In between: the mapping at this address. NULL: there is none. */
const struct kst_span *kst_lookup_miss(struct kst_lookup *l, u64 at);

static inline const struct kst_span *kst_lookup_span(struct kst_lookup *l, u64 at)
{
	const struct kst_span *s;

	/* Bound: KST_SPANS, and one look-up. */
	s = l->spans;
	do {
		if (likely(at - s->start < s->bytes))
			return s;
	} while (++s < l->spans + KST_SPANS);
	return kst_lookup_miss(l, at);
}

/* In between: is anything mapped there? */
bool kst_lookup_mapped(struct kst_lookup *l, u64 at);

#endif /* _KST_LOOKUP_H */
