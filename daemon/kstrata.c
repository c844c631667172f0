// SPDX-License-Identifier: Apache-2.0
/* kstrata: asks the daemon, on the command line. */

#include "tool/client.h"
#include "tool/cuts.h"
#include "tool/rows.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "profile/labels.h"

#define SOCKET_DEFAULT "/run/kstrata/kstratad.sock"

enum { EXIT_USAGE = 2 };

struct options {
	const char *socket;
	const char *query;
	const char *service;
	const char *from;
	const char *until;
	const char *output;
	const char *count;
	const char *write;
	bool dump, vaddr;
	char **files; /* what follows the verb */
	size_t nr_files;
};

struct verb {
	const char *name;
	const char *outputs; /* comma-separated; the first is the default */
	const char *help;
	int (*run)(struct client *c, const struct options *o);
	bool files; /* it works on these, and asks no daemon */
};

/* --query as given, or what --service asks for; malloc'ed. */
static char *query_of(const struct options *o)
{
	struct buf b = { 0 };

	if (o->query) {
		buf_str(&b, o->query);
	} else {
		buf_str(&b, PROFILE_TYPE_CPU "{");
		if (o->service) {
			buf_str(&b, "service_name=\"");
			for (const char *s = o->service; *s; s++) {
				if (*s == '"' || *s == '\\')
					buf_char(&b, '\\');
				buf_char(&b, *s);
			}
			buf_char(&b, '"');
		}
		buf_char(&b, '}');
	}
	buf_cstr(&b);
	if (b.err)
		buf_release(&b);
	return b.data;
}

static void print_body(const struct buf *body)
{
	fwrite(body->data, 1, body->len, stdout);
}

/* A full disk shows here at the latest. */
static int end_output(void)
{
	if (!ferror(stdout) && !fflush(stdout))
		return 0;
	fprintf(stderr, "kstrata: cannot write: %s\n", strerror(errno));
	return -EIO;
}

/* Names come from strangers' programs: nothing that moves a cursor. */
static void print_safe(const char *s)
{
	for (; *s; s++)
		putchar((unsigned char)*s < 0x20 || *s == 0x7f ? '?' : *s);
}

static void human_bytes(json_int_t v, char *out, size_t len)
{
	static const char units[] = "BKMGT";
	double x = (double)v;
	size_t u = 0;

	while (x >= 1024 && u < sizeof(units) - 2) {
		x /= 1024;
		u++;
	}
	snprintf(out, len, u ? "%.1f %ciB" : "%.0f %c", x, units[u]);
}

static void human_seconds(double s, char *out, size_t len)
{
	if (s >= 86400)
		snprintf(out, len, "%.1f d", s / 86400);
	else if (s >= 3600)
		snprintf(out, len, "%.1f h", s / 3600);
	else if (s >= 60)
		snprintf(out, len, "%.1f min", s / 60);
	else if (s >= 1)
		snprintf(out, len, "%.2f s", s);
	else
		snprintf(out, len, "%.1f ms", s * 1000);
}

static json_int_t number(const json_t *object, const char *key)
{
	const json_t *v = json_object_get(object, key);

	return json_is_real(v) ? (json_int_t)json_real_value(v) :
				 json_integer_value(v);
}

static void row(const char *name, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static void row(const char *name, const char *fmt, ...)
{
	va_list ap;

	printf("%-18s ", name);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
}

static void print_lookups(const json_t *c)
{
	const json_t *lookups = json_object_get(c, "lookups");
	const json_t *frames = json_object_get(c, "user_frames");
	const json_t *objects = json_object_get(c, "objects");

	row("files with code", "%" JSON_INTEGER_FORMAT " known, %"
			JSON_INTEGER_FORMAT " opened, %" JSON_INTEGER_FORMAT
			" failed",
	    number(objects, "known"), number(objects, "opened"),
	    number(objects, "failed"));
	row("user stacks", "%" JSON_INTEGER_FORMAT " looked up, %"
			JSON_INTEGER_FORMAT " busy, %" JSON_INTEGER_FORMAT
			" unsupported",
	    number(lookups, "done"), number(lookups, "busy"),
	    number(lookups, "unsupported"));
	row("user frames", "%" JSON_INTEGER_FORMAT " in files, %"
			JSON_INTEGER_FORMAT " anonymous, %" JSON_INTEGER_FORMAT
			" nowhere, %" JSON_INTEGER_FORMAT " raw",
	    number(frames, "object") + number(frames, "vdso"),
	    number(frames, "anon"), number(frames, "nowhere"),
	    number(frames, "raw"));
}

static void print_cuts(const json_t *c)
{
	struct buf text = { 0 };

	cuts_text(json_object_get(c, "cut"), (double)number(c, "weight"), &text);
	row("cut stacks", "%s", text.len ? buf_cstr(&text) : "none");
	buf_release(&text);
}

static void print_rows(const json_t *rows)
{
	json_int_t by_rows = number(rows, "frames_by_rows");
	json_int_t by_fp = number(rows, "frames_by_frame_pointer");
	json_t *reason;
	json_int_t failed = 0;
	const char *why;
	char held[32];

	if (!json_is_object(rows)) {
		row("unwind rows", "off (--no-rows)");
		return;
	}
	json_object_foreach(json_object_get(rows, "failed"), why, reason)
		failed += json_integer_value(reason);
	human_bytes(number(rows, "held_bytes"), held, sizeof(held));
	row("unwind rows", "%s of %" JSON_INTEGER_FORMAT " files, %"
			JSON_INTEGER_FORMAT " have none, %" JSON_INTEGER_FORMAT
			" to come, %" JSON_INTEGER_FORMAT " failed",
	    held, number(rows, "loaded"), number(rows, "none"),
	    number(rows, "pending"), failed);
	row("walked", "%" JSON_INTEGER_FORMAT " frames by rows, %"
			JSON_INTEGER_FORMAT " by frame pointer",
	    by_rows, by_fp);
}

static void print_collector(const json_t *c)
{
	char weight[32], idle[32], lost[32], handler[32], filtered[32];

	if (!json_is_object(c)) {
		row("collector", "off (--no-device)");
		return;
	}
	human_seconds((double)number(c, "weight") / 1e9, weight, sizeof(weight));
	human_seconds((double)number(c, "idle_weight") / 1e9, idle,
		      sizeof(idle));
	human_seconds((double)number(c, "lost_weight") / 1e9, lost,
		      sizeof(lost));
	human_seconds((double)number(c, "handler_ns") / 1e9, handler,
		      sizeof(handler));
	row("module", "%s", json_string_value(json_object_get(c, "module")));
	row("sampling", "%" JSON_INTEGER_FORMAT " CPUs at %" JSON_INTEGER_FORMAT
			" Hz%s%s",
	    number(c, "cpus"), number(c, "hz"),
	    json_is_true(json_object_get(c, "throttled")) ? ", throttled" : "",
	    json_is_true(json_object_get(c, "kernel_addresses")) ?
		    "" :
		    ", kernel stacks hidden");
	row("samples", "%" JSON_INTEGER_FORMAT " (%s of CPU time)",
	    number(c, "samples"), weight);
	row("idle", "%s", idle);
	row("lost", "%" JSON_INTEGER_FORMAT " records (%s)", number(c, "lost"),
	    lost);
	if (number(c, "filtered")) {
		human_seconds((double)number(c, "filtered_weight") / 1e9,
			      filtered, sizeof(filtered));
		row("filtered", "%" JSON_INTEGER_FORMAT " samples (%s)",
		    number(c, "filtered"), filtered);
	}
	print_cuts(c);
	print_lookups(c);
	print_rows(json_object_get(c, "rows"));
	row("missed", "%" JSON_INTEGER_FORMAT " expiries",
	    number(c, "missed"));
	row("sampling cost", "%s", handler);
	row("processes", "%" JSON_INTEGER_FORMAT, number(c, "tasks"));
}

static int print_status(const json_t *s)
{
	const json_t *store = json_object_get(s, "store");
	const json_t *process = json_object_get(s, "process");
	char text[32], memory[32];
	json_int_t now = number(s, "now");

	row("version", "%s", json_string_value(json_object_get(s, "version")));
	human_seconds((double)(now - number(s, "started")), text, sizeof(text));
	row("running for", "%s", text);
	print_collector(json_object_get(s, "collector"));
	human_bytes(number(store, "bytes"), text, sizeof(text));
	row("store", "%s in %" JSON_INTEGER_FORMAT " epochs%s", text,
	    number(store, "epochs"),
	    json_is_true(json_object_get(store, "failing")) ?
		    ", WRITING FAILS" :
		    "");
	if (number(store, "oldest")) {
		human_seconds((double)(now - number(store, "oldest")), text,
			      sizeof(text));
		row("history", "%s", text);
	}
	row("series", "%" JSON_INTEGER_FORMAT, number(store, "series"));
	row("call-tree nodes", "%" JSON_INTEGER_FORMAT, number(store, "nodes"));
	human_bytes(number(process, "resident_bytes"), memory, sizeof(memory));
	human_seconds(json_number_value(json_object_get(process, "cpu_seconds")),
		      text, sizeof(text));
	row("daemon", "%s resident, %s of CPU time", memory, text);
	return 0;
}

static int run_status(struct client *c, const struct options *o)
{
	struct buf body = { 0 };
	json_t *status;
	int r;

	if (!strcmp(o->output, "json")) {
		r = client_get(c, "/api/v1/status", NULL, &body);
		if (r >= 0) {
			buf_char(&body, '\n');
			print_body(&body);
		}
		buf_release(&body);
		return r;
	}
	r = client_get_json(c, "/api/v1/status", NULL, &status);
	if (r < 0)
		return r;
	r = print_status(status);
	json_decref(status);
	return r;
}

static const char *basename_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash && slash[1] ? slash + 1 : path;
}

/* Beside the output, not in it. */
static void tell_cuts(struct buf *text)
{
	if (text->len)
		fprintf(stderr, "kstrata: cut stacks: %s\n", buf_cstr(text));
	buf_release(text);
}

static int print_top(const json_t *top)
{
	const char *unit = json_string_value(json_object_get(top, "unit"));
	bool time = unit && !strcmp(unit, "nanoseconds");
	double total = (double)number(top, "total");
	const json_t *functions = json_object_get(top, "functions");
	struct buf cuts = { 0 };
	char self[32];

	printf("%12s %7s %7s  %s\n", "SELF", "SELF", "TOTAL", "FUNCTION");
	for (size_t i = 0; i < json_array_size(functions); i++) {
		const json_t *f = json_array_get(functions, i);
		double s = (double)number(f, "self");
		const char *name = json_string_value(json_object_get(f, "name"));
		const char *object =
			json_string_value(json_object_get(f, "object"));

		if (time)
			human_seconds(s / 1e9, self, sizeof(self));
		else
			snprintf(self, sizeof(self), "%.0f", s);
		printf("%12s %6.2f%% %6.2f%%  ", self,
		       total > 0 ? 100 * s / total : 0,
		       total > 0 ? 100 * (double)number(f, "total") / total : 0);
		print_safe(name ? name : "");
		if (object && *object) {
			fputs(*object == '[' ? "  " : "  [", stdout);
			print_safe(basename_of(object));
			fputs(*object == '[' ? "" : "]", stdout);
		}
		putchar('\n');
	}
	if (!json_array_size(functions))
		fprintf(stderr, "kstrata: nothing in this range\n");
	cuts_text(json_object_get(top, "cut"), total, &cuts);
	tell_cuts(&cuts);
	return 0;
}

static int run_top(struct client *c, const struct options *o)
{
	cleanup(util_freep) char *query = query_of(o);
	const struct client_param params[] = {
		{ "query", query },	{ "from", o->from },
		{ "until", o->until },	{ "n", o->count ? o->count : "25" },
		{ NULL, NULL },
	};
	struct buf body = { 0 };
	json_t *top;
	int r;

	if (!query)
		return -ENOMEM;
	if (!strcmp(o->output, "json")) {
		r = client_get(c, "/api/v1/top", params, &body);
		if (r >= 0) {
			buf_char(&body, '\n');
			print_body(&body);
		}
		buf_release(&body);
		return r;
	}
	r = client_get_json(c, "/api/v1/top", params, &top);
	if (r < 0)
		return r;
	r = print_top(top);
	json_decref(top);
	return r;
}

static int run_flame(struct client *c, const struct options *o)
{
	cleanup(util_freep) char *query = query_of(o);
	const struct client_param params[] = {
		{ "query", query },	   { "from", o->from },
		{ "until", o->until },	   { "format", o->output },
		{ "max-nodes", o->count }, { NULL, NULL },
	};
	struct buf body = { 0 }, cuts = { 0 };
	int r;

	if (!query)
		return -ENOMEM;
	r = client_get(c, "/pyroscope/render", params, &body);
	if (r >= 0 && !body.len)
		fprintf(stderr, "kstrata: nothing in this range\n");
	if (r >= 0) {
		print_body(&body);
		cuts_header_text(client_cut(c), &cuts);
		tell_cuts(&cuts);
	}
	buf_release(&body);
	return r;
}

static int run_rows(struct client *c, const struct options *o)
{
	const struct rows_options rows = {
		.json = !strcmp(o->output, "json"),
		.dump = o->dump,
		.vaddr = o->vaddr,
		.write = o->write,
	};

	(void)c;
	return rows_run(&rows, o->files, o->nr_files);
}

static const struct verb verbs[] = {
	{ "status", "text,json", "what the daemon does and how it fares",
	  run_status, false },
	{ "top", "text,json", "functions by the time spent in them", run_top,
	  false },
	{ "flame", "folded,json,pprof",
	  "stacks with their weights, to stdout, for other tools", run_flame,
	  false },
	{ "rows", "text,json",
	  "FILE...: the unwind rows that programs and libraries get", run_rows,
	  true },
};

static void print_help(FILE *to)
{
	fprintf(to, "Usage: kstrata VERB [OPTION]... [FILE]...\n"
		    "Ask the profiling daemon kstratad.\n\nVerbs:\n");
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
		fprintf(to, "  %-8s %s (-o %s)\n", verbs[i].name, verbs[i].help,
			verbs[i].outputs);
	fprintf(to,
		"\nOptions:\n"
		"  -o, --output FORMAT  how to print; see the verbs\n"
		"  -s, --service NAME   only this service_name\n"
		"  -q, --query QUERY    profile type and selector, instead of --service:\n"
		"                       " PROFILE_TYPE_CPU "{comm=~\"nginx.*\"}\n"
		"  -f, --from TIME      default now-1h; unix time, now-15m, YYYYMMDD\n"
		"  -u, --until TIME     default now\n"
		"  -n, --count N        top: functions shown (25); flame: nodes shown (all)\n"
		"      --socket PATH    the daemon's socket (" SOCKET_DEFAULT ")\n"
		"      --dump           rows: every row, not a summary\n"
		"      --vaddr          rows: by address, not by offset in the file\n"
		"      --write TABLE        rows: into this file, as the module takes them\n"
		"  -h, --help           print this and exit\n"
		"  -V, --version        print the version and exit\n\n"
		"%s\n"
		"Exit codes: 0 done, 1 failed, 2 wrong usage.\n",
		rows_format);
}

static bool output_known(const struct verb *v, const char *output)
{
	size_t len = strlen(output);

	for (const char *p = v->outputs; *p;) {
		size_t n = strcspn(p, ",");

		if (n == len && !memcmp(p, output, n))
			return true;
		p += n + (p[n] == ',');
	}
	return false;
}

static const struct verb *find_verb(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
		if (!strcmp(verbs[i].name, name))
			return &verbs[i];
	return NULL;
}

/* -1: go on; else the exit code. */
static int parse(struct options *o, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "output", required_argument, NULL, 'o' },
		{ "service", required_argument, NULL, 's' },
		{ "query", required_argument, NULL, 'q' },
		{ "from", required_argument, NULL, 'f' },
		{ "until", required_argument, NULL, 'u' },
		{ "count", required_argument, NULL, 'n' },
		{ "socket", required_argument, NULL, 'S' },
		{ "dump", no_argument, NULL, 'D' },
		{ "vaddr", no_argument, NULL, 'A' },
		{ "write", required_argument, NULL, 'W' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};
	int opt;

	while ((opt = getopt_long(argc, argv, "o:s:q:f:u:n:hV", longs,
				  NULL)) != -1) {
		switch (opt) {
		case 'o':
			o->output = optarg;
			break;
		case 's':
			o->service = optarg;
			break;
		case 'q':
			o->query = optarg;
			break;
		case 'f':
			o->from = optarg;
			break;
		case 'u':
			o->until = optarg;
			break;
		case 'n':
			o->count = optarg;
			break;
		case 'S':
			o->socket = optarg;
			break;
		case 'D':
			o->dump = true;
			break;
		case 'A':
			o->vaddr = true;
			break;
		case 'W':
			o->write = optarg;
			break;
		case 'h':
			print_help(stdout);
			return 0;
		case 'V':
			printf("kstrata %s\n", KSTRATA_VERSION);
			return 0;
		default:
			fprintf(stderr, "Try 'kstrata --help'.\n");
			return EXIT_USAGE;
		}
	}
	return -1;
}

int main(int argc, char **argv)
{
	struct options o = { .socket = SOCKET_DEFAULT };
	char first[16] = "";
	const struct verb *verb;
	struct client *c;
	int r;

	r = parse(&o, argc, argv);
	if (r >= 0)
		return r;
	if (optind >= argc) {
		print_help(stderr);
		return EXIT_USAGE;
	}
	verb = find_verb(argv[optind]);
	if (!verb) {
		fprintf(stderr,
			"kstrata: there is no verb '%s'\nTry 'kstrata --help'.\n",
			argv[optind]);
		return EXIT_USAGE;
	}
	o.files = argv + optind + 1;
	o.nr_files = (size_t)(argc - optind - 1);
	if (verb->files && !o.nr_files) {
		fprintf(stderr, "kstrata: of which files?\nTry 'kstrata --help'.\n");
		return EXIT_USAGE;
	}
	if (o.write && o.nr_files != 1) {
		fprintf(stderr, "kstrata: --write takes one file's rows\n");
		return EXIT_USAGE;
	}
	if (!verb->files && o.nr_files) {
		fprintf(stderr,
			"kstrata: one verb at a time, not '%s' as well\nTry 'kstrata --help'.\n",
			argv[optind + 1]);
		return EXIT_USAGE;
	}
	if (!o.output) {
		memcpy(first, verb->outputs, strcspn(verb->outputs, ","));
		o.output = first;
	}
	if (!output_known(verb, o.output)) {
		fprintf(stderr, "kstrata: %s prints %s, not '%s'\n", verb->name,
			verb->outputs, o.output);
		return EXIT_USAGE;
	}
	c = verb->files ? NULL : client_new(o.socket);
	if (!c && !verb->files) {
		fprintf(stderr, "kstrata: out of memory\n");
		return EXIT_FAILURE;
	}
	r = verb->run(c, &o);
	if (c)
		client_free(c);
	if (end_output() < 0 && r >= 0)
		r = -EIO;
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
