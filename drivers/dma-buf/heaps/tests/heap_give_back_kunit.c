// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of the pool of DMA-BUF heaps: shortage of its source
 *
 * The source wants back all memory of the pool, as the CMA heap does when its area is
 * full.
 */

#include <linux/array_size.h>
#include <linux/gfp.h>
#include <linux/jiffies.h>
#include <linux/limits.h>
#include <linux/pfn.h>
#include <linux/sched.h>
#include <linux/sizes.h>

#include <kunit/test.h>

#include "../heap_pool.h"
#include "heap_pool_kunit.h"
#include "heap_test_pool.h"
#include "heap_test_source.h"

/**
 * struct taker - a task that wants all memory of the pool
 * @ctx: the test
 * @task: the thread
 * @began: when the shortage began
 * @ended: when the pool had given back its memory, or the wait was over
 * @freed: how many backings the source had got by then
 */
struct taker {
	struct pool_test *ctx;
	struct pool_task *task;
	unsigned long began;
	unsigned long ended;
	unsigned int freed;
};

static void take_task(void *data)
{
	struct taker *taker = data;

	taker->began = jiffies;
	dma_heap_pool_begin_shortage(taker->ctx->pool, ULONG_MAX);
	taker->ended = jiffies;
	taker->freed = SEEN(taker->ctx, freed);
	dma_heap_pool_end_shortage(taker->ctx->pool);
}

static struct taker *taker_start(struct pool_test *ctx)
{
	struct taker *taker;

	taker = kunit_kzalloc(ctx->test, sizeof(*taker), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(ctx->test, taker);
	taker->ctx = ctx;
	taker->task = pool_task_start(ctx, take_task, taker);

	return taker;
}

static bool taker_gave_up(const struct taker *taker)
{
	return time_after_eq(taker->ended, taker->began + SHORTAGE);
}

static bool taker_waits(struct taker *taker)
{
	return pool_task_is_asleep(taker->task, TASK_UNINTERRUPTIBLE);
}

/*
 * The scrubber or a task has a backing of the pool, and is held at a gate. Start a taker,
 * and open the gate as soon as the taker waits. Returns whether the source had got
 * @freed more backings when the taker went on. If not, the taker must have timed out.
 */
static bool give_back_waits(struct pool_test *ctx, unsigned int freed)
{
	struct kunit *test = ctx->test;
	unsigned int before = SEEN(ctx, freed);
	struct taker *taker = taker_start(ctx);
	bool all;

	POOL_WAIT_FOR(test, taker_waits(taker) || pool_task_is_done(taker->task));
	mock_open_gate(&ctx->mock);
	pool_task_join(taker->task);

	all = taker->freed - before == freed;
	KUNIT_EXPECT_TRUE(test, all || taker_gave_up(taker));

	return all;
}

static void give_back_of_empty_pool_changes_nothing(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct mock_backing *backing;

	dma_heap_pool_begin_shortage(ctx->pool, ULONG_MAX);
	dma_heap_pool_end_shortage(ctx->pool);
	backing = pool_get(ctx, 4);
	dma_heap_pool_begin_shortage(ctx->pool, ULONG_MAX);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, freed), 0);
	dma_heap_pool_end_shortage(ctx->pool);
	/* An allocation that began before the pool existed does this */
	dma_heap_pool_end_shortage(ctx->pool);

	pool_put_clean(ctx, backing);
	KUNIT_EXPECT_PTR_EQ(test, pool_get(ctx, 4), backing);
}

/* The oldest, whole ones, until it is enough */
static void give_back_is_in_proportion(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct mock_backing *backings[4];
	unsigned int i;

	pool_get_many(ctx, backings, ARRAY_SIZE(backings), 8, 0);
	pool_put_many(ctx, backings, ARRAY_SIZE(backings), true);
	KUNIT_EXPECT_EQ(test, dma_heap_pool_count(ctx->pool), 4 * 8);

	dma_heap_pool_begin_shortage(ctx->pool, 9);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, freed), 2);
	for (i = 0; i < 2; i++)
		KUNIT_EXPECT_EQ(test, when_gone(backings[i]), i + 1);
	dma_heap_pool_end_shortage(ctx->pool);
	KUNIT_EXPECT_EQ(test, dma_heap_pool_count(ctx->pool), 2 * 8);

	dma_heap_pool_begin_shortage(ctx->pool, 17);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, freed), 4);
	dma_heap_pool_end_shortage(ctx->pool);
}

/* One backing is zeroed, one is dirty, and the scrubber has one */
static bool give_back_with_held_scrubber(struct pool_test *ctx)
{
	struct mock_backing *clean = pool_get(ctx, 4);
	struct mock_backing *dirty = pool_get(ctx, 8);
	u64 shrunk = STAT(ctx, shrunk_pages);
	struct kunit *test = ctx->test;
	bool all;

	pool_put_clean(ctx, clean);
	pool_hold_scrubber(ctx);
	pool_put(ctx, dirty);
	all = give_back_waits(ctx, 3);

	pool_wait_scrubbed(ctx);
	KUNIT_EXPECT_NE(test, when_gone(clean), 0);
	KUNIT_EXPECT_NE(test, when_gone(dirty), 0);
	KUNIT_EXPECT_EQ(test, STAT(ctx, shrunk_pages) - shrunk + pool_pages(ctx),
			4 + 8 + DECOY_PAGES);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, by_others), 0);

	return all;
}

/* Another task drains the pool, and the source does not have the backing yet */
static bool give_back_with_held_drain(struct pool_test *ctx)
{
	struct pool_task *task;
	bool all;

	pool_put_clean(ctx, pool_get(ctx, 4));
	WRITE_ONCE(ctx->mock.hold_free, true);
	task = pool_task_start(ctx, pool_drain_task, ctx);
	POOL_WAIT_FOR(ctx->test, READ_ONCE(ctx->mock.free_held));
	all = give_back_waits(ctx, 1);
	pool_task_join(task);

	return all;
}

/* More than half of the cap is dirty, so a task scrubs in free */
static bool give_back_with_held_payer(struct pool_test *ctx)
{
	struct mock_backing *backing = pool_get_for_task(ctx, 4);
	u64 paid = STAT(ctx, paid_pages);
	struct pool_task *task;
	bool all;

	dma_heap_pool_set_max(ctx->pool, PFN_PHYS(9));
	pool_hold_scrubber(ctx);
	pool_put(ctx, pool_get(ctx, 4));
	WRITE_ONCE(ctx->mock.hold_payer, true);
	task = pool_task_start(ctx, pool_put_task, backing);
	POOL_WAIT_FOR(ctx->test, READ_ONCE(ctx->mock.payer_held));
	all = give_back_waits(ctx, 3);
	pool_task_join(task);
	KUNIT_EXPECT_EQ(ctx->test, STAT(ctx, paid_pages) - paid, 4);

	return all;
}

/**
 * struct give_back_case - a task has a backing when the shortage begins
 * @desc: which task
 * @run: begins the shortage; returns whether the source got all backings in time
 */
struct give_back_case {
	const char *desc;
	bool (*run)(struct pool_test *ctx);
};

static const struct give_back_case give_back_params[] = {
	{ "the scrubber", give_back_with_held_scrubber },
	{ "a task that drains", give_back_with_held_drain },
	{ "a task that frees", give_back_with_held_payer },
};

KUNIT_ARRAY_PARAM_DESC(give_back, give_back_params, desc);

/* Another task has some of the pages, and gives them back in time */
static void give_back_waits_for_all_pages(struct kunit *test)
{
	const struct give_back_case *param = test->param_value;
	struct pool_test *ctx = test->priv;
	bool all = false;
	int i;

	for (i = 0; i < TRIES && !all; i++) {
		pool_wait_scrubbed(ctx);
		dma_heap_pool_drain(ctx->pool);
		all = param->run(ctx);
	}
	KUNIT_EXPECT_TRUE(test, all);
	pool_wait_scrubbed(ctx);
	dma_heap_pool_set_max(ctx->pool, SZ_1G);
	pool_expect_keeps(ctx);
}

/* The taker waits for a held scrubber, but not for ever */
static void give_back_gives_up_on_held_scrubber(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct mock_backing *dirty = pool_get(ctx, 8);
	struct taker *taker;

	pool_hold_scrubber(ctx);
	pool_put(ctx, dirty);

	taker = taker_start(ctx);
	pool_task_join(taker->task);
	KUNIT_EXPECT_TRUE(test, taker_gave_up(taker));
	KUNIT_EXPECT_TRUE(test, READ_ONCE(ctx->mock.held));
	KUNIT_EXPECT_EQ(test, when_gone(dirty), 1);
	KUNIT_EXPECT_EQ(test, taker->freed, 1);
	KUNIT_EXPECT_EQ(test, pool_pages(ctx), DECOY_PAGES);

	/* The shortage is over */
	pool_release_scrubber(ctx);
	KUNIT_EXPECT_EQ(test, pool_pages(ctx), DECOY_PAGES);
	pool_expect_keeps(ctx);
}

/* One backing is in transit to the source when a task frees another one */
static void give_back_evicts_what_is_freed_meanwhile(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct mock_backing *clean = pool_get(ctx, 4);
	struct mock_backing *backing = pool_get_for_task(ctx, 8);
	struct pool_task *task;
	struct taker *taker;

	pool_put_clean(ctx, clean);
	WRITE_ONCE(ctx->mock.hold_free, true);
	taker = taker_start(ctx);
	POOL_WAIT_FOR(test, READ_ONCE(ctx->mock.free_held));
	task = pool_task_start(ctx, pool_put_task, backing);
	POOL_WAIT_FOR(test, STAT(ctx, evicted_pages) == 8);
	KUNIT_EXPECT_FALSE(test, pool_task_is_done(taker->task));
	mock_open_gate(&ctx->mock);
	pool_task_join(task);
	pool_task_join(taker->task);

	KUNIT_EXPECT_EQ(test, STAT(ctx, evicted_pages), 8);
	KUNIT_EXPECT_EQ(test, STAT(ctx, shrunk_pages), 4);
	KUNIT_EXPECT_EQ(test, pool_pages(ctx), 0);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, freed), 2);
	pool_expect_keeps(ctx);
}

/* Two shortages begin: the pool keeps nothing until both have ended */
static void give_back_lasts_until_shortage_ends(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct mock_backing *backing;

	backing = pool_get(ctx, 4);
	dma_heap_pool_begin_shortage(ctx->pool, ULONG_MAX);
	dma_heap_pool_begin_shortage(ctx->pool, ULONG_MAX);
	pool_put(ctx, backing);
	KUNIT_EXPECT_EQ(test, when_gone(backing), 1);

	backing = pool_get(ctx, 4);
	dma_heap_pool_end_shortage(ctx->pool);
	pool_put(ctx, backing);
	KUNIT_EXPECT_EQ(test, when_gone(backing), 2);
	KUNIT_EXPECT_EQ(test, STAT(ctx, evicted_pages), 4 + 4);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, scrubs), 0);

	dma_heap_pool_end_shortage(ctx->pool);
	pool_expect_keeps(ctx);
}

/* All three tasks wait for the same scrubber, which is held */
static void give_back_to_three_tasks_frees_all_once(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct taker *takers[3];
	int i;

	pool_put_clean(ctx, pool_get(ctx, 4));
	pool_hold_scrubber(ctx);
	pool_put(ctx, pool_get(ctx, 8));
	for (i = 0; i < ARRAY_SIZE(takers); i++)
		takers[i] = taker_start(ctx);

	for (i = 0; i < ARRAY_SIZE(takers); i++) {
		pool_task_join(takers[i]->task);
		KUNIT_EXPECT_TRUE(test, taker_gave_up(takers[i]));
	}
	KUNIT_EXPECT_EQ(test, SEEN(ctx, freed), 2);
	KUNIT_EXPECT_EQ(test, STAT(ctx, shrunk_pages), 4 + 8);
	pool_release_scrubber(ctx);
	KUNIT_EXPECT_EQ(test, pool_pages(ctx), DECOY_PAGES);
	pool_expect_keeps(ctx);
}

const struct kunit_case give_back_cases[] = {
	KUNIT_CASE(give_back_of_empty_pool_changes_nothing),
	KUNIT_CASE(give_back_is_in_proportion),
	KUNIT_CASE_PARAM(give_back_waits_for_all_pages, give_back_gen_params),
	KUNIT_CASE(give_back_gives_up_on_held_scrubber),
	KUNIT_CASE(give_back_evicts_what_is_freed_meanwhile),
	KUNIT_CASE(give_back_lasts_until_shortage_ends),
	KUNIT_CASE(give_back_to_three_tasks_frees_all_once),
	{}
};
