// SPDX-License-Identifier: GPL-2.0
/*
 * A source of memory for the KUnit suites of the exporter: the page allocator
 */

#include <linux/container_of.h>
#include <linux/dma-heap.h>
#include <linux/err.h>
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "../heap_source.h"
#include "heap_test_helpers.h"

static struct heap_test_source *
to_heap_test_source(struct dma_heap_source *source)
{
	return container_of(source, struct heap_test_source, base);
}

/* Free a table and all of its pages. The last pages may be missing */
void heap_test_free_pages(struct sg_table *sgt)
{
	struct scatterlist *sg;
	int i;

	for_each_sgtable_sg(sgt, sg, i)
		if (sg_page(sg))
			__free_pages(sg_page(sg), get_order(sg->length));

	sg_free_table(sgt);
}
EXPORT_SYMBOL_NS_GPL(heap_test_free_pages, EXPORTED_FOR_KUNIT_TESTING);

static int heap_test_source_alloc_pages(struct heap_test_source *source,
					struct sg_table *sgt)
{
	struct scatterlist *sg;
	int i, ret;

	ret = sg_alloc_table(sgt, source->count, GFP_KERNEL);
	if (ret)
		return ret;

	for_each_sgtable_sg(sgt, sg, i) {
		unsigned int order = source->orders[i];
		struct page *page;

		page = alloc_pages(GFP_KERNEL | __GFP_COMP | __GFP_ZERO, order);
		if (!page) {
			heap_test_free_pages(sgt);
			return -ENOMEM;
		}
		sg_set_page(sg, page, PAGE_SIZE << order, 0);
	}

	return 0;
}

/* Bytes in a buffer from @source */
size_t heap_test_source_size(const struct heap_test_source *source)
{
	size_t size = 0;
	unsigned int i;

	for (i = 0; i < source->count; i++)
		size += PAGE_SIZE << source->orders[i];

	return size;
}
EXPORT_SYMBOL_NS_GPL(heap_test_source_size, EXPORTED_FOR_KUNIT_TESTING);

static struct dma_heap_backing *
heap_test_source_new_backing(struct heap_test_source *source)
{
	struct dma_heap_backing *backing;
	int ret;

	backing = kzalloc(sizeof(*backing), GFP_KERNEL);
	if (!backing)
		return ERR_PTR(-ENOMEM);

	ret = heap_test_source_alloc_pages(source, &backing->sgt);
	if (ret) {
		kfree(backing);
		return ERR_PTR(ret);
	}
	backing->size = heap_test_source_size(source);

	return backing;
}

/* The kept backing is like a new one, except for its contents */
static struct dma_heap_backing *
heap_test_source_old_backing(struct heap_test_source *source)
{
	struct dma_heap_backing *backing = source->kept;

	source->kept = NULL;
	backing->noncoherent = false;

	return backing;
}

static struct dma_heap_backing *
heap_test_source_alloc(struct dma_heap_source *base, size_t size)
{
	struct heap_test_source *source = to_heap_test_source(base);
	struct dma_heap_backing *backing;

	source->calls++;
	if (source->ret)
		return ERR_PTR(source->ret);

	if (size != heap_test_source_size(source))
		return ERR_PTR(-ERANGE);

	backing = source->kept ? heap_test_source_old_backing(source) :
				 heap_test_source_new_backing(source);
	if (IS_ERR(backing))
		return backing;

	backing->written_back = source->written_back;
	source->backing = backing;
	source->allocated++;

	return backing;
}

static void heap_test_source_free_backing(struct dma_heap_backing *backing)
{
	heap_test_free_pages(&backing->sgt);
	kfree(backing);
}

static int heap_test_source_free(struct dma_heap_source *base,
				 struct dma_heap_backing *backing)
{
	struct heap_test_source *source = to_heap_test_source(base);

	if (source->keep)
		source->kept = backing;
	else
		heap_test_source_free_backing(backing);
	source->backing = NULL;
	source->freed++;

	return 0;
}

static const struct dma_heap_source_ops heap_test_source_ops = {
	.alloc = heap_test_source_alloc,
	.free = heap_test_source_free,
};

/* Prepare a source whose backings have @count chunks of the given @orders */
void heap_test_source_init(struct heap_test_source *source, const u8 *orders,
			   unsigned int count)
{
	source->base.ops = &heap_test_source_ops;
	source->orders = orders;
	source->count = count;
}
EXPORT_SYMBOL_NS_GPL(heap_test_source_init, EXPORTED_FOR_KUNIT_TESTING);

/* Free the kept backing */
void heap_test_source_empty(struct heap_test_source *source)
{
	if (source->kept)
		heap_test_source_free_backing(source->kept);
	source->kept = NULL;
}
EXPORT_SYMBOL_NS_GPL(heap_test_source_empty, EXPORTED_FOR_KUNIT_TESTING);

const struct dma_heap_ops heap_test_source_heap_ops = {
	.allocate = dma_heap_buffer_allocate,
};
EXPORT_SYMBOL_NS_GPL(heap_test_source_heap_ops, EXPORTED_FOR_KUNIT_TESTING);
