// SPDX-License-Identifier: GPL-2.0
/*
 * A DMA-BUF heap of one's own, as small as it can be
 *
 * All that a heap has to bring along is a source of memory: how to get some, how
 * to give it back, how to make it as good as new. Buffers are the exporter's
 * business, to keep memory for the next one is the pool's. Here it is contiguous
 * memory of the page allocator, for a device that wants its buffers in one piece.
 */

#include <linux/dma-heap.h>
#include <linux/err.h>
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/scatterlist.h>

#include "heap_backing.h"
#include "heap_buffer.h"
#include "heap_pool.h"

/* No heap may kill a task for a buffer, nor fill the log */
#define SAMPLE_GFP	(GFP_KERNEL | __GFP_ZERO | __GFP_RETRY_MAYFAIL | \
			 __GFP_NOWARN)

/* Set before the heap is there, and with it for good */
static struct device *sample_dev;

/* A backing lists its chunks. This one has a single chunk, zeroed and cached. */
static struct dma_heap_backing *sample_alloc(struct dma_heap_source *source,
					     size_t size)
{
	struct dma_heap_backing *backing;
	void *memory;

	backing = dma_heap_backing_alloc(1);
	if (!backing)
		return ERR_PTR(-ENOMEM);

	memory = alloc_pages_exact(size, SAMPLE_GFP);
	if (!memory) {
		dma_heap_backing_free(backing);
		return ERR_PTR(-ENOMEM);
	}

	sg_set_buf(backing->sgt.sgl, memory, size);
	backing->size = size;

	return backing;
}

/* Comes when the pool does not want to keep it, whatever is in it by then */
static void sample_free(struct dma_heap_source *source,
			struct dma_heap_backing *backing)
{
	free_pages_exact(sg_virt(backing->sgt.sgl), backing->size);
	dma_heap_backing_free(backing);
}

/* Comes between two buffers: in the background, if the pool has its way */
static int sample_scrub(struct dma_heap_source *source, struct page *page,
			size_t len, bool clean)
{
	dma_heap_memory_zero(page, len);
	if (clean)
		dma_heap_memory_clean(sample_dev, page, len, false);

	return 0;
}

static const struct dma_heap_source_ops sample_source_ops = {
	.alloc = sample_alloc,
	.free = sample_free,
	.scrub = sample_scrub,
};

static struct dma_heap_source sample_source = { .ops = &sample_source_ops };

/* What a buffer can do is the exporter's standard */
static const struct dma_heap_ops sample_heap_ops = {
	.allocate = dma_heap_buffer_allocate,
};

/* The settings of the pool, in /sys/class/dma_heap/sample/pool */
static const struct attribute_group *sample_groups[] = {
	&dma_heap_pool_group,
	NULL
};

/*
 * First the pool, then the heap without its node, and the node as the last step:
 * once that is there it cannot be taken away, so nothing must fail any more. For
 * the same reason there is no exit function, and the module stays.
 */
static int __init sample_init(void)
{
	struct dma_heap_export_info exp_info = {
		.name = "sample",
		.ops = &sample_heap_ops,
		.groups = sample_groups,
		/* The page allocator has no larger piece */
		.max_alloc = PAGE_SIZE << MAX_PAGE_ORDER,
	};
	struct dma_heap_pool *pool;
	struct dma_heap *heap;
	int ret;

	pool = dma_heap_pool_create("sample", &sample_source);
	if (IS_ERR(pool))
		return PTR_ERR(pool);

	exp_info.priv = dma_heap_pool_source(pool);
	heap = dma_heap_create(&exp_info);
	if (IS_ERR(heap)) {
		ret = PTR_ERR(heap);
		goto err_destroy_pool;
	}

	sample_dev = dma_heap_get_dev(heap);
	ret = dma_heap_register(heap);
	if (ret)
		goto err_destroy_heap;
	dma_heap_pool_add_debugfs(pool);

	return 0;

err_destroy_heap:
	dma_heap_destroy(heap);
err_destroy_pool:
	dma_heap_pool_destroy(pool);
	return ret;
}
module_init(sample_init);

MODULE_DESCRIPTION("Sample DMA-BUF heap");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS(DMA_BUF_HEAP);
