// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of the pool of DMA-BUF heaps: many threads at the same time
 */

#include <linux/array_size.h>
#include <linux/atomic.h>
#include <linux/err.h>
#include <linux/gfp.h>
#include <linux/pfn.h>
#include <linux/sched.h>
#include <linux/shrinker.h>
#include <linux/topology.h>

#include <kunit/test.h>

#include "../heap_source.h"
#include "../heap_pool.h"
#include "heap_pool_kunit.h"
#include "heap_test_helpers.h"
#include "heap_test_pool.h"
#include "heap_test_race.h"
#include "heap_test_source.h"

#define RACE_ROUNDS	HEAP_TEST_ROUNDS(600)
#define RACE_MAX	512
#define RACE_HELD	3

/* Let other threads run, also on one CPU and without preemption */
static void race_pause(int round)
{
	if (round % 32)
		cond_resched();
	else
		schedule_timeout_uninterruptible(1);
}

/* Hold RACE_HELD backings, and replace one of them in each round */
static void race_user(void *data)
{
	static const unsigned int sizes[] = { 1, 4, 4, 4, 7, 16, 16, 64 };
	struct mock_backing *backings[RACE_HELD] = {};
	struct race *race = data;
	unsigned int i, n;

	for (i = 0; i < RACE_ROUNDS; i++) {
		n = (i * 7 + race->id) % ARRAY_SIZE(sizes);
		race_put(race, backings[i % RACE_HELD]);
		backings[i % RACE_HELD] = race_get(race, sizes[n]);
		race_pause(i);
	}
	for (i = 0; i < RACE_HELD; i++)
		race_put(race, backings[i]);
	atomic_dec(race->users);
}

/* Call the shrinker, but not as direct reclaim does */
static void race_shrinker(void *data)
{
	struct race *race = data;
	struct shrinker *shrinker = dma_heap_pool_shrinker(race->ctx->pool, true);
	struct shrink_control sc = {
		.gfp_mask = GFP_KERNEL,
		.nid = numa_mem_id(),
	};
	unsigned long count, freed;
	int i = 0;

	do {
		i++;
		count = shrinker->count_objects(shrinker, &sc);
		if (count != SHRINK_EMPTY && count > RACE_MAX)
			race_error(race, "are more than there may be");
		sc.nr_to_scan = 1 + i % 64;
		sc.nr_scanned = sc.nr_to_scan;
		freed = shrinker->scan_objects(shrinker, &sc);
		if (freed != SHRINK_STOP && freed != sc.nr_scanned)
			race_error(race, "were scanned but not freed");
		race->gets++;
		schedule_timeout_uninterruptible(1 + i % 3);
	} while (atomic_read(race->users));
}

static void race_tuner(void *data)
{
	struct race *race = data;
	struct pool_test *ctx = race->ctx;
	int i = 0;

	do {
		i++;
		dma_heap_pool_set_max(ctx->pool, PFN_PHYS(RACE_MAX) >> (i % 4));
		dma_heap_pool_set_decay(ctx->pool, i % 5 ? 10000 : 10);
		dma_heap_pool_prefill(ctx->pool, PFN_PHYS(4), i % 3);
		if (pool_pages(ctx) > RACE_MAX)
			race_error(race, "are more than the cap");
		if (!(i % 16))
			dma_heap_pool_drain(ctx->pool);
		race->gets++;
		schedule_timeout_uninterruptible(2);
	} while (atomic_read(race->users));
}

/*
 * Each user gets zeroed memory of its own, while all users allocate and free. KASAN,
 * KCSAN, lockdep and list debugging report other errors, if they are enabled.
 */
static void pool_race_gives_users_zero_memory_of_their_own(struct kunit *test)
{
	static const race_func funcs[] = {
		race_user, race_user, race_user, race_user,
		race_shrinker, race_tuner,
	};
	struct pool_test *ctx = test->priv;
	struct dma_heap_pool_stats stats;
	unsigned int gets;

	dma_heap_pool_set_max(ctx->pool, PFN_PHYS(RACE_MAX));
	gets = race_run(ctx, funcs, 4, ARRAY_SIZE(funcs));

	/* Expect hits or dirty hits, because the scrubber may not have run at all */
	stats = pool_stats(ctx);
	KUNIT_EXPECT_EQ(test, stats.hits + stats.dirty_hits + stats.misses, gets);
	KUNIT_EXPECT_GT(test, stats.hits + stats.dirty_hits, 0);
	KUNIT_EXPECT_GT(test, stats.misses, 0);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, used_pages), 0);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, errors), 0);
}

#define HOT_ROUNDS	HEAP_TEST_ROUNDS(4000)

/* Allocate and free without using the memory */
static void hot_user(void *data)
{
	struct race *race = data;
	struct dma_heap_source *source = &race->ctx->mock.base;
	struct dma_heap_backing *base;
	int i;

	for (i = 0; i < HOT_ROUNDS; i++) {
		base = dma_heap_source_get(source, PAGE_SIZE << (i % 2));
		if (IS_ERR(base)) {
			race_error(race, "are none");
			continue;
		}
		race->gets++;
		dma_heap_source_put(source, base);
		race_pause(i);
	}
	atomic_dec(race->users);
}

static void hot_shrinker(void *data)
{
	struct race *race = data;
	struct shrinker *shrinker = dma_heap_pool_shrinker(race->ctx->pool, true);
	struct shrink_control sc = {
		.gfp_mask = GFP_KERNEL,
		.nid = numa_mem_id(),
	};
	int i = 0;

	do {
		sc.nr_to_scan = !(++i % 16);
		shrinker->count_objects(shrinker, &sc);
		shrinker->scan_objects(shrinker, &sc);
		race->gets++;
		race_pause(i);
	} while (atomic_read(race->users));
}

/* The threads spend nearly all of their time in the pool */
static void pool_race_counts_every_allocation(struct kunit *test)
{
	static const race_func funcs[] = {
		hot_user, hot_user, hot_user, hot_shrinker,
	};
	struct pool_test *ctx = test->priv;
	struct dma_heap_pool_stats stats;
	unsigned int gets;

	gets = race_run(ctx, funcs, 3, ARRAY_SIZE(funcs));
	KUNIT_EXPECT_EQ(test, gets, 3 * HOT_ROUNDS);
	stats = pool_stats(ctx);
	KUNIT_EXPECT_EQ(test, stats.hits + stats.dirty_hits + stats.misses, gets);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, errors), 0);
}

const struct kunit_case pool_race_cases[] = {
	KUNIT_CASE_SLOW(pool_race_gives_users_zero_memory_of_their_own),
	KUNIT_CASE_SLOW(pool_race_counts_every_allocation),
	{}
};
