/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names for addresses. Keeps the kernel's functions and a cache of ELF tables
 * by (device, inode, path), bounded in bytes, least recently used first out. A
 * table is read anew when its file's size or mtime has changed; a file that
 * cannot be read is tried again after some time.
 */
#ifndef KSTRATA_SYMBOL_SYMBOLIZER_H
#define KSTRATA_SYMBOL_SYMBOLIZER_H

#include "symbol/procmaps.h"

struct symbolizer;

struct symbol {
	const char *name; /* never NULL: see below */
	const char *object; /* path, "[kernel]", "[ext4]", "[vdso]", "" */
};

struct symbolizer_options {
	uint64_t cache_bytes;
	const char *kallsyms_path; /* NULL: /proc/kallsyms */
};

int symbolizer_new(struct symbolizer **out,
		   const struct symbolizer_options *options);
void symbolizer_free(struct symbolizer *s);

/*
 * Both always give a name: "[name of the file]" (basename) when the file has
 * no symbol there, "[unknown]" outside the mapping, "[anon]" for anonymous
 * executable memory, the mapping's own name for "[stack]", "[anon:jit]" and the
 * like, "[kernel]" for kernel text without a symbol. ';' reads ':' and control
 * characters '?' in all of them. The strings are valid until the next call (or
 * as long as m, if that is shorter).
 */
struct symbol symbolizer_kernel(struct symbolizer *s, uint64_t address);
/*
 * address lies in m, a mapping of process pid; proc_fd is /proc. The file is
 * opened through /proc/PID/map_files (deleted files and other mount namespaces
 * too), or else through /proc/PID/root + path, and must have m's inode.
 */
struct symbol symbolizer_user(struct symbolizer *s, int proc_fd, uint32_t pid,
			      const struct mapping *m, uint64_t address);
/* Kernel modules came or went: read kallsyms again. */
int symbolizer_reload_kernel(struct symbolizer *s);

struct symbolizer_stats {
	uint64_t lookups, hits, loads, load_errors, evictions;
	uint64_t objects, memory, kernel_symbols;
};

void symbolizer_get_stats(const struct symbolizer *s,
			  struct symbolizer_stats *out);

#endif
