// SPDX-License-Identifier: GPL-2.0
/*
 * Tests of the exporter of DMA-BUF heaps: buffers, attachments, mappings for devices
 *
 * heap_cache_kunit.c tests cache maintenance. kselftests test mmap().
 */

#include <linux/array_size.h>
#include <linux/dma-buf.h>
#include <linux/dma-heap.h>
#include <linux/dma-map-ops.h>
#include <linux/err.h>
#include <linux/file.h>
#include <linux/list.h>
#include <linux/scatterlist.h>
#include <linux/sizes.h>

#include <kunit/test.h>

#include "../heap_source.h"
#include "../heap_buffer_internal.h"
#include "heap_test_buffer.h"
#include "heap_test_helpers.h"

/* Enough to chain the scatterlist twice */
#define MANY_CHUNKS	(2 * SG_MAX_SINGLE_ALLOC + 3)

/* The last reference returns the backing to the source */
void buffer_test_backing_returns_with_last_reference(struct kunit *test)
{
	struct buffer_test *ctx = test->priv;
	struct dma_buf *dmabuf = test_buffer_alloc(test);

	KUNIT_EXPECT_EQ(test, ctx->source.allocated, 1);
	KUNIT_EXPECT_EQ(test, dmabuf->size, heap_test_source_size(&ctx->source));
	KUNIT_EXPECT_STREQ(test, dmabuf->exp_name, dma_heap_get_name(ctx->heap));

	get_dma_buf(dmabuf);
	dma_buf_put(dmabuf);
	flush_delayed_fput();
	KUNIT_EXPECT_EQ(test, ctx->source.freed, 0);

	test_buffer_free(test, dmabuf);
	KUNIT_EXPECT_EQ(test, ctx->source.freed, 1);
	KUNIT_EXPECT_EQ(test, ctx->source.allocated, 1);
}

void buffer_test_source_error_reaches_caller(struct kunit *test)
{
	static const int errors[] = { -ENOMEM, -EINTR, -EREMOTEIO };
	struct buffer_test *ctx = test->priv;
	int i;

	for (i = 0; i < ARRAY_SIZE(errors); i++) {
		ctx->source.ret = errors[i];
		KUNIT_EXPECT_PTR_EQ(test, test_buffer_try_alloc(ctx),
				    ERR_PTR(errors[i]));
		KUNIT_EXPECT_EQ(test, ctx->source.calls, i + 1);
	}

	KUNIT_EXPECT_EQ(test, ctx->source.allocated, 0);
	KUNIT_EXPECT_EQ(test, ctx->source.freed, 0);
}

/* The source gets its backing back, also when the dma-buf core fails */
static bool try_export(struct kunit *test, void *data, bool *taken)
{
	struct buffer_test *ctx = test->priv;
	unsigned int allocated = ctx->source.allocated;
	struct dma_buf *dmabuf = test_buffer_try_alloc(ctx);
	bool after_source = false;

	*taken = heap_test_fault_taken();

	if (!IS_ERR(dmabuf)) {
		KUNIT_EXPECT_EQ(test, ctx->source.allocated,
				ctx->source.freed + 1);
		test_buffer_put(dmabuf);
	} else {
		KUNIT_ASSERT_TRUE(test, *taken);
		KUNIT_EXPECT_PTR_EQ(test, dmabuf, ERR_PTR(-ENOMEM));
		after_source = ctx->source.allocated > allocated;
	}
	KUNIT_EXPECT_EQ(test, ctx->source.allocated, ctx->source.freed);

	return after_source;
}

void buffer_test_failed_export_frees_backing(struct kunit *test)
{
	heap_test_faults_init(test);

	/* The inode, the file and the dma_buf */
	heap_test_sweep_faults(test, try_export, NULL, 3);
}

void buffer_test_attachments_go_in_any_order(struct kunit *test)
{
	struct buffer_test *ctx = test->priv;
	struct dma_buf *dmabuf = test_buffer_alloc(test);
	struct dma_buf_attachment *first, *second;

	first = test_buffer_attach(test, dmabuf, ctx->dev[0]);
	second = test_buffer_attach(test, dmabuf, ctx->dev[0]);
	KUNIT_EXPECT_PTR_NE(test, first->priv, second->priv);

	/* Later accesses and attachments do not see the detached attachment */
	test_buffer_detach(test, first);
	KUNIT_EXPECT_EQ(test, dma_buf_begin_cpu_access(dmabuf,
						       DMA_BIDIRECTIONAL), 0);
	KUNIT_EXPECT_EQ(test, dma_buf_end_cpu_access(dmabuf,
						     DMA_BIDIRECTIONAL), 0);
	first = test_buffer_attach(test, dmabuf, ctx->dev[1]);
	test_buffer_detach(test, second);
	test_buffer_unmap(test, test_buffer_map(test, first, DMA_BIDIRECTIONAL));
	test_buffer_detach(test, first);
}

/* A failed attach leaves the buffer unchanged */
static bool try_attach(struct kunit *test, void *data, bool *taken)
{
	struct buffer_test *ctx = test->priv;
	struct dma_buf_attachment *attachment;
	struct dma_buf *dmabuf = data;

	attachment = dma_buf_attach(dmabuf, ctx->dev[0]);
	*taken = heap_test_fault_taken();

	/* The allocation of a debugging facility may fail without an error */
	if (!IS_ERR(attachment)) {
		dma_buf_detach(dmabuf, attachment);
	} else {
		KUNIT_ASSERT_TRUE(test, *taken);
		KUNIT_EXPECT_PTR_EQ(test, attachment, ERR_PTR(-ENOMEM));
	}
	KUNIT_EXPECT_EQ(test, dma_buf_begin_cpu_access(dmabuf, DMA_TO_DEVICE),
			0);
	KUNIT_EXPECT_TRUE(test, list_empty(&dmabuf->attachments));

	return IS_ERR(attachment);
}

void buffer_test_failed_attach_leaves_nothing(struct kunit *test)
{
	struct buffer_test *ctx = test->priv;
	static const u8 orders[MANY_CHUNKS];
	struct dma_buf *dmabuf;

	ctx->source.orders = orders;
	ctx->source.count = MANY_CHUNKS;
	dmabuf = test_buffer_alloc(test);
	heap_test_faults_init(test);

	/* The core's attachment, the exporter's, and the last piece of the table */
	heap_test_sweep_faults(test, try_attach, dmabuf, 3);
}

void buffer_test_device_sees_all_chunks(struct kunit *test)
{
	struct buffer_test *ctx = test->priv;
	struct dma_buf *dmabuf = test_buffer_alloc(test);
	struct dma_buf_attachment *attachment;
	struct test_mapping *mapping;

	attachment = test_buffer_attach(test, dmabuf, ctx->dev[0]);
	mapping = test_buffer_map(test, attachment, DMA_BIDIRECTIONAL);
	test_buffer_expect_mapped(test, ctx->dev[0], mapping->sgt);
	test_buffer_unmap(test, mapping);

	mapping = test_buffer_map(test, attachment, DMA_FROM_DEVICE);
	test_buffer_expect_mapped(test, ctx->dev[0], mapping->sgt);
}

void buffer_test_device_sees_chained_chunks(struct kunit *test)
{
	struct buffer_test *ctx = test->priv;
	static const u8 orders[MANY_CHUNKS];
	struct dma_buf_attachment *attachment;
	struct test_mapping *mapping;

	ctx->source.orders = orders;
	ctx->source.count = MANY_CHUNKS;
	attachment = test_buffer_attach(test, test_buffer_alloc(test), ctx->dev[0]);
	mapping = test_buffer_map(test, attachment, DMA_TO_DEVICE);
	KUNIT_EXPECT_EQ(test, mapping->sgt->nents, MANY_CHUNKS);
	test_buffer_expect_mapped(test, ctx->dev[0], mapping->sgt);
}

void buffer_test_device_sees_single_chunk(struct kunit *test)
{
	struct buffer_test *ctx = test->priv;
	static const u8 order = 8;
	struct dma_buf_attachment *attachment;
	struct test_mapping *mapping;

	ctx->source.orders = &order;
	ctx->source.count = 1;
	attachment = test_buffer_attach(test, test_buffer_alloc(test), ctx->dev[0]);
	mapping = test_buffer_map(test, attachment, DMA_TO_DEVICE);
	test_buffer_expect_mapped(test, ctx->dev[0], mapping->sgt);
}

void buffer_test_segments_are_no_longer_than_device_takes(struct kunit *test)
{
	struct buffer_test *ctx = test->priv;
	static const u8 orders[] = { 8, 0, 4 };
	struct dma_buf_attachment *attachment;
	struct test_mapping *mapping;
	struct scatterlist *sg;
	size_t sum = 0;
	int i;

	ctx->source.orders = orders;
	ctx->source.count = ARRAY_SIZE(orders);
	dma_set_max_seg_size(ctx->dev[0], SZ_64K);
	attachment = test_buffer_attach(test, test_buffer_alloc(test), ctx->dev[0]);
	mapping = test_buffer_map(test, attachment, DMA_TO_DEVICE);
	for_each_sgtable_dma_sg(mapping->sgt, sg, i) {
		KUNIT_EXPECT_LE(test, sg_dma_len(sg), SZ_64K);
		sum += sg_dma_len(sg);
	}
	KUNIT_EXPECT_EQ(test, sum, attachment->dmabuf->size);
}

/* DRM attaches devices that import a buffer but never map it */
void buffer_test_device_without_mask_can_attach(struct kunit *test)
{
	struct buffer_test *ctx = test->priv;
	u64 *mask = ctx->dev[0]->dma_mask;
	struct dma_buf_attachment *attachment;
	struct dma_heap_attachment *a;

	ctx->dev[0]->dma_mask = NULL;
	attachment = test_buffer_attach(test, test_buffer_alloc(test), ctx->dev[0]);
	a = attachment->priv;
	KUNIT_EXPECT_EQ(test, a->sgt.orig_nents, ctx->source.count);
	ctx->dev[0]->dma_mask = mask;
}

void buffer_test_mappings_of_two_devices_are_independent(struct kunit *test)
{
	struct buffer_test *ctx = test->priv;
	struct dma_buf *dmabuf = test_buffer_alloc(test);
	struct dma_buf_attachment *attachment[2];
	struct test_mapping *mapping[2];

	attachment[0] = test_buffer_attach(test, dmabuf, ctx->dev[0]);
	attachment[1] = test_buffer_attach(test, dmabuf, ctx->dev[1]);
	mapping[0] = test_buffer_map(test, attachment[0], DMA_FROM_DEVICE);
	mapping[1] = test_buffer_map(test, attachment[1], DMA_TO_DEVICE);
	KUNIT_EXPECT_PTR_NE(test, mapping[0]->sgt, mapping[1]->sgt);
	test_buffer_expect_mapped(test, ctx->dev[0], mapping[0]->sgt);
	test_buffer_expect_mapped(test, ctx->dev[1], mapping[1]->sgt);

	/* The second device's mapping does not depend on the first device */
	test_buffer_unmap(test, mapping[0]);
	test_buffer_detach(test, attachment[0]);
	test_buffer_expect_mapped(test, ctx->dev[1], mapping[1]->sgt);
}

/* A second mapping fits if the direction of the first mapping covers its own */
void buffer_test_second_map_must_fit_direction_of_first(struct kunit *test)
{
	const struct test_direction *first = test->param_value;
	struct buffer_test *ctx = test->priv;
	struct dma_buf_attachment *attachment;
	struct test_mapping *mapping;
	struct sg_table *sgt;
	int i;

	attachment = test_buffer_attach(test, test_buffer_alloc(test), ctx->dev[0]);
	mapping = test_buffer_map(test, attachment, first->dir);

	for (i = 0; i < ARRAY_SIZE(test_directions); i++) {
		enum dma_data_direction dir = test_directions[i].dir;

		if (dir == first->dir || first->dir == DMA_BIDIRECTIONAL) {
			test_buffer_unmap(test, test_buffer_map(test, attachment, dir));
			continue;
		}
		sgt = dma_buf_map_attachment_unlocked(attachment, dir);
		KUNIT_EXPECT_PTR_EQ(test, sgt, ERR_PTR(-EBUSY));
	}
	test_buffer_unmap(test, mapping);

	/* The refused mappings and the first mapping left nothing: any direction fits */
	for (i = 0; i < ARRAY_SIZE(test_directions); i++) {
		mapping = test_buffer_map(test, attachment, test_directions[i].dir);
		test_buffer_unmap(test, mapping);
	}
}

void buffer_test_map_needs_direction(struct kunit *test)
{
	struct buffer_test *ctx = test->priv;
	struct dma_buf_attachment *attachment;
	struct test_mapping *mapping;
	struct sg_table *sgt;

	attachment = test_buffer_attach(test, test_buffer_alloc(test), ctx->dev[0]);
	sgt = dma_buf_map_attachment_unlocked(attachment, DMA_NONE);
	KUNIT_EXPECT_PTR_EQ(test, sgt, ERR_PTR(-EINVAL));

	/* A second mapping needs a direction, too */
	mapping = test_buffer_map(test, attachment, DMA_BIDIRECTIONAL);
	sgt = dma_buf_map_attachment_unlocked(attachment, DMA_NONE);
	KUNIT_EXPECT_PTR_EQ(test, sgt, ERR_PTR(-EINVAL));
	test_buffer_unmap(test, mapping);
}

/* A failed map returns an error and does not affect other devices */
void buffer_test_failed_map_affects_no_other_device(struct kunit *test)
{
	struct buffer_test *ctx = test->priv;
	struct dma_buf *dmabuf = test_buffer_alloc(test);
	struct dma_buf_attachment *attachment[2];
	struct io_tlb_mem *mem;
	struct test_mapping *mapping;
	struct sg_table *sgt;

	attachment[0] = test_buffer_attach(test, dmabuf, ctx->dev[0]);
	attachment[1] = test_buffer_attach(test, dmabuf, ctx->dev[1]);

	mem = heap_test_break_dma(test, ctx->dev[0]);
	sgt = dma_buf_map_attachment_unlocked(attachment[0], DMA_TO_DEVICE);
	heap_test_repair_dma(ctx->dev[0], mem);
	KUNIT_ASSERT_PTR_EQ(test, sgt, ERR_PTR(-EIO));

	/* If the first device counted as mapped, its sync would be a DMA error */
	KUNIT_EXPECT_EQ(test, dma_buf_begin_cpu_access(dmabuf,
						       DMA_BIDIRECTIONAL), 0);
	mapping = test_buffer_map(test, attachment[1], DMA_TO_DEVICE);
	test_buffer_expect_mapped(test, ctx->dev[1], mapping->sgt);
	KUNIT_EXPECT_EQ(test, dma_buf_end_cpu_access(dmabuf,
						     DMA_BIDIRECTIONAL), 0);

	/* The direction of the failed map does not bind the attachment */
	mapping = test_buffer_map(test, attachment[0], DMA_FROM_DEVICE);
	test_buffer_expect_mapped(test, ctx->dev[0], mapping->sgt);
}

/*
 * All mappings of an attachment share one table, in the first mapping's direction.
 * The device's mapping does not maintain caches: see heap_cache_kunit.c.
 */
void buffer_test_second_map_shares_table(struct kunit *test)
{
	const struct test_direction *first = test->param_value;
	struct buffer_test *ctx = test->priv;
	struct device *dev = ctx->dev[0];
	struct dma_buf_attachment *attachment;
	struct heap_test_dma_trace *trace;
	struct test_mapping *mapping[2];

	trace = heap_test_dma_trace_start(test, dev, NULL);
	attachment = test_buffer_attach(test, test_buffer_alloc(test), dev);
	EXPECT_NO_DMA(test, trace);

	mapping[0] = test_buffer_map(test, attachment, first->dir);
	EXPECT_DMA(test, trace, MAP(dev, first->dir));

	mapping[1] = test_buffer_map(test, attachment, first->dir);
	KUNIT_EXPECT_PTR_EQ(test, mapping[1]->sgt, mapping[0]->sgt);
	EXPECT_NO_DMA(test, trace);

	test_buffer_unmap(test, mapping[0]);
	EXPECT_NO_DMA(test, trace);
	test_buffer_expect_mapped(test, dev, mapping[1]->sgt);

	test_buffer_unmap(test, mapping[1]);
	EXPECT_DMA(test, trace, UNMAP(dev, first->dir));

	test_buffer_detach(test, attachment);
	EXPECT_NO_DMA(test, trace);
}

/* The table keeps the first mapping's direction when only the second mapping is left */
void buffer_test_table_keeps_first_direction(struct kunit *test)
{
	struct buffer_test *ctx = test->priv;
	struct device *dev = ctx->dev[0];
	struct dma_buf_attachment *attachment;
	struct heap_test_dma_trace *trace;
	struct test_mapping *mapping[2];

	trace = heap_test_dma_trace_start(test, dev, NULL);
	attachment = test_buffer_attach(test, test_buffer_alloc(test), dev);
	mapping[0] = test_buffer_map(test, attachment, DMA_BIDIRECTIONAL);
	mapping[1] = test_buffer_map(test, attachment, DMA_TO_DEVICE);
	EXPECT_DMA(test, trace, MAP(dev, DMA_BIDIRECTIONAL));

	test_buffer_unmap(test, mapping[0]);
	test_buffer_unmap(test, mapping[1]);
	EXPECT_DMA(test, trace, UNMAP(dev, DMA_BIDIRECTIONAL));

	/* All mappings are gone: another direction is possible */
	mapping[0] = test_buffer_map(test, attachment, DMA_FROM_DEVICE);
	EXPECT_DMA(test, trace, MAP(dev, DMA_FROM_DEVICE));
}

/* A refused mapping calls no function of the DMA API */
void buffer_test_refused_map_calls_no_dma(struct kunit *test)
{
	struct buffer_test *ctx = test->priv;
	struct device *dev = ctx->dev[0];
	struct dma_buf_attachment *attachment;
	struct heap_test_dma_trace *trace;
	struct test_mapping *mapping;
	struct sg_table *sgt;

	trace = heap_test_dma_trace_start(test, dev, NULL);
	attachment = test_buffer_attach(test, test_buffer_alloc(test), dev);
	sgt = dma_buf_map_attachment_unlocked(attachment, DMA_NONE);
	KUNIT_EXPECT_PTR_EQ(test, sgt, ERR_PTR(-EINVAL));
	EXPECT_NO_DMA(test, trace);

	mapping = test_buffer_map(test, attachment, DMA_TO_DEVICE);
	EXPECT_DMA(test, trace, MAP(dev, DMA_TO_DEVICE));
	sgt = dma_buf_map_attachment_unlocked(attachment, DMA_FROM_DEVICE);
	KUNIT_EXPECT_PTR_EQ(test, sgt, ERR_PTR(-EBUSY));
	EXPECT_NO_DMA(test, trace);

	test_buffer_unmap(test, mapping);
	EXPECT_DMA(test, trace, UNMAP(dev, DMA_TO_DEVICE));
}

/*
 * CPU accesses do not sync the mappings of devices. Caches are maintained through the
 * heap's device: see heap_cache_kunit.c.
 */
void buffer_test_cpu_access_leaves_device_mappings(struct kunit *test)
{
	const struct test_direction *access = test->param_value;
	struct buffer_test *ctx = test->priv;
	struct device *dev = ctx->dev[0];
	struct dma_buf *dmabuf = test_buffer_alloc(test);
	struct dma_buf_attachment *attachment;
	struct heap_test_dma_trace *trace;
	struct test_mapping *mapping;

	trace = heap_test_dma_trace_start(test, dev, NULL);

	attachment = test_buffer_attach(test, dmabuf, dev);
	test_buffer_begin_access(test, dmabuf, access->dir);
	test_buffer_end_access(test, dmabuf, access->dir);
	EXPECT_NO_DMA(test, trace);

	mapping = test_buffer_map(test, attachment, DMA_FROM_DEVICE);
	EXPECT_DMA(test, trace, MAP(dev, DMA_FROM_DEVICE));
	test_buffer_begin_access(test, dmabuf, access->dir);
	test_buffer_end_access(test, dmabuf, access->dir);
	EXPECT_NO_DMA(test, trace);

	/* The device unmaps and detaches in the middle of an access */
	test_buffer_begin_access(test, dmabuf, access->dir);
	test_buffer_unmap(test, mapping);
	EXPECT_DMA(test, trace, UNMAP(dev, DMA_FROM_DEVICE));
	test_buffer_detach(test, attachment);
	test_buffer_end_access(test, dmabuf, access->dir);
	EXPECT_NO_DMA(test, trace);
}

/* The CPU does not cache this memory, so it never needs maintenance */
void buffer_test_uncached_buffer_is_never_synced(struct kunit *test)
{
	const struct test_direction *access = test->param_value;
	struct buffer_test *ctx = test->priv;
	struct device *dev = ctx->dev[0];
	struct dma_buf_attachment *attachment;
	struct heap_test_dma_trace *trace;
	struct test_mapping *mapping;
	struct dma_buf *dmabuf;

	ctx->source.base.uncached = true;
	dmabuf = test_buffer_alloc(test);
	attachment = test_buffer_attach(test, dmabuf, dev);
	trace = heap_test_dma_trace_start(test, dev, NULL);

	mapping = test_buffer_map(test, attachment, access->dir);
	EXPECT_DMA(test, trace, MAP(dev, access->dir));
	test_buffer_expect_mapped(test, dev, mapping->sgt);

	test_buffer_begin_access(test, dmabuf, DMA_BIDIRECTIONAL);
	test_buffer_end_access(test, dmabuf, DMA_BIDIRECTIONAL);
	EXPECT_NO_DMA(test, trace);

	test_buffer_unmap(test, mapping);
	EXPECT_DMA(test, trace, UNMAP(dev, access->dir));
}

/* Is the backing marked noncoherent after @dev has mapped it to read? */
static bool mark_of_mapping(struct kunit *test, struct device *dev)
{
	struct buffer_test *ctx = test->priv;
	struct dma_buf_attachment *attachment;

	attachment = test_buffer_attach(test, test_buffer_alloc(test), dev);
	KUNIT_EXPECT_FALSE(test, ctx->source.backing->noncoherent);
	test_buffer_map(test, attachment, DMA_TO_DEVICE);

	return ctx->source.backing->noncoherent;
}

/* The mark tells the pool to write back the backing's cache lines */
void buffer_test_noncoherent_device_marks_backing(struct kunit *test)
{
	struct buffer_test *ctx = test->priv;

	if (!heap_test_make_noncoherent(ctx->dev[0]))
		heap_test_skip(test, "noncoherent",
			       "needs a device that goes past the caches");

	KUNIT_EXPECT_TRUE(test, mark_of_mapping(test, ctx->dev[0]));
}

void buffer_test_coherent_device_leaves_backing_unmarked(struct kunit *test)
{
	struct buffer_test *ctx = test->priv;

	KUNIT_ASSERT_TRUE(test, heap_test_make_coherent(ctx->dev[0]));
	KUNIT_EXPECT_FALSE(test, mark_of_mapping(test, ctx->dev[0]));
}

/* To copy, swiotlb would read through a cached mapping, or through none */
void buffer_test_uncached_buffer_is_not_copied(struct kunit *test)
{
	struct buffer_test *ctx = test->priv;
	struct dma_buf_attachment *attachment;
	struct heap_test_dma_trace *trace;
	struct sg_table *sgt;
	int i;

	if (!heap_test_make_bouncing(test, ctx->dev[0]))
		heap_test_skip(test, "swiotlb",
			       "needs CONFIG_SWIOTLB, and slots");
	ctx->source.base.uncached = true;
	trace = heap_test_dma_trace_start(test, ctx->dev[0], ctx->dev[1]);
	attachment = test_buffer_attach(test, test_buffer_alloc(test), ctx->dev[0]);
	for (i = 0; i < TEST_DIRECTIONS; i++) {
		sgt = dma_buf_map_attachment_unlocked(attachment,
						      test_directions[i].dir);
		KUNIT_EXPECT_PTR_EQ(test, sgt, ERR_PTR(-EIO));
	}
	EXPECT_NO_DMA(test, trace);
}
