// SPDX-License-Identifier: Apache-2.0
#include "oracle_values.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>

#define STACK_MAX 64

static const char *const x86_names[] = {
	"rax", "rdx", "rcx", "rbx", "rsi", "rdi", "rbp", "rsp", "r8",
	"r9", "r10", "r11", "r12", "r13", "r14", "r15", "rip",
};

static const char *const arm64_names[] = {
	"x0",  "x1",  "x2",  "x3",  "x4",  "x5",  "x6",	 "x7",	"x8",  "x9",  "x10",
	"x11", "x12", "x13", "x14", "x15", "x16", "x17", "x18", "x19", "x20", "x21",
	"x22", "x23", "x24", "x25", "x26", "x27", "x28", "x29", "x30", "sp",
};

/* Where x86-64's rt_sigframe, without the return address, has each register. */
static const uint8_t x86_signal[] = {
	144, 136, 152, 128, 112, 104, 120, 160, 40, 48, 56, 64, 72, 80, 88, 96, 168,
};

const char *oracle_register_name(uint16_t machine, unsigned int number)
{
	if (machine == EM_X86_64)
		return number < 17 ? x86_names[number] : NULL;
	return number < 32 ? arm64_names[number] : NULL;
}

int oracle_register(uint16_t machine, const char *name, size_t len)
{
	for (unsigned int i = 0; i < 32; i++) {
		const char *is = oracle_register_name(machine, i);

		if (is && strlen(is) == len && !strncmp(is, name, len))
			return (int)i;
	}
	return -1;
}

static uint64_t mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
	x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
	return x ^ (x >> 31);
}

void noise_make(struct noise *n, unsigned int seed)
{
	uint64_t x = mix(seed);

	for (unsigned int i = 0; i < 33; i++)
		n->reg[i] = x = mix(x);
	n->memory = mix(x);
	n->pc = 0;
}

uint64_t noise_memory(const struct noise *n, uint64_t address)
{
	return mix(address ^ n->memory);
}

static uint64_t register_value(const struct noise *n, uint16_t machine, unsigned int r)
{
	if (machine == EM_X86_64 && r == 16)
		return n->pc;
	return n->reg[r];
}

static const struct value unreadable = { VALUE_UNREADABLE, 0 };

static struct value known(uint64_t x)
{
	return (struct value){ VALUE_KNOWN, x };
}

struct machine_stack {
	uint64_t at[STACK_MAX];
	unsigned int depth;
	bool bad;
};

static void push(struct machine_stack *s, uint64_t x)
{
	if (s->depth == STACK_MAX)
		s->bad = true;
	else
		s->at[s->depth++] = x;
}

static uint64_t pop(struct machine_stack *s)
{
	if (!s->depth) {
		s->bad = true;
		return 0;
	}
	return s->at[--s->depth];
}

static bool two_operands(struct machine_stack *s, const char *op, size_t len)
{
	static const char *const names[] = { "plus", "minus", "mul", "and", "or", "xor",
					     "shl", "shr", "shra", "eq", "ne", "ge",
					     "gt", "le", "lt" };
	uint64_t a, b;
	unsigned int i = 0;

	while (i < 15 && (strlen(names[i]) != len || strncmp(names[i], op, len)))
		i++;
	if (i == 15)
		return false;
	b = pop(s);
	a = pop(s);
	switch (i) {
	case 0: push(s, a + b); break;
	case 1: push(s, a - b); break;
	case 2: push(s, a * b); break;
	case 3: push(s, a & b); break;
	case 4: push(s, a | b); break;
	case 5: push(s, a ^ b); break;
	case 6: push(s, b > 63 ? 0 : a << b); break;
	case 7: push(s, b > 63 ? 0 : a >> b); break;
	case 8: push(s, (uint64_t)((int64_t)a >> (b & 63))); break;
	case 9: push(s, a == b); break;
	case 10: push(s, a != b); break;
	case 11: push(s, (int64_t)a >= (int64_t)b); break;
	case 12: push(s, (int64_t)a > (int64_t)b); break;
	case 13: push(s, (int64_t)a <= (int64_t)b); break;
	case 14: push(s, (int64_t)a < (int64_t)b); break;
	}
	return true;
}

/* One operation without its DW_OP_: "breg7 (rsp): 8", "plus_uconst: 8", "deref". */
static void operate(struct machine_stack *s, const char *op, const struct noise *n,
		    uint16_t machine)
{
	size_t len = strcspn(op, " :;");
	const char *colon = memchr(op, ':', strcspn(op, ";"));
	long long number = colon ? strtoll(colon + 1, NULL, 0) : 0;
	uint64_t a, b;

	if (!strncmp(op, "breg", 4) && op[4] >= '0' && op[4] <= '9') {
		unsigned long r = strtoul(op + 4, NULL, 10);

		if (r > 32)
			s->bad = true;
		else
			push(s, register_value(n, machine, (unsigned int)r) +
				(uint64_t)number);
	} else if (!strncmp(op, "lit", 3)) {
		push(s, strtoull(op + 3, NULL, 10));
	} else if (!strncmp(op, "const", 5)) {
		push(s, (uint64_t)number);
	} else if (!strncmp(op, "plus_uconst", len) && len == 11) {
		push(s, pop(s) + (uint64_t)number);
	} else if (!strncmp(op, "deref", len) && len == 5) {
		push(s, noise_memory(n, pop(s)));
	} else if (!strncmp(op, "drop", len) && len == 4) {
		pop(s);
	} else if (!strncmp(op, "dup", len) && len == 3) {
		a = pop(s);
		push(s, a);
		push(s, a);
	} else if (!strncmp(op, "swap", len) && len == 4) {
		b = pop(s);
		a = pop(s);
		push(s, b);
		push(s, a);
	} else if (!strncmp(op, "neg", len) && len == 3) {
		push(s, -pop(s));
	} else if (!strncmp(op, "not", len) && len == 3) {
		push(s, ~pop(s));
	} else if (!two_operands(s, op, len)) {
		s->bad = true;
	}
}

static struct value expression(const char *text, const struct noise *n, uint16_t machine,
			       const struct value *first)
{
	struct machine_stack s = { .depth = 0 };

	if (first)
		push(&s, first->is);
	while (text && *text && !s.bad) {
		if (strncmp(text, "DW_OP_", 6))
			return unreadable;
		operate(&s, text + 6, n, machine);
		text = strchr(text, ';');
		if (text)
			text += strspn(text, "; ");
	}
	return s.bad || !s.depth ? unreadable : known(pop(&s));
}

/* "rsp+8", "x29-16" */
static struct value register_plus(const char *text, const struct noise *n,
				  uint16_t machine)
{
	size_t len = strcspn(text, "+-");
	int r = oracle_register(machine, text, len);

	if (r < 0)
		return unreadable;
	return known(register_value(n, machine, (unsigned int)r) +
		     (uint64_t)strtoll(text + len, NULL, 10));
}

static struct value saved(const char *text, const struct noise *n, uint16_t machine,
			  const struct value *cfa)
{
	struct value v;

	if (!text || !strcmp(text, "same"))
		return (struct value){ VALUE_SAME, 0 };
	if (!strcmp(text, "undefined"))
		return (struct value){ VALUE_UNDEFINED, 0 };
	switch (text[0]) {
	case 'c':
		v = known(cfa->is + (uint64_t)strtoll(text + 1, NULL, 10));
		return known(noise_memory(n, v.is));
	case 'v':
		return known(cfa->is + (uint64_t)strtoll(text + 1, NULL, 10));
	case '@':
		v = expression(text + 1, n, machine, cfa);
		return v.known == VALUE_KNOWN ? known(noise_memory(n, v.is)) : v;
	case '=':
		return expression(text + 1, n, machine, cfa);
	}
	return register_plus(text, n, machine);
}

void oracle_frame(const struct oracle_rule *r, uint16_t machine, const struct noise *n,
		  struct frame *f)
{
	if (r->cfa[0] == '=')
		f->cfa = expression(r->cfa + 1, n, machine, NULL);
	else
		f->cfa = register_plus(r->cfa, n, machine);
	for (int i = 0; i < ORACLE_TRACKED; i++)
		f->of[i] = f->cfa.known == VALUE_KNOWN ?
				   saved(r->of[i], n, machine, &f->cfa) : unreadable;
}

bool oracle_needs_pc(const struct oracle_rule *r)
{
	bool needs = strstr(r->cfa, "rip") != NULL;

	for (int i = 0; i < ORACLE_TRACKED; i++)
		needs = needs || (r->of[i] && strstr(r->of[i], "(rip)"));
	return needs;
}

static struct value our_save(const struct kstrata_save *s, const struct noise *n,
			     uint16_t machine, uint64_t cfa)
{
	uint64_t offset = (uint64_t)(int64_t)s->offset;

	switch (s->how) {
	case KSTRATA_SAVE_SAME:
		return (struct value){ VALUE_SAME, 0 };
	case KSTRATA_SAVE_LOST:
		return (struct value){ VALUE_UNDEFINED, 0 };
	case KSTRATA_SAVE_AT_CFA:
		return known(noise_memory(n, cfa + offset));
	case KSTRATA_SAVE_IS_CFA:
		return known(cfa + offset);
	case KSTRATA_SAVE_AT_REG:
		return known(noise_memory(n, register_value(n, machine, s->reg) + offset));
	case KSTRATA_SAVE_IS_REG:
		return known(register_value(n, machine, s->reg) + offset);
	}
	return unreadable;
}

static void our_signal_frame(uint16_t machine, uint8_t aux, const struct noise *n,
			     struct frame *f)
{
	bool x86 = machine == EM_X86_64;
	unsigned int sp = x86 ? 7 : 31;
	const unsigned int regs[ORACLE_TRACKED] = {
		[ORACLE_RA] = x86 ? 16 : 32, /* arm64: pc is after sp there */
		[ORACLE_FP] = x86 ? 6 : 29,
		[ORACLE_AUX] = aux,
		[ORACLE_SP] = sp,
	};

	for (int i = 0; i < ORACLE_TRACKED; i++) {
		uint64_t place = n->reg[sp];

		if (regs[i] > 32) {
			f->of[i] = (struct value){ VALUE_SAME, 0 };
			continue;
		}
		place += x86 ? x86_signal[regs[i]] : 312 + 8 * regs[i];
		f->of[i] = known(noise_memory(n, place));
	}
	f->cfa = f->of[ORACLE_SP];
}

void our_frame(const struct kstrata_rule *r, uint16_t machine, uint8_t aux,
	       const struct noise *n, struct frame *f)
{
	uint64_t at, add = (uint64_t)(int64_t)r->add;

	if (r->cfa == KSTRATA_CFA_SIGNAL) {
		our_signal_frame(machine, aux, n, f);
		return;
	}
	at = register_value(n, machine, r->reg) + (uint64_t)(int64_t)r->offset;
	switch (r->cfa) {
	case KSTRATA_CFA_DEREF:
		at = noise_memory(n, at) + add;
		break;
	case KSTRATA_CFA_INDEX:
		at += 8 * register_value(n, machine, r->index);
		at = noise_memory(n, at) + add;
		break;
	case KSTRATA_CFA_PLT:
		at += n->pc % 16 >= add ? 8 : 0;
		break;
	}
	f->cfa = known(at);
	f->of[ORACLE_RA] = our_save(&r->ra, n, machine, at);
	f->of[ORACLE_FP] = our_save(&r->fp, n, machine, at);
	f->of[ORACLE_AUX] = our_save(&r->aux, n, machine, at);
	f->of[ORACLE_SP] = known(at);
}
