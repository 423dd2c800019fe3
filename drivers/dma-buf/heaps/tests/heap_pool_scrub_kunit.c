// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of the pool of DMA-BUF heaps: which task scrubs, and when
 */

#include <linux/array_size.h>
#include <linux/jiffies.h>
#include <linux/pfn.h>
#include <linux/sched.h>
#include <linux/sizes.h>

#include <kunit/test.h>

#include "../heap_pool.h"
#include "../heap_pool_internal.h"
#include "heap_pool_kunit.h"
#include "heap_test_pool.h"
#include "heap_test_source.h"

/* The scrubber is held, so a freed backing stays dirty */
static void pool_free_leaves_scrubbing_to_scrubber(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct mock_backing *backing = pool_get(ctx, 64);

	pool_hold_scrubber(ctx);
	pool_put(ctx, backing);
	KUNIT_EXPECT_TRUE(test, backing_holds(backing, DIRT));
	KUNIT_EXPECT_EQ(test, STAT(ctx, dirty_pages), 64 + DECOY_PAGES);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, by_others), 0);

	pool_release_scrubber(ctx);
	KUNIT_EXPECT_TRUE(test, backing_holds(backing, 0));
	KUNIT_EXPECT_EQ(test, STAT(ctx, scrubbed_pages), 64 + DECOY_PAGES);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, by_others), 0);
}

/* A task scrubs in free if the scrubber does not keep up with buffers of this size */
static void pool_free_scrubs_when_half_of_cap_is_dirty(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct mock_backing *backings[4];

	pool_get_many(ctx, backings, ARRAY_SIZE(backings), 10, 0);
	dma_heap_pool_set_max(ctx->pool, PFN_PHYS(64));
	pool_hold_scrubber(ctx);
	pool_put(ctx, backings[0]);
	pool_put(ctx, backings[1]);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, by_others), 0);

	/* 21 dirty pages are less than half of 64, and 31 are more than half of 60 */
	pool_put(ctx, backings[2]);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, by_others), 0);
	dma_heap_pool_set_max(ctx->pool, PFN_PHYS(60));
	pool_put(ctx, backings[3]);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, by_others), 10);
	KUNIT_EXPECT_EQ(test, STAT(ctx, paid_pages), 10);
	KUNIT_EXPECT_EQ(test, STAT(ctx, clean_pages), 10);
	KUNIT_EXPECT_EQ(test, STAT(ctx, dirty_pages), 30 + DECOY_PAGES);
	KUNIT_EXPECT_EQ(test, STAT(ctx, evicted_pages), 0);

	KUNIT_EXPECT_PTR_EQ(test, pool_get(ctx, 10), backings[3]);
	KUNIT_EXPECT_EQ(test, STAT(ctx, hits), 1);
	KUNIT_EXPECT_EQ(test, STAT(ctx, dirty_hits), 0);
}

/* The backlog is of another size: whoever made it scrubs, and nobody else */
static void pool_free_does_not_scrub_for_backlog_of_other_size(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct mock_backing *small[2], *large[2];

	pool_get_many(ctx, large, ARRAY_SIZE(large), 40, 0);
	pool_get_many(ctx, small, ARRAY_SIZE(small), 4, 0);
	dma_heap_pool_set_max(ctx->pool, PFN_PHYS(90));
	pool_hold_scrubber(ctx);
	pool_put(ctx, large[0]);
	pool_put(ctx, small[0]);
	KUNIT_EXPECT_EQ(test, STAT(ctx, dirty_pages), 44 + DECOY_PAGES);
	dma_heap_pool_set_max(ctx->pool, PFN_PHYS(89));

	pool_put(ctx, small[1]);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, by_others), 0);
	pool_put(ctx, large[1]);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, by_others), 40);
}

/* Allocate and free a zeroed backing until this task is not throttled any more */
static void pool_wait_out_of_debt(struct pool_test *ctx,
				  struct mock_backing *backing)
{
	unsigned long end = jiffies + usecs_to_jiffies(PATIENCE_US);
	unsigned int pages = backing->pages;
	unsigned long paid;

	do {
		KUNIT_ASSERT_PTR_EQ(ctx->test, pool_get(ctx, pages), backing);
		schedule_timeout_uninterruptible(1);
		paid = SEEN(ctx, by_others);
		pool_put(ctx, backing);
	} while (SEEN(ctx, by_others) != paid && time_before(jiffies, end));

	KUNIT_ASSERT_EQ(ctx->test, SEEN(ctx, by_others), paid);
	KUNIT_EXPECT_TRUE(ctx->test, backing_holds(backing, DIRT));
}

/*
 * A dirty hit shows that the scrubber does not keep up. So free scrubs for a while what
 * has the same size, and nothing else.
 */
static void pool_free_scrubs_after_dirty_hit_of_same_size(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct mock_backing *backing = pool_get(ctx, DEBT_PAGES);
	struct mock_backing *other = pool_get(ctx, DEBT_PAGES + 1);
	unsigned long hit, paid;
	int tries = 0;

	pool_hold_scrubber(ctx);
	pool_put(ctx, backing);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, by_others), 0);

	/* A free that comes too late leaves the backing dirty */
	do {
		hit = jiffies;
		KUNIT_ASSERT_PTR_EQ(test, pool_get(ctx, DEBT_PAGES), backing);
		paid = SEEN(ctx, by_others);
		pool_put(ctx, backing);
		if (SEEN(ctx, by_others) != paid)
			break;
		KUNIT_EXPECT_TRUE(test, time_after_eq(jiffies, hit + DEBT_TIME));
	} while (++tries < TRIES);

	KUNIT_ASSERT_EQ(test, SEEN(ctx, by_others), paid + DEBT_PAGES);
	KUNIT_EXPECT_EQ(test, STAT(ctx, paid_pages), SEEN(ctx, by_others));
	KUNIT_EXPECT_EQ(test, STAT(ctx, clean_pages), DEBT_PAGES);
	KUNIT_EXPECT_TRUE(test, backing_holds(backing, 0));

	paid = SEEN(ctx, by_others);
	pool_put(ctx, other);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, by_others), paid);
	KUNIT_EXPECT_TRUE(test, backing_holds(other, DIRT));

	pool_wait_out_of_debt(ctx, backing);
	KUNIT_EXPECT_FALSE(test, time_before(jiffies, hit + DEBT_TIME));
}

/* The pool keeps an untouched backing as it is, and its task pays no debt */
static void pool_free_of_zeroed_backing_scrubs_nothing(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct mock_backing *backing = pool_get(ctx, DEBT_PAGES);
	struct dma_heap_backing *untouched;
	unsigned long scrubbed;

	pool_hold_scrubber(ctx);
	pool_put(ctx, backing);
	KUNIT_ASSERT_PTR_EQ(test, pool_get(ctx, DEBT_PAGES), backing);
	pool_put(ctx, backing);
	pool_release_scrubber(ctx);
	scrubbed = SEEN(ctx, by_others) + SEEN(ctx, by_scrubber);

	untouched = pool_try_get(ctx, DEBT_PAGES);
	KUNIT_ASSERT_PTR_EQ(test, untouched, &backing->base);
	dma_heap_source_put(&ctx->mock.base, untouched);
	KUNIT_EXPECT_EQ(test, STAT(ctx, untouched_pages), DEBT_PAGES);
	KUNIT_EXPECT_EQ(test, STAT(ctx, dirty_pages), 0);
	KUNIT_EXPECT_EQ(test, STAT(ctx, clean_pages), DEBT_PAGES + DECOY_PAGES);
	KUNIT_EXPECT_PTR_EQ(test, pool_get(ctx, DEBT_PAGES), backing);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, by_others) + SEEN(ctx, by_scrubber),
			scrubbed);
}

/* The debt is also a number of bytes: when freeing tasks have scrubbed these, it is over */
static void pool_debt_ends_after_its_bytes(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct mock_backing *backing = pool_get(ctx, DEBT_PAGES);
	struct dma_heap_pool_bin *bin;
	unsigned long paid;
	int i;

	pool_hold_scrubber(ctx);
	pool_put(ctx, backing);
	KUNIT_ASSERT_PTR_EQ(test, pool_get(ctx, DEBT_PAGES), backing);
	bin = backing->base.bin;
	KUNIT_EXPECT_EQ(test, bin->debt, DEBT);

	/* As if most of it had been paid in no time */
	bin->debt = 3 * DEBT_PAGES / 2;
	bin->debt_until += usecs_to_jiffies(PATIENCE_US);
	for (i = 0; i < 2; i++) {
		paid = SEEN(ctx, by_others);
		pool_put(ctx, backing);
		KUNIT_EXPECT_EQ(test, SEEN(ctx, by_others), paid + DEBT_PAGES);
		KUNIT_ASSERT_PTR_EQ(test, pool_get(ctx, DEBT_PAGES), backing);
	}
	paid = SEEN(ctx, by_others);
	pool_put(ctx, backing);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, by_others), paid);
	KUNIT_EXPECT_TRUE(test, backing_holds(backing, DIRT));
}

/* A small dirty hit costs too little time to throttle a task */
static void pool_free_does_not_scrub_after_small_dirty_hit(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct mock_backing *backing = pool_get(ctx, DEBT_PAGES - 1);

	pool_hold_scrubber(ctx);
	pool_put(ctx, backing);
	KUNIT_EXPECT_PTR_EQ(test, pool_get(ctx, DEBT_PAGES - 1), backing);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, by_others), DEBT_PAGES - 1);

	pool_put(ctx, backing);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, by_others), DEBT_PAGES - 1);
	KUNIT_EXPECT_TRUE(test, backing_holds(backing, DIRT));
}

static unsigned int pool_scrub_policy(struct pool_test *ctx,
				      unsigned int pages)
{
	pool_put_clean(ctx, pool_get(ctx, pages));

	return SEEN(ctx, policy);
}

/* A batch task does not preempt its waker, and gets its share of a busy CPU */
static void pool_scrubber_is_a_batch_task(struct kunit *test)
{
	struct pool_test *ctx = test->priv;

	KUNIT_EXPECT_EQ(test, pool_scrub_policy(ctx, 1), SCHED_BATCH);
}

const struct kunit_case pool_scrub_cases[] = {
	KUNIT_CASE(pool_free_leaves_scrubbing_to_scrubber),
	KUNIT_CASE(pool_free_scrubs_when_half_of_cap_is_dirty),
	KUNIT_CASE(pool_free_does_not_scrub_for_backlog_of_other_size),
	KUNIT_CASE(pool_free_scrubs_after_dirty_hit_of_same_size),
	KUNIT_CASE(pool_free_of_zeroed_backing_scrubs_nothing),
	KUNIT_CASE(pool_debt_ends_after_its_bytes),
	KUNIT_CASE(pool_free_does_not_scrub_after_small_dirty_hit),
	KUNIT_CASE(pool_scrubber_is_a_batch_task),
	{}
};
