/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading a section's bytes, little-endian, from strangers: past the end everything is
 * zero and bad sticks, to be looked at once.
 */
#ifndef KSTRATA_SYMBOL_CFIBYTES_H
#define KSTRATA_SYMBOL_CFIBYTES_H

#include "base/util.h"

#include <endian.h>
#include <string.h>

struct cfi_bytes {
	const uint8_t *p, *end;
	bool bad;
};

/* A section with where it is mapped, for pointers that are relative to that. */
struct cfi_section {
	uint8_t *data; /* malloc'ed, NULL: there is none */
	size_t size;
	uint64_t vaddr;
	uint64_t data_base; /* what DW_EH_PE_datarel is relative to, 0: not known */
	bool open_ended;    /* its size is not known: an empty entry ends it */
};

/* DW_EH_PE_*, the pointer encodings. */
enum {
	CFI_PE_ABSPTR = 0x00,
	CFI_PE_ULEB128 = 0x01,
	CFI_PE_UDATA2 = 0x02,
	CFI_PE_UDATA4 = 0x03,
	CFI_PE_UDATA8 = 0x04,
	CFI_PE_SIGNED = 0x08,
	CFI_PE_SLEB128 = 0x09,
	CFI_PE_SDATA2 = 0x0a,
	CFI_PE_SDATA4 = 0x0b,
	CFI_PE_SDATA8 = 0x0c,
	CFI_PE_FORMAT = 0x0f,
	CFI_PE_PCREL = 0x10,
	CFI_PE_DATAREL = 0x30,
	CFI_PE_BASE = 0x70,
	CFI_PE_INDIRECT = 0x80,
	CFI_PE_OMIT = 0xff,
};

static inline size_t cfi_left(const struct cfi_bytes *b)
{
	return (size_t)(b->end - b->p);
}

static inline void cfi_skip(struct cfi_bytes *b, uint64_t n)
{
	if (n > cfi_left(b)) {
		b->bad = true;
		b->p = b->end;
	} else {
		b->p += n;
	}
}

static inline bool cfi_take(struct cfi_bytes *b, void *out, size_t n)
{
	if (n > cfi_left(b)) {
		b->bad = true;
		b->p = b->end;
		memset(out, 0, n);
		return false;
	}
	memcpy(out, b->p, n);
	b->p += n;
	return true;
}

static inline uint8_t cfi_u8(struct cfi_bytes *b)
{
	if (b->p == b->end) {
		b->bad = true;
		return 0;
	}
	return *b->p++;
}

static inline uint16_t cfi_u16(struct cfi_bytes *b)
{
	uint16_t v;

	cfi_take(b, &v, sizeof(v));
	return le16toh(v);
}

static inline uint32_t cfi_u32(struct cfi_bytes *b)
{
	uint32_t v;

	cfi_take(b, &v, sizeof(v));
	return le32toh(v);
}

static inline uint64_t cfi_u64(struct cfi_bytes *b)
{
	uint64_t v;

	cfi_take(b, &v, sizeof(v));
	return le64toh(v);
}

/* Padded ones are fine, of up to 16 bytes; bits past 64 are not. */
static inline uint64_t cfi_uleb(struct cfi_bytes *b)
{
	uint64_t v = 0;

	for (unsigned int shift = 0; shift < 16 * 7; shift += 7) {
		uint8_t c = cfi_u8(b);

		if (shift < 64)
			v |= (uint64_t)(c & 0x7f) << shift;
		if ((shift >= 64 && (c & 0x7f)) ||
		    (shift == 63 && (c & 0x7e)))
			b->bad = true;
		if (!(c & 0x80))
			return v;
	}
	b->bad = true;
	return 0;
}

static inline int64_t cfi_sleb(struct cfi_bytes *b)
{
	uint64_t v = 0;

	for (unsigned int shift = 0; shift < 16 * 7; shift += 7) {
		uint8_t c = cfi_u8(b);

		if (shift < 64)
			v |= (uint64_t)(c & 0x7f) << shift;
		if (!(c & 0x80)) {
			if ((c & 0x40) && shift + 7 < 64)
				v |= ~UINT64_C(0) << (shift + 7);
			return (int64_t)v;
		}
	}
	b->bad = true;
	return 0;
}

/* A value of this format (DW_EH_PE_*, its low 4 bits). */
static inline uint64_t cfi_value(struct cfi_bytes *b, uint8_t encoding)
{
	switch (encoding & CFI_PE_FORMAT) {
	case CFI_PE_ABSPTR:
	case CFI_PE_UDATA8:
	case CFI_PE_SDATA8:
	case CFI_PE_SIGNED:
		return cfi_u64(b);
	case CFI_PE_UDATA4:
		return cfi_u32(b);
	case CFI_PE_SDATA4:
		return (uint64_t)(int64_t)(int32_t)cfi_u32(b);
	case CFI_PE_UDATA2:
		return cfi_u16(b);
	case CFI_PE_SDATA2:
		return (uint64_t)(int64_t)(int16_t)cfi_u16(b);
	case CFI_PE_ULEB128:
		return cfi_uleb(b);
	case CFI_PE_SLEB128:
		return (uint64_t)cfi_sleb(b);
	default:
		b->bad = true;
		return 0;
	}
}

/*
 * A pointer of this encoding, in this section. What would have to be read from the
 * running program's memory is refused.
 */
static inline uint64_t cfi_pointer(struct cfi_bytes *b, uint8_t encoding,
				   const struct cfi_section *s)
{
	uint64_t at = s->vaddr + (uint64_t)(b->p - s->data);
	uint64_t v;

	if (encoding == CFI_PE_OMIT || (encoding & CFI_PE_INDIRECT)) {
		b->bad = true;
		return 0;
	}
	v = cfi_value(b, encoding);
	switch (encoding & CFI_PE_BASE) {
	case CFI_PE_ABSPTR:
		return v;
	case CFI_PE_PCREL:
		return v + at;
	case CFI_PE_DATAREL:
		if (!s->data_base)
			b->bad = true;
		return v + s->data_base;
	default:
		b->bad = true;
		return 0;
	}
}

#endif
