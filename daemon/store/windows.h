/* SPDX-License-Identifier: Apache-2.0 */
/* The open windows of an epoch: a vector per window and series. */
#ifndef KSTRATA_STORE_WINDOWS_H
#define KSTRATA_STORE_WINDOWS_H

#include "profile/vector.h"
#include "store/store.h"

struct windows;

int windows_new(struct windows **out);
void windows_free(struct windows *w);
/* window_ns is on the grid. 0 or -ENOMEM. */
int windows_add(struct windows *w, int64_t window_ns, uint32_t series,
		uint32_t node, uint64_t weight);
/*
 * So much is open that some had better be closed early: a window may come
 * again, its vectors add up.
 */
bool windows_crowded(const struct windows *w);

typedef int (*windows_fn)(void *userdata, int64_t window_ns, uint32_t series,
			  const struct vector *v);
/* Hand each vector of windows that end at or before end to fn and forget it,
 * whatever fn returns; the last error is returned. */
int windows_close(struct windows *w, int64_t end_ns, windows_fn fn,
		  void *userdata);
/* Stops at a negative return and hands it on. */
int windows_each(const struct windows *w, windows_fn fn, void *userdata);
uint64_t windows_vectors(const struct windows *w);
size_t windows_memory(const struct windows *w);

#endif
