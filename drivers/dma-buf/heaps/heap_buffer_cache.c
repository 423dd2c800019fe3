// SPDX-License-Identifier: GPL-2.0
/*
 * DMA-BUF heaps: the CPU's caches, and the devices that go past them
 *
 * There are two views of a buffer: memory, which noncoherent devices see, and the
 * CPU's caches before it, which the CPU and coherent devices see. The buffer notes what
 * one view may have that the other has not: its cache lines can be dirty (newer than
 * memory) or stale (older). An event maintains the caches only if they are dirty or
 * stale, and once for all devices together:
 *
 *   event                        maintenance               the buffer is then
 *   noncoherent device maps      write back                stale, if it may write
 *   other device maps            invalidate                dirty, if it may write
 *   noncoherent device unmaps,   invalidate, if coherent
 *     it may have written          devices have it
 *   other device unmaps,         write back, if memory
 *     it may have written          is looked at
 *   CPU access begins            wait for fences,          dirty, if it writes
 *                                  invalidate
 *   CPU access ends that wrote   write back, if memory
 *                                  is looked at
 *   user space maps to write                               dirty
 *   kernel maps                  invalidate                dirty
 *   kernel unmaps                write back, if memory
 *                                  is looked at
 *
 * The maintenance goes through the device of the heap: the DMA API maintains caches for
 * that one, and for any part of a chunk. The importers' mappings skip it.
 *
 * Other devices work on copies that the CPU makes, or in a way that only the DMA API
 * knows. For these each event also syncs their own mapping, as other exporters do.
 *
 * A device writes from its map to its unmap, and user space and the kernel write as
 * long as they have a writable mapping. The buffer stays dirty or stale as long as
 * that lasts, however often the caches are maintained.
 */

#include <linux/align.h>
#include <linux/bug.h>
#include <linux/device.h>
#include <linux/dma-buf.h>
#include <linux/dma-mapping.h>
#include <linux/dma-resv.h>
#include <linux/fs.h>
#include <linux/highmem.h>
#include <linux/list.h>
#include <linux/lockdep.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/scatterlist.h>
#include <linux/sched.h>
#include <linux/vmalloc.h>
#include <trace/events/dma_heap.h>

#include "heap_buffer_internal.h"
#include "heap_source.h"

static bool attachment_writes(const struct dma_heap_attachment *a)
{
	return a->dir != DMA_TO_DEVICE;
}

/* Does the device go to memory, past the CPU's caches, which we maintain? */
static bool attachment_is_noncoherent(const struct dma_heap_attachment *a)
{
	return a->kind == DMA_SYNC_CACHES;
}

/* Does only the device's own mapping show it what the CPU wrote, and back? */
static bool attachment_syncs(const struct dma_heap_attachment *a)
{
	return a->kind == DMA_SYNC_COPIES || a->kind == DMA_SYNC_UNKNOWN;
}

/* Has a device mapped the buffer that is @noncoherent, and may write if @writes? */
static bool any_device_maps(struct dma_heap_buffer *buffer, bool noncoherent,
			    bool writes)
{
	struct dma_heap_attachment *a;

	list_for_each_entry(a, &buffer->attachments, node)
		if (a->mapcount && (!writes || attachment_writes(a)) &&
		    attachment_is_noncoherent(a) == noncoherent)
			return true;

	return false;
}

/* May the CPU or a coherent device write to the caches now, with every right? */
static bool caches_are_written(struct dma_heap_buffer *buffer)
{
	return buffer->writers || buffer->vaddr ||
	       any_device_maps(buffer, false, true);
}

/* Can lines become dirty at any time, and no event follows? */
static bool caches_stay_dirty(struct dma_buf *dmabuf)
{
	return caches_are_written(dmabuf->priv) ||
	       mapping_writably_mapped(dmabuf->file->f_mapping);
}

/* Is memory looked at, by a noncoherent device or an invalidation that is to come? */
static bool needs_writeback(struct dma_heap_buffer *buffer)
{
	return buffer->stale || any_device_maps(buffer, true, false);
}

/*
 * Mapping for a device that reads makes the DMA API write lines back, unmapping from
 * one that wrote makes it invalidate them.
 */
static void maintain_chunk(struct device *dev, struct page *page, size_t offset,
			   size_t len, enum dma_data_direction dir)
{
	bool invalidate = dir == DMA_FROM_DEVICE;
	dma_addr_t addr;

	addr = dma_map_page_attrs(dev, page, offset, len, dir,
				  invalidate ? DMA_ATTR_SKIP_CPU_SYNC : 0);
	if (WARN_ON_ONCE(dma_mapping_error(dev, addr)))
		return;

	dma_unmap_page_attrs(dev, addr, len, dir,
			     invalidate ? 0 : DMA_ATTR_SKIP_CPU_SYNC);
}

static void maintain(struct dma_heap_buffer *buffer, size_t offset, size_t len,
		     enum dma_data_direction dir)
{
	struct scatterlist *sg;
	int i;

	for_each_sgtable_sg(&to_backing(buffer)->sgt, sg, i) {
		size_t part;

		if (offset >= sg->length) {
			offset -= sg->length;
			continue;
		}

		part = min(len, sg->length - offset);
		maintain_chunk(buffer->source->dev, sg_page(sg), offset, part,
			       dir);
		len -= part;
		if (!len)
			break;
		offset = 0;
	}
}

/* Returns how many bytes that were */
static size_t write_back(struct dma_buf *dmabuf, size_t offset, size_t len)
{
	struct dma_heap_buffer *buffer = dmabuf->priv;

	lockdep_assert_held(&buffer->lock);

	if (!buffer->dirty)
		return 0;

	if (is_vmalloc_addr(buffer->vaddr))
		flush_kernel_vmap_range(buffer->vaddr + offset, len);
	maintain(buffer, offset, len, DMA_TO_DEVICE);
	if (len == dmabuf->size)
		buffer->dirty = caches_stay_dirty(dmabuf);

	return len;
}

/* Returns how many bytes were written back and invalidated */
static size_t invalidate(struct dma_buf *dmabuf, size_t offset, size_t len)
{
	struct dma_heap_buffer *buffer = dmabuf->priv;
	size_t line = dma_get_cache_alignment();
	size_t written = 0;

	lockdep_assert_held(&buffer->lock);

	if (!buffer->stale)
		return 0;

	/* Lines go as a whole, with what others wrote to the rest of them */
	len = ALIGN(offset + len, line);
	offset = ALIGN_DOWN(offset, line);
	len -= offset;

	/* One task reads while another one is in the middle of a write elsewhere */
	if (caches_are_written(buffer))
		written = write_back(dmabuf, offset, len);

	maintain(buffer, offset, len, DMA_FROM_DEVICE);
	if (is_vmalloc_addr(buffer->vaddr))
		invalidate_kernel_vmap_range(buffer->vaddr + offset, len);
	if (len == dmabuf->size)
		buffer->stale = any_device_maps(buffer, true, true);

	return written + len;
}

/*
 * Have the device's own mapping show the device a part of the buffer, or the CPU
 * what the device wrote there. An IOMMU makes one segment of many chunks, but the
 * DMA API can go on from an address to what follows in one chunk only.
 */
static void sync_part(struct dma_heap_attachment *a, size_t offset, size_t len,
		      bool to_device)
{
	struct scatterlist *chunk = a->sgt.sgl;
	struct scatterlist *seg = a->sgt.sgl;
	size_t chunk_start = 0, seg_start = 0;
	size_t end = offset + len;

	for (; offset < end; offset += len) {
		dma_addr_t addr;

		for (; chunk_start + chunk->length <= offset; chunk = sg_next(chunk))
			chunk_start += chunk->length;
		for (; seg_start + sg_dma_len(seg) <= offset; seg = sg_next(seg))
			seg_start += sg_dma_len(seg);

		addr = sg_dma_address(seg) + (offset - seg_start);
		len = min3(chunk_start + chunk->length,
			   seg_start + sg_dma_len(seg), end) - offset;
		if (to_device)
			dma_sync_single_for_device(a->dev, addr, len, a->dir);
		else
			dma_sync_single_for_cpu(a->dev, addr, len, a->dir);
	}
}

static void sync_all(struct dma_heap_buffer *buffer, size_t offset, size_t len,
		     bool to_device)
{
	struct dma_heap_attachment *a;

	list_for_each_entry(a, &buffer->attachments, node)
		if (a->mapcount && attachment_syncs(a))
			sync_part(a, offset, len, to_device);
}

/* Copy all to the device, after what it may have written through an older mapping */
static void sync_mapping(struct dma_heap_attachment *a, size_t size)
{
	if (a->mapcount > 1 && attachment_writes(a))
		sync_part(a, 0, size, false);
	sync_part(a, 0, size, true);
}

/**
 * dma_heap_device_access_begins - show a device what others wrote
 * @dmabuf: buffer of a source that is not uncached
 * @a: attachment that has just been mapped, or mapped once more
 *
 * Context: Process context with the buffer lock held, may sleep.
 *
 * Return: How many bytes were maintained.
 */
size_t dma_heap_device_access_begins(struct dma_buf *dmabuf,
				     struct dma_heap_attachment *a)
{
	struct dma_heap_buffer *buffer = dmabuf->priv;
	size_t synced;

	lockdep_assert_held(&buffer->lock);

	if (attachment_is_noncoherent(a)) {
		synced = write_back(dmabuf, 0, dmabuf->size);
		buffer->stale |= attachment_writes(a);
		to_backing(buffer)->noncoherent = true;
	} else {
		synced = invalidate(dmabuf, 0, dmabuf->size);
		buffer->dirty |= attachment_writes(a);
		if (attachment_syncs(a))
			sync_mapping(a, dmabuf->size);
	}

	return synced;
}

/**
 * dma_heap_device_access_ends - show others what a device wrote
 * @dmabuf: buffer of a source that is not uncached
 * @a: attachment that has lost a mapping; its table is still mapped
 *
 * The next access by the CPU invalidates the lines that are stale now, if there is one.
 * Coherent devices that have the buffer mapped look again without an event.
 *
 * Context: Process context with the buffer lock held, may sleep.
 *
 * Return: Bytes of cache maintenance.
 */
size_t dma_heap_device_access_ends(struct dma_buf *dmabuf,
				   struct dma_heap_attachment *a)
{
	struct dma_heap_buffer *buffer = dmabuf->priv;
	bool noncoherent = attachment_is_noncoherent(a);

	lockdep_assert_held(&buffer->lock);

	if (!attachment_writes(a))
		return 0;

	if (attachment_syncs(a))
		sync_part(a, 0, dmabuf->size, false);

	if (noncoherent && any_device_maps(buffer, false, false))
		return invalidate(dmabuf, 0, dmabuf->size);
	if (!noncoherent && needs_writeback(buffer))
		return write_back(dmabuf, 0, dmabuf->size);

	return 0;
}

/**
 * dma_heap_user_map_begins - note that user space may write
 * @dmabuf: buffer of a source that is not uncached
 *
 * Context: Process context with the mmap lock held, may sleep.
 */
void dma_heap_user_map_begins(struct dma_buf *dmabuf)
{
	struct dma_heap_buffer *buffer = dmabuf->priv;

	mutex_lock(&buffer->lock);
	buffer->dirty = true;
	mutex_unlock(&buffer->lock);
}

/**
 * dma_heap_kernel_map_begins - show the kernel what devices wrote
 * @dmabuf: buffer of a source that is not uncached
 *
 * videobuf2-vmalloc and others map a buffer without beginning an access.
 *
 * Context: Process context with the buffer lock held, may sleep.
 */
void dma_heap_kernel_map_begins(struct dma_buf *dmabuf)
{
	struct dma_heap_buffer *buffer = dmabuf->priv;

	lockdep_assert_held(&buffer->lock);

	invalidate(dmabuf, 0, dmabuf->size);
	sync_all(buffer, 0, dmabuf->size, false);
	buffer->dirty = true;
}

/**
 * dma_heap_kernel_map_ends - show devices what the kernel wrote
 * @dmabuf: buffer of a source that is not uncached, mapped still
 *
 * Context: Process context with the buffer lock held, may sleep.
 */
void dma_heap_kernel_map_ends(struct dma_buf *dmabuf)
{
	struct dma_heap_buffer *buffer = dmabuf->priv;

	lockdep_assert_held(&buffer->lock);

	if (needs_writeback(buffer))
		write_back(dmabuf, 0, dmabuf->size);
	sync_all(buffer, 0, dmabuf->size, true);
}

/**
 * dma_heap_buffer_begin_cpu_access_partial - the CPU accesses a part
 * @dmabuf: the buffer
 * @dir: what the CPU is about to do: DMA_FROM_DEVICE reads, DMA_TO_DEVICE
 *	 writes, DMA_BIDIRECTIONAL does both
 * @offset: first byte of the access
 * @len: bytes, at least one and none past the end
 *
 * The &dma_buf_ops.begin_cpu_access_partial of heaps. A write, too, needs what devices
 * wrote: it may fill a part of a cache line only. The access waits for fences first,
 * because until then devices write to memory, or to a copy.
 *
 * Context: Process context without the reservation lock, may sleep.
 *
 * Return: 0, or -ERESTARTSYS if a signal ended the wait; nothing has changed then.
 */
int dma_heap_buffer_begin_cpu_access_partial(struct dma_buf *dmabuf,
					     enum dma_data_direction dir,
					     u64 offset, u64 len)
{
	bool writes = dir != DMA_FROM_DEVICE;
	struct dma_heap_buffer *buffer = dmabuf->priv;
	size_t synced;
	long ret;

	/* Before the lock: an unmap that holds the reservation may have to come first */
	ret = dma_resv_wait_timeout(dmabuf->resv, dma_resv_usage_rw(writes),
				    true, MAX_SCHEDULE_TIMEOUT);
	if (ret < 0)
		return ret;

	if (buffer->source->uncached) {
		trace_dma_heap_sync(buffer->record.ino, true, dir, offset, len,
				    0);
		return 0;
	}

	mutex_lock(&buffer->lock);
	synced = invalidate(dmabuf, offset, len);
	sync_all(buffer, offset, len, false);
	if (writes) {
		buffer->dirty = true;
		buffer->writers++;
	}
	trace_dma_heap_sync(buffer->record.ino, true, dir, offset, len,
			    synced);
	mutex_unlock(&buffer->lock);

	return 0;
}

/**
 * dma_heap_buffer_end_cpu_access_partial - the CPU has accessed a part
 * @dmabuf: the buffer
 * @dir: what the CPU did, as for dma_heap_buffer_begin_cpu_access_partial()
 * @offset: first byte of the access
 * @len: bytes, at least one and none past the end
 *
 * The &dma_buf_ops.end_cpu_access_partial of heaps.
 *
 * Context: Process context without the reservation lock, may sleep.
 *
 * Return: 0.
 */
int dma_heap_buffer_end_cpu_access_partial(struct dma_buf *dmabuf,
					   enum dma_data_direction dir,
					   u64 offset, u64 len)
{
	struct dma_heap_buffer *buffer = dmabuf->priv;
	size_t synced = 0;

	/* An access that only read has nothing to tell the devices */
	if (dir == DMA_FROM_DEVICE || buffer->source->uncached) {
		trace_dma_heap_sync(buffer->record.ino, false, dir, offset,
				    len, 0);
		return 0;
	}

	mutex_lock(&buffer->lock);
	if (buffer->writers)
		buffer->writers--;
	if (needs_writeback(buffer))
		synced = write_back(dmabuf, offset, len);
	sync_all(buffer, offset, len, true);
	trace_dma_heap_sync(buffer->record.ino, false, dir, offset, len,
			    synced);
	mutex_unlock(&buffer->lock);

	return 0;
}

/**
 * dma_heap_buffer_begin_cpu_access - &dma_buf_ops.begin_cpu_access of heaps
 * @dmabuf: the buffer, all of which the CPU is going to access
 * @dir: as for dma_heap_buffer_begin_cpu_access_partial()
 *
 * Context: Process context without the reservation lock, may sleep.
 *
 * Return: What dma_heap_buffer_begin_cpu_access_partial() gave.
 */
int dma_heap_buffer_begin_cpu_access(struct dma_buf *dmabuf,
				     enum dma_data_direction dir)
{
	return dma_heap_buffer_begin_cpu_access_partial(dmabuf, dir, 0,
							dmabuf->size);
}

/**
 * dma_heap_buffer_end_cpu_access - &dma_buf_ops.end_cpu_access of heaps
 * @dmabuf: the buffer
 * @dir: as for dma_heap_buffer_end_cpu_access_partial()
 *
 * Context: Process context without the reservation lock, may sleep.
 *
 * Return: 0.
 */
int dma_heap_buffer_end_cpu_access(struct dma_buf *dmabuf,
				   enum dma_data_direction dir)
{
	return dma_heap_buffer_end_cpu_access_partial(dmabuf, dir, 0,
						      dmabuf->size);
}
