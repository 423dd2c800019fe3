/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _DMA_HEAP_POOL_H
#define _DMA_HEAP_POOL_H

#include <linux/kconfig.h>
#include <linux/types.h>

struct dma_heap_pool;
struct dma_heap_source;
struct shrinker;

/**
 * struct dma_heap_pool_stats - what a pool counts
 * @clean_pages: zeroed pages in the pool now
 * @dirty_pages: other pages in the pool now, including those being scrubbed
 * @hits: allocations served by a zeroed backing
 * @dirty_hits: ... by a dirty one, which the caller had to scrub
 * @misses: ... by the source, also if that failed
 * @scrubbed_pages: scrubbed by the scrubber
 * @paid_pages: scrubbed by a task that allocated or freed
 * @untouched_pages: freed and not to be scrubbed, as nobody could write to them
 * @evicted_pages: given back to the source by a task that freed, because the pool
 *		   was full or could not keep the backing
 * @decayed_pages: ... because they were unused for long
 * @shrunk_pages: ... because memory was short, or the source had no more
 * @lost_pages: lost, because they could not be scrubbed, or the source could not
 *		  take them back
 * @waited_us: how long allocations waited for what was being scrubbed or given back,
 *	       in microseconds
 */
struct dma_heap_pool_stats {
	u64 clean_pages;
	u64 dirty_pages;
	u64 hits;
	u64 dirty_hits;
	u64 misses;
	u64 scrubbed_pages;
	u64 paid_pages;
	u64 untouched_pages;
	u64 evicted_pages;
	u64 decayed_pages;
	u64 shrunk_pages;
	u64 lost_pages;
	u64 waited_us;
};

/* For sources and heaps */
int dma_heap_pool_prefill_text(struct dma_heap_pool *pool, const char *text);
bool dma_heap_pool_make_way(struct dma_heap_pool *pool, size_t size);
unsigned long dma_heap_pool_count(struct dma_heap_pool *pool);
void dma_heap_pool_begin_shortage(struct dma_heap_pool *pool,
				  unsigned long nr_pages);
void dma_heap_pool_end_shortage(struct dma_heap_pool *pool);
int dma_heap_pool_reclaim_until(struct dma_heap_pool *pool,
				int (*attempt)(void *data, size_t held),
				void *data, unsigned long deadline);

/* For the tests, and in the module */
struct dma_heap_pool *dma_heap_pool_create(const char *name,
					   struct dma_heap_source *source);
void dma_heap_pool_destroy(struct dma_heap_pool *pool);
void dma_heap_pool_set_max(struct dma_heap_pool *pool, size_t max_bytes);
void dma_heap_pool_set_decay(struct dma_heap_pool *pool, unsigned int decay_ms);
int dma_heap_pool_prefill(struct dma_heap_pool *pool, size_t size,
			  unsigned int count);
unsigned long dma_heap_pool_drain(struct dma_heap_pool *pool);
void dma_heap_pool_get_stats(struct dma_heap_pool *pool,
			     struct dma_heap_pool_stats *stats);
#if IS_ENABLED(CONFIG_KUNIT)
struct shrinker *dma_heap_pool_shrinker(struct dma_heap_pool *pool, bool idle);
struct notifier_block *dma_heap_pool_oom_notifier(struct dma_heap_pool *pool);
#endif

#endif /* _DMA_HEAP_POOL_H */
