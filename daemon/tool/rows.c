// SPDX-License-Identifier: Apache-2.0
#include "tool/rows.h"

#include "base/json.h"
#include "symbol/cfi.h"

#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <kstrata/rows.h>

#define SEGMENTS_MAX 64

const char rows_format[] =
	"Each line of rows --dump is \"0xSTART 0xEND  cfa=HOW ra=SAVE fp=SAVE\": code from\n"
	"START up to END, by offset in the file, or by address with --vaddr.\n"
	"  HOW   none | end | bad | signal (nothing follows these), REG+N,\n"
	"        *(REG+N)+N, *(REG+N+8*REG)+N: the word there and more,\n"
	"        plt(REG+N,T): 8 more where PC%16 >= T\n"
	"  SAVE  same | lost, c+N: in the word at CFA+N, REG+N: in the word there,\n"
	"        v:c+N, v:REG+N: this value itself\n"
	"A third register that rules keep follows as aux(REG)=SAVE.\n";

struct dump {
	const struct kst_rows_view *v;
	const struct kstrata_rows_table *table;
	bool vaddr;
	struct {
		uint64_t offset, size, vaddr;
	} segments[SEGMENTS_MAX];
	size_t nr_segments;
};

static const char *reg_name(uint16_t machine, uint8_t reg, char *buf,
			    size_t len)
{
	static const char *const x86[] = {
		"rax", "rdx", "rcx", "rbx", "rsi", "rdi", "rbp", "rsp",
	};

	if (machine == EM_X86_64 && reg < ARRAY_SIZE(x86))
		snprintf(buf, len, "%s", x86[reg]);
	else if (machine == EM_AARCH64 && reg == 31)
		snprintf(buf, len, "sp");
	else
		snprintf(buf, len, "%c%d", machine == EM_X86_64 ? 'r' : 'x',
			 reg);
	return buf;
}

static void print_save(const struct dump *d, const struct kstrata_save *s)
{
	char reg[16];

	reg_name(d->table->machine, s->reg, reg, sizeof(reg));
	switch (s->how) {
	case KSTRATA_SAVE_SAME:
		fputs("same", stdout);
		break;
	case KSTRATA_SAVE_LOST:
		fputs("lost", stdout);
		break;
	case KSTRATA_SAVE_AT_CFA:
		printf("c%+d", s->offset);
		break;
	case KSTRATA_SAVE_IS_CFA:
		printf("v:c%+d", s->offset);
		break;
	case KSTRATA_SAVE_AT_REG:
		printf("%s%+d", reg, s->offset);
		break;
	case KSTRATA_SAVE_IS_REG:
		printf("v:%s%+d", reg, s->offset);
		break;
	}
}

static void print_rule(const struct dump *d, const struct kstrata_rule *rule)
{
	static const char *const words[] = { "none", "end", "bad", "signal" };
	uint16_t machine = d->table->machine;
	char reg[16], index[16];

	reg_name(machine, rule->reg, reg, sizeof(reg));
	switch (rule->cfa) {
	case KSTRATA_CFA_REG:
		printf("cfa=%s%+d", reg, rule->offset);
		break;
	case KSTRATA_CFA_DEREF:
		printf("cfa=*(%s%+d)%+d", reg, rule->offset, rule->add);
		break;
	case KSTRATA_CFA_INDEX:
		printf("cfa=*(%s%+d+8*%s)%+d", reg, rule->offset,
		       reg_name(machine, rule->index, index, sizeof(index)),
		       rule->add);
		break;
	case KSTRATA_CFA_PLT:
		printf("cfa=plt(%s%+d,%d)", reg, rule->offset, rule->add);
		break;
	default:
		printf("cfa=%s\n", words[rule->cfa & 3]);
		return;
	}
	fputs(" ra=", stdout);
	print_save(d, &rule->ra);
	fputs(" fp=", stdout);
	print_save(d, &rule->fp);
	if (d->v->aux != KSTRATA_ROWS_AUX_NONE) {
		printf(" aux(%s)=",
		       reg_name(machine, d->v->aux, reg, sizeof(reg)));
		print_save(d, &rule->aux);
	}
	putchar('\n');
}

/* Addresses of one segment are not those of the next: rows end where it does. */
static void print_row(const struct dump *d, uint64_t start, uint64_t end,
		      const struct kstrata_rule *rule)
{
	if (!d->vaddr) {
		printf("0x%" PRIx64 " 0x%" PRIx64 "  ", start, end);
		print_rule(d, rule);
		return;
	}
	for (size_t i = 0; i < d->nr_segments; i++) {
		uint64_t from = max_u64(start, d->segments[i].offset);
		uint64_t to = min_u64(end, d->segments[i].offset +
						   d->segments[i].size);
		uint64_t bias = d->segments[i].vaddr - d->segments[i].offset;

		if (from >= to)
			continue;
		printf("0x%" PRIx64 " 0x%" PRIx64 "  ", from + bias, to + bias);
		print_rule(d, rule);
	}
}

static void print_rows(const struct dump *d)
{
	const struct kstrata_rows_table *t = d->table;
	uint32_t nr = t->nr_blocks * KSTRATA_ROWS_PER_BLOCK, next;

	for (uint32_t row = 0; row < nr; row = next) {
		uint32_t block = row / KSTRATA_ROWS_PER_BLOCK, rule;
		uint64_t start = d->v->blocks[block] + d->v->starts[row], end;

		next = row + 1;
		if (next == nr || d->v->starts[next] == KSTRATA_ROW_NONE)
			next = (block + 1) * KSTRATA_ROWS_PER_BLOCK;
		end = next < nr ? d->v->blocks[next / KSTRATA_ROWS_PER_BLOCK] +
					  d->v->starts[next] :
				  t->extent;
		rule = d->v->row_rules[row];
		if (rule == KSTRATA_ROW_RARE)
			rule = kst_rows_rare(d->v, row);
		print_row(d, t->first + start, t->first + end,
			  &d->v->rules[rule]);
	}
}

static void find_segments(struct dump *d, int fd)
{
	Elf *elf;
	size_t nr = 0;

	elf_version(EV_CURRENT);
	elf = elf_begin(fd, ELF_C_READ, NULL);
	if (elf)
		elf_getphdrnum(elf, &nr);
	for (size_t i = 0; i < nr && d->nr_segments < SEGMENTS_MAX; i++) {
		GElf_Phdr p;

		if (!gelf_getphdr(elf, (int)i, &p) || p.p_type != PT_LOAD ||
		    !(p.p_flags & PF_X))
			continue;
		d->segments[d->nr_segments].offset = p.p_offset;
		d->segments[d->nr_segments].size = p.p_filesz;
		d->segments[d->nr_segments++].vaddr = p.p_vaddr;
	}
	elf_end(elf);
}

static void dump(const struct cfi_table *table, int fd, bool vaddr)
{
	struct dump d = { .table = table->bytes, .vaddr = vaddr };
	struct kst_rows_view v;

	kst_rows_view(&v, d.table);
	d.v = &v;
	if (vaddr)
		find_segments(&d, fd);
	print_rows(&d);
}

/* As KSTRATA_IOC_ROWS takes it. */
static int write_table(const struct cfi_table *table, const char *path)
{
	FILE *f = fopen(path, "we");
	bool whole = f && fwrite(table->bytes, 1, table->size, f) == table->size;

	if (f && fclose(f) == EOF)
		whole = false;
	if (whole)
		return 0;
	fprintf(stderr, "kstrata: %s: %s\n", path, strerror(errno));
	return -EIO;
}

static void print_summary(const char *file, const struct cfi_report *r,
			  int err, double ms)
{
	if (err < 0) {
		printf("%s: no rows: %s\n", file, r->why);
		return;
	}
	printf("%s: code %" PRIu64 " covered %" PRIu64 " fdes %" PRIu64
	       " rows %" PRIu64 " rules %" PRIu64 " rare %" PRIu64
	       " bytes %" PRIu64 " (%.2f a row) in %.1f ms",
	       file, r->code_bytes, r->covered, r->fdes, r->rows, r->rules,
	       r->rare, r->bytes, (double)r->bytes / (double)r->rows, ms);
	if (r->aux != KSTRATA_ROWS_AUX_NONE) {
		char reg[16];

		printf(" aux %s",
		       reg_name(r->machine, r->aux, reg, sizeof(reg)));
	}
	if (r->fdes_bad)
		printf(" damaged %" PRIu64, r->fdes_bad);
	for (unsigned int i = 0; i < CFI_BAD_KINDS; i++)
		if (r->bad[i])
			printf(" %s %" PRIu64, cfi_bad_name(i), r->bad[i]);
	putchar('\n');
}

static void print_json(const char *file, const struct cfi_report *r, int err,
		       double ms)
{
	static const char *const sources[] = {
		"eh_frame", "debug_frame", "code", "gopclntab",
	};
	const struct {
		const char *name;
		uint64_t v;
	} counts[] = {
		{ "machine", r->machine },
		{ "code_bytes", r->code_bytes }, { "covered", r->covered },
		{ "fdes", r->fdes },		 { "fdes_bad", r->fdes_bad },
		{ "rows", r->rows },		 { "rules", r->rules },
		{ "rare", r->rare },		 { "bytes", r->bytes },
	};
	struct buf out = { 0 };
	struct json j = json_to(&out);

	json_object(&j);
	json_key(&j, "file");
	json_str(&j, file);
	if (err < 0) {
		json_key(&j, "why");
		json_str(&j, r->why);
	}
	json_key(&j, "sources");
	json_array(&j);
	for (size_t i = 0; i < ARRAY_SIZE(sources); i++)
		if (r->sources >> i & 1)
			json_str(&j, sources[i]);
	json_end_array(&j);
	for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
		json_key(&j, counts[i].name);
		json_u64(&j, counts[i].v);
	}
	if (r->aux != KSTRATA_ROWS_AUX_NONE) {
		json_key(&j, "aux");
		json_u64(&j, r->aux);
	}
	json_key(&j, "bad");
	json_object(&j);
	for (unsigned int i = 0; i < CFI_BAD_KINDS; i++) {
		json_key(&j, cfi_bad_name(i));
		json_u64(&j, r->bad[i]);
	}
	json_end_object(&j);
	json_key(&j, "milliseconds");
	json_double(&j, ms);
	json_end_object(&j);
	puts(buf_cstr(&out));
	buf_release(&out);
}

static int one_file(const struct rows_options *o, const char *file)
{
	struct cfi_report report = { 0 };
	struct cfi_table table = { 0 };
	cleanup(util_closep) int fd = open(file, O_RDONLY | O_CLOEXEC |
							 O_NONBLOCK);
	int64_t start = clock_monotonic_ns();
	double ms;
	int r;

	if (fd < 0) {
		fprintf(stderr, "kstrata: %s: %s\n", file, strerror(errno));
		return -EIO;
	}
	r = cfi_compile(fd, &table, &report);
	ms = (double)(clock_monotonic_ns() - start) / 1e6;
	if (o->json)
		print_json(file, &report, r, ms);
	else if (!o->dump)
		print_summary(file, &report, r, ms);
	else if (r < 0)
		fprintf(stderr, "kstrata: %s: no rows: %s\n", file, report.why);
	else
		dump(&table, fd, o->vaddr);
	if (r >= 0 && o->write)
		r = write_table(&table, o->write);
	cfi_table_release(&table);
	return r < 0 ? -EIO : 0;
}

int rows_run(const struct rows_options *o, char **files, size_t nr)
{
	int result = 0;

	for (size_t i = 0; i < nr; i++)
		if (one_file(o, files[i]) < 0)
			result = -EIO;
	return result;
}
