// SPDX-License-Identifier: Apache-2.0
#include "symbol/elfsym.h"

#include "symbol/elfplt.h"
#include "symbol/symtable.h"

#include <endian.h>
#include <errno.h>
#include <gelf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What a hostile file may cost at most. */
#define SECTIONS_MAX 65536
#define SECTION_BYTES_MAX (256u << 20)
#define SEGMENTS_MAX 64
#define NOTE_BYTES_MAX 65536

struct elfsym {
	struct symtable *table;
	char build_id[ELFSYM_BUILD_ID_MAX];
};

struct range {
	uint64_t vaddr, size;
	uint64_t offset; /* of a segment in the file */
};

struct loader {
	struct elfsym *out;
	Elf *elf;
	bool thumb; /* bit 0 of an address tells the instruction set */
	struct range segments[SEGMENTS_MAX];
	size_t nr_segments;
	struct range *sections; /* by index; size 0: not executable */
	size_t nr_sections;
};

/*
 * libelf allocates what the header's counts ask for, and a sparse file can
 * back any count: look before it does.
 */
static int check_header(int fd)
{
	union {
		unsigned char ident[EI_NIDENT];
		Elf32_Ehdr h32;
		Elf64_Ehdr h64;
	} h;
	ssize_t n = pread(fd, &h, sizeof(h), 0);
	bool swap, wide;
	uint64_t shoff;
	uint16_t shnum, shentsize, phnum;

	if (n < 0)
		return -errno;
	if ((size_t)n < sizeof(h.h32) || memcmp(h.ident, ELFMAG, SELFMAG))
		return -ENOEXEC;
	wide = h.ident[EI_CLASS] == ELFCLASS64;
	swap = h.ident[EI_DATA] !=
	       (BYTE_ORDER == LITTLE_ENDIAN ? ELFDATA2LSB : ELFDATA2MSB);
	if (wide && (size_t)n < sizeof(h.h64))
		return -ENOEXEC;
	shnum = wide ? h.h64.e_shnum : h.h32.e_shnum;
	phnum = wide ? h.h64.e_phnum : h.h32.e_phnum;
	shentsize = wide ? h.h64.e_shentsize : h.h32.e_shentsize;
	shoff = wide ? h.h64.e_shoff : h.h32.e_shoff;
	if (swap) {
		shentsize = __builtin_bswap16(shentsize);
		shoff = wide ? __builtin_bswap64(shoff) :
			       __builtin_bswap32((uint32_t)shoff);
	}
	/* Numbers past 16 bits are kept elsewhere: no program has that many. */
	if ((shoff && !shnum) || phnum == PN_XNUM)
		return -EFBIG;
	if (shoff && shentsize != (wide ? sizeof(Elf64_Shdr) :
					  sizeof(Elf32_Shdr)))
		return -ENOEXEC;
	return 0;
}

static bool to_offset(const struct loader *l, uint64_t vaddr, uint64_t *offset,
		      uint64_t *room)
{
	for (size_t i = 0; i < l->nr_segments; i++) {
		const struct range *s = &l->segments[i];

		if (vaddr - s->vaddr >= s->size)
			continue;
		*offset = s->offset + (vaddr - s->vaddr);
		*room = s->size - (vaddr - s->vaddr);
		return true;
	}
	return false;
}

/* The GNU build-id among these notes, if there. */
static void read_build_id(struct elfsym *e, Elf_Data *data)
{
	static const char hex[] = "0123456789abcdef";
	size_t at = 0, name_at, desc_at;
	GElf_Nhdr note;

	if (!data || !data->d_buf || e->build_id[0])
		return;
	while ((at = gelf_getnote(data, at, &note, &name_at, &desc_at))) {
		const uint8_t *desc = (const uint8_t *)data->d_buf + desc_at;

		if (note.n_type != NT_GNU_BUILD_ID || note.n_namesz != 4 ||
		    memcmp((char *)data->d_buf + name_at, "GNU", 4) ||
		    note.n_descsz > 64)
			continue;
		for (size_t i = 0; i < note.n_descsz; i++) {
			e->build_id[2 * i] = hex[desc[i] >> 4];
			e->build_id[2 * i + 1] = hex[desc[i] & 15];
		}
		return;
	}
}

static int load_segments(struct loader *l)
{
	GElf_Ehdr ehdr;
	size_t nr;

	if (!gelf_getehdr(l->elf, &ehdr) || elf_getphdrnum(l->elf, &nr) < 0)
		return -ENOEXEC;
	l->thumb = ehdr.e_machine == EM_ARM;
	for (size_t i = 0; i < nr && l->nr_segments < SEGMENTS_MAX; i++) {
		GElf_Phdr p;

		if (!gelf_getphdr(l->elf, (int)i, &p))
			return -ENOEXEC;
		if (p.p_type == PT_NOTE && p.p_filesz <= NOTE_BYTES_MAX)
			read_build_id(l->out,
				      elf_getdata_rawchunk(
					      l->elf, (int64_t)p.p_offset,
					      p.p_filesz,
					      p.p_align == 8 ? ELF_T_NHDR8 :
							       ELF_T_NHDR));
		if (p.p_type == PT_LOAD && (p.p_flags & PF_X) && p.p_filesz)
			l->segments[l->nr_segments++] = (struct range){
				p.p_vaddr, p.p_filesz, p.p_offset,
			};
	}
	return 0;
}

static unsigned int rank_of(const GElf_Sym *sym, const char *name)
{
	unsigned int bind = GELF_ST_BIND(sym->st_info);
	unsigned int rank = 0;

	/* A mangled name's underscore is the compiler's. */
	if (strncmp(name, "_Z", 2) != 0 && strncmp(name, "_R", 2) != 0)
		while (rank < SYMTABLE_UNDERSCORES && name[rank] == '_')
			rank++;
	if (bind == STB_WEAK)
		rank |= SYMTABLE_WEAK;
	else if (bind == STB_LOCAL)
		rank |= SYMTABLE_LOCAL;
	if (!sym->st_size)
		rank |= SYMTABLE_NO_SIZE;
	if (GELF_ST_TYPE(sym->st_info) == STT_NOTYPE)
		rank |= SYMTABLE_LABEL;
	return rank;
}

/* room: how far it may reach when size is 0. */
static int add(struct loader *l, uint64_t vaddr, uint64_t size, uint64_t room,
	       const char *name, size_t name_len, unsigned int rank)
{
	uint64_t offset, mapped;

	if (!to_offset(l, vaddr, &offset, &mapped))
		return 0;
	return symtable_add(l->out->table, offset,
			    min_u64(size ? size : room, mapped), name, name_len,
			    rank);
}

static bool is_function(const struct loader *l, const GElf_Sym *sym,
			const char *name)
{
	const struct range *s;

	if (sym->st_shndx == SHN_UNDEF || sym->st_shndx == SHN_ABS || !*name)
		return false;
	switch (GELF_ST_TYPE(sym->st_info)) {
	case STT_FUNC:
	case STT_GNU_IFUNC:
		return true;
	case STT_NOTYPE:
		/* Not "$x", ".L1" and the like, nor "_etext" past the end. */
		if (name[0] == '$' || name[0] == '.' ||
		    sym->st_shndx >= l->nr_sections)
			return false;
		s = &l->sections[sym->st_shndx];
		return sym->st_value - s->vaddr < s->size;
	default:
		return false;
	}
}

static int add_symbol(struct loader *l, const GElf_Sym *sym, const char *name,
		      size_t name_len, unsigned int rank)
{
	uint64_t vaddr = sym->st_value, room = UINT64_MAX;

	if (l->thumb)
		vaddr &= ~UINT64_C(1);
	if (sym->st_shndx < l->nr_sections) {
		const struct range *s = &l->sections[sym->st_shndx];

		if (vaddr - s->vaddr < s->size)
			room = s->size - (vaddr - s->vaddr);
	}
	return add(l, vaddr, sym->st_size, room, name, name_len,
		   rank | rank_of(sym, name));
}

static int load_table(struct loader *l, Elf_Scn *scn, const GElf_Shdr *shdr)
{
	unsigned int rank = shdr->sh_type == SHT_DYNSYM ? SYMTABLE_DYNSYM : 0;
	GElf_Shdr strings_shdr;
	Elf_Scn *strings_scn;
	Elf_Data *symbols, *strings;
	size_t nr;

	strings_scn = elf_getscn(l->elf, shdr->sh_link);
	if (!strings_scn || !gelf_getshdr(strings_scn, &strings_shdr) ||
	    strings_shdr.sh_type != SHT_STRTAB)
		return 0;
	if (shdr->sh_size > SECTION_BYTES_MAX ||
	    strings_shdr.sh_size > SECTION_BYTES_MAX)
		return -EFBIG;
	symbols = elf_getdata(scn, NULL);
	strings = elf_getdata(strings_scn, NULL);
	if (!symbols || !strings || !symbols->d_buf || !strings->d_buf)
		return 0;
	nr = symbols->d_size / gelf_fsize(l->elf, ELF_T_SYM, 1, EV_CURRENT);
	for (size_t i = 0; i < nr && i <= INT32_MAX; i++) {
		const char *name, *nul;
		GElf_Sym sym;
		int r;

		if (!gelf_getsym(symbols, (int)i, &sym))
			break;
		if (sym.st_name >= strings->d_size)
			continue;
		name = (const char *)strings->d_buf + sym.st_name;
		nul = memchr(name, '\0', min_u64(strings->d_size - sym.st_name,
						 SYMTABLE_NAME_MAX));
		if (!nul || !is_function(l, &sym, name))
			continue;
		r = add_symbol(l, &sym, name, (size_t)(nul - name), rank);
		if (r < 0)
			return r;
	}
	return 0;
}

static int add_stub(void *userdata, uint64_t vaddr, uint32_t size,
		    const char *name, size_t len)
{
	return add(userdata, vaddr, size, size, name, len, SYMTABLE_PLT);
}

/* What the names' addresses are checked against; the build-id on the way. */
static int load_sections(struct loader *l)
{
	Elf_Scn *scn = NULL;
	size_t nr;

	if (elf_getshdrnum(l->elf, &nr) < 0)
		return -ENOEXEC;
	if (nr > SECTIONS_MAX)
		return -EFBIG;
	l->sections = calloc(nr + 1, sizeof(*l->sections));
	if (!l->sections)
		return -ENOMEM;
	l->nr_sections = nr;
	while ((scn = elf_nextscn(l->elf, scn))) {
		size_t i = elf_ndxscn(scn);
		GElf_Shdr shdr;

		if (i >= nr || !gelf_getshdr(scn, &shdr))
			continue;
		if (shdr.sh_type == SHT_NOTE && shdr.sh_size <= NOTE_BYTES_MAX)
			read_build_id(l->out, elf_getdata(scn, NULL));
		if (shdr.sh_flags & SHF_EXECINSTR)
			l->sections[i] = (struct range){
				.vaddr = shdr.sh_addr,
				.size = shdr.sh_size,
			};
	}
	return 0;
}

static int load_tables(struct loader *l)
{
	Elf_Scn *scn = NULL;
	bool symtab = false, dynsym = false;
	int r = 0;

	while (r >= 0 && (scn = elf_nextscn(l->elf, scn))) {
		GElf_Shdr shdr;

		if (!gelf_getshdr(scn, &shdr))
			continue;
		/* A file has one of each; a thousand would share one's cost. */
		if (shdr.sh_type == SHT_SYMTAB && !symtab) {
			symtab = true;
			r = load_table(l, scn, &shdr);
		} else if (shdr.sh_type == SHT_DYNSYM && !dynsym) {
			dynsym = true;
			r = load_table(l, scn, &shdr);
		}
	}
	return r < 0 ? r : elfplt_walk(l->elf, add_stub, l);
}

static int load(struct loader *l)
{
	int r;

	if (elf_kind(l->elf) != ELF_K_ELF)
		return -ENOEXEC;
	r = load_segments(l);
	if (r >= 0)
		r = load_sections(l);
	if (r >= 0)
		r = load_tables(l);
	return r < 0 ? r : symtable_seal(l->out->table);
}

/* Open for reading, when it is worth it; elf_end() is the caller's. */
static int begin(int fd, Elf **elf)
{
	struct stat st;
	int r;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -ENOEXEC;
	r = check_header(fd);
	if (r < 0)
		return r;
	elf_version(EV_CURRENT);
	/* Not mapped: a file cut short under a mapping would kill us. */
	*elf = elf_begin(fd, ELF_C_READ, NULL);
	return *elf ? 0 : -ENOEXEC;
}

int elfsym_load(struct elfsym **out, int fd)
{
	struct loader l = { 0 };
	int r = begin(fd, &l.elf);

	if (r < 0)
		return r;
	l.out = calloc(1, sizeof(*l.out));
	r = l.out ? symtable_new(&l.out->table) : -ENOMEM;
	if (r >= 0)
		r = load(&l);
	elf_end(l.elf);
	free(l.sections);
	if (r < 0) {
		elfsym_free(l.out);
		return r;
	}
	*out = l.out;
	return 0;
}

int elfsym_read_build_id(int fd, char out[ELFSYM_BUILD_ID_MAX])
{
	struct elfsym e = { 0 };
	struct loader l = { .out = &e };
	int r = begin(fd, &l.elf);

	*out = '\0';
	if (r < 0)
		return r;
	r = elf_kind(l.elf) == ELF_K_ELF ? load_segments(&l) : -ENOEXEC;
	elf_end(l.elf);
	if (r >= 0)
		memcpy(out, e.build_id, sizeof(e.build_id));
	return r;
}

void elfsym_free(struct elfsym *e)
{
	if (!e)
		return;
	symtable_free(e->table);
	free(e);
}

const char *elfsym_lookup(struct elfsym *e, uint64_t file_offset)
{
	return symtable_find(e->table, file_offset);
}

size_t elfsym_count(const struct elfsym *e)
{
	return symtable_count(e->table);
}

size_t elfsym_memory(const struct elfsym *e)
{
	return sizeof(*e) + symtable_memory(e->table);
}

const char *elfsym_build_id(const struct elfsym *e)
{
	return e->build_id;
}
