// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of the pool of DMA-BUF heaps: destroying it
 */

#include <linux/array_size.h>
#include <linux/pfn.h>

#include <kunit/resource.h>
#include <kunit/test.h>

#include "../heap_pool.h"
#include "heap_pool_kunit.h"
#include "heap_test_pool.h"
#include "heap_test_source.h"

KUNIT_ARRAY_PARAM_DESC(state, state_cases, desc);

/* Destroying a pool gives all its backings back */
static void pool_destroy_frees_all(struct kunit *test)
{
	const struct state_case *state = test->param_value;
	struct pool_test *ctx = test->priv;
	struct mock_backing *backings[3];

	pool_get_many(ctx, backings, ARRAY_SIZE(backings), 4, 1);
	if (state->dirty)
		pool_hold_scrubber(ctx);
	pool_put_many(ctx, backings, ARRAY_SIZE(backings), !state->dirty);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, freed), 0);

	/* pool_destroy() opens the gate first */
	kunit_release_action(test, pool_destroy, ctx);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, freed), state->dirty ? 4 : 3);
	expect_reclaimable(ctx, 0);
}

/* The scrubber works until the pool stops it. The pool gives back its backing, too */
static void pool_destroy_waits_for_scrubber(struct kunit *test)
{
	struct pool_test *ctx = test->priv;

	pool_hold_scrubber(ctx);
	WRITE_ONCE(ctx->mock.stop_opens, true);
	kunit_remove_action(test, pool_destroy, ctx);
	dma_heap_pool_destroy(ctx->pool);
	ctx->pool = NULL;
	KUNIT_EXPECT_FALSE(test, READ_ONCE(ctx->mock.held));
	KUNIT_EXPECT_EQ(test, SEEN(ctx, by_scrubber), DECOY_PAGES);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, freed), 1);
}

/* The scrubber may not have scrubbed all prefilled backings yet */
static void pool_destroy_frees_prefilled(struct kunit *test)
{
	struct pool_test *ctx = test->priv;

	KUNIT_EXPECT_EQ(test, dma_heap_pool_prefill(ctx->pool, PFN_PHYS(4), 500), 0);
	kunit_release_action(test, pool_destroy, ctx);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, allocated_pages), 4 * 500);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, freed_pages), 4 * 500);
}

const struct kunit_case pool_destroy_cases[] = {
	KUNIT_CASE_PARAM(pool_destroy_frees_all, state_gen_params),
	KUNIT_CASE(pool_destroy_waits_for_scrubber),
	KUNIT_CASE(pool_destroy_frees_prefilled),
	{}
};
