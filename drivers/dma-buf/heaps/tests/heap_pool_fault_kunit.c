// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of the pool of DMA-BUF heaps: slab allocations fail
 */

#include <linux/err.h>
#include <linux/kconfig.h>
#include <linux/pfn.h>

#include <kunit/test.h>

#include "../heap_source.h"
#include "../heap_pool.h"
#include "heap_pool_kunit.h"
#include "heap_test_helpers.h"
#include "heap_test_pool.h"
#include "heap_test_source.h"

/* Each slab allocation fails in turn while a task allocates and frees */
static void pool_alloc_and_free_survive_failed_allocations(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct dma_heap_backing *base;
	unsigned int n, hurt = 0;
	const char *wrong;
	bool taken;
	u64 hits;

	heap_test_faults_init(test);

	/* Each round uses a size that the pool does not know yet */
	for (n = 1; n <= HEAP_TEST_MAX_FAULTS; n++) {
		heap_test_fault_arm(n);
		base = pool_try_get(ctx, n + 1);
		wrong = NULL;
		if (!IS_ERR(base)) {
			wrong = backing_use(to_mock_backing(base), n + 1, DIRT);
			backing_put(to_mock_backing(base));
		}
		taken = heap_test_fault_taken();
		hurt += taken;

		if (wrong)
			KUNIT_FAIL(test, "backing %s", wrong);
		if (IS_ERR(base)) {
			KUNIT_ASSERT_TRUE(test, taken);
			KUNIT_EXPECT_PTR_EQ(test, base, ERR_PTR(-ENOMEM));
		}
		if (!taken)
			break;
	}
	KUNIT_EXPECT_LE(test, n, HEAP_TEST_MAX_FAULTS);
	/* Two allocations of the mock source fail, and one of the pool */
	KUNIT_EXPECT_GE(test, hurt, 3);

	/* The pool keeps backings of these sizes all the same */
	for (n = 2; n < hurt + 2; n++)
		pool_put_clean(ctx, pool_get(ctx, n));
	hits = STAT(ctx, hits);
	for (n = 2; n < hurt + 2; n++)
		pool_get(ctx, n);
	KUNIT_EXPECT_EQ(test, STAT(ctx, hits), hits + hurt);
}

/* CONFIG_DEBUG_OBJECTS fills a store of its own now and then, in whatever task */
static bool pool_took_memory(void)
{
	return heap_test_fault_taken() && !IS_ENABLED(CONFIG_DEBUG_OBJECTS);
}

/* Free, hit, dirty hit and shrinker work without a slab allocation */
static void pool_needs_no_memory_for_known_sizes(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct mock_backing *clean, *dirty;
	struct dma_heap_backing *base[2];

	heap_test_faults_init(test);

	/* The pool allocates a bin for the first backing of a size */
	pool_put_clean(ctx, pool_get(ctx, 4));
	pool_put_clean(ctx, pool_get(ctx, 8));
	clean = pool_get(ctx, 4);
	dirty = pool_get(ctx, 8);

	heap_test_fault_arm(1);
	backing_put(clean);
	KUNIT_EXPECT_FALSE(test, pool_took_memory());
	pool_wait_scrubbed(ctx);
	pool_hold_scrubber(ctx);

	heap_test_fault_arm(1);
	backing_put(dirty);
	base[0] = pool_try_get(ctx, 4);
	base[1] = pool_try_get(ctx, 8);
	KUNIT_EXPECT_FALSE(test, pool_took_memory());
	KUNIT_EXPECT_PTR_EQ(test, base[0], &clean->base);
	KUNIT_EXPECT_PTR_EQ(test, base[1], &dirty->base);
	KUNIT_EXPECT_NULL(test, backing_use(clean, 4, DIRT));
	KUNIT_EXPECT_NULL(test, backing_use(dirty, 8, DIRT));
	pool_put(ctx, clean);
	pool_put(ctx, dirty);

	heap_test_fault_arm(1);
	KUNIT_EXPECT_EQ(test, pool_scan(ctx, 4 + 8), 4 + 8);
	KUNIT_EXPECT_FALSE(test, pool_took_memory());
}

static bool try_create(struct kunit *test, void *data, bool *taken)
{
	struct pool_test *ctx = test->priv;
	struct dma_heap_pool *pool;

	pool = dma_heap_pool_create("kunit-fault", &ctx->mock.base);
	*taken = heap_test_fault_taken();

	if (!IS_ERR(pool)) {
		dma_heap_pool_destroy(pool);
	} else {
		KUNIT_ASSERT_TRUE(test, *taken);
		KUNIT_EXPECT_PTR_EQ(test, pool, ERR_PTR(-ENOMEM));
	}

	return IS_ERR(pool);
}

static void pool_create_survives_failed_allocations(struct kunit *test)
{
	heap_test_faults_init(test);

	/* At least the pool, the shrinker and the thread need memory */
	heap_test_sweep_faults(test, try_create, NULL, 3);
}

static bool try_prefill(struct kunit *test, void *data, bool *taken)
{
	struct pool_test *ctx = test->priv;
	int ret;

	ret = dma_heap_pool_prefill(ctx->pool, PFN_PHYS(4), 2);
	*taken = heap_test_fault_taken();
	KUNIT_EXPECT_EQ(test, ret, ret ? -ENOMEM : 0);
	KUNIT_EXPECT_TRUE(test, !ret || *taken);

	return ret;
}

/* A failed prefill may leave backings in the pool, and the next one gets fewer */
static void pool_prefill_survives_failed_allocations(struct kunit *test)
{
	struct pool_test *ctx = test->priv;

	heap_test_faults_init(test);
	heap_test_sweep_faults(test, try_prefill, NULL, 1);
	pool_wait_clean_pages(ctx, 2 * 4);
}

const struct kunit_case pool_fault_cases[] = {
	KUNIT_CASE(pool_alloc_and_free_survive_failed_allocations),
	KUNIT_CASE(pool_needs_no_memory_for_known_sizes),
	KUNIT_CASE(pool_create_survives_failed_allocations),
	KUNIT_CASE(pool_prefill_survives_failed_allocations),
	{}
};
