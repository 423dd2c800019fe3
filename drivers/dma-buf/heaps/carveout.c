// SPDX-License-Identifier: GPL-2.0
/*
 * DMA-BUF carveout heaps: memory that the device tree sets aside for buffers
 *
 * All free memory of the region is zeroed, so that an allocation of any size only has
 * to find room. The pool scrubs what a buffer leaves, and at first the whole region. An
 * allocation that finds no room has the pool give back its memory, and waits for what
 * is being scrubbed.
 *
 * The CPU reaches the memory through the linear map. A region with no-map is mapped for
 * the time of a scrub only. The secure world does all for a protected region.
 */

#define pr_fmt(fmt) "carveout_heap: " fmt

#include <linux/delay.h>
#include <linux/device.h>
#include <linux/dma-heap.h>
#include <linux/err.h>
#include <linux/genalloc.h>
#include <linux/io.h>
#include <linux/log2.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/numa.h>
#include <linux/pfn.h>
#include <linux/scatterlist.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/sysfs.h>

#include "carveout.h"
#include "heap_buffer.h"
#include "heap_pool.h"
#include "heap_source.h"

/* A PMD of CPUs and IOMMUs, with pages of 4 KiB */
#define BLOCK		SZ_2M

/* At first the region is scrubbed in such pieces, so that some of it is free early */
#define FIRST_PIECE	SZ_32M

/* How often a mapping for a scrub is tried, and the pause in between */
#define MAP_ATTEMPTS	50
#define MAP_PAUSE_MS	100

/* Free page frames */

/**
 * struct carveout_request - an allocation from the free page frames
 * @carveout: where from
 * @size: bytes
 * @alignment: bytes, a power of two
 * @pfn: the first of the frames that were found
 */
struct carveout_request {
	struct carveout *carveout;
	size_t size;
	size_t alignment;
	unsigned long pfn;
};

static bool carveout_find(struct carveout_request *request)
{
	struct genpool_data_align align = {
		.align = PHYS_PFN(request->alignment),
	};

	request->pfn = gen_pool_alloc_algo(request->carveout->space,
					   PHYS_PFN(request->size),
					   gen_pool_first_fit_align, &align);

	return request->pfn;
}

/* See dma_heap_pool_reclaim_until() */
static int carveout_attempt(void *data, size_t held)
{
	struct carveout_request *request = data;
	size_t avail;

	if (carveout_find(request))
		return 0;

	avail = PFN_PHYS(gen_pool_avail(request->carveout->space));

	return request->size > held + avail ? -ENOMEM : -EAGAIN;
}

/* Large buffers begin at a PMD; small ones stay close to each other */
static size_t carveout_alignment(struct carveout *carveout, size_t size)
{
	return max(carveout->alignment, min(rounddown_pow_of_two(size), BLOCK));
}

static int carveout_take(struct carveout_request *request)
{
	struct carveout *carveout = request->carveout;
	int ret;

	if (mutex_lock_killable(&carveout->alloc_lock))
		return -EINTR;

	ret = dma_heap_pool_reclaim_until(carveout->source.pool,
					  carveout_attempt, request);
	/* Small pages are better than no memory */
	if (ret == -ENOMEM) {
		request->alignment = carveout->alignment;
		ret = carveout_find(request) ? 0 : -ENOMEM;
	}
	mutex_unlock(&carveout->alloc_lock);

	return ret;
}

static void carveout_put(struct carveout *carveout, unsigned long pfn,
			 size_t size)
{
	gen_pool_free(carveout->space, pfn, PHYS_PFN(size));
}

/* The source */

/* Make a backing of page frames that are taken; on failure they are free again */
static struct dma_heap_backing *
carveout_make_backing(const struct carveout_request *request)
{
	struct carveout *carveout = request->carveout;
	struct dma_heap_backing *backing;
	int ret = -ENOMEM;

	backing = dma_heap_backing_alloc(1);
	if (!backing)
		goto err_put;

	ret = carveout_protect(carveout, PFN_PHYS(request->pfn), request->size);
	if (ret)
		goto err_free_backing;

	sg_set_page(backing->sgt.sgl, pfn_to_page(request->pfn), request->size,
		    0);
	backing->size = request->size;
	backing->written_back = carveout->source.uncached;

	return backing;

err_free_backing:
	dma_heap_backing_free(backing);
err_put:
	carveout_put(carveout, request->pfn, request->size);
	return ERR_PTR(ret);
}

static struct dma_heap_backing *
carveout_alloc_backing(struct dma_heap_source *source, size_t size)
{
	struct carveout *carveout = to_carveout(source);
	struct carveout_request request = {
		.carveout = carveout,
		.size = size,
		.alignment = carveout_alignment(carveout, size),
	};
	int ret;

	/* A scatterlist entry has a length of 32 bits */
	if (size > min_t(size_t, carveout->size, UINT_MAX))
		return ERR_PTR(-ENOMEM);

	ret = carveout_take(&request);

	return ret ? ERR_PTR(ret) : carveout_make_backing(&request);
}

/*
 * Memory that could not be scrubbed or unprotected is never used again: the next client
 * must not read what the last one left.
 */
static int carveout_free_backing(struct dma_heap_source *source,
				 struct dma_heap_backing *backing)
{
	struct carveout *carveout = to_carveout(source);
	phys_addr_t base = sg_phys(backing->sgt.sgl);
	int ret = 0;

	if (!backing->zeroed) {
		pr_err("%s: %zu bytes at %pa are lost: they could not be scrubbed\n",
		       carveout->name, backing->size, &base);
	} else {
		ret = carveout_unprotect(carveout, base, backing->size);
		if (ret)
			pr_err("%s: %zu bytes at %pa are lost: they could not be unprotected\n",
			       carveout->name, backing->size, &base);
		else
			carveout_put(carveout, PHYS_PFN(base), backing->size);
	}
	dma_heap_backing_free(backing);

	return ret;
}

/* Put the whole region into the pool, dirty: the boot loader may have used it */
static int carveout_fill_pool(struct dma_heap_source *source)
{
	struct carveout *carveout = to_carveout(source);
	struct carveout_request request = {
		.carveout = carveout,
		.alignment = PAGE_SIZE,
	};
	struct dma_heap_backing *backing;
	size_t left;

	for (left = carveout->size; left; left -= request.size) {
		request.size = min_t(size_t, left, max_t(size_t, FIRST_PIECE,
							 carveout->alignment));
		if (WARN_ON(!carveout_find(&request)))
			return -ENOMEM;

		backing = carveout_make_backing(&request);
		if (IS_ERR(backing))
			return PTR_ERR(backing);
		dma_heap_source_put(source, backing);
	}

	return 0;
}

/* no-map memory has no cacheable alias, so nothing of it is in caches */
static void *carveout_map(struct page *page, size_t len)
{
	int attempts = MAP_ATTEMPTS;
	void *vaddr;

	/* Memory that cannot be scrubbed is lost, so wait for a mapping */
	while (!(vaddr = memremap(page_to_phys(page), len, MEMREMAP_WC)) &&
	       --attempts)
		msleep(MAP_PAUSE_MS);

	return vaddr;
}

static int carveout_scrub_unmapped(struct dma_heap_source *source,
				   struct page *page, size_t len, bool write_back)
{
	void *vaddr = carveout_map(page, len);

	if (!vaddr)
		return -ENOMEM;

	memset(vaddr, 0, len);
	memunmap(vaddr);

	return 0;
}

static const struct dma_heap_source_ops carveout_source_ops = {
	.prepare = carveout_fill_pool,
	.alloc = carveout_alloc_backing,
	.free = carveout_free_backing,
};

static const struct dma_heap_source_ops carveout_unmapped_ops = {
	.prepare = carveout_fill_pool,
	.alloc = carveout_alloc_backing,
	.free = carveout_free_backing,
	.scrub = carveout_scrub_unmapped,
};

static const struct dma_heap_source_ops carveout_protected_ops = {
	.prepare = carveout_fill_pool,
	.alloc = carveout_alloc_backing,
	.free = carveout_free_backing,
	.scrub = carveout_scrub_protected,
};

/* The heap */

static struct dma_buf *carveout_fall_back(struct carveout *carveout,
					  unsigned long len, u32 fd_flags,
					  u64 heap_flags)
{
	struct dma_heap *heap;
	struct dma_buf *dmabuf;

	heap = dma_heap_find(carveout->fallback);
	if (!heap)
		return ERR_PTR(-ENOMEM);

	dmabuf = dma_heap_buffer_alloc(heap, len, fd_flags, heap_flags);
	dma_heap_put(heap);
	if (!IS_ERR(dmabuf))
		atomic_long_inc(&carveout->fallbacks);

	return dmabuf;
}

static struct dma_buf *carveout_allocate(struct dma_heap *heap,
					 unsigned long len, u32 fd_flags,
					 u64 heap_flags)
{
	struct carveout *carveout = to_carveout(dma_heap_get_drvdata(heap));
	struct dma_buf *dmabuf;

	dmabuf = dma_heap_buffer_allocate(heap, len, fd_flags, heap_flags);
	if (dmabuf == ERR_PTR(-ENOMEM) && carveout->fallback)
		return carveout_fall_back(carveout, len, fd_flags, heap_flags);

	return dmabuf;
}

static const struct dma_heap_ops carveout_heap_ops = {
	.allocate = carveout_allocate,
};

static struct carveout *dev_to_carveout(struct device *dev)
{
	return to_carveout(dev_get_drvdata(dev));
}

static ssize_t size_kib_show(struct device *dev, struct device_attribute *attr,
			     char *buf)
{
	return sysfs_emit(buf, "%zu\n", dev_to_carveout(dev)->size / SZ_1K);
}
static DEVICE_ATTR_RO(size_kib);

static ssize_t free_kib_show(struct device *dev, struct device_attribute *attr,
			     char *buf)
{
	size_t pages = gen_pool_avail(dev_to_carveout(dev)->space);

	return sysfs_emit(buf, "%zu\n", pages << (PAGE_SHIFT - 10));
}
static DEVICE_ATTR_RO(free_kib);

static ssize_t fallbacks_show(struct device *dev, struct device_attribute *attr,
			      char *buf)
{
	return sysfs_emit(buf, "%lu\n",
			  atomic_long_read(&dev_to_carveout(dev)->fallbacks));
}
static DEVICE_ATTR_RO(fallbacks);

static struct attribute *carveout_attrs[] = {
	&dev_attr_size_kib.attr,
	&dev_attr_free_kib.attr,
	&dev_attr_fallbacks.attr,
	NULL
};

static const struct attribute_group carveout_group = {
	.name = "carveout",
	.attrs = carveout_attrs,
};

static const struct attribute_group *carveout_groups[] = {
	&dma_heap_pool_group,
	&carveout_group,
	NULL
};

static int carveout_add_space(struct carveout *carveout)
{
	int ret;

	carveout->space = gen_pool_create(0, NUMA_NO_NODE);
	if (!carveout->space)
		return -ENOMEM;

	ret = gen_pool_add(carveout->space, PHYS_PFN(carveout->base),
			   PHYS_PFN(carveout->size), NUMA_NO_NODE);
	if (ret)
		gen_pool_destroy(carveout->space);

	return ret;
}

/* genalloc wants all of it back, which lost memory never is */
static void carveout_destroy_space(struct carveout *carveout)
{
	if (gen_pool_avail(carveout->space) == PHYS_PFN(carveout->size))
		gen_pool_destroy(carveout->space);
}

/* Make a heap of a region that has been checked. It stays, if it succeeds. */
int carveout_add(struct carveout *carveout)
{
	struct dma_heap_export_info exp_info = {
		.name = carveout->name,
		.ops = &carveout_heap_ops,
		.groups = carveout_groups,
		.attrs = DMA_HEAP_CONTIGUOUS,
		.alignment = carveout->alignment,
		.max_alloc = carveout->size,
		.fallback = carveout->fallback,
	};
	struct dma_heap_source *source = &carveout->source;
	int ret;

	mutex_init(&carveout->alloc_lock);
	source->ops = source->protected ? &carveout_protected_ops :
		      source->nomap ? &carveout_unmapped_ops :
				      &carveout_source_ops;
	source->reserved = true;
	source->first = pfn_to_page(PHYS_PFN(carveout->base));
	source->pool_max = carveout->size;

	ret = carveout_add_space(carveout);
	if (ret)
		return ret;

	ret = dma_heap_source_register(source, &exp_info);
	if (ret)
		carveout_destroy_space(carveout);

	return ret;
}
