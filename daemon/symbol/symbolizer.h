/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names for addresses and for places in files. Keeps the kernel's functions and
 * a cache of ELF tables, bounded in bytes, least recently used first out.
 *
 * Files that are known by a mapping are cached by (device, inode, path), read
 * anew when size or mtime have changed; one that cannot be read is tried again
 * after some time. Files that the caller opens are cached by what they are:
 * (build-id, owner, size, mtime), or (device, inode, generation, size, mtime)
 * without a build-id.
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
	bool offsets; /* "[name of the file+0x1f40]" */
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
/* Whose symbols are whose; of meaning to the symbolizer alone. Zero: nobody's. */
struct symbols_key {
	uint64_t inode, hash;
	uint32_t dev_major, dev_minor;
	uint32_t generation;
	uint32_t kind;
};

/*
 * Have the symbols of this file, which is read now or was before, and tell
 * their key. fd stays the caller's and is not used afterwards. generation is
 * the inode's, 0: not known. A negative errno as of elfsym_load(): no symbols.
 */
int symbolizer_read(struct symbolizer *s, int fd, uint32_t generation,
		    struct symbols_key *key);
/*
 * The function at an offset of such a file. False: its symbols are not here
 * (any more); path makes a name of the same form as above in either case.
 */
bool symbolizer_file(struct symbolizer *s, const struct symbols_key *key,
		     const char *path, uint64_t offset, struct symbol *out);
/* The same in the vDSO of programs of our own word size. */
struct symbol symbolizer_vdso(struct symbolizer *s, uint64_t offset);

/* Kernel modules came or went: read kallsyms again. */
int symbolizer_reload_kernel(struct symbolizer *s);

struct symbolizer_stats {
	uint64_t lookups, hits, loads, load_errors, evictions;
	uint64_t objects, memory, kernel_symbols;
};

void symbolizer_get_stats(const struct symbolizer *s,
			  struct symbolizer_stats *out);

#endif
