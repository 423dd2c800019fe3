// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of the pool of DMA-BUF heaps: which task scrubs, and when
 */

#include <linux/jiffies.h>
#include <linux/pfn.h>
#include <linux/sched.h>

#include <kunit/test.h>

#include "../heap_pool.h"
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

/* A task scrubs in free if the scrubber does not keep up */
static void pool_free_scrubs_when_half_of_cap_is_dirty(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct mock_backing *first = pool_get(ctx, 20);
	struct mock_backing *second = pool_get(ctx, 4);
	struct mock_backing *third = pool_get(ctx, 4);

	dma_heap_pool_set_max(ctx->pool, PFN_PHYS(64));
	pool_hold_scrubber(ctx);
	pool_put(ctx, first);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, by_others), 0);

	/* 21 dirty pages are less than half of 64, 25 are more than half of 32 */
	pool_put(ctx, second);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, by_others), 0);
	dma_heap_pool_set_max(ctx->pool, PFN_PHYS(32));
	pool_put(ctx, third);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, by_others), 4);
	KUNIT_EXPECT_EQ(test, STAT(ctx, paid_pages), 4);
	KUNIT_EXPECT_EQ(test, STAT(ctx, clean_pages), 4);
	KUNIT_EXPECT_EQ(test, STAT(ctx, dirty_pages), 24 + DECOY_PAGES);
	KUNIT_EXPECT_EQ(test, STAT(ctx, evicted_pages), 0);

	KUNIT_EXPECT_PTR_EQ(test, pool_get(ctx, 4), third);
	KUNIT_EXPECT_EQ(test, STAT(ctx, hits), 1);
	KUNIT_EXPECT_EQ(test, STAT(ctx, dirty_hits), 0);
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

/* A dirty hit shows that the scrubber does not keep up, so free is throttled */
static void pool_free_scrubs_for_a_while_after_dirty_hit(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct mock_backing *backing = pool_get(ctx, DEBT_PAGES);
	struct mock_backing *other = pool_get(ctx, DEBT_PAGES + 1);
	unsigned long hit, paid;
	int tries = 0;

	pool_hold_scrubber(ctx);
	pool_put(ctx, backing);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, by_others), 0);

	do {
		hit = jiffies;
		KUNIT_ASSERT_PTR_EQ(test, pool_get(ctx, DEBT_PAGES), backing);
		paid = SEEN(ctx, by_others);
		pool_put(ctx, other);
		if (SEEN(ctx, by_others) != paid)
			break;

		/* The free came too late, and @other is dirty: try again */
		KUNIT_EXPECT_TRUE(test, time_after_eq(jiffies, hit + DEBT));
		pool_put(ctx, backing);
		other = pool_get(ctx, DEBT_PAGES + 2 + tries);
	} while (++tries < TRIES);

	KUNIT_ASSERT_EQ(test, SEEN(ctx, by_others), paid + other->pages);
	KUNIT_EXPECT_EQ(test, STAT(ctx, paid_pages), SEEN(ctx, by_others));
	KUNIT_EXPECT_EQ(test, STAT(ctx, clean_pages), other->pages);

	pool_wait_out_of_debt(ctx, other);
	KUNIT_EXPECT_FALSE(test, time_before(jiffies, hit + DEBT));
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
	KUNIT_CASE(pool_free_scrubs_for_a_while_after_dirty_hit),
	KUNIT_CASE(pool_free_does_not_scrub_after_small_dirty_hit),
	KUNIT_CASE(pool_scrubber_is_a_batch_task),
	{}
};
