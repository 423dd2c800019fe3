/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LINUX_DMA_HEAP_PROTECT_H
#define _LINUX_DMA_HEAP_PROTECT_H

#include <linux/types.h>

/**
 * struct dma_heap_protect_ops - what the secure world does for protected heaps
 *
 * A range is protected from when protected memory is first needed until the heap
 * takes it back; buffers come and go meanwhile, and @scrub comes between two of
 * them. All are called in process context, without locks, and may sleep; for
 * different ranges at the same time. Ranges are of whole pages.
 */
struct dma_heap_protect_ops {
	/**
	 * @protect:
	 *
	 * Take @size bytes at @base away from CPU and devices of the normal
	 * world.
	 *
	 * Return: 0, or an errno. The range is as it was before then.
	 */
	int (*protect)(void *data, phys_addr_t base, size_t size);

	/**
	 * @unprotect:
	 *
	 * Give the range back to the normal world, scrubbed as it is.
	 *
	 * Return: 0, or an errno. Nobody gets the range any more then.
	 */
	int (*unprotect)(void *data, phys_addr_t base, size_t size);

	/**
	 * @scrub:
	 *
	 * Zero @size bytes at @base, a part of a protected range.
	 *
	 * Return: 0, or an errno. Nobody gets the range any more then.
	 */
	int (*scrub)(void *data, phys_addr_t base, size_t size);
};

int dma_heap_set_protection(const struct dma_heap_protect_ops *ops, void *data);

#endif /* _LINUX_DMA_HEAP_PROTECT_H */
