// SPDX-License-Identifier: Apache-2.0
/*
 * symbol/cfi on made-up call frame information. Every table must be one by the kernel's
 * own rules.
 */
#include "scratch.h"

#include "symbol/cfi.h"

#include <elf.h>

#include <kstrata/rowcheck.h>

#define CODE 0x1000 /* offset in the file of made-up code */
#define BASE 0x400000 /* and where it is mapped, less that offset */
#define CODE_BYTES 0x1000

struct made {
	uint8_t bytes[1 << 20];
	size_t len, frame_at, fde_at;
	uint16_t machine;
	bool debug; /* .debug_frame */
	struct cfi_table table;
	struct cfi_report report;
};

static void put(struct made *m, const void *data, size_t len)
{
	assert_true(m->len + len <= sizeof(m->bytes));
	memcpy(m->bytes + m->len, data, len);
	m->len += len;
}

static void put_u8(struct made *m, uint8_t v)
{
	put(m, &v, sizeof(v));
}

static void put_u32(struct made *m, uint32_t v)
{
	put(m, &v, sizeof(v));
}

static void put_u64(struct made *m, uint64_t v)
{
	put(m, &v, sizeof(v));
}

static void put_uleb(struct made *m, uint64_t v)
{
	do {
		put_u8(m, (uint8_t)((v & 0x7f) | (v > 0x7f ? 0x80 : 0)));
		v >>= 7;
	} while (v);
}

/* The length that was left out, and padding that does nothing. */
static void end_entry(struct made *m, size_t at)
{
	uint32_t len;

	while ((m->len - at) % 8)
		put_u8(m, 0);
	len = (uint32_t)(m->len - at - 4);
	memcpy(m->bytes + at, &len, sizeof(len));
}

/* A file of code and a CIE; augmentation: after "zR", "S" or nothing. */
static struct made *make(uint16_t machine, bool debug, const char *augmentation)
{
	struct made *m = calloc(1, sizeof(*m));
	const Elf64_Ehdr ehdr = {
		.e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, 1 },
		.e_type = ET_DYN, .e_machine = machine, .e_version = 1,
		.e_ehsize = sizeof(Elf64_Ehdr), .e_phoff = sizeof(Elf64_Ehdr),
		.e_phentsize = sizeof(Elf64_Phdr), .e_phnum = 1,
		.e_shentsize = sizeof(Elf64_Shdr),
	};
	const Elf64_Phdr phdr = {
		.p_type = PT_LOAD, .p_flags = PF_R | PF_X, .p_offset = CODE,
		.p_vaddr = BASE + CODE, .p_filesz = CODE_BYTES,
		.p_memsz = CODE_BYTES,
	};
	size_t at;

	assert_non_null(m);
	m->machine = machine;
	m->debug = debug;
	put(m, &ehdr, sizeof(ehdr));
	put(m, &phdr, sizeof(phdr));
	m->len = CODE;
	/* Something that is no padding. */
	memset(m->bytes + CODE, 0x99, CODE_BYTES);
	m->len = m->frame_at = at = CODE + CODE_BYTES;
	put_u32(m, 0);
	put_u32(m, debug ? UINT32_MAX : 0);
	put_u8(m, debug ? 4 : 1);
	if (debug) {
		put(m, "\0\x08", 3); /* no augmentation, 8 bytes, no segments */
	} else {
		put(m, "zR", 2);
		put(m, augmentation, strlen(augmentation) + 1);
	}
	put_uleb(m, machine == EM_AARCH64 ? 4 : 1);
	put_u8(m, 0x78); /* -8 */
	put_uleb(m, machine == EM_AARCH64 ? 30 : 16);
	if (!debug) {
		put_uleb(m, 1);
		put_u8(m, 0x1b); /* pcrel sdata4 */
	}
	if (machine == EM_AARCH64)
		put(m, "\x0c\x1f\x00", 3); /* def_cfa sp+0 */
	else
		put(m, "\x0c\x07\x08\x90\x01", 5); /* rsp+8, ra at c-8 */
	end_entry(m, at);
	return m;
}

/* An FDE for code from start (within the code) on. */
static void fde(struct made *m, uint32_t start, uint32_t len, const void *code,
		size_t code_len)
{
	size_t at = m->fde_at = m->len;

	put_u32(m, 0);
	if (m->debug) {
		put_u32(m, 0);
		put_u64(m, BASE + CODE + start);
		put_u64(m, len);
	} else {
		put_u32(m, (uint32_t)(m->len - m->frame_at));
		/* The section is mapped right behind the code. */
		put_u32(m, CODE + start - (uint32_t)m->len);
		put_u32(m, len);
		put_u8(m, 0);
	}
	put(m, code, code_len);
	end_entry(m, at);
}

#define FDE(m, start, len, code) fde(m, start, len, code, sizeof(code) - 1)

static void check_table(const struct cfi_table *t, uint16_t machine)
{
	assert_int_equal(kst_rows_check(t->bytes, t->size, machine), 0);
}

static int compile_image(struct made *m)
{
	int r;

	cfi_table_release(&m->table);
	r = cfi_compile_image(m->bytes, m->len, &m->table, &m->report);
	if (r < 0)
		assert_non_null(m->report.why);
	else
		check_table(&m->table, m->machine);
	return r;
}

/* The sections' headers, and the compiler. */
static int compile(struct made *m)
{
	static const char names[] = "\0.eh_frame\0.debug_frame\0.names";
	Elf64_Shdr s[3] = {
		[1] = {
			.sh_name = m->debug ? 11 : 1, .sh_type = SHT_PROGBITS,
			.sh_addr = BASE + m->frame_at,
			.sh_offset = m->frame_at, .sh_size = m->len - m->frame_at,
		},
		[2] = {
			.sh_name = 24, .sh_type = SHT_STRTAB,
			.sh_offset = m->len, .sh_size = sizeof(names),
		},
	};
	Elf64_Ehdr h;

	put(m, names, sizeof(names));
	memcpy(&h, m->bytes, sizeof(h));
	h.e_shoff = m->len;
	h.e_shnum = 3;
	h.e_shstrndx = 2;
	memcpy(m->bytes, &h, sizeof(h));
	put(m, s, sizeof(s));
	return compile_image(m);
}

static void drop(struct made *m)
{
	cfi_table_release(&m->table);
	free(m);
}

/* The rule at a place in the code. */
static const struct kstrata_rule *rule_at(const struct made *m, uint64_t at)
{
	static const struct kstrata_rule none;
	const struct kstrata_rule *rule;
	struct kst_rows_view v;

	kst_rows_view(&v, m->table.bytes);
	rule = kst_rows_find(&v, CODE + at);
	return rule ? rule : &none;
}

#define CFA(m, at) (rule_at(m, at)->cfa)

static void assert_reg(const struct made *m, uint64_t at, uint8_t reg,
		       int32_t offset)
{
	assert_int_equal(CFA(m, at), KSTRATA_CFA_REG);
	assert_int_equal(rule_at(m, at)->reg, reg);
	assert_int_equal(rule_at(m, at)->offset, offset);
}

static void assert_save(const struct kstrata_save *s, uint8_t how, uint8_t reg,
			int32_t offset)
{
	assert_int_equal(s->how, how);
	assert_int_equal(s->reg, reg);
	assert_int_equal(s->offset, offset);
}

/* push %rbp; mov %rsp,%rbp; ...; leave; ret, with code behind the ret */
#define FRAME "\x41\x0e\x10\x86\x02\x43\x0d\x06\x5c\x0a\xc6\x0c\x07\x08\x41\x0b"

static void test_function(void **state)
{
	for (int debug = 0; debug < 2; debug++) {
		struct made *m = make(EM_X86_64, debug, "");

		FDE(m, 0x10, 0x40, FRAME);
		assert_int_equal(compile(m), 0);
		assert_int_equal(CFA(m, 0xf), KSTRATA_CFA_NONE);
		assert_reg(m, 0x10, 7, 8);
		assert_reg(m, 0x11, 7, 16);
		assert_save(&rule_at(m, 0x11)->fp, KSTRATA_SAVE_AT_CFA, 0, -16);
		assert_reg(m, 0x14, 6, 16);
		assert_reg(m, 0x2f, 6, 16);
		assert_reg(m, 0x30, 7, 8);
		assert_save(&rule_at(m, 0x30)->fp, KSTRATA_SAVE_SAME, 0, 0);
		assert_save(&rule_at(m, 0x30)->ra, KSTRATA_SAVE_AT_CFA, 0, -8);
		assert_reg(m, 0x31, 6, 16);
		assert_reg(m, 0x4f, 6, 16);
		assert_int_equal(CFA(m, 0x50), KSTRATA_CFA_NONE);
		assert_int_equal(m->report.rows, 5);
		assert_int_equal(m->report.covered, 0x40);
		assert_int_equal(m->report.sources, debug ? CFI_FROM_DEBUG_FRAME :
							    CFI_FROM_EH_FRAME);
		drop(m);
	}
	(void)state;
}

static void test_arm64(void **state)
{
	struct made *m = make(EM_AARCH64, false, "B");

	/* negate_ra_state; stp x29,x30,[sp,#-32]!; ldp */
	FDE(m, 0x20, 0x20, "\x41\x2d\x41\x0e\x20\x9d\x04\x9e\x03\x42\xde\xdd\x0e\x00");
	assert_int_equal(compile(m), 0);
	assert_reg(m, 0x20, 31, 0);
	assert_save(&rule_at(m, 0x20)->ra, KSTRATA_SAVE_SAME, 0, 0);
	assert_reg(m, 0x24, 31, 0);
	assert_reg(m, 0x28, 31, 32);
	assert_save(&rule_at(m, 0x28)->ra, KSTRATA_SAVE_AT_CFA, 0, -24);
	assert_save(&rule_at(m, 0x28)->fp, KSTRATA_SAVE_AT_CFA, 0, -32);
	assert_reg(m, 0x30, 31, 0);
	assert_save(&rule_at(m, 0x30)->ra, KSTRATA_SAVE_SAME, 0, 0);
	drop(m);
	(void)state;
}

/* Which holes are code: two functions with these bytes between them. */
static void test_holes(void **state)
{
	static const struct {
		uint16_t machine;
		const char *bytes;
		size_t len;
		bool padding;
	} holes[] = {
#define HOLE(machine, bytes, padding) { machine, bytes, sizeof(bytes) - 1, padding }
		HOLE(EM_X86_64, "\x90", true),
		HOLE(EM_X86_64, "\xcc\xcc\xcc", true),
		HOLE(EM_X86_64, "\0\0\0\0\0\0\0\0", true),
		HOLE(EM_X86_64, "\x0f\x1f\x40\0\x66\x90", true),
		HOLE(EM_X86_64, "\x66\x66\x2e\x0f\x1f\x84\0\0\0\0\0\x0f\x1f\0", true),
		HOLE(EM_X86_64, "\x66\x0f\x1f\x44\0\0\x0f\x1f\x80\0\0\0\0", true),
		HOLE(EM_X86_64, "\x90\xc3", false),
		HOLE(EM_X86_64, "\xf3\x0f\x1e\xfa", false),
		HOLE(EM_X86_64, "\x0f\x1f", false),
		HOLE(EM_AARCH64, "\x1f\x20\x03\xd5\x1f\x20\x03\xd5", true),
		HOLE(EM_AARCH64, "\0\0\0\0", true),
		HOLE(EM_AARCH64, "\x1f\x20\x03\xd5\xc0\x03\x5f\xd6", false),
	};

	for (size_t i = 0; i < ARRAY_SIZE(holes); i++) {
		struct made *m = make(holes[i].machine, false, "");

		memcpy(m->bytes + CODE + 0x20, holes[i].bytes, holes[i].len);
		FDE(m, 0x20 + (uint32_t)holes[i].len, 0x10, "\x41\x0e\x20");
		FDE(m, 0x10, 0x10, "\x41\x0e\x30");
		assert_int_equal(compile(m), 0);
		assert_int_equal(rule_at(m, 0x1f)->offset, 0x30);
		assert_int_equal(CFA(m, 0x20), holes[i].padding ?
						       KSTRATA_CFA_REG :
						       KSTRATA_CFA_NONE);
		assert_int_equal(m->report.rows, holes[i].padding ? 4 : 5);
		drop(m);
	}
	(void)state;
}

static void test_expressions(void **state)
{
	struct made *m = make(EM_X86_64, false, "");

	/* GNU ld's, for a PLT */
	FDE(m, 0x00, 0x10, "\x0f\x0b\x77\x08\x80\x00\x3f\x1a\x3b\x2a\x33\x24\x22");
	/* breg6 -8; deref; then of rbp: the word at rbp + 0 */
	FDE(m, 0x10, 0x10, "\x0f\x03\x76\x78\x06\x10\x06\x02\x76\x00");
	/* breg7 16; deref; plus_uconst 8 */
	FDE(m, 0x20, 0x10, "\x0f\x05\x77\x10\x06\x23\x08");
	/* rsp + 8 r9 + 24; deref; plus_uconst 8 */
	FDE(m, 0x30, 0x10, "\x0f\x0b\x77\x18\x79\x00\x38\x1e\x22\x06\x23\x08\x96");
	/* two loads: nothing that a rule says */
	FDE(m, 0x40, 0x10, "\x0f\x04\x77\x00\x06\x06");
	/* rsp + 40, as an expression; ra is the word there; fp: rdi - 1 */
	FDE(m, 0x50, 0x10,
	    "\x0f\x04\x77\x20\x23\x08\x10\x10\x02\x77\x28\x16\x06\x02\x75\x7f");
	/* fp: what two loads give; known otherwise */
	FDE(m, 0x60, 0x10, "\x10\x06\x04\x77\x00\x06\x06");
	/* A register takes over where an expression was; the offset stays. */
	FDE(m, 0x70, 0x10, "\x0e\x38\x0f\x03\x77\x10\x06\x44\x0d\x07");
	assert_int_equal(compile(m), 0);
	assert_int_equal(CFA(m, 0), KSTRATA_CFA_PLT);
	assert_int_equal(rule_at(m, 0)->reg, 7);
	assert_int_equal(rule_at(m, 0)->offset, 8);
	assert_int_equal(rule_at(m, 0)->add, 11);
	assert_int_equal(CFA(m, 0x10), KSTRATA_CFA_DEREF);
	assert_int_equal(rule_at(m, 0x10)->reg, 6);
	assert_int_equal(rule_at(m, 0x10)->offset, -8);
	assert_int_equal(rule_at(m, 0x10)->add, 0);
	assert_save(&rule_at(m, 0x10)->fp, KSTRATA_SAVE_AT_REG, 6, 0);
	assert_int_equal(CFA(m, 0x20), KSTRATA_CFA_DEREF);
	assert_int_equal(rule_at(m, 0x20)->offset, 16);
	assert_int_equal(rule_at(m, 0x20)->add, 8);
	assert_int_equal(CFA(m, 0x30), KSTRATA_CFA_INDEX);
	assert_int_equal(rule_at(m, 0x30)->reg, 7);
	assert_int_equal(rule_at(m, 0x30)->index, 9);
	assert_int_equal(rule_at(m, 0x30)->offset, 24);
	assert_int_equal(rule_at(m, 0x30)->add, 8);
	assert_int_equal(CFA(m, 0x40), KSTRATA_CFA_BAD);
	assert_int_equal(m->report.bad[CFI_BAD_CFA_EXPRESSION], 1);
	assert_reg(m, 0x50, 7, 40);
	assert_save(&rule_at(m, 0x50)->ra, KSTRATA_SAVE_AT_REG, 7, 40);
	assert_save(&rule_at(m, 0x50)->fp, KSTRATA_SAVE_IS_REG, 5, -1);
	assert_reg(m, 0x60, 7, 8);
	assert_save(&rule_at(m, 0x60)->fp, KSTRATA_SAVE_LOST, 0, 0);
	assert_int_equal(m->report.bad[CFI_BAD_FP], 1);
	assert_int_equal(CFA(m, 0x70), KSTRATA_CFA_DEREF);
	assert_reg(m, 0x74, 7, 0x38);
	drop(m);
	(void)state;
}

static void test_registers(void **state)
{
	struct made *m = make(EM_X86_64, false, "");

	/* undefined ra: the end */
	FDE(m, 0x00, 0x10, "\x07\x10");
	/* longjmp: CFA is rdi, but SP, fp and ra come from r8, r9 and rdx */
	FDE(m, 0x10, 0x10, "\x0c\x05\x00\x09\x07\x08\x09\x06\x09\x09\x10\x01");
	/* SP and ra are words of what rdi points to, 48 and 56 into it */
	FDE(m, 0x20, 0x10, "\x0c\x05\x00\x11\x07\x7a\x11\x10\x79");
	/* val_offset: fp is CFA - 16; ra was lost, and found again */
	FDE(m, 0x30, 0x10, "\x14\x06\x02\x08\x10\x44\xd0");
	/* a CFA in a register of no use: xmm0 */
	FDE(m, 0x40, 0x10, "\x0d\x11");
	assert_int_equal(compile(m), 0);
	assert_int_equal(CFA(m, 0), KSTRATA_CFA_END);
	assert_reg(m, 0x10, 8, 0);
	assert_save(&rule_at(m, 0x10)->fp, KSTRATA_SAVE_IS_REG, 9, 0);
	assert_save(&rule_at(m, 0x10)->ra, KSTRATA_SAVE_IS_REG, 1, 0);
	assert_int_equal(CFA(m, 0x20), KSTRATA_CFA_DEREF);
	assert_int_equal(rule_at(m, 0x20)->reg, 5);
	assert_int_equal(rule_at(m, 0x20)->offset, 48);
	assert_save(&rule_at(m, 0x20)->ra, KSTRATA_SAVE_AT_REG, 5, 56);
	/* No register keeps it at entry on x86-64: same says nothing. */
	assert_int_equal(CFA(m, 0x30), KSTRATA_CFA_BAD);
	assert_int_equal(m->report.bad[CFI_BAD_RA], 1);
	assert_reg(m, 0x34, 7, 8);
	assert_save(&rule_at(m, 0x34)->fp, KSTRATA_SAVE_IS_CFA, 0, -16);
	assert_int_equal(CFA(m, 0x40), KSTRATA_CFA_BAD);
	assert_int_equal(m->report.bad[CFI_BAD_CFA_REGISTER], 1);
	drop(m);
	(void)state;
}

/* rbx holds the CFA: of no use to callers' rows unless something is called. */
static void test_aux(void **state)
{
	for (int calls = 0; calls < 2; calls++) {
		struct made *m = make(EM_X86_64, false, "");

		/* push %rbx; mov %rsp,%rbx; here CFA = rbx + 16 */
		FDE(m, 0x00, 0x20, "\x41\x0e\x10\x83\x02\x43\x0d\x03");
		FDE(m, 0x20, 0x20, "\x41\x0e\x10\x83\x02");
		memcpy(m->bytes + CODE + 8, "\xe8\x10\0\0\0", 5);
		if (!calls)
			m->bytes[CODE + 8] = 0x99;
		assert_int_equal(compile(m), 0);
		assert_int_equal(m->report.aux,
				 calls ? 3 : KSTRATA_ROWS_AUX_NONE);
		assert_reg(m, 0x8, 3, 16);
		assert_save(&rule_at(m, 0x28)->aux,
			    calls ? KSTRATA_SAVE_AT_CFA : KSTRATA_SAVE_SAME, 0,
			    calls ? -16 : 0);
		drop(m);
	}
	(void)state;
}

static void test_trampolines(void **state)
{
	static const char x86[] = "\x48\xc7\xc0\x0f\0\0\0\x0f\x05";
	static const char arm64[] = "\x68\x11\x80\xd2\x01\0\0\xd4";
	struct made *m;

	/* Where nothing speaks of them. */
	m = make(EM_X86_64, false, "");
	memcpy(m->bytes + CODE + 0x41, x86, sizeof(x86) - 1);
	FDE(m, 0x10, 0x10, "");
	assert_int_equal(compile(m), 0);
	assert_int_equal(CFA(m, 0x3f), KSTRATA_CFA_NONE);
	assert_int_equal(CFA(m, 0x40), KSTRATA_CFA_SIGNAL);
	assert_int_equal(CFA(m, 0x49), KSTRATA_CFA_SIGNAL);
	assert_int_equal(CFA(m, 0x4a), KSTRATA_CFA_NONE);
	drop(m);
	m = make(EM_AARCH64, false, "");
	memcpy(m->bytes + CODE + 0x44, arm64, sizeof(arm64) - 1);
	FDE(m, 0x10, 0x10, "");
	assert_int_equal(compile(m), 0);
	assert_int_equal(CFA(m, 0x3f), KSTRATA_CFA_NONE);
	assert_int_equal(CFA(m, 0x40), KSTRATA_CFA_SIGNAL);
	assert_int_equal(CFA(m, 0x4b), KSTRATA_CFA_SIGNAL);
	assert_int_equal(CFA(m, 0x4c), KSTRATA_CFA_NONE);
	drop(m);
	/* As glibc has them: marked, and begun a byte early. */
	m = make(EM_X86_64, false, "S");
	memcpy(m->bytes + CODE + 0x41, x86, sizeof(x86) - 1);
	FDE(m, 0x40, 10, "\x0f\x03\x77\xa0\x01");
	/* Marked for another reason: its own rules hold. */
	FDE(m, 0x80, 0x10, "");
	assert_int_equal(compile(m), 0);
	assert_int_equal(CFA(m, 0x3f), KSTRATA_CFA_NONE);
	assert_int_equal(CFA(m, 0x40), KSTRATA_CFA_SIGNAL);
	assert_int_equal(CFA(m, 0x49), KSTRATA_CFA_SIGNAL);
	assert_int_equal(CFA(m, 0x4a), KSTRATA_CFA_NONE);
	assert_reg(m, 0x80, 7, 8);
	drop(m);
	/* As musl might: not marked, and begun where it begins. */
	m = make(EM_X86_64, false, "");
	memcpy(m->bytes + CODE + 0x41, x86, sizeof(x86) - 1);
	FDE(m, 0x41, 9, "");
	FDE(m, 0x20, 0x10, "");
	assert_int_equal(compile(m), 0);
	assert_int_equal(CFA(m, 0x3f), KSTRATA_CFA_NONE);
	assert_int_equal(CFA(m, 0x40), KSTRATA_CFA_SIGNAL);
	assert_int_equal(CFA(m, 0x49), KSTRATA_CFA_SIGNAL);
	drop(m);
	(void)state;
}

/* Nested, chained and equal ones; what is behind an inner one is the outer's. */
static void test_overlaps(void **state)
{
	struct made *m = make(EM_X86_64, false, "");

	FDE(m, 0x00, 0x100, "\x0e\x10");
	FDE(m, 0x40, 0x40, "\x0e\x18");
	FDE(m, 0x60, 0x40, "\x0e\x20");
	FDE(m, 0x20, 0x10, "\x0e\x28");
	FDE(m, 0x20, 0x10, "\x0e\x30");
	assert_int_equal(compile(m), 0);
	assert_reg(m, 0x00, 7, 0x10);
	assert_reg(m, 0x20, 7, 0x28);
	assert_reg(m, 0x30, 7, 0x10);
	assert_reg(m, 0x40, 7, 0x18);
	assert_reg(m, 0x60, 7, 0x20);
	assert_reg(m, 0x80, 7, 0x20);
	assert_reg(m, 0xa0, 7, 0x10);
	assert_reg(m, 0xff, 7, 0x10);
	assert_int_equal(CFA(m, 0x100), KSTRATA_CFA_NONE);
	assert_int_equal(m->report.covered, 0x100);
	drop(m);
	(void)state;
}

/* Instructions that make no sense: good up to there, then BAD. */
static void test_nonsense(void **state)
{
	static const struct {
		const char *code;
		size_t len;
	} codes[] = {
#define CODE_OF(s) { "\x0e\x10\x44" s, sizeof("\x0e\x10\x44" s) - 1 }
		CODE_OF("\x3f"),			/* no such thing */
		CODE_OF("\x0b"),			/* nothing remembered */
		CODE_OF("\x0e"
			"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80"
			"\x80\x80\x80\x80\x80\x80\x80\x80\x01"), /* endless */
		CODE_OF("\x0f\x7f"),			/* longer than all */
		CODE_OF("\x01\0\0\0\x80"),		/* back to before it */
		CODE_OF("\x05\x06\xff\xff\xff\xff\xff\xff\xff\xff\x7f"),
		CODE_OF("\x0a\x0a\x0a\x0a\x0a\x0a\x0a\x0a\x0a\x0a\x0a\x0a\x0a"
			"\x0a\x0a\x0a\x0a\x0a\x0a\x0a\x0a\x0a\x0a\x0a\x0a\x0a"
			"\x0a\x0a\x0a\x0a\x0a\x0a\x0a\x0a\x0a\x0a\x0a\x0a\x0a"
			"\x0a\x0a\x0a\x0a\x0a\x0a\x0a\x0a\x0a\x0a\x0a\x0a\x0a"
			"\x0a\x0a\x0a\x0a\x0a\x0a\x0a\x0a\x0a\x0a\x0a\x0a\x0a"),
	};

	for (size_t i = 0; i < ARRAY_SIZE(codes); i++) {
		struct made *m = make(EM_X86_64, false, "");

		fde(m, 0x10, 0x20, codes[i].code, codes[i].len);
		FDE(m, 0x40, 0x10, "");
		assert_int_equal(compile(m), 0);
		assert_reg(m, 0x10, 7, 16);
		assert_int_equal(CFA(m, 0x14), KSTRATA_CFA_BAD);
		assert_int_equal(CFA(m, 0x2f), KSTRATA_CFA_BAD);
		assert_reg(m, 0x40, 7, 8);
		assert_int_equal(m->report.bad[CFI_BAD_PROGRAM], 1);
		drop(m);
	}
	(void)state;
}

/* One row a byte, each with a rule of its own. */
static void test_many_rules(void **state)
{
	struct made *m = make(EM_X86_64, false, "");
	struct made *code = calloc(1, sizeof(*code));

	assert_non_null(code);
	for (uint32_t i = 0; i < 1000; i++) {
		put(code, "\x0e", 1);
		put_uleb(code, 8 + 8 * i);
		put(code, "\x41", 1);
	}
	fde(m, 0, 1000, code->bytes, code->len);
	assert_int_equal(compile(m), 0);
	assert_int_equal(m->report.rows, 1000);
	assert_int_equal(m->report.rules, 1000);
	assert_int_equal(m->report.rare, 1000 - 255);
	for (uint32_t i = 0; i < 1000; i++)
		assert_reg(m, i, 7, 8 + 8 * (int32_t)i);
	drop(m);
	free(code);
	(void)state;
}

static void test_refused(void **state)
{
	struct made *m = make(EM_X86_64, false, "");
	static const struct {
		size_t at;
		uint8_t v;
		int err;
	} changes[] = {
		{ 0, 0, -ENOEXEC },
		{ EI_CLASS, ELFCLASS32, -EOPNOTSUPP },
		{ EI_DATA, ELFDATA2MSB, -EOPNOTSUPP },
		{ offsetof(Elf64_Ehdr, e_machine), EM_386, -EOPNOTSUPP },
		{ offsetof(Elf64_Ehdr, e_phentsize), 1, -ENOEXEC },
		{ offsetof(Elf64_Ehdr, e_phnum), 0, -ENODATA },
	};

	/* No headers of sections, and none that says where frames are. */
	assert_int_equal(compile_image(m), -ENODATA);
	FDE(m, 0, 0x10, "");
	assert_int_equal(compile(m), 0);
	for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
		uint8_t was = m->bytes[changes[i].at];

		m->bytes[changes[i].at] = changes[i].v;
		assert_int_equal(compile_image(m), changes[i].err);
		m->bytes[changes[i].at] = was;
	}
	m->len = 100;
	assert_int_equal(compile_image(m), -ENOEXEC);
	m->len = 0;
	assert_int_equal(compile_image(m), -ENOEXEC);
	drop(m);
	(void)state;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_function),
		cmocka_unit_test(test_arm64),
		cmocka_unit_test(test_holes),
		cmocka_unit_test(test_expressions),
		cmocka_unit_test(test_registers),
		cmocka_unit_test(test_aux),
		cmocka_unit_test(test_trampolines),
		cmocka_unit_test(test_overlaps),
		cmocka_unit_test(test_nonsense),
		cmocka_unit_test(test_many_rules),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
