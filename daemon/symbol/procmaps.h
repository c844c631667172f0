/* SPDX-License-Identifier: Apache-2.0 */
/* The executable mappings of a process, from /proc/PID/maps. */
#ifndef KSTRATA_SYMBOL_PROCMAPS_H
#define KSTRATA_SYMBOL_PROCMAPS_H

#include "base/util.h"

struct mapping {
	uint64_t start, end; /* addresses, [start, end) */
	uint64_t offset; /* of start in the file */
	uint64_t inode; /* 0: anonymous */
	uint32_t dev_major, dev_minor;
	char *path; /* unescaped, without " (deleted)"; "" anonymous, "[vdso]" */
	bool deleted;
};

struct procmaps {
	struct mapping *v; /* by start, no overlap */
	size_t nr;
};

/* Only mappings with x. 0, -ESRCH (gone), -ENOMEM, -EBADMSG, -errno. */
int procmaps_read(struct procmaps *out, int proc_fd, uint32_t pid);
/* The same from text; used by procmaps_read() and by tests. */
int procmaps_parse(struct procmaps *out, const char *text, size_t len);
void procmaps_release(struct procmaps *m);
const struct mapping *procmaps_find(const struct procmaps *m, uint64_t addr);

#endif
