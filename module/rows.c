// SPDX-License-Identifier: GPL-2.0-only
#include "rows.h"

#include <linux/build_bug.h>
#include <linux/elf.h>
#include <linux/err.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>

#include <kstrata/rowcheck.h>

#include "compat/list.h"
#include "objtable.h"

#ifdef CONFIG_ARM64
#define MACHINE	EM_AARCH64
#else
#define MACHINE	EM_X86_64
#endif

static bool is_vdso(u32 id)
{
	return id == KSTRATA_OBJECT_VDSO || id == KSTRATA_OBJECT_VDSO32;
}

/* ---- memory ------------------------------------------------------------ */

/*
 * Whole pages beyond one: kvmalloc() would round to a power of two as long as there
 * is memory.
 */
static size_t cost_of(u32 bytes)
{
	size_t size = struct_size((struct kst_rows *)NULL, table, 0) + bytes;

	return size <= PAGE_SIZE ? size : PAGE_ALIGN(size);
}

static struct kst_rows *rows_alloc(u32 bytes)
{
	size_t cost = cost_of(bytes);
	struct kst_rows *rows;

	BUILD_BUG_ON(offsetof(struct kst_rows, table) % 64);
	rows = cost <= PAGE_SIZE ? kmalloc(cost, GFP_KERNEL_ACCOUNT) :
				   __vmalloc(cost, GFP_KERNEL_ACCOUNT);
	if (rows)
		rows->cost = cost;
	return rows;
}

static void free_fn(struct rcu_head *rcu)
{
	kvfree(container_of(rcu, struct kst_rows, rcu));
}

/* In pieces: millions of bytes take their time. */
static int copy_table(void *to, u64 user, u32 bytes)
{
	u32 done, piece;

	for (done = 0; done < bytes; done += piece) {
		piece = min_t(u32, bytes - done, SZ_256K);
		if (copy_from_user(to + done, u64_to_user_ptr(user + done),
				   piece))
			return -EFAULT;
		cond_resched();
	}
	return 0;
}

/* A table of user space's, checked; ERR_PTR. */
static struct kst_rows *rows_new(const struct kstrata_rows *u)
{
	struct kst_rows *rows = rows_alloc(u->bytes);
	int r;

	if (!rows)
		return ERR_PTR(-ENOMEM);
	r = copy_table(rows->table, u->table, u->bytes);
	if (!r)
		r = kst_rows_check(rows->table, u->bytes, MACHINE);
	if (r) {
		kvfree(rows);
		return ERR_PTR(r);
	}
	kst_rows_view(&rows->view, rows->table);
	rows->id = u->id;
	INIT_LIST_HEAD(&rows->list);
	return rows;
}

/* ---- the set ----------------------------------------------------------- */

void kst_rowset_release(struct kst_rowset *set, struct kst_rows *rows)
{
	lockdep_assert_held(&set->lock);
	if (IS_ERR_OR_NULL(rows))
		return;
	list_del(&rows->list);
	WRITE_ONCE(set->held, set->held - rows->cost);
	set->retired += rows->cost;
	call_rcu(&rows->rcu, free_fn);
}

/*
 * Rows that wait for their grace period are memory, too: who gives rows in a loop has
 * to wait (true, for once), when these take as much as may be held.
 */
static bool retired_much(struct kst_rowset *set)
{
	if (set->retired <= set->cap)
		return false;
	set->retired = 0;
	return true;
}

static int by_met(void *priv, const struct list_head *a, const struct list_head *b)
{
	u64 x = list_entry(a, struct kst_rows, list)->met;
	u64 y = list_entry(b, struct kst_rows, list)->met;

	return x == y ? 0 : x < y ? -1 : 1;
}
KST_LIST_CMP(by_met)

/*
 * Drop rows of those not met for longest until what is held and so much more fit.
 * Returns how many.
 */
static u32 make_room(struct kst_rowset *set, size_t cost)
{
	struct kst_rows *rows, *next, *old;
	u32 dropped = 0;

	if (set->held + cost <= set->cap)
		return 0;
	list_for_each_entry(rows, &set->list, list) {
		rows->met = 0;
		kst_objtable_last_met(set->table, rows->id, &rows->met);
		cond_resched();
	}
	kst_list_sort(&set->list, by_met);
	list_for_each_entry_safe(rows, next, &set->list, list) {
		if (set->held + cost <= set->cap)
			break;
		kst_objtable_set_rows(set->table, rows->id, KST_OBJROWS_DROPPED,
				      NULL, &old);
		kst_rowset_release(set, old);
		dropped++;
		cond_resched();
	}
	return dropped;
}

/* What the rows of vDSOs take: nothing could ask for them again, so they stay. */
static size_t vdso_cost(const struct kst_rowset *set, u32 but)
{
	size_t cost = 0;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(set->vdso); i++) {
		const struct kst_rows *rows =
			rcu_dereference_protected(set->vdso[i],
						  lockdep_is_held(&set->lock));

		if (!IS_ERR_OR_NULL(rows) && rows->id != but)
			cost += rows->cost;
	}
	return cost;
}

static struct kst_rows *set_vdso(struct kst_rowset *set, u32 id,
				 struct kst_rows *rows)
{
	return rcu_replace_pointer(set->vdso[id == KSTRATA_OBJECT_VDSO32],
				   rows ?: ERR_PTR(-ENODATA),
				   lockdep_is_held(&set->lock));
}

/* Under the lock: the object's rows, or NULL that it has none. */
static int set_rows(struct kst_rowset *set, u32 id, struct kst_rows *rows,
		    u32 *dropped)
{
	size_t cost = rows ? rows->cost : 0;
	struct kst_rows *old;
	u64 met;

	*dropped = 0;
	/* It stays: whoever takes it from the table takes the lock first. */
	if (!is_vdso(id) && !kst_objtable_last_met(set->table, id, &met))
		return -ENOENT;
	if (cost > set->cap - vdso_cost(set, id))
		return -E2BIG;
	if (rows)
		rows->serial = ++set->serial;
	if (is_vdso(id))
		old = set_vdso(set, id, rows);
	else
		kst_objtable_set_rows(set->table, id, rows ? KST_OBJROWS_GIVEN :
				      KST_OBJROWS_NONE, rows, &old);
	kst_rowset_release(set, old);
	if (!rows)
		return 0;
	*dropped = make_room(set, cost);
	if (!is_vdso(id))
		list_add_tail(&rows->list, &set->list);
	WRITE_ONCE(set->held, set->held + cost);
	return 0;
}

int kst_rowset_load(struct kst_rowset *set, struct kstrata_rows *u)
{
	struct kst_rows *rows = NULL;
	bool wait;
	u64 met;
	int r;

	if (u->flags & KSTRATA_ROWS_NONE ? u->bytes || u->table : !u->bytes)
		return -EINVAL;
	/* Before the work is done; it may still go. */
	if (!is_vdso(u->id) && !kst_objtable_last_met(set->table, u->id, &met))
		return -ENOENT;
	if (u->bytes) {
		if (u->bytes > KSTRATA_ROWS_BYTES_MAX ||
		    cost_of(u->bytes) > set->cap)
			return -E2BIG;
		rows = rows_new(u);
		if (IS_ERR(rows))
			return PTR_ERR(rows);
	}
	mutex_lock(&set->lock);
	r = set_rows(set, u->id, rows, &u->dropped);
	wait = retired_much(set);
	mutex_unlock(&set->lock);
	if (r)
		kvfree(rows);
	if (wait)
		rcu_barrier();
	u->held_kb = kst_rowset_held_kb(set);
	return r;
}

u32 kst_rowset_held_kb(const struct kst_rowset *set)
{
	return DIV_ROUND_UP(READ_ONCE(set->held), SZ_1K);
}

/* ---- its life ---------------------------------------------------------- */

void kst_rowset_init(struct kst_rowset *set, struct kst_objtable *table, u32 kb)
{
	mutex_init(&set->lock);
	INIT_LIST_HEAD(&set->list);
	set->table = table;
	set->cap = (size_t)kb * SZ_1K;
}

void kst_rowset_free(struct kst_rowset *set)
{
	struct kst_rows *rows, *next, *old;
	unsigned int i;

	mutex_lock(&set->lock);
	list_for_each_entry_safe(rows, next, &set->list, list) {
		kst_objtable_set_rows(set->table, rows->id, KST_OBJROWS_NONE,
				      NULL, &old);
		kst_rowset_release(set, old);
		cond_resched();
	}
	for (i = 0; i < ARRAY_SIZE(set->vdso); i++)
		kst_rowset_release(set,
			rcu_replace_pointer(set->vdso[i], NULL,
					    lockdep_is_held(&set->lock)));
	WARN_ON_ONCE(set->held);
	mutex_unlock(&set->lock);
	mutex_destroy(&set->lock);
}

void kst_rowset_exit(void)
{
	/* The callbacks are this module's code. */
	rcu_barrier();
}
