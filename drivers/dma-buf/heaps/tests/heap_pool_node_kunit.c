// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of the pool of DMA-BUF heaps: memory of several nodes
 */

#include <linux/cpumask.h>
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/nodemask.h>
#include <linux/pfn.h>
#include <linux/scatterlist.h>
#include <linux/sched.h>
#include <linux/shrinker.h>
#include <linux/sizes.h>
#include <linux/topology.h>

#include <kunit/resource.h>
#include <kunit/test.h>

#include "../heap_source.h"
#include "../heap_pool.h"
#include "heap_pool_kunit.h"
#include "heap_test_helpers.h"
#include "heap_test_pool.h"
#include "heap_test_source.h"

/* A task on another node gets memory of that node, not the backing in the pool */
static void pool_hit_needs_own_node(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct mock_backing *backing, *other;
	int home = numa_node_id();
	int nid = pool_find_far_node(test);

	backing = pool_put_clean(ctx, pool_get(ctx, 4));
	set_cpus_allowed_ptr(current, cpumask_of_node(nid));
	other = pool_get(ctx, 4);
	KUNIT_EXPECT_PTR_NE(test, other, backing);
	KUNIT_EXPECT_EQ(test, page_to_nid(sg_page(other->base.sgt.sgl)), nid);

	set_cpus_allowed_ptr(current, cpumask_of_node(home));
	KUNIT_EXPECT_PTR_EQ(test, pool_get(ctx, 4), backing);
}

/* The node of the memory decides, not the node of the freeing task */
static void pool_keeps_backing_for_node_of_its_memory(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct mock_backing *backing;
	int home = numa_node_id();
	int nid = pool_find_far_node(test);

	backing = pool_get(ctx, 4);
	KUNIT_ASSERT_EQ(test, page_to_nid(sg_page(backing->base.sgt.sgl)), home);

	/* A task on the other node frees the backing, and does not get it */
	set_cpus_allowed_ptr(current, cpumask_of_node(nid));
	pool_put_clean(ctx, backing);
	KUNIT_EXPECT_PTR_NE(test, pool_get(ctx, 4), backing);

	set_cpus_allowed_ptr(current, cpumask_of_node(home));
	KUNIT_EXPECT_PTR_EQ(test, pool_get(ctx, 4), backing);
}

/* Some of the memory would be far away from every task */
static void pool_keeps_no_backing_of_two_nodes(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct mock_backing *backing;
	struct sg_table *sgt;
	int nid = pool_find_far_node(test);

	ctx->mock.last_nid = nid;
	backing = pool_get(ctx, 4);
	sgt = &backing->base.sgt;
	KUNIT_ASSERT_NE(test, page_to_nid(sg_page(sgt->sgl)), nid);
	KUNIT_ASSERT_EQ(test, page_to_nid(sg_page(sg_last(sgt->sgl, sgt->orig_nents))),
			nid);

	pool_put(ctx, backing);
	KUNIT_EXPECT_EQ(test, when_gone(backing), 1);
	KUNIT_EXPECT_EQ(test, STAT(ctx, evicted_pages), 4);
}

/* The shrinker of one node neither counts nor frees memory of another */
static void pool_shrink_spares_other_nodes(struct kunit *test)
{
	struct shrink_control sc = { .gfp_mask = GFP_KERNEL, .nr_to_scan = 128 };
	struct pool_test *ctx = test->priv;
	struct shrinker *shrinker = dma_heap_pool_shrinker(ctx->pool, true);
	struct mock_backing *backing = pool_get(ctx, 4);
	int home = page_to_nid(sg_page(backing->base.sgt.sgl));
	int nid;

	if (num_online_nodes() < 2)
		heap_test_skip(test, "nodes", "needs a second node");

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

static void pool_expect_on_node(struct pool_test *ctx, int nid, long before,
				unsigned long pages)
{
	struct shrinker *shrinker = dma_heap_pool_shrinker(ctx->pool, true);
	struct shrink_control sc = { .gfp_mask = GFP_KERNEL, .nid = nid };

	KUNIT_EXPECT_EQ(ctx->test, shrinker->count_objects(shrinker, &sc),
			count_of(pages));
	KUNIT_EXPECT_TRUE(ctx->test, POOL_WAIT(reclaimable_pages_of(nid) ==
					       before + pages));
}

/* Create the pool again, for a source with memory of one node only */
static void pool_make_one_node(struct pool_test *ctx, int nid)
{
	kunit_release_action(ctx->test, pool_destroy, ctx);
	ctx->mock.base.first = pfn_to_page(node_start_pfn(nid));
	ctx->mock.base.pool_max = SZ_1M;
	KUNIT_ASSERT_EQ(ctx->test, pool_create(ctx), 0);
}

/* If all memory is of one node, tasks on other nodes get it from the pool, too */
static void pool_of_one_node_serves_all_nodes(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	struct mock_backing *backing;
	int home = numa_node_id();
	int nid = pool_find_far_node(test);
	long before[2];

	before[0] = reclaimable_pages_of(home);
	before[1] = reclaimable_pages_of(nid);
	pool_make_one_node(ctx, home);
	backing = pool_get(ctx, 4);

	/* A task on the other node frees the backing, and allocates it again */
	set_cpus_allowed_ptr(current, cpumask_of_node(nid));
	pool_put_clean(ctx, backing);
	pool_expect_on_node(ctx, home, before[0], 4);
	pool_expect_on_node(ctx, nid, before[1], 0);
	KUNIT_EXPECT_EQ(test, dma_heap_pool_prefill(ctx->pool, PFN_PHYS(4), 1), 0);
	KUNIT_EXPECT_EQ(test, SEEN(ctx, calls), 1);
	KUNIT_EXPECT_PTR_EQ(test, pool_get(ctx, 4), backing);
	KUNIT_EXPECT_EQ(test, STAT(ctx, hits), 1);

	/* The same on the memory's own node */
	set_cpus_allowed_ptr(current, cpumask_of_node(home));
	pool_put_clean(ctx, backing);
	KUNIT_EXPECT_PTR_EQ(test, pool_get(ctx, 4), backing);
	pool_expect_on_node(ctx, home, before[0], 0);
}

const struct kunit_case pool_node_cases[] = {
	KUNIT_CASE(pool_hit_needs_own_node),
	KUNIT_CASE(pool_keeps_backing_for_node_of_its_memory),
	KUNIT_CASE(pool_keeps_no_backing_of_two_nodes),
	KUNIT_CASE(pool_shrink_spares_other_nodes),
	KUNIT_CASE(pool_of_one_node_serves_all_nodes),
	{}
};
