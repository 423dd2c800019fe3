/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _DMA_HEAP_POOL_H
#define _DMA_HEAP_POOL_H

#include <linux/kconfig.h>
#include <linux/types.h>

struct attribute_group;
struct dma_heap_pool;
struct dma_heap_source;
struct shrinker;

/**
 * struct dma_heap_pool_stats - what a pool counts
 * @clean_pages: scrubbed pages in the pool now
 * @dirty_pages: other pages in the pool now, including what is being scrubbed
 * @hits: allocations served by a clean backing
 * @dirty_hits: ... by a dirty one, which the caller had to scrub
 * @misses: ... by the source, also if that failed
 * @scrubbed_pages: scrubbed by the scrubber
 * @paid_pages: scrubbed by a task that allocated or freed
 * @evicted_pages: given back to the source by a task that freed, since the pool
 *		   was full or unable to keep the backing
 * @decayed_pages: ... since nobody wanted them for long
 * @shrunk_pages: ... since memory was short, or the source had no more
 * @leaked_pages: lost, since they could not be scrubbed, or the source could not
 *		  take them back
 */
struct dma_heap_pool_stats {
	u64 clean_pages;
	u64 dirty_pages;
	u64 hits;
	u64 dirty_hits;
	u64 misses;
	u64 scrubbed_pages;
	u64 paid_pages;
	u64 evicted_pages;
	u64 decayed_pages;
	u64 shrunk_pages;
	u64 leaked_pages;
};

/**
 * struct dma_heap_pool_search - an allocation from a source looks for memory
 * @pages: how many were in the pool, or on the way from there, when it began
 * @passed: the pool's clock of events before the last look at the source
 * @waits: the pool keeps nothing until it ends
 */
struct dma_heap_pool_search {
	unsigned long pages;
	unsigned long passed;
	bool waits;
};

struct dma_heap_pool *dma_heap_pool_create(const char *name,
					   struct dma_heap_source *source);
void dma_heap_pool_destroy(struct dma_heap_pool *pool);
void dma_heap_pool_add_debugfs(struct dma_heap_pool *pool);
struct dma_heap_source *dma_heap_pool_source(struct dma_heap_pool *pool);
struct dma_heap_source *dma_heap_pool_origin(struct dma_heap_source *base);

void dma_heap_pool_set_node(struct dma_heap_pool *pool, int nid);
void dma_heap_pool_count_leak(struct dma_heap_pool *pool, size_t size);
void dma_heap_pool_set_max(struct dma_heap_pool *pool, size_t max_bytes);
void dma_heap_pool_set_decay(struct dma_heap_pool *pool, unsigned int decay_ms);
int dma_heap_pool_prefill(struct dma_heap_pool *pool, size_t size,
			  unsigned int count);
int dma_heap_pool_prefill_text(struct dma_heap_pool *pool, const char *text);
unsigned long dma_heap_pool_drain(struct dma_heap_pool *pool);
void dma_heap_pool_give_back(struct dma_heap_pool *pool);
void dma_heap_pool_keep_again(struct dma_heap_pool *pool);
void dma_heap_pool_search_begin(struct dma_heap_pool *pool,
				struct dma_heap_pool_search *search);
int dma_heap_pool_give_back_one(struct dma_heap_pool *pool,
				struct dma_heap_pool_search *search);
void dma_heap_pool_search_end(struct dma_heap_pool *pool,
			      const struct dma_heap_pool_search *search);
void dma_heap_pool_wait_scrubbed(struct dma_heap_pool *pool);
void dma_heap_pool_get_stats(struct dma_heap_pool *pool,
			     struct dma_heap_pool_stats *stats);

/* For heaps whose private data is the source dma_heap_pool_source() gave */
extern const struct attribute_group dma_heap_pool_group;

#if IS_ENABLED(CONFIG_KUNIT)
struct shrinker *dma_heap_pool_shrinker(struct dma_heap_pool *pool);
#endif

#endif /* _DMA_HEAP_POOL_H */
