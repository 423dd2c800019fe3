// SPDX-License-Identifier: GPL-2.0
/*
 * DMA-BUF heaps: the CPU's caches and the devices that go past them
 *
 * There are two views of a buffer: memory, which non-coherent devices see, and
 * the CPU's caches before it, which the CPU sees, and coherent devices. What
 * either may have that the other has not is kept with the buffer: lines can be
 * dirty (newer than memory) or stale (older). Maintenance is done when somebody is
 * about to look, only if there is a reason, and once for all devices together.
 *
 * So it is done for the device of the heap, where the DMA API maintains caches for
 * that one, and for any part of a chunk. The importers' mappings skip it.
 *
 * Other devices work on copies that the CPU makes, or in a way that only the DMA
 * API knows. To these the caches are shown, by syncs of their own mapping at every
 * access, as other exporters do it.
 *
 * A device writes from its map to its unmap, and user space and kernel write as
 * long as they have a writable mapping. While they do, what they may have made
 * of the buffer stays true, however often it is mended.
 */

#include <linux/align.h>
#include <linux/bug.h>
#include <linux/device.h>
#include <linux/dma-buf.h>
#include <linux/dma-mapping.h>
#include <linux/dma-resv.h>
#include <linux/export.h>
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

#include "heap_backing.h"
#include "heap_buffer.h"
#include "heap_buffer_internal.h"

static bool dma_heap_attachment_writes(const struct dma_heap_attachment *a)
{
	return a->dir != DMA_TO_DEVICE;
}

/* Does the device go to memory, past the CPU's caches, which we maintain? */
static bool dma_heap_attachment_is_direct(const struct dma_heap_attachment *a)
{
	return a->kind == DMA_SYNC_CACHES;
}

/* Is it for the device's own mapping to show what the CPU wrote, and back? */
static bool dma_heap_attachment_syncs(const struct dma_heap_attachment *a)
{
	return a->kind == DMA_SYNC_COPIES || a->kind == DMA_SYNC_UNKNOWN;
}

/* Has a device mapped the buffer that sees memory, or the caches, as @direct? */
static bool dma_heap_devices_read(struct dma_heap_buffer *buffer, bool direct)
{
	struct dma_heap_attachment *a;

	list_for_each_entry(a, &buffer->attachments, node)
		if (a->mapcount && dma_heap_attachment_is_direct(a) == direct)
			return true;

	return false;
}

/* The same for one that may write */
static bool dma_heap_devices_write(struct dma_heap_buffer *buffer, bool direct)
{
	struct dma_heap_attachment *a;

	list_for_each_entry(a, &buffer->attachments, node)
		if (a->mapcount && dma_heap_attachment_is_direct(a) == direct &&
		    dma_heap_attachment_writes(a))
			return true;

	return false;
}

/* May somebody write to the caches now, with every right? */
static bool dma_heap_caches_written(struct dma_heap_buffer *buffer)
{
	return buffer->writers || buffer->vaddr ||
	       dma_heap_devices_write(buffer, false);
}

/* Can lines become dirty at any time, without anybody telling us? */
static bool dma_heap_caches_stay_dirty(struct dma_buf *dmabuf)
{
	return dma_heap_caches_written(dmabuf->priv) ||
	       mapping_writably_mapped(dmabuf->file->f_mapping);
}

/* Does memory count, for a device that reads it or a drop that is to come? */
static bool dma_heap_memory_counts(struct dma_heap_buffer *buffer)
{
	return buffer->stale || dma_heap_devices_read(buffer, true);
}

/*
 * To map for a device that reads is how the DMA API has to write lines back,
 * and to unmap from one that wrote, how it has to drop them.
 */
static void dma_heap_maintain_chunk(struct device *dev, struct page *page,
				    size_t offset, size_t len,
				    enum dma_data_direction dir)
{
	bool drop = dir == DMA_FROM_DEVICE;
	dma_addr_t addr;

	addr = dma_map_page_attrs(dev, page, offset, len, dir,
				  drop ? DMA_ATTR_SKIP_CPU_SYNC : 0);
	if (WARN_ON_ONCE(dma_mapping_error(dev, addr)))
		return;

	dma_unmap_page_attrs(dev, addr, len, dir,
			     drop ? 0 : DMA_ATTR_SKIP_CPU_SYNC);
}

static void dma_heap_maintain(struct dma_heap_buffer *buffer, size_t offset,
			      size_t len, enum dma_data_direction dir)
{
	struct scatterlist *sg;
	int i;

	buffer->maintained += len;
	for_each_sgtable_sg(&to_backing(buffer)->sgt, sg, i) {
		size_t part;

		if (offset >= sg->length) {
			offset -= sg->length;
			continue;
		}

		part = min(len, sg->length - offset);
		dma_heap_maintain_chunk(buffer->dev, sg_page(sg), offset, part,
					dir);
		len -= part;
		if (!len)
			break;
		offset = 0;
	}
}

static void dma_heap_write_back(struct dma_buf *dmabuf, size_t offset,
				size_t len)
{
	struct dma_heap_buffer *buffer = dmabuf->priv;

	lockdep_assert_held(&buffer->lock);

	if (!buffer->dirty)
		return;

	if (is_vmalloc_addr(buffer->vaddr))
		flush_kernel_vmap_range(buffer->vaddr + offset, len);
	dma_heap_maintain(buffer, offset, len, DMA_TO_DEVICE);
	if (len == dmabuf->size)
		buffer->dirty = dma_heap_caches_stay_dirty(dmabuf);
}

static void dma_heap_drop(struct dma_buf *dmabuf, size_t offset, size_t len)
{
	struct dma_heap_buffer *buffer = dmabuf->priv;
	size_t line = dma_get_cache_alignment();

	lockdep_assert_held(&buffer->lock);

	if (!buffer->stale)
		return;

	/* Lines go as a whole, with what others wrote to the rest of them */
	len = ALIGN(offset + len, line);
	offset = ALIGN_DOWN(offset, line);
	len -= offset;

	/* One reads while another one is in the middle of a write elsewhere */
	if (dma_heap_caches_written(buffer))
		dma_heap_write_back(dmabuf, offset, len);

	dma_heap_maintain(buffer, offset, len, DMA_FROM_DEVICE);
	if (is_vmalloc_addr(buffer->vaddr))
		invalidate_kernel_vmap_range(buffer->vaddr + offset, len);
	if (len == dmabuf->size)
		buffer->stale = dma_heap_devices_write(buffer, true);
}

/*
 * Have the device's own mapping show the device a part of the buffer, or the CPU
 * what the device wrote there. An IOMMU makes one segment of many chunks, but the
 * DMA API can go on from an address to what follows in one chunk only.
 */
static void dma_heap_sync(struct dma_heap_attachment *a, size_t offset,
			  size_t len, bool to_device)
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

static void dma_heap_sync_all(struct dma_heap_buffer *buffer, size_t offset,
			      size_t len, bool to_device)
{
	struct dma_heap_attachment *a;

	list_for_each_entry(a, &buffer->attachments, node)
		if (a->mapcount && dma_heap_attachment_syncs(a))
			dma_heap_sync(a, offset, len, to_device);
}

/* Show the device all; it may have written if it had the buffer before */
static void dma_heap_sync_mapping(struct dma_heap_attachment *a, size_t size)
{
	if (a->mapcount > 1 && dma_heap_attachment_writes(a))
		dma_heap_sync(a, 0, size, false);
	dma_heap_sync(a, 0, size, true);
}

/**
 * dma_heap_device_access_begins - show a device what others wrote
 * @dmabuf: buffer of a source that is not uncached
 * @a: attachment that has just been mapped, or mapped once more
 *
 * Context: Process context with the buffer lock held, may sleep.
 */
void dma_heap_device_access_begins(struct dma_buf *dmabuf,
				   struct dma_heap_attachment *a)
{
	struct dma_heap_buffer *buffer = dmabuf->priv;

	lockdep_assert_held(&buffer->lock);

	if (dma_heap_attachment_is_direct(a)) {
		dma_heap_write_back(dmabuf, 0, dmabuf->size);
		buffer->stale |= dma_heap_attachment_writes(a);
		to_backing(buffer)->noncoherent = true;
	} else {
		dma_heap_drop(dmabuf, 0, dmabuf->size);
		buffer->dirty |= dma_heap_attachment_writes(a);
		if (dma_heap_attachment_syncs(a))
			dma_heap_sync_mapping(a, dmabuf->size);
	}
}

/**
 * dma_heap_device_access_ends - show others what a device wrote
 * @dmabuf: buffer of a source that is not uncached
 * @a: attachment that has lost a mapping; its table is still mapped
 *
 * Lines that are stale now are left for the next access by the CPU to drop,
 * if there is one; only devices have nobody who tells that they look again.
 *
 * Context: Process context with the buffer lock held, may sleep.
 */
void dma_heap_device_access_ends(struct dma_buf *dmabuf,
				 struct dma_heap_attachment *a)
{
	struct dma_heap_buffer *buffer = dmabuf->priv;
	bool direct = dma_heap_attachment_is_direct(a);

	lockdep_assert_held(&buffer->lock);

	if (!dma_heap_attachment_writes(a))
		return;

	if (dma_heap_attachment_syncs(a))
		dma_heap_sync(a, 0, dmabuf->size, false);

	if (direct && dma_heap_devices_read(buffer, false))
		dma_heap_drop(dmabuf, 0, dmabuf->size);
	else if (!direct && dma_heap_memory_counts(buffer))
		dma_heap_write_back(dmabuf, 0, dmabuf->size);
}

/**
 * dma_heap_user_map_begins - user space may write from now on
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
 * dma_heap_kernel_map_begins - the kernel may read and write from now on
 * @dmabuf: buffer of a source that is not uncached
 *
 * Not all who map a buffer begin an access, too: videobuf2-vmalloc does not.
 *
 * Context: Process context with the buffer lock held, may sleep.
 */
void dma_heap_kernel_map_begins(struct dma_buf *dmabuf)
{
	struct dma_heap_buffer *buffer = dmabuf->priv;

	lockdep_assert_held(&buffer->lock);

	dma_heap_drop(dmabuf, 0, dmabuf->size);
	dma_heap_sync_all(buffer, 0, dmabuf->size, false);
	buffer->dirty = true;
}

/**
 * dma_heap_kernel_map_ends - the kernel has read and written
 * @dmabuf: buffer of a source that is not uncached, mapped still
 *
 * Context: Process context with the buffer lock held, may sleep.
 */
void dma_heap_kernel_map_ends(struct dma_buf *dmabuf)
{
	struct dma_heap_buffer *buffer = dmabuf->priv;

	lockdep_assert_held(&buffer->lock);

	if (dma_heap_memory_counts(buffer))
		dma_heap_write_back(dmabuf, 0, dmabuf->size);
	dma_heap_sync_all(buffer, 0, dmabuf->size, true);
}

/**
 * dma_heap_buffer_begin_cpu_access_partial - the CPU accesses a part
 * @dmabuf: the buffer
 * @dir: what the CPU is about to do: DMA_FROM_DEVICE reads, DMA_TO_DEVICE
 *	 writes, DMA_BIDIRECTIONAL does both
 * @offset: first byte of the access
 * @len: bytes, at least one and none past the end
 *
 * The &dma_buf_ops.begin_cpu_access_partial of heaps. A write needs what devices
 * wrote as much as a read does: it may fill a part of a cache line only. The
 * access waits for fences first: until then devices write to memory, or to a copy.
 *
 * Context: Process context without the reservation lock, may sleep.
 *
 * Return: 0, or -ERESTARTSYS if a signal came first; nothing has changed then.
 */
int dma_heap_buffer_begin_cpu_access_partial(struct dma_buf *dmabuf,
					     enum dma_data_direction dir,
					     u64 offset, u64 len)
{
	bool writes = dir != DMA_FROM_DEVICE;
	struct dma_heap_buffer *buffer = dmabuf->priv;
	u64 maintained;
	long ret;

	/* Before the lock: an unmap under the reservation may have to come first */
	ret = dma_resv_wait_timeout(dmabuf->resv, dma_resv_usage_rw(writes),
				    true, MAX_SCHEDULE_TIMEOUT);
	if (ret < 0)
		return ret;

	if (buffer->source->uncached) {
		trace_dma_heap_sync(buffer->account.ino, true, dir, offset, len,
				    0);
		return 0;
	}

	mutex_lock(&buffer->lock);
	maintained = buffer->maintained;
	dma_heap_drop(dmabuf, offset, len);
	dma_heap_sync_all(buffer, offset, len, false);
	if (writes) {
		buffer->dirty = true;
		buffer->writers++;
	}
	trace_dma_heap_sync(buffer->account.ino, true, dir, offset, len,
			    buffer->maintained - maintained);
	mutex_unlock(&buffer->lock);

	return 0;
}
EXPORT_SYMBOL_NS_GPL(dma_heap_buffer_begin_cpu_access_partial, DMA_BUF_HEAP);

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
	u64 maintained;

	/* Who only read has nothing to tell the devices */
	if (dir == DMA_FROM_DEVICE || buffer->source->uncached) {
		trace_dma_heap_sync(buffer->account.ino, false, dir, offset,
				    len, 0);
		return 0;
	}

	mutex_lock(&buffer->lock);
	maintained = buffer->maintained;
	if (buffer->writers)
		buffer->writers--;
	if (dma_heap_memory_counts(buffer))
		dma_heap_write_back(dmabuf, offset, len);
	dma_heap_sync_all(buffer, offset, len, true);
	trace_dma_heap_sync(buffer->account.ino, false, dir, offset, len,
			    buffer->maintained - maintained);
	mutex_unlock(&buffer->lock);

	return 0;
}
EXPORT_SYMBOL_NS_GPL(dma_heap_buffer_end_cpu_access_partial, DMA_BUF_HEAP);

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
EXPORT_SYMBOL_NS_GPL(dma_heap_buffer_begin_cpu_access, DMA_BUF_HEAP);

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
EXPORT_SYMBOL_NS_GPL(dma_heap_buffer_end_cpu_access, DMA_BUF_HEAP);
