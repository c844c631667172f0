// SPDX-License-Identifier: Apache-2.0
#include "symbol/vdso.h"

#include "symbol/procmaps.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

#define VDSO_BYTES_MAX (1u << 20)

static int copy_of(const void *image, size_t size)
{
	int fd = memfd_create("vdso", MFD_CLOEXEC);
	int r;

	if (fd < 0)
		return -errno;
	r = util_write_all(fd, image, size);
	if (r < 0) {
		close(fd);
		return r;
	}
	return fd;
}

int vdso_open(size_t *size)
{
	const void *image = (const void *)getauxval(AT_SYSINFO_EHDR);
	cleanup(util_closep) int proc = -1;
	const struct mapping *m;
	struct procmaps maps;
	int r;

	if (!image)
		return -ENODATA;
	proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (proc < 0)
		return -errno;
	r = procmaps_read(&maps, proc, (uint32_t)getpid());
	if (r < 0)
		return r;
	r = -ENODATA;
	m = procmaps_find(&maps, (uint64_t)(uintptr_t)image);
	if (m && m->end - m->start <= VDSO_BYTES_MAX) {
		*size = m->end - m->start;
		r = copy_of(image, *size);
	}
	procmaps_release(&maps);
	return r;
}
