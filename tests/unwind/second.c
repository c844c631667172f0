// SPDX-License-Identifier: Apache-2.0
#include <elfutils/libdwfl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "second.h"

struct second {
	Dwfl *dwfl;
	struct tracee *t;
	uint64_t *frames;
	size_t n;
	size_t max;
};

static pid_t next_thread(Dwfl *dwfl, void *arg, void **thread_arg)
{
	struct second *s = arg;

	(void)dwfl;
	if (*thread_arg)
		return 0;
	*thread_arg = s;
	return s->t->pid;
}

static bool get_thread(Dwfl *dwfl, pid_t tid, void *arg, void **thread_arg)
{
	struct second *s = arg;

	(void)dwfl;
	*thread_arg = s;
	return tid == s->t->pid;
}

static bool memory_read(Dwfl *dwfl, Dwarf_Addr at, Dwarf_Word *word, void *arg)
{
	struct second *s = arg;

	(void)dwfl;
	return tracee_read(s->t, at, word, sizeof(*word));
}

static bool set_registers(Dwfl_Thread *thread, void *arg)
{
	struct second *s = arg;
	Dwarf_Word regs[17];

	for (unsigned int i = 0; i < 17; i++) {
		uint64_t value = 0;

		tracee_register(s->t, i, &value);
		regs[i] = value;
	}
	return dwfl_thread_state_registers(thread, 0, 17, regs);
}

static const Dwfl_Thread_Callbacks thread_callbacks = {
	.next_thread = next_thread,
	.get_thread = get_thread,
	.memory_read = memory_read,
	.set_initial_registers = set_registers,
};

static int no_debuginfo(Dwfl_Module *mod, void **data, const char *name,
			Dwarf_Addr base, const char *file, const char *link,
			GElf_Word crc, char **found)
{
	(void)mod, (void)data, (void)name, (void)base, (void)file, (void)link;
	(void)crc, (void)found;
	return -1;
}

static const Dwfl_Callbacks callbacks = {
	.find_elf = dwfl_linux_proc_find_elf,
	.find_debuginfo = no_debuginfo,
};

static void attach(struct second *s)
{
	s->dwfl = dwfl_begin(&callbacks);
	if (!s->dwfl || dwfl_linux_proc_report(s->dwfl, s->t->pid) ||
	    dwfl_report_end(s->dwfl, NULL, NULL) ||
	    !dwfl_attach_state(s->dwfl, NULL, s->t->pid, &thread_callbacks, s)) {
		fprintf(stderr, "libdwfl: %s\n", dwfl_errmsg(-1));
		exit(2);
	}
}

struct second *second_new(struct tracee *t)
{
	struct second *s = calloc(1, sizeof(*s));

	if (!s)
		abort();
	s->t = t;
	return s;
}

void second_free(struct second *s)
{
	second_remapped(s);
	free(s);
}

void second_remapped(struct second *s)
{
	if (s->dwfl)
		dwfl_end(s->dwfl);
	s->dwfl = NULL;
}

static int frame(Dwfl_Frame *state, void *arg)
{
	struct second *s = arg;
	Dwarf_Addr pc;

	if (s->n == s->max || !dwfl_frame_pc(state, &pc, NULL))
		return DWARF_CB_ABORT;
	s->frames[s->n++] = pc;
	return DWARF_CB_OK;
}

size_t second_walk(struct second *s, struct tracee *t, uint64_t *frames, size_t max)
{
	s->t = t;
	if (!s->dwfl)
		attach(s);
	s->frames = frames;
	s->n = 0;
	s->max = max;
	dwfl_getthread_frames(s->dwfl, t->pid, frame, s);
	return s->n;
}

void second_name(struct second *s, struct tracee *t, uint64_t pc, bool offset,
		 char *name, size_t bytes)
{
	const char *file = "?", *symbol;
	Dwfl_Module *mod;
	GElf_Off off = 0;
	GElf_Sym sym;

	s->t = t;
	if (!s->dwfl)
		attach(s);
	mod = dwfl_addrmodule(s->dwfl, pc);
	if (!mod) {
		snprintf(name, bytes, "0x%lx", (unsigned long)pc);
		return;
	}
	file = dwfl_module_info(mod, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
	if (strrchr(file, '/'))
		file = strrchr(file, '/') + 1;
	symbol = dwfl_module_addrinfo(mod, pc, &off, &sym, NULL, NULL, NULL);
	if (symbol && offset)
		snprintf(name, bytes, "%s+0x%lx [%s]", symbol, (unsigned long)off,
			 file);
	else if (symbol)
		snprintf(name, bytes, "%s [%s]", symbol, file);
	if (!symbol) {
		dwfl_module_relocate_address(mod, &pc);
		snprintf(name, bytes, "0x%lx [%s]", (unsigned long)pc, file);
	}
}
