// SPDX-License-Identifier: Apache-2.0
/*
 * A stub jumps through its slot of the global offset table, and a relocation
 * says whose address the slot gets. We read the jump rather than count stubs:
 * which stub belongs to which relocation is up to the linker.
 */
#include "symbol/elfplt.h"

#include <errno.h>
#include <gelf.h>
#include <stdlib.h>
#include <string.h>

#define RELOCATIONS_MAX (1u << 20)
#define PLT_BYTES_MAX (16u << 20)
/* Large programs have tens of MB of .rela.dyn, for few .plt.got stubs. */
#define RELOCATION_BYTES_MAX (4u << 20)
#define NAME_LEN_MAX 16384

struct slot {
	uint64_t got; /* address */
	const char *name;
};

struct slots {
	struct slot *v;
	size_t nr, cap;
};

static int add_slot(struct slots *s, uint64_t got, const char *name)
{
	if (s->nr == s->cap) {
		size_t want = s->cap ? s->cap * 2 : 256;
		struct slot *v = realloc(s->v, want * sizeof(*v));

		if (!v)
			return -ENOMEM;
		s->v = v;
		s->cap = want;
	}
	s->v[s->nr++] = (struct slot){ got, name };
	return 0;
}

/* The dynamic symbols' table and names that a relocation section uses. */
static bool symbols_of(Elf *elf, const GElf_Shdr *rela, Elf_Data **symbols,
		       Elf_Data **strings)
{
	GElf_Shdr shdr;
	Elf_Scn *scn = elf_getscn(elf, rela->sh_link);

	if (!scn || !gelf_getshdr(scn, &shdr) || shdr.sh_type != SHT_DYNSYM)
		return false;
	*symbols = elf_getdata(scn, NULL);
	scn = elf_getscn(elf, shdr.sh_link);
	if (!scn || !gelf_getshdr(scn, &shdr) || shdr.sh_type != SHT_STRTAB)
		return false;
	*strings = elf_getdata(scn, NULL);
	return *symbols && *strings && (*strings)->d_buf;
}

static int read_relocations(Elf *elf, Elf_Scn *scn, const GElf_Shdr *shdr,
			    struct slots *out)
{
	Elf_Data *data, *symbols, *strings;
	GElf_Rela rela;

	if (!symbols_of(elf, shdr, &symbols, &strings))
		return 0;
	data = elf_getdata(scn, NULL);
	for (size_t i = 0; data && i < RELOCATIONS_MAX; i++) {
		const char *name;
		GElf_Sym sym;
		int r;

		if (!gelf_getrela(data, (int)i, &rela))
			break;
		if (GELF_R_TYPE(rela.r_info) != R_X86_64_JUMP_SLOT &&
		    GELF_R_TYPE(rela.r_info) != R_X86_64_GLOB_DAT)
			continue;
		if (GELF_R_SYM(rela.r_info) > INT32_MAX ||
		    !gelf_getsym(symbols, (int)GELF_R_SYM(rela.r_info), &sym) ||
		    sym.st_name >= strings->d_size)
			continue;
		name = (const char *)strings->d_buf + sym.st_name;
		if (!*name || !memchr(name, '\0',
				      min_u64(strings->d_size - sym.st_name,
					      NAME_LEN_MAX)))
			continue;
		r = add_slot(out, rela.r_offset, name);
		if (r < 0)
			return r;
	}
	return 0;
}

static int by_got(const void *a, const void *b)
{
	const struct slot *x = a, *y = b;

	return x->got < y->got ? -1 : x->got > y->got;
}

/* [endbr64] [bnd] jmp *slot(%rip), at the very start of a stub. */
static bool stub_slot(const uint8_t *code, size_t len, uint64_t vaddr,
		      uint64_t *got)
{
	static const uint8_t endbr64[] = { 0xf3, 0x0f, 0x1e, 0xfa };
	uint32_t disp;
	size_t at = 0;

	if (len >= sizeof(endbr64) && !memcmp(code, endbr64, sizeof(endbr64)))
		at += sizeof(endbr64);
	if (at < len && code[at] == 0xf2)
		at++;
	if (len < at + 6 || code[at] != 0xff || code[at + 1] != 0x25)
		return false;
	disp = code[at + 2] | (uint32_t)code[at + 3] << 8 |
	       (uint32_t)code[at + 4] << 16 | (uint32_t)code[at + 5] << 24;
	*got = vaddr + at + 6 + (uint64_t)(int64_t)(int32_t)disp;
	return true;
}

static int walk_section(Elf_Scn *scn, const GElf_Shdr *shdr,
			const struct slots *slots, elfplt_fn fn, void *userdata)
{
	size_t step = shdr->sh_entsize == 8 ? 8 : 16;
	Elf_Data *data;

	if (shdr->sh_size > PLT_BYTES_MAX)
		return 0;
	data = elf_rawdata(scn, NULL);
	if (!data || !data->d_buf)
		return 0;
	for (size_t at = 0; at + step <= data->d_size; at += step) {
		const struct slot *slot;
		struct slot key = { 0 };
		int r;

		if (!stub_slot((const uint8_t *)data->d_buf + at, step,
			       shdr->sh_addr + at, &key.got))
			continue;
		slot = bsearch(&key, slots->v, slots->nr, sizeof(key), by_got);
		if (!slot)
			continue;
		r = fn(userdata, shdr->sh_addr + at, (uint32_t)step, slot->name,
		       strlen(slot->name));
		if (r < 0)
			return r;
	}
	return 0;
}

int elfplt_walk(Elf *elf, elfplt_fn fn, void *userdata)
{
	struct slots slots = { 0 };
	Elf_Scn *scn = NULL;
	size_t names;
	GElf_Ehdr ehdr;
	GElf_Shdr shdr;
	int r = 0;

	if (!gelf_getehdr(elf, &ehdr) || ehdr.e_machine != EM_X86_64 ||
	    elf_getshdrstrndx(elf, &names) < 0)
		return 0;
	while (r >= 0 && slots.nr < RELOCATIONS_MAX &&
	       (scn = elf_nextscn(elf, scn)))
		if (gelf_getshdr(scn, &shdr) && shdr.sh_type == SHT_RELA &&
		    shdr.sh_size <= RELOCATION_BYTES_MAX)
			r = read_relocations(elf, scn, &shdr, &slots);
	if (r >= 0 && slots.nr) {
		qsort(slots.v, slots.nr, sizeof(*slots.v), by_got);
		scn = NULL;
		while (r >= 0 && (scn = elf_nextscn(elf, scn))) {
			const char *name;

			if (!gelf_getshdr(scn, &shdr) ||
			    shdr.sh_type != SHT_PROGBITS ||
			    !(shdr.sh_flags & SHF_EXECINSTR))
				continue;
			name = elf_strptr(elf, names, shdr.sh_name);
			if (name && !strncmp(name, ".plt", 4))
				r = walk_section(scn, &shdr, &slots, fn,
						 userdata);
		}
	}
	free(slots.v);
	return r;
}
