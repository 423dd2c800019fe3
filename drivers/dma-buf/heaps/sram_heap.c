// SPDX-License-Identifier: GPL-2.0
/*
 * DMA-BUF SRAM heaps: on-chip memory that the device tree exports for buffers
 *
 * A heap for each partition of an mmio-sram node with the property dma-heap-export, for
 * which the driver of the node makes a device. All free memory is zero: a buffer is
 * zeroed when it goes.
 *
 * The memory has no struct pages. Importers have to say that they need none
 * (allow_peer2peer), or they could look at a page that does not exist. All mappings of
 * the CPU are write-combined, so that no cache has to be maintained.
 */

#define pr_fmt(fmt) "sram_heap: " fmt

#include <linux/atomic.h>
#include <linux/bitops.h>
#include <linux/device.h>
#include <linux/dma-buf.h>
#include <linux/dma-heap.h>
#include <linux/dma-heap-record.h>
#include <linux/dma-mapping.h>
#include <linux/err.h>
#include <linux/io.h>
#include <linux/iommu.h>
#include <linux/ioport.h>
#include <linux/iosys-map.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/notifier.h>
#include <linux/pfn.h>
#include <linux/platform_device.h>
#include <linux/property.h>
#include <linux/scatterlist.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/suspend.h>
#include <trace/events/dma_heap.h>

#include "heap_space.h"

/**
 * struct sram_heap - a heap of on-chip memory
 * @space: free page frames, all zeroed
 * @base: physical address
 * @size: bytes
 * @vaddr: the memory as the kernel has it mapped, write-combined
 * @pm_notifier: sees to hibernation
 */
struct sram_heap {
	struct gen_pool *space;
	phys_addr_t base;
	size_t size;
	void *vaddr;
	struct notifier_block pm_notifier;
};

/**
 * struct sram_buffer - a buffer
 * @record: what it takes, and who pays
 * @heap: where it is from
 * @base: its physical address
 * @importers: how many attachments there are
 * @mmaps: mappings for user space there are
 * @vmapped: an importer has a kernel mapping
 */
struct sram_buffer {
	struct dma_heap_record record;
	struct sram_heap *heap;
	phys_addr_t base;
	atomic_t importers;
	atomic_t mmaps;
	bool vmapped;
};

/**
 * struct sram_mapping - a mapping of a device
 * @sgt: the table, which has no pages
 * @sg: its only entry
 */
struct sram_mapping {
	struct sg_table sgt;
	struct scatterlist sg;
};

static void *sram_buffer_vaddr(struct sram_buffer *buffer)
{
	return buffer->heap->vaddr + (buffer->base - buffer->heap->base);
}

static void sram_buffer_show(struct seq_file *seq, struct dma_heap_record *record)
{
	struct sram_buffer *buffer = container_of(record, struct sram_buffer,
						  record);
	bool mapped = atomic_read(&buffer->mmaps);
	bool vmapped = READ_ONCE(buffer->vmapped);

	seq_printf(seq, "%d\t%s%s%s\tu\t", atomic_read(&buffer->importers),
		   mapped ? "m" : "", vmapped ? "v" : "",
		   mapped || vmapped ? "" : "-");
}

static int sram_buffer_attach(struct dma_buf *dmabuf,
			      struct dma_buf_attachment *attachment)
{
	struct sram_buffer *buffer = dmabuf->priv;

	if (!attachment->peer2peer)
		return -EOPNOTSUPP;

	atomic_inc(&buffer->importers);

	return 0;
}

static void sram_buffer_detach(struct dma_buf *dmabuf,
			       struct dma_buf_attachment *attachment)
{
	struct sram_buffer *buffer = dmabuf->priv;

	atomic_dec(&buffer->importers);
}

/* Without an IOMMU that translates; the DMA API warns of what a device cannot reach */
static bool sram_is_reachable(struct device *dev, phys_addr_t last)
{
	struct iommu_domain *domain = iommu_get_domain_for_dev(dev);

	if (!dev->dma_mask)
		return false;

	if (domain && domain->type != IOMMU_DOMAIN_IDENTITY)
		return true;

	return last <= min_not_zero(dma_get_mask(dev), dev->bus_dma_limit);
}

static struct sg_table *sram_buffer_map(struct dma_buf_attachment *attachment,
					enum dma_data_direction dir)
{
	struct sram_buffer *buffer = attachment->dmabuf->priv;
	struct device *dev = attachment->dev;
	size_t size = buffer->record.size;
	struct sram_mapping *mapping;
	dma_addr_t addr;

	if (!valid_dma_direction(dir))
		return ERR_PTR(-EINVAL);

	if (!sram_is_reachable(dev, buffer->base + size - 1))
		return ERR_PTR(-EIO);

	mapping = kzalloc(sizeof(*mapping), GFP_KERNEL);
	if (!mapping)
		return ERR_PTR(-ENOMEM);

	addr = dma_map_resource(dev, buffer->base, size, dir, 0);
	if (dma_mapping_error(dev, addr)) {
		kfree(mapping);
		return ERR_PTR(-EIO);
	}

	sg_init_table(&mapping->sg, 1);
	sg_set_page(&mapping->sg, NULL, size, 0);
	sg_dma_address(&mapping->sg) = addr;
	sg_dma_len(&mapping->sg) = size;
	mapping->sgt.sgl = &mapping->sg;
	mapping->sgt.nents = 1;
	mapping->sgt.orig_nents = 1;
	trace_dma_heap_map(dev, buffer->record.ino, size, dir, 0);

	return &mapping->sgt;
}

static void sram_buffer_unmap(struct dma_buf_attachment *attachment,
			      struct sg_table *sgt, enum dma_data_direction dir)
{
	struct sram_buffer *buffer = attachment->dmabuf->priv;
	size_t size = buffer->record.size;

	dma_unmap_resource(attachment->dev, sg_dma_address(sgt->sgl), size, dir, 0);
	trace_dma_heap_unmap(attachment->dev, buffer->record.ino, size, dir, 0);
	kfree(container_of(sgt, struct sram_mapping, sgt));
}

static void sram_vma_open(struct vm_area_struct *vma)
{
	struct sram_buffer *buffer = vma->vm_private_data;

	atomic_inc(&buffer->mmaps);
}

static void sram_vma_close(struct vm_area_struct *vma)
{
	struct sram_buffer *buffer = vma->vm_private_data;

	atomic_dec(&buffer->mmaps);
}

static const struct vm_operations_struct sram_vma_ops = {
	.open = sram_vma_open,
	.close = sram_vma_close,
};

static int sram_buffer_mmap(struct dma_buf *dmabuf, struct vm_area_struct *vma)
{
	struct sram_buffer *buffer = dmabuf->priv;
	int ret;

	/* VM_SHARED is cleared for a read-only descriptor, VM_MAYSHARE is not */
	if (!(vma->vm_flags & VM_MAYSHARE))
		return -EINVAL;

	vma->vm_page_prot = pgprot_writecombine(vma->vm_page_prot);
	ret = vm_iomap_memory(vma, buffer->base, buffer->record.size);
	if (ret)
		return ret;

	vma->vm_private_data = buffer;
	vma->vm_ops = &sram_vma_ops;
	sram_vma_open(vma);

	return 0;
}

static int sram_buffer_vmap(struct dma_buf *dmabuf, struct iosys_map *map)
{
	struct sram_buffer *buffer = dmabuf->priv;

	WRITE_ONCE(buffer->vmapped, true);
	iosys_map_set_vaddr(map, sram_buffer_vaddr(buffer));

	return 0;
}

static void sram_buffer_vunmap(struct dma_buf *dmabuf, struct iosys_map *map)
{
	struct sram_buffer *buffer = dmabuf->priv;

	WRITE_ONCE(buffer->vmapped, false);
}

static int sram_buffer_charge(struct dma_buf *dmabuf)
{
	struct sram_buffer *buffer = dmabuf->priv;

	return dma_heap_recharge(&buffer->record);
}

static void sram_buffer_release(struct dma_buf *dmabuf)
{
	struct sram_buffer *buffer = dmabuf->priv;
	size_t size = buffer->record.size;

	dma_heap_record_remove(&buffer->record);
	memset(sram_buffer_vaddr(buffer), 0, size);
	dma_heap_space_put(buffer->heap->space, PHYS_PFN(buffer->base), size);
	kfree(buffer);
}

static const struct dma_buf_ops sram_buffer_ops = {
	.attach = sram_buffer_attach,
	.detach = sram_buffer_detach,
	.map_dma_buf = sram_buffer_map,
	.unmap_dma_buf = sram_buffer_unmap,
	.mmap = sram_buffer_mmap,
	.vmap = sram_buffer_vmap,
	.vunmap = sram_buffer_vunmap,
	.charge = sram_buffer_charge,
	.release = sram_buffer_release,
};

static struct sram_buffer *sram_buffer_alloc(struct sram_heap *sram, size_t size)
{
	struct sram_buffer *buffer;
	unsigned long pfn;

	buffer = kzalloc(sizeof(*buffer), GFP_KERNEL);
	if (!buffer)
		return NULL;

	pfn = dma_heap_space_take(sram->space, size, PAGE_SIZE);
	if (!pfn) {
		kfree(buffer);
		return NULL;
	}
	buffer->heap = sram;
	buffer->base = PFN_PHYS(pfn);

	return buffer;
}

static struct dma_buf *sram_heap_allocate(struct dma_heap *heap,
					  unsigned long len, u32 fd_flags,
					  u64 heap_flags)
{
	DEFINE_DMA_BUF_EXPORT_INFO(exp_info);
	struct sram_heap *sram = dma_heap_get_drvdata(heap);
	struct sram_buffer *buffer;
	struct obj_cgroup *objcg;
	struct dma_buf *dmabuf;
	int ret;

	ret = dma_heap_charge(heap, len, &objcg);
	if (ret)
		return ERR_PTR(ret);

	buffer = sram_buffer_alloc(sram, len);
	if (!buffer) {
		dmabuf = ERR_PTR(-ENOMEM);
		goto err_uncharge;
	}

	exp_info.exp_name = dma_heap_get_name(heap);
	exp_info.ops = &sram_buffer_ops;
	exp_info.size = len;
	exp_info.flags = fd_flags;
	exp_info.priv = buffer;
	dmabuf = dma_heap_export(heap, &exp_info, &buffer->record, objcg,
				 sram_buffer_show);
	if (IS_ERR(dmabuf))
		goto err_free_buffer;

	return dmabuf;

err_free_buffer:
	dma_heap_space_put(sram->space, PHYS_PFN(buffer->base), len);
	kfree(buffer);
err_uncharge:
	dma_heap_uncharge(heap, len, objcg);
	dma_heap_count_failure(heap, len, DMA_HEAP_NOMEM);
	return dmabuf;
}

static void sram_heap_get_area(struct dma_heap *heap, struct dma_heap_area *area)
{
	struct sram_heap *sram = dma_heap_get_drvdata(heap);

	dma_heap_space_get_area(sram->space, area);
}

/* The image of hibernation has no memory without struct pages */
static int sram_heap_pm_notify(struct notifier_block *nb, unsigned long action,
			       void *unused)
{
	struct sram_heap *sram = container_of(nb, struct sram_heap, pm_notifier);

	switch (action) {
	case PM_HIBERNATION_PREPARE:
		if (dma_heap_space_take(sram->space, sram->size, PAGE_SIZE))
			break;
		pr_err("%pa: no hibernation: memory in use would not be saved\n",
		       &sram->base);
		return notifier_from_errno(-EBUSY);
	case PM_POST_HIBERNATION:
		memset(sram->vaddr, 0, sram->size);
		dma_heap_space_put(sram->space, PHYS_PFN(sram->base), sram->size);
		break;
	}

	return NOTIFY_OK;
}

static const struct dma_heap_ops sram_heap_ops = {
	.allocate = sram_heap_allocate,
	.get_area = sram_heap_get_area,
};

static int sram_heap_check(struct device *dev, const struct resource *res)
{
	/* Page frame 0 means that there is no room; a scatterlist has 32 bits of length */
	if (!res->start || !PAGE_ALIGNED(res->start) ||
	    !PAGE_ALIGNED(resource_size(res)) || resource_size(res) > UINT_MAX)
		return dev_err_probe(dev, -EINVAL,
				     "%s %pR: must be whole pages, less than 4 GiB and not at 0\n",
				     res->name, res);

	if (region_intersects(res->start, resource_size(res), IORESOURCE_SYSTEM_RAM,
			      IORES_DESC_NONE) != REGION_DISJOINT)
		return dev_err_probe(dev, -EINVAL, "%s %pR: must not be System RAM\n",
				     res->name, res);

	if (device_property_read_bool(dev->parent, "no-memory-wc"))
		return dev_err_probe(dev, -EOPNOTSUPP,
				     "%s %pR: must not have no-memory-wc\n",
				     res->name, res);

	return 0;
}

static int sram_heap_add(struct sram_heap *sram, const char *name)
{
	struct dma_heap_export_info exp_info = {
		.name = name,
		.ops = &sram_heap_ops,
		.priv = sram,
		.attrs = DMA_HEAP_UNCACHED | DMA_HEAP_CONTIGUOUS | DMA_HEAP_RESERVED,
		.dma_bits = fls64(sram->base + sram->size - 1),
		.buffer_limit = sram->size,
	};
	struct dma_heap *heap;
	int ret = -ENOMEM;

	sram->vaddr = memremap(sram->base, sram->size, MEMREMAP_WC);
	if (!sram->vaddr)
		return -ENOMEM;

	memset(sram->vaddr, 0, sram->size);
	sram->space = dma_heap_space_create(sram->base, sram->size);
	if (!sram->space)
		goto err_unmap;

	heap = dma_heap_add(&exp_info);
	if (IS_ERR(heap)) {
		ret = PTR_ERR(heap);
		goto err_destroy_space;
	}

	sram->pm_notifier.notifier_call = sram_heap_pm_notify;
	/* The heap is new, and fails only if it were there already */
	WARN_ON(register_pm_notifier(&sram->pm_notifier));

	return 0;

err_destroy_space:
	dma_heap_space_destroy(sram->space);
err_unmap:
	memunmap(sram->vaddr);
	return ret;
}

static int sram_heap_probe(struct platform_device *pdev)
{
	const struct resource *res = platform_get_resource(pdev, IORESOURCE_MEM, 0);
	struct sram_heap *sram;
	int ret;

	ret = sram_heap_check(&pdev->dev, res);
	if (ret)
		return ret;

	/* A heap stays when its device goes, so it has no memory of the device's */
	sram = kzalloc(sizeof(*sram), GFP_KERNEL);
	if (!sram)
		return -ENOMEM;

	sram->base = res->start;
	sram->size = resource_size(res);
	ret = sram_heap_add(sram, res->name);
	if (ret) {
		kfree(sram);
		return dev_err_probe(&pdev->dev, ret, "%s %pR: cannot make a heap\n",
				     res->name, res);
	}

	return 0;
}

static const struct platform_device_id sram_heap_ids[] = {
	{ "dma-heap-sram" },
	{}
};
MODULE_DEVICE_TABLE(platform, sram_heap_ids);

/* An open device node cannot be revoked, so the driver cannot be unbound */
static struct platform_driver sram_heap_driver = {
	.probe = sram_heap_probe,
	.id_table = sram_heap_ids,
	.driver = {
		.name = "dma-heap-sram",
		.suppress_bind_attrs = true,
	},
};

static int __init sram_heap_init(void)
{
	return platform_driver_register(&sram_heap_driver);
}
module_init(sram_heap_init);

MODULE_DESCRIPTION("DMA-BUF heaps of on-chip memory");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS(DMA_BUF);
MODULE_IMPORT_NS(DMA_BUF_HEAP);
