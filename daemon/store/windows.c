// SPDX-License-Identifier: Apache-2.0
#include "store/windows.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/*
 * Few windows are open at a time (one or two, more when profiles of other times
 * are pushed), series ids are dense: so a window is found by looking at the one
 * of last time, then at all, and a vector in it through pages of series.
 */
#define PAGE 64u
#define OPEN_MAX 64
#define VECTORS_MAX 65536u
#define ENTRIES_MAX (1u << 20)

struct page {
	struct vector *v[PAGE];
};

struct window {
	int64_t start;
	struct page **pages;
	uint32_t nr_pages;
};

struct windows {
	struct window *v;
	size_t nr, cap;
	size_t last; /* where the last add went */
	uint64_t vectors;
	uint64_t entries; /* of all vectors */
};

int windows_new(struct windows **out)
{
	*out = calloc(1, sizeof(**out));
	return *out ? 0 : -ENOMEM;
}

static void window_release(struct window *w)
{
	for (uint32_t p = 0; p < w->nr_pages; p++) {
		if (!w->pages[p])
			continue;
		for (uint32_t i = 0; i < PAGE; i++)
			vector_free(w->pages[p]->v[i]);
		free(w->pages[p]);
	}
	free(w->pages);
}

void windows_free(struct windows *w)
{
	if (!w)
		return;
	for (size_t i = 0; i < w->nr; i++)
		window_release(&w->v[i]);
	free(w->v);
	free(w);
}

static int find(struct windows *w, int64_t start, struct window **out)
{
	if (w->last >= w->nr || w->v[w->last].start != start) {
		size_t i = 0;

		while (i < w->nr && w->v[i].start != start)
			i++;
		w->last = i;
	}
	if (w->last == w->nr) {
		if (w->nr == w->cap) {
			size_t cap = w->cap ? w->cap * 2 : 4;
			struct window *v = realloc(w->v, cap * sizeof(*v));

			if (!v)
				return -ENOMEM;
			w->v = v;
			w->cap = cap;
		}
		w->v[w->nr++] = (struct window){ .start = start };
	}
	*out = &w->v[w->last];
	return 0;
}

static int slot(struct window *w, uint32_t series, struct vector ***out)
{
	uint32_t page = series / PAGE;

	if (page >= w->nr_pages) {
		struct page **pages =
			realloc(w->pages, (page + 1) * sizeof(*pages));

		if (!pages)
			return -ENOMEM;
		memset(pages + w->nr_pages, 0,
		       (page + 1 - w->nr_pages) * sizeof(*pages));
		w->pages = pages;
		w->nr_pages = page + 1;
	}
	if (!w->pages[page])
		w->pages[page] = calloc(1, sizeof(struct page));
	if (!w->pages[page])
		return -ENOMEM;
	*out = &w->pages[page]->v[series % PAGE];
	return 0;
}

int windows_add(struct windows *w, int64_t window_ns, uint32_t series,
		uint32_t node, uint64_t weight)
{
	struct window *window;
	struct vector **v;
	size_t before;
	int r;

	r = find(w, window_ns, &window);
	if (!r)
		r = slot(window, series, &v);
	if (r < 0)
		return r;
	if (!*v) {
		r = vector_new(v);
		if (r < 0)
			return r;
		w->vectors++;
	}
	before = vector_count(*v);
	r = vector_add(*v, node, weight);
	w->entries += vector_count(*v) - before;
	return r;
}

bool windows_crowded(const struct windows *w)
{
	return w->nr > OPEN_MAX || w->vectors > VECTORS_MAX ||
	       w->entries > ENTRIES_MAX;
}

static int each_of(const struct window *w, bool all, windows_fn fn,
		   void *userdata)
{
	int last = 0;

	for (uint32_t p = 0; p < w->nr_pages; p++) {
		for (uint32_t i = 0; w->pages[p] && i < PAGE; i++) {
			struct vector *v = w->pages[p]->v[i];
			int r;

			if (!v || !vector_count(v))
				continue;
			r = fn(userdata, w->start, p * PAGE + i, v);
			if (r < 0)
				last = r;
			if (r < 0 && !all)
				return r;
		}
	}
	return last;
}

static void forget(struct windows *w, struct window *window)
{
	for (uint32_t p = 0; p < window->nr_pages; p++) {
		for (uint32_t i = 0; window->pages[p] && i < PAGE; i++) {
			const struct vector *v = window->pages[p]->v[i];

			if (!v)
				continue;
			w->vectors--;
			w->entries -= vector_count(v);
		}
	}
	window_release(window);
}

static int by_start(const void *a, const void *b)
{
	const struct window *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

int windows_close(struct windows *w, int64_t end_ns, windows_fn fn,
		  void *userdata)
{
	size_t kept = 0;
	int last = 0;

	if (w->nr)
		qsort(w->v, w->nr, sizeof(*w->v), by_start);
	for (size_t i = 0; i < w->nr; i++) {
		int r;

		if (w->v[i].start > end_ns - WINDOW_NS) {
			w->v[kept++] = w->v[i];
			continue;
		}
		r = each_of(&w->v[i], true, fn, userdata);
		if (r < 0)
			last = r;
		forget(w, &w->v[i]);
	}
	w->nr = kept;
	return last;
}

int windows_each(const struct windows *w, windows_fn fn, void *userdata)
{
	int r = 0;

	for (size_t i = 0; i < w->nr && !r; i++)
		r = each_of(&w->v[i], false, fn, userdata);
	return r;
}

uint64_t windows_vectors(const struct windows *w)
{
	return w->vectors;
}

static int add_memory(void *userdata, int64_t window_ns, uint32_t series,
		      const struct vector *v)
{
	size_t *bytes = userdata;

	(void)window_ns;
	(void)series;
	*bytes += vector_memory(v);
	return 0;
}

size_t windows_memory(const struct windows *w)
{
	size_t bytes = sizeof(*w) + w->cap * sizeof(*w->v);

	for (size_t i = 0; i < w->nr; i++)
		bytes += w->v[i].nr_pages *
			 (sizeof(struct page *) + sizeof(struct page));
	windows_each(w, add_memory, &bytes);
	return bytes;
}
