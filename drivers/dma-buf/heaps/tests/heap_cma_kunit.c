// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit suite of the shortage notifier of CMA areas, which the CMA heaps need
 *
 * A test fills the default area, so that allocations find only the room that the test
 * gives back.
 */

#include <linux/cma.h>
#include <linux/dma-map-ops.h>
#include <linux/limits.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/notifier.h>
#include <linux/pfn.h>
#include <linux/sizes.h>
#include <linux/slab.h>

#include <kunit/resource.h>
#include <kunit/test.h>

#include "heap_test_helpers.h"

/* A test fills the area with chunks of this many pages, then with smaller ones */
#define CHUNK	PHYS_PFN(SZ_1M)

/**
 * struct cma_chunk - pages of the area
 * @in_test: entry in &cma_test.chunks
 * @page: the first page
 * @count: number of pages
 */
struct cma_chunk {
	struct list_head in_test;
	struct page *page;
	unsigned long count;
};

/**
 * struct cma_test - data of a test
 * @test: the test
 * @cma: the area
 * @nb: the notifier, called when the area has no room
 * @chunks: chunks of the area that the test has, large ones first
 * @counts: how often @nb was asked what it keeps
 * @calls: how often @nb was called at the beginning of a shortage
 * @ends: how often @nb was called at the end of a shortage
 * @pages: what it was to release in the last two calls
 * @kept: pages that it says it keeps
 * @strangers: how often @nb was called for another area
 * @release: the chunk that @nb releases in its next call, or NULL
 * @again: @nb releases a chunk in every call
 */
struct cma_test {
	struct kunit *test;
	struct cma *cma;
	struct notifier_block nb;
	struct list_head chunks;
	unsigned int counts;
	unsigned int calls;
	unsigned int ends;
	unsigned long pages[2];
	unsigned long kept;
	unsigned int strangers;
	struct cma_chunk *release;
	bool again;
};

static bool cma_test_get(struct cma_test *ctx, unsigned long count)
{
	struct cma_chunk *chunk;

	chunk = kmalloc(sizeof(*chunk), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(ctx->test, chunk);

	chunk->count = count;
	chunk->page = cma_alloc(ctx->cma, count, 0, true);
	if (!chunk->page) {
		kfree(chunk);
		return false;
	}
	list_add_tail(&chunk->in_test, &ctx->chunks);

	return true;
}

static void cma_test_put(struct cma_test *ctx, struct cma_chunk *chunk)
{
	list_del(&chunk->in_test);
	KUNIT_EXPECT_TRUE(ctx->test, cma_release(ctx->cma, chunk->page,
						 chunk->count));
	kfree(chunk);
}

static void cma_test_put_all(void *data)
{
	struct cma_chunk *chunk, *next;
	struct cma_test *ctx = data;

	list_for_each_entry_safe(chunk, next, &ctx->chunks, in_test)
		cma_test_put(ctx, chunk);
}

static struct cma_chunk *cma_test_first(struct cma_test *ctx)
{
	return list_first_entry(&ctx->chunks, struct cma_chunk, in_test);
}

static void cma_test_fill(struct cma_test *ctx)
{
	unsigned long count;

	for (count = CHUNK; count; count /= 2)
		while (cma_test_get(ctx, count))
			;
	KUNIT_ASSERT_FALSE(ctx->test, list_empty(&ctx->chunks));
	KUNIT_ASSERT_EQ(ctx->test, cma_test_first(ctx)->count, CHUNK);
}

static int cma_test_shortage(struct notifier_block *nb, unsigned long action,
			     void *data)
{
	struct cma_test *ctx = container_of(nb, struct cma_test, nb);
	struct cma_shortage *shortage = data;

	might_sleep();
	if (shortage->cma != ctx->cma)
		ctx->strangers++;
	if (action == CMA_SHORTAGE_COUNT) {
		ctx->counts++;
		shortage->kept += ctx->kept;
		return NOTIFY_OK;
	}
	if (action == CMA_SHORTAGE_END) {
		ctx->ends++;
		return NOTIFY_OK;
	}

	ctx->pages[ctx->calls++ % 2] = shortage->pages;
	/* The last shortage has ended before this one begins */
	KUNIT_EXPECT_LE(ctx->test, ctx->calls, ctx->ends + 2);
	if (ctx->again)
		ctx->release = cma_test_first(ctx);
	if (ctx->release)
		cma_test_put(ctx, ctx->release);
	ctx->release = NULL;

	return NOTIFY_OK;
}

static void cma_test_unregister(void *data)
{
	struct cma_test *ctx = data;

	KUNIT_EXPECT_EQ(ctx->test, cma_unregister_shortage_notifier(&ctx->nb), 0);
}

static void cma_test_register(struct cma_test *ctx)
{
	KUNIT_ASSERT_EQ(ctx->test, cma_register_shortage_notifier(&ctx->nb), 0);
	KUNIT_ASSERT_EQ(ctx->test, kunit_add_action(ctx->test,
						    cma_test_unregister, ctx), 0);
}

static int cma_test_init(struct kunit *test)
{
	struct cma_test *ctx;

	ctx = kunit_kzalloc(test, sizeof(*ctx), GFP_KERNEL);
	if (!ctx)
		return -ENOMEM;

	ctx->test = test;
	ctx->cma = dev_get_cma_area(NULL);
	if (!ctx->cma)
		heap_test_skip(test, "area",
			       "needs an area of contiguous memory, such as of cma=32M");

	ctx->nb.notifier_call = cma_test_shortage;
	INIT_LIST_HEAD(&ctx->chunks);
	test->priv = ctx;

	return kunit_add_action_or_reset(test, cma_test_put_all, ctx);
}

static void cma_test_exit(struct kunit *test)
{
	struct cma_test *ctx = test->priv;

	if (!ctx)
		return;

	KUNIT_EXPECT_EQ(test, ctx->strangers, 0);
	KUNIT_EXPECT_EQ(test, ctx->ends, ctx->calls);
}

/* An allocation that finds room does not call the notifier */
static void cma_test_room_calls_nobody(struct kunit *test)
{
	struct cma_test *ctx = test->priv;

	cma_test_register(ctx);
	KUNIT_EXPECT_TRUE(test, cma_test_get(ctx, 1));
	KUNIT_EXPECT_TRUE(test, cma_test_get(ctx, CHUNK));
	KUNIT_EXPECT_EQ(test, ctx->counts, 0);
}

/* No release can make room for more than the area */
static void cma_test_larger_than_area_calls_nobody(struct kunit *test)
{
	struct cma_test *ctx = test->priv;

	cma_test_register(ctx);
	KUNIT_EXPECT_FALSE(test, cma_test_get(ctx, PHYS_PFN(cma_get_size(ctx->cma)) + 1));
	KUNIT_EXPECT_EQ(test, ctx->counts, 0);
}

/* The area is full, and nobody keeps enough of it */
static void cma_test_nothing_kept_is_not_asked_for(struct kunit *test)
{
	struct cma_test *ctx = test->priv;

	cma_test_fill(ctx);
	cma_test_register(ctx);
	KUNIT_EXPECT_FALSE(test, cma_test_get(ctx, 1));
	KUNIT_EXPECT_EQ(test, ctx->counts, 1);
	ctx->kept = CHUNK - 1;
	KUNIT_EXPECT_FALSE(test, cma_test_get(ctx, CHUNK));
	KUNIT_EXPECT_EQ(test, ctx->counts, 2);
	KUNIT_EXPECT_EQ(test, ctx->calls, 0);
}

/* The notifier keeps its pages: the allocation asks for all, and then gives up */
static void cma_test_full_area_asks_twice(struct kunit *test)
{
	struct cma_test *ctx = test->priv;

	cma_test_fill(ctx);
	cma_test_register(ctx);
	ctx->kept = CHUNK;
	KUNIT_EXPECT_FALSE(test, cma_test_get(ctx, CHUNK));
	KUNIT_EXPECT_EQ(test, ctx->calls, 2);
	KUNIT_EXPECT_EQ(test, ctx->pages[0], CHUNK);
	KUNIT_EXPECT_EQ(test, ctx->pages[1], ULONG_MAX);
	KUNIT_EXPECT_FALSE(test, cma_test_get(ctx, 1));
	KUNIT_EXPECT_EQ(test, ctx->calls, 4);
	KUNIT_EXPECT_EQ(test, ctx->pages[0], 1);
}

/* The allocation gets the chunk that the notifier releases */
static void cma_test_released_chunk_is_allocated(struct kunit *test)
{
	struct cma_test *ctx = test->priv;
	unsigned long count;
	struct page *page;

	cma_test_fill(ctx);
	cma_test_register(ctx);
	ctx->release = cma_test_first(ctx);
	page = ctx->release->page;
	count = ctx->release->count;
	ctx->kept = count;

	KUNIT_EXPECT_TRUE(test, cma_test_get(ctx, count));
	KUNIT_EXPECT_EQ(test, ctx->calls, 1);
	KUNIT_EXPECT_PTR_EQ(test, list_last_entry(&ctx->chunks, struct cma_chunk,
						  in_test)->page, page);
}

/* The notifier releases less than it says */
static void cma_test_too_little_released_fails(struct kunit *test)
{
	struct cma_test *ctx = test->priv;
	unsigned long count;

	cma_test_fill(ctx);
	cma_test_register(ctx);
	ctx->release = cma_test_first(ctx);
	count = ctx->release->count;
	ctx->kept = 2 * count;

	KUNIT_EXPECT_FALSE(test, cma_test_get(ctx, 2 * count));
	KUNIT_EXPECT_EQ(test, ctx->calls, 2);
	KUNIT_EXPECT_TRUE(test, cma_test_get(ctx, count));
	KUNIT_EXPECT_EQ(test, ctx->calls, 2);
}

/* The allocation asks no more than twice, even if each call would release a chunk */
static void cma_test_search_ends_after_two_calls(struct kunit *test)
{
	struct cma_test *ctx = test->priv;

	cma_test_fill(ctx);
	cma_test_register(ctx);
	ctx->again = true;
	ctx->kept = PHYS_PFN(cma_get_size(ctx->cma));
	KUNIT_EXPECT_FALSE(test, cma_test_get(ctx, PHYS_PFN(cma_get_size(ctx->cma))));
	KUNIT_EXPECT_EQ(test, ctx->calls, 2);
}

/* It finds room if there is some, and else fails at once */
static void cma_test_try_asks_nobody(struct kunit *test)
{
	struct cma_test *ctx = test->priv;
	struct page *page;

	cma_test_fill(ctx);
	cma_test_register(ctx);
	ctx->kept = CHUNK;
	ctx->release = cma_test_first(ctx);
	KUNIT_EXPECT_NULL(test, cma_try_alloc(ctx->cma, CHUNK, 0));
	KUNIT_EXPECT_EQ(test, ctx->counts, 0);
	KUNIT_EXPECT_EQ(test, ctx->calls, 0);

	cma_test_put(ctx, ctx->release);
	ctx->release = NULL;
	page = cma_try_alloc(ctx->cma, CHUNK, 0);
	KUNIT_ASSERT_NOT_NULL(test, page);
	KUNIT_EXPECT_TRUE(test, cma_release(ctx->cma, page, CHUNK));
}

/* The allocation needs contiguous room, and two gaps are not contiguous */
static void cma_test_gaps_are_no_room(struct kunit *test)
{
	struct cma_test *ctx = test->priv;
	struct cma_chunk *chunk, *second, *third;
	unsigned long count;

	cma_test_fill(ctx);
	chunk = cma_test_first(ctx);
	count = chunk->count;
	second = list_next_entry(chunk, in_test);
	third = list_next_entry(second, in_test);
	/* The test needs three chunks side by side */
	KUNIT_ASSERT_EQ(test, page_to_pfn(second->page),
			page_to_pfn(chunk->page) + count);
	KUNIT_ASSERT_EQ(test, page_to_pfn(third->page),
			page_to_pfn(second->page) + count);
	cma_test_put(ctx, third);
	cma_test_put(ctx, chunk);
	cma_test_register(ctx);

	KUNIT_EXPECT_FALSE(test, cma_test_get(ctx, 2 * count));
	KUNIT_EXPECT_EQ(test, ctx->calls, 2);

	/* The chunk between the two gaps joins them */
	ctx->release = second;
	ctx->kept = count;
	KUNIT_EXPECT_TRUE(test, cma_test_get(ctx, 3 * count));
	KUNIT_EXPECT_EQ(test, ctx->calls, 3);
}

static void cma_test_unregistered_is_not_called(struct kunit *test)
{
	struct cma_test *ctx = test->priv;

	cma_test_fill(ctx);
	cma_test_register(ctx);
	kunit_release_action(test, cma_test_unregister, ctx);
	ctx->release = cma_test_first(ctx);
	ctx->kept = CHUNK;
	KUNIT_EXPECT_FALSE(test, cma_test_get(ctx, 1));
	KUNIT_EXPECT_EQ(test, ctx->counts, 0);
	KUNIT_EXPECT_EQ(test, ctx->calls, 0);
}

static struct kunit_case cma_test_cases[] = {
	KUNIT_CASE(cma_test_room_calls_nobody),
	KUNIT_CASE(cma_test_larger_than_area_calls_nobody),
	KUNIT_CASE(cma_test_nothing_kept_is_not_asked_for),
	KUNIT_CASE(cma_test_full_area_asks_twice),
	KUNIT_CASE(cma_test_released_chunk_is_allocated),
	KUNIT_CASE(cma_test_too_little_released_fails),
	KUNIT_CASE(cma_test_search_ends_after_two_calls),
	KUNIT_CASE(cma_test_gaps_are_no_room),
	KUNIT_CASE(cma_test_try_asks_nobody),
	KUNIT_CASE(cma_test_unregistered_is_not_called),
	{}
};

static struct kunit_suite cma_test_suite = {
	.name = "dma_heap_cma",
	.init = cma_test_init,
	.exit = cma_test_exit,
	.test_cases = cma_test_cases,
};

kunit_test_suite(cma_test_suite);

MODULE_DESCRIPTION("KUnit tests of what the DMA-BUF CMA heaps need of an area");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS(EXPORTED_FOR_KUNIT_TESTING);
