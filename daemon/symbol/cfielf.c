// SPDX-License-Identifier: Apache-2.0
#include "symbol/cfielf.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#define NAMES_MAX (16u << 20)
#define EH_HEADER_MAX 64

static int fail(struct cfi_elf *e, int err, const char *why)
{
	e->why = why;
	return err;
}

static int read_at(const struct cfi_elf *e, uint64_t offset, void *out,
		   size_t len)
{
	uint8_t *to = out;

	if (offset > e->size || len > e->size - offset)
		return -ENOEXEC;
	if (e->image) {
		memcpy(out, e->image + offset, len);
		return 0;
	}
	while (len) {
		ssize_t n = pread(e->fd, to, len, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n)
			return -ENOEXEC;
		to += n;
		offset += (size_t)n;
		len -= (size_t)n;
	}
	return 0;
}

static int read_header(struct cfi_elf *e, Elf64_Ehdr *h)
{
	int r = read_at(e, 0, h, sizeof(*h));

	if (r < 0 || memcmp(h->e_ident, ELFMAG, SELFMAG))
		return fail(e, r < 0 ? r : -ENOEXEC, "not an ELF file");
	if (h->e_ident[EI_CLASS] != ELFCLASS64)
		return fail(e, -EOPNOTSUPP, "not of 64 bits");
	if (h->e_ident[EI_DATA] != ELFDATA2LSB)
		return fail(e, -EOPNOTSUPP, "big-endian");
	e->machine = h->e_machine;
	if (h->e_machine != EM_X86_64 && h->e_machine != EM_AARCH64)
		return fail(e, -EOPNOTSUPP, "for another machine");
	return 0;
}

static int by_offset(const void *a, const void *b)
{
	const struct cfi_segment *x = a, *y = b;

	return x->offset < y->offset ? -1 : x->offset > y->offset;
}

static int read_segments(struct cfi_elf *e, const Elf64_Ehdr *h)
{
	if (h->e_phnum && h->e_phentsize != sizeof(Elf64_Phdr))
		return fail(e, -ENOEXEC, "damaged program headers");
	for (size_t i = 0; i < h->e_phnum; i++) {
		Elf64_Phdr p;

		if (read_at(e, h->e_phoff + i * sizeof(p), &p, sizeof(p)) < 0)
			return fail(e, -ENOEXEC, "damaged program headers");
		if (p.p_type == PT_GNU_EH_FRAME)
			e->unwind_header = p.p_vaddr;
		if (p.p_type != PT_LOAD || !p.p_filesz)
			continue;
		if (p.p_offset > INT64_MAX || p.p_filesz > INT64_MAX ||
		    p.p_vaddr + p.p_filesz < p.p_vaddr)
			return fail(e, -ENOEXEC, "damaged program headers");
		if (e->nr_segments == CFI_SEGMENTS_MAX)
			return fail(e, -EFBIG, "too many segments");
		e->segments[e->nr_segments++] = (struct cfi_segment){
			p.p_vaddr, p.p_filesz, p.p_offset, p.p_flags & PF_X,
		};
	}
	qsort(e->segments, e->nr_segments, sizeof(e->segments[0]), by_offset);
	return 0;
}

/* They are a help, no more: what is damaged is as good as not there. */
static int read_sections(struct cfi_elf *e, const Elf64_Ehdr *h)
{
	const Elf64_Shdr *names;
	size_t bytes = h->e_shnum * sizeof(Elf64_Shdr);

	if (!h->e_shoff || !h->e_shnum || h->e_shentsize != sizeof(Elf64_Shdr) ||
	    h->e_shstrndx >= h->e_shnum || h->e_shoff > e->size ||
	    bytes > e->size - h->e_shoff)
		return 0;
	e->sections = malloc(bytes);
	if (!e->sections)
		return -ENOMEM;
	if (read_at(e, h->e_shoff, e->sections, bytes) < 0)
		return 0;
	names = &e->sections[h->e_shstrndx];
	if (names->sh_type != SHT_STRTAB || names->sh_size > NAMES_MAX ||
	    names->sh_offset > e->size ||
	    names->sh_size > e->size - names->sh_offset)
		return 0;
	e->names = malloc(names->sh_size + 1);
	if (!e->names)
		return -ENOMEM;
	if (read_at(e, names->sh_offset, e->names, names->sh_size) < 0)
		return 0;
	e->names_size = names->sh_size + 1;
	e->names[names->sh_size] = '\0';
	e->nr_sections = h->e_shnum;
	return 0;
}

int cfielf_open(struct cfi_elf *e, int fd, const void *image, size_t bytes)
{
	struct stat st;
	Elf64_Ehdr h;
	int r;

	*e = (struct cfi_elf){ .fd = fd, .image = image, .size = bytes };
	if (!image) {
		if (fstat(fd, &st) < 0)
			return fail(e, -errno, "it cannot be read");
		if (!S_ISREG(st.st_mode))
			return fail(e, -ENOEXEC, "not a file");
		e->size = (uint64_t)st.st_size;
	}
	r = read_header(e, &h);
	if (r >= 0)
		r = read_segments(e, &h);
	if (r >= 0)
		r = read_sections(e, &h);
	return r;
}

void cfielf_close(struct cfi_elf *e)
{
	free(e->sections);
	free(e->names);
	free(e->window);
}

const char *cfielf_name(const struct cfi_elf *e, const Elf64_Shdr *shdr)
{
	return shdr->sh_name < e->names_size ? e->names + shdr->sh_name : "";
}

const Elf64_Shdr *cfielf_section(const struct cfi_elf *e, const char *name)
{
	for (size_t i = 1; i < e->nr_sections; i++) {
		const Elf64_Shdr *s = &e->sections[i];

		if (s->sh_type != SHT_NOBITS && s->sh_type != SHT_NULL &&
		    !strcmp(cfielf_name(e, s), name))
			return s;
	}
	return NULL;
}

static int decompress(struct cfi_section *s, uint32_t type, uint64_t bytes,
		      size_t skip, size_t max)
{
	uLongf len = bytes;
	uint8_t *out;
	bool ok;

	if (bytes > max)
		return -EFBIG;
	out = malloc(bytes + 1);
	if (!out)
		return -ENOMEM;
	if (type == ELFCOMPRESS_ZLIB)
		ok = uncompress(out, &len, s->data + skip, s->size - skip) ==
			     Z_OK && len == bytes;
	else
		ok = type == 2 && /* ZSTD, which old headers do not know */
		     ZSTD_decompress(out, bytes, s->data + skip,
				     s->size - skip) == bytes;
	free(s->data);
	s->data = out;
	s->size = bytes;
	if (ok)
		return 0;
	free(s->data);
	*s = (struct cfi_section){ 0 };
	return -ENOEXEC;
}

int cfielf_load(struct cfi_elf *e, const Elf64_Shdr *shdr, size_t max,
		struct cfi_section *out)
{
	Elf64_Chdr c;
	int r;

	*out = (struct cfi_section){ 0 };
	if (shdr->sh_size > max)
		return fail(e, -EFBIG, "a section is too large");
	if (shdr->sh_offset > e->size ||
	    shdr->sh_size > e->size - shdr->sh_offset)
		return fail(e, -ENOEXEC, "a section ends behind the file");
	out->data = malloc(shdr->sh_size + 1);
	if (!out->data)
		return -ENOMEM;
	out->size = shdr->sh_size;
	out->vaddr = shdr->sh_addr;
	r = read_at(e, shdr->sh_offset, out->data, out->size);
	if (r >= 0 && (shdr->sh_flags & SHF_COMPRESSED)) {
		if (out->size < sizeof(c)) {
			r = -ENOEXEC;
		} else {
			memcpy(&c, out->data, sizeof(c));
			r = decompress(out, c.ch_type, c.ch_size, sizeof(c),
				       max);
		}
	}
	if (r < 0) {
		free(out->data);
		*out = (struct cfi_section){ 0 };
		return fail(e, r, "a section cannot be read");
	}
	return 0;
}

static const struct cfi_segment *segment_of(const struct cfi_elf *e,
					    uint64_t vaddr)
{
	for (size_t i = 0; i < e->nr_segments; i++)
		if (vaddr - e->segments[i].vaddr < e->segments[i].size)
			return &e->segments[i];
	return NULL;
}

/* From an address to the end of what is mapped there, as if it were a section. */
static int load_mapped(struct cfi_elf *e, uint64_t vaddr, size_t max,
		       struct cfi_section *out)
{
	const struct cfi_segment *s = segment_of(e, vaddr);
	Elf64_Shdr shdr = { .sh_addr = vaddr };

	if (!s)
		return -ENODATA;
	shdr.sh_offset = s->offset + (vaddr - s->vaddr);
	shdr.sh_size = s->size - (vaddr - s->vaddr);
	if (shdr.sh_offset < e->size)
		shdr.sh_size = min_u64(shdr.sh_size, e->size - shdr.sh_offset);
	shdr.sh_size = min_u64(shdr.sh_size, max);
	return cfielf_load(e, &shdr, max, out);
}

/* What the header before the binary search table says. */
static int find_eh_frame(struct cfi_elf *e, uint64_t *vaddr)
{
	struct cfi_section header;
	struct cfi_bytes b;
	uint8_t encoding;
	int r = load_mapped(e, e->unwind_header, EH_HEADER_MAX, &header);

	if (r < 0)
		return r;
	header.data_base = e->unwind_header;
	b = (struct cfi_bytes){ header.data, header.data + header.size, false };
	if (cfi_u8(&b) != 1)
		b.bad = true;
	encoding = cfi_u8(&b);
	cfi_skip(&b, 2);
	*vaddr = cfi_pointer(&b, encoding, &header);
	free(header.data);
	return b.bad ? -ENODATA : 0;
}

static uint64_t data_base(const struct cfi_elf *e)
{
	const Elf64_Shdr *got = cfielf_section(e, ".got.plt");

	if (!got)
		got = cfielf_section(e, ".got");
	return got ? got->sh_addr : 0;
}

int cfielf_load_eh_frame(struct cfi_elf *e, size_t max,
			 struct cfi_section *out)
{
	const Elf64_Shdr *shdr = cfielf_section(e, ".eh_frame");
	uint64_t vaddr;
	int r;

	*out = (struct cfi_section){ 0 };
	if (shdr)
		r = cfielf_load(e, shdr, max, out);
	else if (!e->unwind_header)
		r = -ENODATA;
	else
		r = find_eh_frame(e, &vaddr);
	if (r >= 0 && !shdr)
		r = load_mapped(e, vaddr, max, out);
	if (r >= 0) {
		out->data_base = data_base(e);
		out->open_ended = !shdr;
	}
	return r;
}

bool cfielf_code_offset(const struct cfi_elf *e, uint64_t vaddr,
			uint64_t *offset, uint64_t *room)
{
	for (size_t i = 0; i < e->nr_segments; i++) {
		const struct cfi_segment *s = &e->segments[i];

		if (!s->code || vaddr - s->vaddr >= s->size)
			continue;
		*offset = s->offset + (vaddr - s->vaddr);
		*room = s->size - (vaddr - s->vaddr);
		return true;
	}
	return false;
}

bool cfielf_code_vaddr(const struct cfi_elf *e, uint64_t offset,
		       uint64_t *vaddr)
{
	for (size_t i = 0; i < e->nr_segments; i++) {
		const struct cfi_segment *s = &e->segments[i];

		if (!s->code || offset - s->offset >= s->size)
			continue;
		*vaddr = s->vaddr + (offset - s->offset);
		return true;
	}
	return false;
}

const uint8_t *cfielf_peek(struct cfi_elf *e, uint64_t offset, size_t len)
{
	if (offset > e->size || len > e->size - offset)
		return NULL;
	if (e->image)
		return e->image + offset;
	if (offset >= e->window_at &&
	    offset + len <= e->window_at + e->window_len)
		return e->window + (offset - e->window_at);
	if (len > CFI_WINDOW)
		return NULL;
	if (!e->window) {
		e->window = malloc(CFI_WINDOW);
		if (!e->window)
			return NULL;
	}
	e->window_at = offset;
	e->window_len = min_u64(CFI_WINDOW, e->size - offset);
	if (read_at(e, offset, e->window, e->window_len) < 0)
		e->window_len = 0;
	return e->window_len ? e->window : NULL;
}
