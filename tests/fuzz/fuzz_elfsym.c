// SPDX-License-Identifier: Apache-2.0
/*
 * symbol/elfsym on any file, with a look-up all over it. Build with
 * clang -fsanitize=fuzzer,address -D_GNU_SOURCE -Idaemon, the sources of
 * daemon/symbol and daemon/base, -lelf -liberty; seed with small ELF files.
 */
#include "symbol/elfsym.h"

#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);
	struct elfsym *e;

	if (fd < 0 || util_write_all(fd, data, len) < 0)
		__builtin_trap();
	if (!elfsym_load(&e, fd)) {
		for (uint64_t at = 0; at < len + 64; at += 8)
			elfsym_lookup(e, at);
		elfsym_lookup(e, UINT64_MAX);
		/* Names are bounded by the file, and by READABLE_MAX each. */
		if (elfsym_memory(e) > (64u << 20) + len * 64)
			__builtin_trap();
		elfsym_free(e);
	}
	close(fd);
	return 0;
}
