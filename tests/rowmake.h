/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tables of unwind rows, as uapi/kstrata.h, section 6, has them: a plain encoder that
 * shares nothing with the daemon's, and random rules that any table may have. For
 * the unit tests and the guest's programs.
 */
#ifndef KSTRATA_TESTS_ROWMAKE_H
#define KSTRATA_TESTS_ROWMAKE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <kstrata.h>

#define ROWMAKE_X86_64	62
#define ROWMAKE_ARM64	183

#ifdef __aarch64__
#define ROWMAKE_NATIVE	ROWMAKE_ARM64
#else
#define ROWMAKE_NATIVE	ROWMAKE_X86_64
#endif

/* What a table says: row i reaches from at[i] to the next one, by rules[rule[i]]. */
struct rowmake {
	uint64_t first;
	uint32_t extent;
	uint32_t nr;		/* rows, at[0] is 0 */
	const uint32_t *at;
	const uint32_t *rule;
	uint32_t nr_rules;
	const struct kstrata_rule *rules;
	uint16_t machine;
	uint8_t page_bits;
	uint8_t aux;
	uint8_t fill;		/* rows of a block at most, 1 to 32 */
};

/* Does row i start a block? n: rows of the block before it; start: where that is. */
static inline bool rowmake_breaks(const struct rowmake *m, uint32_t i, uint32_t n,
				  uint32_t start)
{
	return !i || n == m->fill || m->at[i] - start > KSTRATA_ROW_START_MAX;
}

/* The table, for free(); *bytes: its length. NULL: no memory. */
static inline void *rowmake_table(const struct rowmake *m, size_t *bytes)
{
	uint64_t page = UINT64_C(1) << m->page_bits;
	struct kstrata_rows_table t = {
		.magic = KSTRATA_ROWS_MAGIC,
		.version = KSTRATA_ROWS_VERSION,
		.machine = m->machine,
		.first = m->first,
		.extent = m->extent,
		.nr_rules = m->nr_rules,
		.nr_pages = (uint32_t)((m->extent + page - 1) / page),
		.page_bits = m->page_bits,
		.aux = m->aux,
	};
	size_t starts, rules, pages, blocks, rare_rows, rare_rules, row_rules;
	uint32_t i, n = 0, start = 0, block = 0, rare = 0, p, b;
	uint8_t *out;

	for (i = 0; i < m->nr; i++, n++) {
		if (rowmake_breaks(m, i, n, start)) {
			start = m->at[i];
			n = 0;
			t.nr_blocks++;
		}
		t.nr_rare += m->rule[i] >= KSTRATA_ROW_RARE;
	}
	starts = sizeof(t);
	rules = starts + 64 * (size_t)t.nr_blocks;
	pages = rules + sizeof(struct kstrata_rule) * t.nr_rules;
	blocks = pages + 4 * ((size_t)t.nr_pages + 1);
	rare_rows = blocks + 4 * (size_t)t.nr_blocks;
	rare_rules = rare_rows + 4 * (size_t)t.nr_rare;
	row_rules = rare_rules + 2 * (size_t)t.nr_rare;
	*bytes = (row_rules + 32 * (size_t)t.nr_blocks + 7) / 8 * 8;
	t.bytes = (uint32_t)*bytes;
	out = calloc(1, *bytes);
	if (!out)
		return NULL;
	memcpy(out, &t, sizeof(t));
	memcpy(out + rules, m->rules, sizeof(struct kstrata_rule) * m->nr_rules);
	memset(out + starts, 0xff, 64 * (size_t)t.nr_blocks);
	for (i = 0, b = 0; i < m->nr; i++, n++) {
		uint16_t at, rule16 = (uint16_t)m->rule[i];
		uint8_t rule8 = (uint8_t)m->rule[i];
		uint32_t row;

		if (rowmake_breaks(m, i, n, start)) {
			block = b++;
			start = m->at[i];
			n = 0;
			memcpy(out + blocks + 4 * (size_t)block, &start, 4);
		}
		at = (uint16_t)(m->at[i] - start);
		row = 32 * block + n;
		memcpy(out + starts + 2 * (size_t)row, &at, 2);
		if (m->rule[i] >= KSTRATA_ROW_RARE) {
			rule8 = KSTRATA_ROW_RARE;
			memcpy(out + rare_rows + 4 * (size_t)rare, &row, 4);
			memcpy(out + rare_rules + 2 * (size_t)rare, &rule16, 2);
			rare++;
		}
		out[row_rules + row] = rule8;
	}
	for (p = 0, b = 0; p <= t.nr_pages; p++) {
		for (; b + 1 < t.nr_blocks; b++) {
			memcpy(&start, out + blocks + 4 * (size_t)(b + 1), 4);
			if (start > (uint64_t)p << m->page_bits)
				break;
		}
		memcpy(out + pages + 4 * (size_t)p, &b, 4);
	}
	return out;
}

/* ---- random ---- */

static inline uint32_t rowmake_random(uint64_t *seed)
{
	*seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(*seed >> 32);
}

/* Offsets near the frame, mostly; some far, some not aligned. */
static inline int32_t rowmake_offset(uint64_t *seed)
{
	switch (rowmake_random(seed) % 16) {
	case 0: return (int32_t)rowmake_random(seed);
	case 1: return (int32_t)(rowmake_random(seed) % 64) - 32;
	case 2: return rowmake_random(seed) % 2 ? INT32_MAX : INT32_MIN;
	case 3: return 8 * ((int32_t)(rowmake_random(seed) % 4096) - 2048);
	}
	return 8 * ((int32_t)(rowmake_random(seed) % 32) - 16);
}

static inline uint8_t rowmake_reg(uint64_t *seed, uint16_t machine)
{
	bool x86 = machine == ROWMAKE_X86_64;

	switch (rowmake_random(seed) % 4) {
	case 0: return (uint8_t)(rowmake_random(seed) % (x86 ? 16 : 32));
	case 1: return x86 ? 6 : 29;
	}
	return x86 ? 7 : 31;
}

static inline struct kstrata_save rowmake_save(uint64_t *seed, uint16_t machine)
{
	struct kstrata_save s = {
		.how = (uint8_t)(rowmake_random(seed) % 6),
	};

	if (s.how == KSTRATA_SAVE_AT_REG || s.how == KSTRATA_SAVE_IS_REG)
		s.reg = rowmake_reg(seed, machine);
	if (s.how > KSTRATA_SAVE_LOST)
		s.offset = rowmake_offset(seed);
	return s;
}

/* Any rule that a table with this third register may have. */
static inline struct kstrata_rule rowmake_rule(uint64_t *seed, uint16_t machine,
					       uint8_t aux)
{
	struct kstrata_rule r = { 0 };

	r.cfa = (uint8_t)(rowmake_random(seed) % 8);
	if (r.cfa <= KSTRATA_CFA_SIGNAL && rowmake_random(seed) % 4)
		r.cfa = KSTRATA_CFA_REG;
	if (r.cfa <= KSTRATA_CFA_SIGNAL)
		return r;
	r.reg = rowmake_reg(seed, machine);
	r.offset = rowmake_offset(seed);
	if (r.cfa == KSTRATA_CFA_INDEX)
		r.index = rowmake_reg(seed, machine);
	if (r.cfa == KSTRATA_CFA_PLT)
		r.add = rowmake_random(seed) % 16;
	else if (r.cfa != KSTRATA_CFA_REG)
		r.add = rowmake_offset(seed);
	/* Mostly such that the walk goes on. */
	do
		r.ra = rowmake_save(seed, machine);
	while (machine == ROWMAKE_X86_64 && r.ra.how == KSTRATA_SAVE_SAME);
	if (rowmake_random(seed) % 2)
		r.ra = (struct kstrata_save){ .how = KSTRATA_SAVE_AT_CFA,
					      .offset = -8 };
	r.fp = rowmake_save(seed, machine);
	if (aux != KSTRATA_ROWS_AUX_NONE)
		r.aux = rowmake_save(seed, machine);
	return r;
}

/*
 * A random table over extent bytes from first, of at most max_rows rows: any such
 * is one.
 */
static inline void *rowmake_wild(uint64_t *seed, uint16_t machine, uint64_t first,
				 uint32_t extent, uint32_t max_rows, size_t *bytes)
{
	uint32_t nr_rules = 1 + rowmake_random(seed) %
				(rowmake_random(seed) % 4 ? 40 : 600);
	uint32_t step = extent / max_rows + 1, nr = 0, x = 0;
	struct kstrata_rule *rules = calloc(nr_rules, sizeof(*rules));
	uint32_t *at = calloc(max_rows, sizeof(*at));
	uint32_t *rule = calloc(max_rows, sizeof(*rule));
	struct rowmake m = {
		.first = first,
		.extent = extent,
		.at = at,
		.rule = rule,
		.nr_rules = nr_rules,
		.rules = rules,
		.machine = machine,
		.page_bits = (uint8_t)(8 + rowmake_random(seed) % 12),
		.aux = KSTRATA_ROWS_AUX_NONE,
		.fill = (uint8_t)(1 + rowmake_random(seed) % 32),
	};
	void *table = NULL;

	if (rowmake_random(seed) % 2)
		m.aux = machine == ROWMAKE_X86_64 ?
				(uint8_t)(rowmake_random(seed) % 6) :
				(uint8_t)(rowmake_random(seed) % 29);
	/* A directory of 256-byte pages may not be larger than all the rest. */
	while (extent >> m.page_bits > 100000)
		m.page_bits++;
	if (!rules || !at || !rule)
		goto out;
	for (uint32_t i = 0; i < nr_rules; i++)
		rules[i] = rowmake_rule(seed, machine, m.aux);
	while (x < extent && nr < max_rows) {
		at[nr] = x;
		rule[nr++] = rowmake_random(seed) % nr_rules;
		x += 1 + rowmake_random(seed) % (2 * step);
	}
	m.nr = nr;
	table = rowmake_table(&m, bytes);
out:
	free(rule);
	free(at);
	free(rules);
	return table;
}

#endif /* KSTRATA_TESTS_ROWMAKE_H */
