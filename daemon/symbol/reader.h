/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads untrusted ELF and DWARF in a process of its own, symbol/readerchild.h, one
 * file at a time; nothing here blocks.
 *
 * The child is this program, run anew: it shares neither memory, nor where things are
 * in it, nor locks that a thread of ours held at a fork(). It is started when there is
 * something to do and killed when there was nothing for a while, so it takes no
 * memory most of the time. Whoever could write one file must not choose what is read
 * in another: each owner of files gets a child of its own. Every answer is checked.
 */
#ifndef KSTRATA_SYMBOL_READER_H
#define KSTRATA_SYMBOL_READER_H

#include "base/loop.h"
#include "symbol/readerchild.h"

/* What a child is called, not to be taken for the daemon, and its one argument. */
#define READER_NAME "kstrata-reader"
#define READER_ARGUMENT "--reader"

struct reader;

/* Zero: the default. All are ns. */
struct reader_options {
	int64_t cpu; /* CPU time for one file */
	int64_t wall; /* time for one file */
	int64_t idle; /* how long a child is kept for the next one */
	int64_t backoff; /* after a child broke down; doubles each time */
};

/*
 * What came of it. status is 0, what the work said, or of the child's fate:
 *   -ETIMEDOUT it took too long   -EFAULT it crashed   -EPROTO its answer is not one
 *   -EINTR somebody killed it: the file may be tried again
 */
struct reader_answer {
	int status;
	struct cfi_report report; /* why is NULL or answer's own */
	struct cfi_table table; /* empty unless status is 0; set to {0} to keep it */
	char why[sizeof(((struct reader_reply *)0)->why)];
};

/* Called from the loop; may ask for the next one. */
typedef void (*reader_fn)(void *userdata, struct reader_answer *answer);

int reader_new(struct reader **out, struct loop *loop,
	       const struct reader_options *options);
/* What is under way is not answered any more. */
void reader_free(struct reader *r);

/*
 * Ask for work on this file, which stays the caller's; it belongs to owner. 0: fn will
 * be called, once, never from in here. -EBUSY: one is under way. -EAGAIN: not before
 * reader_delay(). Another -errno: no child can be had.
 */
int reader_ask(struct reader *r, enum reader_work work, int fd, uint32_t owner,
	       reader_fn fn, void *userdata);
bool reader_busy(const struct reader *r);
/* ns until reader_ask() makes sense, 0: now. */
int64_t reader_delay(const struct reader *r);

/* Is this a table of rows that our module would take? */
bool reader_is_table(const void *table, size_t bytes);

struct reader_stats {
	uint64_t started; /* children */
	uint64_t asked, crashed, timeouts, killed, refused;
	bool unfiltered; /* this kernel cannot filter system calls */
	int32_t pid; /* of the child, 0: there is none */
};

void reader_get_stats(const struct reader *r, struct reader_stats *out);

#endif
