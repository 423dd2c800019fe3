// SPDX-License-Identifier: GPL-2.0
/*
 * Make slab allocations of a test fail, one after the other
 */

#include <linux/compiler.h>
#include <linux/kconfig.h>
#include <linux/minmax.h>
#include <linux/sched.h>

#include <kunit/resource.h>
#include <kunit/test.h>

#include "heap_test_helpers.h"

#ifdef CONFIG_FAULT_INJECTION
static void heap_test_set_fail_nth(unsigned int nth)
{
	WRITE_ONCE(current->fail_nth, nth);
}

static unsigned int heap_test_get_fail_nth(void)
{
	return READ_ONCE(current->fail_nth);
}
#else
static void heap_test_set_fail_nth(unsigned int nth)
{
}

static unsigned int heap_test_get_fail_nth(void)
{
	return 0;
}
#endif

struct heap_test_faults {
	bool *ignore_reclaim;
	unsigned long *verbose;
	unsigned long saved_verbose;
};

static void heap_test_faults_exit(void *data)
{
	struct heap_test_faults *faults = data;

	heap_test_set_fail_nth(0);
	*faults->verbose = faults->saved_verbose;
	*faults->ignore_reclaim = true;
}

/*
 * Make failslab fail allocations that may reclaim, too, and make it quiet. Only tasks
 * that have armed a fault are affected. Skip the test on a kernel that cannot do this.
 */
void heap_test_faults_init(struct kunit *test)
{
	struct heap_test_faults *faults;
	int ret;

	faults = kunit_kzalloc(test, sizeof(*faults), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, faults);

	if (IS_ENABLED(CONFIG_FAILSLAB)) {
		faults->ignore_reclaim =
			heap_test_debugfs_variable("failslab", "ignore-gfp-wait");
		faults->verbose =
			heap_test_debugfs_variable("failslab", "verbose");
	}
	if (!faults->ignore_reclaim || !faults->verbose)
		heap_test_skip(test, "faults",
			       "needs CONFIG_FAILSLAB and CONFIG_FAULT_INJECTION_DEBUG_FS");

	faults->saved_verbose = *faults->verbose;
	*faults->verbose = 0;
	*faults->ignore_reclaim = false;

	ret = kunit_add_action_or_reset(test, heap_test_faults_exit, faults);
	KUNIT_ASSERT_EQ(test, ret, 0);
}
EXPORT_SYMBOL_NS_GPL(heap_test_faults_init, EXPORTED_FOR_KUNIT_TESTING);

/* Make the @nth slab allocation of this task fail; 1 is the next one */
void heap_test_fault_arm(unsigned int nth)
{
	heap_test_set_fail_nth(nth);
}
EXPORT_SYMBOL_NS_GPL(heap_test_fault_arm, EXPORTED_FOR_KUNIT_TESTING);

/* Disarm the fault; returns whether an allocation failed */
bool heap_test_fault_taken(void)
{
	bool taken = !heap_test_get_fail_nth();

	heap_test_set_fail_nth(0);

	return taken;
}
EXPORT_SYMBOL_NS_GPL(heap_test_fault_taken, EXPORTED_FOR_KUNIT_TESTING);

#define HEAP_TEST_SWEEPS	5

/*
 * Call @step repeatedly, each time with a later slab allocation that fails, until no
 * allocation fails. In one of the sweeps @step must fail at least @expected times. A
 * debugging facility that fills a store of its own now and then shifts the allocations
 * after it past the fault: another sweep finds those.
 */
void heap_test_sweep_faults(struct kunit *test, heap_test_step step,
			    void *data, unsigned int expected)
{
	unsigned int sweep, n, failed, most = 0;
	bool taken;

	for (sweep = 0; sweep < HEAP_TEST_SWEEPS && most < expected; sweep++) {
		failed = 0;
		n = 0;
		do {
			heap_test_fault_arm(++n);
			failed += step(test, data, &taken);
		} while (taken && n < HEAP_TEST_MAX_FAULTS);

		KUNIT_EXPECT_FALSE(test, taken);
		most = max(most, failed);
	}
	KUNIT_EXPECT_GE(test, most, expected);
}
EXPORT_SYMBOL_NS_GPL(heap_test_sweep_faults, EXPORTED_FOR_KUNIT_TESTING);
