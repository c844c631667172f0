// SPDX-License-Identifier: Apache-2.0
#include "symbol/cfiasm.h"

#include <errno.h>

#define CHUNK 4096
#define LONGEST 16 /* of what is looked for, or decoded */
#define PLT_BYTES_MAX (16u << 20)

/* [66|2e|3e]... 90, or 0f 1f with an operand, or lea that moves to itself. */
static size_t x86_padding(const uint8_t *p, size_t len)
{
	size_t at = 0, n;
	uint8_t modrm, rm;

	if (*p == 0x00 || *p == 0xcc || *p == 0x90)
		return 1;
	while (at < len && (p[at] == 0x66 || p[at] == 0x2e || p[at] == 0x3e))
		at++;
	if (at < len && p[at] == 0x90)
		return at + 1;
	if (at + 3 > len || p[at] != 0x0f || p[at + 1] != 0x1f) {
		/* lea 0(%rsi,1),%rsi and its like */
		if (at + 4 <= len && p[at] == 0x8d && p[at + 1] == 0x74 &&
		    p[at + 2] == 0x26 && !p[at + 3])
			return at + 4;
		if (at + 7 <= len && p[at] == 0x8d && p[at + 1] == 0xb4 &&
		    p[at + 2] == 0x26)
			return at + 7;
		return 0;
	}
	modrm = p[at + 2];
	rm = modrm & 7;
	n = at + 3 + (rm == 4 && modrm >> 6 != 3);
	if (modrm >> 6 == 1)
		n += 1;
	else if (modrm >> 6 == 2 || (modrm >> 6 == 0 && rm == 5))
		n += 4;
	return n <= len ? n : 0;
}

static uint32_t word_at(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
	       (uint32_t)p[3] << 24;
}

/* nop, udf #0, brk #0 (which lld fills with) */
static size_t arm64_padding(const uint8_t *p, size_t len)
{
	uint32_t w;

	if (len < 4)
		return *p == 0 ? 1 : 0;
	w = word_at(p);
	return w == 0xd503201f || w == 0 || w == 0xd4200000 ? 4 : 0;
}

bool cfiasm_is_padding(struct cfi_elf *e, uint64_t start, uint64_t end)
{
	while (start < end) {
		size_t len = min_u64(CHUNK, end - start), at = 0;
		const uint8_t *p = cfielf_peek(e, start, len);

		if (!p)
			return false;
		while (at < len &&
		       (start + len == end || len - at >= LONGEST)) {
			size_t n = e->machine == EM_X86_64 ?
					   x86_padding(p + at, len - at) :
					   arm64_padding(p + at, len - at);

			if (!n)
				return false;
			at += n;
		}
		start += at;
	}
	return true;
}

/* call near, with a target that is code; call *mem; call *%reg */
static bool x86_is_call(const struct cfi_elf *e, const uint8_t *p, size_t len,
			uint64_t vaddr)
{
	uint64_t offset, room;

	if (*p == 0xe8 && len >= 5)
		return cfielf_code_offset(
			e, vaddr + 5 + (uint64_t)(int64_t)(int32_t)word_at(p + 1),
			&offset, &room);
	return *p == 0xff && len >= 2 && (p[1] >> 3 & 7) == 2;
}

/* bl; blr and its kin that check a signature first */
static bool arm64_is_call(const uint8_t *p, size_t len)
{
	uint32_t w = len >= 4 ? word_at(p) : 0;

	return w >> 26 == 0x25 || (w & 0xfefff000) == 0xd63f0000;
}

bool cfiasm_has_call(struct cfi_elf *e, uint64_t start, uint64_t end,
		     uint64_t vaddr)
{
	size_t step = e->machine == EM_AARCH64 ? 4 : 1;

	while (start < end) {
		size_t len = min_u64(CHUNK, end - start), at;
		const uint8_t *p = cfielf_peek(e, start, len);

		if (!p)
			return false;
		for (at = 0; at < len &&
			     (start + len == end || len - at >= LONGEST);
		     at += step)
			if (e->machine == EM_AARCH64 ?
				    arm64_is_call(p + at, len - at) :
				    x86_is_call(e, p + at, len - at, vaddr + at))
				return true;
		start += at;
		vaddr += at;
	}
	return false;
}

/* mov $15,%rax or %eax; syscall */
static size_t x86_sigreturn(const uint8_t *p, size_t len)
{
	static const uint8_t rax[] = { 0x48, 0xc7, 0xc0, 0x0f, 0x00,
				       0x00, 0x00, 0x0f, 0x05 };
	static const uint8_t eax[] = { 0xb8, 0x0f, 0x00, 0x00,
				       0x00, 0x0f, 0x05 };

	if (len >= sizeof(rax) && !memcmp(p, rax, sizeof(rax)))
		return sizeof(rax);
	if (len >= sizeof(eax) && !memcmp(p, eax, sizeof(eax)))
		return sizeof(eax);
	return 0;
}

/* mov x8,#139; svc #0 */
static size_t arm64_sigreturn(const uint8_t *p, size_t len)
{
	return len >= 8 && word_at(p) == 0xd2801168 &&
	       word_at(p + 4) == 0xd4000001 ? 8 : 0;
}

static size_t sigreturn_in(const struct cfi_elf *e, const uint8_t *p,
			   size_t len, size_t *at)
{
	size_t n = 0;

	if (e->machine == EM_AARCH64) {
		for (*at = 0; *at < len && !n; *at += n ? 0 : 4)
			n = arm64_sigreturn(p + *at, len - *at);
		return n;
	}
	for (*at = 0; *at < len; ++*at) {
		/* Their only common byte. */
		const uint8_t *found = memchr(p + *at, 0x0f, len - *at);
		size_t i = found ? (size_t)(found - p) : len;

		if (i >= len)
			return 0;
		*at = i >= 3 ? i - 3 : 0;
		n = i >= 3 ? x86_sigreturn(p + *at, len - *at) : 0;
		if (n)
			return n;
		*at = i >= 1 ? i - 1 : 0;
		n = x86_sigreturn(p + *at, len - *at);
		if (n)
			return n;
		*at = i;
	}
	return 0;
}

bool cfiasm_find_sigreturn(struct cfi_elf *e, uint64_t start, uint64_t end,
			   struct cfi_span *out)
{
	while (start < end) {
		size_t len = min_u64(CHUNK, end - start), at, n;
		const uint8_t *p = cfielf_peek(e, start, len);

		if (!p)
			return false;
		n = sigreturn_in(e, p, len, &at);
		if (n) {
			out->start = start + at;
			out->end = start + at + n;
			return true;
		}
		if (start + len == end)
			return false;
		start += len - LONGEST;
	}
	return false;
}

enum {
	RULE_X86_CALLED,   /* rsp+8 */
	RULE_X86_PUSHED,   /* rsp+16 */
	RULE_X86_PUSHED_2, /* rsp+24 */
	RULE_ARM64_CALLED, /* sp, x30 */
	RULE_ARM64_PUSHED, /* sp+16, x30 beside x16 */
};

#define X86_AT(n) \
	{ .cfa = KSTRATA_CFA_REG, .reg = 7, .offset = n, \
	  .ra = { .how = KSTRATA_SAVE_AT_CFA, .offset = -8 } }

const struct kstrata_rule cfiasm_rules[] = {
	[RULE_X86_CALLED] = X86_AT(8),
	[RULE_X86_PUSHED] = X86_AT(16),
	[RULE_X86_PUSHED_2] = X86_AT(24),
	[RULE_ARM64_CALLED] = { .cfa = KSTRATA_CFA_REG, .reg = 31 },
	[RULE_ARM64_PUSHED] = {
		.cfa = KSTRATA_CFA_REG, .reg = 31, .offset = 16,
		.ra = { .how = KSTRATA_SAVE_AT_CFA, .offset = -8 },
	},
};

/* From here on the stub has pushed n words; what an entry or two tell. */
static int add_stub(struct cfi_spans *out, uint64_t at, size_t pushed_at,
		    size_t len, uint32_t before, uint32_t after)
{
	int r = cfispan_add(out, (struct cfi_span){
		.start = at, .end = at + pushed_at, .what = before });

	if (r >= 0)
		r = cfispan_add(out, (struct cfi_span){
			.start = at + pushed_at, .end = at + len,
			.what = after });
	return r;
}

/*
 * [endbr64] then a push before a jump to the first stub, a jump through a slot, or
 * that with the push behind it; the first stub pushes a second word.
 */
static int x86_stub(struct cfi_spans *out, uint64_t at, const uint8_t *p,
		    size_t len)
{
	static const uint8_t endbr64[] = { 0xf3, 0x0f, 0x1e, 0xfa };
	size_t i = 0;

	if (len < 8)
		return 0;
	if (!memcmp(p, endbr64, sizeof(endbr64)))
		i = sizeof(endbr64);
	if (!i && len == 16 && p[0] == 0xff && p[1] == 0x35)
		return add_stub(out, at, 6, len, RULE_X86_PUSHED,
				RULE_X86_PUSHED_2);
	if (p[i] == 0x68 && len == 16)
		return add_stub(out, at, i + 5, len, RULE_X86_CALLED,
				RULE_X86_PUSHED);
	if (p[i] == 0xf2)
		i++;
	if (i + 6 > len || p[i] != 0xff || p[i + 1] != 0x25)
		return 0;
	if (len == 16 && !i && p[6] == 0x68)
		return add_stub(out, at, 11, len, RULE_X86_CALLED,
				RULE_X86_PUSHED);
	return add_stub(out, at, len, len, RULE_X86_CALLED, 0);
}

/* The first stub keeps x30 on the stack; all others only jump. */
static int arm64_stubs(struct cfi_spans *out, uint64_t at, const uint8_t *p,
		       size_t len)
{
	size_t i = 0;

	if (len >= 8 && word_at(p) == 0xd503245f) /* bti c */
		i = 4;
	if (len < i + 32 || word_at(p + i) != 0xa9bf7bf0)
		return add_stub(out, at, len, len, RULE_ARM64_CALLED, 0);
	if (add_stub(out, at, i + 4, 32, RULE_ARM64_CALLED,
		     RULE_ARM64_PUSHED) < 0)
		return -ENOMEM;
	return add_stub(out, at + 32, len - 32, len - 32, RULE_ARM64_CALLED,
			0);
}

static int plt_section(struct cfi_elf *e, const Elf64_Shdr *shdr,
		       uint64_t offset, struct cfi_spans *out)
{
	size_t step = shdr->sh_entsize == 8 ? 8 : 16;
	const uint8_t *p;
	int r = 0;

	if (e->machine == EM_AARCH64) {
		/* Only the beginning is looked at, and all of it be there. */
		p = cfielf_peek(e, offset, min_u64(shdr->sh_size, 64));
		return p ? arm64_stubs(out, offset, p, shdr->sh_size) : 0;
	}
	for (uint64_t at = 0; at + step <= shdr->sh_size && r >= 0;
	     at += step) {
		p = cfielf_peek(e, offset + at, step);
		if (p)
			r = x86_stub(out, offset + at, p, step);
	}
	return r;
}

/*
 * .init and .fini, which are put together from pieces that say nothing of frames:
 * [endbr64] sub $8,%rsp, calls, add $8,%rsp, ret. (arm64's keep a frame pointer.)
 */
static int init_section(struct cfi_elf *e, const Elf64_Shdr *shdr,
			uint64_t offset, struct cfi_spans *out)
{
	static const uint8_t begin[] = { 0xf3, 0x0f, 0x1e, 0xfa,
					 0x48, 0x83, 0xec, 0x08 };
	static const uint8_t end[] = { 0x48, 0x83, 0xc4, 0x08, 0xc3 };
	size_t len = shdr->sh_size, at = 4;
	const uint8_t *p;
	int r;

	if (e->machine != EM_X86_64 || len < 16 || len > CHUNK)
		return 0;
	p = cfielf_peek(e, offset, len);
	if (!p || memcmp(p + len - sizeof(end), end, sizeof(end)))
		return 0;
	if (!memcmp(p, begin, sizeof(begin)))
		at = sizeof(begin);
	else if (memcmp(p, begin + 4, 4))
		return 0;
	r = add_stub(out, offset, at, len - 1, RULE_X86_CALLED,
		     RULE_X86_PUSHED);
	return r < 0 ? r : add_stub(out, offset + len - 1, 1, 1,
				    RULE_X86_CALLED, 0);
}

static bool is_init(const char *name)
{
	return !strcmp(name, ".init") || !strcmp(name, ".fini");
}

int cfiasm_plt(struct cfi_elf *e, struct cfi_spans *out)
{
	int r = 0;

	for (size_t i = 1; i < e->nr_sections && r >= 0; i++) {
		const Elf64_Shdr *s = &e->sections[i];
		const char *name = cfielf_name(e, s);
		uint64_t offset, room;

		if (s->sh_type != SHT_PROGBITS ||
		    !(s->sh_flags & SHF_EXECINSTR) ||
		    s->sh_size > PLT_BYTES_MAX ||
		    (strncmp(name, ".plt", 4) && strcmp(name, ".iplt") &&
		     !is_init(name)) ||
		    !cfielf_code_offset(e, s->sh_addr, &offset, &room) ||
		    s->sh_size > room || !s->sh_size)
			continue;
		r = is_init(name) ? init_section(e, s, offset, out) :
				    plt_section(e, s, offset, out);
	}
	return r < 0 ? r : cfispan_flatten(out);
}
