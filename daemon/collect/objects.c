// SPDX-License-Identifier: Apache-2.0
#include "collect/objects.h"

#include "base/hash.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define BUCKETS 4096
#define LIVE UINT64_MAX
/* Samples of other CPUs' rings may still come after a GONE was read. */
#define GONE_GRACE_NS (uint64_t)(5 * NSEC_PER_SEC)
/* A file that could not be read is tried again, if it is still to be had. */
#define RETRY_NS (10 * NSEC_PER_SEC)
#define RETRY_UNKNOWN_NS NSEC_PER_SEC
/* Beyond this, of further paths only the file's name is kept. */
#define PATHS_BYTES_MAX (8u << 20)

struct objects {
	objects_get_fn get;
	void *userdata;
	struct symbolizer *symbolizer;
	struct objects_hooks hooks;
	struct object_file *buckets[BUCKETS];
	struct object_file *newest, *oldest;
	size_t nr, max;
	size_t path_bytes;
	uint32_t serial; /* the last one given */
	uint32_t doubts;
	uint64_t changed; /* the latest gone, CLOCK_MONOTONIC, ns */
	uint64_t expired; /* CLOCK_MONOTONIC, ns */
	struct objects_stats stats;
};

int objects_new(struct objects **out, objects_get_fn get, void *userdata,
		struct symbolizer *symbolizer, size_t max)
{
	struct objects *o = calloc(1, sizeof(*o));

	if (!o)
		return -ENOMEM;
	o->get = get;
	o->userdata = userdata;
	o->symbolizer = symbolizer;
	o->max = max;
	*out = o;
	return 0;
}

void objects_set_hooks(struct objects *o, const struct objects_hooks *hooks)
{
	o->hooks = *hooks;
}

static struct object_file **bucket_of(struct objects *o, uint32_t id)
{
	return &o->buckets[hash_u64(id) % BUCKETS];
}

static void use(struct objects *o, struct object_file *f)
{
	if (o->newest == f)
		return;
	if (f->newer) {
		f->newer->older = f->older;
		*(f->older ? &f->older->newer : &o->oldest) = f->newer;
	}
	f->newer = NULL;
	f->older = o->newest;
	*(o->newest ? &o->newest->newer : &o->oldest) = f;
	o->newest = f;
}

/* It is not what its number means any more, or soon not known to be. */
static void tell_gone(struct objects *o, const struct object_file *f)
{
	if (o->hooks.gone)
		o->hooks.gone(o->hooks.userdata, f->id);
}

static void forget(struct objects *o, struct object_file *f)
{
	struct object_file **p = bucket_of(o, f->id);

	if (f->gone == LIVE)
		tell_gone(o, f);
	while (*p != f)
		p = &(*p)->next;
	*p = f->next;
	*(f->newer ? &f->newer->older : &o->newest) = f->older;
	*(f->older ? &f->older->newer : &o->oldest) = f->newer;
	o->nr--;
	o->path_bytes -= strlen(f->path);
	free(f->path);
	free(f);
}

void objects_free(struct objects *o)
{
	if (!o)
		return;
	while (o->newest)
		forget(o, o->newest);
	free(o);
}

static void set_gone(struct objects *o, struct object_file *f, uint64_t time)
{
	f->gone = time;
	o->changed = max_u64(o->changed, time);
}

/* 24 bits, so that a serial and an offset fit in one word. */
static void renew(struct objects *o, struct object_file *f)
{
	o->serial = (o->serial + 1) & 0xffffff;
	if (!o->serial)
		o->serial = 1;
	f->serial = o->serial;
}

static struct object_file *add(struct objects *o, uint32_t id)
{
	struct object_file *f, **p = bucket_of(o, id);

	if (o->nr >= o->max && o->oldest) {
		forget(o, o->oldest);
		o->stats.forgotten++;
	}
	f = calloc(1, sizeof(*f));
	if (f)
		f->path = calloc(1, 1);
	if (!f || !f->path) {
		free(f);
		return NULL;
	}
	f->id = id;
	f->gone = LIVE;
	f->doubts = o->doubts;
	f->next = *p;
	*p = f;
	o->nr++;
	renew(o, f);
	use(o, f);
	return f;
}

static bool is_file(const struct object_file *f)
{
	return f->kind == KSTRATA_OBJECT_FILE;
}

/* len without a NUL. A failure leaves the object without a path. */
static void set_path(struct objects *o, struct object_file *f, const char *path,
		     size_t len)
{
	static const char deleted[] = " (deleted)";
	const size_t tail = sizeof(deleted) - 1;
	const char *slash;
	char *copy;

	len = strnlen(path, len);
	if (len > tail && !memcmp(path + len - tail, deleted, tail))
		len -= tail;
	slash = memrchr(path, '/', len);
	if (slash && o->path_bytes + len > PATHS_BYTES_MAX) {
		len -= (size_t)(slash + 1 - path);
		path = slash + 1;
	}
	copy = strndup(path, len);
	if (!copy)
		return;
	o->path_bytes += len - strlen(f->path);
	free(f->path);
	f->path = copy;
}

static enum objects_failure failure_of(int r)
{
	switch (-r) {
	case ENOENT:
		return OBJECTS_UNKNOWN;
	case ENODATA:
		return OBJECTS_RELEASED;
	case EACCES:
	case EPERM:
		return OBJECTS_DENIED;
	case ENOEXEC:
	case EFBIG:
		return OBJECTS_FORMAT;
	default:
		return OBJECTS_OTHER;
	}
}

static bool same_file(const struct object_file *f,
		      const struct kstrata_object_get *get)
{
	return f->kind == get->kind && f->ino == get->ino &&
	       f->dev_major == get->dev_major &&
	       f->dev_minor == get->dev_minor &&
	       f->generation == get->generation;
}

static void learn(struct object_file *f, const struct kstrata_object_get *get)
{
	f->kind = get->kind;
	f->ino = get->ino;
	f->dev_major = get->dev_major;
	f->dev_minor = get->dev_minor;
	f->generation = get->generation;
	f->known = true;
}

/*
 * Ask the module. 0 or -ENODATA: get is filled in, and path with what is known
 * of it, whose length goes to *len. A descriptor in get->fd is the caller's.
 */
static int ask(struct objects *o, uint32_t id, uint32_t flags,
	       struct kstrata_object_get *get, char *path, size_t room,
	       size_t *len)
{
	int r;

	*get = (struct kstrata_object_get){
		.size = sizeof(*get),
		.flags = flags,
		.id = id,
		.fd = -1,
		.path = (uint64_t)(uintptr_t)path,
		.path_bytes = (uint32_t)room,
	};
	r = o->get(o->userdata, get);
	*len = 0;
	if ((!r || r == -ENODATA) && get->path_bytes)
		*len = min_u64(get->path_bytes, room) - 1;
	return r;
}

/* The kernel holds the file no longer; it may still be where it was. -1: not. */
static int open_path(const struct object_file *f)
{
	struct stat st;
	int fd;

	if (f->path[0] != '/')
		return -1;
	/* A FIFO or a terminal under that name by now must not block us. */
	fd = open(f->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return -1;
	if (!fstat(fd, &st) && S_ISREG(st.st_mode) && st.st_ino == f->ino &&
	    major(st.st_dev) == f->dev_major &&
	    minor(st.st_dev) == f->dev_minor)
		return fd;
	close(fd);
	return -1;
}

/* Open the object's file and have its symbols read. */
static void read_symbols(struct objects *o, struct object_file *f)
{
	char path[KSTRATA_OBJECT_PATH_MAX];
	struct kstrata_object_get get;
	size_t len;
	int r = ask(o, f->id, 0, &get, path, sizeof(path), &len);
	int64_t was = f->retry;

	f->retry = clock_monotonic_ns() + RETRY_NS;
	f->doubts = o->doubts;
	if (!r || r == -ENODATA) {
		/* By now the number may mean another file than we know of. */
		if (f->known && !same_file(f, &get)) {
			if (!r)
				close(get.fd);
			o->stats.failed[OBJECTS_RELEASED]++;
			return;
		}
		if (!f->known) {
			learn(f, &get);
			renew(o, f);
		}
		if (len && !*f->path)
			set_path(o, f, path, len);
	} else if (r == -ENOENT && !f->known) {
		f->retry = clock_monotonic_ns() + RETRY_UNKNOWN_NS;
	}
	if (!is_file(f)) {
		if (!r && get.fd >= 0)
			close(get.fd);
		if (r < 0)
			o->stats.failed[failure_of(r)]++;
		return;
	}
	if (!r && get.fd < 0)
		r = -EBADF;
	if (r == -ENODATA) {
		get.fd = open_path(f);
		if (get.fd >= 0)
			r = 0;
	}
	if (!r) {
		o->stats.opened++;
		if (o->hooks.opened)
			o->hooks.opened(o->hooks.userdata, f->id, get.fd);
		r = symbolizer_read(o->symbolizer, get.fd, f->generation,
				    &f->symbols);
		close(get.fd);
		/* What is no ELF file is none the next time either. */
		if (failure_of(r) == OBJECTS_FORMAT)
			f->retry = INT64_MAX;
	}
	if (r < 0) {
		o->stats.failed[failure_of(r)]++;
		log_debug("object %u, %s: no symbols: %s", f->id, f->path,
			  strerror(-r));
		return;
	}
	f->retry = 0;
	/* Names made without the symbols are no good any more. */
	if (was)
		renew(o, f);
}

/* The object that was meant at time: the oldest of its number not gone then. */
static struct object_file *find(struct objects *o, uint32_t id, uint64_t time)
{
	struct object_file *found = NULL;

	for (struct object_file *f = *bucket_of(o, id); f; f = f->next)
		if (f->id == id && f->gone >= time)
			found = f;
	return found;
}

/*
 * After a loss: does the number mean what it did? Asked without opening, as
 * the file is most often the one it was.
 */
static void make_sure(struct objects *o, struct object_file *f)
{
	struct kstrata_object_get get;
	size_t len;
	int r = ask(o, f->id, KSTRATA_OBJECT_GET_NO_FD, &get, NULL, 0, &len);

	f->doubts = o->doubts;
	if (r == -ENOENT || ((!r || r == -ENODATA) && !same_file(f, &get))) {
		set_gone(o, f, (uint64_t)clock_monotonic_ns());
		f->superseded = true;
		o->stats.gone++;
		tell_gone(o, f);
	}
}

struct object_file *objects_find(struct objects *o, uint32_t id, uint64_t time)
{
	struct object_file *f = find(o, id, time);

	if (f && f->known && f->doubts != o->doubts && f->gone == LIVE)
		make_sure(o, f);
	if (!f) {
		f = add(o, id);
		if (!f)
			return NULL;
		if (id < KSTRATA_OBJECT_ID_FIRST) {
			/* The number says it all. */
			f->kind = id == KSTRATA_OBJECT_VDSO ||
						  id == KSTRATA_OBJECT_VDSO32 ?
					  id :
					  0;
			f->known = true;
			f->retry = INT64_MAX;
		} else {
			o->stats.asked++;
			read_symbols(o, f);
		}
	} else if (f->retry && f->gone == LIVE &&
		   clock_monotonic_ns() >= f->retry) {
		read_symbols(o, f);
	}
	use(o, f);
	return f;
}

struct symbol objects_symbol(struct objects *o, struct object_file *f,
			     uint64_t offset)
{
	struct symbol out = { "[unknown]", "" };

	switch (f->kind) {
	case KSTRATA_OBJECT_VDSO:
		return symbolizer_vdso(o->symbolizer, offset);
	case KSTRATA_OBJECT_VDSO32:
		return (struct symbol){ "[vdso32]", "[vdso32]" };
	}
	if (!*f->path && !f->symbols.kind)
		return out;
	if (!symbolizer_file(o->symbolizer, &f->symbols, f->path, offset,
			     &out) &&
	    f->symbols.kind && f->gone == LIVE) {
		/* Its symbols had to make room for others'. */
		f->symbols.kind = 0;
		read_symbols(o, f);
		symbolizer_file(o->symbolizer, &f->symbols, f->path, offset,
				&out);
	}
	return out;
}

/* What the record says, in the ioctl's terms; false: it is no such record. */
static bool parse(const struct kstrata_record *rec,
		  struct kstrata_object_get *get, const char **path,
		  size_t *len)
{
	const struct kstrata_object *r = (const struct kstrata_object *)rec;

	if (rec->size < sizeof(*r) || r->id >= 1u << KSTRATA_FRAME_OBJECT_BITS)
		return false;
	*path = NULL;
	*len = 0;
	/* The one record that there may be of a vDSO. */
	if (rec->flags & KSTRATA_OBJECT_WANTED)
		return r->id != 0;
	if (r->id < KSTRATA_OBJECT_ID_FIRST)
		return false;
	if (rec->flags & KSTRATA_OBJECT_GONE)
		return true;
	if (r->path_bytes &&
	    (r->path_offset < sizeof(*r) || r->path_offset > rec->size ||
	     r->path_bytes > rec->size - r->path_offset))
		return false;
	*path = (const char *)rec + r->path_offset;
	*len = r->path_bytes;
	*get = (struct kstrata_object_get){
		.id = r->id,
		.kind = r->kind,
		.generation = r->generation,
		.dev_major = r->dev_major,
		.dev_minor = r->dev_minor,
		.ino = r->ino,
	};
	return true;
}

static void take_gone(struct objects *o, uint32_t id, uint64_t time)
{
	struct object_file *gone = NULL;

	/* The oldest whose end is not known for certain. */
	for (struct object_file *f = *bucket_of(o, id); f; f = f->next)
		if (f->id == id && (f->gone == LIVE || f->superseded))
			gone = f;
	o->stats.gone++;
	if (!gone)
		return;
	if (gone->gone == LIVE)
		tell_gone(o, gone);
	set_gone(o, gone, time);
	gone->superseded = false;
}

bool objects_take(struct objects *o, const struct kstrata_record *rec)
{
	const struct kstrata_object *r = (const struct kstrata_object *)rec;
	struct kstrata_object_get get;
	struct object_file *f;
	const char *path;
	size_t len;

	if (!parse(rec, &get, &path, &len))
		return false;
	if (rec->flags & KSTRATA_OBJECT_GONE) {
		take_gone(o, r->id, rec->time);
		return true;
	}
	if (rec->flags & KSTRATA_OBJECT_WANTED) {
		if (o->hooks.wanted)
			o->hooks.wanted(o->hooks.userdata, r->id);
		return true;
	}
	f = find(o, r->id, LIVE);
	if (f && f->known && !same_file(f, &get)) {
		/* Its GONE is in a ring that is not read yet, or was lost. */
		tell_gone(o, f);
		set_gone(o, f, rec->time);
		f->superseded = true;
		f = NULL;
	}
	if (!f)
		f = add(o, r->id);
	if (!f)
		return true;
	f->doubts = o->doubts;
	if (!f->known) {
		learn(f, &get);
		renew(o, f);
	}
	if (!*f->path || len > strlen(f->path))
		set_path(o, f, path, len);
	/* At once: for all we know the file is to be had only now. */
	if (!f->symbols.kind && f->retry != INT64_MAX)
		read_symbols(o, f);
	return true;
}

const struct object_file *objects_known(const struct objects *o, uint32_t id)
{
	const struct object_file *f = o->buckets[hash_u64(id) % BUCKETS];

	while (f && (f->id != id || f->gone != LIVE))
		f = f->next;
	return f;
}

int objects_open(struct objects *o, uint32_t id)
{
	const struct object_file *f = objects_known(o, id);
	struct kstrata_object_get get;
	size_t len;
	int r;

	if (!f || !f->known)
		return -ENOENT;
	r = ask(o, id, 0, &get, NULL, 0, &len);
	if (r < 0 && r != -ENODATA)
		return r;
	if (!same_file(f, &get)) {
		if (!r && get.fd >= 0)
			close(get.fd);
		return -ENOENT;
	}
	if (r == -ENODATA)
		get.fd = open_path(f);
	return get.fd < 0 ? -ENODATA : get.fd;
}

bool objects_still(struct objects *o, uint32_t id)
{
	const struct object_file *f = objects_known(o, id);
	struct kstrata_object_get get;
	size_t len;
	int r;

	if (!f || !f->known)
		return false;
	r = ask(o, id, KSTRATA_OBJECT_GET_NO_FD, &get, NULL, 0, &len);
	return (!r || r == -ENODATA) && same_file(f, &get);
}

uint64_t objects_changed(const struct objects *o)
{
	return o->changed;
}

void objects_doubt(struct objects *o)
{
	o->doubts++;
}

void objects_expire(struct objects *o, uint64_t now)
{
	struct object_file *f = o->oldest;

	if (now - o->expired < (uint64_t)NSEC_PER_SEC)
		return;
	o->expired = now;
	while (f) {
		struct object_file *newer = f->newer;

		if (f->gone != LIVE && now > f->gone &&
		    now - f->gone > GONE_GRACE_NS)
			forget(o, f);
		f = newer;
	}
}

void objects_get_stats(const struct objects *o, struct objects_stats *out)
{
	*out = o->stats;
	out->known = o->nr;
}
