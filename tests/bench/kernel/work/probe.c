// SPDX-License-Identifier: Apache-2.0
#include "probe.h"

#include <fcntl.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <kstrata.h>

#include "symbol/cfi.h"

static enum probe_kind kind;
static int fd = -1;
static uint32_t ring_bytes;
static const struct kstrata_ring_producer *producer;
/* As it was when the load began. */
static struct kstrata_ring_producer before;
static struct perf_event_mmap_page *perf_page;
static size_t page;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void *map(size_t bytes, int prot, uint64_t at)
{
	void *p = mmap(NULL, bytes, prot, MAP_SHARED, fd, (off_t)at);

	if (p == MAP_FAILED)
		die("mmap of a ring");
	return p;
}

static void kstrata_open(uint32_t hz)
{
	struct kstrata_setup setup = {
		.size = sizeof(setup),
		.sample_hz = hz,
		.ring_bytes = ring_bytes,
		.budget = 1000,
	};

	if (kind != PROBE_KSTRATA)
		setup.flags = KSTRATA_SETUP_OBJECTS;
	fd = open(KSTRATA_DEVICE, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		die(KSTRATA_DEVICE);
	if (ioctl(fd, KSTRATA_IOC_SETUP, &setup))
		die("SETUP");
	producer = map(page + 2 * (size_t)ring_bytes, PROT_READ,
		       KSTRATA_MMAP_RING(0, page));
}

static void kstrata_switch(unsigned long request, const char *what)
{
	struct kstrata_switch sw = { .size = sizeof(sw) };

	if (ioctl(fd, request, &sw))
		die(what);
}

static void give_rows(uint32_t id)
{
	struct kstrata_object_get get = { .size = sizeof(get), .id = id };
	struct kstrata_rows rows = { .size = sizeof(rows), .id = id };
	struct cfi_report report;
	struct cfi_table table;

	if (ioctl(fd, KSTRATA_IOC_OBJECT, &get))
		die("OBJECT");
	if (cfi_compile(get.fd, &table, &report)) {
		fprintf(stderr, "kbench: no rows: %s\n", report.why);
		exit(1);
	}
	rows.table = (uintptr_t)table.bytes;
	rows.bytes = (uint32_t)table.size;
	if (ioctl(fd, KSTRATA_IOC_ROWS, &rows))
		die("ROWS");
	cfi_table_release(&table);
	close(get.fd);
}

/* Until samples have met this program: the load is of the same file. */
static void feed(void)
{
	const char *data = (const char *)producer + page;
	uint64_t pos = 0;
	struct stat self;

	if (stat("/proc/self/exe", &self))
		die("/proc/self/exe");
	kstrata_switch(KSTRATA_IOC_START, "START");
	for (;;) {
		uint64_t head = __atomic_load_n(&producer->head,
						__ATOMIC_ACQUIRE);
		const struct kstrata_object *o = (const void *)(data + pos);

		if (pos == head)
			continue;
		pos += o->hdr.size;
		if (o->hdr.type == KSTRATA_RECORD_OBJECT && !o->hdr.flags &&
		    o->ino == self.st_ino) {
			give_rows(o->id);
			return;
		}
	}
}

static void kstrata_result(struct probe_result *out)
{
	const char *data = (const char *)producer + page;

	for (uint64_t pos = before.head; pos < producer->head;) {
		const struct kstrata_record *rec = (const void *)(data + pos);
		const struct kstrata_sample *s = (const void *)rec;

		if (rec->type == KSTRATA_RECORD_LOST) {
			const struct kstrata_lost *l = (const void *)rec;

			out->told += l->lost;
			out->told_weight += l->weight;
		} else if (rec->type == KSTRATA_RECORD_SAMPLE) {
			const uint64_t *user =
				(const void *)((const char *)s +
					       s->frames_offset);

			user += s->nr_kernel;
			out->samples++;
			out->bytes += rec->size;
			out->weight += s->weight;
			out->kernel_frames += s->nr_kernel;
			out->user_frames += s->nr_user;
			for (unsigned int i = 0; i < s->nr_user; i++)
				out->raw += !(user[i] & KSTRATA_FRAME_OBJECT);
		}
		pos += rec->size;
	}
	out->lost = producer->lost - before.lost;
	out->off_weight = producer->idle_weight + producer->filtered_weight;
	out->on_ns = producer->on_weight;
	out->handler_ns = producer->handler_ns - before.handler_ns;
	out->rows_frames = producer->frames_rows - before.frames_rows;
}

/* All but the segments' but cs and ss. */
#define PERF_REGS	0xff0fff

/* As perf 6.1 -vv shows it. One CPU: so is the guest. */
static void perf_open(uint32_t hz)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_SW_CPU_CLOCK,
		.sample_freq = hz,
		.sample_type = PERF_SAMPLE_IP | PERF_SAMPLE_TID |
			       PERF_SAMPLE_TIME | PERF_SAMPLE_CALLCHAIN |
			       PERF_SAMPLE_ID | PERF_SAMPLE_CPU |
			       PERF_SAMPLE_PERIOD,
		.read_format = PERF_FORMAT_ID | PERF_FORMAT_LOST,
		.disabled = 1,
		.inherit = 1,
		.freq = 1,
		.sample_id_all = 1,
		.exclude_guest = 1,
		/* perf has these on a second event of the same ring. */
		.mmap = 1,
		.mmap2 = 1,
		.comm = 1,
		.comm_exec = 1,
		.task = 1,
	};

	if (kind == PROBE_DWARF) {
		attr.sample_type |= PERF_SAMPLE_REGS_USER |
				    PERF_SAMPLE_STACK_USER;
		attr.sample_regs_user = PERF_REGS;
		attr.sample_stack_user = 8192;
		attr.exclude_callchain_user = 1;
	}
	fd = (int)syscall(SYS_perf_event_open, &attr, -1, 0, -1,
			  PERF_FLAG_FD_CLOEXEC);
	if (fd < 0)
		die("perf_event_open");
	perf_page = map(page + ring_bytes, PROT_READ | PROT_WRITE, 0);
}

static void perf_result(struct probe_result *out)
{
	const char *data = (const char *)perf_page + perf_page->data_offset;
	uint64_t lost[3];

	for (uint64_t pos = 0; pos < perf_page->data_head;) {
		const struct perf_event_header *h = (const void *)(data + pos);
		/* ip, pid and tid, time, id, cpu, period */
		const uint64_t *chain = (const uint64_t *)(h + 1) + 6;
		uint64_t *frames = NULL;

		if (h->type == PERF_RECORD_SAMPLE) {
			out->samples++;
			out->bytes += h->size;
			for (uint64_t i = 1; i <= chain[0]; i++) {
				if (chain[i] == PERF_CONTEXT_KERNEL)
					frames = &out->kernel_frames;
				else if (chain[i] == PERF_CONTEXT_USER)
					frames = &out->user_frames;
				else if (frames)
					(*frames)++;
			}
		}
		pos += h->size;
	}
	/* value, id, lost */
	if (read(fd, lost, sizeof(lost)) == sizeof(lost))
		out->lost = lost[2];
	out->raw = out->user_frames;
}

void probe_open(enum probe_kind what, uint32_t hz, uint32_t bytes)
{
	kind = what;
	ring_bytes = bytes;
	page = (size_t)sysconf(_SC_PAGESIZE);
	if (kind >= PROBE_PERF)
		perf_open(hz);
	else if (kind != PROBE_NONE)
		kstrata_open(hz);
	if (kind == PROBE_ROWS)
		feed();
}

void probe_start(void)
{
	if (kind >= PROBE_PERF) {
		if (ioctl(fd, PERF_EVENT_IOC_ENABLE, 0))
			die("PERF_EVENT_IOC_ENABLE");
	} else if (kind == PROBE_ROWS) {
		before = *producer;
	} else if (kind != PROBE_NONE) {
		kstrata_switch(KSTRATA_IOC_START, "START");
	}
}

void probe_stop(void)
{
	if (kind >= PROBE_PERF)
		ioctl(fd, PERF_EVENT_IOC_DISABLE, 0);
	else if (kind != PROBE_NONE)
		kstrata_switch(KSTRATA_IOC_STOP, "STOP");
}

void probe_result(struct probe_result *out)
{
	memset(out, 0, sizeof(*out));
	if (kind >= PROBE_PERF)
		perf_result(out);
	else if (kind != PROBE_NONE)
		kstrata_result(out);
}
