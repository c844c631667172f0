// SPDX-License-Identifier: Apache-2.0
#include "oracle_readelf.h"

#include <elf.h>
#include <fcntl.h>
#include <inttypes.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define COLUMNS_MAX 128
#define NESTED_MAX 64

static void die(const char *why)
{
	fprintf(stderr, "oracle: %s\n", why);
	exit(2);
}

static void *grow(void *p, size_t n, size_t size)
{
	p = reallocarray(p, n, size);
	if (!p)
		die("no memory");
	return p;
}

/* ---- interning, for as long as the program runs ------------------------- */

struct interned {
	void **at;
	size_t nr, room;
};

static uint64_t hash_bytes(const void *data, size_t len)
{
	const unsigned char *c = data;
	uint64_t h = 0xcbf29ce484222325;

	while (len--)
		h = (h ^ *c++) * 0x100000001b3;
	return h ^ (h >> 29);
}

/* len: of a string, or 0 for a rule. */
static uint64_t hash_of(const void *p, size_t len)
{
	return hash_bytes(p, len ? len : sizeof(struct oracle_rule));
}

static bool is_it(const void *have, const void *p, size_t len)
{
	if (!len)
		return !memcmp(have, p, sizeof(struct oracle_rule));
	return !strncmp(have, p, len) && !((const char *)have)[len];
}

static const void *intern(struct interned *t, const void *p, size_t len)
{
	size_t i;
	void *copy;

	if (2 * t->nr >= t->room) {
		struct interned bigger = { .room = t->room ? 2 * t->room : 1024 };

		bigger.at = calloc(bigger.room, sizeof(*bigger.at));
		if (!bigger.at)
			die("no memory");
		for (size_t k = 0; k < t->room; k++) {
			if (!t->at[k])
				continue;
			i = hash_of(t->at[k], len ? strlen(t->at[k]) : 0);
			while (bigger.at[i & (bigger.room - 1)])
				i++;
			bigger.at[i & (bigger.room - 1)] = t->at[k];
			bigger.nr++;
		}
		free(t->at);
		*t = bigger;
	}
	for (i = hash_of(p, len); t->at[i & (t->room - 1)]; i++)
		if (is_it(t->at[i & (t->room - 1)], p, len))
			return t->at[i & (t->room - 1)];
	copy = len ? strndup(p, len) : malloc(sizeof(struct oracle_rule));
	if (!copy)
		die("no memory");
	if (!len)
		memcpy(copy, p, sizeof(struct oracle_rule));
	t->at[i & (t->room - 1)] = copy;
	t->nr++;
	return copy;
}

static const char *intern_text(const char *s, size_t len)
{
	static struct interned texts;

	return len ? intern(&texts, s, len) : "";
}

static const struct oracle_rule *intern_rule(const struct oracle_rule *r)
{
	static struct interned rules;

	return intern(&rules, r, 0);
}

/* ---- readelf's output, line by line -------------------------------------- */

struct reader {
	FILE *f;
	pid_t pid;
	char *line;
	size_t room;
	ssize_t len;	/* -1: at the end */
};

static void reader_next(struct reader *r)
{
	r->len = getline(&r->line, &r->room, r->f);
	while (r->len > 0 && (r->line[r->len - 1] == '\n' || r->line[r->len - 1] == ' '))
		r->line[--r->len] = '\0';
}

static void reader_open(struct reader *r, const char *path, const char *what)
{
	char option[64];
	char *argv[] = { (char *)"readelf", (char *)"--debug-dump=no-follow-links", option,
			 (char *)path, NULL };
	char *environment[] = { (char *)"LC_ALL=C", (char *)"PATH=/usr/bin:/bin", NULL };
	posix_spawn_file_actions_t actions;
	int fds[2];

	snprintf(option, sizeof(option), "--debug-dump=%s", what);
	if (pipe2(fds, O_CLOEXEC) < 0)
		die("no pipe");
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, fds[1], 1);
	posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
	if (posix_spawnp(&r->pid, "readelf", &actions, NULL, argv, environment))
		die("readelf cannot be run");
	posix_spawn_file_actions_destroy(&actions);
	close(fds[1]);
	r->f = fdopen(fds[0], "r");
	r->line = NULL;
	r->room = 0;
	if (!r->f)
		die("no memory");
	reader_next(r);
}

static void reader_close(struct reader *r)
{
	int status;

	fclose(r->f);
	waitpid(r->pid, &status, 0);
	free(r->line);
}

/* What starts at this line. */
enum starts { AT_SECTION, AT_CIE, AT_FDE, AT_OTHER };

struct entry {
	uint64_t offset, cie, low, high;
	unsigned int ra;	/* of a CIE: the register of the return address */
};

static enum starts entry_of(const struct reader *r, struct entry *e)
{
	const char *p = r->line;
	char *end;

	if (!strncmp(p, "Contents of the ", 16))
		return AT_SECTION;
	if (!((*p >= '0' && *p <= '9') || (*p >= 'a' && *p <= 'f')))
		return AT_OTHER;
	e->offset = strtoull(p, &end, 16);
	for (int i = 0; i < 2; i++) {
		if (*end != ' ')
			return AT_OTHER;
		strtoull(end, &end, 16);
	}
	if (!strncmp(end, " CIE", 4)) {
		p = strstr(end, " ra=");
		e->ra = p ? (unsigned int)strtoul(p + 4, NULL, 10) : 0;
		return AT_CIE;
	}
	if (strncmp(end, " FDE ", 5))
		return AT_OTHER;
	p = strstr(end, "cie=");
	e->cie = p ? strtoull(p + 4, NULL, 16) : UINT64_MAX;
	p = strstr(end, "pc=");
	e->low = p ? strtoull(p + 3, &end, 16) : 0;
	e->high = p && !strncmp(end, "..", 2) ? strtoull(end + 2, NULL, 16) : 0;
	return AT_FDE;
}

/* ---- what the interpreter leaves out -------------------------------------- */

/*
 * From the instructions; NULL where the interpreter says it all. By SAID_CFA, or
 * 1 + enum tracked.
 */
#define SAID_CFA 0
#define SAID (1 + ORACLE_TRACKED)

struct said {
	const char *of[SAID];
};

struct told {
	uint64_t from;
	struct said said;
};

/* The instructions of one entry, replayed as far as they concern us. */
struct replay {
	struct said now, initial, kept[NESTED_MAX];
	unsigned int depth;
	struct told *told;	/* rising */
	size_t nr, room;
	uint64_t at;
};

static void replay_tell(struct replay *p)
{
	if (p->nr && p->told[p->nr - 1].from == p->at) {
		p->told[p->nr - 1].said = p->now;
		return;
	}
	if (p->nr == p->room) {
		p->room = p->room ? 2 * p->room : 64;
		p->told = grow(p->told, p->room, sizeof(*p->told));
	}
	p->told[p->nr++] = (struct told){ p->at, p->now };
}

/* Which of ours, by number in DWARF; SAID: none. */
static unsigned int which(const char *text, const unsigned int regs[ORACLE_TRACKED])
{
	unsigned long r;

	text = strstr(text, ": r");
	if (!text)
		return SAID;
	r = strtoul(text + 3, NULL, 10);
	for (unsigned int i = 0; i < ORACLE_TRACKED; i++)
		if (regs[i] == r)
			return 1 + i;
	return SAID;
}

/* The expression in the last parentheses that start with an operation. */
static const char *expression_of(const char *line, char prefix)
{
	static char *text;
	static size_t room;
	const char *start = strstr(line, "(DW_OP_");
	size_t len = start ? strlen(start) : 0;

	if (len + 2 > room) {
		room = 2 * len + 64;
		text = grow(text, room, 1);
	}
	text[0] = prefix;
	if (len < 2)
		return intern_text(text, 1);
	memcpy(text + 1, start + 1, len - 2);
	return intern_text(text, len - 1);
}

static void replay_line(struct replay *p, const char *line,
			const unsigned int regs[ORACLE_TRACKED])
{
	const char *op;
	unsigned int r;

	if (strncmp(line, "  DW_CFA_", 9))
		return;
	op = line + 9;
	if (!strncmp(op, "advance_loc", 11) || !strncmp(op, "set_loc", 7)) {
		const char *to = op[0] == 'a' ? strstr(op, " to ") : strchr(op, ':');

		replay_tell(p);
		if (to)
			p->at = strtoull(to + (op[0] == 'a' ? 4 : 1), NULL, 16);
	} else if (!strncmp(op, "def_cfa_expression", 18)) {
		p->now.of[SAID_CFA] = expression_of(op, '=');
	} else if (!strncmp(op, "def_cfa", 7)) {
		p->now.of[SAID_CFA] = NULL;
	} else if (!strncmp(op, "remember_state", 14)) {
		if (p->depth < NESTED_MAX)
			p->kept[p->depth] = p->now;
		p->depth++;
	} else if (!strncmp(op, "restore_state", 13)) {
		if (p->depth && --p->depth < NESTED_MAX)
			p->now = p->kept[p->depth];
	} else if ((r = which(op, regs)) == SAID) {
		return;
	} else if (!strncmp(op, "undefined", 9)) {
		p->now.of[r] = "undefined";
	} else if (!strncmp(op, "same_value", 10)) {
		p->now.of[r] = "same";
	} else if (!strncmp(op, "expression", 10)) {
		p->now.of[r] = expression_of(op, '@');
	} else if (!strncmp(op, "val_expression", 14)) {
		p->now.of[r] = expression_of(op, '=');
	} else if (!strncmp(op, "restore", 7)) {
		p->now.of[r] = p->initial.of[r];
	} else {	/* offset, val_offset, register, ... */
		p->now.of[r] = NULL;
	}
}

/* ---- both at once ---------------------------------------------------------- */

struct cie {
	uint64_t offset;
	unsigned int ra;
	struct oracle_rule rule;
	struct said said;
};

struct reading {
	struct reader table, code;
	struct oracle_rows *o;
	uint16_t machine;
	unsigned int regs[ORACLE_TRACKED];
	struct cie *cies;	/* of this section */
	size_t nr_cies, room_cies;
	struct replay replay;
	bool debug;
};

static const struct cie *find_cie(const struct reading *g, uint64_t offset)
{
	for (size_t i = g->nr_cies; i > 0; i--)
		if (g->cies[i - 1].offset == offset)
			return &g->cies[i - 1];
	return NULL;
}

/* The columns of "LOC CFA rbx ... ra": which of ours each is, -1: none. */
static unsigned int columns_of(const struct reading *g, const char *line,
			       int columns[COLUMNS_MAX])
{
	unsigned int n = 0;

	while (*(line += strspn(line, " ")) && n < COLUMNS_MAX) {
		size_t len = strcspn(line, " ");
		int r = oracle_register(g->machine, line, len);

		columns[n] = -1;
		if (len == 2 && !strncmp(line, "ra", 2))
			r = (int)g->regs[ORACLE_RA];
		for (int i = 0; r >= 0 && i < ORACLE_TRACKED; i++)
			if (g->regs[i] == (unsigned int)r)
				columns[n] = i;
		n++;
		line += len;
	}
	return n;
}

static const struct said *told_at(const struct replay *p, uint64_t at, bool is_cie)
{
	size_t low = 0, high = p->nr;

	if (is_cie)
		return &p->now;
	while (high - low > 1) {
		size_t mid = low + (high - low) / 2;

		if (p->told[mid].from <= at)
			low = mid;
		else
			high = mid;
	}
	return &p->told[low].said;
}

/* "u" is not spoken of, unless the instructions say undefined. */
static const char *cell(const char *text, size_t len, const char *said)
{
	if (said)
		return said;
	if (len == 1 && *text == 'u')
		return NULL;
	if (len == 1 && *text == 's')
		return "same";
	return intern_text(text, len);
}

static uint64_t row_of(const char *line, const int columns[COLUMNS_MAX], unsigned int n,
		       const struct replay *p, bool is_cie, struct oracle_rule *r)
{
	char *at;
	uint64_t loc = strtoull(line, &at, 16);
	const struct said *said = told_at(p, loc, is_cie);
	unsigned int i;

	memset(r, 0, sizeof(*r));
	for (i = 1; i < n && *(at += strspn(at, " ")); i++) {
		size_t len = strcspn(at, " "), whole = len;

		/* Another register: "r5 (rdi)", one cell. */
		if (at[len] && at[len + 1] == '(') {
			at += len + 2;
			len = strcspn(at, ")");
			whole = len + (at[len] == ')');
		}
		if (i == 1)
			r->cfa = said->of[SAID_CFA] ? said->of[SAID_CFA] :
						      intern_text(at, len);
		else if (columns[i] >= 0)
			r->of[columns[i]] = cell(at, len, said->of[1 + columns[i]]);
		at += whole;
	}
	if (!r->cfa)
		r->cfa = "";
	return loc;
}

static void add_row(struct reading *g, uint64_t start, uint64_t end,
		    const struct oracle_rule *r)
{
	struct oracle_rows *o = g->o;
	struct oracle_rule said = *r;

	if (start >= end)
		return;
	/* Not spoken of, and not where everybody else has it at the start. */
	if (!said.of[ORACLE_RA] && g->machine == EM_AARCH64 && g->regs[ORACLE_RA] != 30)
		said.of[ORACLE_RA] = oracle_register_name(g->machine, g->regs[ORACLE_RA]);
	if (o->nr == o->room) {
		o->room = o->room ? 2 * o->room : 4096;
		o->rows = grow(o->rows, o->room, sizeof(*o->rows));
	}
	o->rows[o->nr++] = (struct oracle_row){ start, end, intern_rule(&said),
						(uint32_t)o->fdes, g->debug };
}

/* The instructions of the entry that the code's reader is at. */
static void replay_entry(struct reading *g, const struct cie *cie, uint64_t from)
{
	struct replay *p = &g->replay;
	struct entry e;

	p->depth = 0;
	p->nr = 0;
	p->at = from;
	p->now = p->initial = cie ? cie->said : (struct said){ { NULL } };
	for (reader_next(&g->code); g->code.len >= 0; reader_next(&g->code)) {
		if (g->code.len && entry_of(&g->code, &e) != AT_OTHER)
			break;
		if (g->code.len)
			replay_line(p, g->code.line, g->regs);
	}
	replay_tell(p);
}

static void read_entry(struct reading *g, enum starts is, const struct entry *e)
{
	const struct cie *cie = is == AT_FDE ? find_cie(g, e->cie) : NULL;
	struct oracle_rule row, last = { .cfa = "" };
	int columns[COLUMNS_MAX];
	unsigned int n = 0;
	uint64_t from = e->low, loc;
	bool any = false;
	struct entry next;

	g->regs[ORACLE_RA] = cie ? cie->ra : e->ra;
	if (cie)
		last = cie->rule;
	replay_entry(g, cie, e->low);
	for (reader_next(&g->table); g->table.len >= 0; reader_next(&g->table)) {
		if (!g->table.len) {
			n = 0;
			continue;
		}
		/* A row's third word is never CIE or FDE. */
		if (entry_of(&g->table, &next) != AT_OTHER)
			break;
		if (!strncmp(g->table.line, "   LOC ", 7)) {
			n = columns_of(g, g->table.line, columns);
			continue;
		}
		if (!n || g->table.line[0] == ' ')
			continue;
		loc = row_of(g->table.line, columns, n, &g->replay, is == AT_CIE, &row);
		if (is == AT_FDE && any)
			add_row(g, from, loc < e->high ? loc : e->high, &last);
		any = true;
		from = loc;
		last = row;
	}
	if (is == AT_CIE) {
		if (g->nr_cies == g->room_cies) {
			g->room_cies = g->room_cies ? 2 * g->room_cies : 16;
			g->cies = grow(g->cies, g->room_cies, sizeof(*g->cies));
		}
		g->cies[g->nr_cies++] = (struct cie){ e->offset, e->ra, last,
							g->replay.now };
		return;
	}
	g->o->fdes++;
	if (e->low >= e->high)
		g->o->empty++;
	else if (!cie)
		g->o->unread++;
	else
		add_row(g, from, e->high, &last);
}

void oracle_read(struct oracle_rows *o, const char *path, uint16_t machine, uint8_t aux)
{
	bool x86 = machine == EM_X86_64;
	struct reading g = {
		.o = o,
		.machine = machine,
		.regs = {
			[ORACLE_FP] = x86 ? 6 : 29,
			[ORACLE_AUX] = aux,
			[ORACLE_SP] = x86 ? 7 : 31,
		},
	};
	struct entry e = { .ra = 0 }, same;

	memset(o, 0, sizeof(*o));
	reader_open(&g.table, path, "frames-interp");
	reader_open(&g.code, path, "frames");
	while (g.table.len >= 0) {
		enum starts is = entry_of(&g.table, &e);

		if (is == AT_OTHER) {
			reader_next(&g.table);
			continue;
		}
		while (g.code.len >= 0 && entry_of(&g.code, &same) == AT_OTHER)
			reader_next(&g.code);
		if (is == AT_SECTION) {
			g.nr_cies = 0;
			g.debug = strstr(g.table.line, "debug_frame") != NULL;
			reader_next(&g.table);
			reader_next(&g.code);
			continue;
		}
		if (g.code.len < 0 || entry_of(&g.code, &same) != is ||
		    same.offset != e.offset)
			die("readelf's two dumps do not match");
		read_entry(&g, is, &e);
	}
	reader_close(&g.table);
	reader_close(&g.code);
	free(g.cies);
	free(g.replay.told);
}

void oracle_release(struct oracle_rows *o)
{
	free(o->rows);
	memset(o, 0, sizeof(*o));
}
