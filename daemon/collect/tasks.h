/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The processes that samples came from: what /proc said at first sight, or what
 * was known of the process that they were forked from, their series and the
 * names of their addresses so far. Bounded: the processes not seen for the
 * longest time are forgotten, and looked up again if they return.
 *
 * The rings of the CPUs are read one after the other, so that what is told here
 * is not in the order in which it happened: the times are what counts.
 */
#ifndef KSTRATA_COLLECT_TASKS_H
#define KSTRATA_COLLECT_TASKS_H

#include "collect/addrcache.h"
#include "profile/labels.h"
#include "symbol/procmaps.h"

#define TASKS_MAX 32768

struct tasks;

struct task {
	uint32_t pid; /* 0: of all that our pid namespace does not show */
	uint64_t since; /* CLOCK_MONOTONIC ns of its fork or exec, 0: not told */
	uint64_t gone; /* the same of its exit, 0: alive */
	bool kernel;
	bool looked; /* exe and cgroup were looked for */
	int64_t maps_read; /* CLOCK_MONOTONIC ns of the last try */
	struct procmaps maps;
	char *exe; /* path, NULL: not known */
	char *cgroup; /* path in the unified hierarchy, NULL: not known */
	struct addrcache names; /* location ids of generation */
	uint32_t generation;
	struct task_series {
		char comm[16];
		uint64_t cgroup; /* id */
		uint32_t series;
	} *series; /* of generation, by thread name and cgroup */
	size_t nr_series;
	uint64_t used; /* for forgetting */
	struct task *next; /* hash chain */
};

int tasks_new(struct tasks **out);
void tasks_free(struct tasks *t);

/* The descriptor of /proc, for procmaps_read() and the symbolizer. */
int tasks_proc_fd(const struct tasks *t);

/*
 * The process of a sample taken at time (CLOCK_MONOTONIC, ns), looked up in
 * /proc when new (or when the pid belongs to somebody else by now). NULL: out
 * of memory. Valid until the next call of a tasks_ function.
 */
struct task *tasks_get(struct tasks *t, uint32_t pid, bool kernel,
		       uint64_t time);
/* Read the maps again, at most a few times a second; true if that was done. */
bool tasks_refresh_maps(struct tasks *t, struct task *task);

/* From TASK records; the new process inherits what is known of its parent. */
void tasks_fork(struct tasks *t, uint32_t pid, uint32_t parent_pid, bool kernel,
		uint64_t time);
void tasks_exec(struct tasks *t, uint32_t pid, uint64_t time);
void tasks_exit(struct tasks *t, uint32_t pid, uint64_t time);
/* Forget those that are gone for a while; call now and then. */
void tasks_expire(struct tasks *t, uint64_t now);

/*
 * The labels of a thread's CPU series: profile type, service_name (the file's
 * name, or the thread's; "kernel" for kernel threads), comm, cgroup (that of
 * the process, where it is NULL).
 */
int tasks_labels(const struct task *task, const char *comm, const char *cgroup,
		 struct labels *out);

size_t tasks_count(const struct tasks *t);

#endif
