// SPDX-License-Identifier: Apache-2.0
#include "collect/collector.h"

#include "base/log.h"
#include "collect/cgroups.h"
#include "collect/paths.h"
#include "collect/tasks.h"
#include "profile/cut.h"

#include <errno.h>
#include <kstrata/ring.h>
#include <stdlib.h>
#include <string.h>

#define KERNEL_NAMES_MAX (1u << 17)
#define OBJECT_NAMES_MAX (1u << 18)
#define TASK_NAMES_MAX (1u << 14)
#define TASK_SERIES_MAX 256
#define OBJECTS_SPARE 256

struct collector {
	struct device *device;
	struct symbolizer *symbolizer;
	struct store *store;
	struct tasks *tasks;
	struct objects *objects;
	struct rowfeed *rows; /* NULL: none are given */
	struct cgroups *cgroups;
	struct addrcache kernel_names; /* location ids of generation */
	struct addrcache object_names; /* likewise, by serial and offset */
	struct paths paths; /* of generation */
	uint32_t generation; /* of the store's dictionary */
	int64_t realtime_offset; /* real time - monotonic time, ns */
	struct collector_stats stats;
	struct log_ratelimit complain_lost, complain_failed;
};

static int get_object(void *userdata, struct kstrata_object_get *get)
{
	struct collector *c = userdata;

	return c->device ? device_object(c->device, get) : -ENOENT;
}

int collector_new(struct collector **out, struct device *device,
		  struct symbolizer *symbolizer, struct store *store)
{
	struct collector *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return -ENOMEM;
	c->device = device;
	c->symbolizer = symbolizer;
	c->store = store;
	c->generation = store_generation(store);
	c->realtime_offset = clock_realtime_ns() - clock_monotonic_ns();
	r = tasks_new(&c->tasks);
	if (r >= 0)
		r = cgroups_new(&c->cgroups, NULL);
	/* Those that are gone are kept for a while, beside all that are known. */
	if (r >= 0)
		r = objects_new(&c->objects, get_object, c, symbolizer,
				2 * (size_t)(device ? device_objects(device) :
						      0) + OBJECTS_SPARE);
	if (r < 0) {
		collector_free(c);
		return r;
	}
	*out = c;
	return 0;
}

static int load_rows(void *userdata, struct kstrata_rows *rows)
{
	struct collector *c = userdata;

	return device_rows(c->device, rows);
}

int collector_feed_rows(struct collector *c,
			const struct rowfeed_options *options)
{
	struct rowfeed_options own = *options;

	own.load = load_rows;
	own.userdata = c;
	own.objects = c->objects;
	return rowfeed_new(&c->rows, &own);
}

void collector_free(struct collector *c)
{
	if (!c)
		return;
	addrcache_release(&c->kernel_names);
	addrcache_release(&c->object_names);
	paths_release(&c->paths);
	rowfeed_free(c->rows);
	objects_free(c->objects);
	cgroups_free(c->cgroups);
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

static const struct symbol unknown = { "[unknown]", "" };

/* *known: false when the address lies in no mapping we know of. */
static int raw_location(struct collector *c, struct task *task,
			uint64_t address, uint32_t *location, bool *known)
{
	const struct mapping *m;
	int r;

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

/*
 * A frame that was looked up. known: it leads to something that has a name.
 * settled: to the same for as long as its word means the same.
 */
struct found {
	enum collector_frame kind;
	uint32_t location;
	bool known, settled;
};

static int object_location(struct collector *c, uint32_t id, uint64_t offset,
			   uint64_t time, struct found *out)
{
	struct object_file *file = objects_find(c->objects, id, time);
	struct symbol symbol;
	uint64_t key;
	int r;

	if (!file)
		return -ENOMEM;
	out->kind = file->kind == KSTRATA_OBJECT_VDSO ||
				    file->kind == KSTRATA_OBJECT_VDSO32 ?
			    COLLECTOR_FRAME_VDSO :
			    COLLECTOR_FRAME_OBJECT;
	/* Nothing of it was told, or read: another time it may be. */
	out->settled = file->known &&
		       (!file->retry || file->retry == INT64_MAX);
	key = (uint64_t)file->serial << KSTRATA_FRAME_OFFSET_BITS | offset;
	if (addrcache_get(&c->object_names, key, &out->location))
		return 0;
	symbol = objects_symbol(c->objects, file, offset);
	r = intern(c, symbol, &out->location);
	out->known = file->known;
	if (r >= 0 && out->known)
		addrcache_put(&c->object_names, key, out->location,
			      OBJECT_NAMES_MAX);
	return r;
}

/*
 * frame is the word of the sample; where it is a return address, what is before
 * it counts.
 */
static int user_location(struct collector *c, struct task *task,
			 const struct kstrata_sample *s, uint64_t frame,
			 bool leaf, struct found *out)
{
	/* Where a JIT's perf map will tell the function by the address. */
	static const struct symbol anon = { "[anon]", "" };
	const uint64_t offset_mask =
		(UINT64_C(1) << KSTRATA_FRAME_OFFSET_BITS) - 1;

	*out = (struct found){ .known = true, .settled = true };
	if (s->lookup == KSTRATA_LOOKUP_DONE) {
		if (frame & KSTRATA_FRAME_OBJECT) {
			uint64_t offset = frame & offset_mask;
			uint32_t id = (frame & ~KSTRATA_FRAME_OBJECT) >>
				      KSTRATA_FRAME_OFFSET_BITS;

			/* Not into another object's numbers. */
			if (!leaf && offset)
				offset--;
			return object_location(c, id, offset, s->hdr.time, out);
		}
		switch (frame & KSTRATA_FRAME_KIND) {
		case 0:
			break;
		case KSTRATA_FRAME_ANON:
			out->kind = COLLECTOR_FRAME_ANON;
			return intern(c, anon, &out->location);
		default:
			out->kind = COLLECTOR_FRAME_NOWHERE;
			out->known = false;
			return intern(c, unknown, &out->location);
		}
	}
	out->kind = COLLECTOR_FRAME_RAW;
	out->settled = false;
	return raw_location(c, task, frame - !leaf, &out->location,
			    &out->known);
}

/* In place of the frames that a walk did not get to. */
static int fold_cut(struct collector *c, const struct kstrata_sample *s,
		    enum cut cut, uint32_t *node)
{
	struct dict *dict = store_dict(c->store);
	const char *marker = cut_marker(cut);
	uint32_t location;
	int r = dict_location(dict, marker, strlen(marker), "", &location);

	if (r >= 0)
		r = calltree_child(dict->tree, *node, location, node);
	if (r < 0 || s->nr_user || s->nr_kernel)
		return r;
	/* The time is not the marker's own. */
	r = intern(c, unknown, &location);
	return r < 0 ? r : calltree_child(dict->tree, *node, location, node);
}

/* What is RAW is never settled. */
_Static_assert(COLLECTOR_FRAME_RAW == PATH_KINDS, "the other kinds are counted");

/* The frame leads to node, as long as none before it is in doubt. */
static void remember(struct path *path, unsigned int at, uint64_t frame,
		     uint32_t node, const struct found *found)
{
	struct path_step *step = &path->steps[at];

	if (path->nr != at || !found->settled)
		return;
	path->nr++;
	step->frame = frame;
	step->node = node;
	step->counts = at ? step[-1].counts : 0;
	if (at < path->user)
		step->counts += PATH_COUNT(found->kind);
}

/* So many of the outer frames are as they were; whether the last has no name. */
static bool resume(struct collector *c, const struct path *path,
		   unsigned int shared, uint32_t *node)
{
	const struct path_step *last = &path->steps[shared - 1];
	uint32_t before = shared > 1 ? last[-1].counts : 0;

	for (unsigned int kind = 0; kind < PATH_KINDS; kind++)
		c->stats.user_frames[kind] += last->counts >> 8 * kind & 0xff;
	c->stats.frames += shared;
	c->stats.unknown_frames +=
		last->counts >> 8 * COLLECTOR_FRAME_NOWHERE & 0xff;
	*node = last->node;
	return last->counts - before == PATH_COUNT(COLLECTOR_FRAME_NOWHERE);
}

/* Outermost frame first: user, then kernel, as one stack. */
static int fold(struct collector *c, struct task *task,
		const struct kstrata_sample *s, enum cut cut, uint32_t *node)
{
	const __u64 *frames = kst_sample_frames(s);
	struct calltree *tree = store_dict(c->store)->tree;
	unsigned int nr = s->nr_user + s->nr_kernel, shared;
	struct path *path = NULL;
	bool was_unknown = false;
	int r;

	*node = 0;
	shared = 0;
	/* In older samples, a number can mean another file. */
	if (s->hdr.time > objects_changed(c->objects))
		path = paths_begin(&c->paths, s, cut, &shared);
	if (shared) {
		was_unknown = resume(c, path, shared, node);
	} else if (cut != CUT_NOT) {
		r = fold_cut(c, s, cut, node);
		if (r < 0)
			return r;
	}
	for (unsigned int i = shared; i < nr; i++) {
		struct found found = { .known = true, .settled = true };
		uint64_t frame = frames[nr - 1 - i];
		/* Only what was interrupted is not a return address. */
		bool leaf = i == nr - 1;

		if (i < s->nr_user) {
			r = user_location(c, task, s, frame, leaf, &found);
			c->stats.user_frames[found.kind] += r >= 0;
		} else {
			r = kernel_location(c,
					    frame == KSTRATA_FRAME_HIDDEN ?
						    frame :
						    frame - !leaf,
					    &found.location);
		}
		if (r < 0)
			return r;
		c->stats.frames++;
		c->stats.unknown_frames += !found.known;
		/* A run of frames that nobody knows tells nothing more than one. */
		if (found.known || !was_unknown) {
			r = calltree_child(tree, *node, found.location, node);
			if (r < 0)
				return r;
		}
		was_unknown = !found.known;
		if (path)
			remember(path, i, frame, *node, &found);
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
	if (s->hdr.flags & KSTRATA_SAMPLE_IDLE)
		strcpy(comm, "swapper");
	for (size_t i = 0; i < task->nr_series; i++) {
		if (task->series[i].cgroup != s->cgroup ||
		    strcmp(task->series[i].comm, comm) != 0)
			continue;
		*series = task->series[i].series;
		return 0;
	}
	/* A process that renames its threads without end gets one name for all. */
	r = tasks_labels(task,
			 task->nr_series < TASK_SERIES_MAX ? comm : "other",
			 task->kernel ? NULL :
					cgroups_path(c->cgroups, s->cgroup),
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
	more[task->nr_series].cgroup = s->cgroup;
	more[task->nr_series++].series = *series;
	return 0;
}

static void check_generation(struct collector *c, struct task *task)
{
	uint32_t now = store_generation(c->store);

	if (c->generation != now) {
		addrcache_release(&c->kernel_names);
		addrcache_release(&c->object_names);
		paths_forget(&c->paths);
		c->generation = now;
	}
	if (task->generation != now) {
		addrcache_release(&task->names);
		task->nr_series = 0;
		task->generation = now;
	}
}

/* Rows of these would have been of use, had they been there. */
static void count_missed(struct collector *c, const struct kstrata_sample *s)
{
	const __u64 *frames = kst_sample_frames(s) + s->nr_kernel;

	if (s->lookup != KSTRATA_LOOKUP_DONE)
		return;
	for (unsigned int i = 0; i < s->nr_user; i++)
		if (frames[i] & KSTRATA_FRAME_OBJECT)
			rowfeed_missed(c->rows,
				       (frames[i] & ~KSTRATA_FRAME_OBJECT) >>
					       KSTRATA_FRAME_OFFSET_BITS);
}

static void take_sample(struct collector *c, const struct kstrata_record *rec)
{
	const struct kstrata_sample *s = (const struct kstrata_sample *)rec;
	bool kernel = rec->flags &
		      (KSTRATA_SAMPLE_KTHREAD | KSTRATA_SAMPLE_IDLE);
	uint32_t series, node;
	struct task *task;
	enum cut cut;
	int r;

	if (!kst_sample_valid(rec)) {
		c->stats.damaged++;
		return;
	}
	if (s->profile != KSTRATA_PROFILE_CPU) {
		c->stats.unknown_records++;
		return;
	}
	cut = cut_of(s, c->rows != NULL);
	task = tasks_get(c->tasks, s->pid, kernel, rec->time);
	r = task ? 0 : -ENOMEM;
	if (r >= 0) {
		check_generation(c, task);
		r = series_of(c, task, s, &series);
	}
	if (r >= 0)
		r = fold(c, task, s, cut, &node);
	/* Not before: folding may be what makes an object known. */
	if (c->rows && s->walk & KSTRATA_WALK_PENDING)
		count_missed(c, s);
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
	c->stats.cut_samples[cut]++;
	c->stats.cut_weight[cut] += s->weight;
	if (!kernel && s->user_reason < ARRAY_SIZE(c->stats.reasons))
		c->stats.reasons[s->user_reason]++;
	if (s->nr_user && s->lookup < ARRAY_SIZE(c->stats.lookups))
		c->stats.lookups[s->lookup]++;
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
	objects_doubt(c->objects);
	paths_forget(&c->paths);
	if (log_ratelimit(&c->complain_lost, 1, 60 * NSEC_PER_SEC))
		log_warn("a ring was full: %llu records lost (%llu since start); a larger --ring-size helps",
			 (unsigned long long)l->lost,
			 (unsigned long long)c->stats.lost);
}

static void take_task(struct collector *c, const struct kstrata_record *rec)
{
	const struct kstrata_task *t = (const struct kstrata_task *)rec;

	if (rec->size < KSTRATA_TASK_SIZE_0) {
		c->stats.damaged++;
		return;
	}
	switch (t->event) {
	case KSTRATA_TASK_FORK:
		if (rec->size < sizeof(*t)) {
			c->stats.damaged++;
			return;
		}
		c->stats.forks++;
		tasks_fork(c->tasks, t->pid, t->parent_pid,
			   rec->flags & KSTRATA_TASK_KTHREAD, rec->time);
		break;
	case KSTRATA_TASK_EXEC:
		c->stats.execs++;
		tasks_exec(c->tasks, t->pid, rec->time);
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
	case KSTRATA_RECORD_OBJECT:
		if (!(rec->flags & KSTRATA_OBJECT_WANTED))
			paths_forget(&c->paths);
		if (!objects_take(c->objects, rec))
			c->stats.damaged++;
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
	objects_expire(c->objects, (uint64_t)monotonic);
}

void collector_forget_kernel(struct collector *c)
{
	paths_forget(&c->paths);
	addrcache_release(&c->kernel_names);
}

void collector_get_stats(const struct collector *c, struct collector_stats *out)
{
	*out = c->stats;
	out->tasks = tasks_count(c->tasks);
	objects_get_stats(c->objects, &out->objects);
	out->feeds = c->rows != NULL;
	if (c->rows)
		rowfeed_get_stats(c->rows, &out->rows);
}
