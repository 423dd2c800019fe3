// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of the pool of DMA-BUF heaps: the cap
 */

#include <linux/array_size.h>
#include <linux/pfn.h>

#include <kunit/test.h>

#include "../heap_pool.h"
#include "heap_pool_kunit.h"
#include "heap_test_pool.h"
#include "heap_test_source.h"

KUNIT_ARRAY_PARAM_DESC(state, state_cases, desc);

/* A task frees into a full pool: the pool evicts the backings unused for longest */
static void pool_full_evicts_oldest_first(struct kunit *test)
{
	const struct state_case *state = test->param_value;
	struct pool_test *ctx = test->priv;
	struct mock_backing *backings[4];
	struct mock_backing *newest;
	int i;

	pool_get_many(ctx, backings, ARRAY_SIZE(backings), 8, 1);
	newest = pool_get(ctx, 20);
	if (state->dirty)
		pool_hold_scrubber(ctx);

	pool_put_many(ctx, backings, ARRAY_SIZE(backings), !state->dirty);
	dma_heap_pool_set_max(ctx->pool, PFN_PHYS(pool_pages(ctx)));
	KUNIT_EXPECT_EQ(test, SEEN(ctx, freed), 0);

	/* Two old backings together are smaller than the new one */
	pool_put(ctx, newest);
	for (i = 0; i < 3; i++)
		KUNIT_EXPECT_EQ_MSG(test, when_gone(backings[i]), i + 1,
				    "number %d", i);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, freed), 3);
	KUNIT_EXPECT_EQ(test, STAT(ctx, evicted_pages), 8 + 9 + 10);
}

/* The pool evicts the zeroed backing, although the dirty one is older */
static void pool_full_evicts_clean_before_dirty(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct mock_backing *dirty = pool_get(ctx, 20);
	struct mock_backing *clean = pool_get(ctx, 20);
	struct mock_backing *last = pool_get(ctx, 20);

	pool_hold_scrubber(ctx);
	pool_put(ctx, dirty);
	/* More than half of the cap is dirty, so this task scrubs in free */
	dma_heap_pool_set_max(ctx->pool, PFN_PHYS(2 * 20 + DECOY_PAGES));
	pool_put(ctx, clean);
	KUNIT_EXPECT_EQ(test, STAT(ctx, clean_pages), 20);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, freed), 0);

	pool_put(ctx, last);
	KUNIT_EXPECT_EQ(test, when_gone(clean), 1);
	KUNIT_EXPECT_EQ(test, when_gone(dirty), 0);
	KUNIT_EXPECT_EQ(test, when_gone(last), 0);

	/* The cap is now too low for both */
	dma_heap_pool_set_max(ctx->pool, PFN_PHYS(10));
	KUNIT_EXPECT_EQ(test, when_gone(last), 2);
	KUNIT_EXPECT_EQ(test, when_gone(dirty), 3);
}

/**
 * struct cap_case - a task frees a buffer into a pool that is not empty
 * @desc: name of the case
 * @pages: size of the buffer
 * @kept: the pool keeps the backing of the buffer
 * @others: how many of the four older backings, 8 pages each, the pool keeps
 */
struct cap_case {
	const char *desc;
	unsigned int pages;
	bool kept;
	unsigned int others;
};

/* The cap is 40 pages */
static const struct cap_case cap_cases[] = {
	{ "just fits", 8, true, 4 },
	{ "one page too many", 9, true, 3 },
	{ "two have to go", 17, true, 2 },
	{ "all have to go", 40, true, 0 },
	{ "larger than the cap", 41, false, 4 },
	{ "much larger than the cap", 512, false, 4 },
};

KUNIT_ARRAY_PARAM_DESC(cap, cap_cases, desc);

static void pool_holds_no_more_than_cap(struct kunit *test)
{
	const struct cap_case *param = test->param_value;
	struct pool_test *ctx = test->priv;
	struct mock_backing *others[4];
	struct mock_backing *backing;
	unsigned int kept = 0;
	int i;

	dma_heap_pool_set_max(ctx->pool, PFN_PHYS(40));
	pool_get_many(ctx, others, ARRAY_SIZE(others), 8, 0);
	backing = pool_get(ctx, param->pages);
	pool_put_many(ctx, others, ARRAY_SIZE(others), true);

	pool_put(ctx, backing);
	KUNIT_EXPECT_EQ(test, !when_gone(backing), param->kept);
	for (i = 0; i < ARRAY_SIZE(others); i++)
		kept += !when_gone(others[i]);
	KUNIT_EXPECT_EQ(test, kept, param->others);
	KUNIT_EXPECT_EQ(test, pool_pages(ctx),
			8 * param->others + (param->kept ? param->pages : 0));
	KUNIT_EXPECT_EQ(test, STAT(ctx, evicted_pages),
			8 * (4 - param->others) + (param->kept ? 0 : param->pages));
	pool_wait_scrubbed(ctx);
	expect_reclaimable(ctx, pool_pages(ctx));
}

/* The scrubber gives its backing back to the source when it is done */
static void pool_cap_counts_backing_being_scrubbed(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct mock_backing *backing = pool_get(ctx, 8);

	pool_hold_scrubber(ctx);
	dma_heap_pool_set_max(ctx->pool, PFN_PHYS(8));
	pool_put(ctx, backing);
	KUNIT_EXPECT_EQ(test, pool_pages(ctx), DECOY_PAGES);
	KUNIT_EXPECT_EQ(test, STAT(ctx, evicted_pages), 8);

	dma_heap_pool_set_max(ctx->pool, 0);
	mock_open_gate(&ctx->mock);
	pool_wait_pages(ctx, 0);
}

/* The pool evicts when the cap changes, not with the next free */
static void pool_lower_cap_evicts_at_once(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct mock_backing *backings[4];
	int i;

	pool_get_many(ctx, backings, ARRAY_SIZE(backings), 8, 0);
	pool_put_many(ctx, backings, ARRAY_SIZE(backings), true);

	for (i = 3; i >= 0; i--) {
		dma_heap_pool_set_max(ctx->pool, PFN_PHYS(8 * i + 4));
		KUNIT_EXPECT_EQ(test, pool_pages(ctx), 8 * i);
		KUNIT_EXPECT_EQ(test, when_gone(backings[3 - i]), 4 - i);
		expect_reclaimable(ctx, 8 * i);
	}
	KUNIT_EXPECT_EQ(test, STAT(ctx, evicted_pages), 4 * 8);
}

/* A cap of zero empties the pool at once; a higher cap lets it keep backings again */
static void pool_with_cap_of_zero_keeps_nothing(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct mock_backing *backing = pool_get(ctx, 8);

	pool_put_clean(ctx, pool_get(ctx, 4));
	dma_heap_pool_set_max(ctx->pool, 0);
	KUNIT_EXPECT_EQ(test, pool_pages(ctx), 0);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, freed), 1);

	pool_put(ctx, backing);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, freed), 2);
	KUNIT_EXPECT_EQ(test, pool_pages(ctx), 0);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, by_others), 0);
	KUNIT_EXPECT_EQ(test, STAT(ctx, evicted_pages), 4 + 8);

	pool_put(ctx, pool_get(ctx, 8));
	KUNIT_EXPECT_EQ(test, SEEN(ctx, freed), 3);
	KUNIT_EXPECT_EQ(test, STAT(ctx, misses), 3);

	dma_heap_pool_set_max(ctx->pool, PFN_PHYS(8));
	backing = pool_get(ctx, 8);
	pool_put_clean(ctx, backing);
	KUNIT_EXPECT_PTR_EQ(test, pool_get(ctx, 8), backing);
}

/* Every buffer made of it would be slow: the next one may get better memory */
static void pool_keeps_no_fragmented_backing(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct mock_backing *backing = pool_get(ctx, 8);

	backing->base.fragmented = true;
	pool_put(ctx, backing);
	KUNIT_EXPECT_EQ(test, when_gone(backing), 1);
	KUNIT_EXPECT_EQ(test, STAT(ctx, evicted_pages), 8);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, by_scrubber) + SEEN(ctx, by_others), 0);
}

/* The oldest backings go, as many bytes as are asked for, and whole ones */
static void pool_makes_way_with_its_oldest(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct mock_backing *backings[4];

	KUNIT_EXPECT_FALSE(test, dma_heap_pool_make_way(ctx->pool, PFN_PHYS(1)));
	pool_get_many(ctx, backings, ARRAY_SIZE(backings), 8, 0);
	pool_put_many(ctx, backings, ARRAY_SIZE(backings), true);
	KUNIT_EXPECT_TRUE(test, dma_heap_pool_make_way(ctx->pool, PFN_PHYS(9)));
	KUNIT_EXPECT_EQ(test, when_gone(backings[0]), 1);
	KUNIT_EXPECT_EQ(test, when_gone(backings[1]), 2);
	KUNIT_EXPECT_EQ(test, pool_pages(ctx), 2 * 8);

	/* It goes on to keep what is freed */
	pool_expect_keeps(ctx);
}

const struct kunit_case pool_cap_cases[] = {
	KUNIT_CASE_PARAM(pool_full_evicts_oldest_first, state_gen_params),
	KUNIT_CASE(pool_full_evicts_clean_before_dirty),
	KUNIT_CASE_PARAM(pool_holds_no_more_than_cap, cap_gen_params),
	KUNIT_CASE(pool_cap_counts_backing_being_scrubbed),
	KUNIT_CASE(pool_lower_cap_evicts_at_once),
	KUNIT_CASE(pool_with_cap_of_zero_keeps_nothing),
	KUNIT_CASE(pool_keeps_no_fragmented_backing),
	KUNIT_CASE(pool_makes_way_with_its_oldest),
	{}
};
