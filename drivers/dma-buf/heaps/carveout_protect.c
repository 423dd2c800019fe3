// SPDX-License-Identifier: GPL-2.0
/*
 * DMA-BUF carveout heaps: the secure world that protects the memory of some
 */

#include <linux/dma-heap-protect.h>
#include <linux/errno.h>
#include <linux/export.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "carveout.h"

/**
 * struct carveout_protection - the secure world
 * @ops: what it does
 * @data: what it is given
 */
struct carveout_protection {
	const struct dma_heap_protect_ops *ops;
	void *data;
};

/* Set once and never changed, with what it points to */
static struct carveout_protection *carveout_protection;

bool carveout_has_protection(void)
{
	/* Pairs with the cmpxchg(): the caller sees what it points to */
	return smp_load_acquire(&carveout_protection);
}

/* Nothing for a carveout that is not protected */
int carveout_protect(struct carveout *carveout, phys_addr_t base, size_t size)
{
	const struct carveout_protection *p = carveout_protection;

	return carveout->source.protected ? p->ops->protect(p->data, base, size) : 0;
}

int carveout_unprotect(struct carveout *carveout, phys_addr_t base, size_t size)
{
	const struct carveout_protection *p = carveout_protection;

	return carveout->source.protected ? p->ops->unprotect(p->data, base, size) : 0;
}

/* The &dma_heap_source_ops.scrub of protected carveouts */
int carveout_scrub_protected(struct dma_heap_source *source, struct page *page,
			     size_t len, bool write_back)
{
	const struct carveout_protection *p = carveout_protection;

	return p->ops->scrub(p->data, page_to_phys(page), len);
}

/**
 * dma_heap_set_protection - register the driver that protects protected heaps
 * @ops: what the secure world does; must stay around forever
 * @data: passed to all of them
 *
 * The protected heaps of this machine appear soon, or as soon as the driver of the
 * carveouts does: a worker for each region has the secure world protect it. There is no
 * way back.
 *
 * Context: Process context, may sleep.
 *
 * Return: 0, -EINVAL if one of @ops is missing, -EBUSY if another driver has
 * registered, or -ENOMEM.
 */
int dma_heap_set_protection(const struct dma_heap_protect_ops *ops, void *data)
{
	struct carveout_protection *protection;

	if (!ops->protect || !ops->unprotect || !ops->scrub)
		return -EINVAL;

	protection = kmalloc(sizeof(*protection), GFP_KERNEL);
	if (!protection)
		return -ENOMEM;

	protection->ops = ops;
	protection->data = data;
	if (cmpxchg(&carveout_protection, NULL, protection)) {
		kfree(protection);
		return -EBUSY;
	}
	carveout_retry_protected();

	return 0;
}
EXPORT_SYMBOL_NS_GPL(dma_heap_set_protection, DMA_BUF_HEAP);
