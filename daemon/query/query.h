/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The query engine. Ranges are real time in ns; a window counts when it
 * overlaps [from, until) (an empty range takes the one window that holds from).
 */
#ifndef KSTRATA_QUERY_QUERY_H
#define KSTRATA_QUERY_QUERY_H

#include "query/flame.h"
#include "query/selector.h"
#include "store/store.h"

/* One tree over all series that match. 0 (maybe an empty tree), -ENOMEM ... */
int query_merge(struct store *s, const struct selector *sel, int64_t from_ns,
		int64_t until_ns, struct flame **out);

/*
 * Totals over time. Points lie on the grid of step (a multiple of WINDOW_NS;
 * others are rounded up), points[0] is that of floor(from / step).
 * -E2BIG beyond QUERY_POINTS_MAX points.
 */
#define QUERY_POINTS_MAX 11000
struct query_series {
	int64_t start_ns;
	int64_t step_ns;
	uint64_t *points;
	size_t nr;
};

int query_series(struct store *s, const struct selector *sel, int64_t from_ns,
		 int64_t until_ns, int64_t step_ns, struct query_series *out);
void query_series_release(struct query_series *q);

/* Sorted lists of strings. from_ns == until_ns == 0: all time. */
struct query_strings {
	char **v;
	size_t nr;
};

int query_label_names(struct store *s, const struct selector *sel,
		      int64_t from_ns, int64_t until_ns,
		      struct query_strings *out);
int query_label_values(struct store *s, const struct selector *sel,
		       const char *label, int64_t from_ns, int64_t until_ns,
		       struct query_strings *out);
void query_strings_release(struct query_strings *q);

#endif
