// SPDX-License-Identifier: GPL-2.0
/*
 * Tests of the exporter of DMA-BUF heaps: mappings for the kernel
 */

#include <linux/dma-buf.h>
#include <linux/dma-resv.h>
#include <linux/gfp.h>
#include <linux/iosys-map.h>
#include <linux/mm.h>
#include <linux/pfn.h>
#include <linux/pgtable.h>
#include <linux/vmalloc.h>

#include <kunit/test.h>

#include "../heap_source.h"
#include "heap_test_buffer.h"
#include "heap_test_helpers.h"

void buffer_test_vmap_lasts_until_last_user(struct kunit *test)
{
	struct dma_buf *dmabuf = test_buffer_alloc(test);
	struct test_vmapping *first, *second;
	void *vaddr;

	first = test_buffer_vmap(test, dmabuf);
	second = test_buffer_vmap(test, dmabuf);
	vaddr = first->map.vaddr;
	KUNIT_EXPECT_PTR_EQ(test, second->map.vaddr, vaddr);
	test_buffer_mark(&first->map, dmabuf->size);
	test_buffer_expect_marks(test);

	/* The mapping stays until its last user is gone, and no longer */
	test_buffer_vunmap(test, first);
	KUNIT_EXPECT_PTR_EQ(test, vmalloc_to_page(vaddr),
			    test_buffer_first_page(test));
	test_buffer_vunmap(test, second);
	KUNIT_EXPECT_TRUE(test, iosys_map_is_null(&second->map));
	KUNIT_EXPECT_NULL(test, vmalloc_to_page(vaddr));

	/* The next vmap makes a new mapping: the buffer keeps no old one */
	first = test_buffer_vmap(test, dmabuf);
	KUNIT_EXPECT_PTR_EQ(test, vmalloc_to_page(first->map.vaddr),
			    test_buffer_first_page(test));
	KUNIT_EXPECT_EQ(test, iosys_map_rd(&first->map,
					   dmabuf->size - PAGE_SIZE, u32),
			dmabuf->size / PAGE_SIZE);
}

/* The linear map has the single chunk already: the source gives no highmem */
void buffer_test_vmap_of_one_chunk_is_linear_map(struct kunit *test)
{
	struct buffer_test *ctx = test->priv;
	struct dma_buf *dmabuf;
	struct test_vmapping *vmapping;
	static const u8 order = 2;

	ctx->source.orders = &order;
	ctx->source.count = 1;
	dmabuf = test_buffer_alloc(test);
	vmapping = test_buffer_vmap(test, dmabuf);
	test_buffer_mark(&vmapping->map, dmabuf->size);
	test_buffer_expect_marks(test);
	KUNIT_EXPECT_PTR_EQ(test, vmapping->map.vaddr,
			    page_address(test_buffer_first_page(test)));

	/* The vunmap leaves the linear map alone */
	test_buffer_vunmap(test, vmapping);
	test_buffer_expect_marks(test);

	/* An uncached buffer needs a mapping of its own */
	ctx->source.base.uncached = true;
	vmapping = test_buffer_vmap(test, test_buffer_alloc(test));
	KUNIT_EXPECT_PTR_NE(test, vmapping->map.vaddr,
			    page_address(test_buffer_first_page(test)));
}

/* Writes through a kernel mapping survive maintenance for other accesses */
void buffer_test_cpu_access_keeps_vmap_writes(struct kunit *test)
{
	const struct test_direction *access = test->param_value;
	struct buffer_test *ctx = test->priv;
	struct dma_buf *dmabuf = test_buffer_alloc(test);
	struct dma_buf_attachment *attachment;
	struct test_vmapping *vmapping;

	attachment = test_buffer_attach(test, dmabuf, ctx->dev[0]);
	test_buffer_map(test, attachment, DMA_BIDIRECTIONAL);
	vmapping = test_buffer_vmap(test, dmabuf);

	test_buffer_begin_access(test, dmabuf, access->dir);
	test_buffer_mark(&vmapping->map, dmabuf->size);
	test_buffer_end_access(test, dmabuf, access->dir);
	test_buffer_expect_marks(test);

	test_buffer_vunmap(test, vmapping);
	test_buffer_begin_access(test, dmabuf, access->dir);
	test_buffer_end_access(test, dmabuf, access->dir);
	test_buffer_expect_marks(test);
}

/* Not through the core: the core warns if a vmap fails */
static int exporter_vmap(struct dma_buf *dmabuf, struct iosys_map *map)
{
	int ret;

	dma_resv_lock(dmabuf->resv, NULL);
	ret = dmabuf->ops->vmap(dmabuf, map);
	dma_resv_unlock(dmabuf->resv);

	return ret;
}

static void exporter_vunmap(struct dma_buf *dmabuf, struct iosys_map *map)
{
	dma_resv_lock(dmabuf->resv, NULL);
	dmabuf->ops->vunmap(dmabuf, map);
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
	test_buffer_begin_access(test, dmabuf, DMA_BIDIRECTIONAL);
	test_buffer_end_access(test, dmabuf, DMA_BIDIRECTIONAL);

	return ret;
}

void buffer_test_failed_vmap_leaves_nothing(struct kunit *test)
{
	struct dma_buf *dmabuf = test_buffer_alloc(test);

	heap_test_faults_init(test);

	/* The array of pages and the vmalloc area */
	heap_test_sweep_faults(test, try_vmap, dmabuf, 2);
}

/* init_mm is not exported */
#if IS_BUILTIN(CONFIG_DMABUF_HEAPS_KUNIT_TEST)
static int vmap_count_pte(pte_t *pte, unsigned long addr, void *data)
{
	pgprot_t wc = pgprot_writecombine(PAGE_KERNEL);
	struct page *page = pte_page(ptep_get(pte));
	unsigned int *count = data;

	*count += pte_same(ptep_get(pte), mk_pte(page, wc));

	return 0;
}

static unsigned int vmap_count_writecombined(struct test_vmapping *vmapping)
{
	unsigned long addr = (unsigned long)vmapping->map.vaddr;
	unsigned int count = 0;

	apply_to_existing_page_range(&init_mm, addr, vmapping->dmabuf->size,
				     vmap_count_pte, &count);

	return count;
}
#else
static unsigned int vmap_count_writecombined(struct test_vmapping *vmapping)
{
	return 0;
}
#endif

void buffer_test_uncached_vmap_is_writecombined(struct kunit *test)
{
	struct buffer_test *ctx = test->priv;
	size_t size = heap_test_source_size(&ctx->source);
	struct test_vmapping *vmapping;

	if (!IS_BUILTIN(CONFIG_DMABUF_HEAPS_KUNIT_TEST))
		heap_test_skip(test, "builtin", "needs to be built in");
	if (pgprot_val(pgprot_writecombine(PAGE_KERNEL)) ==
	    pgprot_val(PAGE_KERNEL))
		heap_test_skip(test, "writecombine",
			       "needs an architecture that can map write-combined");

	vmapping = test_buffer_vmap(test, test_buffer_alloc(test));
	KUNIT_EXPECT_EQ(test, vmap_count_writecombined(vmapping), 0);
	test_buffer_vunmap(test, vmapping);

	ctx->source.base.uncached = true;
	vmapping = test_buffer_vmap(test, test_buffer_alloc(test));
	KUNIT_EXPECT_EQ(test, vmap_count_writecombined(vmapping),
			PHYS_PFN(size));
	test_buffer_mark(&vmapping->map, size);
	test_buffer_expect_marks(test);
}
