// SPDX-License-Identifier: Apache-2.0
/*
 * include/kstrata/rowcheck.h on any bytes; what passes is looked up all over, and
 * walks go by it over a stack of the same bytes. Build with
 * clang -fsanitize=fuzzer,address,undefined -D_GNU_SOURCE -Iinclude -Iinclude/uapi;
 * sizes and magic numbers are put right, so no seeds are needed.
 */
#include <kstrata/rowcheck.h>
#include <kstrata/unwind.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct bytes {
	const uint8_t *data;
	size_t len;
};

static int read_word(void *ctx, __u64 at, __u64 *word)
{
	const struct bytes *b = ctx;

	if (b->len < 8 || at > b->len - 8)
		return 0;
	memcpy(word, b->data + at, 8);
	return 1;
}

static int leaf(void *ctx, unsigned int reg, __u64 *value)
{
	return read_word(ctx, 8 * reg, value);
}

static void walk(const struct kst_rows_view *v, struct bytes *b, int machine)
{
	struct kst_frame f;

	kst_frame_leaf(&f, v->first, b->len / 4, b->len / 2);
	for (int i = 0; i < 255; i++) {
		__u64 place = kst_frame_place(&f);
		const struct kstrata_rule *rule;
		__u8 reason;

		/* Code is everywhere. */
		rule = kst_rows_find(v, v->first + place % v->extent);
		if (rule && rule->cfa != KSTRATA_CFA_NONE)
			reason = machine == KST_ARM64 ?
				kst_unwind_rule(&f, rule, v->aux, KST_ARM64,
						read_word, leaf, b) :
				kst_unwind_rule(&f, rule, v->aux, KST_X86_64,
						read_word, leaf, b);
		else
			reason = machine == KST_ARM64 ?
				kst_unwind_fp(&f, KST_ARM64, read_word, b) :
				kst_unwind_fp(&f, KST_X86_64, read_word, b);
		if (reason > KSTRATA_REASON_NOT_RESIDENT)
			__builtin_trap();
		if (reason)
			break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct kstrata_rows_table *t;
	struct kst_rows_view v;
	struct bytes b = { data, len };
	__u64 bytes;

	if (len < sizeof(*t))
		return 0;
	/* Of its exact size, so that the sanitizer sees the end. */
	t = malloc(len);
	if (!t)
		return 0;
	memcpy(t, data, len);
	t->magic = KSTRATA_ROWS_MAGIC;
	t->version = KSTRATA_ROWS_VERSION;
	t->machine = t->machine & 1 ? KST_X86_64 : KST_ARM64;
	t->page_bits = 8 + t->page_bits % 24;
	t->nr_pages = (__u32)((t->extent + (1ull << t->page_bits) - 1) >>
			      t->page_bits);
	t->nr_rules = t->nr_rules % 4 + 1;
	t->nr_rare %= 4;
	memset(t->reserved, 0, sizeof(t->reserved));
	bytes = kst_rows_bytes(t);
	t->bytes = (__u32)bytes;
	if (bytes > len)
		goto out;
	if (kst_rows_check(t, (size_t)bytes, t->machine))
		goto out;
	kst_rows_view(&v, t);
	for (__u64 i = 0; i < 4096; i++) {
		__u64 x = i < 2048 ? i : t->extent - i % 2048;
		const struct kstrata_rule *rule = kst_rows_find(&v, t->first + x);

		if (!rule != (x >= t->extent) ||
		    (rule && (rule < v.rules || rule >= v.rules + t->nr_rules)))
			__builtin_trap();
	}
	walk(&v, &b, t->machine);
out:
	free(t);
	return 0;
}
