// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of the pool of DMA-BUF heaps: dirty memory of a reserved source
 *
 * The pool gives only zeroed memory back to such a source, unless scrubbing fails. Then
 * the memory is lost.
 */

#include <linux/array_size.h>
#include <linux/pfn.h>
#include <linux/scatterlist.h>
#include <linux/sched.h>
#include <linux/sizes.h>

#include <kunit/resource.h>
#include <kunit/test.h>

#include "../heap_source.h"
#include "../heap_pool.h"
#include "heap_pool_kunit.h"
#include "heap_test_helpers.h"
#include "heap_test_pool.h"
#include "heap_test_source.h"

/* The pool evicts zeroed backings at once, and dirty ones when they are zeroed */
static void reserved_lower_cap_evicts_clean_only(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct mock_backing *clean = pool_get(ctx, 4);
	struct mock_backing *dirty = pool_get(ctx, 8);
	struct mock_backing *late = pool_get(ctx, 16);

	pool_put_clean(ctx, clean);
	pool_hold_scrubber(ctx);
	pool_put(ctx, dirty);

	dma_heap_pool_set_max(ctx->pool, 0);
	KUNIT_EXPECT_EQ(test, when_gone(clean), 1);
	KUNIT_EXPECT_EQ(test, STAT(ctx, evicted_pages), 4);
	KUNIT_EXPECT_EQ(test, STAT(ctx, dirty_pages), 8 + DECOY_PAGES);

	/* A freed backing stays in the pool until it is scrubbed, too */
	pool_put(ctx, late);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, freed), 1);
	KUNIT_EXPECT_EQ(test, STAT(ctx, dirty_pages), 8 + 16 + DECOY_PAGES);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, by_others), 0);

	mock_open_gate(&ctx->mock);
	pool_wait_pages(ctx, 0);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, freed), 4);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, lost), 0);
	KUNIT_EXPECT_EQ(test, STAT(ctx, scrubbed_pages), 4 + 8 + 16 + DECOY_PAGES);
}

/* The pool evicts zeroed backings down to the cap. Dirty ones stay until scrubbed */
static void reserved_dirty_may_exceed_cap(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct mock_backing *large = pool_get(ctx, 32);
	struct mock_backing *small[3];

	pool_get_many(ctx, small, ARRAY_SIZE(small), 8, 1);
	dma_heap_pool_set_max(ctx->pool, PFN_PHYS(20));
	pool_hold_scrubber(ctx);
	pool_put(ctx, large);
	pool_put_many(ctx, small, ARRAY_SIZE(small), false);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, freed), 0);
	KUNIT_EXPECT_EQ(test, STAT(ctx, dirty_pages), 32 + 27 + DECOY_PAGES);

	pool_release_scrubber(ctx);
	KUNIT_EXPECT_EQ(test, pool_pages(ctx), 9 + 10);
	KUNIT_EXPECT_NE(test, when_gone(large), 0);
	KUNIT_EXPECT_NE(test, when_gone(small[0]), 0);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, lost), 0);
}

static void reserved_decay_scrubs_first(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct mock_backing *backings[3];

	pool_get_many(ctx, backings, ARRAY_SIZE(backings), 4, 1);
	dma_heap_pool_set_decay(ctx->pool, 10);
	pool_put_many(ctx, backings, ARRAY_SIZE(backings), false);

	pool_wait_pages(ctx, 0);
	KUNIT_EXPECT_EQ(test, STAT(ctx, decayed_pages), 4 + 5 + 6);
	KUNIT_EXPECT_EQ(test, STAT(ctx, scrubbed_pages), 4 + 5 + 6);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, lost), 0);
}

static void reserved_drain_spares_dirty(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct mock_backing *clean = pool_get(ctx, 4);
	struct mock_backing *dirty = pool_get(ctx, 8);

	pool_put_clean(ctx, clean);
	pool_hold_scrubber(ctx);
	pool_put(ctx, dirty);

	KUNIT_EXPECT_EQ(test, dma_heap_pool_drain(ctx->pool), 4);
	KUNIT_EXPECT_EQ(test, dma_heap_pool_drain(ctx->pool), 0);
	KUNIT_EXPECT_EQ(test, STAT(ctx, dirty_pages), 8 + DECOY_PAGES);

	pool_release_scrubber(ctx);
	KUNIT_EXPECT_EQ(test, dma_heap_pool_drain(ctx->pool), 8 + DECOY_PAGES);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, lost), 0);
}

/*
 * Destroying the pool waits until the scrubber has zeroed all backings.
 */
static void reserved_destroy_scrubs_first(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct mock_backing *clean = pool_get(ctx, 4);
	struct mock_backing *dirty[3];
	struct pool_task *task;

	pool_get_many(ctx, dirty, ARRAY_SIZE(dirty), 2, 1);
	pool_put_clean(ctx, clean);
	pool_hold_scrubber(ctx);
	pool_put_many(ctx, dirty, ARRAY_SIZE(dirty), false);

	kunit_remove_action(test, pool_destroy, ctx);
	task = pool_task_start(ctx, pool_destroy_task, ctx);
	POOL_WAIT_FOR(test, pool_task_is_asleep(task, TASK_UNINTERRUPTIBLE));
	KUNIT_EXPECT_FALSE(test, pool_task_is_done(task));
	KUNIT_EXPECT_EQ(test, SEEN(ctx, freed), 0);

	mock_open_gate(&ctx->mock);
	pool_task_join(task);
	ctx->pool = NULL;
	KUNIT_EXPECT_EQ(test, SEEN(ctx, freed), 5);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, lost), 0);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, by_scrubber), 4 + 9 + DECOY_PAGES);
}

/* The pool has no bin for the backing, and the source does not take it back dirty */
static void reserved_free_scrubs_what_pool_cannot_keep(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct mock_backing *backing;

	heap_test_faults_init(test);
	pool_hold_scrubber(ctx);
	backing = pool_get_for_task(ctx, 8);
	KUNIT_EXPECT_TRUE(test, pool_put_no_bin(backing));

	KUNIT_EXPECT_EQ(test, when_gone(backing), 1);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, lost), 0);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, by_others), 8);
	KUNIT_EXPECT_EQ(test, STAT(ctx, paid_pages), 8);
	KUNIT_EXPECT_EQ(test, STAT(ctx, evicted_pages), 8);
	KUNIT_EXPECT_EQ(test, STAT(ctx, dirty_pages), DECOY_PAGES);
}

/* A task does not scrub in free, however many dirty backings wait in the pool */
static void reserved_free_scrubs_no_backlog(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct mock_backing *backings[4];

	pool_get_many(ctx, backings, ARRAY_SIZE(backings), 64, 0);
	dma_heap_pool_set_max(ctx->pool, PFN_PHYS(4 * 64));
	pool_hold_scrubber(ctx);
	pool_put_many(ctx, backings, ARRAY_SIZE(backings), false);

	KUNIT_EXPECT_EQ(test, SEEN(ctx, by_others), 0);
	KUNIT_EXPECT_EQ(test, STAT(ctx, dirty_pages), 4 * 64 + DECOY_PAGES);
}

/* Reclaim gains nothing from reserved memory */
static void reserved_memory_is_not_reclaimable(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct mock_backing *clean = pool_get(ctx, 64);
	struct mock_backing *dirty = pool_get(ctx, 32);

	KUNIT_EXPECT_NULL(test, dma_heap_pool_shrinker(ctx->pool, true));
	KUNIT_EXPECT_NULL(test, dma_heap_pool_shrinker(ctx->pool, false));

	pool_put_clean(ctx, clean);
	expect_reclaimable(ctx, 0);
	pool_hold_scrubber(ctx);
	pool_put(ctx, dirty);
	expect_reclaimable(ctx, 0);
	pool_release_scrubber(ctx);
	KUNIT_EXPECT_PTR_EQ(test, pool_get(ctx, 64), clean);
	expect_reclaimable(ctx, 0);
	KUNIT_EXPECT_EQ(test, dma_heap_pool_drain(ctx->pool), 32 + DECOY_PAGES);
	expect_reclaimable(ctx, 0);
}

/* The source may have zeroed memory: an allocation asks it instead of scrubbing */
static void reserved_alloc_takes_nothing_dirty(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct mock_backing *clean = pool_get(ctx, 8);
	struct mock_backing *dirty = pool_get(ctx, 8);
	struct mock_backing *other;

	pool_put_clean(ctx, clean);
	pool_hold_scrubber(ctx);
	pool_put(ctx, dirty);

	KUNIT_EXPECT_PTR_EQ(test, pool_get(ctx, 8), clean);
	other = pool_get(ctx, 8);
	KUNIT_EXPECT_PTR_NE(test, other, dirty);
	KUNIT_EXPECT_EQ(test, STAT(ctx, hits), 1);
	KUNIT_EXPECT_EQ(test, STAT(ctx, dirty_hits), 0);
	KUNIT_EXPECT_EQ(test, STAT(ctx, misses), 4);
	KUNIT_EXPECT_EQ(test, STAT(ctx, dirty_pages), 8 + DECOY_PAGES);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, by_others), 0);

	pool_release_scrubber(ctx);
	KUNIT_EXPECT_PTR_EQ(test, pool_get(ctx, 8), dirty);
}

/* The pool works as before, and does not have @lost any more */
static void reserved_expect_lost(struct pool_test *ctx,
				 struct mock_backing *lost, unsigned int pages)
{
	struct kunit *test = ctx->test;
	struct mock_backing *backing;

	KUNIT_EXPECT_NE(test, when_gone(lost), 0);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, lost), 1);
	KUNIT_EXPECT_EQ(test, STAT(ctx, lost_pages), pages);
	KUNIT_EXPECT_EQ(test, STAT(ctx, evicted_pages), 0);
	KUNIT_EXPECT_EQ(test, STAT(ctx, shrunk_pages), 0);

	pool_wait_scrubbed(ctx);
	KUNIT_EXPECT_EQ(test, dma_heap_pool_drain(ctx->pool),
			STAT(ctx, scrubbed_pages));
	KUNIT_EXPECT_EQ(test, pool_search_to_end(ctx), -ENOMEM);

	backing = pool_get(ctx, pages);
	KUNIT_EXPECT_PTR_NE(test, backing, lost);
	pool_put_clean(ctx, backing);
	KUNIT_EXPECT_PTR_EQ(test, pool_get(ctx, pages), backing);
	KUNIT_EXPECT_EQ(test, STAT(ctx, lost_pages), pages);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, lost), 1);
}

/* Scrubbing the decoy succeeds, scrubbing the next backing fails */
static void reserved_backing_is_lost_when_scrubber_fails(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct mock_backing *backing = pool_get(ctx, 8);
	struct mock_backing *next = pool_get(ctx, 9);

	pool_hold_scrubber(ctx);
	ctx->mock.scrub_fail_at = 2;
	pool_put(ctx, backing);
	pool_put(ctx, next);
	pool_release_scrubber(ctx);

	KUNIT_EXPECT_EQ(test, when_gone(next), 0);
	KUNIT_EXPECT_EQ(test, STAT(ctx, scrubbed_pages), 9 + DECOY_PAGES);
	reserved_expect_lost(ctx, backing, 8);
}

static void reserved_backing_is_lost_when_free_cannot_scrub(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct mock_backing *backing;

	heap_test_faults_init(test);
	pool_hold_scrubber(ctx);
	backing = pool_get_for_task(ctx, 8);
	ctx->mock.scrub_fail_at = 1;
	KUNIT_EXPECT_TRUE(test, pool_put_no_bin(backing));
	KUNIT_EXPECT_EQ(test, STAT(ctx, paid_pages), 0);
	KUNIT_EXPECT_EQ(test, STAT(ctx, dirty_pages), DECOY_PAGES);

	pool_release_scrubber(ctx);
	reserved_expect_lost(ctx, backing, 8);
}

/* The first chunk of the backing is two pieces, and scrubbing the second one fails */
static void reserved_backing_is_lost_when_second_piece_fails(struct kunit *test)
{
	unsigned int pages = PHYS_PFN(4 * PIECE);
	struct pool_test *ctx = test->priv;
	struct mock_backing *backing = pool_get(ctx, pages);

	KUNIT_ASSERT_EQ(test, backing->base.sgt.sgl->length, 2 * PIECE);
	ctx->mock.scrub_fail_at = 2;
	pool_put(ctx, backing);
	pool_wait_scrubbed(ctx);

	/* The scrubber did not scrub the rest */
	KUNIT_EXPECT_EQ(test, SEEN(ctx, scrubs), 2);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, by_scrubber), PHYS_PFN(PIECE));
	reserved_expect_lost(ctx, backing, pages);
}

static void reserved_backing_is_scrubbed_again_if_not_possible_now(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct mock_backing *backing = pool_get(ctx, 1);

	ctx->mock.scrub_fail_at = 1;
	ctx->mock.scrub_error = -EAGAIN;
	pool_put(ctx, backing);
	pool_wait_scrubbed(ctx);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, scrubs), 2);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, lost), 0);
	KUNIT_EXPECT_EQ(test, STAT(ctx, lost_pages), 0);
	KUNIT_EXPECT_EQ(test, STAT(ctx, scrubbed_pages), 1);
	KUNIT_EXPECT_PTR_EQ(test, pool_get(ctx, 1), backing);
}

/* The last scrub fails while the pool is destroyed */
static void reserved_destroy_ends_when_scrub_fails(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct mock_backing *backing = pool_get(ctx, 8);

	pool_hold_scrubber(ctx);
	pool_put(ctx, backing);
	ctx->mock.scrub_fail_at = 2;
	kunit_release_action(test, pool_destroy, ctx);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, lost), 1);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, freed), 2);
}

const struct kunit_case reserved_scrub_cases[] = {
	KUNIT_CASE(reserved_lower_cap_evicts_clean_only),
	KUNIT_CASE(reserved_dirty_may_exceed_cap),
	KUNIT_CASE(reserved_decay_scrubs_first),
	KUNIT_CASE(reserved_drain_spares_dirty),
	KUNIT_CASE(reserved_destroy_scrubs_first),
	KUNIT_CASE(reserved_free_scrubs_what_pool_cannot_keep),
	KUNIT_CASE(reserved_free_scrubs_no_backlog),
	KUNIT_CASE(reserved_memory_is_not_reclaimable),
	KUNIT_CASE(reserved_alloc_takes_nothing_dirty),
	KUNIT_CASE(reserved_backing_is_lost_when_scrubber_fails),
	KUNIT_CASE(reserved_backing_is_lost_when_free_cannot_scrub),
	KUNIT_CASE(reserved_backing_is_lost_when_second_piece_fails),
	KUNIT_CASE(reserved_backing_is_scrubbed_again_if_not_possible_now),
	KUNIT_CASE(reserved_destroy_ends_when_scrub_fails),
	{}
};
