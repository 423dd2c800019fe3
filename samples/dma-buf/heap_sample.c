// SPDX-License-Identifier: GPL-2.0
/*
 * A DMA-BUF heap of one's own, as small as it can be
 *
 * A heap brings a source of memory along: how to get some, and how to give it back.
 * The exporter makes buffers of it, and the pool keeps and zeroes it for the next
 * buffer. Here it is contiguous memory of the page allocator, for a device that wants
 * its buffers in one piece.
 */

#include <linux/dma-heap-source.h>
#include <linux/dma-heap.h>
#include <linux/err.h>
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/scatterlist.h>

/* No heap may kill a task for a buffer, nor fill the log */
#define SAMPLE_GFP	(GFP_KERNEL | __GFP_ZERO | __GFP_RETRY_MAYFAIL | \
			 __GFP_NOWARN)

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

/* The pool calls it when it cannot keep the backing, whatever is in it by then */
static int sample_free(struct dma_heap_source *source,
		       struct dma_heap_backing *backing)
{
	free_pages_exact(sg_virt(backing->sgt.sgl), backing->size);
	dma_heap_backing_free(backing);

	return 0;
}

static const struct dma_heap_source_ops sample_source_ops = {
	.alloc = sample_alloc,
	.free = sample_free,
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

/* A heap cannot be taken away: there is no exit function, and the module stays */
static int __init sample_init(void)
{
	struct dma_heap_export_info exp_info = {
		.name = "sample",
		.ops = &sample_heap_ops,
		.groups = sample_groups,
		.attrs = DMA_HEAP_CONTIGUOUS,
		/* The page allocator has no larger piece */
		.buffer_limit = PAGE_SIZE << MAX_PAGE_ORDER,
	};

	return dma_heap_source_register(&sample_source, &exp_info);
}
module_init(sample_init);

MODULE_DESCRIPTION("Sample DMA-BUF heap");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS(DMA_BUF_HEAP);
