/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _DMA_HEAP_SPACE_H
#define _DMA_HEAP_SPACE_H

#include <linux/types.h>

struct dma_heap_area;
struct gen_pool;

struct gen_pool *dma_heap_space_create(phys_addr_t base, size_t size);
void dma_heap_space_destroy(struct gen_pool *space);
unsigned long dma_heap_space_take(struct gen_pool *space, size_t size,
				  size_t alignment);
void dma_heap_space_put(struct gen_pool *space, unsigned long pfn, size_t size);
size_t dma_heap_space_avail(struct gen_pool *space);
void dma_heap_space_get_area(struct gen_pool *space,
			     struct dma_heap_area *area);

#endif /* _DMA_HEAP_SPACE_H */
