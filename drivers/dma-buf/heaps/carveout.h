/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The files of the carveout heaps share these: carveout_of.c reads the device tree,
 * carveout.c makes a heap of a region, carveout_protect.c calls the secure world.
 */
#ifndef _CARVEOUT_H
#define _CARVEOUT_H

#include <linux/atomic.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/types.h>

#include "heap_source.h"

struct gen_pool;

/**
 * struct carveout - a heap of a reserved region
 * @source: the source
 * @node: entry in the list of those that there are
 * @name: of the heap
 * @fallback: heap that serves what this one cannot, or NULL
 * @base: physical address of the region, without what is before the first place
 *	  for a buffer
 * @size: its bytes
 * @alignment: of all buffers, in bytes, a power of two
 * @alloc_lock: one allocation after the other takes from @space, so that one which
 *		waits for the scrubber gets what it gives
 * @space: free page frames, all zeroed and not protected
 * @fallbacks: allocations that went to @fallback
 */
struct carveout {
	struct dma_heap_source source;
	struct list_head node;
	const char *name;
	const char *fallback;
	phys_addr_t base;
	size_t size;
	size_t alignment;
	struct mutex alloc_lock;	/* outermost */
	struct gen_pool *space;
	atomic_long_t fallbacks;
};

static inline struct carveout *to_carveout(struct dma_heap_source *source)
{
	return container_of(source, struct carveout, source);
}

/* carveout.c */
int carveout_add(struct carveout *carveout);

/* carveout_of.c */
void carveout_retry_protected(void);

/* carveout_protect.c */
bool carveout_has_protection(void);
int carveout_protect(struct carveout *carveout, phys_addr_t base, size_t size);
int carveout_unprotect(struct carveout *carveout, phys_addr_t base,
		       size_t size);
int carveout_scrub_protected(struct dma_heap_source *source, struct page *page,
			     size_t len, bool write_back);

#endif /* _CARVEOUT_H */
