// SPDX-License-Identifier: Apache-2.0
/*
 * Runs a load and says what it took; optionally under a profiler's kernel half.
 * Where the clock counts instructions, so does the result.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "load.h"
#include "probe.h"

#define OTHERS	8

static const char *const probes[] = {
	[PROBE_NONE] = "none",
	[PROBE_KSTRATA] = "kstrata",
	[PROBE_OBJECTS] = "objects",
	[PROBE_ROWS] = "rows",
	[PROBE_PERF] = "perf",
	[PROBE_DWARF] = "dwarf",
};

static void usage(FILE *to)
{
	fprintf(to, "Usage: kbench [OPTION]... LOAD ROUNDS\n"
		    "  --depth N     frames on the user stack, 3 to 200\n"
		    "  --probe KIND  none, kstrata, objects (frames as objects), rows (by\n"
		    "                unwind rows), perf, dwarf (copies of the stack)\n"
		    "  --hz N        samples per second\n"
		    "  --ring BYTES  of the probe, a power of two (default 64 MiB)\n"
		    "  --pid PID     tell the CPU time of this process, too\n"
		    "Loads:\n");
}

static uint64_t clock_ns(clockid_t id)
{
	struct timespec ts;

	if (clock_gettime(id, &ts))
		return 0;
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void put(int to, const void *data, size_t bytes)
{
	if (write(to, data, bytes) != (ssize_t)bytes)
		die("write to a pipe");
}

static void get(int from, void *data, size_t bytes)
{
	if (read(from, data, bytes) != (ssize_t)bytes) {
		fprintf(stderr, "kbench: the other process is gone\n");
		exit(1);
	}
}

/* The load's process: warm up, wait for the word, run, say how long. */
static void worker(const struct load *load, uint64_t rounds, unsigned int depth,
		   int from, int to)
{
	uint64_t begin, took;
	char c = 0;

	if (load->prepare)
		load->prepare();
	load_run(load, rounds / 16 + 1, depth);
	put(to, &c, 1);
	get(from, &c, 1);
	begin = clock_ns(CLOCK_MONOTONIC);
	load_run(load, rounds, depth);
	took = clock_ns(CLOCK_MONOTONIC) - begin;
	put(to, &took, sizeof(took));
	exit(0);
}

static void field(const char *name, uint64_t value)
{
	printf(",\"%s\":%llu", name, (unsigned long long)value);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "depth", required_argument, NULL, 'd' },
		{ "hz", required_argument, NULL, 'z' },
		{ "help", no_argument, NULL, 'h' },
		{ "nothing", no_argument, NULL, 'n' },
		{ "pid", required_argument, NULL, 'p' },
		{ "probe", required_argument, NULL, 'k' },
		{ "ring", required_argument, NULL, 'r' },
		{ NULL, 0, NULL, 0 },
	};
	clockid_t others[OTHERS];
	unsigned int nr_others = 0, depth = 16;
	int kind = PROBE_NONE, opt, go[2], said[2], status;
	uint64_t others_ns = 0, hz = 999, rounds, took;
	uint32_t ring = UINT32_C(1) << 26;
	const struct load *load;
	struct probe_result r;
	pid_t child;
	char c = 0;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (opt) {
		case 'd':
			depth = (unsigned int)strtoul(optarg, NULL, 10);
			break;
		case 'z':
			hz = strtoul(optarg, NULL, 10);
			break;
		case 'n':
			return 0;
		case 'p':
			if (nr_others == OTHERS ||
			    clock_getcpuclockid((pid_t)atoi(optarg),
						&others[nr_others])) {
				fprintf(stderr, "kbench: no process %s\n",
					optarg);
				return 1;
			}
			nr_others++;
			break;
		case 'k':
			for (kind = PROBE_DWARF; kind > PROBE_NONE; kind--)
				if (!strcmp(optarg, probes[kind]))
					break;
			break;
		case 'r':
			ring = (uint32_t)strtoul(optarg, NULL, 10);
			break;
		case 'h':
			usage(stdout);
			load_list();
			return 0;
		default:
			usage(stderr);
			return 2;
		}
	}
	load = argc - optind == 2 ? load_find(argv[optind]) : NULL;
	if (!load || depth < LOAD_DEPTH_MIN || depth > LOAD_DEPTH_MAX) {
		usage(stderr);
		return 2;
	}
	rounds = strtoull(argv[optind + 1], NULL, 10);

	if (pipe(go) || pipe(said))
		die("pipe");
	child = fork();
	if (child < 0)
		die("fork");
	if (child == 0) {
		close(go[1]);
		close(said[0]);
		worker(load, rounds, depth, go[0], said[1]);
	}
	close(go[0]);
	close(said[1]);
	probe_open((enum probe_kind)kind, (uint32_t)hz, ring);
	get(said[0], &c, 1);
	for (unsigned int i = 0; i < nr_others; i++)
		others_ns -= clock_ns(others[i]);
	probe_start();
	put(go[1], &c, 1);
	get(said[0], &took, sizeof(took));
	probe_stop();
	for (unsigned int i = 0; i < nr_others; i++)
		others_ns += clock_ns(others[i]);
	if (waitpid(child, &status, 0) != child || status) {
		fprintf(stderr, "kbench: the load failed\n");
		return 1;
	}
	probe_result(&r);
	printf("{\"load\":\"%s\",\"depth\":%u,\"probe\":\"%s\"", load->name,
	       depth, probes[kind]);
	field("rounds", rounds);
	field("hz", hz);
	field("ns", took);
	field("others_ns", others_ns);
	field("samples", r.samples);
	field("kernel_frames", r.kernel_frames);
	field("user_frames", r.user_frames);
	field("raw_frames", r.raw);
	field("rows_frames", r.rows_frames);
	field("bytes", r.bytes);
	field("handler_ns", r.handler_ns);
	field("lost", r.lost);
	field("told", r.told);
	field("weight", r.weight);
	field("told_weight", r.told_weight);
	field("off_weight", r.off_weight);
	field("on_ns", r.on_ns);
	printf("}\n");
	return 0;
}
