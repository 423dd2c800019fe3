// SPDX-License-Identifier: GPL-2.0
/*
 * DMA-BUF heaps: the exporter all heaps share
 *
 * A buffer is a backing with importers attached to it. The functions here are
 * what a heap fills its dma_buf_ops with; where the memory comes from and goes
 * to is the business of the heap's source.
 *
 * Lock order: dma_buf.resv, then dma_heap_buffer.lock, then reclaim. The dma-buf
 * core maps, unmaps, vmaps and vunmaps with the reservation held, but begins
 * and ends CPU access without it, so that the buffer lock alone keeps a mapping
 * from changing under a cache maintenance, and must never wait for the
 * reservation.
 */

#include <linux/device.h>
#include <linux/dma-buf.h>
#include <linux/dma-direct.h>
#include <linux/dma-heap.h>
#include <linux/dma-map-ops.h>
#include <linux/dma-mapping.h>
#include <linux/dma-resv.h>
#include <linux/err.h>
#include <linux/highmem.h>
#include <linux/iosys-map.h>
#include <linux/list.h>
#include <linux/lockdep.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "heap_backing.h"
#include "heap_buffer.h"

/**
 * struct dma_heap_attachment - a device attached to a buffer
 * @node: entry in the buffer's list
 * @dev: the device
 * @sgt: the chunks of the backing as the device sees them
 * @mapcount: mappings of @sgt in use; it is mapped once for all of them
 * @dir: direction @sgt is mapped with, valid while @mapcount is not zero
 */
struct dma_heap_attachment {
	struct list_head node;
	struct device *dev;
	struct sg_table sgt;
	unsigned int mapcount;
	enum dma_data_direction dir;
};

static struct dma_heap_backing *to_backing(struct dma_heap_buffer *buffer)
{
	return container_of(buffer, struct dma_heap_backing, buffer);
}

static void dma_heap_buffer_init(struct dma_heap_buffer *buffer)
{
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

/* Every device needs a table of its own to hold its DMA addresses */
static int dma_heap_copy_sgt(struct sg_table *to, const struct sg_table *from)
{
	struct scatterlist *src = from->sgl;
	struct scatterlist *dst;
	int i, ret;

	ret = sg_alloc_table(to, from->orig_nents, GFP_KERNEL);
	if (ret)
		return ret;

	for_each_sgtable_sg(to, dst, i) {
		sg_set_page(dst, sg_page(src), src->length, 0);
		src = sg_next(src);
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

	ret = dma_heap_copy_sgt(&a->sgt, &to_backing(buffer)->sgt);
	if (ret) {
		kfree(a);
		return ret;
	}

	a->dev = attachment->dev;
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
 * Does the device see copies instead of the memory? An IOMMU makes the copying
 * needless, and addresses that tell nothing.
 */
static bool dma_heap_attachment_bounces(struct dma_heap_attachment *a)
{
	struct scatterlist *sg;
	int i;

	if (device_iommu_mapped(a->dev))
		return false;

	for_each_sgtable_dma_sg(&a->sgt, sg, i)
		if (dma_to_phys(a->dev, sg_dma_address(sg)) != sg_phys(sg))
			return true;

	return false;
}

static int dma_heap_attachment_map_table(struct dma_heap_buffer *buffer,
					 struct dma_heap_attachment *a,
					 enum dma_data_direction dir)
{
	int ret;

	ret = dma_map_sgtable(a->dev, &a->sgt, dir, DMA_ATTR_SKIP_CPU_SYNC);
	if (ret)
		return ret;

	/* The copying would go through the cache */
	if (buffer->source->uncached && dma_heap_attachment_bounces(a)) {
		dma_unmap_sgtable(a->dev, &a->sgt, dir, DMA_ATTR_SKIP_CPU_SYNC);
		return -EIO;
	}

	return 0;
}

/*
 * The table is mapped without maintenance, which is then done by hand: the
 * same table may be handed out more than once, and devices that have the same
 * chunks mapped at the same time are no mistake here.
 */
static int dma_heap_attachment_map(struct dma_heap_buffer *buffer,
				   struct dma_heap_attachment *a,
				   enum dma_data_direction dir)
{
	int ret;

	if (!valid_dma_direction(dir))
		return -EINVAL;

	if (!a->mapcount) {
		ret = dma_heap_attachment_map_table(buffer, a, dir);
		if (ret)
			return ret;
		a->dir = dir;
	} else if (a->dir != dir && a->dir != DMA_BIDIRECTIONAL) {
		return -EBUSY;
	}

	a->mapcount++;
	if (!dev_is_dma_coherent(a->dev))
		to_backing(buffer)->noncoherent = true;
	if (!buffer->source->uncached)
		dma_sync_sgtable_for_device(a->dev, &a->sgt, a->dir);

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
	ret = dma_heap_attachment_map(buffer, a, dir);
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
	/* The table is mapped in the first mapping's direction, not in @dir */
	if (!buffer->source->uncached)
		dma_sync_sgtable_for_cpu(a->dev, sgt, a->dir);
	if (!--a->mapcount)
		dma_unmap_sgtable(a->dev, sgt, a->dir, DMA_ATTR_SKIP_CPU_SYNC);
	mutex_unlock(&buffer->lock);
}
EXPORT_SYMBOL_NS_GPL(dma_heap_buffer_unmap, DMA_BUF_HEAP);

/**
 * dma_heap_buffer_begin_cpu_access - &dma_buf_ops.begin_cpu_access of heaps
 * @dmabuf: the buffer
 * @dir: what the CPU is about to do: DMA_FROM_DEVICE reads, DMA_TO_DEVICE
 *	 writes, DMA_BIDIRECTIONAL does both
 *
 * A write needs what devices wrote as much as a read does: it may fill a part
 * of a cache line only. So @dir does not matter, but the direction of the
 * mappings.
 *
 * Context: Process context without the reservation lock, may sleep.
 *
 * Return: 0.
 */
int dma_heap_buffer_begin_cpu_access(struct dma_buf *dmabuf,
				     enum dma_data_direction dir)
{
	struct dma_heap_buffer *buffer = dmabuf->priv;
	struct dma_heap_attachment *a;

	if (buffer->source->uncached)
		return 0;

	mutex_lock(&buffer->lock);
	list_for_each_entry(a, &buffer->attachments, node)
		if (a->mapcount)
			dma_sync_sgtable_for_cpu(a->dev, &a->sgt, a->dir);

	if (buffer->vaddr)
		invalidate_kernel_vmap_range(buffer->vaddr, dmabuf->size);
	mutex_unlock(&buffer->lock);

	return 0;
}
EXPORT_SYMBOL_NS_GPL(dma_heap_buffer_begin_cpu_access, DMA_BUF_HEAP);

/**
 * dma_heap_buffer_end_cpu_access - &dma_buf_ops.end_cpu_access of heaps
 * @dmabuf: the buffer
 * @dir: what the CPU did, as for dma_heap_buffer_begin_cpu_access()
 *
 * Context: Process context without the reservation lock, may sleep.
 *
 * Return: 0.
 */
int dma_heap_buffer_end_cpu_access(struct dma_buf *dmabuf,
				   enum dma_data_direction dir)
{
	struct dma_heap_buffer *buffer = dmabuf->priv;
	struct dma_heap_attachment *a;

	/* Who only read has nothing to tell the devices */
	if (dir == DMA_FROM_DEVICE || buffer->source->uncached)
		return 0;

	mutex_lock(&buffer->lock);
	if (buffer->vaddr)
		flush_kernel_vmap_range(buffer->vaddr, dmabuf->size);

	list_for_each_entry(a, &buffer->attachments, node)
		if (a->mapcount)
			dma_sync_sgtable_for_device(a->dev, &a->sgt, a->dir);
	mutex_unlock(&buffer->lock);

	return 0;
}
EXPORT_SYMBOL_NS_GPL(dma_heap_buffer_end_cpu_access, DMA_BUF_HEAP);

/**
 * dma_heap_buffer_mmap - &dma_buf_ops.mmap of heaps
 * @dmabuf: the buffer
 * @vma: where to map it; the dma-buf core has checked that offset and length
 *	 are within the buffer
 *
 * All of it is mapped at once, chunk by chunk, so there are no faults to serve.
 *
 * Context: Process context with the mmap lock held for writing, may sleep.
 *
 * Return: 0, -EINVAL for a private mapping, or what remap_pfn_range() gave.
 */
int dma_heap_buffer_mmap(struct dma_buf *dmabuf, struct vm_area_struct *vma)
{
	struct dma_heap_buffer *buffer = dmabuf->priv;
	unsigned long skip = vma->vm_pgoff << PAGE_SHIFT;
	unsigned long addr = vma->vm_start;
	struct scatterlist *sg;
	int i, ret;

	/* VM_SHARED is gone when the descriptor is read-only */
	if (!(vma->vm_flags & VM_MAYSHARE))
		return -EINVAL;

	if (buffer->source->uncached)
		vma->vm_page_prot = pgprot_writecombine(vma->vm_page_prot);

	for_each_sgtable_sg(&to_backing(buffer)->sgt, sg, i) {
		unsigned long len;

		if (skip >= sg->length) {
			skip -= sg->length;
			continue;
		}

		len = min(sg->length - skip, vma->vm_end - addr);
		ret = remap_pfn_range(vma, addr,
				      page_to_pfn(sg_page(sg)) + PHYS_PFN(skip),
				      len, vma->vm_page_prot);
		if (ret)
			return ret;

		addr += len;
		if (addr == vma->vm_end)
			break;
		skip = 0;
	}

	return 0;
}
EXPORT_SYMBOL_NS_GPL(dma_heap_buffer_mmap, DMA_BUF_HEAP);

static void *dma_heap_vmap_backing(struct dma_heap_backing *backing,
				   pgprot_t prot)
{
	unsigned long npages = PHYS_PFN(backing->size);
	struct sg_page_iter piter;
	unsigned long n = 0;
	struct page **pages;
	void *vaddr;

	pages = kvmalloc_array(npages, sizeof(*pages), GFP_KERNEL);
	if (!pages)
		return NULL;

	for_each_sgtable_page(&backing->sgt, &piter, 0)
		pages[n++] = sg_page_iter_page(&piter);

	vaddr = vmap(pages, npages, VM_MAP, prot);
	kvfree(pages);

	return vaddr;
}

/**
 * dma_heap_buffer_vmap - &dma_buf_ops.vmap of heaps
 * @dmabuf: the buffer, which has no kernel mapping: the dma-buf core counts
 *	    its users and calls for the first one only
 * @map: set to the kernel address
 *
 * Context: Process context with the reservation lock held, may sleep.
 *
 * Return: 0 or -ENOMEM.
 */
int dma_heap_buffer_vmap(struct dma_buf *dmabuf, struct iosys_map *map)
{
	struct dma_heap_buffer *buffer = dmabuf->priv;
	pgprot_t prot = PAGE_KERNEL;
	void *vaddr;

	dma_resv_assert_held(dmabuf->resv);

	if (buffer->source->uncached)
		prot = pgprot_writecombine(prot);

	vaddr = dma_heap_vmap_backing(to_backing(buffer), prot);
	if (!vaddr)
		return -ENOMEM;

	mutex_lock(&buffer->lock);
	buffer->vaddr = vaddr;
	mutex_unlock(&buffer->lock);
	iosys_map_set_vaddr(map, vaddr);

	return 0;
}
EXPORT_SYMBOL_NS_GPL(dma_heap_buffer_vmap, DMA_BUF_HEAP);

/**
 * dma_heap_buffer_vunmap - &dma_buf_ops.vunmap of heaps
 * @dmabuf: the buffer, whose kernel mapping has lost its last user
 * @map: what dma_heap_buffer_vmap() set; cleared
 *
 * Context: Process context with the reservation lock held, may sleep.
 */
void dma_heap_buffer_vunmap(struct dma_buf *dmabuf, struct iosys_map *map)
{
	struct dma_heap_buffer *buffer = dmabuf->priv;
	void *vaddr = buffer->vaddr;

	dma_resv_assert_held(dmabuf->resv);

	mutex_lock(&buffer->lock);
	buffer->vaddr = NULL;
	mutex_unlock(&buffer->lock);
	vunmap(vaddr);
	iosys_map_clear(map);
}
EXPORT_SYMBOL_NS_GPL(dma_heap_buffer_vunmap, DMA_BUF_HEAP);

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
