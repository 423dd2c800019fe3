/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The files of the exporter share these
 */
#ifndef _DMA_HEAP_BUFFER_INTERNAL_H
#define _DMA_HEAP_BUFFER_INTERNAL_H

#include <linux/container_of.h>
#include <linux/dma-mapping.h>
#include <linux/list.h>
#include <linux/scatterlist.h>
#include <linux/types.h>

#include "heap_source.h"

struct device;
struct dma_buf;
struct iosys_map;
struct vm_area_struct;

/**
 * struct dma_heap_attachment - a device attached to a buffer
 * @node: entry in the buffer's list
 * @dev: the device
 * @sgt: the chunks of the backing, in pieces if the device cannot map them as a whole
 * @mapcount: mappings in use; @sgt is mapped once for all of them
 * @dir: direction of the mapping of @sgt, which covers those asked for; valid while
 *	 @mapcount is not zero
 * @kind: what makes the device and the CPU see the same; valid while @mapcount is not
 *	  zero. DMA_SYNC_CACHES only if the heap's device can maintain them.
 */
struct dma_heap_attachment {
	struct list_head node;
	struct device *dev;
	struct sg_table sgt;
	unsigned int mapcount;
	enum dma_data_direction dir;
	enum dma_sync_kind kind;
};

static inline struct dma_heap_backing *
to_backing(struct dma_heap_buffer *buffer)
{
	return container_of(buffer, struct dma_heap_backing, buffer);
}

/* From now on somebody may write to the memory, at any time: it has to be scrubbed */
static inline void dma_heap_buffer_expose(struct dma_heap_buffer *buffer)
{
	WRITE_ONCE(to_backing(buffer)->zeroed, false);
}

/* heap_buffer_mmap.c */
int dma_heap_buffer_mmap(struct dma_buf *dmabuf, struct vm_area_struct *vma);
int dma_heap_buffer_vmap(struct dma_buf *dmabuf, struct iosys_map *map);
void dma_heap_buffer_vunmap(struct dma_buf *dmabuf, struct iosys_map *map);

/* heap_buffer_cache.c */
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
size_t dma_heap_device_access_begins(struct dma_buf *dmabuf,
				     struct dma_heap_attachment *a);
size_t dma_heap_device_access_ends(struct dma_buf *dmabuf,
				   struct dma_heap_attachment *a);
void dma_heap_user_map_begins(struct dma_buf *dmabuf);
void dma_heap_kernel_map_begins(struct dma_buf *dmabuf);
void dma_heap_kernel_map_ends(struct dma_buf *dmabuf);

#endif /* _DMA_HEAP_BUFFER_INTERNAL_H */
