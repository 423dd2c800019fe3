/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The files of the core share these
 */
#ifndef _DMA_HEAP_INTERNAL_H
#define _DMA_HEAP_INTERNAL_H

#include <linux/atomic.h>
#include <linux/cdev.h>
#include <linux/device.h>
#include <linux/dma-heap.h>
#include <linux/dma-heap-record.h>
#include <linux/list.h>
#include <linux/spinlock.h>
#include <linux/types.h>

/**
 * struct dma_heap_usage - what the buffers of a heap take
 * @buffer_limit: buffer limit, in pages
 * @heap_limit: heap limit: pages of all buffers together
 * @pages: pages reserved, of buffers and of allocations that have begun
 * @buffer_pages: pages of buffers
 * @peak_pages: largest value of @buffer_pages
 * @buffers: number of buffers
 * @peak_buffers: largest value of @buffers
 * @failures: allocations that failed, by reason
 * @last_failure: bytes that the last of them wanted, whole pages, and its reason plus 1
 *		  in the low bits; 0 if there was none
 * @fallbacks: allocations that other heaps served
 *
 * dma_heap_buffers_lock protects @buffer_pages, @buffers and their peaks.
 */
struct dma_heap_usage {
	unsigned long buffer_limit;
	unsigned long heap_limit;
	atomic_long_t pages;
	unsigned long buffer_pages;
	unsigned long peak_pages;
	unsigned long buffers;
	unsigned long peak_buffers;
	atomic_long_t failures[DMA_HEAP_NR_FAILURES];
	unsigned long last_failure;
	atomic_long_t fallbacks;
};

/**
 * struct dma_heap - a heap user space and drivers can allocate from
 * @dev: the device; owns the name and the reference count
 * @cdev: the node below /dev/dma_heap/
 * @node: entry in heap_list, protected by heap_list_lock and RCU
 * @ops: operations of the heap
 * @attrs: DMA_HEAP_CONTIGUOUS and others
 * @alignment: of the addresses of its buffers, in bytes
 * @dma_bits: bits of the largest of these addresses, or 0 for all memory
 * @fallback: name of the heap that serves what this one cannot, or NULL
 * @alias_of: heap of which this is another name, or NULL
 * @usage: what its buffers take, and their limits; of @alias_of if there is one
 * @own_usage: where @usage points otherwise
 */
struct dma_heap {
	struct device dev;
	struct cdev cdev;
	struct list_head node;
	const struct dma_heap_ops *ops;
	u32 attrs;
	size_t alignment;
	unsigned int dma_bits;
	const char *fallback;
	struct dma_heap *alias_of;
	struct dma_heap_usage *usage;
	struct dma_heap_usage own_usage;
};

/**
 * struct dma_heap_promise - what holds for every buffer of a heap
 * @contiguous: it is in one piece
 * @alignment: of its addresses, in bytes
 * @dma_bits: its addresses have no more bits
 */
struct dma_heap_promise {
	bool contiguous;
	size_t alignment;
	unsigned int dma_bits;
};

static inline struct dma_heap *dev_to_heap(struct device *dev)
{
	return container_of(dev, struct dma_heap, dev);
}

/* dma-heap.c */
void dma_heap_get_promise(struct dma_heap *heap,
			  struct dma_heap_promise *promise);

/* dma-heap-charge.c: the lock protects the list, its sums, and who pays for a buffer */
extern spinlock_t dma_heap_buffers_lock;
extern struct list_head dma_heap_buffers;
extern u64 dma_heap_last_number;

void dma_heap_usage_init(struct dma_heap *heap, u64 buffer_limit);

/* dma-heap-debugfs.c */
void dma_heap_debugfs_init(void);

/* dma-heap-sysfs.c */
extern const struct attribute_group *dma_heap_dev_groups[];

#endif /* _DMA_HEAP_INTERNAL_H */
