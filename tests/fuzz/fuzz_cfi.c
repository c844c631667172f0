// SPDX-License-Identifier: Apache-2.0
/*
 * symbol/cfi on any file, or on any section: what does not begin as an ELF file does
 * is the .eh_frame or .debug_frame of one. What is compiled must be a table by the
 * kernel's rules, and not be larger than its input can be worth. tests/fuzz/run.sh
 * builds and runs it.
 */
#include "symbol/cfi.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include <kstrata/rowcheck.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define CODE_BYTES 0x10000
#define CODE 0x1000

static void check(const void *image, size_t len)
{
	struct cfi_report report;
	struct cfi_table table;
	const struct kstrata_rows_table *t;
	struct kst_rows_view v;

	if (cfi_compile_image(image, len, &table, &report) < 0) {
		if (!report.why || table.bytes)
			__builtin_trap();
		return;
	}
	t = table.bytes;
	if (kst_rows_check(t, table.size, report.machine))
		__builtin_trap();
	/* Each row takes bytes of its own, and a rule and a block at most. */
	if (table.size > 4096 + len * 256)
		__builtin_trap();
	kst_rows_view(&v, t);
	for (uint64_t at = 0; at < t->extent; at += 1 + t->extent / 256)
		if (!kst_rows_find(&v, t->first + at))
			__builtin_trap();
	if (kst_rows_find(&v, t->first + t->extent))
		__builtin_trap();
	cfi_table_release(&table);
}

/* The first byte: bit 0 the machine, bit 1 which section. */
static void check_section(const uint8_t *data, size_t len)
{
	static const char names[] = "\0.eh_frame\0.debug_frame\0.names";
	bool debug = data[0] & 2;
	const Elf64_Ehdr ehdr = {
		.e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, 1 },
		.e_machine = data[0] & 1 ? EM_AARCH64 : EM_X86_64,
		.e_ehsize = sizeof(Elf64_Ehdr), .e_phoff = sizeof(Elf64_Ehdr),
		.e_phentsize = sizeof(Elf64_Phdr), .e_phnum = 1,
		.e_shentsize = sizeof(Elf64_Shdr), .e_shnum = 3,
		.e_shstrndx = 2, .e_shoff = 256,
	};
	const Elf64_Phdr phdr = {
		.p_type = PT_LOAD, .p_flags = PF_R | PF_X, .p_offset = CODE,
		.p_vaddr = CODE, .p_filesz = CODE_BYTES,
	};
	const Elf64_Shdr shdrs[3] = {
		[1] = {
			.sh_name = debug ? 11 : 1, .sh_type = SHT_PROGBITS,
			.sh_addr = CODE + CODE_BYTES,
			.sh_offset = CODE + CODE_BYTES, .sh_size = len - 1,
		},
		[2] = {
			.sh_name = 24, .sh_type = SHT_STRTAB, .sh_offset = 1024,
			.sh_size = sizeof(names),
		},
	};
	uint8_t *image = calloc(1, CODE + CODE_BYTES + len);

	if (!image)
		return;
	memcpy(image, &ehdr, sizeof(ehdr));
	memcpy(image + sizeof(ehdr), &phdr, sizeof(phdr));
	memcpy(image + 256, shdrs, sizeof(shdrs));
	memcpy(image + 1024, names, sizeof(names));
	memcpy(image + CODE + CODE_BYTES, data + 1, len - 1);
	check(image, CODE + CODE_BYTES + len - 1);
	free(image);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (len >= SELFMAG && !memcmp(data, ELFMAG, SELFMAG))
		check(data, len);
	else if (len > 1)
		check_section(data, len);
	return 0;
}
