// SPDX-License-Identifier: Apache-2.0
#include "symbol/symbolizer.h"

#include "base/hash.h"
#include "base/log.h"
#include "symbol/elfsym.h"
#include "symbol/kallsyms.h"
#include "symbol/vdso.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define BUCKETS 1024
#define VERIFIED 2048
/*
 * A mapping's file is looked at when the mapping is first seen, and again after
 * this: inodes are used anew, and libraries overwritten in place.
 */
#define VERIFY_NS (10 * NSEC_PER_SEC)
/* A file that is no good is tried again after the same. */
#define RETRY_NS (60 * NSEC_PER_SEC)
/* ... and one that could not be opened, by another process perhaps, sooner. */
#define REOPEN_NS (2 * NSEC_PER_SEC)

/* What tells one content of a file from the next. */
struct identity {
	dev_t dev;
	ino_t ino;
	off_t size;
	struct timespec mtime;
};

/* How a table is found, symbols_key.kind. */
enum {
	KEY_MAPPING = 1, /* as mappings name files; hash: of the path */
	KEY_BUILD_ID, /* hash: of it, size and mtime; generation: the owner */
	KEY_FILE, /* hash: of size and mtime */
};

/* A file, as mappings name it, or as it is. */
struct object {
	struct object *next; /* hash chain */
	struct object *newer, *older; /* by last use */
	struct symbols_key key;
	struct elfsym *symbols; /* NULL: not to be had */
	struct identity identity; /* of what symbols come from */
	int64_t retry; /* CLOCK_MONOTONIC, ns; of use while symbols is NULL */
	size_t memory;
};

/* "This mapping of this process is that object's", not asked each time. */
struct verified {
	uint64_t start;
	uint64_t inode;
	uint32_t pid;
	int64_t until; /* CLOCK_MONOTONIC, ns */
};

struct symbolizer {
	char *kallsyms_path;
	struct kallsyms *kernel; /* NULL: hidden from us */
	struct object *buckets[BUCKETS];
	struct object *newest, *oldest;
	struct verified verified[VERIFIED];
	struct elfsym *vdso;
	size_t vdso_bytes;
	bool vdso_tried;
	uint64_t cache_bytes;
	bool offsets;
	/* The last answer's strings, where they are not those of a table. */
	char basename[NAME_MAX + sizeof("[+0x0123456789abcdef]")];
	char name[16384 + 16];
	char object[PATH_MAX + 16];
	struct symbolizer_stats stats;
};

int symbolizer_new(struct symbolizer **out,
		   const struct symbolizer_options *options)
{
	struct symbolizer *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->cache_bytes = options->cache_bytes;
	s->offsets = options->offsets;
	s->kallsyms_path = strdup(options->kallsyms_path ?
					  options->kallsyms_path :
					  "/proc/kallsyms");
	if (!s->kallsyms_path) {
		symbolizer_free(s);
		return -ENOMEM;
	}
	symbolizer_reload_kernel(s);
	*out = s;
	return 0;
}

static void lru_remove(struct symbolizer *s, struct object *o)
{
	*(o->newer ? &o->newer->older : &s->newest) = o->older;
	*(o->older ? &o->older->newer : &s->oldest) = o->newer;
	o->newer = o->older = NULL;
}

static void lru_add(struct symbolizer *s, struct object *o)
{
	o->older = s->newest;
	*(o->older ? &o->older->newer : &s->oldest) = o;
	s->newest = o;
}

static struct object **bucket_of(struct symbolizer *s,
				 const struct symbols_key *key)
{
	uint64_t hash = hash_u64(key->inode ^ key->hash ^
				 hash_pair(key->dev_major, key->dev_minor) ^
				 hash_pair(key->generation, key->kind));

	return &s->buckets[hash % BUCKETS];
}

static struct object *find(struct symbolizer *s, const struct symbols_key *key)
{
	struct object *o = *bucket_of(s, key);

	/* No padding in it: every byte counts. */
	while (o && memcmp(&o->key, key, sizeof(*key)) != 0)
		o = o->next;
	return o;
}

static struct object *add(struct symbolizer *s, const struct symbols_key *key)
{
	struct object **bucket = bucket_of(s, key);
	struct object *o = calloc(1, sizeof(*o));

	if (!o)
		return NULL;
	o->key = *key;
	o->next = *bucket;
	*bucket = o;
	return o;
}

/* Bring the sums up to date: a table grows as names are asked for. */
static void account(struct symbolizer *s, struct object *o)
{
	size_t memory = sizeof(*o);

	if (o->symbols)
		memory += elfsym_memory(o->symbols);
	s->stats.memory += memory - o->memory;
	o->memory = memory;
}

static void drop_symbols(struct symbolizer *s, struct object *o)
{
	if (!o->symbols)
		return;
	elfsym_free(o->symbols);
	o->symbols = NULL;
	s->stats.objects--;
	account(s, o);
}

static void object_free(struct symbolizer *s, struct object *o)
{
	struct object **p = bucket_of(s, &o->key);

	while (*p != o)
		p = &(*p)->next;
	*p = o->next;
	lru_remove(s, o);
	drop_symbols(s, o);
	s->stats.memory -= o->memory;
	free(o);
}

void symbolizer_free(struct symbolizer *s)
{
	if (!s)
		return;
	while (s->newest)
		object_free(s, s->newest);
	elfsym_free(s->vdso);
	kallsyms_free(s->kernel);
	free(s->kallsyms_path);
	free(s);
}

int symbolizer_reload_kernel(struct symbolizer *s)
{
	struct kallsyms *fresh;
	int r;

	r = kallsyms_load(&fresh, s->kallsyms_path);
	if (r < 0) {
		log_warn("%s: %s: kernel functions have no names",
			 s->kallsyms_path,
			 r == -EPERM ? "addresses are hidden (kptr_restrict, CAP_SYSLOG)" :
				       strerror(-r));
		return r;
	}
	kallsyms_free(s->kernel);
	s->kernel = fresh;
	s->stats.kernel_symbols = kallsyms_count(fresh);
	return 0;
}

/*
 * Names end up in folded text, where ';' and newlines part frames, and on
 * terminals, where control characters do worse. buf is used when text has any
 * of them, or is longer than buf.
 */
static const char *sane(char *buf, size_t size, const char *text)
{
	bool clean = true;
	size_t n = 0;

	for (; text[n] && n < size - 1; n++) {
		char c = text[n];

		if (c == ';')
			c = ':';
		else if ((unsigned char)c < 0x20 || c == 0x7f)
			c = '?';
		clean &= c == text[n];
		buf[n] = c;
	}
	buf[n] = '\0';
	return clean && !text[n] ? text : buf;
}

static const char *sane_name(struct symbolizer *s, const char *name)
{
	return sane(s->name, sizeof(s->name), name);
}

struct symbol symbolizer_kernel(struct symbolizer *s, uint64_t address)
{
	struct symbol out = { "[kernel]", "[kernel]" };
	const char *name, *module;

	s->stats.lookups++;
	if (s->kernel && kallsyms_lookup(s->kernel, address, &name, &module)) {
		out.name = sane_name(s, name);
		out.object = sane(s->object, sizeof(s->object), module);
	}
	return out;
}

/*
 * Our own vDSO is the one that every process of this kernel and of our word
 * size has.
 */
static void load_vdso(struct symbolizer *s)
{
	cleanup(util_closep) int fd = -1;
	size_t size;

	s->vdso_tried = true;
	fd = vdso_open(&size);
	if (fd >= 0 && elfsym_load(&s->vdso, fd) >= 0)
		s->vdso_bytes = size;
}

static struct elfsym *vdso_of(struct symbolizer *s, const struct mapping *m)
{
	if (!s->vdso_tried)
		load_vdso(s);
	/* A 32-bit program's is another one, and of another size. */
	if (m->end - m->start != s->vdso_bytes ||
	    (sizeof(void *) > 4 && m->end <= UINT32_MAX))
		return NULL;
	return s->vdso;
}

/*
 * The inode must be the mapping's; the device may differ: maps shows the one of
 * the file system's superblock, or of the layer that holds the data, where stat
 * shows the btrfs subvolume's or the overlay's. Both ways to open have found
 * the file by this very mapping or its path, so the same inode number under
 * another device is taken for such a file.
 */
static bool same_file(int fd, const struct mapping *m, struct identity *id)
{
	struct stat st;

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) ||
	    st.st_ino != m->inode)
		return false;
	/* No padding may be left to chance: this is compared as bytes. */
	memset(id, 0, sizeof(*id));
	id->dev = st.st_dev;
	id->ino = st.st_ino;
	id->size = st.st_size;
	id->mtime = st.st_mtim;
	return true;
}

/* The file behind a mapping, however it can be had; -errno. */
static int open_mapped(int proc_fd, uint32_t pid, const struct mapping *m,
		       struct identity *id)
{
	/* A FIFO or a terminal under that name by now must not block us. */
	const int flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
	char name[PATH_MAX + 64];
	int fd, n;

	snprintf(name, sizeof(name), "%" PRIu32 "/map_files/%" PRIx64 "-%" PRIx64,
		 pid, m->start, m->end);
	fd = openat(proc_fd, name, flags);
	if (fd >= 0) {
		if (same_file(fd, m, id))
			return fd;
		close(fd);
	}
	n = snprintf(name, sizeof(name), "%" PRIu32 "/root%s", pid, m->path);
	if (m->path[0] != '/' || n < 0 || (size_t)n >= sizeof(name))
		return -ENOENT;
	fd = openat(proc_fd, name, flags);
	if (fd < 0)
		return -errno;
	if (same_file(fd, m, id))
		return fd;
	close(fd);
	return -ESTALE;
}

/* Least recently used first, never the one just asked for. */
static void evict(struct symbolizer *s)
{
	while (s->stats.memory > s->cache_bytes && s->oldest != s->newest) {
		object_free(s, s->oldest);
		s->stats.evictions++;
	}
}

/* Look at the mapping's file, and read it unless symbols are from it already. */
static void load(struct symbolizer *s, struct object *o, int proc_fd,
		 uint32_t pid, const struct mapping *m, int64_t now)
{
	cleanup(util_closep) int fd = -1;
	struct identity id;
	int r;

	fd = r = open_mapped(proc_fd, pid, m, &id);
	if (r < 0) {
		/* The process is gone, say: what we have is still the best. */
		if (o->symbols)
			return;
		o->retry = now + REOPEN_NS;
	} else {
		if (o->symbols && !memcmp(&id, &o->identity, sizeof(id)))
			return;
		drop_symbols(s, o);
		o->identity = id;
		o->retry = now + RETRY_NS;
		r = elfsym_load(&o->symbols, fd);
	}
	if (r < 0) {
		o->symbols = NULL;
		s->stats.load_errors++;
		log_debug("no symbols of %s: %s", m->path, strerror(-r));
		return;
	}
	s->stats.loads++;
	s->stats.objects++;
	log_debug("%s: %zu functions, %zu bytes", m->path,
		  elfsym_count(o->symbols), elfsym_memory(o->symbols));
}

static bool verify_due(struct symbolizer *s, uint32_t pid,
		       const struct mapping *m, int64_t now)
{
	uint64_t hash = hash_u64(m->start ^ (uint64_t)pid << 47 ^ m->inode);
	struct verified *v = &s->verified[hash % VERIFIED];

	if (v->start == m->start && v->inode == m->inode && v->pid == pid &&
	    now < v->until)
		return false;
	*v = (struct verified){ m->start, m->inode, pid, now + VERIFY_NS };
	return true;
}

/*
 * The path is part of the key: where maps has one device for several file
 * trees (btrfs subvolumes), inode numbers repeat.
 */
static struct object *object_of(struct symbolizer *s, int proc_fd, uint32_t pid,
				const struct mapping *m)
{
	const struct symbols_key key = {
		.inode = m->inode,
		.hash = hash_bytes(m->path, strlen(m->path)),
		.dev_major = m->dev_major,
		.dev_minor = m->dev_minor,
		.kind = KEY_MAPPING,
	};
	struct object *o = find(s, &key);
	int64_t now = clock_monotonic_ns();

	if (!o) {
		o = add(s, &key);
		if (!o)
			return NULL;
		verify_due(s, pid, m, now);
		load(s, o, proc_fd, pid, m, now);
	} else {
		lru_remove(s, o);
		s->stats.hits++;
		if (o->symbols ? verify_due(s, pid, m, now) : now >= o->retry)
			load(s, o, proc_fd, pid, m, now);
	}
	lru_add(s, o);
	return o;
}

/* false: this is no file to read. */
static bool key_of(int fd, uint32_t generation, const char *build_id,
		   struct symbols_key *key)
{
	struct {
		int64_t size, sec, nsec;
		char build_id[ELFSYM_BUILD_ID_MAX + 7];
	} content;
	struct stat st;

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return false;
	memset(&content, 0, sizeof(content));
	content.size = st.st_size;
	content.sec = st.st_mtim.tv_sec;
	content.nsec = st.st_mtim.tv_nsec;
	memcpy(content.build_id, build_id, strlen(build_id));
	*key = (struct symbols_key){
		.kind = *build_id ? KEY_BUILD_ID : KEY_FILE,
		.hash = hash_bytes(&content, sizeof(content)),
	};
	if (*build_id) {
		/*
		 * Copies in many places share their symbols. Anybody can forge
		 * an id, but nobody a file of root's; and some linkers leave
		 * the symbols' names out of it, but not the time.
		 */
		key->generation = st.st_uid;
		return true;
	}
	key->inode = st.st_ino;
	key->dev_major = major(st.st_dev);
	key->dev_minor = minor(st.st_dev);
	key->generation = generation;
	return true;
}

int symbolizer_read(struct symbolizer *s, int fd, uint32_t generation,
		    struct symbols_key *key)
{
	char build_id[ELFSYM_BUILD_ID_MAX];
	struct elfsym *symbols;
	struct object *o;
	int r;

	r = elfsym_read_build_id(fd, build_id);
	if (r >= 0 && !key_of(fd, generation, build_id, key))
		r = -ENOEXEC;
	if (r >= 0 && find(s, key))
		return 0;
	if (r >= 0)
		r = elfsym_load(&symbols, fd);
	if (r < 0) {
		s->stats.load_errors++;
		return r;
	}
	o = add(s, key);
	if (!o) {
		elfsym_free(symbols);
		return -ENOMEM;
	}
	o->symbols = symbols;
	s->stats.loads++;
	s->stats.objects++;
	lru_add(s, o);
	account(s, o);
	evict(s);
	return 0;
}

/* What a place without a symbol is called. */
static const char *place_of(struct symbolizer *s, const char *path,
			    uint64_t offset)
{
	const char *slash = strrchr(path, '/');
	const char *base = slash && slash[1] ? slash + 1 : path;

	if (s->offsets)
		snprintf(s->basename, sizeof(s->basename), "[%.*s+%#" PRIx64 "]",
			 NAME_MAX, base, offset);
	else
		snprintf(s->basename, sizeof(s->basename), "[%.*s]", NAME_MAX,
			 base);
	return s->basename;
}

bool symbolizer_file(struct symbolizer *s, const struct symbols_key *key,
		     const char *path, uint64_t offset, struct symbol *out)
{
	struct object *o = key->kind ? find(s, key) : NULL;
	const char *name = NULL;

	s->stats.lookups++;
	if (o) {
		s->stats.hits++;
		lru_remove(s, o);
		lru_add(s, o);
		name = elfsym_lookup(o->symbols, offset);
		account(s, o);
		evict(s);
	}
	out->object = sane(s->object, sizeof(s->object), path);
	out->name = sane_name(s, name ? name : place_of(s, path, offset));
	return o;
}

struct symbol symbolizer_vdso(struct symbolizer *s, uint64_t offset)
{
	const char *name = NULL;

	s->stats.lookups++;
	if (!s->vdso_tried)
		load_vdso(s);
	if (s->vdso)
		name = elfsym_lookup(s->vdso, offset);
	return (struct symbol){ sane_name(s, name ? name : "[vdso]"), "[vdso]" };
}

struct symbol symbolizer_user(struct symbolizer *s, int proc_fd, uint32_t pid,
			      const struct mapping *m, uint64_t address)
{
	struct symbol out = { "[anon]", "" };
	const char *name = NULL;

	s->stats.lookups++;
	if (address < m->start || address >= m->end) {
		out.name = "[unknown]";
		return out;
	}
	out.object = sane(s->object, sizeof(s->object), m->path);
	if (m->path[0] == '[') {
		/* "[vdso]", "[stack]", "[anon:what the program calls it]" */
		struct elfsym *vdso =
			strcmp(m->path, "[vdso]") ? NULL : vdso_of(s, m);

		if (vdso)
			name = elfsym_lookup(vdso, address - m->start);
		out.name = sane_name(s, name ? name : m->path);
	} else if (m->inode) {
		struct object *o = object_of(s, proc_fd, pid, m);

		uint64_t offset = address - m->start + m->offset;

		if (o && o->symbols)
			name = elfsym_lookup(o->symbols, offset);
		if (o) {
			account(s, o);
			evict(s);
		}
		out.name = sane_name(s, name ? name :
					      place_of(s, m->path, offset));
	}
	return out;
}

void symbolizer_get_stats(const struct symbolizer *s,
			  struct symbolizer_stats *out)
{
	*out = s->stats;
}
