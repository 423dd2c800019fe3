// SPDX-License-Identifier: GPL-2.0
/*
 * A mock source, and a pool in front of it, for the KUnit suites of the pool
 */

#include <linux/cpumask.h>
#include <linux/err.h>
#include <linux/gfp.h>
#include <linux/highmem.h>
#include <linux/iopoll.h>
#include <linux/list.h>
#include <linux/lockdep.h>
#include <linux/log2.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/nodemask.h>
#include <linux/percpu.h>
#include <linux/pfn.h>
#include <linux/scatterlist.h>
#include <linux/sched.h>
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
#include "heap_test_source.h"

static struct mock_source *to_mock_source(struct dma_heap_source *source)
{
	return container_of(source, struct mock_source, base);
}

struct mock_backing *to_mock_backing(struct dma_heap_backing *backing)
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

/* A reserved source takes back what is zero, or what it will never give again */
static bool mock_may_take_back(const struct mock_backing *backing)
{
	if (!backing->live || backing->used)
		return false;

	return !backing->mock->base.reserved || !backing->base.scrubbed ||
	       backing->scrubbed == backing->base.size;
}

static bool mock_take_back(struct mock_source *mock,
			   struct mock_backing *backing)
{
	bool ours;

	spin_lock(&mock->lock);
	ours = mock_may_take_back(backing);
	if (ours) {
		mock->counts.in_vain +=
			PHYS_PFN(backing->scrubbed % backing->base.size);
		mock->counts.lost += mock->base.reserved &&
				     !backing->base.scrubbed;
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

static void mock_wait(struct mock_source *mock, bool *hold, bool *held)
{
	if (!READ_ONCE(*hold))
		return;

	WRITE_ONCE(*held, true);
	wait_event(mock->gate, !READ_ONCE(*hold));
	WRITE_ONCE(*held, false);
}

/* Its first byte is @value, and each is like the next one */
static bool page_holds(const u8 *vaddr, u8 value)
{
	return *vaddr == value && !memcmp(vaddr, vaddr + 1, PAGE_SIZE - 1);
}

/* Each page has @value in all its bytes */
bool backing_holds(struct mock_backing *backing, u8 value)
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

static void mock_error(struct mock_source *mock)
{
	spin_lock(&mock->lock);
	mock->counts.errors++;
	spin_unlock(&mock->lock);
}

/* The struct stays, to be known if it is given back twice */
static void mock_source_free(struct dma_heap_source *source,
			     struct dma_heap_backing *base)
{
	struct mock_source *mock = to_mock_source(source);
	struct mock_backing *backing = to_mock_backing(base);

	might_sleep();
	mock_wait(mock, &mock->hold_free, &mock->free_held);
	if (!mock_take_back(mock, backing))
		return;

	/* What it says must be true */
	if (source->reserved && base->scrubbed && !backing_holds(backing, 0))
		mock_error(mock);

	heap_test_free_pages(&base->sgt);
	memset(base, 0x6b, sizeof(*base));
}

/* Is that the chunk, if it is small, or a piece of it? */
static bool mock_is_piece(struct scatterlist *sg, struct page *page, size_t len)
{
	unsigned long pfn = page_to_pfn(sg_page(sg));
	size_t offset = PFN_PHYS(page_to_pfn(page) - pfn);

	return page_to_pfn(page) >= pfn && offset < sg->length &&
	       IS_ALIGNED(offset, PIECE) &&
	       len == min_t(size_t, sg->length - offset, PIECE);
}

static bool mock_has_piece(struct mock_backing *backing, struct page *page,
			   size_t len)
{
	struct scatterlist *sg;
	int i;

	for_each_sgtable_sg(&backing->base.sgt, sg, i)
		if (mock_is_piece(sg, page, len))
			return true;

	return false;
}

static bool mock_is_scrubber(void)
{
	return strstarts(current->comm, "dma_heap_scrub");
}

/* Whatever is scrubbed is of a backing that nobody uses */
static struct mock_backing *mock_find_piece(struct mock_source *mock,
					    struct page *page, size_t len)
{
	struct mock_backing *backing;

	lockdep_assert_held(&mock->lock);

	list_for_each_entry(backing, &mock->live, in_mock)
		if (!backing->used && mock_has_piece(backing, page, len))
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

	backing = mock_find_piece(mock, page, len);
	if (backing) {
		backing->scrubbed += len;
		backing->cleaned += clean ? len : 0;
	} else {
		mock->counts.errors++;
	}
	spin_unlock(&mock->lock);
}

static int mock_count_scrub_call(struct mock_source *mock)
{
	int ret;

	spin_lock(&mock->lock);
	ret = ++mock->counts.scrubs == mock->scrub_fail_at ? -EIO : 0;
	spin_unlock(&mock->lock);

	return ret;
}

static void mock_zero(struct page *page, size_t len)
{
	unsigned int i;

	for (i = 0; i < PHYS_PFN(len); i++)
		clear_highpage(page + i);
}

static int mock_source_scrub(struct dma_heap_source *source, struct page *page,
			     size_t len, bool clean)
{
	struct mock_source *mock = to_mock_source(source);
	int ret;

	might_sleep();
	if (mock_is_scrubber())
		mock_wait(mock, &mock->hold, &mock->held);
	else
		mock_wait(mock, &mock->hold_payer, &mock->payer_held);
	ret = mock_count_scrub_call(mock);
	if (ret)
		return ret;

	mock_count_scrub(mock, page, len, clean);
	mock_zero(page, len);

	return 0;
}

const struct dma_heap_source_ops mock_source_ops = {
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
struct mock_counts mock_counts(struct mock_source *mock)
{
	struct mock_counts counts;

	spin_lock(&mock->lock);
	counts = mock->counts;
	spin_unlock(&mock->lock);

	return counts;
}

unsigned int when_gone(struct mock_backing *backing)
{
	unsigned int gone;

	spin_lock(&backing->mock->lock);
	gone = backing->gone;
	spin_unlock(&backing->mock->lock);

	return gone;
}

void mock_open_gate(struct mock_source *mock)
{
	WRITE_ONCE(mock->hold, false);
	WRITE_ONCE(mock->hold_payer, false);
	WRITE_ONCE(mock->hold_free, false);
	wake_up(&mock->gate);
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
const char *backing_use(struct mock_backing *backing, unsigned int pages,
			u8 value)
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
void backing_put(struct mock_backing *backing)
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
/* NR_KERNEL_MISC_RECLAIMABLE of a node, with what CPUs have not added to it yet */
long reclaimable_pages_of(int nid)
{
	struct pglist_data *node = NODE_DATA(nid);
	long pages = atomic_long_read(&node->vm_stat[NR_KERNEL_MISC_RECLAIMABLE]);
	int cpu;

	for_each_online_cpu(cpu) {
		s8 *diff = per_cpu_ptr(node->per_cpu_nodestats,
				       cpu)->vm_node_stat_diff;

		pages += READ_ONCE(diff[NR_KERNEL_MISC_RECLAIMABLE]);
	}

	return pages;
}

long reclaimable_pages(void)
{
	long pages = 0;
	int nid;

	for_each_online_node(nid)
		pages += reclaimable_pages_of(nid);

	return pages;
}

/* A CPU may be about to add; but then the number is there in the end */
void expect_reclaimable(struct pool_test *ctx, long pages)
{
	long now;

	read_poll_timeout(reclaimable_pages, now,
			  now == ctx->reclaimable + pages, 1000,
			  PATIENCE_US / 10, false);
	KUNIT_EXPECT_EQ(ctx->test, now, ctx->reclaimable + pages);
}

/* An action, to be released or removed by who destroys the pool otherwise */
void pool_destroy(void *data)
{
	struct pool_test *ctx = data;

	mock_open_gate(&ctx->mock);
	dma_heap_pool_destroy(ctx->pool);
	ctx->pool = NULL;
}

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

int pool_create(struct pool_test *ctx)
{
	ctx->pool = dma_heap_pool_create("kunit", &ctx->mock.base);
	if (IS_ERR(ctx->pool))
		return PTR_ERR(ctx->pool);

	ctx->mock.pool = dma_heap_pool_source(ctx->pool);

	return kunit_add_action_or_reset(ctx->test, pool_destroy, ctx);
}

static int pool_test_start(struct kunit *test, bool reserved)
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
	ctx->mock.base.reserved = reserved;
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

int pool_test_init(struct kunit *test)
{
	return pool_test_start(test, false);
}

/* With a source whose memory is nobody else's */
int pool_test_init_reserved(struct kunit *test)
{
	return pool_test_start(test, true);
}

struct dma_heap_pool_stats pool_stats(struct pool_test *ctx)
{
	struct dma_heap_pool_stats stats;

	dma_heap_pool_get_stats(ctx->pool, &stats);

	return stats;
}

unsigned long pool_pages(struct pool_test *ctx)
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
				   stats.shrunk_pages + stats.leaked_pages &&
	       seen.by_scrubber >= stats.scrubbed_pages &&
	       seen.by_others >= stats.paid_pages &&
	       seen.by_scrubber + seen.by_others ==
	       stats.scrubbed_pages + stats.paid_pages + seen.in_vain;
}

static bool reclaimable_is_exact(struct pool_test *ctx)
{
	unsigned long pages = ctx->mock.base.reserved ? 0 : pool_pages(ctx);

	return reclaimable_pages() == ctx->reclaimable + pages;
}

/* Whatever the test was about, nothing is lost and nothing counted twice */
void pool_test_exit(struct kunit *test)
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

struct dma_heap_backing *pool_try_get(struct pool_test *ctx, unsigned int pages)
{
	struct dma_heap_source *source = ctx->mock.pool;

	return source->ops->alloc(source, PFN_PHYS(pages));
}

/* Allocate, check what is there, and make it dirty */
struct mock_backing *pool_get(struct pool_test *ctx, unsigned int pages)
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

void pool_put(struct pool_test *ctx, struct mock_backing *backing)
{
	kunit_release_action(ctx->test, backing_put_wrapper, backing);
}

static bool pool_is_scrubbed(struct pool_test *ctx)
{
	return !STAT(ctx, dirty_pages) && pool_is_balanced(ctx);
}

/* Wait until all is clean that is in the pool, and all given back that is not */
void pool_wait_scrubbed(struct pool_test *ctx)
{
	bool scrubbed;

	read_poll_timeout(pool_is_scrubbed, scrubbed, scrubbed, 1000,
			  PATIENCE_US, false, ctx);
	KUNIT_ASSERT_EQ(ctx->test, STAT(ctx, dirty_pages), 0);
	KUNIT_ASSERT_TRUE(ctx->test, scrubbed);
}

void pool_wait_pages(struct pool_test *ctx, unsigned long expected)
{
	unsigned long pages;

	read_poll_timeout(pool_pages, pages,
			  pages == expected && pool_is_balanced(ctx), 1000,
			  PATIENCE_US, false, ctx);
	KUNIT_ASSERT_EQ(ctx->test, pages, expected);
	KUNIT_ASSERT_TRUE(ctx->test, pool_is_balanced(ctx));
}

struct mock_backing *pool_put_clean(struct pool_test *ctx,
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
void pool_hold_scrubber(struct pool_test *ctx)
{
	struct mock_backing *decoy = pool_get(ctx, DECOY_PAGES);
	bool held;

	WRITE_ONCE(ctx->mock.hold, true);
	pool_put(ctx, decoy);
	read_poll_timeout(READ_ONCE, held, held, 1000, PATIENCE_US, false,
			  ctx->mock.held);
	KUNIT_ASSERT_TRUE(ctx->test, held);
}

void pool_release_scrubber(struct pool_test *ctx)
{
	mock_open_gate(&ctx->mock);
	pool_wait_scrubbed(ctx);
}
