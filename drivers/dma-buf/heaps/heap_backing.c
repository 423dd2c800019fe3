// SPDX-License-Identifier: GPL-2.0
/*
 * What the sources of the DMA-BUF heaps have in common
 */

#include <linux/bug.h>
#include <linux/device.h>
#include <linux/dma-mapping.h>
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "heap_backing.h"

/**
 * dma_heap_backing_alloc - make a backing that has no memory yet
 * @nr_chunks: how many chunks its table is to have room for, not zero
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
 * dma_heap_memory_can_clean - can caches be maintained by way of a device?
 * @dev: device of a heap
 *
 * Where they cannot, there must be no uncached buffers.
 *
 * Context: Any.
 *
 * Return: Whether dma_heap_memory_clean() works.
 */
bool dma_heap_memory_can_clean(struct device *dev)
{
	return dma_sgtable_sync_kind_before(dev, NULL) == DMA_SYNC_CACHES;
}
EXPORT_SYMBOL_NS_GPL(dma_heap_memory_can_clean, DMA_BUF_HEAP);

/**
 * dma_heap_memory_clean - write back cache lines
 * @dev: device of the heap
 * @page: first of the pages, which the kernel has mapped or could
 * @len: bytes, whole pages
 * @uncached: drop the lines, too: from now on nobody is to use the cache
 *
 * To map for a device and unmap again is what the DMA API has for that; a device
 * that may write makes it drop the lines.
 *
 * Context: Any.
 */
void dma_heap_memory_clean(struct device *dev, struct page *page, size_t len,
			   bool uncached)
{
	enum dma_data_direction dir = uncached ? DMA_BIDIRECTIONAL :
						 DMA_TO_DEVICE;
	dma_addr_t addr;

	addr = dma_map_page(dev, page, 0, len, dir);
	if (!WARN_ON_ONCE(dma_mapping_error(dev, addr)))
		dma_unmap_page(dev, addr, len, dir);
}
EXPORT_SYMBOL_NS_GPL(dma_heap_memory_clean, DMA_BUF_HEAP);

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
