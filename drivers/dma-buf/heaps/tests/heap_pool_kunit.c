// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit suite of the pool of DMA-BUF heaps
 *
 * The pool stands in front of a mock source that knows of every backing where
 * it is, and that can stop the scrubber in the middle of its work. So what is
 * dirty, what is clean and what the scrubber has in its hands is up to the
 * test. Where time matters the tests wait for what has to happen, and if the
 * machine was too slow to tell they try again.
 */

#include <linux/atomic.h>
#include <linux/cpumask.h>
#include <linux/err.h>
#include <linux/gfp.h>
#include <linux/highmem.h>
#include <linux/iopoll.h>
#include <linux/jiffies.h>
#include <linux/list.h>
#include <linux/lockdep.h>
#include <linux/log2.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/module.h>
#include <linux/nodemask.h>
#include <linux/percpu.h>
#include <linux/scatterlist.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/shrinker.h>
#include <linux/signal.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/topology.h>
#include <linux/vmstat.h>
#include <linux/wait.h>

#include <kunit/resource.h>
#include <kunit/test.h>

#include "../heap_backing.h"
#include "../heap_pool.h"
#include "heap_test_helpers.h"

/* How long to wait for what has to happen; shorter than the default decay */
#define PATIENCE_US	(20 * USEC_PER_SEC)

/* How often to try what a slow machine may spoil */
#define TRIES		10

/* What the pool promises */
#define DEBT		(HZ / 4)
#define DEBT_PAGES	PHYS_PFN(SZ_64K)
#define HURRY_PAGES	PHYS_PFN(SZ_64K)
#define PRESSURE	HZ

/* What users of a backing leave in it */
#define DIRT		0xa5

/* Not the size of anything else */
#define DECOY_PAGES	1

/**
 * struct mock_backing - a backing, known for longer than it lives
 * @base: what the pool knows
 * @mock: source it comes from
 * @in_mock: entry in one of its lists
 * @pages: its size
 * @live: not given back yet
 * @used: somebody has it
 * @dirty: somebody had it
 * @scrubbed: bytes scrubbed since it was last used
 * @cleaned: bytes of these whose cache lines were to be cleaned, too
 * @gone: that many were given back before and with it, 0 if it was not
 */
struct mock_backing {
	struct dma_heap_backing base;
	struct mock_source *mock;
	struct list_head in_mock;
	unsigned int pages;
	bool live;
	bool used;
	bool dirty;
	size_t scrubbed;
	size_t cleaned;
	unsigned int gone;
};

/**
 * struct mock_counts - what a mock source has seen
 * @calls: how often alloc was called
 * @freed: how many backings were given back
 * @allocated_pages: pages handed out
 * @freed_pages: pages taken back
 * @used_pages: pages of those somebody has
 * @by_scrubber: pages the scrubber scrubbed
 * @by_others: pages somebody else scrubbed
 * @policy: how the scrubber was scheduled when it scrubbed last
 * @errors: calls that should not have been
 */
struct mock_counts {
	unsigned int calls;
	unsigned int freed;
	unsigned long allocated_pages;
	unsigned long freed_pages;
	unsigned long used_pages;
	unsigned long by_scrubber;
	unsigned long by_others;
	unsigned int policy;
	unsigned int errors;
};

/**
 * struct mock_source - memory from the page allocator, with all known about it
 * @base: what the pool knows
 * @pool: the pool in front of it, as a source
 * @gate: where the scrubber waits
 * @hold: have the scrubber wait before the next chunk
 * @held: it does
 * @lock: protects all that follows
 * @ret: errno to fail with
 * @fail_at: which call, counted from 1, is to fail with -ENOMEM
 * @live: backings that were not given back yet
 * @gone: those that were
 * @counts: what was seen
 */
struct mock_source {
	struct dma_heap_source base;
	struct dma_heap_source *pool;
	wait_queue_head_t gate;
	bool hold;
	bool held;

	spinlock_t lock;	/* see above */
	int ret;
	unsigned int fail_at;
	struct list_head live;
	struct list_head gone;
	struct mock_counts counts;
};

static struct mock_source *to_mock_source(struct dma_heap_source *source)
{
	return container_of(source, struct mock_source, base);
}

static struct mock_backing *to_mock_backing(struct dma_heap_backing *backing)
{
	return container_of(backing, struct mock_backing, base);
}

/* The first chunk is half of it, the second one half of the rest... */
static unsigned int mock_chunk_order(unsigned int pages)
{
	return ilog2(DIV_ROUND_UP(pages, 2));
}

static unsigned int mock_count_chunks(unsigned int pages)
{
	unsigned int count = 0;

	for (; pages; pages -= 1 << mock_chunk_order(pages))
		count++;

	return count;
}

static int mock_alloc_pages(struct sg_table *sgt, unsigned int pages)
{
	struct scatterlist *sg;
	int i, ret;

	ret = sg_alloc_table(sgt, mock_count_chunks(pages), GFP_KERNEL);
	if (ret)
		return ret;

	for_each_sgtable_sg(sgt, sg, i) {
		unsigned int order = mock_chunk_order(pages);
		struct page *page;

		page = alloc_pages(GFP_KERNEL | __GFP_COMP | __GFP_ZERO, order);
		if (!page) {
			heap_test_free_pages(sgt);
			return -ENOMEM;
		}
		sg_set_page(sg, page, PAGE_SIZE << order, 0);
		pages -= 1 << order;
	}

	return 0;
}

static int mock_count_call(struct mock_source *mock)
{
	int ret;

	spin_lock(&mock->lock);
	ret = ++mock->counts.calls == mock->fail_at ? -ENOMEM : mock->ret;
	spin_unlock(&mock->lock);

	return ret;
}

static struct dma_heap_backing *mock_source_alloc(struct dma_heap_source *source,
						  size_t size)
{
	struct mock_source *mock = to_mock_source(source);
	struct mock_backing *backing;
	int ret;

	might_sleep();
	ret = mock_count_call(mock);
	if (ret)
		return ERR_PTR(ret);

	if (!size || !PAGE_ALIGNED(size))
		return ERR_PTR(-ERANGE);

	backing = kzalloc(sizeof(*backing), GFP_KERNEL);
	if (!backing)
		return ERR_PTR(-ENOMEM);

	ret = mock_alloc_pages(&backing->base.sgt, PHYS_PFN(size));
	if (ret) {
		kfree(backing);
		return ERR_PTR(ret);
	}

	backing->base.size = size;
	backing->base.cleaned = source->uncached;
	backing->mock = mock;
	backing->pages = PHYS_PFN(size);
	backing->live = true;

	spin_lock(&mock->lock);
	list_add(&backing->in_mock, &mock->live);
	mock->counts.allocated_pages += backing->pages;
	spin_unlock(&mock->lock);

	return &backing->base;
}

static bool mock_take_back(struct mock_source *mock,
			   struct mock_backing *backing)
{
	bool ours;

	spin_lock(&mock->lock);
	ours = backing->live && !backing->used;
	if (ours) {
		list_move(&backing->in_mock, &mock->gone);
		backing->live = false;
		backing->gone = ++mock->counts.freed;
		mock->counts.freed_pages += backing->pages;
	} else {
		mock->counts.errors++;
	}
	spin_unlock(&mock->lock);

	return ours;
}

/* The struct stays, to be known if it is given back twice */
static void mock_source_free(struct dma_heap_source *source,
			     struct dma_heap_backing *base)
{
	struct mock_source *mock = to_mock_source(source);
	struct mock_backing *backing = to_mock_backing(base);

	might_sleep();
	if (!mock_take_back(mock, backing))
		return;

	heap_test_free_pages(&base->sgt);
	memset(base, 0x6b, sizeof(*base));
}

static bool mock_has_chunk(struct mock_backing *backing, struct page *page,
			   size_t len)
{
	struct scatterlist *sg;
	int i;

	for_each_sgtable_sg(&backing->base.sgt, sg, i)
		if (sg_page(sg) == page)
			return sg->length == len;

	return false;
}

static bool mock_is_scrubber(void)
{
	return strstarts(current->comm, "dma_heap_scrub");
}

/* Whatever is scrubbed is a chunk of a backing that nobody uses */
static struct mock_backing *mock_find_chunk(struct mock_source *mock,
					    struct page *page, size_t len)
{
	struct mock_backing *backing;

	lockdep_assert_held(&mock->lock);

	list_for_each_entry(backing, &mock->live, in_mock)
		if (!backing->used && mock_has_chunk(backing, page, len))
			return backing;

	return NULL;
}

static void mock_count_scrub(struct mock_source *mock, struct page *page,
			     size_t len, bool clean)
{
	struct mock_backing *backing;

	spin_lock(&mock->lock);
	if (mock_is_scrubber()) {
		mock->counts.by_scrubber += PHYS_PFN(len);
		mock->counts.policy = current->policy;
	} else {
		mock->counts.by_others += PHYS_PFN(len);
	}

	backing = mock_find_chunk(mock, page, len);
	if (backing) {
		backing->scrubbed += len;
		backing->cleaned += clean ? len : 0;
	} else {
		mock->counts.errors++;
	}
	spin_unlock(&mock->lock);
}

static void mock_zero(struct page *page, size_t len)
{
	unsigned int i;

	for (i = 0; i < PHYS_PFN(len); i++)
		clear_highpage(page + i);
}

static void mock_source_scrub(struct dma_heap_source *source, struct page *page,
			      size_t len, bool clean)
{
	struct mock_source *mock = to_mock_source(source);

	might_sleep();
	if (mock_is_scrubber() && READ_ONCE(mock->hold)) {
		WRITE_ONCE(mock->held, true);
		wait_event(mock->gate, !READ_ONCE(mock->hold));
		WRITE_ONCE(mock->held, false);
	}
	mock_count_scrub(mock, page, len, clean);
	mock_zero(page, len);
}

static const struct dma_heap_source_ops mock_source_ops = {
	.alloc = mock_source_alloc,
	.free = mock_source_free,
	.scrub = mock_source_scrub,
};

static void mock_source_init(struct mock_source *mock)
{
	mock->base.ops = &mock_source_ops;
	init_waitqueue_head(&mock->gate);
	spin_lock_init(&mock->lock);
	INIT_LIST_HEAD(&mock->live);
	INIT_LIST_HEAD(&mock->gone);
}

/* The counters, while others may be at work */
static struct mock_counts mock_counts(struct mock_source *mock)
{
	struct mock_counts counts;

	spin_lock(&mock->lock);
	counts = mock->counts;
	spin_unlock(&mock->lock);

	return counts;
}

#define SEEN(ctx, name)	(mock_counts(&(ctx)->mock).name)

static unsigned int when_gone(struct mock_backing *backing)
{
	unsigned int gone;

	spin_lock(&backing->mock->lock);
	gone = backing->gone;
	spin_unlock(&backing->mock->lock);

	return gone;
}

static void mock_open_gate(struct mock_source *mock)
{
	WRITE_ONCE(mock->hold, false);
	wake_up(&mock->gate);
}

/* Its first byte is @value, and each is like the next one */
static bool page_holds(const u8 *vaddr, u8 value)
{
	return *vaddr == value && !memcmp(vaddr, vaddr + 1, PAGE_SIZE - 1);
}

/* Each page has @value in all its bytes */
static bool backing_holds(struct mock_backing *backing, u8 value)
{
	struct sg_page_iter piter;

	for_each_sgtable_page(&backing->base.sgt, &piter, 0) {
		void *vaddr = kmap_local_page(sg_page_iter_page(&piter));
		bool holds = page_holds(vaddr, value);

		kunmap_local(vaddr);
		if (!holds)
			return false;
	}

	return true;
}

static void backing_fill(struct mock_backing *backing, u8 value)
{
	struct sg_page_iter piter;

	for_each_sgtable_page(&backing->base.sgt, &piter, 0) {
		void *vaddr = kmap_local_page(sg_page_iter_page(&piter));

		memset(vaddr, value, PAGE_SIZE);
		kunmap_local(vaddr);
	}
}

static const char *backing_wrong(const struct mock_backing *backing)
{
	lockdep_assert_held(&backing->mock->lock);

	if (!backing->live)
		return "has been given back";
	if (backing->used)
		return "belongs to somebody else";
	if (backing->dirty && backing->scrubbed != backing->base.size)
		return "was not scrubbed once";
	if (backing->base.cleaned && !backing->mock->base.uncached &&
	    backing->cleaned != backing->base.size)
		return "is not cleaned as it claims";

	return NULL;
}

static const char *backing_mark_used(struct mock_backing *backing)
{
	struct mock_source *mock = backing->mock;
	const char *wrong;

	spin_lock(&mock->lock);
	wrong = backing_wrong(backing);
	if (!wrong) {
		backing->used = true;
		backing->dirty = true;
		backing->scrubbed = 0;
		backing->cleaned = 0;
		mock->counts.used_pages += backing->pages;
	}
	spin_unlock(&mock->lock);

	return wrong;
}

/* Begin to use what the pool gave. Returns what is wrong with it, or NULL */
static const char *backing_use(struct mock_backing *backing,
			       unsigned int pages, u8 value)
{
	const char *wrong = backing_mark_used(backing);

	if (wrong)
		return wrong;
	if (backing->pages != pages || backing->base.size != PFN_PHYS(pages))
		return "has another size";
	if (!backing_holds(backing, 0))
		return "is not zero";

	backing_fill(backing, value);

	return NULL;
}

/* Give back to the pool what was used */
static void backing_put(struct mock_backing *backing)
{
	struct mock_source *mock = backing->mock;

	spin_lock(&mock->lock);
	backing->used = false;
	mock->counts.used_pages -= backing->pages;
	spin_unlock(&mock->lock);

	mock->pool->ops->free(mock->pool, &backing->base);
}

KUNIT_DEFINE_ACTION_WRAPPER(backing_put_wrapper, backing_put,
			    struct mock_backing *);

/**
 * struct pool_test - what every test starts with
 * @test: the test
 * @mock: the mock source
 * @pool: a pool in front of it, NULL once it was destroyed
 * @reclaimable: NR_KERNEL_MISC_RECLAIMABLE before there was the pool
 */
struct pool_test {
	struct kunit *test;
	struct mock_source mock;
	struct dma_heap_pool *pool;
	long reclaimable;
};

/* NR_KERNEL_MISC_RECLAIMABLE, with what CPUs have not added to it yet */
static long reclaimable_pages(void)
{
	long pages = global_node_page_state(NR_KERNEL_MISC_RECLAIMABLE);
	int nid, cpu;

	for_each_online_node(nid) {
		struct per_cpu_nodestat __percpu *stats =
			NODE_DATA(nid)->per_cpu_nodestats;

		for_each_online_cpu(cpu) {
			s8 *diff = per_cpu_ptr(stats, cpu)->vm_node_stat_diff;

			pages += READ_ONCE(diff[NR_KERNEL_MISC_RECLAIMABLE]);
		}
	}

	return pages;
}

/* A CPU may be about to add; but then the number is there in the end */
static void expect_reclaimable(struct pool_test *ctx, long pages)
{
	long now;

	read_poll_timeout(reclaimable_pages, now,
			  now == ctx->reclaimable + pages, 1000,
			  PATIENCE_US / 10, false);
	KUNIT_EXPECT_EQ(ctx->test, now, ctx->reclaimable + pages);
}

static void pool_destroy(struct pool_test *ctx)
{
	mock_open_gate(&ctx->mock);
	dma_heap_pool_destroy(ctx->pool);
	ctx->pool = NULL;
}

KUNIT_DEFINE_ACTION_WRAPPER(pool_destroy_wrapper, pool_destroy,
			    struct pool_test *);

/* With the pool everything has gone */
static void pool_test_expect_nothing(void *data)
{
	struct mock_backing *backing, *next;
	struct pool_test *ctx = data;

	KUNIT_EXPECT_EQ(ctx->test, SEEN(ctx, errors), 0);
	KUNIT_EXPECT_EQ(ctx->test, SEEN(ctx, freed_pages),
			SEEN(ctx, allocated_pages));
	expect_reclaimable(ctx, 0);

	list_for_each_entry_safe(backing, next, &ctx->mock.gone, in_mock)
		kfree(backing);
}

static int pool_create(struct pool_test *ctx)
{
	ctx->pool = dma_heap_pool_create("kunit", &ctx->mock.base);
	if (IS_ERR(ctx->pool))
		return PTR_ERR(ctx->pool);

	ctx->mock.pool = dma_heap_pool_source(ctx->pool);

	return kunit_add_action_or_reset(ctx->test, pool_destroy_wrapper, ctx);
}

static int pool_test_init(struct kunit *test)
{
	struct pool_test *ctx;
	int ret;

	ctx = kunit_kzalloc(test, sizeof(*ctx), GFP_KERNEL);
	if (!ctx)
		return -ENOMEM;

	/* What is freed on a node is found there */
	set_cpus_allowed_ptr(current, cpumask_of_node(numa_node_id()));

	ctx->test = test;
	mock_source_init(&ctx->mock);
	ctx->reclaimable = reclaimable_pages();
	ret = kunit_add_action_or_reset(test, pool_test_expect_nothing, ctx);
	if (ret)
		return ret;

	ret = pool_create(ctx);
	if (ret)
		return ret;

	test->priv = ctx;

	return 0;
}

static struct dma_heap_pool_stats pool_stats(struct pool_test *ctx)
{
	struct dma_heap_pool_stats stats;

	dma_heap_pool_get_stats(ctx->pool, &stats);

	return stats;
}

#define STAT(ctx, name)	(pool_stats(ctx).name)

static unsigned long pool_pages(struct pool_test *ctx)
{
	struct dma_heap_pool_stats stats = pool_stats(ctx);

	return stats.clean_pages + stats.dirty_pages;
}

/* What the pool counted is what the source saw */
static bool pool_is_balanced(struct pool_test *ctx)
{
	struct dma_heap_pool_stats stats = pool_stats(ctx);
	struct mock_counts seen = mock_counts(&ctx->mock);
	unsigned long pages = stats.clean_pages + stats.dirty_pages;

	return seen.allocated_pages == seen.freed_pages + seen.used_pages + pages &&
	       seen.freed_pages == stats.evicted_pages + stats.decayed_pages +
				   stats.shrunk_pages &&
	       seen.by_scrubber == stats.scrubbed_pages &&
	       seen.by_others == stats.paid_pages;
}

static bool reclaimable_is_exact(struct pool_test *ctx)
{
	return reclaimable_pages() == ctx->reclaimable + pool_pages(ctx);
}

/* Whatever the test was about, nothing is lost and nothing counted twice */
static void pool_test_exit(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	bool balanced, exact;

	/* Who failed has told us, and may have left anything */
	if (!ctx || !ctx->pool || READ_ONCE(test->status) == KUNIT_FAILURE)
		return;

	mock_open_gate(&ctx->mock);
	read_poll_timeout(pool_is_balanced, balanced, balanced, 1000,
			  PATIENCE_US, false, ctx);
	KUNIT_EXPECT_TRUE(test, balanced);
	read_poll_timeout(reclaimable_is_exact, exact, exact, 1000,
			  PATIENCE_US / 10, false, ctx);
	KUNIT_EXPECT_TRUE(test, exact);
}

static struct dma_heap_backing *pool_try_get(struct pool_test *ctx,
					     unsigned int pages)
{
	struct dma_heap_source *source = ctx->mock.pool;

	return source->ops->alloc(source, PFN_PHYS(pages));
}

/* Allocate, check what is there, and make it dirty */
static struct mock_backing *pool_get(struct pool_test *ctx, unsigned int pages)
{
	struct dma_heap_backing *base = pool_try_get(ctx, pages);
	struct kunit *test = ctx->test;
	struct mock_backing *backing;
	const char *wrong;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, base);
	backing = to_mock_backing(base);
	wrong = backing_use(backing, pages, DIRT);
	if (wrong)
		KUNIT_FAIL_AND_ABORT(test, "backing of %u pages %s", pages,
				     wrong);
	KUNIT_ASSERT_EQ(test, kunit_add_action(test, backing_put_wrapper,
					       backing), 0);

	return backing;
}

static void pool_put(struct pool_test *ctx, struct mock_backing *backing)
{
	kunit_release_action(ctx->test, backing_put_wrapper, backing);
}

static bool pool_is_scrubbed(struct pool_test *ctx)
{
	return !STAT(ctx, dirty_pages) && pool_is_balanced(ctx);
}

/* Wait until all is clean that is in the pool, and all given back that is not */
static void pool_wait_scrubbed(struct pool_test *ctx)
{
	bool scrubbed;

	read_poll_timeout(pool_is_scrubbed, scrubbed, scrubbed, 1000,
			  PATIENCE_US, false, ctx);
	KUNIT_ASSERT_EQ(ctx->test, STAT(ctx, dirty_pages), 0);
	KUNIT_ASSERT_TRUE(ctx->test, scrubbed);
}

static void pool_wait_pages(struct pool_test *ctx, unsigned long expected)
{
	unsigned long pages;

	read_poll_timeout(pool_pages, pages,
			  pages == expected && pool_is_balanced(ctx), 1000,
			  PATIENCE_US, false, ctx);
	KUNIT_ASSERT_EQ(ctx->test, pages, expected);
	KUNIT_ASSERT_TRUE(ctx->test, pool_is_balanced(ctx));
}

static struct mock_backing *pool_put_clean(struct pool_test *ctx,
					   struct mock_backing *backing)
{
	pool_put(ctx, backing);
	pool_wait_scrubbed(ctx);

	return backing;
}

/*
 * Have the scrubber work on a backing of DECOY_PAGES that it does not get done,
 * so that all else stays as dirty as it is
 */
static void pool_hold_scrubber(struct pool_test *ctx)
{
	struct mock_backing *decoy = pool_get(ctx, DECOY_PAGES);
	bool held;

	WRITE_ONCE(ctx->mock.hold, true);
	pool_put(ctx, decoy);
	read_poll_timeout(READ_ONCE, held, held, 1000, PATIENCE_US, false,
			  ctx->mock.held);
	KUNIT_ASSERT_TRUE(ctx->test, held);
}

static void pool_release_scrubber(struct pool_test *ctx)
{
	mock_open_gate(&ctx->mock);
	pool_wait_scrubbed(ctx);
}

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

static void pool_test_create_faults(struct kunit *test)
{
	struct pool_test *ctx = test->priv;
	unsigned int n, failed = 0;
	struct dma_heap_pool *pool;
	bool taken;

	heap_test_faults_init(test);

	for (n = 1; n <= HEAP_TEST_MAX_FAULTS; n++) {
		heap_test_fault_arm(n);
		pool = dma_heap_pool_create("kunit-fault", &ctx->mock.base);
		taken = heap_test_fault_taken();

		if (IS_ERR(pool)) {
			KUNIT_ASSERT_TRUE(test, taken);
			KUNIT_EXPECT_PTR_EQ(test, pool, ERR_PTR(-ENOMEM));
			failed++;
		} else {
			dma_heap_pool_destroy(pool);
		}
		if (!taken)
			break;
	}
	KUNIT_EXPECT_LE(test, n, HEAP_TEST_MAX_FAULTS);
	/* The pool, the shrinker and the thread at least */
	KUNIT_EXPECT_GE(test, failed, 3);
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

	kunit_release_action(test, pool_destroy_wrapper, ctx);
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
	kunit_release_action(test, pool_destroy_wrapper, ctx);
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
	kunit_remove_action(test, pool_destroy_wrapper, ctx);
	heap_test_run_jobs(test, jobs, ARRAY_SIZE(jobs));
	ctx->pool = NULL;
	KUNIT_EXPECT_EQ(test, SEEN(ctx, freed), 1);
}

/* A pool that is being filled, and meant to be kept so */
static void pool_test_destroy_prefill(struct kunit *test)
{
	struct pool_test *ctx = test->priv;

	KUNIT_EXPECT_EQ(test, dma_heap_pool_prefill(ctx->pool, PFN_PHYS(4), 500), 0);
	kunit_release_action(test, pool_destroy_wrapper, ctx);
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
