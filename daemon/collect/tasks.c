// SPDX-License-Identifier: Apache-2.0
#include "collect/tasks.h"

#include "base/hash.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BUCKETS 4096
/* Samples of other CPUs' rings may still come after an EXIT was read. */
#define GONE_GRACE_NS (uint64_t)(5 * NSEC_PER_SEC)
#define MAPS_INTERVAL_NS (250 * NSEC_PER_MSEC)

struct tasks {
	int proc_fd;
	struct task *buckets[BUCKETS];
	size_t nr;
	uint64_t clock; /* counts tasks_get() calls */
};

int tasks_new(struct tasks **out)
{
	struct tasks *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->proc_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (t->proc_fd < 0) {
		int r = -errno;

		free(t);
		return r;
	}
	*out = t;
	return 0;
}

/* What is known of the program; the process itself stays. */
static void task_reset(struct task *task)
{
	procmaps_release(&task->maps);
	addrcache_release(&task->names);
	free(task->exe);
	free(task->cgroup);
	free(task->series);
	task->exe = NULL;
	task->cgroup = NULL;
	task->series = NULL;
	task->nr_series = 0;
	task->looked = false;
	task->maps_read = 0;
}

static void task_free(struct task *task)
{
	task_reset(task);
	free(task);
}

void tasks_free(struct tasks *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < BUCKETS; i++) {
		while (t->buckets[i]) {
			struct task *task = t->buckets[i];

			t->buckets[i] = task->next;
			task_free(task);
		}
	}
	close(t->proc_fd);
	free(t);
}

int tasks_proc_fd(const struct tasks *t)
{
	return t->proc_fd;
}

/* Of pid 0 there are two: the kernel's idle tasks, and what we cannot see. */
static struct task **find(struct tasks *t, uint32_t pid, bool kernel)
{
	struct task **p = &t->buckets[hash_u64(pid) % BUCKETS];

	while (*p && ((*p)->pid != pid || (!pid && (*p)->kernel != kernel)))
		p = &(*p)->next;
	return p;
}

static char *read_exe(int proc_fd, uint32_t pid)
{
	static const char deleted[] = " (deleted)";
	char name[32], path[PATH_MAX];
	size_t tail = sizeof(deleted) - 1;
	ssize_t n;

	snprintf(name, sizeof(name), "%u/exe", pid);
	n = readlinkat(proc_fd, name, path, sizeof(path) - 1);
	if (n <= 0)
		return NULL;
	path[n] = '\0';
	if ((size_t)n > tail && !strcmp(path + n - tail, deleted))
		path[(size_t)n - tail] = '\0';
	return strdup(path);
}

/* The line "0::PATH" of /proc/PID/cgroup. */
static char *read_cgroup(int proc_fd, uint32_t pid)
{
	char name[32], text[4096], *line, *end;
	cleanup(util_closep) int fd = -1;
	ssize_t n;

	snprintf(name, sizeof(name), "%u/cgroup", pid);
	fd = openat(proc_fd, name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	n = read(fd, text, sizeof(text) - 1);
	if (n <= 0)
		return NULL;
	text[n] = '\0';
	line = !strncmp(text, "0::", 3) ? text : strstr(text, "\n0::");
	if (!line)
		return NULL;
	line = strstr(line, "0::") + 3;
	end = strchr(line, '\n');
	if (!end)
		return NULL;
	*end = '\0';
	return strdup(line);
}

static void task_look(struct tasks *t, struct task *task)
{
	task->looked = true;
	if (task->kernel || !task->pid)
		return;
	task->exe = read_exe(t->proc_fd, task->pid);
	task->cgroup = read_cgroup(t->proc_fd, task->pid);
}

/* Make room: the process not seen for the longest time of a few looked at. */
static void forget_one(struct tasks *t)
{
	struct task **oldest = NULL;

	for (size_t i = 0, looked = 0; i < BUCKETS && looked < 64; i++) {
		size_t at = hash_u64(t->clock + i) % BUCKETS;

		for (struct task **p = &t->buckets[at]; *p; p = &(*p)->next) {
			looked++;
			if (!oldest || (*p)->used < (*oldest)->used)
				oldest = p;
		}
	}
	if (oldest) {
		struct task *task = *oldest;

		*oldest = task->next;
		task_free(task);
		t->nr--;
	}
}

/* The entry, as it is or new; NULL: out of memory. */
static struct task *get(struct tasks *t, uint32_t pid, bool kernel)
{
	struct task **p = find(t, pid, kernel), *task = *p;

	t->clock++;
	if (!task) {
		if (t->nr >= TASKS_MAX) {
			forget_one(t);
			p = find(t, pid, kernel);
		}
		task = calloc(1, sizeof(*task));
		if (!task)
			return NULL;
		task->pid = pid;
		task->kernel = kernel;
		*p = task;
		t->nr++;
	}
	task->used = t->clock;
	return task;
}

struct task *tasks_get(struct tasks *t, uint32_t pid, bool kernel,
		       uint64_t time)
{
	struct task *task = get(t, pid, kernel);

	if (!task)
		return NULL;
	if ((task->gone && time > task->gone) || task->kernel != kernel) {
		/* The pid was given to another process. */
		task_reset(task);
		task->gone = 0;
		task->kernel = kernel;
	}
	if (!task->looked)
		task_look(t, task);
	return task;
}

bool tasks_refresh_maps(struct tasks *t, struct task *task)
{
	int64_t now = clock_monotonic_ns();
	struct procmaps maps;

	if (task->kernel || task->gone || !task->pid ||
	    (task->maps_read && now - task->maps_read < MAPS_INTERVAL_NS))
		return false;
	task->maps_read = now;
	/* What an exiting process has lost is still the best guess. */
	if (procmaps_read(&maps, t->proc_fd, task->pid) < 0)
		return false;
	if (!maps.nr && task->maps.nr) {
		procmaps_release(&maps);
		return false;
	}
	procmaps_release(&task->maps);
	addrcache_release(&task->names);
	task->maps = maps;
	return true;
}

/* Another program, or another process, since time; false: that is old news. */
static bool renew(struct task *task, bool kernel, uint64_t time)
{
	if (time < task->since)
		return false;
	task_reset(task);
	task->since = time;
	task->kernel = kernel;
	if (task->gone < time)
		task->gone = 0;
	return true;
}

void tasks_fork(struct tasks *t, uint32_t pid, uint32_t parent_pid, bool kernel,
		uint64_t time)
{
	cleanup(util_freep) char *exe = NULL, *cgroup = NULL;
	struct task *parent, *task;

	/* A new thread is of a process that is known, or will be. */
	if (!pid || pid == parent_pid)
		return;
	if (parent_pid && !kernel) {
		parent = get(t, parent_pid, false);
		if (parent && !parent->looked && !parent->gone)
			task_look(t, parent);
		if (parent && parent->exe)
			exe = strdup(parent->exe);
		if (parent && parent->cgroup)
			cgroup = strdup(parent->cgroup);
	}
	task = get(t, pid, kernel);
	if (!task || !renew(task, kernel, time))
		return;
	task->exe = exe;
	task->cgroup = cgroup;
	exe = cgroup = NULL;
	task->looked = task->exe;
}

void tasks_exec(struct tasks *t, uint32_t pid, uint64_t time)
{
	struct task *task = pid ? get(t, pid, false) : NULL;

	/* Looked at by its next sample. */
	if (task)
		renew(task, false, time);
}

void tasks_exit(struct tasks *t, uint32_t pid, uint64_t time)
{
	struct task *task = pid ? *find(t, pid, false) : NULL;

	if (task && time >= task->since)
		task->gone = time;
}

void tasks_expire(struct tasks *t, uint64_t now)
{
	for (size_t i = 0; i < BUCKETS; i++) {
		struct task **p = &t->buckets[i];

		while (*p) {
			struct task *task = *p;

			if (!task->gone || now < task->gone + GONE_GRACE_NS) {
				p = &task->next;
				continue;
			}
			*p = task->next;
			task_free(task);
			t->nr--;
		}
	}
}

static const char *basename_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash && slash[1] ? slash + 1 : path;
}

int tasks_labels(const struct task *task, const char *comm, const char *cgroup,
		 struct labels *out)
{
	const char *service = comm;
	char plain[16];
	int r;

	/* kworker/3:1-mm_percpu_wq and the like: one series, not hundreds. */
	snprintf(plain, sizeof(plain), "%s", comm);
	if (task->kernel) {
		plain[strcspn(plain, "/")] = '\0';
		service = "kernel";
	} else if (task->exe) {
		service = basename_of(task->exe);
	}
	r = labels_set(out, LABEL_PROFILE_TYPE, PROFILE_TYPE_CPU);
	if (r >= 0)
		r = labels_set(out, "service_name", *service ? service : "unknown");
	if (r >= 0)
		r = labels_set(out, "comm", plain);
	if (!cgroup)
		cgroup = task->cgroup;
	if (r >= 0 && cgroup)
		r = labels_set(out, "cgroup", cgroup);
	return r;
}

size_t tasks_count(const struct tasks *t)
{
	return t->nr;
}
