/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * kstrata-test.ko: the KUnit suites. They include the .c that they test, so
 * what is static is tested too and nothing is exported for them; the module
 * under test need not be loaded. Built with make KSTRATA_TEST=1 for kernels
 * that have CONFIG_KUNIT.
 */
#ifndef _KST_KUNIT_SUITES_H
#define _KST_KUNIT_SUITES_H

#include <kunit/test.h>

/*
 * How often loops of random trials run, in percent; "slow" kernels want fewer.
 * Of main.c, a module parameter.
 */
extern unsigned int kst_test_effort;

/* n trials, scaled; never none. */
static inline unsigned int kst_test_trials(unsigned int n)
{
	return max(1u, (unsigned int)((u64)n * kst_test_effort / 100));
}

extern struct kunit_suite kst_abi_suite;
extern struct kunit_suite kst_busy_suite;
extern struct kunit_suite kst_compat_suite;
extern struct kunit_suite kst_filter_suite;
extern struct kunit_suite kst_objects_suite;
extern struct kunit_suite kst_period_suite;
extern struct kunit_suite kst_ring_suite;
extern struct kunit_suite kst_rows_suite;
extern struct kunit_suite kst_stack_suite;
extern struct kunit_suite kst_unwind_suite;

#endif /* _KST_KUNIT_SUITES_H */
