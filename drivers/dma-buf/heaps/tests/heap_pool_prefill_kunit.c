// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of the pool of DMA-BUF heaps: getting backings before they are needed
 */

#include <linux/array_size.h>
#include <linux/limits.h>
#include <linux/pfn.h>

#include <kunit/test.h>

#include "../heap_pool.h"
#include "heap_pool_kunit.h"
#include "heap_test_pool.h"
#include "heap_test_source.h"

/* The first allocations of a prefilled size are hits */
static void pool_prefill_serves_first_allocations(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	int i;

	KUNIT_EXPECT_EQ(test, dma_heap_pool_prefill(ctx->pool, PFN_PHYS(16), 3), 0);
	KUNIT_EXPECT_EQ(test, dma_heap_pool_prefill(ctx->pool, PFN_PHYS(5), 2), 0);
	pool_wait_clean_pages(ctx, 3 * 16 + 2 * 5);

	for (i = 0; i < 3; i++)
		pool_get(ctx, 16);
	for (i = 0; i < 2; i++)
		pool_get(ctx, 5);
	KUNIT_EXPECT_EQ(test, STAT(ctx, hits), 5);
	KUNIT_EXPECT_EQ(test, STAT(ctx, misses), 0);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, by_others), 0);
}

/* The second prefill counts the backing that the scrubber has, and gets no more */
static void pool_prefill_counts_what_is_there(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	size_t size = PFN_PHYS(DECOY_PAGES);
	int i;

	pool_hold_scrubber(ctx);
	for (i = 0; i < 2; i++) {
		KUNIT_EXPECT_EQ(test, dma_heap_pool_prefill(ctx->pool, size, 2), 0);
		KUNIT_EXPECT_EQ(test, STAT(ctx, dirty_pages), DECOY_PAGES);
		KUNIT_EXPECT_EQ(test, STAT(ctx, clean_pages), DECOY_PAGES);
	}
	pool_release_scrubber(ctx);
	KUNIT_EXPECT_EQ(test, STAT(ctx, clean_pages), 2 * DECOY_PAGES);
}

/* Ageing leaves prefilled backings in the pool, until a prefill of 0 */
static void pool_prefilled_outlives_decay(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct mock_backing *other = pool_get(ctx, 4);
	struct mock_backing *same = pool_get(ctx, 16);

	KUNIT_EXPECT_EQ(test, dma_heap_pool_prefill(ctx->pool, PFN_PHYS(16), 2), 0);
	pool_wait_clean_pages(ctx, 2 * 16);

	/* Both are younger than the prefilled backings, which ageing looks at first */
	dma_heap_pool_set_decay(ctx->pool, 100);
	pool_put(ctx, same);
	pool_put(ctx, other);
	pool_wait_pages(ctx, 2 * 16);
	KUNIT_EXPECT_NE(test, when_gone(other), 0);
	KUNIT_EXPECT_EQ(test, STAT(ctx, decayed_pages), 4 + 16);

	KUNIT_EXPECT_EQ(test, dma_heap_pool_prefill(ctx->pool, PFN_PHYS(16), 0), 0);
	pool_wait_pages(ctx, 0);
	KUNIT_EXPECT_EQ(test, STAT(ctx, decayed_pages), 4 + 16 + 2 * 16);
}

/* The shrinker evicts prefilled backings like all others */
static void pool_shrink_frees_prefilled(struct kunit *test)
{
	struct pool_test *ctx = test->priv;

	KUNIT_EXPECT_EQ(test, dma_heap_pool_prefill(ctx->pool, PFN_PHYS(16), 2), 0);
	pool_wait_clean_pages(ctx, 2 * 16);
	KUNIT_EXPECT_EQ(test, pool_count(ctx), count_of(2 * 16));
	KUNIT_EXPECT_EQ(test, pool_scan(ctx, 1000), 2 * 16);
	KUNIT_EXPECT_EQ(test, STAT(ctx, shrunk_pages), 2 * 16);
}

/* A lower cap applies to prefilled backings, too */
static void pool_cap_evicts_prefilled(struct kunit *test)
{
	struct pool_test *ctx = test->priv;

	KUNIT_EXPECT_EQ(test, dma_heap_pool_prefill(ctx->pool, PFN_PHYS(16), 3), 0);
	pool_wait_clean_pages(ctx, 3 * 16);
	dma_heap_pool_set_max(ctx->pool, PFN_PHYS(20));
	KUNIT_EXPECT_EQ(test, pool_pages(ctx), 16);

	/* A new backing that needs their room evicts them, too */
	pool_put_clean(ctx, pool_get(ctx, 20));
	KUNIT_EXPECT_EQ(test, pool_pages(ctx), 20);
	KUNIT_EXPECT_EQ(test, STAT(ctx, evicted_pages), 3 * 16);
}

/**
 * struct prefill_case - a prefill at the limits
 * @desc: name of the case
 * @size: bytes of each backing
 * @count: number of backings
 * @ret: expected result
 */
struct prefill_case {
	const char *desc;
	size_t size;
	unsigned int count;
	int ret;
};

/* The cap is 64 pages */
static const struct prefill_case prefill_cases[] = {
	{ "no size", 0, 1, -EINVAL },
	{ "no size, to end it", 0, 0, -EINVAL },
	{ "not aligned", PAGE_SIZE + 1, 1, -EINVAL },
	{ "less than a page", PAGE_SIZE / 2, 1, -EINVAL },
	{ "larger than the cap", 65 * PAGE_SIZE, 1, -ENOSPC },
	{ "together larger than the cap", 13 * PAGE_SIZE, 5, -ENOSPC },
	{ "product of nothing", SIZE_MAX / 2 + 1, 2, -ENOSPC },
	{ "product of four pages", SIZE_MAX / 4 + 1 + PAGE_SIZE, 4, -ENOSPC },
	{ "largest number", PAGE_SIZE, UINT_MAX, -ENOSPC },
	{ "just the cap", 64 * PAGE_SIZE, 1, 0 },
	{ "just the cap together", 16 * PAGE_SIZE, 4, 0 },
	{ "none of what there never was", 16 * PAGE_SIZE, 0, 0 },
};

KUNIT_ARRAY_PARAM_DESC(prefill, prefill_cases, desc);

static void pool_prefill_refuses_bad_size_and_more_than_cap(struct kunit *test)
{
	const struct prefill_case *param = test->param_value;
	struct pool_test *ctx = test->priv;

	dma_heap_pool_set_max(ctx->pool, PFN_PHYS(64));
	KUNIT_EXPECT_EQ(test, dma_heap_pool_prefill(ctx->pool, param->size,
						    param->count), param->ret);
	/* A refused prefill gets no backing */
	pool_wait_clean_pages(ctx, param->ret ? 0 : PHYS_PFN(param->size) * param->count);
	if (param->ret)
		KUNIT_EXPECT_EQ(test, SEEN(ctx, calls), 0);
}

/* A failed prefill leaves its backings in the pool, and ageing may evict them */
static void pool_prefill_returns_error_of_source(struct kunit *test)
{
	static const int errors[] = { -ENOMEM, -EINTR, -EREMOTEIO };
	struct pool_test *ctx = test->priv;
	int i;

	for (i = 0; i < ARRAY_SIZE(errors); i++) {
		ctx->mock.ret = errors[i];
		KUNIT_EXPECT_EQ(test, dma_heap_pool_prefill(ctx->pool, PFN_PHYS(16), 3),
				errors[i]);
		KUNIT_EXPECT_EQ(test, SEEN(ctx, calls), i + 1);
	}

	ctx->mock.ret = 0;
	ctx->mock.fail_at = i + 3;
	KUNIT_EXPECT_EQ(test, dma_heap_pool_prefill(ctx->pool, PFN_PHYS(16), 3),
			-ENOMEM);
	pool_wait_clean_pages(ctx, 2 * 16);

	/* Ageing evicts these backings */
	dma_heap_pool_set_decay(ctx->pool, 10);
	pool_wait_pages(ctx, 0);
	KUNIT_EXPECT_EQ(test, STAT(ctx, misses), 0);
}

const struct kunit_case pool_prefill_cases[] = {
	KUNIT_CASE(pool_prefill_serves_first_allocations),
	KUNIT_CASE(pool_prefill_counts_what_is_there),
	KUNIT_CASE(pool_prefilled_outlives_decay),
	KUNIT_CASE(pool_shrink_frees_prefilled),
	KUNIT_CASE(pool_cap_evicts_prefilled),
	KUNIT_CASE_PARAM(pool_prefill_refuses_bad_size_and_more_than_cap, prefill_gen_params),
	KUNIT_CASE(pool_prefill_returns_error_of_source),
	{}
};
