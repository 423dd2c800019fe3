/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _DMA_HEAP_BUFFER_H
#define _DMA_HEAP_BUFFER_H

#include <linux/dma-buf.h>
#include <linux/dma-direction.h>
#include <linux/types.h>

struct dma_heap;
struct dma_heap_source;
struct iosys_map;
struct sg_table;
struct vm_area_struct;

struct dma_buf *dma_heap_buffer_export(struct dma_heap *heap,
				       struct dma_heap_source *source,
				       const struct dma_buf_ops *ops,
				       size_t size, u32 fd_flags);
struct dma_buf *dma_heap_buffer_allocate(struct dma_heap *heap,
					 unsigned long len, u32 fd_flags,
					 u64 heap_flags);

extern const struct dma_buf_ops dma_heap_buffer_ops;

/* What it consists of, for heaps that need a table of their own */
int dma_heap_buffer_attach(struct dma_buf *dmabuf,
			   struct dma_buf_attachment *attachment);
void dma_heap_buffer_detach(struct dma_buf *dmabuf,
			    struct dma_buf_attachment *attachment);
struct sg_table *dma_heap_buffer_map(struct dma_buf_attachment *attachment,
				     enum dma_data_direction dir);
void dma_heap_buffer_unmap(struct dma_buf_attachment *attachment,
			   struct sg_table *sgt, enum dma_data_direction dir);
int dma_heap_buffer_begin_cpu_access(struct dma_buf *dmabuf,
				     enum dma_data_direction dir);
int dma_heap_buffer_end_cpu_access(struct dma_buf *dmabuf,
				   enum dma_data_direction dir);
int dma_heap_buffer_begin_cpu_access_partial(struct dma_buf *dmabuf,
					     enum dma_data_direction dir,
					     u64 offset, u64 len);
int dma_heap_buffer_end_cpu_access_partial(struct dma_buf *dmabuf,
					   enum dma_data_direction dir,
					   u64 offset, u64 len);
int dma_heap_buffer_mmap(struct dma_buf *dmabuf, struct vm_area_struct *vma);
int dma_heap_buffer_vmap(struct dma_buf *dmabuf, struct iosys_map *map);
void dma_heap_buffer_vunmap(struct dma_buf *dmabuf, struct iosys_map *map);
int dma_heap_buffer_charge(struct dma_buf *dmabuf);
void dma_heap_buffer_release(struct dma_buf *dmabuf);

#endif /* _DMA_HEAP_BUFFER_H */
