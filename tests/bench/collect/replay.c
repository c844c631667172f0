// SPDX-License-Identifier: Apache-2.0
/*
 * What the daemon's own half of a sample costs: a made-up stream of records
 * through collector_take() into a store in memory, again and again. README.md
 * beside says what the stream is like.
 *
 * usage: replay PASSES [SAMPLES] [seed]
 */
#include "base/log.h"
#include "collect/collector.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#define OBJECTS 12
#define PROCESSES 24
#define THREADS 96
#define DEPTH_MAX 96
#define KERNEL_MAX 24
#define KERNEL_FUNCTIONS 4096
#define SAMPLE_NS (NSEC_PER_SEC / 99)

struct object {
	char path[512];
	uint64_t first, bytes; /* of its code, in the file */
};

struct thread {
	uint32_t process;
	uint32_t mean; /* of its depth */
	uint32_t depth;
	uint64_t frames[DEPTH_MAX]; /* outermost first */
};

static struct object objects[OBJECTS];
static size_t nr_objects;
static struct thread threads[THREADS];
static uint64_t seed = 1;

static uint64_t draw(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static uint64_t below(uint64_t n)
{
	return (draw() >> 16) % n;
}

static uint64_t mix(uint64_t a, uint64_t b)
{
	a = (a ^ b) * UINT64_C(0x9e3779b97f4a7c15);
	return a ^ a >> 29;
}

/* ---- the module's part: which file an object is ---- */

static int answer(struct kstrata_object_get *get)
{
	size_t at = get->id - KSTRATA_OBJECT_ID_FIRST;
	struct stat st;
	size_t need;

	if (get->id < KSTRATA_OBJECT_ID_FIRST || at >= nr_objects ||
	    stat(objects[at].path, &st) < 0)
		return -ENOENT;
	need = strlen(objects[at].path) + 1;
	get->kind = KSTRATA_OBJECT_FILE;
	get->generation = 1;
	get->dev_major = major(st.st_dev);
	get->dev_minor = minor(st.st_dev);
	get->ino = st.st_ino;
	get->fd = -1;
	if (get->path && get->path_bytes >= need)
		memcpy((char *)(uintptr_t)get->path, objects[at].path, need);
	get->path_bytes = (uint32_t)need;
	if (!(get->flags & KSTRATA_OBJECT_GET_NO_FD))
		get->fd = open(objects[at].path, O_RDONLY | O_CLOEXEC);
	return 0;
}

/* In place of libc's: nobody else in here uses it. */
int ioctl(int fd, unsigned long request, ...)
{
	struct kstrata_version *version;
	struct kstrata_setup *setup;
	va_list args;
	void *arg;
	int r = 0;

	(void)fd;
	va_start(args, request);
	arg = va_arg(args, void *);
	va_end(args);
	switch (request) {
	case KSTRATA_IOC_VERSION:
		version = arg;
		version->abi_major = KSTRATA_ABI_MAJOR;
		version->abi_minor = KSTRATA_ABI_MINOR;
		strcpy(version->release, "replay");
		break;
	case KSTRATA_IOC_SETUP:
		setup = arg;
		setup->nr_cpus = 1;
		setup->granted = KSTRATA_GRANT_KERNEL_ADDR;
		break;
	case KSTRATA_IOC_OBJECT:
		r = answer(arg);
		break;
	}
	errno = -r;
	return r < 0 ? -1 : 0;
}

/* ---- the stream ---- */

/* The libraries that we are linked with: real files with real symbols. */
static void find_objects(void)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	char line[1024], perms[8], path[512];
	unsigned long start, end, offset;

	while (maps && nr_objects < OBJECTS &&
	       fgets(line, sizeof(line), maps)) {
		struct object *o = &objects[nr_objects];

		if (sscanf(line, "%lx-%lx %7s %lx %*s %*s %511s", &start, &end,
			   perms, &offset, path) != 5 ||
		    perms[2] != 'x' || path[0] != '/')
			continue;
		strcpy(o->path, path);
		o->first = offset;
		o->bytes = end - start;
		nr_objects++;
	}
	if (maps)
		fclose(maps);
}

/*
 * Most calls lead to one function; one in sixteen to one of a few, the first of
 * them mostly.
 */
static uint64_t callee(uint64_t caller)
{
	static const uint8_t choices[16] = { 0, 0, 0, 0, 0, 0, 0, 0,
					     0, 0, 0, 1, 1, 1, 2, 3 };
	uint64_t h = mix(caller, caller >> 3 & 15 ? 0 : choices[below(16)]);
	size_t at = (size_t)(h >> 32) % nr_objects;
	uint64_t offset = objects[at].first +
			  h % 4096 * (objects[at].bytes / 4096);

	return KSTRATA_FRAME_OBJECT |
	       (uint64_t)(at + KSTRATA_OBJECT_ID_FIRST)
		       << KSTRATA_FRAME_OFFSET_BITS |
	       offset;
}

/* The thread runs on: its outer frames stay, what they call changes. */
static void run(struct thread *t)
{
	uint32_t depth = t->mean / 2 + (uint32_t)below(t->mean);
	uint32_t keep = t->depth * (uint32_t)(30 + below(71)) / 100;

	if (keep > depth)
		keep = depth;
	for (uint32_t i = keep; i < depth; i++)
		t->frames[i] = callee(i ? t->frames[i - 1] :
					  mix(t->process, 77));
	t->depth = depth;
}

static uint32_t put_kernel(uint64_t *frames, uint64_t user)
{
	uint32_t nr = 6 + (uint32_t)below(9);
	uint64_t h = mix(user, below(2));

	/* Outermost last. */
	for (uint32_t i = nr; i--;) {
		frames[i] = UINT64_C(0xffffffff81000000) +
			    h % KERNEL_FUNCTIONS * 256 + 40;
		h = mix(h, below(16) / 15);
	}
	return nr;
}

static size_t put_sample(char *to, struct thread *t, uint64_t time)
{
	struct kstrata_sample *s = (struct kstrata_sample *)to;
	uint64_t *frames = (uint64_t *)(s + 1);
	uint32_t kernel = 0;

	run(t);
	if (below(10) < 3)
		kernel = put_kernel(frames, t->frames[t->depth - 1]);
	for (uint32_t i = 0; i < t->depth; i++)
		frames[kernel + i] = t->frames[t->depth - 1 - i];
	/* The leaf can be anywhere in its function. */
	if (!kernel)
		frames[0] += below(8) * 3;
	*s = (struct kstrata_sample){
		.hdr.type = KSTRATA_RECORD_SAMPLE,
		.hdr.time = time,
		.hdr.size = (uint32_t)(sizeof(*s) + (kernel + t->depth) * 8),
		.hdr.flags = kernel ? 0 : KSTRATA_SAMPLE_USER,
		.weight = SAMPLE_NS,
		.pid = (1u << 22) + t->process, /* no such process */
		.tid = (1u << 23) + (uint32_t)(t - threads),
		.profile = KSTRATA_PROFILE_CPU,
		.frames_offset = sizeof(*s),
		.nr_kernel = (uint16_t)kernel,
		.nr_user = (uint16_t)t->depth,
		.kernel_reason = kernel ? KSTRATA_REASON_COMPLETE : 0,
		.user_reason = KSTRATA_REASON_COMPLETE,
		.lookup = KSTRATA_LOOKUP_DONE,
		.walk = KSTRATA_WALK_ROWS,
	};
	snprintf(s->comm, sizeof(s->comm), "worker-%u", t->process);
	return s->hdr.size;
}

static char *make_stream(size_t samples, uint64_t *frames)
{
	const size_t most = sizeof(struct kstrata_sample) +
			    (DEPTH_MAX + KERNEL_MAX) * 8;
	char *stream = malloc(samples * most);
	size_t at = 0, on = 0;

	if (!stream)
		exit(1);
	for (size_t i = 0; i < THREADS; i++) {
		threads[i].process = (uint32_t)(i % PROCESSES);
		threads[i].mean = 8 + (uint32_t)below(40);
	}
	for (size_t i = 0; i < samples; i++) {
		struct kstrata_sample *s = (void *)(stream + at);

		/* A CPU mostly goes on with the thread that it has. */
		if (below(10) < 3)
			on = below(THREADS);
		at += put_sample(stream + at, &threads[on], i * SAMPLE_NS / 2);
		*frames += s->nr_kernel + s->nr_user;
	}
	return stream;
}

/* ---- the daemon's part ---- */

static const char *write_kallsyms(void)
{
	static char path[] = "/tmp/replay.XXXXXX";
	int fd = mkstemp(path);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "w");

	if (!f)
		exit(1);
	fprintf(f, "%016lx T _stext\n", 0xffffffff81000000);
	for (unsigned long i = 0; i < KERNEL_FUNCTIONS; i++)
		fprintf(f, "%016lx t kernel_function_%lu\n",
			0xffffffff81000000 + i * 256, i);
	fprintf(f, "%016lx T _etext\n",
		0xffffffff81000000 + KERNEL_FUNCTIONS * 256ul);
	fclose(f);
	return path;
}

static struct device *open_device(void)
{
	struct device_options options = { .hz = 99, .ring_bytes = 1 << 14 };
	char path[] = "/tmp/replay.XXXXXX";
	struct device *device;
	int fd = mkstemp(path);

	options.path = path;
	if (fd < 0 || ftruncate(fd, 1 << 20) < 0 ||
	    device_open(&device, &options) < 0)
		exit(1);
	close(fd);
	unlink(path);
	return device;
}

static double cpu_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Again, as if it went on: later by length for each pass. */
static void replay(struct collector *c, struct store *s, char *stream,
		   size_t samples, uint64_t later)
{
	int64_t offset = clock_realtime_ns() - clock_monotonic_ns();
	uint64_t tick = 0;

	for (size_t i = 0; i < samples; i++) {
		struct kstrata_record *rec = (void *)stream;

		rec->time += later;
		collector_take(c, rec);
		if (rec->time - tick > (uint64_t)NSEC_PER_SEC) {
			tick = rec->time;
			store_tick(s, (int64_t)tick + offset);
		}
		stream += rec->size;
	}
}

int main(int argc, char **argv)
{
	size_t passes = argc > 1 ? strtoul(argv[1], NULL, 10) : 20;
	size_t samples = argc > 2 ? strtoul(argv[2], NULL, 10) : 50000;
	struct store_options options = {
		.sync_ns = NSEC_PER_SEC,
		.memory_bytes = 64u << 20,
	};
	struct symbolizer_options symbols = { .cache_bytes = 64u << 20 };
	struct symbolizer *symbolizer;
	struct collector_stats stats;
	struct collector *c;
	struct store_stats stored;
	struct device *device;
	uint64_t frames = 0, length = samples * SAMPLE_NS / 2;
	struct store *store;
	double begin, first;
	char *stream;

	if (argc > 3)
		seed = strtoul(argv[3], NULL, 10) * 2 + 1;
	log_set_level(LOG_LEVEL_ERROR);
	find_objects();
	symbols.kallsyms_path = write_kallsyms();
	device = open_device();
	if (store_open(&store, &options) < 0 ||
	    symbolizer_new(&symbolizer, &symbols) < 0 ||
	    collector_new(&c, device, symbolizer, store) < 0)
		return 1;
	unlink(symbols.kallsyms_path);
	stream = make_stream(samples, &frames);
	/* The first pass reads symbols; it is not what is asked for. */
	begin = cpu_seconds();
	replay(c, store, stream, samples, (uint64_t)clock_monotonic_ns());
	first = cpu_seconds() - begin;
	begin = cpu_seconds();
	for (size_t i = 0; i < passes; i++)
		replay(c, store, stream, samples, length);
	begin = cpu_seconds() - begin;
	collector_get_stats(c, &stats);
	store_get_stats(store, &stored);
	printf("samples=%zu frames=%.1f nodes=%llu series=%llu first_ns=%.0f",
	       samples, (double)frames / (double)samples,
	       (unsigned long long)stored.nodes,
	       (unsigned long long)stored.series,
	       first * 1e9 / (double)samples);
	if (passes)
		printf(" ns=%.0f per_second=%.0f",
		       begin * 1e9 / (double)(passes * samples),
		       (double)(passes * samples) / begin);
	printf("\n");
	collector_free(c);
	symbolizer_free(symbolizer);
	store_close(store);
	device_close(device);
	free(stream);
	return stats.samples != (passes + 1) * samples || stats.failed ||
	       stats.unknown_frames;
}
