// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit suite of what the pool of DMA-BUF heaps does for reserved memory, and for
 * memory that somebody else may want back
 *
 * A reserved source must get back nothing but zero memory, whatever happens, and
 * who allocates from it waits as long as that helps. A source that shares its
 * memory with others gets back all there is when it asks.
 */

#include <linux/atomic.h>
#include <linux/cpumask.h>
#include <linux/err.h>
#include <linux/gfp.h>
#include <linux/iopoll.h>
#include <linux/jiffies.h>
#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/mutex.h>
#include <linux/nodemask.h>
#include <linux/pfn.h>
#include <linux/scatterlist.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/shrinker.h>
#include <linux/signal.h>
#include <linux/sizes.h>
#include <linux/spinlock.h>
#include <linux/topology.h>
#include <linux/wait.h>

#include <kunit/resource.h>
#include <kunit/test.h>

#include "../heap_backing.h"
#include "../heap_pool.h"
#include "heap_test_helpers.h"
#include "heap_test_source.h"

/* How long a source waits for what the scrubber is at, at most */
#define SCRUBBING	HZ

/* Time for others to do what they should not */
#define A_WHILE		(HZ / 10)

/* The same pool in front of an ordinary source */
static void reserved_make_ordinary(struct kunit *test)
{
	struct pool_test *ctx = test->priv;

	kunit_release_action(test, pool_destroy, ctx);
	ctx->mock.base.reserved = false;
	KUNIT_ASSERT_EQ(test, pool_create(ctx), 0);
}

/* For what another task sets */
static bool reserved_wait_for(const bool *flag)
{
	bool set;

	read_poll_timeout(READ_ONCE, set, set, 1000, PATIENCE_US, false, *flag);

	return set;
}

static int reserved_give_back_one(struct pool_test *ctx)
{
	struct dma_heap_pool_search search;
	int ret;

	dma_heap_pool_search_begin(ctx->pool, &search);
	ret = dma_heap_pool_give_back_one(ctx->pool, &search);
	dma_heap_pool_search_end(ctx->pool, &search);

	return ret;
}

/* The same again until that ends: what is lost may be on its way to the source */
static int reserved_give_back_rest(struct pool_test *ctx)
{
	int ret;

	do {
		ret = reserved_give_back_one(ctx);
	} while (!ret);

	return ret;
}

/* Free a backing of a size the pool does not know, with no memory to change that */
static bool reserved_put_no_bin(struct mock_backing *backing)
{
	heap_test_fault_arm(1);
	backing_put(backing);

	return heap_test_fault_taken();
}

/* Like pool_get(), but the test has to give it back */
static struct mock_backing *reserved_get(struct pool_test *ctx,
					 unsigned int pages)
{
	struct dma_heap_backing *base = pool_try_get(ctx, pages);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(ctx->test, base);
	KUNIT_ASSERT_NULL(ctx->test,
			  backing_use(to_mock_backing(base), pages, DIRT));

	return to_mock_backing(base);
}

/* Only what is clean goes back */

static void reserved_test_origin(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct dma_heap_source *base = dma_heap_pool_source(ctx->pool);

	KUNIT_EXPECT_PTR_EQ(test, dma_heap_pool_origin(base), &ctx->mock.base);
	KUNIT_EXPECT_PTR_NE(test, dma_heap_pool_origin(base), base);
}

/* A lower cap holds for what is clean, for the rest as soon as it is */
static void reserved_test_set_max(struct kunit *test)
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

	/* Nor does a pool that keeps nothing have tasks do its work */
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

/* What is dirty may be more than the cap, what is clean may not */
static void reserved_test_over_cap(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct mock_backing *large = pool_get(ctx, 32);
	struct mock_backing *small[3];
	int i;

	for (i = 0; i < ARRAY_SIZE(small); i++)
		small[i] = pool_get(ctx, 8 + i);
	dma_heap_pool_set_max(ctx->pool, PFN_PHYS(20));
	pool_hold_scrubber(ctx);
	pool_put(ctx, large);
	for (i = 0; i < ARRAY_SIZE(small); i++)
		pool_put(ctx, small[i]);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, freed), 0);
	KUNIT_EXPECT_EQ(test, STAT(ctx, dirty_pages), 32 + 27 + DECOY_PAGES);

	pool_release_scrubber(ctx);
	KUNIT_EXPECT_LE(test, pool_pages(ctx), 20);
	KUNIT_EXPECT_NE(test, when_gone(large), 0);
	KUNIT_EXPECT_EQ(test, when_gone(small[2]), 0);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, lost), 0);
}

static void reserved_test_decay(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct mock_backing *backings[3];
	int i;

	for (i = 0; i < ARRAY_SIZE(backings); i++)
		backings[i] = pool_get(ctx, 4 + i);
	dma_heap_pool_set_decay(ctx->pool, 10);
	for (i = 0; i < ARRAY_SIZE(backings); i++)
		pool_put(ctx, backings[i]);

	pool_wait_pages(ctx, 0);
	KUNIT_EXPECT_EQ(test, STAT(ctx, decayed_pages), 4 + 5 + 6);
	KUNIT_EXPECT_EQ(test, STAT(ctx, scrubbed_pages), 4 + 5 + 6);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, lost), 0);
}

static void reserved_test_drain(struct kunit *test)
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

static void reserved_destroy_job(void *data)
{
	struct pool_test *ctx = data;

	dma_heap_pool_destroy(ctx->pool);
}

static void reserved_open_gate_job(void *data)
{
	struct pool_test *ctx = data;

	schedule_timeout_uninterruptible(A_WHILE);
	mock_open_gate(&ctx->mock);
}

/* The end of the pool has to wait until the scrubber has done its work */
static void reserved_test_destroy(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct heap_test_job jobs[] = {
		{ .func = reserved_destroy_job, .data = ctx },
		{ .func = reserved_open_gate_job, .data = ctx },
	};
	struct mock_backing *clean = pool_get(ctx, 4);
	struct mock_backing *dirty[3];
	int i;

	for (i = 0; i < ARRAY_SIZE(dirty); i++)
		dirty[i] = pool_get(ctx, 8 + i);
	pool_put_clean(ctx, clean);
	pool_hold_scrubber(ctx);
	for (i = 0; i < ARRAY_SIZE(dirty); i++)
		pool_put(ctx, dirty[i]);

	kunit_remove_action(test, pool_destroy, ctx);
	heap_test_run_jobs(test, jobs, ARRAY_SIZE(jobs));
	ctx->pool = NULL;
	KUNIT_EXPECT_EQ(test, SEEN(ctx, freed), 5);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, lost), 0);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, by_scrubber), 4 + 27 + DECOY_PAGES);
}

/* What cannot be in the pool is scrubbed by the task, or the source would not take it */
static void reserved_test_no_bin(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct mock_backing *backing;

	heap_test_faults_init(test);
	pool_hold_scrubber(ctx);
	backing = reserved_get(ctx, 8);
	KUNIT_EXPECT_TRUE(test, reserved_put_no_bin(backing));

	KUNIT_EXPECT_EQ(test, when_gone(backing), 1);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, lost), 0);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, by_others), 8);
	KUNIT_EXPECT_EQ(test, STAT(ctx, paid_pages), 8);
	KUNIT_EXPECT_EQ(test, STAT(ctx, evicted_pages), 8);
	KUNIT_EXPECT_EQ(test, STAT(ctx, dirty_pages), DECOY_PAGES);
}

/* A long backlog and a debt mean nothing: nobody pays but who has to */
static void reserved_test_nobody_pays(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct mock_backing *backings[4];
	int i;

	for (i = 0; i < ARRAY_SIZE(backings); i++)
		backings[i] = pool_get(ctx, 64);
	dma_heap_pool_set_max(ctx->pool, PFN_PHYS(4 * 64));
	pool_hold_scrubber(ctx);
	for (i = 0; i < ARRAY_SIZE(backings); i++)
		pool_put(ctx, backings[i]);

	KUNIT_EXPECT_EQ(test, SEEN(ctx, by_others), 0);
	KUNIT_EXPECT_EQ(test, STAT(ctx, dirty_pages), 4 * 64 + DECOY_PAGES);
}

/* Reclaim gains nothing from memory that is reserved */

static void reserved_test_no_reclaim(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct mock_backing *clean = pool_get(ctx, 64);
	struct mock_backing *dirty = pool_get(ctx, 32);

	KUNIT_EXPECT_NULL(test, dma_heap_pool_shrinker(ctx->pool));

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

/* An allocation does not scrub: there may be clean memory in the source */
static void reserved_test_never_dirty(struct kunit *test)
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

/* What cannot be scrubbed */

/* The pool is as good as before, and has nothing left of @lost */
static void reserved_expect_lost(struct pool_test *ctx,
				 struct mock_backing *lost, unsigned int pages)
{
	struct kunit *test = ctx->test;
	struct mock_backing *backing;

	KUNIT_EXPECT_NE(test, when_gone(lost), 0);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, lost), 1);
	KUNIT_EXPECT_EQ(test, STAT(ctx, leaked_pages), pages);
	KUNIT_EXPECT_EQ(test, STAT(ctx, evicted_pages), 0);
	KUNIT_EXPECT_EQ(test, STAT(ctx, shrunk_pages), 0);

	pool_wait_scrubbed(ctx);
	KUNIT_EXPECT_EQ(test, dma_heap_pool_drain(ctx->pool),
			STAT(ctx, scrubbed_pages));
	KUNIT_EXPECT_EQ(test, reserved_give_back_rest(ctx), -ENOENT);

	backing = pool_get(ctx, pages);
	KUNIT_EXPECT_PTR_NE(test, backing, lost);
	pool_put_clean(ctx, backing);
	KUNIT_EXPECT_PTR_EQ(test, pool_get(ctx, pages), backing);
	KUNIT_EXPECT_EQ(test, STAT(ctx, leaked_pages), pages);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, lost), 1);
}

static void reserved_test_scrubber_fails(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct mock_backing *backing = pool_get(ctx, 8);
	struct mock_backing *next = pool_get(ctx, 9);

	/* Of the decoy's one chunk, and the first one of ours */
	pool_hold_scrubber(ctx);
	ctx->mock.scrub_fail_at = 2;
	pool_put(ctx, backing);
	pool_put(ctx, next);
	pool_release_scrubber(ctx);

	KUNIT_EXPECT_EQ(test, when_gone(next), 0);
	KUNIT_EXPECT_EQ(test, STAT(ctx, scrubbed_pages), 9 + DECOY_PAGES);
	reserved_expect_lost(ctx, backing, 8);
}

static void reserved_test_payer_fails(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct mock_backing *backing;

	heap_test_faults_init(test);
	pool_hold_scrubber(ctx);
	backing = reserved_get(ctx, 8);
	ctx->mock.scrub_fail_at = 1;
	KUNIT_EXPECT_TRUE(test, reserved_put_no_bin(backing));
	KUNIT_EXPECT_EQ(test, STAT(ctx, paid_pages), 0);
	KUNIT_EXPECT_EQ(test, STAT(ctx, dirty_pages), DECOY_PAGES);

	pool_release_scrubber(ctx);
	reserved_expect_lost(ctx, backing, 8);
}

/* The first chunk of 2048 pages is of 1024 pages */
static void reserved_test_second_piece_fails(struct kunit *test)
{
	unsigned int pages = PHYS_PFN(4 * PIECE);
	struct pool_test *ctx = test->priv;
	struct mock_backing *backing = pool_get(ctx, pages);

	KUNIT_ASSERT_EQ(test, backing->base.sgt.sgl->length, 2 * PIECE);
	ctx->mock.scrub_fail_at = 2;
	pool_put(ctx, backing);
	pool_wait_scrubbed(ctx);

	/* Nobody tried the rest of it */
	KUNIT_EXPECT_EQ(test, SEEN(ctx, scrubs), 2);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, by_scrubber), PHYS_PFN(PIECE));
	reserved_expect_lost(ctx, backing, pages);
}

/* Also what is lost does not keep the pool from its end */
static void reserved_test_destroy_fails(struct kunit *test)
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

/* Back to the source, one by one */

static void reserved_test_give_back_one(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct mock_backing *backings[4];
	struct mock_backing *dirty = pool_get(ctx, 20);
	int i;

	KUNIT_EXPECT_EQ(test, reserved_give_back_one(ctx), -ENOENT);

	for (i = 0; i < ARRAY_SIZE(backings); i++)
		backings[i] = pool_get(ctx, 8 - i);
	KUNIT_EXPECT_EQ(test, reserved_give_back_one(ctx), -ENOENT);
	for (i = 0; i < ARRAY_SIZE(backings); i++)
		pool_put_clean(ctx, backings[i]);
	pool_hold_scrubber(ctx);
	pool_put(ctx, dirty);

	for (i = 0; i < ARRAY_SIZE(backings); i++) {
		KUNIT_EXPECT_EQ(test, reserved_give_back_one(ctx), 0);
		KUNIT_EXPECT_EQ(test, SEEN(ctx, freed), i + 1);
		KUNIT_EXPECT_EQ(test, when_gone(backings[i]), i + 1);
	}
	KUNIT_EXPECT_EQ(test, STAT(ctx, shrunk_pages), 8 + 7 + 6 + 5);
	KUNIT_EXPECT_EQ(test, STAT(ctx, dirty_pages), 20 + DECOY_PAGES);

	pool_release_scrubber(ctx);
	KUNIT_EXPECT_EQ(test, reserved_give_back_one(ctx), 0);
	KUNIT_EXPECT_EQ(test, reserved_give_back_one(ctx), 0);
	KUNIT_EXPECT_EQ(test, reserved_give_back_one(ctx), -ENOENT);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, lost), 0);
}

/* What came back since the caller has looked may be what he needs */
static void reserved_test_came_back(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct mock_backing *backing = pool_get(ctx, 4);
	struct mock_backing *other = pool_get(ctx, 8);
	struct dma_heap_pool_search search;

	pool_put_clean(ctx, backing);
	dma_heap_pool_search_begin(ctx->pool, &search);
	KUNIT_EXPECT_EQ(test, search.pages, 4);
	KUNIT_EXPECT_EQ(test, dma_heap_pool_drain(ctx->pool), 4);
	KUNIT_EXPECT_EQ(test, dma_heap_pool_give_back_one(ctx->pool, &search), 0);
	KUNIT_EXPECT_EQ(test, dma_heap_pool_give_back_one(ctx->pool, &search),
			-ENOENT);
	dma_heap_pool_search_end(ctx->pool, &search);

	/* Also if it has become clean, and was taken again */
	pool_put(ctx, other);
	dma_heap_pool_search_begin(ctx->pool, &search);
	KUNIT_EXPECT_EQ(test, search.pages, 8);
	pool_wait_scrubbed(ctx);
	KUNIT_EXPECT_PTR_EQ(test, pool_get(ctx, 8), other);
	KUNIT_EXPECT_EQ(test, dma_heap_pool_give_back_one(ctx->pool, &search), 0);
	KUNIT_EXPECT_EQ(test, dma_heap_pool_give_back_one(ctx->pool, &search),
			-ENOENT);
	dma_heap_pool_search_end(ctx->pool, &search);
}

/* Once there is something to wait for, nothing is kept that others could get first */
static void reserved_test_search_ends(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct mock_backing *first = pool_get(ctx, 4);
	struct mock_backing *second = pool_get(ctx, 8);
	struct mock_backing *third = pool_get(ctx, 16);
	struct dma_heap_pool_search search, other;

	/* As long as something is clean, the rest stays */
	pool_put_clean(ctx, first);
	dma_heap_pool_search_begin(ctx->pool, &search);
	KUNIT_EXPECT_EQ(test, dma_heap_pool_give_back_one(ctx->pool, &search), 0);
	KUNIT_EXPECT_EQ(test, when_gone(first), 1);
	pool_put_clean(ctx, second);
	KUNIT_EXPECT_EQ(test, pool_pages(ctx), 8);
	dma_heap_pool_search_begin(ctx->pool, &other);
	KUNIT_EXPECT_EQ(test, dma_heap_pool_give_back_one(ctx->pool, &search), 0);
	KUNIT_EXPECT_EQ(test, when_gone(second), 2);

	/* Two wait for what has passed already */
	KUNIT_EXPECT_EQ(test, dma_heap_pool_give_back_one(ctx->pool, &other), 0);
	pool_put(ctx, third);
	pool_wait_pages(ctx, 0);
	KUNIT_EXPECT_EQ(test, when_gone(third), 3);
	KUNIT_EXPECT_EQ(test, dma_heap_pool_give_back_one(ctx->pool, &search), 0);
	KUNIT_EXPECT_EQ(test, STAT(ctx, shrunk_pages), 4 + 8 + 16);

	/* The pool keeps again what it gets when both have ended */
	dma_heap_pool_search_end(ctx->pool, &search);
	third = pool_get(ctx, 16);
	pool_put(ctx, third);
	pool_wait_pages(ctx, 0);
	KUNIT_EXPECT_EQ(test, when_gone(third), 4);
	dma_heap_pool_search_end(ctx->pool, &other);
	third = pool_get(ctx, 16);
	pool_put_clean(ctx, third);
	KUNIT_EXPECT_EQ(test, when_gone(third), 0);
	KUNIT_EXPECT_EQ(test, pool_pages(ctx), 16);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, lost), 0);
}

#define MAX_WAITERS	4

/**
 * struct reserved_waiter - somebody who waits for memory to come back
 * @ctx: the test
 * @held: what is true once the one it is to wait for is on the way
 * @began: it asks
 * @ret: the answer
 * @done: it is there
 */
struct reserved_waiter {
	struct pool_test *ctx;
	const bool *held;
	bool began;
	int ret;
	bool done;
};

/**
 * struct reserved_watch - who looks after those who wait
 * @ctx: the test
 * @waiters: they
 * @count: how many of them there are
 * @held: what is true once the one they are to wait for is on the way
 * @kill: kill them, instead of having done what they wait for
 * @jobs: internal
 * @early: one has not waited
 * @late: one would have waited for ever
 */
struct reserved_watch {
	struct pool_test *ctx;
	struct reserved_waiter waiters[MAX_WAITERS];
	unsigned int count;
	const bool *held;
	bool kill;
	struct heap_test_job jobs[MAX_WAITERS + 2];
	bool early;
	bool late;
};

static void reserved_wait_job(void *data)
{
	struct reserved_waiter *waiter = data;

	allow_signal(SIGKILL);
	reserved_wait_for(waiter->held);
	WRITE_ONCE(waiter->began, true);
	waiter->ret = reserved_give_back_one(waiter->ctx);
	WRITE_ONCE(waiter->done, true);
}

static unsigned int reserved_count_done(struct reserved_watch *watch)
{
	unsigned int i, done = 0;

	for (i = 0; i < watch->count; i++)
		done += READ_ONCE(watch->waiters[i].done);

	return done;
}

static void reserved_kill_waiters(struct reserved_watch *watch)
{
	unsigned int i;

	for (i = 0; i < watch->count; i++)
		if (!READ_ONCE(watch->waiters[i].done))
			send_sig(SIGKILL, watch->jobs[i].task, 1);
}

/* How many wait by now; some may be late */
static unsigned int reserved_count_asleep(struct reserved_watch *watch)
{
	unsigned int i, asleep = 0;

	for (i = 0; i < watch->count; i++)
		asleep += READ_ONCE(watch->waiters[i].began) &&
			  READ_ONCE(watch->jobs[i].task->__state) == TASK_KILLABLE;

	return asleep;
}

static void reserved_watch_job(void *data)
{
	struct reserved_watch *watch = data;
	unsigned int done, asleep;

	read_poll_timeout(reserved_count_asleep, asleep, asleep == watch->count,
			  1000, PATIENCE_US / 20, false, watch);
	schedule_timeout_uninterruptible(A_WHILE);
	watch->early = reserved_count_done(watch);
	if (watch->kill)
		reserved_kill_waiters(watch);
	else
		mock_open_gate(&watch->ctx->mock);

	read_poll_timeout(reserved_count_done, done, done == watch->count, 1000,
			  PATIENCE_US, false, watch);
	watch->late = done != watch->count;
	/* So that there is an end of it */
	reserved_kill_waiters(watch);
	mock_open_gate(&watch->ctx->mock);
}

/* Have @count tasks wait for the scrubber, or for @job to get on */
static void reserved_run_waiters(struct reserved_watch *watch,
				 const struct heap_test_job *job)
{
	struct kunit *test = watch->ctx->test;
	unsigned int i, n = watch->count;

	for (i = 0; i < n; i++) {
		watch->waiters[i].ctx = watch->ctx;
		watch->waiters[i].held = watch->held;
		watch->jobs[i].func = reserved_wait_job;
		watch->jobs[i].data = &watch->waiters[i];
	}
	watch->jobs[n].func = reserved_watch_job;
	watch->jobs[n++].data = watch;
	if (job)
		watch->jobs[n++] = *job;
	heap_test_run_jobs(test, watch->jobs, n);

	KUNIT_EXPECT_FALSE_MSG(test, watch->early, "somebody has not waited");
	KUNIT_EXPECT_FALSE_MSG(test, watch->late, "somebody was not woken");
	for (i = 0; i < watch->count; i++)
		KUNIT_EXPECT_EQ_MSG(test, watch->waiters[i].ret,
				    watch->kill ? -EINTR : 0, "waiter %u", i);
}

static struct reserved_watch *reserved_new_watch(struct pool_test *ctx,
						 const bool *held)
{
	struct reserved_watch *watch;

	watch = kunit_kzalloc(ctx->test, sizeof(*watch), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(ctx->test, watch);
	watch->ctx = ctx;
	watch->held = held;
	watch->count = 1;

	return watch;
}

/* All who wait for the scrubber, not only one of them */
static void reserved_test_wait_scrubber(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct reserved_watch *watch;

	watch = reserved_new_watch(ctx, &ctx->mock.held);
	watch->count = MAX_WAITERS;
	pool_hold_scrubber(ctx);
	reserved_run_waiters(watch, NULL);

	/* For them, not for whoever is first */
	KUNIT_EXPECT_EQ(test, pool_pages(ctx), 0);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, freed), 1);
	KUNIT_EXPECT_EQ(test, reserved_give_back_one(ctx), -ENOENT);
}

/* What they wait for may also go to the source at once, or get lost */
static void reserved_test_wait_closed(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct reserved_watch *watch;

	watch = reserved_new_watch(ctx, &ctx->mock.held);
	pool_hold_scrubber(ctx);
	dma_heap_pool_set_max(ctx->pool, 0);
	reserved_run_waiters(watch, NULL);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, freed), 1);
	KUNIT_EXPECT_EQ(test, reserved_give_back_one(ctx), -ENOENT);
}

static void reserved_test_wait_fails(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct reserved_watch *watch;

	watch = reserved_new_watch(ctx, &ctx->mock.held);
	pool_hold_scrubber(ctx);
	ctx->mock.scrub_fail_at = 1;
	reserved_run_waiters(watch, NULL);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, lost), 1);
	KUNIT_EXPECT_EQ(test, reserved_give_back_one(ctx), -ENOENT);
}

static void reserved_test_wait_killed(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct reserved_watch *watch;

	watch = reserved_new_watch(ctx, &ctx->mock.held);
	watch->count = 2;
	watch->kill = true;
	pool_hold_scrubber(ctx);
	reserved_run_waiters(watch, NULL);
	pool_wait_scrubbed(ctx);
	KUNIT_EXPECT_EQ(test, pool_pages(ctx), DECOY_PAGES);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, freed), 0);
}

/**
 * struct reserved_payer - somebody who frees what the pool cannot have
 * @backing: that
 * @taken: there was no memory for a bin
 */
struct reserved_payer {
	struct mock_backing *backing;
	bool taken;
};

static void reserved_pay_job(void *data)
{
	struct reserved_payer *payer = data;

	payer->taken = reserved_put_no_bin(payer->backing);
}

/* Also a task that scrubs is to be waited for */
static void reserved_test_wait_payer(struct kunit *test)
{
	struct reserved_payer payer = {};
	struct heap_test_job job = { .func = reserved_pay_job, .data = &payer };
	struct pool_test *ctx = test->priv;
	struct reserved_watch *watch;

	heap_test_faults_init(test);
	watch = reserved_new_watch(ctx, &ctx->mock.payer_held);
	watch->count = 2;
	payer.backing = reserved_get(ctx, 8);
	ctx->mock.hold_payer = true;
	reserved_run_waiters(watch, &job);
	KUNIT_EXPECT_TRUE(test, payer.taken);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, freed), 1);
	KUNIT_EXPECT_EQ(test, STAT(ctx, paid_pages), 8);
	KUNIT_EXPECT_EQ(test, reserved_give_back_one(ctx), -ENOENT);
}

static void reserved_drain_job(void *data)
{
	struct pool_test *ctx = data;

	dma_heap_pool_drain(ctx->pool);
}

/* And what somebody else has taken out, but the source does not have yet */
static void reserved_test_wait_leaving(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct heap_test_job job = { .func = reserved_drain_job, .data = ctx };
	struct reserved_watch *watch;

	watch = reserved_new_watch(ctx, &ctx->mock.free_held);
	watch->count = 2;
	pool_put_clean(ctx, pool_get(ctx, 8));
	ctx->mock.hold_free = true;
	reserved_run_waiters(watch, &job);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, freed), 1);
	KUNIT_EXPECT_EQ(test, reserved_give_back_one(ctx), -ENOENT);
}

/* A region that is just large enough */

#define REGION_PAGES	64
#define REGION_USERS	4
#define REGION_SHARE	(REGION_PAGES / REGION_USERS)
#define REGION_ROUNDS	400

/**
 * struct region - a region that is no larger than it is
 * @taking: for those who take from it, one after the other
 * @lock: protects the two
 * @free: pages that nobody has
 * @asked: how often the pool was asked for some
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

static struct dma_heap_backing *region_alloc(struct dma_heap_source *source,
					     size_t size)
{
	struct mock_source *mock = container_of(source, struct mock_source,
						base);
	struct pool_test *ctx = container_of(mock, struct pool_test, mock);
	struct region *region = ctx->data;
	struct dma_heap_pool_search search;
	int ret = 0;

	mutex_lock(&region->taking);
	dma_heap_pool_search_begin(ctx->pool, &search);
	while (!ret && !region_take(region, PHYS_PFN(size)))
		ret = dma_heap_pool_give_back_one(ctx->pool, &search);
	dma_heap_pool_search_end(ctx->pool, &search);
	mutex_unlock(&region->taking);
	if (ret)
		return ERR_PTR(ret == -ENOENT ? -ENOMEM : ret);

	return mock_source_ops.alloc(source, size);
}

/* Slowly, now and then: it is not in the pool, and not to be had yet */
static void region_free(struct dma_heap_source *source,
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
}

static int region_scrub(struct dma_heap_source *source, struct page *page,
			size_t len, bool clean)
{
	return mock_source_ops.scrub(source, page, len, clean);
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
	/* The pool outlives what the test has, or it would be used after that */
	kunit_release_action(ctx->test, pool_destroy, ctx);
	KUNIT_ASSERT_EQ(ctx->test, pool_create(ctx), 0);

	return region;
}

/* What nobody has; what is on the way from the pool to the region is in neither */
static unsigned long region_unused(struct pool_test *ctx)
{
	struct region *region = ctx->data;
	unsigned long pages;

	spin_lock(&region->lock);
	pages = region->free;
	spin_unlock(&region->lock);

	return pages + pool_pages(ctx);
}

/* Wait until all is there, in the region or in the pool, after all users are done */
static void region_wait_unused(struct pool_test *ctx)
{
	unsigned long pages;

	read_poll_timeout(region_unused, pages, pages == REGION_PAGES, 1000,
			  PATIENCE_US, false, ctx);
	KUNIT_EXPECT_EQ(ctx->test, pages, REGION_PAGES);
}

/* The pool gives back as much as is needed, and no more */
static void reserved_test_region(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct region *region = region_init(ctx);
	struct mock_backing *backings[4];
	struct mock_backing *backing;
	int i;

	for (i = 0; i < ARRAY_SIZE(backings); i++)
		backings[i] = pool_get(ctx, 16);
	KUNIT_EXPECT_EQ(test, region->free, 0);
	KUNIT_EXPECT_PTR_EQ(test, pool_try_get(ctx, 1), ERR_PTR(-ENOMEM));
	for (i = 0; i < ARRAY_SIZE(backings); i++)
		pool_put_clean(ctx, backings[i]);
	KUNIT_EXPECT_EQ(test, region->free, 0);

	backing = pool_get(ctx, 20);
	KUNIT_EXPECT_EQ(test, when_gone(backings[0]), 1);
	KUNIT_EXPECT_EQ(test, when_gone(backings[1]), 2);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, freed), 2);
	KUNIT_EXPECT_EQ(test, region->free, 12);

	/* Two are not enough, and in vain; then all is there */
	KUNIT_EXPECT_PTR_EQ(test, pool_try_get(ctx, 64), ERR_PTR(-ENOMEM));
	KUNIT_EXPECT_EQ(test, region->free, 44);
	pool_put(ctx, backing);
	pool_get(ctx, 64);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, lost), 0);
}

/**
 * struct region_user - what one of those needs who share a region
 * @ctx: the test
 * @id: which one it is
 * @gets: how often it got something
 * @errors: what should not have been
 * @wrong: the last of that
 * @users: how many of the users are not done yet
 */
struct region_user {
	struct pool_test *ctx;
	unsigned int id;
	unsigned int gets;
	unsigned int errors;
	const char *wrong;
	atomic_t *users;
};

static void region_error(struct region_user *user, const char *wrong)
{
	user->errors++;
	user->wrong = wrong;
}

static struct mock_backing *region_get(struct region_user *user,
				       unsigned int pages)
{
	struct dma_heap_backing *base = pool_try_get(user->ctx, pages);
	const char *wrong;

	if (IS_ERR(base)) {
		region_error(user, "are none, though there is room");
		return NULL;
	}
	user->gets++;
	wrong = backing_use(to_mock_backing(base), pages, 1 + user->id);
	if (wrong) {
		region_error(user, wrong);
		return NULL;
	}

	return to_mock_backing(base);
}

static void region_put(struct region_user *user, struct mock_backing *backing)
{
	if (!backing)
		return;
	if (!backing_holds(backing, 1 + user->id))
		region_error(user, "were written to by somebody else");
	backing_put(backing);
}

/* All of one's share, in parts of many sizes, then nothing, and so on */
static void region_user(void *data)
{
	static const unsigned int parts[][REGION_SHARE] = {
		{ 16 }, { 5, 11 }, { 8, 8 }, { 1, 3, 12 }, { 4, 4, 4, 4 },
		{ 13, 2, 1 }, { 7, 9 }, { 15, 1 },
	};
	struct mock_backing *backings[REGION_SHARE];
	struct region_user *user = data;
	unsigned int i, n;

	for (i = 0; i < REGION_ROUNDS; i++) {
		const unsigned int *part;

		part = parts[(i * 3 + user->id) % ARRAY_SIZE(parts)];
		for (n = 0; n < REGION_SHARE && part[n]; n++)
			backings[n] = region_get(user, part[n]);
		while (n--)
			region_put(user, backings[n]);
		cond_resched();
	}
	atomic_dec(user->users);
}

/* What is pooled has other reasons to go, too */
static void region_tuner(void *data)
{
	struct region_user *user = data;
	struct pool_test *ctx = user->ctx;
	int i = 0;

	do {
		i++;
		dma_heap_pool_set_max(ctx->pool,
				      PFN_PHYS(i % 3 ? REGION_PAGES : i % 2));
		dma_heap_pool_set_decay(ctx->pool, i % 5 ? 10000 : 1);
		if (!(i % 4))
			dma_heap_pool_drain(ctx->pool);
		user->gets++;
		schedule_timeout_uninterruptible(1);
	} while (atomic_read(user->users));
}

/* There is always room for all, so nobody ever gets to hear that there is not */
static void reserved_test_waits_instead(struct kunit *test)
{
	struct heap_test_job jobs[REGION_USERS + 1] = {};
	struct region_user users[REGION_USERS + 1] = {};
	atomic_t left = ATOMIC_INIT(REGION_USERS);
	struct pool_test *ctx = test->priv;
	struct region *region = region_init(ctx);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(jobs); i++) {
		users[i].ctx = ctx;
		users[i].id = i;
		users[i].users = &left;
		jobs[i].func = i < REGION_USERS ? region_user : region_tuner;
		jobs[i].data = &users[i];
	}
	heap_test_run_jobs(test, jobs, ARRAY_SIZE(jobs));

	for (i = 0; i < ARRAY_SIZE(jobs); i++) {
		KUNIT_EXPECT_EQ_MSG(test, users[i].errors, 0,
				    "user %u: pages that %s", i, users[i].wrong);
		KUNIT_EXPECT_GT_MSG(test, users[i].gets, 0, "user %u", i);
	}
	KUNIT_EXPECT_GT(test, region->asked, 0);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, lost), 0);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, used_pages), 0);
	pool_wait_scrubbed(ctx);
	region_wait_unused(ctx);
}

/* Ordinary memory that somebody wants back */

/**
 * struct reserved_taker - somebody who wants all of it back
 * @ctx: the test
 * @held: what is true once it may begin
 * @freed: backings the source had then
 * @asks: it has begun
 * @began: when
 * @ended: when it was done
 */
struct reserved_taker {
	struct pool_test *ctx;
	const bool *held;
	unsigned int freed;
	bool asks;
	unsigned long began;
	unsigned long ended;
};

static void reserved_take_job(void *data)
{
	struct reserved_taker *taker = data;

	if (taker->held)
		reserved_wait_for(taker->held);
	taker->began = jiffies;
	WRITE_ONCE(taker->asks, true);
	dma_heap_pool_give_back(taker->ctx->pool);
	taker->ended = jiffies;
	taker->freed = SEEN(taker->ctx, freed);
	dma_heap_pool_keep_again(taker->ctx->pool);
}

/* Was it done before it had to give up? */
static bool reserved_was_in_time(const struct reserved_taker *taker)
{
	return time_before(taker->ended, taker->began + SCRUBBING);
}

static void give_back_test_empty(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct reserved_taker taker = { .ctx = ctx };
	struct mock_backing *backing;

	reserved_make_ordinary(test);
	dma_heap_pool_give_back(ctx->pool);
	dma_heap_pool_keep_again(ctx->pool);
	backing = pool_get(ctx, 4);
	reserved_take_job(&taker);
	KUNIT_EXPECT_EQ(test, taker.freed, 0);
	/* Of somebody who began before there was a pool */
	dma_heap_pool_keep_again(ctx->pool);

	/* That nobody wanted anything changes nothing */
	pool_put_clean(ctx, backing);
	KUNIT_EXPECT_PTR_EQ(test, pool_get(ctx, 4), backing);
}

/* The pool keeps what it gets */
static void reserved_expect_keeps(struct pool_test *ctx)
{
	struct mock_backing *backing = pool_get(ctx, 40);

	pool_put_clean(ctx, backing);
	KUNIT_EXPECT_EQ(ctx->test, when_gone(backing), 0);
	KUNIT_EXPECT_PTR_EQ(ctx->test, pool_get(ctx, 40), backing);
}

static void reserved_free_held_job(void *data)
{
	struct pool_test *ctx = data;

	reserved_wait_for(&ctx->mock.free_held);
	mock_open_gate(&ctx->mock);
}

/* All of it: clean, dirty, and what the scrubber is at, as soon as it is done */
static void give_back_test_all(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct reserved_taker taker = { .ctx = ctx };
	struct heap_test_job jobs[] = {
		{ .func = reserved_take_job, .data = &taker },
		{ .func = reserved_free_held_job, .data = ctx },
	};
	struct mock_backing *clean, *dirty;

	reserved_make_ordinary(test);
	clean = pool_get(ctx, 4);
	dirty = pool_get(ctx, 8);
	pool_put_clean(ctx, clean);
	pool_hold_scrubber(ctx);
	pool_put(ctx, dirty);

	/* The gate opens when it has begun */
	WRITE_ONCE(ctx->mock.hold_free, true);
	heap_test_run_jobs(test, jobs, ARRAY_SIZE(jobs));

	if (reserved_was_in_time(&taker))
		KUNIT_EXPECT_EQ(test, taker.freed, 3);
	pool_wait_pages(ctx, 0);
	KUNIT_EXPECT_EQ(test, STAT(ctx, shrunk_pages), 4 + 8 + DECOY_PAGES);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, by_others), 0);
	reserved_expect_keeps(ctx);
}

/* A scrubber that does not get on is not waited for long */
static void give_back_test_gives_up(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct reserved_taker taker = { .ctx = ctx };
	struct mock_backing *dirty;

	reserved_make_ordinary(test);
	dirty = pool_get(ctx, 8);
	pool_hold_scrubber(ctx);
	pool_put(ctx, dirty);

	reserved_take_job(&taker);
	KUNIT_EXPECT_FALSE(test, reserved_was_in_time(&taker));
	KUNIT_EXPECT_TRUE(test, time_before(taker.ended,
					    taker.began + 20 * SCRUBBING));
	KUNIT_EXPECT_EQ(test, when_gone(dirty), 1);
	KUNIT_EXPECT_EQ(test, taker.freed, 1);
	KUNIT_EXPECT_EQ(test, pool_pages(ctx), DECOY_PAGES);

	/* Nobody wants it any more */
	pool_release_scrubber(ctx);
	KUNIT_EXPECT_EQ(test, pool_pages(ctx), DECOY_PAGES);
	reserved_expect_keeps(ctx);
}

/**
 * struct reserved_freer - somebody who frees while somebody else takes
 * @ctx: the test
 * @backing: that
 */
struct reserved_freer {
	struct pool_test *ctx;
	struct mock_backing *backing;
};

static void reserved_put_held_job(void *data)
{
	struct reserved_freer *freer = data;

	reserved_wait_for(&freer->ctx->mock.free_held);
	backing_put(freer->backing);
}

static bool reserved_has_left(struct pool_test *ctx, unsigned long pages)
{
	return STAT(ctx, evicted_pages) == pages;
}

static void reserved_open_after_eviction_job(void *data)
{
	struct reserved_freer *freer = data;
	struct pool_test *ctx = freer->ctx;
	bool left;

	read_poll_timeout(reserved_has_left, left, left, 1000,
			  PATIENCE_US / 20, false, ctx, freer->backing->pages);
	mock_open_gate(&ctx->mock);
}

/* What comes in meanwhile does not stay */
static void give_back_test_meanwhile(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct reserved_taker taker = { .ctx = ctx };
	struct reserved_freer freer = { .ctx = ctx };
	struct heap_test_job jobs[] = {
		{ .func = reserved_take_job, .data = &taker },
		{ .func = reserved_put_held_job, .data = &freer },
		{ .func = reserved_open_after_eviction_job, .data = &freer },
	};
	struct mock_backing *clean;

	reserved_make_ordinary(test);
	clean = pool_get(ctx, 4);
	freer.backing = reserved_get(ctx, 8);
	pool_put_clean(ctx, clean);
	WRITE_ONCE(ctx->mock.hold_free, true);
	heap_test_run_jobs(test, jobs, ARRAY_SIZE(jobs));

	KUNIT_EXPECT_EQ(test, STAT(ctx, evicted_pages), 8);
	KUNIT_EXPECT_EQ(test, STAT(ctx, shrunk_pages), 4);
	KUNIT_EXPECT_EQ(test, pool_pages(ctx), 0);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, freed), 2);
	reserved_expect_keeps(ctx);
}

static void reserved_open_for_taker_job(void *data)
{
	struct reserved_taker *taker = data;

	reserved_wait_for(&taker->asks);
	schedule_timeout_uninterruptible(A_WHILE);
	mock_open_gate(&taker->ctx->mock);
}

/* Nor does what comes in afterwards, until whoever wants it has looked for it */
static void give_back_test_until_the_end(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct mock_backing *backing;

	reserved_make_ordinary(test);
	backing = pool_get(ctx, 4);
	dma_heap_pool_give_back(ctx->pool);
	dma_heap_pool_give_back(ctx->pool);
	pool_put(ctx, backing);
	KUNIT_EXPECT_EQ(test, when_gone(backing), 1);

	backing = pool_get(ctx, 4);
	dma_heap_pool_keep_again(ctx->pool);
	pool_put(ctx, backing);
	KUNIT_EXPECT_EQ(test, when_gone(backing), 2);
	KUNIT_EXPECT_EQ(test, STAT(ctx, evicted_pages), 4 + 4);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, scrubs), 0);

	dma_heap_pool_keep_again(ctx->pool);
	reserved_expect_keeps(ctx);
}

/* What somebody else is giving back is waited for, too */
static void give_back_test_leaving(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct reserved_taker taker = { .ctx = ctx };
	struct heap_test_job jobs[] = {
		{ .func = reserved_drain_job, .data = ctx },
		{ .func = reserved_take_job, .data = &taker },
		{ .func = reserved_open_for_taker_job, .data = &taker },
	};

	reserved_make_ordinary(test);
	pool_put_clean(ctx, pool_get(ctx, 4));
	WRITE_ONCE(ctx->mock.hold_free, true);
	taker.held = &ctx->mock.free_held;
	heap_test_run_jobs(test, jobs, ARRAY_SIZE(jobs));

	if (reserved_was_in_time(&taker))
		KUNIT_EXPECT_EQ(test, taker.freed, 1);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, freed), 1);
}

static void reserved_put_job(void *data)
{
	backing_put(data);
}

/* And what a task that frees is scrubbing */
static void give_back_test_payer(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct reserved_taker taker = { .ctx = ctx };
	struct heap_test_job jobs[] = {
		{ .func = reserved_put_job },
		{ .func = reserved_take_job, .data = &taker },
		{ .func = reserved_open_for_taker_job, .data = &taker },
	};

	reserved_make_ordinary(test);
	jobs[0].data = reserved_get(ctx, 4);
	/* More than half of the cap is dirty, but it is not full */
	pool_hold_scrubber(ctx);
	pool_put(ctx, pool_get(ctx, 4));
	dma_heap_pool_set_max(ctx->pool, PFN_PHYS(9));
	WRITE_ONCE(ctx->mock.hold_payer, true);
	taker.held = &ctx->mock.payer_held;
	heap_test_run_jobs(test, jobs, ARRAY_SIZE(jobs));

	KUNIT_EXPECT_EQ(test, STAT(ctx, paid_pages), 4);
	if (reserved_was_in_time(&taker))
		KUNIT_EXPECT_EQ(test, taker.freed, 3);
}

/* Several at a time do not get into each other's way */
static void give_back_test_concurrent(struct kunit *test)
{
	struct reserved_taker takers[3] = {};
	struct pool_test *ctx = test->priv;
	struct heap_test_job jobs[3] = {};
	int i;

	reserved_make_ordinary(test);
	pool_put_clean(ctx, pool_get(ctx, 4));
	pool_hold_scrubber(ctx);
	pool_put(ctx, pool_get(ctx, 8));
	for (i = 0; i < ARRAY_SIZE(jobs); i++) {
		takers[i].ctx = ctx;
		jobs[i].func = reserved_take_job;
		jobs[i].data = &takers[i];
	}
	heap_test_run_jobs(test, jobs, ARRAY_SIZE(jobs));

	for (i = 0; i < ARRAY_SIZE(jobs); i++) {
		KUNIT_EXPECT_FALSE(test, reserved_was_in_time(&takers[i]));
		KUNIT_EXPECT_EQ(test, takers[i].freed, 2);
	}
	KUNIT_EXPECT_EQ(test, STAT(ctx, shrunk_pages), 4 + 8);
	pool_release_scrubber(ctx);
	KUNIT_EXPECT_EQ(test, pool_pages(ctx), DECOY_PAGES);
	reserved_expect_keeps(ctx);
}

/* All memory of the source is of one node */

static void reserved_expect_on_node(struct pool_test *ctx, int nid, long before,
				    unsigned long pages)
{
	struct shrinker *shrinker = dma_heap_pool_shrinker(ctx->pool);
	struct shrink_control sc = { .gfp_mask = GFP_KERNEL, .nid = nid };
	long now;

	KUNIT_EXPECT_EQ(ctx->test, shrinker->count_objects(shrinker, &sc),
			pages ?: SHRINK_EMPTY);
	read_poll_timeout(reclaimable_pages_of, now, now == before + pages, 1000,
			  PATIENCE_US / 10, false, nid);
	KUNIT_EXPECT_EQ(ctx->test, now, before + pages);
}

/* Who is far away from it finds what the pool has, too */
static void reserved_test_set_node(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct mock_backing *backing;
	int home = numa_node_id();
	long before[2];
	int nid;

	for_each_node_state(nid, N_CPU)
		if (nid != home)
			break;
	if (nid >= MAX_NUMNODES)
		kunit_skip(test, "needs CPUs on two nodes");

	reserved_make_ordinary(test);
	before[0] = reclaimable_pages_of(home);
	before[1] = reclaimable_pages_of(nid);
	dma_heap_pool_set_node(ctx->pool, home);
	backing = pool_get(ctx, 4);

	/* Given back from there, had from there */
	set_cpus_allowed_ptr(current, cpumask_of_node(nid));
	pool_put_clean(ctx, backing);
	reserved_expect_on_node(ctx, home, before[0], 4);
	reserved_expect_on_node(ctx, nid, before[1], 0);
	KUNIT_EXPECT_EQ(test, dma_heap_pool_prefill(ctx->pool, PFN_PHYS(4), 1), 0);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, calls), 1);
	KUNIT_EXPECT_PTR_EQ(test, pool_get(ctx, 4), backing);
	KUNIT_EXPECT_EQ(test, STAT(ctx, hits), 1);

	/* And at home, as ever */
	set_cpus_allowed_ptr(current, cpumask_of_node(home));
	pool_put_clean(ctx, backing);
	KUNIT_EXPECT_PTR_EQ(test, pool_get(ctx, 4), backing);
	reserved_expect_on_node(ctx, home, before[0], 0);
}

/* Large chunks, piece by piece */

#define MAX_PIECES	8

/**
 * struct piece - a call of scrub
 * @pfn: first page
 * @len: bytes
 */
struct piece {
	unsigned long pfn;
	size_t len;
};

/**
 * struct piece_source - a source of backings that nobody looks at
 * @base: what the pool knows
 * @pfn: first page of the first chunk
 * @freed: how many have come back
 * @pieces: what was scrubbed; nothing is done to the memory
 * @count: how many of these there are
 * @stop_at: the scrubber waits when that many are done
 * @stopped: it does
 * @gate: where
 */
struct piece_source {
	struct dma_heap_source base;
	unsigned long pfn;
	unsigned int freed;
	struct piece pieces[MAX_PIECES];
	unsigned int count;
	unsigned int stop_at;
	bool stopped;
	wait_queue_head_t gate;
};

/* Three pieces and a bit, and a chunk that is less than a piece */
#define PIECES_FIRST	(3 * PIECE + PAGE_SIZE)
#define PIECES_SECOND	(3 * PAGE_SIZE)
#define PIECES_SIZE	(PIECES_FIRST + PIECES_SECOND)

static const struct piece expected_pieces[] = {
	{ 0, PIECE },
	{ PHYS_PFN(PIECE), PIECE },
	{ PHYS_PFN(2 * PIECE), PIECE },
	{ PHYS_PFN(3 * PIECE), PAGE_SIZE },
	{ PHYS_PFN(PIECES_FIRST), PIECES_SECOND },
};

static struct piece_source *to_piece_source(struct dma_heap_source *source)
{
	return container_of(source, struct piece_source, base);
}

static struct dma_heap_backing *piece_alloc(struct dma_heap_source *source,
					    size_t size)
{
	unsigned long pfn = to_piece_source(source)->pfn;
	struct dma_heap_backing *backing = dma_heap_backing_alloc(2);

	if (!backing)
		return ERR_PTR(-ENOMEM);

	sg_set_page(backing->sgt.sgl, pfn_to_page(pfn), PIECES_FIRST, 0);
	sg_set_page(sg_next(backing->sgt.sgl),
		    pfn_to_page(pfn + PHYS_PFN(PIECES_FIRST)), PIECES_SECOND, 0);
	backing->size = PIECES_SIZE;

	return backing;
}

static void piece_free(struct dma_heap_source *source,
		       struct dma_heap_backing *backing)
{
	struct piece_source *pieces = to_piece_source(source);

	WRITE_ONCE(pieces->freed, pieces->freed + 1);
	dma_heap_backing_free(backing);
}

/* Only the scrubber is here */
static int piece_scrub(struct dma_heap_source *source, struct page *page,
		       size_t len, bool clean)
{
	struct piece_source *pieces = to_piece_source(source);

	if (pieces->count < MAX_PIECES)
		pieces->pieces[pieces->count] = (struct piece) {
			page_to_pfn(page), len,
		};
	pieces->count++;
	if (pieces->count == READ_ONCE(pieces->stop_at)) {
		WRITE_ONCE(pieces->stopped, true);
		wait_event(pieces->gate, !READ_ONCE(pieces->stop_at));
	}

	return 0;
}

static const struct dma_heap_source_ops piece_ops = {
	.alloc = piece_alloc,
	.free = piece_free,
	.scrub = piece_scrub,
};

static void piece_open_gate(struct piece_source *pieces)
{
	WRITE_ONCE(pieces->stop_at, 0);
	wake_up(&pieces->gate);
}

static void piece_expect(struct kunit *test, struct piece_source *pieces,
			 unsigned int count)
{
	unsigned int i;

	KUNIT_ASSERT_EQ(test, pieces->count, count);
	for (i = 0; i < count; i++) {
		KUNIT_EXPECT_EQ_MSG(test, pieces->pieces[i].pfn,
				    pieces->pfn + expected_pieces[i].pfn,
				    "piece %u", i);
		KUNIT_EXPECT_EQ_MSG(test, pieces->pieces[i].len,
				    expected_pieces[i].len, "piece %u", i);
	}
}

/**
 * struct piece_case - what happens while the second piece is scrubbed
 * @desc: its name
 * @reserved: the source is
 * @unwanted: the pool is to keep nothing any more
 * @stopped: the rest is not scrubbed
 */
struct piece_case {
	const char *desc;
	bool reserved;
	bool unwanted;
	bool stopped;
};

static const struct piece_case piece_cases[] = {
	{ "nothing", false, false, false },
	{ "the pool closes", false, true, true },
	{ "nothing, reserved", true, false, false },
	{ "the pool closes, reserved", true, true, false },
};

KUNIT_ARRAY_PARAM_DESC(piece, piece_cases, desc);

static void piece_run(struct kunit *test, struct piece_source *pieces,
		      struct dma_heap_pool *pool)
{
	const struct piece_case *param = test->param_value;
	struct dma_heap_source *source = dma_heap_pool_source(pool);
	struct dma_heap_pool_stats stats;
	struct dma_heap_backing *backing;

	backing = source->ops->alloc(source, PIECES_SIZE);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, backing);
	source->ops->free(source, backing);
	KUNIT_EXPECT_TRUE(test, reserved_wait_for(&pieces->stopped));
	if (param->unwanted)
		dma_heap_pool_set_max(pool, 0);
	piece_open_gate(pieces);
	dma_heap_pool_wait_scrubbed(pool);

	dma_heap_pool_get_stats(pool, &stats);
	KUNIT_EXPECT_EQ(test, stats.scrubbed_pages,
			param->stopped ? 0 : PHYS_PFN(PIECES_SIZE));
	KUNIT_EXPECT_EQ(test, stats.shrunk_pages,
			param->unwanted ? PHYS_PFN(PIECES_SIZE) : 0);
	KUNIT_EXPECT_EQ(test, stats.clean_pages,
			param->unwanted ? 0 : PHYS_PFN(PIECES_SIZE));
	KUNIT_EXPECT_EQ(test, stats.leaked_pages, 0);
}

/* Of a chunk's pages, only the struct of the first one is looked at */
static unsigned long piece_find_pages(void *anywhere)
{
	unsigned long pfn = page_to_pfn(virt_to_page(anywhere));

	while (!pfn_valid(pfn + PHYS_PFN(PIECES_SIZE)))
		pfn -= PHYS_PFN(PIECES_SIZE);

	return pfn;
}

/* Whether the scrubber can be stopped does not depend on the size of chunks */
static void reserved_test_pieces(struct kunit *test)
{
	const struct piece_case *param = test->param_value;
	struct piece_source *pieces;
	struct dma_heap_pool *pool;

	pieces = kunit_kzalloc(test, sizeof(*pieces), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, pieces);
	pieces->base.ops = &piece_ops;
	pieces->base.reserved = param->reserved;
	pieces->pfn = piece_find_pages(pieces);
	pieces->stop_at = 2;
	init_waitqueue_head(&pieces->gate);

	pool = dma_heap_pool_create("kunit-pieces", &pieces->base);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, pool);
	piece_run(test, pieces, pool);
	piece_open_gate(pieces);
	dma_heap_pool_destroy(pool);

	KUNIT_EXPECT_EQ(test, pieces->freed, 1);
	piece_expect(test, pieces,
		     param->stopped ? 2 : ARRAY_SIZE(expected_pieces));
}

static struct kunit_case reserved_test_cases[] = {
	KUNIT_CASE(reserved_test_origin),
	KUNIT_CASE(reserved_test_set_max),
	KUNIT_CASE(reserved_test_over_cap),
	KUNIT_CASE(reserved_test_decay),
	KUNIT_CASE(reserved_test_drain),
	KUNIT_CASE(reserved_test_destroy),
	KUNIT_CASE(reserved_test_no_bin),
	KUNIT_CASE(reserved_test_nobody_pays),
	KUNIT_CASE(reserved_test_no_reclaim),
	KUNIT_CASE(reserved_test_never_dirty),
	KUNIT_CASE(reserved_test_scrubber_fails),
	KUNIT_CASE(reserved_test_payer_fails),
	KUNIT_CASE(reserved_test_second_piece_fails),
	KUNIT_CASE(reserved_test_destroy_fails),
	KUNIT_CASE(reserved_test_give_back_one),
	KUNIT_CASE(reserved_test_came_back),
	KUNIT_CASE(reserved_test_search_ends),
	KUNIT_CASE(reserved_test_wait_scrubber),
	KUNIT_CASE(reserved_test_wait_closed),
	KUNIT_CASE(reserved_test_wait_fails),
	KUNIT_CASE(reserved_test_wait_killed),
	KUNIT_CASE(reserved_test_wait_payer),
	KUNIT_CASE(reserved_test_wait_leaving),
	KUNIT_CASE(reserved_test_region),
	KUNIT_CASE_SLOW(reserved_test_waits_instead),
	KUNIT_CASE(give_back_test_empty),
	KUNIT_CASE(give_back_test_all),
	KUNIT_CASE(give_back_test_gives_up),
	KUNIT_CASE(give_back_test_meanwhile),
	KUNIT_CASE(give_back_test_until_the_end),
	KUNIT_CASE(give_back_test_leaving),
	KUNIT_CASE(give_back_test_payer),
	KUNIT_CASE(give_back_test_concurrent),
	KUNIT_CASE(reserved_test_set_node),
	KUNIT_CASE_PARAM(reserved_test_pieces, piece_gen_params),
	{}
};

static struct kunit_suite reserved_test_suite = {
	.name = "dma_heap_reserved",
	.init = pool_test_init_reserved,
	.exit = pool_test_exit,
	.test_cases = reserved_test_cases,
};

kunit_test_suite(reserved_test_suite);
