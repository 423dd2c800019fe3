/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The memory behind a buffer, and where it comes from
 *
 * Exporter and sources meet here: a source hands out backings and takes them
 * back, the exporter makes buffers of them, and neither knows the other.
 */
#ifndef _DMA_HEAP_BACKING_H
#define _DMA_HEAP_BACKING_H

#include <linux/scatterlist.h>
#include <linux/types.h>

struct dma_heap_source;

/**
 * struct dma_heap_backing - memory of one buffer
 * @sgt: the chunks of memory, each physically contiguous, page aligned, of
 *	 whole pages and with a struct page; never mapped for DMA itself
 * @size: bytes in all chunks together
 */
struct dma_heap_backing {
	struct sg_table sgt;
	size_t size;
};

/**
 * struct dma_heap_source_ops - how to get memory from a source
 */
struct dma_heap_source_ops {
	/**
	 * @alloc:
	 *
	 * Get a zeroed backing of @size bytes, a non-zero multiple of
	 * PAGE_SIZE.
	 *
	 * Context: Process context, no lock held. May sleep.
	 *
	 * Return: The backing, or an ERR_PTR(): -ENOMEM, or -EINTR when a fatal
	 * signal is pending.
	 */
	struct dma_heap_backing *(*alloc)(struct dma_heap_source *source,
					  size_t size);

	/**
	 * @free:
	 *
	 * Take back a backing, whatever it contains by now.
	 *
	 * Context: Process context of whoever dropped the buffer's last
	 * reference. May sleep, but must not wait for anybody who could be
	 * about to drop a reference of a file.
	 */
	void (*free)(struct dma_heap_source *source,
		     struct dma_heap_backing *backing);
};

/**
 * struct dma_heap_source - somewhere backings come from
 * @ops: how to get and give back memory
 *
 * To be embedded. A source may stand in front of another one, as a pool does.
 */
struct dma_heap_source {
	const struct dma_heap_source_ops *ops;
};

#endif /* _DMA_HEAP_BACKING_H */
