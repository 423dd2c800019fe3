/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The memory behind a buffer, and where it comes from
 *
 * A source hands out backings and takes them back. Its pool keeps backings for the
 * next buffer. The exporter makes a buffer of a backing. A heap brings its source
 * along and registers it. A driver needs no other header for a heap of its own than
 * this one and linux/dma-heap.h.
 */
#ifndef _LINUX_DMA_HEAP_SOURCE_H
#define _LINUX_DMA_HEAP_SOURCE_H

#include <linux/atomic.h>
#include <linux/dma-heap-record.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/scatterlist.h>
#include <linux/types.h>

struct attribute_group;
struct device;
struct dma_buf;
struct dma_heap;
struct dma_heap_export_info;
struct dma_heap_pool;
struct dma_heap_pool_bin;
struct dma_heap_source;
struct page;

/**
 * struct dma_heap_buffer - what the exporter knows of a buffer
 * @record: what it takes, and who pays; set by dma_heap_export()
 * @lock: protects all that follows but @source and @mmaps
 * @attachments: list of &struct dma_heap_attachment
 * @source: where the backing goes on release; cleared for a new buffer, with all that
 *	    follows
 * @vaddr: kernel address of the buffer, NULL while it has none
 * @mmaps: mappings for user space there are
 * @importers: how many attachments there are
 * @writers: accesses by the CPU that write, begun and not ended
 * @dirty: lines of the CPU's caches may be newer than memory
 * @stale: lines of the CPU's caches may be older than memory
 *
 * The last three are not used if the source is uncached.
 */
struct dma_heap_buffer {
	struct dma_heap_record record;
	/* Nests inside dma_buf.resv and the mmap lock */
	struct mutex lock;
	struct list_head attachments;
	struct dma_heap_source *source;
	void *vaddr;
	atomic_t mmaps;
	unsigned int importers;
	unsigned int writers;
	bool dirty;
	bool stale;
};

/**
 * enum dma_heap_pool_state - where a backing is
 * @POOL_OUT: not in the pool: a buffer has it, or the source
 * @POOL_ZEROED: in the pool, for the next buffer
 * @POOL_DIRTY: in the pool, with what the last buffer left in it
 * @POOL_SCRUBBING: in the pool, a task zeroes it; the task may do so without a lock
 * @POOL_LEAVING: a task gives it back to the source
 * @POOL_NR_STATES: how many states there are
 */
enum dma_heap_pool_state {
	POOL_OUT,
	POOL_ZEROED,
	POOL_DIRTY,
	POOL_SCRUBBING,
	POOL_LEAVING,
	POOL_NR_STATES,
};

/**
 * struct dma_heap_backing - memory of one buffer
 * @sgt: the chunks of memory, each physically contiguous, page aligned, of
 *	 whole pages and with a struct page; never mapped for DMA itself
 * @size: bytes in all chunks together
 * @zeroed: all of it is zero, and nobody can write to it. The exporter clears this
 *	    when it gives somebody access, the pool sets it; a reserved source reads it
 * @written_back: no cache line of it is dirty when a buffer gets it
 * @noncoherent: a device that does not see the CPU's caches has used it, and
 *		 others like that may follow: scrubbing also writes it back
 * @fragmented: the source's: the chunks are so many and so small that the pool is not
 *	to keep it
 * @state: the pool's, see &enum dma_heap_pool_state
 * @bin: the pool's: where backings of this size and node are, NULL if the pool
 *	 cannot keep the backing
 * @in_bin: the pool's: entry among them
 * @in_pool: the pool's: entry in order of age, or among leaving backings
 * @freed: the pool's: when the last buffer made of it went, in jiffies
 * @blocks: the exporter's: bytes from the beginning that user space can be given
 *	    in blocks of PMD_SIZE, 0 if none or not known yet
 * @buffer: the exporter's: the buffer that has this memory. It is here, so that
 *	    a backing that is used again needs nothing allocated.
 */
struct dma_heap_backing {
	struct sg_table sgt;
	size_t size;
	bool zeroed;
	bool written_back;
	bool noncoherent;
	bool fragmented;

	enum dma_heap_pool_state state;
	struct dma_heap_pool_bin *bin;
	struct list_head in_bin;
	struct list_head in_pool;
	unsigned long freed;

	size_t blocks;
	struct dma_heap_buffer buffer;
};

/**
 * struct dma_heap_source_ops - how to get memory from a source
 */
struct dma_heap_source_ops {
	/**
	 * @prepare:
	 *
	 * Optional. Called once, before the first client: @source has its pool
	 * and its device.
	 *
	 * Context: Process context, may sleep.
	 *
	 * Return: 0, or an error that ends the registration.
	 */
	int (*prepare)(struct dma_heap_source *source);

	/**
	 * @alloc:
	 *
	 * Get a zeroed backing of @size bytes, a non-zero multiple of
	 * PAGE_SIZE. If the source is uncached, no cache line of it is left.
	 * The fields of the pool and of the exporter are zero.
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
	 * Take back a backing, whatever it contains. A reserved source keeps
	 * memory that is not zeroed from everybody for good.
	 *
	 * Context: Process context of a task that dropped the buffer's last
	 * reference, or that reclaims memory. May sleep, but must neither
	 * allocate memory nor wait for a task that could be about to drop a
	 * reference of a file.
	 *
	 * Return: 0, or an error if nobody can get the memory again.
	 */
	int (*free)(struct dma_heap_source *source,
		    struct dma_heap_backing *backing);

	/**
	 * @scrub:
	 *
	 * Optional, for memory that the kernel has not mapped. Zero @len bytes
	 * at @page, a chunk of a backing of this source. If @write_back or if
	 * the source is uncached, write back their cache lines, too, and
	 * invalidate the lines if the source is uncached.
	 *
	 * Context: Process context, no lock held. May sleep. Unless the source
	 * is reserved it must not allocate memory: scrubbing may be what makes
	 * memory available.
	 *
	 * Return: 0. A reserved source may fail: with -EAGAIN it is asked again
	 * later, with any other error the memory is lost.
	 */
	int (*scrub)(struct dma_heap_source *source, struct page *page,
		     size_t len, bool write_back);
};

/**
 * struct dma_heap_source - memory that backings are made of
 * @ops: how to get and give back memory
 * @uncached: all mappings of the memory bypass the cache (write-combined), so
 *	      that it never needs maintenance while a buffer has it
 * @nomap: the kernel has no mapping of the memory
 * @protected: only devices reach the memory while a buffer has it
 * @reserved: the memory has been set aside for this source, and all it has to
 *	      give is zero: reclaim gains nothing from what is pooled, and the
 *	      source takes back zeroed backings only
 * @first: first page of the memory if it is one range, so of one node; or NULL
 * @pool_max: bytes its pool may hold at first; without @first also no more than a share
 *	      of all memory, and 0 means that share
 * @pool: keeps backings for the next buffer, NULL before the registration
 * @heap: its first heap
 * @dev: device of @heap, for the maintenance of caches
 *
 * To be embedded. The last three are set by dma_heap_source_register().
 */
struct dma_heap_source {
	const struct dma_heap_source_ops *ops;
	bool uncached;
	bool nomap;
	bool protected;
	bool reserved;
	struct page *first;
	size_t pool_max;
	struct dma_heap_pool *pool;
	struct dma_heap *heap;
	struct device *dev;
};

struct dma_heap_backing *dma_heap_backing_alloc(unsigned int nr_chunks);
void dma_heap_backing_free(struct dma_heap_backing *backing);
void dma_heap_memory_write_back(struct device *dev, struct page *page,
				size_t len, bool uncached);
void dma_heap_memory_zero(struct page *page, size_t len);
bool dma_heap_memory_is_poisoned(struct page *page, size_t len);

int dma_heap_source_register(struct dma_heap_source *source,
			     struct dma_heap_export_info *exp_info);

/* For heaps whose private data is their source: &dma_heap_ops.allocate, and attributes */
struct dma_buf *dma_heap_buffer_allocate(struct dma_heap *heap,
					 unsigned long len, u32 fd_flags,
					 u64 heap_flags);
extern const struct attribute_group dma_heap_pool_group;

#endif /* _LINUX_DMA_HEAP_SOURCE_H */
