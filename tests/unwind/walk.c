// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <kstrata.h>
#include <kstrata/rows.h>
#include <kstrata/unwind.h>

#include "symbol/cfi.h"
#include "walk.h"

struct object {
	struct object *next;
	char path[256];
	struct cfi_table table;
	struct kst_rows_view view;
	bool rows;
};

struct walker {
	struct object *objects;
	bool tables;
};

struct walker *walker_new(bool tables)
{
	struct walker *w = calloc(1, sizeof(*w));

	if (!w)
		abort();
	w->tables = tables;
	return w;
}

void walker_free(struct walker *w)
{
	while (w->objects) {
		struct object *o = w->objects;

		w->objects = o->next;
		cfi_table_release(&o->table);
		free(o);
	}
	free(w);
}

static int compile_vdso(struct tracee *t, const struct mapping *m, struct object *o,
			struct cfi_report *report)
{
	size_t bytes = m->end - m->start;
	void *image = malloc(bytes);
	int rc = -1;

	if (image && tracee_read(t, m->start, image, bytes))
		rc = cfi_compile_image(image, bytes, &o->table, report);
	free(image);
	return rc;
}

static struct object *object_of(struct walker *w, struct tracee *t,
				const struct mapping *m)
{
	struct cfi_report report = { 0 };
	struct object *o;
	int rc = -1, fd;

	for (o = w->objects; o; o = o->next)
		if (strcmp(o->path, m->path) == 0)
			return o;
	o = calloc(1, sizeof(*o));
	if (!o)
		abort();
	memcpy(o->path, m->path, sizeof(o->path));
	o->next = w->objects;
	w->objects = o;
	if (strcmp(m->path, "[vdso]") == 0) {
		rc = compile_vdso(t, m, o, &report);
	} else if (!m->anonymous) {
		fd = open(m->path, O_RDONLY | O_CLOEXEC);
		if (fd >= 0) {
			rc = cfi_compile(fd, &o->table, &report);
			close(fd);
		}
	}
	o->rows = rc == 0;
	if (o->rows)
		kst_rows_view(&o->view, o->table.bytes);
	else if (m->path[0])
		fprintf(stderr, "# no rows for %s: %s (%d)\n", m->path,
			report.why ? report.why : "?", rc);
	return o;
}

static const struct kstrata_rule *rule_of(struct walker *w, struct tracee *t,
					  uint64_t place, uint8_t *aux)
{
	const struct mapping *m;
	struct object *o;

	if (!w->tables)
		return NULL;
	m = tracee_mapping(t, place);
	if (!m || !m->exec)
		return NULL;
	o = object_of(w, t, m);
	if (!o->rows)
		return NULL;
	*aux = o->view.aux;
	return kst_rows_find(&o->view, place - m->start + m->offset);
}

static int read_word(void *ctx, __u64 at, __u64 *word)
{
	return tracee_read(ctx, at, word, sizeof(*word));
}

static int leaf_register(void *ctx, unsigned int reg, __u64 *value)
{
	uint64_t v;

	if (!tracee_register(ctx, reg, &v))
		return 0;
	*value = v;
	return 1;
}

size_t walker_walk(struct walker *w, struct tracee *t, uint64_t *frames, size_t max,
		   uint8_t *reason)
{
	struct kst_frame f;
	size_t n = 0;

	kst_frame_leaf(&f, t->regs.rip, t->regs.rsp, t->regs.rbp);
	*reason = KSTRATA_REASON_DEPTH;
	while (n < max) {
		const struct kstrata_rule *rule;
		uint8_t aux;

		frames[n++] = f.pc;
		rule = rule_of(w, t, kst_frame_place(&f), &aux);
		*reason = KST_CODE_SILENT;
		if (rule && rule->cfa != KSTRATA_CFA_NONE)
			*reason = kst_unwind_rule(&f, rule, aux, KST_X86_64,
						  read_word, leaf_register, t);
		else if (f.flags & KST_FRAME_LEAF)
			*reason = kst_unwind_code(&f, KST_X86_64, read_word,
						  leaf_register, t);
		if (*reason == KST_CODE_SILENT)
			*reason = kst_unwind_fp(&f, KST_X86_64, read_word, t);
		if (*reason)
			break;
	}
	return n;
}

bool walker_covers(struct walker *w, struct tracee *t, uint64_t pc)
{
	const struct kstrata_rule *rule;
	uint8_t aux;

	rule = rule_of(w, t, pc, &aux);
	return rule && rule->cfa != KSTRATA_CFA_NONE;
}

const char *walker_reason(uint8_t reason)
{
	static const char *const names[] = {
		[KSTRATA_REASON_NONE] = "none",
		[KSTRATA_REASON_COMPLETE] = "ends-early",
		[KSTRATA_REASON_DEPTH] = "depth",
		[KSTRATA_REASON_FAULT] = "fault",
		[KSTRATA_REASON_BAD_FRAME] = "bad-frame",
		[KSTRATA_REASON_UNSUPPORTED] = "unsupported",
		[KSTRATA_REASON_NO_ROWS] = "no-rows",
		[KSTRATA_REASON_BAD_RULE] = "bad-rule",
		[KSTRATA_REASON_NOT_RESIDENT] = "not-resident",
	};

	return reason < sizeof(names) / sizeof(names[0]) && names[reason] ?
		names[reason] : "?";
}
