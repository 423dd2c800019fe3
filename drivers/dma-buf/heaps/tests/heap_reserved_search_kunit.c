// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of the pool of DMA-BUF heaps: searching for reserved memory
 *
 * If the source has no memory left, an allocation has the pool give back zeroed
 * backings. Then it waits for dirty backings and for backings in transit.
 */

#include <linux/array_size.h>
#include <linux/gfp.h>
#include <linux/sched.h>

#include <kunit/test.h>

#include "../heap_pool.h"
#include "heap_pool_kunit.h"
#include "heap_test_helpers.h"
#include "heap_test_pool.h"
#include "heap_test_source.h"

static void reserved_search_takes_clean_one_by_one(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct mock_backing *backings[4];
	struct mock_backing *dirty = pool_get(ctx, 20);
	int i;

	KUNIT_EXPECT_EQ(test, pool_search_once(ctx), -ENOMEM);

	pool_get_many(ctx, backings, ARRAY_SIZE(backings), 8, -1);
	KUNIT_EXPECT_EQ(test, pool_search_once(ctx), -ENOMEM);
	pool_put_many(ctx, backings, ARRAY_SIZE(backings), true);
	pool_hold_scrubber(ctx);
	pool_put(ctx, dirty);

	for (i = 0; i < ARRAY_SIZE(backings); i++) {
		KUNIT_EXPECT_EQ(test, pool_search_once(ctx), 0);
		KUNIT_EXPECT_EQ(test, SEEN(ctx, freed), i + 1);
		KUNIT_EXPECT_EQ(test, when_gone(backings[i]), i + 1);
	}
	KUNIT_EXPECT_EQ(test, STAT(ctx, shrunk_pages), 8 + 7 + 6 + 5);
	KUNIT_EXPECT_EQ(test, STAT(ctx, dirty_pages), 20 + DECOY_PAGES);

	pool_release_scrubber(ctx);
	KUNIT_EXPECT_EQ(test, pool_search_once(ctx), 0);
	KUNIT_EXPECT_EQ(test, pool_search_once(ctx), 0);
	KUNIT_EXPECT_EQ(test, pool_search_once(ctx), -ENOMEM);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, lost), 0);
}

/**
 * struct search - an allocation that finds no memory in the source
 * @ctx: the test
 * @step: called in each attempt, before the pool gives back; returns its result
 * @attempts: number of attempts
 * @held: pages that could have come from the pool at the first attempt
 * @data: for @step
 */
struct search {
	struct pool_test *ctx;
	int (*step)(struct search *search);
	unsigned int attempts;
	unsigned long held;
	struct mock_backing **data;
};

static int search_attempt(void *data, size_t held)
{
	struct search *search = data;

	if (!search->attempts++)
		search->held = PHYS_PFN(held);

	return search->step(search);
}

static int search_run(struct search *search)
{
	search->attempts = 0;

	return dma_heap_pool_reclaim_until(search->ctx->pool, search_attempt,
					   search, pool_patience());
}

static int drain_at_first(struct search *search)
{
	struct pool_test *ctx = search->ctx;

	if (search->attempts == 1)
		KUNIT_EXPECT_EQ(ctx->test, dma_heap_pool_drain(ctx->pool), 4);

	return -EAGAIN;
}

/* The scrubber zeroes the backing, and another allocation gets it */
static int take_at_first(struct search *search)
{
	struct pool_test *ctx = search->ctx;

	if (search->attempts == 1) {
		pool_release_scrubber(ctx);
		KUNIT_EXPECT_PTR_EQ(ctx->test, pool_get(ctx, 8), search->data[0]);
	}

	return -EAGAIN;
}

/* A search fails only if there was no progress since its last attempt */
static void reserved_search_sees_what_came_back(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct mock_backing *backing = pool_get(ctx, 4);
	struct mock_backing *other = pool_get(ctx, 8);
	struct search search = { ctx, drain_at_first, .data = &other };

	pool_put_clean(ctx, backing);
	KUNIT_EXPECT_EQ(test, search_run(&search), -ENOMEM);
	KUNIT_EXPECT_EQ(test, search.held, 4);
	KUNIT_EXPECT_EQ(test, search.attempts, 2);

	/* Not before the search has begun */
	WRITE_ONCE(ctx->mock.hold, true);
	pool_put(ctx, other);
	search.step = take_at_first;
	KUNIT_EXPECT_EQ(test, search_run(&search), -ENOMEM);
	KUNIT_EXPECT_EQ(test, search.held, 8);
	KUNIT_EXPECT_EQ(test, search.attempts, 2);
}

/* This search takes two zeroed backings one by one, and the pool keeps freed backings */
static int take_clean(struct search *search)
{
	struct mock_backing **backings = search->data;
	struct pool_test *ctx = search->ctx;
	struct kunit *test = ctx->test;

	switch (search->attempts) {
	case 1:
		return -EAGAIN;
	case 2:
		KUNIT_EXPECT_EQ(test, when_gone(backings[0]), 1);
		pool_put_clean(ctx, backings[1]);
		KUNIT_EXPECT_EQ(test, pool_pages(ctx), 8);
		return -EAGAIN;
	default:
		KUNIT_EXPECT_EQ(test, when_gone(backings[1]), 2);
		return 0;
	}
}

/* The progress comes before the wait, so the wait ends at once */
static int wait_for_third(struct search *search)
{
	struct mock_backing **backings = search->data;
	struct pool_test *ctx = search->ctx;

	if (search->attempts > 1)
		return 0;

	pool_put(ctx, backings[2]);
	pool_wait_pages(ctx, 0);
	KUNIT_EXPECT_EQ(ctx->test, when_gone(backings[2]), 3);

	return -EAGAIN;
}

/*
 * The first search ends the wait of this one by its progress. The second search ends
 * while this one still counts as waiting.
 */
static int wait_beside_others(struct search *search)
{
	struct mock_backing **backings = search->data;
	struct pool_test *ctx = search->ctx;
	struct search other = { ctx, .data = backings };
	struct kunit *test = ctx->test;

	if (search->attempts == 1) {
		other.step = take_clean;
		KUNIT_EXPECT_EQ(test, search_run(&other), 0);
		return -EAGAIN;
	}

	other.step = wait_for_third;
	KUNIT_EXPECT_EQ(test, search_run(&other), 0);
	backings[2] = pool_get(ctx, 16);
	pool_put(ctx, backings[2]);
	pool_wait_pages(ctx, 0);
	KUNIT_EXPECT_EQ(test, when_gone(backings[2]), 4);

	return 0;
}

/* The source gets each backing that the scrubber zeroes while a search waits */
static void reserved_pool_keeps_nothing_while_search_waits(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct mock_backing *backings[] = {
		pool_get(ctx, 4), pool_get(ctx, 8), pool_get(ctx, 16),
	};
	struct search search = { ctx, wait_beside_others, .data = backings };

	pool_put_clean(ctx, backings[0]);
	KUNIT_EXPECT_EQ(test, search_run(&search), 0);
	KUNIT_EXPECT_EQ(test, search.attempts, 2);
	KUNIT_EXPECT_EQ(test, STAT(ctx, shrunk_pages), 4 + 8 + 16 + 16);

	/* All searches have ended */
	backings[2] = pool_get(ctx, 16);
	pool_put_clean(ctx, backings[2]);
	KUNIT_EXPECT_EQ(test, when_gone(backings[2]), 0);
	KUNIT_EXPECT_EQ(test, pool_pages(ctx), 16);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, lost), 0);
}

static int succeed_at_second(struct search *search)
{
	return search->attempts > 1 ? 0 : -EAGAIN;
}

static int succeed_at_once(struct search *search)
{
	return 0;
}

/* This search waits twice. Meanwhile other searches end without waiting */
static int wait_twice(struct search *search)
{
	struct pool_test *ctx = search->ctx;
	struct kunit *test = ctx->test;
	struct search other = { ctx };
	struct mock_backing *backing;

	switch (search->attempts) {
	case 1:
		other.step = succeed_at_second;
		KUNIT_EXPECT_EQ(test, search_run(&other), 0);
		KUNIT_EXPECT_EQ(test, when_gone(search->data[0]), 1);
		return -EAGAIN;
	case 2:
		other.step = succeed_at_once;
		KUNIT_EXPECT_EQ(test, search_run(&other), 0);
		backing = pool_get(ctx, 4);
		pool_put_clean(ctx, backing);
		KUNIT_EXPECT_EQ(test, when_gone(backing), 2);
		return -EAGAIN;
	default:
		return 0;
	}
}

/* A search that waits twice ends once, and no other search ends its wait */
static void reserved_search_end_ends_its_own_wait_only(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct mock_backing *backing = pool_get(ctx, 4);
	struct search search = { ctx, wait_twice, .data = &backing };

	pool_put_clean(ctx, backing);
	KUNIT_EXPECT_EQ(test, search_run(&search), 0);
	KUNIT_EXPECT_EQ(test, search.attempts, 3);
	pool_expect_keeps(ctx);
}

#define MAX_WAITERS	4

/**
 * struct waiter - an allocation that found nothing in the source
 * @ctx: the test
 * @task: the thread of the allocation
 * @ret: result of its search for memory
 */
struct waiter {
	struct pool_test *ctx;
	struct pool_task *task;
	int ret;
};

static void waiter_task(void *data)
{
	struct waiter *waiter = data;

	waiter->ret = pool_search_once(waiter->ctx);
}

/* Returns when all waiters sleep in reclaim_until() */
static struct waiter *waiters_start(struct pool_test *ctx, unsigned int count)
{
	struct kunit *test = ctx->test;
	struct waiter *waiters;
	unsigned int i;

	waiters = kunit_kcalloc(test, count, sizeof(*waiters), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, waiters);
	for (i = 0; i < count; i++) {
		waiters[i].ctx = ctx;
		waiters[i].task = pool_task_start(ctx, waiter_task, &waiters[i]);
	}
	for (i = 0; i < count; i++)
		POOL_WAIT_FOR(test, pool_task_is_asleep(waiters[i].task,
							TASK_KILLABLE));

	return waiters;
}

/*
 * All waiters end, not only the first one. They may do so before the source has what
 * they waited for: it is on its way.
 */
static void waiters_expect(struct waiter *waiters, unsigned int count, int ret)
{
	unsigned int i;

	for (i = 0; i < count; i++) {
		pool_task_join(waiters[i].task);
		KUNIT_EXPECT_EQ_MSG(waiters[i].ctx->test, waiters[i].ret, ret,
				    "waiter %u", i);
	}
}

static void reserved_search_waits_for_scrubber(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct waiter *waiters;

	pool_hold_scrubber(ctx);
	waiters = waiters_start(ctx, MAX_WAITERS);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, freed), 0);
	mock_open_gate(&ctx->mock);
	waiters_expect(waiters, MAX_WAITERS, 0);

	/* The pool gives the backing back, or another task could take it first */
	KUNIT_EXPECT_EQ(test, pool_pages(ctx), 0);
	KUNIT_EXPECT_EQ(test, pool_search_to_end(ctx), -ENOMEM);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, freed), 1);
}

static void reserved_search_wakes_when_pool_keeps_nothing(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct waiter *waiters;

	pool_hold_scrubber(ctx);
	dma_heap_pool_set_max(ctx->pool, 0);
	waiters = waiters_start(ctx, 1);
	mock_open_gate(&ctx->mock);
	waiters_expect(waiters, 1, 0);
	KUNIT_EXPECT_EQ(test, pool_search_to_end(ctx), -ENOMEM);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, freed), 1);
}

static void reserved_search_wakes_when_scrub_fails(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct waiter *waiters;

	pool_hold_scrubber(ctx);
	ctx->mock.scrub_fail_at = 1;
	waiters = waiters_start(ctx, 1);
	mock_open_gate(&ctx->mock);
	waiters_expect(waiters, 1, 0);
	KUNIT_EXPECT_EQ(test, pool_search_to_end(ctx), -ENOMEM);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, lost), 1);
}

/* The scrubber is held until all waiters have ended */
static void reserved_search_ends_on_kill(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct waiter *waiters;
	int i;

	pool_hold_scrubber(ctx);
	waiters = waiters_start(ctx, 2);
	for (i = 0; i < 2; i++)
		pool_task_kill(waiters[i].task);
	waiters_expect(waiters, 2, -EINTR);
	KUNIT_EXPECT_TRUE(test, READ_ONCE(ctx->mock.held));

	/* No search waits any more, so the pool keeps the backing */
	pool_release_scrubber(ctx);
	KUNIT_EXPECT_EQ(test, pool_pages(ctx), DECOY_PAGES);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, freed), 0);
}

/* The scrubber is held all the time, and what is zeroed comes without a wait */
static void reserved_search_gives_up_at_its_deadline(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct mock_backing *clean = pool_get(ctx, 8);
	unsigned long begin, deadline = jiffies;
	unsigned int attempts = 0;

	pool_put_clean(ctx, clean);
	pool_hold_scrubber(ctx);
	KUNIT_EXPECT_EQ(test, dma_heap_pool_reclaim_until(ctx->pool,
							  second_attempt_succeeds,
							  &attempts, deadline), 0);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, freed), 1);
	KUNIT_EXPECT_EQ(test, STAT(ctx, waited_us), 0);

	attempts = 0;
	begin = jiffies;
	KUNIT_EXPECT_EQ(test,
			dma_heap_pool_reclaim_until(ctx->pool,
						    second_attempt_succeeds,
						    &attempts, begin + HZ / 5),
			-ENOMEM);
	KUNIT_EXPECT_FALSE(test, time_before(jiffies, begin + HZ / 5));
	KUNIT_EXPECT_TRUE(test, READ_ONCE(ctx->mock.held));
	KUNIT_EXPECT_GE(test, STAT(ctx, waited_us), USEC_PER_SEC / 5 - TICK_USEC);

	/* No search waits any more, so the pool keeps the backing */
	pool_release_scrubber(ctx);
	KUNIT_EXPECT_EQ(test, pool_pages(ctx), DECOY_PAGES);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, freed), 1);
}

/**
 * struct payer - a task that frees a backing that the pool cannot keep
 * @backing: the backing
 * @taken: the allocation of a bin failed
 */
struct payer {
	struct mock_backing *backing;
	bool taken;
};

static void pay_task(void *data)
{
	struct payer *payer = data;

	payer->taken = pool_put_no_bin(payer->backing);
}

static void reserved_search_waits_for_freeing_task(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct waiter *waiters;
	struct pool_task *task;
	struct payer *payer;

	heap_test_faults_init(test);
	payer = kunit_kzalloc(test, sizeof(*payer), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, payer);
	payer->backing = pool_get_for_task(ctx, 8);
	WRITE_ONCE(ctx->mock.hold_payer, true);
	task = pool_task_start(ctx, pay_task, payer);
	POOL_WAIT_FOR(test, READ_ONCE(ctx->mock.payer_held));

	waiters = waiters_start(ctx, 2);
	mock_open_gate(&ctx->mock);
	waiters_expect(waiters, 2, 0);
	pool_task_join(task);
	KUNIT_EXPECT_TRUE(test, payer->taken);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, freed), 1);
	KUNIT_EXPECT_EQ(test, STAT(ctx, paid_pages), 8);
	KUNIT_EXPECT_EQ(test, pool_search_once(ctx), -ENOMEM);
}

/* A task drains the pool, and the source does not have the backing yet */
static void reserved_search_waits_for_drain(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct waiter *waiters;
	struct pool_task *task;

	pool_put_clean(ctx, pool_get(ctx, 8));
	WRITE_ONCE(ctx->mock.hold_free, true);
	task = pool_task_start(ctx, pool_drain_task, ctx);
	POOL_WAIT_FOR(test, READ_ONCE(ctx->mock.free_held));

	waiters = waiters_start(ctx, 2);
	mock_open_gate(&ctx->mock);
	waiters_expect(waiters, 2, 0);
	pool_task_join(task);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, freed), 1);
	KUNIT_EXPECT_EQ(test, pool_search_once(ctx), -ENOMEM);
}

const struct kunit_case reserved_search_cases[] = {
	KUNIT_CASE(reserved_search_takes_clean_one_by_one),
	KUNIT_CASE(reserved_search_sees_what_came_back),
	KUNIT_CASE(reserved_pool_keeps_nothing_while_search_waits),
	KUNIT_CASE(reserved_search_end_ends_its_own_wait_only),
	KUNIT_CASE(reserved_search_waits_for_scrubber),
	KUNIT_CASE(reserved_search_wakes_when_pool_keeps_nothing),
	KUNIT_CASE(reserved_search_wakes_when_scrub_fails),
	KUNIT_CASE(reserved_search_ends_on_kill),
	KUNIT_CASE(reserved_search_gives_up_at_its_deadline),
	KUNIT_CASE(reserved_search_waits_for_freeing_task),
	KUNIT_CASE(reserved_search_waits_for_drain),
	{}
};
