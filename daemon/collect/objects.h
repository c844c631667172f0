/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files that object frames are in: what OBJECT records said of a number,
 * or, where a sample comes first, what the module says when asked. A number
 * means one file until it is GONE and may mean another one after that; rings
 * are read one after the other, so both are kept for a while, told apart by
 * the samples' times. Bounded: the object not seen for the longest time is
 * forgotten, and asked for again if it returns.
 *
 * An object's file is opened once, when it is first met, and closed as soon as
 * its symbols are read: an open file keeps its file system busy.
 */
#ifndef KSTRATA_COLLECT_OBJECTS_H
#define KSTRATA_COLLECT_OBJECTS_H

#include "symbol/symbolizer.h"

#include <kstrata.h>

struct objects;

struct object_file {
	uint32_t id;
	uint32_t kind; /* enum kstrata_object_kind, 0: nobody knows */
	/*
	 * Names this state of knowledge, never 0 and not used again soon: for
	 * remembering what symbols an offset has.
	 */
	uint32_t serial;
	uint32_t generation, dev_major, dev_minor;
	uint64_t ino;
	char *path; /* without " (deleted)"; "" not known */
	struct symbols_key symbols;
	int64_t retry; /* CLOCK_MONOTONIC ns, 0: symbols were read */
	uint64_t gone; /* CLOCK_MONOTONIC ns, last it was meant by; ~0: live */
	bool superseded; /* gone is a guess: its GONE is still to come */
	bool known; /* kind to path were told */
	uint32_t doubts; /* objects_doubt() as of the last word of it */
	struct object_file *next; /* hash chain, the newest first */
	struct object_file *newer, *older; /* by last use */
};

/* KSTRATA_IOC_OBJECT: 0 or -errno. */
typedef int (*objects_get_fn)(void *userdata, struct kstrata_object_get *get);

/*
 * For whom files hold more than symbols. No calls of objects_...() from within but
 * objects_known().
 */
struct objects_hooks {
	/* Its file is open, fd is lent. Each time that this happens. */
	void (*opened)(void *userdata, uint32_t id, int fd);
	/* A record with KSTRATA_OBJECT_WANTED. The number may be a vDSO's. */
	void (*wanted)(void *userdata, uint32_t id);
	/* The number means nothing any more, or another file. */
	void (*gone)(void *userdata, uint32_t id);
	void *userdata;
};

/* symbolizer stays the caller's. max: the most objects to know at once. */
int objects_new(struct objects **out, objects_get_fn get, void *userdata,
		struct symbolizer *symbolizer, size_t max);
void objects_free(struct objects *o);
/* Copied. All zero: nobody. */
void objects_set_hooks(struct objects *o, const struct objects_hooks *hooks);

/* An OBJECT record; false: it makes no sense. */
bool objects_take(struct objects *o, const struct kstrata_record *rec);
/*
 * Some number may have come to mean another file at this time (CLOCK_MONOTONIC,
 * ns), none after it as far as is known.
 */
uint64_t objects_changed(const struct objects *o);
/* Records were lost, some of OBJECT maybe: make sure before the next use. */
void objects_doubt(struct objects *o);

/*
 * What the number meant in a sample taken at time. NULL: out of memory. Valid
 * until the next call but objects_symbol().
 */
struct object_file *objects_find(struct objects *o, uint32_t id, uint64_t time);
/*
 * Its function at offset; as symbolizer_user() where there is none, and
 * "[unknown]" where nobody knows the number.
 */
struct symbol objects_symbol(struct objects *o, struct object_file *file,
			     uint64_t offset);
/* What the number means now, as far as we know; NULL: nothing. */
const struct object_file *objects_known(const struct objects *o, uint32_t id);
/* Its file once more: a descriptor that is the caller's, or -errno. */
int objects_open(struct objects *o, uint32_t id);
/* Asks the module: does the number still mean what we know of it? */
bool objects_still(struct objects *o, uint32_t id);
/* Forget those that are gone for a while; call now and then. */
void objects_expire(struct objects *o, uint64_t now);

/* Why an object's symbols could not be had. */
enum objects_failure {
	OBJECTS_UNKNOWN, /* ENOENT: nobody knows the number */
	OBJECTS_RELEASED, /* ENODATA: the file is held no longer */
	OBJECTS_DENIED, /* EACCES, EPERM */
	OBJECTS_FORMAT, /* not an ELF file, or a damaged one */
	OBJECTS_OTHER,
	OBJECTS_FAILURES,
};

struct objects_stats {
	uint64_t known; /* now */
	uint64_t opened, gone;
	uint64_t asked; /* samples that came before their OBJECT record */
	uint64_t forgotten; /* for want of room */
	uint64_t failed[OBJECTS_FAILURES];
};

void objects_get_stats(const struct objects *o, struct objects_stats *out);

#endif
