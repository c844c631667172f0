// SPDX-License-Identifier: Apache-2.0
/*
 * What unwind rows take, in our layout and in others, for the very same rows.
 *
 *   layouts sizes < FILES        a line of figures for each file, and their sum
 *   layouts cost FILE [COUNT]    look-ups in each layout: time, ours being 1; under
 *                                callgrind, see run.sh, instructions
 *
 * The others: "paged" is 4-byte rows (16 bits of address, the number of a rule of the
 * whole host) in pages of 64 KiB with a directory of them; "eight" has rows of 8
 * bytes with the rule inside, paged as well; "fourteen" whole addresses and the rule
 * inside, one array.
 */
#include "symbol/cfi.h"

#include <kstrata/rows.h>

#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PAGE_BITS 16
#define ROUNDS 9
#define HOT 64

struct paged {
	uint16_t low, rule;
};

struct eight {
	uint16_t low;
	uint8_t cfa, fp;
	uint16_t cfa_offset;
	int16_t fp_offset;
};

struct fourteen {
	uint64_t pc;
	uint8_t cfa, fp;
	int16_t cfa_offset, fp_offset;
} __attribute__((packed));

_Static_assert(sizeof(struct paged) == 4 && sizeof(struct eight) == 8 &&
	       sizeof(struct fourteen) == 14, "the layouts' names");

/* A file's rows, in every layout; the others' arrays only where they are asked for. */
struct layouts {
	struct cfi_table table;
	struct cfi_report report;
	struct kst_rows_view view;
	uint32_t nr, nr_pages;
	uint32_t *starts;	/* from view.first */
	uint32_t *rules;
	uint32_t *pages;	/* the first row of each, and the end */
	struct paged *paged;
	struct eight *eight;
	struct fourteen *fourteen;
};

static void *need(void *p)
{
	if (!p) {
		fprintf(stderr, "layouts: no memory\n");
		exit(2);
	}
	return p;
}

static double cpu_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void list_rows(struct layouts *l)
{
	const struct kstrata_rows_table *t = l->table.bytes;
	const struct kst_rows_view *v = &l->view;
	uint32_t rare = 0, page = 0;
	size_t room = (size_t)t->nr_blocks * KSTRATA_ROWS_PER_BLOCK;

	kst_rows_view(&l->view, t);
	l->nr_pages = ((t->extent - 1) >> PAGE_BITS) + 1;
	l->starts = need(calloc(room, sizeof(*l->starts)));
	l->rules = need(calloc(room, sizeof(*l->rules)));
	l->pages = need(calloc((size_t)l->nr_pages + 1, sizeof(*l->pages)));
	for (uint32_t row = 0; row < room; row++) {
		uint32_t rule = v->row_rules[row], at;

		if (v->starts[row] == KSTRATA_ROW_NONE)
			continue;
		if (rule == KSTRATA_ROW_RARE)
			rule = v->rare_rules[rare++];
		at = v->blocks[row / KSTRATA_ROWS_PER_BLOCK] + v->starts[row];
		while (page <= at >> PAGE_BITS)
			l->pages[page++] = l->nr;
		l->starts[l->nr] = at;
		l->rules[l->nr++] = rule;
	}
	while (page <= l->nr_pages)
		l->pages[page++] = l->nr;
}

static int layouts_make(struct layouts *l, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), rc;

	memset(l, 0, sizeof(*l));
	if (fd < 0)
		return -errno;
	rc = cfi_compile(fd, &l->table, &l->report);
	close(fd);
	if (!rc)
		list_rows(l);
	return rc;
}

static void layouts_release(struct layouts *l)
{
	cfi_table_release(&l->table);
	free(l->starts);
	free(l->rules);
	free(l->pages);
	free(l->paged);
	free(l->eight);
	free(l->fourteen);
}

/* ---- sizes ------------------------------------------------------------------ */

/* Rules of all files so far, each once. */
static struct kstrata_rule *host_rules;
static size_t host_nr, host_room;

static uint64_t hash_rule(const struct kstrata_rule *r)
{
	const unsigned char *c = (const unsigned char *)r;
	uint64_t h = 0xcbf29ce484222325;

	for (size_t i = 0; i < sizeof(*r); i++)
		h = (h ^ c[i]) * 0x100000001b3;
	return h ^ (h >> 31);
}

static void host_add(const struct kstrata_rule *r)
{
	static const struct kstrata_rule free_slot = { .cfa = 0xff };
	size_t at;

	if (2 * host_nr >= host_room) {
		struct kstrata_rule *old = host_rules;
		size_t old_room = host_room;

		host_room = old_room ? 2 * old_room : 4096;
		host_rules = need(malloc(host_room * sizeof(*host_rules)));
		for (size_t i = 0; i < host_room; i++)
			host_rules[i] = free_slot;
		host_nr = 0;
		for (size_t i = 0; i < old_room; i++)
			if (old[i].cfa != 0xff)
				host_add(&old[i]);
		free(old);
	}
	for (at = hash_rule(r);; at++) {
		struct kstrata_rule *have = &host_rules[at & (host_room - 1)];

		if (have->cfa == 0xff) {
			*have = *r;
			host_nr++;
			return;
		}
		if (!memcmp(have, r, sizeof(*r)))
			return;
	}
}

struct figures {
	uint64_t files, file_bytes, frame_bytes, code_bytes, rows, rules, ours, paged, eight,
		fourteen, microseconds;
};

/* Of .eh_frame and its index, and .debug_frame. */
static uint64_t frame_bytes(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	Elf *elf = fd < 0 ? NULL : elf_begin(fd, ELF_C_READ, NULL);
	Elf_Scn *section = NULL;
	uint64_t sum = 0;
	size_t names;

	if (elf && !elf_getshdrstrndx(elf, &names)) {
		while ((section = elf_nextscn(elf, section))) {
			GElf_Shdr h;
			const char *name;

			if (!gelf_getshdr(section, &h) || h.sh_type == SHT_NOBITS)
				continue;
			name = elf_strptr(elf, names, h.sh_name);
			if (name && (!strcmp(name, ".eh_frame") ||
				     !strcmp(name, ".eh_frame_hdr") ||
				     !strcmp(name, ".debug_frame")))
				sum += h.sh_size;
		}
	}
	elf_end(elf);
	if (fd >= 0)
		close(fd);
	return sum;
}

static void print_figures(const char *name, const struct figures *f)
{
	printf("{\"file\": \"%s\", \"files\": %" PRIu64 ", \"file_bytes\": %" PRIu64
	       ", \"code_bytes\": %" PRIu64 ", \"frame_bytes\": %" PRIu64
	       ", \"rows\": %" PRIu64 ", \"rules\": %" PRIu64 ", \"ours\": %" PRIu64
	       ", \"paged\": %" PRIu64 ", \"eight\": %" PRIu64 ", \"fourteen\": %" PRIu64
	       ", \"microseconds\": %" PRIu64 "}\n",
	       name, f->files, f->file_bytes, f->code_bytes, f->frame_bytes, f->rows,
	       f->rules, f->ours, f->paged, f->eight, f->fourteen, f->microseconds);
}

static int sizes(void)
{
	struct figures sum = { .files = 0 };
	char *line = NULL;
	size_t room = 0;
	ssize_t len;

	while ((len = getline(&line, &room, stdin)) > 0) {
		struct figures f = { .files = 1 };
		struct layouts l;
		struct stat st;
		double begin = cpu_seconds();
		uint64_t directory;

		if (line[len - 1] == '\n')
			line[len - 1] = '\0';
		/* It says nothing of frames, or is not ELF: no rows, no bytes. */
		if (layouts_make(&l, line) || stat(line, &st)) {
			layouts_release(&l);
			continue;
		}
		f.microseconds = (uint64_t)((cpu_seconds() - begin) * 1e6);
		f.file_bytes = (uint64_t)st.st_size;
		f.code_bytes = l.report.code_bytes;
		f.frame_bytes = frame_bytes(line);
		f.rows = l.nr;
		f.rules = l.report.rules;
		f.ours = l.table.size;
		directory = ((uint64_t)l.nr_pages + 1) * sizeof(*l.pages);
		f.paged = (uint64_t)l.nr * sizeof(struct paged) + directory;
		f.eight = (uint64_t)l.nr * sizeof(struct eight) + directory;
		f.fourteen = (uint64_t)l.nr * sizeof(struct fourteen);
		for (uint32_t i = 0; i < l.report.rules; i++)
			host_add(&l.view.rules[i]);
		print_figures(line, &f);
		for (size_t i = 0; i < sizeof(f) / sizeof(uint64_t); i++)
			((uint64_t *)&sum)[i] += ((uint64_t *)&f)[i];
		layouts_release(&l);
	}
	free(line);
	/* The rules of the host are one array, which all files share. */
	sum.rules = host_nr;
	sum.paged += host_nr * sizeof(struct kstrata_rule);
	print_figures("sum", &sum);
	free(host_rules);
	return 0;
}

/* ---- look-ups ------------------------------------------------------------------ */

/* The row in which one of the paged arrays has an offset: a plain search. */
#define PAGED_SEARCH(array)						\
	uint32_t low = l->pages[x >> PAGE_BITS];			\
	uint32_t high = l->pages[(x >> PAGE_BITS) + 1];			\
	uint16_t want = (uint16_t)x;					\
	while (low < high) {						\
		uint32_t mid = low + (high - low) / 2;			\
		if ((array)[mid].low <= want)				\
			low = mid + 1;					\
		else							\
			high = mid;					\
	}								\
	/* Before the first of its page: the last of those before it. */	\
	return low - 1

static uint32_t find_paged(const struct layouts *l, uint32_t x)
{
	PAGED_SEARCH(l->paged);
}

static uint32_t find_eight(const struct layouts *l, uint32_t x)
{
	PAGED_SEARCH(l->eight);
}

static uint32_t find_fourteen(const struct layouts *l, uint64_t pc)
{
	uint32_t low = 0, high = l->nr;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;

		if (l->fourteen[mid].pc <= pc)
			low = mid + 1;
		else
			high = mid;
	}
	return low - 1;
}

static void make_others(struct layouts *l)
{
	l->paged = need(calloc(l->nr, sizeof(*l->paged)));
	l->eight = need(calloc(l->nr, sizeof(*l->eight)));
	l->fourteen = need(calloc(l->nr, sizeof(*l->fourteen)));
	for (uint32_t i = 0; i < l->nr; i++) {
		const struct kstrata_rule *r = &l->view.rules[l->rules[i]];
		uint8_t cfa = (uint8_t)(r->cfa << 5 | r->reg);

		l->paged[i] = (struct paged){ (uint16_t)l->starts[i],
					      (uint16_t)l->rules[i] };
		l->eight[i] = (struct eight){ (uint16_t)l->starts[i], cfa, r->fp.how,
					      (uint16_t)r->offset,
					      (int16_t)r->fp.offset };
		l->fourteen[i] = (struct fourteen){ l->view.first + l->starts[i], cfa,
						    r->fp.how, (int16_t)r->offset,
						    (int16_t)r->fp.offset };
	}
}

/* Each look-up waits for the one before, as frames do. */
static volatile uint32_t no_bits;

#define LOOKUPS(what, expression)						\
	static __attribute__((noinline)) uint64_t measure_##what(		\
		const struct layouts *l, const uint32_t *places, size_t nr)	\
	{									\
		uint64_t sum = 0;						\
		uint32_t none = no_bits;					\
		for (size_t i = 0; i < nr; i++) {				\
			uint32_t x = places[i] + ((uint32_t)sum & none);	\
			sum += (expression);					\
		}								\
		return sum;							\
	}

LOOKUPS(nothing, l ? x : 0)
LOOKUPS(ours, (uint32_t)kst_rows_find(&l->view, l->view.first + x)->offset)
LOOKUPS(paged, (uint32_t)l->view.rules[l->paged[find_paged(l, x)].rule].offset)
LOOKUPS(eight, l->eight[find_eight(l, x)].cfa_offset)
LOOKUPS(fourteen, (uint32_t)l->fourteen[find_fourteen(l, l->view.first + x)].cfa_offset)

static uint64_t noise_state = 1;

static uint64_t noise(void)
{
	noise_state ^= noise_state << 13;
	noise_state ^= noise_state >> 7;
	noise_state ^= noise_state << 17;
	return noise_state;
}

/* Any place of the code that has rows. */
static uint32_t any_place(const struct layouts *l, uint32_t extent)
{
	uint32_t x;

	do {
		x = (uint32_t)(noise() % extent);
	} while (kst_rows_find(&l->view, l->view.first + x)->cfa == KSTRATA_CFA_NONE);
	return x;
}

static void check_same(const struct layouts *l, const uint32_t *places, size_t nr)
{
	for (size_t i = 0; i < nr; i++) {
		const struct kstrata_rule *r;
		uint32_t row = find_paged(l, places[i]);

		r = kst_rows_find(&l->view, l->view.first + places[i]);
		if (r == &l->view.rules[l->rules[row]] && row == find_eight(l, places[i]) &&
		    row == find_fourteen(l, l->view.first + places[i]))
			continue;
		fprintf(stderr, "layouts: they differ at %#x\n", places[i]);
		exit(1);
	}
}

static void measure(const struct layouts *l, const char *path, const char *pattern,
		    const uint32_t *places, size_t nr)
{
	static const struct {
		const char *name;
		uint64_t (*run)(const struct layouts *l, const uint32_t *places, size_t nr);
	} ways[] = { { "nothing", measure_nothing }, { "ours", measure_ours },
		     { "paged", measure_paged }, { "eight", measure_eight },
		     { "fourteen", measure_fourteen } };
	double best[5] = { 0 };

	check_same(l, places, nr);
	for (int round = 0; round < ROUNDS; round++) {
		for (int i = 0; i < 5; i++) {
			double begin = cpu_seconds(), took;

			ways[i].run(l, places, nr);
			took = cpu_seconds() - begin;
			if (!round || took < best[i])
				best[i] = took;
		}
		/* One is enough for those who count instructions. */
		if (getenv("ROUNDS"))
			break;
	}
	printf("{\"file\": \"%s\", \"pattern\": \"%s\", \"lookups\": %zu, \"rows\": %u", path,
	       pattern, nr, l->nr);
	for (int i = 1; i < 5; i++)
		printf(", \"%s\": %.2f", ways[i].name, (best[i] - best[0]) /
		       (best[1] - best[0]));
	printf(", \"ours_ns\": %.1f}\n", (best[1] - best[0]) / (double)nr * 1e9);
}

static int cost(const char *path, size_t nr)
{
	uint32_t *places = need(calloc(nr, sizeof(*places))), hot[HOT];
	const struct kstrata_rows_table *t;
	const char *only = getenv("PATTERN");
	struct layouts l;
	int rc = layouts_make(&l, path);

	if (rc < 0) {
		fprintf(stderr, "layouts: %s: %s\n", path, strerror(-rc));
		return 2;
	}
	t = l.table.bytes;
	make_others(&l);
	for (size_t i = 0; i < nr; i++)
		places[i] = any_place(&l, t->extent);
	if (!only || !strcmp(only, "random"))
		measure(&l, path, "random", places, nr);
	for (size_t i = 0; i < HOT; i++)
		hot[i] = any_place(&l, t->extent);
	for (size_t i = 0; i < nr; i++)
		places[i] = hot[noise() % HOT];
	if (!only || !strcmp(only, "hot"))
		measure(&l, path, "hot", places, nr);
	free(places);
	layouts_release(&l);
	return 0;
}

int main(int argc, char **argv)
{
	elf_version(EV_CURRENT);
	if (argc == 2 && !strcmp(argv[1], "sizes"))
		return sizes();
	if ((argc == 3 || argc == 4) && !strcmp(argv[1], "cost"))
		return cost(argv[2], argc == 4 ? strtoul(argv[3], NULL, 10) : 1000000);
	fprintf(stderr, "layouts sizes < FILES | layouts cost FILE [COUNT]\n");
	return 2;
}
