// SPDX-License-Identifier: Apache-2.0
#include "symbol/symbolizer.h"

#include "base/hash.h"
#include "base/log.h"
#include "symbol/elfsym.h"
#include "symbol/kallsyms.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define BUCKETS 1024
/* A file that could not be read is tried again after this. */
#define RETRY_NS (60 * NSEC_PER_SEC)
#define VDSO_BYTES_MAX (1u << 20)

/* A file, as mappings name it. */
struct object {
	struct object *next; /* hash chain */
	uint64_t inode;
	uint32_t dev_major, dev_minor;
	struct elfsym *symbols; /* NULL: not to be had */
	int64_t tried; /* CLOCK_MONOTONIC, ns */
	uint64_t used; /* for eviction */
	size_t memory;
};

struct symbolizer {
	char *kallsyms_path;
	struct kallsyms *kernel; /* NULL: hidden from us */
	struct object *buckets[BUCKETS];
	struct elfsym *vdso;
	bool vdso_tried;
	uint64_t cache_bytes;
	uint64_t clock;
	char text[PATH_MAX + 16]; /* "[basename]" of the last answer */
	char name[16384 + 16];
	struct symbolizer_stats stats;
};

int symbolizer_new(struct symbolizer **out,
		   const struct symbolizer_options *options)
{
	struct symbolizer *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->cache_bytes = options->cache_bytes;
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

static void object_free(struct symbolizer *s, struct object *o)
{
	s->stats.memory -= o->memory;
	if (o->symbols)
		s->stats.objects--;
	elfsym_free(o->symbols);
	free(o);
}

void symbolizer_free(struct symbolizer *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < BUCKETS; i++) {
		while (s->buckets[i]) {
			struct object *o = s->buckets[i];

			s->buckets[i] = o->next;
			object_free(s, o);
		}
	}
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
 * terminals, where control characters do worse.
 */
static const char *sane(struct symbolizer *s, const char *name)
{
	size_t n = 0;
	bool clean = true;

	for (; name[n] && n < sizeof(s->name) - 1; n++) {
		char c = name[n];

		if (c == ';')
			c = ':';
		else if ((unsigned char)c < 0x20 || c == 0x7f)
			c = '?';
		clean &= c == name[n];
		s->name[n] = c;
	}
	s->name[n] = '\0';
	return clean && !name[n] ? name : s->name;
}

struct symbol symbolizer_kernel(struct symbolizer *s, uint64_t address)
{
	struct symbol out = { "[kernel]", "[kernel]" };
	const char *name, *module;

	s->stats.lookups++;
	if (s->kernel && kallsyms_lookup(s->kernel, address, &name, &module)) {
		out.name = sane(s, name);
		out.object = module;
	}
	return out;
}

/* Our own vDSO is the one that every process of this kernel has. */
static struct elfsym *vdso(struct symbolizer *s)
{
	const void *image = (const void *)getauxval(AT_SYSINFO_EHDR);
	cleanup(util_closep) int fd = -1;
	struct procmaps maps;
	const struct mapping *m;

	if (s->vdso_tried || !image)
		return s->vdso;
	s->vdso_tried = true;
	fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || procmaps_read(&maps, fd, (uint32_t)getpid()) < 0)
		return NULL;
	m = procmaps_find(&maps, (uint64_t)(uintptr_t)image);
	if (m && m->end - m->start <= VDSO_BYTES_MAX) {
		cleanup(util_closep) int mem = memfd_create("vdso", MFD_CLOEXEC);

		if (mem >= 0 && util_write_all(mem, image, m->end - m->start) >= 0)
			elfsym_load(&s->vdso, mem);
	}
	procmaps_release(&maps);
	return s->vdso;
}

static bool same_file(int fd, const struct mapping *m)
{
	struct stat st;

	/*
	 * The inode alone: overlayfs and btrfs show one device in maps and
	 * another in stat.
	 */
	return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
	       st.st_ino == m->inode;
}

/* The file behind a mapping, however it can be had; -errno. */
static int open_mapped(int proc_fd, uint32_t pid, const struct mapping *m)
{
	/* A FIFO under that name by now must not block us. */
	const int flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
	char name[PATH_MAX + 64];
	int fd;

	snprintf(name, sizeof(name), "%" PRIu32 "/map_files/%" PRIx64 "-%" PRIx64,
		 pid, m->start, m->end);
	fd = openat(proc_fd, name, flags);
	if (fd >= 0) {
		if (same_file(fd, m))
			return fd;
		close(fd);
	}
	snprintf(name, sizeof(name), "%" PRIu32 "/root%s", pid, m->path);
	fd = openat(proc_fd, name, flags);
	if (fd < 0)
		return -errno;
	if (same_file(fd, m))
		return fd;
	close(fd);
	return -ESTALE;
}

/* Least recently used first, never the one just asked for. */
static void evict(struct symbolizer *s, const struct object *keep)
{
	while (s->stats.memory > s->cache_bytes) {
		struct object **oldest = NULL, *o;

		for (size_t i = 0; i < BUCKETS; i++)
			for (struct object **p = &s->buckets[i]; *p;
			     p = &(*p)->next)
				if (*p != keep && (*p)->memory &&
				    (!oldest || (*p)->used < (*oldest)->used))
					oldest = p;
		if (!oldest)
			return;
		o = *oldest;
		*oldest = o->next;
		object_free(s, o);
		s->stats.evictions++;
	}
}

static void load(struct symbolizer *s, struct object *o, int proc_fd,
		 uint32_t pid, const struct mapping *m)
{
	cleanup(util_closep) int fd = -1;
	int r;

	o->tried = clock_monotonic_ns();
	fd = r = open_mapped(proc_fd, pid, m);
	if (r >= 0)
		r = elfsym_load(&o->symbols, fd);
	if (r < 0) {
		s->stats.load_errors++;
		log_debug("no symbols of %s: %s", m->path, strerror(-r));
		return;
	}
	s->stats.loads++;
	s->stats.objects++;
	o->memory = elfsym_memory(o->symbols);
	s->stats.memory += o->memory;
	log_debug("%s: %zu functions, %zu bytes", m->path,
		  elfsym_count(o->symbols), o->memory);
	evict(s, o);
}

static struct object *object_of(struct symbolizer *s, int proc_fd, uint32_t pid,
				const struct mapping *m)
{
	uint64_t hash = hash_u64(m->inode ^ hash_pair(m->dev_major, m->dev_minor));
	struct object **p = &s->buckets[hash % BUCKETS], *o;

	while (*p && ((*p)->inode != m->inode ||
		      (*p)->dev_major != m->dev_major ||
		      (*p)->dev_minor != m->dev_minor))
		p = &(*p)->next;
	o = *p;
	if (!o) {
		o = calloc(1, sizeof(*o));
		if (!o)
			return NULL;
		o->inode = m->inode;
		o->dev_major = m->dev_major;
		o->dev_minor = m->dev_minor;
		*p = o;
		o->used = ++s->clock;
		load(s, o, proc_fd, pid, m);
	} else if (!o->symbols && clock_monotonic_ns() - o->tried > RETRY_NS) {
		load(s, o, proc_fd, pid, m);
	} else {
		s->stats.hits++;
	}
	o->used = ++s->clock;
	return o;
}

static const char *basename_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash && slash[1] ? slash + 1 : path;
}

struct symbol symbolizer_user(struct symbolizer *s, int proc_fd, uint32_t pid,
			      const struct mapping *m, uint64_t address)
{
	struct symbol out = { "[anon]", m->path };
	struct elfsym *symbols = NULL;
	const char *name = NULL;

	s->stats.lookups++;
	if (!strcmp(m->path, "[vdso]")) {
		out.name = "[vdso]";
		symbols = vdso(s);
	} else if (m->path[0] == '[') {
		out.name = "[anon]";
	} else if (m->inode) {
		struct object *o = object_of(s, proc_fd, pid, m);

		symbols = o ? o->symbols : NULL;
		snprintf(s->text, sizeof(s->text), "[%s]", basename_of(m->path));
		out.name = s->text;
	}
	if (symbols)
		name = elfsym_lookup(symbols, address - m->start + m->offset);
	out.name = sane(s, name ? name : out.name);
	return out;
}

void symbolizer_get_stats(const struct symbolizer *s,
			  struct symbolizer_stats *out)
{
	*out = s->stats;
}
