/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The memory behind a buffer, and where it comes from
 *
 * Exporter, pool and sources meet here: a source hands out backings and takes
 * them back, a pool is a source that keeps those of another one for the next
 * buffer, the exporter makes buffers of them, and none knows the others.
 * What most sources do alike is in heap_backing.c.
 */
#ifndef _DMA_HEAP_BACKING_H
#define _DMA_HEAP_BACKING_H

#include <linux/atomic.h>
#include <linux/dma-heap-account.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/scatterlist.h>
#include <linux/types.h>

struct device;
struct dma_heap_pool_bin;
struct dma_heap_source;

/**
 * struct dma_heap_buffer - what the exporter knows of a buffer
 * @account: what it takes, and who pays
 * @source: where the backing goes on release
 * @dev: device of the heap, for the maintenance of caches
 * @mmaps: mappings for user space there are
 * @lock: protects all that follows
 * @attachments: list of &struct dma_heap_attachment
 * @importers: how many these are
 * @vaddr: kernel address of the buffer, NULL while it has none
 * @dirty: lines of the CPU's caches may be newer than memory
 * @stale: lines of the CPU's caches may be older than memory
 * @writers: accesses by the CPU that write, begun and not ended
 * @maintained: bytes that have been written back or dropped, for tracing
 *
 * The last four are not used if the source is uncached.
 */
struct dma_heap_buffer {
	struct dma_heap_account account;
	struct dma_heap_source *source;
	struct device *dev;
	atomic_t mmaps;
	/* Nests inside dma_buf.resv and the mmap lock */
	struct mutex lock;
	struct list_head attachments;
	unsigned int importers;
	void *vaddr;
	bool dirty;
	bool stale;
	unsigned int writers;
	u64 maintained;
};

/**
 * struct dma_heap_backing - memory of one buffer
 * @sgt: the chunks of memory, each physically contiguous, page aligned, of
 *	 whole pages and with a struct page; never mapped for DMA itself
 * @size: bytes in all chunks together
 * @cleaned: no cache line of it is dirty when a buffer gets it
 * @noncoherent: a device that does not see the CPU's caches has used it, and
 *		 others like that may follow: it is to be cleaned when it is
 *		 scrubbed
 * @blocks: the exporter's: bytes from the beginning that user space can be given
 *	    in blocks of PMD_SIZE, 0 if none or not known yet
 * @buffer: the exporter's: the buffer that has this memory. It is here, so that
 *	    a backing that is used again needs nothing allocated.
 * @scrubbed: the pool's: zero; a reserved source looks, too
 * @bin: the pool's: where backings of this size and node are, NULL if the
 *	 backing is not to be kept
 * @in_bin: the pool's: entry among them
 * @in_pool: the pool's: entry in order of age
 * @freed: the pool's: when the last buffer made of it went, in jiffies
 */
struct dma_heap_backing {
	struct sg_table sgt;
	size_t size;
	bool cleaned;
	bool noncoherent;

	size_t blocks;
	struct dma_heap_buffer buffer;

	bool scrubbed;
	struct dma_heap_pool_bin *bin;
	struct list_head in_bin;
	struct list_head in_pool;
	unsigned long freed;
};

/**
 * struct dma_heap_source_ops - how to get memory from a source
 */
struct dma_heap_source_ops {
	/**
	 * @alloc:
	 *
	 * Get a zeroed backing of @size bytes, a non-zero multiple of
	 * PAGE_SIZE. If the source is uncached, no cache line of it is left.
	 * What the exporter and a pool keep in it is zero, too.
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
	 * reference, or of whoever reclaims memory. May sleep, but must neither
	 * allocate memory nor wait for anybody who could be about to drop a
	 * reference of a file.
	 *
	 * To a reserved source, one that is not scrubbed is one that could not
	 * be: nobody may ever get its memory again.
	 */
	void (*free)(struct dma_heap_source *source,
		     struct dma_heap_backing *backing);

	/**
	 * @scrub:
	 *
	 * Zero @len bytes at @page, a chunk of a backing of this source. If
	 * @clean or if the source is uncached, write back the cache lines they
	 * are in, too, and drop them if the source is uncached. Only for
	 * sources with a pool in front of them.
	 *
	 * Context: Process context, no lock held. May sleep. Unless the source
	 * is reserved it must not allocate memory: it may have to be short
	 * before anybody gets some.
	 *
	 * Return: 0. A reserved source may fail, the memory is lost then.
	 */
	int (*scrub)(struct dma_heap_source *source, struct page *page,
		     size_t len, bool clean);
};

/**
 * struct dma_heap_source - somewhere backings come from
 * @ops: how to get and give back memory
 * @uncached: all mappings of the memory bypass the cache (write-combined), so
 *	      that it never needs maintenance while a buffer has it
 * @reserved: the memory has been set aside for this source, and all it has to
 *	      give is zero: reclaim gains nothing from what is pooled, and only
 *	      what is scrubbed comes back
 *
 * To be embedded. A source may stand in front of another one, as a pool does.
 */
struct dma_heap_source {
	const struct dma_heap_source_ops *ops;
	bool uncached;
	bool reserved;
};

struct dma_heap_backing *dma_heap_backing_alloc(unsigned int nr_chunks);
void dma_heap_backing_free(struct dma_heap_backing *backing);
bool dma_heap_memory_can_clean(struct device *dev);
void dma_heap_memory_clean(struct device *dev, struct page *page, size_t len,
			   bool uncached);
void dma_heap_memory_zero(struct page *page, size_t len);

#endif /* _DMA_HEAP_BACKING_H */
