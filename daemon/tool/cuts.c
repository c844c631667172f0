// SPDX-License-Identifier: Apache-2.0
#include "tool/cuts.h"

#include <stdlib.h>
#include <string.h>

#define REASONS_MAX 32

struct reason {
	const char *key;
	size_t len;
	double weight;
};

static int by_weight(const void *a, const void *b)
{
	const struct reason *x = a, *y = b;

	return x->weight > y->weight ? -1 : x->weight < y->weight;
}

static void put_text(struct reason *v, size_t nr, double total,
		     struct buf *out)
{
	double sum = 0;

	for (size_t i = 0; i < nr; i++)
		sum += v[i].weight;
	if (sum <= 0 || total <= 0)
		return;
	qsort(v, nr, sizeof(*v), by_weight);
	buf_printf(out, "%.2f %% (", 100 * sum / total);
	for (size_t i = 0; i < nr; i++) {
		if (i)
			buf_str(out, ", ");
		/* Keys are plain words, joined by underscores. */
		for (size_t k = 0; k < v[i].len; k++)
			buf_char(out, v[i].key[k] == '_' ? ' ' : v[i].key[k]);
		buf_printf(out, " %.2f %%", 100 * v[i].weight / total);
	}
	buf_char(out, ')');
}

void cuts_text(const json_t *cuts, double total, struct buf *out)
{
	struct reason v[REASONS_MAX];
	size_t nr = 0;

	for (void *i = json_object_iter((json_t *)cuts); i && nr < REASONS_MAX;
	     i = json_object_iter_next((json_t *)cuts, i)) {
		const char *key = json_object_iter_key(i);

		v[nr++] = (struct reason){
			key, strlen(key),
			json_number_value(json_object_iter_value(i))
		};
	}
	put_text(v, nr, total, out);
}

void cuts_header_text(const char *header, struct buf *out)
{
	static const char whole[] = "total";
	struct reason v[REASONS_MAX];
	double total = 0;
	size_t nr = 0;

	for (const char *s = header; *s && nr < REASONS_MAX;) {
		size_t len = strcspn(s, "=,");
		double weight = s[len] == '=' ? strtod(s + len + 1, NULL) : 0;

		if (len == sizeof(whole) - 1 && !memcmp(s, whole, len))
			total = weight;
		else
			v[nr++] = (struct reason){ s, len, weight };
		s += strcspn(s, ",");
		s += strspn(s, ", ");
	}
	put_text(v, nr, total, out);
}
