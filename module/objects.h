/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A session's objects: the handler meets them (lookup.h), a worker tells of them,
 * and an ioctl opens their files.
 */
#ifndef _KST_OBJECTS_H
#define _KST_OBJECTS_H

#include <linux/types.h>

#include <kstrata.h>

#include "rows.h"

struct cred;
struct file;
struct kst_objects;
struct kst_objtable;
struct kst_session;

/* Module load and unload: the workers' queue. May sleep. */
int kst_objects_init(void);
void kst_objects_exit(void);

/*
 * Both may sleep. slots is a power of two; rows_kb: how much memory unwind rows may
 * take. Free (NULL is fine) after sampling has stopped; it lets go of all files and
 * rows.
 */
struct kst_objects *kst_objects_new(struct kst_session *s, u32 slots, u32 rows_kb);
void kst_objects_free(struct kst_objects *o);

/*
 * When sampling begins, and after it has stopped: no record is written between
 * stop and start. Stop tells of what is new first, where the ring of the CPU it
 * runs on has room. Both may sleep; NULL is fine.
 */
void kst_objects_start(struct kst_objects *o);
void kst_objects_stop(struct kst_objects *o);

/*
 * Of the sampling handler, interrupts off: where it meets objects; the rows of
 * KSTRATA_OBJECT_VDSO or _VDSO32, good as long as interrupts stay off; and to say
 * that there is work for the worker.
 */
struct kst_objtable *kst_objects_table(struct kst_objects *o);
struct kst_rows_met kst_objects_vdso(struct kst_objects *o, u32 id);
void kst_objects_kick(struct kst_objects *o);

/*
 * Fill in get's out fields but fd and path_bytes; *file becomes a reference of
 * the caller's own to what is held, or NULL. -ENOENT: no such object.
 */
int kst_objects_get(struct kst_objects *o, struct kstrata_object_get *get,
		    struct file **file);

/*
 * May sleep. Open the same file anew, read-only, as the owner of these
 * credentials may; ERR_PTR as of open(2).
 */
struct file *kst_objects_open(struct file *file, const struct cred *cred);

/* The object's file has been opened: no need to hold it longer. May sleep. */
void kst_objects_opened(struct kst_objects *o, u32 id);

/*
 * May sleep: KSTRATA_IOC_ROWS, its errors, but for those of size and flags; fills in
 * the out fields. o may be NULL.
 */
int kst_objects_rows(struct kst_objects *o, struct kstrata_rows *rows);

/* kstrata_rows.held_kb; takes no lock. NULL is fine. */
u32 kst_objects_rows_kb(const struct kst_objects *o);

/*
 * The path of a file as the root of its mount namespace sees it, somewhere in
 * buf. One that does not fit loses its beginning, *cut says so. May sleep.
 */
char *kst_objects_path(const struct file *file, char *buf, int size, bool *cut);

#endif /* _KST_OBJECTS_H */
