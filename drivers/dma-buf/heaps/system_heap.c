// SPDX-License-Identifier: GPL-2.0
/*
 * DMA-BUF system heaps: ordinary memory from the page allocator
 *
 * Chunks are taken in the sizes IOMMUs and CPUs map well. Only single pages are
 * worth reclaiming memory for: a larger chunk is had at once or not at all.
 *
 * The heaps differ in where the memory may be and in whether the CPU caches it.
 * Each has a pool of its own, so that memory that has left the caches once need
 * not do so again.
 */

#define pr_fmt(fmt) "system_heap: " fmt

#include <linux/dma-buf.h>
#include <linux/dma-heap.h>
#include <linux/dma-mapping.h>
#include <linux/err.h>
#include <linux/gfp.h>
#include <linux/highmem.h>
#include <linux/list.h>
#include <linux/log2.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/scatterlist.h>
#include <linux/sched/signal.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/swiotlb.h>

#include "heap_backing.h"
#include "heap_buffer.h"
#include "heap_pool.h"

static char *prefill[16];
static unsigned int nr_prefill;
module_param_array(prefill, charp, &nr_prefill, 0444);
MODULE_PARM_DESC(prefill, "Buffers heap system has ready from the start: <bytes>:<count>[,...]");

/**
 * struct system_heap - one of the system heaps
 * @source: the source, behind the pool
 * @name: of the heap
 * @enabled: is it configured?
 * @zone: GFP flag of the highest zone the memory may come from
 * @limit: bytes of memory there can be in these zones
 * @pool: what the heap allocates from
 * @dev: device of the heap, for the maintenance of caches
 */
struct system_heap {
	struct dma_heap_source source;
	const char *name;
	bool enabled;
	gfp_t zone;
	u64 limit;
	struct dma_heap_pool *pool;
	struct device *dev;
};

/* No splat in the log for what the caller gets told by errno */
#define CHUNK_GFP	(GFP_USER | __GFP_ZERO | __GFP_NOWARN)

/* Large chunks: from the free lists, or not */
#define LARGE_GFP	((CHUNK_GFP | __GFP_COMP | __GFP_NORETRY) & \
			 ~__GFP_RECLAIM)

/* Single pages: by reclaim, but nobody gets killed for a buffer */
#define PAGE_GFP	(CHUNK_GFP | __GFP_RETRY_MAYFAIL)

/* 2 MiB: what CPUs and IOMMUs map as one block, with pages of 4 KiB */
#define LARGEST_ORDER	min(ilog2(SZ_2M) - PAGE_SHIFT, MAX_PAGE_ORDER)

static struct system_heap *to_system_heap(struct dma_heap_source *source)
{
	return container_of(source, struct system_heap, source);
}

/*
 * Get the largest chunk there is, of at most @size bytes and *@max_order. What
 * could not be had is not tried again: *@max_order comes down to what was.
 */
static struct page *system_heap_alloc_chunk(struct system_heap *heap,
					    size_t size,
					    unsigned int *max_order)
{
	unsigned int order = min_t(unsigned int, *max_order,
				   ilog2(size >> PAGE_SHIFT));
	struct page *page;

	for (; order; order--) {
		page = alloc_pages(heap->zone | LARGE_GFP, order);
		if (page)
			return page;
		*max_order = order - 1;
	}

	return alloc_pages(heap->zone | PAGE_GFP, 0);
}

static void system_heap_free_chunks(struct list_head *chunks)
{
	struct page *page, *next;

	list_for_each_entry_safe(page, next, chunks, lru)
		__free_pages(page, compound_order(page));
}

/*
 * Collect chunks of @size bytes on @chunks, linked by their lru.
 * Returns how many they are, or -ENOMEM or -EINTR and an unfinished list.
 */
static int system_heap_alloc_chunks(struct system_heap *heap, size_t size,
				    struct list_head *chunks)
{
	unsigned int max_order = LARGEST_ORDER;
	unsigned int count = 0;

	while (size) {
		struct page *page;

		if (fatal_signal_pending(current))
			return -EINTR;

		page = system_heap_alloc_chunk(heap, size, &max_order);
		if (!page)
			return -ENOMEM;

		list_add_tail(&page->lru, chunks);
		size -= page_size(page);
		count++;
		cond_resched();
	}

	return count;
}

/*
 * To map for a device and unmap again is what the DMA API has to write back
 * cache lines, and to drop them, if the device may write.
 */
static void system_heap_clean(struct system_heap *heap, struct page *page,
			      size_t len)
{
	enum dma_data_direction dir = heap->source.uncached ?
				      DMA_BIDIRECTIONAL : DMA_TO_DEVICE;
	dma_addr_t addr;

	addr = dma_map_page(heap->dev, page, 0, len, dir);
	if (!WARN_ON_ONCE(dma_mapping_error(heap->dev, addr)))
		dma_unmap_page(heap->dev, addr, len, dir);
}

static void system_heap_scrub(struct dma_heap_source *source,
			      struct page *page, size_t len, bool clean)
{
	size_t i;

	if (PageHighMem(page))
		for (i = 0; i < len >> PAGE_SHIFT; i++)
			clear_highpage(page + i);
	else
		memset(page_address(page), 0, len);

	if (clean || source->uncached)
		system_heap_clean(to_system_heap(source), page, len);
}

static struct dma_heap_backing *
system_heap_alloc_backing(struct dma_heap_source *source, size_t size)
{
	struct system_heap *heap = to_system_heap(source);
	struct dma_heap_backing *backing;
	struct scatterlist *sg;
	LIST_HEAD(chunks);
	int i, ret;

	/* More would take the machine down before it could fail */
	if (size > min(heap->limit, (u64)totalram_pages() << PAGE_SHIFT) / 2)
		return ERR_PTR(-ENOMEM);

	backing = kzalloc(sizeof(*backing), GFP_KERNEL);
	if (!backing)
		return ERR_PTR(-ENOMEM);

	ret = system_heap_alloc_chunks(heap, size, &chunks);
	if (ret < 0)
		goto err_free_chunks;

	ret = sg_alloc_table(&backing->sgt, ret, GFP_KERNEL);
	if (ret)
		goto err_free_chunks;

	for_each_sgtable_sg(&backing->sgt, sg, i) {
		struct page *page = list_first_entry(&chunks, struct page, lru);

		list_del(&page->lru);
		sg_set_page(sg, page, page_size(page), 0);
		if (source->uncached)
			system_heap_clean(heap, page, page_size(page));
	}
	backing->size = size;
	backing->cleaned = source->uncached;

	return backing;

err_free_chunks:
	system_heap_free_chunks(&chunks);
	kfree(backing);
	return ERR_PTR(ret);
}

static void system_heap_free_backing(struct dma_heap_source *source,
				     struct dma_heap_backing *backing)
{
	struct scatterlist *sg;
	int i;

	for_each_sgtable_sg(&backing->sgt, sg, i)
		__free_pages(sg_page(sg), get_order(sg->length));

	sg_free_table(&backing->sgt);
	kfree(backing);
}

static const struct dma_heap_source_ops system_heap_source_ops = {
	.alloc = system_heap_alloc_backing,
	.free = system_heap_free_backing,
	.scrub = system_heap_scrub,
};

static const struct dma_buf_ops system_heap_buf_ops = {
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
	.release = dma_heap_buffer_release,
};

static struct dma_buf *system_heap_allocate(struct dma_heap *heap,
					    unsigned long len, u32 fd_flags,
					    u64 heap_flags)
{
	DEFINE_DMA_BUF_EXPORT_INFO(exp_info);

	exp_info.ops = &system_heap_buf_ops;
	exp_info.size = len;
	exp_info.flags = fd_flags;

	return dma_heap_buffer_export(heap, dma_heap_get_drvdata(heap),
				      &exp_info);
}

static const struct dma_heap_ops system_heap_ops = {
	.allocate = system_heap_allocate,
};

static const struct attribute_group *system_heap_groups[] = {
	&dma_heap_pool_group,
	NULL
};

#define UNCACHED	IS_ENABLED(CONFIG_DMABUF_HEAPS_SYSTEM_UNCACHED)
#define DMA32		IS_ENABLED(CONFIG_DMABUF_HEAPS_SYSTEM_DMA32)

/* The heap everybody needs comes first: the others may fail */
static struct system_heap system_heaps[] = {
	{
		.name = "system",
		.enabled = true,
		.zone = __GFP_HIGHMEM,
		.limit = U64_MAX,
	}, {
		.name = "system-uncached",
		.enabled = UNCACHED,
		.source.uncached = true,
		.zone = __GFP_HIGHMEM,
		.limit = U64_MAX,
	}, {
		.name = "system-dma32",
		.enabled = DMA32,
		.zone = __GFP_DMA32,
		.limit = SZ_4G,
	}, {
		.name = "system-uncached-dma32",
		.enabled = UNCACHED && DMA32,
		.source.uncached = true,
		.zone = __GFP_DMA32,
		.limit = SZ_4G,
	},
};

/* If even the heap's own device gets copies only, caches cannot be maintained */
static bool system_heap_possible(struct system_heap *heap)
{
	return !heap->source.uncached || !is_swiotlb_force_bounce(heap->dev);
}

static int __init system_heap_add(struct system_heap *system_heap)
{
	struct dma_heap_export_info exp_info = {
		.name = system_heap->name,
		.ops = &system_heap_ops,
		.groups = system_heap_groups,
	};
	struct dma_heap_pool *pool;
	struct dma_heap *heap;
	int ret;

	system_heap->source.ops = &system_heap_source_ops;
	pool = dma_heap_pool_create(system_heap->name, &system_heap->source);
	if (IS_ERR(pool))
		return PTR_ERR(pool);

	exp_info.priv = dma_heap_pool_source(pool);
	heap = dma_heap_create(&exp_info);
	if (IS_ERR(heap)) {
		ret = PTR_ERR(heap);
		goto err_destroy_pool;
	}

	system_heap->pool = pool;
	system_heap->dev = dma_heap_get_dev(heap);
	if (!system_heap_possible(system_heap)) {
		ret = -EOPNOTSUPP;
		goto err_destroy_heap;
	}

	ret = dma_heap_register(heap);
	if (ret)
		goto err_destroy_heap;

	return 0;

err_destroy_heap:
	dma_heap_destroy(heap);
err_destroy_pool:
	dma_heap_pool_destroy(pool);
	return ret;
}

/* Only a wish: what cannot be had now is allocated when it is needed */
static void __init system_heap_prefill(struct system_heap *heap)
{
	unsigned int i, count;
	size_t size;
	char end;
	int ret;

	for (i = 0; i < nr_prefill; i++) {
		ret = -EINVAL;
		if (sscanf(prefill[i], "%zu:%u%c", &size, &count, &end) == 2)
			ret = dma_heap_pool_prefill(heap->pool, size, count);
		if (ret)
			pr_err("cannot prefill %s: %pe\n", prefill[i],
			       ERR_PTR(ret));
	}
}

static int __init system_heap_init(void)
{
	int i, ret;

	for (i = 0; i < ARRAY_SIZE(system_heaps); i++) {
		struct system_heap *heap = &system_heaps[i];

		if (!heap->enabled)
			continue;

		ret = system_heap_add(heap);
		if (ret)
			pr_err("no heap %s: %pe\n", heap->name, ERR_PTR(ret));
		/* Nothing can be taken back once one heap is there */
		if (ret && !i)
			return ret;
	}
	system_heap_prefill(&system_heaps[0]);

	return 0;
}
module_init(system_heap_init);

MODULE_DESCRIPTION("DMA-BUF heaps of ordinary memory");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS(DMA_BUF_HEAP);
