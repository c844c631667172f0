// SPDX-License-Identifier: Apache-2.0
#include "symbol/cfiexpr.h"

#include "symbol/cfibytes.h"
#include "symbol/dwarfcode.h"

#define DEPTH_MAX 8
#define OPS_MAX 64

static const struct cfi_symbol zero = {
	.reg = CFI_SYMBOL_NONE, .index = CFI_SYMBOL_NONE,
};

static struct cfi_symbol number(int64_t v)
{
	struct cfi_symbol s = zero;

	s.offset = v;
	return s;
}

static struct cfi_symbol term(uint64_t reg, int64_t offset)
{
	struct cfi_symbol s = number(offset);

	/* Numbers that no machine of ours has: never mistaken for others. */
	s.reg = reg < CFI_SYMBOL_CFA ? (uint8_t)reg : CFI_SYMBOL_CFA - 1;
	s.scale = 1;
	return s;
}

static bool is_number(const struct cfi_symbol *s)
{
	return s->reg == CFI_SYMBOL_NONE && !s->deref;
}

/* a += one term of b */
static bool add_term(struct cfi_symbol *a, uint8_t reg, int64_t scale)
{
	if (reg == CFI_SYMBOL_NONE)
		return true;
	if (a->reg == CFI_SYMBOL_NONE) {
		a->reg = reg;
		a->scale = scale;
	} else if (a->reg == reg) {
		if (__builtin_add_overflow(a->scale, scale, &a->scale))
			return false;
	} else if (a->index == CFI_SYMBOL_NONE) {
		a->index = reg;
		a->index_scale = scale;
	} else {
		return false;
	}
	return true;
}

static bool add(struct cfi_symbol *a, const struct cfi_symbol *b)
{
	struct cfi_symbol swapped;

	if (b->deref) {
		/* Of two, one must be a number. */
		swapped = *a;
		*a = *b;
		b = &swapped;
	}
	if (a->deref)
		return is_number(b) &&
		       !__builtin_add_overflow(a->add, b->offset, &a->add);
	return add_term(a, b->reg, b->scale) &&
	       add_term(a, b->index, b->index_scale) &&
	       !__builtin_add_overflow(a->offset, b->offset, &a->offset);
}

static bool multiply(struct cfi_symbol *a, const struct cfi_symbol *b)
{
	struct cfi_symbol swapped;

	if (!is_number(b)) {
		swapped = *a;
		*a = *b;
		b = &swapped;
	}
	return is_number(b) && !a->deref &&
	       !__builtin_mul_overflow(a->scale, b->offset, &a->scale) &&
	       !__builtin_mul_overflow(a->index_scale, b->offset,
				       &a->index_scale) &&
	       !__builtin_mul_overflow(a->offset, b->offset, &a->offset);
}

static bool binary(uint8_t op, struct cfi_symbol *a, struct cfi_symbol b)
{
	switch (op) {
	case DW_OP_plus:
		return add(a, &b);
	case DW_OP_minus:
		if (!is_number(&b) || b.offset == INT64_MIN)
			return false;
		b.offset = -b.offset;
		return add(a, &b);
	case DW_OP_mul:
		return multiply(a, &b);
	case DW_OP_shl:
		if (!is_number(&b) || b.offset < 0 || b.offset > 31)
			return false;
		b.offset = INT64_C(1) << b.offset;
		return multiply(a, &b);
	default:
		return false;
	}
}

/* An operation that only pushes something. */
static bool push(uint8_t op, struct cfi_bytes *b, struct cfi_symbol *out)
{
	uint64_t reg;

	if (op >= DW_OP_lit0 && op <= DW_OP_lit31) {
		*out = number(op - DW_OP_lit0);
		return true;
	}
	if (op >= DW_OP_breg0 && op <= DW_OP_breg31) {
		*out = term(op - DW_OP_breg0, cfi_sleb(b));
		return true;
	}
	switch (op) {
	case DW_OP_bregx:
		reg = cfi_uleb(b);
		*out = term(reg, cfi_sleb(b));
		return true;
	case DW_OP_const1u:
		*out = number(cfi_u8(b));
		return true;
	case DW_OP_const1s:
		*out = number((int8_t)cfi_u8(b));
		return true;
	case DW_OP_const2u:
		*out = number(cfi_u16(b));
		return true;
	case DW_OP_const2s:
		*out = number((int16_t)cfi_u16(b));
		return true;
	case DW_OP_const4u:
		*out = number(cfi_u32(b));
		return true;
	case DW_OP_const4s:
		*out = number((int32_t)cfi_u32(b));
		return true;
	case DW_OP_const8u:
	case DW_OP_const8s:
		*out = number((int64_t)cfi_u64(b));
		return true;
	case DW_OP_constu:
		*out = number((int64_t)cfi_uleb(b));
		return true;
	case DW_OP_consts:
		*out = number(cfi_sleb(b));
		return true;
	default:
		return false;
	}
}

bool cfiexpr_eval(const uint8_t *code, size_t len, bool with_cfa,
		  struct cfi_symbol *out)
{
	struct cfi_bytes b = { code, code + len, false };
	struct cfi_symbol stack[DEPTH_MAX], pushed;
	size_t depth = 0;

	if (with_cfa)
		stack[depth++] = term(0, 0), stack[0].reg = CFI_SYMBOL_CFA;
	for (int ops = 0; cfi_left(&b) && ops < OPS_MAX; ops++) {
		uint8_t op = cfi_u8(&b);

		if (op == DW_OP_nop)
			continue;
		if (push(op, &b, &pushed)) {
			if (depth == DEPTH_MAX)
				return false;
			stack[depth++] = pushed;
			continue;
		}
		if (!depth)
			return false;
		if (op == DW_OP_deref) {
			if (stack[depth - 1].deref)
				return false;
			stack[depth - 1].deref = true;
		} else if (op == DW_OP_plus_uconst) {
			pushed = number((int64_t)cfi_uleb(&b));
			if (!add(&stack[depth - 1], &pushed))
				return false;
		} else if (depth < 2 || !binary(op, &stack[depth - 2],
						stack[depth - 1])) {
			return false;
		} else {
			depth--;
		}
	}
	if (b.bad || cfi_left(&b) || !depth)
		return false;
	*out = stack[depth - 1];
	return true;
}

bool cfiexpr_plt(const uint8_t *code, size_t len, uint8_t pc, uint8_t *reg,
		 int64_t *offset, uint8_t *threshold)
{
	static const uint8_t tail[] = { DW_OP_ge, DW_OP_lit3, DW_OP_shl,
					DW_OP_plus };
	struct cfi_bytes b = { code, code + len, false };
	uint8_t op = cfi_u8(&b);

	if (op < DW_OP_breg0 || op > DW_OP_breg31)
		return false;
	*reg = op - DW_OP_breg0;
	*offset = cfi_sleb(&b);
	if (cfi_u8(&b) != DW_OP_breg0 + pc || cfi_sleb(&b) ||
	    cfi_u8(&b) != DW_OP_lit15 || cfi_u8(&b) != DW_OP_and)
		return false;
	op = cfi_u8(&b);
	if (op < DW_OP_lit0 || op > DW_OP_lit15)
		return false;
	*threshold = op - DW_OP_lit0;
	return !b.bad && cfi_left(&b) == sizeof(tail) &&
	       !memcmp(b.p, tail, sizeof(tail));
}
