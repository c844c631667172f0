/* SPDX-License-Identifier: Apache-2.0 */
/* A collector with a store in memory, samples for it, and what became of them. */
#ifndef KSTRATA_TESTS_SAMPLES_H
#define KSTRATA_TESTS_SAMPLES_H

#include "scratch.h"

#include "base/log.h"
#include "collect/collector.h"
#include "query/query.h"

#include <kstrata/ring.h>

static const char kallsyms[] = "ffffffff81000000 T _stext\n"
			       "ffffffff81000100 T entry_SYSCALL_64\n"
			       "ffffffff81000200 t vfs_read\n"
			       "ffffffff81000300 T ksys_read\n"
			       "ffffffff81001000 T _etext\n";

struct fixture {
	struct store *store;
	struct symbolizer *symbolizer;
	struct collector *collector;
	char path[32];
};

/* device: NULL where there is none. */
static int setup_with(void **state, struct device *device)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct store_options options = {
		.sync_ns = NSEC_PER_SEC,
		.epoch_bytes = 1u << 20,
		.memory_bytes = 16u << 20,
	};
	struct symbolizer_options symbols = { .cache_bytes = 16u << 20 };
	int fd;

	if (!f)
		return -1;
	strcpy(f->path, "/tmp/test_kallsyms.XXXXXX");
	fd = mkstemp(f->path);
	if (fd < 0 || util_write_all(fd, kallsyms, sizeof(kallsyms) - 1) < 0)
		return -1;
	close(fd);
	symbols.kallsyms_path = f->path;
	log_set_level(LOG_LEVEL_ERROR);
	if (store_open(&f->store, &options) < 0 ||
	    symbolizer_new(&f->symbolizer, &symbols) < 0 ||
	    collector_new(&f->collector, device, f->symbolizer, f->store) < 0)
		return -1;
	*state = f;
	return 0;
}

static maybe_unused int teardown(void **state)
{
	struct fixture *f = *state;

	collector_free(f->collector);
	symbolizer_free(f->symbolizer);
	store_close(f->store);
	unlink(f->path);
	free(f);
	return 0;
}

struct sample {
	struct kstrata_sample s;
	uint64_t frames[32];
};

static maybe_unused struct sample sample_of(uint32_t pid, const char *comm, uint64_t weight)
{
	struct sample x = {
		.s.hdr.type = KSTRATA_RECORD_SAMPLE,
		.s.hdr.size = sizeof(x),
		.s.hdr.time = (uint64_t)clock_monotonic_ns(),
		.s.weight = weight,
		.s.pid = pid,
		.s.tid = pid,
		.s.profile = KSTRATA_PROFILE_CPU,
		.s.frames_offset = sizeof(x.s),
		.s.user_reason = KSTRATA_REASON_COMPLETE,
	};

	snprintf(x.s.comm, sizeof(x.s.comm), "%s", comm);
	return x;
}

/* "a;b;c" of the only path of the merged tree; its weight in *total. */
static maybe_unused void only_stack(struct fixture *f, const char *query, char *text,
		       size_t len, uint64_t *total)
{
	struct selector_error err;
	struct selector *sel;
	struct flame *flame;
	int64_t now = clock_realtime_ns();

	assert_int_equal(selector_parse(&sel, query, &err), 0);
	assert_int_equal(query_merge(f->store, sel, now - 60 * NSEC_PER_SEC,
				     now + 60 * NSEC_PER_SEC, &flame), 0);
	*text = '\0';
	*total = flame->nr ? flame->nodes[0].total : 0;
	for (uint32_t i = 1; i < flame->nr; i++) {
		const struct flame_node *n = &flame->nodes[i];
		size_t used = strlen(text);

		assert_int_equal(n->depth, i);
		assert_true(n->total == *total);
		snprintf(text + used, len - used, "%s%s", used ? ";" : "",
			 strtab_get(flame->strings, n->name, NULL));
	}
	flame_free(flame);
	selector_free(sel);
}

static maybe_unused int setup(void **state)
{
	return setup_with(state, NULL);
}

#endif
