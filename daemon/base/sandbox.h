/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Gives up, for good, all that a process does not need which only reads descriptors
 * it is sent over a socket: capabilities, files, programs, the network, other
 * processes. System calls beyond memory, these descriptors and the end of the process
 * kill it, but for open(), which finds nothing: libraries try it and can do without.
 */
#ifndef KSTRATA_BASE_SANDBOX_H
#define KSTRATA_BASE_SANDBOX_H

#include "base/util.h"

/* Not tied to ours: a build with sanitizers maps terabytes and opens files. */
#if defined(__SANITIZE_ADDRESS__)
#define SANDBOX_LOOSE 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(memory_sanitizer)
#define SANDBOX_LOOSE 1
#endif
#endif
#ifndef SANDBOX_LOOSE
#define SANDBOX_LOOSE 0
#endif

struct sandbox_limits {
	uint64_t memory; /* bytes, of its own */
	uint64_t address_space; /* bytes, with files mapped */
	uint64_t file; /* bytes that it may write to one */
	uint64_t descriptors; /* open at once */
};

/*
 * There is no way back. 0; -ENOSYS: this kernel cannot filter system calls, all
 * the rest is done; or another -errno: then the caller had better end.
 */
int sandbox_enter(const struct sandbox_limits *limits);

#endif
