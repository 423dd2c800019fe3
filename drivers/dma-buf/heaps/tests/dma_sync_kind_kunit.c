// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit suite of dma_sgtable_sync_kind(), which tells what the syncs of a table do
 */

#include <linux/device.h>
#include <linux/dma-map-ops.h>
#include <linux/dma-mapping.h>
#include <linux/gfp.h>
#include <linux/kconfig.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/scatterlist.h>

#include <kunit/resource.h>
#include <kunit/test.h>

#include "heap_test_helpers.h"

#define PAGES	2

/**
 * struct kind_test - a device and memory for it
 * @dev: the device; at first it reaches all memory
 * @sgt: two pages, the page at the lower address first
 * @mask: the device's mask at first
 */
struct kind_test {
	struct device *dev;
	struct sg_table sgt;
	u64 mask;
};

static void kind_test_free(void *data)
{
	struct kind_test *ctx = data;

	*ctx->dev->dma_mask = ctx->mask;
	ctx->dev->iommu_group = NULL;
	heap_test_free_pages(&ctx->sgt);
}

static int kind_test_init(struct kunit *test)
{
	struct page *pages[PAGES];
	struct kind_test *ctx;
	int i;

	ctx = kunit_kzalloc(test, sizeof(*ctx), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, ctx);
	test->priv = ctx;
	ctx->dev = heap_test_device(test, "kind");
	ctx->mask = *ctx->dev->dma_mask;

	KUNIT_ASSERT_EQ(test, sg_alloc_table(&ctx->sgt, PAGES, GFP_KERNEL), 0);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, kind_test_free, ctx), 0);
	for (i = 0; i < PAGES; i++) {
		pages[i] = alloc_page(GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, pages[i]);
	}
	if (page_to_pfn(pages[0]) > page_to_pfn(pages[1]))
		swap(pages[0], pages[1]);
	sg_set_page(ctx->sgt.sgl, pages[0], PAGE_SIZE, 0);
	sg_set_page(sg_next(ctx->sgt.sgl), pages[1], PAGE_SIZE, 0);

	return 0;
}

/* The kind for a device that works on the memory and not on copies */
static enum dma_sync_kind kind_of_memory(struct device *dev)
{
	if (dev_is_dma_coherent(dev))
		return DMA_SYNC_NONE;

	return IS_ENABLED(CONFIG_DMA_SYNC_DROPS_AFTER) ? DMA_SYNC_CACHES :
							 DMA_SYNC_UNKNOWN;
}

static void expect_kind(struct kunit *test, enum dma_sync_kind kind)
{
	struct kind_test *ctx = test->priv;
	int ret;

	KUNIT_EXPECT_EQ(test, dma_sgtable_sync_kind_before(ctx->dev, NULL), kind);
	KUNIT_EXPECT_EQ(test, dma_sgtable_sync_kind_before(ctx->dev, &ctx->sgt),
			kind);
	ret = dma_map_sgtable(ctx->dev, &ctx->sgt, DMA_BIDIRECTIONAL, 0);
	KUNIT_ASSERT_EQ(test, ret, 0);
	KUNIT_EXPECT_EQ(test, dma_sgtable_sync_kind(ctx->dev, &ctx->sgt), kind);
	dma_unmap_sgtable(ctx->dev, &ctx->sgt, DMA_BIDIRECTIONAL, 0);
}

static void kind_of_coherent_device_is_none(struct kunit *test)
{
	struct kind_test *ctx = test->priv;

	KUNIT_ASSERT_TRUE(test, heap_test_make_coherent(ctx->dev));
	expect_kind(test, DMA_SYNC_NONE);
}

static void kind_of_noncoherent_device_is_maintenance_of_caches(struct kunit *test)
{
	struct kind_test *ctx = test->priv;

	if (!heap_test_make_noncoherent(ctx->dev))
		heap_test_skip(test, "noncoherent",
			       "needs devices that go past the caches");
	expect_kind(test, kind_of_memory(ctx->dev));
}

static void kind_of_forced_bouncing_is_copies(struct kunit *test)
{
	struct kind_test *ctx = test->priv;

	if (!heap_test_make_bouncing(test, ctx->dev))
		heap_test_skip(test, "swiotlb",
			       "needs CONFIG_SWIOTLB, and slots");
	expect_kind(test, DMA_SYNC_COPIES);
}

/* The device reaches all of the first page, and all but a byte of the second page */
static void reach_first_page(struct kunit *test)
{
	struct kind_test *ctx = test->priv;
	phys_addr_t phys = sg_phys(sg_next(ctx->sgt.sgl));

	*ctx->dev->dma_mask = phys + PAGE_SIZE - 2;
}

static void memory_out_of_reach_would_be_copied(struct kunit *test)
{
	struct kind_test *ctx = test->priv;

	KUNIT_EXPECT_EQ(test, dma_sgtable_sync_kind_before(ctx->dev, &ctx->sgt),
			kind_of_memory(ctx->dev));
	reach_first_page(test);
	KUNIT_EXPECT_EQ(test, dma_sgtable_sync_kind_before(ctx->dev, &ctx->sgt),
			DMA_SYNC_COPIES);
	KUNIT_EXPECT_EQ(test, dma_sgtable_sync_kind_before(ctx->dev, NULL),
			kind_of_memory(ctx->dev));
}

/* As with iommu.passthrough=1: the device has a group, but no domain of the DMA API */
static void group_of_an_iommu_does_not_reach_memory(struct kunit *test)
{
	struct kind_test *ctx = test->priv;

	ctx->dev->iommu_group = (struct iommu_group *)ctx;
	reach_first_page(test);
	KUNIT_EXPECT_EQ(test, dma_sgtable_sync_kind_before(ctx->dev, &ctx->sgt),
			DMA_SYNC_COPIES);
}

static void kind_without_mask_is_unknown(struct kunit *test)
{
	struct kind_test *ctx = test->priv;
	u64 *mask = ctx->dev->dma_mask;

	ctx->dev->dma_mask = NULL;
	KUNIT_EXPECT_EQ(test, dma_sgtable_sync_kind_before(ctx->dev, NULL),
			DMA_SYNC_UNKNOWN);
	KUNIT_EXPECT_EQ(test, dma_sgtable_sync_kind_before(ctx->dev, &ctx->sgt),
			DMA_SYNC_UNKNOWN);
	KUNIT_EXPECT_EQ(test, dma_sgtable_sync_kind(ctx->dev, &ctx->sgt),
			DMA_SYNC_UNKNOWN);
	ctx->dev->dma_mask = mask;
}

static struct kunit_case kind_test_cases[] = {
	KUNIT_CASE(kind_of_coherent_device_is_none),
	KUNIT_CASE(kind_of_noncoherent_device_is_maintenance_of_caches),
	KUNIT_CASE(kind_of_forced_bouncing_is_copies),
	KUNIT_CASE(memory_out_of_reach_would_be_copied),
	KUNIT_CASE(group_of_an_iommu_does_not_reach_memory),
	KUNIT_CASE(kind_without_mask_is_unknown),
	{}
};

static struct kunit_suite kind_test_suite = {
	.name = "dma_sync_kind",
	.init = kind_test_init,
	.test_cases = kind_test_cases,
};

kunit_test_suite(kind_test_suite);

MODULE_DESCRIPTION("KUnit tests of what the DMA API tells about transfers");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS(EXPORTED_FOR_KUNIT_TESTING);
