// SPDX-License-Identifier: Apache-2.0
/* include/kstrata/unwind.h: one step of a walk, for both machines. */
#include "base/util.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../module/kunit/unwind_cases.h"

static const int machines[] = { KST_X86_64, KST_ARM64 };

static void test_cases(void **state)
{
	struct uw_world w;

	(void)state;
	for (size_t i = 0; i < UW_NR_CASES; i++) {
		for (size_t m = 0; m < 2; m++) {
			const char *wrong = uw_run(&w, (unsigned int)i, machines[m]);

			if (wrong)
				fail_msg("%s, machine %d: %s", uw_cases[i].name,
					 machines[m], wrong);
		}
	}
}

static void test_random(void **state)
{
	struct uw_world w;
	__u64 random = 271828;

	(void)state;
	for (size_t m = 0; m < 2; m++) {
		const char *wrong = uw_random(&w, machines[m], &random, 300000);

		if (wrong)
			fail_msg("machine %d: %s", machines[m], wrong);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
