// SPDX-License-Identifier: Apache-2.0
/*
 * Our compiled rows against readelf's, place by place.
 *
 *   oracle [-v] [-o FILE] < FILES    a path a line
 *   oracle -d FILE                   write this kernel's vDSO there
 *
 *   -v       every difference (at most 200 for each file)
 *   -o FILE  readelf reads this one instead, which is of the same layout
 *
 * The compiler is the daemon's, the look-up the module's own. A range is a longest
 * stretch of code over which neither side's rule changes. For each file a line: its
 * ranges and those of each kind that are not equal; "sum" lines, which can be added up,
 * in the end. Exit code 1: a range is wrong, 2: a file could not be compared.
 */
#include "oracle_judge.h"
#include "oracle_readelf.h"
#include "symbol/cfi.h"

#include <kstrata/rowcheck.h>

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#define SHOWN_MAX 200

struct tally {
	uint64_t ranges[KINDS], bytes[KINDS];
	uint64_t files, refused, rows, rules, table, fdes, empty, unread;
};

struct ours {
	struct cfi_table table;
	struct cfi_report report;
	struct kst_rows_view view;
	struct our_row {
		uint64_t start;
		const struct kstrata_rule *rule;
	} *rows;
	size_t nr;
	uint64_t end;
};

/* Executable segments, to go from addresses to places in the file. */
struct segments {
	Elf64_Phdr at[32];
	size_t nr;
	uint16_t machine;
};

struct comparison {
	const char *path;
	int fd;
	struct segments segments;
	struct ours ours;
	struct oracle_rows oracle;
	struct tally tally;
	unsigned int shown;
};

static bool verbose;

static void *need(void *p)
{
	if (!p) {
		fprintf(stderr, "oracle: no memory\n");
		exit(2);
	}
	return p;
}

static void count(struct comparison *c, enum kind k, uint64_t pc, uint64_t bytes,
		  const struct kstrata_rule *have, const struct oracle_rule *want)
{
	c->tally.ranges[k]++;
	c->tally.bytes[k] += bytes;
	if (!verbose || k == EQUAL || k == PADDING || c->shown++ >= SHOWN_MAX)
		return;
	printf("%s %s %" PRIx64 "+%" PRIu64 ": ", kind_names[k], c->path, pc, bytes);
	judge_print(have, want, c->segments.machine);
	printf("\n");
}

/* ---- a file -------------------------------------------------------------------- */

static int read_segments(int fd, struct segments *s)
{
	Elf64_Ehdr h;

	memset(s, 0, sizeof(*s));
	if (pread(fd, &h, sizeof(h), 0) != sizeof(h) || memcmp(h.e_ident, ELFMAG, 4) ||
	    h.e_ident[EI_CLASS] != ELFCLASS64)
		return -ENOEXEC;
	s->machine = h.e_machine;
	for (unsigned int i = 0; i < h.e_phnum && s->nr < 32; i++) {
		Elf64_Phdr *p = &s->at[s->nr];
		off_t at = (off_t)(h.e_phoff + (uint64_t)i * h.e_phentsize);

		if (pread(fd, p, sizeof(*p), at) != sizeof(*p))
			return -ENOEXEC;
		if (p->p_type == PT_LOAD && (p->p_flags & PF_X))
			s->nr++;
	}
	return s->nr ? 0 : -ENODATA;
}

static uint64_t address_of(const struct segments *s, uint64_t offset)
{
	for (size_t i = 0; i < s->nr; i++)
		if (offset - s->at[i].p_offset < s->at[i].p_filesz)
			return offset - s->at[i].p_offset + s->at[i].p_vaddr;
	return UINT64_MAX;
}

/* Of [*start, *end), the part in one segment, as places in the file. */
static bool place_of(const struct segments *s, uint64_t *start, uint64_t *end)
{
	for (size_t i = 0; i < s->nr; i++) {
		const Elf64_Phdr *p = &s->at[i];

		if (*start - p->p_vaddr >= p->p_filesz)
			continue;
		if (*end - p->p_vaddr > p->p_filesz)
			*end = p->p_vaddr + p->p_filesz;
		*start += p->p_offset - p->p_vaddr;
		*end += p->p_offset - p->p_vaddr;
		return true;
	}
	return false;
}

/* All rows of a table, by its parts rather than by the look-up. */
static void list_ours(struct ours *o)
{
	const struct kstrata_rows_table *t = o->table.bytes;
	uint32_t rare = 0;

	kst_rows_view(&o->view, t);
	o->rows = need(calloc((size_t)t->nr_blocks * KSTRATA_ROWS_PER_BLOCK + 1,
			      sizeof(*o->rows)));
	for (uint32_t b = 0; b < t->nr_blocks; b++) {
		for (uint32_t i = 0; i < KSTRATA_ROWS_PER_BLOCK; i++) {
			uint32_t row = b * KSTRATA_ROWS_PER_BLOCK + i;
			uint32_t rule = o->view.row_rules[row];

			if (o->view.starts[row] == KSTRATA_ROW_NONE)
				break;
			if (rule == KSTRATA_ROW_RARE)
				rule = o->view.rare_rules[rare++];
			o->rows[o->nr++] = (struct our_row){
				t->first + o->view.blocks[b] + o->view.starts[row],
				&o->view.rules[rule] };
		}
	}
	o->end = t->first + t->extent;
}

static int by_place(const void *a, const void *b)
{
	const struct oracle_row *x = a, *y = b;

	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	return x->fde < y->fde ? -1 : x->fde > y->fde;
}

/* From addresses to places in the file; what is not code goes. */
static void place_oracle(struct comparison *c)
{
	struct oracle_rows *o = &c->oracle;
	size_t kept = 0;

	for (size_t i = 0; i < o->nr; i++) {
		struct oracle_row r = o->rows[i];

		if (place_of(&c->segments, &r.start, &r.end))
			o->rows[kept++] = r;
		else
			count(c, NOT_CODE, r.start, r.end - r.start, NULL, r.rule);
	}
	o->nr = kept;
	qsort(o->rows, o->nr, sizeof(*o->rows), by_place);
}

/* The rule of ours at a place, and where it ends. */
static const struct kstrata_rule *our_rule(const struct ours *o, size_t *at, uint64_t place,
					   uint64_t *end)
{
	while (*at < o->nr && (*at + 1 < o->nr ? o->rows[*at + 1].start : o->end) <= place)
		++*at;
	if (*at >= o->nr || place < o->rows[*at].start) {
		*end = *at < o->nr ? o->rows[*at].start : UINT64_MAX;
		return NULL;
	}
	*end = *at + 1 < o->nr ? o->rows[*at + 1].start : o->end;
	return o->rows[*at].rule;
}

/* Whether the look-up gives the same, at both ends. */
static bool is_found(const struct ours *o, const struct kstrata_rule *have, uint64_t start,
		     uint64_t end)
{
	return kst_rows_find(&o->view, start) == have &&
	       kst_rows_find(&o->view, end - 1) == have;
}

#define ACTIVE_MAX 256

/* The oracle's rows that cover a place. */
struct sweep {
	const struct oracle_row *next, *end;
	const struct oracle_row *active[ACTIVE_MAX];
	unsigned int nr;
};

/* Move on to a place; returns where the set of rows that cover it changes next. */
static uint64_t sweep_to(struct sweep *s, uint64_t place)
{
	uint64_t changes = UINT64_MAX;
	unsigned int kept = 0;

	while (s->next < s->end && s->next->start <= place) {
		if (s->next->end > place && s->nr < ACTIVE_MAX)
			s->active[s->nr++] = s->next;
		s->next++;
	}
	for (unsigned int i = 0; i < s->nr; i++) {
		if (s->active[i]->end <= place)
			continue;
		s->active[kept++] = s->active[i];
		if (s->active[i]->end < changes)
			changes = s->active[i]->end;
	}
	s->nr = kept;
	if (s->next < s->end && s->next->start < changes)
		changes = s->next->start;
	return changes;
}

/* A range that no FDE covers. */
static void judge_beyond(struct comparison *c, uint64_t start, uint64_t end, bool small,
			 const struct kstrata_rule *have)
{
	uint64_t pc = address_of(&c->segments, start);

	if (!is_found(&c->ours, have, start, end))
		count(c, NOT_FOUND, pc, end - start, have, NULL);
	else if (have && have->cfa != KSTRATA_CFA_NONE)
		count(c, small ? PADDING : BEYOND, pc, end - start, have, NULL);
}

/* The two instructions that make a signal's handler return, in or next to a range. */
static bool is_trampoline(const struct comparison *c, uint64_t start)
{
	static const uint8_t x86[] = { 0xc7, 0xc0, 15, 0, 0, 0, 0x0f, 0x05 };
	static const uint8_t arm64[] = { 0x68, 0x11, 0x80, 0xd2, 1, 0, 0, 0xd4 };
	const uint8_t *call = c->segments.machine == EM_X86_64 ? x86 : arm64;
	uint8_t code[32];
	ssize_t got = start < 16 ? 0 : pread(c->fd, code, 32, (off_t)start - 16);

	return got > 0 && memmem(code, (size_t)got, call, 8);
}

/* What .eh_frame says goes before what .debug_frame says. */
static void judge_range(struct comparison *c, uint64_t start, uint64_t end,
			const struct sweep *s, const struct kstrata_rule *have)
{
	const struct oracle_rule *want = NULL;
	uint64_t pc = address_of(&c->segments, start);
	enum kind k = EQUAL, other;
	bool debug = true;

	for (unsigned int i = 0; i < s->nr; i++)
		debug = debug && s->active[i]->debug;
	for (unsigned int i = 0; i < s->nr; i++) {
		if (s->active[i]->debug != debug || s->active[i]->rule == want)
			continue;
		other = judge(s->active[i]->rule, have, c->segments.machine,
			      c->ours.view.aux, pc, end - start);
		if (!want) {
			want = s->active[i]->rule;
			k = other;
		} else if (other == EQUAL && k != EQUAL) {
			k = OVERLAP;
		}
	}
	if (kind_is_wrong(k) && have && have->cfa == KSTRATA_CFA_SIGNAL &&
	    is_trampoline(c, start))
		k = TRAMPOLINE;
	if (k == MISSING && debug && c->ours.report.go)
		k = GO;
	if (!is_found(&c->ours, have, start, end))
		k = NOT_FOUND;
	count(c, k, pc, end - start, have, want);
}

static void compare_places(struct comparison *c)
{
	struct sweep s = { .next = c->oracle.rows, .end = c->oracle.rows + c->oracle.nr };
	uint64_t place = c->ours.rows[0].start, end, gap = 0;
	size_t at = 0;

	if (s.next < s.end && s.next->start < place)
		place = s.next->start;
	while (s.next < s.end || s.nr || place < c->ours.end) {
		uint64_t oracle_end = sweep_to(&s, place);
		const struct kstrata_rule *have = our_rule(&c->ours, &at, place, &end);

		if (oracle_end < end)
			end = oracle_end;
		if (end == UINT64_MAX)
			break;
		if (s.nr) {
			judge_range(c, place, end, &s, have);
			gap = end;
		} else {
			judge_beyond(c, place, end, oracle_end - gap < 64, have);
		}
		place = end;
	}
}

static void add_up(struct tally *sum, const struct tally *t)
{
	const uint64_t *from = (const uint64_t *)t;
	uint64_t *to = (uint64_t *)sum;

	for (size_t i = 0; i < sizeof(*t) / sizeof(*from); i++)
		to[i] += from[i];
}

static void print_kinds(const char *what, const struct tally *t)
{
	uint64_t ranges = 0, bytes = 0;

	for (int k = 0; k < COMPARED; k++) {
		ranges += t->ranges[k];
		bytes += t->bytes[k];
	}
	printf("%s ranges=%" PRIu64 " bytes=%" PRIu64, what, ranges, bytes);
	for (int k = 1; k < KINDS; k++)
		if (t->ranges[k])
			printf(" %s=%" PRIu64 "/%" PRIu64, kind_names[k], t->ranges[k],
			       t->bytes[k]);
	printf("\n");
}

/* 0, or why it could not be compared; a refusal is no error where readelf is mute too. */
static int compare(struct comparison *c, const char *other)
{
	int rc;

	c->tally.files = 1;
	c->fd = open(c->path, O_RDONLY | O_CLOEXEC);
	/* Machines are lived in: it may have gone meanwhile. */
	if (c->fd < 0)
		return errno == ENOENT ? 0 : -errno;
	rc = read_segments(c->fd, &c->segments);
	if (rc == -ENODATA)
		return 0;
	if (!rc)
		rc = cfi_compile(c->fd, &c->ours.table, &c->ours.report);
	/* As the kernel does before it takes one. */
	if (!rc && kst_rows_check(c->ours.table.bytes, c->ours.table.size,
				  c->segments.machine))
		return -EBADMSG;
	if (rc < 0) {
		oracle_read(&c->oracle, other, c->segments.machine, KSTRATA_ROWS_AUX_NONE);
		c->tally.refused = 1;
		c->tally.fdes = c->oracle.fdes;
		place_oracle(c);
		return rc == -ENODATA && !c->oracle.nr ? 0 : rc;
	}
	list_ours(&c->ours);
	c->tally.rows = c->ours.nr;
	c->tally.rules = ((struct kstrata_rows_table *)c->ours.table.bytes)->nr_rules;
	c->tally.table = c->ours.table.size;
	oracle_read(&c->oracle, other, c->segments.machine, c->ours.view.aux);
	c->tally.fdes = c->oracle.fdes;
	c->tally.empty = c->oracle.empty;
	c->tally.unread = c->oracle.unread;
	place_oracle(c);
	compare_places(c);
	return 0;
}

static int write_vdso(const char *path)
{
	const Elf64_Ehdr *h = (const Elf64_Ehdr *)getauxval(AT_SYSINFO_EHDR);
	FILE *f = fopen(path, "w");
	bool ok;

	if (!f || !h)
		return 2;
	/* Its section headers are the last of it. */
	ok = fwrite(h, 1, h->e_shoff + (size_t)h->e_shnum * h->e_shentsize, f) > 0;
	return fclose(f) || !ok ? 2 : 0;
}

int main(int argc, char **argv)
{
	struct tally sum = { .files = 0 };
	const char *other = NULL;
	char *line = NULL;
	size_t room = 0;
	ssize_t len;
	int option, failed = 0;

	while ((option = getopt(argc, argv, "vo:d:")) > 0) {
		if (option == 'v')
			verbose = true;
		else if (option == 'o')
			other = optarg;
		else
			return option == 'd' ? write_vdso(optarg) : 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	while ((len = getline(&line, &room, stdin)) > 0) {
		struct comparison c = { .path = line };
		int rc;

		if (line[len - 1] == '\n')
			line[len - 1] = '\0';
		judge_forget();
		rc = compare(&c, other ? other : line);
		if (rc < 0) {
			printf("refused %s: %s, %s; readelf: %zu FDEs\n", line,
			       strerror(-rc),
			       c.ours.report.why ? c.ours.report.why : "no reason given",
			       c.oracle.fdes);
			failed = 2;
		} else {
			char what[4200];

			snprintf(what, sizeof(what), "file %s", line);
			print_kinds(what, &c.tally);
		}
		add_up(&sum, &c.tally);
		cfi_table_release(&c.ours.table);
		if (c.fd >= 0)
			close(c.fd);
		free(c.ours.rows);
		oracle_release(&c.oracle);
	}
	free(line);
	for (int k = 0; k < KINDS; k++) {
		printf("sum %s %" PRIu64 " %" PRIu64 "\n", kind_names[k], sum.ranges[k],
		       sum.bytes[k]);
		if (kind_is_wrong((enum kind)k) && sum.ranges[k] && !failed)
			failed = 1;
	}
	printf("sum files %" PRIu64 " %" PRIu64 "\n", sum.files, sum.refused);
	printf("sum rows %" PRIu64 " %" PRIu64 "\n", sum.rows, sum.rules);
	printf("sum table %" PRIu64 " 0\n", sum.table);
	printf("sum fdes %" PRIu64 " %" PRIu64 "\n", sum.fdes, sum.empty + sum.unread);
	return failed;
}
