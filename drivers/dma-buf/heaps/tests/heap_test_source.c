// SPDX-License-Identifier: GPL-2.0
/*
 * A mock source for the KUnit suites of the pool
 */

#include <linux/err.h>
#include <linux/gfp.h>
#include <linux/highmem.h>
#include <linux/kthread.h>
#include <linux/list.h>
#include <linux/lockdep.h>
#include <linux/log2.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/numa.h>
#include <linux/pfn.h>
#include <linux/scatterlist.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/wait.h>

#include "../heap_source.h"
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

/* The first chunk is half of the backing, the second one half of the rest, and so on */
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

static int mock_alloc_pages(struct sg_table *sgt, unsigned int pages,
			    int last_nid)
{
	struct scatterlist *sg;
	int i, ret;

	ret = sg_alloc_table(sgt, mock_count_chunks(pages), GFP_KERNEL);
	if (ret)
		return ret;

	for_each_sgtable_sg(sgt, sg, i) {
		unsigned int order = mock_chunk_order(pages);
		int nid = sg_is_last(sg) ? last_nid : NUMA_NO_NODE;
		struct page *page;

		page = alloc_pages_node(nid, GFP_KERNEL | __GFP_COMP | __GFP_ZERO,
					order);
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

	ret = mock_alloc_pages(&backing->base.sgt, PHYS_PFN(size), mock->last_nid);
	if (ret) {
		kfree(backing);
		return ERR_PTR(ret);
	}

	backing->base.size = size;
	backing->base.zeroed = true;
	backing->base.written_back = source->uncached;
	backing->mock = mock;
	backing->pages = PHYS_PFN(size);
	backing->live = true;

	spin_lock(&mock->lock);
	list_add(&backing->in_mock, &mock->live);
	mock->counts.allocated_pages += backing->pages;
	spin_unlock(&mock->lock);

	return &backing->base;
}

/* A reserved source takes back zeroed memory, or memory that it never hands out again */
static bool mock_may_take_back(const struct mock_backing *backing)
{
	if (!backing->live || backing->used)
		return false;

	return !backing->mock->base.reserved || !backing->base.zeroed ||
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
				     !backing->base.zeroed;
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

/* kthread_stop() wakes the scrubber here, too */
static bool mock_scrubber_may_go_on(struct mock_source *mock)
{
	return !READ_ONCE(mock->hold) ||
	       (READ_ONCE(mock->stop_opens) && kthread_should_stop());
}

static void mock_hold_scrubber(struct mock_source *mock)
{
	WRITE_ONCE(mock->scrubber, current);
	if (!READ_ONCE(mock->hold))
		return;

	WRITE_ONCE(mock->held, true);
	wait_event(mock->gate, mock_scrubber_may_go_on(mock));
	WRITE_ONCE(mock->held, false);
}

/* The first byte is @value, and each byte equals the next one */
static bool page_holds(const u8 *vaddr, u8 value)
{
	return *vaddr == value && !memcmp(vaddr, vaddr + 1, PAGE_SIZE - 1);
}

/* Does each byte of the backing have @value? */
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

/* The struct stays, so that the mock source detects a second free */
static int mock_source_free(struct dma_heap_source *source,
			    struct dma_heap_backing *base)
{
	struct mock_source *mock = to_mock_source(source);
	struct mock_backing *backing = to_mock_backing(base);

	might_sleep();
	mock_wait(mock, &mock->hold_free, &mock->free_held);
	if (!mock_take_back(mock, backing))
		return 0;

	/* A backing that is marked zeroed must be zeroed */
	if (source->reserved && base->zeroed && !backing_holds(backing, 0))
		mock_error(mock);

	heap_test_free_pages(&base->sgt);
	memset(base, 0x6b, sizeof(*base));

	return 0;
}

/* Is @page with @len a piece of the chunk, or all of a small chunk? */
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

/* The pool may scrub only a backing that no test uses */
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
			     size_t len, bool write_back)
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
		backing->written_back += write_back ? len : 0;
	} else {
		mock->counts.errors++;
	}
	spin_unlock(&mock->lock);
}

static int mock_count_scrub_call(struct mock_source *mock)
{
	int ret;

	spin_lock(&mock->lock);
	ret = ++mock->counts.scrubs == mock->scrub_fail_at ?
	      mock->scrub_error ?: -EIO : 0;
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
			     size_t len, bool write_back)
{
	struct mock_source *mock = to_mock_source(source);
	int ret;

	might_sleep();
	if (mock_is_scrubber())
		mock_hold_scrubber(mock);
	else
		mock_wait(mock, &mock->hold_payer, &mock->payer_held);
	ret = mock_count_scrub_call(mock);
	if (ret)
		return ret;

	mock_count_scrub(mock, page, len, write_back);
	mock_zero(page, len);

	return 0;
}

const struct dma_heap_source_ops mock_source_ops = {
	.alloc = mock_source_alloc,
	.free = mock_source_free,
	.scrub = mock_source_scrub,
};

void mock_source_init(struct mock_source *mock)
{
	mock->base.ops = &mock_source_ops;
	init_waitqueue_head(&mock->gate);
	spin_lock_init(&mock->lock);
	INIT_LIST_HEAD(&mock->live);
	INIT_LIST_HEAD(&mock->gone);
	mock->last_nid = NUMA_NO_NODE;
}

/* Read the counters while other tasks may change them */
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

/* Open the gate for the scrubber only */
void mock_open_scrubber_gate(struct mock_source *mock)
{
	WRITE_ONCE(mock->hold, false);
	wake_up(&mock->gate);
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
	if (backing->base.written_back && !backing->mock->base.uncached &&
	    backing->written_back != backing->base.size)
		return "is not written back as it claims";

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
		backing->written_back = 0;
		mock->counts.used_pages += backing->pages;
	}
	spin_unlock(&mock->lock);

	return wrong;
}

/* Begin to use a backing of the pool. Returns the text of an error, or NULL */
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

	backing->base.zeroed = false;
	backing_fill(backing, value);

	return NULL;
}

/* Give a used backing back to the pool */
void backing_put(struct mock_backing *backing)
{
	struct mock_source *mock = backing->mock;

	spin_lock(&mock->lock);
	backing->used = false;
	mock->counts.used_pages -= backing->pages;
	spin_unlock(&mock->lock);

	dma_heap_source_put(&mock->base, &backing->base);
}
