// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of the pool of DMA-BUF heaps: ageing of unused backings
 */

#include <linux/array_size.h>
#include <linux/err.h>
#include <linux/gfp.h>
#include <linux/jiffies.h>
#include <linux/pfn.h>
#include <linux/sched.h>
#include <linux/time64.h>

#include <kunit/test.h>

#include "../heap_source.h"
#include "../heap_pool.h"
#include "heap_pool_kunit.h"
#include "heap_test_pool.h"
#include "heap_test_source.h"

#define DECAY_MS	300

/* The test lowers the decay while the backings are in the pool */
static void pool_decay_takes_oldest_first_and_not_early(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct mock_backing *backings[3];
	unsigned long before;
	int i;

	pool_get_many(ctx, backings, ARRAY_SIZE(backings), 4, 1);
	before = jiffies;
	pool_put_many(ctx, backings, ARRAY_SIZE(backings), false);
	pool_wait_scrubbed(ctx);

	/* The ageing worker would run only after the default decay */
	dma_heap_pool_set_decay(ctx->pool, DECAY_MS);
	pool_wait_pages(ctx, 0);
	KUNIT_EXPECT_TRUE(test, time_after_eq(jiffies, before +
					      msecs_to_jiffies(DECAY_MS)));
	KUNIT_EXPECT_EQ(test, STAT(ctx, decayed_pages), 4 + 5 + 6);
	KUNIT_EXPECT_EQ(test, STAT(ctx, evicted_pages), 0);
	KUNIT_EXPECT_EQ(test, STAT(ctx, shrunk_pages), 0);
	expect_reclaimable(ctx, 0);
	for (i = 0; i < ARRAY_SIZE(backings); i++)
		KUNIT_EXPECT_EQ(test, when_gone(backings[i]), i + 1);

	/* A backing in the empty pool arms the ageing worker again */
	pool_put(ctx, pool_get(ctx, 4));
	pool_wait_pages(ctx, 0);
	KUNIT_EXPECT_EQ(test, STAT(ctx, decayed_pages), 2 * 4 + 5 + 6);
}

/**
 * struct debtor - a task that scrubs in an allocation, and then in free
 * @ctx: the test
 * @got: the backing that the task allocated
 * @decayed: decayed_pages of the pool before the allocation returned
 */
struct debtor {
	struct pool_test *ctx;
	struct dma_heap_backing *got;
	u64 decayed;
};

static void pool_debtor_task(void *data)
{
	struct debtor *debtor = data;

	debtor->got = pool_try_get(debtor->ctx, DEBT_PAGES);
	if (IS_ERR(debtor->got) ||
	    backing_use(to_mock_backing(debtor->got), DEBT_PAGES, DIRT))
		return;
	backing_put(to_mock_backing(debtor->got));
}

/*
 * A throttled task frees a backing into an empty pool. Meanwhile the scrubber sleeps
 * and has nothing to scrub. Returns false if the free came too late to be throttled.
 */
static bool pool_free_in_debt(struct pool_test *ctx, struct debtor *debtor)
{
	struct mock_backing *backing = pool_get_for_task(ctx, DEBT_PAGES);
	struct kunit *test = ctx->test;
	unsigned long paid, hit;
	struct pool_task *task;

	/* The task has to scrub in the allocation, and waits at the gate */
	pool_hold_scrubber(ctx);
	backing_put(backing);
	WRITE_ONCE(ctx->mock.hold_payer, true);
	task = pool_task_start(ctx, pool_debtor_task, debtor);
	POOL_WAIT_FOR(test, READ_ONCE(ctx->mock.payer_held));

	/* Meanwhile the scrubber finishes and has nothing left */
	mock_open_scrubber_gate(&ctx->mock);
	POOL_WAIT_FOR(test, !STAT(ctx, dirty_pages));
	dma_heap_pool_drain(ctx->pool);
	POOL_WAIT_FOR(test, READ_ONCE(ctx->mock.scrubber->__state));
	KUNIT_ASSERT_EQ(test, pool_pages(ctx), 0);

	debtor->decayed = STAT(ctx, decayed_pages);
	paid = STAT(ctx, paid_pages);
	hit = jiffies;
	mock_open_gate(&ctx->mock);
	pool_task_join(task);
	KUNIT_ASSERT_PTR_EQ(test, debtor->got, &backing->base);
	paid = STAT(ctx, paid_pages) - paid;
	if (paid == 2 * DEBT_PAGES)
		return true;

	/* The task scrubbed only in the allocation: its free must have come too late */
	KUNIT_EXPECT_EQ(test, paid, DEBT_PAGES);
	KUNIT_EXPECT_TRUE(test, time_after_eq(jiffies, hit + DEBT));

	return false;
}

/* A throttled task zeroes the backing, and the scrubber sleeps: ageing evicts it */
static void pool_decay_takes_what_free_scrubbed(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct debtor *debtor;
	bool in_time = false;
	int i;

	debtor = kunit_kzalloc(test, sizeof(*debtor), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, debtor);
	debtor->ctx = ctx;

	dma_heap_pool_set_decay(ctx->pool, DECAY_MS);
	for (i = 0; i < TRIES && !in_time; i++) {
		in_time = pool_free_in_debt(ctx, debtor);
		pool_wait_pages(ctx, 0);
	}
	KUNIT_ASSERT_TRUE(test, in_time);
	KUNIT_EXPECT_EQ(test, STAT(ctx, decayed_pages), debtor->decayed + DEBT_PAGES);
}

/*
 * Both backings look an hour old. Freeing one of them makes it new again, and the
 * scrubber is held with it. Ageing stops at the first young backing, so it must find the
 * unused one first.
 */
static void pool_decay_begins_anew_with_each_use(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct mock_backing *unused = pool_get(ctx, 8);
	struct mock_backing *used = pool_get(ctx, 4);

	pool_put_clean(ctx, unused);
	pool_put_clean(ctx, used);
	KUNIT_ASSERT_PTR_EQ(test, pool_get(ctx, 4), used);
	pool_make_older(used, 3600);
	WRITE_ONCE(ctx->mock.hold, true);
	pool_put(ctx, used);
	POOL_WAIT_FOR(test, READ_ONCE(ctx->mock.held));
	pool_make_older(unused, 3600);

	dma_heap_pool_set_decay(ctx->pool, 1800 * MSEC_PER_SEC);
	pool_release_scrubber(ctx);
	pool_wait_pages(ctx, 4);
	KUNIT_EXPECT_NE(test, when_gone(unused), 0);
	KUNIT_EXPECT_EQ(test, when_gone(used), 0);
	KUNIT_EXPECT_EQ(test, STAT(ctx, decayed_pages), 8);
}

/* The worker has used the old decay, and gives a backing back while the decay changes */
static void pool_change_of_decay_is_never_lost(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct mock_backing *old = pool_get(ctx, 4);
	struct mock_backing *other = pool_get(ctx, 8);

	pool_put_clean(ctx, old);
	pool_put_clean(ctx, other);
	pool_make_older(old, 3600);
	WRITE_ONCE(ctx->mock.hold_free, true);
	dma_heap_pool_set_decay(ctx->pool, 1800 * MSEC_PER_SEC);
	POOL_WAIT_FOR(test, READ_ONCE(ctx->mock.free_held));

	dma_heap_pool_set_decay(ctx->pool, 1);
	mock_open_gate(&ctx->mock);
	pool_wait_pages(ctx, 0);
	KUNIT_EXPECT_EQ(test, STAT(ctx, decayed_pages), 4 + 8);
}

const struct kunit_case pool_decay_cases[] = {
	KUNIT_CASE_SLOW(pool_decay_takes_oldest_first_and_not_early),
	KUNIT_CASE_SLOW(pool_decay_takes_what_free_scrubbed),
	KUNIT_CASE_SLOW(pool_decay_begins_anew_with_each_use),
	KUNIT_CASE_SLOW(pool_change_of_decay_is_never_lost),
	{}
};
