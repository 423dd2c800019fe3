// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit suite of the pool of DMA-BUF heaps
 *
 * What is dirty, what is clean and what the scrubber has in its hands is up to
 * the test, see heap_test_source.h. Where time matters the tests wait for what has
 * to happen, and if the machine was too slow to tell they try again.
 */

#include <linux/atomic.h>
#include <linux/cpumask.h>
#include <linux/err.h>
#include <linux/gfp.h>
#include <linux/iopoll.h>
#include <linux/jiffies.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/nodemask.h>
#include <linux/scatterlist.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/shrinker.h>
#include <linux/signal.h>
#include <linux/sizes.h>
#include <linux/topology.h>

#include <kunit/resource.h>
#include <kunit/test.h>

#include "../heap_backing.h"
#include "../heap_pool.h"
#include "heap_test_helpers.h"
#include "heap_test_source.h"

/* How often to try what a slow machine may spoil */
#define TRIES		10

/* What the pool promises */
#define DEBT		(HZ / 4)
#define DEBT_PAGES	PHYS_PFN(SZ_64K)
#define HURRY_PAGES	PHYS_PFN(SZ_64K)
#define PRESSURE	HZ

static unsigned long pool_count(struct pool_test *ctx)
{
	struct shrinker *shrinker = dma_heap_pool_shrinker(ctx->pool);
	struct shrink_control sc = {
		.gfp_mask = GFP_KERNEL,
		.nid = numa_mem_id(),
	};

	return shrinker->count_objects(shrinker, &sc);
}

/* Returns what scan did; it must say the same in nr_scanned */
static unsigned long pool_scan(struct pool_test *ctx, unsigned long nr_to_scan)
{
	struct shrinker *shrinker = dma_heap_pool_shrinker(ctx->pool);
	struct shrink_control sc = {
		.gfp_mask = GFP_KERNEL,
		.nid = numa_mem_id(),
		.nr_to_scan = nr_to_scan,
		.nr_scanned = nr_to_scan,
	};
	unsigned long freed;

	freed = shrinker->scan_objects(shrinker, &sc);
	if (freed != SHRINK_STOP)
		KUNIT_EXPECT_EQ(ctx->test, sc.nr_scanned, freed);

	return freed;
}

static const unsigned int reuse_cases[] = { 1, 2, 3, 16, 67, 512 };

static void reuse_desc(const unsigned int *pages, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%u pages", *pages);
}

KUNIT_ARRAY_PARAM(reuse, reuse_cases, reuse_desc);

/* A new buffer gets the memory of the last one, clean, and nobody waited */
static void pool_test_reuse(struct kunit *test)
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

/* More than there can be places to look for them */
#define MANY_SIZES	100

/* A backing fits or does not; what does not is left alone */
static void pool_test_other_sizes(struct kunit *test)
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

/**
 * struct state_case - a state the backings in the pool can be in
 * @desc: its name
 * @dirty: it is dirty
 */
struct state_case {
	const char *desc;
	bool dirty;
};

static const struct state_case state_cases[] = {
	{ "clean" },
	{ "dirty", true },
};

KUNIT_ARRAY_PARAM_DESC(state, state_cases, desc);

/* What was used last may still be in the cache */
static void pool_test_lifo(struct kunit *test)
{
	const struct state_case *state = test->param_value;
	struct pool_test *ctx = test->priv;
	struct mock_backing *backings[4];
	int i;

	for (i = 0; i < ARRAY_SIZE(backings); i++)
		backings[i] = pool_get(ctx, 4);
	if (state->dirty)
		pool_hold_scrubber(ctx);
	for (i = 0; i < ARRAY_SIZE(backings); i++) {
		pool_put(ctx, backings[i]);
		if (!state->dirty)
			pool_wait_scrubbed(ctx);
	}

	while (i--)
		KUNIT_EXPECT_PTR_EQ_MSG(test, pool_get(ctx, 4), backings[i],
					"number %d", i);
	KUNIT_EXPECT_EQ(test, STAT(ctx, hits), state->dirty ? 0 : 4);
	KUNIT_EXPECT_EQ(test, STAT(ctx, dirty_hits), state->dirty ? 4 : 0);
}

/* Whoever takes a dirty backing scrubs it */
static void pool_test_dirty_hit(struct kunit *test)
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

/* As long as there is a clean one, nobody scrubs for himself */
static void pool_test_clean_first(struct kunit *test)
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

/* Memory that is far away is left to those who are near */
static void pool_test_other_node(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct mock_backing *backing, *other;
	int home = numa_node_id();
	int nid;

	for_each_node_state(nid, N_CPU)
		if (nid != home)
			break;
	if (nid >= MAX_NUMNODES)
		kunit_skip(test, "needs CPUs on two nodes");

	backing = pool_put_clean(ctx, pool_get(ctx, 4));
	set_cpus_allowed_ptr(current, cpumask_of_node(nid));
	other = pool_get(ctx, 4);
	KUNIT_EXPECT_PTR_NE(test, other, backing);
	KUNIT_EXPECT_EQ(test, page_to_nid(sg_page(other->base.sgt.sgl)), nid);

	set_cpus_allowed_ptr(current, cpumask_of_node(home));
	KUNIT_EXPECT_PTR_EQ(test, pool_get(ctx, 4), backing);
}

/* Nobody gets, or waits for, what the scrubber is at */
static void pool_test_in_scrubbers_hands(struct kunit *test)
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

/* It is the scrubber who works, not who frees */
static void pool_test_free_is_quick(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct mock_backing *backing = pool_get(ctx, 64);

	pool_hold_scrubber(ctx);
	pool_put(ctx, backing);
	KUNIT_EXPECT_TRUE(test, backing_holds(backing, DIRT));
	KUNIT_EXPECT_EQ(test, STAT(ctx, dirty_pages), 64 + DECOY_PAGES);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, by_others), 0);

	pool_release_scrubber(ctx);
	KUNIT_EXPECT_TRUE(test, backing_holds(backing, 0));
	KUNIT_EXPECT_EQ(test, STAT(ctx, scrubbed_pages), 64 + DECOY_PAGES);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, by_others), 0);
}

/* Who frees faster than the scrubber scrubs does its work */
static void pool_test_backlog(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct mock_backing *first = pool_get(ctx, 20);
	struct mock_backing *second = pool_get(ctx, 4);
	struct mock_backing *third = pool_get(ctx, 4);

	dma_heap_pool_set_max(ctx->pool, PFN_PHYS(64));
	pool_hold_scrubber(ctx);
	pool_put(ctx, first);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, by_others), 0);

	/* 21 dirty ones are less than half, then they are more */
	pool_put(ctx, second);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, by_others), 0);
	dma_heap_pool_set_max(ctx->pool, PFN_PHYS(32));
	pool_put(ctx, third);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, by_others), 4);
	KUNIT_EXPECT_EQ(test, STAT(ctx, paid_pages), 4);
	KUNIT_EXPECT_EQ(test, STAT(ctx, clean_pages), 4);
	KUNIT_EXPECT_EQ(test, STAT(ctx, dirty_pages), 24 + DECOY_PAGES);
	KUNIT_EXPECT_EQ(test, STAT(ctx, evicted_pages), 0);

	KUNIT_EXPECT_PTR_EQ(test, pool_get(ctx, 4), third);
	KUNIT_EXPECT_EQ(test, STAT(ctx, hits), 1);
	KUNIT_EXPECT_EQ(test, STAT(ctx, dirty_hits), 0);
}

/* Free again and again what an allocation finds clean, until it is not paid */
static void pool_wait_out_of_debt(struct pool_test *ctx,
				  struct mock_backing *backing)
{
	unsigned long end = jiffies + usecs_to_jiffies(PATIENCE_US);
	unsigned int pages = backing->pages;
	unsigned long paid;

	do {
		KUNIT_ASSERT_PTR_EQ(ctx->test, pool_get(ctx, pages), backing);
		schedule_timeout_uninterruptible(1);
		paid = SEEN(ctx, by_others);
		pool_put(ctx, backing);
	} while (SEEN(ctx, by_others) != paid && time_before(jiffies, end));

	KUNIT_ASSERT_EQ(ctx->test, SEEN(ctx, by_others), paid);
	KUNIT_EXPECT_TRUE(ctx->test, backing_holds(backing, DIRT));
}

/* Who had to scrub what he allocated shows that the scrubber cannot keep up */
static void pool_test_debt(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct mock_backing *backing = pool_get(ctx, DEBT_PAGES);
	struct mock_backing *other = pool_get(ctx, DEBT_PAGES + 1);
	unsigned long hit, paid;
	int tries = 0;

	pool_hold_scrubber(ctx);
	pool_put(ctx, backing);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, by_others), 0);

	do {
		hit = jiffies;
		KUNIT_ASSERT_PTR_EQ(test, pool_get(ctx, DEBT_PAGES), backing);
		paid = SEEN(ctx, by_others);
		pool_put(ctx, other);
		if (SEEN(ctx, by_others) != paid)
			break;

		/* Else that came too late, and it is dirty; once more */
		KUNIT_EXPECT_TRUE(test, time_after_eq(jiffies, hit + DEBT));
		pool_put(ctx, backing);
		other = pool_get(ctx, DEBT_PAGES + 2 + tries);
	} while (++tries < TRIES);

	KUNIT_ASSERT_EQ(test, SEEN(ctx, by_others), paid + other->pages);
	KUNIT_EXPECT_EQ(test, STAT(ctx, paid_pages), SEEN(ctx, by_others));
	KUNIT_EXPECT_EQ(test, STAT(ctx, clean_pages), other->pages);

	pool_wait_out_of_debt(ctx, other);
	KUNIT_EXPECT_FALSE(test, time_before(jiffies, hit + DEBT));
}

/* Not if that was little */
static void pool_test_no_debt(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct mock_backing *backing = pool_get(ctx, DEBT_PAGES - 1);

	pool_hold_scrubber(ctx);
	pool_put(ctx, backing);
	KUNIT_EXPECT_PTR_EQ(test, pool_get(ctx, DEBT_PAGES - 1), backing);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, by_others), DEBT_PAGES - 1);

	pool_put(ctx, backing);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, by_others), DEBT_PAGES - 1);
	KUNIT_EXPECT_TRUE(test, backing_holds(backing, DIRT));
}

/* A kill does not have to wait until all is zero */
static void pool_test_killed(struct kunit *test)
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

static unsigned int pool_scrub_policy(struct pool_test *ctx,
				      unsigned int pages)
{
	pool_put_clean(ctx, pool_get(ctx, pages));

	return SEEN(ctx, policy);
}

/* A small backlog may wait; a larger one may not, or it would for ever */
static void pool_test_hurry(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct mock_backing *backing = pool_get(ctx, HURRY_PAGES);
	unsigned int policy;
	int tries = 0;

	KUNIT_EXPECT_EQ(test, pool_scrub_policy(ctx, 1), SCHED_IDLE);
	KUNIT_EXPECT_EQ(test, pool_scrub_policy(ctx, HURRY_PAGES - 1),
			SCHED_IDLE);

	pool_hold_scrubber(ctx);
	pool_put(ctx, backing);
	pool_release_scrubber(ctx);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, policy), SCHED_BATCH);

	do {
		schedule_timeout_uninterruptible(HZ + HZ / 8);
		policy = pool_scrub_policy(ctx, 1);
	} while (policy != SCHED_IDLE && ++tries < TRIES);
	KUNIT_EXPECT_EQ(test, policy, SCHED_IDLE);
}

/* What nobody wants goes, and not before its time */
static void pool_test_decay(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct mock_backing *backings[3];
	unsigned long before;
	int i;

	for (i = 0; i < ARRAY_SIZE(backings); i++)
		backings[i] = pool_get(ctx, 4 + i);
	before = jiffies;
	for (i = 0; i < ARRAY_SIZE(backings); i++)
		pool_put(ctx, backings[i]);
	pool_wait_scrubbed(ctx);

	/* The scrubber sleeps by now, for long */
	dma_heap_pool_set_decay(ctx->pool, 300);
	pool_wait_pages(ctx, 0);
	KUNIT_EXPECT_FALSE(test, time_before(jiffies, before + msecs_to_jiffies(300)));
	KUNIT_EXPECT_EQ(test, STAT(ctx, decayed_pages), 4 + 5 + 6);
	KUNIT_EXPECT_EQ(test, STAT(ctx, evicted_pages), 0);
	KUNIT_EXPECT_EQ(test, STAT(ctx, shrunk_pages), 0);
	expect_reclaimable(ctx, 0);

	/* The oldest one first */
	for (i = 0; i < ARRAY_SIZE(backings); i++)
		KUNIT_EXPECT_EQ(test, when_gone(backings[i]), i + 1);

	/* And again */
	pool_put(ctx, pool_get(ctx, 4));
	pool_wait_pages(ctx, 0);
	KUNIT_EXPECT_EQ(test, STAT(ctx, decayed_pages), 2 * 4 + 5 + 6);
}

/* Also what gave the scrubber no work, with nothing else to wait for */
static void pool_test_decay_paid(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct mock_backing *backing = pool_get(ctx, DEBT_PAGES);

	/* Time for the scrubber to see the end of it, within that of the debt */
	dma_heap_pool_set_decay(ctx->pool, 100);
	pool_hold_scrubber(ctx);
	pool_put(ctx, backing);
	KUNIT_ASSERT_PTR_EQ(test, pool_get(ctx, DEBT_PAGES), backing);
	pool_release_scrubber(ctx);
	pool_wait_pages(ctx, 0);

	pool_put(ctx, backing);
	pool_wait_pages(ctx, 0);
	KUNIT_EXPECT_EQ(test, STAT(ctx, decayed_pages), DECOY_PAGES + DEBT_PAGES);
}

/* What is used now and then stays */
static void pool_test_decay_used(struct kunit *test)
{
	unsigned long end = jiffies + usecs_to_jiffies(PATIENCE_US);
	struct pool_test *ctx = test->priv;
	struct mock_backing *unused = pool_get(ctx, 8);
	struct mock_backing *used = pool_get(ctx, 4);
	unsigned long freed = jiffies;
	unsigned int slow = 0;

	dma_heap_pool_set_decay(ctx->pool, 1000);
	pool_put(ctx, unused);
	pool_put(ctx, used);

	while (!when_gone(unused) && time_before(jiffies, end)) {
		struct mock_backing *backing;

		schedule_timeout_uninterruptible(msecs_to_jiffies(20));
		backing = pool_get(ctx, 4);
		if (time_after(jiffies, freed + msecs_to_jiffies(1000)))
			slow++;
		else
			KUNIT_ASSERT_PTR_EQ(test, backing, used);
		used = backing;
		freed = jiffies;
		pool_put(ctx, used);
	}

	KUNIT_EXPECT_NE(test, when_gone(unused), 0);
	KUNIT_EXPECT_GE(test, STAT(ctx, decayed_pages), 8);
	KUNIT_EXPECT_LE(test, STAT(ctx, decayed_pages), 8 + 4 * slow);
	pool_wait_pages(ctx, 0);
}

/* The pool is full, somebody frees: what was not used for longest goes */
static void pool_test_cap_oldest_first(struct kunit *test)
{
	const struct state_case *state = test->param_value;
	struct pool_test *ctx = test->priv;
	struct mock_backing *backings[4];
	struct mock_backing *newest;
	int i;

	for (i = 0; i < ARRAY_SIZE(backings); i++)
		backings[i] = pool_get(ctx, 8 + i);
	newest = pool_get(ctx, 20);
	if (state->dirty)
		pool_hold_scrubber(ctx);

	for (i = 0; i < ARRAY_SIZE(backings); i++) {
		pool_put(ctx, backings[i]);
		if (!state->dirty)
			pool_wait_scrubbed(ctx);
	}
	dma_heap_pool_set_max(ctx->pool, PFN_PHYS(pool_pages(ctx)));
	KUNIT_EXPECT_EQ(test, SEEN(ctx, freed), 0);

	/* Two of them would not be enough */
	pool_put(ctx, newest);
	for (i = 0; i < 3; i++)
		KUNIT_EXPECT_EQ_MSG(test, when_gone(backings[i]), i + 1,
				    "number %d", i);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, freed), 3);
	KUNIT_EXPECT_EQ(test, STAT(ctx, evicted_pages), 8 + 9 + 10);
}

/* Oldest or not, clean memory is cheaper to have made than dirty is to lose */
static void pool_test_cap_clean_first(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct mock_backing *dirty = pool_get(ctx, 20);
	struct mock_backing *clean = pool_get(ctx, 8);
	struct mock_backing *last = pool_get(ctx, 9);

	pool_hold_scrubber(ctx);
	pool_put(ctx, dirty);
	/* Who frees has to scrub, as too much is dirty */
	dma_heap_pool_set_max(ctx->pool, PFN_PHYS(32));
	pool_put(ctx, clean);
	KUNIT_EXPECT_EQ(test, STAT(ctx, clean_pages), 8);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, freed), 0);

	pool_put(ctx, last);
	KUNIT_EXPECT_EQ(test, when_gone(clean), 1);
	KUNIT_EXPECT_EQ(test, when_gone(dirty), 0);
	KUNIT_EXPECT_EQ(test, when_gone(last), 0);

	/* If that is not enough, dirty ones have to go, too */
	dma_heap_pool_set_max(ctx->pool, PFN_PHYS(10));
	KUNIT_EXPECT_EQ(test, when_gone(last), 2);
	KUNIT_EXPECT_EQ(test, when_gone(dirty), 3);
}

/**
 * struct cap_case - a buffer freed into a pool that is not empty
 * @desc: what is special
 * @pages: size of the buffer
 * @kept: whether it stays in the pool
 * @others: how many of the four that were there, 8 pages each, stay
 */
struct cap_case {
	const char *desc;
	unsigned int pages;
	bool kept;
	unsigned int others;
};

/* The cap is 40 pages */
static const struct cap_case cap_cases[] = {
	{ "just fits", 8, true, 4 },
	{ "one page too many", 9, true, 3 },
	{ "two have to go", 17, true, 2 },
	{ "all have to go", 40, true, 0 },
	{ "larger than the cap", 41, false, 4 },
	{ "much larger than the cap", 512, false, 4 },
};

KUNIT_ARRAY_PARAM_DESC(cap, cap_cases, desc);

static void pool_test_cap(struct kunit *test)
{
	const struct cap_case *param = test->param_value;
	struct pool_test *ctx = test->priv;
	struct mock_backing *others[4];
	struct mock_backing *backing;
	unsigned int kept = 0;
	int i;

	dma_heap_pool_set_max(ctx->pool, PFN_PHYS(40));
	for (i = 0; i < ARRAY_SIZE(others); i++)
		others[i] = pool_get(ctx, 8);
	backing = pool_get(ctx, param->pages);
	for (i = 0; i < ARRAY_SIZE(others); i++)
		pool_put_clean(ctx, others[i]);

	pool_put(ctx, backing);
	KUNIT_EXPECT_EQ(test, !when_gone(backing), param->kept);
	for (i = 0; i < ARRAY_SIZE(others); i++)
		kept += !when_gone(others[i]);
	KUNIT_EXPECT_EQ(test, kept, param->others);
	KUNIT_EXPECT_EQ(test, pool_pages(ctx),
			8 * param->others + (param->kept ? param->pages : 0));
	KUNIT_EXPECT_EQ(test, STAT(ctx, evicted_pages),
			8 * (4 - param->others) + (param->kept ? 0 : param->pages));
	pool_wait_scrubbed(ctx);
	expect_reclaimable(ctx, pool_pages(ctx));
}

/* What the scrubber is at counts, and has to go as soon as that is possible */
static void pool_test_cap_in_scrubbers_hands(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct mock_backing *backing = pool_get(ctx, 8);

	pool_hold_scrubber(ctx);
	dma_heap_pool_set_max(ctx->pool, PFN_PHYS(8));
	pool_put(ctx, backing);
	KUNIT_EXPECT_LE(test, pool_pages(ctx), 8);
	KUNIT_EXPECT_EQ(test, STAT(ctx, evicted_pages), 8);

	dma_heap_pool_set_max(ctx->pool, 0);
	mock_open_gate(&ctx->mock);
	pool_wait_pages(ctx, 0);
}

/* A lower cap holds from now on, not from the next free on */
static void pool_test_set_max(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct mock_backing *backings[4];
	int i;

	for (i = 0; i < ARRAY_SIZE(backings); i++)
		backings[i] = pool_get(ctx, 8);
	for (i = 0; i < ARRAY_SIZE(backings); i++)
		pool_put_clean(ctx, backings[i]);

	for (i = 3; i >= 0; i--) {
		dma_heap_pool_set_max(ctx->pool, PFN_PHYS(8 * i + 4));
		KUNIT_EXPECT_EQ(test, pool_pages(ctx), 8 * i);
		KUNIT_EXPECT_EQ(test, when_gone(backings[3 - i]), 4 - i);
		expect_reclaimable(ctx, 8 * i);
	}
	KUNIT_EXPECT_EQ(test, STAT(ctx, evicted_pages), 4 * 8);
}

/* A pool closed is none, and it can be opened again */
static void pool_test_closed(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct mock_backing *backing = pool_get(ctx, 8);

	pool_put_clean(ctx, pool_get(ctx, 4));
	dma_heap_pool_set_max(ctx->pool, 0);
	KUNIT_EXPECT_EQ(test, pool_pages(ctx), 0);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, freed), 1);

	pool_put(ctx, backing);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, freed), 2);
	KUNIT_EXPECT_EQ(test, pool_pages(ctx), 0);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, by_others), 0);
	KUNIT_EXPECT_EQ(test, STAT(ctx, evicted_pages), 4 + 8);

	pool_put(ctx, pool_get(ctx, 8));
	KUNIT_EXPECT_EQ(test, SEEN(ctx, freed), 3);
	KUNIT_EXPECT_EQ(test, STAT(ctx, misses), 3);

	dma_heap_pool_set_max(ctx->pool, PFN_PHYS(8));
	backing = pool_get(ctx, 8);
	pool_put_clean(ctx, backing);
	KUNIT_EXPECT_PTR_EQ(test, pool_get(ctx, 8), backing);
}

/* Other than the pool's, the source's errors are nobody's business */
static void pool_test_source_error(struct kunit *test)
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

	/* What is in the pool needs no source */
	KUNIT_EXPECT_PTR_EQ(test, pool_get(ctx, 4), backing);
	ctx->mock.ret = 0;
	pool_get(ctx, 8);
}

/* Whichever allocation fails, nothing is lost */
static void pool_test_alloc_faults(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct dma_heap_backing *base;
	unsigned int n, hurt = 0;
	const char *wrong;
	bool taken;
	u64 hits;

	heap_test_faults_init(test);

	/* Every one of another size: there is nothing to build upon */
	for (n = 1; n <= HEAP_TEST_MAX_FAULTS; n++) {
		heap_test_fault_arm(n);
		base = pool_try_get(ctx, n + 1);
		wrong = NULL;
		if (!IS_ERR(base)) {
			wrong = backing_use(to_mock_backing(base), n + 1, DIRT);
			backing_put(to_mock_backing(base));
		}
		taken = heap_test_fault_taken();
		hurt += taken;

		if (wrong)
			KUNIT_FAIL(test, "backing %s", wrong);
		if (IS_ERR(base)) {
			KUNIT_ASSERT_TRUE(test, taken);
			KUNIT_EXPECT_PTR_EQ(test, base, ERR_PTR(-ENOMEM));
		}
		if (!taken)
			break;
	}
	KUNIT_EXPECT_LE(test, n, HEAP_TEST_MAX_FAULTS);
	/* The mock's two, and that of the pool */
	KUNIT_EXPECT_GE(test, hurt, 3);

	/* Nor did it do any harm to these sizes */
	for (n = 2; n < hurt + 2; n++)
		pool_put_clean(ctx, pool_get(ctx, n));
	hits = STAT(ctx, hits);
	for (n = 2; n < hurt + 2; n++)
		pool_get(ctx, n);
	KUNIT_EXPECT_EQ(test, STAT(ctx, hits), hits + hurt);
}

/* Memory may be short, also when it is given back, and when it is found */
static void pool_test_no_alloc(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct mock_backing *clean, *dirty;
	struct dma_heap_backing *base[2];

	heap_test_faults_init(test);

	/* Only the first time that there is something of a size */
	pool_put_clean(ctx, pool_get(ctx, 4));
	pool_put_clean(ctx, pool_get(ctx, 8));
	clean = pool_get(ctx, 4);
	dirty = pool_get(ctx, 8);

	heap_test_fault_arm(1);
	backing_put(clean);
	KUNIT_EXPECT_FALSE(test, heap_test_fault_taken());
	pool_wait_scrubbed(ctx);
	pool_hold_scrubber(ctx);

	heap_test_fault_arm(1);
	backing_put(dirty);
	base[0] = pool_try_get(ctx, 4);
	base[1] = pool_try_get(ctx, 8);
	KUNIT_EXPECT_FALSE(test, heap_test_fault_taken());
	KUNIT_EXPECT_PTR_EQ(test, base[0], &clean->base);
	KUNIT_EXPECT_PTR_EQ(test, base[1], &dirty->base);
	KUNIT_EXPECT_NULL(test, backing_use(clean, 4, DIRT));
	KUNIT_EXPECT_NULL(test, backing_use(dirty, 8, DIRT));
	pool_put(ctx, clean);
	pool_put(ctx, dirty);

	heap_test_fault_arm(1);
	KUNIT_EXPECT_EQ(test, pool_scan(ctx, 4 + 8), 4 + 8);
	KUNIT_EXPECT_FALSE(test, heap_test_fault_taken());
}

static bool try_create(struct kunit *test, void *data, bool *taken)
{
	struct pool_test *ctx = test->priv;
	struct dma_heap_pool *pool;

	pool = dma_heap_pool_create("kunit-fault", &ctx->mock.base);
	*taken = heap_test_fault_taken();

	if (!IS_ERR(pool)) {
		dma_heap_pool_destroy(pool);
	} else {
		KUNIT_ASSERT_TRUE(test, *taken);
		KUNIT_EXPECT_PTR_EQ(test, pool, ERR_PTR(-ENOMEM));
	}

	return IS_ERR(pool);
}

static void pool_test_create_faults(struct kunit *test)
{
	heap_test_faults_init(test);

	/* The pool, the shrinker and the thread at least */
	heap_test_sweep_faults(test, try_create, NULL, 3);
}

/**
 * struct clean_case - who has something to do with the CPU's caches
 * @desc: who
 * @uncached: the source is
 * @noncoherent: a device that uses the buffer is
 * @cleaned: whether there is nothing of the next buffer in a cache
 */
struct clean_case {
	const char *desc;
	bool uncached;
	bool noncoherent;
	bool cleaned;
};

static const struct clean_case clean_cases[] = {
	{ "nobody", false, false, false },
	{ "a device", false, true, true },
	{ "the source", true, false, true },
	{ "the source and a device", true, true, true },
};

KUNIT_ARRAY_PARAM_DESC(clean, clean_cases, desc);

/* Caches are cleaned for those who need it, and that is told the next one */
static void pool_test_clean(struct kunit *test)
{
	const struct clean_case *param = test->param_value;
	struct pool_test *ctx = test->priv;
	struct mock_backing *backing;

	kunit_release_action(test, pool_destroy, ctx);
	ctx->mock.base.uncached = param->uncached;
	KUNIT_ASSERT_EQ(test, pool_create(ctx), 0);
	KUNIT_EXPECT_EQ(test, ctx->mock.pool->uncached, param->uncached);

	backing = pool_get(ctx, 8);
	KUNIT_EXPECT_EQ(test, backing->base.cleaned, param->uncached);
	backing->base.noncoherent = param->noncoherent;

	/* By the scrubber */
	pool_put_clean(ctx, backing);
	KUNIT_ASSERT_PTR_EQ(test, pool_get(ctx, 8), backing);
	KUNIT_EXPECT_EQ(test, backing->base.cleaned, param->cleaned);

	/* And by a task; whoever used it once is expected again */
	pool_hold_scrubber(ctx);
	pool_put(ctx, backing);
	KUNIT_ASSERT_PTR_EQ(test, pool_get(ctx, 8), backing);
	KUNIT_EXPECT_EQ(test, STAT(ctx, dirty_hits), 1);
	KUNIT_EXPECT_EQ(test, backing->base.cleaned, param->cleaned);
}

static void pool_test_shrink_empty(struct kunit *test)
{
	struct pool_test *ctx = test->priv;

	KUNIT_EXPECT_NE(test, dma_heap_pool_shrinker(ctx->pool)->flags &
			      SHRINKER_NUMA_AWARE, 0);

	KUNIT_EXPECT_EQ(test, pool_count(ctx), SHRINK_EMPTY);
	KUNIT_EXPECT_EQ(test, pool_scan(ctx, 128), SHRINK_STOP);

	/* Memory in use is not the pool's */
	pool_get(ctx, 4);
	KUNIT_EXPECT_EQ(test, pool_count(ctx), SHRINK_EMPTY);
	KUNIT_EXPECT_EQ(test, pool_scan(ctx, 128), SHRINK_STOP);
	KUNIT_EXPECT_EQ(test, STAT(ctx, shrunk_pages), 0);
}

/**
 * struct shrink_case - a call of scan
 * @desc: what is special
 * @nr_to_scan: pages asked for
 * @gone: how many backings go
 *
 * There are two clean backings, 2 and 4 pages, and two dirty ones, 8 and 16.
 */
struct shrink_case {
	const char *desc;
	unsigned long nr_to_scan;
	unsigned int gone;
};

static const struct shrink_case shrink_cases[] = {
	{ "one page", 1, 1 },
	{ "one backing", 8, 1 },
	{ "a page more than one backing", 9, 2 },
	{ "all dirty", 24, 2 },
	{ "a page more than all dirty", 25, 3 },
	{ "all but a page", 29, 4 },
	{ "all", 30, 4 },
	{ "more than all", 1000, 4 },
};

KUNIT_ARRAY_PARAM_DESC(shrink, shrink_cases, desc);

/* Whole backings, dirty first, then oldest, none scrubbed, all counted */
static void pool_test_shrink(struct kunit *test)
{
	/* In the order in which they go */
	static const unsigned int pages[] = { 8, 16, 2, 4 };
	const struct shrink_case *param = test->param_value;
	struct pool_test *ctx = test->priv;
	struct mock_backing *backings[4];
	unsigned long left = 30;
	unsigned long expected = 0;
	unsigned long freed;
	int i;

	for (i = 0; i < ARRAY_SIZE(pages); i++)
		backings[i] = pool_get(ctx, pages[i]);
	pool_put_clean(ctx, backings[2]);
	pool_put_clean(ctx, backings[3]);
	pool_hold_scrubber(ctx);
	pool_put(ctx, backings[0]);
	pool_put(ctx, backings[1]);
	KUNIT_EXPECT_EQ(test, pool_count(ctx), left);
	expect_reclaimable(ctx, left + DECOY_PAGES);

	for (i = 0; i < param->gone; i++)
		expected += pages[i];
	left -= expected;
	KUNIT_EXPECT_EQ(test, pool_scan(ctx, param->nr_to_scan), expected);
	KUNIT_EXPECT_EQ(test, pool_count(ctx), left ?: SHRINK_EMPTY);
	KUNIT_EXPECT_EQ(test, pool_pages(ctx), left + DECOY_PAGES);
	expect_reclaimable(ctx, left + DECOY_PAGES);

	/* The rest one by one */
	for (i = param->gone; i < ARRAY_SIZE(pages); i++) {
		freed = pool_scan(ctx, 1);
		KUNIT_EXPECT_EQ(test, freed, pages[i]);
		left -= freed;
		KUNIT_EXPECT_EQ(test, pool_count(ctx), left ?: SHRINK_EMPTY);
		expect_reclaimable(ctx, left + DECOY_PAGES);
	}
	KUNIT_EXPECT_EQ(test, pool_scan(ctx, 1), SHRINK_STOP);

	for (i = 0; i < ARRAY_SIZE(backings); i++)
		KUNIT_EXPECT_EQ_MSG(test, when_gone(backings[i]), i + 1,
				    "number %d", i);
	KUNIT_EXPECT_EQ(test, STAT(ctx, shrunk_pages), 30);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, by_scrubber), 6);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, by_others), 0);
}

/* The shrinker does not wait for the scrubber, nor take it by surprise */
static void pool_test_shrink_in_scrubbers_hands(struct kunit *test)
{
	struct pool_test *ctx = test->priv;

	pool_hold_scrubber(ctx);
	KUNIT_EXPECT_EQ(test, pool_count(ctx), SHRINK_EMPTY);
	KUNIT_EXPECT_EQ(test, pool_scan(ctx, 128), SHRINK_STOP);
	expect_reclaimable(ctx, DECOY_PAGES);

	pool_release_scrubber(ctx);
	KUNIT_EXPECT_EQ(test, pool_count(ctx), DECOY_PAGES);
	KUNIT_EXPECT_EQ(test, pool_scan(ctx, 128), DECOY_PAGES);
	KUNIT_EXPECT_EQ(test, pool_count(ctx), SHRINK_EMPTY);
	expect_reclaimable(ctx, 0);
}

/* What is of another node is not counted, and not freed */
static void pool_test_shrink_other_node(struct kunit *test)
{
	struct shrink_control sc = { .gfp_mask = GFP_KERNEL, .nr_to_scan = 128 };
	struct pool_test *ctx = test->priv;
	struct shrinker *shrinker = dma_heap_pool_shrinker(ctx->pool);
	struct mock_backing *backing = pool_get(ctx, 4);
	int home = page_to_nid(sg_page(backing->base.sgt.sgl));
	int nid;

	if (num_online_nodes() < 2)
		kunit_skip(test, "needs a second node");

	pool_put_clean(ctx, backing);
	for_each_online_node(nid) {
		if (nid == home)
			continue;
		sc.nid = nid;
		KUNIT_EXPECT_EQ(test, shrinker->count_objects(shrinker, &sc),
				SHRINK_EMPTY);
		KUNIT_EXPECT_EQ(test, shrinker->scan_objects(shrinker, &sc),
				SHRINK_STOP);
	}
	KUNIT_EXPECT_EQ(test, pool_pages(ctx), 4);
}

/* As a task does it that cannot go on without memory */
static void pool_reclaim(struct pool_test *ctx, unsigned long nr_to_scan)
{
	unsigned int flags = memalloc_noreclaim_save();

	pool_scan(ctx, nr_to_scan);
	memalloc_noreclaim_restore(flags);
}

/* Wait until the pool keeps something again */
static void pool_wait_no_pressure(struct pool_test *ctx)
{
	unsigned long end = jiffies + usecs_to_jiffies(PATIENCE_US);
	struct mock_backing *backing;

	do {
		schedule_timeout_uninterruptible(1);
		backing = pool_get(ctx, 2);
		pool_put(ctx, backing);
	} while (when_gone(backing) && time_before(jiffies, end));

	KUNIT_ASSERT_EQ(ctx->test, when_gone(backing), 0);
	pool_wait_scrubbed(ctx);
}

/* Where memory is short nothing is kept, and nothing scrubbed */
static void pool_test_pressure(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct mock_backing *before, *after;
	unsigned long start, end, scrubbed, left;
	int tries = 0;

	do {
		dma_heap_pool_drain(ctx->pool);
		before = pool_get(ctx, 8);
		after = pool_get(ctx, 16);
		pool_hold_scrubber(ctx);
		scrubbed = SEEN(ctx, by_scrubber);
		pool_put(ctx, before);

		start = jiffies;
		pool_reclaim(ctx, 0);
		pool_put(ctx, after);
		pool_release_scrubber(ctx);
		left = pool_pages(ctx);
		end = jiffies;

		pool_wait_no_pressure(ctx);
	} while (time_after_eq(end, start + PRESSURE) &&
		 ++tries < TRIES);

	KUNIT_ASSERT_LT(test, tries, TRIES);
	KUNIT_EXPECT_NE(test, when_gone(before), 0);
	KUNIT_EXPECT_NE(test, when_gone(after), 0);
	KUNIT_EXPECT_EQ(test, left, 0);
	KUNIT_EXPECT_GE(test, STAT(ctx, shrunk_pages), 8 + DECOY_PAGES);
	KUNIT_EXPECT_GE(test, STAT(ctx, evicted_pages), 16);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, by_others), 0);
	/* The decoy it had begun, and the last 2 pages of the wait */
	KUNIT_EXPECT_LE(test, SEEN(ctx, by_scrubber), scrubbed + DECOY_PAGES + 2);
	KUNIT_EXPECT_FALSE(test, time_before(jiffies, start + PRESSURE));
}

/* drop_caches and the like are no sign of it */
static void pool_test_no_pressure(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct mock_backing *backing = pool_get(ctx, 8);

	pool_put_clean(ctx, pool_get(ctx, 4));
	KUNIT_EXPECT_EQ(test, pool_scan(ctx, 128), 4);
	pool_put(ctx, backing);
	KUNIT_EXPECT_EQ(test, pool_pages(ctx), 8);
	KUNIT_EXPECT_EQ(test, when_gone(backing), 0);
}

static void pool_test_drain(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct mock_backing *clean = pool_get(ctx, 4);
	struct mock_backing *dirty = pool_get(ctx, 8);
	struct mock_backing *used = pool_get(ctx, 16);

	KUNIT_EXPECT_EQ(test, dma_heap_pool_drain(ctx->pool), 0);

	pool_put_clean(ctx, clean);
	pool_hold_scrubber(ctx);
	pool_put(ctx, dirty);
	KUNIT_EXPECT_EQ(test, dma_heap_pool_drain(ctx->pool), 4 + 8);
	KUNIT_EXPECT_EQ(test, STAT(ctx, shrunk_pages), 4 + 8);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, freed), 2);
	KUNIT_EXPECT_EQ(test, pool_pages(ctx), DECOY_PAGES);
	expect_reclaimable(ctx, DECOY_PAGES);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, by_others), 0);

	pool_release_scrubber(ctx);
	KUNIT_EXPECT_EQ(test, dma_heap_pool_drain(ctx->pool), DECOY_PAGES);
	KUNIT_EXPECT_EQ(test, dma_heap_pool_drain(ctx->pool), 0);

	/* All goes on as before */
	pool_put_clean(ctx, used);
	KUNIT_EXPECT_PTR_EQ(test, pool_get(ctx, 16), used);
}

static void pool_wait_clean_pages(struct pool_test *ctx, u64 pages)
{
	struct dma_heap_pool_stats stats;

	read_poll_timeout(pool_stats, stats, stats.clean_pages == pages &&
			  !stats.dirty_pages, 1000, PATIENCE_US, false, ctx);
	KUNIT_ASSERT_EQ(ctx->test, stats.clean_pages, pages);
	KUNIT_ASSERT_EQ(ctx->test, stats.dirty_pages, 0);
}

/* Who was announced finds what he needs */
static void pool_test_prefill(struct kunit *test)
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

/* Who says it again gets no more, whatever the scrubber is at */
static void pool_test_prefill_again(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	size_t size = PFN_PHYS(DECOY_PAGES);
	int i;

	pool_hold_scrubber(ctx);
	for (i = 0; i < 2; i++) {
		KUNIT_EXPECT_EQ(test, dma_heap_pool_prefill(ctx->pool, size, 2), 0);
		KUNIT_EXPECT_EQ(test, STAT(ctx, dirty_pages), 2 * DECOY_PAGES);
	}
	pool_release_scrubber(ctx);
	KUNIT_EXPECT_EQ(test, STAT(ctx, clean_pages), 2 * DECOY_PAGES);
}

/* It outlives the decay, but neither the shrinker nor its purpose */
static void pool_test_prefill_kept(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct mock_backing *other = pool_get(ctx, 4);
	struct mock_backing *same = pool_get(ctx, 16);

	KUNIT_EXPECT_EQ(test, dma_heap_pool_prefill(ctx->pool, PFN_PHYS(16), 2), 0);
	pool_wait_clean_pages(ctx, 2 * 16);

	/* Both younger than what was prefilled: once they went, that could */
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

/* Memory that is short is no longer for those who might come */
static void pool_test_prefill_shrink(struct kunit *test)
{
	struct pool_test *ctx = test->priv;

	KUNIT_EXPECT_EQ(test, dma_heap_pool_prefill(ctx->pool, PFN_PHYS(16), 2), 0);
	pool_wait_clean_pages(ctx, 2 * 16);
	KUNIT_EXPECT_EQ(test, pool_count(ctx), 2 * 16);
	KUNIT_EXPECT_EQ(test, pool_scan(ctx, 1000), 2 * 16);
	KUNIT_EXPECT_EQ(test, STAT(ctx, shrunk_pages), 2 * 16);
}

/* Nor does the cap make an exception */
static void pool_test_prefill_cap(struct kunit *test)
{
	struct pool_test *ctx = test->priv;

	KUNIT_EXPECT_EQ(test, dma_heap_pool_prefill(ctx->pool, PFN_PHYS(16), 3), 0);
	pool_wait_clean_pages(ctx, 3 * 16);
	dma_heap_pool_set_max(ctx->pool, PFN_PHYS(20));
	KUNIT_EXPECT_EQ(test, pool_pages(ctx), 16);

	/* Not even those who come later */
	pool_put_clean(ctx, pool_get(ctx, 20));
	KUNIT_EXPECT_LE(test, pool_pages(ctx), 20);
}

/**
 * struct prefill_case - a prefill that cannot be
 * @desc: why
 * @size: bytes asked for
 * @count: and how many of them
 * @ret: the answer
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

static void pool_test_prefill_refused(struct kunit *test)
{
	const struct prefill_case *param = test->param_value;
	struct pool_test *ctx = test->priv;

	dma_heap_pool_set_max(ctx->pool, PFN_PHYS(64));
	KUNIT_EXPECT_EQ(test, dma_heap_pool_prefill(ctx->pool, param->size,
						    param->count), param->ret);
	/* What was refused is not half done */
	pool_wait_clean_pages(ctx, param->ret ? 0 : PHYS_PFN(param->size) * param->count);
	if (param->ret)
		KUNIT_EXPECT_EQ(test, SEEN(ctx, calls), 0);
}

/* A source that has nothing to give: some of it is better than nothing */
static void pool_test_prefill_source_error(struct kunit *test)
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

	/* But nothing to be kept for ever */
	dma_heap_pool_set_decay(ctx->pool, 10);
	pool_wait_pages(ctx, 0);
	KUNIT_EXPECT_EQ(test, STAT(ctx, misses), 0);
}

static void pool_test_prefill_faults(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	unsigned int n, failed = 0;
	bool taken;
	int ret;

	heap_test_faults_init(test);

	for (n = 1; n <= HEAP_TEST_MAX_FAULTS; n++) {
		heap_test_fault_arm(n);
		ret = dma_heap_pool_prefill(ctx->pool, PFN_PHYS(4), 2);
		taken = heap_test_fault_taken();
		if (!taken)
			break;
		if (ret)
			KUNIT_EXPECT_EQ(test, ret, -ENOMEM);
		failed += !!ret;
	}
	KUNIT_EXPECT_EQ(test, ret, 0);
	KUNIT_EXPECT_GE(test, failed, 1);
	pool_wait_clean_pages(ctx, 2 * 4);
}

/* The pool goes with all that is in it */
static void pool_test_destroy(struct kunit *test)
{
	const struct state_case *state = test->param_value;
	struct pool_test *ctx = test->priv;
	struct mock_backing *backings[3];
	int i;

	for (i = 0; i < ARRAY_SIZE(backings); i++)
		backings[i] = pool_get(ctx, 4 + i);
	if (state->dirty)
		pool_hold_scrubber(ctx);
	for (i = 0; i < ARRAY_SIZE(backings); i++)
		pool_put(ctx, backings[i]);
	if (!state->dirty)
		pool_wait_scrubbed(ctx);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, freed), 0);

	/* Opens the gate first */
	kunit_release_action(test, pool_destroy, ctx);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, freed), state->dirty ? 4 : 3);
	expect_reclaimable(ctx, 0);
}

static void destroy_job(void *data)
{
	struct pool_test *ctx = data;

	dma_heap_pool_destroy(ctx->pool);
}

static void open_gate_job(void *data)
{
	struct pool_test *ctx = data;

	schedule_timeout_uninterruptible(HZ / 20);
	mock_open_gate(&ctx->mock);
}

static void pool_test_destroy_in_scrubbers_hands(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct heap_test_job jobs[] = {
		{ .func = destroy_job, .data = ctx },
		{ .func = open_gate_job, .data = ctx },
	};

	pool_hold_scrubber(ctx);
	kunit_remove_action(test, pool_destroy, ctx);
	heap_test_run_jobs(test, jobs, ARRAY_SIZE(jobs));
	ctx->pool = NULL;
	KUNIT_EXPECT_EQ(test, SEEN(ctx, freed), 1);
}

/* A pool that is being filled, and meant to be kept so */
static void pool_test_destroy_prefill(struct kunit *test)
{
	struct pool_test *ctx = test->priv;

	KUNIT_EXPECT_EQ(test, dma_heap_pool_prefill(ctx->pool, PFN_PHYS(4), 500), 0);
	kunit_release_action(test, pool_destroy, ctx);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, allocated_pages), 4 * 500);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, freed_pages), 4 * 500);
}

#define RACE_ROUNDS	600
#define RACE_MAX	512
#define RACE_USERS	4
#define RACE_HELD	3

/**
 * struct race - what one of the threads of the race needs
 * @ctx: the test
 * @id: which one it is
 * @gets: backings it was given, or what else it got done
 * @errors: what should not have been
 * @wrong: the last of that
 * @users: how many of the users are not done yet
 */
struct race {
	struct pool_test *ctx;
	unsigned int id;
	unsigned int gets;
	unsigned int errors;
	const char *wrong;
	atomic_t *users;
};

/* Let the others in, also on one CPU and without preemption */
static void race_pause(int round)
{
	if (round % 32)
		cond_resched();
	else
		schedule_timeout_uninterruptible(1);
}

static void race_error(struct race *race, const char *wrong)
{
	race->errors++;
	race->wrong = wrong;
}

static void race_put(struct race *race, struct mock_backing *backing, u8 value)
{
	if (!backing)
		return;
	if (!backing_holds(backing, value))
		race_error(race, "was written to by somebody else");
	backing_put(backing);
}

static struct mock_backing *race_get(struct race *race, int round, u8 value)
{
	static const unsigned int sizes[] = { 1, 4, 4, 4, 7, 16, 16, 64 };
	unsigned int pages = sizes[(round * 7 + race->id) % ARRAY_SIZE(sizes)];
	struct dma_heap_backing *base = pool_try_get(race->ctx, pages);
	const char *wrong;

	if (IS_ERR(base)) {
		race_error(race, "is none");
		return NULL;
	}
	race->gets++;
	wrong = backing_use(to_mock_backing(base), pages, value);
	if (wrong) {
		race_error(race, wrong);
		return NULL;
	}

	return to_mock_backing(base);
}

/* Have some backings, each filled with a number of one's own */
static void race_user(void *data)
{
	struct mock_backing *backings[RACE_HELD] = {};
	struct race *race = data;
	u8 value = 1 + race->id;
	int i;

	for (i = 0; i < RACE_ROUNDS; i++) {
		race_put(race, backings[i % RACE_HELD], value);
		backings[i % RACE_HELD] = race_get(race, i, value);
		race_pause(i);
	}
	for (i = 0; i < RACE_HELD; i++)
		race_put(race, backings[i], value);
	atomic_dec(race->users);
}

/* Called as reclaim calls it, though not in its name */
static void race_shrinker(void *data)
{
	struct race *race = data;
	struct shrinker *shrinker = dma_heap_pool_shrinker(race->ctx->pool);
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
 * Whoever gets a backing gets it zero, and it is nobody else's, whatever others
 * do. KASAN, KCSAN, lockdep and list debugging have their say, too.
 */
static void pool_test_race(struct kunit *test)
{
	static void (* const funcs[])(void *data) = {
		race_user, race_user, race_user, race_user,
		race_shrinker, race_tuner,
	};
	struct heap_test_job jobs[ARRAY_SIZE(funcs)] = {};
	struct race races[ARRAY_SIZE(funcs)] = {};
	atomic_t users = ATOMIC_INIT(RACE_USERS);
	struct pool_test *ctx = test->priv;
	struct dma_heap_pool_stats stats;
	unsigned int i, gets = 0;

	dma_heap_pool_set_max(ctx->pool, PFN_PHYS(RACE_MAX));
	for (i = 0; i < ARRAY_SIZE(jobs); i++) {
		races[i].ctx = ctx;
		races[i].id = i;
		races[i].users = &users;
		jobs[i].func = funcs[i];
		jobs[i].data = &races[i];
	}
	heap_test_run_jobs(test, jobs, ARRAY_SIZE(jobs));

	for (i = 0; i < ARRAY_SIZE(jobs); i++) {
		KUNIT_EXPECT_EQ_MSG(test, races[i].errors, 0, "job %u: pages that %s",
				    i, races[i].wrong);
		KUNIT_EXPECT_GT_MSG(test, races[i].gets, 0, "job %u", i);
		if (i < RACE_USERS)
			gets += races[i].gets;
	}

	/* Whether the scrubber got to run is up to the scheduler */
	stats = pool_stats(ctx);
	KUNIT_EXPECT_EQ(test, stats.hits + stats.dirty_hits + stats.misses, gets);
	KUNIT_EXPECT_GT(test, stats.hits + stats.dirty_hits, 0);
	KUNIT_EXPECT_GT(test, stats.misses, 0);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, used_pages), 0);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, errors), 0);
}

#define HOT_ROUNDS	4000

/* As little as possible but to take and give */
static void hot_user(void *data)
{
	struct race *race = data;
	struct dma_heap_source *source = race->ctx->mock.pool;
	struct dma_heap_backing *base;
	int i;

	for (i = 0; i < HOT_ROUNDS; i++) {
		base = source->ops->alloc(source, PAGE_SIZE << (i % 2));
		if (IS_ERR(base)) {
			race_error(race, "are none");
			continue;
		}
		race->gets++;
		source->ops->free(source, base);
		race_pause(i);
	}
	atomic_dec(race->users);
}

static void hot_shrinker(void *data)
{
	struct race *race = data;
	struct shrinker *shrinker = dma_heap_pool_shrinker(race->ctx->pool);
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

/* The same at a pace at which hardly anything happens outside of the pool */
static void pool_test_race_hot(struct kunit *test)
{
	static void (* const funcs[])(void *data) = {
		hot_user, hot_user, hot_user, hot_shrinker,
	};
	struct heap_test_job jobs[ARRAY_SIZE(funcs)] = {};
	struct race races[ARRAY_SIZE(funcs)] = {};
	atomic_t users = ATOMIC_INIT(3);
	struct pool_test *ctx = test->priv;
	struct dma_heap_pool_stats stats;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(jobs); i++) {
		races[i].ctx = ctx;
		races[i].users = &users;
		jobs[i].func = funcs[i];
		jobs[i].data = &races[i];
	}
	heap_test_run_jobs(test, jobs, ARRAY_SIZE(jobs));

	for (i = 0; i < ARRAY_SIZE(jobs); i++)
		KUNIT_EXPECT_EQ_MSG(test, races[i].errors, 0, "job %u", i);
	stats = pool_stats(ctx);
	KUNIT_EXPECT_EQ(test, stats.hits + stats.dirty_hits + stats.misses,
			3 * HOT_ROUNDS);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, errors), 0);
}

static struct kunit_case pool_test_cases[] = {
	KUNIT_CASE_PARAM(pool_test_reuse, reuse_gen_params),
	KUNIT_CASE(pool_test_other_sizes),
	KUNIT_CASE_PARAM(pool_test_lifo, state_gen_params),
	KUNIT_CASE(pool_test_dirty_hit),
	KUNIT_CASE(pool_test_clean_first),
	KUNIT_CASE(pool_test_other_node),
	KUNIT_CASE(pool_test_in_scrubbers_hands),
	KUNIT_CASE(pool_test_free_is_quick),
	KUNIT_CASE(pool_test_backlog),
	KUNIT_CASE(pool_test_debt),
	KUNIT_CASE(pool_test_no_debt),
	KUNIT_CASE(pool_test_killed),
	KUNIT_CASE_SLOW(pool_test_hurry),
	KUNIT_CASE_SLOW(pool_test_decay),
	KUNIT_CASE_SLOW(pool_test_decay_paid),
	KUNIT_CASE_SLOW(pool_test_decay_used),
	KUNIT_CASE_PARAM(pool_test_cap_oldest_first, state_gen_params),
	KUNIT_CASE(pool_test_cap_clean_first),
	KUNIT_CASE_PARAM(pool_test_cap, cap_gen_params),
	KUNIT_CASE(pool_test_cap_in_scrubbers_hands),
	KUNIT_CASE(pool_test_set_max),
	KUNIT_CASE(pool_test_closed),
	KUNIT_CASE(pool_test_source_error),
	KUNIT_CASE(pool_test_alloc_faults),
	KUNIT_CASE(pool_test_no_alloc),
	KUNIT_CASE(pool_test_create_faults),
	KUNIT_CASE_PARAM(pool_test_clean, clean_gen_params),
	KUNIT_CASE(pool_test_shrink_empty),
	KUNIT_CASE_PARAM(pool_test_shrink, shrink_gen_params),
	KUNIT_CASE(pool_test_shrink_in_scrubbers_hands),
	KUNIT_CASE(pool_test_shrink_other_node),
	KUNIT_CASE_SLOW(pool_test_pressure),
	KUNIT_CASE(pool_test_no_pressure),
	KUNIT_CASE(pool_test_drain),
	KUNIT_CASE(pool_test_prefill),
	KUNIT_CASE(pool_test_prefill_again),
	KUNIT_CASE(pool_test_prefill_kept),
	KUNIT_CASE(pool_test_prefill_shrink),
	KUNIT_CASE(pool_test_prefill_cap),
	KUNIT_CASE_PARAM(pool_test_prefill_refused, prefill_gen_params),
	KUNIT_CASE(pool_test_prefill_source_error),
	KUNIT_CASE(pool_test_prefill_faults),
	KUNIT_CASE_PARAM(pool_test_destroy, state_gen_params),
	KUNIT_CASE(pool_test_destroy_in_scrubbers_hands),
	KUNIT_CASE(pool_test_destroy_prefill),
	KUNIT_CASE_SLOW(pool_test_race),
	KUNIT_CASE_SLOW(pool_test_race_hot),
	{}
};

static struct kunit_suite pool_test_suite = {
	.name = "dma_heap_pool",
	.init = pool_test_init,
	.exit = pool_test_exit,
	.test_cases = pool_test_cases,
};

kunit_test_suite(pool_test_suite);

MODULE_DESCRIPTION("KUnit tests of the pool of DMA-BUF heaps");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS(DMA_BUF_HEAP);
MODULE_IMPORT_NS(EXPORTED_FOR_KUNIT_TESTING);
