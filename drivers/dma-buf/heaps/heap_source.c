// SPDX-License-Identifier: GPL-2.0
/*
 * DMA-BUF heaps: sources of memory, and how one becomes a heap
 *
 * A source and its pool are one to the exporter: it gets a backing from the pool,
 * or else from the source, and puts all backings into the pool.
 */

#include <linux/atomic.h>
#include <linux/bug.h>
#include <linux/device.h>
#include <linux/dma-heap.h>
#include <linux/dma-mapping.h>
#include <linux/err.h>
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "heap_pool.h"
#include "heap_pool_internal.h"
#include "heap_source.h"

/**
 * dma_heap_backing_alloc - make a backing that has no memory yet
 * @nr_chunks: how many chunks its table is to have room for, not zero
 *
 * The source is going to give it zeroed memory, so the backing says that it is zeroed.
 *
 * Context: Process context, may sleep.
 *
 * Return: The backing, or NULL if there is no memory for it.
 */
struct dma_heap_backing *dma_heap_backing_alloc(unsigned int nr_chunks)
{
	struct dma_heap_backing *backing;

	backing = kzalloc(sizeof(*backing), GFP_KERNEL);
	if (!backing)
		return NULL;

	backing->zeroed = true;
	if (sg_alloc_table(&backing->sgt, nr_chunks, GFP_KERNEL)) {
		kfree(backing);
		return NULL;
	}

	return backing;
}
EXPORT_SYMBOL_NS_GPL(dma_heap_backing_alloc, DMA_BUF_HEAP);

/**
 * dma_heap_backing_free - free a backing, but not its memory
 * @backing: the backing
 *
 * Context: Any.
 */
void dma_heap_backing_free(struct dma_heap_backing *backing)
{
	sg_free_table(&backing->sgt);
	kfree(backing);
}
EXPORT_SYMBOL_NS_GPL(dma_heap_backing_free, DMA_BUF_HEAP);

/**
 * dma_heap_memory_write_back - write back cache lines
 * @dev: device of the heap
 * @page: first of the pages, which the kernel has mapped or could
 * @len: bytes, whole pages
 * @uncached: invalidate the lines, too: from now on no mapping uses the cache
 *
 * The DMA API has no call for this but mapping for a device and unmapping again. A
 * device that may write makes it invalidate the lines.
 *
 * Context: Any.
 */
void dma_heap_memory_write_back(struct device *dev, struct page *page,
				size_t len, bool uncached)
{
	enum dma_data_direction dir = uncached ? DMA_BIDIRECTIONAL :
						 DMA_TO_DEVICE;
	dma_addr_t addr;

	addr = dma_map_page(dev, page, 0, len, dir);
	if (!WARN_ON_ONCE(dma_mapping_error(dev, addr)))
		dma_unmap_page(dev, addr, len, dir);
}
EXPORT_SYMBOL_NS_GPL(dma_heap_memory_write_back, DMA_BUF_HEAP);

/**
 * dma_heap_memory_zero - zero memory through the kernel's mapping
 * @page: first of the pages, which the kernel has mapped or could
 * @len: bytes, whole pages
 *
 * Context: Process context.
 */
void dma_heap_memory_zero(struct page *page, size_t len)
{
	size_t i;

	if (PageHighMem(page))
		for (i = 0; i < len >> PAGE_SHIFT; i++)
			clear_highpage(nth_page(page, i));
	else
		memset(page_address(page), 0, len);
}
EXPORT_SYMBOL_NS_GPL(dma_heap_memory_zero, DMA_BUF_HEAP);

/* Has the machine reported any page as broken? */
static bool any_page_is_poisoned(void)
{
	return IS_ENABLED(CONFIG_MEMORY_FAILURE) &&
	       unlikely(atomic_long_read(&num_poisoned_pages));
}

/**
 * dma_heap_memory_is_poisoned - has the machine reported one of these pages as broken?
 * @page: first of the pages
 * @len: bytes, whole pages
 *
 * Costs nothing until there is a broken page.
 *
 * Context: Any.
 *
 * Return: true if so. Nobody may get the page again, and memory_failure() cannot see to
 * that: it finds a page that is in use.
 */
bool dma_heap_memory_is_poisoned(struct page *page, size_t len)
{
	size_t i;

	if (!any_page_is_poisoned())
		return false;

	for (i = 0; i < len >> PAGE_SHIFT; i++)
		if (PageHWPoison(nth_page(page, i)))
			return true;

	return false;
}
EXPORT_SYMBOL_NS_GPL(dma_heap_memory_is_poisoned, DMA_BUF_HEAP);

static bool source_backing_is_poisoned(struct dma_heap_backing *backing)
{
	struct scatterlist *sg;
	int i;

	/* Not once for each chunk */
	if (!any_page_is_poisoned())
		return false;

	for_each_sgtable_sg(&backing->sgt, sg, i)
		if (dma_heap_memory_is_poisoned(sg_page(sg), sg->length))
			return true;

	return false;
}

/* Can caches be maintained by way of the device? */
static bool can_maintain(struct device *dev)
{
	return dma_sgtable_sync_kind_before(dev, NULL) == DMA_SYNC_CACHES;
}

/**
 * dma_heap_source_scrub - scrub memory of a source, see &dma_heap_source_ops.scrub
 * @source: the source
 * @page: first of the pages
 * @len: bytes, whole pages of one chunk
 * @write_back: also write back cache lines
 *
 * Context: Process context, no lock held. May sleep.
 *
 * Return: 0, or what the source gave.
 */
int dma_heap_source_scrub(struct dma_heap_source *source, struct page *page,
			  size_t len, bool write_back)
{
	if (source->ops->scrub)
		return source->ops->scrub(source, page, len, write_back);

	dma_heap_memory_zero(page, len);
	if (write_back || source->uncached)
		dma_heap_memory_write_back(source->dev, page, len,
					   source->uncached);

	return 0;
}

static u32 source_attrs(const struct dma_heap_source *source)
{
	return (source->uncached ? DMA_HEAP_UNCACHED : 0) |
	       (source->protected ? DMA_HEAP_PROTECTED : 0) |
	       (source->reserved ? DMA_HEAP_RESERVED : 0);
}

/* Give a source its pool; nobody sees its heap yet */
static int dma_heap_source_start(struct dma_heap_source *source,
				 struct dma_heap *heap)
{
	struct device *dev = dma_heap_get_dev(heap);
	struct dma_heap_pool *pool;
	int ret;

	if (source->uncached && !source->nomap && !can_maintain(dev))
		return -EOPNOTSUPP;

	source->heap = heap;
	source->dev = dev;
	pool = dma_heap_pool_create(dma_heap_get_name(heap), source);
	if (IS_ERR(pool))
		return PTR_ERR(pool);

	ret = source->ops->prepare ? source->ops->prepare(source) : 0;
	if (ret)
		dma_heap_pool_destroy(pool);

	return ret;
}

/**
 * dma_heap_source_register - make a heap of a source
 * @source: the source, with all set that comes before &dma_heap_source.pool
 * @exp_info: the heap; its private data is set to @source, and its attributes to what
 *	      @source says
 *
 * The first heap of a source gives it its pool. More heaps are other names of the
 * first one. A heap that is there cannot be taken away, nor can its source.
 *
 * Context: Process context, may sleep.
 *
 * Return: 0, -EOPNOTSUPP if the machine cannot have uncached memory, -ENOMEM, or
 * what @source or dma_heap_register() gave. On failure nothing has changed.
 */
int dma_heap_source_register(struct dma_heap_source *source,
			     struct dma_heap_export_info *exp_info)
{
	bool first = !source->pool;
	struct dma_heap *heap;
	int ret;

	exp_info->priv = source;
	exp_info->attrs |= source_attrs(source);
	exp_info->alias_of = source->heap;
	heap = dma_heap_create(exp_info);
	if (IS_ERR(heap))
		return PTR_ERR(heap);

	if (first) {
		ret = dma_heap_source_start(source, heap);
		if (ret)
			goto err_destroy_heap;
	}

	ret = dma_heap_register(heap);
	if (ret)
		goto err_destroy_pool;

	if (first)
		dma_heap_pool_add_debugfs(source->pool);

	return 0;

err_destroy_pool:
	/* Before the device, which the scrubber uses */
	if (first)
		dma_heap_pool_destroy(source->pool);
err_destroy_heap:
	if (first) {
		source->heap = NULL;
		source->dev = NULL;
	}
	dma_heap_destroy(heap);
	return ret;
}
EXPORT_SYMBOL_NS_GPL(dma_heap_source_register, DMA_BUF_HEAP);

/**
 * dma_heap_source_get - get a backing from a source or its pool
 * @source: the source
 * @size: bytes, a non-zero multiple of PAGE_SIZE
 *
 * Context: Process context, no lock held. May sleep.
 *
 * Return: A backing whose memory is zeroed, or an ERR_PTR(): -EINTR if a fatal signal
 * is pending, or what &dma_heap_source_ops.alloc gave.
 */
struct dma_heap_backing *dma_heap_source_get(struct dma_heap_source *source,
					     size_t size)
{
	struct dma_heap_backing *backing;

	if (!source->pool)
		return source->ops->alloc(source, size);

	backing = dma_heap_pool_get(source->pool, size);
	while (!IS_ERR_OR_NULL(backing) && source_backing_is_poisoned(backing)) {
		dma_heap_pool_discard(source->pool, backing);
		backing = dma_heap_pool_get(source->pool, size);
	}

	return backing ?: source->ops->alloc(source, size);
}
EXPORT_SYMBOL_NS_GPL(dma_heap_source_get, DMA_BUF_HEAP);

/**
 * dma_heap_source_put - give a backing back to the pool of a source, or to the source
 * @source: the source
 * @backing: what dma_heap_source_get() gave, or &dma_heap_source_ops.alloc
 *
 * Context: Process context, no lock held. May sleep.
 */
void dma_heap_source_put(struct dma_heap_source *source,
			 struct dma_heap_backing *backing)
{
	if (source->pool)
		dma_heap_pool_put(source->pool, backing);
	else
		source->ops->free(source, backing);
}
EXPORT_SYMBOL_NS_GPL(dma_heap_source_put, DMA_BUF_HEAP);
