// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of the pool of DMA-BUF heaps: a region that is just large enough
 */

#include <linux/array_size.h>
#include <linux/atomic.h>
#include <linux/err.h>
#include <linux/gfp.h>
#include <linux/mutex.h>
#include <linux/pfn.h>
#include <linux/sched.h>
#include <linux/spinlock.h>

#include <kunit/resource.h>
#include <kunit/test.h>

#include "../heap_source.h"
#include "../heap_pool.h"
#include "heap_pool_kunit.h"
#include "heap_test_helpers.h"
#include "heap_test_pool.h"
#include "heap_test_race.h"
#include "heap_test_source.h"

#define REGION_PAGES	64
#define REGION_USERS	4
#define REGION_SHARE	(REGION_PAGES / REGION_USERS)
#define REGION_ROUNDS	HEAP_TEST_ROUNDS(200)

/**
 * struct region - a region of REGION_PAGES
 * @taking: serializes allocations from the region
 * @lock: protects @free and @asked
 * @free: free pages in the region
 * @asked: how often an attempt found too few of them, and so asked the pool
 */
struct region {
	struct mutex taking;	/* see above */
	spinlock_t lock;	/* innermost */
	unsigned long free;
	unsigned long asked;
};

static struct region *to_region(struct dma_heap_source *source)
{
	struct mock_source *mock = container_of(source, struct mock_source,
						base);

	return container_of(mock, struct pool_test, mock)->data;
}

static bool region_take(struct region *region, unsigned long pages)
{
	bool fits;

	spin_lock(&region->lock);
	fits = region->free >= pages;
	if (fits)
		region->free -= pages;
	else
		region->asked++;
	spin_unlock(&region->lock);

	return fits;
}

/**
 * struct region_request - an allocation from a region
 * @region: the region
 * @pages: number of pages
 */
struct region_request {
	struct region *region;
	unsigned long pages;
};

static int region_attempt(void *data, size_t held)
{
	struct region_request *request = data;

	return region_take(request->region, request->pages) ? 0 : -EAGAIN;
}

static struct dma_heap_backing *region_alloc(struct dma_heap_source *source,
					     size_t size)
{
	struct mock_source *mock = container_of(source, struct mock_source,
						base);
	struct pool_test *ctx = container_of(mock, struct pool_test, mock);
	struct region *region = ctx->data;
	struct region_request request = { region, PHYS_PFN(size) };
	int ret;

	mutex_lock(&region->taking);
	ret = dma_heap_pool_reclaim_until(ctx->pool, region_attempt, &request,
					  pool_patience());
	mutex_unlock(&region->taking);
	if (ret)
		return ERR_PTR(ret);

	return mock_source_ops.alloc(source, size);
}

/* Some take a while. Their pages are then neither in the pool nor in the region */
static int region_free(struct dma_heap_source *source,
		       struct dma_heap_backing *backing)
{
	struct region *region = to_region(source);
	unsigned long pages = PHYS_PFN(backing->size);

	if (pages % 2)
		schedule_timeout_uninterruptible(1);
	mock_source_ops.free(source, backing);

	spin_lock(&region->lock);
	region->free += pages;
	spin_unlock(&region->lock);

	return 0;
}

static int region_scrub(struct dma_heap_source *source, struct page *page,
			size_t len, bool write_back)
{
	return mock_source_ops.scrub(source, page, len, write_back);
}

static const struct dma_heap_source_ops region_ops = {
	.alloc = region_alloc,
	.free = region_free,
	.scrub = region_scrub,
};

static struct region *region_init(struct pool_test *ctx)
{
	struct region *region;

	region = kunit_kzalloc(ctx->test, sizeof(*region), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(ctx->test, region);
	mutex_init(&region->taking);
	spin_lock_init(&region->lock);
	region->free = REGION_PAGES;
	ctx->data = region;
	ctx->mock.base.ops = &region_ops;
	/* KUnit frees in reverse order, so create the pool after the region */
	kunit_release_action(ctx->test, pool_destroy, ctx);
	KUNIT_ASSERT_EQ(ctx->test, pool_create(ctx), 0);

	return region;
}

/* Unused pages in the region and in the pool, without pages in transit */
static unsigned long region_unused(struct pool_test *ctx)
{
	struct region *region = ctx->data;
	unsigned long pages;

	spin_lock(&region->lock);
	pages = region->free;
	spin_unlock(&region->lock);

	return pages + pool_pages(ctx);
}

/* Wait until each page is in the region or in the pool. All users must have ended */
static void region_wait_unused(struct pool_test *ctx)
{
	POOL_WAIT_FOR(ctx->test, region_unused(ctx) == REGION_PAGES);
}

/* The pool has four backings, and two of them make enough room */
static void reserved_pool_gives_back_no_more_than_needed(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct region *region = region_init(ctx);
	struct mock_backing *backings[4];
	struct mock_backing *backing;

	pool_get_many(ctx, backings, ARRAY_SIZE(backings), 16, 0);
	KUNIT_EXPECT_EQ(test, region->free, 0);
	KUNIT_EXPECT_PTR_EQ(test, pool_try_get(ctx, 1), ERR_PTR(-ENOMEM));
	pool_put_many(ctx, backings, ARRAY_SIZE(backings), true);
	KUNIT_EXPECT_EQ(test, region->free, 0);

	backing = pool_get(ctx, 20);
	KUNIT_EXPECT_EQ(test, when_gone(backings[0]), 1);
	KUNIT_EXPECT_EQ(test, when_gone(backings[1]), 2);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, freed), 2);
	KUNIT_EXPECT_EQ(test, region->free, 12);

	/* Evicting the other two does not make enough room for 64 pages */
	KUNIT_EXPECT_PTR_EQ(test, pool_try_get(ctx, 64), ERR_PTR(-ENOMEM));
	KUNIT_EXPECT_EQ(test, region->free, 44);
	pool_put(ctx, backing);
	pool_get(ctx, 64);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, lost), 0);
}

/* Allocate the thread's share in parts, and free it. Use other parts in each round */
static void region_user(void *data)
{
	static const unsigned int parts[][REGION_SHARE] = {
		{ 16 }, { 5, 11 }, { 8, 8 }, { 1, 3, 12 }, { 4, 4, 4, 4 },
		{ 13, 2, 1 }, { 7, 9 }, { 15, 1 },
	};
	struct mock_backing *backings[REGION_SHARE];
	struct race *race = data;
	unsigned int i, n;

	for (i = 0; i < REGION_ROUNDS; i++) {
		const unsigned int *part;

		part = parts[(i * 3 + race->id) % ARRAY_SIZE(parts)];
		for (n = 0; n < REGION_SHARE && part[n]; n++)
			backings[n] = race_get(race, part[n]);
		while (n--)
			race_put(race, backings[n]);
		cond_resched();
	}
	atomic_dec(race->users);
}

/* Cap, ageing and drain evict backings, too */
static void region_tuner(void *data)
{
	struct race *race = data;
	struct pool_test *ctx = race->ctx;
	int i = 0;

	do {
		i++;
		dma_heap_pool_set_max(ctx->pool,
				      PFN_PHYS(i % 3 ? REGION_PAGES : i % 2));
		dma_heap_pool_set_decay(ctx->pool, i % 5 ? 10000 : 1);
		if (!(i % 4))
			dma_heap_pool_drain(ctx->pool);
		race->gets++;
		schedule_timeout_uninterruptible(1);
	} while (atomic_read(race->users));
}

/* No thread has more than its share, so each allocation must succeed in the end */
static void reserved_alloc_waits_instead_of_failing(struct kunit *test)
{
	static const race_func funcs[] = {
		region_user, region_user, region_user, region_user,
		region_tuner,
	};
	struct pool_test *ctx = test->priv;
	struct region *region = region_init(ctx);

	race_run(ctx, funcs, REGION_USERS, ARRAY_SIZE(funcs));
	KUNIT_EXPECT_GT(test, region->asked, 0);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, lost), 0);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, used_pages), 0);
	pool_wait_scrubbed(ctx);
	region_wait_unused(ctx);
}

const struct kunit_case reserved_region_cases[] = {
	KUNIT_CASE(reserved_pool_gives_back_no_more_than_needed),
	KUNIT_CASE_SLOW(reserved_alloc_waits_instead_of_failing),
	{}
};
