// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit suites of the pool of DMA-BUF heaps
 *
 * The suite dma_heap_pool has a pool in front of a source of ordinary memory. The suite
 * dma_heap_reserved has a pool in front of a reserved source. A test controls which
 * backings are dirty, which are zeroed and which one the scrubber has, see
 * heap_test_source.h. A test waits for an event as long as it takes.
 *
 * The cases are in the files that heap_pool_kunit.h lists. The module joins them to two
 * suites when it is loaded, before KUnit looks at it.
 */

#include <linux/array_size.h>
#include <linux/errno.h>
#include <linux/module.h>

#include <kunit/test.h>

#include "heap_pool_kunit.h"
#include "heap_test_pool.h"

/* The last case of a suite is empty */
#define MAX_CASES	80

static struct kunit_case pool_cases[MAX_CASES + 1];
static struct kunit_case reserved_cases[MAX_CASES + 1];

static const struct kunit_case * const pool_parts[] = {
	pool_alloc_cases,
	pool_node_cases,
	pool_scrub_cases,
	pool_piece_cases,
	pool_decay_cases,
	pool_cap_cases,
	pool_shrink_cases,
	pool_prefill_cases,
	pool_fault_cases,
	pool_destroy_cases,
	pool_race_cases,
	give_back_cases,
};

static const struct kunit_case * const reserved_parts[] = {
	reserved_scrub_cases,
	reserved_search_cases,
	reserved_region_cases,
};

static struct kunit_suite pool_test_suite = {
	.name = "dma_heap_pool",
	.init = pool_test_init,
	.exit = pool_test_exit,
	.test_cases = pool_cases,
};

static struct kunit_suite reserved_test_suite = {
	.name = "dma_heap_reserved",
	.init = pool_test_init_reserved,
	.exit = pool_test_exit,
	.test_cases = reserved_cases,
};

kunit_test_suites(&pool_test_suite, &reserved_test_suite);

static int pool_kunit_join(struct kunit_case *cases,
			   const struct kunit_case * const *parts,
			   unsigned int count)
{
	const struct kunit_case *part;
	unsigned int i, n = 0;

	for (i = 0; i < count; i++) {
		for (part = parts[i]; part->run_case; part++) {
			if (n == MAX_CASES)
				return -E2BIG;
			cases[n++] = *part;
		}
	}

	return 0;
}

static int __init pool_kunit_init(void)
{
	return pool_kunit_join(pool_cases, pool_parts,
			       ARRAY_SIZE(pool_parts)) ?:
	       pool_kunit_join(reserved_cases, reserved_parts,
			       ARRAY_SIZE(reserved_parts));
}
module_init(pool_kunit_init);

/* Without an exit function the module could not be removed */
static void __exit pool_kunit_exit(void)
{
}
module_exit(pool_kunit_exit);

MODULE_DESCRIPTION("KUnit tests of the pool of DMA-BUF heaps");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS(DMA_BUF_HEAP);
MODULE_IMPORT_NS(EXPORTED_FOR_KUNIT_TESTING);
