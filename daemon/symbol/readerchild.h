/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The other end of symbol/reader.h: a process of this very program that takes one
 * file at a time, does what is asked and answers, in a sandbox. And what both say to
 * each other, over a SEQPACKET socket; they are of the same build.
 */
#ifndef KSTRATA_SYMBOL_READERCHILD_H
#define KSTRATA_SYMBOL_READERCHILD_H

#include "symbol/cfi.h"

#include <sys/socket.h>
#include <sys/uio.h>

enum reader_work {
	READER_ROWS = 1, /* compile a file's rows */
};

/* With two descriptors: the file, and where to write the result. */
struct reader_request {
	uint32_t serial; /* not 0 */
	uint32_t work; /* enum reader_work */
};

/* The first one, with serial 0: it is ready; status as of sandbox_enter(). */
struct reader_reply {
	uint32_t serial;
	int32_t status; /* 0 or -errno of the work */
	uint64_t bytes; /* of the result */
	struct cfi_report report; /* but its why */
	char why[80];
};

/* Where the child finds its end. */
#define READER_SOCKET 3
#define READER_FDS 2

/*
 * One message with nr descriptors, which stay the caller's. 0 or -errno; neither
 * blocks in the daemon, whose socket says so.
 */
int reader_send(int sock, const void *message, size_t size, const int *fds,
		size_t nr);
/*
 * Of exactly this size. Returns the number of descriptors, which are the caller's
 * now; -EAGAIN, -ECONNRESET at the end, -EBADMSG.
 */
int reader_receive(int sock, void *message, size_t size,
		   int fds[READER_FDS]);

/* Does the work: reader_work_cfi(), or what a test has in mind. */
typedef int (*reader_work_fn)(enum reader_work work, int fd,
			      struct cfi_table *out, struct cfi_report *report);

int reader_work_cfi(enum reader_work work, int fd, struct cfi_table *out,
		    struct cfi_report *report);

/* Was this process started to be the child? Then main() does nothing else. */
bool readerchild_is(int argc, char **argv);
/* Serve until the daemon closes its end; the exit code. */
int readerchild_main(reader_work_fn work);

#endif
