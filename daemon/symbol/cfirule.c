// SPDX-License-Identifier: Apache-2.0
#include "symbol/cfirule.h"

#include "symbol/cfiexpr.h"

#define NO_REG 0xff

/* The CFA by DWARF, where it is reg + offset: saves are relative to that. */
struct cfi_base {
	bool known;
	uint8_t reg;
	int64_t offset;
	bool moved; /* and it is not what the rule says: SP is restored otherwise */
};

static bool fits(int64_t v, int32_t *out)
{
	*out = (int32_t)v;
	return v == (int32_t)v;
}

static bool named(const struct cfi_run *run, uint64_t reg)
{
	return reg < run->machine->regs;
}

/* The rule takes a register that callees may have saved elsewhere. */
static void depend(struct cfi_run *run, uint8_t reg)
{
	if (reg < 32 && (run->machine->saved >> reg & 1))
		run->needs |= 1u << reg;
}

/* reg + offset, or the word there, or the one with an index, + add. */
static bool cfa_is(struct cfi_run *run, struct kstrata_rule *rule,
		   const struct cfi_symbol *s)
{
	if (!named(run, s->reg) || s->scale != 1 ||
	    !fits(s->offset, &rule->offset) || !fits(s->add, &rule->add))
		return false;
	rule->cfa = s->deref ? KSTRATA_CFA_DEREF : KSTRATA_CFA_REG;
	rule->reg = s->reg;
	if (s->index == CFI_SYMBOL_NONE || !s->index_scale)
		return true;
	rule->cfa = KSTRATA_CFA_INDEX;
	rule->index = s->index;
	return s->deref && named(run, s->index) && s->index_scale == 8;
}

static bool cfa_expression(struct cfi_run *run, const struct cfi_column *c,
			   struct kstrata_rule *rule, struct cfi_base *base)
{
	struct cfi_symbol s;
	uint8_t threshold;
	int64_t offset;

	if (cfiexpr_plt(c->expr, c->len, run->machine->ra, &rule->reg, &offset,
			&threshold)) {
		rule->cfa = KSTRATA_CFA_PLT;
		rule->add = threshold;
		return named(run, rule->reg) && fits(offset, &rule->offset);
	}
	if (!cfiexpr_eval(c->expr, c->len, false, &s))
		return false;
	if (s.index != CFI_SYMBOL_NONE && s.scale == 8 && s.index_scale == 1) {
		uint8_t reg = s.reg;

		s.reg = s.index;
		s.index = reg;
		s.scale = 1;
		s.index_scale = 8;
	}
	if (!cfa_is(run, rule, &s))
		return false;
	if (rule->cfa == KSTRATA_CFA_REG) {
		base->known = true;
		base->reg = s.reg;
		base->offset = s.offset;
	}
	return true;
}

/* What a column says, in the terms of expressions; false: nothing that we know. */
static bool to_symbol(const struct cfi_column *c, struct cfi_symbol *s)
{
	*s = (struct cfi_symbol){
		.reg = CFI_SYMBOL_CFA, .index = CFI_SYMBOL_NONE, .scale = 1,
		.offset = c->offset,
	};
	switch (c->how) {
	case CFI_HOW_OFFSET:
		s->deref = true;
		return true;
	case CFI_HOW_VAL_OFFSET:
		return true;
	case CFI_HOW_REGISTER:
		s->reg = c->reg < CFI_SYMBOL_CFA ? (uint8_t)c->reg :
						   CFI_SYMBOL_CFA - 1;
		s->offset = 0;
		return true;
	case CFI_HOW_EXPR:
		if (!cfiexpr_eval(c->expr, c->len, true, s) || s->deref)
			return false;
		s->deref = true;
		return true;
	case CFI_HOW_VAL_EXPR:
		return cfiexpr_eval(c->expr, c->len, true, s);
	default:
		return false;
	}
}

/* Where the caller's value of reg is; false: rules have no word for that. */
static bool save_is(struct cfi_run *run, const struct cfi_base *base,
		    const struct cfi_column *c, uint8_t reg,
		    struct kstrata_save *save)
{
	struct cfi_symbol s;

	if (c->how == CFI_HOW_UNSET || c->how == CFI_HOW_SAME) {
		save->how = KSTRATA_SAVE_SAME;
		return true;
	}
	if (c->how == CFI_HOW_UNDEFINED) {
		save->how = KSTRATA_SAVE_LOST;
		return true;
	}
	if (!to_symbol(c, &s) || s.scale != 1 || s.add ||
	    (s.index != CFI_SYMBOL_NONE && s.index_scale))
		return false;
	if (s.reg == CFI_SYMBOL_CFA && base->moved) {
		if (!base->known || __builtin_add_overflow(
					    s.offset, base->offset, &s.offset))
			return false;
		s.reg = base->reg;
	}
	if (!fits(s.offset, &save->offset))
		return false;
	if (s.reg == CFI_SYMBOL_CFA) {
		save->how = s.deref ? KSTRATA_SAVE_AT_CFA : KSTRATA_SAVE_IS_CFA;
		return true;
	}
	if (!named(run, s.reg))
		return false;
	if (s.reg == reg && !s.deref && !s.offset) {
		save->how = KSTRATA_SAVE_SAME;
		return true;
	}
	save->how = s.deref ? KSTRATA_SAVE_AT_REG : KSTRATA_SAVE_IS_REG;
	save->reg = s.reg;
	depend(run, s.reg);
	return true;
}

/* The caller's SP, where it is not simply the CFA: rules call that one the CFA. */
static bool move_cfa(struct cfi_run *run, const struct cfi_column *c,
		     struct kstrata_rule *rule, struct cfi_base *base)
{
	struct cfi_symbol s;

	if (c->how == CFI_HOW_UNSET ||
	    (c->how == CFI_HOW_VAL_OFFSET && !c->offset))
		return true;
	if (c->how == CFI_HOW_SAME) {
		s = (struct cfi_symbol){
			.reg = run->machine->sp, .index = CFI_SYMBOL_NONE,
			.scale = 1,
		};
	} else if (!to_symbol(c, &s)) {
		return false;
	}
	if (s.reg == CFI_SYMBOL_CFA) {
		if (!base->known || s.scale != 1 ||
		    __builtin_add_overflow(s.offset, base->offset, &s.offset))
			return false;
		s.reg = base->reg;
	}
	base->moved = true;
	*rule = (struct kstrata_rule){ 0 };
	return cfa_is(run, rule, &s);
}

static bool ra_is(struct cfi_run *run, const struct cfi_cie *cie,
		  const struct cfi_base *base, const struct cfi_column *c,
		  struct kstrata_save *save)
{
	uint8_t usual = run->machine->ra;

	if (!save_is(run, base, c, usual, save))
		return false;
	if (save->how != KSTRATA_SAVE_SAME ||
	    (run->machine->link && cie->ra == usual))
		return true;
	/* In a register that is not the usual one. */
	if (cie->ra == usual || !named(run, cie->ra))
		return false;
	*save = (struct kstrata_save){
		.how = KSTRATA_SAVE_IS_REG, .reg = (uint8_t)cie->ra,
	};
	return true;
}

static bool make(struct cfi_run *run, const struct cfi_cie *cie,
		 const struct cfi_state *state, struct kstrata_rule *rule,
		 enum cfi_bad *why)
{
	const struct cfi_column *columns = state->columns;
	struct cfi_base base = { 0 };
	struct cfi_symbol s = {
		.reg = NO_REG, .index = CFI_SYMBOL_NONE, .scale = 1,
		.offset = state->cfa.offset,
	};

	*why = CFI_BAD_CFA_EXPRESSION;
	if (state->cfa.how == CFI_HOW_EXPR) {
		if (!cfa_expression(run, &state->cfa, rule, &base))
			return false;
	} else {
		*why = CFI_BAD_CFA_REGISTER;
		if (state->cfa.how != CFI_HOW_REGISTER ||
		    !named(run, state->cfa.reg))
			return false;
		s.reg = (uint8_t)state->cfa.reg;
		*why = CFI_BAD_LIMIT;
		if (!cfa_is(run, rule, &s))
			return false;
		base = (struct cfi_base){
			.known = true, .reg = s.reg, .offset = s.offset,
		};
	}
	*why = CFI_BAD_CFA_REGISTER;
	if (!move_cfa(run, &columns[CFI_COLUMN_SP], rule, &base))
		return false;
	*why = CFI_BAD_RA;
	if (!ra_is(run, cie, &base, &columns[CFI_COLUMN_RA], &rule->ra))
		return false;
	depend(run, rule->reg);
	if (rule->cfa == KSTRATA_CFA_INDEX)
		depend(run, rule->index);
	if (!save_is(run, &base, &columns[CFI_COLUMN_FP], run->machine->fp,
		     &rule->fp)) {
		rule->fp = (struct kstrata_save){ .how = KSTRATA_SAVE_LOST };
		run->report->bad[CFI_BAD_FP]++;
	}
	if (run->aux != KSTRATA_ROWS_AUX_NONE &&
	    !save_is(run, &base, &columns[CFI_COLUMN_AUX], run->aux,
		     &rule->aux)) {
		rule->aux = (struct kstrata_save){ .how = KSTRATA_SAVE_LOST };
		run->report->bad[CFI_BAD_AUX]++;
	}
	return true;
}

void cfirule_make(struct cfi_run *run, const struct cfi_cie *cie,
		  const struct cfi_state *state, struct kstrata_rule *out)
{
	enum cfi_bad why;

	*out = (struct kstrata_rule){ 0 };
	run->needs = 0;
	if (state->columns[CFI_COLUMN_RA].how == CFI_HOW_UNDEFINED) {
		out->cfa = KSTRATA_CFA_END;
		return;
	}
	if (!make(run, cie, state, out, &why)) {
		*out = rowtable_bad;
		run->report->bad[why]++;
	}
}
