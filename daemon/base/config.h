/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the daemon can be told, by file and by flags; a flag wins over the
 * file. The file has "key = value" lines, # comments, and the flags' names
 * without the dashes.
 */
#ifndef KSTRATA_BASE_CONFIG_H
#define KSTRATA_BASE_CONFIG_H

#include "base/log.h"

/* What an option that may be given more than once was given. */
struct config_list {
	char **v;
	size_t nr;
};

struct config {
	char *config_file;
	char *store; /* directory, or "memory" */
	char *http; /* ADDR:PORT, "none" */
	char *socket; /* path, "none" */
	char *device;
	bool no_device;
	uint32_t hz;
	uint64_t ring_bytes;
	uint32_t objects; /* known to the module at once */
	bool no_rows; /* user stacks by frame pointers only */
	uint64_t rows_bytes; /* of the module's memory */
	char *cpus; /* "0-3,8", "all" */
	struct config_list pids, cgroups; /* whom to sample; none: everybody */
	uint64_t retention_bytes;
	int64_t retention_ns;
	int64_t sync_ns;
	uint64_t memory_bytes; /* of --store memory */
	uint64_t symbol_cache_bytes;
	bool offsets; /* in names of places without a symbol */
	enum log_level log_level;
	bool check; /* --check-config: say and exit */
};

/* What config_parse() made of the words. */
enum config_result {
	CONFIG_RUN = 0,
	CONFIG_EXIT = 1, /* --help, --version: printed, exit 0 */
};

/*
 * Defaults, then the file (--config, or CONFIG_FILE_DEFAULT where it exists),
 * then flags. A mistake is logged with its place (file:line, or the flag) and
 * gives -EINVAL; -ENOMEM; or enum config_result.
 */
#define CONFIG_FILE_DEFAULT "/etc/kstrata/kstrata.conf"
int config_parse(struct config *c, int argc, char **argv);
void config_release(struct config *c);

/* Split ADDR:PORT ([v6]:PORT too); -EINVAL. addr is of at least 64 bytes. */
int config_split_address(const char *s, char *addr, size_t addr_len,
			 uint16_t *port);

#endif
