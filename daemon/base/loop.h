/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one dispatch loop: level-triggered epoll over descriptors, periodic
 * timers and signals. Single-threaded; callbacks run to completion and must
 * not block.
 */
#ifndef KSTRATA_BASE_LOOP_H
#define KSTRATA_BASE_LOOP_H

#include "base/util.h"

struct loop;
struct loop_source;

/* A negative return ends loop_run() with that value. */
typedef int (*loop_fn)(void *userdata, uint32_t events);

int loop_new(struct loop **out);
/* Frees the sources that are left as well. */
void loop_free(struct loop *l);

/*
 * Call fn when the descriptor has any of events (EPOLLIN ...). The
 * descriptor stays the caller's. out may be NULL.
 */
int loop_add_fd(struct loop *l, int fd, uint32_t events, loop_fn fn,
		void *userdata, struct loop_source **out);
/* Call fn every interval ns, first after one interval. */
int loop_add_timer(struct loop *l, int64_t interval_ns, loop_fn fn,
		   void *userdata, struct loop_source **out);
/* A timer that expires once for each loop_set_alarm(); off until then. */
int loop_add_alarm(struct loop *l, loop_fn fn, void *userdata,
		   struct loop_source **out);
/* delay_ns from now, in place of what was set before; negative: off. */
void loop_set_alarm(struct loop_source *s, int64_t delay_ns);
/*
 * Block these signals (0-terminated list) for the process and call fn with the
 * signal's number in events.
 */
int loop_add_signals(struct loop *l, const int *signals, loop_fn fn,
		     void *userdata);
/* Safe from within any callback, its own included. NULL is fine. */
void loop_remove(struct loop *l, struct loop_source *s);

/* Run until loop_stop() (0) or a callback's error. */
int loop_run(struct loop *l);
void loop_stop(struct loop *l);

#endif
