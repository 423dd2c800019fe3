// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit suite of the exporter of DMA-BUF heaps
 *
 * Buffers are made from a test source, allocated through a heap of their own
 * and used by the devices of the test by way of the dma-buf core. What is done
 * about caches is in heap_cache_kunit.c, and mmap has its kselftests.
 */

#include <linux/dma-buf.h>
#include <linux/dma-direct.h>
#include <linux/dma-heap.h>
#include <linux/dma-map-ops.h>
#include <linux/dma-mapping.h>
#include <linux/dma-resv.h>
#include <linux/err.h>
#include <linux/fcntl.h>
#include <linux/file.h>
#include <linux/gfp.h>
#include <linux/highmem.h>
#include <linux/iosys-map.h>
#include <linux/kthread.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/module.h>
#include <linux/pfn.h>
#include <linux/pgtable.h>
#include <linux/scatterlist.h>
#include <linux/sched.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>

#include <kunit/resource.h>
#include <kunit/test.h>

#include "../heap_backing.h"
#include "../heap_buffer.h"
#include "heap_test_helpers.h"

#define NAME		"kunit-heap"

/* Enough for a scatterlist that is chained twice */
#define MANY_CHUNKS	(2 * SG_MAX_SINGLE_ALLOC + 3)

/* Sizes that go up and down */
static const u8 mixed_orders[] = { 2, 0, 3, 0, 1 };

/**
 * struct buffer_test - what every test starts with
 * @source: the test source
 * @heap: a heap of this source
 * @dev: two devices
 * @dma_errors: what CONFIG_DMA_API_DEBUG had to complain about before
 */
struct buffer_test {
	struct heap_test_source source;
	struct dma_heap *heap;
	struct device *dev[2];
	u32 dma_errors;
};

static int buffer_test_init(struct kunit *test)
{
	struct buffer_test *ctx;

	ctx = kunit_kzalloc(test, sizeof(*ctx), GFP_KERNEL);
	if (!ctx)
		return -ENOMEM;

	test->priv = ctx;
	ctx->dma_errors = heap_test_dma_errors();
	heap_test_source_init(&ctx->source, mixed_orders,
			      ARRAY_SIZE(mixed_orders));
	ctx->heap = heap_test_add(test, NAME, &heap_test_source_heap_ops,
				  &ctx->source.base);
	ctx->dev[0] = heap_test_device(test, "importer0");
	ctx->dev[1] = heap_test_device(test, "importer1");

	return 0;
}

/* Whatever the test was about, the DMA API was used as it should */
static void buffer_test_exit(struct kunit *test)
{
	struct buffer_test *ctx = test->priv;

	if (ctx)
		KUNIT_EXPECT_EQ(test, heap_test_dma_errors(), ctx->dma_errors);
}

static struct dma_buf *buffer_try_alloc(struct buffer_test *ctx)
{
	return dma_heap_buffer_alloc(ctx->heap, heap_test_source_size(&ctx->source),
				     O_RDWR, 0);
}

/* Drop the last reference, and have it dropped when this returns */
static void buffer_put(struct dma_buf *dmabuf)
{
	__fput_sync(dmabuf->file);
}

KUNIT_DEFINE_ACTION_WRAPPER(buffer_put_wrapper, buffer_put, struct dma_buf *);

static struct dma_buf *buffer_alloc(struct kunit *test)
{
	struct dma_buf *dmabuf = buffer_try_alloc(test->priv);
	int ret;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, dmabuf);
	ret = kunit_add_action_or_reset(test, buffer_put_wrapper, dmabuf);
	KUNIT_ASSERT_EQ(test, ret, 0);

	return dmabuf;
}

static void buffer_free(struct kunit *test, struct dma_buf *dmabuf)
{
	kunit_release_action(test, buffer_put_wrapper, dmabuf);
}

static void attachment_detach(struct dma_buf_attachment *attachment)
{
	dma_buf_detach(attachment->dmabuf, attachment);
}

KUNIT_DEFINE_ACTION_WRAPPER(attachment_detach_wrapper, attachment_detach,
			    struct dma_buf_attachment *);

static struct dma_buf_attachment *buffer_attach(struct kunit *test,
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

static void buffer_detach(struct kunit *test,
			  struct dma_buf_attachment *attachment)
{
	kunit_release_action(test, attachment_detach_wrapper, attachment);
}

/**
 * struct mapping - one mapping of an attachment
 * @attachment: the attachment
 * @sgt: what mapping it gave
 * @dir: direction asked for
 */
struct mapping {
	struct dma_buf_attachment *attachment;
	struct sg_table *sgt;
	enum dma_data_direction dir;
};

static void mapping_unmap(struct mapping *mapping)
{
	dma_buf_unmap_attachment_unlocked(mapping->attachment, mapping->sgt,
					  mapping->dir);
}

KUNIT_DEFINE_ACTION_WRAPPER(mapping_unmap_wrapper, mapping_unmap,
			    struct mapping *);

static struct mapping *buffer_map(struct kunit *test,
				  struct dma_buf_attachment *attachment,
				  enum dma_data_direction dir)
{
	struct mapping *mapping;
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

static void buffer_unmap(struct kunit *test, struct mapping *mapping)
{
	kunit_release_action(test, mapping_unmap_wrapper, mapping);
}

/* Mappings without an IOMMU: the addresses of the device are physical ones */
static void expect_backing_mapped(struct kunit *test, struct device *dev,
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

/* What the source gave comes back to it with the last reference */
static void buffer_test_release(struct kunit *test)
{
	struct buffer_test *ctx = test->priv;
	struct dma_buf *dmabuf = buffer_alloc(test);

	KUNIT_EXPECT_EQ(test, ctx->source.allocated, 1);
	KUNIT_EXPECT_EQ(test, dmabuf->size, heap_test_source_size(&ctx->source));
	KUNIT_EXPECT_STREQ(test, dmabuf->exp_name, NAME);

	get_dma_buf(dmabuf);
	dma_buf_put(dmabuf);
	flush_delayed_fput();
	KUNIT_EXPECT_EQ(test, ctx->source.freed, 0);

	buffer_free(test, dmabuf);
	KUNIT_EXPECT_EQ(test, ctx->source.freed, 1);
	KUNIT_EXPECT_EQ(test, ctx->source.allocated, 1);
}

static void buffer_test_source_error(struct kunit *test)
{
	static const int errors[] = { -ENOMEM, -EINTR, -EREMOTEIO };
	struct buffer_test *ctx = test->priv;
	int i;

	for (i = 0; i < ARRAY_SIZE(errors); i++) {
		ctx->source.ret = errors[i];
		KUNIT_EXPECT_PTR_EQ(test, buffer_try_alloc(ctx),
				    ERR_PTR(errors[i]));
		KUNIT_EXPECT_EQ(test, ctx->source.calls, i + 1);
	}

	KUNIT_EXPECT_EQ(test, ctx->source.allocated, 0);
	KUNIT_EXPECT_EQ(test, ctx->source.freed, 0);
}

/* Also when the dma-buf core fails, the source gets back what it gave */
static bool try_export(struct kunit *test, void *data, bool *taken)
{
	struct buffer_test *ctx = test->priv;
	unsigned int allocated = ctx->source.allocated;
	struct dma_buf *dmabuf = buffer_try_alloc(ctx);
	bool after_source = false;

	*taken = heap_test_fault_taken();

	if (!IS_ERR(dmabuf)) {
		KUNIT_EXPECT_EQ(test, ctx->source.allocated,
				ctx->source.freed + 1);
		buffer_put(dmabuf);
	} else {
		KUNIT_ASSERT_TRUE(test, *taken);
		KUNIT_EXPECT_PTR_EQ(test, dmabuf, ERR_PTR(-ENOMEM));
		after_source = ctx->source.allocated > allocated;
	}
	KUNIT_EXPECT_EQ(test, ctx->source.allocated, ctx->source.freed);

	return after_source;
}

static void buffer_test_export_faults(struct kunit *test)
{
	heap_test_faults_init(test);

	/* The inode, the file and the dma_buf */
	heap_test_sweep_faults(test, try_export, NULL, 3);
}

static void buffer_test_attach(struct kunit *test)
{
	struct buffer_test *ctx = test->priv;
	struct dma_buf *dmabuf = buffer_alloc(test);
	struct dma_buf_attachment *first, *second;

	first = buffer_attach(test, dmabuf, ctx->dev[0]);
	second = buffer_attach(test, dmabuf, ctx->dev[0]);
	KUNIT_EXPECT_PTR_NE(test, first->priv, second->priv);

	/* In any order; nobody who comes after sees who has gone */
	buffer_detach(test, first);
	KUNIT_EXPECT_EQ(test, dma_buf_begin_cpu_access(dmabuf,
						       DMA_BIDIRECTIONAL), 0);
	KUNIT_EXPECT_EQ(test, dma_buf_end_cpu_access(dmabuf,
						     DMA_BIDIRECTIONAL), 0);
	first = buffer_attach(test, dmabuf, ctx->dev[1]);
	buffer_detach(test, second);
	buffer_unmap(test, buffer_map(test, first, DMA_BIDIRECTIONAL));
	buffer_detach(test, first);
}

/* A buffer somebody could not attach to is as it was */
static bool try_attach(struct kunit *test, void *data, bool *taken)
{
	struct buffer_test *ctx = test->priv;
	struct dma_buf_attachment *attachment;
	struct dma_buf *dmabuf = data;

	attachment = dma_buf_attach(dmabuf, ctx->dev[0]);
	*taken = heap_test_fault_taken();

	/* A debugging facility can do without its allocation */
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

static void buffer_test_attach_faults(struct kunit *test)
{
	struct buffer_test *ctx = test->priv;
	static const u8 orders[MANY_CHUNKS];
	struct dma_buf *dmabuf;

	ctx->source.orders = orders;
	ctx->source.count = MANY_CHUNKS;
	dmabuf = buffer_alloc(test);
	heap_test_faults_init(test);

	/* The core's and our attachment, and the last piece of the table */
	heap_test_sweep_faults(test, try_attach, dmabuf, 3);
}

static void buffer_test_map(struct kunit *test)
{
	struct buffer_test *ctx = test->priv;
	struct dma_buf *dmabuf = buffer_alloc(test);
	struct dma_buf_attachment *attachment;
	struct mapping *mapping;

	attachment = buffer_attach(test, dmabuf, ctx->dev[0]);
	mapping = buffer_map(test, attachment, DMA_BIDIRECTIONAL);
	expect_backing_mapped(test, ctx->dev[0], mapping->sgt);
	buffer_unmap(test, mapping);

	mapping = buffer_map(test, attachment, DMA_FROM_DEVICE);
	expect_backing_mapped(test, ctx->dev[0], mapping->sgt);
}

static void buffer_test_map_many_chunks(struct kunit *test)
{
	struct buffer_test *ctx = test->priv;
	static const u8 orders[MANY_CHUNKS];
	struct dma_buf_attachment *attachment;
	struct mapping *mapping;

	ctx->source.orders = orders;
	ctx->source.count = MANY_CHUNKS;
	attachment = buffer_attach(test, buffer_alloc(test), ctx->dev[0]);
	mapping = buffer_map(test, attachment, DMA_TO_DEVICE);
	KUNIT_EXPECT_EQ(test, mapping->sgt->nents, MANY_CHUNKS);
	expect_backing_mapped(test, ctx->dev[0], mapping->sgt);
}

static void buffer_test_map_one_chunk(struct kunit *test)
{
	struct buffer_test *ctx = test->priv;
	static const u8 order = 8;
	struct dma_buf_attachment *attachment;
	struct mapping *mapping;

	ctx->source.orders = &order;
	ctx->source.count = 1;
	attachment = buffer_attach(test, buffer_alloc(test), ctx->dev[0]);
	mapping = buffer_map(test, attachment, DMA_TO_DEVICE);
	expect_backing_mapped(test, ctx->dev[0], mapping->sgt);
}

static void buffer_test_map_two_devices(struct kunit *test)
{
	struct buffer_test *ctx = test->priv;
	struct dma_buf *dmabuf = buffer_alloc(test);
	struct dma_buf_attachment *attachment[2];
	struct mapping *mapping[2];

	attachment[0] = buffer_attach(test, dmabuf, ctx->dev[0]);
	attachment[1] = buffer_attach(test, dmabuf, ctx->dev[1]);
	mapping[0] = buffer_map(test, attachment[0], DMA_FROM_DEVICE);
	mapping[1] = buffer_map(test, attachment[1], DMA_TO_DEVICE);
	KUNIT_EXPECT_PTR_NE(test, mapping[0]->sgt, mapping[1]->sgt);
	expect_backing_mapped(test, ctx->dev[0], mapping[0]->sgt);
	expect_backing_mapped(test, ctx->dev[1], mapping[1]->sgt);

	/* The second one's mapping does not depend on the first one's */
	buffer_unmap(test, mapping[0]);
	buffer_detach(test, attachment[0]);
	expect_backing_mapped(test, ctx->dev[1], mapping[1]->sgt);
}

static const struct direction_case {
	const char *desc;
	enum dma_data_direction dir;
} direction_cases[] = {
	{ "to device", DMA_TO_DEVICE },
	{ "from device", DMA_FROM_DEVICE },
	{ "bidirectional", DMA_BIDIRECTIONAL },
};

KUNIT_ARRAY_PARAM_DESC(direction, direction_cases, desc);

/* A second mapping fits if the first one has all of its direction */
static void buffer_test_map_direction(struct kunit *test)
{
	const struct direction_case *first = test->param_value;
	struct buffer_test *ctx = test->priv;
	struct dma_buf_attachment *attachment;
	struct mapping *mapping;
	struct sg_table *sgt;
	int i;

	attachment = buffer_attach(test, buffer_alloc(test), ctx->dev[0]);
	mapping = buffer_map(test, attachment, first->dir);

	for (i = 0; i < ARRAY_SIZE(direction_cases); i++) {
		enum dma_data_direction dir = direction_cases[i].dir;

		if (dir == first->dir || first->dir == DMA_BIDIRECTIONAL) {
			buffer_unmap(test, buffer_map(test, attachment, dir));
			continue;
		}
		sgt = dma_buf_map_attachment_unlocked(attachment, dir);
		KUNIT_EXPECT_PTR_EQ(test, sgt, ERR_PTR(-EBUSY));
	}
	buffer_unmap(test, mapping);

	/* What did not fit has left nothing, and all of the first is gone */
	for (i = 0; i < ARRAY_SIZE(direction_cases); i++) {
		mapping = buffer_map(test, attachment, direction_cases[i].dir);
		buffer_unmap(test, mapping);
	}
}

static void buffer_test_map_no_direction(struct kunit *test)
{
	struct buffer_test *ctx = test->priv;
	struct dma_buf_attachment *attachment;
	struct mapping *mapping;
	struct sg_table *sgt;

	attachment = buffer_attach(test, buffer_alloc(test), ctx->dev[0]);
	sgt = dma_buf_map_attachment_unlocked(attachment, DMA_NONE);
	KUNIT_EXPECT_PTR_EQ(test, sgt, ERR_PTR(-EINVAL));

	/* Neither as the second one */
	mapping = buffer_map(test, attachment, DMA_BIDIRECTIONAL);
	sgt = dma_buf_map_attachment_unlocked(attachment, DMA_NONE);
	KUNIT_EXPECT_PTR_EQ(test, sgt, ERR_PTR(-EINVAL));
	buffer_unmap(test, mapping);
}

/* A device that cannot map the buffer is told so, and is in nobody's way */
static void buffer_test_map_failure(struct kunit *test)
{
	struct buffer_test *ctx = test->priv;
	struct dma_buf *dmabuf = buffer_alloc(test);
	struct dma_buf_attachment *attachment[2];
	struct io_tlb_mem *mem;
	struct mapping *mapping;
	struct sg_table *sgt;

	attachment[0] = buffer_attach(test, dmabuf, ctx->dev[0]);
	attachment[1] = buffer_attach(test, dmabuf, ctx->dev[1]);

	mem = heap_test_break_dma(test, ctx->dev[0]);
	sgt = dma_buf_map_attachment_unlocked(attachment[0], DMA_TO_DEVICE);
	heap_test_repair_dma(ctx->dev[0], mem);
	KUNIT_ASSERT_PTR_EQ(test, sgt, ERR_PTR(-EIO));

	/* Were the first one taken for mapped, its sync would be a DMA error */
	KUNIT_EXPECT_EQ(test, dma_buf_begin_cpu_access(dmabuf,
						       DMA_BIDIRECTIONAL), 0);
	mapping = buffer_map(test, attachment[1], DMA_TO_DEVICE);
	expect_backing_mapped(test, ctx->dev[1], mapping->sgt);
	KUNIT_EXPECT_EQ(test, dma_buf_end_cpu_access(dmabuf,
						     DMA_BIDIRECTIONAL), 0);

	/* The direction of what failed does not bind it */
	mapping = buffer_map(test, attachment[0], DMA_FROM_DEVICE);
	expect_backing_mapped(test, ctx->dev[0], mapping->sgt);
}

/* What the tests below expect of the DMA API, for all chunks of a buffer */
#define MAP(_dev, _dir) \
	{ _dev, HEAP_TEST_DMA_MAP, _dir, DMA_ATTR_SKIP_CPU_SYNC, \
	  ARRAY_SIZE(mixed_orders) }
#define UNMAP(_dev, _dir) \
	{ _dev, HEAP_TEST_DMA_UNMAP, _dir, DMA_ATTR_SKIP_CPU_SYNC, \
	  ARRAY_SIZE(mixed_orders) }

#define EXPECT_DMA(test, trace, ...) do { \
	const struct heap_test_dma_event _events[] = { __VA_ARGS__ }; \
	\
	heap_test_dma_trace_expect(test, trace, _events, \
				   ARRAY_SIZE(_events)); \
} while (0)

#define EXPECT_NO_DMA(test, trace) \
	heap_test_dma_trace_expect(test, trace, NULL, 0)

/*
 * One table however often it is mapped, in the first one's direction. Caches are
 * not maintained by way of the device: see heap_cache_kunit.c.
 */
static void buffer_test_map_twice(struct kunit *test)
{
	const struct direction_case *first = test->param_value;
	struct buffer_test *ctx = test->priv;
	struct device *dev = ctx->dev[0];
	struct dma_buf_attachment *attachment;
	struct heap_test_dma_trace *trace;
	struct mapping *mapping[2];

	trace = heap_test_dma_trace_start(test, dev, NULL);
	attachment = buffer_attach(test, buffer_alloc(test), dev);
	EXPECT_NO_DMA(test, trace);

	mapping[0] = buffer_map(test, attachment, first->dir);
	EXPECT_DMA(test, trace, MAP(dev, first->dir));

	mapping[1] = buffer_map(test, attachment, first->dir);
	KUNIT_EXPECT_PTR_EQ(test, mapping[1]->sgt, mapping[0]->sgt);
	EXPECT_NO_DMA(test, trace);

	buffer_unmap(test, mapping[0]);
	EXPECT_NO_DMA(test, trace);
	expect_backing_mapped(test, dev, mapping[1]->sgt);

	buffer_unmap(test, mapping[1]);
	EXPECT_DMA(test, trace, UNMAP(dev, first->dir));

	buffer_detach(test, attachment);
	EXPECT_NO_DMA(test, trace);
}

/* The table keeps the first one's direction, also when the second one is left */
static void buffer_test_map_twice_mixed(struct kunit *test)
{
	struct buffer_test *ctx = test->priv;
	struct device *dev = ctx->dev[0];
	struct dma_buf_attachment *attachment;
	struct heap_test_dma_trace *trace;
	struct mapping *mapping[2];

	trace = heap_test_dma_trace_start(test, dev, NULL);
	attachment = buffer_attach(test, buffer_alloc(test), dev);
	mapping[0] = buffer_map(test, attachment, DMA_BIDIRECTIONAL);
	mapping[1] = buffer_map(test, attachment, DMA_TO_DEVICE);
	EXPECT_DMA(test, trace, MAP(dev, DMA_BIDIRECTIONAL));

	buffer_unmap(test, mapping[0]);
	buffer_unmap(test, mapping[1]);
	EXPECT_DMA(test, trace, UNMAP(dev, DMA_BIDIRECTIONAL));

	/* Not before all of it is gone, another direction is possible */
	mapping[0] = buffer_map(test, attachment, DMA_FROM_DEVICE);
	EXPECT_DMA(test, trace, MAP(dev, DMA_FROM_DEVICE));
}

/* A mapping that is refused touches nothing */
static void buffer_test_map_refused(struct kunit *test)
{
	struct buffer_test *ctx = test->priv;
	struct device *dev = ctx->dev[0];
	struct dma_buf_attachment *attachment;
	struct heap_test_dma_trace *trace;
	struct mapping *mapping;
	struct sg_table *sgt;

	trace = heap_test_dma_trace_start(test, dev, NULL);
	attachment = buffer_attach(test, buffer_alloc(test), dev);
	sgt = dma_buf_map_attachment_unlocked(attachment, DMA_NONE);
	KUNIT_EXPECT_PTR_EQ(test, sgt, ERR_PTR(-EINVAL));
	EXPECT_NO_DMA(test, trace);

	mapping = buffer_map(test, attachment, DMA_TO_DEVICE);
	EXPECT_DMA(test, trace, MAP(dev, DMA_TO_DEVICE));
	sgt = dma_buf_map_attachment_unlocked(attachment, DMA_FROM_DEVICE);
	KUNIT_EXPECT_PTR_EQ(test, sgt, ERR_PTR(-EBUSY));
	EXPECT_NO_DMA(test, trace);

	buffer_unmap(test, mapping);
	EXPECT_DMA(test, trace, UNMAP(dev, DMA_TO_DEVICE));
}

static void cpu_access_begin(struct kunit *test, struct dma_buf *dmabuf,
			     enum dma_data_direction dir)
{
	KUNIT_EXPECT_EQ(test, dma_buf_begin_cpu_access(dmabuf, dir), 0);
}

static void cpu_access_end(struct kunit *test, struct dma_buf *dmabuf,
			   enum dma_data_direction dir)
{
	KUNIT_EXPECT_EQ(test, dma_buf_end_cpu_access(dmabuf, dir), 0);
}

/*
 * The devices' mappings are left alone by whatever the CPU does. That it sees
 * what they wrote, and they what it wrote, is the business of the heap's device:
 * see heap_cache_kunit.c.
 */
static void buffer_test_cpu_access(struct kunit *test)
{
	const struct direction_case *access = test->param_value;
	struct buffer_test *ctx = test->priv;
	struct device *dev = ctx->dev[0];
	struct dma_buf *dmabuf = buffer_alloc(test);
	struct dma_buf_attachment *attachment;
	struct heap_test_dma_trace *trace;
	struct mapping *mapping;

	trace = heap_test_dma_trace_start(test, dev, NULL);

	attachment = buffer_attach(test, dmabuf, dev);
	cpu_access_begin(test, dmabuf, access->dir);
	cpu_access_end(test, dmabuf, access->dir);
	EXPECT_NO_DMA(test, trace);

	mapping = buffer_map(test, attachment, DMA_FROM_DEVICE);
	EXPECT_DMA(test, trace, MAP(dev, DMA_FROM_DEVICE));
	cpu_access_begin(test, dmabuf, access->dir);
	cpu_access_end(test, dmabuf, access->dir);
	EXPECT_NO_DMA(test, trace);

	/* Unmapped and gone in the middle of an access */
	cpu_access_begin(test, dmabuf, access->dir);
	buffer_unmap(test, mapping);
	EXPECT_DMA(test, trace, UNMAP(dev, DMA_FROM_DEVICE));
	buffer_detach(test, attachment);
	cpu_access_end(test, dmabuf, access->dir);
	EXPECT_NO_DMA(test, trace);
}

static void vmap_mark(struct iosys_map *map, size_t size)
{
	size_t offset;

	for (offset = 0; offset < size; offset += PAGE_SIZE)
		iosys_map_wr(map, offset, u32, offset / PAGE_SIZE + 1);
}

/* The buffer's pages, in order, hold what vmap_mark() wrote */
static void expect_marks(struct kunit *test)
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

struct vmapping {
	struct dma_buf *dmabuf;
	struct iosys_map map;
};

static void buffer_vunmap_action(void *data)
{
	struct vmapping *vmapping = data;

	dma_buf_vunmap_unlocked(vmapping->dmabuf, &vmapping->map);
}

static struct vmapping *buffer_vmap(struct kunit *test, struct dma_buf *dmabuf)
{
	struct vmapping *vmapping;
	int ret;

	vmapping = kunit_kzalloc(test, sizeof(*vmapping), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, vmapping);

	vmapping->dmabuf = dmabuf;
	ret = dma_buf_vmap_unlocked(dmabuf, &vmapping->map);
	KUNIT_ASSERT_EQ(test, ret, 0);
	KUNIT_ASSERT_FALSE(test, vmapping->map.is_iomem);
	KUNIT_ASSERT_NOT_NULL(test, vmapping->map.vaddr);

	ret = kunit_add_action_or_reset(test, buffer_vunmap_action, vmapping);
	KUNIT_ASSERT_EQ(test, ret, 0);

	return vmapping;
}

static void buffer_vunmap(struct kunit *test, struct vmapping *vmapping)
{
	kunit_release_action(test, buffer_vunmap_action, vmapping);
}

static struct page *first_page(struct kunit *test)
{
	struct buffer_test *ctx = test->priv;

	return sg_page(ctx->source.backing->sgt.sgl);
}

static void buffer_test_vmap(struct kunit *test)
{
	struct dma_buf *dmabuf = buffer_alloc(test);
	struct vmapping *first, *second;
	void *vaddr;

	first = buffer_vmap(test, dmabuf);
	second = buffer_vmap(test, dmabuf);
	vaddr = first->map.vaddr;
	KUNIT_EXPECT_PTR_EQ(test, second->map.vaddr, vaddr);
	vmap_mark(&first->map, dmabuf->size);
	expect_marks(test);

	/* There until the last user goes, and no longer */
	buffer_vunmap(test, first);
	KUNIT_EXPECT_PTR_EQ(test, vmalloc_to_page(vaddr), first_page(test));
	buffer_vunmap(test, second);
	KUNIT_EXPECT_TRUE(test, iosys_map_is_null(&second->map));
	KUNIT_EXPECT_NULL(test, vmalloc_to_page(vaddr));

	/* And anew, which a buffer that still had one would not do */
	first = buffer_vmap(test, dmabuf);
	KUNIT_EXPECT_PTR_EQ(test, vmalloc_to_page(first->map.vaddr),
			    first_page(test));
	KUNIT_EXPECT_EQ(test, iosys_map_rd(&first->map,
					   dmabuf->size - PAGE_SIZE, u32),
			dmabuf->size / PAGE_SIZE);
}

/* The kernel has all of a single chunk mapped already, if it is not highmem */
static void buffer_test_vmap_one_chunk(struct kunit *test)
{
	struct buffer_test *ctx = test->priv;
	struct dma_buf *dmabuf;
	struct vmapping *vmapping;
	static const u8 order = 2;

	ctx->source.orders = &order;
	ctx->source.count = 1;
	dmabuf = buffer_alloc(test);
	vmapping = buffer_vmap(test, dmabuf);
	vmap_mark(&vmapping->map, dmabuf->size);
	expect_marks(test);
	if (!PageHighMem(first_page(test)))
		KUNIT_EXPECT_PTR_EQ(test, vmapping->map.vaddr,
				    page_address(first_page(test)));

	/* Its end leaves the address to the kernel */
	buffer_vunmap(test, vmapping);
	expect_marks(test);

	/* Not if it is to be mapped in another way */
	ctx->source.base.uncached = true;
	vmapping = buffer_vmap(test, buffer_alloc(test));
	KUNIT_EXPECT_PTR_NE(test, vmapping->map.vaddr,
			    page_address(first_page(test)));
}

/* Whatever is done for the kernel mapping, what was written through it stays */
static void buffer_test_vmap_cpu_access(struct kunit *test)
{
	const struct direction_case *access = test->param_value;
	struct buffer_test *ctx = test->priv;
	struct dma_buf *dmabuf = buffer_alloc(test);
	struct dma_buf_attachment *attachment;
	struct vmapping *vmapping;

	attachment = buffer_attach(test, dmabuf, ctx->dev[0]);
	buffer_map(test, attachment, DMA_BIDIRECTIONAL);
	vmapping = buffer_vmap(test, dmabuf);

	cpu_access_begin(test, dmabuf, access->dir);
	vmap_mark(&vmapping->map, dmabuf->size);
	cpu_access_end(test, dmabuf, access->dir);
	expect_marks(test);

	buffer_vunmap(test, vmapping);
	cpu_access_begin(test, dmabuf, access->dir);
	cpu_access_end(test, dmabuf, access->dir);
	expect_marks(test);
}

/* Not through the core, which warns of a vmap that failed */
static int exporter_vmap(struct dma_buf *dmabuf, struct iosys_map *map)
{
	int ret;

	dma_resv_lock(dmabuf->resv, NULL);
	ret = dma_heap_buffer_vmap(dmabuf, map);
	dma_resv_unlock(dmabuf->resv);

	return ret;
}

static void exporter_vunmap(struct dma_buf *dmabuf, struct iosys_map *map)
{
	dma_resv_lock(dmabuf->resv, NULL);
	dma_heap_buffer_vunmap(dmabuf, map);
	dma_resv_unlock(dmabuf->resv);
}

static bool try_vmap(struct kunit *test, void *data, bool *taken)
{
	struct dma_buf *dmabuf = data;
	struct iosys_map map = {};
	int ret = exporter_vmap(dmabuf, &map);

	*taken = heap_test_fault_taken();

	if (!ret) {
		exporter_vunmap(dmabuf, &map);
	} else {
		KUNIT_ASSERT_TRUE(test, *taken);
		KUNIT_EXPECT_EQ(test, ret, -ENOMEM);
	}
	KUNIT_EXPECT_TRUE(test, iosys_map_is_null(&map));
	cpu_access_begin(test, dmabuf, DMA_BIDIRECTIONAL);
	cpu_access_end(test, dmabuf, DMA_BIDIRECTIONAL);

	return ret;
}

static void buffer_test_vmap_faults(struct kunit *test)
{
	struct dma_buf *dmabuf = buffer_alloc(test);

	heap_test_faults_init(test);

	/* The array of pages and the area */
	heap_test_sweep_faults(test, try_vmap, dmabuf, 2);
}

#define RACE_ROUNDS	2000

/* Memory that the CPU does not cache needs no maintenance, at no time */
static void buffer_test_uncached(struct kunit *test)
{
	const struct direction_case *access = test->param_value;
	struct buffer_test *ctx = test->priv;
	struct device *dev = ctx->dev[0];
	struct dma_buf_attachment *attachment;
	struct heap_test_dma_trace *trace;
	struct mapping *mapping;
	struct dma_buf *dmabuf;

	ctx->source.base.uncached = true;
	dmabuf = buffer_alloc(test);
	attachment = buffer_attach(test, dmabuf, dev);
	trace = heap_test_dma_trace_start(test, dev, NULL);

	mapping = buffer_map(test, attachment, access->dir);
	EXPECT_DMA(test, trace, MAP(dev, access->dir));
	expect_backing_mapped(test, dev, mapping->sgt);

	cpu_access_begin(test, dmabuf, DMA_BIDIRECTIONAL);
	cpu_access_end(test, dmabuf, DMA_BIDIRECTIONAL);
	EXPECT_NO_DMA(test, trace);

	buffer_unmap(test, mapping);
	EXPECT_DMA(test, trace, UNMAP(dev, access->dir));
}

#ifdef CONFIG_MMU
static int vmap_count_pte(pte_t *pte, unsigned long addr, void *data)
{
	pgprot_t wc = pgprot_writecombine(PAGE_KERNEL);
	struct page *page = pte_page(ptep_get(pte));
	unsigned int *count = data;

	*count += pte_same(ptep_get(pte), mk_pte(page, wc));

	return 0;
}

/* How many pages of the kernel's mapping are write-combined */
static unsigned int vmap_count_writecombined(struct vmapping *vmapping)
{
	unsigned long addr = (unsigned long)vmapping->map.vaddr;
	unsigned int count = 0;

	apply_to_existing_page_range(&init_mm, addr, vmapping->dmabuf->size,
				     vmap_count_pte, &count);

	return count;
}
#else
static unsigned int vmap_count_writecombined(struct vmapping *vmapping)
{
	return 0;
}
#endif

static void buffer_test_uncached_vmap(struct kunit *test)
{
	struct buffer_test *ctx = test->priv;
	size_t size = heap_test_source_size(&ctx->source);
	struct vmapping *vmapping;

	/* init_mm is not exported */
	if (!IS_BUILTIN(CONFIG_DMABUF_HEAPS_KUNIT_TEST))
		heap_test_skip(test, "builtin", "needs to be built in");
	if (pgprot_val(pgprot_writecombine(PAGE_KERNEL)) ==
	    pgprot_val(PAGE_KERNEL))
		heap_test_skip(test, "writecombine",
			       "needs an architecture that can map write-combined");

	vmapping = buffer_vmap(test, buffer_alloc(test));
	KUNIT_EXPECT_EQ(test, vmap_count_writecombined(vmapping), 0);
	buffer_vunmap(test, vmapping);

	ctx->source.base.uncached = true;
	vmapping = buffer_vmap(test, buffer_alloc(test));
	KUNIT_EXPECT_EQ(test, vmap_count_writecombined(vmapping),
			PHYS_PFN(size));
	vmap_mark(&vmapping->map, size);
	expect_marks(test);
}

/* The pool learns from the backing that its caches have to be cleaned */
static void buffer_test_noncoherent(struct kunit *test)
{
	struct buffer_test *ctx = test->priv;
	struct dma_buf_attachment *attachment;
	struct dma_buf *dmabuf = buffer_alloc(test);

	attachment = buffer_attach(test, dmabuf, ctx->dev[0]);
	KUNIT_EXPECT_FALSE(test, ctx->source.backing->noncoherent);
	buffer_map(test, attachment, DMA_TO_DEVICE);
	KUNIT_EXPECT_EQ(test, ctx->source.backing->noncoherent,
			!dev_is_dma_coherent(ctx->dev[0]));
}

/**
 * struct race - what the threads of the race need
 * @dmabuf: the buffer
 * @dev: device to attach again and again
 * @shared: attachment that all map
 * @mm: where to map it for user space, NULL if there is no such thing
 * @dir: direction to map with
 * @mapped: mappings that worked
 * @errors: calls that did not do what they should
 */
struct race {
	struct dma_buf *dmabuf;
	struct device *dev;
	struct dma_buf_attachment *shared;
	struct mm_struct *mm;
	enum dma_data_direction dir;
	unsigned int mapped;
	unsigned int errors;
};

/* Let the others in, also on one CPU and without preemption */
static void race_pause(int round)
{
	if (round % 32)
		cond_resched();
	else
		schedule_timeout_uninterruptible(1);
}

static void race_map(struct race *race, struct dma_buf_attachment *attachment,
		     int round)
{
	struct sg_table *sgt;

	sgt = dma_buf_map_attachment_unlocked(attachment, race->dir);
	/* Other threads may have another direction mapped */
	if (sgt == ERR_PTR(-EBUSY) && attachment == race->shared)
		return;

	if (IS_ERR(sgt)) {
		race->errors++;
		return;
	}

	race->mapped++;
	race_pause(round);
	dma_buf_unmap_attachment_unlocked(attachment, sgt, race->dir);
}

static void race_mapper(void *data)
{
	struct race *race = data;
	int i;

	for (i = 0; i < RACE_ROUNDS; i++)
		race_map(race, race->shared, i);
}

static void race_attacher(void *data)
{
	struct dma_buf_attachment *attachment;
	struct race *race = data;
	int i;

	for (i = 0; i < RACE_ROUNDS; i++) {
		attachment = dma_buf_attach(race->dmabuf, race->dev);
		if (IS_ERR(attachment)) {
			race->errors++;
			continue;
		}
		race_map(race, attachment, i);
		dma_buf_detach(race->dmabuf, attachment);
	}
}

static void race_syncer(void *data)
{
	struct race *race = data;
	int i;

	for (i = 0; i < RACE_ROUNDS; i++) {
		if (dma_buf_begin_cpu_access(race->dmabuf, race->dir))
			race->errors++;
		race_pause(i);
		if (dma_buf_end_cpu_access(race->dmabuf, race->dir))
			race->errors++;
	}
}

/* Parts of all sizes, up to all of it */
static void race_part_syncer(void *data)
{
	struct race *race = data;
	size_t size = race->dmabuf->size;
	int i;

	for (i = 0; i < RACE_ROUNDS; i++) {
		size_t offset = i * 611 % size;
		size_t len = (size - offset) >> i % 4 ?: 1;

		if (dma_buf_begin_cpu_access_partial(race->dmabuf, race->dir,
						     offset, len))
			race->errors++;
		race_pause(i);
		if (dma_buf_end_cpu_access_partial(race->dmabuf, race->dir,
						   offset, len))
			race->errors++;
	}
}

static void race_use(struct race *race, int round)
{
	size_t size = race->dmabuf->size;
	unsigned long addr;

	addr = vm_mmap(race->dmabuf->file, 0, size, PROT_READ | PROT_WRITE,
		       MAP_SHARED, 0);
	if (IS_ERR_VALUE(addr)) {
		race->errors++;
		return;
	}

	if (copy_to_user((void __user *)(addr + round % size), "x", 1))
		race->errors++;
	race_pause(round);
	if (vm_munmap(addr, size))
		race->errors++;
}

/* User space */
static void race_user(void *data)
{
	struct race *race = data;
	int i;

	if (!race->mm)
		return;

	kthread_use_mm(race->mm);
	for (i = 0; i < RACE_ROUNDS; i++)
		race_use(race, i);
	kthread_unuse_mm(race->mm);
}

static void race_vmapper(void *data)
{
	struct race *race = data;
	struct iosys_map map;
	int i;

	for (i = 0; i < RACE_ROUNDS; i++) {
		if (dma_buf_vmap_unlocked(race->dmabuf, &map)) {
			race->errors++;
			continue;
		}
		race_pause(i);
		dma_buf_vunmap_unlocked(race->dmabuf, &map);
	}
}

/*
 * Nobody may sync a table that is not mapped, see an attachment that has gone
 * or flush a kernel mapping that is no more. CONFIG_DMA_API_DEBUG, KASAN and
 * list debugging say so; buffer_test_exit() has a look.
 */
static void buffer_test_race(struct kunit *test)
{
	static void (* const funcs[])(void *data) = {
		race_mapper, race_mapper, race_attacher, race_syncer,
		race_syncer, race_vmapper, race_part_syncer, race_user,
	};
	static const enum dma_data_direction dirs[] = {
		DMA_TO_DEVICE, DMA_FROM_DEVICE, DMA_BIDIRECTIONAL,
		DMA_TO_DEVICE, DMA_BIDIRECTIONAL, DMA_BIDIRECTIONAL,
		DMA_BIDIRECTIONAL, DMA_BIDIRECTIONAL,
	};
	struct heap_test_job jobs[ARRAY_SIZE(funcs)] = {};
	struct race races[ARRAY_SIZE(funcs)] = {};
	struct buffer_test *ctx = test->priv;
	struct dma_buf_attachment *shared;
	struct dma_buf *dmabuf = buffer_alloc(test);
	struct mapping *mapping;
	unsigned int i;

	/* Gives this task an address space, if there is such a thing */
	kunit_vm_mmap(test, NULL, 0, PAGE_SIZE, PROT_READ,
		      MAP_PRIVATE | MAP_ANONYMOUS, 0);

	shared = buffer_attach(test, dmabuf, ctx->dev[0]);
	for (i = 0; i < ARRAY_SIZE(jobs); i++) {
		races[i].mm = current->mm;
		races[i].dmabuf = dmabuf;
		races[i].dev = ctx->dev[1];
		races[i].shared = shared;
		races[i].dir = dirs[i];
		jobs[i].func = funcs[i];
		jobs[i].data = &races[i];
	}
	heap_test_run_jobs(test, jobs, ARRAY_SIZE(jobs));

	for (i = 0; i < ARRAY_SIZE(jobs); i++)
		KUNIT_EXPECT_EQ_MSG(test, races[i].errors, 0, "job %u", i);
	KUNIT_EXPECT_EQ(test, races[2].mapped, RACE_ROUNDS);
	KUNIT_EXPECT_GT(test, races[0].mapped + races[1].mapped, 0);

	/* Nothing is left mapped: any direction will do */
	for (i = 0; i < ARRAY_SIZE(direction_cases); i++) {
		mapping = buffer_map(test, shared, direction_cases[i].dir);
		expect_backing_mapped(test, ctx->dev[0], mapping->sgt);
		buffer_unmap(test, mapping);
	}
}

static struct kunit_case buffer_test_cases[] = {
	KUNIT_CASE(buffer_test_release),
	KUNIT_CASE(buffer_test_source_error),
	KUNIT_CASE(buffer_test_export_faults),
	KUNIT_CASE(buffer_test_attach),
	KUNIT_CASE(buffer_test_attach_faults),
	KUNIT_CASE(buffer_test_map),
	KUNIT_CASE(buffer_test_map_many_chunks),
	KUNIT_CASE(buffer_test_map_one_chunk),
	KUNIT_CASE(buffer_test_map_two_devices),
	KUNIT_CASE_PARAM(buffer_test_map_direction, direction_gen_params),
	KUNIT_CASE(buffer_test_map_no_direction),
	KUNIT_CASE(buffer_test_map_failure),
	KUNIT_CASE_PARAM(buffer_test_map_twice, direction_gen_params),
	KUNIT_CASE(buffer_test_map_twice_mixed),
	KUNIT_CASE(buffer_test_map_refused),
	KUNIT_CASE_PARAM(buffer_test_cpu_access, direction_gen_params),
	KUNIT_CASE(buffer_test_vmap),
	KUNIT_CASE(buffer_test_vmap_one_chunk),
	KUNIT_CASE_PARAM(buffer_test_vmap_cpu_access, direction_gen_params),
	KUNIT_CASE(buffer_test_vmap_faults),
	KUNIT_CASE_PARAM(buffer_test_uncached, direction_gen_params),
	KUNIT_CASE(buffer_test_uncached_vmap),
	KUNIT_CASE(buffer_test_noncoherent),
	KUNIT_CASE_SLOW(buffer_test_race),
	{}
};

static struct kunit_suite buffer_test_suite = {
	.name = "dma_heap_buffer",
	.init = buffer_test_init,
	.exit = buffer_test_exit,
	.test_cases = buffer_test_cases,
};

kunit_test_suite(buffer_test_suite);

MODULE_DESCRIPTION("KUnit tests of the exporter of DMA-BUF heaps");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS(DMA_BUF);
MODULE_IMPORT_NS(DMA_BUF_HEAP);
MODULE_IMPORT_NS(EXPORTED_FOR_KUNIT_TESTING);
