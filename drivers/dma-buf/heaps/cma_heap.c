// SPDX-License-Identifier: GPL-2.0
/*
 * DMA-BUF CMA heaps: physically contiguous memory
 *
 * The default area has a heap, and so has every area that the device tree reserves for
 * reuse. The heap of the default area has two names: one that is the same on all
 * machines, and the area's own, which older clients look for.
 *
 * An allocation from an area has to move movable pages away. The pool saves that. When
 * any allocation, also of another driver, finds no room in the area, the pool gives back
 * as much as it wants, or all it has if that does not help.
 *
 * If it is configured, each area has another heap whose buffers the CPU maps past its
 * caches. It has a pool of its own, so that memory is written back once.
 *
 * A device behind an IOMMU does not need contiguous buffers, but large pages in them.
 * For such devices each area can have another heap, of chunks of one size, which finds
 * room when there is none for a whole buffer any more.
 */

#define pr_fmt(fmt) "cma_heap: " fmt

#include <linux/align.h>
#include <linux/bitops.h>
#include <linux/cma.h>
#include <linux/dma-heap.h>
#include <linux/dma-map-ops.h>
#include <linux/err.h>
#include <linux/math.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/notifier.h>
#include <linux/pfn.h>
#include <linux/scatterlist.h>
#include <linux/sched/signal.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/sprintf.h>
#include <linux/string.h>

#include "heap_pool.h"
#include "heap_source.h"

#define DEFAULT_NAME	"default_cma_region"

/* A PMD of CPUs and IOMMUs, with pages of 4 KiB */
#define BLOCK			SZ_2M

/* The alignment that is configured for DMA, in bytes */
#define CMA_ALIGNMENT		(PAGE_SIZE << CONFIG_CMA_ALIGNMENT)

static unsigned int max_percent = 50;
module_param(max_percent, uint, 0444);
MODULE_PARM_DESC(max_percent, "What a pool may hold at first, in percent of the area (default 50)");

static unsigned int chunk_kib;
module_param(chunk_kib, uint, 0444);
MODULE_PARM_DESC(chunk_kib, "Have a heap <area>-chunks of each area, too, of chunks of that many KiB (default 0: none)");

/**
 * struct cma_heap - the heap of an area, whatever names it has
 * @source: the source
 * @cma: the area
 * @chunk: bytes of each chunk but the last one, 0 for one chunk only
 * @shortage: called when the area has no room, and after that
 */
struct cma_heap {
	struct dma_heap_source source;
	struct cma *cma;
	size_t chunk;
	struct notifier_block shortage;
};

static struct cma_heap *to_cma_heap(struct dma_heap_source *source)
{
	return container_of(source, struct cma_heap, source);
}

/* Returns false if the task is killed before all is zeroed */
static bool cma_heap_zero(struct page *page, size_t size)
{
	size_t done, len;

	for (done = 0; done < size; done += len) {
		if (fatal_signal_pending(current))
			return false;

		len = min_t(size_t, size - done, SZ_2M);
		dma_heap_memory_zero(nth_page(page, done >> PAGE_SHIFT), len);
		cond_resched();
	}

	return true;
}

/*
 * Align to PMDs unless this makes the area hold fewer buffers of the size: that is, if
 * the configured alignment would leave the same distance between two of them.
 */
static struct page *cma_heap_alloc_pages(struct cma_heap *heap, size_t size)
{
	unsigned int order = min(get_order(size), CONFIG_CMA_ALIGNMENT);
	unsigned int block_order = min(get_order(size), get_order(BLOCK));
	struct page *page = NULL;

	if (block_order > order &&
	    ALIGN(size, BLOCK) == ALIGN(size, CMA_ALIGNMENT))
		page = cma_try_alloc(heap->cma, PHYS_PFN(size), block_order);

	/* Small pages are better than an empty pool, and that is better than no memory */
	return page ?: cma_alloc(heap->cma, PHYS_PFN(size), order, true);
}

static bool cma_heap_alloc_chunk(struct cma_heap *heap, struct scatterlist *sg,
				 size_t size)
{
	struct page *page;

	page = cma_heap_alloc_pages(heap, size);
	if (!page)
		return false;

	sg_set_page(sg, page, size, 0);
	if (!cma_heap_zero(page, size))
		return false;

	if (heap->source.uncached)
		dma_heap_memory_write_back(heap->source.dev, page, size, true);

	return true;
}

/* After a failed allocation the last chunks are missing */
static int cma_heap_free_backing(struct dma_heap_source *source,
				 struct dma_heap_backing *backing)
{
	struct scatterlist *sg;
	int i;

	for_each_sgtable_sg(&backing->sgt, sg, i)
		if (sg_page(sg))
			cma_release(to_cma_heap(source)->cma, sg_page(sg),
				    PHYS_PFN(sg->length));

	dma_heap_backing_free(backing);

	return 0;
}

static struct dma_heap_backing *
cma_heap_alloc_backing(struct dma_heap_source *source, size_t size)
{
	struct cma_heap *heap = to_cma_heap(source);
	size_t chunk = heap->chunk ?: size, left = size;
	struct dma_heap_backing *backing;
	struct scatterlist *sg;
	int i;

	/* A scatterlist entry has a length of 32 bits */
	if (size > min_t(size_t, cma_get_size(heap->cma), UINT_MAX))
		return ERR_PTR(-ENOMEM);

	backing = dma_heap_backing_alloc(DIV_ROUND_UP(size, chunk));
	if (!backing)
		return ERR_PTR(-ENOMEM);

	for_each_sgtable_sg(&backing->sgt, sg, i) {
		if (!cma_heap_alloc_chunk(heap, sg, min(left, chunk)))
			goto err_free_backing;
		left -= sg->length;
	}
	backing->size = size;
	backing->written_back = source->uncached;

	return backing;

err_free_backing:
	cma_heap_free_backing(source, backing);
	return ERR_PTR(fatal_signal_pending(current) ? -EINTR : -ENOMEM);
}

static const struct dma_heap_source_ops cma_heap_source_ops = {
	.alloc = cma_heap_alloc_backing,
	.free = cma_heap_free_backing,
};

static int cma_heap_shortage(struct notifier_block *nb, unsigned long action,
			     void *data)
{
	struct cma_heap *heap = container_of(nb, struct cma_heap, shortage);
	struct dma_heap_pool *pool = heap->source.pool;
	struct cma_shortage *shortage = data;

	if (shortage->cma != heap->cma)
		return NOTIFY_DONE;

	switch (action) {
	case CMA_SHORTAGE_COUNT:
		shortage->kept += dma_heap_pool_count(pool);
		break;
	case CMA_SHORTAGE_BEGIN:
		dma_heap_pool_begin_shortage(pool, shortage->pages);
		break;
	case CMA_SHORTAGE_END:
		dma_heap_pool_end_shortage(pool);
		break;
	}

	return NOTIFY_OK;
}

static void cma_heap_get_area(struct dma_heap *heap, struct dma_heap_area *area)
{
	struct cma_heap *cma_heap = to_cma_heap(dma_heap_get_drvdata(heap));
	unsigned long free, largest;

	cma_get_free(cma_heap->cma, &free, &largest);
	area->size = cma_get_size(cma_heap->cma);
	area->free = PFN_PHYS((u64)free);
	area->largest_free = PFN_PHYS((u64)largest);
}

static const struct dma_heap_ops cma_heap_ops = {
	.allocate = dma_heap_buffer_allocate,
	.get_area = cma_heap_get_area,
};

static const struct attribute_group *cma_heap_groups[] = {
	&dma_heap_pool_group,
	NULL
};

static int __init cma_heap_register(struct cma_heap *heap, const char *name)
{
	struct dma_heap_export_info exp_info = {
		.name = name,
		.ops = &cma_heap_ops,
		.groups = cma_heap_groups,
		.attrs = heap->chunk ? 0 : DMA_HEAP_CONTIGUOUS,
		.dma_bits = fls64(cma_get_base(heap->cma) +
				  cma_get_size(heap->cma) - 1),
		.buffer_limit = cma_get_size(heap->cma),
	};

	return dma_heap_source_register(&heap->source, &exp_info);
}

static int __init cma_heap_add(struct cma *cma, const char *name,
			       const char *other_name, size_t chunk, bool uncached)
{
	struct cma_heap *heap;
	int ret;

	heap = kzalloc(sizeof(*heap), GFP_KERNEL);
	if (!heap)
		return -ENOMEM;

	heap->source.ops = &cma_heap_source_ops;
	heap->source.uncached = uncached;
	heap->source.first = pfn_to_page(PHYS_PFN(cma_get_base(cma)));
	heap->source.pool_max = mult_frac(cma_get_size(cma),
					  min(max_percent, 100u), 100);
	heap->cma = cma;
	heap->chunk = chunk;
	heap->shortage.notifier_call = cma_heap_shortage;

	/* One of two names will do, and a heap cannot be removed */
	ret = cma_heap_register(heap, name);
	if (other_name && strcmp(other_name, name) &&
	    !cma_heap_register(heap, other_name))
		ret = 0;
	if (ret) {
		kfree(heap);
		pr_err("no heap %s: %pe\n", name, ERR_PTR(ret));
		return ret;
	}

	/* The heap is new, and fails only if it were there already */
	WARN_ON(cma_register_shortage_notifier(&heap->shortage));

	return 0;
}

/* The same with a suffix to the names; the core copies them */
static void __init cma_heap_add_suffixed(struct cma *cma, const char *other_name,
					 const char *suffix, size_t chunk,
					 bool uncached)
{
	char name[2][DMA_HEAP_NAME_MAX + 2];

	snprintf(name[0], sizeof(name[0]), "%s%s", cma_get_name(cma), suffix);
	if (other_name)
		snprintf(name[1], sizeof(name[1]), "%s%s", other_name, suffix);

	cma_heap_add(cma, name[0], other_name ? name[1] : NULL, chunk, uncached);
}

/* Add all heaps of an area; the first one is a success, the others say why they fail */
static int __init cma_heap_add_area(struct cma *cma, const char *other_name)
{
	size_t chunk = PAGE_ALIGN((size_t)chunk_kib * SZ_1K);
	int ret;

	/* The set-up of the area has failed */
	if (!cma_get_size(cma))
		return -ENODEV;

	ret = cma_heap_add(cma, cma_get_name(cma), other_name, 0, false);
	if (ret)
		return ret;

	if (IS_ENABLED(CONFIG_DMABUF_HEAPS_CMA_UNCACHED))
		cma_heap_add_suffixed(cma, other_name, "-uncached", 0, true);
	if (chunk)
		cma_heap_add_suffixed(cma, NULL, "-chunks", chunk, false);

	return 0;
}

static int __init cma_heap_init(void)
{
	struct cma *default_cma = dev_get_cma_area(NULL), *cma;
	int ret = -ENODEV;
	bool any = false;
	unsigned int i;

	if (default_cma) {
		ret = cma_heap_add_area(default_cma, DEFAULT_NAME);
		any |= !ret;
	}

	for (i = 0; (cma = dma_contiguous_get_area_by_idx(i)); i++) {
		if (cma == default_cma)
			continue;
		ret = cma_heap_add_area(cma, NULL);
		any |= !ret;
	}

	/* A heap cannot be removed: fail only if there is none */
	return any ? 0 : ret;
}
module_init(cma_heap_init);

MODULE_DESCRIPTION("DMA-BUF heaps of contiguous memory");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS(DMA_BUF_HEAP);
