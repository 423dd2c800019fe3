/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LINUX_DMA_HEAP_PROTECT_H
#define _LINUX_DMA_HEAP_PROTECT_H

#include <linux/types.h>

/**
 * struct dma_heap_protect_ops - what the secure world does for protected heaps
 *
 * The heap protects a range when it needs protected memory, and unprotects it when the
 * pool gives the range back. In between the range has many buffers, and @scrub is called
 * between two of them. All operations are called in process context, without locks, and
 * may sleep. They may run at the same time for different ranges, of whole pages.
 */
struct dma_heap_protect_ops {
	/**
	 * @protect:
	 *
	 * Take @size bytes at @base away from CPU and devices of the normal
	 * world.
	 *
	 * Return: 0, or a negative errno; the range is unchanged then.
	 */
	int (*protect)(void *data, phys_addr_t base, size_t size);

	/**
	 * @unprotect:
	 *
	 * Give the range back to the normal world. All of it is scrubbed.
	 *
	 * Return: 0, or a negative errno; no buffer gets the range again then.
	 */
	int (*unprotect)(void *data, phys_addr_t base, size_t size);

	/**
	 * @scrub:
	 *
	 * Zero @size bytes at @base, a part of a protected range.
	 *
	 * Return: 0, or a negative errno; no buffer gets the range again then.
	 */
	int (*scrub)(void *data, phys_addr_t base, size_t size);
};

int dma_heap_set_protection(const struct dma_heap_protect_ops *ops, void *data);

#endif /* _LINUX_DMA_HEAP_PROTECT_H */
