/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The unwind rows that a session holds: KSTRATA_IOC_ROWS, how much memory they may
 * take, and whose go to make room.
 *
 * Who may look at rows: a handler, with interrupts off from when it asks for them
 * (kst_objtable_meet(), kst_rowset_vdso()) until it is done. That is an RCU read
 * side: rows never change, and what was replaced is freed a grace period later.
 *
 * Locks: kst_rowset.lock is held by whatever gives rows to an object or takes them
 * away, so also by the worker while an object leaves its table. The table's raw lock
 * is taken inside of it, for moments. A handler takes neither.
 */
#ifndef _KST_ROWS_H
#define _KST_ROWS_H

#include <linux/err.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/types.h>

#include <kstrata/rows.h>

struct kst_objtable;

/* A table that is one (kst_rows_check()), in memory of its exact size. */
struct kst_rows {
	struct rcu_head rcu;
	struct kst_rows_view view;	/* of the table: all that a handler needs */
	/* The set's: */
	struct list_head list;
	u64 met;
	size_t cost;		/* memory that it takes */
	u64 serial;		/* of all that the set ever had; not 0 */
	u32 id;			/* of the object */
	/* So that the starts of each block are one cache line. */
	u8 pad[52];
	struct kstrata_rows_table table[];
};

/* What a handler hears of an object's rows. */
struct kst_rows_met {
	const struct kst_rows *rows;	/* or NULL */
	bool pending;			/* NULL, but there may be some later */
};

struct kst_rowset {
	struct mutex lock;
	struct kst_objtable *table;
	struct list_head list;		/* of files' */
	/* KSTRATA_OBJECT_VDSO, KSTRATA_OBJECT_VDSO32; ERR_PTR: it has none. */
	struct kst_rows __rcu *vdso[2];
	u64 serial;			/* the last one given */
	size_t cap;			/* bytes */
	size_t held;			/* written under the lock */
	size_t retired;			/* ... not known to be freed yet */
};

/* Its table outlives it. kb: kstrata_setup.rows_kb. */
void kst_rowset_init(struct kst_rowset *set, struct kst_objtable *table, u32 kb);
/* May sleep. After sampling and the worker have ended, before the table's end. */
void kst_rowset_free(struct kst_rowset *set);
/* Module unload: all that was to be freed is. May sleep. */
void kst_rowset_exit(void);

/*
 * KSTRATA_IOC_ROWS: its errors, out fields filled in. May sleep. The caller has
 * checked no field but size.
 */
int kst_rowset_load(struct kst_rowset *set, struct kstrata_rows *u);

/* Under the lock: rows that no object refers to any more. NULL is fine. */
void kst_rowset_release(struct kst_rowset *set, struct kst_rows *rows);

/* Takes no lock. */
u32 kst_rowset_held_kb(const struct kst_rowset *set);

/* Interrupts off: of KSTRATA_OBJECT_VDSO or KSTRATA_OBJECT_VDSO32. */
static inline struct kst_rows_met kst_rowset_vdso(const struct kst_rowset *set,
						  u32 id)
{
	const struct kst_rows *rows =
		rcu_dereference_sched(set->vdso[id == KSTRATA_OBJECT_VDSO32]);

	if (IS_ERR(rows))
		return (struct kst_rows_met){ 0 };
	return (struct kst_rows_met){ .rows = rows, .pending = !rows };
}

#endif /* _KST_ROWS_H */
