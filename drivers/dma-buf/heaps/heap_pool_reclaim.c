// SPDX-License-Identifier: GPL-2.0
/*
 * DMA-BUF heaps: how memory gets out of a pool when others need it
 *
 * Reclaim takes as much as it asks for, as whole backings, and dirty ones
 * first: these would only cost the time to scrub them. If a task has to wait
 * for reclaim, the pool keeps nothing more for a while. Before the OOM killer
 * looks for a victim, the pool is empty.
 */

#include <linux/err.h>
#include <linux/jiffies.h>
#include <linux/memory.h>
#include <linux/nodemask.h>
#include <linux/oom.h>
#include <linux/sched/mm.h>
#include <linux/shrinker.h>
#include <linux/swap.h>

#include "heap_pool_internal.h"

/* How long the pool keeps nothing after reclaim */
#define POOL_PRESSURE	HZ

/* How long to wait for the backing the scrubber is at: a chunk, if it may run */
#define POOL_SCRUBBING	(HZ / 5)

static unsigned long dma_heap_pool_count(struct shrinker *shrinker,
					 struct shrink_control *sc)
{
	struct dma_heap_pool *pool = shrinker->private_data;

	return READ_ONCE(pool->nodes[sc->nid].pages) ?: SHRINK_EMPTY;
}

static void dma_heap_pool_set_pressure(struct dma_heap_pool *pool)
{
	spin_lock(&pool->lock);
	pool->pressure_until = get_jiffies_64() + POOL_PRESSURE;
	spin_unlock(&pool->lock);
}

static unsigned long dma_heap_pool_scan(struct shrinker *shrinker,
					struct shrink_control *sc)
{
	struct dma_heap_pool *pool = shrinker->private_data;
	unsigned long freed;

	/* kswapd alone is no more than housekeeping, drop_caches not even that */
	if ((current->flags & PF_MEMALLOC) && !current_is_kswapd())
		dma_heap_pool_set_pressure(pool);

	freed = dma_heap_pool_trim(pool, sc->nid, sc->nr_to_scan);
	sc->nr_scanned = freed;
	mm_account_reclaimed_pages(freed);

	return freed ?: SHRINK_STOP;
}

/* The same for all nodes and pages, for whoever wants to see it work */
unsigned long dma_heap_pool_shrink_all(struct dma_heap_pool *pool,
				       unsigned long *counted)
{
	struct shrink_control sc = { .gfp_mask = GFP_KERNEL };
	unsigned long count, freed = 0;

	*counted = 0;
	fs_reclaim_acquire(GFP_KERNEL);
	for_each_online_node(sc.nid) {
		count = dma_heap_pool_count(pool->shrinker, &sc);
		if (count == SHRINK_EMPTY)
			continue;
		*counted += count;
		sc.nr_to_scan = count;
		count = dma_heap_pool_scan(pool->shrinker, &sc);
		if (count != SHRINK_STOP)
			freed += count;
	}
	fs_reclaim_release(GFP_KERNEL);

	return freed;
}

static unsigned long dma_heap_pool_pages(struct dma_heap_pool *pool)
{
	unsigned long pages;

	spin_lock(&pool->lock);
	pages = pool->pages;
	spin_unlock(&pool->lock);

	return pages;
}

/* Also what the scrubber is at, which lets go of it as soon as it notices */
static unsigned long dma_heap_pool_empty(struct dma_heap_pool *pool)
{
	unsigned long before = dma_heap_pool_pages(pool), after;

	dma_heap_pool_drain(pool);
	dma_heap_pool_rush_scrubber(pool);
	wait_event_timeout(pool->wait, !dma_heap_pool_pages(pool),
			   POOL_SCRUBBING);
	after = dma_heap_pool_pages(pool);

	return before > after ? before - after : 0;
}

static int dma_heap_pool_oom(struct notifier_block *nb, unsigned long action,
			     void *data)
{
	struct dma_heap_pool *pool = container_of(nb, struct dma_heap_pool,
						  oom_nb);
	unsigned long *freed = data;

	dma_heap_pool_set_pressure(pool);
	*freed += dma_heap_pool_empty(pool);

	return NOTIFY_OK;
}

/*
 * Pages in the pool cannot be moved out of the way. Memory goes offline by one at
 * a time; if somebody refuses who was asked first, only the cancel comes here.
 */
static int dma_heap_pool_memory(struct notifier_block *nb,
				unsigned long action, void *data)
{
	struct dma_heap_pool *pool = container_of(nb, struct dma_heap_pool,
						  memory_nb);
	bool closed;

	switch (action) {
	case MEM_GOING_OFFLINE:
		closed = true;
		break;
	case MEM_OFFLINE:
	case MEM_CANCEL_OFFLINE:
		closed = false;
		break;
	default:
		return NOTIFY_DONE;
	}

	spin_lock(&pool->lock);
	pool->closed = closed;
	spin_unlock(&pool->lock);

	if (closed)
		dma_heap_pool_empty(pool);

	return NOTIFY_OK;
}

int dma_heap_pool_reclaim_init(struct dma_heap_pool *pool)
{
	int ret;

	pool->shrinker = shrinker_alloc(SHRINKER_NUMA_AWARE, "dma-heap-pool:%s",
					pool->name);
	if (!pool->shrinker)
		return -ENOMEM;

	pool->shrinker->count_objects = dma_heap_pool_count;
	pool->shrinker->scan_objects = dma_heap_pool_scan;
	pool->shrinker->private_data = pool;

	pool->oom_nb.notifier_call = dma_heap_pool_oom;
	ret = register_oom_notifier(&pool->oom_nb);
	if (ret)
		goto err_free_shrinker;

	pool->memory_nb.notifier_call = dma_heap_pool_memory;
	ret = register_memory_notifier(&pool->memory_nb);
	if (ret)
		goto err_unregister_oom;

	shrinker_register(pool->shrinker);

	return 0;

err_unregister_oom:
	unregister_oom_notifier(&pool->oom_nb);
err_free_shrinker:
	shrinker_free(pool->shrinker);
	return ret;
}

void dma_heap_pool_reclaim_fini(struct dma_heap_pool *pool)
{
	unregister_memory_notifier(&pool->memory_nb);
	unregister_oom_notifier(&pool->oom_nb);
	shrinker_free(pool->shrinker);
}

#if IS_ENABLED(CONFIG_KUNIT)
/* Only for tests: they call count and scan as reclaim does */
struct shrinker *dma_heap_pool_shrinker(struct dma_heap_pool *pool)
{
	return pool->shrinker;
}
EXPORT_SYMBOL_NS_GPL(dma_heap_pool_shrinker, DMA_BUF_HEAP);
#endif
