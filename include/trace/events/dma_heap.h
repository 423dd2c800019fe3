/* SPDX-License-Identifier: GPL-2.0 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM dma_heap

#if !defined(_TRACE_DMA_HEAP_H) || defined(TRACE_HEADER_MULTI_READ)
#define _TRACE_DMA_HEAP_H

#include <linux/device.h>
#include <linux/dma-direction.h>
#include <linux/tracepoint.h>

DECLARE_EVENT_CLASS(dma_heap_buffer,
		    TP_PROTO(const char *heap, size_t size, unsigned long inode),
		    TP_ARGS(heap, size, inode),
		    TP_STRUCT__entry(__string(heap, heap)
				     __field(size_t, size)
				     __field(unsigned long, inode)),
		    TP_fast_assign(__assign_str(heap);
				   __entry->size = size;
				   __entry->inode = inode;),
		    TP_printk("heap=%s size=%zu inode=%lu", __get_str(heap),
			      __entry->size, __entry->inode)
);

/* A task wants a buffer */
TRACE_EVENT(dma_heap_alloc_start,
	    TP_PROTO(const char *heap, size_t size),
	    TP_ARGS(heap, size),
	    TP_STRUCT__entry(__string(heap, heap)
			     __field(size_t, size)),
	    TP_fast_assign(__assign_str(heap);
			   __entry->size = size;),
	    TP_printk("heap=%s size=%zu", __get_str(heap), __entry->size)
);

/* A task gets a buffer */
DEFINE_EVENT(dma_heap_buffer, dma_heap_alloc,
	     TP_PROTO(const char *heap, size_t size, unsigned long inode),
	     TP_ARGS(heap, size, inode));

/* The last reference of a buffer has been dropped */
DEFINE_EVENT(dma_heap_buffer, dma_heap_free,
	     TP_PROTO(const char *heap, size_t size, unsigned long inode),
	     TP_ARGS(heap, size, inode));

/* A task does not get a buffer */
TRACE_EVENT(dma_heap_alloc_fail,
	    TP_PROTO(const char *heap, size_t size, int reason),
	    TP_ARGS(heap, size, reason),
	    TP_STRUCT__entry(__string(heap, heap)
			     __field(size_t, size)
			     __field(int, reason)),
	    TP_fast_assign(__assign_str(heap);
			   __entry->size = size;
			   __entry->reason = reason;),
	    TP_printk("heap=%s size=%zu reason=%s", __get_str(heap), __entry->size,
		      __print_symbolic(__entry->reason,
				       { 0, "too_large" },
				       { 1, "limit" },
				       { 2, "memcg" },
				       { 3, "nomem" },
				       { 4, "killed" }))
);

/* The current task takes over a buffer, and the charge for it */
TRACE_EVENT(dma_heap_charge,
	    TP_PROTO(const char *heap, size_t size, unsigned long inode,
		     pid_t from),
	    TP_ARGS(heap, size, inode, from),
	    TP_STRUCT__entry(__string(heap, heap)
			     __field(size_t, size)
			     __field(unsigned long, inode)
			     __field(pid_t, from)),
	    TP_fast_assign(__assign_str(heap);
			   __entry->size = size;
			   __entry->inode = inode;
			   __entry->from = from;),
	    TP_printk("heap=%s size=%zu inode=%lu from=%d", __get_str(heap),
		      __entry->size, __entry->inode, __entry->from)
);

/* An allocation takes a backing from the pool */
TRACE_EVENT(dma_heap_pool_hit,
	    TP_PROTO(const char *pool, size_t size, bool clean),
	    TP_ARGS(pool, size, clean),
	    TP_STRUCT__entry(__string(pool, pool)
			     __field(size_t, size)
			     __field(bool, clean)),
	    TP_fast_assign(__assign_str(pool);
			   __entry->size = size;
			   __entry->clean = clean;),
	    TP_printk("pool=%s size=%zu %s", __get_str(pool), __entry->size,
		      __entry->clean ? "clean" : "dirty")
);

/* The pool has none of that size, the source is asked */
TRACE_EVENT(dma_heap_pool_miss,
	    TP_PROTO(const char *pool, size_t size),
	    TP_ARGS(pool, size),
	    TP_STRUCT__entry(__string(pool, pool)
			     __field(size_t, size)),
	    TP_fast_assign(__assign_str(pool);
			   __entry->size = size;),
	    TP_printk("pool=%s size=%zu", __get_str(pool), __entry->size)
);

/* A backing has been scrubbed, or an attempt has ended */
TRACE_EVENT(dma_heap_scrub,
	    TP_PROTO(const char *pool, size_t size, bool scrubber, int ret),
	    TP_ARGS(pool, size, scrubber, ret),
	    TP_STRUCT__entry(__string(pool, pool)
			     __field(size_t, size)
			     __field(bool, scrubber)
			     __field(int, ret)),
	    TP_fast_assign(__assign_str(pool);
			   __entry->size = size;
			   __entry->scrubber = scrubber;
			   __entry->ret = ret;),
	    TP_printk("pool=%s size=%zu by=%s ret=%d", __get_str(pool),
		      __entry->size, __entry->scrubber ? "scrubber" : "task",
		      __entry->ret)
);

DECLARE_EVENT_CLASS(dma_heap_pool_pages,
		    TP_PROTO(const char *pool, unsigned long pages),
		    TP_ARGS(pool, pages),
		    TP_STRUCT__entry(__string(pool, pool)
				     __field(unsigned long, pages)),
		    TP_fast_assign(__assign_str(pool);
				   __entry->pages = pages;),
		    TP_printk("pool=%s pages=%lu", __get_str(pool), __entry->pages)
);

/* The pool gives back what is needed elsewhere */
DEFINE_EVENT(dma_heap_pool_pages, dma_heap_shrink,
	     TP_PROTO(const char *pool, unsigned long pages),
	     TP_ARGS(pool, pages));

/* The pool gives back what nobody has wanted for long */
DEFINE_EVENT(dma_heap_pool_pages, dma_heap_decay,
	     TP_PROTO(const char *pool, unsigned long pages),
	     TP_ARGS(pool, pages));

DECLARE_EVENT_CLASS(dma_heap_mapping,
		    TP_PROTO(struct device *dev, unsigned long inode, size_t size,
			     enum dma_data_direction dir, u64 maintained),
		    TP_ARGS(dev, inode, size, dir, maintained),
		    TP_STRUCT__entry(__string(dev, dev_name(dev))
				     __field(unsigned long, inode)
				     __field(size_t, size)
				     __field(int, dir)
				     __field(u64, maintained)),
		    TP_fast_assign(__assign_str(dev);
				   __entry->inode = inode;
				   __entry->size = size;
				   __entry->dir = dir;
				   __entry->maintained = maintained;),
		    TP_printk("dev=%s inode=%lu size=%zu dir=%s maintained=%llu",
			      __get_str(dev), __entry->inode, __entry->size,
			      __print_symbolic(__entry->dir,
					       { 0, "bidirectional" },
					       { 1, "to_device" },
					       { 2, "from_device" }),
			      __entry->maintained)
);

/* A device maps a buffer */
DEFINE_EVENT(dma_heap_mapping, dma_heap_map,
	     TP_PROTO(struct device *dev, unsigned long inode, size_t size,
		      enum dma_data_direction dir, u64 maintained),
	     TP_ARGS(dev, inode, size, dir, maintained));

/* A device unmaps a buffer, which it had mapped in that direction */
DEFINE_EVENT(dma_heap_mapping, dma_heap_unmap,
	     TP_PROTO(struct device *dev, unsigned long inode, size_t size,
		      enum dma_data_direction dir, u64 maintained),
	     TP_ARGS(dev, inode, size, dir, maintained));

/* The CPU begins or ends to access a part of a buffer */
TRACE_EVENT(dma_heap_sync,
	    TP_PROTO(unsigned long inode, bool begin, enum dma_data_direction dir,
		     u64 offset, u64 len, u64 maintained),
	    TP_ARGS(inode, begin, dir, offset, len, maintained),
	    TP_STRUCT__entry(__field(unsigned long, inode)
			     __field(bool, begin)
			     __field(int, dir)
			     __field(u64, offset)
			     __field(u64, len)
			     __field(u64, maintained)),
	    TP_fast_assign(__entry->inode = inode;
			   __entry->begin = begin;
			   __entry->dir = dir;
			   __entry->offset = offset;
			   __entry->len = len;
			   __entry->maintained = maintained;),
	    TP_printk("inode=%lu %s dir=%s offset=%llu len=%llu maintained=%llu",
		      __entry->inode, __entry->begin ? "begin" : "end",
		      __print_symbolic(__entry->dir,
				       { 0, "bidirectional" },
				       { 1, "to_device" },
				       { 2, "from_device" }),
		      __entry->offset, __entry->len, __entry->maintained)
);

#endif /* _TRACE_DMA_HEAP_H */

#include <trace/define_trace.h>
