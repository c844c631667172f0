// SPDX-License-Identifier: Apache-2.0
/*
 * Which files have code that rows could be for.
 *
 *   findelf PATH...   below these, in every directory of the same file system:
 *                     64-bit programs and libraries of x86-64 and aarch64, each
 *                     file once, the largest first
 */
#include <elf.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct found {
	char *path;
	uint64_t bytes, device, inode;
};

static struct found *all;
static size_t nr, room;

static bool is_code(const char *path)
{
	Elf64_Ehdr h = { .e_type = ET_NONE };
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t got;

	if (fd < 0)
		return false;
	got = read(fd, &h, sizeof(h));
	close(fd);
	return got == sizeof(h) && !memcmp(h.e_ident, ELFMAG, SELFMAG) &&
	       h.e_ident[EI_CLASS] == ELFCLASS64 && h.e_ident[EI_DATA] == ELFDATA2LSB &&
	       (h.e_type == ET_EXEC || h.e_type == ET_DYN) &&
	       (h.e_machine == EM_X86_64 || h.e_machine == EM_AARCH64);
}

static int visit(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)at;
	if (type != FTW_F || !S_ISREG(st->st_mode) ||
	    st->st_size < (off_t)sizeof(Elf64_Ehdr) || strchr(path, '\n') || !is_code(path))
		return 0;
	if (nr == room) {
		struct found *more;

		room = room ? 2 * room : 1024;
		more = reallocarray(all, room, sizeof(*all));
		if (!more)
			return -1;
		all = more;
	}
	all[nr++] = (struct found){ strdup(path), (uint64_t)st->st_size,
				    (uint64_t)st->st_dev, (uint64_t)st->st_ino };
	return 0;
}

static int by_inode(const void *a, const void *b)
{
	const struct found *x = a, *y = b;

	if (x->device != y->device)
		return x->device < y->device ? -1 : 1;
	if (x->inode != y->inode)
		return x->inode < y->inode ? -1 : 1;
	return strcmp(x->path, y->path);
}

static int by_size(const void *a, const void *b)
{
	const struct found *x = a, *y = b;

	if (x->bytes != y->bytes)
		return x->bytes > y->bytes ? -1 : 1;
	return strcmp(x->path, y->path);
}

int main(int argc, char **argv)
{
	size_t kept = 0;

	for (int i = 1; i < argc; i++)
		if (nftw(argv[i], visit, 32, FTW_PHYS | FTW_MOUNT) < 0)
			return 1;
	if (!nr)
		return 1;
	qsort(all, nr, sizeof(*all), by_inode);
	for (size_t i = 0; i < nr; i++)
		if (!i || all[i].inode != all[i - 1].inode ||
		    all[i].device != all[i - 1].device)
			all[kept++] = all[i];
	qsort(all, kept, sizeof(*all), by_size);
	for (size_t i = 0; i < kept; i++)
		puts(all[i].path);
	return 0;
}
