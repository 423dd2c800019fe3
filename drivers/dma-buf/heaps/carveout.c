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

#include <linux/bitops.h>
#include <linux/device.h>
#include <linux/dma-heap.h>
#include <linux/err.h>
#include <linux/io.h>
#include <linux/jiffies.h>
#include <linux/log2.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <linux/mutex.h>
#include <linux/notifier.h>
#include <linux/pfn.h>
#include <linux/scatterlist.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/suspend.h>

#include "carveout.h"
#include "heap_pool.h"
#include "heap_source.h"
#include "heap_space.h"

/* A PMD of CPUs and IOMMUs, with pages of 4 KiB */
#define BLOCK		SZ_2M

/* At first the region is scrubbed in such pieces, so that some of it is free early */
#define FIRST_PIECE	SZ_32M

static unsigned int max_wait_ms = 5000;
module_param(max_wait_ms, uint, 0644);
MODULE_PARM_DESC(max_wait_ms, "How long an allocation waits for memory that is being scrubbed, in ms (default 5000)");

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
	request->pfn = dma_heap_space_take(request->carveout->space,
					   request->size, request->alignment);

	return request->pfn;
}

/* See dma_heap_pool_reclaim_until() */
static int carveout_attempt(void *data, size_t held)
{
	struct carveout_request *request = data;
	size_t avail;

	if (carveout_find(request))
		return 0;

	avail = dma_heap_space_avail(request->carveout->space);

	return request->size > held + avail ? -ENOMEM : -EAGAIN;
}

/* Large buffers begin at a PMD; small ones stay close to each other */
static size_t carveout_alignment(struct carveout *carveout, size_t size)
{
	return max(carveout->alignment, min(rounddown_pow_of_two(size), BLOCK));
}

static unsigned long carveout_deadline(void)
{
	return jiffies + msecs_to_jiffies(READ_ONCE(max_wait_ms));
}

/*
 * The deadline of an allocation holds for its wait for the lock, too: the ones before it
 * have earlier deadlines.
 */
static int carveout_take(struct carveout_request *request)
{
	unsigned long deadline = carveout_deadline();
	struct carveout *carveout = request->carveout;
	int ret;

	if (mutex_lock_killable(&carveout->alloc_lock))
		return -EINTR;

	ret = dma_heap_pool_reclaim_until(carveout->source.pool,
					  carveout_attempt, request, deadline);
	/* Small pages are better than no memory */
	if (ret == -ENOMEM) {
		request->alignment = carveout->alignment;
		ret = carveout_find(request) ? 0 : -ENOMEM;
	}
	mutex_unlock(&carveout->alloc_lock);

	return ret;
}

/* The source */

/* Make a backing of page frames that are taken */
static struct dma_heap_backing *
carveout_make_backing(const struct carveout_request *request)
{
	struct carveout *carveout = request->carveout;
	struct dma_heap_backing *backing;
	int ret;

	backing = dma_heap_backing_alloc(1);
	if (!backing)
		return ERR_PTR(-ENOMEM);

	ret = carveout_protect(carveout, PFN_PHYS(request->pfn), request->size);
	if (ret) {
		dma_heap_backing_free(backing);
		return ERR_PTR(ret);
	}

	sg_set_page(backing->sgt.sgl, pfn_to_page(request->pfn), request->size,
		    0);
	backing->size = request->size;
	backing->written_back = carveout->source.uncached;

	return backing;
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
	struct dma_heap_backing *backing;
	int ret;

	/* A scatterlist entry has a length of 32 bits */
	if (size > min_t(size_t, carveout->size, UINT_MAX))
		return ERR_PTR(-ENOMEM);

	ret = carveout_take(&request);
	if (ret)
		return ERR_PTR(ret);

	backing = carveout_make_backing(&request);
	if (IS_ERR(backing))
		dma_heap_space_put(carveout->space, request.pfn, size);

	return backing;
}

/*
 * Memory that could not be scrubbed or unprotected is never used again: the next client
 * must not read what the last one left. Broken memory is never used again either.
 */
static int carveout_free_backing(struct dma_heap_source *source,
				 struct dma_heap_backing *backing)
{
	struct carveout *carveout = to_carveout(source);
	phys_addr_t base = sg_phys(backing->sgt.sgl);
	const char *why = NULL;
	int ret;

	if (!backing->zeroed)
		why = "they could not be scrubbed";
	else if (dma_heap_memory_is_poisoned(sg_page(backing->sgt.sgl), backing->size))
		why = "a page is poisoned";
	else if (carveout_unprotect(carveout, base, backing->size))
		why = "they could not be unprotected";

	if (why)
		pr_err("%s: %zu bytes at %pa are lost: %s\n",
		       dev_name(source->dev), backing->size, &base, why);
	else
		dma_heap_space_put(carveout->space, PHYS_PFN(base), backing->size);
	/* The pool has counted what it could not scrub */
	ret = why && backing->zeroed ? -EIO : 0;
	dma_heap_backing_free(backing);

	return ret;
}

/* Take the whole region, of which nobody has anything */
static bool carveout_take_all(struct carveout *carveout)
{
	struct carveout_request request = {
		.carveout = carveout,
		.size = carveout->size,
		.alignment = PAGE_SIZE,
	};

	return carveout_find(&request);
}

/* Put the whole region, which is taken, into the pool, dirty. *@left bytes are not there */
static int carveout_fill_pool(struct carveout *carveout, size_t *left)
{
	struct carveout_request request = {
		.carveout = carveout,
		.pfn = PHYS_PFN(carveout->base),
	};
	struct dma_heap_backing *backing;

	for (*left = carveout->size; *left; *left -= request.size) {
		request.size = min_t(size_t, *left, max_t(size_t, FIRST_PIECE,
							  carveout->alignment));
		backing = carveout_make_backing(&request);
		if (IS_ERR(backing))
			return PTR_ERR(backing);
		backing->zeroed = false;
		dma_heap_source_put(&carveout->source, backing);
		request.pfn += PHYS_PFN(request.size);
	}

	return 0;
}

/* The boot loader may have used the region */
static int carveout_prepare(struct dma_heap_source *source)
{
	struct carveout *carveout = to_carveout(source);
	size_t left;
	int ret;

	if (WARN_ON(!carveout_take_all(carveout)))
		return -EINVAL;

	ret = carveout_fill_pool(carveout, &left);
	if (ret)
		dma_heap_space_put(carveout->space,
				   PHYS_PFN(carveout->base + carveout->size - left),
				   left);

	return ret;
}

/* no-map memory has no cacheable alias, so nothing of it is in caches */
static int carveout_scrub_unmapped(struct dma_heap_source *source,
				   struct page *page, size_t len, bool write_back)
{
	void *vaddr = memremap(page_to_phys(page), len, MEMREMAP_WC);

	/* There may be room for the mapping, or memory for its tables, later */
	if (!vaddr)
		return -EAGAIN;

	memset(vaddr, 0, len);
	memunmap(vaddr);

	return 0;
}

static const struct dma_heap_source_ops carveout_source_ops = {
	.prepare = carveout_prepare,
	.alloc = carveout_alloc_backing,
	.free = carveout_free_backing,
};

static const struct dma_heap_source_ops carveout_unmapped_ops = {
	.prepare = carveout_prepare,
	.alloc = carveout_alloc_backing,
	.free = carveout_free_backing,
	.scrub = carveout_scrub_unmapped,
};

static const struct dma_heap_source_ops carveout_protected_ops = {
	.prepare = carveout_prepare,
	.alloc = carveout_alloc_backing,
	.free = carveout_free_backing,
	.scrub = carveout_scrub_protected,
};

/* The heap */

static void carveout_get_area(struct dma_heap *heap, struct dma_heap_area *area)
{
	struct carveout *carveout = to_carveout(dma_heap_get_drvdata(heap));

	dma_heap_space_get_area(carveout->space, area);
}

static const struct dma_heap_ops carveout_heap_ops = {
	.allocate = dma_heap_buffer_allocate,
	.get_area = carveout_get_area,
};

static const struct attribute_group *carveout_groups[] = {
	&dma_heap_pool_group,
	NULL
};

/* The end of the region's contents */

static int carveout_is_drained(void *unused, size_t held)
{
	return held ? -EAGAIN : 0;
}

/* Take the whole region once the pool has given it back; -EBUSY if others have some */
static int carveout_drain(struct carveout *carveout)
{
	int ret;

	mutex_lock(&carveout->alloc_lock);
	ret = dma_heap_pool_reclaim_until(carveout->source.pool,
					  carveout_is_drained, NULL,
					  carveout_deadline());
	if (!ret && !carveout_take_all(carveout))
		ret = -EBUSY;
	mutex_unlock(&carveout->alloc_lock);

	return ret;
}

/* The memory comes back with anything in it */
static void carveout_resume(struct carveout *carveout)
{
	size_t left;
	int ret;

	ret = carveout_fill_pool(carveout, &left);
	if (ret)
		pr_err("%s: %zu bytes are lost after hibernation: %pe\n",
		       dev_name(carveout->source.dev), left, ERR_PTR(ret));
}

/* The image of hibernation has no memory that the kernel has not mapped */
static int carveout_pm_notify(struct notifier_block *nb, unsigned long action,
			      void *unused)
{
	struct carveout *carveout = container_of(nb, struct carveout, pm_notifier);
	int ret = 0;

	switch (action) {
	case PM_HIBERNATION_PREPARE:
		ret = carveout_drain(carveout);
		if (ret)
			pr_err("%s: no hibernation: memory in use or lost would not be saved: %pe\n",
			       dev_name(carveout->source.dev), ERR_PTR(ret));
		break;
	case PM_POST_HIBERNATION:
		carveout_resume(carveout);
		break;
	}

	return notifier_from_errno(ret);
}

/* The next kernel can use what is no longer protected: all that is scrubbed */
void carveout_shutdown(struct carveout *carveout)
{
	int ret;

	if (!carveout->source.protected)
		return;

	/* Pairs with carveout_add(), in a worker that may not have come that far */
	if (!smp_load_acquire(&carveout->published))
		return;

	ret = carveout_drain(carveout);
	if (ret)
		pr_warn("%s: memory in use or lost stays protected: %pe\n",
			dev_name(carveout->source.dev), ERR_PTR(ret));
}

/* Make a heap of a region that has been checked. It stays, if it succeeds. */
int carveout_add(struct carveout *carveout, const char *name,
		 const char *fallback)
{
	struct dma_heap_export_info exp_info = {
		.name = name,
		.ops = &carveout_heap_ops,
		.groups = carveout_groups,
		.attrs = DMA_HEAP_CONTIGUOUS,
		.alignment = carveout->alignment,
		.dma_bits = fls64(carveout->base + carveout->size - 1),
		.buffer_limit = carveout->size,
		.fallback = fallback,
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

	carveout->space = dma_heap_space_create(carveout->base, carveout->size);
	if (!carveout->space)
		return -ENOMEM;

	ret = dma_heap_source_register(source, &exp_info);
	if (ret) {
		dma_heap_space_destroy(carveout->space);
		return ret;
	}

	carveout->pm_notifier.notifier_call = carveout_pm_notify;
	/* The heap is new, and fails only if it were there already */
	if (source->nomap)
		WARN_ON(register_pm_notifier(&carveout->pm_notifier));
	/* Pairs with carveout_shutdown() */
	smp_store_release(&carveout->published, true);

	return 0;
}
