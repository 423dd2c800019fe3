// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of the pool of DMA-BUF heaps: allocations
 *
 * An allocation takes a backing of its size from the pool, zeroed or dirty.
 */

#include <linux/array_size.h>
#include <linux/err.h>
#include <linux/gfp.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/signal.h>

#include <kunit/resource.h>
#include <kunit/test.h>

#include "../heap_source.h"
#include "heap_pool_kunit.h"
#include "heap_test_pool.h"
#include "heap_test_source.h"

static const unsigned int reuse_cases[] = { 1, 2, 3, 16, 67, 512 };

static void reuse_desc(const unsigned int *pages, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%u pages", *pages);
}

KUNIT_ARRAY_PARAM(reuse, reuse_cases, reuse_desc);

/* The scrubber zeroes the backing between two buffers of its size */
static void pool_hit_returns_freed_backing_clean(struct kunit *test)
{
	unsigned int pages = *(const unsigned int *)test->param_value;
	struct pool_test *ctx = test->priv;
	struct mock_backing *backing;
	int i;

	backing = pool_get(ctx, pages);
	KUNIT_EXPECT_EQ(test, STAT(ctx, misses), 1);

	for (i = 1; i <= 3; i++) {
		pool_put_clean(ctx, backing);
		KUNIT_EXPECT_EQ(test, STAT(ctx, clean_pages), pages);
		KUNIT_EXPECT_EQ(test, STAT(ctx, scrubbed_pages), i * pages);

		KUNIT_EXPECT_PTR_EQ(test, pool_get(ctx, pages), backing);
		KUNIT_EXPECT_EQ(test, STAT(ctx, hits), i);
		KUNIT_EXPECT_EQ(test, STAT(ctx, clean_pages), 0);
	}

	KUNIT_EXPECT_EQ(test, STAT(ctx, misses), 1);
	KUNIT_EXPECT_EQ(test, STAT(ctx, dirty_hits), 0);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, calls), 1);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, by_others), 0);
}

/* The pool has fewer hash buckets */
#define MANY_SIZES	100

/* An allocation takes no larger backing, and no smaller one */
static void pool_hit_needs_same_size(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct mock_backing **backings;
	unsigned int i;

	backings = kunit_kcalloc(test, MANY_SIZES + 1, sizeof(*backings),
				 GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, backings);

	for (i = 1; i <= MANY_SIZES; i++) {
		backings[i] = pool_get(ctx, i);
		pool_put(ctx, backings[i]);
	}
	KUNIT_EXPECT_EQ(test, STAT(ctx, misses), MANY_SIZES);
	pool_wait_scrubbed(ctx);

	for (i = 1; i <= MANY_SIZES; i++)
		KUNIT_EXPECT_PTR_EQ_MSG(test, pool_get(ctx, i), backings[i],
					"%u pages", i);
	KUNIT_EXPECT_EQ(test, STAT(ctx, hits), MANY_SIZES);
	KUNIT_EXPECT_EQ(test, STAT(ctx, misses), MANY_SIZES);
}

KUNIT_ARRAY_PARAM_DESC(state, state_cases, desc);

/* The memory that was used last may still be in the CPU's caches */
static void pool_newest_backing_is_taken_first(struct kunit *test)
{
	const struct state_case *state = test->param_value;
	struct pool_test *ctx = test->priv;
	struct mock_backing *backings[4];
	int i = ARRAY_SIZE(backings);

	pool_get_many(ctx, backings, ARRAY_SIZE(backings), 4, 0);
	if (state->dirty)
		pool_hold_scrubber(ctx);
	pool_put_many(ctx, backings, ARRAY_SIZE(backings), !state->dirty);

	while (i--)
		KUNIT_EXPECT_PTR_EQ_MSG(test, pool_get(ctx, 4), backings[i],
					"number %d", i);
	KUNIT_EXPECT_EQ(test, STAT(ctx, hits), state->dirty ? 0 : 4);
	KUNIT_EXPECT_EQ(test, STAT(ctx, dirty_hits), state->dirty ? 4 : 0);
}

/* The scrubber is busy, and the only backing of the size is dirty */
static void pool_dirty_hit_is_scrubbed_by_allocator(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct mock_backing *backing = pool_get(ctx, 16);

	pool_hold_scrubber(ctx);
	pool_put(ctx, backing);
	KUNIT_EXPECT_EQ(test, STAT(ctx, dirty_pages), 16 + DECOY_PAGES);

	KUNIT_EXPECT_PTR_EQ(test, pool_get(ctx, 16), backing);
	KUNIT_EXPECT_EQ(test, STAT(ctx, dirty_pages), DECOY_PAGES);
	KUNIT_EXPECT_EQ(test, STAT(ctx, dirty_hits), 1);
	KUNIT_EXPECT_EQ(test, STAT(ctx, hits), 0);
	KUNIT_EXPECT_EQ(test, STAT(ctx, paid_pages), 16);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, by_others), 16);
}

/* The allocation takes the zeroed backing, although the dirty one was freed last */
static void pool_clean_is_taken_before_dirty(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct mock_backing *clean = pool_get(ctx, 4);
	struct mock_backing *dirty = pool_get(ctx, 4);

	pool_put_clean(ctx, clean);
	pool_hold_scrubber(ctx);
	pool_put(ctx, dirty);

	KUNIT_EXPECT_PTR_EQ(test, pool_get(ctx, 4), clean);
	KUNIT_EXPECT_EQ(test, STAT(ctx, hits), 1);
	KUNIT_EXPECT_EQ(test, STAT(ctx, paid_pages), 0);
	KUNIT_EXPECT_PTR_EQ(test, pool_get(ctx, 4), dirty);
	KUNIT_EXPECT_EQ(test, STAT(ctx, dirty_hits), 1);
	KUNIT_EXPECT_EQ(test, STAT(ctx, paid_pages), 4);
}

/* The allocation goes to the source, and does not wait for the scrubber */
static void pool_alloc_passes_over_backing_being_scrubbed(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct mock_backing *other;

	pool_hold_scrubber(ctx);
	other = pool_get(ctx, DECOY_PAGES);
	KUNIT_EXPECT_EQ(test, STAT(ctx, misses), 2);
	KUNIT_EXPECT_EQ(test, STAT(ctx, dirty_pages), DECOY_PAGES);

	pool_release_scrubber(ctx);
	KUNIT_EXPECT_PTR_NE(test, pool_get(ctx, DECOY_PAGES), other);
	KUNIT_EXPECT_EQ(test, STAT(ctx, hits), 1);
	KUNIT_EXPECT_EQ(test, STAT(ctx, misses), 2);
}

/* The dirty backing stays in the pool for the next allocation */
static void pool_killed_allocator_scrubs_nothing(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct mock_backing *backing = pool_get(ctx, 8);
	struct dma_heap_backing *base;

	pool_hold_scrubber(ctx);
	pool_put(ctx, backing);

	sigaddset(&current->pending.signal, SIGKILL);
	set_thread_flag(TIF_SIGPENDING);
	base = pool_try_get(ctx, 8);
	sigdelset(&current->pending.signal, SIGKILL);
	clear_thread_flag(TIF_SIGPENDING);

	KUNIT_EXPECT_PTR_EQ(test, base, ERR_PTR(-EINTR));
	KUNIT_EXPECT_EQ(test, STAT(ctx, dirty_pages), 8 + DECOY_PAGES);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, by_others), 0);
	KUNIT_EXPECT_PTR_EQ(test, pool_get(ctx, 8), backing);
}

/* The pool returns the error of the source, and does not try again */
static void pool_alloc_returns_error_of_source(struct kunit *test)
{
	static const int errors[] = { -ENOMEM, -EINTR, -EREMOTEIO };
	struct pool_test *ctx = test->priv;
	struct mock_backing *backing = pool_get(ctx, 4);
	int i;

	pool_put_clean(ctx, backing);
	for (i = 0; i < ARRAY_SIZE(errors); i++) {
		ctx->mock.ret = errors[i];
		KUNIT_EXPECT_PTR_EQ(test, pool_try_get(ctx, 8), ERR_PTR(errors[i]));
		KUNIT_EXPECT_EQ(test, STAT(ctx, misses), i + 2);
	}

	/* A hit does not need the source */
	KUNIT_EXPECT_PTR_EQ(test, pool_get(ctx, 4), backing);
	ctx->mock.ret = 0;
	pool_get(ctx, 8);
}

/**
 * struct clean_case - must scrubbing write back the CPU's caches?
 * @desc: what needs the backing written back
 * @uncached: the source is uncached
 * @noncoherent: a noncoherent device uses the buffer
 * @written_back: the backing is written back when the next buffer gets it
 */
struct clean_case {
	const char *desc;
	bool uncached;
	bool noncoherent;
	bool written_back;
};

static const struct clean_case clean_cases[] = {
	{ "nobody", false, false, false },
	{ "a device", false, true, true },
	{ "the source", true, false, true },
	{ "the source and a device", true, true, true },
};

KUNIT_ARRAY_PARAM_DESC(clean, clean_cases, desc);

/* Scrubbing writes back only if needed. The backing records it for the next buffer */
static void pool_cleans_caches_only_if_needed(struct kunit *test)
{
	const struct clean_case *param = test->param_value;
	struct pool_test *ctx = test->priv;
	struct mock_backing *backing;

	kunit_release_action(test, pool_destroy, ctx);
	ctx->mock.base.uncached = param->uncached;
	KUNIT_ASSERT_EQ(test, pool_create(ctx), 0);

	backing = pool_get(ctx, 8);
	KUNIT_EXPECT_EQ(test, backing->base.written_back, param->uncached);
	backing->base.noncoherent = param->noncoherent;

	/* The scrubber zeroes the backing */
	pool_put_clean(ctx, backing);
	KUNIT_ASSERT_PTR_EQ(test, pool_get(ctx, 8), backing);
	KUNIT_EXPECT_EQ(test, backing->base.written_back, param->written_back);

	/* The allocating task zeroes it. The device may use the backing again */
	pool_hold_scrubber(ctx);
	pool_put(ctx, backing);
	KUNIT_ASSERT_PTR_EQ(test, pool_get(ctx, 8), backing);
	KUNIT_EXPECT_EQ(test, STAT(ctx, dirty_hits), 1);
	KUNIT_EXPECT_EQ(test, backing->base.written_back, param->written_back);
}

const struct kunit_case pool_alloc_cases[] = {
	KUNIT_CASE_PARAM(pool_hit_returns_freed_backing_clean, reuse_gen_params),
	KUNIT_CASE(pool_hit_needs_same_size),
	KUNIT_CASE_PARAM(pool_newest_backing_is_taken_first, state_gen_params),
	KUNIT_CASE(pool_dirty_hit_is_scrubbed_by_allocator),
	KUNIT_CASE(pool_clean_is_taken_before_dirty),
	KUNIT_CASE(pool_alloc_passes_over_backing_being_scrubbed),
	KUNIT_CASE(pool_killed_allocator_scrubs_nothing),
	KUNIT_CASE(pool_alloc_returns_error_of_source),
	KUNIT_CASE_PARAM(pool_cleans_caches_only_if_needed, clean_gen_params),
	{}
};
