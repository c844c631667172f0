// SPDX-License-Identifier: Apache-2.0
#include "symbol/elfsym.h"

#include "base/buf.h"
#include "base/hash.h"
#include "symbol/demangle.h"

#include <errno.h>
#include <gelf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* What a hostile file may cost at most. */
#define SECTIONS_MAX 65536
#define SYMBOLS_MAX (8u << 20)
#define NAMES_BYTES_MAX (512u << 20)
#define SECTION_BYTES_MAX (1u << 30)
#define NAME_MAX_LEN 16384
#define SEGMENTS_MAX 64
/* How many enclosing symbols a look-up tries. */
#define NESTING_MAX 16

struct entry {
	uint64_t offset; /* in the file */
	uint32_t size;
	uint32_t name; /* offset in names */
};

struct segment {
	uint64_t vaddr, offset, size;
};

/* Before sorting: what decides between aliases. */
struct candidate {
	struct entry e;
	uint8_t rank; /* smaller is better */
	bool sized;
};

struct elfsym {
	struct entry *v;
	size_t nr;
	struct buf names; /* as the file has them */
	struct memo {
		uint32_t entry;
		char *name; /* demangled */
	} *memo;
	size_t nr_memo, cap_memo;
	struct hash_index memo_index; /* id: position + 1 */
	char build_id[2 * 64 + 1];
};

struct loader {
	struct elfsym *out;
	Elf *elf;
	struct segment segments[SEGMENTS_MAX];
	size_t nr_segments;
	struct candidate *v;
	size_t nr, cap;
};

static bool to_offset(const struct loader *l, uint64_t vaddr, uint64_t *offset,
		      uint64_t *room)
{
	for (size_t i = 0; i < l->nr_segments; i++) {
		const struct segment *s = &l->segments[i];

		if (vaddr - s->vaddr >= s->size)
			continue;
		*offset = s->offset + (vaddr - s->vaddr);
		*room = s->size - (vaddr - s->vaddr);
		return true;
	}
	return false;
}

static int load_segments(struct loader *l)
{
	size_t nr;

	if (elf_getphdrnum(l->elf, &nr) < 0)
		return -ENOEXEC;
	for (size_t i = 0; i < nr && l->nr_segments < SEGMENTS_MAX; i++) {
		GElf_Phdr p;

		if (!gelf_getphdr(l->elf, (int)i, &p))
			return -ENOEXEC;
		if (p.p_type != PT_LOAD || !(p.p_flags & PF_X) || !p.p_filesz)
			continue;
		l->segments[l->nr_segments++] = (struct segment){
			p.p_vaddr, p.p_offset, p.p_filesz,
		};
	}
	return 0;
}

static uint8_t rank_of(const GElf_Sym *sym, const char *name)
{
	unsigned int bind = GELF_ST_BIND(sym->st_info);
	unsigned int underscores = 0;

	while (underscores < 3 && name[underscores] == '_')
		underscores++;
	/* A mangled name's underscore is the compiler's. */
	if (!strncmp(name, "_Z", 2) || !strncmp(name, "_R", 2))
		underscores = 0;
	return (uint8_t)((GELF_ST_TYPE(sym->st_info) == STT_NOTYPE ? 64 : 0) +
			 (bind == STB_GLOBAL ? 0 :
			  bind == STB_WEAK   ? 16 :
					       32) +
			 underscores);
}

static int add_symbol(struct loader *l, const GElf_Sym *sym, const char *name,
		      size_t name_len)
{
	uint64_t offset, room, size = sym->st_size;
	struct candidate *c;

	if (!to_offset(l, sym->st_value, &offset, &room))
		return 0;
	if (l->nr >= SYMBOLS_MAX || l->out->names.len > NAMES_BYTES_MAX)
		return -EFBIG;
	if (l->nr == l->cap) {
		size_t want = l->cap ? l->cap * 2 : 256;
		struct candidate *v = realloc(l->v, want * sizeof(*v));

		if (!v)
			return -ENOMEM;
		l->v = v;
		l->cap = want;
	}
	if (!size || size > room)
		size = room;
	c = &l->v[l->nr++];
	*c = (struct candidate){
		.e.offset = offset,
		.e.size = (uint32_t)min_u64(size, UINT32_MAX),
		.e.name = (uint32_t)l->out->names.len,
		.rank = rank_of(sym, name),
		.sized = sym->st_size != 0,
	};
	buf_add(&l->out->names, name, name_len);
	buf_char(&l->out->names, '\0');
	return l->out->names.err;
}

static bool is_function(const GElf_Sym *sym, const char *name)
{
	unsigned int type = GELF_ST_TYPE(sym->st_info);

	if (sym->st_shndx == SHN_UNDEF || sym->st_shndx == SHN_ABS || !*name)
		return false;
	if (type == STT_FUNC || type == STT_GNU_IFUNC)
		return true;
	/* Hand-written assembly; not "$x", ".L1" and the like. */
	return type == STT_NOTYPE && name[0] != '$' && name[0] != '.';
}

static int load_table(struct loader *l, Elf_Scn *scn, const GElf_Shdr *shdr)
{
	GElf_Shdr strings_shdr;
	Elf_Scn *strings_scn;
	Elf_Data *symbols, *strings;
	size_t nr;

	strings_scn = elf_getscn(l->elf, shdr->sh_link);
	if (!strings_scn || !gelf_getshdr(strings_scn, &strings_shdr) ||
	    strings_shdr.sh_type != SHT_STRTAB || !shdr->sh_entsize)
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
		size_t room;
		int r;

		if (!gelf_getsym(symbols, (int)i, &sym))
			break;
		if (sym.st_name >= strings->d_size)
			continue;
		name = (const char *)strings->d_buf + sym.st_name;
		room = strings->d_size - sym.st_name;
		nul = memchr(name, '\0',
			     room < NAME_MAX_LEN ? room : NAME_MAX_LEN);
		if (!nul || !is_function(&sym, name))
			continue;
		r = add_symbol(l, &sym, name, (size_t)(nul - name));
		if (r < 0)
			return r;
	}
	return 0;
}

/* The GNU build-id note among this section's, if there. */
static void load_build_id(struct elfsym *e, Elf_Scn *scn, const GElf_Shdr *shdr)
{
	Elf_Data *data;
	size_t at = 0, name_at, desc_at;
	GElf_Nhdr note;

	if (e->build_id[0] || shdr->sh_size > 65536)
		return;
	data = elf_getdata(scn, NULL);
	if (!data || !data->d_buf)
		return;
	while ((at = gelf_getnote(data, at, &note, &name_at, &desc_at))) {
		const uint8_t *desc = (const uint8_t *)data->d_buf + desc_at;

		if (note.n_type != NT_GNU_BUILD_ID || note.n_namesz != 4 ||
		    memcmp((char *)data->d_buf + name_at, "GNU", 4) ||
		    note.n_descsz > 64)
			continue;
		for (size_t i = 0; i < note.n_descsz; i++) {
			static const char hex[] = "0123456789abcdef";

			e->build_id[2 * i] = hex[desc[i] >> 4];
			e->build_id[2 * i + 1] = hex[desc[i] & 15];
		}
		return;
	}
}

static int load_sections(struct loader *l)
{
	Elf_Scn *scn = NULL;
	size_t nr = 0;
	int r = 0;

	while (r >= 0 && (scn = elf_nextscn(l->elf, scn))) {
		GElf_Shdr shdr;

		if (++nr > SECTIONS_MAX)
			return -EFBIG;
		if (!gelf_getshdr(scn, &shdr))
			continue;
		if (shdr.sh_type == SHT_SYMTAB || shdr.sh_type == SHT_DYNSYM)
			r = load_table(l, scn, &shdr);
		else if (shdr.sh_type == SHT_NOTE)
			load_build_id(l->out, scn, &shdr);
	}
	return r;
}

static int by_offset(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;

	if (x->e.offset != y->e.offset)
		return x->e.offset < y->e.offset ? -1 : 1;
	if (x->sized != y->sized)
		return x->sized ? -1 : 1;
	if (x->rank != y->rank)
		return x->rank < y->rank ? -1 : 1;
	return x->e.name < y->e.name ? -1 : x->e.name > y->e.name;
}

/* Sort, keep the best name of each address, end those of unknown size. */
static int finish(struct loader *l)
{
	struct elfsym *e = l->out;

	if (!l->nr)
		return 0;
	qsort(l->v, l->nr, sizeof(*l->v), by_offset);
	e->v = malloc(l->nr * sizeof(*e->v));
	if (!e->v)
		return -ENOMEM;
	for (size_t i = 0; i < l->nr;) {
		const struct candidate *best = &l->v[i];
		struct entry *out = &e->v[e->nr++];

		*out = best->e;
		while (++i < l->nr && l->v[i].e.offset == best->e.offset)
			;
		if (!best->sized && i < l->nr)
			out->size = (uint32_t)min_u64(
				out->size, l->v[i].e.offset - out->offset);
	}
	return 0;
}

int elfsym_load(struct elfsym **out, int fd)
{
	struct loader l = { 0 };
	struct stat st;
	int r;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -ENOEXEC;
	elf_version(EV_CURRENT);
	/* Not mapped: a file cut short under a mapping would kill us. */
	l.elf = elf_begin(fd, ELF_C_READ, NULL);
	if (!l.elf)
		return -ENOEXEC;
	l.out = calloc(1, sizeof(*l.out));
	if (!l.out)
		r = -ENOMEM;
	else if (elf_kind(l.elf) != ELF_K_ELF)
		r = -ENOEXEC;
	else
		r = load_segments(&l);
	if (r >= 0)
		r = load_sections(&l);
	if (r >= 0)
		r = finish(&l);
	elf_end(l.elf);
	free(l.v);
	if (r < 0) {
		elfsym_free(l.out);
		return r;
	}
	*out = l.out;
	return 0;
}

void elfsym_free(struct elfsym *e)
{
	if (!e)
		return;
	for (size_t i = 0; i < e->nr_memo; i++)
		free(e->memo[i].name);
	free(e->memo);
	hash_index_release(&e->memo_index);
	buf_release(&e->names);
	free(e->v);
	free(e);
}

/* Demangling is dear and few functions are ever asked for: on demand, once. */
static const char *name_of(struct elfsym *e, size_t entry)
{
	const char *raw = e->names.data + e->v[entry].name;
	uint64_t hash = hash_u64(entry);
	struct memo *memo;
	char *name;
	uint32_t id;

	for (size_t at = hash_index_first(&e->memo_index, hash, &id); id;
	     at = hash_index_next(&e->memo_index, hash, at, &id))
		if (e->memo[id - 1].entry == entry)
			return e->memo[id - 1].name;
	name = demangle(raw);
	if (!name)
		return raw;
	if (e->nr_memo == e->cap_memo) {
		size_t want = e->cap_memo ? e->cap_memo * 2 : 16;

		memo = realloc(e->memo, want * sizeof(*memo));
		if (!memo)
			goto forget;
		e->memo = memo;
		e->cap_memo = want;
	}
	if (hash_index_grow(&e->memo_index) < 0)
		goto forget;
	e->memo[e->nr_memo++] = (struct memo){ (uint32_t)entry, name };
	hash_index_put(&e->memo_index, hash, (uint32_t)e->nr_memo);
	return name;

forget:
	free(name);
	return raw;
}

const char *elfsym_lookup(struct elfsym *e, uint64_t file_offset)
{
	size_t lo = 0, hi = e->nr;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (e->v[mid].offset <= file_offset)
			lo = mid + 1;
		else
			hi = mid;
	}
	/* The nearest that reaches this far; a label within does not hide it. */
	for (size_t tries = 0; lo && tries < NESTING_MAX; tries++) {
		lo--;
		if (file_offset - e->v[lo].offset < e->v[lo].size)
			return name_of(e, lo);
	}
	return NULL;
}

size_t elfsym_count(const struct elfsym *e)
{
	return e->nr;
}

size_t elfsym_memory(const struct elfsym *e)
{
	size_t memo = e->cap_memo * sizeof(*e->memo);

	/* The demangled names: a guess that is good enough for a bound. */
	return sizeof(*e) + e->nr * sizeof(*e->v) + e->names.cap + memo +
	       e->nr_memo * 64;
}

const char *elfsym_build_id(const struct elfsym *e)
{
	return e->build_id;
}
