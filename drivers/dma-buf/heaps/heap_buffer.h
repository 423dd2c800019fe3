/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _DMA_HEAP_BUFFER_H
#define _DMA_HEAP_BUFFER_H

#include <linux/types.h>

struct dma_buf;
struct dma_heap;

struct dma_buf *dma_heap_buffer_allocate(struct dma_heap *heap,
					 unsigned long len, u32 fd_flags,
					 u64 heap_flags);

#endif /* _DMA_HEAP_BUFFER_H */
