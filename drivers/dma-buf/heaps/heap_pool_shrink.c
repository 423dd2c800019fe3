// SPDX-License-Identifier: GPL-2.0
/*
 * DMA-BUF heaps: what a pool gives back when the system is short of memory
 *
 * Reclaim takes whole backings, dirty ones first: these would only cost the time to
 * scrub them. A pool has two shrinkers. One is for idle backings. They cost no I/O to get
 * again, so reclaim gets half of them each time, whatever its priority. The other one is
 * for all backings, which a task that has to reclaim gets in proportion to its priority,
 * as it does from other caches. Then the pool keeps nothing for a while. Before the OOM
 * killer looks for a victim, the pool is empty.
 *
 * The pool of a reserved source has none of that: no other user could have the memory.
 */

#include <kunit/visibility.h>
#include <linux/jiffies.h>
#include <linux/minmax.h>
#include <linux/nodemask.h>
#include <linux/notifier.h>
#include <linux/oom.h>
#include <linux/sched/mm.h>
#include <linux/shrinker.h>
#include <linux/swap.h>

#include "heap_pool_internal.h"

/* A backing is idle when it has not been used for so long */
#define POOL_IDLE	HZ

/* How long the pool keeps nothing after a task had to reclaim */
#define POOL_PRESSURE	HZ

/* Reclaim asks for so many idle pages at a time, at least */
#define POOL_BATCH	128UL

/* How long the OOM notifier waits for backings that other tasks have in their hands */
#define POOL_SCRUB_WAIT	(HZ / 5)

/* drop_caches is no reclaim: it wants all, and does not come back for the rest */
static bool drops_caches(void)
{
	return !(current->flags & PF_MEMALLOC);
}

static unsigned long idle_age(void)
{
	return drops_caches() ? 0 : POOL_IDLE;
}

static bool pool_has_idle(struct dma_heap_pool *pool, int nid)
{
	bool has;

	spin_lock(&pool->lock);
	has = dma_heap_pool_next(pool, nid, idle_age());
	spin_unlock(&pool->lock);

	return has;
}

/*
 * Counts all pages, and scan stops where they are not idle. Reclaim scans half of the
 * count, but never less than a batch, so that the last pages count for more.
 */
static unsigned long idle_count_objects(struct shrinker *shrinker,
					struct shrink_control *sc)
{
	struct dma_heap_pool *pool = shrinker->private_data;

	if (!pool_has_idle(pool, sc->nid))
		return SHRINK_EMPTY;

	return max(READ_ONCE(pool->nodes[sc->nid].pages), 2 * POOL_BATCH);
}

static unsigned long pool_scan(struct dma_heap_pool *pool,
			       struct shrink_control *sc, unsigned long nr_pages,
			       unsigned long age)
{
	unsigned long freed = dma_heap_pool_trim(pool, sc->nid, nr_pages, age);

	sc->nr_scanned = freed;
	mm_account_reclaimed_pages(freed);

	return freed ?: SHRINK_STOP;
}

static unsigned long idle_scan_objects(struct shrinker *shrinker,
				       struct shrink_control *sc)
{
	return pool_scan(shrinker->private_data, sc,
			 drops_caches() ? ULONG_MAX : sc->nr_to_scan,
			 idle_age());
}

static unsigned long all_count_objects(struct shrinker *shrinker,
				       struct shrink_control *sc)
{
	struct dma_heap_pool *pool = shrinker->private_data;

	/* It reclaims before memory is short: what is used then is worth more than caches */
	if (current_is_kswapd())
		return SHRINK_EMPTY;

	return READ_ONCE(pool->nodes[sc->nid].pages) ?: SHRINK_EMPTY;
}

static void pool_set_pressure(struct dma_heap_pool *pool)
{
	spin_lock(&pool->lock);
	pool->no_keep_until = get_jiffies_64() + POOL_PRESSURE;
	spin_unlock(&pool->lock);
}

static unsigned long all_scan_objects(struct shrinker *shrinker,
				      struct shrink_control *sc)
{
	struct dma_heap_pool *pool = shrinker->private_data;

	if (!drops_caches())
		pool_set_pressure(pool);

	return pool_scan(pool, sc, sc->nr_to_scan, 0);
}

/* The same for all nodes and pages, for whoever wants to see it work */
void dma_heap_pool_shrink_all(struct dma_heap_pool *pool)
{
	struct shrink_control sc = { .gfp_mask = GFP_KERNEL };

	fs_reclaim_acquire(GFP_KERNEL);
	for_each_online_node(sc.nid)
		idle_scan_objects(pool->idle_shrinker, &sc);
	fs_reclaim_release(GFP_KERNEL);
}

static int pool_oom(struct notifier_block *nb, unsigned long action, void *data)
{
	struct dma_heap_pool *pool = container_of(nb, struct dma_heap_pool,
						  oom_nb);
	unsigned long before, after;

	pool_set_pressure(pool);
	before = dma_heap_pool_sum(pool, dma_heap_pool_held);
	dma_heap_pool_empty(pool, POOL_SCRUB_WAIT);
	after = dma_heap_pool_sum(pool, dma_heap_pool_held);
	if (before > after)
		*(unsigned long *)data += before - after;

	return NOTIFY_OK;
}

static struct shrinker *pool_alloc_shrinker(struct dma_heap_pool *pool,
					    const char *kind)
{
	struct shrinker *shrinker;

	shrinker = shrinker_alloc(SHRINKER_NUMA_AWARE, "dma-heap-pool:%s:%s",
				  pool->name, kind);
	if (shrinker)
		shrinker->private_data = pool;

	return shrinker;
}

int dma_heap_pool_shrink_init(struct dma_heap_pool *pool)
{
	int ret;

	if (pool->source->reserved)
		return 0;

	pool->idle_shrinker = pool_alloc_shrinker(pool, "idle");
	if (!pool->idle_shrinker)
		return -ENOMEM;
	pool->idle_shrinker->seeks = 0;
	pool->idle_shrinker->batch = POOL_BATCH;
	pool->idle_shrinker->count_objects = idle_count_objects;
	pool->idle_shrinker->scan_objects = idle_scan_objects;

	ret = -ENOMEM;
	pool->shrinker = pool_alloc_shrinker(pool, "all");
	if (!pool->shrinker)
		goto err_free_idle;
	pool->shrinker->count_objects = all_count_objects;
	pool->shrinker->scan_objects = all_scan_objects;

	pool->oom_nb.notifier_call = pool_oom;
	ret = register_oom_notifier(&pool->oom_nb);
	if (ret)
		goto err_free_shrinker;

	shrinker_register(pool->idle_shrinker);
	shrinker_register(pool->shrinker);

	return 0;

err_free_shrinker:
	shrinker_free(pool->shrinker);
err_free_idle:
	shrinker_free(pool->idle_shrinker);
	return ret;
}

void dma_heap_pool_shrink_fini(struct dma_heap_pool *pool)
{
	if (pool->source->reserved)
		return;

	unregister_oom_notifier(&pool->oom_nb);
	shrinker_free(pool->shrinker);
	shrinker_free(pool->idle_shrinker);
}

#if IS_ENABLED(CONFIG_KUNIT)
/* Only for tests: they call these as reclaim does */
struct shrinker *dma_heap_pool_shrinker(struct dma_heap_pool *pool, bool idle)
{
	return idle ? pool->idle_shrinker : pool->shrinker;
}
EXPORT_SYMBOL_IF_KUNIT(dma_heap_pool_shrinker);

struct notifier_block *dma_heap_pool_oom_notifier(struct dma_heap_pool *pool)
{
	return &pool->oom_nb;
}
EXPORT_SYMBOL_IF_KUNIT(dma_heap_pool_oom_notifier);
#endif
