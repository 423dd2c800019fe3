// SPDX-License-Identifier: GPL-2.0
/*
 * DMA-BUF system heap: ordinary memory from the page allocator
 *
 * Chunks are taken in the sizes IOMMUs map well. Only single pages are worth
 * reclaiming memory for: a larger chunk is had at once or not at all.
 */

#include <linux/dma-buf.h>
#include <linux/dma-heap.h>
#include <linux/err.h>
#include <linux/gfp.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/scatterlist.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "heap_backing.h"
#include "heap_buffer.h"

/* No splat in the log for what the caller gets told by errno */
#define CHUNK_GFP	(GFP_HIGHUSER | __GFP_ZERO | __GFP_NOWARN)

/* Large chunks: from the free lists, or not */
#define LARGE_GFP	((CHUNK_GFP | __GFP_COMP | __GFP_NORETRY) & \
			 ~__GFP_RECLAIM)

/* Single pages: by reclaim, but nobody gets killed for a buffer */
#define PAGE_GFP	(CHUNK_GFP | __GFP_RETRY_MAYFAIL)

/* 1 MiB and 64 KiB on kernels with 4 KiB pages */
static const unsigned int orders[] = { 8, 4, 0 };

/*
 * Get the largest chunk there is, of at most @size bytes and *@max_order. What
 * could not be had is not tried again: *@max_order comes down to what was.
 */
static struct page *system_heap_alloc_chunk(size_t size,
					    unsigned int *max_order)
{
	struct page *page;
	int i;

	for (i = 0; i < ARRAY_SIZE(orders); i++) {
		unsigned int order = orders[i];

		if (order > *max_order || size < PAGE_SIZE << order)
			continue;

		page = alloc_pages(order ? LARGE_GFP : PAGE_GFP, order);
		if (page) {
			*max_order = order;
			return page;
		}
	}

	return NULL;
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
static int system_heap_alloc_chunks(size_t size, struct list_head *chunks)
{
	unsigned int max_order = orders[0];
	unsigned int count = 0;

	while (size) {
		struct page *page;

		if (fatal_signal_pending(current))
			return -EINTR;

		page = system_heap_alloc_chunk(size, &max_order);
		if (!page)
			return -ENOMEM;

		list_add_tail(&page->lru, chunks);
		size -= page_size(page);
		count++;
		cond_resched();
	}

	return count;
}

static struct dma_heap_backing *
system_heap_alloc_backing(struct dma_heap_source *source, size_t size)
{
	struct dma_heap_backing *backing;
	struct scatterlist *sg;
	LIST_HEAD(chunks);
	int i, ret;

	/* More would take the machine down before it could fail */
	if (PHYS_PFN(size) > totalram_pages() / 2)
		return ERR_PTR(-ENOMEM);

	backing = kzalloc(sizeof(*backing), GFP_KERNEL);
	if (!backing)
		return ERR_PTR(-ENOMEM);

	ret = system_heap_alloc_chunks(size, &chunks);
	if (ret < 0)
		goto err_free_chunks;

	ret = sg_alloc_table(&backing->sgt, ret, GFP_KERNEL);
	if (ret)
		goto err_free_chunks;

	for_each_sgtable_sg(&backing->sgt, sg, i) {
		struct page *page = list_first_entry(&chunks, struct page, lru);

		list_del(&page->lru);
		sg_set_page(sg, page, page_size(page), 0);
	}
	backing->size = size;

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
};

static struct dma_heap_source system_heap_source = {
	.ops = &system_heap_source_ops,
};

static const struct dma_buf_ops system_heap_buf_ops = {
	.attach = dma_heap_buffer_attach,
	.detach = dma_heap_buffer_detach,
	.map_dma_buf = dma_heap_buffer_map,
	.unmap_dma_buf = dma_heap_buffer_unmap,
	.begin_cpu_access = dma_heap_buffer_begin_cpu_access,
	.end_cpu_access = dma_heap_buffer_end_cpu_access,
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

static int __init system_heap_init(void)
{
	const struct dma_heap_export_info exp_info = {
		.name = "system",
		.ops = &system_heap_ops,
		.priv = &system_heap_source,
	};

	return PTR_ERR_OR_ZERO(dma_heap_add(&exp_info));
}
module_init(system_heap_init);

MODULE_DESCRIPTION("DMA-BUF heap of ordinary memory");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS(DMA_BUF_HEAP);
