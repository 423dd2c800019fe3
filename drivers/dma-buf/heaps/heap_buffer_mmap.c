// SPDX-License-Identifier: GPL-2.0
/*
 * DMA-BUF heaps: mappings of a buffer for the CPU
 *
 * User space gets PMD mappings where both the virtual and the physical address allow
 * it. Only faults can make these; one fault makes all whose entries are in the same
 * table. The rest, at the ends of a mapping or all of it, is mapped page by page when
 * the mapping is made, and needs no fault. The kernel removes a PMD mapping as a whole
 * when a part of it is unmapped; faults then bring its pages back.
 */

#include <linux/align.h>
#include <linux/compiler.h>
#include <linux/dma-buf.h>
#include <linux/dma-resv.h>
#include <linux/errno.h>
#include <linux/highmem.h>
#include <linux/huge_mm.h>
#include <linux/iosys-map.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/pfn_t.h>
#include <linux/pgtable.h>
#include <linux/scatterlist.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "heap_buffer_internal.h"
#include "heap_source.h"

/* Bytes that a fault on a single page maps */
#define FAULT_WINDOW	max(SZ_64K, PAGE_SIZE)

/*
 * Call @map for the parts of the chunks that belong to the addresses from @start
 * to @end in @vma, in order, until it fails.
 */
static int
dma_heap_map_range(struct vm_area_struct *vma, unsigned long start,
		   unsigned long end,
		   int (*map)(void *data, unsigned long addr, unsigned long pfn,
			      unsigned long len),
		   void *data)
{
	struct dma_heap_buffer *buffer = vma->vm_private_data;
	unsigned long skip = start - vma->vm_start +
			     (vma->vm_pgoff << PAGE_SHIFT);
	struct scatterlist *sg;
	int i, ret;

	for_each_sgtable_sg(&to_backing(buffer)->sgt, sg, i) {
		unsigned long len;

		if (skip >= sg->length) {
			skip -= sg->length;
			continue;
		}

		len = min(sg->length - skip, end - start);
		ret = map(data, start,
			  page_to_pfn(sg_page(sg)) + PHYS_PFN(skip), len);
		if (ret)
			return ret;

		start += len;
		if (start == end)
			break;
		skip = 0;
	}

	return 0;
}

/*
 * Young and dirty from the start: the kernel reads neither bit of such a mapping, and a
 * CPU without hardware dirty-bit management would take a fault for every page.
 */
static pgprot_t dma_heap_page_prot(struct vm_area_struct *vma)
{
	pte_t pte = pte_mkyoung(pfn_pte(0, vma->vm_page_prot));
	pgprot_t prot;

	if (vma->vm_flags & VM_WRITE)
		pte = pte_mkdirty(pte_mkwrite_novma(pte));

	/* Some architectures have no pte_pgprot() and return 0 */
	prot = pte_pgprot(pte);

	return pgprot_val(prot) ? prot : vma->vm_page_prot;
}

static int dma_heap_map_pages(void *data, unsigned long addr, unsigned long pfn,
			      unsigned long len)
{
	struct vm_area_struct *vma = data;

	return len ? remap_pfn_range(vma, addr, pfn, len,
				     dma_heap_page_prot(vma)) : 0;
}

/**
 * struct dma_heap_fault - a fault that maps more than its own address
 * @vmf: the fault
 * @ret: its result
 */
struct dma_heap_fault {
	struct vm_fault *vmf;
	vm_fault_t ret;
};

/* A page that is mapped already stays */
static int dma_heap_refill_pages(void *data, unsigned long addr,
				 unsigned long pfn, unsigned long len)
{
	struct dma_heap_fault *fault = data;
	struct vm_area_struct *vma = fault->vmf->vma;
	pgprot_t prot = dma_heap_page_prot(vma);
	unsigned long end = addr + len;

	for (; addr < end; addr += PAGE_SIZE) {
		fault->ret = vmf_insert_pfn_prot(vma, addr, pfn++, prot);
		if (fault->ret != VM_FAULT_NOPAGE)
			return -EFAULT;
	}

	return 0;
}

static vm_fault_t dma_heap_vm_fault(struct vm_fault *vmf)
{
	unsigned long window = ALIGN_DOWN(vmf->address, FAULT_WINDOW);
	struct dma_heap_fault fault = { .vmf = vmf, .ret = VM_FAULT_SIGBUS };
	struct vm_area_struct *vma = vmf->vma;

	dma_heap_map_range(vma, max(window, vma->vm_start),
			   min(window + FAULT_WINDOW, vma->vm_end),
			   dma_heap_refill_pages, &fault);

	return fault.ret;
}

#ifdef CONFIG_ARCH_SUPPORTS_PMD_PFNMAP

static bool dma_heap_maps_blocks(struct vm_area_struct *vma, unsigned long addr,
				 unsigned long pfn)
{
	return IS_ALIGNED(PHYS_PFN(addr) - pfn, PHYS_PFN(PMD_SIZE)) &&
	       !vma_thp_disabled(vma, vma->vm_flags);
}

static vm_fault_t dma_heap_insert_block(struct vm_fault *vmf,
					unsigned long addr, unsigned long pfn)
{
	unsigned long fault_addr = vmf->address & PMD_MASK;
	struct vm_fault block = {
		.vma = vmf->vma,
		.address = addr,
		.flags = vmf->flags,
		.pmd = vmf->pmd + ((long)(addr - fault_addr) >> PMD_SHIFT),
	};

	/* Leave alone what another fault has mapped */
	if (addr != fault_addr && !pmd_none(pmdp_get_lockless(block.pmd)))
		return VM_FAULT_NOPAGE;

	return vmf_insert_pfn_pmd(&block, pfn_to_pfn_t(pfn), true);
}

static int dma_heap_map_blocks(void *data, unsigned long addr,
			       unsigned long pfn, unsigned long len)
{
	struct dma_heap_fault *fault = data;
	unsigned long fault_addr = fault->vmf->address & PMD_MASK;
	unsigned long block = ALIGN(addr, PMD_SIZE);
	vm_fault_t ret;

	if (!dma_heap_maps_blocks(fault->vmf->vma, addr, pfn))
		return 0;

	for (; block + PMD_SIZE <= addr + len; block += PMD_SIZE) {
		ret = dma_heap_insert_block(fault->vmf, block,
					    pfn + PHYS_PFN(block - addr));
		if (block == fault_addr)
			fault->ret = ret;
	}

	return 0;
}

/* All blocks of the mapping whose entries are in the same table */
static vm_fault_t dma_heap_vm_huge_fault(struct vm_fault *vmf,
					 unsigned int order)
{
	struct dma_heap_fault fault = { .vmf = vmf, .ret = VM_FAULT_FALLBACK };
	unsigned long table = vmf->address & PUD_MASK;
	struct vm_area_struct *vma = vmf->vma;

	if (order != PMD_ORDER)
		return VM_FAULT_FALLBACK;

	/*
	 * prctl() forbids PMD mappings under the mmap lock alone. With that lock
	 * held, all faults agree on whether they map pages or PMDs.
	 */
	if (vmf->flags & FAULT_FLAG_VMA_LOCK) {
		vma_end_read(vma);
		return VM_FAULT_RETRY;
	}

	dma_heap_map_range(vma, max(table, vma->vm_start),
			   min(table + PUD_SIZE - 1, vma->vm_end - 1) + 1,
			   dma_heap_map_blocks, &fault);

	return fault.ret;
}

/* Map all but the PMDs, which faults will map */
static int dma_heap_map_ends(void *data, unsigned long addr, unsigned long pfn,
			     unsigned long len)
{
	unsigned long first = ALIGN(addr, PMD_SIZE);
	unsigned long last = ALIGN_DOWN(addr + len, PMD_SIZE);
	struct vm_area_struct *vma = data;
	int ret;

	if (first >= last || !dma_heap_maps_blocks(vma, addr, pfn))
		return dma_heap_map_pages(vma, addr, pfn, len);

	ret = dma_heap_map_pages(vma, addr, pfn, first - addr);
	if (ret)
		return ret;

	return dma_heap_map_pages(vma, last, pfn + PHYS_PFN(last - addr),
				  addr + len - last);
}

/* Bytes from the beginning that are chunks of whole PMDs only */
static size_t dma_heap_leading_blocks(struct dma_heap_backing *backing)
{
	size_t len = READ_ONCE(backing->blocks);
	struct scatterlist *sg;
	int i;

	if (len)
		return len;

	for_each_sgtable_sg(&backing->sgt, sg, i) {
		if (!IS_ALIGNED(sg_phys(sg) | sg->length, PMD_SIZE))
			break;
		len += sg->length;
	}
	/* Two tasks write the same value */
	WRITE_ONCE(backing->blocks, len);

	return len;
}

/* The end of what PMDs can map from the start of the mapping without a gap */
static unsigned long dma_heap_blocks_end(struct vm_area_struct *vma)
{
	struct dma_heap_buffer *buffer = vma->vm_private_data;
	unsigned long offset = vma->vm_pgoff << PAGE_SHIFT;
	size_t blocks;

	if (!dma_heap_maps_blocks(vma, vma->vm_start, vma->vm_pgoff))
		return vma->vm_start;

	blocks = dma_heap_leading_blocks(to_backing(buffer));
	if (blocks <= offset)
		return vma->vm_start;

	return min(vma->vm_start + (blocks - offset),
		   ALIGN_DOWN(vma->vm_end, PMD_SIZE));
}

static int dma_heap_map_part(struct vm_area_struct *vma, unsigned long start,
			     unsigned long end)
{
	return start < end ? dma_heap_map_range(vma, start, end,
						dma_heap_map_ends, vma) : 0;
}

/* Skip the chunks at the front that faults will map as PMDs: there may be many */
static int dma_heap_map_at_once(struct vm_area_struct *vma)
{
	unsigned long first = ALIGN(vma->vm_start, PMD_SIZE);
	unsigned long last = vma->vm_start;
	int ret;

	if (first < ALIGN_DOWN(vma->vm_end, PMD_SIZE))
		last = dma_heap_blocks_end(vma);
	if (first >= last)
		return dma_heap_map_part(vma, vma->vm_start, vma->vm_end);

	ret = dma_heap_map_part(vma, vma->vm_start, first);

	return ret ?: dma_heap_map_part(vma, last, vma->vm_end);
}

#else /* CONFIG_ARCH_SUPPORTS_PMD_PFNMAP */

#define dma_heap_vm_huge_fault	NULL

static int dma_heap_map_at_once(struct vm_area_struct *vma)
{
	return dma_heap_map_range(vma, vma->vm_start, vma->vm_end,
				  dma_heap_map_pages, vma);
}

#endif /* CONFIG_ARCH_SUPPORTS_PMD_PFNMAP */

/* After a fork, or when a mapping is split */
static void dma_heap_vm_open(struct vm_area_struct *vma)
{
	struct dma_heap_buffer *buffer = vma->vm_private_data;

	atomic_inc(&buffer->mmaps);
}

static void dma_heap_vm_close(struct vm_area_struct *vma)
{
	struct dma_heap_buffer *buffer = vma->vm_private_data;

	atomic_dec(&buffer->mmaps);
}

static const struct vm_operations_struct dma_heap_vm_ops = {
	.open = dma_heap_vm_open,
	.close = dma_heap_vm_close,
	.fault = dma_heap_vm_fault,
	.huge_fault = dma_heap_vm_huge_fault,
};

/**
 * dma_heap_buffer_mmap - &dma_buf_ops.mmap of heaps
 * @dmabuf: the buffer
 * @vma: where to map it; the dma-buf core has checked that offset and length
 *	 are within the buffer
 *
 * Context: Process context with the mmap lock held for writing, may sleep.
 *
 * Return: 0, -EINVAL for a private mapping, or what remap_pfn_range() gave.
 */
int dma_heap_buffer_mmap(struct dma_buf *dmabuf, struct vm_area_struct *vma)
{
	struct dma_heap_buffer *buffer = dmabuf->priv;
	int ret;

	/* VM_SHARED is cleared for a read-only descriptor, VM_MAYSHARE is not */
	if (!(vma->vm_flags & VM_MAYSHARE))
		return -EINVAL;

	if (buffer->source->uncached)
		vma->vm_page_prot = pgprot_writecombine(vma->vm_page_prot);
	else if (vma->vm_flags & VM_SHARED)
		dma_heap_user_map_begins(dmabuf);

	vm_flags_set(vma, VM_PFNMAP | VM_IO | VM_DONTEXPAND | VM_DONTDUMP);
	vma->vm_ops = &dma_heap_vm_ops;
	vma->vm_private_data = buffer;

	/* mprotect() can make such a mapping writable without a call of ours */
	if (vma->vm_flags & VM_MAYWRITE)
		dma_heap_buffer_expose(buffer);

	ret = dma_heap_map_at_once(vma);
	if (!ret)
		atomic_inc(&buffer->mmaps);

	return ret;
}

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

/* A single chunk in the linear map needs no second mapping */
static void *dma_heap_linear_address(struct dma_heap_backing *backing)
{
	struct page *page = sg_page(backing->sgt.sgl);

	if (backing->sgt.orig_nents > 1 || PageHighMem(page))
		return NULL;

	return page_address(page);
}

static void *dma_heap_vmap(struct dma_heap_backing *backing, bool uncached)
{
	void *vaddr;

	if (uncached)
		return dma_heap_vmap_backing(backing,
					     pgprot_writecombine(PAGE_KERNEL));

	vaddr = dma_heap_linear_address(backing);

	return vaddr ?: dma_heap_vmap_backing(backing, PAGE_KERNEL);
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
	bool uncached = buffer->source->uncached;
	void *vaddr;

	dma_resv_assert_held(dmabuf->resv);

	vaddr = dma_heap_vmap(to_backing(buffer), uncached);
	if (!vaddr)
		return -ENOMEM;

	dma_heap_buffer_expose(buffer);
	mutex_lock(&buffer->lock);
	buffer->vaddr = vaddr;
	if (!uncached)
		dma_heap_kernel_map_begins(dmabuf);
	mutex_unlock(&buffer->lock);
	iosys_map_set_vaddr(map, vaddr);

	return 0;
}

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
	if (!buffer->source->uncached)
		dma_heap_kernel_map_ends(dmabuf);
	buffer->vaddr = NULL;
	mutex_unlock(&buffer->lock);
	if (is_vmalloc_addr(vaddr))
		vunmap(vaddr);
	iosys_map_clear(map);
}
