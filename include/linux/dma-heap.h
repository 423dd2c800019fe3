/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LINUX_DMA_HEAP_H
#define _LINUX_DMA_HEAP_H

#include <linux/bits.h>
#include <linux/kconfig.h>
#include <linux/types.h>

struct attribute_group;
struct device;
struct dma_buf;
struct dma_heap;

/* Longest name of a heap, without the terminating NUL */
#define DMA_HEAP_NAME_MAX	63

/**
 * struct dma_heap_area - the range of memory that a heap takes from
 * @size: its bytes
 * @free: bytes that neither buffers nor the pool have
 * @largest_free: bytes of the largest free run, which need not be aligned
 */
struct dma_heap_area {
	u64 size;
	u64 free;
	u64 largest_free;
};

/**
 * struct dma_heap_ops - what a heap does
 */
struct dma_heap_ops {
	/**
	 * @allocate:
	 *
	 * Create a dma-buf of @len zeroed bytes. The core has checked all
	 * arguments: @len is a non-zero multiple of PAGE_SIZE, the flags are
	 * valid. The heap must not touch the dma-buf once it has returned it.
	 *
	 * Context: Process context of the allocating task, no lock held. May
	 * sleep, and should give up with -EINTR when a fatal signal is pending.
	 *
	 * Return: The dma-buf, or an ERR_PTR(): -ENOMEM if the heap has no
	 * such memory.
	 */
	struct dma_buf *(*allocate)(struct dma_heap *heap, unsigned long len,
				    u32 fd_flags, u64 heap_flags);

	/**
	 * @get_area:
	 *
	 * Optional, for a heap that takes from one range of memory. Fill in
	 * @area.
	 *
	 * Context: Process context.
	 */
	void (*get_area)(struct dma_heap *heap, struct dma_heap_area *area);
};

/* Clients choose a heap by these; the core charges its buffers by the last one */
#define DMA_HEAP_UNCACHED	BIT(0)	/* the CPU maps it past the caches */
#define DMA_HEAP_CONTIGUOUS	BIT(1)	/* every buffer is in one piece */
#define DMA_HEAP_PROTECTED	BIT(2)	/* the CPU cannot map it at all */
#define DMA_HEAP_RESERVED	BIT(3)	/* its memory is set aside for it */

/**
 * struct dma_heap_export_info - description of a heap to add
 * @name: name of the device node, copied by dma_heap_create()
 * @ops: operations of the heap; must stay around forever
 * @priv: for the heap's own use, see dma_heap_get_drvdata(); also the driver
 *	  data of the heap's device
 * @groups: attributes of the heap's device, or NULL; must stay around forever
 * @attrs: DMA_HEAP_UNCACHED and others that apply
 * @alignment: of the addresses of buffers, in bytes, or 0 for whole pages
 * @dma_bits: bits of the largest address that a buffer can have, or 0 if buffers can be
 *	      anywhere in the system's memory
 * @buffer_limit: bytes of the largest buffer to be allowed at first, or 0 for half of
 *	       the system's memory
 * @fallback: name of the heap that serves what this one cannot, copied; or NULL. It
 *	      never serves if the CPU maps its buffers in another way.
 * @alias_of: heap with the same memory, of which this is another name, or NULL. Limits
 *	      and account are those of the other heap, and @buffer_limit is not used.
 */
struct dma_heap_export_info {
	const char *name;
	const struct dma_heap_ops *ops;
	void *priv;
	const struct attribute_group **groups;
	u32 attrs;
	size_t alignment;
	unsigned int dma_bits;
	u64 buffer_limit;
	const char *fallback;
	struct dma_heap *alias_of;
};

struct dma_heap *dma_heap_create(const struct dma_heap_export_info *exp_info);
int dma_heap_register(struct dma_heap *heap);
void dma_heap_destroy(struct dma_heap *heap);
struct dma_heap *dma_heap_add(const struct dma_heap_export_info *exp_info);
void *dma_heap_get_drvdata(struct dma_heap *heap);
const char *dma_heap_get_name(struct dma_heap *heap);
struct device *dma_heap_get_dev(struct dma_heap *heap);

struct dma_heap *dma_heap_find(const char *name);
void dma_heap_put(struct dma_heap *heap);
struct dma_buf *dma_heap_buffer_alloc(struct dma_heap *heap, size_t len,
				      u32 fd_flags, u64 heap_flags);
void dma_heap_buffer_free(struct dma_buf *dmabuf);

#if IS_ENABLED(CONFIG_KUNIT)
void dma_heap_del(struct dma_heap *heap);
#endif

#endif /* _LINUX_DMA_HEAP_H */
