// SPDX-License-Identifier: Apache-2.0
#include "symbol/cfivdso.h"

#include <errno.h>
#include <stdlib.h>

#define CODE_BYTES_MAX 32768
#define NAMES_MAX 65536
#define SYMBOLS_MAX 64
/* Loops are few and shallow: what is not known after so many passes is a leaf. */
#define PASSES 4
#define FRAME_MAX 4096

/* At an instruction: SP is so far below where it was at entry. */
struct state {
	bool known;
	bool entry; /* of a function */
	bool record; /* x29 and x30 are kept, at sp_entry - kept */
	int32_t sp, kept;
};

struct walk {
	const uint8_t *code;
	struct state *states;
	size_t nr; /* instructions */
};

static uint32_t word(const struct walk *w, size_t i)
{
	const uint8_t *p = w->code + 4 * i;

	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
	       (uint32_t)p[3] << 24;
}

/* A signed field of an instruction. */
static int32_t field(uint32_t insn, unsigned int low, unsigned int bits)
{
	return (int32_t)(insn << (32 - low - bits)) >> (32 - bits);
}

/* What the instruction does to the state. */
static void step(uint32_t insn, struct state *s)
{
	int32_t pair = field(insn, 15, 7) * 8;

	if ((insn & 0xff8003ff) == 0xd10003ff)	    /* sub sp,sp,#n */
		s->sp += (int32_t)(insn >> 10 & 0xfff)
			 << (insn >> 22 & 1 ? 12 : 0);
	else if ((insn & 0xff8003ff) == 0x910003ff) /* add sp,sp,#n */
		s->sp -= (int32_t)(insn >> 10 & 0xfff)
			 << (insn >> 22 & 1 ? 12 : 0);
	else if ((insn & 0xffc003e0) == 0xa98003e0 || /* stp ..,[sp,#n]! */
		 (insn & 0xffc003e0) == 0xa8c003e0)   /* ldp ..,[sp],#n */
		s->sp -= pair;
	else if ((insn & 0xffe00fe0) == 0xf8000fe0 || /* str ..,[sp,#n]! */
		 (insn & 0xffe00fe0) == 0xf84007e0)   /* ldr ..,[sp],#n */
		s->sp -= field(insn, 12, 9);
	if ((insn & 0xffc07fff) == 0xa9807bfd) {      /* of x29,x30 */
		s->record = true;
		s->kept = s->sp;
	} else if ((insn & 0xffc07fff) == 0xa9007bfd) { /* stp x29,x30,[sp,#n] */
		s->record = true;
		s->kept = s->sp - pair;
	} else if ((insn & 0xffc07fff) == 0xa8c07bfd ||
		   (insn & 0xffc07fff) == 0xa9407bfd) {
		s->record = false;
		s->kept = 0;
	}
	if (s->sp < 0 || s->sp > FRAME_MAX || s->kept < 0 ||
	    s->kept > FRAME_MAX)
		*s = (struct state){ .known = true };
}

/* How many instructions it may jump ahead (or back); 0: it does not. */
static int32_t jump(uint32_t insn, bool *always)
{
	*always = false;
	if (insn >> 26 == 0x05) { /* b */
		*always = true;
		return field(insn, 0, 26);
	}
	if ((insn & 0xff000010) == 0x54000000 || /* b.cond */
	    (insn & 0x7e000000) == 0x34000000)	 /* cbz, cbnz */
		return field(insn, 5, 19);
	if ((insn & 0x7e000000) == 0x36000000)	 /* tbz, tbnz */
		return field(insn, 5, 14);
	/* ret, br, and those that check a signature first */
	*always = (insn & 0xff9ff000) == 0xd61f0000 ||
		  (insn & 0xfffff3ff) == 0xd65f03ff;
	return 0;
}

/* One pass; true: something was learned. */
static bool walk(struct walk *w)
{
	struct state s = { .known = true };
	bool reached = false, learned = false;

	for (size_t i = 0; i < w->nr; i++) {
		uint32_t insn = word(w, i);
		bool always;
		int32_t by = jump(insn, &always);
		size_t to = i + (size_t)(int64_t)by;

		if (w->states[i].known)
			s = w->states[i];
		else if (!reached)
			s = (struct state){ 0 };
		s.entry = false;
		if (s.known && !w->states[i].known) {
			w->states[i] = s;
			learned = true;
		}
		if (by && to < w->nr && s.known && !w->states[to].known) {
			w->states[to] = s;
			learned = true;
		}
		if (s.known)
			step(insn, &s);
		reached = !always;
	}
	return learned;
}

static void walk_all(struct walk *w)
{
	for (int pass = 0; pass < PASSES && walk(w); pass++)
		;
}

/*
 * Functions begin where symbols are, and where calls go. Where nothing leads to, the
 * kernel will have changed a jump into a nop: there it is as in the rest of the
 * function, in its frame if that has one.
 */
static void find_states(struct walk *w, const uint64_t *symbols,
			size_t nr_symbols)
{
	struct state body = { .known = true };

	w->states[0].entry = true;
	for (size_t i = 0; i < nr_symbols; i++)
		if (symbols[i] / 4 < w->nr)
			w->states[symbols[i] / 4].entry = true;
	for (size_t i = 0; i < w->nr; i++) {
		uint32_t insn = word(w, i);
		size_t to = i + (size_t)(int64_t)field(insn, 0, 26);

		if (insn >> 26 == 0x25 && to < w->nr) /* bl */
			w->states[to].entry = true;
	}
	for (size_t i = 0; i < w->nr; i++)
		w->states[i].known = w->states[i].entry;
	walk_all(w);
	for (size_t i = 0; i < w->nr; i++) {
		if (w->states[i].entry)
			body = (struct state){ .known = true };
		if (!w->states[i].known) {
			w->states[i] = body;
			walk_all(w);
		}
		if (w->states[i].record)
			body = w->states[i];
	}
}

static void make_rule(const struct state *s, struct kstrata_rule *rule)
{
	*rule = (struct kstrata_rule){
		.cfa = KSTRATA_CFA_REG, .reg = 31, .offset = s->sp,
	};
	if (!s->record)
		return;
	rule->fp = (struct kstrata_save){
		.how = KSTRATA_SAVE_AT_CFA, .offset = -s->kept,
	};
	rule->ra = rule->fp;
	rule->ra.offset += 8;
}

static int add(struct cfivdso *v, uint64_t start, uint64_t end,
	       const struct state *s)
{
	struct kstrata_rule rule;
	size_t i = 0;

	make_rule(s, &rule);
	while (i < v->nr_rules && memcmp(&v->rules[i], &rule, sizeof(rule)) != 0)
		i++;
	if (i == CFIVDSO_RULES_MAX)
		return 0;
	v->rules[i] = rule;
	if (i == v->nr_rules)
		v->nr_rules++;
	return cfispan_add(&v->spans, (struct cfi_span){
		.start = start, .end = end, .what = (uint32_t)i });
}

static bool same(const struct state *a, const struct state *b)
{
	return a->record == b->record && a->sp == b->sp && a->kept == b->kept;
}

/* Where the names of .dynsym are, from the start of the code. */
static size_t read_symbols(struct cfi_elf *e, const struct cfi_section *text,
			   uint64_t out[SYMBOLS_MAX])
{
	const Elf64_Shdr *shdr = cfielf_section(e, ".dynsym");
	struct cfi_section s;
	size_t nr = 0;

	if (!shdr || cfielf_load(e, shdr, NAMES_MAX, &s) < 0)
		return 0;
	for (size_t at = 0; at + sizeof(Elf64_Sym) <= s.size && nr < SYMBOLS_MAX;
	     at += sizeof(Elf64_Sym)) {
		Elf64_Sym sym;

		memcpy(&sym, s.data + at, sizeof(sym));
		if (sym.st_value - text->vaddr < text->size)
			out[nr++] = sym.st_value - text->vaddr;
	}
	free(s.data);
	return nr;
}

static int read_code(struct cfi_elf *e, struct cfivdso *v,
		     const struct cfi_section *text, uint64_t offset)
{
	uint64_t symbols[SYMBOLS_MAX];
	size_t nr_symbols = read_symbols(e, text, symbols);
	struct walk w = { .code = text->data, .nr = text->size / 4 };
	size_t first = 0;
	int r = 0;

	w.states = calloc(w.nr + 1, sizeof(*w.states));
	if (!w.states)
		return -ENOMEM;
	find_states(&w, symbols, nr_symbols);
	for (size_t i = 1; i <= w.nr && r >= 0; i++) {
		if (i < w.nr && same(&w.states[i], &w.states[first]))
			continue;
		r = add(v, offset + 4 * first, offset + 4 * i,
			&w.states[first]);
		first = i;
	}
	free(w.states);
	return r;
}

/* By the one name that all of them have. */
static bool is_vdso(struct cfi_elf *e)
{
	static const char name[] = "__kernel_rt_sigreturn";
	const Elf64_Shdr *shdr = cfielf_section(e, ".dynstr");
	struct cfi_section names;
	bool found;

	if (e->machine != EM_AARCH64 || !shdr ||
	    cfielf_load(e, shdr, NAMES_MAX, &names) < 0)
		return false;
	found = memmem(names.data, names.size, name, sizeof(name));
	free(names.data);
	return found;
}

int cfivdso_read(struct cfi_elf *e, struct cfivdso *v)
{
	const Elf64_Shdr *shdr;
	struct cfi_section text;
	uint64_t offset, room;
	int r;

	*v = (struct cfivdso){ 0 };
	if (!is_vdso(e))
		return 0;
	shdr = cfielf_section(e, ".text");
	if (!shdr || shdr->sh_size < 4 || shdr->sh_size > CODE_BYTES_MAX ||
	    !cfielf_code_offset(e, shdr->sh_addr, &offset, &room) ||
	    shdr->sh_size > room)
		return 0;
	r = cfielf_load(e, shdr, CODE_BYTES_MAX, &text);
	if (r < 0)
		return r == -ENOMEM ? r : 0;
	r = read_code(e, v, &text, offset);
	free(text.data);
	return r;
}
