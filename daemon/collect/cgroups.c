// SPDX-License-Identifier: Apache-2.0
#include "collect/cgroups.h"

#include "base/hash.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#define SLOTS 2048
#define PROBES 4
#define RETRY_NS (10 * NSEC_PER_SEC)
/* A walk of the tree is the last resort: so much of it, and so often. */
#define WALK_INTERVAL_NS (2 * NSEC_PER_SEC)
#define WALK_DIRS_MAX 8192
#define WALK_DEPTH_MAX 32

/* The kernel's FILEID_KERNFS: a handle that is nothing but the inode's number. */
#define HANDLE_KERNFS 0xfe

struct cgroups {
	char *root;
	int fd; /* of root, -1: there is none */
	struct slot {
		uint64_t id; /* 0: free */
		char *path; /* NULL: not known */
		int64_t retry;
		uint64_t used;
	} slots[SLOTS];
	uint64_t clock;
	int64_t walked;
};

static bool is_cgroup2(const char *path)
{
	struct statfs fs;

	return !statfs(path, &fs) &&
	       (uint64_t)fs.f_type == CGROUP2_SUPER_MAGIC;
}

int cgroups_new(struct cgroups **out, const char *root)
{
	struct cgroups *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	if (!root)
		root = is_cgroup2("/sys/fs/cgroup/unified") ?
			       "/sys/fs/cgroup/unified" :
			       "/sys/fs/cgroup";
	c->root = strdup(root);
	if (!c->root) {
		free(c);
		return -ENOMEM;
	}
	c->fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*out = c;
	return 0;
}

void cgroups_free(struct cgroups *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < SLOTS; i++)
		free(c->slots[i].path);
	util_closep(&c->fd);
	free(c->root);
	free(c);
}

/* By its handle (CAP_DAC_READ_SEARCH, Linux 5.5); malloc'ed, NULL: not known. */
static char *by_handle(const struct cgroups *c, uint64_t id)
{
	static const char deleted[] = " (deleted)";
	const size_t tail = sizeof(deleted) - 1;
	union {
		struct file_handle h;
		char room[sizeof(struct file_handle) + sizeof(id)];
	} u = { .h = { .handle_bytes = sizeof(id),
		       .handle_type = HANDLE_KERNFS } };
	cleanup(util_closep) int fd = -1;
	char link[64], path[PATH_MAX];
	size_t root = strlen(c->root);
	ssize_t n;

	memcpy(u.h.f_handle, &id, sizeof(id));
	fd = open_by_handle_at(c->fd, &u.h, O_PATH | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	if (n < (ssize_t)root || memcmp(path, c->root, root) != 0)
		return NULL;
	path[n] = '\0';
	if ((size_t)n > root + tail && !strcmp(path + n - tail, deleted))
		path[(size_t)n - tail] = '\0';
	if (!path[root])
		return strdup("/");
	return path[root] == '/' ? strdup(path + root) : NULL;
}

/* The slot of an id, or the one to give to it. */
static struct slot *slot_of(struct cgroups *c, uint64_t id)
{
	struct slot *best = NULL;

	for (size_t i = 0; i < PROBES; i++) {
		struct slot *s = &c->slots[(hash_u64(id) + i) % SLOTS];

		if (s->id == id)
			return s;
		if (!best || s->used < best->used)
			best = s;
	}
	return best;
}

static void put(struct cgroups *c, uint64_t id, char *path)
{
	struct slot *s = slot_of(c, id);

	free(s->path);
	*s = (struct slot){
		.id = id,
		.path = path,
		.retry = clock_monotonic_ns() + RETRY_NS,
		.used = ++c->clock,
	};
}

/* Learn every directory below dir, which is closed; path is its, of len. */
static void walk(struct cgroups *c, int dir, char *path, size_t len,
		 unsigned int depth, unsigned int *left)
{
	DIR *d = fdopendir(dir);
	struct dirent *e;

	if (!d) {
		close(dir);
		return;
	}
	while (*left && (e = readdir(d))) {
		size_t name = strlen(e->d_name);
		struct stat st;
		int fd;

		if (e->d_type != DT_DIR || !strcmp(e->d_name, ".") ||
		    !strcmp(e->d_name, "..") ||
		    len + name + 2 > PATH_MAX)
			continue;
		(*left)--;
		fd = openat(dirfd(d), e->d_name,
			    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0)
			continue;
		path[len] = '/';
		memcpy(path + len + 1, e->d_name, name + 1);
		if (!fstat(fd, &st))
			put(c, st.st_ino, strdup(path));
		if (depth < WALK_DEPTH_MAX)
			walk(c, fd, path, len + 1 + name, depth + 1, left);
		else
			close(fd);
	}
	closedir(d);
}

static void walk_all(struct cgroups *c)
{
	int64_t now = clock_monotonic_ns();
	unsigned int left = WALK_DIRS_MAX;
	char path[PATH_MAX] = "";
	struct stat st;
	int fd;

	if (c->walked && now - c->walked < WALK_INTERVAL_NS)
		return;
	c->walked = now;
	if (!fstat(c->fd, &st))
		put(c, st.st_ino, strdup("/"));
	fd = openat(c->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0)
		walk(c, fd, path, 0, 0, &left);
}

const char *cgroups_path(struct cgroups *c, uint64_t id)
{
	struct slot *s;
	char *path;

	if (!id || c->fd < 0)
		return NULL;
	s = slot_of(c, id);
	if (s->id == id && (s->path || clock_monotonic_ns() < s->retry)) {
		s->used = ++c->clock;
		return s->path;
	}
	path = by_handle(c, id);
	if (!path) {
		walk_all(c);
		s = slot_of(c, id);
		if (s->id == id && s->path)
			return s->path;
	}
	put(c, id, path);
	return path;
}

int cgroups_id(const struct cgroups *c, const char *path, uint64_t *id)
{
	size_t root = strlen(c->root);
	struct stat st;

	if (!strncmp(path, c->root, root) &&
	    (!path[root] || path[root] == '/'))
		path += root;
	path += strspn(path, "/");
	if (c->fd < 0)
		return -ENOENT;
	if (fstatat(c->fd, *path ? path : ".", &st, 0) < 0)
		return -errno;
	if (!S_ISDIR(st.st_mode))
		return -ENOTDIR;
	*id = st.st_ino;
	return 0;
}
