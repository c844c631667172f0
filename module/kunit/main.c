// SPDX-License-Identifier: GPL-2.0-only
#include "suites.h"

#include <linux/module.h>

unsigned int kst_test_effort = 100;
module_param_named(effort, kst_test_effort, uint, 0444);
MODULE_PARM_DESC(effort, "random trials, in percent of the usual");

kunit_test_suites(&kst_abi_suite, &kst_busy_suite, &kst_compat_suite,
		  &kst_filter_suite, &kst_objects_suite, &kst_period_suite,
		  &kst_ring_suite, &kst_rows_suite, &kst_stack_suite,
		  &kst_unwind_suite);

MODULE_DESCRIPTION("Tests of kstrata");
MODULE_AUTHOR("The kstrata authors");
MODULE_LICENSE("GPL");
