// SPDX-License-Identifier: GPL-2.0
/*
 * DMA-BUF heaps: the free page frames of a range that only a heap uses
 */

#include <linux/bitmap.h>
#include <linux/dma-heap.h>
#include <linux/genalloc.h>
#include <linux/minmax.h>
#include <linux/module.h>
#include <linux/numa.h>
#include <linux/pfn.h>

#include "heap_space.h"

/**
 * dma_heap_space_create - make a range all of which is free
 * @base: physical address of the range, of a page but not of page frame 0
 * @size: its bytes, whole pages
 *
 * Context: Process context, may sleep.
 *
 * Return: The free space, or NULL if there is no memory for it.
 */
struct gen_pool *dma_heap_space_create(phys_addr_t base, size_t size)
{
	struct gen_pool *space = gen_pool_create(0, NUMA_NO_NODE);

	if (!space)
		return NULL;

	if (gen_pool_add(space, PHYS_PFN(base), PHYS_PFN(size), NUMA_NO_NODE)) {
		gen_pool_destroy(space);
		return NULL;
	}

	return space;
}
EXPORT_SYMBOL_NS_GPL(dma_heap_space_create, DMA_BUF_HEAP);

/**
 * dma_heap_space_destroy - undo dma_heap_space_create()
 * @space: the free space
 *
 * genalloc wants all of it back. If some of it is lost, this does nothing.
 *
 * Context: Process context.
 */
void dma_heap_space_destroy(struct gen_pool *space)
{
	if (gen_pool_avail(space) == gen_pool_size(space))
		gen_pool_destroy(space);
}
EXPORT_SYMBOL_NS_GPL(dma_heap_space_destroy, DMA_BUF_HEAP);

/**
 * dma_heap_space_take - take page frames
 * @space: the free space
 * @size: bytes, whole pages
 * @alignment: of the address, in bytes, a power of two, at least PAGE_SIZE
 *
 * Context: Any.
 *
 * Return: The first page frame, or 0 if there is no room.
 */
unsigned long dma_heap_space_take(struct gen_pool *space, size_t size,
				  size_t alignment)
{
	struct genpool_data_align align = { .align = PHYS_PFN(alignment) };

	return gen_pool_alloc_algo(space, PHYS_PFN(size),
				   gen_pool_first_fit_align, &align);
}
EXPORT_SYMBOL_NS_GPL(dma_heap_space_take, DMA_BUF_HEAP);

/**
 * dma_heap_space_put - undo dma_heap_space_take()
 * @space: the free space
 * @pfn: the first page frame
 * @size: bytes that were taken
 *
 * Context: Any.
 */
void dma_heap_space_put(struct gen_pool *space, unsigned long pfn, size_t size)
{
	gen_pool_free(space, pfn, PHYS_PFN(size));
}
EXPORT_SYMBOL_NS_GPL(dma_heap_space_put, DMA_BUF_HEAP);

/**
 * dma_heap_space_avail - how much is free
 * @space: the free space
 *
 * Context: Any.
 *
 * Return: Bytes.
 */
size_t dma_heap_space_avail(struct gen_pool *space)
{
	return PFN_PHYS(gen_pool_avail(space));
}
EXPORT_SYMBOL_NS_GPL(dma_heap_space_avail, DMA_BUF_HEAP);

/* There is one chunk, the range */
static void space_find_largest(struct gen_pool *space,
			       struct gen_pool_chunk *chunk, void *data)
{
	unsigned long begin, end, largest = 0;

	for_each_clear_bitrange(begin, end, chunk->bits,
				chunk->end_addr - chunk->start_addr + 1)
		largest = max(largest, end - begin);
	*(unsigned long *)data = largest;
}

/**
 * dma_heap_space_get_area - &dma_heap_ops.get_area of a heap with such a range
 * @space: the free space
 * @area: to be filled in
 *
 * Context: Process context.
 */
void dma_heap_space_get_area(struct gen_pool *space, struct dma_heap_area *area)
{
	unsigned long largest = 0;

	gen_pool_for_each_chunk(space, space_find_largest, &largest);
	area->size = PFN_PHYS((u64)gen_pool_size(space));
	area->free = PFN_PHYS((u64)gen_pool_avail(space));
	area->largest_free = PFN_PHYS((u64)largest);
}
EXPORT_SYMBOL_NS_GPL(dma_heap_space_get_area, DMA_BUF_HEAP);

/* Without an exit function the module is permanent */
static int __init dma_heap_space_init(void)
{
	return 0;
}
module_init(dma_heap_space_init);

MODULE_DESCRIPTION("Free page frames of the DMA-BUF heaps");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS(DMA_BUF_HEAP);
