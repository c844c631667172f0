// SPDX-License-Identifier: Apache-2.0
#include "base/config.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <kstrata.h>

#define CONFIG_FILE_MAX (1u << 20)

enum option_kind {
	OPTION_STRING,
	OPTION_BOOL,
	OPTION_U32,
	OPTION_SIZE,
	OPTION_DURATION,
	OPTION_LOG_LEVEL,
	OPTION_LIST, /* strings, one each time that it is given */
};

struct option_desc {
	const char *name;
	enum option_kind kind;
	bool flag_only;
	size_t offset;
	const char *fallback;
	uint64_t min, max;
	const char *arg; /* for --help */
	const char *help;
};

#define FIELD(f) offsetof(struct config, f)

static const struct option_desc options[] = {
	{ "config", OPTION_STRING, true, FIELD(config_file), NULL, 0, 0, "FILE",
	  "read options from FILE (default " CONFIG_FILE_DEFAULT ")" },
	{ "store", OPTION_STRING, false, FIELD(store), "/var/lib/kstrata", 0, 0,
	  "DIR", "keep profiles in DIR, or in memory only with 'memory'" },
	{ "http", OPTION_STRING, false, FIELD(http), "127.0.0.1:4040", 0, 0,
	  "ADDR:PORT", "serve HTTP there; 'none' for not at all" },
	{ "socket", OPTION_STRING, false, FIELD(socket),
	  "/run/kstrata/kstratad.sock", 0, 0, "PATH",
	  "serve HTTP on this Unix socket too; 'none' for not at all" },
	{ "device", OPTION_STRING, false, FIELD(device), "/dev/kstrata", 0, 0,
	  "PATH", "the module's device" },
	{ "no-device", OPTION_BOOL, false, FIELD(no_device), NULL, 0, 0, NULL,
	  "do not collect: only take in and serve profiles" },
	{ "hz", OPTION_U32, false, FIELD(hz), "99", 1, 10000, "N",
	  "mean samples per second and CPU" },
	{ "ring-size", OPTION_SIZE, false, FIELD(ring_bytes), "0", 0, 1u << 26,
	  "SIZE", "ring of each CPU, a power of two; 0: as the rate needs" },
	{ "objects", OPTION_U32, false, FIELD(objects), "4096",
	  KSTRATA_OBJECTS_MIN, KSTRATA_OBJECTS_MAX, "N",
	  "files with code that the module knows at once" },
	{ "no-rows", OPTION_BOOL, false, FIELD(no_rows), NULL, 0, 0, NULL,
	  "follow frame pointers only, not unwind rows" },
	{ "rows-memory", OPTION_SIZE, false, FIELD(rows_bytes), "32M", 1u << 16,
	  (uint64_t)KSTRATA_ROWS_KB_MAX << 10, "SIZE",
	  "kernel memory for unwind rows" },
	{ "cpus", OPTION_STRING, false, FIELD(cpus), "all", 0, 0, "LIST",
	  "sample only these, such as 0-3,8" },
	{ "pid", OPTION_LIST, false, FIELD(pids), NULL, 0, 0, "PID",
	  "sample only this process; may be given again" },
	{ "cgroup", OPTION_LIST, false, FIELD(cgroups), NULL, 0, 0, "PATH",
	  "sample only this cgroup and those below; may be given again" },
	{ "retention-size", OPTION_SIZE, false, FIELD(retention_bytes), "1G", 0,
	  UINT64_MAX, "SIZE", "delete the oldest epochs beyond this; 0: never" },
	{ "retention-time", OPTION_DURATION, false, FIELD(retention_ns), "0s",
	  0, INT64_MAX, "TIME", "delete epochs older than this; 0: never" },
	{ "sync", OPTION_DURATION, false, FIELD(sync_ns), "60s", NSEC_PER_SEC,
	  3600 * NSEC_PER_SEC, "TIME",
	  "between syncs to disk: at most this much is lost in a crash" },
	{ "memory-size", OPTION_SIZE, false, FIELD(memory_bytes), "64M",
	  1u << 20, UINT64_MAX, "SIZE", "windows kept by --store memory" },
	{ "symbol-cache", OPTION_SIZE, false, FIELD(symbol_cache_bytes), "64M",
	  1u << 20, UINT64_MAX, "SIZE", "memory for symbols of files" },
	{ "offsets", OPTION_BOOL, false, FIELD(offsets), NULL, 0, 0, NULL,
	  "tell places without a symbol by their offset in the file too" },
	{ "log-level", OPTION_LOG_LEVEL, false, FIELD(log_level), "info", 0, 0,
	  "LEVEL", "error, warn, info or debug" },
	{ "check-config", OPTION_BOOL, true, FIELD(check), NULL, 0, 0, NULL,
	  "check the options, say so and exit" },
};

static void list_release(struct config_list *l)
{
	for (size_t i = 0; i < l->nr; i++)
		free(l->v[i]);
	free(l->v);
	*l = (struct config_list){ 0 };
}

static int list_add(struct config_list *l, const char *value)
{
	char **v = realloc(l->v, (l->nr + 1) * sizeof(*v));

	if (!v)
		return -ENOMEM;
	l->v = v;
	v[l->nr] = strdup(value);
	if (!v[l->nr])
		return -ENOMEM;
	l->nr++;
	return 0;
}

static int set(struct config *c, const struct option_desc *o, const char *value,
	       const char **why)
{
	void *field = (char *)c + o->offset;
	uint64_t u = 0;
	int64_t ns = 0;
	char *copy;
	int r;

	switch (o->kind) {
	case OPTION_STRING:
		if (!*value) {
			*why = "must not be empty";
			return -EINVAL;
		}
		copy = strdup(value);
		if (!copy)
			return -ENOMEM;
		free(*(char **)field);
		*(char **)field = copy;
		return 0;
	case OPTION_LIST:
		if (!*value) {
			*why = "must not be empty";
			return -EINVAL;
		}
		return list_add(field, value);
	case OPTION_BOOL:
		if (!strcmp(value, "yes") || !strcmp(value, "true"))
			*(bool *)field = true;
		else if (!strcmp(value, "no") || !strcmp(value, "false"))
			*(bool *)field = false;
		else
			goto not_bool;
		return 0;
not_bool:
		*why = "must be yes or no";
		return -EINVAL;
	case OPTION_LOG_LEVEL:
		r = log_parse_level(value, field);
		*why = "must be error, warn, info or debug";
		return r;
	case OPTION_U32:
		r = util_parse_u64(value, &u);
		*why = "must be a number";
		break;
	case OPTION_SIZE:
		r = util_parse_size(value, &u);
		*why = "must be a size such as 512K, 64M or 1G";
		break;
	case OPTION_DURATION:
		r = util_parse_duration(value, &ns);
		u = (uint64_t)ns;
		*why = "must be a time such as 30s, 10m, 12h or 7d";
		break;
	default:
		return -EINVAL;
	}
	if (r < 0)
		return -EINVAL;
	if (u < o->min || u > o->max) {
		*why = "is out of range";
		return -ERANGE;
	}
	if (o->kind == OPTION_U32)
		*(uint32_t *)field = (uint32_t)u;
	else if (o->kind == OPTION_SIZE)
		*(uint64_t *)field = u;
	else
		*(int64_t *)field = ns;
	return 0;
}

static void complain(const char *where, const char *name, const char *value,
		     const struct option_desc *o, int r, const char *why)
{
	if (r == -ERANGE)
		log_error("%s: %s = %s is out of range (%llu to %llu)", where,
			  name, value, (unsigned long long)o->min,
			  (unsigned long long)o->max);
	else if (r == -EINVAL)
		log_error("%s: %s = %s: %s", where, name, value, why);
	else
		log_error("%s: %s: %s", where, name, strerror(-r));
}

static const struct option_desc *find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		if (!strcmp(options[i].name, name))
			return &options[i];
	return NULL;
}

static char *trim(char *s)
{
	char *end;

	while (isspace((unsigned char)*s))
		s++;
	end = s + strlen(s);
	while (end > s && isspace((unsigned char)end[-1]))
		end--;
	*end = '\0';
	return s;
}

static int parse_file(struct config *c, const char *path)
{
	cleanup(util_freep) char *text = NULL;
	size_t len = 0;
	unsigned int line_nr = 0;
	char *line, *rest;
	int r, bad = 0;

	r = util_read_file(path, CONFIG_FILE_MAX, &text, &len);
	if (r < 0) {
		log_error("%s: %s", path, strerror(-r));
		return r;
	}
	if (strlen(text) != len) {
		log_error("%s: holds a NUL byte: not a configuration", path);
		return -EINVAL;
	}
	for (rest = text; (line = strsep(&rest, "\n"));) {
		const struct option_desc *o;
		const char *why = "";
		char where[512], *eq, *key;

		line_nr++;
		line[strcspn(line, "#")] = '\0';
		line = trim(line);
		if (!*line)
			continue;
		snprintf(where, sizeof(where), "%s:%u", path, line_nr);
		eq = strchr(line, '=');
		if (!eq) {
			log_error("%s: '%s' is not 'key = value'", where, line);
			bad = -EINVAL;
			continue;
		}
		*eq = '\0';
		key = trim(line);
		o = find(key);
		if (!o || o->flag_only) {
			log_error("%s: there is no option '%s'", where, key);
			bad = -EINVAL;
			continue;
		}
		r = set(c, o, trim(eq + 1), &why);
		if (r < 0) {
			complain(where, key, trim(eq + 1), o, r, why);
			bad = -EINVAL;
		}
	}
	return bad;
}

static void print_help(void)
{
	printf("Usage: kstratad [OPTION]...\n"
	       "Always-on profiler: collects samples from kstrata.ko, stores and serves them.\n\n");
	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		const struct option_desc *o = &options[i];
		char left[64];

		snprintf(left, sizeof(left), "--%s%s%s", o->name,
			 o->arg ? " " : "", o->arg ? o->arg : "");
		printf("  %-24s %s", left, o->help);
		if (o->fallback)
			printf(" (default %s)", o->fallback);
		printf("\n");
	}
	printf("  %-24s %s\n  %-24s %s\n\n", "--help", "print this and exit",
	       "--version", "print the version and exit");
	printf("Every option but --config and --check-config can stand in the file as\n"
	       "'name = value'. SIGHUP reads the file again (hz, cpus, pid, cgroup,\n"
	       "log-level, retention-*, sync and the kernel's symbols take effect); SIGTERM\n"
	       "and SIGINT store what is in memory and exit. Exit codes: 0 stopped by a signal, 1 failed, 2 wrong usage.\n");
}

/* Flags are walked twice: first for --config alone, as the file comes first. */
static int parse_flags(struct config *c, int argc, char **argv, bool config_only)
{
	struct option longs[ARRAY_SIZE(options) + 3] = { 0 };
	bool given[ARRAY_SIZE(options)] = { false };
	int opt, index = -1;

	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		longs[i].name = options[i].name;
		longs[i].has_arg = options[i].kind == OPTION_BOOL ?
					   no_argument :
					   required_argument;
		longs[i].val = 1;
	}
	longs[ARRAY_SIZE(options)] =
		(struct option){ "help", no_argument, NULL, 'h' };
	longs[ARRAY_SIZE(options) + 1] =
		(struct option){ "version", no_argument, NULL, 'V' };

	optind = 1;
	opterr = !config_only;
	while ((opt = getopt_long(argc, argv, "hV", longs, &index)) != -1) {
		const struct option_desc *o;
		const char *value, *why = "";
		char where[64];
		int r;

		if (opt == 'h') {
			print_help();
			return CONFIG_EXIT;
		}
		if (opt == 'V') {
			printf("kstratad %s\n", KSTRATA_VERSION);
			return CONFIG_EXIT;
		}
		if (opt == '?') {
			if (config_only)
				continue;
			fprintf(stderr, "Try 'kstratad --help'.\n");
			return -EINVAL;
		}
		o = &options[index];
		if (config_only != (o->offset == FIELD(config_file)))
			continue;
		value = o->kind == OPTION_BOOL ? "yes" : optarg;
		/* The flags' list stands for the file's, not after it. */
		if (o->kind == OPTION_LIST && !given[index])
			list_release((void *)((char *)c + o->offset));
		given[index] = true;
		r = set(c, o, value, &why);
		if (r < 0) {
			snprintf(where, sizeof(where), "--%s", o->name);
			complain(where, o->name, value, o, r, why);
			return r == -ENOMEM ? r : -EINVAL;
		}
	}
	if (!config_only && optind < argc) {
		fprintf(stderr,
			"kstratad: there is no argument '%s'\nTry 'kstratad --help'.\n",
			argv[optind]);
		return -EINVAL;
	}
	return CONFIG_RUN;
}

static int check(const struct config *c)
{
	uint64_t cpus[KSTRATA_CPUS_BYTES_MAX / 8], pid;
	char addr[64];
	uint16_t port;

	if (strcmp(c->cpus, "all") != 0 &&
	    util_parse_cpus(c->cpus, cpus, ARRAY_SIZE(cpus)) < 0) {
		log_error("cpus = %s: must be a list such as 0-3,8, or all",
			  c->cpus);
		return -EINVAL;
	}
	for (size_t i = 0; i < c->pids.nr; i++) {
		if (util_parse_u64(c->pids.v[i], &pid) < 0 || !pid ||
		    pid > INT32_MAX) {
			log_error("pid = %s: must be the number of a process",
				  c->pids.v[i]);
			return -EINVAL;
		}
	}
	if (c->pids.nr + c->cgroups.nr > KSTRATA_FILTERS_MAX) {
		log_error("pid, cgroup: more than %d of them",
			  KSTRATA_FILTERS_MAX);
		return -EINVAL;
	}
	if (c->ring_bytes & (c->ring_bytes - 1)) {
		log_error("ring-size = %llu is not a power of two",
			  (unsigned long long)c->ring_bytes);
		return -EINVAL;
	}
	if (c->ring_bytes && c->ring_bytes < KSTRATA_RING_BYTES_MIN) {
		log_error("ring-size = %llu is less than %u",
			  (unsigned long long)c->ring_bytes,
			  KSTRATA_RING_BYTES_MIN);
		return -EINVAL;
	}
	if (strcmp(c->http, "none") &&
	    config_split_address(c->http, addr, sizeof(addr), &port) < 0) {
		log_error("http = %s: must be ADDR:PORT, [ADDR]:PORT or none",
			  c->http);
		return -EINVAL;
	}
	return 0;
}

int config_parse(struct config *c, int argc, char **argv)
{
	const char *why = "";
	int r;

	*c = (struct config){ 0 };
	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		if (!options[i].fallback)
			continue;
		r = set(c, &options[i], options[i].fallback, &why);
		if (r < 0)
			return r;
	}
	r = parse_flags(c, argc, argv, true);
	if (r)
		return r;
	if (c->config_file)
		r = parse_file(c, c->config_file);
	else if (!access(CONFIG_FILE_DEFAULT, F_OK))
		r = parse_file(c, CONFIG_FILE_DEFAULT);
	if (r < 0)
		return r;
	r = parse_flags(c, argc, argv, false);
	if (r)
		return r;
	return check(c);
}

void config_release(struct config *c)
{
	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		if (options[i].kind == OPTION_STRING)
			free(*(char **)((char *)c + options[i].offset));
		else if (options[i].kind == OPTION_LIST)
			list_release((void *)((char *)c + options[i].offset));
	}
	*c = (struct config){ 0 };
}

int config_split_address(const char *s, char *addr, size_t addr_len,
			 uint16_t *port)
{
	const char *colon = strrchr(s, ':');
	size_t len;
	uint64_t p;

	if (!colon || colon == s)
		return -EINVAL;
	len = (size_t)(colon - s);
	if (*s == '[') {
		if (len < 3 || s[len - 1] != ']')
			return -EINVAL;
		s++;
		len -= 2;
	} else if (memchr(s, ':', len)) {
		return -EINVAL; /* an IPv6 address without brackets */
	}
	if (len >= addr_len || util_parse_u64(colon + 1, &p) < 0 || p > 65535)
		return -EINVAL;
	memcpy(addr, s, len);
	addr[len] = '\0';
	*port = (uint16_t)p;
	return 0;
}
