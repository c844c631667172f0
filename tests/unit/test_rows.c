// SPDX-License-Identifier: Apache-2.0
/* include/kstrata/rows.h, rowcheck.h: what is a table, and what it says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <kstrata/rowcheck.h>

#include "../rowmake.h"

#define X86	ROWMAKE_X86_64
#define ARM	ROWMAKE_ARM64

/* ---- every field, broken in turn --------------------------------------- */

/* Three blocks, of 3, 3 and 2 rows; the rule of row 4 is a rare one. */
static const uint32_t plain_at[] = { 0, 10, 300, 1000, 1001, 70000, 140000, 140005 };
static const uint32_t plain_rule[] = { 0, 1, 2, 1, 300, 4, 0, 3 };
#define PLAIN_RULES	301

struct sample {
	struct kstrata_rows_table *t;
	struct kst_rows_view v;
	struct kstrata_rule *rules;
	uint16_t *starts;
	uint32_t *pages, *blocks, *rare_rows;
	uint16_t *rare_rules;
	uint8_t *row_rules;
	size_t bytes;
};

static void unconst(void *to, const void *from)
{
	memcpy(to, &from, sizeof(from));
}

static void make(struct sample *s, uint16_t machine, uint8_t aux)
{
	static struct kstrata_rule rules[PLAIN_RULES];
	struct rowmake m = {
		.first = 0x1000,
		.extent = 140100,
		.nr = sizeof(plain_at) / sizeof(*plain_at),
		.at = plain_at,
		.rule = plain_rule,
		.nr_rules = PLAIN_RULES,
		.rules = rules,
		.machine = machine,
		.page_bits = 12,
		.aux = aux,
		.fill = 3,
	};

	for (size_t i = 0; i < PLAIN_RULES; i++)
		rules[i] = (struct kstrata_rule){
			.cfa = KSTRATA_CFA_REG,
			.reg = machine == X86 ? 7 : 31,
			.offset = (int32_t)i,
			.ra = { .how = KSTRATA_SAVE_AT_CFA, .offset = -8 },
		};
	s->t = rowmake_table(&m, &s->bytes);
	assert_non_null(s->t);
	kst_rows_view(&s->v, s->t);
	unconst(&s->rules, s->v.rules);
	unconst(&s->starts, s->v.starts);
	unconst(&s->pages, s->v.pages);
	unconst(&s->blocks, s->v.blocks);
	unconst(&s->rare_rows, s->v.rare_rows);
	unconst(&s->rare_rules, s->v.rare_rules);
	unconst(&s->row_rules, s->v.row_rules);
	assert_int_equal(kst_rows_check(s->t, s->bytes, machine), 0);
	assert_true(s->t->nr_blocks == 4 && s->t->nr_rare == 1);
}

/* With this changed it is no table; changed back it is. */
#define REFUSED(s, what, value)                                                  \
	do {                                                                     \
		__typeof__(what) *at_ = &(what), old_ = *at_;                    \
		*at_ = (__typeof__(what))(value);                                \
		assert_true(old_ != *at_);                                       \
		assert_int_equal(kst_rows_check((s)->t, (s)->bytes,              \
						(s)->t->machine),                \
				 -EINVAL);                                       \
		*at_ = old_;                                                     \
		assert_int_equal(kst_rows_check((s)->t, (s)->bytes,              \
						(s)->t->machine), 0);            \
	} while (0)

#define TAKEN(s, what, value)                                                    \
	do {                                                                     \
		__typeof__(what) *at_ = &(what), old_ = *at_;                    \
		*at_ = (__typeof__(what))(value);                                \
		assert_int_equal(kst_rows_check((s)->t, (s)->bytes,              \
						(s)->t->machine), 0);            \
		*at_ = old_;                                                     \
	} while (0)

static void test_header(void **state)
{
	struct sample s;

	(void)state;
	make(&s, X86, KSTRATA_ROWS_AUX_NONE);
	assert_int_equal(kst_rows_check(s.t, s.bytes, ARM), -EINVAL);
	assert_int_equal(kst_rows_check(s.t, s.bytes, 3), -EINVAL);
	for (size_t bytes = 0; bytes < s.bytes; bytes++)
		assert_int_equal(kst_rows_check(s.t, bytes, X86), -EINVAL);
	assert_int_equal(kst_rows_check(s.t, s.bytes + 8, X86), -EINVAL);
	REFUSED(&s, s.t->magic, s.t->magic + 1);
	REFUSED(&s, s.t->version, 0);
	REFUSED(&s, s.t->version, 2);
	REFUSED(&s, s.t->machine, 0);
	REFUSED(&s, s.t->machine, 3);
	REFUSED(&s, s.t->first, UINT64_C(1) << 40);
	REFUSED(&s, s.t->first, (UINT64_C(1) << 40) - s.t->extent + 1);
	REFUSED(&s, s.t->first, UINT64_MAX);
	REFUSED(&s, s.t->first, -(uint64_t)s.t->extent);
	TAKEN(&s, s.t->first, (UINT64_C(1) << 40) - s.t->extent);
	REFUSED(&s, s.t->extent, 0);
	REFUSED(&s, s.t->extent, s.blocks[3]);		/* its block is beyond */
	REFUSED(&s, s.t->extent, UINT32_MAX);
	REFUSED(&s, s.t->bytes, s.t->bytes - 8);
	REFUSED(&s, s.t->bytes, s.t->bytes + 8);
	REFUSED(&s, s.t->bytes, 0);
	REFUSED(&s, s.t->nr_rules, 0);
	REFUSED(&s, s.t->nr_rules, s.t->nr_rules + 1);
	REFUSED(&s, s.t->nr_rules, 0x10000);
	REFUSED(&s, s.t->nr_rules, UINT32_MAX);
	REFUSED(&s, s.t->nr_pages, 0);
	REFUSED(&s, s.t->nr_pages, s.t->nr_pages + 1);
	REFUSED(&s, s.t->nr_pages, UINT32_MAX);
	REFUSED(&s, s.t->nr_blocks, 0);
	REFUSED(&s, s.t->nr_blocks, 3);
	REFUSED(&s, s.t->nr_blocks, UINT32_MAX);
	REFUSED(&s, s.t->nr_rare, 0);
	REFUSED(&s, s.t->nr_rare, UINT32_MAX);
	for (unsigned int bits = 0; bits < 256; bits++)
		if (bits != 12)
			REFUSED(&s, s.t->page_bits, bits);
	for (unsigned int aux = 0; aux < 256; aux++) {
		/* SP and FP are kept anyway; 16 is RIP. */
		if (aux == 6 || aux == 7 || (aux > 15 && aux < 255))
			REFUSED(&s, s.t->aux, aux);
		else
			TAKEN(&s, s.t->aux, aux);
	}
	for (size_t i = 0; i < sizeof(s.t->reserved); i++)
		REFUSED(&s, s.t->reserved[i], 1);
	free(s.t);
}

static void test_rows(void **state)
{
	uint8_t *end, *padding;
	struct sample s;

	(void)state;
	make(&s, X86, KSTRATA_ROWS_AUX_NONE);
	REFUSED(&s, s.blocks[0], 1);
	REFUSED(&s, s.blocks[1], 0);
	REFUSED(&s, s.blocks[1], s.blocks[2]);
	REFUSED(&s, s.blocks[2], s.blocks[1]);
	REFUSED(&s, s.blocks[3], s.t->extent);
	REFUSED(&s, s.blocks[3], UINT32_MAX);
	for (uint32_t p = 0; p <= s.t->nr_pages; p++) {
		REFUSED(&s, s.pages[p], s.pages[p] + 1);
		REFUSED(&s, s.pages[p], s.pages[p] - 1);
		REFUSED(&s, s.pages[p], UINT32_MAX);
	}
	for (uint32_t b = 0; b < s.t->nr_blocks; b++) {
		uint16_t *starts = s.starts + 32 * b;
		uint8_t *rules = s.row_rules + 32 * b;
		unsigned int i = 0;

		REFUSED(&s, starts[0], 1);
		REFUSED(&s, starts[0], KSTRATA_ROW_NONE);
		for (i = 1; starts[i] != KSTRATA_ROW_NONE; i++)
			REFUSED(&s, starts[i], starts[i - 1]);
		/* Rows that do not exist are at the end, and have no rule. */
		REFUSED(&s, starts[i + 1], KSTRATA_ROW_START_MAX);
		REFUSED(&s, starts[31], KSTRATA_ROW_START_MAX);
		REFUSED(&s, rules[i], 1);
		REFUSED(&s, rules[31], KSTRATA_ROW_RARE);
		TAKEN(&s, starts[i], KSTRATA_ROW_START_MAX);
	}
	/* Which rows are rare. */
	REFUSED(&s, s.rare_rows[0], s.rare_rows[0] + 1);
	REFUSED(&s, s.rare_rows[0], UINT32_MAX);
	REFUSED(&s, s.rare_rules[0], PLAIN_RULES);
	REFUSED(&s, s.row_rules[s.rare_rows[0]], 0);
	REFUSED(&s, s.row_rules[0], KSTRATA_ROW_RARE);
	padding = s.row_rules + 32 * s.t->nr_blocks;
	end = (uint8_t *)s.t + s.bytes;
	assert_true(padding < end);
	while (padding < end)
		REFUSED(&s, *--end, 1);
	free(s.t);
}

/* A table with few rules: those that do not exist. */
static void test_row_rules(void **state)
{
	struct kstrata_rule rules[2] = { { .cfa = KSTRATA_CFA_END }, { 0 } };
	uint32_t at[] = { 0, 5 }, rule[] = { 0, 1 };
	struct rowmake m = {
		.extent = 6, .nr = 2, .at = at, .rule = rule, .nr_rules = 2,
		.rules = rules, .machine = ARM, .page_bits = 8,
		.aux = KSTRATA_ROWS_AUX_NONE, .fill = 32,
	};
	struct sample s;

	(void)state;
	s.t = rowmake_table(&m, &s.bytes);
	kst_rows_view(&s.v, s.t);
	unconst(&s.row_rules, s.v.row_rules);
	REFUSED(&s, s.row_rules[0], 2);
	REFUSED(&s, s.row_rules[1], 254);
	free(s.t);
}

static void break_save(struct sample *s, struct kstrata_save *save, uint16_t machine,
		       bool ra)
{
	unsigned int how, reg, regs = machine == X86 ? 16 : 32;
	struct kstrata_save old = *save;

	for (how = 0; how < 6; how++) {
		bool named = how == KSTRATA_SAVE_AT_REG || how == KSTRATA_SAVE_IS_REG;

		*save = (struct kstrata_save){ .how = (uint8_t)how };
		if (ra && machine == X86 && how == KSTRATA_SAVE_SAME) {
			assert_int_equal(kst_rows_check(s->t, s->bytes, machine),
					 -EINVAL);
			continue;
		}
		REFUSED(s, save->how, 6);
		REFUSED(s, save->how, 255);
		REFUSED(s, save->reserved, 1);
		for (reg = 1; reg < 256; reg++)
			if (named && reg < regs)
				TAKEN(s, save->reg, reg);
			else
				REFUSED(s, save->reg, reg);
		if (how <= KSTRATA_SAVE_LOST) {
			REFUSED(s, save->offset, 1);
		} else {
			TAKEN(s, save->offset, INT32_MIN);
			TAKEN(s, save->offset, INT32_MAX);
		}
	}
	*save = old;
}

static void break_rule(struct sample *s, struct kstrata_rule *r, uint16_t machine,
		       bool aux)
{
	unsigned int regs = machine == X86 ? 16 : 32, cfa, reg;
	struct kstrata_rule old = *r;

	for (cfa = 0; cfa <= KSTRATA_CFA_SIGNAL; cfa++) {
		*r = (struct kstrata_rule){ .cfa = (uint8_t)cfa };
		for (size_t i = 1; i < sizeof(*r); i++)
			REFUSED(s, ((uint8_t *)r)[i], 1);
	}
	for (cfa = KSTRATA_CFA_REG; cfa <= KSTRATA_CFA_PLT; cfa++) {
		*r = (struct kstrata_rule){
			.cfa = (uint8_t)cfa,
			.ra.how = KSTRATA_SAVE_IS_CFA,
		};
		REFUSED(s, r->cfa, 8);
		REFUSED(s, r->cfa, 255);
		REFUSED(s, r->reserved, 1);
		for (reg = 1; reg < 256; reg++) {
			if (reg < regs)
				TAKEN(s, r->reg, reg);
			else
				REFUSED(s, r->reg, reg);
			if (reg < regs && cfa == KSTRATA_CFA_INDEX)
				TAKEN(s, r->index, reg);
			else
				REFUSED(s, r->index, reg);
		}
		TAKEN(s, r->offset, INT32_MIN);
		TAKEN(s, r->offset, INT32_MAX);
		if (cfa == KSTRATA_CFA_REG) {
			REFUSED(s, r->add, 1);
		} else if (cfa == KSTRATA_CFA_PLT) {
			TAKEN(s, r->add, 15);
			REFUSED(s, r->add, 16);
			REFUSED(s, r->add, -1);
		} else {
			TAKEN(s, r->add, INT32_MIN);
			TAKEN(s, r->add, INT32_MAX);
		}
		break_save(s, &r->ra, machine, true);
		break_save(s, &r->fp, machine, false);
		if (aux)
			break_save(s, &r->aux, machine, false);
		else
			for (size_t i = 0; i < sizeof(r->aux); i++)
				REFUSED(s, ((uint8_t *)&r->aux)[i], 1);
	}
	*r = old;
}

static void test_rules(void **state)
{
	static const uint16_t machines[] = { X86, ARM };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct sample s;

		make(&s, machines[i], KSTRATA_ROWS_AUX_NONE);
		break_rule(&s, &s.rules[0], machines[i], false);
		free(s.t);
		make(&s, machines[i], 3);
		break_rule(&s, &s.rules[PLAIN_RULES - 1], machines[i], true);
		free(s.t);
	}
}

/* ---- look-ups ---------------------------------------------------------- */

/* Straight from the description: every block, every row, first to last. */
static const struct kstrata_rule *linear(const struct kst_rows_view *v,
					 const struct kstrata_rows_table *t,
					 uint64_t offset)
{
	uint32_t block = 0, row = 0, rare = 0;
	uint64_t x = offset - t->first;

	if (offset < t->first || x >= t->extent)
		return NULL;
	for (uint32_t b = 0; b < t->nr_blocks; b++)
		if (v->blocks[b] <= x)
			block = b;
	for (uint32_t i = 32 * block; i < 32 * (block + 1); i++)
		if (v->starts[i] != KSTRATA_ROW_NONE &&
		    v->blocks[block] + v->starts[i] <= x)
			row = i;
	row = row ? row : 32 * block;
	if (v->row_rules[row] != KSTRATA_ROW_RARE)
		return &v->rules[v->row_rules[row]];
	while (v->rare_rows[rare] != row)
		rare++;
	return &v->rules[v->rare_rules[rare]];
}

static void test_find(void **state)
{
	uint64_t seed = 1;

	(void)state;
	for (int i = 0; i < 600; i++) {
		uint16_t machine = i % 2 ? X86 : ARM;
		uint64_t first = rowmake_random(&seed) % 3 ? rowmake_random(&seed) : 0;
		uint32_t extent = 1 + rowmake_random(&seed) %
				(i % 5 ? 3000 : i % 10 ? 3000000 : UINT32_MAX);
		struct kstrata_rows_table *t;
		struct kst_rows_view v;
		size_t bytes;

		t = rowmake_wild(&seed, machine, first, extent,
				 1 + rowmake_random(&seed) % 800, &bytes);
		assert_non_null(t);
		assert_int_equal(kst_rows_check(t, bytes, machine), 0);
		kst_rows_view(&v, t);
		assert_null(kst_rows_find(&v, first - 1));
		assert_null(kst_rows_find(&v, first + extent));
		assert_null(kst_rows_find(&v, UINT64_MAX));
		assert_non_null(kst_rows_find(&v, first + extent - 1));
		for (int j = 0; j < 200; j++) {
			uint64_t at = first + rowmake_random(&seed) % extent;
			uint32_t row = rowmake_random(&seed) % (32 * t->nr_blocks);

			assert_ptr_equal(kst_rows_find(&v, at), linear(&v, t, at));
			/* The edges of rows. */
			if (v.starts[row] == KSTRATA_ROW_NONE)
				continue;
			at = first + v.blocks[row / 32] + v.starts[row];
			assert_ptr_equal(kst_rows_find(&v, at), linear(&v, t, at));
			assert_ptr_equal(kst_rows_find(&v, at - 1),
					 linear(&v, t, at - 1));
		}
		free(t);
	}
}

/*
 * Tables with some bytes changed. Whatever still is one must be good for any
 * look-up: the sanitizers see what goes beyond it.
 */
static void test_mutated(void **state)
{
	unsigned int taken = 0, refused = 0;
	uint64_t seed = 2;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		uint32_t extent = 1 + rowmake_random(&seed) % 5000;
		unsigned int changes = 1 + rowmake_random(&seed) % 3;
		struct kstrata_rows_table *t;
		struct kst_rows_view v;
		size_t bytes;

		t = rowmake_wild(&seed, X86, 64, extent,
				 1 + rowmake_random(&seed) % 100, &bytes);
		assert_non_null(t);
		while (changes--) {
			size_t at = rowmake_random(&seed) % bytes;

			((uint8_t *)t)[at] ^= (uint8_t)(1u << rowmake_random(&seed) % 8);
		}
		if (kst_rows_check(t, bytes, X86)) {
			refused++;
			free(t);
			continue;
		}
		taken++;
		kst_rows_view(&v, t);
		for (int j = 0; j < 200; j++) {
			uint64_t at = t->first + rowmake_random(&seed) % t->extent;
			const struct kstrata_rule *r = kst_rows_find(&v, at);

			assert_true(r >= v.rules && r < v.rules + t->nr_rules);
			assert_ptr_equal(r, linear(&v, t, at));
		}
		free(t);
	}
	/* Offsets, rules' numbers and starts may well be others. */
	assert_true(taken > 1000 && refused > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_header),
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_row_rules),
		cmocka_unit_test(test_rules),
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_mutated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
