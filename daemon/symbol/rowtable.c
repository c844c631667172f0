// SPDX-License-Identifier: Apache-2.0
#include "symbol/rowtable.h"

#include "base/hash.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <kstrata/rows.h>

/* A row takes 3 bytes of a table at least. */
#define ROWS_MAX (KSTRATA_ROWS_BYTES_MAX / 3)
#define FREQUENT KSTRATA_ROW_RARE /* rules before this one are not rare */

const struct kstrata_rule rowtable_bad = { .cfa = KSTRATA_CFA_BAD };
const struct kstrata_rule rowtable_none = { .cfa = KSTRATA_CFA_NONE };

static uint64_t hash_rule(const struct kstrata_rule *rule)
{
	uint64_t h = 0;
	uint32_t w;

	_Static_assert(sizeof(*rule) % sizeof(w) == 0, "hashed in words");
	for (size_t i = 0; i < sizeof(*rule) / sizeof(w); i++) {
		memcpy(&w, (const uint8_t *)rule + i * sizeof(w), sizeof(w));
		h = (h ^ w) * UINT64_C(0x9ddfea08eb382d69);
		h ^= h >> 32;
	}
	return h;
}

static int grow_rules(struct rowtable *t)
{
	size_t cap = t->cap_rules ? t->cap_rules * 2 : 256;
	struct kstrata_rule *rules;
	struct hash_slot *slots;

	rules = realloc(t->rules, cap * sizeof(*rules));
	if (!rules)
		return -ENOMEM;
	t->rules = rules;
	slots = calloc(cap * 2, sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	for (size_t i = 0; t->slots && i <= t->mask; i++) {
		size_t at = t->slots[i].hash & (cap * 2 - 1);

		if (!t->slots[i].id)
			continue;
		while (slots[at].id)
			at = (at + 1) & (cap * 2 - 1);
		slots[at] = t->slots[i];
	}
	free(t->slots);
	t->slots = slots;
	t->mask = cap * 2 - 1;
	t->cap_rules = cap;
	return 0;
}

/* The number of a rule. Those past the maximum are BAD. */
static uint32_t intern(struct rowtable *t, const struct kstrata_rule *rule)
{
	uint32_t hash = (uint32_t)hash_rule(rule);
	size_t at;

	if (t->nr_rules == t->cap_rules) {
		t->err = grow_rules(t);
		if (t->err)
			return 0;
	}
	for (at = hash & t->mask; t->slots[at].id; at = (at + 1) & t->mask)
		if (t->slots[at].hash == hash &&
		    !memcmp(&t->rules[t->slots[at].id - 1], rule,
			    sizeof(*rule)))
			return t->slots[at].id - 1;
	/* Room is kept for BAD and NONE. */
	if (t->nr_rules >= KSTRATA_ROWS_RULES_MAX - 2 &&
	    rule->cfa != KSTRATA_CFA_BAD && rule->cfa != KSTRATA_CFA_NONE)
		return intern(t, &rowtable_bad);
	t->rules[t->nr_rules++] = *rule;
	t->slots[at] = (struct hash_slot){ hash, (uint32_t)t->nr_rules };
	return (uint32_t)t->nr_rules - 1;
}

static int grow_rows(struct rowtable *t)
{
	size_t cap = t->cap_rows ? t->cap_rows * 2 : 1024;
	struct rowtable_row *rows;

	if (t->nr_rows >= ROWS_MAX)
		return -EFBIG;
	rows = realloc(t->rows, cap * sizeof(*rows));
	if (!rows)
		return -ENOMEM;
	t->rows = rows;
	t->cap_rows = cap;
	return 0;
}

void rowtable_add(struct rowtable *t, uint64_t offset,
		  const struct kstrata_rule *rule)
{
	struct rowtable_row *last = NULL;
	uint32_t id;

	if (t->err)
		return;
	if (!t->nr_rows) {
		if (rule->cfa == KSTRATA_CFA_NONE)
			return;
		t->base = offset;
	}
	if (offset > t->base && offset - t->base > UINT32_MAX) {
		t->err = -EFBIG;
		return;
	}
	if (t->nr_rows) {
		last = &t->rows[t->nr_rows - 1];
		offset = max_u64(offset, t->base + last->at);
	}
	if (last && last->at == offset - t->base) {
		/* It had no byte. */
		t->nr_rows--;
		last = t->nr_rows ? last - 1 : NULL;
	}
	if (last && !memcmp(&t->rules[last->rule], rule, sizeof(*rule)))
		return;
	id = intern(t, rule);
	/* Two that are one, past the maximum. */
	if (t->err || (last && last->rule == id))
		return;
	if (t->nr_rows == t->cap_rows) {
		t->err = grow_rows(t);
		if (t->err)
			return;
	}
	t->rows[t->nr_rows++] = (struct rowtable_row){
		(uint32_t)(offset - t->base), id,
	};
}

void rowtable_end(struct rowtable *t, uint64_t offset)
{
	t->end = offset;
	while (t->nr_rows &&
	       (t->rows[t->nr_rows - 1].at >= offset - t->base ||
		t->rules[t->rows[t->nr_rows - 1].rule].cfa ==
			KSTRATA_CFA_NONE)) {
		t->nr_rows--;
		t->end = t->base + t->rows[t->nr_rows].at;
	}
	if (t->nr_rows && t->end - t->base > UINT32_MAX && !t->err)
		t->err = -EFBIG;
}

struct usage {
	const struct kstrata_rule *rule;
	uint32_t id, nr;
};

static int most_used_first(const void *a, const void *b)
{
	const struct usage *x = a, *y = b;

	if (x->nr != y->nr)
		return x->nr > y->nr ? -1 : 1;
	return memcmp(x->rule, y->rule, sizeof(*x->rule));
}

/* Where rules go, by their present number; rules that no row uses go away. */
static int order_rules(struct rowtable *t, uint32_t **place)
{
	struct kstrata_rule *rules = calloc(t->nr_rules, sizeof(*rules));
	struct usage *usage = calloc(t->nr_rules, sizeof(*usage));
	uint32_t *to = calloc(t->nr_rules, sizeof(*to));
	size_t nr = 0;

	if (!rules || !usage || !to) {
		free(rules);
		free(usage);
		free(to);
		return -ENOMEM;
	}
	for (size_t i = 0; i < t->nr_rules; i++) {
		usage[i].rule = &t->rules[i];
		usage[i].id = (uint32_t)i;
	}
	for (size_t i = 0; i < t->nr_rows; i++)
		usage[t->rows[i].rule].nr++;
	qsort(usage, t->nr_rules, sizeof(*usage), most_used_first);
	for (; nr < t->nr_rules && usage[nr].nr; nr++) {
		rules[nr] = *usage[nr].rule;
		to[usage[nr].id] = (uint32_t)nr;
	}
	free(usage);
	free(t->rules);
	t->rules = rules;
	t->nr_rules = nr;
	*place = to;
	return 0;
}

static bool fits_block(const struct rowtable *t, size_t first, size_t row)
{
	return row - first < KSTRATA_ROWS_PER_BLOCK &&
	       t->rows[row].at - t->rows[first].at <= KSTRATA_ROW_START_MAX;
}

/* The parts whose numbers are known: header, rules, everything that rows say. */
static void fill(const struct rowtable *t, struct kstrata_rows_table *table,
		 const uint32_t *place)
{
	struct kst_rows_view v;
	uint16_t *starts, *rare_rules;
	uint32_t *blocks, *pages, *rare_rows;
	uint32_t block = 0, rare = 0;
	uint8_t *row_rules;
	size_t first = 0;

	kst_rows_view(&v, table);
	starts = (uint16_t *)(uintptr_t)v.starts;
	blocks = (uint32_t *)(uintptr_t)v.blocks;
	pages = (uint32_t *)(uintptr_t)v.pages;
	rare_rows = (uint32_t *)(uintptr_t)v.rare_rows;
	rare_rules = (uint16_t *)(uintptr_t)v.rare_rules;
	row_rules = (uint8_t *)(uintptr_t)v.row_rules;
	memcpy((void *)(uintptr_t)v.rules, t->rules,
	       t->nr_rules * sizeof(*t->rules));
	memset(starts, 0xff, (size_t)table->nr_blocks *
				     KSTRATA_ROWS_PER_BLOCK * sizeof(*starts));
	for (size_t i = 0; i < t->nr_rows; i++) {
		uint32_t rule = place[t->rows[i].rule], row;

		if (!fits_block(t, first, i)) {
			first = i;
			block++;
		}
		if (i == first)
			blocks[block] = t->rows[i].at;
		row = block * KSTRATA_ROWS_PER_BLOCK + (uint32_t)(i - first);
		starts[row] = (uint16_t)(t->rows[i].at - t->rows[first].at);
		row_rules[row] = (uint8_t)min_u64(rule, KSTRATA_ROW_RARE);
		if (rule >= FREQUENT) {
			rare_rows[rare] = row;
			rare_rules[rare++] = (uint16_t)rule;
		}
	}
	block = 0;
	for (uint32_t p = 0; p < table->nr_pages; p++) {
		while (block + 1 < table->nr_blocks &&
		       blocks[block + 1] <= (uint64_t)p << table->page_bits)
			block++;
		pages[p] = block;
	}
	pages[table->nr_pages] = table->nr_blocks - 1;
}

/* The directory: no more pages than blocks, for a page has one or two then. */
static void choose_pages(struct kstrata_rows_table *h)
{
	uint64_t nr;

	h->page_bits = KSTRATA_ROWS_PAGE_BITS_MIN;
	for (;; h->page_bits++) {
		nr = ((uint64_t)h->extent + (1ull << h->page_bits) - 1) >>
		     h->page_bits;
		if (nr <= h->nr_blocks ||
		    h->page_bits == KSTRATA_ROWS_PAGE_BITS_MAX)
			break;
	}
	h->nr_pages = (uint32_t)nr;
}

int rowtable_finish(struct rowtable *t, uint16_t machine, uint8_t aux,
		    struct cfi_table *out, struct cfi_report *report)
{
	struct kstrata_rows_table h = {
		.magic = KSTRATA_ROWS_MAGIC,
		.version = KSTRATA_ROWS_VERSION,
		.machine = machine,
		.aux = aux,
		.first = t->base,
	};
	struct kstrata_rows_table *table;
	uint32_t *place = NULL;
	size_t first = 0;
	uint64_t bytes;
	int r = t->err;

	if (!r && !t->nr_rows)
		r = -ENODATA;
	if (!r && t->end >> KSTRATA_FRAME_OFFSET_BITS)
		r = -EFBIG;
	if (!r)
		r = order_rules(t, &place);
	if (r < 0)
		return r;
	h.extent = (uint32_t)(t->end - t->base);
	h.nr_rules = (uint32_t)t->nr_rules;
	h.nr_blocks = 1;
	for (size_t i = 0; i < t->nr_rows; i++) {
		h.nr_rare += place[t->rows[i].rule] >= FREQUENT;
		if (!fits_block(t, first, i)) {
			first = i;
			h.nr_blocks++;
		}
	}
	choose_pages(&h);
	bytes = kst_rows_bytes(&h);
	h.bytes = (uint32_t)bytes;
	table = bytes <= KSTRATA_ROWS_BYTES_MAX ? calloc(1, bytes) : NULL;
	if (table) {
		*table = h;
		fill(t, table, place);
		out->bytes = table;
		out->size = bytes;
		report->rows = t->nr_rows;
		report->rules = t->nr_rules;
		report->rare = h.nr_rare;
		report->bytes = bytes;
		report->aux = aux;
	} else {
		r = bytes <= KSTRATA_ROWS_BYTES_MAX ? -ENOMEM : -EFBIG;
	}
	free(place);
	return r;
}

void rowtable_release(struct rowtable *t)
{
	free(t->rows);
	free(t->rules);
	free(t->slots);
	*t = (struct rowtable){ 0 };
}
