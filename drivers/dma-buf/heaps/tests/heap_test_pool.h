/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A pool in front of a mock source, and threads that use it, for the KUnit suites
 * of the pool
 *
 * The suites are one module, so nothing is exported.
 */
#ifndef _HEAP_TEST_POOL_H
#define _HEAP_TEST_POOL_H

#include <linux/delay.h>
#include <linux/jiffies.h>
#include <linux/pfn.h>
#include <linux/sizes.h>
#include <linux/time64.h>
#include <linux/types.h>

#include <kunit/test.h>

#include "../heap_pool.h"
#include "heap_test_source.h"

struct task_struct;

/* Only a hang takes that long; shorter than the default decay */
#define PATIENCE_US	(20 * USEC_PER_SEC)

/* No other backing of a test has this size */
#define DECOY_PAGES	1

/*
 * Where the pool promises something for a time only, a slow machine can miss it. A
 * round that missed it proves nothing, and the next one follows; if all do, the
 * test fails.
 */
#define TRIES		10

/* What the pool promises */
#define DEBT		(HZ / 4)
#define DEBT_PAGES	PHYS_PFN(SZ_64K)
#define PRESSURE	HZ
#define SHORTAGE	HZ

/* Wait until a condition is true, which other threads make so; false if it never is */
#define POOL_WAIT(cond)							\
({									\
	unsigned long _end = jiffies + usecs_to_jiffies(PATIENCE_US);	\
	bool _met;							\
									\
	for (;;) {							\
		_met = (cond);						\
		if (_met || time_after(jiffies, _end))			\
			break;						\
		usleep_range(500, 1000);				\
	}								\
	_met;								\
})

#define POOL_WAIT_FOR(test, cond)					\
	KUNIT_ASSERT_TRUE_MSG(test, POOL_WAIT(cond), "never true: %s", #cond)

/**
 * struct pool_test - what every test starts with
 * @test: the test
 * @mock: the mock source
 * @pool: a pool in front of it, NULL once it was destroyed
 * @reclaimable: NR_KERNEL_MISC_RECLAIMABLE before there was the pool
 * @data: the test's own
 */
struct pool_test {
	struct kunit *test;
	struct mock_source mock;
	struct dma_heap_pool *pool;
	long reclaimable;
	void *data;
};

#define SEEN(ctx, name)	(mock_counts(&(ctx)->mock).name)
#define STAT(ctx, name)	(pool_stats(ctx).name)

/* For a suite */
int pool_test_init(struct kunit *test);
int pool_test_init_reserved(struct kunit *test);
void pool_test_exit(struct kunit *test);

/* The action that ends the pool is pool_destroy() */
int pool_create(struct pool_test *ctx);
void pool_destroy(void *data);
void pool_make_ordinary(struct kunit *test);

struct dma_heap_pool_stats pool_stats(struct pool_test *ctx);
unsigned long pool_pages(struct pool_test *ctx);
long reclaimable_pages_of(int nid);
void expect_reclaimable(struct pool_test *ctx, long pages);

/* A node with CPUs that is not ours; skips the test if there is none */
int pool_find_far_node(struct kunit *test);

struct dma_heap_backing *pool_try_get(struct pool_test *ctx, unsigned int pages);
struct mock_backing *pool_get(struct pool_test *ctx, unsigned int pages);
struct mock_backing *pool_get_for_task(struct pool_test *ctx, unsigned int pages);
void pool_put(struct pool_test *ctx, struct mock_backing *backing);
struct mock_backing *pool_put_clean(struct pool_test *ctx,
				    struct mock_backing *backing);
bool pool_put_no_bin(struct mock_backing *backing);

/* The first one has @pages, each next one @more */
void pool_get_many(struct pool_test *ctx, struct mock_backing **backings,
		   unsigned int count, unsigned int pages, int more);

/* In this order; if @clean, each is clean before the next one follows */
void pool_put_many(struct pool_test *ctx, struct mock_backing **backings,
		   unsigned int count, bool clean);

void pool_wait_scrubbed(struct pool_test *ctx);
void pool_wait_pages(struct pool_test *ctx, unsigned long expected);
void pool_wait_clean_pages(struct pool_test *ctx, u64 pages);
void pool_hold_scrubber(struct pool_test *ctx);
void pool_release_scrubber(struct pool_test *ctx);
void pool_make_older(struct mock_backing *backing, unsigned int seconds);
void pool_expect_keeps(struct pool_test *ctx);

int pool_search_once(struct pool_test *ctx);
int pool_search_to_end(struct pool_test *ctx);

/* As reclaim does it on this node */
unsigned long pool_count(struct pool_test *ctx);
unsigned long pool_scan(struct pool_test *ctx, unsigned long nr_to_scan);

/**
 * struct state_case - a state the backings in the pool can be in
 * @desc: its name
 * @dirty: it is dirty
 */
struct state_case {
	const char *desc;
	bool dirty;
};

extern const struct state_case state_cases[2];

/**
 * struct pool_task - a thread that does one thing, while the test looks on
 * @ctx: the test
 * @func: that
 * @data: its argument
 * @task: the thread
 * @began: it has begun
 * @done: it has ended
 */
struct pool_task {
	struct pool_test *ctx;
	void (*func)(void *data);
	void *data;
	struct task_struct *task;
	bool began;
	bool done;
};

struct pool_task *pool_task_start(struct pool_test *ctx, void (*func)(void *data),
				  void *data);
bool pool_task_is_done(struct pool_task *task);
bool pool_task_is_asleep(struct pool_task *task, unsigned int state);
void pool_task_kill(struct pool_task *task);
void pool_task_join(struct pool_task *task);

/* What a thread can be told to do */
void pool_drain_task(void *ctx);
void pool_put_task(void *backing);
void pool_destroy_task(void *ctx);

#endif /* _HEAP_TEST_POOL_H */
