// SPDX-License-Identifier: GPL-2.0
/*
 * DMA-BUF heaps: the exporter all heaps share
 *
 * A buffer is a backing with importers attached to it. The functions here, in
 * heap_buffer_cache.c and in heap_buffer_mmap.c are what a heap fills its
 * dma_buf_ops with; where the memory comes from and goes to is the business of
 * the heap's source.
 *
 * Lock order: dma_buf.resv or the mmap lock, then dma_heap_buffer.lock, then
 * reclaim. The dma-buf core maps, unmaps, vmaps and vunmaps with the reservation
 * held, but begins and ends CPU access without it, so that the buffer lock alone
 * keeps a mapping from changing under a cache maintenance, and must never wait
 * for the reservation.
 */

#include <linux/device.h>
#include <linux/dma-buf.h>
#include <linux/dma-direct.h>
#include <linux/dma-heap.h>
#include <linux/dma-map-ops.h>
#include <linux/dma-mapping.h>
#include <linux/dma-resv.h>
#include <linux/err.h>
#include <linux/list.h>
#include <linux/lockdep.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/scatterlist.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "heap_backing.h"
#include "heap_buffer.h"
#include "heap_buffer_internal.h"

/* The backing may have had another one before, and that left its state */
static void dma_heap_buffer_init(struct dma_heap_buffer *buffer)
{
	*buffer = (struct dma_heap_buffer) { };
	mutex_init(&buffer->lock);
	INIT_LIST_HEAD(&buffer->attachments);
}

/**
 * dma_heap_buffer_export - make a dma-buf of memory from a source
 * @heap: heap the buffer is allocated from, which gives it its exporter name
 * @source: where to get the memory
 * @exp_info: defined by DEFINE_DMA_BUF_EXPORT_INFO() in the heap's module, with
 *	      ops, size (non-zero multiple of PAGE_SIZE) and flags filled in
 *
 * Context: Process context, may sleep.
 *
 * Return: The dma-buf, or an ERR_PTR(): what the source gave, or -ENOMEM.
 */
struct dma_buf *dma_heap_buffer_export(struct dma_heap *heap,
				       struct dma_heap_source *source,
				       struct dma_buf_export_info *exp_info)
{
	struct dma_heap_backing *backing;
	struct dma_buf *dmabuf;

	backing = source->ops->alloc(source, exp_info->size);
	if (IS_ERR(backing))
		return ERR_CAST(backing);

	dma_heap_buffer_init(&backing->buffer);
	backing->buffer.source = source;
	backing->buffer.dev = dma_heap_get_dev(heap);
	backing->buffer.dirty = !backing->cleaned;
	exp_info->exp_name = dma_heap_get_name(heap);
	exp_info->priv = &backing->buffer;
	dmabuf = dma_buf_export(exp_info);
	if (IS_ERR(dmabuf))
		source->ops->free(source, backing);

	return dmabuf;
}
EXPORT_SYMBOL_NS_GPL(dma_heap_buffer_export, DMA_BUF_HEAP);

/**
 * dma_heap_buffer_release - &dma_buf_ops.release of heaps
 * @dmabuf: buffer nobody uses any more
 *
 * Context: Process context, may sleep.
 */
void dma_heap_buffer_release(struct dma_buf *dmabuf)
{
	struct dma_heap_buffer *buffer = dmabuf->priv;

	mutex_destroy(&buffer->lock);
	buffer->source->ops->free(buffer->source, to_backing(buffer));
}
EXPORT_SYMBOL_NS_GPL(dma_heap_buffer_release, DMA_BUF_HEAP);

/*
 * Every device needs a table of its own to hold its DMA addresses. One that
 * bounces can map so much at a time only.
 */
static int dma_heap_attachment_init_table(struct dma_heap_attachment *a,
					  const struct sg_table *chunks)
{
	size_t max = dma_max_mapping_size(a->dev) & PAGE_MASK;
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

/**
 * dma_heap_buffer_attach - &dma_buf_ops.attach of heaps
 * @dmabuf: the buffer
 * @attachment: the device's new attachment
 *
 * Context: Process context without the reservation lock, may sleep.
 *
 * Return: 0 or -ENOMEM.
 */
int dma_heap_buffer_attach(struct dma_buf *dmabuf,
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
	mutex_unlock(&buffer->lock);

	return 0;
}
EXPORT_SYMBOL_NS_GPL(dma_heap_buffer_attach, DMA_BUF_HEAP);

/**
 * dma_heap_buffer_detach - &dma_buf_ops.detach of heaps
 * @dmabuf: the buffer
 * @attachment: attachment with no mapping left
 *
 * Context: Process context without the reservation lock, may sleep.
 */
void dma_heap_buffer_detach(struct dma_buf *dmabuf,
			    struct dma_buf_attachment *attachment)
{
	struct dma_heap_buffer *buffer = dmabuf->priv;
	struct dma_heap_attachment *a = attachment->priv;

	mutex_lock(&buffer->lock);
	WARN_ON(a->mapcount);
	list_del(&a->node);
	mutex_unlock(&buffer->lock);

	sg_free_table(&a->sgt);
	kfree(a);
}
EXPORT_SYMBOL_NS_GPL(dma_heap_buffer_detach, DMA_BUF_HEAP);

/*
 * Does the device see copies instead of the memory? Behind an IOMMU addresses
 * tell nothing, but there only what could be malicious gets copies.
 */
static bool dma_heap_attachment_bounces(struct dma_heap_attachment *a)
{
	struct scatterlist *sg;
	int i;

	if (device_iommu_mapped(a->dev))
		return dev_is_pci(a->dev) && to_pci_dev(a->dev)->untrusted;

	for_each_sgtable_dma_sg(&a->sgt, sg, i)
		if (dma_to_phys(a->dev, sg_dma_address(sg)) != sg_phys(sg))
			return true;

	return false;
}

/* Maintenance of caches is not the mapping's business, see heap_buffer_cache.c */
static int dma_heap_attachment_map_dir(struct dma_heap_attachment *a,
				       enum dma_data_direction dir)
{
	int ret;

	ret = dma_map_sgtable(a->dev, &a->sgt, dir, DMA_ATTR_SKIP_CPU_SYNC);
	if (ret)
		return ret;

	a->bounces = dma_heap_attachment_bounces(a);
	a->dir = dir;

	return 0;
}

static int dma_heap_attachment_map_table(struct dma_heap_buffer *buffer,
					 struct dma_heap_attachment *a,
					 enum dma_data_direction dir)
{
	int ret;

	ret = dma_heap_attachment_map_dir(a, dir);
	if (ret)
		return ret;

	/* The copying would go through the cache */
	if (a->bounces && buffer->source->uncached) {
		dma_unmap_sgtable(a->dev, &a->sgt, dir, DMA_ATTR_SKIP_CPU_SYNC);
		return -EIO;
	}

	/* All of a copy goes back, so all of it has to be kept up to date */
	if (a->bounces && dir == DMA_FROM_DEVICE) {
		dma_unmap_sgtable(a->dev, &a->sgt, dir, DMA_ATTR_SKIP_CPU_SYNC);
		ret = dma_heap_attachment_map_dir(a, DMA_BIDIRECTIONAL);
		if (ret)
			return ret;
	}

	a->direct = !a->bounces && !dev_is_dma_coherent(a->dev);

	return 0;
}

static int dma_heap_attachment_map(struct dma_buf *dmabuf,
				   struct dma_heap_attachment *a,
				   enum dma_data_direction dir)
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

	a->mapcount++;
	if (!buffer->source->uncached)
		dma_heap_device_access_begins(dmabuf, a);

	return 0;
}

/**
 * dma_heap_buffer_map - &dma_buf_ops.map_dma_buf of heaps
 * @attachment: attachment to map the buffer for
 * @dir: direction of the transfers
 *
 * An attachment may be mapped more than once, as long as the directions fit
 * the first one's. All mappings share one table.
 *
 * Context: Process context with the reservation lock held, may sleep.
 *
 * Return: The table with the device's addresses, or an ERR_PTR(): -EINVAL for
 * no direction, -EBUSY for one that is not covered by that of the mapping
 * which exists, -EIO for an uncached buffer that the device cannot reach, or
 * what dma_map_sgtable() gave.
 */
struct sg_table *dma_heap_buffer_map(struct dma_buf_attachment *attachment,
				     enum dma_data_direction dir)
{
	struct dma_heap_buffer *buffer = attachment->dmabuf->priv;
	struct dma_heap_attachment *a = attachment->priv;
	int ret;

	dma_resv_assert_held(attachment->dmabuf->resv);

	mutex_lock(&buffer->lock);
	ret = dma_heap_attachment_map(attachment->dmabuf, a, dir);
	mutex_unlock(&buffer->lock);

	return ret ? ERR_PTR(ret) : &a->sgt;
}
EXPORT_SYMBOL_NS_GPL(dma_heap_buffer_map, DMA_BUF_HEAP);

/**
 * dma_heap_buffer_unmap - &dma_buf_ops.unmap_dma_buf of heaps
 * @attachment: attachment to drop a mapping of
 * @sgt: table dma_heap_buffer_map() returned
 * @dir: direction it was asked for
 *
 * Context: Process context with the reservation lock held, may sleep.
 */
void dma_heap_buffer_unmap(struct dma_buf_attachment *attachment,
			   struct sg_table *sgt, enum dma_data_direction dir)
{
	struct dma_heap_buffer *buffer = attachment->dmabuf->priv;
	struct dma_heap_attachment *a = attachment->priv;

	dma_resv_assert_held(attachment->dmabuf->resv);

	mutex_lock(&buffer->lock);
	a->mapcount--;
	if (!buffer->source->uncached)
		dma_heap_device_access_ends(attachment->dmabuf, a);
	/* The table is mapped in the first mapping's direction, not in @dir */
	if (!a->mapcount)
		dma_unmap_sgtable(a->dev, sgt, a->dir, DMA_ATTR_SKIP_CPU_SYNC);
	mutex_unlock(&buffer->lock);
}
EXPORT_SYMBOL_NS_GPL(dma_heap_buffer_unmap, DMA_BUF_HEAP);

#if IS_ENABLED(CONFIG_LOCKDEP)
/* Teach lockdep the order before anybody can get it wrong */
static int __init dma_heap_buffer_lockdep(void)
{
	struct dma_heap_buffer buffer;
	struct dma_resv resv;

	dma_heap_buffer_init(&buffer);
	dma_resv_init(&resv);

	dma_resv_lock(&resv, NULL);
	mutex_lock(&buffer.lock);
	fs_reclaim_acquire(GFP_KERNEL);
	fs_reclaim_release(GFP_KERNEL);
	mutex_unlock(&buffer.lock);
	dma_resv_unlock(&resv);

	dma_resv_fini(&resv);
	mutex_destroy(&buffer.lock);

	return 0;
}
module_init(dma_heap_buffer_lockdep);
#endif

MODULE_DESCRIPTION("Exporter shared by the DMA-BUF heaps");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS(DMA_BUF);
MODULE_IMPORT_NS(DMA_BUF_HEAP);
