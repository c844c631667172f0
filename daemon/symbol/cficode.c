// SPDX-License-Identifier: Apache-2.0
#include "symbol/cficode.h"

#include "symbol/cfiasm.h"
#include "symbol/cfirule.h"
#include "symbol/dwarfcode.h"

#include <elf.h>
#include <errno.h>

#define REMEMBERED_MAX 64

static const struct cfi_machine machines[] = {
	{ .elf = EM_X86_64, .ra = 16, .sp = 7, .fp = 6, .regs = 16,
	  .saved = 1u << 3 | 0xfu << 12 },
	{ .elf = EM_AARCH64, .ra = 30, .sp = 31, .fp = 29, .regs = 32,
	  .link = true, .saved = 0x3ffu << 19 },
};

const struct cfi_machine *cfi_machine(uint16_t elf)
{
	for (size_t i = 0; i < ARRAY_SIZE(machines); i++)
		if (machines[i].elf == elf)
			return &machines[i];
	return NULL;
}

/* What one run of instructions works on. */
struct program {
	struct cfi_run *run;
	const struct cfi_cie *cie;
	struct cfi_bytes b;
	struct cfi_state state;
	struct cfi_state *remembered; /* REMEMBERED_MAX */
	size_t nr_remembered;
	uint64_t at, vaddr, offset; /* now; of the function */
	bool changed;		    /* since the last row */
	bool initial;		    /* these are the CIE's: nothing moves */
};

static struct cfi_column *column(struct program *p, uint64_t reg)
{
	const struct cfi_machine *m = p->run->machine;

	if (reg == p->cie->ra)
		return &p->state.columns[CFI_COLUMN_RA];
	if (reg == m->fp)
		return &p->state.columns[CFI_COLUMN_FP];
	if (reg == m->sp)
		return &p->state.columns[CFI_COLUMN_SP];
	if (reg == p->run->aux)
		return &p->state.columns[CFI_COLUMN_AUX];
	return NULL;
}

static void set(struct program *p, uint64_t reg, struct cfi_column value)
{
	struct cfi_column *c = column(p, reg);

	if (c) {
		*c = value;
		p->changed = true;
	}
}

static void set_offset(struct program *p, uint64_t reg, uint8_t how,
		       int64_t factored)
{
	struct cfi_column c = { .how = how };

	if (!column(p, reg))
		return;
	if (__builtin_mul_overflow(factored, p->cie->data_align, &c.offset))
		p->b.bad = true;
	set(p, reg, c);
}

/* As the CIE has it. */
static void restore(struct program *p, uint64_t reg)
{
	struct cfi_column *c = column(p, reg);

	if (c && p->initial) {
		p->b.bad = true;
	} else if (c) {
		*c = p->run->initial.columns[c - p->state.columns];
		p->changed = true;
	}
}

/* A CFA's offset stays, for the register that may follow. */
static void set_expr(struct program *p, struct cfi_column *c, uint8_t how)
{
	uint64_t len = cfi_uleb(&p->b);
	const uint8_t *expr = p->b.p;

	cfi_skip(&p->b, len);
	if (!c || p->b.bad)
		return;
	*c = (struct cfi_column){
		.how = how, .expr = expr, .len = len, .offset = c->offset,
	};
	p->changed = true;
}

static void set_cfa(struct program *p, uint64_t reg, uint64_t offset)
{
	p->state.cfa = (struct cfi_column){
		.how = CFI_HOW_REGISTER, .reg = reg, .offset = (int64_t)offset,
	};
	p->changed = true;
}

static int64_t factored(struct program *p, int64_t v)
{
	if (__builtin_mul_overflow(v, p->cie->data_align, &v))
		p->b.bad = true;
	return v;
}

/*
 * One half of it. After an expression, a register takes over, with the offset of
 * before; an offset waits for one. So do GCC's run-time library and its users.
 */
static void change_cfa(struct program *p, const uint64_t *reg, int64_t offset)
{
	struct cfi_column *cfa = &p->state.cfa;

	if (cfa->how == CFI_HOW_UNSET) {
		p->b.bad = true;
	} else if (reg) {
		cfa->how = CFI_HOW_REGISTER;
		cfa->reg = *reg;
	} else {
		cfa->offset = offset;
	}
	p->changed = true;
}

/*
 * A rule that takes a register which callees save says nothing of aux while the
 * function runs itself: only where it calls.
 */
static void note_needs(struct program *p, uint64_t from, uint64_t to)
{
	struct cfi_run *run = p->run;
	uint64_t vaddr = p->vaddr + (from - p->offset);

	if (cfiasm_has_call(run->elf, from, to, vaddr))
		for (unsigned int reg = 0; reg < 32; reg++)
			run->need[reg] += run->needs >> reg & 1;
}

/* Is the stack as it was at entry, and no other function's here? */
static bool is_leaf(struct program *p, const struct kstrata_rule *rule,
		    uint64_t from, uint64_t to)
{
	const struct cfi_machine *m = p->run->machine;

	if (rule->cfa == KSTRATA_CFA_END)
		return true;
	return rule->cfa == KSTRATA_CFA_REG && rule->reg == m->sp &&
	       rule->offset == (m->link ? 0 : 8) &&
	       !cfiasm_has_call(p->run->elf, from, to,
				p->vaddr + (from - p->offset));
}

/* From the last row to here: one, if it has a byte where rows are wanted. */
static void emit(struct program *p, uint64_t next)
{
	struct cfi_run *run = p->run;
	uint64_t from = max_u64(p->at, run->from);
	struct kstrata_rule rule;

	if (!p->changed || next <= from || from >= run->to)
		return;
	cfirule_make(run, p->cie, &p->state, &rule);
	if (run->leaves && !is_leaf(p, &rule, from, min_u64(next, run->to)))
		rule = rowtable_none;
	rowtable_add(run->rows, from, &rule);
	p->changed = false;
	if (run->needs)
		note_needs(p, from, min_u64(next, run->to));
}

static void advance(struct program *p, uint64_t delta)
{
	uint64_t next;

	if (p->initial || __builtin_mul_overflow(delta, p->cie->code_align,
						 &delta) ||
	    __builtin_add_overflow(p->at, delta, &next)) {
		p->b.bad = true;
		return;
	}
	emit(p, next);
	p->at = next;
}

static void set_loc(struct program *p)
{
	uint64_t vaddr = cfi_pointer(&p->b, p->cie->fde_encoding,
				     p->run->section);
	uint64_t next = p->offset + (vaddr - p->vaddr);

	if (p->b.bad || p->initial || (int64_t)(vaddr - p->vaddr) < 0 ||
	    next < p->at) {
		p->b.bad = true;
		return;
	}
	emit(p, next);
	p->at = next;
}

static void remember(struct program *p)
{
	if (p->initial || p->nr_remembered == REMEMBERED_MAX)
		p->b.bad = true;
	else
		p->remembered[p->nr_remembered++] = p->state;
}

static void recall(struct program *p)
{
	if (!p->nr_remembered) {
		p->b.bad = true;
		return;
	}
	p->state = p->remembered[--p->nr_remembered];
	p->changed = true;
}

static void extended(struct program *p, uint8_t op)
{
	struct cfi_bytes *b = &p->b;
	uint64_t reg;

	switch (op) {
	case DW_CFA_nop:
	case DW_CFA_AARCH64_negate_ra_state:
	case DW_CFA_AARCH64_negate_ra_state_with_pc:
		/* Walks take signatures off whatever they find. */
		return;
	case DW_CFA_set_loc:
		set_loc(p);
		return;
	case DW_CFA_advance_loc1:
		advance(p, cfi_u8(b));
		return;
	case DW_CFA_advance_loc2:
		advance(p, cfi_u16(b));
		return;
	case DW_CFA_advance_loc4:
		advance(p, cfi_u32(b));
		return;
	case DW_CFA_MIPS_advance_loc8:
		advance(p, cfi_u64(b));
		return;
	case DW_CFA_remember_state:
		remember(p);
		return;
	case DW_CFA_restore_state:
		recall(p);
		return;
	case DW_CFA_GNU_args_size:
		cfi_uleb(b);
		return;
	case DW_CFA_def_cfa_offset:
		change_cfa(p, NULL, (int64_t)cfi_uleb(b));
		return;
	case DW_CFA_def_cfa_offset_sf:
		change_cfa(p, NULL, factored(p, cfi_sleb(b)));
		return;
	case DW_CFA_def_cfa_expression:
		set_expr(p, &p->state.cfa, CFI_HOW_EXPR);
		return;
	}
	reg = cfi_uleb(b);
	switch (op) {
	case DW_CFA_offset_extended:
		set_offset(p, reg, CFI_HOW_OFFSET, (int64_t)cfi_uleb(b));
		return;
	case DW_CFA_offset_extended_sf:
		set_offset(p, reg, CFI_HOW_OFFSET, cfi_sleb(b));
		return;
	case DW_CFA_GNU_negative_offset_extended:
		set_offset(p, reg, CFI_HOW_OFFSET, -(int64_t)cfi_uleb(b));
		return;
	case DW_CFA_val_offset:
		set_offset(p, reg, CFI_HOW_VAL_OFFSET, (int64_t)cfi_uleb(b));
		return;
	case DW_CFA_val_offset_sf:
		set_offset(p, reg, CFI_HOW_VAL_OFFSET, cfi_sleb(b));
		return;
	case DW_CFA_restore_extended:
		restore(p, reg);
		return;
	case DW_CFA_undefined:
		set(p, reg, (struct cfi_column){ .how = CFI_HOW_UNDEFINED });
		return;
	case DW_CFA_same_value:
		set(p, reg, (struct cfi_column){ .how = CFI_HOW_SAME });
		return;
	case DW_CFA_register:
		set(p, reg, (struct cfi_column){
			.how = CFI_HOW_REGISTER, .reg = cfi_uleb(b) });
		return;
	case DW_CFA_def_cfa:
		set_cfa(p, reg, cfi_uleb(b));
		return;
	case DW_CFA_def_cfa_sf:
		set_cfa(p, reg, (uint64_t)factored(p, cfi_sleb(b)));
		return;
	case DW_CFA_def_cfa_register:
		change_cfa(p, &reg, 0);
		return;
	case DW_CFA_expression:
		set_expr(p, column(p, reg), CFI_HOW_EXPR);
		return;
	case DW_CFA_val_expression:
		set_expr(p, column(p, reg), CFI_HOW_VAL_EXPR);
		return;
	default:
		b->bad = true;
	}
}

/* Up to the end, to where rows are wanted, or to what makes no sense. */
static void instructions(struct program *p)
{
	while (cfi_left(&p->b) && !p->b.bad &&
	       (p->initial || p->at < p->run->to)) {
		uint8_t op = cfi_u8(&p->b), low = op & 0x3f;

		switch (op & 0xc0) {
		case DW_CFA_advance_loc:
			advance(p, low);
			break;
		case DW_CFA_offset:
			set_offset(p, low, CFI_HOW_OFFSET,
				   (int64_t)cfi_uleb(&p->b));
			break;
		case DW_CFA_restore:
			restore(p, low);
			break;
		default:
			extended(p, op);
		}
	}
}

/* The state at the entry of this CIE's functions. */
static void begin(struct cfi_run *run, const struct cfi_cie *cie)
{
	struct program p = {
		.run = run, .cie = cie, .initial = true,
		.b = { cie->code, cie->code + cie->len, false },
	};

	instructions(&p);
	run->last = cie;
	run->initial = p.state;
	run->initial_bad = p.b.bad;
}

int cficode_run(struct cfi_run *run, const struct cfi_cie *cie,
		const uint8_t *code, size_t len, uint64_t offset,
		uint64_t vaddr, uint64_t from, uint64_t to)
{
	struct cfi_state remembered[REMEMBERED_MAX];
	struct program p = {
		.run = run, .cie = cie, .remembered = remembered,
		.b = { code, code + len, false },
		.at = offset, .offset = offset, .vaddr = vaddr,
		.changed = true,
	};
	uint64_t cost = len + 16;

	if (run->last != cie) {
		begin(run, cie);
		cost += cie->len;
	}
	if (cost > run->budget)
		return -EFBIG;
	run->budget -= cost;
	run->from = from;
	run->to = to;
	p.state = run->initial;
	if (!run->initial_bad)
		instructions(&p);
	if (run->initial_bad || p.b.bad) {
		rowtable_add(run->rows, max_u64(p.at, from), &rowtable_bad);
		run->report->bad[CFI_BAD_PROGRAM]++;
	} else {
		emit(&p, to);
	}
	return 0;
}
