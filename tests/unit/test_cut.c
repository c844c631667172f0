// SPDX-License-Identifier: Apache-2.0
/* profile/cut.c: every reason has its marker, and every marker is found again. */
#include "scratch.h"

#include "profile/cut.h"

#include <string.h>

struct walked {
	struct kstrata_sample s;
	uint64_t frames[2];
};

static struct walked walked(unsigned int user, unsigned int reason,
			    unsigned int walk)
{
	return (struct walked){
		.s.hdr.type = KSTRATA_RECORD_SAMPLE,
		.s.hdr.size = sizeof(struct walked),
		.s.frames_offset = sizeof(struct kstrata_sample),
		.s.nr_user = (uint16_t)user,
		.s.user_reason = (uint8_t)reason,
		.s.walk = (uint8_t)walk,
	};
}

static const char *marker(struct walked w)
{
	return cut_marker(cut_of(&w.s, true));
}

static void test_user(void **state)
{
	static const char *const markers[] = {
		[KSTRATA_REASON_COMPLETE] = "",
		[KSTRATA_REASON_DEPTH] = "[cut: depth]",
		[KSTRATA_REASON_FAULT] = "[cut: fault]",
		[KSTRATA_REASON_BAD_FRAME] = "[cut: bad frame]",
		[KSTRATA_REASON_UNSUPPORTED] = "[cut: not walked]",
		[KSTRATA_REASON_NO_ROWS] = "[cut: no rows]",
		[KSTRATA_REASON_BAD_RULE] = "[cut: bad rule]",
		[KSTRATA_REASON_NOT_RESIDENT] = "[cut: not resident]",
	};

	(void)state;
	for (unsigned int i = 1; i < ARRAY_SIZE(markers); i++)
		assert_string_equal(marker(walked(1, i, KSTRATA_WALK_ROWS)),
				    markers[i]);
	/* A walk that came to nothing at all. */
	assert_string_equal(marker(walked(0, KSTRATA_REASON_BAD_FRAME, 0)),
			    "[cut: bad frame]");
	for (unsigned int i = ARRAY_SIZE(markers); i < 256; i++)
		assert_string_equal(marker(walked(1, i, 0)), "[cut: other]");
}

/* A good end that frame pointers came to for want of rows is none. */
static void test_pending(void **state)
{
	static const unsigned int reasons[] = {
		KSTRATA_REASON_COMPLETE, KSTRATA_REASON_FAULT,
		KSTRATA_REASON_BAD_FRAME, KSTRATA_REASON_NO_ROWS,
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(reasons); i++)
		assert_string_equal(marker(walked(2, reasons[i],
						  KSTRATA_WALK_FP |
							  KSTRATA_WALK_PENDING)),
				    "[cut: no rows yet]");
	assert_string_equal(marker(walked(2, KSTRATA_REASON_DEPTH,
					  KSTRATA_WALK_FP |
						  KSTRATA_WALK_PENDING)),
			    "[cut: depth]");
	assert_string_equal(marker(walked(2, KSTRATA_REASON_COMPLETE,
					  KSTRATA_WALK_FP)),
			    "");
	for (size_t i = 0; i < ARRAY_SIZE(reasons); i++) {
		struct walked w = walked(2, reasons[i], KSTRATA_WALK_FP);
		enum cut fp = cut_of(&w.s, true);

		/* Nobody gives rows: none are to be waited for. */
		w.s.walk |= KSTRATA_WALK_PENDING;
		assert_int_equal(cut_of(&w.s, false), fp);
	}
}

/* Nor is one without look-ups, where there are rows. */
static void test_busy(void **state)
{
	struct walked w = walked(2, KSTRATA_REASON_COMPLETE, KSTRATA_WALK_FP);

	(void)state;
	w.s.lookup = KSTRATA_LOOKUP_BUSY;
	assert_string_equal(marker(w), "[cut: mappings busy]");
	assert_int_equal(cut_of(&w.s, false), CUT_NOT);
	w.s.user_reason = KSTRATA_REASON_DEPTH;
	assert_string_equal(marker(w), "[cut: depth]");
	w.s.lookup = KSTRATA_LOOKUP_DONE;
	w.s.user_reason = KSTRATA_REASON_COMPLETE;
	assert_int_equal(cut_of(&w.s, true), CUT_NOT);
}

static void test_kernel(void **state)
{
	struct walked w = walked(0, KSTRATA_REASON_NONE, 0);

	(void)state;
	assert_int_equal(cut_of(&w.s, true), CUT_NOT);
	w.s.nr_kernel = 1;
	w.frames[0] = 0xffffffff81000000;
	w.s.kernel_reason = KSTRATA_REASON_COMPLETE;
	assert_int_equal(cut_of(&w.s, true), CUT_NOT);
	w.s.kernel_reason = KSTRATA_REASON_DEPTH;
	assert_int_equal(cut_of(&w.s, true), CUT_DEPTH);
	w.frames[0] = KSTRATA_FRAME_HIDDEN;
	w.s.kernel_reason = KSTRATA_REASON_UNSUPPORTED;
	assert_int_equal(cut_of(&w.s, true), CUT_NOT);
	/* What is above it is whole: this one is not the outermost. */
	w = walked(1, KSTRATA_REASON_COMPLETE, 0);
	w.s.nr_kernel = 1;
	w.s.kernel_reason = KSTRATA_REASON_DEPTH;
	assert_int_equal(cut_of(&w.s, true), CUT_NOT);
}

static void test_names(void **state)
{
	(void)state;
	for (enum cut i = CUT_NOT + 1; i < CUTS; i++) {
		char text[64];

		snprintf(text, sizeof(text), "[cut: %s]", cut_name(i));
		assert_string_equal(cut_marker(i), text);
		assert_int_equal(cut_find(text, ""), i);
		/* Somebody's function of that name. */
		assert_int_equal(cut_find(text, "/bin/a"), CUT_NOT);
		assert_null(strpbrk(cut_key(i), " -;"));
		assert_int_equal(strlen(cut_key(i)), strlen(cut_name(i)));
	}
	assert_int_equal(cut_find("", ""), CUT_NOT);
	assert_int_equal(cut_find("[cut: ]", ""), CUT_NOT);
	assert_int_equal(cut_find("[cut: depth] ", ""), CUT_NOT);
	assert_int_equal(cut_find("[unknown]", ""), CUT_NOT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_user),
		cmocka_unit_test(test_pending),
		cmocka_unit_test(test_busy),
		cmocka_unit_test(test_kernel),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
