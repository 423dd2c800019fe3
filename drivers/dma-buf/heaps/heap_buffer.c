// SPDX-License-Identifier: GPL-2.0
/*
 * DMA-BUF heaps: the exporter all heaps share
 *
 * A buffer is a backing with importers attached to it. The functions here, in
 * heap_buffer_cache.c and in heap_buffer_mmap.c make up the dma_buf_ops of heaps. The
 * source of the heap knows where the memory comes from.
 *
 * Lock order: dma_buf.resv or the mmap lock, then dma_heap_buffer.lock, then reclaim.
 * The dma-buf core holds the reservation when it maps, unmaps, vmaps and vunmaps, but
 * not when it begins and ends CPU access. So only the buffer lock keeps a mapping from
 * changing during a cache maintenance, and its holder must never wait for the
 * reservation.
 */

#include <linux/device.h>
#include <linux/dma-buf.h>
#include <linux/dma-heap.h>
#include <linux/dma-heap-record.h>
#include <linux/dma-mapping.h>
#include <linux/dma-resv.h>
#include <linux/err.h>
#include <linux/iosys-map.h>
#include <linux/list.h>
#include <linux/lockdep.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/scatterlist.h>
#include <linux/sched/mm.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <trace/events/dma_heap.h>

#include "heap_buffer_internal.h"
#include "heap_source.h"

static void dma_heap_buffer_init(struct dma_heap_buffer *buffer,
				 struct dma_heap_source *source)
{
	mutex_init(&buffer->lock);
	INIT_LIST_HEAD(&buffer->attachments);
	memset_startat(buffer, 0, source);
	buffer->source = source;
	buffer->dirty = !to_backing(buffer)->written_back;
}

/* Without the buffer lock, as the caller has a spinlock: a snapshot may be mixed */
static void dma_heap_buffer_show(struct seq_file *seq,
				 struct dma_heap_record *record)
{
	struct dma_heap_buffer *buffer = container_of(record,
						      struct dma_heap_buffer,
						      record);
	bool mapped = atomic_read(&buffer->mmaps);
	bool vmapped = READ_ONCE(buffer->vaddr);
	bool dirty = READ_ONCE(buffer->dirty);
	bool stale = READ_ONCE(buffer->stale);

	seq_printf(seq, "%u\t", READ_ONCE(buffer->importers));
	seq_printf(seq, "%s%s%s\t", mapped ? "m" : "", vmapped ? "v" : "",
		   mapped || vmapped ? "" : "-");
	if (buffer->source->uncached)
		seq_puts(seq, "u\t");
	else
		seq_printf(seq, "%s%s%s\t", dirty ? "d" : "", stale ? "s" : "",
			   dirty || stale ? "" : "-");
}

static void dma_heap_buffer_release(struct dma_buf *dmabuf)
{
	struct dma_heap_buffer *buffer = dmabuf->priv;

	dma_heap_record_remove(&buffer->record);
	dma_heap_source_put(buffer->source, to_backing(buffer));
}

/* The charge moves to the calling task */
static int dma_heap_buffer_charge(struct dma_buf *dmabuf)
{
	struct dma_heap_buffer *buffer = dmabuf->priv;

	return dma_heap_recharge(&buffer->record);
}

/* Bytes of the longest segment that the device takes, in whole pages */
static size_t dma_heap_max_segment(struct device *dev)
{
	size_t max = min_not_zero(dma_max_mapping_size(dev), SIZE_MAX);

	/* The default length, without dma_parms, is not a limit of the device */
	if (dev->dma_parms)
		max = min_not_zero(max,
				   (size_t)dev->dma_parms->max_segment_size);

	return max(max & PAGE_MASK, PAGE_SIZE);
}

/* Every device needs a table of its own to hold its DMA addresses */
static int dma_heap_attachment_init_table(struct dma_heap_attachment *a,
					  const struct sg_table *chunks)
{
	size_t max = dma_heap_max_segment(a->dev);
	unsigned int pieces = 0;
	struct scatterlist *from;
	struct scatterlist *to;
	int i, ret;

	for_each_sgtable_sg(chunks, from, i)
		pieces += (from->length - 1) / max + 1;

	ret = sg_alloc_table(&a->sgt, pieces, GFP_KERNEL);
	if (ret)
		return ret;

	to = a->sgt.sgl;
	for_each_sgtable_sg(chunks, from, i) {
		unsigned int offset, len;

		for (offset = 0; offset < from->length; offset += len) {
			len = min_t(size_t, from->length - offset, max);
			sg_set_page(to, nth_page(sg_page(from),
						 offset >> PAGE_SHIFT), len, 0);
			to = sg_next(to);
		}
	}

	return 0;
}

static int dma_heap_buffer_attach(struct dma_buf *dmabuf,
				  struct dma_buf_attachment *attachment)
{
	struct dma_heap_buffer *buffer = dmabuf->priv;
	struct dma_heap_attachment *a;
	int ret;

	a = kzalloc(sizeof(*a), GFP_KERNEL);
	if (!a)
		return -ENOMEM;

	a->dev = attachment->dev;
	ret = dma_heap_attachment_init_table(a, &to_backing(buffer)->sgt);
	if (ret) {
		kfree(a);
		return ret;
	}
	attachment->priv = a;

	mutex_lock(&buffer->lock);
	list_add_tail(&a->node, &buffer->attachments);
	WRITE_ONCE(buffer->importers, buffer->importers + 1);
	mutex_unlock(&buffer->lock);

	return 0;
}

static void dma_heap_buffer_detach(struct dma_buf *dmabuf,
				   struct dma_buf_attachment *attachment)
{
	struct dma_heap_buffer *buffer = dmabuf->priv;
	struct dma_heap_attachment *a = attachment->priv;

	mutex_lock(&buffer->lock);
	WARN_ON(a->mapcount);
	list_del(&a->node);
	WRITE_ONCE(buffer->importers, buffer->importers - 1);
	mutex_unlock(&buffer->lock);

	sg_free_table(&a->sgt);
	kfree(a);
}

/* If the heap's device cannot maintain caches, the importer's mapping has to */
static enum dma_sync_kind
dma_heap_attachment_kind(struct dma_heap_buffer *buffer,
			 struct dma_heap_attachment *a)
{
	enum dma_sync_kind kind = dma_sgtable_sync_kind(a->dev, &a->sgt);

	if (kind == DMA_SYNC_CACHES &&
	    dma_sgtable_sync_kind_before(buffer->source->dev, NULL) != DMA_SYNC_CACHES)
		return DMA_SYNC_UNKNOWN;

	return kind;
}

/* heap_buffer_cache.c maintains the caches, so the mapping skips it */
static int dma_heap_attachment_map_dir(struct dma_heap_buffer *buffer,
				       struct dma_heap_attachment *a,
				       enum dma_data_direction dir)
{
	int ret;

	ret = dma_map_sgtable(a->dev, &a->sgt, dir, DMA_ATTR_SKIP_CPU_SYNC);
	if (ret)
		return ret;

	a->kind = dma_heap_attachment_kind(buffer, a);
	a->dir = dir;

	return 0;
}

/* An uncached buffer cannot be copied: swiotlb would read it through the cache */
static bool dma_heap_attachment_would_copy(struct dma_heap_attachment *a)
{
	enum dma_sync_kind kind = dma_sgtable_sync_kind_before(a->dev, &a->sgt);

	return kind == DMA_SYNC_COPIES || kind == DMA_SYNC_UNKNOWN;
}

static int dma_heap_attachment_map_table(struct dma_heap_buffer *buffer,
					 struct dma_heap_attachment *a,
					 enum dma_data_direction dir)
{
	int ret;

	if (buffer->source->uncached && dma_heap_attachment_would_copy(a))
		return -EIO;

	ret = dma_heap_attachment_map_dir(buffer, a, dir);
	if (ret)
		return ret;

	/* All of a copy is copied back, also what the device did not write */
	if (a->kind == DMA_SYNC_COPIES && dir == DMA_FROM_DEVICE) {
		dma_unmap_sgtable(a->dev, &a->sgt, dir, DMA_ATTR_SKIP_CPU_SYNC);
		return dma_heap_attachment_map_dir(buffer, a,
						   DMA_BIDIRECTIONAL);
	}

	return 0;
}

static int dma_heap_attachment_map(struct dma_buf *dmabuf,
				   struct dma_heap_attachment *a,
				   enum dma_data_direction dir, size_t *synced)
{
	struct dma_heap_buffer *buffer = dmabuf->priv;
	int ret;

	if (!valid_dma_direction(dir))
		return -EINVAL;

	if (!a->mapcount) {
		ret = dma_heap_attachment_map_table(buffer, a, dir);
		if (ret)
			return ret;
	} else if (a->dir != dir && a->dir != DMA_BIDIRECTIONAL) {
		return -EBUSY;
	}

	/* A device that only reads is not trusted to */
	dma_heap_buffer_expose(buffer);
	a->mapcount++;
	if (!buffer->source->uncached)
		*synced = dma_heap_device_access_begins(dmabuf, a);

	return 0;
}

/*
 * An attachment may be mapped more than once, as long as the directions fit the first
 * one's (-EBUSY). All mappings share one table. -EIO is for an uncached buffer that the
 * device may get copies of.
 */
static struct sg_table *
dma_heap_buffer_map(struct dma_buf_attachment *attachment,
		    enum dma_data_direction dir)
{
	struct dma_heap_buffer *buffer = attachment->dmabuf->priv;
	struct dma_heap_attachment *a = attachment->priv;
	size_t synced = 0;
	int ret;

	dma_resv_assert_held(attachment->dmabuf->resv);

	mutex_lock(&buffer->lock);
	ret = dma_heap_attachment_map(attachment->dmabuf, a, dir, &synced);
	if (!ret)
		trace_dma_heap_map(a->dev, buffer->record.ino,
				   buffer->record.size, dir, synced);
	mutex_unlock(&buffer->lock);

	return ret ? ERR_PTR(ret) : &a->sgt;
}

static void dma_heap_buffer_unmap(struct dma_buf_attachment *attachment,
				  struct sg_table *sgt,
				  enum dma_data_direction dir)
{
	struct dma_heap_buffer *buffer = attachment->dmabuf->priv;
	struct dma_heap_attachment *a = attachment->priv;
	size_t synced = 0;

	dma_resv_assert_held(attachment->dmabuf->resv);

	mutex_lock(&buffer->lock);
	a->mapcount--;
	if (!buffer->source->uncached)
		synced = dma_heap_device_access_ends(attachment->dmabuf, a);
	trace_dma_heap_unmap(a->dev, buffer->record.ino, buffer->record.size,
			     a->dir, synced);
	/* The table is mapped in the first mapping's direction, not in @dir */
	if (!a->mapcount)
		dma_unmap_sgtable(a->dev, sgt, a->dir,
				  a->kind == DMA_SYNC_UNKNOWN ?
				  0 : DMA_ATTR_SKIP_CPU_SYNC);
	mutex_unlock(&buffer->lock);
}

/* For buffers whose memory the CPU may reach */
static const struct dma_buf_ops dma_heap_buffer_ops = {
	.attach = dma_heap_buffer_attach,
	.detach = dma_heap_buffer_detach,
	.map_dma_buf = dma_heap_buffer_map,
	.unmap_dma_buf = dma_heap_buffer_unmap,
	.begin_cpu_access = dma_heap_buffer_begin_cpu_access,
	.end_cpu_access = dma_heap_buffer_end_cpu_access,
	.begin_cpu_access_partial = dma_heap_buffer_begin_cpu_access_partial,
	.end_cpu_access_partial = dma_heap_buffer_end_cpu_access_partial,
	.mmap = dma_heap_buffer_mmap,
	.vmap = dma_heap_buffer_vmap,
	.vunmap = dma_heap_buffer_vunmap,
	.charge = dma_heap_buffer_charge,
	.release = dma_heap_buffer_release,
};

static int dma_heap_no_cpu_access(struct dma_buf *dmabuf,
				  enum dma_data_direction dir)
{
	return -EACCES;
}

static int dma_heap_no_cpu_access_partial(struct dma_buf *dmabuf,
					  enum dma_data_direction dir,
					  u64 offset, u64 len)
{
	return -EACCES;
}

static int dma_heap_no_mmap(struct dma_buf *dmabuf, struct vm_area_struct *vma)
{
	return -EACCES;
}

/*
 * For buffers whose memory only devices may reach. No .vmap: the dma-buf core warns of one
 * that fails, and a display driver vmaps the buffers that users hand to it.
 */
static const struct dma_buf_ops dma_heap_protected_ops = {
	.attach = dma_heap_buffer_attach,
	.detach = dma_heap_buffer_detach,
	.map_dma_buf = dma_heap_buffer_map,
	.unmap_dma_buf = dma_heap_buffer_unmap,
	.begin_cpu_access = dma_heap_no_cpu_access,
	.end_cpu_access = dma_heap_no_cpu_access,
	.begin_cpu_access_partial = dma_heap_no_cpu_access_partial,
	.end_cpu_access_partial = dma_heap_no_cpu_access_partial,
	.mmap = dma_heap_no_mmap,
	.charge = dma_heap_buffer_charge,
	.release = dma_heap_buffer_release,
};

/**
 * dma_heap_buffer_allocate - &dma_heap_ops.allocate of heaps
 * @heap: the heap, whose private data is the source of its memory
 * @len: bytes, a non-zero multiple of PAGE_SIZE
 * @fd_flags: O_CLOEXEC and access mode
 * @heap_flags: none
 *
 * Context: Process context, may sleep.
 *
 * Return: The dma-buf, or an ERR_PTR(): -ENOMEM, or what the source gave.
 */
struct dma_buf *dma_heap_buffer_allocate(struct dma_heap *heap,
					 unsigned long len, u32 fd_flags,
					 u64 heap_flags)
{
	struct dma_heap_source *source = dma_heap_get_drvdata(heap);
	DEFINE_DMA_BUF_EXPORT_INFO(exp_info);
	struct dma_heap_backing *backing;
	struct obj_cgroup *objcg;
	struct dma_buf *dmabuf;
	int ret;

	ret = dma_heap_charge(heap, len, &objcg);
	if (ret)
		return ERR_PTR(ret);

	backing = dma_heap_source_get(source, len);
	if (IS_ERR(backing)) {
		dmabuf = ERR_CAST(backing);
		goto err_uncharge;
	}

	dma_heap_buffer_init(&backing->buffer, source);
	exp_info.exp_name = dma_heap_get_name(heap);
	exp_info.ops = source->protected ? &dma_heap_protected_ops :
					   &dma_heap_buffer_ops;
	exp_info.size = len;
	exp_info.flags = fd_flags;
	exp_info.priv = &backing->buffer;
	dmabuf = dma_heap_export(heap, &exp_info, &backing->buffer.record,
				 objcg, dma_heap_buffer_show);
	if (IS_ERR(dmabuf))
		goto err_put_backing;

	return dmabuf;

err_put_backing:
	dma_heap_source_put(source, backing);
err_uncharge:
	dma_heap_uncharge(heap, len, objcg);
	dma_heap_count_failure(heap, len,
			       dmabuf == ERR_PTR(-EINTR) ? DMA_HEAP_KILLED :
							   DMA_HEAP_NOMEM);
	return dmabuf;
}
EXPORT_SYMBOL_NS_GPL(dma_heap_buffer_allocate, DMA_BUF_HEAP);

/* Teach lockdep the order before anybody can get it wrong */
static void __init dma_heap_buffer_teach_lockdep(void)
{
	struct dma_heap_backing backing = { };
	struct dma_heap_buffer *buffer = &backing.buffer;
	struct dma_resv resv;

	dma_heap_buffer_init(buffer, NULL);
	dma_resv_init(&resv);

	dma_resv_lock(&resv, NULL);
	mutex_lock(&buffer->lock);
	fs_reclaim_acquire(GFP_KERNEL);
	fs_reclaim_release(GFP_KERNEL);
	mutex_unlock(&buffer->lock);
	dma_resv_unlock(&resv);

	dma_resv_fini(&resv);
	mutex_destroy(&buffer->lock);
}

/* Without an exit function the module is permanent */
static int __init dma_heap_buffer_module_init(void)
{
	if (IS_ENABLED(CONFIG_LOCKDEP))
		dma_heap_buffer_teach_lockdep();

	return 0;
}
module_init(dma_heap_buffer_module_init);

MODULE_DESCRIPTION("Exporter shared by the DMA-BUF heaps");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS(DMA_BUF);
MODULE_IMPORT_NS(DMA_BUF_HEAP);
