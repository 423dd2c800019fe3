/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A pool in front of a mock source, and threads that use it, for the KUnit suites
 * of the pool
 *
 * The suites are one module, so no function is exported.
 */
#ifndef _HEAP_TEST_POOL_H
#define _HEAP_TEST_POOL_H

#include <linux/delay.h>
#include <linux/jiffies.h>
#include <linux/minmax.h>
#include <linux/pfn.h>
#include <linux/shrinker.h>
#include <linux/sizes.h>
#include <linux/time64.h>
#include <linux/types.h>

#include <kunit/test.h>

#include "../heap_pool.h"
#include "heap_test_source.h"

struct task_struct;

/* Only a hang takes this long. It is shorter than the default decay */
#define PATIENCE_US	(20 * USEC_PER_SEC)

/* When that ends, in jiffies */
static inline unsigned long pool_patience(void)
{
	return jiffies + usecs_to_jiffies(PATIENCE_US);
}

/* Pages of the backing that the scrubber is held with */
#define DECOY_PAGES	1

/*
 * The pool does some things for a short time only, and a slow machine can miss it. A
 * round that misses it proves nothing, so the test tries again. The test fails if all
 * rounds miss it.
 */
#define TRIES		10

/* The pool defines the same values */
#define DEBT		PHYS_PFN(SZ_1G)
#define DEBT_TIME	HZ
#define DEBT_PAGES	PHYS_PFN(SZ_64K)
#define BATCH		128UL
#define IDLE		HZ
#define PRESSURE	HZ
#define SHORTAGE	HZ

/* Wait until other threads make a condition true; false if they never do */
#define POOL_WAIT(cond)							\
({									\
	unsigned long _end = pool_patience();				\
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
 * struct pool_test - data of a test
 * @test: the test
 * @mock: the mock source
 * @pool: the pool of the mock source, NULL after it is destroyed
 * @reclaimable: NR_KERNEL_MISC_RECLAIMABLE before the pool was created
 * @data: private data of the test
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

/* Init and exit of a suite */
int pool_test_init(struct kunit *test);
int pool_test_init_reserved(struct kunit *test);
void pool_test_exit(struct kunit *test);

/* pool_create() adds the action pool_destroy() */
int pool_create(struct pool_test *ctx);
void pool_destroy(void *data);
void pool_make_ordinary(struct kunit *test);

struct dma_heap_pool_stats pool_stats(struct pool_test *ctx);
unsigned long pool_pages(struct pool_test *ctx);
long reclaimable_pages_of(int nid);
void expect_reclaimable(struct pool_test *ctx, long pages);

/* Find another node with CPUs; skip the test if there is none */
int pool_find_far_node(struct kunit *test);

struct dma_heap_backing *pool_try_get(struct pool_test *ctx, unsigned int pages);
struct mock_backing *pool_get(struct pool_test *ctx, unsigned int pages);
struct mock_backing *pool_get_for_task(struct pool_test *ctx, unsigned int pages);
void pool_put(struct pool_test *ctx, struct mock_backing *backing);
struct mock_backing *pool_put_clean(struct pool_test *ctx,
				    struct mock_backing *backing);
bool pool_put_no_bin(struct mock_backing *backing);

/* The first backing has @pages pages, each next one has @more pages more */
void pool_get_many(struct pool_test *ctx, struct mock_backing **backings,
		   unsigned int count, unsigned int pages, int more);

/* Free in this order; if @clean, wait until each backing is zeroed */
void pool_put_many(struct pool_test *ctx, struct mock_backing **backings,
		   unsigned int count, bool clean);

void pool_wait_scrubbed(struct pool_test *ctx);
void pool_wait_pages(struct pool_test *ctx, unsigned long expected);
void pool_wait_clean_pages(struct pool_test *ctx, u64 pages);
void pool_hold_scrubber(struct pool_test *ctx);
void pool_release_scrubber(struct pool_test *ctx);
void pool_make_older(struct mock_backing *backing, unsigned int seconds);
void pool_expect_keeps(struct pool_test *ctx);

int second_attempt_succeeds(void *data, size_t held);
int pool_search_once(struct pool_test *ctx);
int pool_search_to_end(struct pool_test *ctx);

/* Call the shrinkers on this node as drop_caches does, as direct reclaim, and as kswapd */
unsigned long pool_count(struct pool_test *ctx);
unsigned long pool_scan(struct pool_test *ctx, unsigned long nr_to_scan);
unsigned long pool_reclaim_count(struct pool_test *ctx);
unsigned long pool_reclaim(struct pool_test *ctx, unsigned long nr_to_scan);
unsigned long pool_kswapd_count(struct pool_test *ctx);
unsigned long pool_kswapd_scan(struct pool_test *ctx, unsigned long nr_to_scan);

/* The count for so many pages: reclaim scans half of it, but no less than a batch */
static inline unsigned long count_of(unsigned long pages)
{
	return pages ? max(pages, 2 * BATCH) : SHRINK_EMPTY;
}

/**
 * struct state_case - state of the backings in the pool
 * @desc: name of the state
 * @dirty: the backings are dirty, not zeroed
 */
struct state_case {
	const char *desc;
	bool dirty;
};

extern const struct state_case state_cases[2];

/**
 * struct pool_task - a thread that calls one function while the test goes on
 * @ctx: the test
 * @func: the function
 * @data: argument of @func
 * @task: the thread
 * @began: the thread has begun
 * @done: @func has returned
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

/* Functions for pool_task_start() */
void pool_drain_task(void *ctx);
void pool_put_task(void *backing);
void pool_destroy_task(void *ctx);

#endif /* _HEAP_TEST_POOL_H */
