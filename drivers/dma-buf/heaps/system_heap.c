// SPDX-License-Identifier: GPL-2.0
/*
 * DMA-BUF system heaps: ordinary memory from the page allocator
 *
 * A buffer is made of chunks of up to 2 MiB, which IOMMUs and CPUs map well. Only
 * single pages reclaim memory: larger chunks come from the free lists, or from what is
 * unused in the pool, or not at all.
 *
 * The heaps differ in the zones of their memory and in whether the CPU caches it. Each
 * has a pool of its own, so that memory is written back once to become uncached, and
 * not for each buffer.
 */

#define pr_fmt(fmt) "system_heap: " fmt

#include <linux/bitops.h>
#include <linux/device.h>
#include <linux/dma-heap.h>
#include <linux/err.h>
#include <linux/gfp.h>
#include <linux/list.h>
#include <linux/log2.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/module.h>
#include <linux/nodemask.h>
#include <linux/pfn.h>
#include <linux/scatterlist.h>
#include <linux/sched/signal.h>
#include <linux/sizes.h>

#include "heap_pool.h"
#include "heap_source.h"

static char *prefill[16];
static unsigned int nr_prefill;
module_param_array(prefill, charp, &nr_prefill, 0444);
MODULE_PARM_DESC(prefill, "Buffers heap system has ready from the start: <bytes>:<count>[,...]");

/**
 * struct system_heap - one of the system heaps
 * @source: the source
 * @name: of the heap
 * @enabled: is it configured?
 * @zone: GFP flag of the highest zone the memory may come from
 * @limit: bytes of memory there can be in these zones
 */
struct system_heap {
	struct dma_heap_source source;
	const char *name;
	bool enabled;
	gfp_t zone;
	u64 limit;
};

/* A failure is an errno for the caller, and no message in the log */
#define CHUNK_GFP	(GFP_USER | __GFP_ZERO | __GFP_NOWARN)

/* Large chunks: from the free lists only */
#define LARGE_GFP	((CHUNK_GFP | __GFP_COMP | __GFP_NORETRY) & \
			 ~__GFP_RECLAIM)

/* Single pages: with reclaim, but without the OOM killer */
#define PAGE_GFP	(CHUNK_GFP | __GFP_RETRY_MAYFAIL)

/* 2 MiB: a PMD of CPUs and IOMMUs, with pages of 4 KiB */
#define LARGEST_ORDER	min(ilog2(SZ_2M) - PAGE_SHIFT, MAX_PAGE_ORDER)

/* A backing of more chunks, times what it needs, is not worth keeping */
#define MAX_CHUNKS	4

static struct system_heap *to_system_heap(struct dma_heap_source *source)
{
	return container_of(source, struct system_heap, source);
}

/**
 * struct system_heap_request - an allocation
 * @heap: the heap
 * @left: bytes that are missing
 * @max_order: larger orders have failed and are not tried again
 * @way: bytes that the pool may still give back for it
 */
struct system_heap_request {
	struct system_heap *heap;
	size_t left;
	unsigned int max_order;
	size_t way;
};

static struct page *
system_heap_alloc_large(struct system_heap_request *request, unsigned int order)
{
	gfp_t gfp = request->heap->zone | LARGE_GFP;
	size_t way = min(request->left, request->way);
	struct page *page;

	page = alloc_pages(gfp, order);
	if (page || !way)
		return page;

	/* Large chunks that are unused in the pool are worth more here */
	request->way -= way;
	if (!dma_heap_pool_make_way(request->heap->source.pool, way))
		return NULL;

	return alloc_pages(gfp, order);
}

/* Allocate the largest chunk there is */
static struct page *system_heap_alloc_chunk(struct system_heap_request *request)
{
	unsigned int order = min_t(unsigned int, request->max_order,
				   ilog2(request->left >> PAGE_SHIFT));
	struct page *page;

	for (; order; order--) {
		page = system_heap_alloc_large(request, order);
		if (page)
			return page;
		request->max_order = order - 1;
	}

	return alloc_pages(request->heap->zone | PAGE_GFP, 0);
}

static void system_heap_free_chunks(struct list_head *chunks)
{
	struct page *page, *next;

	list_for_each_entry_safe(page, next, chunks, lru)
		__free_pages(page, compound_order(page));
}

/*
 * Allocate chunks of @size bytes in all, linked by their lru in @chunks. Returns their
 * number, or -ENOMEM or -EINTR and an unfinished list.
 */
static int system_heap_alloc_chunks(struct system_heap *heap, size_t size,
				    struct list_head *chunks)
{
	struct system_heap_request request = {
		.heap = heap,
		.left = size,
		.max_order = LARGEST_ORDER,
		/* Not all chunks of the pool are large */
		.way = 2 * size,
	};
	unsigned int count = 0;

	while (request.left) {
		struct page *page;

		if (fatal_signal_pending(current))
			return -EINTR;

		page = system_heap_alloc_chunk(&request);
		if (!page)
			return -ENOMEM;

		list_add_tail(&page->lru, chunks);
		request.left -= page_size(page);
		count++;
		cond_resched();
	}

	return count;
}

/* Chunks of a buffer of this size if memory is not fragmented */
static unsigned int system_heap_best_count(size_t size)
{
	size_t largest = PAGE_SIZE << LARGEST_ORDER;

	return size / largest + hweight_long(PHYS_PFN(size % largest));
}

static struct dma_heap_backing *
system_heap_alloc_backing(struct dma_heap_source *source, size_t size)
{
	struct system_heap *heap = to_system_heap(source);
	struct dma_heap_backing *backing;
	struct scatterlist *sg;
	LIST_HEAD(chunks);
	int i, ret;

	ret = system_heap_alloc_chunks(heap, size, &chunks);
	if (ret < 0)
		goto err_free_chunks;

	backing = dma_heap_backing_alloc(ret);
	if (!backing) {
		ret = -ENOMEM;
		goto err_free_chunks;
	}

	for_each_sgtable_sg(&backing->sgt, sg, i) {
		struct page *page = list_first_entry(&chunks, struct page, lru);

		list_del(&page->lru);
		sg_set_page(sg, page, page_size(page), 0);
		if (source->uncached)
			dma_heap_memory_write_back(source->dev, page,
						   page_size(page), true);
	}
	backing->size = size;
	backing->written_back = source->uncached;
	backing->fragmented = ret > MAX_CHUNKS * system_heap_best_count(size);

	return backing;

err_free_chunks:
	system_heap_free_chunks(&chunks);
	return ERR_PTR(ret);
}

/* The page allocator would look at single pages only, and give the others to somebody */
static void system_heap_free_chunk(struct dma_heap_source *source,
				   struct scatterlist *sg)
{
	phys_addr_t base = sg_phys(sg);

	if (dma_heap_memory_is_poisoned(sg_page(sg), sg->length))
		pr_err("%s: %u bytes at %pa are lost: a page is poisoned\n",
		       dev_name(source->dev), sg->length, &base);
	else
		__free_pages(sg_page(sg), get_order(sg->length));
}

static int system_heap_free_backing(struct dma_heap_source *source,
				    struct dma_heap_backing *backing)
{
	struct scatterlist *sg;
	int i;

	for_each_sgtable_sg(&backing->sgt, sg, i)
		system_heap_free_chunk(source, sg);

	dma_heap_backing_free(backing);

	return 0;
}

static const struct dma_heap_source_ops system_heap_source_ops = {
	.alloc = system_heap_alloc_backing,
	.free = system_heap_free_backing,
};

static const struct dma_heap_ops system_heap_ops = {
	.allocate = dma_heap_buffer_allocate,
};

static const struct attribute_group *system_heap_groups[] = {
	&dma_heap_pool_group,
	NULL
};

#define UNCACHED	IS_ENABLED(CONFIG_DMABUF_HEAPS_SYSTEM_UNCACHED)
#define DMA32		IS_ENABLED(CONFIG_DMABUF_HEAPS_SYSTEM_DMA32)

/* The heap that all clients need comes first: the others may fail */
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

/* Bytes in all zones up to this one */
static size_t __init zones_size(enum zone_type highest)
{
	unsigned long pages = 0;
	int nid, i;

	for_each_online_node(nid)
		for (i = 0; i <= highest; i++)
			pages += zone_managed_pages(&NODE_DATA(nid)->node_zones[i]);

	return PFN_PHYS(pages);
}

static int __init system_heap_add(struct system_heap *system_heap)
{
	struct dma_heap_export_info exp_info = {
		.name = system_heap->name,
		.ops = &system_heap_ops,
		.groups = system_heap_groups,
		.dma_bits = system_heap->zone == __GFP_DMA32 ? 32 : 0,
		/* A larger buffer would exhaust memory before it failed */
		.buffer_limit = min(system_heap->limit,
				    (u64)totalram_pages() << PAGE_SHIFT) / 2,
	};

	system_heap->source.ops = &system_heap_source_ops;
	/* Other users of these zones cannot take memory from elsewhere */
	if (system_heap->zone == __GFP_DMA32)
		system_heap->source.pool_max = zones_size(gfp_zone(__GFP_DMA32)) / 4;

	return dma_heap_source_register(&system_heap->source, &exp_info);
}

/* A failure does no harm: the memory is allocated when it is needed */
static void __init system_heap_prefill(struct system_heap *heap)
{
	unsigned int i;
	int ret;

	for (i = 0; i < nr_prefill; i++) {
		ret = dma_heap_pool_prefill_text(heap->source.pool,
						 prefill[i]);
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
		/* A heap cannot be removed: fail only before there is one */
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
