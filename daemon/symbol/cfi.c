// SPDX-License-Identifier: Apache-2.0
#include "symbol/cfi.h"

#include "symbol/cfiasm.h"
#include "symbol/cfiframe.h"
#include "symbol/cfispan.h"
#include "symbol/cfivdso.h"

#include <errno.h>
#include <stdlib.h>

/* What a hostile file may cost at most. */
#define SECTION_BYTES_MAX (128u << 20)
#define DEBUG_BYTES_MAX (64u << 20)
#define BUDGET (256u << 20) /* bytes of instructions, of which each is run */
#define SCAN_BYTES_MAX (UINT64_C(1) << 30) /* of code that nothing speaks of */

/* struct cfi_span, kind */
enum { FROM_EH_FRAME, FROM_DEBUG_FRAME, FROM_CODE, FROM_VDSO };

struct compiler {
	struct cfi_elf elf;
	const struct cfi_machine *machine;
	struct cfi_frames frames[2]; /* FROM_EH_FRAME, FROM_DEBUG_FRAME */
	struct cfivdso vdso;
	struct cfi_spans spans;
	struct rowtable rows;
	struct cfi_report *report;
	uint64_t scanned;
};

static int fail(struct compiler *c, int err, const char *why)
{
	if (!c->report->why)
		c->report->why = why;
	return err;
}

/* What these entries speak of, below what is there already. */
static int add_frames(struct compiler *c, unsigned int kind)
{
	struct cfi_frames *f = &c->frames[kind];
	struct cfi_spans spans = { 0 };
	int r;

	f->debug = kind == FROM_DEBUG_FRAME;
	r = cfiframe_parse(f, &c->elf);
	c->report->fdes += f->nr_fdes + f->nr_bad;
	c->report->fdes_bad += f->nr_bad;
	for (size_t i = 0; i < f->nr_fdes && r >= 0; i++)
		r = cfispan_add(&spans, (struct cfi_span){
			.start = f->fdes[i].start, .end = f->fdes[i].end,
			.what = (uint32_t)i, .kind = kind });
	if (r >= 0)
		r = cfispan_flatten(&spans);
	if (r >= 0 && spans.nr) {
		c->report->sources |= 1u << kind;
		r = cfispan_under(&c->spans, &spans);
	}
	free(spans.v);
	return r;
}

/* What instructions tell. */
static int add_code(struct compiler *c, struct cfi_spans *spans,
		    unsigned int kind)
{
	size_t before = c->spans.nr;
	int r = 0;

	for (size_t i = 0; i < spans->nr; i++)
		spans->v[i].kind = kind;
	if (spans->nr)
		r = cfispan_under(&c->spans, spans);
	if (c->spans.nr > before)
		c->report->sources |= CFI_FROM_CODE;
	return r;
}

static int add_stubs(struct compiler *c)
{
	struct cfi_spans spans = { 0 };
	int r = cfiasm_plt(&c->elf, &spans);

	if (r >= 0)
		r = add_code(c, &spans, FROM_CODE);
	free(spans.v);
	return r;
}

/* Only a vDSO that says nothing itself. */
static int add_vdso(struct compiler *c)
{
	int r = c->spans.nr ? 0 : cfivdso_read(&c->elf, &c->vdso);

	return r < 0 ? r : add_code(c, &c->vdso.spans, FROM_VDSO);
}

static int collect(struct compiler *c)
{
	const Elf64_Shdr *debug;
	int r;

	r = cfielf_load_eh_frame(&c->elf, SECTION_BYTES_MAX,
				 &c->frames[FROM_EH_FRAME].section);
	if (r >= 0)
		r = add_frames(c, FROM_EH_FRAME);
	else if (r == -ENODATA)
		r = 0;
	debug = cfielf_section(&c->elf, ".debug_frame");
	if (r >= 0 && debug)
		r = cfielf_load(&c->elf, debug, DEBUG_BYTES_MAX,
				&c->frames[FROM_DEBUG_FRAME].section);
	if (r >= 0 && debug)
		r = add_frames(c, FROM_DEBUG_FRAME);
	if (r >= 0)
		r = add_vdso(c);
	return r < 0 ? r : add_stubs(c);
}

/*
 * The kernel's frame, below which the handler's return address is: walks look that up
 * one byte before it.
 */
static void add_signal(struct compiler *c, const struct cfi_span *at)
{
	static const struct kstrata_rule signal = {
		.cfa = KSTRATA_CFA_SIGNAL,
	};
	uint64_t early = CFIASM_SIGRETURN_EARLY(c->elf.machine);

	rowtable_add(&c->rows, at->start > early ? at->start - early : 0,
		     &signal);
	c->report->sources |= CFI_FROM_CODE;
}

/* Code that nothing speaks of. Past a maximum, it is not looked at. */
static void add_hole(struct compiler *c, uint64_t start, uint64_t end)
{
	bool look = c->scanned + (end - start) <= SCAN_BYTES_MAX;
	struct cfi_span at;

	if (look) {
		c->scanned += end - start;
		if (cfiasm_is_padding(&c->elf, start, end))
			return;
	}
	rowtable_add(&c->rows, start, &rowtable_none);
	while (look && cfiasm_find_sigreturn(&c->elf, start, end, &at)) {
		add_signal(c, &at);
		rowtable_add(&c->rows, at.end, &rowtable_none);
		start = at.end;
	}
}

static void add_holes(struct compiler *c, uint64_t start, uint64_t end)
{
	/* Of what lies between, only code counts. */
	for (size_t i = 0; i < c->elf.nr_segments; i++) {
		const struct cfi_segment *s = &c->elf.segments[i];
		uint64_t from = max_u64(start, s->offset);
		uint64_t to = min_u64(end, min_u64(s->offset + s->size,
						   c->elf.size));

		if (!s->code || from >= to)
			continue;
		add_hole(c, from, to);
		start = to;
		/* What follows is no code, or another segment's. */
		if (to < end)
			rowtable_add(&c->rows, to, &rowtable_none);
	}
}

/* Of functions as small as a trampoline: are they one? */
static bool add_trampoline(struct compiler *c, const struct cfi_span *span,
			   const struct cfi_cie *cie)
{
	struct cfi_span at;

	if (!cie->signal && span->end - span->start > 16)
		return false;
	if (span->end - span->start > 4096 ||
	    !cfiasm_find_sigreturn(&c->elf, span->start, span->end, &at))
		return false;
	at.start = min_u64(at.start, span->start +
			   CFIASM_SIGRETURN_EARLY(c->elf.machine));
	add_signal(c, &at);
	return true;
}

static int add_span(struct compiler *c, struct cfi_run *run,
		    const struct cfi_span *span)
{
	const struct cfi_frames *f;
	const struct cfi_fde *fde;
	const struct cfi_cie *cie;

	c->report->covered += span->end - span->start;
	if (span->kind == FROM_VDSO) {
		struct cfi_span at;

		/* Of each of them, there is one. */
		rowtable_add(&c->rows, span->start,
			     &c->vdso.rules[span->what]);
		if (cfiasm_find_sigreturn(&c->elf, span->start, span->end,
					  &at)) {
			add_signal(c, &at);
			rowtable_add(&c->rows, at.end,
				     &c->vdso.rules[span->what]);
		}
		return 0;
	}
	if (span->kind == FROM_CODE) {
		rowtable_add(&c->rows, span->start, &cfiasm_rules[span->what]);
		return 0;
	}
	f = &c->frames[span->kind];
	fde = &f->fdes[span->what];
	cie = &f->cies[fde->cie];
	if (add_trampoline(c, span, cie))
		return 0;
	run->section = &f->section;
	run->leaves = f->debug && c->report->go;
	if (cficode_run(run, cie, f->section.data + fde->code, fde->len,
			fde->start, fde->vaddr, span->start, span->end) < 0)
		return fail(c, -EFBIG, "too many instructions");
	return 0;
}

/* Everything, in order. need: see struct cfi_run. */
static int make_rows(struct compiler *c, uint8_t aux, uint64_t need[32])
{
	struct cfi_run run = {
		.machine = c->machine, .elf = &c->elf, .rows = &c->rows, .report = c->report,
		.budget = BUDGET, .aux = aux,
	};
	uint64_t end = 0;
	int r = 0;

	c->report->covered = 0;
	c->scanned = 0;
	memset(c->report->bad, 0, sizeof(c->report->bad));
	for (size_t i = 0; i < c->spans.nr && r >= 0; i++) {
		const struct cfi_span *span = &c->spans.v[i];

		if (span->start > end)
			add_holes(c, end, span->start);
		r = add_span(c, &run, span);
		end = span->end;
	}
	if (r >= 0)
		add_holes(c, end, c->elf.size);
	if (c->rows.nr_rows)
		rowtable_end(&c->rows, max_u64(end, c->rows.base +
				c->rows.rows[c->rows.nr_rows - 1].at));
	memcpy(need, run.need, sizeof(run.need));
	return r < 0 ? r : c->rows.err;
}

/* The register that most rows need of their callees. */
static uint8_t choose_aux(const uint64_t need[32])
{
	uint8_t aux = KSTRATA_ROWS_AUX_NONE;
	uint64_t most = 0;

	for (uint8_t i = 0; i < 32; i++)
		if (need[i] > most) {
			most = need[i];
			aux = i;
		}
	return aux;
}

static int compile(struct compiler *c, struct cfi_table *out)
{
	uint64_t need[32], ignored[32];
	uint8_t aux = KSTRATA_ROWS_AUX_NONE;
	int r;

	for (size_t i = 0; i < c->elf.nr_segments; i++)
		if (c->elf.segments[i].code)
			c->report->code_bytes += c->elf.segments[i].size;
	if (!c->report->code_bytes)
		return fail(c, -ENODATA, "no code");
	c->report->go = cfielf_section(&c->elf, ".note.go.buildid");
	r = collect(c);
	if (r >= 0)
		r = make_rows(c, aux, need);
	if (r >= 0)
		aux = choose_aux(need);
	if (r >= 0 && aux != KSTRATA_ROWS_AUX_NONE) {
		rowtable_release(&c->rows);
		r = make_rows(c, aux, ignored);
	}
	if (r < 0)
		return r;
	return rowtable_finish(&c->rows, c->elf.machine, aux, out, c->report);
}

static const char *why_of(int err)
{
	switch (err) {
	case -ENODATA:
		return "it says nothing of its frames";
	case -EFBIG:
		return "too large";
	case -ENOMEM:
		return "out of memory";
	case -ENOEXEC:
		return "damaged";
	default:
		return "it cannot be read";
	}
}

static int run(int fd, const void *image, size_t bytes, struct cfi_table *out,
	       struct cfi_report *report)
{
	struct compiler c = { .report = report };
	int r;

	*out = (struct cfi_table){ 0 };
	*report = (struct cfi_report){ .aux = KSTRATA_ROWS_AUX_NONE };
	r = cfielf_open(&c.elf, fd, image, bytes);
	report->machine = c.elf.machine;
	c.machine = cfi_machine(c.elf.machine);
	if (r >= 0)
		r = compile(&c, out);
	if (r < 0) {
		fail(&c, r, c.elf.why);
		fail(&c, r, why_of(r));
	}
	rowtable_release(&c.rows);
	cfiframe_release(&c.frames[FROM_EH_FRAME]);
	cfiframe_release(&c.frames[FROM_DEBUG_FRAME]);
	free(c.vdso.spans.v);
	free(c.spans.v);
	cfielf_close(&c.elf);
	return r;
}

int cfi_compile(int fd, struct cfi_table *out, struct cfi_report *report)
{
	return run(fd, NULL, 0, out, report);
}

int cfi_compile_image(const void *image, size_t bytes, struct cfi_table *out,
		      struct cfi_report *report)
{
	return run(-1, image, bytes, out, report);
}

void cfi_table_release(struct cfi_table *t)
{
	free(t->bytes);
	*t = (struct cfi_table){ 0 };
}

const char *cfi_bad_name(enum cfi_bad kind)
{
	static const char *const names[CFI_BAD_KINDS] = {
		[CFI_BAD_CFA_EXPRESSION] = "cfa-expression",
		[CFI_BAD_CFA_REGISTER] = "cfa-register",
		[CFI_BAD_RA] = "return-address",
		[CFI_BAD_PROGRAM] = "program",
		[CFI_BAD_LIMIT] = "limit",
		[CFI_BAD_FP] = "frame-pointer-lost",
		[CFI_BAD_AUX] = "aux-lost",
	};

	return kind < CFI_BAD_KINDS ? names[kind] : "";
}
