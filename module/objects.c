// SPDX-License-Identifier: GPL-2.0-only
#include "objects.h"

#include <linux/cred.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/irq_work.h>
#include <linux/kdev_t.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/mmap_lock.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

#include "compat/path.h"
#include "compat/vdso.h"
#include "compat/vma.h"
#include "main.h"
#include "objtable.h"
#include "rows.h"
#include "session.h"

/*
 * Room is made for one object per bucket at a time, and no more often: more files
 * in use than the table holds must not fill the rings with OBJECT records.
 */
#define PACE_MS		10
/* Before it tries again after it found the ring full. */
#define RETRY_MS	100
/* How often files held are looked through, while there are any. */
#define HOLD_CHECK	HZ

struct kst_objects {
	struct kst_session *session;
	struct kst_objtable table;
	struct kst_rowset rows;
	struct irq_work kick;		/* from the handler */
	struct delayed_work tell;
	struct delayed_work hold;
	u64 paced;			/* when tell last made room: ns */
	char path[PATH_MAX];		/* of tell */
};

/* ---- the handler ------------------------------------------------------- */

/* A mapping: what to make of an address in it. */
struct span {
	u64 start;
	u64 bytes;
	u64 base;	/* the frame word of start */
	bool full;	/* an object that could not get a number */
};

struct lookup {
	struct kst_objects *o;
	struct mm_struct *mm;
	u64 now;
	bool work;
};

/* The frame word of a file mapping's start. */
static u64 file_base(struct lookup *l, const struct vm_area_struct *vma,
		     struct span *span)
{
	struct inode *inode = d_inode(kst_file_path(vma->vm_file)->dentry);
	u64 offset = (u64)vma->vm_pgoff << PAGE_SHIFT;
	struct kst_rows_met met;
	struct kst_objkey key;
	u32 id;

	/* The end counts as well: a call may be the last instruction. */
	if (vma->vm_pgoff >> (KSTRATA_FRAME_OFFSET_BITS - PAGE_SHIFT) ||
	    (offset + span->bytes) >> KSTRATA_FRAME_OFFSET_BITS)
		return span->start;
	/* A device's memory, say. */
	if (!inode || !S_ISREG(inode->i_mode))
		return KSTRATA_FRAME_ANON | span->start;
	key = (struct kst_objkey){
		.inode = (unsigned long)inode,
		.ino = inode->i_ino,
		.generation = inode->i_generation,
		.dev = inode->i_sb->s_dev,
	};
	id = kst_objtable_meet(&l->o->table, &key, vma->vm_file, l->now,
			       &met, &l->work);
	if (!id) {
		span->full = true;
		return span->start;
	}
	return KSTRATA_FRAME_OBJECT |
	       (u64)id << KSTRATA_FRAME_OFFSET_BITS | offset;
}

/* False: there is no mapping at pc. */
static bool look_up(struct lookup *l, u64 pc, struct span *span)
{
	struct vm_area_struct *vma = kst_vma_lookup(l->mm, pc);
	unsigned long vdso;

	/* A stack that grows, under the read lock, is in the tree too early. */
	if (!vma || pc - vma->vm_start >= vma->vm_end - vma->vm_start)
		return false;
	*span = (struct span){
		.start = vma->vm_start,
		.bytes = vma->vm_end - vma->vm_start,
	};
	vdso = kst_vdso_of(l->mm);
	if (!(vma->vm_flags & VM_EXEC))
		span->base = KSTRATA_FRAME_NOWHERE | span->start;
	else if (vma->vm_file)
		span->base = file_base(l, vma, span);
	else if (vdso && vdso == vma->vm_start)
		span->base = KSTRATA_FRAME_OBJECT |
			     (u64)(kst_vdso_is_32bit() ?
				   KSTRATA_OBJECT_VDSO32 : KSTRATA_OBJECT_VDSO)
			     << KSTRATA_FRAME_OFFSET_BITS;
	else
		span->base = KSTRATA_FRAME_ANON | span->start;
	return true;
}

/*
 * The last mappings of this stack: a program and its libraries call each other.
 * Nothing is kept from one stack to the next, mappings change.
 */
#define SPANS	4

struct spans {
	struct span span[SPANS];
	unsigned int next;	/* the one to replace */
};

/* NULL: there is no mapping at pc. */
static const struct span *span_of(struct lookup *l, struct spans *s, u64 pc)
{
	struct span *at;

	for (at = s->span; at < s->span + SPANS; at++)
		if (pc - at->start < at->bytes)
			return at;
	at = &s->span[s->next];
	if (!look_up(l, pc, at))
		return NULL;
	s->next = (s->next + 1) % SPANS;
	return at;
}

/* mmap_lock is held. Bound: nr, times SPANS and one look-up. */
static void resolve(struct lookup *l, struct kstrata_ring_producer *p,
		    u64 *frames, u16 nr)
{
	struct spans spans = { 0 };
	u16 i = 0;

	while (i < nr) {
		/* A return address belongs to the call before it. */
		const struct span *at = span_of(l, &spans, frames[i] - !!i);
		u64 start, bytes, move;
		u16 first = i;

		if (!at) {
			frames[i++] |= KSTRATA_FRAME_NOWHERE;
			continue;
		}
		start = at->start;
		bytes = at->bytes;
		move = at->base - start;
		/* All that follow in the same mapping: most do. */
		do
			frames[i++] += move;
		while (i < nr && frames[i] - 1 - start < bytes);
		if (unlikely(at->full))
			WRITE_ONCE(p->raw_full, p->raw_full + (i - first));
	}
}

/*
 * Taking mmap_lock in a hard interrupt. The trylock is one compare-and-exchange
 * on the count and fails when there is a writer, or one that waits. Unlocking may
 * have to wake such a writer: that takes the lock's wait_lock, then a task's
 * pi_lock and a runqueue's lock. All of these are only ever held with interrupts
 * off, and this interrupt came while they were on: this CPU holds none of them,
 * and another that does will let go. (Code that is called under a runqueue's
 * lock, as a probe of sched_switch is, may not do this.) On PREEMPT_RT mmap_lock
 * is a sleeping lock with an owner, which an interrupt cannot be.
 *
 * current cannot change its mm, nor end, while we are on top of it; whoever takes
 * mappings from this mm waits for the lock. So every mapping found is good until
 * the unlock, and so is the file that it holds.
 */
u8 kst_objects_resolve(struct kst_objects *o, struct kstrata_ring_producer *p,
		       u64 now, u64 *frames, u16 nr)
{
	struct lookup l = { .o = o, .mm = current->mm, .now = now };

	lockdep_assert_irqs_disabled();
	if (!o || !nr)
		return KSTRATA_LOOKUP_NONE;
	if (IS_ENABLED(CONFIG_PREEMPT_RT))
		return KSTRATA_LOOKUP_UNSUPPORTED;
	if (!mmap_read_trylock(l.mm)) {
		WRITE_ONCE(p->raw_busy, p->raw_busy + 1);
		return KSTRATA_LOOKUP_BUSY;
	}
	resolve(&l, p, frames, nr);
	mmap_read_unlock(l.mm);
	/* Queueing work wakes a worker: not from here. */
	if (l.work)
		irq_work_queue(&o->kick);
	return KSTRATA_LOOKUP_DONE;
}

static void kick_fn(struct irq_work *work)
{
	struct kst_objects *o = container_of(work, struct kst_objects, kick);

	queue_delayed_work(kst.objects, &o->tell, 0);
	queue_delayed_work(kst.objects, &o->hold, HOLD_CHECK);
}

/* ---- the worker -------------------------------------------------------- */

char *kst_objects_path(const struct file *file, char *buf, int size, bool *cut)
{
	const struct path *path = kst_file_path(file);
	char *p;

	*cut = false;
	/*
	 * From outside of the file's mount namespace, or without it, d_path()
	 * goes up to the namespace's root.
	 */
	p = d_path(path, buf, size);
	if (!IS_ERR(p))
		return p;
	/* It says no more than that there is no room. */
	*cut = true;
	scnprintf(buf, size, "%pd4", path->dentry);
	return buf;
}

static void fill_in(struct kstrata_object *rec, const struct kst_object *obj,
		    const char *path, bool cut)
{
	u32 bytes = strlen(path) + 1;

	if (bytes > KSTRATA_OBJECT_PATH_MAX) {
		path += bytes - KSTRATA_OBJECT_PATH_MAX;
		bytes = KSTRATA_OBJECT_PATH_MAX;
		cut = true;
	}
	*rec = (struct kstrata_object){
		.hdr.type = KSTRATA_RECORD_OBJECT,
		.hdr.flags = cut ? KSTRATA_OBJECT_CUT : 0,
		.hdr.size = ALIGN(sizeof(*rec) + bytes, 8),
		.hdr.time = ktime_get_ns(),
		.id = obj->id,
		.kind = KSTRATA_OBJECT_FILE,
		.path_offset = sizeof(*rec),
		.path_bytes = bytes,
		.generation = obj->key.generation,
		.dev_major = MAJOR(obj->key.dev),
		.dev_minor = MINOR(obj->key.dev),
		.ino = obj->key.ino,
	};
	memset((char *)rec + rec->hdr.size - 8, 0, 8);
	memcpy(rec + 1, path, bytes);
}

/* False: no room in this CPU's ring. */
static bool tell(struct kst_objects *o, const struct kst_object *obj)
{
	struct kstrata_object *rec = NULL;
	char *path = o->path;
	struct kst_cpu *c;
	unsigned long irq;
	bool cut = false;

	o->path[0] = '\0';
	/* Let go already: its number is all that we can tell. */
	if (obj->file)
		path = kst_objects_path(obj->file, o->path, sizeof(o->path),
					&cut);
	local_irq_save(irq);
	c = kst_session_this_cpu(o->session);
	if (c)
		rec = kst_ring_try_reserve(&c->ring, sizeof(*rec) +
					   KSTRATA_OBJECT_PATH_MAX,
					   ktime_get_ns());
	if (rec) {
		fill_in(rec, obj, path, cut);
		kst_cpu_commit(c);
	}
	local_irq_restore(irq);
	return rec;
}

/* False: no room in this CPU's ring. */
static bool ask(struct kst_objects *o, u32 id)
{
	struct kstrata_object *rec = NULL;
	struct kst_cpu *c;
	unsigned long irq;
	u64 now;

	local_irq_save(irq);
	now = ktime_get_ns();
	c = kst_session_this_cpu(o->session);
	if (c)
		rec = kst_ring_try_reserve(&c->ring, sizeof(*rec), now);
	if (rec) {
		*rec = (struct kstrata_object){
			.hdr.type = KSTRATA_RECORD_OBJECT,
			.hdr.flags = KSTRATA_OBJECT_WANTED,
			.hdr.size = sizeof(*rec),
			.hdr.time = now,
			.id = id,
		};
		kst_cpu_commit(c);
		kst_objtable_asked(&o->table, id, now);
	}
	local_irq_restore(irq);
	return rec;
}

/* False: no room in this CPU's ring. */
static bool evict(struct kst_objects *o, u32 id)
{
	struct kstrata_object *rec = NULL;
	struct kst_rows *rows = NULL;
	struct file *file = NULL;
	struct kst_cpu *c;
	unsigned long irq;

	/*
	 * Room first: once the number is free again the record must come. And
	 * nothing between the two, so that time in this ring does not go back.
	 */
	mutex_lock(&o->rows.lock);
	local_irq_save(irq);
	c = kst_session_this_cpu(o->session);
	if (c)
		rec = kst_ring_try_reserve(&c->ring, sizeof(*rec),
					   ktime_get_ns());
	if (rec) {
		*rec = (struct kstrata_object){
			.hdr.type = KSTRATA_RECORD_OBJECT,
			.hdr.flags = KSTRATA_OBJECT_GONE,
			.hdr.size = sizeof(*rec),
			.hdr.time = kst_objtable_evict(&o->table, id, &file,
						       &rows),
			.id = id,
		};
		kst_cpu_commit(c);
	}
	local_irq_restore(irq);
	kst_rowset_release(&o->rows, rows);
	mutex_unlock(&o->rows.lock);
	if (file)
		fput(file);
	return rec;
}

/*
 * True: there is work left for this bucket. *full: and no room to do it in. paced:
 * tell, but make no room yet.
 */
static bool tend(struct kst_objects *o, u32 bucket, bool paced, bool *full)
{
	struct kst_object obj;
	u32 victim, id;

	while (!*full && kst_objtable_untold(&o->table, bucket, &obj)) {
		if (tell(o, &obj))
			kst_objtable_told(&o->table, obj.id);
		else
			*full = true;
		if (obj.file)
			fput(obj.file);
	}
	while (!*full && (id = kst_objtable_wanted(&o->table, bucket)))
		*full = !ask(o, id);
	if (*full)
		return true;
	victim = kst_objtable_victim(&o->table, bucket);
	if (!victim || paced)
		return victim;
	*full = !evict(o, victim);
	return *full || kst_objtable_victim(&o->table, bucket);
}

static void tell_fn(struct work_struct *work)
{
	struct kst_objects *o =
		container_of(to_delayed_work(work), struct kst_objects, tell);
	u64 now = ktime_get_ns();
	bool paced = now - o->paced < PACE_MS * NSEC_PER_MSEC;
	bool full = false, more = false;
	int bucket = -1;

	if (!paced)
		o->paced = now;
	while ((bucket = kst_objtable_next(&o->table, KST_OBJSET_WORK,
					   bucket + 1)) >= 0) {
		kst_objtable_begin(&o->table, bucket);
		if (tend(o, bucket, paced, &full)) {
			kst_objtable_again(&o->table, bucket);
			more = true;
		}
		if (full)
			break;
		cond_resched();
	}
	if (more)
		queue_delayed_work(kst.objects, &o->tell,
				   msecs_to_jiffies(full ? RETRY_MS : PACE_MS));
}

static void hold_fn(struct work_struct *work)
{
	struct kst_objects *o =
		container_of(to_delayed_work(work), struct kst_objects, hold);
	u64 since = ktime_get_ns() - KSTRATA_OBJECT_HOLD_NS;
	struct file *file;
	int bucket = -1;

	while ((bucket = kst_objtable_next(&o->table, KST_OBJSET_HELD,
					   bucket + 1)) >= 0) {
		while ((file = kst_objtable_let_go(&o->table, bucket, since)))
			fput(file);
		cond_resched();
	}
	if (kst_objtable_next(&o->table, KST_OBJSET_HELD, 0) >= 0)
		queue_delayed_work(kst.objects, &o->hold, HOLD_CHECK);
}

/* ---- the ioctl --------------------------------------------------------- */

int kst_objects_get(struct kst_objects *o, struct kstrata_object_get *get,
		    struct file **file)
{
	struct kst_object obj;

	*file = NULL;
	get->generation = get->dev_major = get->dev_minor = get->ino = 0;
	if (get->id == KSTRATA_OBJECT_VDSO ||
	    get->id == KSTRATA_OBJECT_VDSO32) {
		get->kind = get->id;
		return 0;
	}
	if (!o || !kst_objtable_get(&o->table, get->id, &obj))
		return -ENOENT;
	get->kind = KSTRATA_OBJECT_FILE;
	get->generation = obj.key.generation;
	get->dev_major = MAJOR(obj.key.dev);
	get->dev_minor = MINOR(obj.key.dev);
	get->ino = obj.key.ino;
	*file = obj.file;
	return 0;
}

struct file *kst_objects_open(struct file *file, const struct cred *cred)
{
	const struct path *path = kst_file_path(file);
	const struct cred *old;
	struct file *opened;
	int r;

	/* dentry_open() asks security modules, but not for the file's mode. */
	old = override_creds(cred);
	r = kst_path_permission(path, MAY_OPEN | MAY_READ);
	revert_creds(old);
	if (r)
		return ERR_PTR(r);
	opened = dentry_open(path, O_RDONLY | O_LARGEFILE, cred);
	return opened;
}

void kst_objects_opened(struct kst_objects *o, u32 id)
{
	struct file *file = kst_objtable_opened(&o->table, id);

	if (file)
		fput(file);
}

int kst_objects_rows(struct kst_objects *o, struct kstrata_rows *rows)
{
	if (IS_ENABLED(CONFIG_PREEMPT_RT))
		return -EOPNOTSUPP;
	return o ? kst_rowset_load(&o->rows, rows) : -ENOENT;
}

u32 kst_objects_rows_kb(const struct kst_objects *o)
{
	return o ? kst_rowset_held_kb(&o->rows) : 0;
}

/* ---- its life ---------------------------------------------------------- */

struct kst_objects *kst_objects_new(struct kst_session *s, u32 slots, u32 rows_kb)
{
	struct kst_objects *o;
	int r;

	o = kzalloc(sizeof(*o), GFP_KERNEL_ACCOUNT);
	if (!o)
		return ERR_PTR(-ENOMEM);
	r = kst_objtable_init(&o->table, slots);
	if (r) {
		kfree(o);
		return ERR_PTR(r);
	}
	kst_rowset_init(&o->rows, &o->table, rows_kb);
	o->session = s;
	init_irq_work(&o->kick, kick_fn);
	INIT_DELAYED_WORK(&o->tell, tell_fn);
	INIT_DELAYED_WORK(&o->hold, hold_fn);
	return o;
}

void kst_objects_free(struct kst_objects *o)
{
	if (!o)
		return;
	irq_work_sync(&o->kick);
	cancel_delayed_work_sync(&o->tell);
	cancel_delayed_work_sync(&o->hold);
	kst_rowset_free(&o->rows);
	kst_objtable_free(&o->table);
	kfree(o);
}

void kst_objects_start(struct kst_objects *o)
{
	if (o && kst_objtable_next(&o->table, KST_OBJSET_WORK, 0) >= 0)
		queue_delayed_work(kst.objects, &o->tell, 0);
}

void kst_objects_stop(struct kst_objects *o)
{
	if (!o)
		return;
	irq_work_sync(&o->kick);
	/* Now, if it is queued; not once more. */
	flush_delayed_work(&o->tell);
	cancel_delayed_work_sync(&o->tell);
}

int kst_objects_init(void)
{
	/* One at a time. It takes no lock that may be held for long, but rows'. */
	kst.objects = alloc_ordered_workqueue("kstrata", 0);
	return kst.objects ? 0 : -ENOMEM;
}

void kst_objects_exit(void)
{
	destroy_workqueue(kst.objects);
	kst_rowset_exit();
}
