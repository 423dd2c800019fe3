// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of the pool of DMA-BUF heaps: reclaim and drain
 */

#include <linux/array_size.h>
#include <linux/jiffies.h>
#include <linux/notifier.h>
#include <linux/oom.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/shrinker.h>

#include <kunit/test.h>

#include "../heap_pool.h"
#include "heap_pool_kunit.h"
#include "heap_test_pool.h"
#include "heap_test_source.h"

static void pool_shrink_of_empty_pool_frees_nothing(struct kunit *test)
{
	struct pool_test *ctx = test->priv;

	KUNIT_EXPECT_NE(test, dma_heap_pool_shrinker(ctx->pool, true)->flags &
			      SHRINKER_NUMA_AWARE, 0);
	KUNIT_EXPECT_NE(test, dma_heap_pool_shrinker(ctx->pool, false)->flags &
			      SHRINKER_NUMA_AWARE, 0);

	KUNIT_EXPECT_EQ(test, pool_count(ctx), SHRINK_EMPTY);
	KUNIT_EXPECT_EQ(test, pool_scan(ctx, 128), SHRINK_STOP);

	/* The memory of a buffer does not belong to the pool */
	pool_get(ctx, 4);
	KUNIT_EXPECT_EQ(test, pool_count(ctx), SHRINK_EMPTY);
	KUNIT_EXPECT_EQ(test, pool_scan(ctx, 128), SHRINK_STOP);
	KUNIT_EXPECT_EQ(test, STAT(ctx, shrunk_pages), 0);
}

/**
 * struct shrink_case - one call of scan
 * @desc: name of the case
 * @nr_to_scan: pages asked for
 * @gone: how many backings the shrinker evicts
 *
 * The pool has two zeroed backings, 2 and 4 pages, and two dirty ones, 8 and 16 pages.
 */
struct shrink_case {
	const char *desc;
	unsigned long nr_to_scan;
	unsigned int gone;
};

static const struct shrink_case shrink_cases[] = {
	{ "one page", 1, 1 },
	{ "one backing", 8, 1 },
	{ "a page more than one backing", 9, 2 },
	{ "all dirty", 24, 2 },
	{ "a page more than all dirty", 25, 3 },
	{ "all but a page", 29, 4 },
	{ "all", 30, 4 },
	{ "more than all", 1000, 4 },
};

KUNIT_ARRAY_PARAM_DESC(shrink, shrink_cases, desc);

/* The shrinker evicts whole backings, dirty ones first, the oldest first, unscrubbed */
static void pool_shrink_frees_dirty_then_oldest(struct kunit *test)
{
	/* In the order in which the shrinker evicts them */
	static const unsigned int pages[] = { 8, 16, 2, 4 };
	const struct shrink_case *param = test->param_value;
	struct pool_test *ctx = test->priv;
	struct mock_backing *backings[4];
	unsigned long left = 30;
	unsigned long expected = 0;
	unsigned long freed;
	int i;

	for (i = 0; i < ARRAY_SIZE(pages); i++)
		backings[i] = pool_get(ctx, pages[i]);
	pool_put_clean(ctx, backings[2]);
	pool_put_clean(ctx, backings[3]);
	pool_hold_scrubber(ctx);
	pool_put(ctx, backings[0]);
	pool_put(ctx, backings[1]);
	KUNIT_EXPECT_EQ(test, pool_reclaim_count(ctx), left);
	expect_reclaimable(ctx, left + DECOY_PAGES);

	for (i = 0; i < param->gone; i++)
		expected += pages[i];
	left -= expected;
	KUNIT_EXPECT_EQ(test, pool_reclaim(ctx, param->nr_to_scan), expected);
	KUNIT_EXPECT_EQ(test, pool_reclaim_count(ctx), left ?: SHRINK_EMPTY);
	KUNIT_EXPECT_EQ(test, pool_pages(ctx), left + DECOY_PAGES);
	expect_reclaimable(ctx, left + DECOY_PAGES);

	/* The shrinker evicts the rest one by one */
	for (i = param->gone; i < ARRAY_SIZE(pages); i++) {
		freed = pool_reclaim(ctx, 1);
		KUNIT_EXPECT_EQ(test, freed, pages[i]);
		left -= freed;
		KUNIT_EXPECT_EQ(test, pool_reclaim_count(ctx), left ?: SHRINK_EMPTY);
		expect_reclaimable(ctx, left + DECOY_PAGES);
	}
	KUNIT_EXPECT_EQ(test, pool_reclaim(ctx, 1), SHRINK_STOP);

	for (i = 0; i < ARRAY_SIZE(backings); i++)
		KUNIT_EXPECT_EQ_MSG(test, when_gone(backings[i]), i + 1,
				    "number %d", i);
	KUNIT_EXPECT_EQ(test, STAT(ctx, shrunk_pages), 30);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, by_scrubber), 6);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, by_others), 0);
}

/* The shrinker neither counts nor frees the backing, nor waits for the scrubber */
static void pool_shrink_spares_backing_being_scrubbed(struct kunit *test)
{
	struct pool_test *ctx = test->priv;

	pool_hold_scrubber(ctx);
	KUNIT_EXPECT_EQ(test, pool_count(ctx), SHRINK_EMPTY);
	KUNIT_EXPECT_EQ(test, pool_scan(ctx, 128), SHRINK_STOP);
	expect_reclaimable(ctx, DECOY_PAGES);

	pool_release_scrubber(ctx);
	KUNIT_EXPECT_EQ(test, pool_count(ctx), count_of(DECOY_PAGES));
	KUNIT_EXPECT_EQ(test, pool_scan(ctx, 128), DECOY_PAGES);
	KUNIT_EXPECT_EQ(test, pool_count(ctx), SHRINK_EMPTY);
	expect_reclaimable(ctx, 0);
}

/* Also counts what it gave back, but not what the scrubber has: that goes afterwards */
static void pool_oom_takes_all_and_counts_it(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct notifier_block *nb = dma_heap_pool_oom_notifier(ctx->pool);
	unsigned long freed = 100;

	/* The kernel knows it */
	KUNIT_ASSERT_EQ(test, unregister_oom_notifier(nb), 0);
	KUNIT_ASSERT_EQ(test, register_oom_notifier(nb), 0);

	pool_put_clean(ctx, pool_get(ctx, 4));
	pool_hold_scrubber(ctx);
	pool_put(ctx, pool_get(ctx, 8));
	nb->notifier_call(nb, 0, &freed);
	KUNIT_EXPECT_EQ(test, freed, 100 + 4 + 8);
	KUNIT_EXPECT_EQ(test, pool_pages(ctx), DECOY_PAGES);

	pool_release_scrubber(ctx);
	pool_wait_pages(ctx, 0);
}

/* Free backings until the pool keeps one */
static void pool_wait_no_pressure(struct pool_test *ctx)
{
	unsigned long end = jiffies + usecs_to_jiffies(PATIENCE_US);
	struct mock_backing *backing;

	do {
		schedule_timeout_uninterruptible(1);
		backing = pool_get(ctx, 2);
		pool_put(ctx, backing);
	} while (when_gone(backing) && time_before(jiffies, end));

	KUNIT_ASSERT_EQ(ctx->test, when_gone(backing), 0);
	pool_wait_scrubbed(ctx);
}

/*
 * One backing is dirty, the scrubber has one, and a buffer has one when a task reclaims.
 * Returns whether all three went back to the source. If not, the time in which the pool
 * keeps nothing must be over.
 */
static bool pool_frees_all_after_reclaim(struct pool_test *ctx)
{
	struct mock_backing *before = pool_get(ctx, 8);
	struct mock_backing *after = pool_get(ctx, 16);
	struct kunit *test = ctx->test;
	unsigned long start, scrubbed;
	bool kept;

	pool_hold_scrubber(ctx);
	scrubbed = SEEN(ctx, by_scrubber);
	pool_put(ctx, before);

	start = jiffies;
	pool_reclaim(ctx, 0);
	pool_put(ctx, after);
	pool_release_scrubber(ctx);
	kept = pool_pages(ctx);
	if (kept) {
		KUNIT_EXPECT_TRUE(test, time_after_eq(jiffies, start + PRESSURE));
	} else {
		KUNIT_EXPECT_NE(test, when_gone(before), 0);
		KUNIT_EXPECT_NE(test, when_gone(after), 0);
		KUNIT_EXPECT_EQ(test, SEEN(ctx, by_scrubber), scrubbed + DECOY_PAGES);
	}

	pool_wait_no_pressure(ctx);
	KUNIT_EXPECT_TRUE(test, time_after_eq(jiffies, start + PRESSURE));

	return !kept;
}

/* For a while the pool keeps nothing, and the scrubber gives its backing back */
static void pool_keeps_nothing_after_direct_reclaim(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	bool all = false;
	int i;

	for (i = 0; i < TRIES && !all; i++) {
		dma_heap_pool_drain(ctx->pool);
		all = pool_frees_all_after_reclaim(ctx);
	}
	KUNIT_EXPECT_TRUE(test, all);
	KUNIT_EXPECT_GE(test, STAT(ctx, shrunk_pages), 8 + DECOY_PAGES);
	KUNIT_EXPECT_GE(test, STAT(ctx, evicted_pages), 16);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, by_others), 0);
}

/* Half of what count says is a batch, so reclaim scans also a pool of one page */
static void pool_counts_for_a_batch_at_least(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct shrinker *shrinker = dma_heap_pool_shrinker(ctx->pool, true);
	unsigned long batch = shrinker->batch;

	KUNIT_EXPECT_EQ(test, shrinker->seeks, 0);
	pool_put_clean(ctx, pool_get(ctx, 1));
	KUNIT_EXPECT_EQ(test, pool_count(ctx), 2 * batch);
	pool_put_clean(ctx, pool_get(ctx, 2 * batch));
	KUNIT_EXPECT_EQ(test, pool_count(ctx), 2 * batch + 1);
}

/* drop_caches scans half of each cache and does not come back for all of the rest */
static void pool_drop_caches_takes_all(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct mock_backing *backings[4];

	pool_get_many(ctx, backings, ARRAY_SIZE(backings), 8, 1);
	pool_put_many(ctx, backings, ARRAY_SIZE(backings), true);
	KUNIT_EXPECT_EQ(test, pool_scan(ctx, 1), 8 + 9 + 10 + 11);
	KUNIT_EXPECT_EQ(test, pool_pages(ctx), 0);
}

/* drop_caches calls the shrinker, but memory is not short */
static void pool_keeps_backings_after_drop_caches(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct mock_backing *backing = pool_get(ctx, 8);

	pool_put_clean(ctx, pool_get(ctx, 4));
	KUNIT_EXPECT_EQ(test, pool_scan(ctx, 128), 4);
	pool_put(ctx, backing);
	KUNIT_EXPECT_EQ(test, pool_pages(ctx), 8);
	KUNIT_EXPECT_EQ(test, when_gone(backing), 0);
}

/* kswapd reclaims before memory is short: no task has to wait for it */
static void pool_keeps_backings_after_reclaim_by_kswapd(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct mock_backing *backing = pool_get(ctx, 8);

	pool_make_older(pool_put_clean(ctx, pool_get(ctx, 4)), 2);
	KUNIT_EXPECT_EQ(test, pool_kswapd_scan(ctx, 128), 4);

	pool_put(ctx, backing);
	KUNIT_EXPECT_EQ(test, pool_pages(ctx), 8);
	KUNIT_EXPECT_EQ(test, when_gone(backing), 0);
}

/* Free all of these at one moment, and count as kswapd does */
static unsigned long pool_kswapd_count_at_once(struct pool_test *ctx,
					       struct mock_backing **backings,
					       unsigned int count)
{
	unsigned long start, counted;
	unsigned int i;
	int tries = 0;

	/* A test that takes as long as it takes to become idle proves nothing */
	do {
		start = jiffies;
		for (i = 0; i < count; i++)
			backings[i]->base.freed = start;
		counted = pool_kswapd_count(ctx);
	} while (time_after_eq(jiffies, start + IDLE) && ++tries < TRIES);

	return counted;
}

/* As if it had just been freed, however long the test takes */
static void pool_make_younger(struct mock_backing *backing)
{
	backing->base.freed = jiffies + usecs_to_jiffies(PATIENCE_US);
}

/* Others are used all the time, and only direct reclaim takes them */
static void pool_kswapd_takes_only_idle_backings(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct mock_backing *idle = pool_get(ctx, 4);
	struct mock_backing *idle_dirty = pool_get(ctx, 16);
	struct mock_backing *busy = pool_get(ctx, 8);
	struct mock_backing *busy_dirty = pool_get(ctx, 32);
	struct mock_backing *all[] = { idle, idle_dirty, busy, busy_dirty };

	pool_put_clean(ctx, idle);
	pool_put_clean(ctx, busy);
	pool_hold_scrubber(ctx);
	pool_put(ctx, idle_dirty);
	pool_put(ctx, busy_dirty);

	KUNIT_EXPECT_EQ(test, pool_kswapd_count_at_once(ctx, all, ARRAY_SIZE(all)),
			SHRINK_EMPTY);

	pool_make_younger(idle_dirty);
	pool_make_younger(busy);
	pool_make_younger(busy_dirty);
	idle->base.freed = jiffies - IDLE;
	KUNIT_EXPECT_EQ(test, pool_kswapd_count(ctx), count_of(4 + 8 + 16 + 32));
	idle_dirty->base.freed = jiffies - IDLE;
	KUNIT_EXPECT_EQ(test, pool_kswapd_scan(ctx, 1), 16);
	KUNIT_EXPECT_EQ(test, when_gone(idle_dirty), 1);
	KUNIT_EXPECT_EQ(test, pool_kswapd_scan(ctx, 1000), 4);
	KUNIT_EXPECT_EQ(test, when_gone(idle), 2);
	KUNIT_EXPECT_EQ(test, pool_kswapd_scan(ctx, 1000), SHRINK_STOP);
	KUNIT_EXPECT_EQ(test, pool_kswapd_count(ctx), SHRINK_EMPTY);

	pool_make_older(busy, 40);
	pool_make_older(busy_dirty, 40);
	KUNIT_EXPECT_EQ(test, pool_reclaim_count(ctx), 8 + 32);
	KUNIT_EXPECT_EQ(test, pool_reclaim(ctx, 1000), 8 + 32);
}

static void pool_drain_frees_all_but_backing_being_scrubbed(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct mock_backing *clean = pool_get(ctx, 4);
	struct mock_backing *dirty = pool_get(ctx, 8);
	struct mock_backing *used = pool_get(ctx, 16);

	KUNIT_EXPECT_EQ(test, dma_heap_pool_drain(ctx->pool), 0);

	pool_put_clean(ctx, clean);
	pool_hold_scrubber(ctx);
	pool_put(ctx, dirty);
	KUNIT_EXPECT_EQ(test, dma_heap_pool_drain(ctx->pool), 4 + 8);
	KUNIT_EXPECT_EQ(test, STAT(ctx, shrunk_pages), 4 + 8);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, freed), 2);
	KUNIT_EXPECT_EQ(test, pool_pages(ctx), DECOY_PAGES);
	expect_reclaimable(ctx, DECOY_PAGES);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, by_others), 0);

	pool_release_scrubber(ctx);
	KUNIT_EXPECT_EQ(test, dma_heap_pool_drain(ctx->pool), DECOY_PAGES);
	KUNIT_EXPECT_EQ(test, dma_heap_pool_drain(ctx->pool), 0);

	/* The pool keeps the next backing */
	pool_put_clean(ctx, used);
	KUNIT_EXPECT_PTR_EQ(test, pool_get(ctx, 16), used);
}

const struct kunit_case pool_shrink_cases[] = {
	KUNIT_CASE(pool_shrink_of_empty_pool_frees_nothing),
	KUNIT_CASE_PARAM(pool_shrink_frees_dirty_then_oldest, shrink_gen_params),
	KUNIT_CASE(pool_shrink_spares_backing_being_scrubbed),
	KUNIT_CASE(pool_oom_takes_all_and_counts_it),
	KUNIT_CASE_SLOW(pool_keeps_nothing_after_direct_reclaim),
	KUNIT_CASE(pool_counts_for_a_batch_at_least),
	KUNIT_CASE(pool_drop_caches_takes_all),
	KUNIT_CASE(pool_keeps_backings_after_drop_caches),
	KUNIT_CASE(pool_keeps_backings_after_reclaim_by_kswapd),
	KUNIT_CASE(pool_kswapd_takes_only_idle_backings),
	KUNIT_CASE(pool_drain_frees_all_but_backing_being_scrubbed),
	{}
};
