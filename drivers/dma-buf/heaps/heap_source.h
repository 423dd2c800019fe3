/* SPDX-License-Identifier: GPL-2.0 */
/* Between the exporter and the pool */
#ifndef _DMA_HEAP_SOURCE_H
#define _DMA_HEAP_SOURCE_H

#include <linux/dma-heap-source.h>

struct dma_heap_backing *dma_heap_source_get(struct dma_heap_source *source,
					     size_t size);
void dma_heap_source_put(struct dma_heap_source *source,
			 struct dma_heap_backing *backing);

#endif /* _DMA_HEAP_SOURCE_H */
