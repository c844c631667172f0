// SPDX-License-Identifier: Apache-2.0
#include "symbol/cfiframe.h"

#include <errno.h>
#include <stdlib.h>

#define CIES_MAX (1u << 20)
#define FDES_MAX (1u << 22)

/* One entry of the section. */
struct entry {
	struct cfi_bytes b; /* what follows the id */
	uint64_t at;	    /* in the section */
	uint64_t id, id_at;
	bool wide; /* 64-bit DWARF */
};

/* Room for one more CIE, FDE; 0, -EFBIG, -ENOMEM. */
static int grow_cies(struct cfi_frames *f)
{
	size_t want = f->cap_cies ? f->cap_cies * 2 : 16;
	struct cfi_cie *v;

	if (f->nr_cies < f->cap_cies)
		return 0;
	if (f->nr_cies >= CIES_MAX)
		return -EFBIG;
	v = realloc(f->cies, want * sizeof(*v));
	if (!v)
		return -ENOMEM;
	f->cies = v;
	f->cap_cies = want;
	return 0;
}

static int grow_fdes(struct cfi_frames *f)
{
	size_t want = f->cap_fdes ? f->cap_fdes * 2 : 256;
	struct cfi_fde *v;

	if (f->nr_fdes < f->cap_fdes)
		return 0;
	if (f->nr_fdes >= FDES_MAX)
		return -EFBIG;
	v = realloc(f->fdes, want * sizeof(*v));
	if (!v)
		return -ENOMEM;
	f->fdes = v;
	f->cap_fdes = want;
	return 0;
}

/* The next one that is not empty; false: there is no more to be read. */
static bool next_entry(const struct cfi_frames *f, uint64_t *at,
		       struct entry *entry)
{
	const uint8_t *data = f->section.data;
	struct cfi_bytes b = { data + *at, data + f->section.size, false };
	uint64_t len;

	do {
		entry->at = (uint64_t)(b.p - data);
		if (cfi_left(&b) < 4)
			return false;
		len = cfi_u32(&b);
		if (!len && f->section.open_ended)
			return false;
	} while (!len);
	entry->wide = len == UINT32_MAX;
	if (entry->wide)
		len = cfi_u64(&b);
	if (b.bad || len > cfi_left(&b))
		return false;
	b.end = b.p + len;
	*at = (uint64_t)(b.end - data);
	entry->id_at = (uint64_t)(b.p - data);
	/* .eh_frame's are of 4 bytes, whatever the length is. */
	entry->id = entry->wide && f->debug ? cfi_u64(&b) : cfi_u32(&b);
	entry->b = b;
	return !b.bad;
}

static bool is_cie(const struct cfi_frames *f, const struct entry *entry)
{
	if (!f->debug)
		return !entry->id;
	return entry->id == (entry->wide ? UINT64_MAX : UINT32_MAX);
}

/* What the letters of the augmentation stand for. */
static void read_augmentation(struct cfi_bytes *b, const char *letters,
			      struct cfi_cie *cie)
{
	for (; *letters; letters++) {
		uint8_t encoding;

		switch (*letters) {
		case 'L':
			cfi_u8(b);
			break;
		case 'P':
			encoding = cfi_u8(b);
			cfi_value(b, encoding);
			break;
		case 'R':
			cie->fde_encoding = cfi_u8(b);
			break;
		case 'S':
			cie->signal = true;
			break;
		case 'B': /* signed with the B key; G: tagged memory */
		case 'G':
			break;
		default:
			/* Unknown, but its size is not. */
			if (!cie->sized)
				b->bad = true;
			return;
		}
	}
}

static void read_cie(const struct cfi_frames *f, struct entry *entry,
		     struct cfi_cie *cie)
{
	struct cfi_bytes *b = &entry->b;
	const char *letters;
	const uint8_t *nul;
	uint8_t version;

	*cie = (struct cfi_cie){ .at = entry->at };
	version = cfi_u8(b);
	letters = (const char *)b->p;
	nul = memchr(b->p, '\0', cfi_left(b));
	if (!nul || (version != 1 && version != 3 &&
		     (version != 4 || !f->debug))) {
		cie->bad = true;
		return;
	}
	b->p = nul + 1;
	if (version == 4) {
		uint8_t address_size = cfi_u8(b);

		/* Segment selectors are of another age. */
		if (address_size != 8 || cfi_u8(b))
			b->bad = true;
	}
	if (!strcmp(letters, "eh")) {
		cfi_u64(b);
		letters += 2;
	}
	cie->code_align = cfi_uleb(b);
	cie->data_align = cfi_sleb(b);
	cie->ra = version == 1 ? cfi_u8(b) : cfi_uleb(b);
	if (*letters == 'z') {
		struct cfi_bytes data = *b;
		uint64_t len = cfi_uleb(b);

		cie->sized = true;
		data.p = b->p;
		cfi_skip(b, len);
		data.end = b->p;
		data.bad = b->bad;
		read_augmentation(&data, letters + 1, cie);
		b->bad |= data.bad;
	} else {
		read_augmentation(b, letters, cie);
	}
	cie->code = b->p;
	cie->len = cfi_left(b);
	cie->bad = b->bad;
}

static int read_cies(struct cfi_frames *f)
{
	struct entry entry;
	uint64_t at = 0;

	while (next_entry(f, &at, &entry)) {
		int r;

		if (!is_cie(f, &entry))
			continue;
		r = grow_cies(f);
		if (r < 0)
			return r;
		read_cie(f, &entry, &f->cies[f->nr_cies++]);
	}
	return 0;
}

/* In order of place, since they were read so. */
static const struct cfi_cie *find_cie(const struct cfi_frames *f, uint64_t at)
{
	size_t low = 0, high = f->nr_cies;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (f->cies[mid].at < at)
			low = mid + 1;
		else
			high = mid;
	}
	return low < f->nr_cies && f->cies[low].at == at ? &f->cies[low] : NULL;
}

/*
 * False: it is damaged. One for code that is not in the file is not: the linker has
 * thrown that away, and left an address like 0.
 */
static bool read_fde(const struct cfi_frames *f, const struct cfi_elf *e,
		     struct entry *entry, const struct cfi_cie *cie,
		     struct cfi_fde *fde)
{
	struct cfi_bytes *b = &entry->b;
	uint64_t start, len, room;

	start = cfi_pointer(b, cie->fde_encoding, &f->section);
	len = cfi_value(b, cie->fde_encoding);
	if (cie->sized)
		cfi_skip(b, cfi_uleb(b));
	*fde = (struct cfi_fde){ 0 };
	if (b->bad || cie->bad)
		return false;
	if ((f->debug && !start) ||
	    !cfielf_code_offset(e, start, &fde->start, &room))
		return true;
	fde->end = fde->start + min_u64(len, room);
	fde->vaddr = start;
	fde->cie = (uint32_t)(cie - f->cies);
	fde->code = (uint32_t)(b->p - f->section.data);
	fde->len = (uint32_t)cfi_left(b);
	return true;
}

int cfiframe_parse(struct cfi_frames *f, const struct cfi_elf *e)
{
	const struct cfi_cie *cie = NULL;
	struct entry entry;
	uint64_t at = 0;
	int r = read_cies(f);

	while (r >= 0 && next_entry(f, &at, &entry)) {
		uint64_t cie_at = f->debug ? entry.id : entry.id_at - entry.id;

		if (is_cie(f, &entry))
			continue;
		if (!cie || cie->at != cie_at)
			cie = find_cie(f, cie_at);
		r = grow_fdes(f);
		if (r < 0)
			break;
		if (!cie || !read_fde(f, e, &entry, cie, &f->fdes[f->nr_fdes]))
			f->nr_bad++;
		else if (f->fdes[f->nr_fdes].end > f->fdes[f->nr_fdes].start)
			f->nr_fdes++;
	}
	return r;
}

void cfiframe_release(struct cfi_frames *f)
{
	free(f->section.data);
	free(f->cies);
	free(f->fdes);
}
