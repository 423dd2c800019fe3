/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The files of the carveout heaps share these: carveout_of.c reads the device tree,
 * carveout.c makes a heap of a region, carveout_protect.c calls the secure world.
 */
#ifndef _CARVEOUT_H
#define _CARVEOUT_H

#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/notifier.h>
#include <linux/types.h>
#include <linux/workqueue.h>

#include "heap_source.h"

struct device;
struct gen_pool;

/**
 * struct carveout - a heap of a reserved region
 * @source: the source
 * @base: physical address of the region, without what is before the first place
 *	  for a buffer
 * @size: its bytes
 * @alignment: of all buffers, in bytes, a power of two
 * @alloc_lock: one allocation after the other takes from @space, so that one which
 *		waits for the scrubber gets what it gives
 * @space: free page frames, all zeroed and not protected
 * @pm_notifier: sees to hibernation
 * @published: the heap is there
 * @dev: the device of a protected region, with a reference until the heap is there
 * @publish_work: makes the heap of a protected region
 * @waiting: entry in the list of regions that wait for dma_heap_set_protection()
 */
struct carveout {
	struct dma_heap_source source;
	phys_addr_t base;
	size_t size;
	size_t alignment;
	struct mutex alloc_lock;	/* outermost */
	struct gen_pool *space;
	struct notifier_block pm_notifier;
	bool published;
	struct device *dev;
	struct work_struct publish_work;
	struct list_head waiting;
};

static inline struct carveout *to_carveout(struct dma_heap_source *source)
{
	return container_of(source, struct carveout, source);
}

/* carveout.c */
int carveout_add(struct carveout *carveout, const char *name,
		 const char *fallback);
void carveout_shutdown(struct carveout *carveout);

/* carveout_protect.c */
bool carveout_await_protection(struct carveout *carveout);
int carveout_protect(struct carveout *carveout, phys_addr_t base, size_t size);
int carveout_unprotect(struct carveout *carveout, phys_addr_t base,
		       size_t size);
int carveout_scrub_protected(struct dma_heap_source *source, struct page *page,
			     size_t len, bool write_back);

#endif /* _CARVEOUT_H */
