// SPDX-License-Identifier: GPL-2.0
/*
 * A buffer, its users and their accesses: see heap_test_buffer.h
 */

#include <linux/dma-buf.h>
#include <linux/dma-direct.h>
#include <linux/dma-heap.h>
#include <linux/err.h>
#include <linux/fcntl.h>
#include <linux/file.h>
#include <linux/gfp.h>
#include <linux/highmem.h>
#include <linux/scatterlist.h>

#include <kunit/resource.h>
#include <kunit/test.h>

#include "../heap_source.h"
#include "heap_test_buffer.h"
#include "heap_test_helpers.h"

const u8 test_buffer_orders[TEST_BUFFER_CHUNKS] = { 2, 0, 3, 0, 1 };

const struct test_direction test_directions[TEST_DIRECTIONS] = {
	{ "to device", DMA_TO_DEVICE },
	{ "from device", DMA_FROM_DEVICE },
	{ "bidirectional", DMA_BIDIRECTIONAL },
};

KUNIT_ARRAY_PARAM_DESC(direction, test_directions, desc);

const void *test_direction_gen_params(const void *prev, char *desc)
{
	return direction_gen_params(prev, desc);
}

int buffer_test_init(struct kunit *test)
{
	struct buffer_test *ctx;

	ctx = kunit_kzalloc(test, sizeof(*ctx), GFP_KERNEL);
	if (!ctx)
		return -ENOMEM;

	test->priv = ctx;
	ctx->dma_errors = heap_test_dma_errors(test);
	heap_test_source_init(&ctx->source, test_buffer_orders,
			      ARRAY_SIZE(test_buffer_orders));
	ctx->heap = heap_test_add(test, "kunit-heap", &heap_test_source_heap_ops,
				  &ctx->source.base);
	ctx->source.base.dev = dma_heap_get_dev(ctx->heap);
	ctx->dev[0] = heap_test_device(test, "importer0");
	ctx->dev[1] = heap_test_device(test, "importer1");

	return 0;
}

/* The test must not have misused the DMA API */
void buffer_test_exit(struct kunit *test)
{
	struct buffer_test *ctx = test->priv;

	if (ctx)
		KUNIT_EXPECT_EQ(test, heap_test_dma_errors(test), ctx->dma_errors);
}

struct dma_buf *test_buffer_try_alloc(struct buffer_test *ctx)
{
	return dma_heap_buffer_alloc(ctx->heap, heap_test_source_size(&ctx->source),
				     O_RDWR, 0);
}

/* Drop the last reference. The buffer is released when this returns */
void test_buffer_put(struct dma_buf *dmabuf)
{
	__fput_sync(dmabuf->file);
}

KUNIT_DEFINE_ACTION_WRAPPER(test_buffer_put_wrapper, test_buffer_put,
			    struct dma_buf *);

struct dma_buf *test_buffer_alloc(struct kunit *test)
{
	struct dma_buf *dmabuf = test_buffer_try_alloc(test->priv);
	int ret;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, dmabuf);
	ret = kunit_add_action_or_reset(test, test_buffer_put_wrapper, dmabuf);
	KUNIT_ASSERT_EQ(test, ret, 0);

	return dmabuf;
}

void test_buffer_free(struct kunit *test, struct dma_buf *dmabuf)
{
	kunit_release_action(test, test_buffer_put_wrapper, dmabuf);
}

static void attachment_detach(struct dma_buf_attachment *attachment)
{
	dma_buf_detach(attachment->dmabuf, attachment);
}

KUNIT_DEFINE_ACTION_WRAPPER(attachment_detach_wrapper, attachment_detach,
			    struct dma_buf_attachment *);

struct dma_buf_attachment *test_buffer_attach(struct kunit *test,
					      struct dma_buf *dmabuf,
					      struct device *dev)
{
	struct dma_buf_attachment *attachment = dma_buf_attach(dmabuf, dev);
	int ret;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, attachment);
	ret = kunit_add_action_or_reset(test, attachment_detach_wrapper,
					attachment);
	KUNIT_ASSERT_EQ(test, ret, 0);

	return attachment;
}

void test_buffer_detach(struct kunit *test,
			struct dma_buf_attachment *attachment)
{
	kunit_release_action(test, attachment_detach_wrapper, attachment);
}

static void mapping_unmap(struct test_mapping *mapping)
{
	dma_buf_unmap_attachment_unlocked(mapping->attachment, mapping->sgt,
					  mapping->dir);
}

KUNIT_DEFINE_ACTION_WRAPPER(mapping_unmap_wrapper, mapping_unmap,
			    struct test_mapping *);

struct test_mapping *test_buffer_map(struct kunit *test,
				     struct dma_buf_attachment *attachment,
				     enum dma_data_direction dir)
{
	struct test_mapping *mapping;
	int ret;

	mapping = kunit_kzalloc(test, sizeof(*mapping), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, mapping);

	mapping->attachment = attachment;
	mapping->dir = dir;
	mapping->sgt = dma_buf_map_attachment_unlocked(attachment, dir);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, mapping->sgt);

	ret = kunit_add_action_or_reset(test, mapping_unmap_wrapper, mapping);
	KUNIT_ASSERT_EQ(test, ret, 0);

	return mapping;
}

void test_buffer_unmap(struct kunit *test, struct test_mapping *mapping)
{
	kunit_release_action(test, mapping_unmap_wrapper, mapping);
}

/* Without an IOMMU, the addresses of the device are physical addresses */
void test_buffer_expect_mapped(struct kunit *test, struct device *dev,
			       struct sg_table *sgt)
{
	struct buffer_test *ctx = test->priv;
	struct sg_table *backing = &ctx->source.backing->sgt;
	struct scatterlist *chunk = backing->sgl;
	struct scatterlist *sg;
	int i;

	KUNIT_EXPECT_PTR_NE(test, sgt, backing);
	KUNIT_ASSERT_EQ(test, sgt->nents, backing->orig_nents);

	for_each_sgtable_dma_sg(sgt, sg, i) {
		KUNIT_EXPECT_EQ(test, dma_to_phys(dev, sg_dma_address(sg)),
				sg_phys(chunk));
		KUNIT_EXPECT_EQ(test, sg_dma_len(sg), chunk->length);
		chunk = sg_next(chunk);
	}
}

void test_buffer_begin_access(struct kunit *test, struct dma_buf *dmabuf,
			      enum dma_data_direction dir)
{
	KUNIT_EXPECT_EQ(test, dma_buf_begin_cpu_access(dmabuf, dir), 0);
}

void test_buffer_end_access(struct kunit *test, struct dma_buf *dmabuf,
			    enum dma_data_direction dir)
{
	KUNIT_EXPECT_EQ(test, dma_buf_end_cpu_access(dmabuf, dir), 0);
}

void test_buffer_mark(struct iosys_map *map, size_t size)
{
	size_t offset;

	for (offset = 0; offset < size; offset += PAGE_SIZE)
		iosys_map_wr(map, offset, u32, offset / PAGE_SIZE + 1);
}

/* Check that the pages hold, in order, what test_buffer_mark() wrote */
void test_buffer_expect_marks(struct kunit *test)
{
	struct buffer_test *ctx = test->priv;
	struct sg_page_iter piter;
	u32 n = 0;

	for_each_sgtable_page(&ctx->source.backing->sgt, &piter, 0) {
		u32 *vaddr = kmap_local_page(sg_page_iter_page(&piter));

		n++;
		KUNIT_EXPECT_EQ(test, *vaddr, n);
		kunmap_local(vaddr);
	}
	KUNIT_EXPECT_EQ(test, n, heap_test_source_size(&ctx->source) / PAGE_SIZE);
}

static void test_buffer_vunmap_action(void *data)
{
	struct test_vmapping *vmapping = data;

	dma_buf_vunmap_unlocked(vmapping->dmabuf, &vmapping->map);
}

struct test_vmapping *test_buffer_vmap(struct kunit *test,
				       struct dma_buf *dmabuf)
{
	struct test_vmapping *vmapping;
	int ret;

	vmapping = kunit_kzalloc(test, sizeof(*vmapping), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, vmapping);

	vmapping->dmabuf = dmabuf;
	ret = dma_buf_vmap_unlocked(dmabuf, &vmapping->map);
	KUNIT_ASSERT_EQ(test, ret, 0);
	KUNIT_ASSERT_FALSE(test, vmapping->map.is_iomem);
	KUNIT_ASSERT_NOT_NULL(test, vmapping->map.vaddr);

	ret = kunit_add_action_or_reset(test, test_buffer_vunmap_action, vmapping);
	KUNIT_ASSERT_EQ(test, ret, 0);

	return vmapping;
}

void test_buffer_vunmap(struct kunit *test, struct test_vmapping *vmapping)
{
	kunit_release_action(test, test_buffer_vunmap_action, vmapping);
}

struct page *test_buffer_first_page(struct kunit *test)
{
	struct buffer_test *ctx = test->priv;

	return sg_page(ctx->source.backing->sgt.sgl);
}
