// SPDX-License-Identifier: GPL-2.0
/*
 * DMA-BUF carveout heaps: the secure world that protects the memory of some
 */

#include <linux/dma-heap-protect.h>
#include <linux/errno.h>
#include <linux/export.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

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

/* Guards the pointer until it is set, and the regions that wait for that */
static DEFINE_MUTEX(waiting_lock);
static LIST_HEAD(waiting_regions);

/*
 * In a worker for each region: the secure world can hang, and then only for this one.
 * Nothing waits for the worker.
 */
static void carveout_queue(struct carveout *carveout)
{
	queue_work(system_unbound_wq, &carveout->publish_work);
}

/* Run the publish_work once there is a protection; returns whether it has to wait for that */
bool carveout_await_protection(struct carveout *carveout)
{
	bool waits;

	mutex_lock(&waiting_lock);
	waits = !carveout_protection;
	if (waits)
		list_add_tail(&carveout->waiting, &waiting_regions);
	else
		carveout_queue(carveout);
	mutex_unlock(&waiting_lock);

	return waits;
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
	struct carveout *carveout, *next;
	int ret = 0;

	if (!ops->protect || !ops->unprotect || !ops->scrub)
		return -EINVAL;

	protection = kmalloc(sizeof(*protection), GFP_KERNEL);
	if (!protection)
		return -ENOMEM;

	protection->ops = ops;
	protection->data = data;

	mutex_lock(&waiting_lock);
	if (carveout_protection) {
		kfree(protection);
		ret = -EBUSY;
	} else {
		carveout_protection = protection;
		list_for_each_entry_safe(carveout, next, &waiting_regions,
					 waiting) {
			list_del(&carveout->waiting);
			carveout_queue(carveout);
		}
	}
	mutex_unlock(&waiting_lock);

	return ret;
}
EXPORT_SYMBOL_NS_GPL(dma_heap_set_protection, DMA_BUF_HEAP);
