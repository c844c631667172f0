// SPDX-License-Identifier: GPL-2.0-only
#include "objects.h"

#include <linux/cred.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/irq_work.h>
#include <linux/kdev_t.h>
#include <linux/ktime.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

#include "compat/path.h"
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

struct kst_objtable *kst_objects_table(struct kst_objects *o)
{
	return &o->table;
}

struct kst_rows_met kst_objects_vdso(struct kst_objects *o, u32 id)
{
	return kst_rowset_vdso(&o->rows, id);
}

void kst_objects_kick(struct kst_objects *o)
{
	irq_work_queue(&o->kick);
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
