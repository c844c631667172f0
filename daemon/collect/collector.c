// SPDX-License-Identifier: Apache-2.0
#include "collect/collector.h"

#include "base/log.h"
#include "collect/tasks.h"

#include <errno.h>
#include <kstrata/ring.h>
#include <stdlib.h>
#include <string.h>

#define KERNEL_NAMES_MAX (1u << 17)
#define TASK_NAMES_MAX (1u << 14)
#define TASK_SERIES_MAX 256

struct collector {
	struct device *device;
	struct symbolizer *symbolizer;
	struct store *store;
	struct tasks *tasks;
	struct addrcache kernel_names; /* location ids of generation */
	uint32_t generation; /* of the store's dictionary */
	int64_t realtime_offset; /* real time - monotonic time, ns */
	struct collector_stats stats;
	struct log_ratelimit complain_lost, complain_failed;
};

int collector_new(struct collector **out, struct device *device,
		  struct symbolizer *symbolizer, struct store *store)
{
	struct collector *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return -ENOMEM;
	r = tasks_new(&c->tasks);
	if (r < 0) {
		free(c);
		return r;
	}
	c->device = device;
	c->symbolizer = symbolizer;
	c->store = store;
	c->generation = store_generation(store);
	c->realtime_offset = clock_realtime_ns() - clock_monotonic_ns();
	*out = c;
	return 0;
}

void collector_free(struct collector *c)
{
	if (!c)
		return;
	addrcache_release(&c->kernel_names);
	tasks_free(c->tasks);
	free(c);
}

static int intern(struct collector *c, struct symbol sym, uint32_t *location)
{
	return dict_location(store_dict(c->store), sym.name, strlen(sym.name),
			     sym.object, location);
}

static int kernel_location(struct collector *c, uint64_t address,
			   uint32_t *location)
{
	int r;

	if (addrcache_get(&c->kernel_names, address, location))
		return 0;
	r = intern(c, symbolizer_kernel(c->symbolizer, address), location);
	if (r >= 0)
		addrcache_put(&c->kernel_names, address, *location,
			      KERNEL_NAMES_MAX);
	return r;
}

/* *known: false when the address lies in no mapping we know of. */
static int user_location(struct collector *c, struct task *task,
			 uint64_t address, uint32_t *location, bool *known)
{
	static const struct symbol unknown = { "[unknown]", "" };
	const struct mapping *m;
	int r;

	*known = true;
	if (addrcache_get(&task->names, address, location))
		return 0;
	m = procmaps_find(&task->maps, address);
	if (!m && tasks_refresh_maps(c->tasks, task))
		m = procmaps_find(&task->maps, address);
	if (!m) {
		*known = false;
		return intern(c, unknown, location);
	}
	r = intern(c,
		   symbolizer_user(c->symbolizer, tasks_proc_fd(c->tasks),
				   task->pid, m, address),
		   location);
	if (r >= 0)
		addrcache_put(&task->names, address, *location,
			      TASK_NAMES_MAX);
	return r;
}

/* Outermost frame first: user, then kernel, as one stack. */
static int fold(struct collector *c, struct task *task,
		const struct kstrata_sample *s, uint32_t *node)
{
	const __u64 *frames = kst_sample_frames(s);
	struct calltree *tree = store_dict(c->store)->tree;
	uint32_t location;
	bool was_unknown = false;
	int r;

	*node = 0;
	for (unsigned int i = s->nr_user; i--;) {
		/* Only what was interrupted is not a return address. */
		bool leaf = !i && !s->nr_kernel;
		uint64_t address = frames[s->nr_kernel + i] - !leaf;
		bool known;

		r = user_location(c, task, address, &location, &known);
		if (r < 0)
			return r;
		c->stats.frames++;
		c->stats.unknown_frames += !known;
		/* A run of frames that nobody knows tells nothing more than one. */
		if (!known && was_unknown)
			continue;
		was_unknown = !known;
		r = calltree_child(tree, *node, location, node);
		if (r < 0)
			return r;
	}
	for (unsigned int i = s->nr_kernel; i--;) {
		uint64_t address = frames[i];

		if (address != KSTRATA_FRAME_HIDDEN)
			address -= !!i;
		r = kernel_location(c, address, &location);
		if (r < 0)
			return r;
		c->stats.frames++;
		r = calltree_child(tree, *node, location, node);
		if (r < 0)
			return r;
	}
	return 0;
}

static int series_of(struct collector *c, struct task *task,
		     const struct kstrata_sample *s, uint32_t *series)
{
	struct labels labels = { 0 };
	char comm[sizeof(s->comm)];
	struct task_series *more;
	int r;

	memcpy(comm, s->comm, sizeof(comm));
	comm[sizeof(comm) - 1] = '\0';
	for (size_t i = 0; i < task->nr_series; i++) {
		if (strcmp(task->series[i].comm, comm))
			continue;
		*series = task->series[i].series;
		return 0;
	}
	/* A process that renames its threads without end gets one name for all. */
	r = tasks_labels(task,
			 task->nr_series < TASK_SERIES_MAX ? comm : "other",
			 &labels);
	if (r >= 0)
		r = dict_series(store_dict(c->store), &labels, series);
	labels_release(&labels);
	if (r < 0 || task->nr_series >= TASK_SERIES_MAX)
		return r;
	more = realloc(task->series, (task->nr_series + 1) * sizeof(*more));
	if (!more)
		return -ENOMEM;
	task->series = more;
	memcpy(more[task->nr_series].comm, comm, sizeof(comm));
	more[task->nr_series++].series = *series;
	return 0;
}

static void check_generation(struct collector *c, struct task *task)
{
	uint32_t now = store_generation(c->store);

	if (c->generation != now) {
		addrcache_release(&c->kernel_names);
		c->generation = now;
	}
	if (task->generation != now) {
		addrcache_release(&task->names);
		task->nr_series = 0;
		task->generation = now;
	}
}

static void take_sample(struct collector *c, const struct kstrata_record *rec)
{
	const struct kstrata_sample *s = (const struct kstrata_sample *)rec;
	bool kernel = rec->flags & KSTRATA_SAMPLE_KTHREAD;
	uint32_t series, node;
	struct task *task;
	int r;

	if (!kst_sample_valid(rec)) {
		c->stats.damaged++;
		return;
	}
	if (s->profile != KSTRATA_PROFILE_CPU) {
		c->stats.unknown_records++;
		return;
	}
	task = tasks_get(c->tasks, s->pid, kernel, rec->time);
	r = task ? 0 : -ENOMEM;
	if (r >= 0) {
		check_generation(c, task);
		r = series_of(c, task, s, &series);
	}
	if (r >= 0)
		r = fold(c, task, s, &node);
	if (r >= 0)
		r = store_add(c->store, series, node,
			      (int64_t)rec->time + c->realtime_offset,
			      s->weight);
	if (r < 0) {
		c->stats.failed++;
		if (log_ratelimit(&c->complain_failed, 1, 60 * NSEC_PER_SEC))
			log_warn("samples are not stored: %s", strerror(-r));
		return;
	}
	c->stats.samples++;
	c->stats.weight += s->weight;
	if (!kernel && s->user_reason < ARRAY_SIZE(c->stats.reasons))
		c->stats.reasons[s->user_reason]++;
}

static void take_lost(struct collector *c, const struct kstrata_record *rec)
{
	const struct kstrata_lost *l = (const struct kstrata_lost *)rec;

	if (rec->size < sizeof(*l)) {
		c->stats.damaged++;
		return;
	}
	c->stats.lost += l->lost;
	c->stats.lost_weight += l->weight;
	if (log_ratelimit(&c->complain_lost, 1, 60 * NSEC_PER_SEC))
		log_warn("a ring was full: %llu records lost (%llu since start); a larger --ring-size helps",
			 (unsigned long long)l->lost,
			 (unsigned long long)c->stats.lost);
}

static void take_task(struct collector *c, const struct kstrata_record *rec)
{
	const struct kstrata_task *t = (const struct kstrata_task *)rec;

	if (rec->size < sizeof(*t)) {
		c->stats.damaged++;
		return;
	}
	switch (t->event) {
	case KSTRATA_TASK_EXEC:
		c->stats.execs++;
		tasks_exec(c->tasks, t->pid);
		break;
	case KSTRATA_TASK_EXIT:
		c->stats.exits++;
		if (rec->flags & KSTRATA_TASK_LAST)
			tasks_exit(c->tasks, t->pid, rec->time);
		break;
	}
}

static void take_throttle(struct collector *c, const struct kstrata_record *rec)
{
	const struct kstrata_throttle *t = (const struct kstrata_throttle *)rec;

	if (rec->size < sizeof(*t)) {
		c->stats.damaged++;
		return;
	}
	c->stats.throttles++;
	c->stats.period = t->period == t->asked ? 0 : t->period;
	log_info("sampling period is now %llu ns (asked for: %llu ns): a sample takes %llu ns",
		 (unsigned long long)t->period, (unsigned long long)t->asked,
		 (unsigned long long)t->handler_ns);
}

void collector_take(struct collector *c, const struct kstrata_record *rec)
{
	switch (rec->type) {
	case KSTRATA_RECORD_SAMPLE:
		take_sample(c, rec);
		break;
	case KSTRATA_RECORD_LOST:
		take_lost(c, rec);
		break;
	case KSTRATA_RECORD_TASK:
		take_task(c, rec);
		break;
	case KSTRATA_RECORD_THROTTLE:
		take_throttle(c, rec);
		break;
	default:
		c->stats.unknown_records++;
	}
}

static void on_record(void *userdata, const struct kstrata_record *rec)
{
	collector_take(userdata, rec);
}

void collector_drain(struct collector *c)
{
	int64_t monotonic = clock_monotonic_ns();

	/* Real time may be set while we run: follow it. */
	c->realtime_offset = clock_realtime_ns() - monotonic;
	device_drain(c->device, on_record, c, &c->stats.damaged);
	tasks_expire(c->tasks, (uint64_t)monotonic);
}

void collector_forget_kernel(struct collector *c)
{
	addrcache_release(&c->kernel_names);
}

void collector_get_stats(const struct collector *c, struct collector_stats *out)
{
	*out = c->stats;
	out->tasks = tasks_count(c->tasks);
}
