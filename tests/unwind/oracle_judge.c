// SPDX-License-Identifier: Apache-2.0
#include "oracle_judge.h"

#include <elf.h>
#include <stdio.h>
#include <string.h>

#define NOISES 3

const char *const kind_names[KINDS] = {
	"equal", "bad-expression", "bad-other", "lost-fp", "lost-aux", "overlap",
	"trampoline", "unreadable", "missing", "wrong-cfa", "wrong-ra", "wrong-fp", "wrong-aux",
	"wrong-end", "not-found", "beyond", "padding", "not-code", "go",
};

bool kind_is_wrong(enum kind k)
{
	return k >= MISSING && k < COMPARED;
}

static struct value settle(struct value v, const struct noise *n, unsigned int reg)
{
	if (v.known == VALUE_SAME)
		return (struct value){ VALUE_KNOWN, n->reg[reg] };
	return v;
}

static bool callee_saves(uint16_t machine, unsigned int reg)
{
	if (machine == EM_X86_64)
		return reg == 3 || reg == 6 || (reg >= 12 && reg <= 15);
	return reg >= 19 && reg <= 29;
}

/* What is to be said of one register, in the order: wrong, lost, equal. */
static enum kind judge_save(struct value want, struct value have, enum kind wrong,
			    enum kind lost)
{
	if (want.known == VALUE_UNREADABLE)
		return UNREADABLE;
	if (want.known == VALUE_UNDEFINED)
		return have.known == VALUE_UNDEFINED ? EQUAL : wrong;
	if (have.known == VALUE_UNDEFINED)
		return lost;
	return want.is == have.is ? EQUAL : wrong;
}

static enum kind judge_frames(const struct frame *want, const struct frame *have,
			      const struct noise *n, uint16_t machine, uint8_t aux)
{
	bool x86 = machine == EM_X86_64;
	struct value w, h;
	enum kind k, worst = EQUAL;

	if (want->cfa.known != VALUE_KNOWN)
		return UNREADABLE;
	/* Our CFA is what SP was; readelf's need not be where it speaks of SP. */
	w = want->of[ORACLE_SP];
	if (w.known == VALUE_UNREADABLE)
		return UNREADABLE;
	if (w.known != VALUE_KNOWN)
		w = want->cfa;
	if (w.is != have->cfa.is)
		return WRONG_CFA;
	w = want->of[ORACLE_RA];
	h = have->of[ORACLE_RA];
	if (x86 && (w.known == VALUE_SAME || h.known == VALUE_SAME))
		return WRONG_RA;
	k = judge_save(settle(w, n, 30), settle(h, n, 30), WRONG_RA, WRONG_RA);
	if (k != EQUAL)
		return k;
	k = judge_save(settle(want->of[ORACLE_FP], n, x86 ? 6 : 29),
		       settle(have->of[ORACLE_FP], n, x86 ? 6 : 29), WRONG_FP, LOST_FP);
	if (kind_is_wrong(k))
		return k;
	worst = k;
	if (aux == KSTRATA_ROWS_AUX_NONE)
		return worst;
	w = want->of[ORACLE_AUX];
	h = have->of[ORACLE_AUX];
	/* Not spoken of: a scratch register may as well be lost. */
	if (w.known == VALUE_SAME && h.known == VALUE_UNDEFINED &&
	    !callee_saves(machine, aux))
		return worst;
	k = judge_save(settle(w, n, aux), settle(h, n, aux), WRONG_AUX, LOST_AUX);
	return kind_is_wrong(k) || worst == EQUAL ? k : worst;
}

static enum kind judge_rules(const struct oracle_rule *want, const struct kstrata_rule *have,
			     uint16_t machine, uint8_t aux, uint64_t pc, uint64_t bytes)
{
	const char *ra = want->of[ORACLE_RA];
	bool end = ra && !strcmp(ra, "undefined");
	enum kind k, worst = EQUAL;

	if (!have || have->cfa == KSTRATA_CFA_NONE)
		return MISSING;
	if (end || have->cfa == KSTRATA_CFA_END)
		return end && have->cfa == KSTRATA_CFA_END ? EQUAL : WRONG_END;
	if (have->cfa == KSTRATA_CFA_BAD) {
		for (int i = 0; i < ORACLE_TRACKED; i++)
			if (want->of[i] && strchr("@=", want->of[i][0]))
				return BAD_EXPRESSION;
		return want->cfa[0] == '=' ? BAD_EXPRESSION : BAD_OTHER;
	}
	if (bytes > 64 || (have->cfa != KSTRATA_CFA_PLT && !oracle_needs_pc(want)))
		bytes = bytes > 64 ? 64 : 1;
	for (unsigned int i = 0; i < NOISES; i++) {
		struct noise n;

		noise_make(&n, i);
		for (uint64_t b = 0; b < bytes; b++) {
			struct frame w, h;

			n.pc = pc + b;
			oracle_frame(want, machine, &n, &w);
			our_frame(have, machine, aux, &n, &h);
			k = judge_frames(&w, &h, &n, machine, aux);
			if (k > worst)
				worst = k;
		}
	}
	return worst;
}

/* Verdicts on pairs that do not depend on the PC come again and again. */
struct verdict {
	const struct oracle_rule *want;
	const struct kstrata_rule *have;
	enum kind kind;
};

static struct verdict verdicts[1 << 16];

enum kind judge(const struct oracle_rule *want, const struct kstrata_rule *have,
		uint16_t machine, uint8_t aux, uint64_t pc, uint64_t bytes)
{
	uint64_t hash = ((uintptr_t)want >> 4) * 31 + ((uintptr_t)have >> 2);
	struct verdict *v = &verdicts[hash & 0xffff];

	if ((have && have->cfa == KSTRATA_CFA_PLT) || oracle_needs_pc(want))
		return judge_rules(want, have, machine, aux, pc, bytes);
	if (v->want != want || v->have != have)
		*v = (struct verdict){ want, have, judge_rules(want, have, machine, aux,
							       pc, bytes) };
	return v->kind;
}

void judge_forget(void)
{
	memset(verdicts, 0, sizeof(verdicts));
}

/* ---- telling ----------------------------------------------------------------- */

static void print_save(const char *name, const struct kstrata_save *s, uint16_t machine)
{
	const char *reg = oracle_register_name(machine, s->reg);

	switch (s->how) {
	case KSTRATA_SAVE_SAME: return;
	case KSTRATA_SAVE_LOST: printf(" %s=lost", name); return;
	case KSTRATA_SAVE_AT_CFA: printf(" %s=c%+d", name, s->offset); return;
	case KSTRATA_SAVE_IS_CFA: printf(" %s=v%+d", name, s->offset); return;
	case KSTRATA_SAVE_AT_REG: printf(" %s=@%s%+d", name, reg, s->offset); return;
	case KSTRATA_SAVE_IS_REG: printf(" %s=%s%+d", name, reg, s->offset); return;
	}
}

static void print_ours(const struct kstrata_rule *r, uint16_t machine)
{
	static const char *const names[] = { "none", "end", "bad", "signal",
					     "reg", "deref", "index", "plt" };

	if (!r) {
		printf("nothing");
		return;
	}
	printf("%s", r->cfa < 8 ? names[r->cfa] : "?");
	if (r->cfa < KSTRATA_CFA_REG)
		return;
	printf(" %s%+d", oracle_register_name(machine, r->reg), r->offset);
	if (r->cfa == KSTRATA_CFA_INDEX)
		printf(" 8*%s", oracle_register_name(machine, r->index));
	if (r->add)
		printf(" %+d", r->add);
	print_save("ra", &r->ra, machine);
	print_save("fp", &r->fp, machine);
	print_save("aux", &r->aux, machine);
}

static void print_oracle(const struct oracle_rule *r)
{
	static const char *const names[] = { "ra", "fp", "aux", "sp" };

	if (!r) {
		printf("nothing");
		return;
	}
	printf("%s", r->cfa);
	for (int i = 0; i < ORACLE_TRACKED; i++)
		if (r->of[i])
			printf(" %s:%s", names[i], r->of[i]);
}

void judge_print(const struct kstrata_rule *have, const struct oracle_rule *want,
		 uint16_t machine)
{
	printf("ours ");
	print_ours(have, machine);
	printf("; readelf ");
	print_oracle(want);
}
